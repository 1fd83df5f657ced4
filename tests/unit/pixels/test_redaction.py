"""Filled frames: black inside the boxes, bit for bit the same outside, in the same transfer syntax where that is exact."""

import imagecodecs
import numpy as np
import pytest

from gradient_assets.deid.pixels import FoundText, PixelEngine, encoding
from gradient_assets.deid.pixels.codestreams import bare_jpegxl
from gradient_assets.deid.pixels.decoding import _native_frame, decode_frames
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels import objects
from tests.unit.pixels.objects import FixedFinder, gradient, object_of, packaged, stack

TEXT = FoundText(20, 12, 24, 10, 0.9, 5)
INSIDE = (slice(8, 26), slice(16, 48))  # grown by 4 px


def colour(dtype="uint8"):
    grey = gradient(48, 64, dtype, frames=2)
    return np.stack([grey, grey + 3, grey + 9], axis=-1).astype(dtype)


LOSSLESS = [
    ("implicit", gradient(48, 64, "uint8", 2), {"syntax": objects.IMPLICIT}, 0),
    ("explicit 16", gradient(48, 64, "uint16", 2), {}, 0),
    ("explicit 12 in 16", gradient(48, 64, "uint16", 2), {"BitsStored": 12, "HighBit": 11}, 0),
    ("signed", gradient(48, 64, "int16", 2) - 100, {}, "smallest"),
    ("32 bit", gradient(48, 64, "uint32", 2), {}, 0),
    ("big endian", gradient(48, 64, "uint16", 2), {"syntax": objects.BIG_ENDIAN}, 0),
    ("rgb", colour(), {}, (0, 0, 0)),
    ("rgb planar", colour(), {"PlanarConfiguration": 1}, (0, 0, 0)),
    ("rgb 16", colour("uint16"), {}, (0, 0, 0)),
    ("ybr", colour(), {"PhotometricInterpretation": "YBR_FULL"}, (0, 128, 128)),
    ("rle", gradient(48, 64, "uint8", 2), {"syntax": objects.RLE}, 0),
    ("rle 16", gradient(48, 64, "uint16", 2), {"syntax": objects.RLE}, 0),
    ("rle rgb", colour(), {"syntax": objects.RLE}, (0, 0, 0)),
    ("deflated frames", gradient(48, 64, "uint16", 2), {"syntax": objects.DEFLATED_FRAMES}, 0),
    ("jpeg lossless", gradient(48, 64, "uint8", 2), {"syntax": objects.JPEG_LOSSLESS}, 0),
    (
        "jpeg lossless 12",
        gradient(48, 64, "uint16", 2),
        {"syntax": objects.JPEG_LOSSLESS, "BitsStored": 12, "HighBit": 11},
        0,
    ),
    ("jpeg-ls 16", gradient(48, 64, "uint16", 2), {"syntax": objects.JPEG_LS}, 0),
    ("jpeg-ls signed", gradient(48, 64, "int16", 2) - 100, {"syntax": objects.JPEG_LS}, "smallest"),
    ("jpeg-ls rgb", colour(), {"syntax": objects.JPEG_LS}, (0, 0, 0)),
    ("jpeg 2000", gradient(48, 64, "uint16", 2), {"syntax": objects.J2K_LOSSLESS}, 0),
    ("jpeg 2000 signed", gradient(48, 64, "int16", 2) - 100, {"syntax": objects.J2K_LOSSLESS}, "smallest"),
    ("jpeg 2000 rgb", colour(), {"syntax": objects.J2K_LOSSLESS, "PhotometricInterpretation": "YBR_RCT"}, (0, 0, 0)),
    ("jpeg xl", gradient(48, 64, "uint8", 2), {"syntax": objects.JPEG_XL_LOSSLESS}, 0),
    ("jpeg xl rgb", colour(), {"syntax": objects.JPEG_XL_LOSSLESS}, (0, 0, 0)),
    *(
        (f"ybr {name}", colour(), {"syntax": syntax, "PhotometricInterpretation": "YBR_FULL"}, (0, 128, 128))
        for name, syntax in (
            ("rle", objects.RLE),
            ("deflated frames", objects.DEFLATED_FRAMES),
            ("jpeg lossless", objects.JPEG_LOSSLESS),
            ("jpeg-ls", objects.JPEG_LS),
            ("jpeg 2000 lossless", objects.J2K_LOSSLESS),
            ("jpeg 2000", objects.J2K),
            ("jpeg 2000 part 2", "1.2.840.10008.1.2.4.92"),
            ("htj2k", "1.2.840.10008.1.2.4.201"),
            ("htj2k rpcl", "1.2.840.10008.1.2.4.202"),
            ("htj2k lossy", "1.2.840.10008.1.2.4.203"),
            ("jpeg xl lossless", objects.JPEG_XL_LOSSLESS),
            ("jpeg xl", objects.JPEG_XL),
        )
    ),
]


