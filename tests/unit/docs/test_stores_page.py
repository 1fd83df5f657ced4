"""What docs/stores.md says is shown by a test: each test that it names is there, and its numbers are those of the code."""

import ast
import re
from functools import cache

import pytest

from gradient_assets.automation.arrival import STORE_DEADLINE_S
from gradient_assets.instance import DAGSTER_YAML
from gradient_assets.reference import ROOT
from gradient_assets.store_settings import STORE_FIELDS
from resources.buckets.breaker import BREAK_AFTER, REST_S
from resources.buckets.bucket_address import REQUEST_SHARE, RETRY_SHARE
from resources.buckets.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from resources.buckets.remote_client import LONGEST_PAUSE_S as LONGEST_PAUSE_OF_READS_S
from resources.buckets.request_signing import RENEW_BEFORE_S

PAGE = (ROOT / "docs/stores.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())
ROWS = re.findall(r"^\| (.+) \| (.+) \| `((?:unit|graph|integration)/\S+\.py)::(test_\w+)` \|$", PAGE, re.MULTILINE)


@cache
def functions_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("what", "outcome", "path", "test"), ROWS, ids=[f"{row[0]}-{row[3]}" for row in ROWS])
def test_a_test_that_is_named_exists(what, outcome, path, test):
    assert test in functions_of(path)


def test_no_line_of_the_tables_is_without_a_test():
    lines = [line for line in PAGE.partition("## What breaks")[2].splitlines() if line.startswith("| ")]
    assert len(lines) - 4 == len(ROWS) > 35


def test_a_test_that_is_not_there_is_noticed():
    assert "test_that_nobody_wrote" not in functions_of("integration/test_s3_faults.py")


def test_every_test_of_faults_stands_in_the_table():
    named = {test for _, _, path, test in ROWS if path == "integration/test_s3_faults.py"}
    assert named == {name for name in functions_of("integration/test_s3_faults.py") if name.startswith("test_")}


@pytest.mark.parametrize("field", STORE_FIELDS)
def test_each_field_is_explained(field):
    assert f"`{field}`" in PAGE or f"{field}:" in PAGE


def test_the_numbers_are_those_of_the_code():
    assert f"failed {BREAK_AFTER} times in a row" in WORDS
    assert f"left alone for {REST_S:.0f} s" in WORDS
    assert f"gives a bucket {STORE_DEADLINE_S:.0f} s" in WORDS
    assert (RETRY_SHARE, REQUEST_SHARE) == (1 / 5, 1 / 2)
    assert "a fifth of an item's time for retries and half of it for one request" in WORDS
    assert f"({FIRST_PAUSE_S} s for listings) up to {LONGEST_PAUSE_S:.0f} s" in WORDS
    assert LONGEST_PAUSE_OF_READS_S == LONGEST_PAUSE_S
    assert RENEW_BEFORE_S == 300
    assert "num_workers: 8" in DAGSTER_YAML
