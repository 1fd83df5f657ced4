"""Bytes to frames, for every transfer syntax that can be decoded here.

Belongs here: cutting the pixel element into frames, checking what a compressed frame declares before it is decoded, and
the codecs.  Frames come out as *stored values in their whole container* (unused bits included for native pixels), so
that what was read can be written back bit for bit (`encoding`).  What the values look like is `rendering`'s business.
Decoders: imagecodecs, which alone decoded every compressed file of the test set (12-bit and progressive JPEG, JPEG XL);
no GPL decoder.  It is called directly and not registered as a plugin of pydicom: those hand out frames in which unused
bits, sign and colour are already interpreted, so that nothing could be written back bit for bit, and they join fragments
before anybody can count them.  PS3.5 section 8 and annexes A, G.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
from pydicom.uid import UID

from gradient_assets.deid.pixels import codestreams
from gradient_assets.deid.pixels.codestreams import BrokenStreamError, StreamSize
from gradient_assets.deid.pixels.geometry import PixelShape, pixel_keyword, pixel_shape
from gradient_assets.deid.pixels.jpegxl_header import jpegxl_facts
from gradient_assets.deid.reasons import Reason, Refused

Frame = NDArray[Any]

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
JPEG_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 52, 53, 54, 55, 56))
JPEG_LOSSLESS = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (57, 58, 70))
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93, 201, 202, 203))
JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
# What the decoded values are exactly what was encoded in.
LOSSLESS = NATIVE | JPEG_LOSSLESS | {RLE, DEFLATED_FRAMES} | {
    f"1.2.840.10008.1.2.4.{n}" for n in (80, 90, 92, 110, 201, 202)
}  # fmt: skip
# A fragment count beyond this is an attack, not an image: the largest real object has some per frame.
MAX_FRAGMENTS = 200_000


@dataclass(frozen=True, slots=True)
class FrameSource:
    """The frames of one object, decoded when asked for; `streams` are the bare compressed frames (empty when native).

    `photometric` is what the decoded values mean: a JPEG decoder turns YBR into RGB.  `swapped_words`: 8-bit pixels in
    big-endian OW, where each pair of bytes is exchanged (PS3.5 section 8.1.1).
    """

    shape: PixelShape
    transfer_syntax: str
    native: memoryview
    streams: tuple[bytes, ...]
    stripped: bool
    photometric: str
    big_endian: bool = False
    swapped_words: bool = False

    def __len__(self) -> int:
        return self.shape.frames

    def __getitem__(self, frame: int) -> Frame:
        """Frame `frame` (from 0) as a writable array, rows × columns or rows × columns × 3."""
        if self.streams:
            return _decoded(self.streams[frame], self.transfer_syntax, self.shape)
        return _native_frame(self.native, self.shape, self.big_endian, frame)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))


def decode_frames(ds: Dataset) -> FrameSource:
    """The frames of an object with pixel data.

    Raises Refused: PIXEL_GEOMETRY, PIXELS_TOO_LARGE, UNDECODABLE_PIXELS (the last also while iterating).
    """
    keyword = pixel_keyword(ds)
    if keyword is None:
        raise Refused(Reason.PIXEL_GEOMETRY, "no pixel data element")
    shape = pixel_shape(ds, keyword)
    syntax = transfer_syntax(ds)
    value = ds[keyword].value
    if not isinstance(value, (bytes, bytearray)) or not value:
        raise Refused(Reason.PIXEL_GEOMETRY, "the pixel data element is empty")
    if syntax in NATIVE or shape.is_float:
        shape = _native_shape(shape, len(value))
        big_endian = syntax == BIG_ENDIAN
        swapped = big_endian and shape.bits_allocated <= 8 and ds[keyword].VR == "OW"
        native = memoryview(swapped_pairs(bytes(value)) if swapped else value)
        return FrameSource(shape, syntax, native, (), False, shape.photometric, big_endian, swapped)
    bare_of = _stripper(syntax)
    try:
        frames = _cut(ds, bytes(value), shape.frames)
        bare = tuple(bare_of(frame) for frame in frames)
        photometric = _photometric_after(shape, syntax, bare)
    except Refused:
        raise
    except Exception as error:  # whatever a broken stream provokes, the object is refused
        raise Refused(Reason.UNDECODABLE_PIXELS, type(error).__name__) from None
    stripped = any(one is not before for one, before in zip(bare, frames, strict=True))
    return FrameSource(shape, syntax, memoryview(b""), bare, stripped, photometric)


def transfer_syntax(ds: Dataset) -> str:
    """The Transfer Syntax UID of the file meta; Refused(UNDECODABLE_PIXELS) when it is missing."""
    meta = getattr(ds, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if not syntax:
        raise Refused(Reason.UNDECODABLE_PIXELS, "no Transfer Syntax UID")
    return str(UID(syntax))


def _native_shape(shape: PixelShape, length: int) -> PixelShape:
    """The shape whose frames fill the bytes there are; some writers keep YBR_FULL_422's name for full sampling."""
    expected = native_length(shape)
    if shape.photometric == "YBR_FULL_422" and length >= native_length(replace(shape, photometric="YBR_FULL")):
        shape = replace(shape, photometric="YBR_FULL")
        expected = native_length(shape)
    if length < expected:
        raise Refused(Reason.PIXEL_GEOMETRY, f"{length} bytes of pixel data, {expected} expected")
    if shape.photometric == "YBR_FULL_422" and shape.columns % 2:
        raise Refused(Reason.PIXEL_GEOMETRY, "an odd number of columns in pairs of pixels")
    return shape


