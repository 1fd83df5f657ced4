"""What a JPEG XL stream declares is known before it is decoded, and what no frame of an object needs is refused by then."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from gradient_assets.deid.pixels import decode_frames, decoding
from gradient_assets.deid.pixels.codestreams import BrokenStreamError, StreamSize, bare_jpegxl
from gradient_assets.deid.pixels.jpegxl_header import jpegxl_facts
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels import objects
from tests.unit.pixels.objects import gradient, object_of

GREY = gradient(90, 108, "uint8")[0]
COLOUR = np.stack([GREY, GREY // 2, GREY // 3], axis=-1)
DEEP = GREY.astype(np.uint16) * 16


def encoded(picture, **settings):
    return bytes(imagecodecs.jpegxl_encode(picture, usecontainer=False, **settings))


def of_jpeg(picture, **settings):
    return bare_jpegxl(bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(picture, level=90, **settings))))


SIZES = [(8, 8), (48, 64), (256, 256), (257, 300), (3, 5), (600, 800), (1080, 1920), (64, 128), (90, 108), (1, 700)]


@pytest.mark.parametrize("size", SIZES)
def test_the_size_is_known_before_decoding(size):
    facts = jpegxl_facts(encoded(np.zeros(size, np.uint8), lossless=True, effort=1))
    assert facts.size == StreamSize(*size, 1, 8)


KINDS = [
    (GREY, {"lossless": True}, 8, False),
    (GREY, {"distance": 1.0}, 8, True),
    (DEEP, {"lossless": True, "bitspersample": 12}, 12, False),
    (DEEP, {"distance": 1.0}, 16, True),
    (COLOUR, {"lossless": True}, 8, False),
    (COLOUR, {"distance": 1.0}, 8, True),
    (COLOUR, {"distance": 3.0, "decodingspeed": 4}, 8, True),
]


@pytest.mark.parametrize("effort", [1, 3, 5, 7, 9])
@pytest.mark.parametrize(("picture", "settings", "bits", "transformed"), KINDS)
def test_depth_samples_and_colour_transform_are_known_before_decoding(picture, settings, bits, transformed, effort):
    facts = jpegxl_facts(encoded(picture, effort=effort, **settings))
    assert facts.size == StreamSize(90, 108, 3 if picture.ndim == 3 else 1, bits)
    assert facts.is_transformed is transformed


@pytest.mark.parametrize(
    ("stream", "transformed"),
    [
        (of_jpeg(COLOUR), True),
        (of_jpeg(COLOUR, subsampling="444"), True),
        (of_jpeg(COLOUR, colorspace="RGB", outcolorspace="RGB"), False),
    ],
)
def test_a_packed_jpeg_says_whether_it_holds_ycbcr(stream, transformed):
    assert jpegxl_facts(stream).is_transformed is transformed


def test_repeated_letters_that_are_stored_once_are_no_second_picture():
    page = np.zeros((300, 400), np.uint8)
    for top in range(10, 290, 24):
        for left in range(10, 380, 30):
            page[top : top + 9, left : left + 12][objects.LETTERS] = 255
    assert jpegxl_facts(encoded(page, lossless=True, effort=9)).size == StreamSize(300, 400, 1, 8)


REFUSED = {
    "animation": encoded(np.stack([COLOUR] * 5), lossless=True),
    "grey animation": encoded(np.stack([GREY] * 5)[..., None], lossless=True),
    "alpha": encoded(np.dstack([COLOUR, GREY]), lossless=True),
    "further planes": encoded(np.stack([GREY] * 4), lossless=True, planar=True, photometric="gray"),
    "floating point": encoded(COLOUR.astype(np.float32) / 255, lossless=True),
    "nothing": b"",
    "no header": b"\xff\x0a",
    "half a header": encoded(COLOUR, lossless=True)[:6],
    "another format": b"SECRET NAME" * 3,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_frame_needs_is_refused_and_never_decoded(name, monkeypatch):
    monkeypatch.setattr(decoding.imagecodecs, "jpegxl_decode", None)  # calling it would be a TypeError
    with pytest.raises(BrokenStreamError):
        jpegxl_facts(REFUSED[name])
    ds = object_of(COLOUR[None], syntax=objects.JPEG_XL_LOSSLESS)
    ds.PixelData = encapsulate([REFUSED[name] or b"\0\0"])
    with pytest.raises(Refused) as refused:
        next(iter(decode_frames(ds)))
    assert refused.value.reason is Reason.UNDECODABLE_PIXELS
    assert refused.value.detail == "BrokenStreamError"


def first_frame(*fields):
    """A stream of 64 × 64 pixels, all else by default, whose first frame's header has these fields: (value, bits)."""
    image = [(1, 1), (7, 5), (1, 3), (1, 1), (1, 1)]  # small, rows, square, metadata and transforms by default
    bits = np.zeros(400, np.uint8)
    at = 0
    for value, count in [*image, (0, 5), *fields]:  # the frame begins with the next byte
        bits[at : at + count] = [value >> place & 1 for place in range(count)]
        at += count
    return b"\xff\x0a" + np.packbits(bits, bitorder="little").tobytes()


