"""PNG and DICOM files opened for the search, with their own small readers.

Belongs here: everything in a file that can hold text, brought out place by place.  A thumbnail must hold no text at all,
so any text chunk, EXIF block or trailing byte of a PNG is a hit by itself.  Text burned into pixels is not looked at here.

Sources: PNG, W3C Recommendation 2025 section 5 (chunks); DICOM PS3.10 section 7.1 (preamble, file meta).
"""

from __future__ import annotations

import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple, Protocol

from pydicom import Dataset, FileDataset, config, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.encaps import generate_fragments
from pydicom.tag import BaseTag

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify.findings import Hit

# pydicom's warnings and log lines quote the value they complain of, and what is read back here may be a leak.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").disabled = True
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME_CONTROL, _FRAME_IMAGE = b"fcTL", b"fdAT"
_ANIMATION_BYTES = {b"acTL": 8, _FRAME_CONTROL: 26}
"""Chunks of an animated PNG that hold numbers only, with their length (PNG 3rd edition, 11.3.6)."""
_TEXT_CHUNKS = {b"tEXt": "png_text_chunk", b"zTXt": "png_text_chunk", b"iTXt": "png_text_chunk", b"eXIf": "png_exif"}
_PLAIN_CHUNKS = frozenset(
    {
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"gAMA",
        b"cHRM",
        b"sRGB",
        b"sBIT",
        b"bKGD",
        b"pHYs",
        b"hIST",
        b"cICP",
    }
)
"""Chunks of numbers.  Every other chunk is a hit: `tIME` tells when, `iCCP` and private ones may hold text."""
MAX_UNPACKED = 1 << 26
"""Bytes of one PNG's text and image stream that are unpacked: 64 MiB, a thumbnail's is under 1 MiB."""

MAX_DEPTH = 32
_BULK = frozenset({0x7FE00008, 0x7FE00009, 0x54001010, 0x00282000})
_PIXELS = 0x7FE00010
_OVERLAY_GROUPS = range(0x6000, 0x6100)
_OVERLAY_BITS = 0x3000
_NUMBER_VRS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "OF", "OD", "OL", "OV"})
_WELL_FORMED = {
    "DA": re.compile(r"(\d{8}(-(\d{8})?)?|-\d{8})?"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?|"),
    "DT": re.compile(r"\d{4,14}(\.\d{1,6})?([+-]\d{4})?|"),
    "AS": re.compile(r"\d{3}[DWMY]|"),
    "IS": re.compile(r"\s*[+-]?\d{1,12}\s*|"),
    "DS": re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|"),
}
"""Values that are what their VR says are times and measures: six-digit ids would be found in every second one."""


_BETWEEN = "\n" * 8
"""Between two values: wider than any gap within an identifier."""


class Searcher(Protocol):
    """What looks for identifiers; `IdentifierIndex` is one."""

    def search_text(self, text: str, where: str = "") -> list[Hit]:
        """Hits in text."""

    def search_bytes(self, content: bytes, where: str = "") -> list[Hit]:
        """Hits in bytes."""


class Place(NamedTuple):
    """One value of a dataset: where it stands, its VR, and its content as text or bytes."""

    where: str
    vr: str
    content: str | bytes

    @property
    def is_pixels(self) -> bool:
        """Whether this is the stream of compressed pixels."""
        return self.where == "(7FE0,0010)"


def search_png(content: bytes, searcher: Searcher) -> list[Hit]:
    """Hits in a PNG: any chunk that holds or may hold text, bytes after the image, a broken structure, and each known
    identifier in them.  Something that is no PNG is searched as bytes and is a hit of kind `png_malformed`."""
    if not content.startswith(_PNG_SIGNATURE):
        return [Hit("png_malformed", "file", "png_structure"), *searcher.search_bytes(content, "file")]
    hits: list[Hit] = []
    images, place, ended = [bytearray()], len(_PNG_SIGNATURE), False
    while place + 12 <= len(content) and not ended:
        length = int.from_bytes(content[place : place + 4])
        name, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        checksum = content[place + 8 + length : place + 12 + length]
        if len(checksum) < 4 or zlib.crc32(name + body) != int.from_bytes(checksum):
            return [*hits, Hit("png_malformed", "chunk", "png_structure"), *searcher.search_bytes(content, "file")]
        place += 12 + length
        ended = name == b"IEND"
        if name == _FRAME_CONTROL and images[0]:
            images.append(bytearray())
        if name == b"IDAT":
            images[0] += body
        elif name == _FRAME_IMAGE:
            images[-1] += body[4:]  # a frame's image follows its sequence number
        elif name not in _PLAIN_CHUNKS and _ANIMATION_BYTES.get(name) != len(body):
            hits.append(Hit(_TEXT_CHUNKS.get(name, "png_other_chunk"), "chunk", "png_chunk"))
            hits += searcher.search_bytes(body + b"\n" + _unpacked_tail(body), "chunk")
    if not ended:
        return [*hits, Hit("png_malformed", "file", "png_structure"), *searcher.search_bytes(content, "file")]
    for tail in (content[place:], *(_beyond_image(bytes(image)) for image in images)):
        if tail:
            hits += [Hit("png_trailing_bytes", "end", "png_structure"), *searcher.search_bytes(tail, "end")]
    return hits


def _unpacked_tail(body: bytes) -> bytes:
    """What a compressed text chunk or profile holds; empty if nothing in it is compressed."""
    start = body.find(b"\0") + 2
    for offset in range(start, min(start + 80, len(body))):
        try:
            return zlib.decompressobj().decompress(body[offset:], MAX_UNPACKED)
        except zlib.error:
            continue
    return b""


def _beyond_image(stream: bytes) -> bytes:
    """Bytes that stand in the image chunks after the end of the compressed image; bounded, and empty if all is well."""
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(stream, MAX_UNPACKED)
    except zlib.error:
        return stream
    return unpacker.unused_data


def open_dicom(content: bytes) -> FileDataset:
    """The dataset of a DICOM file that was written.  Raises `Refused(UNREADABLE_HEADER)`: what can't be read can't be
    proved clean."""
    try:
        return dcmread(BytesIO(content))
    except Exception as error:
        raise Refused(Reason.UNREADABLE_HEADER, f"a written file can't be read back ({type(error).__name__})") from None


def places(dataset: Dataset) -> Iterator[Place]:
    """Every value of a dataset, of its file meta and of its sequences, that can hold text.

    Raises `Refused(NESTED_TOO_DEEP)` beyond 32 levels and `Refused(UNREADABLE_HEADER)` for a value that gives neither
    text nor bytes.
    """
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        yield from _values(meta, "", 0)
    yield from _values(dataset, "", 0)


def _values(dataset: Dataset, path: str, depth: int) -> Iterator[Place]:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP, f"more than {MAX_DEPTH} levels of sequences")
    for tag in sorted(dataset.keys()):
        where = f"{path}({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if _is_bulk(tag):
            continue
        try:
            element = dataset[tag]
        except Exception:
            yield _raw_place(dataset, tag, where)
            continue
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _values(item, f"{where}[{number}].", depth + 1)
        else:
            yield from _element_places(element, where)


