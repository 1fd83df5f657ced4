"""Specific Character Set: bytes to text, with declarations that are missing, misspelt or wrong.

Belongs here: which codecs a data set declares and how bytes are decoded with them.  Output is always UTF-8
(`ISO_IR 192`), so that no encoder is needed here.  Code extensions are followed wherever an escape sequence stands,
declared or not.  PS3.5 6.1 and annexes H to K, PS3.3 C.12.1.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.charset import python_encoding

from gradient_assets.deid.headers.misdeclared import judged
from gradient_assets.deid.reasons import Reason, Refused

DEFAULT: tuple[str, ...] = ("iso8859",)
UNKNOWN = "unknown"
"""Stands for a declared term that no table knows: ASCII and UTF-8 can still be read, anything else is refused."""

_ESCAPE = 0x1B
_RESETS = frozenset(b"\n\r\t\x0c\\^=")
"""PS3.5 6.1.2.5.3: behind each of these the initial sets hold again."""
_TO_G0 = {b"(B": "ascii", b"(J": "ascii", b"$B": "$B", b"$@": "$B", b"$(D": "$(D"}
"""Romaji (`(J`) is ASCII but for two signs; JIS C 6226 (`$@`) is read as its successor."""
_TO_G1 = {
    b")I": "shift_jis",
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "iso8859_11",
    b"-b": "iso8859_15",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
}
"""Escape sequences of PS3.3 Tables C.12-3 and C.12-4, and what Python calls the sets."""
_ALL_CODES = _TO_G0.keys() | _TO_G1.keys()
_TWO_BYTES = {"$B": "iso2022_jp", "$(D": "iso2022_jp_2"}
_BEFORE_UTF8 = frozenset({"iso_ir_166", "iso8859_11", "shift_jis", "euc_kr", "gb2312", "iso_ir_58", "gbk", "gb18030"})
"""Sets whose own words may be valid UTF-8 by chance (`模` in GB 2312); for all others valid UTF-8 is UTF-8."""
_NORMALIZED = {re.sub(r"[^A-Z0-9]", "", term.upper()): codec for term, codec in python_encoding.items() if term}
_NORMALIZED |= {"ISOIR203": "iso8859_15", "ISO2022IR203": "iso8859_15", "ISOIR58": "iso_ir_58", "ISOIR149": "euc_kr"}


def codecs_of(declared: list[str] | None, inherited: tuple[str, ...]) -> tuple[str, ...]:
    """Codecs for a data set that declares these terms, or inherits (`None`: nothing declared)."""
    if declared is None:
        return inherited
    terms = [term.strip(" \x00") for term in declared]
    if not any(terms):
        return DEFAULT
    return tuple(_codec(term) for term in terms)


def _codec(term: str) -> str:
    if not term:
        return "iso8859"
    squeezed = re.sub(r"[^A-Z0-9]", "", term.upper())
    if squeezed in ("UTF8", "ISOIR192", "ISO2022IR192"):
        return "utf8"
    return _NORMALIZED.get(squeezed, UNKNOWN)


def decode(raw: bytes, codecs: tuple[str, ...], tag: int) -> str:
    """The text of `raw`.  Raises `Refused(UNKNOWN_CHARACTER_SET)` if neither the declared sets nor UTF-8 fit."""
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii")
    codecs = judged(codecs)
    if _ESCAPE in raw:
        text = _extended(raw, codecs)
    elif codecs[0].lower() not in _BEFORE_UTF8 and (text := _as_utf8(raw)) is not None:
        return text  # undeclared or wrongly declared UTF-8
    else:
        text = _declared(raw, codecs)
        text = _as_utf8(raw) if text is None else text
    if text is None:
        raise Refused(Reason.UNKNOWN_CHARACTER_SET, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
    return text


def decode_leniently(raw: bytes, codecs: tuple[str, ...]) -> str:
    """Like `decode`, but with replacement characters instead of a refusal: for collecting what identifies."""
    try:
        return decode(raw, codecs, 0)
    except Refused:
        return raw.decode("iso8859")


def _declared(raw: bytes, codecs: tuple[str, ...]) -> str | None:
    """By the first declared set that fits.  The default set has no letters above ASCII: it comes last, read as Latin-1."""
    if UNKNOWN in codecs:
        return None
    for codec in sorted(codecs, key=lambda codec: codec == "iso8859"):
        if codec.startswith("iso2022"):
            continue  # without an escape sequence they are ASCII
        try:
            return raw.decode(codec)
        except (UnicodeDecodeError, LookupError):
            continue
    return None


def _extended(raw: bytes, codecs: tuple[str, ...]) -> str | None:
    """Text with code extensions, whatever of them is declared; None for an unknown escape or bytes outside the sets."""
    try:
        return "".join(_segments(raw, _initial_g1(codecs), resets=len(codecs) > 1))
    except (UnicodeDecodeError, LookupError):
        return None


def _initial_g1(codecs: tuple[str, ...]) -> str | None:
    """The set of bytes above 7F before any escape sequence."""
    first = codecs[0].lower()
    return None if first in ("iso8859", UNKNOWN) or first.startswith("iso2022") else first


def _segments(raw: bytes, initial: str | None, *, resets: bool) -> Iterator[str]:
    """Pieces of text; without declared code extensions nobody kept their rules, and no delimiter resets anything."""
    g0, g1, designated, start = "ascii", initial, initial, 0
    while start < len(raw):
        if raw[start] == _ESCAPE:
            codes = (raw[start + 1 : start + 1 + length] for length in (2, 3))
            code = next((code for code in codes if code in _ALL_CODES), b"")
            if code in _TO_G0:
                g0 = _TO_G0[code]
            else:
                g1 = designated = _TO_G1[code]
            start += 1 + len(code)
            continue
        high = raw[start] > 0x7F
        end = start + 1
        while end < len(raw) and raw[end] != _ESCAPE and (raw[end] > 0x7F) == high:
            if g0 == "ascii" and not high and raw[end - 1] in _RESETS:
                break
            end += 1
        run, start = raw[start:end], end
        if high:
            # A writer that does not designate anew behind a delimiter means what it designated before.
            yield run.decode(g1 or designated or "iso8859")
        elif g0 in _TWO_BYTES:
            yield (b"\x1b" + g0.encode() + run).decode(_TWO_BYTES[g0])
        else:
            yield run.decode("ascii")
            if resets and run[-1] in _RESETS:
                g1 = initial


def _as_utf8(raw: bytes) -> str | None:
    if _ESCAPE in raw:
        return None
    try:
        return raw.decode("utf8")
    except UnicodeDecodeError:
        return None
