"""What docs/boundary.md promises is backed: every check and every test that it names exists."""

import ast
import re
from functools import cache

import pytest

from gradient_assets.promises import mutations, promises, safe_harbor_rows
from gradient_assets.reference import ROOT
from tests.fakes.graph_checks import checks_of_the_graph

PROMISES = promises()
PROMISED = [*PROMISES["guarantees"], *PROMISES["safe_harbor"]["identifiers"]]
NAMED = sorted({test for one in PROMISED for test in one["tests"]})
PAGE = (ROOT / "docs/boundary.md").read_text(encoding="utf-8")


@cache
def functions(path):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("test", NAMED)
def test_a_test_that_is_named_exists(test):
    path, _, name = test.partition("::")
    assert re.fullmatch(r"(unit|graph|redteam)/.+\.py", path)
    assert name in functions(path)


def test_a_test_that_is_not_there_is_noticed():
    assert "test_that_nobody_wrote" not in functions("unit/docs/test_promises.py")


def test_checks_that_are_named_exist_and_each_check_is_named():
    assert {check for one in PROMISED for check in one["checks"]} == checks_of_the_graph()
    assert {name for name in checks_of_the_graph() if f"| `{name}` |" in PAGE} == checks_of_the_graph()


def test_each_letter_of_safe_harbor_has_its_line_with_step_and_test():
    lines = PROMISES["safe_harbor"]["identifiers"]
    assert [one["letter"] for one in lines] == list("ABCDEFGHIJKLMNOPQR")
    assert all(one["step"].endswith(".") and one["tests"] for one in lines)
    assert len(safe_harbor_rows()) == 1 + len(lines)


def test_each_guarantee_has_a_step_and_a_test():
    assert all(one["step"].endswith(".") and one["tests"] for one in PROMISES["guarantees"])


def test_the_summary_fits_one_page():
    """60 lines of about 100 characters fit on a printed page."""
    summary = PAGE.partition("## On one page")[2].partition("\n## ")[0]
    assert len(summary) < 60 * 100
    for part in ("What is guaranteed", "What is not guaranteed", "What you sign"):
        assert f"**{part}" in summary


def test_a_step_that_nothing_else_catches_is_said_to_stand_alone():
    for one in mutations():
        if not one["caught_by"]:
            assert re.search(rf"^\| {re.escape(one['step'])} \|.*\*\*nothing\*\* \|$", PAGE, re.MULTILINE), one["step"]
