"""What docs/warehouse.md says is shown by a test: each test that it names is there, and each item of the requests has one."""

import ast
import re
from functools import cache

import pytest

from gradient_assets.reference import ROOT
from resources.settings import SETTINGS
from resources.warehouses import bigquery_jobs
from resources.warehouses.bigquery_jobs import Limits

PAGE = (ROOT / "docs/warehouse.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+) \| (.+) \| `((?:unit|graph|integration)/\S+\.py)::(test_\w+)` \|$", PAGE, re.MULTILINE)
JUDGES = ("REST contract", "emulator", "ZetaSQL", "all three", "source", "discovery document")


@cache
def functions_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("item", "judge", "path", "test"), ROWS, ids=[row[0] for row in ROWS])
def test_a_test_that_is_named_exists(item, judge, path, test):
    assert test in functions_of(path)
    assert judge.startswith(JUDGES)


def test_no_line_of_the_table_is_without_a_test():
    table = PAGE.partition("## What is shown by what")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(lines) - 2 == len(ROWS) > 30


def test_a_test_that_is_not_there_is_noticed():
    assert "test_that_nobody_wrote" not in functions_of("unit/resources/test_bigquery_requests.py")


def test_the_numbers_on_the_page_are_those_of_the_code():
    limits = Limits()
    default = {setting.name: setting.default for setting in SETTINGS}
    assert f"`GRADIENT_BIGQUERY_MAX_GIB` ({default['GRADIENT_BIGQUERY_MAX_GIB']})" in PAGE
    assert (
        f"after {limits.first_wait_s:.0f} s, then twice as long each time, up to {limits.longest_wait_s:.0f} s" in PAGE
    )
    assert f"for {limits.deadline_s / 60:.0f} minutes" in PAGE
    assert "longer than an hour" in PAGE
    assert limits.job_deadline_s == 3600
    assert f"up to {bigquery_jobs.MAX_IDS:,}" in PAGE


@pytest.mark.parametrize("reason", re.findall(r"`([a-z]+[A-Z]\w+(?:Exceeded|Error|Denied|Query))`", PAGE))
def test_reasons_on_the_page_are_those_that_are_told(reason):
    assert reason in bigquery_jobs.PASSING_REASONS | bigquery_jobs.LASTING_REASONS
