"""The second evaluation of Table E.1-1: a header that the engine cleaned holds, and each element put back is noticed."""

from dataclasses import replace
from functools import cache

import pytest
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence

from gradient_assets.deid import headers
from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
from gradient_assets.deid.verify.containers import open_dicom
from gradient_assets.deid.verify.levels import Element, Level, level_of_dataset, level_of_json
from gradient_assets.deid.verify.profile import file_breaches, profile_breaches

LONGITUDINAL, SAFE_HARBOR = Profile.named("longitudinal"), Profile.named("safe_harbor")
MR = "1.2.840.10008.5.1.4.1.1.4"
IDENTITY = Pseudonymizer(SecretKey(bytes(range(32))), "test")


def original():
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MR, "1.2.3.4.1"
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = MR, "1.2.3.4.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4.2", "1.2.3.4.3", "2.25.77"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = "MRN-771204", "Quillfeather^Zebulon", "19310203"
    ds.PatientAge, ds.PatientSex, ds.PatientAddress = "093Y", "M", "12 Larch Row"
    ds.AccessionNumber, ds.StudyID, ds.InstitutionName = "RAD778812", "7781", "Northgate General Hospital"
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20190304"
    ds.StudyTime, ds.AcquisitionDateTime = "101500", "20190304101500"
    ds.ReferringPhysicianName, ds.OperatorsName, ds.StationName = "Oakmere^Tabitha", "Vint^Ola", "MR3"
    ds.StudyDescription, ds.SeriesDescription, ds.Modality = "MR BRAIN", "T2 AX", "MR"
    ds.DeviceSerialNumber, ds.Manufacturer = "SN-99123", "Acme"
    ds.InstanceCreatorUID = "1.2.3.4.9"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, "1.2.3.4.55"
    item.StudyDate = "20180102"
    ds.ReferencedImageSequence = Sequence([item])
    block = ds.private_block(0x0009, "NORTHGATE", create=True)
    block.add_new(0x10, "LO", "ward 7")
    return ds


@cache
def engine_of(profile):
    return HeaderEngine(profile, IDENTITY, TextEngine(dates=profile.dates))


def cleaned(profile):
    return engine_of(profile).clean(original(), KnownIdentifiers()).dataset


@cache
def pair(profile=LONGITUDINAL):
    written = level_of_json(headers.to_json_header(cleaned(profile)))
    return written, level_of_json(headers.to_json_header(original()))


def with_element(level, tag, element):
    return Level({**level.elements, tag: element})


def rules(written, before, profile=LONGITUDINAL):
    return {hit.kind for hit in profile_breaches(written, before, profile)}


@pytest.mark.parametrize("name", ["longitudinal", "safe_harbor"])
def test_what_the_engine_wrote_holds(name):
    profile = Profile.named(name)
    assert profile_breaches(*pair(profile), profile) == []


@pytest.mark.parametrize(
    ("tag", "rule"),
    [
        (0x00101040, "not_removed"),  # X: the address
        (0x00081070, "value_unchanged"),  # X/Z/D: the operator
        (0x00080090, "not_emptied"),  # Z: the referring physician
        (0x00200010, "not_emptied"),  # Z: the study's id
        (0x00100010, "not_emptied"),  # Z: the name
        (0x00100030, "birth_date"),
        (0x00080018, "uid_unchanged"),
        (0x0020000D, "uid_unchanged"),
        (0x00200052, "uid_unchanged"),  # an original that is under 2.25 already
        (0x00080020, "date_not_moved"),
        (0x0008002A, "date_not_moved"),  # a DT
        (0x00091010, "private_element_not_safe"),
        (0x00090010, "private_block_without_elements"),
    ],
)
def test_an_element_that_is_put_back_is_a_breach(tag, rule):
    written, before = pair()
    assert rules(with_element(written, tag, before.elements[tag]), before) == {rule}


@pytest.mark.parametrize("tag", [0x00080020, 0x0008002A, 0x00080030])
def test_a_date_or_time_under_safe_harbor_is_cut(tag):
    written, before = pair(SAFE_HARBOR)
    assert rules(with_element(written, tag, before.elements[tag]), before, SAFE_HARBOR) == {"date_not_cut"}


@pytest.mark.parametrize(
    ("element", "rule"),
    [
        (Element("DA", ("20190228",)), "dates_moved_unevenly"),  # the others moved by another number of days
        (Element("DA", ("20190305",)), "date_not_moved"),  # into the future
        (Element("DA", ("20100304",)), "date_not_moved"),  # by more than five years
    ],
)
def test_dates_move_together_within_the_bounds(element, rule):
    assert rule in rules(with_element(pair()[0], 0x00080021, element), pair()[1])


