"""Changed frames go back the way they came: JPEG by blocks, one buffer for uncompressed ones, and nothing that is not exact."""

import io
import tracemalloc

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from gradient_assets.deid.pixels import PixelEngine, decode_frames, encoding, jpeg_blocks
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.codestreams import BrokenStreamError, jpeg_facts
from gradient_assets.deid.pixels.decoding import FrameSource, jpeg_components, stored_as_rgb
from gradient_assets.deid.pixels.encoding import BoxFill
from gradient_assets.deid.pixels.jpeg_blocks import NotByBlocksError
from tests.shared import SHARED, needs_shared
from tests.unit.pixels import objects
from tests.unit.pixels.objects import BrightFinder, gradient, object_of, packaged, stack

BASELINE, EXTENDED = objects.JPEG_BASELINE, "1.2.840.10008.1.2.4.51"


def box(left: int, top: int, width: int, height: int) -> Box:
    return Box(left, top, width, height, "test", 1.0, 0)


def smooth(rows: int = 100, columns: int = 140) -> np.ndarray:
    """A colour picture whose three planes differ; sides are no multiple of a unit."""
    y, x = np.mgrid[:rows, :columns]
    planes = [120 + 90 * np.sin(x / 9), 120 + 90 * np.cos(y / 7), 120 + 90 * np.sin((x + y) / 11)]
    return np.dstack(planes).astype(np.uint8)


