"""Keys and tombstones as the tests of this folder need them."""

import pytest

from gradient_assets.deid.identity import SecretKey
from gradient_assets.withdrawals.tombstones import PATIENT, Tombstones, digest, digester

KEY, OLDER = SecretKey(bytes(32)), SecretKey(bytes(range(32)))


def tombstones(*values, keys=(KEY,), kind=PATIENT):
    """Of these values, under the first of the keys."""
    digesters = tuple(digester(key, "st-mary") for key in keys)
    return Tombstones(frozenset(digest(digesters[0], kind, value) for value in values), digesters)


@pytest.fixture
def withdrawn():
    """What makes tombstones."""
    return tombstones
