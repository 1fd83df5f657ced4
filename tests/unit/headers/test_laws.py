"""Laws that hold for any data set: nothing identifying survives in any writing, references resolve, structure is stable."""

import hashlib
import io
import pickle
import re
import subprocess
import sys
from datetime import date, timedelta

import pydicom
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, read_dataset, write_dataset
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine
from tests.unit.headers.instances import as_bytes, item, sequence

LETTERS = "bcdfghjklmnprstvz"
NAMES = st.text(LETTERS, min_size=5, max_size=9).map(lambda word: "X" + word)  # no word of medicine begins like this
IDS = st.integers(10**6, 10**8 - 1).map(str)
DATES = st.dates(date(1930, 1, 1), date(2024, 1, 1))
TEXT_PLACES = (
    "StudyDescription", "SeriesDescription", "ImageComments", "PatientComments", "ProtocolName", "DerivationDescription",
    "AdditionalPatientHistory", "PerformedProcedureStepDescription", "SequenceName", "StrainDescription",
)  # fmt: skip
FORMS = ("{family} {given}", "{given} {family}", "{FAMILY}, {GIVEN}", "{family}^{given}", "{id}", "MRN {id}", "acc {accession}",
         "CT CHEST {FAMILY}", "DOB {iso}", "{da}")  # fmt: skip
laws = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def engine(key: bytes = b"k" * 32, scope: str = "st-mary", profile: str = "longitudinal") -> HeaderEngine:
    return HeaderEngine(Profile.named(profile), Pseudonymizer(SecretKey(key), scope), TextEngine())


OURS, THEIRS = engine(), engine(b"o" * 32, "general")


@st.composite
def people(draw) -> dict[str, str]:
    born = draw(DATES)
    found = {"family": draw(NAMES), "given": draw(NAMES), "id": draw(IDS), "accession": "A" + draw(IDS)}
    assume(found["family"].casefold() != found["given"].casefold())
    found |= {"FAMILY": found["family"].upper(), "GIVEN": found["given"].upper()}
    return found | {"iso": f"{born:%Y-%m-%d}", "da": f"{born:%Y%m%d}"}


@st.composite
def instances(draw, who: dict[str, str], number: int = 0, others: tuple[int, ...] = ()) -> Dataset:
    root = "1.2.826.0.1.3680043.9.500"
    ds = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID=f"{root}.{number}", StudyInstanceUID=f"{root}.90",
        SeriesInstanceUID=f"{root}.91", Modality="CT", PatientName=f"{who['family']}^{who['given']}", PatientID=who["id"],
        AccessionNumber=who["accession"], PatientBirthDate=who["da"], StudyDate="20210102", StudyTime="1011",
    )  # fmt: skip
    levels = [ds, item(), item(), item()]
    for place in draw(st.lists(st.sampled_from(TEXT_PLACES), max_size=5, unique=True)):
        text = draw(st.sampled_from(FORMS)).format(**who)
        setattr(draw(st.sampled_from(levels)), place, text[:16] if place == "SequenceName" else text)
    for level in levels[1:]:
        level.CodeMeaning = draw(st.sampled_from(FORMS)).format(**who)
        level.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        level.ReferencedSOPInstanceUID = f"{root}.{draw(st.sampled_from(others or (number,)))}"
    levels[2].ProtocolContextSequence = sequence(levels[3])
    levels[1].ScheduledProtocolCodeSequence = sequence(levels[2])
    ds.RequestAttributesSequence = sequence(levels[1])
    if draw(st.booleans()):
        ds.add_new(0x00190010, "LO", draw(st.sampled_from(["ACME", "GEMS_ACQU_01", who["family"]])))
        ds.add_new(0x0019109E, draw(st.sampled_from(["LO", "PN", "UT"])), draw(st.sampled_from(FORMS)).format(**who))
    return ds


def cleaned(by: HeaderEngine, ds: Dataset) -> tuple[bytes, Dataset]:
    read = read_dataset(as_bytes(pickle.loads(pickle.dumps(ds))))
    written = write_dataset(by.clean(read, identifiers_of(read)).dataset)
    return written, pydicom.dcmread(io.BytesIO(written))


def writings(who: dict[str, str]) -> set[str]:
    """The person's identifiers, whole, turned round, and without what separates their parts."""
    family, given, day = who["family"], who["given"], who["iso"]
    names = {family, given, f"{family}^{given}", f"{given} {family}", family + given, given + family}
    return names | {who["id"], who["accession"], day, day.replace("-", ""), day.replace("-", "/")}


@laws
@given(st.data())
def test_no_identifier_survives_in_the_bytes_in_any_writing(data):
    who = data.draw(people())
    written, _ = cleaned(OURS, data.draw(instances(who)))
    folded, stripped = written.lower(), re.sub(rb"[^a-z0-9]", b"", written.lower())
    for text in writings(who):
        for codec in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp"):
            assert text.lower().encode(codec) not in folded
        assert re.sub(r"[^a-z0-9]", "", text.lower()).encode() not in stripped


