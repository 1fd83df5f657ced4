"""Counts of people: small groups stay hidden, whoever subtracts; and how many are alike."""

import re
from dataclasses import replace

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage

from gradient_assets.deid.headers import HeaderEngine, identifiers_of
from gradient_assets.deid.headers.profile import OPTIONS, Profile
from gradient_assets.deid.headers.rules import Action, Rules
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.hospitals import Hospital, ReportSettings
from gradient_assets.pipelines.texts import text_engine
from gradient_assets.releases.statistics import Classes, age_group, cells, classes_of, hidden_cells

FLOOR = 11
COUNTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 60), max_size=8)


@given(COUNTS, st.integers(1, 20))
def test_no_small_cell_can_be_had_from_the_total_and_what_is_shown(counts, floor):
    hidden = hidden_cells(counts, floor)
    assert {name for name, count in counts.items() if count < floor} <= hidden
    if hidden and hidden != set(counts):
        assert len(hidden) > 1
        assert sum(counts.values()) - sum(count for name, count in counts.items() if name not in hidden) >= floor


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({"F": 40, "M": 30}, set()),
        ({"F": 40, "M": 30, "O": 2}, {"M", "O"}),
        ({"a": 1, "b": 2, "c": 30, "d": 50}, {"a", "b", "c"}),
        ({"a": 6, "b": 7, "c": 30}, {"a", "b"}),
        ({"only": 3}, {"only"}),
        ({}, set()),
    ],
)
def test_the_smallest_are_hidden_with_the_small(counts, hidden):
    assert hidden_cells(counts, FLOOR) == hidden


def fact(patient, sex="F", age="061Y", year=2019, study=None, group="g"):
    return {
        "patient_pseudonym": patient,
        "study_instance_uid": study or f"s{patient}",
        "patient_sex": sex,
        "patient_age": age,
        "study_year": year,
        "group": group,
    }


def test_patients_are_counted_not_their_objects():
    facts = [fact("a")] * 2000 + [fact("b"), fact("b", study="other")]
    (cell,) = cells(facts, lambda one: one["group"], 2)
    assert (cell.patients, cell.studies, cell.objects, cell.hidden) == (2, 3, 2002, False)


def test_groups_come_in_the_order_of_their_names_not_their_sizes():
    facts = [fact("a", group="z"), fact("b", group="z"), fact("c", group="a")]
    assert [cell.name for cell in cells(facts, lambda one: one["group"], 1)] == ["a", "z"]


ALIKE = [
    ([fact("a"), fact("b"), fact("c", sex="M")], (1, 2)),
    ([fact("a")] * 50, (1,)),
    ([fact("a"), fact("b", year=2020)], (1, 1)),
    ([fact("a"), fact("b", age=None)], (1, 1)),
    ([fact("a", age=None), fact("b", age="")], (2,)),
    # One study of b looks like the one of a; the other one, of another year, tells b apart all the same.
    ([fact("a"), fact("b"), fact("b", year=2021, study="t")], (1, 1)),
    ([], ()),
]


@pytest.mark.parametrize(("facts", "sizes"), ALIKE)
def test_classes_are_of_patients_by_all_their_studies(facts, sizes):
    assert classes_of(facts).sizes == sizes


def test_without_years_classes_only_grow():
    facts = [fact("a"), fact("b", year=2020), fact("c", sex="M")]
    assert classes_of(facts, with_year=lambda one: False).sizes == (1, 2)


def test_too_small_classes_are_counted():
    classes = Classes((1, 1, 4, 5, 30))
    assert (classes.smallest, classes.too_small(5), classes.too_small(1)) == (1, 3, 0)
    assert sum(patients for _, _, patients in classes.distribution) == 41
    assert Classes(()).smallest == 0


