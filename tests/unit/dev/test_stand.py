"""`gradient dev`: up, status and down from different processes, and nothing left when the keeper dies.

The part is moto's server, which needs no tool chain; the others are in `tests/integration`.
"""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from gradient_assets.dev import stand
from gradient_assets.dev.bigquery import BigQuery
from gradient_assets.dev.postgres import Postgres
from gradient_assets.dev.runners import TASK_MANAGERS, FlinkCluster
from gradient_assets.dev.server import children_of, listens
from gradient_assets.dev.stores import S3, Amazon, Gcs

POOL = b"apache_beam.runners.worker.worker_pool_main"

pytest.importorskip("moto.server", reason="needs moto[server] (extra `dev`)")


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIENT_PARTS", str(tmp_path))
    yield tmp_path
    stand.down()


def dev(*words, expect=0):
    ended = CliRunner().invoke(cli, ["dev", *words])
    assert ended.exit_code == expect, ended.output
    return ended.output


def port_in(output):
    return int(re.search(r"^export GRADIENT_SECRETS_ENDPOINT=http://127\.0\.0\.1:(\d+)$", output, re.MULTILINE)[1])


def words_of(pid, kind):
    return Path(f"/proc/{pid}/{kind}").read_bytes().split(b"\0")


def started_by(pid):
    return [found for child in children_of(pid) for found in (child, *started_by(child))]


def test_up_status_and_down_know_of_each_other(parts):
    assert "not up" in dev("status")
    printed = dev("up", "amazon")
    port = port_in(printed)
    assert listens(port)
    assert "# amazon: moto" in printed
    assert port_in(dev("status")) == port
    assert (parts / "stand" / "running.json").stat().st_mode & 0o077 == 0
    again = dev("up", "amazon")
    assert "up already" in again
    assert port_in(again) == port
    assert "up without prism" in dev("up", "amazon", "prism", expect=2)
    assert (parts / "stand" / "amazon" / "tmp").is_dir()
    assert "down" in dev("down")
    assert not listens(port)
    assert not (parts / "stand" / "amazon" / "tmp").exists()
    assert "was not up" in dev("down")
    assert (parts / "stand" / "amazon" / "amazon.log").exists()


def test_a_keeper_that_is_killed_takes_its_servers_along_and_is_not_taken_for_alive(parts):
    port = port_in(dev("up", "amazon"))
    os.kill(int((parts / "stand" / "keeper.lock").read_text()), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not listens(port)
    assert "not up" in dev("status")
    assert listens(port_in(dev("up", "amazon"))), "and the next one comes up"


def test_the_next_stand_begins_with_nothing_of_the_one_before(parts):
    dev("up", "amazon")
    left = parts / "stand" / "amazon" / "left-over"
    left.touch()
    dev("down")
    assert left.exists()
    dev("up", "amazon")
    assert not left.exists()


@pytest.mark.parametrize("order", [("amazon", "s3", "hospitals"), ("s3", "amazon", "hospitals")])
def test_of_amazons_credentials_those_of_the_hospitals_are_exported(order):
    told = {name: {"version": "", "folder": "", "exports": {"AWS_ACCESS_KEY_ID": name, name: "1"}} for name in order}
    assert stand.merged(told) == {"AWS_ACCESS_KEY_ID": "hospitals", "s3": "1", "amazon": "1", "hospitals": "1"}
    del told["hospitals"]
    assert stand.merged(told)["AWS_ACCESS_KEY_ID"] == "s3"


def test_a_worker_pool_is_known_to_its_runner_and_its_workers_know_the_stores(parts):
    options = dev("up", "worker-pool", "amazon")
    vault = f"http://127.0.0.1:{port_in(options)}"
    assert "GRADIENT_BEAM_OPTIONS" not in options, "there is no runner that could ask it"
    pool = stand.status()["worker-pool"]["exports"]["GRADIENT_BEAM_OPTIONS"]
    port = int(re.fullmatch(r"--environment_type=EXTERNAL --environment_config=localhost:(\d+)", pool)[1])
    assert listens(port)
    servers = started_by(int((parts / "stand" / "keeper.lock").read_text()))
    pool = next(pid for pid in servers if b"-m" in words_of(pid, "cmdline") and POOL in words_of(pid, "cmdline"))
    assert {b"GRADIENT_VAULT=aws", f"GRADIENT_SECRETS_ENDPOINT={vault}".encode()} <= set(words_of(pool, "environ"))
    dev("down")
    assert not listens(port)


@pytest.mark.parametrize("order", [("flink-cluster", "worker-pool"), ("worker-pool", "flink-cluster")])
def test_a_pools_options_stand_beside_the_runners(order):
    exports = {
        "flink-cluster": {"GRADIENT_BEAM_RUNNER": "flink", "GRADIENT_BEAM_OPTIONS": "--job_endpoint=a:1"},
        "worker-pool": {"GRADIENT_BEAM_OPTIONS": "--environment_type=EXTERNAL"},
    }
    told = {name: {"version": "", "folder": "", "exports": exports[name]} for name in order}
    assert stand.merged(told) == {
        "GRADIENT_BEAM_RUNNER": "flink",
        "GRADIENT_BEAM_OPTIONS": "--job_endpoint=a:1 --environment_type=EXTERNAL",
    }


def test_a_part_that_cant_be_had_says_what_to_install_and_starts_nothing(parts, monkeypatch):
    monkeypatch.setenv("PATH", str(parts))
    said = dev("up", "s3", "flink-local", "amazon", expect=2)
    assert "s3: go is absent: install Go" in said
    assert "flink-local: java is absent: install Java" in said
    assert "gradient dev up amazon\n" in said
    assert "not up" in dev("status")


def test_only_parts_that_there_are_can_be_named():
    dev("up", "mainframe", expect=2)


def test_usually_there_is_one_of_each_kind():
    usual = [stand.PARTS[name] for name in stand.USUAL]
    assert usual == [S3, Gcs, Amazon, BigQuery, Postgres, FlinkCluster]
    assert TASK_MANAGERS == 2
