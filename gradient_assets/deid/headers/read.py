"""Read one DICOM object within bounds.

Belongs here: where the data set begins, which transfer syntax it is in, and the limits of size, depth and number of
elements; everything that can't be read ends in a `Refused` with a fixed code.  Values are not looked at here
(`elements`).  PS3.10 7.1, PS3.5 7 and A.5.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset as read_elements
from pydicom.tag import BaseTag
from pydicom.uid import UID

from gradient_assets.deid.headers._quiet import quiet
from gradient_assets.deid.headers.elements import KNOWN_VRS, dictionary_vrs
from gradient_assets.deid.headers.rules import table
from gradient_assets.deid.reasons import Reason, Refused

MAX_HEADER_BYTES = 64 * 1024 * 1024
"""Bytes of all elements but bulk data.  The largest genuine header known here (enhanced MR, 12,000 frames) has 21 MB."""
MAX_INFLATED_BYTES = 1024 * 1024 * 1024
"""Bytes a deflated data set may grow to."""
MAX_READS = 3_000_000
"""Read calls for one header; an element takes two or three.  12,000 frames of 50 elements take 1.8 million."""
MAX_ITEMS = 400_000
"""Sequence items of one header: 12,000 frames of 15 items are 180,000.  An empty item takes 8 bytes of a file, but 2.6 kB
of memory and 65 µs, so that 64 MB of nothing else would take 20 GB."""

_ITEM, _ITEM_BIG = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
_FIRST_GROUP = 0x0004
"""Of a data set: below are command sets and file meta information."""
_TRAILING_PADDING = 0xFFFCFFFC
_NO_ELEMENT = 0xFFFF0000
"""PS3.5 7.1: no element has a group of FFFF; erased storage is full of it."""
_BULK_GROUPS = (0x7FE0, 0x5400, 0x0042)
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_NATIVE = {(True, True): _IMPLICIT_LITTLE, (False, True): "1.2.840.10008.1.2.1", (False, False): _EXPLICIT_BIG}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_EXPECTED = (0x00080016, 0x00080018, 0x00080060, 0x0020000D, 0x00100010, 0x00100020)


class _Bounded:
    """A seekable file as pydicom reads it, which refuses instead of returning less than was declared."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0, io.SEEK_END)
        self.size = file.tell()
        file.seek(0)
        self.position = 0
        self.reads = 0
        self.used = 0
        self.items = 0
        self.item = _ITEM
        self.in_bulk = False
        self.has_pixels = False
        self.refusal: Refused | None = None
        self.name = None

    def read(self, length: int = -1) -> bytes:
        left = self.size - self.position
        if length < 0:
            length = left
        if length > left:
            length = self._short(length, left)
        found = self._file.read(length)
        self.position += len(found)
        self.reads += 1
        self.used += len(found)
        if length >= 8 and not self.in_bulk:  # whole values too: their sequences are parsed later, without this file
            self.items += found.count(self.item)
        if self.reads > MAX_READS or self.items > MAX_ITEMS:
            self._refuse(Reason.HEADER_TOO_LARGE, "more elements or items than a header may have")
        return found

    def _short(self, length: int, left: int) -> int:
        if length <= 8 or length in (65536, 131072):  # an element's head, or the chunks of an undefined length
            if 0 < left < 8 and length == 8:
                rest = self._file.read(left)
                self._file.seek(self.position)
                if rest.strip(b"\x00") and not self.has_pixels:  # nothing that counts follows pixel data
                    self._refuse(Reason.TRUNCATED, f"{left} bytes left of an element's head")
                self.seek(self.size)
                return 0
            return left
        self._refuse(Reason.TRUNCATED, "an element is longer than the object")
        return 0

    def _refuse(self, reason: Reason, detail: str) -> None:
        self.refusal = self.refusal or Refused(reason, detail)
        raise self.refusal

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset if whence == 0 else self.position + offset if whence == 1 else self.size + offset
        self._file.seek(self.position)
        return self.position

    def tell(self) -> int:
        return self.position


