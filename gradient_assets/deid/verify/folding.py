"""Text and bytes as the search sees them: lower case, accents folded, separators told from letters and digits.

Belongs here: everything that happens to what is searched before the automaton runs over it, and to identifiers before
they enter it.  A `View` is three strings of one length, so that a hit in one can be judged in the others.
"""

from __future__ import annotations

import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

_SPECIAL_LETTERS = {
    "ß": "ss", "ẞ": "SS", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
    "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH", "ı": "i", "ς": "σ",
    "\u00ad": "", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip
"""Letters that no Unicode decomposition folds, and signs that have no width."""

_DIGRAPHS = str.maketrans(
    dict(zip("äöüøåÄÖÜØÅ", ("ae", "oe", "ue", "oe", "aa", "AE", "OE", "UE", "OE", "AA"), strict=True))
)

_BLANKS_ASCII = bytes(byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))
_COMBINING = re.compile(r"[\u0300-\u036f]+")
_FRACTION = re.compile(r"[ªº¹²³¼½¾]")
_SEPARATOR = re.compile(r"[\W_]")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]{1,64}")
_LATIN_LETTERS = re.compile(r"[^\x00-\x7f]")
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_JSON_BLANK = re.compile(r"\\[nrtbf\"/]")
_PERCENT_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_ENTITY = re.compile(r"&(?:#\d{1,6}|#x[0-9a-fA-F]{1,5}|[A-Za-z]{2,8});")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """One way of reading what was written.

    `cased` keeps letter case and separators, `folded` is `cased` in lower case, `blank` is `folded` with every separator
    turned into a space.  `binary` says that the bytes are no text: short hits then need readable surroundings.
    """

    cased: str
    folded: str = field(init=False)
    blank: str = field(init=False)
    binary: bool = False

    def __post_init__(self) -> None:
        lowered = self.cased.lower()
        if len(lowered) != len(self.cased):
            lowered = "".join(letter.lower()[0] for letter in self.cased)
        object.__setattr__(self, "folded", lowered)
        if lowered.isascii():
            blank = lowered.encode("ascii").translate(_BLANKS_ASCII).decode("ascii")
        else:
            blank = _SEPARATOR.sub(" ", lowered)
        object.__setattr__(self, "blank", blank)


def fold_accents(text: str) -> str:
    """Text without accents, widths and foreign digits; letter case is kept.  ASCII text comes back as it is."""
    if text.isascii():
        return text
    # Nearly all of a text is ASCII; only what is not goes through the slow functions, each accent once.
    return _FOREIGN_RUN.sub(lambda match: _folded_run(match[0]), text)