def swapped_pairs(value: bytes) -> bytes:
    """Each pair of bytes exchanged; an odd last byte stays."""
    even = len(value) // 2 * 2
    return np.frombuffer(value, "<u2", even // 2).byteswap().tobytes() + value[even:]


def native_length(shape: PixelShape) -> int:
    """Bytes of all frames uncompressed, without padding."""
    samples = 2 if shape.photometric == "YBR_FULL_422" else shape.samples
    pixels = shape.rows * shape.columns * samples * shape.frames
    return (pixels + 7) // 8 if shape.bits_allocated == 1 else pixels * (shape.bits_allocated // 8)


def container(shape: PixelShape, big_endian: bool = False) -> np.dtype[Any]:
    """The numpy type of one stored sample."""
    if shape.is_float:
        kind = "f"
    else:
        kind = "i" if shape.signed else "u"
    size = max(1, shape.bits_allocated // 8)
    return np.dtype(f"{'>' if big_endian else '<'}{kind}{size}")


def _native_frame(value: memoryview, shape: PixelShape, big_endian: bool, frame: int) -> Frame:
    pixels = shape.rows * shape.columns
    if shape.bits_allocated == 1:
        first = frame * pixels
        octets = np.frombuffer(value, np.uint8)[first // 8 : (first + pixels + 7) // 8]
        bits = np.unpackbits(octets, bitorder="little")[first % 8 : first % 8 + pixels]
        return bits.reshape(shape.rows, shape.columns)
    dtype = container(shape, big_endian)
    samples = 2 if shape.photometric == "YBR_FULL_422" else shape.samples
    count = pixels * samples
    flat = np.frombuffer(value, dtype, count, frame * count * dtype.itemsize).astype(dtype.newbyteorder("="))
    if shape.samples == 1:
        return flat.reshape(shape.rows, shape.columns)
    if shape.photometric == "YBR_FULL_422":
        return _upsampled(flat, shape)
    if shape.planar == 1:
        return np.ascontiguousarray(flat.reshape(3, shape.rows, shape.columns).transpose(1, 2, 0))
    return flat.reshape(shape.rows, shape.columns, 3)


def _upsampled(flat: Frame, shape: PixelShape) -> Frame:
    """Y0 Y1 Cb Cr quadruples to full sampling, by repetition: undone exactly when written (PS3.3 C.7.6.3.1.2)."""
    quads = flat.reshape(-1, 4)
    full = np.empty((quads.shape[0] * 2, 3), flat.dtype)
    full[0::2, 0], full[1::2, 0] = quads[:, 0], quads[:, 1]
    full[:, 1], full[:, 2] = np.repeat(quads[:, 2], 2), np.repeat(quads[:, 3], 2)
    return full.reshape(shape.rows, shape.columns, 3)


def _cut(ds: Dataset, value: bytes, frames: int) -> list[bytes]:
    """The compressed frames, exactly as many as declared."""
    items = io.BytesIO(value)
    parse_basic_offsets(items)
    stored = 0
    for number, fragment in enumerate(generate_fragments(items)):
        if number >= MAX_FRAGMENTS:
            raise Refused(Reason.PIXELS_TOO_LARGE, f"more than {MAX_FRAGMENTS} fragments")
        stored += len(fragment)
    offsets = None
    if "ExtendedOffsetTable" in ds and "ExtendedOffsetTableLengths" in ds:
        offsets = (bytes(ds.ExtendedOffsetTable), bytes(ds.ExtendedOffsetTableLengths))
    cut = list(generate_frames(value, number_of_frames=frames, extended_offsets=offsets))
    if len(cut) != frames:
        raise Refused(Reason.PIXEL_GEOMETRY, f"{len(cut)} compressed frames, {frames} declared")
    # An offset table that leaves bytes out hides them; extended lengths leave out the byte that pads a frame.
    left_out = stored - sum(map(len, cut))
    if not 0 <= left_out <= (frames if offsets else 0):
        raise Refused(Reason.PIXEL_GEOMETRY, "an offset table that does not name every fragment once")
    return cut


def _stripper(syntax: str) -> Callable[[bytes], bytes]:
    if syntax in JPEG_LOSSY | JPEG_LOSSLESS | JPEG_LS:
        return codestreams.bare_jpeg
    if syntax in JPEG_2000:
        return codestreams.bare_j2k
    if syntax in JPEG_XL:
        return codestreams.bare_jpegxl
    if syntax in (RLE, DEFLATED_FRAMES):
        return lambda stream: stream
    raise Refused(Reason.UNDECODABLE_PIXELS, "no decoder for the transfer syntax")


def _photometric_after(shape: PixelShape, syntax: str, streams: tuple[bytes, ...]) -> str:
    """What decoders of JPEG 2000 and JPEG XL hand out is RGB where the stream says that its colours are transformed.

    Without that it is what was given to the encoder, which the header names (PS3.5 section 8.2.4).
    """
    if shape.samples != 3 or not (syntax in JPEG_2000 | JPEG_XL or syntax in JPEG_LOSSY):
        return shape.photometric
    if syntax in JPEG_LOSSY or shape.photometric not in ("YBR_FULL", "YBR_FULL_422"):
        return "RGB"
    if syntax in JPEG_XL:
        transforms: set[bool | None] = {jpegxl_facts(stream).is_transformed for stream in streams}
    else:
        transforms = {codestreams.j2k_transforms_colour(stream) for stream in streams}
    if len(transforms) > 1 or None in transforms:
        raise Refused(
            Reason.UNDECODABLE_PIXELS, "a colour transform that is not the same, or not known, for all frames"
        )
    return "RGB" if True in transforms else "YBR_FULL"


def _decoded(stream: bytes, syntax: str, shape: PixelShape) -> Frame:
    try:
        frame = _decode(stream, syntax, shape)
    except Refused:
        raise
    except Exception as error:  # codecs raise types of their own, and their messages may quote the stream
        raise Refused(Reason.UNDECODABLE_PIXELS, type(error).__name__) from None
    expected = (shape.rows, shape.columns) if shape.samples == 1 else (shape.rows, shape.columns, 3)
    if frame.shape != expected:
        raise Refused(Reason.PIXEL_GEOMETRY, "a decoded frame has another size than declared")
    dtype = container(shape)
    if frame.dtype.itemsize > dtype.itemsize:
        raise Refused(Reason.PIXEL_GEOMETRY, "a decoded frame has more bits than allocated")
    if frame.dtype.kind == "u" and dtype.kind == "i":
        frame = _sign_extended(frame.astype(np.int64), shape.bits_stored)
    return np.array(frame, dtype=dtype)


def _sign_extended(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Two's complement of `bits` bits: JPEG and JPEG-LS carry signed values as unsigned ones."""
    half = 1 << (bits - 1)
    return ((values & ((1 << bits) - 1)) ^ half) - half


def _decode(stream: bytes, syntax: str, shape: PixelShape) -> Frame:
    if syntax == RLE:
        return _decode_rle(stream, shape)
    if syntax == DEFLATED_FRAMES:
        return _inflate(stream, shape)
    if syntax in JPEG_XL:
        return _decode_jpegxl(stream, shape)
    if syntax in JPEG_2000:
        _agree(codestreams.j2k_size(stream), shape)
        return np.asarray(imagecodecs.jpeg2k_decode(stream, numthreads=1))
    facts = codestreams.jpeg_facts(stream)
    _agree(facts.size, shape)
    if syntax in JPEG_LS or facts.process == 0xF7:
        return np.asarray(imagecodecs.jpegls_decode(stream))
    if facts.process == 0xC3:
        return _decode_lossless_jpeg(stream)
    if shape.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(stream))
    stored = "RGB" if stored_as_rgb(facts, shape) else "YCBCR"
    return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace=stored, outcolorspace="RGB"))


def _decode_jpegxl(stream: bytes, shape: PixelShape) -> Frame:
    _agree(jpegxl_facts(stream).size, shape)
    # The codestream does not say where it ends, and a decoder reads no further.  One that misses its last byte can't be
    # decoded: if this one can, something stands behind it.
    try:
        imagecodecs.jpegxl_decode(stream.rstrip(b"\x00")[:-1], numthreads=1)
    except imagecodecs.JpegxlError:
        return np.asarray(imagecodecs.jpegxl_decode(stream, numthreads=1))
    raise BrokenStreamError("bytes behind the codestream")


def stored_as_rgb(facts: codestreams.JpegFacts, shape: PixelShape) -> bool:
    """Whether the components of a colour JPEG are R, G and B.

    Many writers say RGB over a stream that a JFIF or Adobe block declares as YCbCr; the stream is right.
    """
    if facts.adobe_transform == 0 or facts.component_ids == b"RGB":
        return True
    return shape.photometric == "RGB" and not (facts.jfif or facts.adobe_transform == 1)


def jpeg_components(stream: bytes, is_rgb: bool) -> Frame:
    """The components of a lossy JPEG frame as they are stored, without a colour transform."""
    if codestreams.jpeg_facts(stream).size.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(stream))
    stored = "RGB" if is_rgb else "YCBCR"
    return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace=stored, outcolorspace=stored))


