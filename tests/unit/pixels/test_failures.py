"""Failure branches seen in other systems: none of them lets an original picture, a bomb or a claim that is not true out."""

import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence

from gradient_assets.deid.pixels import FoundText, PixelEngine, decode_frames
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.fill import Fill
from gradient_assets.deid.pixels.rendering import Look
from gradient_assets.deid.pixels.survey import Survey
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels import objects
from tests.unit.pixels.objects import BrightFinder, FailingFinder, FixedFinder, gradient, object_of, stack

TEXT = FoundText(20, 12, 24, 10, 0.9, 5)
GREY = gradient(48, 64, "uint8")
SECRET = b"SECRET NAME"


def refusal(ds: Dataset, finder=None) -> Refused:
    with pytest.raises(Refused) as refused:
        PixelEngine(finder or FixedFinder(TEXT)).clean(ds)
    assert "SECRET" not in str(refused.value)
    return refused.value


# --- detection ---------------------------------------------------------------------------------------------------------


@dataclass
class LateFailure:
    """Answers once, then fails: an engine that dies on a later frame or in the second look."""

    error: type[BaseException]
    name: str = "late-failure"
    looks: int = 0

    def find(self, image):
        self.looks += 1
        if self.looks > 1:
            raise self.error("SECRET NAME")
        return [TEXT]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, TimeoutError, OSError, KeyError])
@pytest.mark.parametrize("frames", [1, 3])
def test_an_error_of_the_detector_refuses_the_object_and_hands_nothing_out(error, frames):
    ds = object_of(gradient(48, 64, "uint8", frames))
    assert refusal(ds, FailingFinder(error)).reason is Reason.PIXEL_ENGINE_FAILED
    assert refusal(ds, LateFailure(error)).reason is Reason.PIXEL_ENGINE_FAILED


# --- filling -----------------------------------------------------------------------------------------------------------


def fill_of(ds: Dataset, *boxes: Box) -> Fill:
    source = decode_frames(ds)
    survey = Survey(FixedFinder(), source, Look(source.shape, source.photometric, ds), clear_hidden=False)
    for index, frame in enumerate(source):
        survey.add(index, frame)
    survey.own[0] = list(boxes)
    return Fill(survey, ds)


BOX = Box(16, 8, 32, 18, "test", 0.9, 0)


def test_a_fill_that_changes_nothing_is_refused():
    frames = GREY.copy()
    frames[0, 8:26, 16:48] = 0
    with pytest.raises(Refused) as refused:
        fill_of(object_of(frames), BOX).store(object_of(frames))
    assert refused.value.reason is Reason.REDACTION_FAILED


def test_a_box_outside_the_frame_is_refused():
    with pytest.raises(Refused) as refused:
        fill_of(object_of(GREY), Box(70, 8, 5, 5, "test", 0.9, 0)).store(object_of(GREY))
    assert refused.value.reason is Reason.REDACTION_FAILED


class KeepsOriginals(Fill):
    """Stores what came in: the mistake of returning the original when a fill failed."""

    lies = False

    def changed_frame(self, index):
        return self.source[index] if self.lies else super().changed_frame(index)

    def _is_changed(self, index):
        self.lies = True
        return True


@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.RLE, objects.JPEG_LS, objects.DEFLATED_FRAMES])
def test_original_pixels_that_were_stored_after_all_are_refused(syntax):
    ds = object_of(GREY, syntax=syntax)
    fill = fill_of(ds, BOX)
    fill.__class__ = KeepsOriginals
    with pytest.raises(Refused) as refused:
        fill.store(ds)
    assert refused.value.reason is Reason.REDACTION_FAILED


def test_what_is_stored_right_is_proved_and_described():
    ds = object_of(GREY)
    assert "blacked out" in fill_of(ds, BOX).store(ds)
    assert (stack(ds)[0][BOX.slices] == 0).all()