def original_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Offsets into `text` for those into `fold_accents(text)`; an end within letters that were folded together (`ß`, a run
    in another script) takes in all of them."""
    if text.isascii():
        return start, end
    moved = 0  # how much further the original is than the folded text
    first: int | None = None
    last: int | None = None
    for match in _FOREIGN_RUN.finditer(text):
        folded_start = match.start() - moved
        folded_end = folded_start + len(_folded_run(match[0]))
        for place, is_start in ((start, True), (end, False)):
            if place < folded_start or (place == folded_start and not is_start):
                found = place + moved
            elif place < folded_end or (place == folded_end and not is_start):
                found = match.start() if is_start else match.end()
            else:
                continue
            if is_start and first is None:
                first = found
            elif not is_start and last is None:
                last = found
        moved = match.end() - folded_end
        if first is not None and last is not None:
            break
    return (start + moved if first is None else first), (end + moved if last is None else last)


@lru_cache(maxsize=65_536)
def _folded_run(run: str) -> str:
    for letter, plain in _SPECIAL_LETTERS.items():
        if letter in run:
            run = run.replace(letter, plain)
    run = _COMBINING.sub("", unicodedata.normalize("NFKD", _FRACTION.sub(" ", run)))
    return _FOREIGN_DIGIT.sub(lambda match: str(unicodedata.digit(match[0], " ")), run)


def fold(text: str) -> str:
    """Text as identifiers are compared: accents folded, lower case."""
    return View(fold_accents(text)).folded


def glue(text: str) -> str:
    """Letters and digits of the folded text and nothing else."""
    return View(fold_accents(text)).blank.replace(" ", "")


def spellings(text: str) -> tuple[str, ...]:
    """A value with letters outside ASCII as it may have been written: as it is, with German and Nordic digraphs, as UTF-8
    read for Latin-1 or cp1252, and with the letters lost."""
    if text.isascii():
        return (text,)
    found = [text]
    composed = unicodedata.normalize("NFC", text)
    digraphs = composed.translate(_DIGRAPHS)
    found.append(digraphs)
    latin = 2 * sum(letter.isascii() for letter in composed) >= len(composed)
    for wrong in ("latin-1", "cp1252") if latin else ():
        try:
            found.append(composed.encode("utf-8").decode(wrong))
        except UnicodeError:
            continue
    if sum(letter.isascii() and letter.isalpha() for letter in composed) >= 6:
        found.append(_LATIN_LETTERS.sub("?", composed))
    return tuple(dict.fromkeys(found))


_AROUND = 256
"""Characters on either side of an escape that are read anew with it undone; no known identifier is longer."""
_SHORT_TEXT = 4 * _AROUND


def _around(text: str, escape: re.Pattern[str]) -> str:
    """The text near escapes, and no more: a table's column of 10 MB with a hundred of them would else be searched four times,
    at 4 MB/s instead of 17."""
    if len(text) <= _SHORT_TEXT:
        return text
    pieces: list[str] = []
    start = end = 0
    for match in escape.finditer(text):
        if match.start() - _AROUND > end:
            pieces.append(text[start:end])
            start = match.start() - _AROUND
        end = match.end() + _AROUND
    pieces.append(text[start:end])
    return _RUNS_APART.join(pieces)


_RUNS_APART = "\n" * 8
_JSON = re.compile(f"{_JSON_ESCAPE.pattern}|{_JSON_BLANK.pattern}")


def text_views(text: str, *, binary: bool = False) -> Iterator[View]:
    """The text as it stands, and what is near escapes (JSON, URL, HTML) once more with those undone, a view for each kind."""
    yield View(fold_accents(text), binary)
    if "\\" in text and _JSON.search(text):
        unescaped = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), _around(text, _JSON))
        yield View(fold_accents(_JSON_BLANK.sub(" ", unescaped)), binary)
    if "%" in text and _PERCENT_ESCAPE.search(text):
        yield View(fold_accents(unquote(_around(text, _PERCENT_ESCAPE), errors="replace")), binary)
    if "&" in text and _ENTITY.search(text):
        yield View(fold_accents(html.unescape(_around(text, _ENTITY))), binary)


def _latin_table() -> bytes:
    """Latin-1 to ASCII, byte by byte: letters lose their accents, what is no letter becomes a control sign."""
    folded = []
    for byte in range(256):
        plain = _COMBINING.sub("", unicodedata.normalize("NFKD", chr(byte)))
        folded.append(ord(plain) if len(plain) == 1 and plain.isascii() and byte not in _SUPERSCRIPTS else 0x1F)
    for byte in b"\xd8\xf8\xd0\xf0":
        folded[byte] = ord(_SPECIAL_LETTERS[chr(byte)])
    return bytes(folded)


_SUPERSCRIPTS = frozenset("ªº¹²³".encode("latin-1"))
_LATIN = _latin_table()
_LATIN_PAIRS = {sign.encode("latin-1"): _SPECIAL_LETTERS[sign].encode("ascii") for sign in "ßæÆþÞ"}


def latin_view(content: bytes) -> View:
    """Bytes as Latin-1, folded to ASCII by a table: 100 times faster than by Unicode, which matters for compressed
    pixels and other bytes that are no text."""
    for sign, pair in _LATIN_PAIRS.items():
        content = content.replace(sign, pair)
    return View(content.translate(_LATIN).decode("ascii"), binary=True)


_UTF8_UNIT = rb"[\x20-\x7e\t\r\n]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}"
_UTF8_RUN = re.compile(rb"(?:" + _UTF8_UNIT + rb"){4,}")
_UTF16_RUNS = {
    "utf-16-le": re.compile(rb"(?:[\x20-\xff\t\r\n]\x00|[\x00-\xff][\x01-\x05\x1e\x1f]){4,}"),
    "utf-16-be": re.compile(rb"(?:\x00[\x20-\xff\t\r\n]|[\x01-\x05\x1e\x1f][\x00-\xff]){4,}"),
}
"""Latin, Greek and Cyrillic letters; other scripts are found where the whole content is UTF-16."""


def readable_runs(content: bytes, *, shortest: int = 4, only_foreign: bool = False) -> str:
    """Runs of at least `shortest` readable signs in bytes that are no text as a whole, as UTF-8 and UTF-16, kept apart.

    `only_foreign` leaves out those of plain ASCII, which another view shows.
    """
    found = [match[0].decode("utf-8", "replace") for match in _UTF8_RUN.finditer(content) if len(match[0]) >= shortest]
    if only_foreign:
        found = [run for run in found if not run.isascii()]
    if b"\0" in content:
        for encoding, pattern in _UTF16_RUNS.items():
            runs = (match[0].decode(encoding, "replace") for match in pattern.finditer(content))
            found += [run for run in runs if len(run) >= shortest]
    return _RUNS_APART.join(found)


def is_text(content: bytes) -> bool:
    """Whether bytes are UTF-8 without control signs."""
    try:
        return _CONTROL.search(content.decode("utf-8")) is None
    except UnicodeDecodeError:
        return False


def byte_views(content: bytes) -> Iterator[View]:
    """The bytes as UTF-8, Latin-1 and, where they hold zero bytes or a byte order mark, as UTF-16 at either alignment.

    Plain ASCII gives one reading only.  Nothing raises: what a code page does not know becomes a separator.
    """
    if is_text(content):
        # Latin-1 letters in a row are no valid UTF-8 but by construction, so there is nothing else to read here.
        yield from text_views(content.decode("utf-8"))
        return
    whole = utf16_text(content)
    if whole is not None:
        yield from text_views(whole)
    latin = latin_view(content)
    yield latin
    if "%" in latin.cased or "\\" in latin.cased or "&" in latin.cased:
        yield from text_views(readable_runs(content, shortest=8))
    else:
        foreign = readable_runs(content, only_foreign=True)
        if foreign:
            yield View(fold_accents(foreign), True)


MAX_WHOLE_UTF16 = 1 << 26
"""Bytes up to which content is tried as one UTF-16 text: 64 MiB, more than any CSV of reports has in one piece."""


def utf16_text(content: bytes) -> str | None:
    """The content as one UTF-16 text if it is one: a byte order mark, or zero bytes and no impossible pair."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if len(content) > MAX_WHOLE_UTF16 or len(content) % 2 or not (marked or b"\0" in content):
        return None
    big_endian = content.startswith(codecs.BOM_UTF16_BE) or content[0::2].count(0) > content[1::2].count(0)
    try:
        text = content.decode("utf-16-be" if big_endian else "utf-16-le")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text
