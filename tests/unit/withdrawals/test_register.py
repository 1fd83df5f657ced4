"""Records of withdrawals: kept whole, put twice without harm, never passed over when one can't be read."""

import dataclasses
import hashlib
import json

import pytest

from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.register import (
    PREFIX,
    Traces,
    WithdrawalError,
    load_register,
    register_bucket,
    save_log,
    save_record,
)
from gradient_assets.withdrawals.tombstones import PATIENT, digest, digester
from resources import Settings, resources_for

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "hospital/st-mary")


@pytest.fixture
def resources(tmp_path):
    made = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
    made.vault.create("hospital/st-mary")
    return made


def put(resources, patient_id, traces=None):
    key = resources.vault.key("hospital/st-mary")
    digests = {key.fingerprint: [digest(digester(key, "st-mary"), PATIENT, patient_id)]}
    save_record(resources, HOSPITAL, digests, traces)


def only(resources, prefix):
    """The one object's key under the prefix, and its content."""
    bucket = register_bucket(resources, "st-mary")
    (name,) = (stat.key for stat in bucket.listing(prefix))
    return name, json.loads(bucket.get(name))


def put_as_it_is(resources, content):
    """A record as somebody with the bucket and without the key would make it; its name is its digest."""
    text = json.dumps(content, sort_keys=True).encode()
    register_bucket(resources, "st-mary").put(f"records/{hashlib.sha256(text).hexdigest()}.json", text)


def test_nothing_withdrawn_is_an_empty_register_that_needs_no_key(tmp_path):
    found = load_register(resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)})), HOSPITAL)
    assert not found
    assert not found.tombstones


def test_records_add_up(resources):
    put(resources, "A-1001", {"": Traces(patients=frozenset({"PAAAA"}))})
    put(
        resources, "B-2002", {"": Traces(patients=frozenset({"PBBBB"})), "uni-x": Traces(studies=frozenset({"2.25.1"}))}
    )
    found = load_register(resources, HOSPITAL)
    assert all(found.tombstones.covers(PATIENT, one) for one in ("a1001", "b2002"))
    assert not found.tombstones.covers(PATIENT, "c3003")
    assert found.of("").patients == {"PAAAA", "PBBBB"}
    assert found.of("uni-x").studies == {"2.25.1"}
    assert found.of("uni-y") == Traces()


def test_the_same_record_twice_is_there_once_and_holds_no_id(resources):
    put(resources, "A-1001")
    put(resources, "A-1001")
    files = list(register_bucket(resources, "st-mary").listing())
    assert len(files) == 1
    content = register_bucket(resources, "st-mary").get(files[0].key)
    assert b"1001" not in content + files[0].key.encode()


def test_tombstones_hold_on_after_a_rotation(resources):
    put(resources, "A-1001")
    resources.vault.rotate("hospital/st-mary")
    assert load_register(resources, HOSPITAL).tombstones.covers(PATIENT, "A-1001")


def test_a_record_of_a_key_that_is_gone_stops_everything(resources, tmp_path):
    put(resources, "A-1001")
    (key,) = tmp_path.rglob("st-mary.key")
    key.unlink()
    resources.vault.create("hospital/st-mary")
    with pytest.raises(WithdrawalError, match="key that the vault does not have"):
        load_register(resources, HOSPITAL)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"digests": {}}', b"null"])
def test_a_record_that_was_changed_or_cut_off_stops_everything(resources, content):
    put(resources, "A-1001")
    bucket = register_bucket(resources, "st-mary")
    (name,) = (stat.key for stat in bucket.listing())
    bucket.put(name, content)
    with pytest.raises(WithdrawalError, match="can't be read"):
        load_register(resources, HOSPITAL)


def without_seals(record):
    return {name: value for name, value in record.items() if name != "seals"}


@pytest.mark.parametrize(
    "forged",
    [
        lambda record: record | {"digests": {key: [] for key in record["digests"]}},
        lambda record: record | {"traces": {"": {"patients": ["PAAAA"]}}},
        without_seals,
        lambda record: record | {"seals": {}},
        lambda record: record | {"seals": dict.fromkeys(record["seals"], "0" * 32)},
    ],
    ids=["no digests", "other traces", "unsealed", "no seal", "another seal"],
)
def test_a_record_made_without_the_key_stops_everything(resources, forged):
    put(resources, "A-1001")
    name, record = only(resources, "records/")
    register_bucket(resources, "st-mary").delete(name)
    put_as_it_is(resources, forged(record))
    with pytest.raises(WithdrawalError, match="not as it was written"):
        load_register(resources, HOSPITAL)


def test_a_record_that_the_log_names_and_that_is_gone_stops_everything(resources):
    put(resources, "A-1001")
    put(resources, "B-2002")
    save_log(resources, HOSPITAL, {"by": "Ada"})
    bucket = register_bucket(resources, "st-mary")
    names = [stat.key for stat in bucket.listing("records/")]
    bucket.delete(names[0])
    with pytest.raises(WithdrawalError, match="is missing: the log names it"):
        load_register(resources, HOSPITAL)
    bucket.delete(names[1])
    with pytest.raises(WithdrawalError, match="is missing: the log names it"):
        load_register(resources, HOSPITAL)


def test_a_record_of_a_withdrawal_that_is_not_logged_yet_counts(resources):
    put(resources, "A-1001")
    save_log(resources, HOSPITAL, {"by": "Ada"})
    put(resources, "B-2002")
    assert load_register(resources, HOSPITAL).tombstones.covers(PATIENT, "B-2002")


def test_the_log_holds_on_after_a_rotation_and_says_who_and_when(resources):
    put(resources, "A-1001")
    save_log(resources, HOSPITAL, {"by": "Zoë"})
    resources.vault.rotate("hospital/st-mary")
    assert load_register(resources, HOSPITAL)
    _, entry = only(resources, "log/")
    assert entry["by"] == "Zoë"
    assert entry["at"].startswith("20")
    assert len(entry["records"]) == 1


@pytest.mark.parametrize(
    "changed",
    [
        lambda entry: entry | {"records": []},
        lambda entry: entry | {"by": "Bob"},
        without_seals,
        lambda entry: {"seals": entry["seals"]},
        lambda entry: [],
    ],
    ids=["names none", "another person", "unsealed", "empty", "no entry"],
)
def test_an_entry_of_the_log_that_was_changed_stops_everything(resources, changed):
    put(resources, "A-1001")
    save_log(resources, HOSPITAL, {"by": "Ada"})
    name, entry = only(resources, "log/")
    register_bucket(resources, "st-mary").put(name, json.dumps(changed(entry), sort_keys=True).encode())
    with pytest.raises(WithdrawalError, match="entry of the log"):
        load_register(resources, HOSPITAL)


def test_a_record_of_another_hospital_is_none_of_this_one(resources):
    put(resources, "A-1001")
    bucket = register_bucket(resources, "st-mary")
    (name,) = (stat.key for stat in bucket.listing())
    register_bucket(resources, "lakeside").put(name, bucket.get(name))
    lakeside = dataclasses.replace(HOSPITAL, id="lakeside")
    with pytest.raises(WithdrawalError, match="not as it was written"):
        load_register(resources, lakeside)


def test_the_prefix_is_no_name_of_a_release(resources):
    from gradient_assets.releases import release_names

    put(resources, "A-1001")
    assert release_names(resources.release_requests) == []
    assert PREFIX.startswith("_")
