"""Frames come out of every transfer syntax, or the object is refused with the right code."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from gradient_assets.deid.pixels import decode_frames
from gradient_assets.deid.pixels.codestreams import BrokenStreamError, j2k_size
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels import objects
from tests.unit.pixels.objects import gradient, object_of, packaged, stack

# pairs of packaged files that hold the same image
SAME = [
    ("MR_small.dcm", "MR_small_RLE.dcm"),
    ("MR_small.dcm", "MR_small_implicit.dcm"),
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
    ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
    ("MR_small.dcm", "MR_small_padded.dcm"),
    ("rtdose.dcm", "rtdose_rle.dcm"),
    ("rtdose.dcm", "rtdose_expb.dcm"),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_image_decodes_to_the_same_values(one, other):
    assert np.array_equal(stack(packaged(one)), stack(packaged(other)))


DECODABLE = [
    "693_J2KI.dcm",
    "JPGExtended.dcm",
    "JPEG-lossy.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "image_dfl.dcm",
    "examples_jpeg2k.dcm",
    "examples_palette.dcm",
]


@pytest.mark.parametrize("name", DECODABLE)
def test_packaged_file_decodes_to_its_declared_size(name):
    ds = packaged(name)
    frames = stack(ds)
    assert frames.shape[0] == int(ds.get("NumberOfFrames") or 1)
    assert frames.shape[1:3] == (ds.Rows, ds.Columns)


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_jpeg_colours_come_out_as_rgb(name):
    """The same test pattern, stored as RGB and as YBR: its topmost bar is red."""
    red, green, blue = stack(packaged(name))[0, 5, 50].tolist()
    assert red > 200
    assert green < 60
    assert blue < 60


def refusal(ds):
    with pytest.raises(Refused) as refused:
        stack(ds)
    return refused.value


def changed(**attributes):
    ds = object_of(gradient(48, 64, "uint8"))
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": None}, Reason.PIXEL_GEOMETRY),
        ({"Rows": 0}, Reason.PIXEL_GEOMETRY),
        ({"Rows": 49}, Reason.PIXEL_GEOMETRY),
        ({"BitsAllocated": None}, Reason.PIXEL_GEOMETRY),
        ({"BitsAllocated": 24}, Reason.PIXEL_GEOMETRY),
        ({"BitsStored": 9}, Reason.PIXEL_GEOMETRY),
        ({"HighBit": 12}, Reason.PIXEL_GEOMETRY),
        ({"SamplesPerPixel": 3}, Reason.PIXEL_GEOMETRY),
        ({"SamplesPerPixel": 4}, Reason.PIXEL_GEOMETRY),
        ({"PhotometricInterpretation": None}, Reason.PIXEL_GEOMETRY),
        ({"PhotometricInterpretation": "CMYK"}, Reason.PIXEL_GEOMETRY),
        ({"PixelData": b""}, Reason.PIXEL_GEOMETRY),
        ({"FloatPixelData": b"1234"}, Reason.PIXEL_GEOMETRY),
        ({"NumberOfFrames": 2}, Reason.PIXEL_GEOMETRY),
        ({"NumberOfFrames": 30_000}, Reason.PIXELS_TOO_LARGE),
        ({"Rows": 65_535, "Columns": 65_535}, Reason.PIXELS_TOO_LARGE),
        ({"Rows": 20_000, "Columns": 20_000}, Reason.PIXELS_TOO_LARGE),
    ],
)
def test_attributes_that_contradict_the_pixels_are_refused(attributes, reason):
    assert refusal(changed(**attributes)).reason is reason


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.94", "1.2.3"]
)
def test_a_transfer_syntax_without_a_decoder_is_refused(syntax):
    ds = object_of(gradient(48, 64, "uint8"), syntax=objects.RLE)
    ds.file_meta.TransferSyntaxUID = syntax
    assert refusal(ds).reason is Reason.UNDECODABLE_PIXELS


@pytest.mark.parametrize("syntax", [objects.RLE, objects.JPEG_LS, objects.J2K_LOSSLESS, objects.JPEG_LOSSLESS])
def test_broken_streams_are_refused_without_their_bytes_in_the_message(syntax):
    ds = object_of(gradient(48, 64, "uint16"), syntax=syntax)
    ds.PixelData = encapsulate([b"SECRET NAME" * 20])
    refused = refusal(ds)
    assert refused.reason is Reason.UNDECODABLE_PIXELS
    assert "SECRET" not in str(refused)
    assert refused.__cause__ is None


@pytest.mark.parametrize(
    "syntax", [objects.JPEG_LS, objects.J2K_LOSSLESS, objects.JPEG_LOSSLESS, objects.JPEG_XL_LOSSLESS]
)
def test_a_stream_of_another_size_than_declared_is_refused(syntax):
    ds = object_of(gradient(48, 64, "uint8"), syntax=syntax)
    ds.Rows = 32
    assert refusal(ds).reason is Reason.PIXEL_GEOMETRY


def test_fewer_compressed_frames_than_declared_are_refused():
    ds = object_of(gradient(48, 64, "uint8", frames=2), syntax=objects.RLE)
    ds.NumberOfFrames = 3
    assert refusal(ds).reason in (Reason.PIXEL_GEOMETRY, Reason.UNDECODABLE_PIXELS)


def test_an_inflating_bomb_stops_at_the_declared_size():
    ds = object_of(gradient(48, 64, "uint8"), syntax=objects.DEFLATED_FRAMES)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    ds.PixelData = encapsulate([packer.compress(bytes(1 << 24)) + packer.flush()])
    assert refusal(ds).reason is Reason.PIXEL_GEOMETRY


def test_a_jpeg_2000_header_of_many_tiles_is_refused_before_decoding():
    stream = bytearray(imagecodecs.jpeg2k_encode(gradient(48, 64, "uint8")[0], level=0, codecformat="j2k"))
    struct.pack_into(">II", stream, 24, 1, 1)  # tiles of one pixel, 48 x 64 of them
    struct.pack_into(">II", stream, 8, 640, 480)
    with pytest.raises(BrokenStreamError):
        j2k_size(bytes(stream))


def test_bytes_between_the_segments_of_an_rle_frame_are_refused():
    ds = object_of(gradient(48, 64, "uint8"), syntax=objects.RLE)
    frame = next(iter(decode_frames(ds).streams))
    offset = struct.pack("<I", 64 + 11)
    ds.PixelData = encapsulate([frame[:4] + offset + frame[8:64] + b"SECRET NAME" + frame[64:]])
    assert refusal(ds).reason is Reason.UNDECODABLE_PIXELS
