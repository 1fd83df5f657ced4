"""Frames back to a pixel element: in the transfer syntax they came in where that is exact, uncompressed where not.

Belongs here: writing filled frames, bit for bit equal outside the boxes, and the attributes that say how they are stored.
Every encoded frame is decoded again and compared before it is used.  Reading is `decoding`'s business.

| came as | a changed frame becomes | the others |
| --- | --- | --- |
| uncompressed, RLE, deflated frames | the same | the same bytes |
| JPEG lossless, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL | encoded anew without loss | the same bytes |
| JPEG baseline or extended | changed by blocks (`jpeg_blocks`) | the same bytes |
| lossy JPEG-LS, JPEG 2000, HTJ2K, JPEG XL | encoded without loss, which these allow | the same bytes; in colour alike |
| progressive JPEG, JPEG XL of a JPEG, what no encoder gives back exactly | uncompressed | uncompressed |

In colour all frames of a lossy object are encoded anew, because the header names one colour transform for all.  HTJ2K with
other than 8 or 16 bits stored becomes uncompressed: its encoder declares whole bytes.  Progressive JPEG (2 of 43 real
JPEG files) refines a block in many scans; it is worth no decoder of its own.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from gradient_assets.deid.pixels import codestreams, jpeg_blocks
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.decoding import (
    DEFLATED_FRAMES,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LOSSY,
    JPEG_XL,
    LOSSLESS,
    NATIVE,
    RLE,
    Frame,
    FrameSource,
    container,
    jpeg_components,
    native_length,
    stored_as_rgb,
    swapped_pairs,
)
from gradient_assets.deid.pixels.geometry import GREYSCALE, PixelShape

# Defined terms of Lossy Image Compression Method, PS3.3 C.7.6.1.1.5.2
LOSSY_METHODS = {
    **dict.fromkeys(JPEG_LOSSY, "ISO_10918_1"),
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.93": "ISO_15444_2",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}
JPEG_2000_PART_1 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
# Lossy syntaxes that hold frames without loss as well (PS3.5 section 8.2)
LOSSLESS_TOO = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 203, 112))
# Interpolated chroma takes a quarter of the neighbouring sample, which lies up to this many pixels away (4:2:0).
CHROMA_REACH_PX = 2

FILLED = "Burned-in text blacked out; all other pixel values unchanged"
BY_BLOCKS = "Burned-in text blacked out by whole blocks of the JPEG stream; all other blocks unchanged"
DECODED = "Burned-in text blacked out after lossy compression of about {ratio:.1f}:1; stored without further loss"


class InexactEncodingError(Exception):
    """What an encoder wrote does not decode to what it was given."""


@dataclass(frozen=True, slots=True)
class BoxFill:
    """The boxes of each frame and the value in them, for pictures that are changed block by block."""

    boxes_at: Callable[[int], Sequence[Box]]
    value: Any


def store_streams(ds: Dataset, streams: Iterable[bytes]) -> None:
    """Put compressed frames into the dataset, one item per frame, with a Basic Offset Table."""
    frames = list(streams)
    ds.PixelData = encapsulate(frames, has_bot=sum(len(f) + 9 for f in frames) < 2**32 - 1)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    _without_offset_tables(ds)


def store_frames(
    ds: Dataset, source: FrameSource, frame_at: Callable[[int], Frame | None], fill: BoxFill | None = None
) -> str:
    """Put changed frames into the dataset; `frame_at` gives None for a frame that stays as it was.

    Returns the Derivation Description (PS3.3 C.7.6.1.1.3).  `fill`: JPEG frames may be changed by blocks, which blackens
    whole units of 8 or 16 pixels around the boxes.
    """
    syntax = source.transfer_syntax
    if syntax in NATIVE or source.shape.is_float:
        _store_native(ds, source, frame_at, same_syntax=True)
        return FILLED
    by_blocks = syntax in JPEG_LOSSY and fill is not None
    try:
        if by_blocks and fill is not None:
            store_streams(ds, [_by_blocks(source, i, fill) for i in range(len(source))])
        elif syntax in LOSSLESS:
            _store_lossless(ds, source, frame_at)
        elif syntax in LOSSLESS_TOO:
            _store_lossless_in_lossy(ds, source, frame_at)
        else:
            raise InexactEncodingError
    except Exception:  # no encoder, or not exact: uncompressed is always possible, and as exact
        by_blocks = False
        _store_native(ds, source, frame_at, same_syntax=False)
    if by_blocks:
        return BY_BLOCKS
    return FILLED if syntax in LOSSLESS else _after_loss(ds, source)


def _after_loss(ds: Dataset, source: FrameSource) -> str:
    """What was lossy stays lossy, whatever it is stored as (PS3.3 C.7.6.1.1.5); attributes that are there are kept."""
    ratio = native_length(source.shape) / max(1, sum(map(len, source.streams)))
    ds.LossyImageCompression = "01"
    if source.transfer_syntax in LOSSY_METHODS and not ds.get("LossyImageCompressionMethod"):
        ds.LossyImageCompressionMethod = LOSSY_METHODS[source.transfer_syntax]
        if not ds.get("LossyImageCompressionRatio"):
            ds.LossyImageCompressionRatio = f"{ratio:.4g}"
    return DECODED.format(ratio=ratio)


def _stream_of(source: FrameSource, index: int, frame: Frame | None) -> bytes:
    if frame is None:
        return source.streams[index]
    stream = _encoded(frame, source)
    changed = FrameSource(source.shape, source.transfer_syntax, memoryview(b""), (stream,), False, source.photometric)
    if not np.array_equal(changed[0], frame):
        raise InexactEncodingError
    return stream


def _store_lossless(ds: Dataset, source: FrameSource, frame_at: Callable[[int], Frame | None]) -> None:
    target = _as_encoded(source)
    store_streams(ds, [_stream_of(target, index, frame_at(index)) for index in range(len(source))])
    ds.PhotometricInterpretation = target.shape.photometric


def _store_lossless_in_lossy(ds: Dataset, source: FrameSource, frame_at: Callable[[int], Frame | None]) -> None:
    syntax, target = source.transfer_syntax, _as_encoded(source)
    if syntax in HTJ2K and target.shape.photometric == "RGB":  # its encoder transforms RGB
        target = _declared(target, "YBR_RCT")
    transformed = source.shape.samples == 3 and syntax in JPEG_2000_PART_1 | HTJ2K | JPEG_XL
    streams = []
    for index in range(len(source)):
        frame = frame_at(index)
        streams.append(_stream_of(target, index, source[index] if frame is None and transformed else frame))
    store_streams(ds, streams)
    ds.PhotometricInterpretation = target.shape.photometric


def _as_encoded(source: FrameSource) -> FrameSource:
    """The source with the Photometric Interpretation that its frames have once they are encoded here.

    JPEG 2000 and JPEG XL of which the header says another thing than the stream does (PS3.5 sections 8.2.4 and 8.2.15): YBR
    stays as it is, RGB goes through the reversible transform of JPEG 2000 if it came through one.
    """
    shape, syntax = source.shape, source.transfer_syntax
    if shape.samples != 3 or source.photometric == shape.photometric or syntax not in JPEG_2000 | JPEG_XL:
        return source
    return _declared(source, "YBR_RCT" if syntax in JPEG_2000 and source.photometric == "RGB" else source.photometric)


def _declared(source: FrameSource, photometric: str) -> FrameSource:
    return replace(source, shape=replace(source.shape, photometric=photometric))


def _by_blocks(source: FrameSource, index: int, fill: BoxFill) -> bytes:
    """The frame's stream with its boxes black; raises what `jpeg_blocks` raises, and `InexactEncodingError`."""
    boxes, stream, shape = fill.boxes_at(index), source.streams[index], source.shape
    if not boxes:
        return stream
    facts = codestreams.jpeg_facts(stream)
    is_rgb = stored_as_rgb(facts, shape)
    if shape.samples == 3:
        grey = 1 << (facts.size.bits - 1)
        levels: tuple[int, ...] = (0, 0, 0) if is_rgb else (0, grey, grey)
    elif shape.photometric in GREYSCALE and not shape.signed and shape.high_bit == shape.bits_stored - 1:
        levels = (int(fill.value),)
    else:
        raise InexactEncodingError
    changed, touched = jpeg_blocks.blackened(stream, boxes, levels)
    before, after = (jpeg_components(one, is_rgb) for one in (stream, changed))
    _check_blocks(before, after, touched, levels)
    return changed