def test_method_codes_name_only_what_was_done():
    plain = object_of(GREY)
    assert PixelEngine(FixedFinder()).clean(plain).method_codes == ()
    assert PixelEngine(FixedFinder(TEXT)).clean(plain).method_codes == ("113101",)
    plain.add_new((0x6000, 0x3000), "OW", b"\xff" * 384)
    assert PixelEngine(FixedFinder()).clean(plain).method_codes == ("113103",)


# --- places where names survived ---------------------------------------------------------------------------------------


def bright_on(frames: np.ndarray, index: int) -> np.ndarray:
    frames = frames.copy()
    frames[index, 12:22, 20:44] = 255
    return frames


@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.RLE, objects.JPEG_LS, objects.J2K_LOSSLESS])
@pytest.mark.parametrize("index", [1, 4])
def test_a_name_on_a_later_frame_is_gone(syntax, index):
    ds = object_of(bright_on(gradient(48, 64, "uint8", 5), index), syntax=syntax)
    assert stack(PixelEngine(BrightFinder()).clean(ds).dataset)[:, 12:22, 20:44].max() == 0


def test_a_name_in_a_high_bit_is_gone_also_where_no_overlay_is_declared():
    values = gradient(48, 64, "uint16", 3)
    hidden = values.copy()
    hidden[2, 12:22, 20:44] |= 1 << 15
    cleaned = PixelEngine(BrightFinder()).clean(object_of(hidden, BitsStored=12, HighBit=11))
    assert stack(cleaned.dataset).max() < 4096


def test_a_name_in_an_icon_at_any_depth_is_gone():
    ds, item = object_of(GREY), Dataset()
    item.IconImageSequence = Sequence([object_of(GREY)])
    ds.ReferencedImageSequence = Sequence([item])
    ds.IconImageSequence = Sequence([object_of(GREY)])
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert not [e for e in cleaned.dataset.iterall() if e.keyword == "IconImageSequence"]


@pytest.mark.parametrize("found", [(), (TEXT,)], ids=["untouched", "touched"])
def test_a_name_in_the_exif_block_of_a_jpeg_is_gone(found):
    stream = bytes(imagecodecs.jpeg8_encode(GREY[0], level=90))
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(SECRET)) + b"Exif\0\0" + SECRET
    ds = object_of(GREY, syntax=objects.JPEG_LS)
    ds.file_meta.TransferSyntaxUID = objects.JPEG_BASELINE
    ds.PixelData = encapsulate([stream[:2] + exif + stream[2:]])
    assert SECRET not in PixelEngine(FixedFinder(*found)).clean(ds).dataset.PixelData


# --- bytes that no decoder shows ---------------------------------------------------------------------------------------


def rle_frame() -> bytes:
    return decode_frames(object_of(GREY, syntax=objects.RLE)).streams[0]


def deflated_frame() -> bytes:
    return decode_frames(object_of(GREY, syntax=objects.DEFLATED_FRAMES)).streams[0]


def jpegxl_frame() -> bytes:
    return decode_frames(object_of(GREY, syntax=objects.JPEG_XL_LOSSLESS)).streams[0]


def rle_with(offset: int, value: int) -> bytes:
    frame = bytearray(rle_frame())
    struct.pack_into("<I", frame, 4 * offset, value)
    return bytes(frame)


BEHIND = {
    "rle literal": (objects.RLE, rle_frame() + bytes([len(SECRET) - 1]) + SECRET),
    "rle half a literal": (objects.RLE, rle_frame() + bytes([100]) + SECRET),
    "rle offset outside": (objects.RLE, rle_with(1, 1 << 30)),
    "rle offset in the header": (objects.RLE, rle_with(1, 8)),
    "rle one segment more": (objects.RLE, rle_with(0, 2)),
    "deflate": (objects.DEFLATED_FRAMES, deflated_frame().rstrip(b"\0") + SECRET),
    "deflate that never ends": (objects.DEFLATED_FRAMES, deflated_frame().rstrip(b"\0")[:-4]),
    "jpeg xl": (objects.JPEG_XL_LOSSLESS, jpegxl_frame() + SECRET),
}


