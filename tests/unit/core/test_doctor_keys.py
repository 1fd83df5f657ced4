"""`gradient doctor` makes the key of a new hospital, and no other: a lost key is to be restored."""

import shutil

import pytest

from gradient_assets.cli.doctor import examine
from tests.fakes.small_home import SmallHome

KEY = "identified/secrets/hospital/st-mary.key"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("built"), with_thumbnails=False)


@pytest.fixture
def home(built, tmp_path):
    """A home whose hospital was read; its key is lost."""
    shutil.copytree(built.path, tmp_path / "home")
    (tmp_path / "home" / KEY).unlink()
    return tmp_path / "home"


@pytest.fixture
def key_of(monkeypatch):
    """What `doctor` finds of the hospital's key."""

    def look(path, *, mend):
        monkeypatch.setenv("GRADIENT_HOME", str(path))
        monkeypatch.delenv("GRADIENT_HOSPITALS", raising=False)
        return next(finding for finding in examine(mend) if finding.what == "key of st-mary")

    return look


def without(home, *folders):
    for folder in folders:
        shutil.rmtree(home / "identified" / folder)


RECORDS = ("key_fingerprints", "partitions")


@pytest.mark.parametrize("mend", [False, True])
@pytest.mark.parametrize(
    "lost", [(), RECORDS[:1], RECORDS], ids=["the key", "and its record", "and the partitions' records"]
)
def test_a_lost_key_is_not_made_anew(home, key_of, lost, mend):
    without(home, *lost)
    found = key_of(home, mend=mend)
    assert found.found == "MissingKey"
    assert "Restore it" in found.mend
    assert "--mend" not in found.mend
    assert "keygen" not in found.mend
    assert not (home / KEY).exists()


def test_with_the_record_of_a_partition_alone_none_is_made(home, key_of):
    without(home, "key_fingerprints", "warehouse")
    shutil.rmtree(home / "deidentified")
    found = key_of(home, mend=True)
    assert "was in use" in found.mend
    assert not (home / KEY).exists()


def test_a_key_under_another_name_in_the_registry_is_not_made_for_a_hospital_with_tables(home, key_of):
    registry = home / "hospitals.yaml"
    registry.write_text(registry.read_text().replace("hospital/st-mary", "hospital/renamed"))
    assert "mend `secret_name` in the registry" in key_of(home, mend=True).mend
    assert not (home / "identified/secrets/hospital/renamed.key").exists()


def test_a_new_hospitals_key_is_made_when_it_is_asked_for(home, key_of):
    without(home, *RECORDS, "warehouse")
    shutil.rmtree(home / "deidentified")
    assert "`gradient doctor --mend` makes it" in key_of(home, mend=False).mend
    assert not (home / KEY).exists()
    made = key_of(home, mend=True)
    assert (made.found.startswith("version 1, fingerprint "), made.mend) == (True, "")
    assert (home / KEY).exists()