def _decode_lossless_jpeg(stream: bytes) -> Frame:
    """Process 14; components as they are, no colour transform."""
    return np.asarray(imagecodecs.jpegsof3_decode(stream))


def _agree(size: StreamSize, shape: PixelShape) -> None:
    """Before anything is allocated: a frame that declares another size is a bomb or a mix-up."""
    if (size.rows, size.columns) != (shape.rows, shape.columns) or size.samples != shape.samples:
        raise Refused(Reason.PIXEL_GEOMETRY, "a compressed frame declares another size")
    if size.bits > shape.bits_allocated:
        raise Refused(Reason.PIXEL_GEOMETRY, "a compressed frame declares more bits than allocated")


def _inflate(stream: bytes, shape: PixelShape) -> Frame:
    one = replace(shape, frames=1)
    expected = native_length(one)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    raw = inflater.decompress(stream, expected + 2)
    if not expected <= len(raw) <= expected + 1:
        raise Refused(Reason.PIXEL_GEOMETRY, "an inflated frame has another size than declared")
    if not inflater.eof or raw[expected:].strip(b"\x00") or inflater.unused_data.strip(b"\x00"):
        raise BrokenStreamError("bytes behind the inflated frame")
    return _native_frame(memoryview(raw), one, False, 0)


def _decode_rle(stream: bytes, shape: PixelShape) -> Frame:
    """PS3.5 annex G: one PackBits segment per byte plane, most significant first."""
    offsets = struct.unpack_from("<16I", stream)
    octets = max(1, shape.bits_allocated // 8)
    planes = octets * shape.samples
    if offsets[0] != planes:
        raise BrokenStreamError("another number of segments")
    bounds = [*offsets[1 : planes + 1], len(stream)]
    if bounds[0] < 64 or any(later < sooner for sooner, later in itertools.pairwise(bounds)):
        raise BrokenStreamError("segments out of order")
    if any(offsets[planes + 1 :]) or bounds[0] != 64:
        raise BrokenStreamError("bytes outside the segments")
    pixels = shape.rows * shape.columns
    if shape.bits_allocated == 1:
        packed = _unpacked(stream[64:], (pixels + 7) // 8)
        return _native_frame(memoryview(packed), replace(shape, frames=1), False, 0)
    frame = np.empty((pixels, shape.samples, octets), np.uint8)
    for plane in range(planes):
        raw = _unpacked(stream[bounds[plane] : bounds[plane + 1]], pixels)
        frame[:, plane // octets, octets - 1 - plane % octets] = np.frombuffer(raw, np.uint8, pixels)
    values = frame.reshape(-1).view(container(shape))
    size = (shape.rows, shape.columns) if shape.samples == 1 else (shape.rows, shape.columns, 3)
    return values.reshape(size)


def _unpacked(segment: bytes, length: int) -> bytes:
    """One PackBits segment of `length` bytes, or one more, which even rows need.

    The room given is the limit: a segment that grows beyond it, and bytes behind its end other than padding, are errors.
    """
    raw = bytes(imagecodecs.packbits_decode(segment, out=length + 1))
    if len(raw) < length:
        raise BrokenStreamError("a segment is too short")
    return raw