def _check_blocks(before: Frame, after: Frame, touched: NDArray[np.bool_], levels: tuple[int, ...]) -> None:
    """An independent decoder has to see what `jpeg_blocks` promises: flat inside, equal outside."""
    window = np.ones((2 * CHROMA_REACH_PX + 1,) * 2, np.uint8)
    near = cv2.dilate(touched.view(np.uint8), window).astype(bool)
    inner = cv2.erode(touched.view(np.uint8), window).astype(bool)
    middle = 1 << (8 * before.dtype.itemsize - 1) if len(levels) == 3 else 0
    for number, level in enumerate(levels):
        one, other = (planes.reshape(*touched.shape, -1)[..., number] for planes in (before, after))
        is_first = number == 0
        inside = other[touched if is_first else inner].astype(np.int64)
        outside = ~(touched if is_first else near)
        if not np.array_equal(one[outside], other[outside]) or (inside.size and inside.min() != inside.max()):
            raise InexactEncodingError
        # a quantisation step may miss the level of a bright fill; black is exact, because values below it are cut off
        if inside.size and level in (0, middle) and inside[0] != level:
            raise InexactEncodingError


def _encoded(frame: Frame, source: FrameSource) -> bytes:
    shape, syntax = source.shape, source.transfer_syntax
    if syntax == RLE:
        return _rle(frame, shape)
    if syntax == DEFLATED_FRAMES:
        return _deflated(frame, shape)
    last = syntax.rsplit(".", 1)[1]
    if syntax in JPEG_LOSSLESS:
        bits = max(2, shape.bits_stored)
        space = "RGB" if shape.samples == 3 else None  # as it is, whatever it means
        return bytes(
            imagecodecs.jpeg8_encode(
                _unsigned(frame, shape),
                lossless=True,
                predictor=1,
                bitspersample=bits,
                colorspace=space,
                outcolorspace=space,
            )
        )
    if last in ("80", "81"):
        # CharLS puts a SPIFF header in front, which is no picture
        return codestreams.bare_jpeg(bytes(imagecodecs.jpegls_encode(_unsigned(frame, shape))))
    if last in ("110", "112"):
        bits = shape.bits_stored
        return bytes(
            imagecodecs.jpegxl_encode(frame, lossless=True, usecontainer=False, bitspersample=bits, numthreads=1)
        )
    return _jpeg_2000(frame, shape, syntax)


