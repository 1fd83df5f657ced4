"""Which version of a key is in use: recorded once, changed by a rotation alone, and by nothing silently."""

import json
from dataclasses import replace

import pytest

from resources.buckets.object_store import Bucket, BucketAddress
from resources.key_records import KeyKeeper
from resources.vault import FileVault
from resources.vault_contract import KeyChanged, KeyExists, MissingKey

NAME = "hospital/st-mary"


@pytest.fixture
def keeper(tmp_path):
    vault = FileVault(tmp_path / "secrets")
    vault.create(NAME)
    records, partitions = (Bucket(BucketAddress((tmp_path / name).as_uri())) for name in ("records", "partitions"))
    return KeyKeeper(vault, records, partitions)


def rotate(keeper):
    return keeper.rotate(NAME, by="Ada", reason="a laptop was lost")


def key_file(keeper, version):
    return keeper.vault.folder / (f"{NAME}.key" if version == 1 else f"{NAME}.v{version}.key")


def test_the_first_use_is_recorded_and_names_id_version_and_fingerprint(keeper):
    key = keeper.current(NAME)
    assert (key.id, key.version) == (NAME, 1)
    (first,) = keeper.recorded(NAME)
    assert (first.version, first.fingerprint) == (1, key.fingerprint)
    assert key.secret.hex() not in keeper.records.get(f"{NAME}.json").decode()


def test_a_rotation_takes_the_new_version_into_use_and_keeps_the_old_one(keeper):
    old = keeper.current(NAME)
    before, after = rotate(keeper)
    assert (before.version, after.version) == (1, 2)
    assert (after.by, after.reason) == ("Ada", "a laptop was lost")
    assert keeper.current(NAME).version == 2
    assert keeper.version(NAME, 1) == old
    assert [one.version for one in keeper.recorded(NAME)] == [1, 2]


def test_a_rotation_before_the_first_use_records_both_versions(keeper):
    rotate(keeper)
    assert [one.version for one in keeper.recorded(NAME)] == [1, 2]


def test_a_version_that_nobody_recorded_stops_everything_until_a_rotation_takes_it_into_use(keeper):
    keeper.current(NAME)
    made = keeper.vault.rotate(NAME)  # what a rotation leaves that was killed before it could record
    for _ in range(2):
        with pytest.raises(KeyChanged, match="gradient rotate"):
            keeper.current(NAME)
    rotate(keeper)
    assert keeper.current(NAME) == made
    assert keeper.vault.versions(NAME) == (1, 2)


def test_a_version_left_over_can_be_deleted_instead(keeper):
    first = keeper.current(NAME)
    keeper.vault.rotate(NAME)
    key_file(keeper, 2).unlink()
    assert keeper.current(NAME) == first


def test_a_key_put_in_anothers_place_is_refused_in_every_version(keeper):
    keeper.current(NAME)
    rotate(keeper)
    for version in (1, 2):
        kept = key_file(keeper, version).read_text()
        key_file(keeper, version).unlink()
        with pytest.raises(MissingKey):
            keeper.version(NAME, version)
        other = FileVault(keeper.vault.folder / "other").create("x")
        key_file(keeper, version).write_text(other.to_text())
        key_file(keeper, version).chmod(0o600)
        with pytest.raises(KeyChanged, match=other.fingerprint) as refused:
            keeper.version(NAME, version)
        assert other.secret.hex() not in str(refused.value)
        key_file(keeper, version).unlink()
        key_file(keeper, version).write_text(kept)
        key_file(keeper, version).chmod(0o600)
        (keeper.vault.folder / "other/x.key").unlink()
    assert keeper.current(NAME).version == 2


def test_a_changed_key_is_not_rotated(keeper):
    keeper.current(NAME)
    key_file(keeper, 1).unlink()
    keeper.vault.create(NAME)
    with pytest.raises(KeyChanged):
        rotate(keeper)
    assert keeper.vault.versions(NAME) == (1,)


def test_an_earlier_version_is_not_taken_into_use_again(keeper):
    keeper.current(NAME)
    key_file(keeper, 2).write_text(key_file(keeper, 1).read_text())
    key_file(keeper, 2).chmod(0o600)
    with pytest.raises(KeyChanged, match="earlier"):
        rotate(keeper)
    assert [one.version for one in keeper.recorded(NAME)] == [1]


def test_several_versions_without_a_record_are_refused(keeper):
    rotate(keeper)
    keeper.records.delete(f"{NAME}.json")
    with pytest.raises(KeyChanged, match="no record"):
        keeper.current(NAME)
    assert not keeper.records.exists(f"{NAME}.json")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"{}",
        json.dumps({"versions": []}).encode(),
        json.dumps({"versions": [{"version": 2, "fingerprint": "0", "since": ""}]}).encode(),
        json.dumps({"versions": [{"version": 1, "fingerprint": "0", "since": "", "other": 1}]}).encode(),
    ],
)
def test_a_record_that_can_not_be_read_is_refused_and_not_written_over(keeper, content):
    keeper.records.put(f"{NAME}.json", content)
    for call in (keeper.current, rotate_of(keeper)):
        with pytest.raises(KeyChanged, match="Restore"):
            call(NAME)
    assert keeper.records.get(f"{NAME}.json") == content


def rotate_of(keeper):
    return lambda name: keeper.rotate(name, by="Ada", reason="a laptop was lost")


def test_a_version_that_was_never_in_use_is_refused(keeper):
    keeper.current(NAME)
    with pytest.raises(KeyChanged, match="no recorded version 2"):
        keeper.version(NAME, 2)


