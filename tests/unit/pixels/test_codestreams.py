"""Metadata inside compressed frames goes, the picture stays; a codec's own signature may stay."""

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames

from gradient_assets.deid.pixels import PixelEngine
from gradient_assets.deid.pixels.codestreams import (
    JXL_SIGNATURE,
    BrokenStreamError,
    bare_j2k,
    bare_jpeg,
    bare_jpegxl,
    j2k_transforms_colour,
)
from tests.unit.pixels import objects
from tests.unit.pixels.objects import FixedFinder, gradient, object_of, stack

GREY = gradient(48, 64, "uint8")[0]
NAME = b"MEIER^ANNA"
JPEG = bytes(imagecodecs.jpeg8_encode(GREY, level=90))
J2K = bytes(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="j2k", reversible=True))


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def j2k_with_comment_in_tile() -> bytes:
    at = J2K.index(b"\xff\x90")
    comment = b"\xff\x64" + struct.pack(">HH", 4 + len(NAME), 1) + NAME
    length = struct.unpack_from(">I", J2K, at + 6)[0]
    tile = J2K[at : at + 6] + struct.pack(">I", length + len(comment) if length else 0) + J2K[at + 10 : at + 12]
    return J2K[:at] + tile + comment + J2K[at + 12 :]


def j2k_with_comment() -> bytes:
    at = J2K.index(b"\xff\x90")
    return J2K[:at] + b"\xff\x64" + struct.pack(">HH", 4 + len(NAME), 1) + NAME + J2K[at:]


def jp2() -> bytes:
    boxes = bytes(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="jp2", reversible=True))
    at = boxes.index(b"jp2c") - 4
    return boxes[:at] + struct.pack(">I4s", 8 + len(NAME), b"xml ") + NAME + boxes[at:]