def beginning(kind):
    """Not by default, the kind, blocks, no flags, no upsampling, scales; a kind other than 2 says its passes: one."""
    return [(0, 1), (kind, 2), (0, 1), (0, 2), (0, 2), (0, 6), *([] if kind == REFERENCE else [(0, 2)])]


REGULAR, LOW_RESOLUTION, REFERENCE = 0, 1, 2
WHOLE, OF_SIZE = [(0, 1)], [(1, 1)]
ORIGIN, AWAY = [(0, 2), (0, 8)] * 2, [(0, 2), (8, 8)] * 2
REPLACES, ADDS, LAST, NOT_LAST = (0, 2), (1, 2), (1, 1), (0, 1)


def sides(width, height):
    return [(0, 2), (width, 8), (0, 2), (height, 8)]


LAYERS, TOO_LARGE = "layers in a JPEG XL stream", "a JPEG XL frame larger than its picture"
FIRST_FRAMES = [
    ([(1, 1)], None),
    ([*beginning(REGULAR), *WHOLE, REPLACES, LAST], None),
    ([*beginning(REGULAR), *WHOLE, REPLACES, NOT_LAST], LAYERS),
    ([*beginning(REGULAR), *WHOLE, ADDS, LAST], LAYERS),
    ([*beginning(REGULAR), *OF_SIZE, *ORIGIN, *sides(64, 64), REPLACES, LAST], None),
    ([*beginning(REGULAR), *OF_SIZE, *ORIGIN, *sides(64, 48), REPLACES, LAST], LAYERS),
    ([*beginning(REGULAR), *OF_SIZE, *AWAY, *sides(64, 64), REPLACES, LAST], LAYERS),
    ([*beginning(REGULAR), *OF_SIZE, *ORIGIN, *sides(255, 64), REPLACES, LAST], TOO_LARGE),
    ([*beginning(REGULAR), *OF_SIZE, *ORIGIN, (3, 2), (2**29, 30), (0, 2), (1, 8), REPLACES, LAST], TOO_LARGE),
    ([*beginning(LOW_RESOLUTION), (0, 2)], None),
    ([*beginning(REFERENCE), *OF_SIZE, *sides(128, 64)], None),
    ([*beginning(REFERENCE), *OF_SIZE, *sides(129, 64)], TOO_LARGE),
]


@pytest.mark.parametrize(("fields", "complaint"), FIRST_FRAMES)
def test_a_first_frame_is_the_picture_or_holds_no_more_than_two(fields, complaint):
    if complaint is None:
        assert jpegxl_facts(first_frame(*fields)).size == StreamSize(64, 64, 3, 8)
        return
    with pytest.raises(BrokenStreamError, match=complaint):
        jpegxl_facts(first_frame(*fields))


@pytest.mark.parametrize(
    ("stream", "detail"),
    [
        (encoded(COLOUR, lossless=True, bitspersample=8), None),
        (encoded(GREY, lossless=True), "a compressed frame declares another size"),
        (encoded(COLOUR[:80], lossless=True), "a compressed frame declares another size"),
        (
            encoded(COLOUR.astype(np.uint16) * 256, lossless=True),
            "a compressed frame declares more bits than allocated",
        ),
    ],
)
def test_a_stream_must_declare_what_the_header_says(stream, detail):
    ds = object_of(COLOUR[None], syntax=objects.JPEG_XL_LOSSLESS)
    ds.PixelData = encapsulate([stream])
    if detail is None:
        assert np.array_equal(next(iter(decode_frames(ds))), COLOUR)
        return
    with pytest.raises(Refused) as refused:
        next(iter(decode_frames(ds)))
    assert (refused.value.reason, refused.value.detail) == (Reason.PIXEL_GEOMETRY, detail)
