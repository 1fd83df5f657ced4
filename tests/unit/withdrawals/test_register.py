"""Records of withdrawals: kept whole, put twice without harm, never passed over when one can't be read."""

import pytest

from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.register import (
    PREFIX,
    Traces,
    WithdrawalError,
    load_register,
    register_bucket,
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
    save_record(register_bucket(resources, "st-mary"), digests, traces)


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


def test_a_record_of_a_key_that_is_gone_stops_everything(resources):
    key = SecretKey.generate()
    save_record(register_bucket(resources, "st-mary"), {key.fingerprint: ["0" * 32]})
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


def test_the_prefix_is_no_name_of_a_release(resources):
    from gradient_assets.releases import release_names

    put(resources, "A-1001")
    assert release_names(resources.release_requests) == []
    assert PREFIX.startswith("_")
