"""Who counts as withdrawn: by any spelling of the id, by a study of theirs, and nobody else; and no id can be read back."""

import pickle

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import SecretKey
from gradient_assets.withdrawals.tombstones import ACCESSION, PATIENT, STUDY, digest, digester
from tests.unit.withdrawals.conftest import KEY, OLDER, tombstones

ROW = {"patient_id": None, "accession_number": None, "study_instance_uid": None}


@pytest.mark.parametrize("spelled", ["MRN-771204", "mrn771204", " MRN 771204 ", "mrn.77.12.04\0", "00mrn-771204"])
def test_every_spelling_that_records_are_joined_by_is_covered(spelled):
    assert tombstones("MRN-771204").covers(PATIENT, spelled)


@pytest.mark.parametrize("other", ["MRN-771205", "MRN-77120", "771204", "", None, "  ", "--"])
def test_other_ids_and_blanks_are_not_covered(other):
    assert not tombstones("MRN-771204").covers(PATIENT, other)


def test_the_digits_of_an_accession_number_are_not_a_patient_id():
    assert not tombstones("55129070").covers(ACCESSION, "55129070")


@pytest.mark.parametrize("vague", ["", "0", "12", "N/A", "-", None])
def test_an_accession_number_that_may_be_anybodys_gets_no_tombstone(vague):
    assert digest(digester(KEY, "st-mary"), ACCESSION, vague) == ""
    assert not tombstones(vague or "", kind=ACCESSION).covers(ACCESSION, vague)


@pytest.mark.parametrize(
    ("kind", "value", "row", "known", "covered"),
    [
        (PATIENT, "A-1001", {"patient_id": "A1001"}, {}, True),
        (PATIENT, "A-1001", {"patient_id": "B-2002"}, {}, False),
        (PATIENT, "A-1001", {"patient_id": "B-2002"}, {"patient_ids": ("a 1001",)}, True),
        (ACCESSION, "ACC-5512", {"accession_number": "acc-5512 "}, {}, True),
        (ACCESSION, "ACC-5512", {}, {"accession_numbers": ("ACC-5512",)}, True),
        (ACCESSION, "ACC-5512", {"accession_number": "ACC5512"}, {}, False),
        (STUDY, "1.2.3.4", {"study_instance_uid": "1.2.3.4\0"}, {}, True),
        (STUDY, "1.2.3.4", {"study_instance_uid": "1.2.3.40"}, {}, False),
    ],
)
def test_a_header_is_theirs_by_any_id_in_it_by_accession_number_and_by_study(kind, value, row, known, covered):
    assert tombstones(value, kind=kind).covers_header({**ROW, **row}, KnownIdentifiers(**known)) is covered


def test_a_report_is_theirs_by_each_id_of_a_column_that_holds_several():
    assert tombstones("A-1001").covers_report({**ROW, "report_id": "R1", "patient_id": "B-7; A-1001"})
    assert not tombstones("A-1001").covers_report({**ROW, "report_id": "A-1001", "patient_id": "B-7"})


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("a/MRN-771204/x.dcm", True),
        ("mrn771204.dcm", True),
        ("a/MRN-771204-2/x.dcm", False),
        ("2019/x.dcm", False),
    ],
)
def test_an_unreadable_object_is_theirs_when_a_part_of_its_key_is_the_id(key, named):
    assert tombstones("MRN-771204", "2019").names_in_key(key) is named


def test_tombstones_of_an_older_key_hold_on_under_a_newer_one():
    old, new = digester(OLDER, "st-mary"), digester(KEY, "st-mary")
    found = tombstones("A-1001", keys=(OLDER, KEY))
    assert found.digesters == (old, new)
    assert found.covers(PATIENT, "a1001")
    assert not tombstones("A-1001", keys=(OLDER,)).covers(PATIENT, "a1002")


def test_another_hospitals_patient_of_the_same_id_is_not_covered():
    ours = digest(digester(KEY, "st-mary"), PATIENT, "A-1001")
    assert ours != digest(digester(KEY, "lakeside"), PATIENT, "A-1001")


def test_workers_get_no_id_and_no_key_that_pseudonyms_are_made_with():
    sent = pickle.dumps(tombstones("MRN-771204"))
    assert b"771204" not in sent
    assert KEY.secret not in sent
    assert "771204" not in repr(tombstones("MRN-771204"))
    assert SecretKey(bytes(32)).derive("withdrawals").secret in sent  # or the line above would say nothing
