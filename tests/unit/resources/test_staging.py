"""What a dead run left in its staging prefix goes with the next run; what a living one has there stays."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.staging import STALE_STAGING_S, UNKNOWN_STALE_S, end_staging, fresh_staging, waiting
from tests.fakes.s3 import empty_bucket
from tests.graph.conftest import ROOT

DEAD, ALIVE, FOREIGN = (f"{number}1f0c2ab-7c1d-4e5f-8a9b-0123456789ab" for number in "123")
KNOWN = {DEAD: True, ALIVE: False}

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


@pytest.fixture
def remote(monkeypatch):
    """Staging on S3, where nothing tells who lives."""
    with empty_bucket(monkeypatch) as (uri, endpoint):
        yield Bucket(BucketAddress(f"{uri}/staging", endpoint=endpoint, region="us-east-1"))


@pytest.fixture(params=["folder", "remote"])
def unlocked(request, root):
    """Staging without locks: on S3, and in a folder that a worker wrote to when its run was dead."""
    return root if request.param == "folder" else request.getfixturevalue("remote")


def known(run_ids):
    return {run_id: KNOWN[run_id] for run_id in run_ids if run_id in KNOWN}


def after(monkeypatch, seconds):
    monkeypatch.setattr("resources.buckets.staging.time", SimpleNamespace(time=lambda: time.time() + seconds))


def fill(root):
    for run in (DEAD, ALIVE, FOREIGN):
        root.put(f"thumbnails-st-mary-{run}/00ff/shard", b"x")
        root.put(f"thumbnails-st-mary-{run}/00ff/deeper/shard", b"x")
    root.put(f"thumbnails-st-mary-{DEAD}-found/00ff/shard", b"x")
    root.put("withdraw-dicom_metadata-st-mary/00ff/shard", b"x")


def test_what_ended_runs_left_goes_at_once_and_what_is_not_known_stays(unlocked):
    fill(unlocked)
    end_staging(unlocked, known)
    assert names(unlocked) == [
        f"thumbnails-st-mary-{ALIVE}",
        f"thumbnails-st-mary-{FOREIGN}",
        "withdraw-dicom_metadata-st-mary",
    ]


def test_an_hour_later_only_a_run_that_goes_on_has_something_there(unlocked, monkeypatch):
    fill(unlocked)
    after(monkeypatch, UNKNOWN_STALE_S + 60)
    end_staging(unlocked, known)
    assert names(unlocked) == [f"thumbnails-st-mary-{ALIVE}"]


def test_a_living_process_keeps_its_folder_whatever_is_said_of_its_run(root):
    with fresh_staging(root, f"thumbnails-st-mary-{DEAD}") as staging:
        staging.bucket.put("shard", b"x")
        end_staging(root, known)
        assert names(root) == [f"thumbnails-st-mary-{DEAD}"]


def test_notes_of_jobs_are_no_unfinished_work(unlocked, monkeypatch):
    unlocked.put("jobs/thumbnails-st-mary.json", b"{}")
    after(monkeypatch, UNKNOWN_STALE_S + 60)
    assert waiting(unlocked) == []
    end_staging(unlocked, known)
    assert names(unlocked) == ["jobs"]


def test_nobody_is_asked_when_no_run_left_anything(unlocked):
    unlocked.put("withdraw-dicom_metadata-st-mary/00ff/shard", b"x")
    end_staging(unlocked, pytest.fail)


def test_the_next_runs_sweep_of_a_bucket_waits_for_a_day(remote, monkeypatch):
    fill(remote)
    with fresh_staging(remote, "next"):
        assert len(names(remote)) == 5
    after(monkeypatch, STALE_STAGING_S + 60)
    with fresh_staging(remote, "next"):
        assert names(remote) == []
