"""The header engine: what is planted goes, what is medicine stays, what is written is whole."""

import io
import json
import pickle
import re
from collections import Counter

import pydicom
import pytest
from pydicom._private_dict import private_dictionaries
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, read_dataset, to_json_header
from gradient_assets.deid.headers.engine import ENGINE_VERSION
from gradient_assets.deid.headers.rules import table
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
from tests.shared import SHARED, needs_shared
from tests.unit.headers.conftest import PACKAGED, CutsKnown
from tests.unit.headers.instances import SERIES, SOP, STUDY, as_bytes, cleaned, instance, item, sequence

NAME, NUMBER = "Zymurgy", "0077123"
NO_NAMES = frozenset(table("identifying_elements")["no_names"])


def raw_sequence(tag: int, *items: Dataset) -> DataElement:
    return DataElement(BaseTag(tag), "SQ", Sequence(items))


def add(ds: Dataset, tag: int, vr: str, value: object) -> Dataset:
    ds.add_new(BaseTag(tag), vr, value)
    return ds


def private(creator: str, group: int, element: int, vr: str, value: object, block: int = 0x10) -> Dataset:
    ds = add(instance(), group << 16 | block, "LO", creator)
    return add(ds, group << 16 | block << 8 | element, vr, value)


def unknown(tag: int, value: bytes, vr: str = "UN") -> Dataset:
    ds = instance()
    ds._dict[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    return ds


PLANTED = {
    "patient name": instance(),
    "other names": instance(OtherPatientNames=["Zymurgy^Q", "Zymurgy^Old"]),
    "all component groups": instance(PatientName="Zymurgy^Quentin=酸^=ざいむ^Zymurgy"),
    "study description": instance(StudyDescription="CHEST PA Zymurgy"),
    "long comment": instance(PatientComments="seen by aunt of Zymurgy " * 20),
    "unlimited text": instance(TextValue="Zymurgy, MRN 0077123"),
    "nested description": instance(
        RequestAttributesSequence=sequence(item(ScheduledProcedureStepDescription="Zymurgy"))
    ),
    "three levels": instance(
        ContentSequence=sequence(item(ContentSequence=sequence(item(ContentSequence=sequence(item(TextValue=NAME))))))
    ),
    "person name in a report": instance(ContentSequence=sequence(item(ValueType="PNAME", PersonName="Zymurgy^Nora"))),
    "removed sequence": instance(
        OtherPatientIDsSequence=sequence(item(PatientID="0077123", IssuerOfPatientID="Zymurgy"))
    ),
    "original attributes": instance(
        OriginalAttributesSequence=sequence(item(ModifiedAttributesSequence=sequence(item(PatientName="Zymurgy^Q"))))
    ),
    "code string": instance(BodyPartExamined="ZYMURGY"),
    "number that is an id": instance(PatientID="0077123", SeriesNumber="0077123"),
    "code of no known scheme": instance(
        ProcedureCodeSequence=sequence(
            item(CodeValue="1", CodingSchemeDesignator="99LOCAL", CodeMeaning="Zymurgy scan")
        )
    ),
    "code of a known scheme": instance(
        ProcedureCodeSequence=sequence(item(CodeValue="1", CodingSchemeDesignator="DCM", CodeMeaning="Zymurgy scan"))
    ),
    "application entity": instance(StationAETitle="ZYMURGY", RetrieveAETitle="ZYMURGY"),
    "address of a server": instance(RetrieveURL="http://zymurgy.example/0077123"),
    "overlay comment": add(instance(), 0x60004000, "LT", "Zymurgy"),
    "overlay label of the third group": add(instance(), 0x60041500, "LO", "Zymurgy"),
    "curve": add(add(instance(), 0x50003000, "OW", b"Zymurgy "), 0x50022500, "LO", "Zymurgy"),
    "variable pixel data": add(instance(), 0x7F200010, "OW", b"Zymurgy "),
    "private of nobody": private("ACME 1.1", 0x0019, 0x01, "LO", "Zymurgy"),
    "private creator itself": private("Zymurgy 0077123", 0x0019, 0x01, "US", 7),
    "private without creator": add(instance(), 0x00191001, "LO", "Zymurgy"),
    "private text known to be safe": private("GEMS_ACQU_01", 0x0019, 0x9E, "LO", "Zymurgy"),
    "private sequence known to be safe": private(
        "Philips Imaging DD 001",
        0x2001,
        0x9A,
        "SQ",
        Sequence([item(PatientName="Zymurgy^Q", StudyDescription="Zymurgy")]),
    ),
    "private blob known to be safe": private("HOLOGIC, Inc.", 0x7E01, 0x12, "OB", b"Zymurgy "),
    "private below 0010": add(instance(), 0x00190001, "LO", "Zymurgy"),
    "tag the dictionary does not know": add(instance(), 0x00180FFE, "LO", "Zymurgy"),
    "unknown VR of a known tag": unknown(0x00101000, b"0077123 "),
    "unknown VR of a description": unknown(0x00081030, b"CHEST Zymurgy "),
    "unknown VR of a sequence": unknown(
        0x00081032, b"\xfe\xff\x00\xe0\x10\x00\x00\x00\x08\x00\x04\x01\x08\x00\x00\x00Zymurgy "
    ),
    "wrong VR": unknown(0x00280010, b"Zymurgy ", "LO"),
    "no VR at all": unknown(0x00081030, b"CHEST Zymurgy ", "XX"),
    "sequence of junk": unknown(0x00081032, b"Zymurgy junk", "SQ"),
    "decimal that is a name": unknown(0x00180050, b"Zymurgy ", "DS"),
    "integer that is a name": unknown(0x00200013, b"Zymurgy ", "IS"),
    "date that is a name": unknown(0x00080020, b"Zymurgy ", "DA"),
    "time that is a name": unknown(0x00080030, b"Zymurgy ", "TM"),
    "age that is a name": unknown(0x00101010, b"Zymurgy ", "AS"),
    "uid that is a name": unknown(0x00081155, b"Zymurgy\x00", "UI"),
    "number with more behind it": unknown(0x00280010, b"\x00\x02Zymurgy ", "US"),
    "group length": unknown(0x00080000, b"Zymurgy ", "UL"),
    "icon": instance(IconImageSequence=sequence(item(BitsAllocated=8, PixelData=b"Zymurgy "))),
    "picture in a sequence item": instance(
        ContentSequence=sequence(item(BitsAllocated=8, PixelData=b"Zymurgy ", TextValue="fine"))
    ),
    "overlay in a sequence item": instance(ContentSequence=sequence(add(item(), 0x60003000, "OW", b"Zymurgy "))),
    "trailing padding": add(instance(), 0xFFFCFFFC, "OB", b"Zymurgy "),
    "digital signature": add(instance(), 0xFFFAFFFA, "SQ", Sequence([item(CertificateOfSigner=b"Zymurgy ")])),
    "device and institution": instance(
        InstitutionName="Zymurgy Hospital",
        StationName="ZYMURGY",
        DeviceSerialNumber="0077123",
        InstitutionAddress="Zymurgy",
    ),
    "alternative calendar": instance(PatientBirthDateInAlternativeCalendar="Zymurgy 0077123"),
    "earlier method": instance(DeidentificationMethod="by Zymurgy", PatientIdentityRemoved="NO"),
}


@pytest.mark.parametrize("profile", ["longitudinal", "safe_harbor"])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@pytest.mark.parametrize("case", PLANTED)
def test_planted_identifier_is_gone_from_the_bytes(case, syntax, profile, request):
    if syntax == ImplicitVRLittleEndian and ("VR" in case or case in ("private creator itself",)):
        pytest.skip("implicit VR files state no VR")
    engine = request.getfixturevalue(profile)
    raw = as_bytes(pickle.loads(pickle.dumps(PLANTED[case])), syntax)
    assert NAME.encode().lower() in raw.lower()
    _, written, _ = cleaned(engine, raw)
    for word in (NAME, NUMBER, "ざいむ"):
        for codec in ("utf-8", "utf-16-le", "iso2022_jp"):
            coded = word.encode(codec, "ignore")
            assert not coded or coded.lower() not in written.lower(), (word, codec)


def test_preamble_and_data_behind_the_end_are_not_written(longitudinal):
    raw = b"Zymurgy 0077123 ".ljust(128, b"\x00") + as_bytes(instance())[128:]
    _, written, _ = cleaned(longitudinal, raw)
    assert written[:128] == b"\x00" * 128
    assert b"Zymurgy" not in written


KEPT = {
    "StudyDescription": "CHEST PA/LAT",
    "SeriesDescription": "Axial 5.0 B31f",
    "ProtocolName": "Head w/o",
    "BodyPartExamined": "CHEST",
    "Manufacturer": "ACME",
    "ManufacturerModelName": "Scanner 3000",
    "SoftwareVersions": ["VB10", "syngo 5.1.2.30.4"],
    "PatientSex": "F",
    "PatientAge": "034Y",
    "PatientWeight": "70.5",
    "SliceThickness": "1.25",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "Rows": 512,
    "PixelSpacing": ["0.5", "0.5"],
    "WindowCenter": ["40", "400"],
    "InstanceNumber": "7",
}


@pytest.mark.parametrize("keyword", KEPT)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_describes_the_image_stays_as_it_was(keyword, syntax, longitudinal):
    before = as_bytes(instance(**KEPT), syntax)
    _, _, after = cleaned(longitudinal, before)
    assert after[keyword].value == pydicom.dcmread(io.BytesIO(before))[keyword].value


def test_the_source_is_left_as_it_was(longitudinal):
    ds = read_dataset(as_bytes(instance(**KEPT)))
    before = to_json_header(ds)
    longitudinal.clean(ds, identifiers_of(ds))
    assert to_json_header(ds) == before


def test_identity_becomes_the_pseudonyms_everywhere(longitudinal, pseudonymizer):
    source = instance(RequestAttributesSequence=sequence(item(AccessionNumber="ACC99123")))
    result, _, after = cleaned(longitudinal, source)
    person = pseudonymizer.person("MRN-0077123")
    assert (after.PatientID, str(after.PatientName)) == (person.pseudonym, person.pseudonym)
    assert after.AccessionNumber == pseudonymizer.accession("ACC99123")
    assert after.RequestAttributesSequence[0].AccessionNumber == after.AccessionNumber
    assert result.person == person
    assert (result.old_sop_uid, result.new_sop_uid) == (SOP, pseudonymizer.uid(SOP))


def test_references_follow_their_targets(longitudinal, pseudonymizer):
    image = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=SOP)
    source = instance(
        ReferencedImageSequence=sequence(image), FrameOfReferenceUID=STUDY + ".9", ImageComments=f"see {SERIES}"
    )
    _, _, after = cleaned(longitudinal, source)
    reference = after.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert reference.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert after.StudyInstanceUID == pseudonymizer.uid(STUDY)
    assert SERIES not in after.ImageComments
    assert after.FrameOfReferenceUID.startswith("2.25.")


