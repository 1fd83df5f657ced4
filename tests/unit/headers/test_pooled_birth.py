"""Where an age is pooled, no birth date tells it again; and UIDs in text follow the profile."""

import json

import pytest

from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.headers.dates import reaches_pooled_age
from gradient_assets.deid.text import TextEngine
from tests.unit.headers.conftest import CutsKnown
from tests.unit.headers.instances import SERIES, STUDY, cleaned, instance, item, sequence


def profile(tmp_path, **fields):
    path = tmp_path / "mine.yaml"
    whole = {"name": "mine", "edition": "2026a", "options": ["retain_patient_characteristics"], "dates": "shift"}
    path.write_text(json.dumps(whole | {"birth_date": "empty"} | fields))
    return Profile.load(path)


AGES = [
    # birth, study, age, whether the date of birth must go
    (["19310412"], ["20240229"], [], True),
    (["19340412"], ["20240229"], [], True),  # 89, but the years alone say 90
    (["19350412"], ["20240229"], [], False),
    (["19350412"], ["20240229"], ["093Y"], True),
    (["19350412"], ["20240229"], ["1080M", "092Y"], True),
    (["19350412"], ["20240229"], ["089Y", "", "old"], False),
    (["19350412"], ["20240229", "20260101"], [], True),
    (["1931"], [], [], True),
    (["1951"], [], [], False),
    ([], ["20240229"], [], False),
    (["unknown"], ["20240229"], [], False),
]


@pytest.mark.parametrize(("births", "studies", "ages", "expected"), AGES)
def test_ninety_years_are_seen_in_years_and_ages(births, studies, ages, expected):
    assert reaches_pooled_age(births, studies, ages, 2026) is expected


@pytest.mark.parametrize("birth_date", ["shift", "year"])
@pytest.mark.parametrize(
    ("birth", "age", "goes"), [("19260412", None, True), ("19600412", "093Y", True), ("19600412", "059Y", False)]
)
def test_a_profile_that_keeps_birth_dates_keeps_none_of_the_oldest(
    birth_date, birth, age, goes, tmp_path, pseudonymizer
):
    engine = HeaderEngine(profile(tmp_path, birth_date=birth_date), pseudonymizer, CutsKnown())
    ages = {"PatientAge": age} if age else {}
    _, written, after = cleaned(
        engine,
        instance(PatientBirthDate=birth, RequestAttributesSequence=sequence(item(PatientBirthDate=birth)), **ages),
    )
    assert (not after.PatientBirthDate) is goes
    assert birth.encode() not in written
    if age == "093Y":
        assert after.PatientAge == "090Y"


WELL_KNOWN = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize("retains", [True, False])
def test_a_uid_in_text_becomes_what_it_becomes_elsewhere(retains, tmp_path, pseudonymizer):
    options = ["clean_descriptors", *(["retain_uids"] if retains else [])]
    chosen = profile(tmp_path, options=options)
    engine = HeaderEngine(chosen, pseudonymizer, TextEngine(dates=chosen.dates))
    text = f"derived from {STUDY} and {SERIES} using {WELL_KNOWN} of Zymurgy"
    _, _, after = cleaned(engine, instance(ImageComments=text))
    study, series = str(after.StudyInstanceUID), str(after.SeriesInstanceUID)
    assert (study == STUDY) is retains
    assert after.ImageComments == f"derived from {study} and {series} using {WELL_KNOWN} of [NAME]"
