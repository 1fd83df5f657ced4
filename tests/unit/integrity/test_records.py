"""The record of a partition: what is in it, which keys it lets pass, what happens when it can't be read."""

import json
from dataclasses import replace

import pytest

from gradient_assets.assets.context import HospitalWork
from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import load_registry
from gradient_assets.integrity import records
from gradient_assets.integrity.records import IntegrityError
from gradient_assets.tables import DICOM_METADATA, PIXEL_TEXT
from resources.vault_contract import KeyChanged
from tests.unit.integrity.conftest import tree

KEY = SecretKey(b"k" * 32, id="hospital/st-mary", version=2)


def with_record_of(home, key):
    return records.record(home.resources, PIXEL_TEXT, "st-mary", key=key, run_id="r1", versions={"pixels": "9"})


def test_a_record_says_key_content_rows_run_and_versions(home):
    made = with_record_of(home, KEY)
    assert made == records.recorded(home.resources.partition_records, PIXEL_TEXT, "st-mary")
    assert (made.key_id, made.key_version, made.key_fingerprint) == ("hospital/st-mary", 2, KEY.fingerprint)
    assert made.content_sha256 == home.resources.warehouse.content_digest(PIXEL_TEXT, "st-mary")
    assert made.rows == home.resources.warehouse.count(PIXEL_TEXT, "st-mary") > 0
    assert (made.run_id, made.versions) == ("r1", {"pixels": "9"})


def test_the_versions_are_those_of_the_engines(home):
    made = records.record(home.resources, PIXEL_TEXT, "st-mary", key=KEY, run_id="r1")
    assert set(made.versions) == {"package", "headers", "pixels", "text"}
    assert all(made.versions.values())


@pytest.mark.parametrize(
    ("key", "passes"),
    [
        (KEY, True),
        (replace(KEY, id="hospital/renamed"), True),
        (SecretKey(b"n" * 32, id="hospital/st-mary", version=3), True),
        (SecretKey(b"n" * 32, id="hospital/st-mary", version=2), False),
        (SecretKey(b"n" * 32, id="hospital/st-mary", version=1), False),
        (SecretKey(b"n" * 32, id="hospital/another", version=3), False),
    ],
    ids=["same", "renamed", "newer", "another secret, same version", "older", "newer, but of another key"],
)
def test_the_same_key_and_its_newer_versions_pass(home, key, passes):
    with_record_of(home, KEY)
    if passes:
        records.require_same_key(home.resources, PIXEL_TEXT, "st-mary", key)
        return
    with pytest.raises(KeyChanged) as caught:
        records.require_same_key(home.resources, PIXEL_TEXT, "st-mary", key)
    assert KEY.fingerprint in str(caught.value)
    assert key.fingerprint in str(caught.value)
    assert key.secret.hex() not in str(caught.value)


def test_a_partition_without_a_record_asks_for_no_key(home):
    records.require_same_key(home.resources, PIXEL_TEXT, "never-written", KEY)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fields: "no JSON",
        lambda fields: "[]",
        lambda fields: json.dumps({**fields, "more": 1}),
        lambda fields: json.dumps({**fields, "partition": "north"}),
        lambda fields: json.dumps({**fields, "key_version": "2"}),
        lambda fields: json.dumps({name: fields[name] for name in sorted(fields)[1:]}),
    ],
    ids=["text", "list", "extra field", "another partition's", "another type", "missing field"],
)
def test_an_unreadable_record_stops_the_write(home, spoil, verified):
    file = home.path / "identified/partitions/deidentified.pixel_text/st-mary.json"
    file.write_text(spoil(json.loads(file.read_text())))
    with pytest.raises(IntegrityError, match=r"deidentified\.pixel_text of 'st-mary'"):
        records.require_same_key(home.resources, PIXEL_TEXT, "st-mary", KEY)
    code, printed = verified("--hospital", "st-mary")
    assert code == 3
    assert "st-mary: deidentified.pixel_text: unreadable record" in printed


def put_another_key(home):
    file = home.path / "identified/secrets/hospital/st-mary.key"
    file.write_text(SecretKey(b"z" * 32).to_text())
    return SecretKey(b"z" * 32)


@pytest.mark.parametrize("lost", [False, True], ids=["the key's record is there", "the key's record is lost"])
def test_under_a_changed_key_nothing_is_written_anywhere(home, lost):
    first = home.resources.key("hospital/st-mary").fingerprint
    second = put_another_key(home)
    if lost:  # the partitions' own records are the second line
        for file in (home.path / "identified/key_fingerprints").rglob("*.json"):
            file.unlink()
    before = tree(home.path)
    registry = load_registry(home.path / "hospitals.yaml", home=home.path)
    with pytest.raises(KeyChanged) as caught:
        HospitalWork.of("st-mary", registry, type(home)(home.path).resources, "r1", print)
    assert tree(home.path) == before  # no record of the wrong key either
    assert first in str(caught.value)
    assert second.fingerprint in str(caught.value)
    assert "7a7a7a" not in str(caught.value)


def test_a_changed_key_is_a_difference(home, verified):
    put_another_key(home)
    code, printed = verified("--hospital", "st-mary")
    assert code == 3
    assert "st-mary: key: key" in printed


def test_after_a_rotation_the_newer_version_is_recorded(home, verified):
    home.resources.keys.rotate("hospital/st-mary", by="Ada", reason="yearly")
    warehouse = home.warehouse("r2")
    warehouse.replace(DICOM_METADATA, "st-mary", shards=[])
    record = records.recorded(home.resources.partition_records, DICOM_METADATA, "st-mary")
    assert (record.key_version, record.key_fingerprint) == (2, home.resources.key("hospital/st-mary").fingerprint)
    assert verified("--hospital", "st-mary")[0] == 0
