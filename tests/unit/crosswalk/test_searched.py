"""What is searched for: UIDs as sent, also ids that only the crosswalk remembers, and nothing that was forgotten or is kept."""

import json
from dataclasses import replace

import pytest

from gradient_assets.crosswalk import CrosswalkError, forget
from gradient_assets.tables import CROSSWALK, DICOM_METADATA, IDENTIFIED_REPORTS
from gradient_assets.verification.known import index_of
from resources.vault_contract import MissingKey
from tests.unit.crosswalk.conftest import HOSPITAL, Tables, header, report


@pytest.fixture
def gone(tables) -> Tables:
    """A patient whose header and report are no longer sent."""
    other = {"00101002": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["OLD-55127"]}}]}}
    tables.send(DICOM_METADATA, header("a", "MRN-77120", "1.2.1", "1.2.1.1", accession="ACC-40917", more=other))
    tables.send(IDENTIFIED_REPORTS, report("b", 1, "REP-90310", "MRN-77120"))
    tables.update()
    for spec in (DICOM_METADATA, IDENTIFIED_REPORTS):
        tables.gone(spec, *tables.warehouse.tokens(spec, HOSPITAL))
    return tables


def kinds(tables, text):
    return {hit.kind for hit in index_of(tables.resources, [tables.hospital]).search_text(text)}


@pytest.mark.parametrize("text", ["MRN-77120", "mrn 77120", "OLD-55127", "ACC-40917", "REP-90310"])
def test_an_id_of_an_object_that_is_gone_is_found(gone, text):
    assert kinds(gone, f"seen {text} again")


def test_so_it_is_after_a_rotation(gone):
    gone.rotate()
    assert kinds(gone, "MRN-77120")
    gone.update()
    assert kinds(gone, "MRN-77120")


def test_an_id_that_was_forgotten_is_not(gone):
    forget(gone.warehouse, HOSPITAL, [row["patient_pseudonym"] for row in gone.rows()])
    assert not kinds(gone, "MRN-77120 ACC-40917 REP-90310")


def test_without_its_key_the_search_does_not_begin(gone):
    for path in (gone.path / "identified/secrets").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(MissingKey):
        kinds(gone, "MRN-77120")


def test_a_row_that_was_changed_stops_the_search(gone):
    rows = [row for row in gone.rows() if row["kind"] == "patient"]
    rows[0]["sealed"], rows[1]["sealed"] = rows[1]["sealed"], rows[0]["sealed"]
    gone._replace(CROSSWALK, rows, ())
    with pytest.raises(CrosswalkError, match="does not open"):
        kinds(gone, "MRN-77120")


ROOT = "1.2.826.0.1.3680043.8.498"
STUDY, INSTANCE, REFERENCE, DEVICE, OF_REPORT = (
    f"{ROOT}.{number}" for number in (771201, 771202, 771203, 771204, 771205)
)
NESTED = {
    "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [None, REFERENCE]}}]},
    "00181002": {"vr": "UI", "Value": [DEVICE]},
}
UIDS = (STUDY, INSTANCE, REFERENCE, DEVICE, OF_REPORT)
PROFILE = "name: {0}\nedition: 2026a\ndates: year\nbirth_date: empty\noptions: [{0}]\n"


def send_uids(tables, separators=(",", ":")):
    sent = header("a", "MRN-77120", STUDY, INSTANCE, more=NESTED)
    written = {
        "header_json": json.dumps(json.loads(sent["header_json"]), separators=separators),
        "identifiers_json": "{}",
    }
    tables.send(DICOM_METADATA, sent | written)
    tables.send(IDENTIFIED_REPORTS, report("b", 1, "REP-90310", "MRN-77120", study=OF_REPORT))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_every_uid_as_sent_is_found_before_the_crosswalk_has_it(tables, separators):
    send_uids(tables, separators)
    assert [uid for uid in UIDS if kinds(tables, f"see {uid}.") != {"uid"}] == []
    assert not kinds(tables, "1.2.840.10008.5.1.4.1.1.2")


def test_a_uid_of_an_object_that_is_gone_is_found_until_it_is_forgotten(tables):
    send_uids(tables)
    tables.update()
    for spec in (DICOM_METADATA, IDENTIFIED_REPORTS):
        tables.gone(spec, *tables.warehouse.tokens(spec, HOSPITAL))
    assert [uid for uid in UIDS if kinds(tables, uid) != {"uid"}] == []
    forget(tables.warehouse, HOSPITAL, [row["patient_pseudonym"] for row in tables.rows()])
    assert not kinds(tables, " ".join(UIDS))


@pytest.mark.parametrize(
    ("option", "kept"), [("retain_uids", UIDS), ("retain_device_identity", (DEVICE,)), ("clean_descriptors", ())]
)
def test_a_uid_that_the_profile_keeps_is_no_finding(tables, option, kept):
    send_uids(tables)
    tables.update()
    (tables.path / "own.yaml").write_text(PROFILE.format(option))
    hospital = replace(tables.hospital, profile=str(tables.path / "own.yaml"))
    index = index_of(tables.resources, [hospital])
    assert [uid for uid in UIDS if not index.search_text(uid)] == list(kept)


def test_what_one_hospitals_profile_keeps_is_no_finding_in_a_release_of_both(tables):
    send_uids(tables)
    (tables.path / "own.yaml").write_text(PROFILE.format("retain_device_identity"))
    both = [tables.hospital, replace(tables.hospital, profile=str(tables.path / "own.yaml"))]
    index = index_of(tables.resources, both)
    assert [uid for uid in UIDS if not index.search_text(uid)] == [DEVICE]