def test_well_known_frame_of_reference_stays(longitudinal):
    _, _, after = cleaned(longitudinal, instance(FrameOfReferenceUID="1.2.840.10008.1.4.1.1"))
    assert after.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_longitudinal_moves_dates_at_every_level_by_the_patients_days(longitudinal, pseudonymizer):
    inner = item(ObservationDateTime="20200301120000+0100", ContentDate="20200302")
    source = instance(
        AcquisitionDateTime="20200229101112.5", ContentSequence=sequence(inner), PatientBirthDate="19600101"
    )
    _, _, after = cleaned(longitudinal, source)
    days = pseudonymizer.person("MRN-0077123").shift_days
    day = (pydicom.valuerep.DA("20200229") - pydicom.valuerep.DA(after.StudyDate)).days
    assert day == -days
    assert after.AcquisitionDateTime == after.StudyDate + "101112.5"
    inner_day = pydicom.valuerep.DA(after.ContentSequence[0].ContentDate) - pydicom.valuerep.DA(after.StudyDate)
    assert inner_day.days == 2
    assert after.ContentSequence[0].ObservationDateTime.endswith("120000+0100")
    assert (after.StudyTime, after.PatientBirthDate) == ("101112", "")
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"


def test_safe_harbor_keeps_years_alone(safe_harbor):
    source = instance(
        AcquisitionDateTime="20200229101112.5", SeriesTime="101112", PatientBirthDate="19600101", PatientAge="093Y"
    )
    _, _, after = cleaned(safe_harbor, source)
    assert (after.StudyDate, after.AcquisitionDateTime, after.StudyTime) == ("20200101", "2020", "")
    assert after.PatientBirthDate == ""
    assert after.PatientAge == "090Y"
    assert after.get("SeriesTime", "000000") == "000000"


