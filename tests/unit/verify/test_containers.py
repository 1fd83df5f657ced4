"""PNG and DICOM files: text in any corner of them is found."""

import zlib
from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify import IdentifierIndex

INDEX = IdentifierIndex.build([KnownIdentifiers(patient_names=("VANDERBILT^MARGARET",), patient_ids=("RAD44514506",))])


def png(**options: object) -> bytes:
    stream = BytesIO()
    Image.new("L", (16, 16), 7).save(stream, "PNG", **options)
    return stream.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


def with_chunk(name: bytes, body: bytes) -> bytes:
    plain = png()
    return plain[:33] + chunk(name, body) + plain[33:]


def with_text(compressed: bool) -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "Margaret Vanderbilt", zip=compressed)
    return png(pnginfo=notes)


def with_image_tail() -> bytes:
    plain = png()
    start = plain.index(b"IDAT") - 4
    length = int.from_bytes(plain[start : start + 4])
    body = plain[start + 8 : start + 8 + length] + b"Margaret Vanderbilt"
    return plain[:start] + chunk(b"IDAT", body) + plain[start + 12 + length :]


def animated(tail: bytes = b"") -> bytes:
    frames = [Image.new("L", (16, 16), grey) for grey in (7, 80, 160)]
    stream = BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:], duration=100, loop=0)
    content = stream.getvalue()
    start = content.rindex(b"fdAT") - 4
    length = int.from_bytes(content[start : start + 4])
    body = content[start + 8 : start + 8 + length] + tail
    return content[:start] + chunk(b"fdAT", body) + content[start + 12 + length :]


def test_plain_png_is_clean():
    assert INDEX.search_png(png()) == []


def test_animated_png_is_clean():
    assert INDEX.search_png(animated()) == []


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (with_text(False), {"png_text_chunk", "name"}),
        (with_text(True), {"png_text_chunk", "name"}),
        (with_chunk(b"iTXt", b"k\0\0\0\0\0Margaret Vanderbilt"), {"png_text_chunk", "name"}),
        (with_chunk(b"tEXt", b"Software\0Paint"), {"png_text_chunk"}),
        (with_chunk(b"eXIf", b"II*\0Vanderbilt^Margaret"), {"png_exif", "name"}),
        (animated(b"Margaret Vanderbilt"), {"png_trailing_bytes", "name"}),
        (with_chunk(b"acTL", b"Margaret Vanderbilt"), {"png_other_chunk", "name"}),
        (with_chunk(b"tIME", b"\x07\xe0\x06\x04\x0a\x0a\x0a"), {"png_other_chunk"}),
        (with_chunk(b"zzZz", b"RAD44514506"), {"png_other_chunk", "id"}),
        (png() + b"RAD44514506", {"png_trailing_bytes", "id"}),
        (with_image_tail(), {"png_trailing_bytes", "name"}),
        (png()[:-12], {"png_malformed"}),
        (png()[:40], {"png_malformed"}),
        (b"no image, Margaret Vanderbilt", {"png_malformed", "name"}),
        (b"", {"png_malformed"}),
    ],
)
def test_anything_but_pixels_in_a_png_is_a_hit(content, kinds):
    assert {hit.kind for hit in INDEX.search_png(content)} == kinds


def test_broken_checksum_is_a_hit():
    content = bytearray(png())
    content[20] ^= 1
    assert {hit.kind for hit in INDEX.search_png(bytes(content))} == {"png_malformed"}


def dicom(**elements: object) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "2.25.329800735698586629295641978511506172918"
    dataset.PatientID = "PABCDEFGHIJKLMNOP"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset, preamble: bytes = b"\0" * 128) -> bytes:
    stream = BytesIO()
    dataset.preamble = preamble
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def test_clean_dicom_raises_no_alarm():
    assert INDEX.search_dicom(written(dicom(StudyTime="445145", Rows=4451))) == []


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (written(dicom(PatientComments="seen: Margaret Vanderbilt")), "(0010,4000)"),
        (written(dicom(SpecificCharacterSet="ISO_IR 192", PatientName="VANDERBILT^Márgaret")), "(0010,0010)"),
        (written(dicom(StudyDate="RAD44514506")), "(0008,0020)"),
        (written(dicom(), b"RAD44514506".ljust(128, b"\0")), "preamble"),
        (dicom(OtherPatientIDs=["A", "RAD-44514506"]), "(0010,1000)"),
    ],
)
def test_identifier_in_a_dicom_file_is_found_with_its_place(content, where):
    assert where in {hit.where for hit in INDEX.search_dicom(content)}


def test_preamble_with_any_content_is_a_hit():
    assert [hit.kind for hit in INDEX.search_dicom(written(dicom(), b"II*\0".ljust(128, b"\0")))] == ["dicom_preamble"]


def test_file_that_can_not_be_read_back_is_refused_without_a_value():
    with pytest.raises(Refused) as refusal:
        INDEX.search_dicom(b"Margaret Vanderbilt")
    assert refusal.value.reason is Reason.UNREADABLE_HEADER
    assert "anderbilt" not in str(refusal.value)


def test_reading_back_says_nothing(caplog, recwarn):
    INDEX.search_dicom(written(dicom(StudyDate="RAD44514506", PatientAge="Vanderbilt")))
    assert caplog.text == ""
    assert [str(warning.message) for warning in recwarn if "RAD" in str(warning.message)] == []
