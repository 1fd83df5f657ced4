"""Whose identifiers a file or row gets."""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.folder.patients import Belonging, Patients

HEADER = KnownIdentifiers(patient_names=("Quillfeather^Zebulon",))
NAMELESS = KnownIdentifiers(physicians=("Marchbanks^Ada",))


@pytest.fixture
def patients():
    found = Patients()
    found.add(Belonging("", "1.2.3", ""), NAMELESS)
    found.add(Belonging("MRN1", "1.2.3", "ACC1"), HEADER)
    found.add(Belonging("MRN2", "9.9.9", "ACC9"), KnownIdentifiers(patient_names=("Other^Person",)))
    return found


@pytest.mark.parametrize(
    "belonging",
    [
        Belonging("MRN1", "", ""),
        Belonging(" mrn1\x00", "", ""),
        Belonging("", "1.2.3", ""),
        Belonging("", "", "acc1"),
    ],
)
def test_a_patient_is_known_by_id_study_or_accession_number(patients, belonging):
    assert patients.of(belonging).patient_names == HEADER.patient_names


def test_what_a_file_without_patient_id_says_counts_for_its_study(patients):
    assert patients.of(Belonging("MRN1", "1.2.3", "")).physicians == NAMELESS.physicians


@pytest.mark.parametrize(
    ("belonging", "patient_id"),
    [
        (Belonging("X", "1.2.3", ""), "X"),
        (Belonging("", "1.2.3", ""), "MRN1"),
        (Belonging("", "", "ACC9"), "MRN2"),
        (Belonging("", "1.2.3", "ACC9"), ""),
        (Belonging("", "", ""), ""),
    ],
)
def test_a_row_without_patient_id_takes_that_of_the_only_patient_it_is_linked_to(patients, belonging, patient_id):
    assert patients.patient_id(belonging) == patient_id


def test_what_belongs_to_nobody_knows_itself_only(patients):
    own = KnownIdentifiers(patient_ids=("7",))
    patients.add(Belonging(), own)
    assert patients.of(Belonging(), own) == own
    assert patients.of(Belonging()) == KnownIdentifiers()