def with_box(kind: bytes, brand: bytes = b"jp2 ") -> bytes:
    """A JPEG 2000 file with one more box before its codestream."""
    boxes = bytes(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="jp2", reversible=True)).replace(b"jp2 ", brand)
    at = boxes.index(b"jp2c") - 4
    body = (b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac" if kind == b"uuid" else b"") + NAME
    return boxes[:at] + struct.pack(">I4s", 8 + len(body), kind) + body + boxes[at:]


HTJ2K = bytes(imagecodecs.htj2k_encode(GREY, reversible=True))


def htj2k_with_comment() -> bytes:
    at = HTJ2K.index(b"\xff\x90")
    return HTJ2K[:at] + b"\xff\x64" + struct.pack(">HH", 4 + len(NAME), 1) + NAME + HTJ2K[at:]


def jxl(kind: bytes = b"Exif") -> bytes:
    inner = bytes(imagecodecs.jpegxl_encode(GREY, lossless=True, usecontainer=False))
    exif = struct.pack(">I4s", 8 + len(NAME), kind) + NAME
    return JXL_SIGNATURE + exif + struct.pack(">I4s", 8 + len(inner), b"jxlc") + inner


JP2_BOXES = [b"uuid", b"xml ", b"jp2i", b"uinf", b"asoc", b"free"]
JXL_BOXES = [b"Exif", b"xml ", b"brob", b"jumb", b"jbrd"]
PLANTED = [
    ("jpeg exif", objects.JPEG_BASELINE, JPEG[:2] + segment(0xE1, b"Exif\0\0" + NAME) + JPEG[2:]),
    ("jpeg comment", objects.JPEG_BASELINE, JPEG[:2] + segment(0xFE, NAME) + JPEG[2:]),
    (
        "jpeg app14 that is too long",
        objects.JPEG_BASELINE,
        JPEG[:2] + segment(0xEE, b"Adobe\0d\0\0\0\0\0" + NAME) + JPEG[2:],
    ),
    ("jpeg tail", objects.JPEG_BASELINE, JPEG + NAME),
    (
        "jpeg-ls comment",
        objects.JPEG_LS,
        b"\xff\xd8" + segment(0xFE, NAME) + bytes(imagecodecs.jpegls_encode(GREY))[2:],
    ),
    ("j2k comment", objects.J2K_LOSSLESS, j2k_with_comment()),
    ("j2k comment in a tile-part", objects.J2K_LOSSLESS, j2k_with_comment_in_tile()),
    ("j2k tail", objects.J2K_LOSSLESS, J2K + NAME),
    ("jp2 container", objects.J2K_LOSSLESS, jp2()),
    *((f"jpeg 2000 {kind.decode()} box", objects.J2K_LOSSLESS, with_box(kind)) for kind in JP2_BOXES),
    ("jpx xml box", objects.J2K_LOSSLESS, with_box(b"xml ", b"jpx ")),
    ("htj2k comment", "1.2.840.10008.1.2.4.201", htj2k_with_comment()),
    ("htj2k tail", "1.2.840.10008.1.2.4.201", HTJ2K + NAME),
    *((f"jpeg app{n}", objects.JPEG_BASELINE, JPEG[:2] + segment(0xE0 + n, NAME) + JPEG[2:]) for n in range(16)),
    *((f"jpeg xl {kind.decode()} box", objects.JPEG_XL_LOSSLESS, jxl(kind)) for kind in JXL_BOXES),
]


@pytest.mark.parametrize(("syntax", "stream"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_a_name_inside_an_untouched_frame_is_gone_and_the_picture_is_the_same(syntax, stream):
    ds = object_of(GREY[None], syntax=objects.JPEG_LS)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream])
    assert NAME in ds.PixelData
    before = stack(ds)
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert NAME not in cleaned.dataset.PixelData
    assert cleaned.dataset.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(stack(cleaned.dataset), before)
    assert cleaned.verdict == "clean"


@pytest.mark.parametrize("comment", [b"LEAD Technologies Inc. V1.01\0", b"JPEG Pro"])
def test_a_codecs_own_comment_leaves_the_frame_as_it_was(comment):
    stream = JPEG[:2] + segment(0xFE, comment) + JPEG[2:]
    assert bare_jpeg(stream) is stream


def test_a_codecs_comment_with_more_in_it_goes():
    assert NAME not in bare_jpeg(JPEG[:2] + segment(0xFE, b"JPEG Pro" + NAME) + JPEG[2:])


@pytest.mark.parametrize("cut", [1, 3, 20, 200, -30, -2])
def test_a_stream_that_breaks_off_is_an_error(cut):
    with pytest.raises(BrokenStreamError):
        bare_jpeg(JPEG[:cut])


@pytest.mark.parametrize("transformed", [True, False])
@pytest.mark.parametrize(
    "encode",
    [
        lambda picture, mct: imagecodecs.jpeg2k_encode(picture, level=0, codecformat="j2k", reversible=True, mct=mct),
        lambda picture, mct: imagecodecs.htj2k_encode(picture, reversible=True, rgb=mct),
    ],
)
def test_jpeg_2000_says_whether_its_colours_are_transformed(encode, transformed):
    stream = bytes(encode(np.stack([GREY] * 3, axis=-1), transformed))
    assert j2k_transforms_colour(stream) is transformed
    for cut in (12, stream.index(b"\xff\x52") + 2, stream.index(b"\xff\x52") + 8):
        with pytest.raises(BrokenStreamError):
            j2k_transforms_colour(stream[:cut])


def test_a_container_without_a_codestream_is_an_error():
    with pytest.raises(BrokenStreamError):
        bare_jpegxl(JXL_SIGNATURE + struct.pack(">I4s", 8, b"free"))
    with pytest.raises(BrokenStreamError):
        bare_j2k(b"\x00\x00\x00\x0cjP  \r\n\x87\n")


def test_fragmented_frames_are_joined_to_one_item_each():
    ds = object_of(GREY[None], syntax=objects.JPEG_LS)
    ds.PixelData = encapsulate([JPEG[:2] + segment(0xFE, NAME) + JPEG[2:]], fragments_per_frame=3)
    ds.file_meta.TransferSyntaxUID = objects.JPEG_BASELINE
    cleaned = PixelEngine(FixedFinder()).clean(ds).dataset
    assert next(generate_frames(cleaned.PixelData, number_of_frames=1)).rstrip(b"\0") == JPEG
