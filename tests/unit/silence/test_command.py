"""`gradient diagnostics`, and what the prompt says of an error that nobody foresaw."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradient_assets.cli.errors import told
from gradient_assets.diagnostics import Diagnostics, diagnostic_of
from resources import Settings, resources_for

ROOT = Path(__file__).parents[3]
NAME = "Zzyzxson^Quilla"


def gradient(home, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    return subprocess.run(
        [sys.executable, "-m", "gradient_assets", "diagnostics", *arguments],
        env={**kept, "GRADIENT_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def kept(tmp_path):
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
    diagnostic = diagnostic_of(ValueError(NAME), "a stage", "stage", "token")
    assert Diagnostics.open(resources, "run-1").keep(diagnostic)
    return diagnostic.id


def test_the_list_names_ids_and_no_text(tmp_path, kept):
    done = gradient(tmp_path, "list")
    assert done.returncode == 0
    assert kept in done.stdout
    assert "run-1" in done.stdout
    assert NAME not in done.stdout


def test_the_text_is_shown_for_a_reason(tmp_path, kept):
    assert NAME in gradient(tmp_path, "show", kept, "--reason", "ticket 7").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show",), "--reason"),
        (("show", "KEPT"), "--reason"),
        (("show", "KEPT", "--reason", " "), "--reason"),
        (("show", "0000", "--reason", "x"), "no diagnostic of this id"),
        (("list", "KEPT"), "belong to `show`"),
        (("sweep", "--reason", "x"), "belong to `show`"),
        (("open",), "open"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_opened(tmp_path, kept, arguments, words):
    done = gradient(tmp_path, *(kept if word == "KEPT" else word for word in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert NAME not in done.stdout + done.stderr
    assert not (tmp_path / "identified/diagnostics/opened").exists()


def test_an_unforeseen_error_at_the_prompt_is_sealed_where_a_zone_is(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path))
    (tmp_path / "identified").mkdir()
    line, code = told(ValueError(NAME))
    assert code == 1
    assert NAME not in line
    opened = Diagnostics.open(resources_for(Settings.from_environment()), "test")
    name = next(name for name, _ in opened.listed())
    assert name in line
    assert NAME in opened.show(name, who="officer", reason="ticket").text


def test_where_no_zone_is_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path / "home"))
    line, code = told(ValueError(NAME))
    assert (code, NAME in line, "diagnostics" in line) == (1, False, False)
    assert not (tmp_path / "home").exists()