def pillow(picture: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


GREY = np.ascontiguousarray(smooth()[..., 0])
STREAMS = {
    "grey": (pillow(GREY), (0,)),
    "grey, tables of its own": (pillow(GREY, optimize=True), (0,)),
    "grey, restart intervals": (pillow(GREY, restart_marker_blocks=7), (0,)),
    "grey, quality 100": (bytes(imagecodecs.jpeg8_encode(GREY, level=100)), (0,)),
    "12 bits": (bytes(imagecodecs.jpeg8_encode(GREY.astype("u2") * 16, level=90, bitspersample=12)), (0,)),
    "4:4:4": (pillow(smooth(), subsampling=0), (0, 128, 128)),
    "4:2:2": (pillow(smooth(), subsampling=1), (0, 128, 128)),
    "4:2:0": (pillow(smooth(), subsampling=2), (0, 128, 128)),
    "4:2:0, tables of its own": (pillow(smooth(), subsampling=2, optimize=True), (0, 128, 128)),
    "4:2:0, restart rows": (pillow(smooth(), subsampling=2, restart_marker_rows=1), (0, 128, 128)),
    "r, g, b": (
        bytes(imagecodecs.jpeg8_encode(smooth(), level=90, colorspace="RGB", outcolorspace="RGB", subsampling="444")),
        (0, 0, 0),
    ),
}


@pytest.mark.parametrize("boxes", [[box(30, 20, 40, 9)], [box(0, 0, 1, 1), box(139, 99, 1, 1)], [box(0, 0, 140, 100)]])
@pytest.mark.parametrize("name", STREAMS)
def test_touched_units_are_black_and_an_independent_decoder_sees_all_others_unchanged(name, boxes):
    stream, levels = STREAMS[name]
    changed, touched = jpeg_blocks.blackened(stream, boxes, levels)
    before, after = (jpeg_components(one, levels == (0, 0, 0)) for one in (stream, changed))
    encoding._check_blocks(before, after, touched, levels)
    luma = after if after.ndim == 2 else after[..., 0]
    for one in boxes:
        assert touched[one.slices].all()
        assert (luma[one.slices] == 0).all()
    assert np.array_equal(luma[~touched], (before if before.ndim == 2 else before[..., 0])[~touched])


def test_only_units_that_a_box_touches_are_lost():
    _, touched = jpeg_blocks.blackened(*STREAMS["4:2:0"][:1], [box(30, 20, 40, 9)], (0, 128, 128))
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (16, 32, 16, 80)


def test_without_boxes_the_stream_is_the_same_byte_for_byte():
    for stream, levels in STREAMS.values():
        assert jpeg_blocks.blackened(stream, [], levels)[0] == stream


def test_segments_around_the_scan_stay_and_only_lacking_tables_are_replaced():
    stream = STREAMS["4:2:0"][0]
    changed, _ = jpeg_blocks.blackened(stream, [box(30, 20, 40, 9)], (0, 128, 128))
    head = stream.index(b"\xff\xda")
    assert changed[:head] == stream[:head]


@pytest.mark.parametrize("options", [{"progressive": True}, {"progressive": True, "subsampling": 0}])
def test_progressive_streams_are_not_changed_by_blocks(options):
    with pytest.raises(NotByBlocksError):
        jpeg_blocks.blackened(pillow(smooth(), **options), [box(30, 20, 40, 9)], (0, 128, 128))


def test_a_scan_that_breaks_off_or_goes_on_is_no_stream_to_change():
    stream = STREAMS["grey"][0]
    for broken in (stream[:-400] + b"\xff\xd9", stream[:-2] + b"SECRET NAME" + b"\xff\xd9"):
        with pytest.raises((BrokenStreamError, NotByBlocksError)):
            jpeg_blocks.blackened(broken, [box(0, 0, 8, 8)], (0,))


def jpeg_object(*streams: bytes, syntax: str = BASELINE, **attributes: object) -> Dataset:
    picture = imagecodecs.jpeg8_decode(streams[0])
    ds = object_of(np.stack([picture] * len(streams)), **attributes)
    encoding.store_streams(ds, streams)
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def stored(ds: Dataset, boxes_at, value) -> tuple[str, FrameSource]:
    """The object's frames stored with the boxes filled, as the engine does it; the description and the frames read back."""
    source = decode_frames(ds)

    def frame_at(index: int) -> np.ndarray | None:
        if not boxes_at(index):
            return None
        frame = source[index]
        for one in boxes_at(index):
            frame[one.slices] = value
        return frame

    description = encoding.store_frames(ds, source, frame_at, BoxFill(boxes_at, value))
    return description, decode_frames(ds)


YBR_422 = {"PhotometricInterpretation": "YBR_FULL_422"}


def test_a_touched_jpeg_frame_keeps_its_syntax_and_the_other_frames_their_bytes():
    streams = [STREAMS["4:2:2"][0], pillow(smooth()[::-1].copy(), subsampling=1)]
    ds = jpeg_object(*streams, **YBR_422)
    description, after = stored(ds, lambda i: [box(30, 20, 40, 9)] if i == 1 else [], (0, 0, 0))
    assert ds.file_meta.TransferSyntaxUID == BASELINE
    assert ds.PhotometricInterpretation == "YBR_FULL_422"
    assert "blocks" in description
    kept, changed = generate_frames(ds.PixelData, number_of_frames=2)
    assert kept.rstrip(b"\0") == streams[0]
    assert changed.rstrip(b"\0") != streams[1]
    assert after[1][20:29, 34:66].max() == 0


def test_the_largest_value_of_inverted_greyscale_is_hit_or_passed():
    ds = jpeg_object(STREAMS["grey"][0], PhotometricInterpretation="MONOCHROME1")
    _, after = stored(ds, lambda i: [box(30, 20, 40, 9)], 213)
    inside = after[0][20:29, 30:70]
    assert inside.min() == inside.max() >= 213
    assert ds.file_meta.TransferSyntaxUID == BASELINE


def test_a_progressive_frame_is_stored_uncompressed_and_says_so():
    ds = jpeg_object(pillow(smooth(), progressive=True), **YBR_422)
    before = stack(ds)
    description, after = stored(ds, lambda i: [box(30, 20, 40, 9)], (0, 0, 0))
    assert ds.file_meta.TransferSyntaxUID == objects.EXPLICIT
    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert ds.PhotometricInterpretation == "RGB"
    assert "lossy" in description
    expected = before[0].copy()
    expected[20:29, 30:70] = 0
    assert np.array_equal(after[0], expected)


def test_attributes_about_loss_that_are_there_are_kept():
    ds = jpeg_object(pillow(smooth(), progressive=True), **YBR_422)
    ds.LossyImageCompressionMethod, ds.LossyImageCompressionRatio = ["ISO_15444_1", "ISO_10918_1"], [9, 3]
    stored(ds, lambda i: [box(30, 20, 40, 9)], (0, 0, 0))
    assert list(ds.LossyImageCompressionMethod) == ["ISO_15444_1", "ISO_10918_1"]
    assert list(ds.LossyImageCompressionRatio) == [9, 3]


@pytest.mark.parametrize(
    "name", ["JPGExtended.dcm", "examples_ybr_color.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"]
)
def test_packaged_jpeg_files_keep_their_syntax(name):
    ds = packaged(name)
    syntax = ds.file_meta.TransferSyntaxUID
    description, after = stored(ds, lambda i: [box(40, 40, 20, 10)], (0, 0, 0) if ds.SamplesPerPixel == 3 else 0)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert "blocks" in description
    assert after[0][42:48, 42:58].max() == 0


REAL_JPEG = [
    "pydicom+pylibjpeg-data/ljdata/ds/JPEGExtended/RG2_JPLY.dcm",
    "pydicom+pylibjpeg-data/ljdata/ds/JPEGBaseline/JPEGBaseline_1s_1f_u_08_08.dcm",
    "cornerstonejs+cornerstone3D/packages/dicomImageLoader/testImages/TestPattern_JPEG-Baseline_YBR422.dcm",
    "cornerstonejs+cornerstone3D/packages/dicomImageLoader/testImages/TestPattern_JPEG-Baseline_YBRFull.dcm",
    "pydicom+deid-data/deid_data/data/humans/ctbrain1.dcm",
    "pydicom+deid-data/deid_data/data/dicom-cookies/image1.dcm",
    "robyoung+dicom-test-files/data/WG04/JPLY/MR4_JPLY",
    "robyoung+dicom-test-files/data/WG04/JPLY/RG3_JPLY",
    "robyoung+dicom-test-files/data/WG04/JPLY/XA1_JPLY",
    "microsoft+Tools-for-Health-Data-Anonymization/DICOM/samples/I341.dcm",
]


@needs_shared
@pytest.mark.parametrize("path", REAL_JPEG, ids=[path.rpartition("/")[2] for path in REAL_JPEG])
def test_real_sequential_jpeg_files_can_be_changed_by_blocks(path):
    """Optimised tables, 8, 10 and 12 bits, five ways of sampling, a whole byte of padding behind the last block."""
    source = decode_frames(dcmread(SHARED / "data/dicom" / path))
    facts = jpeg_facts(source.streams[0])
    is_rgb = stored_as_rgb(facts, source.shape)
    levels = (0,) if facts.size.samples == 1 else (0, 0, 0) if is_rgb else (0, 128, 128)
    place = box(facts.size.columns // 3, facts.size.rows // 3, facts.size.columns // 5, facts.size.rows // 9)
    changed, touched = jpeg_blocks.blackened(source.streams[0], [place], levels)
    before, after = (jpeg_components(one, is_rgb) for one in (source.streams[0], changed))
    encoding._check_blocks(before, after, touched, levels)


@pytest.mark.parametrize("name", ["liver_nonbyte_aligned_rle.dcm", "liver_rle.dcm"])
@needs_shared
def test_single_bits_stay_run_length_encoded(name):
    ds = dcmread(SHARED / "data/dicom/pydicom+pydicom-data/data_store/data" / name)
    before = stack(ds)
    _, after = stored(ds, lambda i: [box(200, 200, 90, 30)] if i == 1 else [], 0)
    assert ds.file_meta.TransferSyntaxUID == objects.RLE
    before[1, 200:230, 200:290] = 0
    assert np.array_equal(np.stack(list(after)), before)


def coding_style(stream: bytes) -> tuple[int, int]:
    """Progression order and whether a colour transform was used, from the COD segment of a JPEG 2000 codestream."""
    at = stream.index(b"\xff\x52")
    return stream[at + 5], stream[at + 8]


@pytest.mark.parametrize(
    ("syntax", "photometric", "transformed"),
    [(objects.J2K_LOSSLESS, "RGB", 0), (objects.J2K_LOSSLESS, "YBR_RCT", 1), ("1.2.840.10008.1.2.4.201", "YBR_RCT", 1)],
)
def test_the_colour_transform_is_the_one_that_the_header_names(syntax, photometric, transformed):
    ds = object_of(np.stack([smooth()] * 2), syntax=syntax, PhotometricInterpretation=photometric)
    stored(ds, lambda i: [box(30, 20, 40, 9)] if i else [], (0, 0, 0))
    assert ds.PhotometricInterpretation == photometric
    for stream in generate_frames(ds.PixelData, number_of_frames=2):
        assert coding_style(stream)[1] == transformed


def test_high_throughput_frames_by_resolution_stay_so():
    """Transfer syntax 202: order RPCL (2), and tile-part lengths (TLM) in the header."""
    ds = object_of(gradient(48, 64, "uint16"), syntax="1.2.840.10008.1.2.4.202")
    stored(ds, lambda i: [box(20, 12, 24, 10)], 0)
    stream = next(generate_frames(ds.PixelData, number_of_frames=1))
    assert coding_style(stream)[0] == 2
    assert b"\xff\x55" in stream[: stream.index(b"\xff\x90")]


def test_high_throughput_frames_of_12_bits_become_uncompressed():
    frames = gradient(48, 64, "uint16", 2)
    ds = object_of(frames)
    encoding.store_streams(ds, [bytes(imagecodecs.htj2k_encode(frame, reversible=True)) for frame in frames])
    ds.file_meta.TransferSyntaxUID, ds.BitsStored, ds.HighBit = "1.2.840.10008.1.2.4.201", 12, 11
    _, after = stored(ds, lambda i: [box(20, 12, 24, 10)], 0)
    assert ds.file_meta.TransferSyntaxUID == objects.EXPLICIT
    frames[:, 12:22, 20:44] = 0
    assert np.array_equal(np.stack(list(after)), frames)


def test_an_encoder_that_is_not_exact_is_not_used(monkeypatch):
    frames = gradient(48, 64, "uint16", 2)
    ds = object_of(frames, syntax=objects.JPEG_LS)
    monkeypatch.setattr(encoding, "_encoded", lambda frame, source: source.streams[0])
    _, after = stored(ds, lambda i: [box(20, 12, 24, 10)], 0)
    assert ds.file_meta.TransferSyntaxUID == objects.EXPLICIT
    frames[:, 12:22, 20:44] = 0
    assert np.array_equal(np.stack(list(after)), frames)


def test_a_cine_needs_no_more_than_half_as_much_memory_again_as_its_copy():
    """The object itself, its changed copy, and the frames in flight: 2.5 times the pixel data."""
    frames = gradient(256, 256, "uint16", 120)
    frames[:, 12:40, 20:60] = 255
    ds = object_of(frames)
    size = len(ds.PixelData)
    del frames
    tracemalloc.start()
    try:
        cleaned = PixelEngine(BrightFinder()).clean(ds)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cleaned.touched
    assert size + peak <= 2.5 * size
