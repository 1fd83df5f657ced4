"""Read report rows from a CSV export, one at a time.

Belongs here: encodings, delimiters, quoting, header checks, and which rows are refused.  A bad row becomes a `RefusedRow`
with its number and reason and the rest goes on, so that rows in = rows out + refused; a file without a needed column is
refused as a whole.  Memory holds one row (and one 64 KiB buffer) at a time.  What the columns mean is `columns`' business.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

import charset_normalizer

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text.bodies import plain_text
from gradient_assets.deid.text.columns import ROLES, identifiers_of_columns

if TYPE_CHECKING:
    import _csv

MAX_FIELD_CHARACTERS = 16 * 1024 * 1024
"""One field; 10 MB reports exist (concatenated histories), an unclosed quote must not swallow the file into memory."""

SAMPLE_BYTES = 256 * 1024
"""How much of a file is looked at to tell its encoding."""

_DELIMITERS = (",", ";", "\t", "|", "^", "~")
_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_MULTIBYTE = ("gb18030", "utf_16_le", "utf_16_be", "shift_jis", "euc_kr")
_GUESSED = ("cp1252", "latin_1", *_MULTIBYTE)
_UNIT = "\x1f"
_UNDECODED = "\udcff"
_MARKING = "gradient-marking"


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Bytes that do not fit become a lone surrogate, so that one bad row does not stop the file.  `surrogateescape` does
    that for one-byte codes and UTF-8; UTF-16 it lets fail for good."""
    assert isinstance(error, UnicodeDecodeError), "registered for decoding"
    return _UNDECODED, error.end


codecs.register_error(_MARKING, _mark)