@pytest.mark.parametrize("name", BEHIND)
def test_bytes_that_belong_to_no_picture_refuse_the_object(name):
    syntax, stream = BEHIND[name]
    ds = object_of(GREY, syntax=syntax)
    ds.PixelData = encapsulate([stream])
    assert refusal(ds, FixedFinder()).reason in (Reason.UNDECODABLE_PIXELS, Reason.PIXEL_GEOMETRY)


def two_frames() -> Dataset:
    return object_of(gradient(48, 64, "uint8", 2), syntax=objects.JPEG_LS)


def test_a_basic_offset_table_that_leaves_a_fragment_out_is_refused():
    ds = two_frames()
    streams = list(decode_frames(ds).streams)
    hidden = encapsulate([SECRET + b"\0", *streams], has_bot=False)[8:]
    first = 8 + 12
    second = first + 8 + len(streams[0]) + len(streams[0]) % 2
    ds.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<III", 8, first, second) + hidden
    assert refusal(ds).reason in (Reason.PIXEL_GEOMETRY, Reason.UNDECODABLE_PIXELS)


def test_a_basic_offset_table_that_is_only_wrong_is_emptied_and_every_frame_looked_at():
    ds = two_frames()
    streams = list(decode_frames(ds).streams)
    ds.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<III", 8, 0, 7) + encapsulate(streams, has_bot=False)[8:]
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert cleaned.dataset.PixelData == encapsulate(streams, has_bot=False)
    assert cleaned.frames == 2


@pytest.mark.parametrize("offsets", [(5000, 9000), (4, 0)])
def test_a_basic_offset_table_that_points_between_fragments_is_refused(offsets):
    ds = two_frames()
    value = encapsulate(list(decode_frames(ds).streams), has_bot=False)
    ds.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<III", 8, *offsets) + value[8:]
    assert refusal(ds).reason in (Reason.PIXEL_GEOMETRY, Reason.UNDECODABLE_PIXELS)


def test_extended_lengths_that_leave_bytes_out_are_refused():
    ds = two_frames()
    streams = list(decode_frames(ds).streams)
    ds.PixelData, offsets, _ = encapsulate_extended([streams[0] + SECRET * 2, streams[1]])
    ds.ExtendedOffsetTable = offsets
    ds.ExtendedOffsetTableLengths = struct.pack("<QQ", len(streams[0]), len(streams[1]))
    assert refusal(ds).reason is Reason.PIXEL_GEOMETRY


# --- bombs -------------------------------------------------------------------------------------------------------------