ENHANCED_CT, SEGMENTATION, BASIC_TEXT, PRESENTATION = (
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2.1", "66.4", "88.11", "11.1")
)


def test_bad_dates_are_removed_emptied_or_dummied_by_type_and_counted(longitudinal):
    result, _, after = cleaned(longitudinal, instance(StudyDate="18880101", SeriesDate="yesterday"))
    assert after.StudyDate == ""  # Type 2
    assert "SeriesDate" not in after  # Type 3
    assert result.removed_by_kind["INVALID_DATE"] == 2
    _, _, after = cleaned(longitudinal, instance(SOPClassUID=SEGMENTATION, ContentDate="never"))
    assert after.ContentDate == "19000101"  # Type 1


TYPE_ONE = {
    "ContentCreatorName": instance(SOPClassUID="1.2.3", ContentCreatorName="Zymurgy^Q"),
    "DeviceSerialNumber": instance(SOPClassUID=ENHANCED_CT, DeviceSerialNumber="SN 0077123"),
    "StructureSetLabel": instance(StructureSetLabel="Zymurgy"),
    "ContentDate": instance(SOPClassUID=SEGMENTATION, ContentDate="never"),
    "ContentTime": instance(SOPClassUID=SEGMENTATION, ContentTime="never"),
    "AcquisitionDateTime": instance(SOPClassUID=ENHANCED_CT, AcquisitionDateTime="never"),
    "PresentationCreationDate": instance(SOPClassUID=PRESENTATION, PresentationCreationDate="never"),
    "OperatorIdentificationSequence": instance(
        SOPClassUID="1.2.3", OperatorIdentificationSequence=sequence(item(InstitutionName=NAME))
    ),
    "InstitutionCodeSequence": instance(
        SOPClassUID="1.2.3", InstitutionCodeSequence=sequence(item(CodeMeaning=NAME, CodeValue="1"))
    ),
    "VerifyingObserverName": instance(VerifyingObserverName="Zymurgy^Q"),
    "ContainerIdentifier": instance(ContainerIdentifier="0077123"),
    "PersonIdentificationCodeSequence": instance(PersonIdentificationCodeSequence=sequence(item(CodeMeaning=NAME))),
    "ContentSequence": instance(ContentSequence=sequence(item(TextValue="fine"))),
    "GraphicAnnotationSequence": instance(GraphicAnnotationSequence=sequence(item(GraphicLayer="A"))),
}