def _is_bulk(tag: BaseTag) -> bool:
    return tag in _BULK or (tag >> 16 in _OVERLAY_GROUPS and tag & 0xFFFF == _OVERLAY_BITS)


def _raw_place(dataset: Dataset, tag: BaseTag, where: str) -> Place:
    raw: object = dataset.get_item(tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
        return Place(where, str(raw.VR), raw.value)
    raise Refused(Reason.UNREADABLE_HEADER, f"{where} gives neither text nor bytes")


def _element_places(element: DataElement, where: str) -> Iterator[Place]:
    vr, value = str(element.VR), element.value
    if element.tag == _PIXELS:
        # Uncompressed samples hold no text; a compressed frame may carry a JPEG comment or an EXIF block.
        if element.is_undefined_length and isinstance(value, bytes):
            yield Place(where, vr, _frame_edges(value))
        return
    if value is None or vr in _NUMBER_VRS or (vr == "DS" and element.VM > 1):
        return
    if isinstance(value, bytes | bytearray):
        yield Place(where, vr, bytes(value))
        return
    for one in value if element.VM > 1 and not isinstance(value, str) else (value,):
        written = getattr(one, "original_string", None)
        text = written if isinstance(written, str) else str(one)
        if text:
            yield Place(where, vr, text)


FRAME_HEAD, FRAME_TAIL = 1 << 16, 1 << 10
"""Bytes at the two ends of a compressed frame that are searched: comments and EXIF (at most 64 KiB a segment) stand
before the image, trailing bytes after it.  All of it would be 20 times slower and is noise."""


_FRAME_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\xff\x0a", b"\0\0\0\x0cjP", b"\0\0\0\x0cJXL")
"""JPEG and JPEG-LS, JPEG 2000 codestream, JPEG XL codestream, and the boxes of the latter two."""


def _frame_edges(stream: bytes) -> bytes:
    if len(stream) <= 2 * FRAME_HEAD:
        return stream
    try:
        fragments = list(generate_fragments(stream))
    except Exception:
        return stream
    pieces = []
    for one in fragments:
        head = FRAME_HEAD if one.startswith(_FRAME_STARTS) else 0
        pieces += [one[:head], one[head:][-FRAME_TAIL:]]
    return _BETWEEN.encode().join(pieces)


_CODE_TAGS = ("(0008,0100)", "(0008,0102)", "(0008,0103)")
_LONGEST_PLAIN_CODE = 6


def is_plain(place: Place) -> bool:
    """Whether the value is a well-formed date, time, age or number of its VR, or a short code of a catalogue.

    A procedure's code value may well equal a scheduled step's id, and a scheme's designator (`CCF`) a name's part.
    """
    if place.where.endswith(_CODE_TAGS):
        return len(place.content) <= _LONGEST_PLAIN_CODE
    pattern = _WELL_FORMED.get(place.vr)
    return pattern is not None and isinstance(place.content, str) and pattern.fullmatch(place.content) is not None


def search_dicom(source: Dataset | bytes, searcher: Searcher) -> list[Hit]:
    """Hits in every value at all levels, in the file meta and, for a file's bytes, in the preamble (which must be zero).

    All text is searched in one pass; only where that finds something is each value searched by itself, for the place.
    Raises `Refused` for what can't be read.
    """
    hits: list[Hit] = []
    dataset = source if isinstance(source, Dataset) else open_dicom(source)
    preamble = getattr(dataset, "preamble", None) or b""
    if preamble.strip(b"\0"):
        hits += [Hit("dicom_preamble", "preamble", "preamble_not_zero"), *searcher.search_bytes(preamble, "preamble")]
    found = [place for place in places(dataset) if not is_plain(place)]
    texts = [place for place in found if isinstance(place.content, str)]
    joined = searcher.search_text(_BETWEEN.join(str(place.content) for place in texts), "dataset")
    if joined:
        exact = [hit for place in texts for hit in searcher.search_text(str(place.content), place.where)]
        kinds = {hit.kind for hit in exact}
        hits += exact + [hit for hit in joined if hit.kind not in kinds]
    for place in found:
        if isinstance(place.content, bytes):
            hits += searcher.search_bytes(place.content, place.where)
    return hits