def test_a_fingerprint_recorded_before_keys_had_versions_still_guards(keeper):
    keeper.records.put(f"{NAME}.txt", b"0123456789abcdef")
    with pytest.raises(KeyChanged, match="0123456789abcdef"):
        keeper.current(NAME)
    keeper.records.put(f"{NAME}.txt", keeper.vault.key(NAME).fingerprint.encode())
    assert keeper.current(NAME).version == 1


def test_a_first_use_does_not_put_itself_over_a_rotation_that_ended_meanwhile(keeper):
    class Overtaken(FileVault):
        """Somebody rotates between the look for a second version and the record."""

        def exists(self, name, version=1):
            there = FileVault.exists(self, name, version)
            if version == 2 and not there:
                rotate(keeper)
            return there

    late = replace(keeper, vault=Overtaken(keeper.vault.folder))
    assert late.current(NAME).version == 2
    assert [one.version for one in keeper.recorded(NAME)] == [1, 2]


@pytest.mark.parametrize("moment", ["before it is made", "before it is recorded"])
def test_a_rotation_that_another_process_overtook_is_refused(keeper, moment):
    keeper.current(NAME)

    class Overtaken(FileVault):
        """Somebody rotates at the worst moment."""

        def exists(self, name, version=1):
            there = FileVault.exists(self, name, version)
            if version == 2 and not there and moment == "before it is made":
                rotate(keeper)
            return there

        def rotate(self, name, version=None):
            made = FileVault.rotate(self, name, version)
            if moment == "before it is recorded":
                rotate(keeper)  # finds what was just made, and takes it into use
            return made

    with pytest.raises(KeyExists):
        rotate(replace(keeper, vault=Overtaken(keeper.vault.folder)))
    assert [one.version for one in keeper.recorded(NAME)] == [1, 2]
    assert keeper.vault.versions(NAME) == (1, 2)
    assert keeper.current(NAME).version == 2


def partition_made_with(keeper, key, name=NAME, version=1):
    """What `gradient_assets.integrity` writes, as far as keys are concerned."""
    record = {"key_id": name, "key_version": version, "key_fingerprint": key.fingerprint}
    keeper.partitions.put(f"identified.some_table/{version}-{key.fingerprint}.json", json.dumps(record).encode())


def put_another_in_its_place(keeper):
    key_file(keeper, 1).unlink()
    return keeper.vault.create(NAME)


def test_with_the_record_lost_a_wrong_key_is_not_recorded_and_the_right_one_is(keeper):
    right = keeper.current(NAME)
    partition_made_with(keeper, right)
    keeper.records.delete(f"{NAME}.json")
    kept = key_file(keeper, 1).read_text()
    wrong = put_another_in_its_place(keeper)
    for call in (keeper.current, rotate_of(keeper)):
        with pytest.raises(KeyChanged, match=f"{wrong.fingerprint}.*{right.fingerprint}.*Restore"):
            call(NAME)
        assert not keeper.records.exists(f"{NAME}.json")
    key_file(keeper, 1).write_text(kept)
    assert keeper.current(NAME) == right
    assert [one.fingerprint for one in keeper.recorded(NAME)] == [right.fingerprint]


def test_with_the_record_lost_partitions_of_a_newer_version_are_not_taken_for_a_first_use(keeper):
    rotate(keeper)
    partition_made_with(keeper, keeper.current(NAME), version=2)
    keeper.records.delete(f"{NAME}.json")
    key_file(keeper, 2).unlink()
    with pytest.raises(MissingKey, match="version 2, was in use"):
        keeper.current(NAME)
    assert not keeper.records.exists(f"{NAME}.json")


def test_records_of_other_keys_and_broken_ones_do_not_hinder_a_first_use(keeper):
    partition_made_with(keeper, FileVault(keeper.vault.folder / "other").create("x"), name="hospital/north")
    for number, content in enumerate((b"{", b"[]", b"{}", json.dumps({"key_id": NAME}).encode())):
        keeper.partitions.put(f"identified.some_table/broken-{number}.json", content)
    assert keeper.current(NAME).version == 1


LOST = {
    "its record is there": lambda keeper, key: None,
    "partitions were made with it": lambda keeper, key: (
        partition_made_with(keeper, key),
        keeper.records.delete(f"{NAME}.json"),
    ),
    "its fingerprint was recorded before keys had versions": lambda keeper, key: (
        keeper.records.put(f"{NAME}.txt", key.fingerprint.encode()),
        keeper.records.delete(f"{NAME}.json"),
    ),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("call", ["current", "make", "require_new"])
def test_a_lost_key_is_to_be_restored_and_never_made_anew(keeper, how, call):
    key = keeper.current(NAME)
    LOST[how](keeper, key)
    key_file(keeper, 1).unlink()
    with pytest.raises(MissingKey, match=f"{key.fingerprint}.*Restore it from a copy") as told:
        getattr(keeper, call)(NAME)
    assert "keygen" not in str(told.value)
    assert not keeper.vault.exists(NAME)


def test_a_key_that_can_not_be_read_is_told_as_the_vault_tells_it(keeper):
    keeper.current(NAME)
    key_file(keeper, 1).chmod(0o644)
    with pytest.raises(MissingKey, match="chmod 600"):
        keeper.current(NAME)


def test_a_new_key_is_made_once(keeper):
    assert keeper.make("hospital/north").version == 1
    with pytest.raises(KeyExists):
        keeper.make("hospital/north")
    keeper.current("hospital/north")
    with pytest.raises(MissingKey):
        keeper.make("hospital/north")