@pytest.mark.parametrize("keyword", TYPE_ONE)
def test_no_attribute_that_may_be_type_one_is_lost_or_empty(
    keyword, longitudinal, safe_harbor, pseudonymizer, monkeypatch
):
    source = pickle.loads(pickle.dumps(TYPE_ONE[keyword]))
    if source.SOPClassUID == "1.2.3":  # a class that the policy admits and the table of Types does not hold
        monkeypatch.setattr("gradient_assets.deid.headers.engine.admit", lambda *_: None)
    for engine in (longitudinal, safe_harbor):
        _, written, after = cleaned(engine, source)
        assert not after[keyword].is_empty
        assert NAME.encode() not in written


DUMMY_SEQUENCES = {
    "InstitutionCodeSequence": item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning=NAME),
    "OperatorIdentificationSequence": item(InstitutionName=NAME),
    "VerifyingObserverSequence": item(VerifyingObserverName=NAME, VerifyingOrganization=NAME),
    "PersonIdentificationCodeSequence": item(CodeMeaning=NAME),
    "ContentSequence": item(ValueType="TEXT", TextValue=NAME),
    "WaveformAnnotationSequence": item(UnformattedTextValue=NAME),
    "GraphicAnnotationSequence": item(GraphicLayer=NAME),
}


