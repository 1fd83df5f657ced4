"""An identifier planted in any container of an object is gone from the bytes of the result of the whole way."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames, parse_basic_offsets

from gradient_assets.deid.headers import Profile, read_dataset
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import as_bytes, cleaned, instance, item, sequence
from tests.unit.pixels import objects
from tests.unit.pixels.objects import FixedFinder, gradient, object_of, stack

NAME = b"Zymurgy^Quentin"
EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
GREY = gradient(32, 48, "uint8")
Plant = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def cleaner() -> InstanceCleaner:
    key = Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")
    return InstanceCleaner(Profile.named("longitudinal"), key, FixedFinder())


def picture(frames: np.ndarray = GREY, syntax: str = EXPLICIT, **elements: object) -> Dataset:
    """A secondary capture of the patient whose name is planted."""
    ds = object_of(frames, syntax=syntax)
    ds.update(instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", **elements))
    return ds


def stored(ds: Dataset, syntax: str = EXPLICIT) -> bytes:
    return as_bytes(ds, syntax)


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element in Explicit VR Little Endian."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"OF", b"UN", b"UT", b"SQ", b"UC"):
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def even(value: bytes) -> bytes:
    return value + b" " * (len(value) & 1)


WHOLE = stored(picture())
META_END = 132 + 12 + struct.unpack("<L", WHOLE[140:144])[0]
PIXELS_AT = WHOLE.index(b"\xe0\x7f\x10\x00OB")
SYNTAX_AT = WHOLE.index(b"\x02\x00\x10\x00UI")


def in_meta(*elements: bytes) -> bytes:
    """File meta information with further elements, its group length made to fit."""
    meta = WHOLE[144:META_END] + b"".join(elements)
    return WHOLE[:140] + struct.pack("<L", len(meta)) + meta + WHOLE[META_END:]


def before_pixels(*elements: bytes) -> bytes:
    return WHOLE[:PIXELS_AT] + b"".join(elements) + WHOLE[PIXELS_AT:]


def tiff_in_preamble() -> bytes:
    """A dual-personality file: TIFF header in the preamble, its directory and description in the trailing padding."""
    directory = struct.pack("<HHHLL", 1, 0x010E, 2, len(NAME), 0) + NAME
    tail = explicit(0xFFFCFFFC, b"OB", even(directory))
    header = b"II*\0" + struct.pack("<L", len(WHOLE) + 12)
    return header + NAME + b"\0" * (128 - len(header) - len(NAME)) + WHOLE[128:] + tail


def implicit_items(levels: int) -> bytes:
    """What a writer puts into UN of undefined length: items in Implicit VR Little Endian.  PS3.5 6.2.2."""
    inner = implicit(0x00100010, even(NAME))
    for level in range(levels):
        inner = implicit(0xFFFEE000, inner, 0xFFFFFFFF) + implicit(0xFFFEE00D, b"") + implicit(0xFFFEE0DD, b"")
        if level < levels - 1:
            inner = implicit(0x00081140, inner, 0xFFFFFFFF)
    return inner


def signature() -> Dataset:
    return item(MACIDNumber=1, DigitalSignatureUID="1.2.3", CertificateOfSigner=even(NAME), Signature=even(NAME))


def icon() -> Dataset:
    small = object_of(gradient(16, 16, "uint8"))
    small.PixelData = NAME + small.PixelData[len(NAME) :]
    del small.file_meta
    return small


def private(vr: str, value: bytes, creator: str = "ACME 1.1", group: int = 0x0029) -> Dataset:
    ds = picture()
    ds.add_new((group, 0x0010), "LO", creator)
    ds.add(DataElement((group << 16) | 0x1010, vr, value))
    return ds


def behind_the_last_frame() -> Dataset:
    ds = picture()
    ds.PixelData += even(NAME)
    return ds


JPEG_LIKE = b"\xff\xd8\xff\xe1\x00\x20Exif\0\0" + NAME + b"\xff\xd9"
PLANTED: dict[str, bytes] = {
    "preamble": NAME + WHOLE[len(NAME) :],
    "preamble that is a TIFF": tiff_in_preamble(),
    "source AE title": in_meta(explicit(0x00020016, b"AE", even(NAME))),
    "sending and receiving AE title": in_meta(explicit(0x00020017, b"AE", even(NAME)), explicit(0x00020018, b"AE", even(NAME))),
    "private file meta": in_meta(explicit(0x00020100, b"UI", b"1.2.3\0"), explicit(0x00020102, b"OB", even(NAME))),
    "implementation version": in_meta(explicit(0x00020013, b"SH", even(NAME))),
    "unknown file meta": in_meta(explicit(0x00020999, b"LO", even(NAME))),
    "file meta in the data set": WHOLE[:META_END] + explicit(0x00020016, b"AE", even(NAME)) + WHOLE[META_END:],
    "command elements": WHOLE[:META_END] + implicit(0x00001000, even(NAME)) + WHOLE[META_END:],
    "directory elements": WHOLE[:META_END] + explicit(0x00041130, b"CS", even(NAME)) + WHOLE[META_END:],
    "trailing padding": WHOLE + explicit(0xFFFCFFFC, b"OB", even(NAME)),
    "zeros and a few bytes behind": WHOLE + b"\0" * 6,
    "group length": WHOLE[:META_END] + explicit(0x00080000, b"UL", even(NAME)) + WHOLE[META_END:],
    "group length of a private group": before_pixels(explicit(0x00290000, b"UN", even(NAME))),
    "digital signature": WHOLE + explicit(0xFFFAFFFA, b"SQ", implicit(0xFFFEE000, explicit(0x04000120, b"OB", even(NAME)))),
    "digital signature in an item": stored(
        picture(ReferencedImageSequence=sequence(item(DigitalSignaturesSequence=sequence(signature()))))
    ),
    "MAC parameters": stored(picture(MACParametersSequence=sequence(item(MACAlgorithm=NAME.decode().upper(), MACIDNumber=1)))),
    "original attributes": stored(
        picture(
            OriginalAttributesSequence=sequence(
                item(ModifiedAttributesSequence=sequence(item(PatientName=NAME.decode())), SourceOfPreviousValues=NAME.decode())
            )
        )
    ),
    "encrypted attributes": stored(picture(EncryptedAttributesSequence=sequence(item(EncryptedContent=even(NAME))))),
    "icon": stored(picture(IconImageSequence=sequence(icon()))),
    "icon in a sequence": stored(picture(ReferencedImageSequence=sequence(item(IconImageSequence=sequence(icon()))))),
    "pixels in a sequence": stored(picture(ReferencedImageSequence=sequence(icon()))),
    "overlay": stored(picture()).replace(
        WHOLE[PIXELS_AT:], explicit(0x60003000, b"OW", even(NAME)) + explicit(0x60001500, b"LO", even(NAME)) + WHOLE[PIXELS_AT:]
    ),
    "curve": before_pixels(explicit(0x50003000, b"OW", even(NAME))),
    "audio of a curve": before_pixels(explicit(0x5000200C, b"OW", even(NAME))),
    "variable pixel data": before_pixels(explicit(0x7F000010, b"OW", even(NAME))),
    "behind the last frame": stored(behind_the_last_frame()),
    "private OB": stored(private("OB", even(NAME))),
    "private OW": stored(private("OW", even(NAME))),
    "private UN": stored(private("UN", even(NAME))),
    "private JPEG": stored(private("OB", even(JPEG_LIKE))),
    "private text": stored(private("LT", even(NAME))),
    "private OB of a creator that has safe elements": stored(private("OB", even(NAME), "SIEMENS CSA HEADER")),
    "private without a creator": before_pixels(explicit(0x00291010, b"OB", even(NAME))),
    "name as UN": before_pixels(explicit(0x00101001, b"UN", even(NAME))),
    "text as UN": before_pixels(explicit(0x00204000, b"UN", even(NAME))),
    "name with an unknown VR": before_pixels(explicit(0x00101001, b"ZZ", even(NAME))),
    "UN sequence of defined length": before_pixels(
        explicit(0x00081140, b"UN", implicit(0xFFFEE000, implicit(0x00204000, even(NAME))))
    ),
    "UN sequence of undefined length": before_pixels(explicit(0x00081140, b"UN", implicit_items(1), 0xFFFFFFFF)),
    "UN sequences in UN sequences": before_pixels(explicit(0x00081140, b"UN", implicit_items(3), 0xFFFFFFFF)),
    "private UN sequence": before_pixels(
        explicit(0x00290010, b"LO", b"ACME 1.1"), explicit(0x00291010, b"UN", implicit_items(2), 0xFFFFFFFF)
    ),
    "unlisted OB": before_pixels(explicit(0x00189999, b"OB", even(NAME))),
}  # fmt: skip


@pytest.mark.parametrize("place", PLANTED)
def test_what_is_planted_in_a_container_is_gone_from_the_bytes(place, cleaner):
    planted = PLANTED[place]
    assert NAME in planted
    content = cleaner.clean(planted).content
    assert NAME not in content
    assert b"Zymurgy" not in content
    assert np.array_equal(stack(pydicom.dcmread(io.BytesIO(content))), GREY)


REFUSED = {
    "an encapsulated document": (stored(picture(EncapsulatedDocument=even(NAME))), Reason.ENCAPSULATED_DOCUMENT),
    "a directory": (before_pixels(explicit(0x00041220, b"SQ", b"")), Reason.DICOMDIR),
    "audio": (stored(instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.9.4.1")), Reason.SOP_CLASS_NOT_ADMITTED),
}


@pytest.mark.parametrize("place", REFUSED)
def test_containers_that_nobody_can_clean_are_refused(place, cleaner):
    planted, reason = REFUSED[place]
    with pytest.raises(Refused) as refusal:
        cleaner.clean(planted)
    assert refusal.value.reason is reason


BEHIND = {
    "text": NAME,
    "text of a few letters": NAME[:5],
    "much text": NAME * 9000,
    "capitals": NAME.upper() * 9000,
    "another object": stored(picture(PatientName="Zymurgy^Quentin")),
    "another object with a preamble": b"II*\0" + NAME.ljust(124) + stored(picture(PatientName="Zymurgy^Quentin"))[128:],
    "filler of FF": b"\xff" * 100 + NAME,
    "zeros and text": b"\0" * 61 + NAME,
    "padding": explicit(0xFFFCFFFC, b"OB", even(NAME)),
    "padding that is cut": explicit(0xFFFCFFFC, b"OB", even(NAME))[:-4],
}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("behind", BEHIND)
def test_what_follows_the_data_set_is_gone(behind, syntax, cleaner):
    content = cleaner.clean(stored(picture(), syntax) + BEHIND[behind]).content
    assert NAME not in content
    assert b"Zymurgy" not in content
    assert np.array_equal(stack(pydicom.dcmread(io.BytesIO(content))), GREY)


@pytest.mark.parametrize("behind", [name for name in BEHIND if name != "text of a few letters"])
def test_what_follows_a_data_set_without_pixels_is_gone(behind, longitudinal):
    _, written, after = cleaned(longitudinal, as_bytes(instance(ImageComments="ok")) + BEHIND[behind])
    assert b"Zymurgy" not in written
    assert after.ImageComments == "ok"


@pytest.mark.parametrize("most", sorted({*range(1, 60)} - {10, 52}))  # 10 and 52 bytes are whole elements
def test_an_object_that_breaks_off_is_not_taken_for_one_with_something_behind(most):
    plain = as_bytes(instance(ImageComments="A nodule of 3 mm in the left lung.", WindowCenter="40"))
    with pytest.raises(Refused) as refusal:
        read_dataset(plain[:-most])
    assert refusal.value.reason is Reason.TRUNCATED


def test_what_follows_a_deflated_data_set_is_gone(cleaner):
    plain = stored(picture())
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(plain[META_END:]) + packer.flush()
    head = stored(picture(), DEFLATED)
    content = cleaner.clean(head[: 132 + 12 + struct.unpack("<L", head[140:144])[0]] + body + NAME).content
    assert NAME not in content
    assert np.array_equal(stack(pydicom.dcmread(io.BytesIO(content))), GREY)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_file_meta_is_made_anew(syntax, cleaner):
    written = pydicom.dcmread(io.BytesIO(cleaner.clean(stored(picture(), syntax)).content))
    assert written.preamble == b"\0" * 128
    assert written.file_meta.TransferSyntaxUID == syntax
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID != instance().SOPInstanceUID
    assert {element.tag.element for element in written.file_meta} == {0, 1, 2, 3, 0x10, 0x12, 0x13}


THREE = gradient(32, 48, "uint8", 3)


def compressed(offset_table: bytes = b"", *, lengths: bytes | None = None) -> bytes:
    """Three RLE frames behind the Basic Offset Table given; with `lengths`, an Extended Offset Table that ends in them."""
    ds = picture(THREE, objects.RLE)
    frames = list(generate_frames(ds.PixelData, number_of_frames=3))
    ds.PixelData = implicit(0xFFFEE000, even(offset_table)) + encapsulate(frames, has_bot=False)[8:]
    ds["PixelData"].is_undefined_length = True
    if lengths is not None:
        starts = [0, len(frames[0]) + 8, len(frames[0]) + len(frames[1]) + 16]
        ds.ExtendedOffsetTable = struct.pack("<3Q", *starts) + lengths
        ds.ExtendedOffsetTableLengths = struct.pack("<3Q", *map(len, frames)) + lengths
    return as_bytes(ds, objects.RLE)


ENCAPSULATED = compressed()
END_AT = ENCAPSULATED.rindex(implicit(0xFFFEE0DD, b""))
AROUND_FRAGMENTS = {
    "name in the basic offset table": (compressed(NAME), Reason.PIXEL_GEOMETRY),
    "wrong offsets": (compressed(struct.pack("<3L", 0, 2**31, 5)), Reason.PIXEL_GEOMETRY),
    "name in the extended offset table": (compressed(lengths=even(NAME)), Reason.PIXEL_GEOMETRY),
    "one more fragment": (
        ENCAPSULATED[:END_AT] + implicit(0xFFFEE000, even(NAME)) + ENCAPSULATED[END_AT:],
        Reason.PIXEL_GEOMETRY,
    ),
    "bytes between fragments": (ENCAPSULATED[:END_AT] + even(NAME) + ENCAPSULATED[END_AT:], Reason.TRUNCATED),
}


@pytest.mark.parametrize(
    "planted",
    [ENCAPSULATED + even(NAME), ENCAPSULATED[:END_AT] + implicit(0xFFFEE0DD, even(NAME))],
    ids=["behind the delimiter", "as its value"],
)
def test_what_follows_the_last_fragment_is_gone(planted, cleaner):
    assert NAME not in cleaner.clean(planted).content


@pytest.mark.parametrize("place", AROUND_FRAGMENTS)
def test_what_stands_around_the_fragments_refuses_the_object(place, cleaner):
    planted, reason = AROUND_FRAGMENTS[place]
    with pytest.raises(Refused) as refusal:
        cleaner.clean(planted)
    assert refusal.value.reason is reason


@pytest.mark.parametrize("syntax", [objects.RLE, objects.JPEG_LS, objects.J2K_LOSSLESS, objects.JPEG_LOSSLESS])
def test_an_offset_table_that_no_decoder_looks_at_is_emptied(syntax, cleaner):
    ds = picture(GREY, syntax)
    stranger = even(b"Rotwang^Hel")
    ds.PixelData = implicit(0xFFFEE000, stranger) + ds.PixelData[ds.PixelData.index(implicit(0xFFFEE000, b"")[:4], 4) :]
    ds["PixelData"].is_undefined_length = True
    raw = as_bytes(ds, syntax)
    assert stranger in raw
    content = cleaner.clean(raw).content
    assert stranger not in content
    assert np.array_equal(stack(pydicom.dcmread(io.BytesIO(content))), GREY)


def test_a_right_extended_offset_table_is_used(cleaner):
    content = cleaner.clean(compressed(lengths=b"")).content
    assert np.array_equal(stack(pydicom.dcmread(io.BytesIO(content))), THREE)


@pytest.mark.parametrize("syntax", [objects.RLE, objects.JPEG_LS])
@pytest.mark.parametrize("boxes", [0, 1])
def test_offset_tables_fit_the_frames_afterwards(syntax, boxes):
    pixels = gradient(32, 48, "uint8", 3)
    found = [objects.FoundText(10, 10, 12, 6, 0.9, 5)] * boxes
    key = Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")
    content = InstanceCleaner(Profile.named("longitudinal"), key, FixedFinder(*found)).clean(
        as_bytes(picture(pixels, syntax), syntax)
    )
    ds = pydicom.dcmread(io.BytesIO(content.content))
    frames = list(generate_frames(ds.PixelData, number_of_frames=3))
    starts = parse_basic_offsets(ds.PixelData)
    assert starts == [0, len(frames[0]) + 8, len(frames[0]) + len(frames[1]) + 16]
    assert "ExtendedOffsetTable" not in ds
    assert len(frames) == 3


def spectrum(**elements: object) -> Dataset:
    ds = instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.2", Rows=1, Columns=1, NumberOfFrames="1")
    ds.DataPointRows, ds.DataPointColumns, ds.DataRepresentation = 1, 4, "COMPLEX"
    ds.SpectroscopyData = SAMPLES + even(NAME)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def waveform(**elements: object) -> Dataset:
    group = item(NumberOfWaveformChannels=2, NumberOfWaveformSamples=8, WaveformBitsAllocated=16, WaveformData=SAMPLES)
    group.WaveformData += even(NAME)
    group["WaveformData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(group, keyword, value)
    return instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1", WaveformSequence=sequence(group))


SAMPLES = struct.pack("<8f", *range(8))


@pytest.mark.parametrize("ds", [spectrum(), waveform()], ids=["spectroscopy", "waveform"])
def test_samples_are_cut_to_what_the_header_declares(ds, cleaner):
    raw = as_bytes(ds)
    assert NAME in raw
    content = cleaner.clean(raw).content
    assert NAME not in content
    assert SAMPLES in content


UNDECLARED = [spectrum(DataPointColumns=None), spectrum(Rows=None), waveform(NumberOfWaveformSamples=None)]


@pytest.mark.parametrize("ds", UNDECLARED)
def test_samples_whose_number_nobody_declares_are_refused(ds, cleaner):
    with pytest.raises(Refused) as refusal:
        cleaner.clean(as_bytes(ds))
    assert refusal.value.reason is Reason.PIXEL_GEOMETRY