def read_dataset(source: bytes | BinaryIO, *, stop_before_pixels: bool = False) -> FileDataset:
    """The object's data set with its `file_meta`; elements stay undecoded until somebody asks for them.

    `source` is the whole object or a seekable file (range reads are welcome: with `stop_before_pixels` nothing behind
    the start of the pixel data is read).  Raises `Refused` with EMPTY_OBJECT, NOT_DICOM, UNREADABLE_HEADER, TRUNCATED,
    HEADER_TOO_LARGE or NESTED_TOO_DEEP; no other exception but those of the file itself.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        file = _Bounded(io.BytesIO(source))
    elif stop_before_pixels:
        file = _Bounded(source)
    else:
        source.seek(0)
        file = _Bounded(io.BytesIO(source.read()))
    if not file.size:
        raise Refused(Reason.EMPTY_OBJECT)
    with quiet():
        try:
            return _Reading(file, stop_before_pixels).dataset()
        except Refused:
            raise
        except Exception as error:  # pydicom raises almost anything on broken input
            raise _refusal(file, error) from None


def _refusal(file: _Bounded, error: BaseException) -> Refused:
    if file.refusal:
        return file.refusal
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RecursionError):
            return Refused(Reason.NESTED_TOO_DEEP)
        seen = seen.__context__
    if isinstance(error, (OSError, EOFError, struct.error)) and file.position >= file.size:
        return Refused(Reason.TRUNCATED, "the object ends inside a sequence")
    return Refused(Reason.UNREADABLE_HEADER, type(error).__name__)


class _Reading:
    """The steps of reading one object."""

    def __init__(self, file: _Bounded, stop_before_pixels: bool) -> None:
        self.file = file
        self.stop_before_pixels = stop_before_pixels
        self.bulk = 0
        self.last: tuple[int, int] | None = None
        self.seen: set[int] = set()
        self.highest = 0

    def dataset(self) -> FileDataset:
        has_prefix = self._skip_preamble()
        if not has_prefix and not self._plausible_start():
            raise Refused(Reason.NOT_DICOM)
        meta = self._meta()
        self._skip_commands()
        syntax = str(meta.get("TransferSyntaxUID", "") or "").strip(" \x00")
        if syntax == _DEFLATED:
            self._inflate()
        implicit, little = self._encoding(syntax)
        self.file.item = _ITEM if little else _ITEM_BIG
        elements = read_elements(cast(BinaryIO, self.file), implicit, little, stop_when=self._stop)
        self._check(elements, has_prefix)
        _mend(elements)
        dataset = FileDataset("", elements, None, meta, implicit, little)
        found_implicit, found_little = elements.original_encoding
        dataset.set_original_encoding(found_implicit, found_little, elements.original_character_set)
        if not syntax and not _is_encapsulated(elements):
            # Without file meta information the encoding itself tells which of the native transfer syntaxes it is.
            meta.TransferSyntaxUID = UID(_NATIVE[bool(found_implicit), bool(found_little)])
        return dataset

    def _skip_preamble(self) -> bool:
        if self.file.size >= 132:
            self.file.seek(128)
            if self.file.read(4) == b"DICM":
                return True
        self.file.seek(0)
        if self.file.read(4) == b"DICM":  # prefix without preamble, as some archives store it
            return True
        self.file.seek(0)
        return False

    def _plausible_start(self) -> bool:
        if self.file.size < 8:
            return False
        head = self.file.read(8)
        self.file.seek(0)
        for order in ("<", ">"):
            group, number = struct.unpack(f"{order}HH", head[:4])
            explicit = head[4:6].isalpha() and head[4:6].isupper()
            length = struct.unpack(f"{order}L", head[4:])[0]
            if group in (0, 2, 8) and number < 0x2000 and (explicit or length <= self.file.size):
                return True
        return False

    def _meta(self) -> FileMetaDataset:
        start = self.file.tell()
        head = self.file.read(6)
        self.file.seek(start)
        if len(head) < 6 or head[:2] != b"\x02\x00":
            return FileMetaDataset()
        implicit = not (head[4:6].isalpha() and head[4:6].isupper())
        found = read_elements(cast(BinaryIO, self.file), implicit, True, stop_when=lambda tag, _vr, _n: tag >> 16 != 2)
        return FileMetaDataset(found)

    def _skip_commands(self) -> None:
        start = self.file.tell()
        head = self.file.read(4)
        self.file.seek(start)
        if head[:2] == b"\x00\x00" and head[2:] != b"\x00\x00":
            read_elements(cast(BinaryIO, self.file), True, True, stop_when=lambda tag, _vr, _n: tag >> 16 != 0)

    def _inflate(self) -> None:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        limit = MAX_INFLATED_BYTES
        inflated = inflater.decompress(self.file.read(), limit + 1)
        if len(inflated) > limit:
            raise Refused(Reason.HEADER_TOO_LARGE, "the deflated data set grows beyond the limit")
        if not inflater.eof:
            raise Refused(Reason.TRUNCATED, "the deflated data set ends early")
        self.file = _Bounded(io.BytesIO(inflated))

    def _encoding(self, syntax: str) -> tuple[bool, bool]:
        start = self.file.tell()
        head = self.file.read(6)
        self.file.seek(start)
        if len(head) < 6:
            raise Refused(Reason.TRUNCATED, "nothing follows the file meta information")
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if syntax == _IMPLICIT_LITTLE:
            return True, True
        if syntax == _EXPLICIT_BIG:
            return False, False
        if syntax and UID(syntax).is_valid:
            return False, True
        if not explicit:
            return True, True
        return False, struct.unpack("<H", head[:2])[0] < 0x0400  # group 0008 in big endian reads as 0800

    def _stop(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        number = int(tag)
        left = self.file.size - self.file.position
        is_too_long = left < length != 0xFFFFFFFF
        if self.highest < number < _NO_ELEMENT and not is_too_long:
            self.highest = number
        elif self._is_behind_the_end(number, vr, is_too_long):
            self.last = None
            return True
        self.last = (number, length)
        if is_too_long:
            self.file._refuse(Reason.TRUNCATED, "an element is longer than the object")
        # Of two the first is lost unread: a name, say, by which texts are cleaned (PS3.5 7.1).  Harmless for all others: a
        # real CT has its SOP Instance UID twice.
        if number in self.seen and number in _identifying():
            self.file._refuse(Reason.UNREADABLE_HEADER, f"({number >> 16:04X},{number & 0xFFFF:04X}) stands twice")
        self.seen.add(number)
        if number in _PIXEL_TAGS:
            self.file.has_pixels = True
            if self.stop_before_pixels:
                self.last = None
                return True
        self.file.in_bulk = number >> 16 in _BULK_GROUPS or number & 0xFF00FFFF == 0x60003000
        if self.file.in_bulk:
            self.bulk += length if length != 0xFFFFFFFF else left
        elif self.file.used - self.bulk + (0 if length == 0xFFFFFFFF else length) > MAX_HEADER_BYTES:
            self.file._refuse(Reason.HEADER_TOO_LARGE, "the header exceeds the limit")
        return False

    def _is_behind_the_end(self, tag: int, vr: str | None, is_too_long: bool) -> bool:
        """Whether what is read as an element is none: zeros, text or another file behind the data set, which is dropped.

        An element that breaks off has a tag above all others, and a VR or tag that exists; it is not taken for the end.
        Elements that are out of order but exist are no end either: some writers have them.
        """
        if not self.seen:
            return False
        group = tag >> 16
        is_no_group = (group < _FIRST_GROUP and tag < self.highest) or tag >= _NO_ELEMENT
        if is_no_group or (is_too_long and (self.file.has_pixels or tag == _TRAILING_PADDING)):
            return True  # nothing that counts follows pixel data
        if group & 1:
            exists = (tag & 0xFFFF <= 0xFF and not is_too_long) or group << 16 | (tag & 0xFF00) >> 8 in self.seen
        else:
            exists = group == 0xFFFE or not tag & 0xFFFF or bool(dictionary_vrs(tag))
        is_odd = vr not in KNOWN_VRS or is_too_long
        return is_odd and not exists and (tag < self.highest or (is_too_long and vr not in KNOWN_VRS))

    def _check(self, elements: Dataset, has_prefix: bool) -> None:
        if self.file.refusal:
            raise self.file.refusal
        if self.last is not None and self.last[0] not in elements and self.last[0] != 0xFFFEE00D:
            raise Refused(Reason.TRUNCATED, "the object ends inside its last element")
        if not len(elements):
            raise Refused(Reason.UNREADABLE_HEADER if has_prefix else Reason.NOT_DICOM, "no element")
        if not has_prefix and not any(tag in elements for tag in _EXPECTED):
            raise Refused(Reason.NOT_DICOM, "none of the elements expected")


@cache
def _identifying() -> frozenset[int]:
    return frozenset(int(tag, 16) for tags in table("identifying_elements")["kinds"].values() for tag in tags)


def _mend(elements: Dataset) -> None:
    """Take out what pydicom can't decode later: delimiters that delimit nothing, and empty values that are None, which it
    takes for values to be read from the file (it then raises for unknown VRs)."""
    stored = elements._dict
    for tag in [tag for tag in stored if tag >> 16 == 0xFFFE]:
        del stored[tag]
    for tag, element in stored.items():
        if isinstance(element, RawDataElement) and element.value is None:
            stored[tag] = element._replace(value=b"")


def _is_encapsulated(elements: Dataset) -> bool:
    raw = elements.get_item(0x7FE00010) if 0x7FE00010 in elements else None
    return bool(getattr(raw, "length", 0) == 0xFFFFFFFF or getattr(raw, "is_undefined_length", False))
