"""What is searched for: also ids that only the crosswalk remembers, and nothing that was forgotten."""

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