def shape(ds: Dataset) -> list[object]:
    """Tags, VRs and items.  The method codes say what was done, which differs the second time."""
    return [(int(e.tag), e.VR, [shape(i) for i in e.value] if e.VR == "SQ" else 0) for e in ds if e.tag != 0x00120064]


@laws
@given(st.data(), st.sampled_from(["longitudinal", "safe_harbor"]))
def test_cleaning_a_cleaned_instance_changes_no_structure(data, profile):
    by = engine(profile=profile)
    _, once = cleaned(by, data.draw(instances(data.draw(people()))))
    _, twice = cleaned(by, once)
    assert shape(twice) == shape(once)


def references(ds: Dataset) -> list[str]:
    return [str(e.value) for e in ds.iterall() if e.tag == 0x00081155]


@laws
@given(st.data(), st.integers(2, 4))
def test_every_reference_resolves_to_the_new_uid_of_its_target(data, count):
    who = data.draw(people())
    numbers = tuple(range(count))
    sources = [data.draw(instances(who, number, numbers)) for number in numbers]
    results = [cleaned(OURS, source)[1] for source in sources]
    new_of = {source.SOPInstanceUID: result.SOPInstanceUID for source, result in zip(sources, results, strict=True)}
    assert len(set(new_of.values())) == count
    assert not set(new_of) & set(new_of.values())
    for source, result in zip(sources, results, strict=True):
        assert references(result) == [new_of[old] for old in references(source)]
        assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID
        assert result.StudyInstanceUID == results[0].StudyInstanceUID


def values(ds: Dataset) -> set[str]:
    """Everything in the two copies that could be compared: ids, names, UIDs."""
    found = {str(e.value) for e in ds.iterall() if e.VR in ("UI", "PN", "LO", "SH") and str(e.value)}
    return {one for one in found if len(one) >= 10 and not one.startswith(("1.2.840.10008", "[", "PS3.15"))}


@laws
@given(st.data())
def test_copies_of_two_hospitals_share_no_pseudonym_and_no_uid(data):
    who = data.draw(people())
    source = item(**{e.keyword: e.value for e in data.draw(instances(who)) if not e.tag.is_private and e.VR != "SQ"})
    for keyword in TEXT_PLACES:
        if keyword in source:
            delattr(source, keyword)
    ours, theirs = cleaned(OURS, source)[1], cleaned(THEIRS, source)[1]
    software = {"Basic Application Confidentiality Profile", str(ours.DeidentificationMethod[1])}
    shared = (values(ours) & values(theirs)) - software
    assert not {one for one in shared if re.fullmatch(r"[\d.]+|[PAX][A-Z2-7]{15,}", one)}


def test_shifts_of_two_hospitals_do_not_go_together():
    ids = [f"MRN{number:06}" for number in range(4000)]
    a, b = ([e.pseudonymizer.shift_days(one) for one in ids] for e in (OURS, THEIRS))
    assert 0 not in a
    assert 0 not in b
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = (sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)) ** 0.5
    assert abs(covariance / spread) < 0.06  # four standard errors of 4,000 independent pairs
    assert sum(x == y for x, y in zip(a, b, strict=True)) < 15  # two are expected


@laws
@given(st.lists(DATES, min_size=2, max_size=5))
def test_intervals_of_a_patient_survive_over_files(days):
    moved = []
    for number, day in enumerate(days):
        ds = item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID=f"1.2.3.4.5.{number}", StudyInstanceUID="1.2.3.4.5",
                  SeriesInstanceUID="1.2.3.4.6", PatientID="4711-0815", PatientName="Xbcdf^Xghjk")  # fmt: skip
        ds.StudyDate = f"{day:%Y%m%d}"
        ds.RequestAttributesSequence = sequence(item(ScheduledProcedureStepDescription=f"{day:%Y-%m-%d}"))
        after = cleaned(OURS, ds)[1]
        moved.append(date.fromisoformat(after.StudyDate))
        assert after.RequestAttributesSequence[0].ScheduledProcedureStepDescription == f"{moved[-1]:%Y-%m-%d}"
    shift = timedelta(days=OURS.pseudonymizer.shift_days("4711-0815"))
    assert moved == [day + shift for day in days]


ELSEWHERE = """
import hashlib, sys
from pathlib import Path
from tests.unit.headers.test_laws import cleaned, engine, fixed
sys.stdout.write(hashlib.sha256(cleaned(engine(), fixed())[0]).hexdigest())
"""


def fixed() -> Dataset:
    ds = item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.3.4.5.6.7", StudyInstanceUID="1.2.3.4.5",
              SeriesInstanceUID="1.2.3.4.6", PatientID="4711-0815", PatientName="Xbcdf^Xghjk", StudyDate="20200229",
              AccessionNumber="A12345", DeviceSerialNumber="77-123", StudyDescription="CT of Xbcdf, 2019-01-02")  # fmt: skip
    ds.ReferencedImageSequence = sequence(item(ReferencedSOPInstanceUID="1.2.3.4.5.6.8"))
    return ds


def test_another_process_writes_the_same_bytes():
    elsewhere = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True, timeout=120
    )
    assert elsewhere.stdout == hashlib.sha256(cleaned(engine(), fixed())[0]).hexdigest()
