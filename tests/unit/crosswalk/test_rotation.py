"""After a rotation: old and new pseudonyms lead back, are linked, and need the old key no longer than to the next run."""

import pytest

from gradient_assets.crosswalk import CrosswalkError
from gradient_assets.tables import CROSSWALK, CROSSWALK_SOURCES, DICOM_METADATA, IDENTIFIED_REPORTS
from resources.vault_contract import MissingKey
from tests.unit.crosswalk.conftest import HOSPITAL, SECRET, header

KINDS = [
    ("MRN-1", lambda identity: identity.patient("MRN-1")),
    ("1.9.8.7", lambda identity: identity.uid("1.9.8.7")),
    ("ACC-1", lambda identity: identity.accession("ACC-1")),
    ("REP-1", lambda identity: identity.identifier("report", "REP-1")),
]


@pytest.fixture
def rotated(sent):
    sent.update()
    sent.rotate()
    return sent


@pytest.mark.parametrize(("original", "pseudonym"), KINDS, ids=[text for text, _ in KINDS])
def test_pseudonyms_of_both_versions_lead_back_and_the_old_one_is_linked_to_the_new_one(rotated, original, pseudonym):
    rotated.update()
    old, new = pseudonym(rotated.of_version(1)), pseudonym(rotated.of_version(2))
    assert old != new
    (before,), (after,) = rotated.ask(old), rotated.ask(new)
    assert (before.original.text, before.key_version, before.current_pseudonym) == (original, 1, new)
    assert (after.original.text, after.key_version, after.current_pseudonym) == (original, 2, None)


def test_each_version_has_its_own_date_shift(rotated):
    rotated.update()
    for version in (1, 2):
        identity = rotated.of_version(version)
        (entry,) = rotated.ask(identity.patient("MRN-1"))
        assert entry.shift_days == identity.shift_days("MRN-1")


@pytest.mark.parametrize(("original", "pseudonym"), KINDS, ids=[text for text, _ in KINDS])
def test_the_way_back_works_for_both_versions_when_the_originals_are_gone(rotated, original, pseudonym):
    rotated.gone(DICOM_METADATA, "1a", "1b", "1c")
    rotated.gone(IDENTIFIED_REPORTS, "1r")
    rotated.update()
    for version in (1, 2):
        assert rotated.texts(pseudonym(rotated.of_version(version))) == [original]


def test_between_rotation_and_run_old_pseudonyms_lead_back_and_nothing_has_changed(rotated):
    digest = rotated.warehouse.content_digest(CROSSWALK, HOSPITAL)
    assert rotated.texts(rotated.of_version(1).patient("MRN-1")) == ["MRN-1"]
    assert rotated.warehouse.content_digest(CROSSWALK, HOSPITAL) == digest


def test_all_rows_are_carried_over_in_one_step_and_only_once(rotated):
    before = len(rotated.rows())
    counts = rotated.update()
    assert (counts.carried_over, counts.added) == (before, before)
    assert {row["sealed_with"] for row in rotated.rows()} == {2}
    assert rotated.update().carried_over == 0


def test_what_was_carried_over_needs_the_old_key_no_longer(rotated):
    old = rotated.of_version(1).patient("MRN-1")
    rotated.update()
    (rotated.path / f"identified/secrets/{SECRET}.key").unlink()
    assert rotated.texts(old) == ["MRN-1"]


def test_what_was_not_carried_over_yet_needs_it_and_nothing_is_lost_without_it(rotated):
    path = rotated.path / f"identified/secrets/{SECRET}.key"
    kept = path.read_text()
    path.unlink()
    digests = [rotated.warehouse.content_digest(spec, HOSPITAL) for spec in (CROSSWALK, CROSSWALK_SOURCES)]
    with pytest.raises(MissingKey):
        rotated.update()
    assert [rotated.warehouse.content_digest(spec, HOSPITAL) for spec in (CROSSWALK, CROSSWALK_SOURCES)] == digests
    path.write_text(kept)
    path.chmod(0o600)
    assert rotated.update().carried_over


def test_two_rotations_without_a_run_between_them_are_carried_over_too(rotated):
    rotated.rotate()
    rotated.update()
    (entry,) = rotated.ask(rotated.of_version(1).patient("MRN-1"))
    assert entry.current_pseudonym == rotated.of_version(3).patient("MRN-1")


def test_after_two_rotations_each_version_is_linked_to_the_one_in_use(rotated):
    rotated.update()
    rotated.rotate()
    rotated.update()
    newest = rotated.of_version(3).patient("MRN-1")
    for version in (1, 2):
        (entry,) = rotated.ask(rotated.of_version(version).patient("MRN-1"))
        assert (entry.key_version, entry.current_pseudonym) == (version, newest)


def test_tables_made_anew_under_the_new_key_add_nothing_to_what_was_carried_over(rotated):
    rotated.update()
    digest = rotated.warehouse.content_digest(CROSSWALK, HOSPITAL)
    rotated.gone(DICOM_METADATA, "1b")
    rotated.send(DICOM_METADATA, header("b", "MRN-2", "1.2.2", "1.2.2.1"))
    counts = rotated.update()
    assert (counts.new_sources, counts.added) == (1, 0)
    assert rotated.warehouse.content_digest(CROSSWALK, HOSPITAL) == digest


def test_rows_of_a_version_that_the_record_does_not_know_are_refused(rotated):
    rotated.update()
    rotated.resources.keys.records.put(
        f"{SECRET}.json", b'{"versions": [{"version": 1, "fingerprint": "%s", "since": ""}]}' % fingerprint(rotated)
    )
    (rotated.path / f"identified/secrets/{SECRET}.v2.key").unlink()
    with pytest.raises(CrosswalkError, match="newer than the one in use"):
        rotated.update()


def fingerprint(tables):
    return tables.resources.vault.key(SECRET, 1).fingerprint.encode()