@pytest.mark.parametrize("keyword", DUMMY_SEQUENCES)
def test_a_sequence_with_code_d_ends_with_one_valid_item(keyword, tmp_path, pseudonymizer):
    engine = HeaderEngine(Profile.load(basic_profile(tmp_path)), pseudonymizer, CutsKnown())
    items = [DUMMY_SEQUENCES[keyword], DUMMY_SEQUENCES[keyword]]
    inner = instance(SharedFunctionalGroupsSequence=sequence(item(**{keyword: sequence(*items)})))
    source = pickle.loads(pickle.dumps(inner))
    place = source.SharedFunctionalGroupsSequence[0]
    place.add_new(0x00189477, "SQ", sequence(item(**{keyword: sequence(*items)})))  # a place that nothing is known of
    _, written, after = cleaned(engine, source)
    unknown = after.SharedFunctionalGroupsSequence[0][0x00189477].value[0]
    assert len(unknown[keyword].value) == 1
    assert len(unknown[keyword].value[0]) > 0
    assert NAME.encode() not in written


def basic_profile(tmp_path):
    path = tmp_path / "basic.yaml"
    path.write_text("{name: basic, edition: 2026a, options: [], dates: remove, birth_date: empty}")
    return path


def test_safe_private_elements_stay_with_their_creator_in_whatever_block(longitudinal):
    result, _, after = cleaned(longitudinal, private("GEMS_PARM_01", 0x0043, 0x27, "SH", "0.938:1", block=0x15))
    assert after[0x00431527].value == "0.938:1"
    assert after[0x00430015].value == "GEMS_PARM_01"
    assert "113111" in result.method_codes


@pytest.mark.parametrize("creator", ["GEMS_PARM_01 ", "gems_parm_01", " GEMS_PARM_01", "GEMS_PARM_01\x00"])
@pytest.mark.parametrize("block", [0x10, 0x11, 0xFE, 0xFF])
def test_a_safe_creator_is_known_by_name_in_any_block_and_spelling(creator, block, longitudinal):
    _, _, after = cleaned(longitudinal, private(creator, 0x0043, 0x27, "SH", "0.938:1", block=block))
    assert after[0x00430027 | block << 8].value == "0.938:1"


def test_two_blocks_of_one_creator_and_blocks_of_others_are_told_apart(longitudinal):
    ds = instance()
    for block, creator in ((0x10, "GEMS_PARM_01"), (0x11, "ACME"), (0x12, "GEMS_PARM_01")):
        add(ds, 0x00430000 | block, "LO", creator)
        add(ds, 0x00430027 | block << 8, "SH", f"{block}:1")
    add(ds, 0x00450010, "LO", "ACME")  # the same block of another group is another's
    add(ds, 0x00451027, "SH", "1:1")
    _, _, after = cleaned(longitudinal, ds)
    kept = {int(e.tag) for e in after if e.tag.is_private}
    assert kept == {0x00430010, 0x00430012, 0x00431027, 0x00431227}