@pytest.mark.parametrize(
    ("age", "group"),
    [
        ("017Y", "0–17"),
        ("018Y", "18–29"),
        ("011M", "0–17"),
        ("900D", "0–17"),
        ("089Y", "75–89"),
        ("090Y", "90 and over"),
        ("", "unknown"),
        (None, "unknown"),
        ("old", "unknown"),
        ("18Y", "unknown"),
        ("018y", "unknown"),
    ],
)
def test_ages_have_groups(age, group):
    assert age_group(age) == group


RESIDENCES = (0x00101040, 0x00102150, 0x00102152, 0x00401102, 0x0040A353, 0x4008011A)
"""Addresses of patients and persons, region and country of residence."""


@pytest.mark.parametrize("options", [*(frozenset({one}) for one in OPTIONS), frozenset(OPTIONS)], ids=sorted)
@pytest.mark.parametrize("tag", RESIDENCES)
def test_no_option_retains_a_place_of_residence(tag, options):
    rules = Rules(replace(Profile.named("safe_harbor"), options=options))
    assert set(rules.by_type(tag, "LO")) <= {Action.REMOVE, Action.EMPTY, Action.DUMMY}


STREET, TOWN, STATE, ZIP_CODES = "Elm Street", "Springfield", "IL", ("62704", "62704-1234", "10012")
TEXTS = [
    "Lives at 12 {street}, {town}, {state} {zip}. Seen.",
    "CT chest, {town}, {state} {zip}",
    "zip {zip}, C+",
    "zip: {zip}",
    "12 {street} {town} {zip}",
]
CLEANED = ("ImageComments", "AdditionalPatientHistory", "StudyDescription", "PatientComments")
"""Elements whose texts a release delivers cleaned."""
DATES = ("keep", "shift", "year", "remove")


def header_texts(text, zip_code, *, dates, replacement, patient="MRN-1"):
    """What a release delivers of a header with the patient's address in its texts and elements."""
    named = Profile.named("safe_harbor")
    mode = {"dates": "year", "removes_dates": True} if dates == "remove" else {"dates": dates}
    reports = ReportSettings(replacement=replacement)
    hospital = Hospital("h", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "", "k", reports)
    profile = replace(named, options=named.options | {"clean_descriptors"}, **mode)
    engine = HeaderEngine(profile, Pseudonymizer(SecretKey(bytes(range(32))), "uni-x"), text_engine(hospital, profile))
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.4", "1.2.5"
    ds.PatientID, ds.PatientName, ds.Modality, ds.StudyDate = patient, "Zymurgy^Quentin", "CT", "20200229"
    ds.PatientAddress, ds.RegionOfResidence = f"12 {STREET}, {TOWN}, {STATE} {zip_code}", STATE
    ds.CountryOfResidence = "USA"
    for keyword in CLEANED:
        setattr(ds, keyword, text.format(street=STREET, town=TOWN, state=STATE, zip=zip_code))
    kept = engine.clean(ds, identifiers_of(ds)).dataset
    assert not {"PatientAddress", "RegionOfResidence", "CountryOfResidence"} & {element.keyword for element in kept}
    return [str(kept[keyword].value) for keyword in CLEANED]


@pytest.mark.parametrize("dates", DATES)
@pytest.mark.parametrize("replacement", ["tags", "surrogates"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("zip_code", ZIP_CODES)
def test_no_part_of_an_address_in_a_header_is_delivered(text, zip_code, replacement, dates):
    left = "\n".join(header_texts(text, zip_code, dates=dates, replacement=replacement))
    assert not re.search(rf"{zip_code[:3]}|{STREET.split()[0]}|{TOWN}|\b{STATE}\b", left)


@pytest.mark.parametrize("text", TEXTS)
def test_patients_of_one_address_are_not_alike_in_what_a_release_delivers(text):
    delivered = [
        header_texts(text, ZIP_CODES[0], dates="year", replacement="surrogates", patient=f"MRN-{one}") for one in (1, 2)
    ]
    codes = [set(re.findall(r"\b\d{5}\b", "\n".join(texts))) for texts in delivered]
    assert all(codes)
    assert codes[0].isdisjoint(codes[1])
