"""Identifiers in places that are no plain elements: containers, streams, wrong VRs, items of structured objects.

Belongs here: one small function for each place that the plan names with `C`.  `Object` is what they change.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageCms
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from gradient_assets.samples.burn import overlay_bits
from tests.redteam.elements import even, put
from tests.redteam.pictures import Drawn
from tests.redteam.values import Value
from tests.unit.pdfs import pdf


@dataclass
class Object:
    """One DICOM object that is being attacked."""

    ds: Dataset
    pixels: np.ndarray | None = None
    preamble: bytes = bytes(128)
    tail: bytes = b""
    drawn: list[Drawn] = field(default_factory=list)


Blobs = tuple[bytes, ...]
"""Bytes that must not stand in any output, beside the value's own."""


def japanese_name(at: Object, value: Value) -> None:
    """Component groups in ISO 2022 with two code extensions; the ideographs stand for nobody."""
    at.ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    at.ds.OtherPatientNames = f"{value.spellings['p']}=架空田^珍太郎=かくうだ^ちんたろう"


def un_address(at: Object, value: Value) -> None:
    at.ds.add(DataElement(Tag(0x0010, 0x1040), "UN", even(value.written.encode())))


def un_phone(at: Object, value: Value) -> None:
    at.ds.add(DataElement(Tag(0x0010, 0x2154), "UN", even(value.written.encode())))


def un_sequence(at: Object, value: Value) -> None:
    """Other Patient IDs Sequence that a middleman passed on as unknown, in implicit VR as PS3.5 6.2.2 asks for."""
    inner = struct.pack("<HHI", 0x0010, 0x0020, len(even(value.written.encode()))) + even(value.written.encode())
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
    at.ds.add(DataElement(Tag(0x0010, 0x1002), "UN", item))