def test_private_sequences_are_walked_with_the_creators_of_their_own_items(longitudinal, pseudonymizer):
    inner = item(ReferencedSOPInstanceUID=SOP, SeriesDate="20200229", PatientName="Zymurgy^Q")
    add(add(inner, 0x00430015, "LO", "GEMS_PARM_01"), 0x00431527, "SH", "0.938:1")
    add(inner, 0x2001109F, "LO", NAME)  # the outer level's creator holds nothing in here
    ds = private("Philips Imaging DD 001", 0x2001, 0x9A, "SQ", Sequence([inner]))
    _, written, after = cleaned(longitudinal, ds)
    kept = after[0x2001109A].value[0]
    assert kept[0x00431527].value == "0.938:1"
    assert kept.ReferencedSOPInstanceUID == pseudonymizer.uid(SOP)
    assert kept.SeriesDate == after.StudyDate
    assert 0x2001109F not in kept
    assert NAME.encode() not in written


def test_safe_private_rows_of_bulk_are_dropped_and_none_is_numeric_to_the_private_dictionary(longitudinal):
    bulk = [
        row for row in table("ps3.15_table_e.3.10-1")["rows"] if (row[3] or "UN").split("/")[0] in ("OB", "OW", "UN")
    ]
    assert len(bulk) == 25
    for creator, group, number, _, _ in bulk:
        known = private_dictionaries.get(creator, {}).get(f"{group}xx{number}", ("OB",))
        assert known[0] in ("OB", "OW", "UN")
        result, _, after = cleaned(longitudinal, private(creator, int(group, 16), int(number, 16), "OB", b"Zymurgy "))
        assert not any(e.tag.is_private for e in after)
        assert result.removed_by_kind["PRIVATE"] == 1


def test_a_safe_private_row_without_vr_stays_if_the_file_says_it_is_a_number(longitudinal):
    _, _, after = cleaned(longitudinal, private("SIEMENS Ultrasound SC2000", 0x0129, 0x04, "FD", 1.5))
    assert after[0x01291004].value == 1.5


def test_private_uids_and_dates_change_like_others(longitudinal, pseudonymizer):
    ds = private("SIEMENS Ultrasound SC2000", 0x0129, 0x02, "UI", SOP)
    _, _, after = cleaned(longitudinal, ds)
    assert after[0x00291002 + (0x01000000)].value == pseudonymizer.uid(SOP)


