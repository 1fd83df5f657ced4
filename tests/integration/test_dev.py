"""`gradient dev`: the whole stand by one command, a hospital's stage with what it prints, and nothing of it after `down`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from gradient_assets.dev.recipes import PartUnavailable, cache_folder
from gradient_assets.dev.runners import WorkerPool
from gradient_assets.dev.server import listens
from gradient_assets.dev.stand import PARTS, USUAL
from tests.integration.conftest import NO_SKIP

# By its name the file comes before those that share a Flink cluster: this one has gone when theirs is started.
pytestmark = pytest.mark.timeout(1200)
ROOT = Path(__file__).parents[2]
NAMES = (*USUAL, WorkerPool.name)
HOSPITAL, STAGE = "harbor-clinic", "dicom_metadata"
"""The stage's workers take objects from S3, their keys from the secret manager; its rows go to BigQuery."""
OF_THE_PLATFORM = ("GRADIENT_", "DAGSTER_", "AWS_", "GOOGLE_")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder that holds what the user's own holds, and no stand but ours."""
    try:
        for name in NAMES:
            PARTS[name](tmp_path_factory.mktemp(name)).fetch()
    except PartUnavailable as missing:
        if NO_SKIP:
            raise
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("stand-cache")
    for made in cache_folder().iterdir():
        if made.is_dir() and made.name != "stand":
            (folder / made.name).symlink_to(made)
    return folder


@pytest.fixture(scope="module")
def gradient(cache):
    """The command in a shell that has read what `gradient dev` printed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_PLATFORM)}
    environ |= {"GRADIENT_PARTS": str(cache), "COLUMNS": "200", "PYTHONPATH": str(ROOT)}

    def call(*words, read=""):
        command = ["sh", "-ec", 'eval "$0"; exec "$@"', read, sys.executable, "-m", "gradient_assets", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield call
    call("dev", "down")


def test_one_command_brings_up_all_that_a_hospitals_stage_needs(gradient, monkeypatch):
    printed = gradient("dev", "up", *NAMES)
    assert re.findall(r"^# ([\w-]+): .", printed, re.M) == [*USUAL, "hospitals", WorkerPool.name]
    assert gradient("dev", "status") == printed
    exported = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", printed, re.M))
    ports = {int(port) for port in re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", printed)}
    ports.add(int(exported["DAGSTER_POSTGRES_PORT"]))
    assert len(ports) == len(NAMES)
    assert [port for port in ports if not listens(port)] == []

    gradient("doctor", "--mend", read=printed)
    gradient("run", "-H", HOSPITAL, "--select", STAGE, read=printed)
    assert "all as recorded" in gradient("verify", read=printed)

    for name, value in exported.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    queues = boto3.client("sqs")
    url = queues.create_queue(QueueName="arrivals")["QueueUrl"]
    queues.send_message(QueueUrl=url, MessageBody="an object has come")
    assert queues.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "an object has come"

    assert "down" in gradient("dev", "down")
    assert [port for port in ports if listens(port)] == []
    assert "not up" in gradient("dev", "status")
