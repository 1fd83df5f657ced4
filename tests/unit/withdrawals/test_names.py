"""Looking for names in texts: whole ones, in any case, none within a longer one."""

import pytest

from gradient_assets.withdrawals.absence import Names


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("PAAAAAAAAAAAAAAAA", True),
        ("x/PAAAAAAAAAAAAAAAA/2.25.9/z.dcm", True),
        ("paaaaaaaaaaaaaaaa", True),
        ('{"Value":["2.25.1234"]}', True),
        ("2.25.12345", False),
        ("XPAAAAAAAAAAAAAAAA", False),
        ("PAAAAAAAAAAAAAAAA2", False),
        ("2.25.12345 and 2.25.1234.", True),
        ("", False),
    ],
)
def test_a_name_counts_when_it_stands_alone(text, stands):
    assert Names({"PAAAAAAAAAAAAAAAA", "2.25.1234"}).stand_in(text) is stands


def test_without_names_nothing_is_found():
    assert not Names(()).stand_in("PAAAAAAAAAAAAAAAA")