def test_codes_state_only_what_was_done(longitudinal):
    result, _, after = cleaned(longitudinal, instance())
    assert result.method_codes == ("113100", "113107")
    assert [code.CodeValue for code in after.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert after.PatientIdentityRemoved == "YES"
    result, _, _ = cleaned(longitudinal, instance(PatientSex="F", StudyDescription="CHEST"))
    assert result.method_codes == ("113100", "113105", "113107", "113108")


def test_an_option_whose_element_could_not_be_kept_is_not_stated(longitudinal):
    result, _, after = cleaned(longitudinal, unknown(0x00101010, b"old ", "AS"))
    assert "PatientAge" not in after
    assert "113108" not in result.method_codes


def test_the_audit_counts_actions_by_tag_and_holds_no_value(longitudinal):
    source = private("ACME 0077123", 0x0019, 0x01, "LO", "Zymurgy")
    source.StudyDescription, source.DeviceSerialNumber = "CHEST Zymurgy", "SN 0077123"
    result, _, after = cleaned(longitudinal, source)
    audit = result.audit()
    text = json.dumps(audit)
    assert audit["profile"] == "longitudinal"
    assert audit["profile_digest"] == longitudinal.profile.digest
    assert (audit["edition"], audit["engine_version"]) == ("2026a", ENGINE_VERSION)
    assert audit["method_codes"] == [code.CodeValue for code in after.DeidentificationMethodCodeSequence]
    assert audit["actions"]["remove"] == {"(0018,1000)": 1}
    assert audit["actions"]["private"] == {"(0019,xx01)": 1}
    assert audit["actions"]["cleaned"] == {"(0008,1030)": 1}
    assert audit["removed_by_kind"] == {"NAME": 1, "PRIVATE": 1}
    assert sum(n for tags in audit["actions"].values() for n in tags.values()) == result.actions.total()
    for value in (NAME, NUMBER, "ACME", SOP, STUDY, "20200229"):
        assert value not in text


TECHNICAL = {
    "Manufacturer": "G.E. Medical Systems",
    "ManufacturerModelName": "EPIQ 5G_1.5.6.850",
    "SoftwareVersions": ["2.6.3", "3.1.62"],
    "SecondaryCaptureDeviceManufacturer": "GE Healthcare",
    "ConvolutionKernel": "000000",
    "ReceiveCoilName": "815-11016-03",
    "SequenceName": "*tfl3d1_16ns",
    "ProtocolName": "t1_mprage_sag",
    "ScanOptions": "FS",
    "ImageComments": "contrast after 70 s",
}


@pytest.mark.parametrize("keyword", TECHNICAL)
def test_what_names_a_device_or_a_technique_stays(keyword, pseudonymizer):
    engine = HeaderEngine(Profile.named("safe_harbor"), pseudonymizer, TextEngine(dates="year"))
    _, _, after = cleaned(engine, instance(**{keyword: TECHNICAL[keyword]}))
    assert after[keyword].value == TECHNICAL[keyword]


@pytest.mark.parametrize(
    "text",
    ["coil of Zymurgy", "MRN-0077123", "20200229", f"v {SOP}", "Zymurgy", "acc ACC99123", "from anna@stmary.example"],
)
def test_a_technical_text_that_holds_what_is_known_is_cleaned(text, pseudonymizer):
    engine = HeaderEngine(Profile.named("longitudinal"), pseudonymizer, TextEngine(dates="shift"))
    _, _, after = cleaned(engine, instance(ReceiveCoilName=text))
    assert after.ReceiveCoilName != text


def test_blank_values_count_as_empty(longitudinal):
    ds = instance()
    for tag, vr in ((0x00100040, "CS"), (0x00081030, "LO"), (0x00080020, "DA")):
        ds._dict[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, 2, b"  ", 0, False, True)
    result, _, after = cleaned(longitudinal, ds)
    assert (after.PatientSex, after.StudyDescription, after.StudyDate) == ("", "", "")
    assert result.method_codes == ("113100",)


def test_output_is_utf8_and_says_so(longitudinal):
    source = instance(SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel")
    _, written, after = cleaned(longitudinal, source)
    assert (after.SpecificCharacterSet, after.StudyDescription) == ("ISO_IR 192", "Schädel")
    assert "Schädel".encode() in written


def test_ascii_without_a_declaration_stays_without(longitudinal):
    _, _, after = cleaned(longitudinal, instance())
    assert "SpecificCharacterSet" not in after


def test_text_that_fits_no_character_set_is_refused(longitudinal):
    ds = instance(SpecificCharacterSet="ISO_IR 999", StudyDescription="x")
    ds._dict[BaseTag(0x00081030)] = RawDataElement(BaseTag(0x00081030), "LO", 4, b"Sch\xe4", 0, False, True)
    with pytest.raises(Refused) as refusal:
        cleaned(longitudinal, ds)
    assert refusal.value.reason is Reason.UNKNOWN_CHARACTER_SET


class Fails:
    def clean(self, text, identifiers, person):
        raise ValueError(text)


class Refuses:
    def clean(self, text, identifiers, person):
        raise Refused(Reason.TEXT_ENGINE_FAILED)


@pytest.mark.parametrize(
    ("cleaner", "reason"), [(Fails(), Reason.HEADER_ENGINE_FAILED), (Refuses(), Reason.TEXT_ENGINE_FAILED)]
)
def test_a_failing_text_cleaner_refuses_the_instance_without_quoting_it(cleaner, reason, pseudonymizer):
    engine = HeaderEngine(Profile.named("longitudinal"), pseudonymizer, cleaner)
    with pytest.raises(Refused) as refusal:
        engine.clean(instance(StudyDescription="Zymurgy"), KnownIdentifiers())
    assert refusal.value.reason is reason
    assert "Zymurgy" not in str(refusal.value)


def test_header_identifiers_are_used_even_if_the_caller_forgot_them(longitudinal):
    result = longitudinal.clean(instance(StudyDescription="CHEST Zymurgy"), KnownIdentifiers())
    assert "Zymurgy" not in str(result.dataset.StudyDescription)


def test_two_keys_give_unlinkable_copies(longitudinal):
    other = HeaderEngine(Profile.named("longitudinal"), Pseudonymizer(SecretKey(b"\x01" * 32), "st-mary"), CutsKnown())
    ours, theirs = cleaned(longitudinal, instance())[2], cleaned(other, instance())[2]
    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "AccessionNumber", "StudyDate"):
        assert ours[keyword].value != theirs[keyword].value


def test_engine_can_be_sent_to_a_worker(longitudinal):
    again = pickle.loads(pickle.dumps(longitudinal))
    assert cleaned(again, instance())[1] == cleaned(longitudinal, instance())[1]


def shape(ds: Dataset) -> list[object]:
    """Tags, VRs and items; the method codes say what was done, which differs the second time."""
    methods = 0x00120064
    return [(int(e.tag), e.VR, [shape(i) for i in e.value] if e.VR == "SQ" else None) for e in ds if e.tag != methods]


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.name)
def test_packaged_file_is_cleaned_or_refused_and_cleaning_twice_changes_no_structure(path, longitudinal):
    raw = path.read_bytes()
    try:
        result, written, after = cleaned(longitudinal, raw)
    except Refused as refusal:
        if refusal.reason in (Reason.HEADER_ENGINE_FAILED, Reason.INTERNAL_ERROR):
            pytest.fail(f"refused for an error of the engine: {refusal}")
        return
    assert shape(cleaned(longitudinal, written)[2]) == shape(after)
    before = read_dataset(raw)
    if 0x7FE00010 in before:
        assert bytes(after.PixelData)[: len(before[0x7FE00010].value)] == before[0x7FE00010].value
    assert result.actions.total() > 0
    assert leaks(before, after, written) == []


