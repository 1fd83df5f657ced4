"""Specific Character Set: bytes to text, with declarations that are missing, misspelt or wrong.

Belongs here: which codecs a data set declares and how bytes are decoded with them.  Output is always UTF-8
(`ISO_IR 192`), so that no encoder is needed here.  PS3.5 6.1, PS3.3 C.12.1.1.2.
"""

from __future__ import annotations

import re

from pydicom.charset import decode_bytes, python_encoding

from gradient_assets.deid.reasons import Reason, Refused

DEFAULT: tuple[str, ...] = ("iso8859",)
UNKNOWN = "unknown"
"""Stands for a declared term that no table knows: ASCII and UTF-8 can still be read, anything else is refused."""

_ESCAPE = 0x1B
_DELIMITERS = {0x0A, 0x0D, 0x09, 0x0C, 0x5C, 0x5E, 0x3D}
_NORMALIZED = {re.sub(r"[^A-Z0-9]", "", term.upper()): codec for term, codec in python_encoding.items() if term}


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
    if (text := _as_utf8(raw)) is not None and codecs[0] in ("iso8859", "latin_1", "utf8", UNKNOWN):
        return text  # undeclared or wrongly declared UTF-8: multi-byte UTF-8 is practically never valid by chance
    if UNKNOWN not in codecs:
        text = _declared(raw, codecs)
        if text is not None:
            return text
    if (text := _as_utf8(raw)) is not None:
        return text
    raise Refused(Reason.UNKNOWN_CHARACTER_SET, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")


def decode_leniently(raw: bytes, codecs: tuple[str, ...]) -> str:
    """Like `decode`, but with replacement characters instead of a refusal: for collecting what identifies."""
    try:
        return decode(raw, codecs, 0)
    except Refused:
        return raw.decode("iso8859")


def _declared(raw: bytes, codecs: tuple[str, ...]) -> str | None:
    if _ESCAPE not in raw and len(codecs) == 1:
        try:
            return raw.decode(codecs[0])
        except (UnicodeDecodeError, LookupError):
            return None
    try:
        text = decode_bytes(raw, list(codecs), set(_DELIMITERS))
    except Exception:  # whatever pydicom trips over here is undecodable text to us
        return None
    return None if "�" in text or "\x1b" in text else text


def _as_utf8(raw: bytes) -> str | None:
    if _ESCAPE in raw:
        return None
    try:
        return raw.decode("utf8")
    except UnicodeDecodeError:
        return None
