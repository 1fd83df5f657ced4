"""`gradient dev`: up, status and down from different processes, and nothing left when the keeper dies.

The part is moto's server, which needs no tool chain; the others are in `tests/integration`.
"""

import os
import re
import signal
import time

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from gradient_assets.dev import stand
from gradient_assets.dev.server import listens

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


def test_a_part_that_cant_be_had_says_what_to_install_and_starts_nothing(parts, monkeypatch):
    monkeypatch.setenv("PATH", str(parts))
    said = dev("up", "s3", "flink-local", "amazon", expect=2)
    assert "s3: go is absent: install Go" in said
    assert "flink-local: java is absent: install Java" in said
    assert "gradient dev up amazon\n" in said
    assert "not up" in dev("status")


def test_only_parts_that_there_are_can_be_named():
    dev("up", "mainframe", expect=2)


def test_the_usual_parts_are_parts():
    assert set(stand.USUAL) <= set(stand.PARTS)