def _content(value_type: str, **more: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = Sequence([_code("121071", "DCM", "Finding")])
    for keyword, one in more.items():
        setattr(item, keyword, one)
    return item


def _code(code: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, meaning
    return item


def sr_text(at: Object, value: Value) -> None:
    at.ds.ContentSequence.append(_content("TEXT", TextValue=f"Noted at admission: {value.written}. Lungs are clear."))


def sr_pname(at: Object, value: Value) -> None:
    at.ds.ContentSequence.append(_content("PNAME", PersonName=value.spellings["p"]))


def sr_code_meaning(at: Object, value: Value) -> None:
    code = _code("77", "99LOCAL", f"fax {value.written}")
    at.ds.ContentSequence.append(_content("CODE", ConceptCodeSequence=Sequence([code])))


def sr_standard_name(at: Object, value: Value) -> None:
    code = _code("121071", "DCM", value.written)
    at.ds.ContentSequence.append(_content("CODE", ConceptCodeSequence=Sequence([code])))


def sr_standard_phone(at: Object, value: Value) -> None:
    code = _code("121071", "DCM", f"call {value.written}")
    at.ds.ContentSequence.append(_content("CODE", ConceptCodeSequence=Sequence([code])))


def sr_number(at: Object, value: Value) -> None:
    measured = Dataset()
    measured.NumericValue = value.written
    measured.MeasurementUnitsCodeSequence = Sequence([_code("mm", "UCUM", "mm")])
    at.ds.ContentSequence.append(_content("NUM", MeasuredValueSequence=Sequence([measured])))


def lut_text(at: Object, value: Value) -> None:
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [12, 0, 16], "US"
    item[0x00283006] = DataElement(0x00283006, "OW", even(f"table {value.written}".encode()))
    at.ds.ModalityLUTSequence = Sequence([item])


def excess_pixels(at: Object, value: Value) -> None:
    at.ds.PixelData = at.ds.PixelData + even(value.written.encode())


def graphic_text(at: Object, value: Value) -> None:
    text = Dataset()
    text.UnformattedTextValue = f"{value.written} nodule"
    text.AnchorPointAnnotationUnits, text.AnchorPoint, text.AnchorPointVisibility = "PIXEL", [1.0, 1.0], "N"
    annotation = Dataset()
    annotation.GraphicLayer, annotation.TextObjectSequence = "LAYER1", Sequence([text])
    at.ds.GraphicAnnotationSequence = Sequence([*at.ds.get("GraphicAnnotationSequence", []), annotation])


def waveform_annotation(at: Object, value: Value) -> None:
    note = Dataset()
    note.UnformattedTextValue, note.ReferencedWaveformChannels = f"report to {value.written}", [1, 0]
    at.ds.WaveformAnnotationSequence = Sequence([*at.ds.get("WaveformAnnotationSequence", []), note])


def channel_label(at: Object, value: Value) -> None:
    at.ds.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelLabel = value.written


def roi_name(at: Object, value: Value) -> None:
    at.ds.StructureSetROISequence[0].ROIName = value.written


def roi_description(at: Object, value: Value) -> None:
    at.ds.StructureSetROISequence[0].ROIDescription = f"from {value.written}"


def segment(at: Object, value: Value) -> None:
    at.ds.SegmentSequence[0].SegmentDescription = f"plan {value.written}"


def segment_algorithm(at: Object, value: Value) -> None:
    at.ds.SegmentSequence[0].SegmentAlgorithmName = f"run on {value.written}"


def private_creator(at: Object, value: Value) -> None:
    at.ds.private_block(0x0047, f"SSN {value.written}", create=True).add_new(0x01, "US", 7)


def private_blob(at: Object, value: Value) -> None:
    put(at.ds, "0029,30@REDTEAM 1", "OB", f"\x00\x01{value.written}\x00")


def private_template(at: Object, value: Value) -> None:
    put(at.ds, "0029,31@REDTEAM 1", "OB", f"FMR\x00 20\x00{value.written}")


def private_jpeg(at: Object, value: Value) -> Blobs:
    stream = io.BytesIO()
    noise = np.random.default_rng(5).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", comment=value.written)
    at.ds.private_block(0x0029, "REDTEAM 1", create=True).add_new(0x32, "OB", even(stream.getvalue()))
    return (stream.getvalue()[-60:-20],)


def odd_group(at: Object, value: Value) -> None:
    """A group that PS3.5 7.8 forbids, and a length element of a public group that holds no length."""
    at.ds[0x00031001] = DataElement(0x00031001, "LO", value.written)
    at.ds[0x00100000] = DataElement(0x00100000, "UL", int(value.written) % 2**32)


def trailing_padding(at: Object, value: Value) -> None:
    at.ds[0xFFFCFFFC] = DataElement(0xFFFCFFFC, "OB", even(value.written.encode()))


def after_the_end(at: Object, value: Value) -> None:
    at.tail = bytes(16) + value.written.encode()


def preamble(at: Object, value: Value) -> None:
    at.preamble = value.written.encode().ljust(128, b"\0")


def meta_source(at: Object, value: Value) -> None:
    at.ds.file_meta.SourceApplicationEntityTitle = value.written


def meta_private(at: Object, value: Value) -> None:
    at.ds.file_meta.PrivateInformationCreatorUID = "1.2.3.4"
    at.ds.file_meta.PrivateInformation = even(value.written.encode())


def icc_profile(at: Object, value: Value) -> None:
    """The sRGB profile with another description: its text is UTF-16 or ASCII, by version."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    put(at.ds, "0048,0105/0028,2000", "OB", "")
    at.ds[0x00480105].value[0].ICCProfile = bytes(even(bytes(profile) + value.written.encode("utf-16-be")))


def icon(at: Object, value: Value) -> Blobs:
    bits = overlay_bits(64, 128, [value.written], 18)
    item = Dataset()
    item.SamplesPerPixel, item.PhotometricInterpretation, item.Rows, item.Columns = 1, "MONOCHROME2", 64, 128
    item.BitsAllocated = item.BitsStored = 8
    item.HighBit, item.PixelRepresentation = 7, 0
    item.PixelData = (bits * np.uint8(255)).tobytes()
    item["PixelData"].VR = "OB"
    at.ds.IconImageSequence = Sequence([item])
    return (_inked(item.PixelData, 48),)


def _overlay(at: Object, group: int, *, position: int, allocated: int, label: str) -> None:
    for element, vr, one in (
        (0x0010, "US", at.ds.Rows),
        (0x0011, "US", at.ds.Columns),
        (0x0022, "LO", label),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", allocated),
        (0x0102, "US", position),
    ):
        at.ds.add_new(Tag(group, element), vr, one)


def overlay(at: Object, value: Value) -> Blobs:
    bits = overlay_bits(at.ds.Rows, at.ds.Columns, [value.written], 18)
    packed = np.packbits(bits, bitorder="little").tobytes()
    _overlay(at, 0x6000, position=0, allocated=1, label=value.written)
    at.ds.add_new(Tag(0x6000, 0x3000), "OW", even(packed))
    return (_inked(packed, 24),)


def high_bits(at: Object, value: Value) -> Blobs:
    """Bit 15 of each pixel, declared as an overlay of its own group."""
    bits = overlay_bits(at.ds.Rows, at.ds.Columns, [value.written], 18)
    pixels = np.frombuffer(at.ds.PixelData, "<u2").reshape(at.ds.Rows, at.ds.Columns)
    at.ds.PixelData = (np.minimum(pixels, 0x0FFF) | (bits.astype("<u2") << 15)).tobytes()
    at.ds.BitsStored, at.ds.HighBit, at.ds.PixelRepresentation = 12, 11, 0
    _overlay(at, 0x6002, position=15, allocated=16, label="marks")
    rows = np.flatnonzero(bits.any(axis=1))
    return (at.ds.PixelData[rows[3] * at.ds.Columns * 2 :][: at.ds.Columns * 2],)


def curve(at: Object, value: Value) -> None:
    for element, vr, one in (
        (0x0005, "US", 1),
        (0x0022, "LO", value.written),
        (0x3000, "OW", even(value.written.encode())),
    ):
        at.ds.add_new(Tag(0x5000, element), vr, one)


def photograph(at: Object, value: Value) -> Blobs:
    """Visible light photograph: whoever is on it can be recognised, whatever the header says."""
    at.ds.SOPClassUID = at.ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
    at.ds.Modality, at.ds.ImageComments = "XC", f"face, {value.written}"
    return (next(generate_frames(at.ds.PixelData, number_of_frames=1))[-60:-20],)


def _document(at: Object, sop_class: str, mime: str, content: bytes) -> Blobs:
    at.ds.SOPClassUID = at.ds.file_meta.MediaStorageSOPClassUID = sop_class
    at.ds.Modality, at.ds.MIMETypeOfEncapsulatedDocument = "DOC", mime
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(at.ds, keyword)
    at.ds.EncapsulatedDocument = even(content)
    return (content[-60:-20],)


def encapsulated_pdf(at: Object, value: Value) -> Blobs:
    content = pdf([(50, 700, 14, f"Photograph {value.written}")])
    return _document(at, "1.2.840.10008.5.1.4.1.1.104.1", "application/pdf", content)


def encapsulated_cda(at: Object, value: Value) -> Blobs:
    content = f"<ClinicalDocument><id extension='{value.written}'/><text>x</text></ClinicalDocument>".encode()
    return _document(at, "1.2.840.10008.5.1.4.1.1.104.2", "text/XML", content)


def _first_frame(at: Object, change) -> None:
    frames = list(generate_frames(at.ds.PixelData, number_of_frames=int(at.ds.get("NumberOfFrames", 1) or 1)))
    frames[0] = change(frames[0])
    at.ds.PixelData = encapsulate(frames)
    at.ds["PixelData"].is_undefined_length = True


def _segment(marker: bytes, content: bytes):
    return lambda frame: frame[:2] + marker + struct.pack(">H", len(content) + 2) + content + frame[2:]


def jpeg_com(at: Object, value: Value) -> None:
    _first_frame(at, _segment(b"\xff\xfe", value.written.encode()))


def jpeg_exif(at: Object, value: Value) -> None:
    """A real EXIF block: Artist and a GPS processing method."""
    exif = Image.Exif()
    exif[0x013B] = value.written
    _first_frame(at, _segment(b"\xff\xe1", b"Exif\x00\x00" + exif.tobytes()))


def j2k_com(at: Object, value: Value) -> None:
    coded = value.written.encode()

    def change(frame: bytes) -> bytes:
        end = 4 + struct.unpack(">H", frame[4:6])[0]
        return frame[:end] + b"\xff\x64" + struct.pack(">HH", len(coded) + 4, 1) + coded + frame[end:]

    _first_frame(at, change)


def jp2_xml(at: Object, value: Value) -> None:
    """The codestream inside a JP2 file with an XML box: PS3.5 A.4.4 forbids it, archives hold it."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + name + content

    def change(frame: bytes) -> bytes:
        size = struct.pack(">IIHBBBB", at.ds.Rows, at.ds.Columns, 1, at.ds.BitsStored - 1, 7, 0, 0)
        header = box(b"ihdr", size) + box(b"colr", b"\1\0\0" + struct.pack(">I", 17))
        head = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header)
        return head + box(b"xml ", f"<artist>{value.written}</artist>".encode()) + box(b"jp2c", frame)

    _first_frame(at, change)


def jpeg_app13(at: Object, value: Value) -> None:
    _first_frame(at, _segment(b"\xff\xed", b"Photoshop 3.0\0" + value.written.encode()))


def after_eoi(at: Object, value: Value) -> None:
    _first_frame(at, lambda frame: frame + value.written.encode())


def offset_table(at: Object, value: Value) -> None:
    frames = [even(frame) for frame in generate_frames(at.ds.PixelData, number_of_frames=1)]
    items = [even(value.written.encode()), *frames]
    raw = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in items)
    at.ds.PixelData = raw  # pydicom writes the delimiter behind it


def extra_fragment(at: Object, value: Value) -> None:
    frames = list(generate_frames(at.ds.PixelData, number_of_frames=1))
    at.ds.PixelData = encapsulate([*frames, even(value.written.encode())], has_bot=False)


def _inked(content: bytes, size: int) -> bytes:
    """The part of that size with most ink in it."""
    counts = np.convolve(
        np.unpackbits(np.frombuffer(content, np.uint8)).reshape(-1, 8).sum(axis=1), np.ones(size, int), "valid"
    )
    start = int(counts.argmax())
    return content[start : start + size]
