"""Columns, identifiers and the JSON header: everything is found, nothing bad stops it."""

import json

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from gradient_assets.deid.headers import columns_of, from_json_header, identifiers_of, read_dataset, to_json_header
from gradient_assets.deid.reasons import Refused
from tests.unit.headers.conftest import PACKAGED
from tests.unit.headers.instances import SOP, STUDY, as_bytes, instance, item, sequence

FULL = {
    "PatientBirthDate": "1960.01.02",
    "PatientSex": "F ",
    "SeriesNumber": "3",
    "Rows": 512,
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "NumberOfFrames": "2",
    "StudyDescription": " CHEST ",
}


def test_columns_are_trimmed_typed_and_none_when_missing():
    found = columns_of(read_dataset(as_bytes(instance(**FULL))))
    assert found["patient_id"] == "MRN-0077123"
    assert (found["patient_birth_date"], found["patient_sex"], found["study_description"]) == ("19600102", "F", "CHEST")
    assert (found["series_number"], found["rows"], found["number_of_frames"]) == (3, 512, 2)
    assert found["image_type"] == "ORIGINAL\\PRIMARY"
    assert found["transfer_syntax_uid"] == "1.2.840.10008.1.2.1"
    assert found["sop_instance_uid"] == SOP
    assert found["institution_name"] is None
    assert found["columns"] is None


def test_columns_fall_back_to_the_file_meta_for_identity():
    ds = instance()
    raw = as_bytes(ds)
    ds = read_dataset(raw)
    del ds[0x00080018]
    assert columns_of(ds)["sop_instance_uid"] == SOP


GARBAGE = [
    (0x00280010, "US", b"\x01\x02\x03"),
    (0x00200011, "IS", b"three"),
    (0x00280008, "IS", b"9" * 40),
    (0x00080020, "DA", b"\xff\xfe\xfd\xfc"),
    (0x00100010, "PN", b"\xff\xfe\xfd\xfc^^^^=====\\"),
    (0x00081140, "SQ", b"junk"),
    (0x00100020, "ZZ", b"\x00\x00"),
    (0x00280011, "OB", b"\x00\x00"),
    (0x00180050, "DS", b"nan "),
    (0x00189073, "FD", b"\x00\x00\x00\x00\x00\x00\xf8\x7f"),
    (0x00080005, "CS", b"\xff\xff"),
    (0x00209165, "AT", b"\x01\x02"),
]


@pytest.mark.parametrize(("tag", "vr", "value"), GARBAGE)
def test_garbage_never_stops_the_readers(tag, vr, value):
    ds = instance()
    ds._dict[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    assert columns_of(ds)["study_instance_uid"] == STUDY
    assert identifiers_of(ds).accession_numbers == ("ACC99123",)
    assert json.loads(to_json_header(ds))["0020000D"]["Value"] == [STUDY]
    from_json_header(to_json_header(ds))


def test_identifiers_are_found_at_every_level_by_kind():
    ds = instance(
        PatientBirthDate="19600102",
        OtherPatientNames=["Older^Name", "Alias"],
        PatientMotherBirthName="Mother^A",
        ReferringPhysicianName="Miller^Ann",
        PatientAddress="5 Elm Street",
        PatientTelephoneNumbers="555-0100",
        InstitutionName="St Mary",
        StudyID="1",
        DeviceSerialNumber="SN4711",
        OtherPatientIDsSequence=sequence(item(PatientID="OLD-9")),
        ContentSequence=sequence(item(PersonName="Observer^Bo")),
    )
    ds.add_new(0x00091010, "PN", "Nobody^Knows")
    ds.add_new(0x00090010, "LO", "ACME")
    found = identifiers_of(read_dataset(as_bytes(ds)))
    assert found.patient_names == ("Zymurgy^Quentin", "Older^Name", "Alias")
    assert found.patient_ids == ("MRN-0077123", "OLD-9")
    assert found.birth_dates == ("19600102",)
    assert found.study_dates == ("20200229",)
    assert found.relatives == ("Mother^A",)
    assert set(found.physicians) == {"Miller^Ann", "Observer^Bo", "Nobody^Knows"}
    assert (found.addresses, found.phones, found.institutions) == (("5 Elm Street",), ("555-0100",), ("St Mary",))
    assert found.other_ids == ("SN4711",)  # "1" identifies nobody


def test_placeholders_identify_nobody():
    found = identifiers_of(
        instance(PatientName="ANONYMOUS^PATIENT", PatientID="Phantom", ReferringPhysicianName="REMOVED")
    )
    assert (found.patient_names, found.patient_ids, found.physicians) == ((), (), ())


def test_json_header_leaves_bulk_out_and_reads_back():
    ds = instance(StudyDescription="Schädel", SpecificCharacterSet="ISO_IR 100", Rows=3, PixelSpacing=["0.5", "0.25"])
    ds.ContentSequence = sequence(item(TextValue="x" * 70_000), item(TextValue="short"))
    ds.add_new(0x7FE00010, "OW", b"\x00" * 1000)
    text = to_json_header(read_dataset(as_bytes(ds)))
    again = from_json_header(text)
    assert (again.StudyDescription, again.Rows, again.PixelSpacing) == ("Schädel", 3, [0.5, 0.25])
    assert "PixelData" not in again
    assert "TextValue" not in again.ContentSequence[0]
    assert again.ContentSequence[1].TextValue == "short"
    assert str(again.PatientName) == "Zymurgy^Quentin"
    assert len(text) < 5000


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.name)
def test_every_packaged_file_gives_columns_identifiers_and_json(path):
    try:
        ds = read_dataset(path.read_bytes())
    except Refused:
        return
    assert columns_of(ds).keys() == columns_of(Dataset()).keys()
    assert identifiers_of(ds).as_dict()
    assert isinstance(from_json_header(to_json_header(ds)), Dataset)


@pytest.mark.parametrize("vr", ["OB", "UN", "OW", "US", "DA", "SQ", "ZZ"])
def test_what_identifies_is_known_whatever_vr_the_file_states(vr, longitudinal):
    ds = instance(ImageComments="Zymurgy ok, ACC99123")
    for tag, value in ((0x00100010, b"Zymurgy^Quentin "), (0x00100020, b"MRN-0077123 "), (0x00080050, b"ACC99123")):
        ds._dict[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    found = identifiers_of(ds)
    assert (found.patient_names, found.patient_ids) == (("Zymurgy^Quentin",), ("MRN-0077123",))
    assert found.accession_numbers == ("ACC99123",)
    assert columns_of(ds)["patient_id"] == "MRN-0077123"
    cleaned = longitudinal.clean(ds, found)
    assert cleaned.person.pseudonym == longitudinal.pseudonymizer.person("MRN-0077123").pseudonym
    assert "Zymurgy" not in str(cleaned.dataset.ImageComments)