def _jpeg_2000(frame: Frame, shape: PixelShape, syntax: str) -> bytes:
    if syntax in HTJ2K:
        # The encoder declares whole bytes; a stream that declares more bits than Bits Stored contradicts its header.
        if shape.bits_stored not in (8, 16) or shape.bits_stored != shape.bits_allocated:
            raise InexactEncodingError
        # OpenJPH writes in RPCL order; syntax 202 asks for that, and for tile-part lengths
        as_it_is = False if shape.photometric == "YBR_FULL" else None
        return bytes(imagecodecs.htj2k_encode(frame, reversible=True, tlm=syntax.endswith("202"), rgb=as_it_is))
    if syntax.rsplit(".", 1)[1] not in ("90", "91", "92"):
        raise InexactEncodingError  # no encoder
    return bytes(
        imagecodecs.jpeg2k_encode(
            frame,
            level=0,
            reversible=True,
            codecformat="j2k",
            bitspersample=shape.bits_stored,
            mct=shape.photometric == "YBR_RCT",
            numthreads=1,
        )
    )


def _unsigned(frame: Frame, shape: PixelShape) -> Frame:
    """JPEG and JPEG-LS know no sign: two's complement of the bits stored."""
    if not shape.signed:
        return frame
    kind = np.dtype(f"u{frame.dtype.itemsize}")
    return np.asarray(frame.view(kind) & kind.type((1 << shape.bits_stored) - 1))