@pytest.mark.parametrize(("frames", "attributes", "black"), [c[1:] for c in LOSSLESS], ids=[c[0] for c in LOSSLESS])
def test_only_the_boxes_change_and_the_transfer_syntax_stays(frames, attributes, black):
    ds = object_of(frames, **attributes)
    before = stack(ds)
    assert np.array_equal(before, frames)
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    after = stack(cleaned.dataset)
    expected = frames.copy()
    expected[(slice(None), *INSIDE)] = frames.min() if black == "smallest" else black
    assert np.array_equal(after, expected)
    assert cleaned.dataset.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert cleaned.dataset.PhotometricInterpretation == ds.PhotometricInterpretation
    assert cleaned.touched
    assert cleaned.verdict == "redacted"


def transformed(syntax, frame):
    """A stream whose colours went through the codec's own transform."""
    if syntax in (objects.J2K_LOSSLESS, objects.J2K, "1.2.840.10008.1.2.4.93"):
        return imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True, mct=True)
    if syntax == "1.2.840.10008.1.2.4.201":
        return imagecodecs.htj2k_encode(frame, reversible=True, rgb=True)
    if syntax == objects.JPEG_XL:
        return imagecodecs.jpegxl_encode(frame, distance=0.1, usecontainer=False)
    return bare_jpegxl(bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(frame, level=95))))


