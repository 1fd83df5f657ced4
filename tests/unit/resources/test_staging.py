"""What a dead run left in its staging prefix goes with the next run; what a living one has there stays."""

import os
import signal
import subprocess
import sys

import pytest

from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.staging import fresh_staging
from tests.graph.conftest import ROOT

WRITER = """
import sys, time
from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.staging import fresh_staging
staging = fresh_staging(Bucket(BucketAddress(sys.argv[1])), "other-run")
staging.bucket.put("shard", b"x")
print("written", flush=True)
time.sleep(600)
"""


@pytest.fixture
def root(tmp_path):
    return Bucket(BucketAddress(str(tmp_path / "staging")))


@pytest.fixture
def other_run(root):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(root.address.folder)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    yield process
    process.kill()
    process.wait()


def names(root):
    return sorted({stat.key.split("/")[0] for stat in root.listing()})


def test_a_killed_runs_prefix_goes_at_once(root, other_run):
    os.kill(other_run.pid, signal.SIGKILL)
    other_run.wait()
    assert names(root) == ["other-run"]
    with fresh_staging(root, "this-run") as staging:
        staging.bucket.put("shard", b"y")
        assert names(root) == ["this-run"]
    assert os.listdir(root.address.folder) == []


def test_a_living_runs_prefix_stays(root, other_run):
    with fresh_staging(root, "this-run") as staging:
        staging.bucket.put("shard", b"y")
        assert names(root) == ["other-run", "this-run"]
    assert names(root) == ["other-run"]


def test_two_prefixes_of_one_process_do_not_sweep_each_other(root):
    with fresh_staging(root, "run") as one, fresh_staging(root, "run") as two:
        one.bucket.put("a", b"")
        two.bucket.put("b", b"")
        assert [stat.key for stat in one.bucket.listing()] == ["a"]
