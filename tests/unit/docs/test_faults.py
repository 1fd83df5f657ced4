"""docs/dataflow.md and docs/deployment.md on what dies are backed: each row names tests that exist, or says there are none."""

import ast
import re
from functools import cache

import pytest

from gradient_assets.reference import ROOT

PAGES = ("dataflow.md", "deployment.md")
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def rows(page):
    """The rows of the page's fault table."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- faults -->\n(.*?)<!-- end faults -->", text, re.DOTALL)
    return table.splitlines()[2:]


ROWS = [(page, row) for page in PAGES for row in rows(page)]


@cache
def functions_in(file):
    """The test functions of all files of that name."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob(file)]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def wrong(row):
    """What is wrong with a row's last cell; empty when nothing is."""
    last = row.rstrip(" |").rpartition("|")[2]
    named = NAMED.findall(last)
    if not named and "not tested" not in last:
        return "names no test, and does not say that there is none"
    return ", ".join(f"{file}::{test} is not there" for file, test in named if test not in functions_in(file))


@pytest.mark.parametrize(("page", "row"), ROWS)
def test_each_row_names_tests_that_exist_or_says_that_there_is_none(page, row):
    assert wrong(row) == ""


@pytest.mark.parametrize(
    "row",
    [
        "| x | y | |",
        "| x | `test_dataflow.py::test_a_job_of_another_name_is_let_be` | y |",
        "| x | `test_dataflow.py::test_that_nobody_wrote` |",
        "| x | `test_no_file.py::test_a_job_of_another_name_is_let_be` |",
    ],
)
def test_a_row_without_its_test_is_noticed(row):
    assert wrong(row)


def test_the_tables_were_found():
    assert {page for page, _ in ROWS} == set(PAGES)
    assert sum("not tested" in row for _, row in ROWS) < len(ROWS) / 4
