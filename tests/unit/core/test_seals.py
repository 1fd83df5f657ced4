"""A sealed file opens as it was closed, under the same purpose, at the same place, by one of the keys, and not otherwise."""

import json

import pytest

from gradient_assets.deid.identity import SecretKey
from gradient_assets.seals import SealBroken, Seals

CONTENT = {"passed": False, "found": {"Müller \ud800": 2}, "list": [1, None, 0.5, "x"]}
OLD, NEW = SecretKey(b"o" * 32), SecretKey(b"n" * 32)
FILE = Seals.under((NEW, OLD), "checks").closed("spring/a", CONTENT)


@pytest.mark.parametrize(
    "keys", [(NEW,), (NEW, OLD), (OLD, NEW)], ids=["one", "in use and former", "former and in use"]
)
def test_what_was_closed_opens_under_the_key_whatever_other_keys_there_are(keys):
    assert Seals.under(keys, "checks").opened("spring/a", FILE) == CONTENT


def test_a_file_closed_before_a_rotation_opens_after_it():
    before = Seals.under((OLD,), "checks").closed("spring/a", CONTENT)
    assert Seals.under((NEW, OLD), "checks").opened("spring/a", before) == CONTENT


@pytest.mark.parametrize(
    ("key", "purpose", "place"),
    [(OLD, "checks", "spring/a"), (NEW, "quarantine", "spring/a"), (NEW, "checks", "spring/b")],
    ids=["another key", "another purpose", "another place"],
)
def test_it_opens_nowhere_else(key, purpose, place):
    with pytest.raises(SealBroken):
        Seals.under((key,), purpose).opened(place, FILE)


OUTER = json.loads(FILE)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b"[" * 100_000,
        json.dumps(CONTENT).encode(),
        json.dumps(OUTER | {"seal": ""}).encode(),
        json.dumps(OUTER | {"seal": None}).encode(),
        json.dumps(OUTER | {"seal": "\ud800"}).encode(),
        json.dumps(OUTER | {"more": 1}).encode(),
        json.dumps(OUTER | {"content": CONTENT | {"passed": True}}).encode(),
        json.dumps(OUTER | {"content": CONTENT | {"passed": 0}}).encode(),
        json.dumps(OUTER | {"content": [CONTENT]}).encode(),
        FILE[:-1],
    ],
)
def test_what_was_changed_or_made_up_does_not_open(file):
    with pytest.raises(SealBroken) as broken:
        Seals.under((NEW,), "checks").opened("spring/a", file)
    assert "Müller" not in str(broken.value)
