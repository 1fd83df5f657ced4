"""Asking for a release: what can't be met is refused before a key, a request or a line in the log is made."""

import hashlib

import pytest

from gradient_assets.cli.release import make_release
from gradient_assets.cli.run import Platform
from gradient_assets.integrity import records
from gradient_assets.releases import Release
from gradient_assets.tables import PROD, RELEASE_MANIFEST
from resources.vault_contract import KeyChanged, MissingKey
from tests.fakes.small_release import AUTHOR, Made, Person

WANTED = Release("autumn", "uni-y", "modality = 'CT'")
HOSPITAL_KEY = "identified/secrets/hospital/st-mary.key"


@pytest.fixture
def made(tmp_path):
    """Two keys that are in use, and one that only the record of a release's table names."""
    made = Made.build(tmp_path)
    made.put_prod([Person(number) for number in range(3)])
    resources = made.resources
    resources.vault.create("recipient/uni-z")
    for name in ("hospital/st-mary", "recipient/uni-x"):
        resources.key(name)
    for spec, partition, name in (
        (PROD, "st-mary", "hospital/st-mary"),
        (RELEASE_MANIFEST, "winter", "recipient/uni-z"),
    ):
        records.record(resources, spec, partition, key=resources.vault.key(name), run_id="r1", versions={})
    return made


def tree(path):
    return {str(file): hashlib.sha256(file.read_bytes()).digest() for file in path.rglob("*") if file.is_file()}


def refused(made, wanted, error, words):
    """Ask, and look that nothing has changed on disk."""
    before = tree(made.path)
    with pytest.raises(error, match=words):
        make_release(Platform(made.path, made.registry, Made(made.path, made.rules).resources), wanted, AUTHOR)
    assert tree(made.path) == before


def test_after_a_rotation_without_its_run_nothing_is_made(made):
    made.resources.keys.rotate("hospital/st-mary", by="Ada", reason="yearly")
    refused(made, WANTED, KeyChanged, "gradient run -H st-mary")


def test_after_a_rotation_that_was_killed_nothing_is_made(made):
    made.resources.vault.rotate("hospital/st-mary")
    refused(made, WANTED, KeyChanged, "gradient rotate")


def test_without_a_hospitals_key_nothing_is_made(made):
    (made.path / HOSPITAL_KEY).unlink()
    refused(made, WANTED, MissingKey, "Restore it from a copy")


def test_a_recipients_lost_key_is_not_made_anew(made):
    (made.path / "identified/secrets/recipient/uni-x.key").unlink()
    refused(made, Release("autumn", "uni-x", "modality = 'CT'"), MissingKey, "Restore it from a copy")


def test_a_recipients_lost_key_without_its_record_is_not_made_anew(made):
    (made.path / "identified/secrets/recipient/uni-z.key").unlink()
    refused(made, Release("autumn", "uni-z", "modality = 'CT'"), MissingKey, "Restore it from a copy")
