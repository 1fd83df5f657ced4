"""What a check says of its findings."""

import pytest

from gradient_assets.checks.telling import KINDS, most_frequent


@pytest.mark.parametrize(
    ("by_kind", "said"),
    [
        ({}, ""),
        ({"name in report_text": 3}, " (3 × name in report_text)"),
        ({"id in a": 1, "name in a": 9}, " (9 × name in a, 1 × id in a)"),
        ({f"id in {number}": 1 for number in range(KINDS + 1)}, "1 × id in 2, 1 × id in 3 and 1 more kind)"),
        ({f"id in {number}": 1 for number in range(KINDS + 2)}, " and 2 more kinds)"),
    ],
)  # fmt: skip
def test_the_most_frequent_kinds_come_first_and_the_rest_is_counted(by_kind, said):
    assert most_frequent(by_kind).endswith(said)
