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
    assert "up already" in dev("up", "amazon", expect=2)
    assert "down" in dev("down")
    assert not listens(port)
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


def test_a_part_that_cant_be_had_says_what_to_install_and_starts_nothing(parts, monkeypatch):
    monkeypatch.setenv("PATH", str(parts))
    assert "go is absent: install Go" in dev("up", "s3", "amazon", expect=2)
    assert "not up" in dev("status")


def test_only_parts_that_there_are_can_be_named():
    dev("up", "mainframe", expect=2)


def test_the_usual_parts_are_parts():
    assert set(stand.USUAL) <= set(stand.PARTS)
