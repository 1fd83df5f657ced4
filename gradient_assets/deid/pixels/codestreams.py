"""Compressed frames as byte structures: what size they declare, and everything in them that is no picture taken out.

Belongs here: JPEG, JPEG-LS and JPEG 2000 segments and the boxes of JPEG XL, read without decoding (`jpegxl_header` reads
what stands in those).  A camera's EXIF block, a comment or an
XMP packet inside a frame can hold a name that no header engine sees, so only what a decoder needs stays.  Decoding is
`decoding`'s business.  ITU-T T.81 annex B, T.87 annex C, T.800 annexes A and I; ISO/IEC 18181-2.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SOI, EOI, SOS, COM, DNL = 0xD8, 0xD9, 0xDA, 0xFE, 0xDC
SOF_MARKERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
# Segments a decoder needs: tables, restart interval, frame and scan headers, JPEG-LS parameters.
NEEDED_MARKERS = SOF_MARKERS | {0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xF8, SOS}
J2K_SIZ, J2K_COM, J2K_SOT, J2K_SOD, J2K_EOC = 0xFF51, 0xFF64, 0xFF90, 0xFF93, 0xFFD9
J2K_COD = 0xFF52
# A real image has at most some thousand tiles; a header of 65,535 makes decoders allocate for minutes.
MAX_J2K_TILES = 4096
# Progressive streams of encoders have up to a dozen scans; each costs a pass over the whole picture.
MAX_JPEG_SCANS = 200
# What encoders put behind the end of a stream to make its length even; it holds nothing.
PADDING = b"\x00\xff "
JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL \r\n\x87\n"


class BrokenStreamError(ValueError):
    """The byte structure contradicts itself; the message holds no byte of it."""


@dataclass(frozen=True, slots=True)
class StreamSize:
    """What the compressed frame itself declares; `bits` is the sample precision."""

    rows: int
    columns: int
    samples: int
    bits: int


@dataclass(frozen=True, slots=True)
class JpegFacts:
    """Colour clues of a JPEG frame: Adobe's transform flag (None without), JFIF header present, component ids."""

    size: StreamSize
    process: int
    adobe_transform: int | None
    jfif: bool
    component_ids: bytes


@cache
def _harmless_comments() -> tuple[re.Pattern[bytes], ...]:
    """Comments that codecs write about themselves; every other comment is taken out."""
    lines = files(__package__).joinpath("harmless_comments.txt").read_text("utf-8").splitlines()
    return tuple(re.compile(line.encode()) for line in lines if line and not line.startswith("#"))


def _harmless(comment: bytes) -> bool:
    return any(pattern.fullmatch(comment) for pattern in _harmless_comments())


def jpeg_segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment; a scan's entropy-coded bytes belong to its SOS segment."""
    if stream[:2] != b"\xff\xd8":
        raise BrokenStreamError("no start of image")
    yield SOI, 0, 2
    at, frames, scans = 2, 0, 0
    while True:
        if at + 2 > len(stream):
            raise BrokenStreamError("no end of image")
        if stream[at] != 0xFF:
            raise BrokenStreamError("a marker was expected")
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == EOI:
            yield EOI, at, at + 2
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            raise BrokenStreamError("a stand-alone marker outside a scan")
        if at + 4 > len(stream):
            raise BrokenStreamError("a segment breaks off")
        end = at + 2 + struct.unpack_from(">H", stream, at + 2)[0]
        if end < at + 4 or end > len(stream):
            raise BrokenStreamError("a segment breaks off")
        frames, scans = frames + (marker in SOF_MARKERS), scans + (marker == SOS)
        if frames > 1 or scans > MAX_JPEG_SCANS:
            raise BrokenStreamError("more than one frame header, or too many scans")
        if marker == SOS:
            end = _end_of_scan(stream, end)
        yield marker, at, end
        at = end


_SCAN_END = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_SCAN_END_JPEGLS = re.compile(rb"\xff+([\x80-\xcf\xd8-\xfe])", re.DOTALL)


