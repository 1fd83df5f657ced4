"""Planted text is gone from every place of an object, in every transfer syntax that can be decoded; the rest stays."""

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.sequence import Sequence

from gradient_assets.deid.pixels import FoundText, PixelEngine, RapidTextFinder, decode_frames, encoding
from gradient_assets.deid.pixels.codestreams import bare_jpeg, bare_jpegxl
from gradient_assets.deid.pixels.decoding import JPEG_LOSSY
from tests.shared import SHARED, needs_shared
from tests.unit.pixels import objects
from tests.unit.pixels.objects import FixedFinder, gradient, object_of, packaged, stack

ROWS, COLUMNS, FRAMES = 96, 128, 3
FIRST_TEXT, LAST_TEXT = (40, 40), (70, 90)  # left end of the base line: column, row
UNIT_PX = 16  # the largest JPEG unit used here: a box may grow to whole units
LABEL = "DOE^JOHN"


class StrokeFinder:
    """Finds the rectangle around each line of thick bright strokes; the white reference block is none."""

    name = "stroke"

    def find(self, image: np.ndarray) -> list[FoundText]:
        grey = image if image.ndim == 2 else image.max(axis=2)
        bright = (grey >= 205).astype(np.uint8)
        bright[-16:, :16] = 0
        joined = cv2.dilate(bright, np.ones((3, 15), np.uint8))
        _, _, parts, _ = cv2.connectedComponentsWithStats(joined)
        return [
            FoundText(int(left), int(top), int(width), int(height), 0.9, 5)
            for left, top, width, height, area in parts[1:]
            if area > 400
        ]


def written(frame: np.ndarray, at: tuple[int, int], white: int) -> None:
    """Draw a name into a frame."""
    strokes = cv2.putText(np.zeros(frame.shape[:2], np.uint8), "DOE", at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1, 2)
    frame[strokes > 0] = white


def scene(dtype: str = "uint8", white: int = 255, *, colour: bool = False) -> np.ndarray:
    """Three dim frames with a white reference block; text on the first and, elsewhere, on the last."""
    frames = gradient(ROWS, COLUMNS, "float64", FRAMES, high=100) * (white / 255)
    frames = np.stack([frames, frames * 0.9, frames * 0.8], axis=-1) if colour else frames
    frames = frames.astype(dtype)
    # smooth, so that lossy codecs leave it dim
    frames = np.stack([cv2.GaussianBlur(frame, (7, 7), 2) for frame in frames])
    frames[:, -12:, :12] = white
    written(frames[0], FIRST_TEXT, white)
    written(frames[-1], LAST_TEXT, white)
    return frames


def progressive(frame: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=90, progressive=True)
    return stream.getvalue()


def lossy(syntax: str, frames: np.ndarray, encode, **attributes: object) -> Dataset:
    ds = object_of(frames, syntax=objects.EXPLICIT, **attributes)
    encoding.store_streams(ds, [bytes(encode(frame)) for frame in frames])
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def jpeg(frame):
    return imagecodecs.jpeg8_encode(frame, level=90)


def jpeg_12(frame):
    return imagecodecs.jpeg8_encode(frame, level=95, bitspersample=12)


def jpeg_ls_near(frame):
    return bare_jpeg(bytes(imagecodecs.jpegls_encode(frame, level=3)))


def jpeg_xl_of_jpeg(frame):
    return bare_jpegxl(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg(frame))))


def jpeg_2000(frame):
    return imagecodecs.jpeg2k_encode(frame, level=45, codecformat="j2k", reversible=False, mct=True)