@dataclass(frozen=True, slots=True)
class ReportLayout:
    """How a hospital's export is written.

    `columns` maps roles to column names (`text` is required).  `delimiter` is one or more characters, a name such as `tab`,
    or `auto`; `encoding` a codec name or `auto`.
    """

    columns: Mapping[str, str]
    delimiter: str = ","
    encoding: str = "utf-8"
    date_order: Literal["mdy", "dmy", "ymd"] = "mdy"
    quote: str = '"'
    escape: str | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(ROLES))
        if unknown:
            raise ValueError(f"unknown roles: {', '.join(unknown)}; expected {', '.join(ROLES)}")
        if "text" not in self.columns:
            raise ValueError("no column for the role text")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report: its number among the rows (the first after the header is 1) and its values by role."""

    row_number: int
    values: Mapping[str, str] = field(repr=False)
    date_order: str = "mdy"

    @property
    def text(self) -> str:
        """The report's text, RTF and HTML already reduced to plain text."""
        return self.values["text"]

    def identifiers(self) -> KnownIdentifiers:
        """What this row's columns say of its patient."""
        return identifiers_of_columns(self.values, date_order=self.date_order)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not read, its number, and why; nothing of its content."""

    row_number: int
    reason: Reason
    detail: str = ""


def read_reports(stream: BinaryIO, layout: ReportLayout) -> Iterator[ReportRow | RefusedRow]:
    """Rows of one file in their order.

    Raises `Refused`: `MISSING_COLUMN` (a column of the layout is absent or there twice), `EMPTY_OBJECT`, `UNDECODABLE_TEXT`
    (unknown encoding, or not even the header can be decoded).  Undecodable bytes in a row refuse that row.
    """
    encoding, source = _decoder_of(stream, layout.encoding)
    lines = io.TextIOWrapper(source, encoding=encoding, errors=_MARKING, newline="")
    try:
        yield from _rows(_physical_lines(lines), layout)
    except UnicodeError:
        # Some codecs give up for good, whatever is done about errors.
        raise Refused(Reason.UNDECODABLE_TEXT, "the codec can't go on in this file") from None
    finally:
        lines.detach()


def _rows(lines: Iterator[str], layout: ReportLayout) -> Iterator[ReportRow | RefusedRow]:
    first = next(lines, "")
    if not first.strip():
        raise Refused(Reason.EMPTY_OBJECT, "no header line")
    delimiter = _delimiter_of(first, layout)
    rows = _reader(_chain(first, lines), delimiter, layout)
    try:
        header = [name.strip() for name in next(rows)]
    except csv.Error:
        raise Refused(Reason.MALFORMED_ROW, "the header line can't be read") from None
    if any(_undecoded(name) for name in header):
        raise Refused(Reason.UNDECODABLE_TEXT, "the header line does not fit the encoding")
    positions = _positions(header, layout)
    number = 0
    while True:
        before = rows.line_num
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield _unreadable(number, str(error), rows.line_num - before)
            continue
        if not fields:
            continue
        number += 1
        if [name.strip("\ufeff \t") for name in fields] == header:
            # Two exports in one file, one after the other.
            yield RefusedRow(number, Reason.MALFORMED_ROW, "the header line once more")
            continue
        yield _row(number, fields, len(header), positions, layout, delimiter)


def _unreadable(number: int, error: str, lines: int) -> RefusedRow:
    if "field limit" in error:
        return RefusedRow(number, Reason.REPORT_TOO_LARGE, f"a field of more than {MAX_FIELD_CHARACTERS:,} characters")
    if "unexpected end" in error:
        # What a quote swallowed can't be told from a report's own lines: read as rows, they would be taken for reports.
        return RefusedRow(number, Reason.MALFORMED_ROW, f"a quote never closes; {lines:,} lines to the end are in it")
    return RefusedRow(number, Reason.MALFORMED_ROW, f"the quoting, over {lines:,} lines")


def _row(
    number: int, fields: list[str], width: int, positions: Mapping[str, int], layout: ReportLayout, delimiter: str
) -> ReportRow | RefusedRow:
    if len(fields) != width:
        return RefusedRow(number, Reason.MALFORMED_ROW, f"{len(fields)} fields, the header has {width}")
    values = {role: fields[index] for role, index in positions.items()}
    if any(_undecoded(value) for value in values.values()):
        return RefusedRow(number, Reason.UNDECODABLE_TEXT, "bytes do not fit the encoding")
    if len(delimiter) > 1:
        values = {role: value.replace(_UNIT, delimiter) for role, value in values.items()}
    values = {role: value.replace("\ufeff", "").strip("\0") for role, value in values.items()}
    if any("\0" in value for value in values.values()):
        # `J\0o\0h\0n` is a name to a reader and none to a rule: UTF-16 read as another code, or binary content.
        return RefusedRow(number, Reason.UNDECODABLE_TEXT, "zero bytes within a value")
    try:
        values["text"] = plain_text(values["text"])
    except Refused as refusal:
        return RefusedRow(number, refusal.reason, refusal.detail)
    if not values["text"].strip() or ("report_id" in values and not values["report_id"].strip()):
        return RefusedRow(number, Reason.EMPTY_REPORT)
    return ReportRow(number, values, layout.date_order)


def _positions(header: list[str], layout: ReportLayout) -> dict[str, int]:
    positions: dict[str, int] = {}
    for role, column in layout.columns.items():
        found = [index for index, name in enumerate(header) if name == column.strip()]
        if len(found) != 1:
            # Column names are the registry's, not the file's: they may be shown.
            state = "is missing" if not found else f"is there {len(found)} times"
            raise Refused(Reason.MISSING_COLUMN, f"the column for {role} {state} among {len(header)} columns")
        positions[role] = found[0]
    return positions


def _reader(lines: Iterable[str], delimiter: str, layout: ReportLayout) -> _csv.Reader:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    if len(delimiter) > 1:
        lines = (line.replace(delimiter, _UNIT) for line in lines)
    return csv.reader(
        lines,
        delimiter=_UNIT if len(delimiter) > 1 else delimiter,
        quotechar=layout.quote or None,
        escapechar=layout.escape,
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
        strict=True,
    )


def _delimiter_of(first_line: str, layout: ReportLayout) -> str:
    if layout.delimiter != "auto":
        return _NAMED_DELIMITERS.get(layout.delimiter.lower(), layout.delimiter)
    wanted = {column.strip() for column in layout.columns.values()}

    def fit(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip(layout.quote or '"') for name in first_line.strip().split(delimiter)]
        return len(wanted & set(names)), len(names)

    return max(_DELIMITERS, key=fit)


def _physical_lines(lines: io.TextIOWrapper) -> Iterator[str]:
    """Lines of at most twice a field's size.  What a longer one holds beyond it is passed over: its row is refused for the
    field that is too long, and its rest must not be taken for rows."""
    longest = 2 * MAX_FIELD_CHARACTERS
    while line := lines.readline(longest):
        yield line
        while len(line) == longest and line[-1] not in "\r\n":
            line = lines.readline(longest)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _undecoded(value: str) -> bool:
    if value.isascii():
        return False
    return any("\ud800" <= character <= "\udfff" for character in value)


def _decoder_of(stream: BinaryIO, declared: str) -> tuple[str, io.BufferedReader]:
    """The codec's name and the stream from its beginning (it need not be seekable)."""
    sample = _read_up_to(stream, SAMPLE_BYTES)
    if not sample:
        raise Refused(Reason.EMPTY_OBJECT, "no bytes")
    encoding = _detected(sample) if declared.lower() == "auto" else declared
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise Refused(Reason.UNDECODABLE_TEXT, "the declared encoding is unknown") from None
    if name == "utf-8":
        name = "utf-8-sig"
    if name.startswith("utf-16"):
        marked = sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        name = "utf-16" if marked else _utf16_by_zeros(sample) if name == "utf-16" else name
    source = cast(io.RawIOBase, _Prefixed(sample, stream))
    return name, io.BufferedReader(source, 64 * 1024)


def _detected(sample: bytes) -> str:
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        best = charset_normalizer.from_bytes(sample, cp_isolation=list(_GUESSED)).best()
        if best is None:
            raise Refused(Reason.UNDECODABLE_TEXT, "no encoding fits") from None
        # Among one-byte codes the guess is a coin toss on short samples; Windows-1252 contains Latin-1's letters.
        return best.encoding if best.encoding in _MULTIBYTE else "cp1252"
    nulls = sample.count(b"\0")
    if nulls * 3 > len(sample):
        return _utf16_by_zeros(sample)
    return "utf-8"


def _utf16_by_zeros(sample: bytes) -> str:
    """Byte order of UTF-16 without a mark: the headings' letters have their zero byte first or second."""
    return "utf-16-be" if sample[0::2].count(0) > sample[1::2].count(0) else "utf-16-le"


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, prefix: bytes, rest: BinaryIO) -> None:
        self._prefix = prefix
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer; CPython hands a memoryview
        size = len(buffer)
        if self._prefix:
            piece, self._prefix = self._prefix[:size], self._prefix[size:]
        else:
            piece = self._rest.read(size)
        buffer[: len(piece)] = piece
        return len(piece)