def _end_of_scan(stream: bytes, at: int) -> int:
    # JPEG-LS stuffs a bit, not a byte: there a 0xFF is followed by anything under 0x80
    is_jpegls = b"\xff\xf7" in stream[:at]
    found = (_SCAN_END_JPEGLS if is_jpegls else _SCAN_END).search(stream, at)
    if found is None:
        raise BrokenStreamError("no end of image")
    return found.start(1) - 1


def jpeg_facts(stream: bytes) -> JpegFacts:
    """Size and colour clues of a JPEG or JPEG-LS frame; raises `BrokenStreamError`."""
    adobe, jfif = None, False
    for marker, start, end in jpeg_segments(stream):
        body = stream[start + 4 : end]
        if marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        jfif = jfif or (marker == 0xE0 and body[:5] == b"JFIF\x00")
        if marker in SOF_MARKERS:
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                raise BrokenStreamError("a frame header breaks off")
            bits, rows, columns, samples = struct.unpack_from(">BHHB", body)
            ids = bytes(body[6 + 3 * i] for i in range(samples))
            return JpegFacts(StreamSize(rows, columns, samples, bits), marker, adobe, jfif, ids)
    raise BrokenStreamError("no frame header")


def bare_jpeg(stream: bytes) -> bytes:
    """The frame with nothing but what a decoder needs; bytes after the end of image go too."""
    kept, changed, end = [], False, 0
    for marker, start, end in jpeg_segments(stream):
        segment = stream[start:end]
        if (
            marker in (SOI, EOI)
            or marker in NEEDED_MARKERS
            or _is_colour_clue(marker, segment[4:])
            or (marker == COM and _harmless(segment[4:]))
        ):
            kept.append(segment)
        else:
            changed = True
    bare = b"".join(kept)
    return bare if changed or stream[end:].strip(PADDING) else stream


def _is_colour_clue(marker: int, body: bytes) -> bool:
    """Fixed-length blocks that decide how decoders read colour: JFIF without a thumbnail, Adobe, HP's JPEG-LS transform."""
    return (
        (marker == 0xE0 and body[:5] == b"JFIF\x00" and len(body) == 14)
        or (marker == 0xEE and body[:5] == b"Adobe" and len(body) == 12)
        or (marker == 0xE8 and body[:4] == b"mrfx" and len(body) == 5)
    )