@pytest.mark.parametrize(
    ("tag", "element", "rule"),
    [
        (0x50003000, Element("OW", is_bulk=True), "hidden_picture"),
        (0x60003000, Element("OW", is_bulk=True), "hidden_picture"),
        (0x60023000, Element("OW", is_bulk=True), "hidden_picture"),
        (0x7F000010, Element("OW", is_bulk=True), "hidden_picture"),
        (0x00880200, Element("SQ", items=(Level(),)), "hidden_picture"),
        (0x00189999, Element("LO", ("something",)), "unknown_element"),
        (0x00101010, Element("AS", ("093Y",)), "age_over_ninety"),
        (0x0008009C, Element("PN", ("Oakmere^Tabitha",)), "not_emptied"),
        (0x00080014, Element("UI", ("1.9.9.9",)), "uid_not_new"),
        (0x00404073, Element("UR", ("http://pacs.northgate.org",)), "not_removed"),
        (0x00686300, Element("OB", is_bulk=True), "not_removed"),
    ],
)
def test_what_never_may_stand_there_is_a_breach(tag, element, rule):
    written, before = pair()
    assert rules(with_element(written, tag, element), before) == {rule}


@pytest.mark.parametrize(
    ("tag", "element"),
    [
        (0x00101040, Element("LO")),  # an X that is there and says nothing
        (0x00080090, Element("PN", ("REMOVED",))),
        (0x00181000, Element("LO", ("XABCDEFGHIJKLMNO",))),
        (0x00181200, Element("DA", ("19000101",))),
        (0x00101010, Element("AS", ("090Y",))),
        (0x60000010, Element("US", ("512",))),  # rows of an overlay that is gone
        (0x00282000, Element("OB", is_bulk=True)),  # a table of colours
        (0x00080016, Element("UI", ("1.2.840.10008.5.1.4.1.1.4",))),
        (0x00081030, Element("LO", ("MR BRAIN",))),  # a description: C keeps what names nobody
    ],
)
def test_what_says_nothing_is_none(tag, element):
    written, before = pair()
    assert rules(with_element(written, tag, element), before) == set()


def test_a_private_element_of_the_safe_list_holds():
    written, before = pair()
    written = with_element(written, 0x00E10010, Element("LO", ("ELSCINT1",)))
    assert rules(with_element(written, 0x00E11021, Element("DS", ("1",))), before) == set()


def test_an_overlays_comment_stays_only_where_graphics_are_cleaned():
    written, before = pair()
    commented = with_element(written, 0x60024000, Element("LT", ("marks",)))
    unasked = replace(LONGITUDINAL, options=LONGITUDINAL.options - {"clean_graphics"})
    assert "not_removed" in rules(commented, before, unasked)
    assert rules(commented, before) == set()


def test_nested_elements_are_judged_with_their_counterparts():
    written, before = pair()
    items = before.elements[0x00081140].items
    hits = profile_breaches(with_element(written, 0x00081140, Element("SQ", items=items)), before, LONGITUDINAL)
    assert {(hit.kind, hit.where) for hit in hits} >= {
        ("uid_unchanged", "(0008,1140)[0].(0008,1155)"),
        ("date_not_moved", "(0008,1140)[0].(0008,0020)"),
    }


def test_private_elements_need_the_option():
    profile = replace(LONGITUDINAL, options=LONGITUDINAL.options - {"retain_safe_private"})
    written, before = pair()
    for tag, element in ((0x00E10010, Element("LO", ("ELSCINT1",))), (0x00E11021, Element("DS", ("1",)))):
        written = with_element(written, tag, element)
    assert "private_element" in rules(written, before, profile)
    assert "private_element" not in rules(written, before)


@pytest.mark.parametrize("option", ["retain_uids", "retain_institution_identity", "retain_device_identity"])
def test_an_option_keeps_what_it_names_and_nothing_else(option):
    tag, rule = {
        "retain_uids": (0x0020000D, "uid_unchanged"),
        "retain_institution_identity": (0x00080080, "not_emptied"),
        "retain_device_identity": (0x00181000, "not_emptied"),
    }[option]
    written, before = pair()
    restored = with_element(written, tag, before.elements[tag])
    asked = replace(LONGITUDINAL, options=LONGITUDINAL.options | {option})
    assert rules(restored, before) & {rule, "value_unchanged", "not_removed"}
    assert rules(restored, before, asked) == set()


