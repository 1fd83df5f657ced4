"""What the search finds in a cleaned header is blacked out where it is text; the object is refused only if that fails."""

import io
from collections import Counter

import pydicom
import pytest

from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, read_dataset
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.leftovers import black_out_leftovers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
from tests.unit.headers.conftest import Cleaned
from tests.unit.headers.instances import as_bytes, instance, item, sequence
from tests.unit.pixels.objects import FixedFinder, gradient, object_of

LONGITUDINAL = Profile.named("longitudinal")
KEY = Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")


class Blind:
    """Leaves every text as it is."""

    def clean(self, text, identifiers, person):
        return Cleaned(text, Counter())


def blacked_out(dataset, text=None, accepted=None):
    ds = read_dataset(as_bytes(dataset))
    known = identifiers_of(ds)
    cleaned = HeaderEngine(LONGITUDINAL, KEY, text or Blind()).clean(ds, known)
    black_out_leftovers(cleaned, known, accepted)
    return cleaned


LEFT = [
    # patient, keyword, text, what stays of it
    ("Zymurgy^Quentin", "SeriesDescription", "AX ZYMURGI T1", "AX [REDACTED] T1"),
    ("Zymurgy^Quentin", "SeriesDescription", "T1", "T1"),
    ("Zymurgy^Quentin", "ContentLabel", "ZYMURGI_1", "REMOVED"),
    ("Zymurgy^Quentin", "ContentLabel", "LESION_1", "LESION_1"),
    ("Brzęczek^Quentin", "ImageComments", "Brzeczek, BRZĘCZEK: ok", "[REDACTED], [REDACTED]: ok"),
    ("Zymurgy^Quentin", "ImageComments", "no. MRN-0077123 ok", "no. [REDACTED] ok"),
]


@pytest.mark.parametrize(("patient", "keyword", "text", "expected"), LEFT)
def test_what_the_cleaner_left_is_blacked_out(patient, keyword, text, expected):
    dataset = instance(PatientName=patient, SpecificCharacterSet="ISO_IR 192", **{keyword: text})
    assert blacked_out(dataset).dataset[keyword].value == expected


def test_every_value_and_every_level_is_searched_and_counted():
    inner = item(TextValue="Tamworth was informed.", ValueType="TEXT")
    observer = item(PersonName="Tamworth^Giles", ValueType="PNAME")
    cleaned = blacked_out(
        instance(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
            ContentSequence=sequence(inner, observer),
            SoftwareVersions=["1.0", "Zymurgy"],
            StudyDescription="CT",
        )
    )
    assert cleaned.dataset.ContentSequence[0].TextValue == "[REDACTED] was informed."
    assert cleaned.dataset.SoftwareVersions == ["1.0", "[REDACTED]"]
    assert cleaned.removed_by_kind["REDACTED"] == 2
    assert cleaned.actions["(0040,A160)", "cleaned"] == 1
    assert ("(0040,A160)", "text_kept") not in cleaned.actions
    assert cleaned.actions["(0008,1030)", "text_kept"] == 1


def test_a_finding_that_a_person_called_false_is_not_blacked_out():
    dataset = instance(SeriesDescription="AX ZYMURGY T1")
    cleaned = blacked_out(dataset, accepted={Reason.RESIDUAL_IDENTIFIER.value: ["1 × name"]})
    assert cleaned.dataset.SeriesDescription == "AX ZYMURGY T1"


@pytest.mark.parametrize("text", ["MRN 00&#55;7123 was seen.", "AC%4399123"])
def test_what_has_no_place_refuses_the_object(text):
    with pytest.raises(Refused) as refusal:
        blacked_out(instance(ImageComments=text, AccessionNumber="ACC99123"))
    assert refusal.value.reason is Reason.RESIDUAL_IDENTIFIER
    assert "77123" not in str(refusal.value)


def test_a_text_that_grows_is_cut_to_what_its_vr_holds():
    cleaned = blacked_out(instance(SeriesDescription="Zymurgy " * 8))
    assert len(cleaned.dataset.SeriesDescription) <= 64
    assert "Zymurgy" not in cleaned.dataset.SeriesDescription


CODES = [
    ("Brzęczek^Ann", "Okonkwo^Chidi", "BRZECZEK", "REMOVED"),
    ("Brzęczek^Ann", "Okonkwo^Chidi", "OKONKWO", "REMOVED"),
    ("Zymurgy^Ann", "Łoś^Żaneta", "ZANETA", "REMOVED"),
    ("Zymurgy^Ann", "Sharp^Chidi", "SHARP", "SHARP"),  # a physician's name that is a word says nothing in a code
    ("Zymurgy^Ann", "White^Chidi", "WHITE", "WHITE"),
    ("Zymurgy^Ann", "Okonkwo^Chidi", "LESION", "LESION"),
]


@pytest.mark.parametrize(("patient", "physician", "code", "expected"), CODES)
def test_a_code_string_names_nobody_however_it_is_spelt(patient, physician, code, expected):
    dataset = instance(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        PatientName=patient,
        ReferringPhysicianName=physician,
        ContentLabel=code,
    )
    assert blacked_out(dataset, TextEngine()).dataset.ContentLabel == expected


def test_a_whole_object_is_delivered_without_what_was_left():
    ds = object_of(gradient(32, 48, "uint8"))
    ds.update(instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesDescription="AX ZYMURGY T1"))
    cleaner = InstanceCleaner(LONGITUDINAL, KEY, FixedFinder(), text=Blind())
    content = cleaner.clean(as_bytes(ds), KnownIdentifiers()).content
    assert pydicom.dcmread(io.BytesIO(content)).SeriesDescription == "AX [REDACTED] T1"