def _boxes(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the outermost boxes of a JP2 or JPEG XL container."""
    at = 0
    while at < len(stream):
        if at + 8 > len(stream):
            if not stream[at:].strip(b"\x00"):
                return
            raise BrokenStreamError("a box breaks off")
        length, kind = struct.unpack_from(">I4s", stream, at)
        header = 8
        if length == 1:
            if at + 16 > len(stream):
                raise BrokenStreamError("a box breaks off")
            length, header = struct.unpack_from(">Q", stream, at + 8)[0], 16
        elif length == 0:
            length = len(stream) - at
        if length < header or at + length > len(stream):
            raise BrokenStreamError("a box breaks off")
        yield kind, stream[at + header : at + length]
        at += length


def j2k_size(stream: bytes) -> StreamSize:
    """Size of a bare JPEG 2000 codestream; raises `BrokenStreamError`, also for more than `MAX_J2K_TILES` tiles."""
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 45:
        raise BrokenStreamError("no JPEG 2000 codestream")
    x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y, samples = struct.unpack_from(">8IH", stream, 8)
    if not (x1 > x0 and y1 > y0 and tile_w and tile_h):
        raise BrokenStreamError("an empty image area")
    tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
    if tiles > MAX_J2K_TILES:
        raise BrokenStreamError("too many tiles")
    return StreamSize(y1 - y0, x1 - x0, samples, (stream[42] & 0x7F) + 1)


def j2k_transforms_colour(stream: bytes) -> bool:
    """Whether a bare codestream holds its first three components transformed; raises `BrokenStreamError`."""
    header: list[bytes] = []
    _copy_j2k_header(stream, 2, header)
    for segment in header:
        if int.from_bytes(segment[:2], "big") == J2K_COD and len(segment) > 8:
            return segment[8] != 0
    raise BrokenStreamError("no coding style")


def bare_j2k(stream: bytes) -> bytes:
    """The bare codestream: taken out of a JP2 container, comments out of main and tile-part headers."""
    if stream.startswith(JP2_SIGNATURE):
        inner = [content for kind, content in _boxes(stream) if kind == b"jp2c"]
        if len(inner) != 1:
            raise BrokenStreamError("not one codestream in the container")
        stream = inner[0]
    j2k_size(stream)
    kept, at, changed = [stream[:2]], 2, False
    at, header_changed = _copy_j2k_header(stream, at, kept)
    changed |= header_changed
    has_lengths = any(part[:2] == b"\xff\x55" for part in kept)
    while stream[at : at + 2] == b"\xff\x90":
        at, tile_changed = _copy_tile_part(stream, at, kept)
        if tile_changed and has_lengths:
            raise BrokenStreamError("comments inside tiles whose lengths are tabulated")
        changed |= tile_changed
    if stream[at : at + 2] != b"\xff\xd9":
        # some encoders leave out the end marker; what follows the last tile-part is then empty
        if stream[at:].strip(b"\x00"):
            raise BrokenStreamError("bytes between tile-parts")
    else:
        kept.append(b"\xff\xd9")
        changed |= bool(stream[at + 2 :].strip(PADDING))
    return b"".join(kept) if changed else stream


def _copy_j2k_header(stream: bytes, at: int, kept: list[bytes]) -> tuple[int, bool]:
    """Copy marker segments up to the next SOT, SOD or EOC, without comments."""
    changed = False
    while True:
        if at + 4 > len(stream):
            raise BrokenStreamError("a marker segment breaks off")
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker in (J2K_SOT, J2K_SOD, J2K_EOC):
            return at, changed
        end = at + 2 + length
        if marker < 0xFF00 or length < 2 or end > len(stream):
            raise BrokenStreamError("a marker segment breaks off")
        # the first two bytes of a comment say whether it is text
        if marker == J2K_COM and not _harmless(stream[at + 6 : end]):
            changed = True
        else:
            kept.append(stream[at:end])
        at = end


def _copy_tile_part(stream: bytes, at: int, kept: list[bytes]) -> tuple[int, bool]:
    if at + 12 > len(stream):
        raise BrokenStreamError("a tile-part breaks off")
    declared = struct.unpack_from(">I", stream, at + 6)[0]
    # 0: up to the end of the codestream
    if declared:
        end = at + declared
    else:
        filled = stream.rstrip(b"\x00")
        end = len(filled) - 2 if filled.endswith(b"\xff\xd9") else len(stream)
    if declared and (declared < 14 or end > len(stream)):
        raise BrokenStreamError("a tile-part breaks off")
    header: list[bytes] = []
    body_at, changed = _copy_j2k_header(stream, at + 12, header)
    if stream[body_at : body_at + 2] != b"\xff\x93" or body_at > end:
        raise BrokenStreamError("a tile-part without data")
    body = stream[body_at:end]
    length = 12 + sum(map(len, header)) + len(body) if declared else 0
    kept.append(stream[at : at + 6] + struct.pack(">I", length) + stream[at + 10 : at + 12])
    kept += [*header, body]
    return end, changed


def bare_jpegxl(stream: bytes) -> bytes:
    """The bare codestream of a JPEG XL frame: Exif, XML and JPEG reconstruction boxes go with the container."""
    if not stream.startswith(JXL_SIGNATURE):
        return stream
    whole, parts = b"", []
    for kind, content in _boxes(stream):
        if kind == b"jxlc":
            whole = content
        elif kind == b"jxlp":
            parts.append(content[4:])  # a counter stands before each part
    bare = whole or b"".join(parts)
    if not bare:
        raise BrokenStreamError("no codestream in the container")
    return bare
