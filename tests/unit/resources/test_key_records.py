"""Which version of a key is in use: recorded once, changed by a rotation alone, and by nothing silently."""

import json

import pytest

from resources.key_records import KeyKeeper
from resources.object_store import Bucket, BucketAddress
from resources.vault import FileVault, KeyChanged, KeyExists, MissingKey

NAME = "hospital/st-mary"


@pytest.fixture
def keeper(tmp_path):
    vault = FileVault(tmp_path / "secrets")
    vault.create(NAME)
    return KeyKeeper(vault, Bucket(BucketAddress((tmp_path / "records").as_uri())))


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
        rotate(KeyKeeper(Overtaken(keeper.vault.folder), keeper.records))
    assert [one.version for one in keeper.recorded(NAME)] == [1, 2]
    assert keeper.vault.versions(NAME) == (1, 2)
    assert keeper.current(NAME).version == 2