BOMBS = """
import resource, struct, zlib
import numpy as np, imagecodecs
from pydicom.encaps import encapsulate
from tests.unit.pixels import objects
from tests.unit.pixels.objects import FixedFinder, gradient, object_of
from gradient_assets.deid.pixels import PixelEngine
from gradient_assets.deid.reasons import Refused

GREY = gradient(48, 64, "uint8")
BIG = 60_000

def jpeg_of(encoded):
    stream = bytearray(encoded)
    at = next(i for i in range(len(stream)) if stream[i] == 0xFF and stream[i + 1] in (0xC0, 0xC1, 0xC3, 0xF7))
    struct.pack_into(">HH", stream, at + 5, BIG, BIG)
    return bytes(stream)

def j2k_of(stream, size, tile):
    stream = bytearray(stream)
    struct.pack_into(">IIIIIIII", stream, 8, *size, 0, 0, *tile, 0, 0)
    return bytes(stream)

def packed():
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(squeeze.compress(bytes(1 << 24)) for _ in range(64)) + squeeze.flush()

J2K = bytes(imagecodecs.jpeg2k_encode(GREY[0], level=0, codecformat="j2k", reversible=True))
LARGE_XL = b"\\xff\\x0a" + (0 | 3 << 1 | (BIG - 1) << 3 | 1 << 33).to_bytes(12, "little") + bytes(40)
UID = "1.2.840.10008.1.2.4.{}".format
STREAMS = {
    "rle that grows": (objects.RLE, struct.pack("<16I", 1, 64, *[0] * 14) + b"\\x81\\x00" * (8 << 20)),
    "deflate that grows": (objects.DEFLATED_FRAMES, packed()),
    "jpeg": (UID(50), jpeg_of(imagecodecs.jpeg8_encode(GREY[0]))),
    "jpeg lossless": (UID(70), jpeg_of(imagecodecs.jpeg8_encode(GREY[0], lossless=True, predictor=1))),
    "jpeg-ls": (UID(80), jpeg_of(imagecodecs.jpegls_encode(GREY[0]))),
    "jpeg 2000": (UID(90), j2k_of(J2K, (BIG, BIG), (BIG, BIG))),
    "jpeg 2000 65535 tiles": (UID(90), j2k_of(J2K, (65_535, 1), (1, 1))),
    "htj2k": (UID(201), j2k_of(J2K, (BIG, BIG), (BIG, BIG))),
    "jpeg xl": (UID(110), LARGE_XL),
}
room = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (300 << 20)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
for name, (syntax, stream) in STREAMS.items():
    ds = object_of(GREY)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream])
    if "tiles" in name:
        ds.Rows, ds.Columns = 1, 65_535
    try:
        PixelEngine(FixedFinder()).clean(ds)
        print(name, "passed")
    except Refused as refused:
        print(name, refused.reason, refused.detail, sep="|")
TOO_LARGE = {"frames": {"NumberOfFrames": 19_999, "Rows": 9_000}, "sides": {"Rows": 65_535, "Columns": 65_535}}
for name, attributes in TOO_LARGE.items():
    ds = object_of(GREY)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    try:
        PixelEngine(FixedFinder()).clean(ds)
        print(name, "passed")
    except Refused as refused:
        print(name, refused.reason, refused.detail, sep="|")
ds = object_of(GREY, syntax=objects.RLE)
ds.PixelData = b"\\xfe\\xff\\x00\\xe0\\x00\\x00\\x00\\x00" * 300_000
try:
    PixelEngine(FixedFinder()).clean(ds)
    print("fragments passed")
except Refused as refused:
    print("fragments", refused.reason, refused.detail, sep="|")
"""


def test_bombs_are_refused_within_300_megabytes():
    """Each of them would take gigabytes; running out of memory, which also refuses, does not count as bounded."""
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", BOMBS]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = {
        name: (reason, detail) for name, reason, detail in (line.split("|") for line in done.stdout.splitlines())
    }
    grew = "an inflated frame has another size than declared"
    other_size = ("pixel_geometry", "a compressed frame declares another size")
    assert outcome == {
        "rle that grows": ("undecodable_pixels", "ImcdError"),
        "deflate that grows": ("pixel_geometry", grew),
        **dict.fromkeys(["jpeg", "jpeg lossless", "jpeg-ls", "jpeg 2000", "htj2k", "jpeg xl"], other_size),
        "jpeg 2000 65535 tiles": ("undecodable_pixels", "BrokenStreamError"),
        "frames": ("pixels_too_large", "9000 x 64 x 19999 x 1"),
        "sides": ("pixels_too_large", "65535 x 65535 x 1 x 1"),
        "fragments": ("pixels_too_large", "more than 200000 fragments"),
    }


def test_a_jpeg_of_two_frame_headers_or_endless_scans_is_refused():
    stream = bytes(imagecodecs.jpeg8_encode(GREY[0], level=90))
    header = stream.index(b"\xff\xc0")
    end = header + 2 + struct.unpack_from(">H", stream, header + 2)[0]
    scan = stream.index(b"\xff\xda")
    for bomb in (
        stream[:end] + stream[header:end] + stream[end:],
        stream[:-2] + stream[scan:-2] * 300 + stream[-2:],
    ):
        ds = object_of(GREY, syntax=objects.JPEG_LS)
        ds.file_meta.TransferSyntaxUID = objects.JPEG_BASELINE
        ds.PixelData = encapsulate([bomb])
        refused = refusal(ds)
        assert (refused.reason, refused.detail) == (Reason.UNDECODABLE_PIXELS, "BrokenStreamError")