def leaks(before: Dataset, after: Dataset, written: bytes) -> list[str]:
    """Kinds of identifiers of `before` that still stand in the header of `after`; short values say nothing."""
    header = written[: len(written) - len(after.get("PixelData", b"") or b"")].lower()
    return [
        kind
        for kind, values in identifiers_of(before).as_dict().items()
        if kind
        in ("patient_names", "patient_ids", "accession_numbers", "addresses", "phones", "physicians", "institutions")
        for value in values
        if len(value) >= 6 and value.casefold() not in NO_NAMES
        if re.search(rb"(?<![a-z0-9_])" + re.escape(value.encode().lower()) + rb"(?![a-z0-9_])", header)
    ]


@needs_shared
def test_no_identifier_of_a_real_file_survives_in_its_header(longitudinal, safe_harbor):
    refused: Counter[str] = Counter()
    leaking: Counter[str] = Counter()
    files = sorted(path for path in (SHARED / "data" / "dicom").rglob("*") if path.suffix not in (".csv", ".json"))
    for path in (path for path in files if path.is_file()):
        raw = path.read_bytes()
        for engine in (longitudinal, safe_harbor):
            try:
                _, written, after = cleaned(engine, raw)
            except Refused as refusal:
                refused[refusal.reason] += 1
                continue
            leaking.update(leaks(read_dataset(raw), after, written))
    assert not leaking
    unforeseen = {Reason.HEADER_ENGINE_FAILED, Reason.UNREADABLE_HEADER, Reason.UNKNOWN_CHARACTER_SET} & refused.keys()
    assert not unforeseen