@pytest.mark.parametrize(
    ("option", "kept"), [("retain_device_identity", True), ("retain_uids", True), ("clean_graphics", False)]
)
def test_a_devices_uid_stays_with_the_devices_or_with_the_uids(option, kept):
    written, before = pair()
    device = Element("UI", ("1.2.826.0.1.3680043.8.498.771204",))
    asked = replace(LONGITUDINAL, options=LONGITUDINAL.options | {option})
    found = rules(with_element(written, 0x00181002, device), with_element(before, 0x00181002, device), asked)
    assert ("uid_unchanged" in found) is not kept


@pytest.mark.parametrize(
    ("tag", "element", "rule"),
    [
        (0x00120062, Element("CS", ("NO",)), "identity_not_said_removed"),
        (0x00120062, Element("CS"), "identity_not_said_removed"),
        (0x00120064, Element("SQ"), "method_codes"),
        (0x00280303, Element("CS", ("UNMODIFIED",)), "longitudinal_information"),
    ],
)
def test_what_is_said_of_the_method_must_be_true(tag, element, rule):
    written, before = pair()
    assert rule in rules(with_element(written, tag, element), before)


def test_a_code_of_an_option_that_nobody_asked_for_is_a_breach():
    written, before = pair()
    code = Level({0x00080100: Element("SH", ("113112",))})
    items = (*written.elements[0x00120064].items, code)
    assert "method_codes" in rules(with_element(written, 0x00120064, Element("SQ", items=items)), before)


def test_without_its_original_nothing_can_be_said():
    assert rules(pair()[0], None) == {"original_missing"}


def delivered(change=lambda ds: None):
    ds = cleaned(LONGITUDINAL)
    change(ds)
    return open_dicom(headers.write_dataset(ds))


def test_a_delivered_file_holds():
    assert file_breaches(delivered(), pair()[1], LONGITUDINAL) == []


def with_pixels(length):
    def change(ds):
        ds.Rows, ds.Columns, ds.BitsAllocated = 3, 1, 8
        ds.add_new(0x7FE00010, "OB", bytes(length))

    return change


def test_a_byte_of_padding_behind_the_last_sample_is_allowed():
    assert file_breaches(delivered(with_pixels(4)), pair()[1], LONGITUDINAL) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda ds: setattr(ds, "BurnedInAnnotation", "YES"), "burned_in_annotation"),
        (lambda ds: setattr(ds.file_meta, "MediaStorageSOPInstanceUID", "1.2.3.4.1"), "file_meta_differs"),
        (lambda ds: setattr(ds.file_meta, "SourceApplicationEntityTitle", "NORTHGATE"), "file_meta_element"),
        (lambda ds: setattr(ds, "PatientAddress", "12 Larch Row"), "not_removed"),
        (with_pixels(5), "bytes_behind_pixels"),
    ],
)
def test_file_meta_and_claims_are_judged_too(change, rule):
    assert rule in {hit.kind for hit in file_breaches(delivered(change), pair()[1], LONGITUDINAL)}


def test_hits_hold_no_value():
    written, before = pair()
    put_back = Level({**written.elements, **before.elements})
    told = repr(profile_breaches(put_back, before, LONGITUDINAL)) + repr(put_back) + repr(before)
    assert not any(value in told for value in ("Quillfeather", "771204", "Larch", "20190304", "1.2.3.4"))


@pytest.mark.parametrize("text", ["", "[", "[]", '{"x": 1}', '{"00100010": 7}'])
def test_a_header_that_cannot_be_read_is_refused(text):
    with pytest.raises(Refused) as refused:
        level_of_json(text)
    assert refused.value.reason is Reason.UNREADABLE_HEADER


def test_bottomless_sequences_are_refused():
    text = '{"00081140":{"vr":"SQ","Value":[' * 60 + "{}" + "]}}" * 60
    with pytest.raises(Refused) as refused:
        level_of_json(text)
    assert refused.value.reason is Reason.NESTED_TOO_DEEP


def test_an_element_that_cannot_be_decoded_is_refused():
    class Odd(Dataset):
        def __getitem__(self, key):
            raise ValueError("quotes a value")

    ds = Odd()
    ds.add_new(0x00100010, "PN", "A^B")
    with pytest.raises(Refused) as refused:
        level_of_dataset(ds)
    assert "quotes" not in str(refused.value)
