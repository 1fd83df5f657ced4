"""docs/engines.md is backed: each row of its tables names a test that exists, of the engines that it names."""

import ast
import re
from functools import cache

import pytest

from gradient_assets.reference import ROOT
from resources.engines.beam import RUNNERS

PAGE = (ROOT / "docs/engines.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))
FAULTS = [line for line in PAGE.partition("## What becomes of a run")[2].splitlines() if line.startswith("| ")][2:]
FIXTURES = {
    "embedded": "embedded",
    "Prism": "prism",
    "Flink in the job server": "flink_local",
    "Flink cluster": "flink_cluster",
}
"""The engine in the table, and in the parameters of a test of its own runs."""


@cache
def functions(file):
    """Name → what each test function of the file takes: its arguments and decorators, with what their names stand for."""
    (path,) = (ROOT / "tests").rglob(file)
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    named = {
        target.id: ast.get_source_segment(source, node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {
        node.name: spelled_out(
            " ".join(ast.get_source_segment(source, part) for part in (*node.decorator_list, *node.args.args)), named
        )
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def spelled_out(text, named):
    """The text, and after it what its names stand for."""
    known = [word for word in re.findall(r"\w+", text) if word in named]
    rest = {name: value for name, value in named.items() if name not in known}
    return " ".join([text, *(spelled_out(named[word], rest) for word in known)])


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_is_named_exists(file, test):
    assert test in functions(file)


def test_a_test_that_is_not_there_is_noticed():
    assert "test_that_nobody_wrote" not in functions("test_engines.py")


@pytest.mark.parametrize("row", FAULTS)
def test_each_fault_has_a_test(row):
    assert re.search(r"`test_\w+\.py::test_\w+` \|$", row)


@pytest.mark.parametrize("row", [row for row in FAULTS if "test_runner" in row and "not there" not in row])
def test_a_fault_is_tested_on_the_engines_that_its_row_names(row):
    _, _, engines, *_, named, _ = (cell.strip() for cell in row.split("|"))
    file, test = re.findall(r"(test_\w+\.py)::(test_\w+)", named)[0]
    words = set(re.findall(r"\w+", functions(file)[test]))
    assert {FIXTURES[engine] for engine in engines.split(", ")} == words & set(FIXTURES.values())


def test_each_runner_is_on_the_page():
    assert [runner for runner in RUNNERS if f"`{runner}`" not in PAGE] == []