UID = "1.2.840.10008.1.2.4.{}".format
TWELVE = {"BitsStored": 12, "HighBit": 11}
YBR = {"PhotometricInterpretation": "YBR_FULL_422"}
# 52, 54, 56 and 58 name the arithmetic coding of what 51, 53, 55 and 57 name; no encoder here makes it, so theirs are the
# streams of those: what is done goes by the stream.
BELOW_WHITE = scene("uint16", 4000)  # three steps above white would no longer fit 12 bits
GREY, DEEP, SIGNED, COLOUR = scene(), scene("uint16", 4095), scene("int16", 2000) - 500, scene(colour=True)
LOSSLESS = {
    "implicit": lambda: object_of(GREY, syntax=objects.IMPLICIT),
    "explicit signed": lambda: object_of(SIGNED),
    "big endian": lambda: object_of(DEEP, syntax=objects.BIG_ENDIAN),
    "big endian colour": lambda: object_of(COLOUR, syntax=objects.BIG_ENDIAN),
    "planar colour": lambda: object_of(COLOUR, PlanarConfiguration=1),
    "rle": lambda: object_of(GREY, syntax=objects.RLE),
    "rle deep": lambda: object_of(DEEP, syntax=objects.RLE),
    "rle colour": lambda: object_of(COLOUR, syntax=objects.RLE),
    "deflated frames": lambda: object_of(DEEP, syntax=objects.DEFLATED_FRAMES),
    "jpeg lossless 57": lambda: object_of(DEEP, syntax=UID(57), **TWELVE),
    "jpeg lossless 58": lambda: object_of(DEEP, syntax=UID(58), **TWELVE),
    "jpeg lossless 70": lambda: object_of(GREY, syntax=objects.JPEG_LOSSLESS),
    "jpeg lossless 70 colour": lambda: object_of(COLOUR, syntax=objects.JPEG_LOSSLESS),
    "jpeg-ls": lambda: object_of(DEEP, syntax=objects.JPEG_LS),
    "jpeg-ls colour": lambda: object_of(COLOUR, syntax=objects.JPEG_LS),
    "jpeg 2000 90": lambda: object_of(SIGNED, syntax=objects.J2K_LOSSLESS),
    "jpeg 2000 90 colour": lambda: object_of(COLOUR, syntax=objects.J2K_LOSSLESS, PhotometricInterpretation="YBR_RCT"),
    "jpeg 2000 92": lambda: object_of(DEEP, syntax=UID(92), **TWELVE),
    "htj2k 201": lambda: object_of(GREY, syntax=UID(201)),
    "htj2k 201 colour": lambda: object_of(COLOUR, syntax=UID(201), PhotometricInterpretation="YBR_RCT"),
    "htj2k 202": lambda: object_of(DEEP, syntax=UID(202)),
    "jpeg xl 110": lambda: object_of(DEEP, syntax=objects.JPEG_XL_LOSSLESS, **TWELVE),
    "jpeg xl 110 colour": lambda: object_of(COLOUR, syntax=objects.JPEG_XL_LOSSLESS),
}
# What was lossy, and whether a changed object keeps its syntax because that holds frames without loss as well.
LOSSY = {
    "jpeg-ls near 81": (lambda: lossy(UID(81), BELOW_WHITE, jpeg_ls_near, **TWELVE), True),
    "jpeg 2000 91": (lambda: lossy(UID(91), DEEP, jpeg_2000), True),
    "jpeg 2000 91 colour": (lambda: lossy(UID(91), COLOUR, jpeg_2000, PhotometricInterpretation="YBR_ICT"), True),
    "jpeg 2000 93": (lambda: lossy(UID(93), DEEP, jpeg_2000), False),
    "htj2k 203": (lambda: lossy(UID(203), GREY, lambda f: imagecodecs.htj2k_encode(f, level=0.002)), True),
    "jpeg xl 112": (
        lambda: lossy(UID(112), GREY, lambda f: imagecodecs.jpegxl_encode(f, distance=0.5, usecontainer=False)),
        True,
    ),
    "jpeg xl of a jpeg 111": (lambda: lossy(UID(111), GREY, jpeg_xl_of_jpeg), False),
    "jpeg progressive 53": (lambda: lossy(UID(53), GREY, progressive), False),
    "jpeg progressive 54": (lambda: lossy(UID(54), GREY, progressive), False),
    "jpeg progressive 55": (lambda: lossy(UID(55), COLOUR, progressive, **YBR), False),
    "jpeg progressive 56": (lambda: lossy(UID(56), COLOUR, progressive, **YBR), False),
}
BY_BLOCKS = {
    "jpeg baseline 50": lambda: lossy(UID(50), GREY, jpeg),
    "jpeg baseline 50 colour": lambda: lossy(UID(50), COLOUR, jpeg, **YBR),
    "jpeg extended 51": lambda: lossy(UID(51), DEEP, jpeg_12, **TWELVE),
    "jpeg extended 52": lambda: lossy(UID(52), DEEP, jpeg_12, **TWELVE),
    "jpeg extended 52 colour": lambda: lossy(UID(52), COLOUR, jpeg, **YBR),
}


def with_pictures_beside(ds: Dataset) -> Dataset:
    """An overlay that spells the name, and an icon that shows it."""
    drawn = np.zeros((ROWS, COLUMNS), np.uint8)
    written(drawn, FIRST_TEXT, 1)
    ds.add_new((0x6002, 0x0010), "US", ROWS)
    ds.add_new((0x6002, 0x0011), "US", COLUMNS)
    ds.add_new((0x6002, 0x0102), "US", 0)
    ds.add_new((0x6002, 0x1500), "LO", LABEL)
    ds.add_new((0x6002, 0x3000), "OW", np.packbits(drawn, bitorder="little").tobytes())
    ds.IconImageSequence = Sequence([object_of(GREY[:1])])
    return ds


