"""Frames back to a pixel element: the same transfer syntax where that is exact, Explicit VR Little Endian where not.

Belongs here: writing filled frames, bit for bit equal outside the boxes, and the attributes that say how they are stored.
Every encoded frame is decoded again and compared before it is used.  Reading is `decoding`'s business.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from gradient_assets.deid.pixels.decoding import (
    DEFLATED_FRAMES,
    JPEG_LOSSLESS,
    JPEG_LOSSY,
    LOSSLESS,
    NATIVE,
    RLE,
    Frame,
    FrameSource,
    container,
    swapped_pairs,
)
from gradient_assets.deid.pixels.geometry import PixelShape

# Defined terms of Lossy Image Compression Method, PS3.3 C.7.6.1.1.5.2
LOSSY_METHODS = {
    **dict.fromkeys(JPEG_LOSSY, "ISO_10918_1"),
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.93": "ISO_15444_2",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}


class InexactEncodingError(Exception):
    """What an encoder wrote does not decode to what it was given."""


def store_streams(ds: Dataset, streams: Iterable[bytes]) -> None:
    """Put compressed frames into the dataset, one item per frame, with a Basic Offset Table."""
    frames = list(streams)
    ds.PixelData = encapsulate(frames, has_bot=sum(len(f) + 9 for f in frames) < 2**32 - 1)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            delattr(ds, keyword)


def store_frames(ds: Dataset, source: FrameSource, frame_at: Callable[[int], Frame | None]) -> None:
    """Put changed frames into the dataset; `frame_at` gives None for a frame that stays as it was.

    Lossless objects keep their transfer syntax if it can be encoded exactly; lossy and other ones become uncompressed.
    """
    syntax = source.transfer_syntax
    if syntax in NATIVE or source.shape.is_float:
        _store_native(ds, source, frame_at, same_syntax=True)
    elif syntax in LOSSLESS:
        try:
            store_streams(ds, [_stream_of(source, i, frame_at(i)) for i in range(len(source))])
        except Exception:  # no encoder, or not exact: uncompressed is always possible, and as exact
            _store_native(ds, source, frame_at, same_syntax=False)
    else:
        _store_native(ds, source, frame_at, same_syntax=False)
        _mark_lossy(ds, syntax)


def _stream_of(source: FrameSource, index: int, frame: Frame | None) -> bytes:
    if frame is None:
        return source.streams[index]
    stream = _encoded(frame, source)
    changed = FrameSource(source.shape, source.transfer_syntax, memoryview(b""), (stream,), False, source.photometric)
    if not np.array_equal(changed[0], frame):
        raise InexactEncodingError
    return stream


def _encoded(frame: Frame, source: FrameSource) -> bytes:
    shape, syntax = source.shape, source.transfer_syntax
    if syntax == RLE:
        return _rle(frame, shape)
    if syntax == DEFLATED_FRAMES:
        return _deflated(frame, shape)
    last = syntax.rsplit(".", 1)[1]
    if syntax in JPEG_LOSSLESS:
        return bytes(
            imagecodecs.jpeg8_encode(
                _unsigned(frame, shape),
                lossless=True,
                predictor=1,
                bitspersample=max(2, shape.bits_stored),
                **_as_is(shape),
            )
        )
    if last == "80":
        return bytes(imagecodecs.jpegls_encode(_unsigned(frame, shape)))
    if last in ("90", "92"):
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
    if last == "110":
        return bytes(imagecodecs.jpegxl_encode(frame, lossless=True, usecontainer=False, numthreads=1))
    raise InexactEncodingError  # no encoder


def _as_is(shape: PixelShape) -> dict[str, Any]:
    return {"colorspace": "RGB", "outcolorspace": "RGB"} if shape.samples == 3 else {}


def _unsigned(frame: Frame, shape: PixelShape) -> Frame:
    """JPEG and JPEG-LS know no sign: two's complement of the bits stored."""
    if not shape.signed:
        return frame
    kind = np.dtype(f"u{frame.dtype.itemsize}")
    return np.asarray(frame.view(kind) & kind.type((1 << shape.bits_stored) - 1))


def _rle(frame: Frame, shape: PixelShape) -> bytes:
    """PS3.5 annex G: rows packed one by one, segments padded to even length."""
    if shape.bits_allocated == 1:
        raise InexactEncodingError  # written uncompressed: packed rows don't end at byte borders
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
    shape = source.shape if same_syntax else _uncompressed_shape(source)
    parts: list[bytes] = []
    bits: list[Any] = []
    for index in range(len(source)):
        changed = frame_at(index)
        frame = source[index] if changed is None else changed
        if shape.bits_allocated == 1:
            bits.append(frame.reshape(-1))  # frames follow each other without padding to bytes
        else:
            parts.append(_native_bytes(frame, shape, source.big_endian and same_syntax))
    value = np.packbits(np.concatenate(bits), bitorder="little").tobytes() if bits else b"".join(parts)
    value += b"\x00" * (len(value) % 2)
    if same_syntax:
        ds[shape.keyword] = _element(ds, shape, swapped_pairs(value) if source.swapped_words else value)
        return
    ds["PixelData"] = DataElement("PixelData", "OW" if shape.bits_allocated > 8 else "OB", value)
    ds.PhotometricInterpretation = source.photometric
    if shape.samples > 1:
        ds.PlanarConfiguration = 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            delattr(ds, keyword)
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)


def _element(ds: Dataset, shape: PixelShape, value: bytes) -> DataElement:
    return DataElement(shape.keyword, ds[shape.keyword].VR, value)


def _uncompressed_shape(source: FrameSource) -> PixelShape:
    return replace(source.shape, planar=0, photometric=source.photometric)


def _mark_lossy(ds: Dataset, syntax: str) -> None:
    """What was lossy stays lossy, also uncompressed (PS3.3 C.7.6.1.1.5); attributes that are there are kept."""
    ds.LossyImageCompression = "01"
    if syntax in LOSSY_METHODS and not ds.get("LossyImageCompressionMethod"):
        ds.LossyImageCompressionMethod = LOSSY_METHODS[syntax]