@pytest.mark.parametrize("declared", ["YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    ("syntax", "now"),
    [
        (objects.J2K_LOSSLESS, "YBR_RCT"),
        (objects.J2K, "YBR_RCT"),
        ("1.2.840.10008.1.2.4.93", "RGB"),
        ("1.2.840.10008.1.2.4.201", "YBR_RCT"),
        (objects.JPEG_XL_LOSSLESS, "RGB"),
        ("1.2.840.10008.1.2.4.111", "RGB"),
        (objects.JPEG_XL, "RGB"),
    ],
)
def test_a_header_that_says_ybr_of_transformed_colours_is_put_right_where_they_change(syntax, now, declared):
    ds = object_of(colour())
    encoding.store_streams(ds, [bytes(transformed(syntax, frame)) for frame in colour()])
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PhotometricInterpretation = declared
    before = stack(ds)
    cleaned = PixelEngine(FixedFinder(FoundText(20, 12, 24, 10, 0.9, 0))).clean(ds).dataset  # on the first frame alone
    assert cleaned.PhotometricInterpretation == now
    expected = before.copy()
    expected[(0, *INSIDE)] = 0
    assert np.array_equal(stack(cleaned), expected)
    untouched = PixelEngine(FixedFinder()).clean(ds).dataset
    assert (untouched.PhotometricInterpretation, untouched.PixelData) == (declared, ds.PixelData)


@pytest.mark.parametrize("syntax", [objects.J2K_LOSSLESS, "1.2.840.10008.1.2.4.201", objects.JPEG_XL_LOSSLESS])
def test_ybr_of_which_some_frames_are_transformed_is_refused(syntax):
    ds = object_of(colour(), syntax=syntax, PhotometricInterpretation="YBR_FULL")
    plain = decode_frames(ds).streams
    encoding.store_streams(ds, [plain[0], bytes(transformed(syntax, colour()[1]))])
    with pytest.raises(Refused) as refused:
        PixelEngine(FixedFinder()).clean(ds)
    assert refused.value.reason is Reason.UNDECODABLE_PIXELS


@pytest.mark.parametrize("syntax", [objects.RLE, objects.J2K_LOSSLESS, objects.JPEG_XL_LOSSLESS])
def test_the_finder_sees_the_colours_that_a_viewer_shows(syntax):
    class Sees(FixedFinder):
        def find(self, image):
            self.image = image
            return []

    frames = np.empty((1, 48, 64, 3), np.uint8)
    frames[:] = 76, 85, 255  # red
    finder = Sees()
    PixelEngine(finder).clean(object_of(frames, syntax=syntax, PhotometricInterpretation="YBR_FULL"))
    assert np.allclose(finder.image[0, 0], (254, 0, 0), atol=2)


def test_inverted_greyscale_is_filled_with_its_largest_value():
    frames = gradient(48, 64, "uint16")
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(object_of(frames, PhotometricInterpretation="MONOCHROME1"))
    assert (stack(cleaned.dataset)[0][INSIDE] == frames.max()).all()


@pytest.mark.parametrize(
    ("attributes", "bright"),
    [
        ({}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PresentationLUTShape": "INVERSE"}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, False),
        ({"RescaleSlope": "-1"}, True),
        ({"RescaleSlope": "-1", "PhotometricInterpretation": "MONOCHROME1"}, False),
        ({"RescaleSlope": "2.5"}, False),
        ({"RescaleSlope": ["1", "-1"]}, False),
    ],
)
def test_the_fill_is_the_end_of_the_scale_that_displays_black(attributes, bright):
    frames = gradient(48, 64, "uint16") + 50
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(object_of(frames, **attributes))
    assert (stack(cleaned.dataset)[0][INSIDE] == (frames.max() if bright else 0)).all()


def test_padding_below_every_other_value_is_the_fill_and_windows_stay():
    frames = gradient(48, 64, "int16")
    frames[0, :4] = -2000
    ds = object_of(frames, WindowCenter=40, WindowWidth=400)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds).dataset
    assert (stack(cleaned)[0][INSIDE] == -2000).all()
    assert (cleaned.PixelPaddingValue, cleaned.WindowCenter, cleaned.WindowWidth) == (-2000, 40, 400)


def test_a_segmented_palette_is_filled_with_the_index_of_its_darkest_entry():
    ds = object_of(gradient(48, 64, "uint8"), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        # one entry of full brightness, then a straight line of 255 entries down to black
        table = np.array([0, 1, 0xFFFF, 1, 255, 0], "<u2").tobytes()
        setattr(ds, f"Segmented{name}PaletteColorLookupTableData", table)
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    assert (stack(cleaned.dataset)[0][INSIDE] == 255).all()


def test_an_odd_number_of_columns_in_pairs_of_pixels_is_refused():
    ds = packaged("SC_ybr_full_422_uncompressed.dcm")
    ds.Columns, ds.Rows = ds.Columns - 1, ds.Rows - 1
    with pytest.raises(Refused) as refused:
        PixelEngine(FixedFinder(TEXT)).clean(ds)
    assert refused.value.reason is Reason.PIXEL_GEOMETRY


def test_palette_is_filled_with_the_index_of_its_darkest_entry():
    frames = gradient(48, 64, "uint8")
    ds = object_of(frames, PhotometricInterpretation="PALETTE COLOR")
    table = np.arange(256, dtype="<u2") * 256
    table[0], table[7] = 0xFFFF, 0
    for name in ("Red", "Green", "Blue"):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", table.tobytes())
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    assert (stack(cleaned.dataset)[0][INSIDE] == 7).all()


def test_a_palette_that_can_not_be_applied_is_refused():
    ds = object_of(gradient(48, 64, "uint8"), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(Refused) as refused:
        PixelEngine(FixedFinder()).clean(ds)
    assert refused.value.reason is Reason.PIXEL_GEOMETRY


def test_one_bit_frames_that_do_not_end_at_byte_borders_keep_every_other_bit():
    bits = (np.random.default_rng(3).random((3, 47, 61)) > 0.5).astype(np.uint8)
    ds = object_of(np.zeros((3, 47, 61), np.uint8))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes() + b"\0"
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    expected = bits.copy()
    expected[(slice(None), *INSIDE)] = 0
    assert np.array_equal(stack(cleaned.dataset), expected)


def test_subsampled_colour_is_filled_by_pairs_of_columns_and_keeps_the_rest():
    ds = packaged("SC_ybr_full_422_uncompressed.dcm")
    before = stack(ds)
    cleaned = PixelEngine(FixedFinder(FoundText(21, 12, 25, 10, 0.9, 5))).clean(ds)
    after = stack(cleaned.dataset)
    assert len(cleaned.dataset.PixelData) == len(ds.PixelData)
    assert (after[0, 8:26, 17:50] == (0, 128, 128)).all()
    after[0, 8:26, 16:50] = before[0, 8:26, 16:50]
    assert np.array_equal(after, before)


@pytest.mark.parametrize("name", ["SC_rgb_small_odd_big_endian.dcm", "MR_small_bigendian.dcm", "liver_expb_1frame.dcm"])
def test_big_endian_files_keep_everything_outside_the_box(name):
    ds = packaged(name)
    before = stack(ds)
    cleaned = PixelEngine(FixedFinder(FoundText(0, 0, 1, 1, 0.9, 0))).clean(ds)
    after = stack(cleaned.dataset)
    after[:, :5, :5] = before[:, :5, :5]
    assert np.array_equal(after, before)
    assert cleaned.dataset.file_meta.TransferSyntaxUID == objects.BIG_ENDIAN


def test_float_pixels_are_filled_with_zero_or_less():
    ds = object_of(gradient(48, 64, "uint8"))
    del ds.PixelData
    values = gradient(48, 64, "float32") - 50
    values[0, 0, 0], values[0, 0, 1] = np.nan, np.inf
    ds.FloatPixelData = values.tobytes()
    ds.BitsAllocated = 32
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    after = stack(cleaned.dataset)[0]
    assert (after[INSIDE] == np.nanmin(values)).all()
    assert np.array_equal(after[30:], values[0, 30:])


EXTREMES = ("SmallestImagePixelValue", "LargestImagePixelValue")
OF_THE_SERIES = ("SmallestPixelValueInSeries", "LargestPixelValueInSeries")


@pytest.mark.parametrize(
    ("dtype", "offset", "declared"),
    [
        ("uint16", 50, {}),
        ("uint16", 0, {"PhotometricInterpretation": "MONOCHROME1"}),
        ("uint16", 0, {"BitsStored": 12, "HighBit": 11}),
        ("int16", -100, {}),
    ],
)
def test_smallest_and_largest_pixel_value_are_those_of_what_was_stored(dtype, offset, declared):
    frames = gradient(48, 64, dtype, 2) + np.array(offset, dtype)
    frames[1, 14:20, 22:40] = 900  # the text, which was the brightest there is
    ds = object_of(frames, **declared)
    for keyword in (*EXTREMES, *OF_THE_SERIES):
        ds.add_new(keyword, "SS" if dtype == "int16" else "US", 900 if keyword.startswith("Largest") else 3)
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds).dataset
    stored = stack(cleaned)
    assert [cleaned[keyword].value for keyword in EXTREMES] == [stored.min(), stored.max()]
    assert {cleaned[keyword].VR for keyword in EXTREMES} == {"SS" if dtype == "int16" else "US"}
    assert not any(keyword in cleaned for keyword in OF_THE_SERIES)


def test_pixel_values_that_were_not_declared_are_not_declared_afterwards():
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(object_of(gradient(48, 64, "uint16"))).dataset
    assert not any(keyword in cleaned for keyword in EXTREMES)


@pytest.mark.parametrize("frames", [colour(), gradient(48, 64, "uint32") + np.uint32(100_000)])
def test_pixel_values_that_have_no_room_go(frames):
    ds = object_of(frames)
    ds.add_new("LargestImagePixelValue", "US", 3)
    assert "LargestImagePixelValue" not in PixelEngine(FixedFinder(TEXT)).clean(ds).dataset


def test_an_untouched_object_keeps_its_pixel_values():
    ds = object_of(gradient(48, 64, "uint16"))
    for keyword in (*EXTREMES, *OF_THE_SERIES):
        ds.add_new(keyword, "US", 3)
    cleaned = PixelEngine(FixedFinder()).clean(ds).dataset
    assert [cleaned[keyword].value for keyword in (*EXTREMES, *OF_THE_SERIES)] == [3] * 4


def test_an_untouched_object_keeps_its_pixel_bytes():
    for name in ("JPEG2000.dcm", "MR_small_RLE.dcm", "CT_small.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "JPGExtended.dcm"):
        ds = packaged(name)
        cleaned = PixelEngine(FixedFinder()).clean(ds)
        assert cleaned.dataset.PixelData == ds.PixelData, name
        assert not cleaned.touched


def test_bits_between_frames_are_read_from_the_right_place():
    bits = np.arange(3 * 5 * 3) % 2
    ds = object_of(np.zeros((3, 5, 3), np.uint8))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
    source = decode_frames(ds)
    assert np.array_equal(np.stack(list(source)).reshape(-1), bits)
    assert _native_frame(source.native, source.shape, False, 2).shape == (5, 3)