def _rle(frame: Frame, shape: PixelShape) -> bytes:
    """PS3.5 annex G: rows packed one by one, segments padded to even length; single bits as one row, packed to bytes."""
    if shape.bits_allocated == 1:
        packed = bytes(imagecodecs.packbits_encode(_native_bytes(frame, shape)))
        return struct.pack("<16I", 1, 64, *[0] * 14) + packed + b"\x00" * (len(packed) % 2)
    octets = shape.bits_allocated // 8
    little = np.ascontiguousarray(frame, dtype=container(shape)).view(np.uint8)
    planes = little.reshape(shape.rows, shape.columns, shape.samples, octets)
    segments = []
    for sample in range(shape.samples):
        for octet in reversed(range(octets)):
            plane = np.ascontiguousarray(planes[:, :, sample, octet])
            packed = b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in plane)
            segments.append(packed + b"\x00" * (len(packed) % 2))
    offsets = [64 + sum(len(s) for s in segments[:i]) for i in range(len(segments))]
    header = np.array([len(segments), *offsets, *[0] * (15 - len(segments))], "<u4").tobytes()
    return header + b"".join(segments)


def _deflated(frame: Frame, shape: PixelShape) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(_native_bytes(frame, shape)) + packer.flush()


def _native_bytes(frame: Frame, shape: PixelShape, big_endian: bool = False) -> bytes:
    if shape.bits_allocated == 1:
        return np.packbits(frame.reshape(-1), bitorder="little").tobytes()
    values = frame.astype(container(shape, big_endian))
    if shape.samples == 1:
        return values.tobytes()
    if shape.photometric == "YBR_FULL_422":
        flat = values.reshape(-1, 3)
        quads = np.stack([flat[0::2, 0], flat[1::2, 0], flat[0::2, 1], flat[0::2, 2]], axis=1)
        return quads.tobytes()
    if shape.planar == 1:
        return np.ascontiguousarray(values.transpose(2, 0, 1)).tobytes()
    return values.tobytes()


def _store_native(
    ds: Dataset, source: FrameSource, frame_at: Callable[[int], Frame | None], *, same_syntax: bool
) -> None:
    shape = source.shape if same_syntax else replace(source.shape, planar=0, photometric=source.photometric)
    # one growing buffer: a list of frames that is joined in the end needs the size of the object twice
    written, bits = io.BytesIO(), np.zeros(0, np.uint8)
    for index in range(len(source)):
        changed = frame_at(index)
        frame = source[index] if changed is None else changed
        if shape.bits_allocated == 1:  # frames follow each other without padding to bytes
            bits = np.concatenate([bits, frame.reshape(-1)])
            whole = bits.size // 8 * 8
            written.write(np.packbits(bits[:whole], bitorder="little").tobytes())
            bits = bits[whole:]
        else:
            written.write(_native_bytes(frame, shape, source.big_endian and same_syntax))
    written.write(np.packbits(bits, bitorder="little").tobytes())
    written.write(b"\x00" * (written.tell() % 2))
    value = written.getvalue()
    if same_syntax:
        value = swapped_pairs(value) if source.swapped_words else value
        ds[shape.keyword] = DataElement(shape.keyword, ds[shape.keyword].VR, value)
        return
    ds["PixelData"] = DataElement("PixelData", "OW" if shape.bits_allocated > 8 else "OB", value)
    ds.PhotometricInterpretation = source.photometric
    if shape.samples > 1:
        ds.PlanarConfiguration = 0
    _without_offset_tables(ds)
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)


def _without_offset_tables(ds: Dataset) -> None:
    """The extended ones described the streams that were there before."""
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            delattr(ds, keyword)