def check_clean(ds: Dataset, cleaned) -> None:
    """No stroke is left on any frame, no picture beside it, and what lies outside the boxes is what was decoded before."""
    before, after = stack(ds), stack(cleaned.dataset)
    unit = UNIT_PX if ds.file_meta.TransferSyntaxUID in JPEG_LOSSY else 1
    for index, frame in enumerate(after):
        mask = np.zeros(frame.shape[:2], bool)
        for box in cleaned.boxes:
            if box.frame == index:
                rows, columns = (
                    slice(max(0, lo // unit * unit - unit // 8), -(-hi // unit) * unit + unit // 8)
                    for lo, hi in ((box.top, box.bottom), (box.left, box.right))
                )
                mask[rows, columns] = True
                assert frame[box.slices].max() <= frame.min() + 1
        assert mask.any()
        assert np.array_equal(frame[~mask], before[index][~mask])
        strokes = np.zeros(frame.shape[:2], np.uint8)
        written(strokes, FIRST_TEXT, 1)
        written(strokes, LAST_TEXT, 1)
        assert frame[strokes > 0].max() <= frame.min() + 1
    assert not [e for e in cleaned.dataset.iterall() if 0x6000 <= e.tag.group <= 0x60FF]
    assert "IconImageSequence" not in cleaned.dataset
    assert set(cleaned.method_codes) == {"113101", "113103"}
    assert cleaned.dataset.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_syntaxes_stay_and_all_outside_the_boxes_is_equal(name):
    ds = with_pictures_beside(LOSSLESS[name]())
    cleaned = PixelEngine(StrokeFinder()).clean(ds)
    check_clean(ds, cleaned)
    assert cleaned.dataset.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert cleaned.dataset.PhotometricInterpretation == ds.PhotometricInterpretation
    assert "LossyImageCompression" not in cleaned.dataset


@pytest.mark.parametrize("name", LOSSY)
def test_what_was_lossy_loses_nothing_more_and_says_so(name):
    make, keeps_syntax = LOSSY[name]
    ds = with_pictures_beside(make())
    cleaned = PixelEngine(StrokeFinder()).clean(ds)
    check_clean(ds, cleaned)
    syntax = ds.file_meta.TransferSyntaxUID if keeps_syntax else objects.EXPLICIT
    assert cleaned.dataset.file_meta.TransferSyntaxUID == syntax
    assert cleaned.dataset.LossyImageCompression == "01"


@pytest.mark.parametrize("name", BY_BLOCKS)
def test_text_in_sequential_jpeg_is_gone_and_other_units_are_equal(name):
    ds = with_pictures_beside(BY_BLOCKS[name]())
    check_clean(ds, PixelEngine(StrokeFinder()).clean(ds))


WHOLE_CONTAINERS = [objects.IMPLICIT, objects.EXPLICIT, objects.BIG_ENDIAN, objects.RLE, objects.DEFLATED_FRAMES]


@pytest.mark.parametrize("syntax", WHOLE_CONTAINERS)
@pytest.mark.parametrize("frame", [0, FRAMES - 1])
def test_a_name_in_an_embedded_overlay_bit_is_gone_and_the_values_stay(syntax, frame):
    values = gradient(ROWS, COLUMNS, "uint16", FRAMES)
    hidden = values.copy()
    strokes = np.zeros((ROWS, COLUMNS), np.uint16)
    written(strokes, FIRST_TEXT, 1 << 15)
    hidden[frame] |= strokes
    ds = object_of(hidden, syntax=syntax, **TWELVE)
    ds.add_new((0x6000, 0x0100), "US", 16)
    ds.add_new((0x6000, 0x0102), "US", 15)
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert np.array_equal(stack(cleaned.dataset), values)
    assert cleaned.dataset.file_meta.TransferSyntaxUID == syntax


REAL = [
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "image_dfl.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "examples_jpeg2k.dcm",
    "examples_palette.dcm",
]
STORE = "data/dicom/pydicom+pydicom-data/data_store/data"
SHARED_REAL = [
    f"{STORE}/HTJ2KLossless_08_RGB.dcm",
    f"{STORE}/liver_nonbyte_aligned_rle.dcm",
    f"{STORE}/liver_nonbyte_aligned_deflate.dcm",
    f"{STORE}/liver_nonbyte_aligned_j2k.dcm",
    f"{STORE}/emri_small_jpeg_2k_lossless.dcm",
    f"{STORE}/emri_small_jpeg_ls_lossless.dcm",
    f"{STORE}/emri_small_RLE.dcm",
    "data/dicom/pydicom+pylibjpeg-data/ljdata/ds/JPEGLossless/JPEGLossless_1s_1f_u_16_12.dcm",
    "data/dicom/robyoung+dicom-test-files/data/WG04/RLE/US1_RLE",
    "data/dicom/robyoung+dicom-test-files/data/WG04/JLSL/MR4_JLSL",
    "data/dicom/robyoung+dicom-test-files/data/WG04/J2KR/VL2_J2KR",
]


def check_real(ds: Dataset) -> None:
    """Text found on the first frame is filled on all, exactly, in the same syntax."""
    before = stack(ds)
    top, left = busiest(before[0])
    cleaned = PixelEngine(FixedFinder(FoundText(left + 4, top + 4, 16, 8, 0.9, 5))).clean(ds)
    after = stack(cleaned.dataset)
    assert {(box.frame, box.top, box.left) for box in cleaned.boxes} >= {(i, top, left) for i in range(len(after))}
    for box in cleaned.boxes:
        inside = after[box.frame][box.slices]
        assert (inside == inside[0, 0]).all()
        after[box.frame][box.slices] = before[box.frame][box.slices]
    assert np.array_equal(after, before)
    assert cleaned.dataset.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert cleaned.dataset.PhotometricInterpretation == ds.PhotometricInterpretation


def busiest(frame: np.ndarray) -> tuple[int, int]:
    """Top and left of the 16 × 24 pixels, on a coarse grid, in which the values differ most."""
    places = [(y, x) for y in range(0, frame.shape[0] - 16, 8) for x in range(0, frame.shape[1] - 24, 8)]
    return max(places, key=lambda place: frame[place[0] : place[0] + 16, place[1] : place[1] + 24].std())


@pytest.mark.parametrize("name", REAL)
def test_packaged_lossless_files_change_inside_the_box_only(name):
    check_real(packaged(name))


@needs_shared
@pytest.mark.parametrize("path", SHARED_REAL, ids=[path.rpartition("/")[2] for path in SHARED_REAL])
def test_shared_lossless_files_change_inside_the_box_only(path):
    check_real(dcmread(SHARED / path))


@pytest.mark.parametrize("make", [*LOSSLESS.values(), *(make for make, _ in LOSSY.values()), *BY_BLOCKS.values()])
def test_without_text_every_byte_of_the_frames_stays(make):
    ds = make()
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert cleaned.dataset.PixelData == ds.PixelData
    assert not cleaned.touched
    assert cleaned.method_codes == ()


def test_frames_without_a_box_keep_their_exact_stream():
    """Text without letters stays on its own frame, so that the others are not touched."""
    for make in (LOSSLESS["jpeg-ls"], LOSSLESS["htj2k 202"], LOSSY["jpeg 2000 91"][0]):
        ds = make()
        cleaned = PixelEngine(FixedFinder(FoundText(20, 12, 24, 10, 0.9, 0))).clean(ds)
        old, new = (list(generate_frames(one.PixelData, number_of_frames=FRAMES)) for one in (ds, cleaned.dataset))
        assert {box.frame for box in cleaned.boxes} == {0}
        assert new[1:] == old[1:]
        assert new[0] != old[0]
        assert decode_frames(cleaned.dataset).shape.frames == FRAMES


@pytest.mark.parametrize("syntax", [objects.JPEG_BASELINE, objects.J2K])
def test_the_default_finder_leaves_no_planted_text_on_the_first_and_last_frame(syntax):
    frames = gradient(120, 240, "uint8", 3, high=60)
    letters = Image.new("L", (240, 120))
    ImageDraw.Draw(letters).text((40, 40), "OKONKWO 1961", 255, font=ImageFont.load_default(24))
    ink = np.asarray(letters) > 127
    frames[0][ink] = frames[2][ink] = 235
    encode = imagecodecs.jpeg8_encode if syntax == objects.JPEG_BASELINE else imagecodecs.jpeg2k_encode
    ds = object_of(frames)
    ds.file_meta.TransferSyntaxUID = syntax
    encoding.store_streams(ds, [bytes(encode(frame, level=90)) for frame in frames])
    cleaned = PixelEngine(RapidTextFinder()).clean(ds)
    after = stack(cleaned.dataset)
    assert {box.frame for box in cleaned.boxes} >= {0, 2}
    for index in (0, 2):
        assert after[index][ink].max() < 40
