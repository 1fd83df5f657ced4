"""Fold Unicode so that rules see plain letters and digits, and find the way back to the original offsets.

Belongs here: what is folded (accents, ligatures, full-width forms, foreign digits, quotes, dashes, blanks, invisible
characters) and the offset map.  Letter case is kept: rules read it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

# No decomposition in Unicode, but one in people's keyboards.
_LETTERS = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d",
    "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N", "ŧ": "t",
    "Ŧ": "T", "ĸ": "k", "ə": "e", "Ə": "E", "ƒ": "f", "ʼ": "'", "‘": "'", "’": "'", "‛": "'", "′": "'", "´": "'", "`": "'",
    "ʹ": "'", "ʻ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-",
    "―": "-", "−": "-", "﹘": "-", "﹣": "-", "－": "-", "⁄": "/", "∕": "/", "\u00a0": " ", "\u2028": "\n", "\u2029": "\n",
    "\u0085": "\n", "\r": "\n", "\t": " ", "\x0b": "\n", "\x0c": "\n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Folded:
    """The folded text; `starts[i]` is where its character `i` came from, `None` where nothing moved."""

    text: str
    starts: tuple[int, ...] | None
    original_length: int

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Offsets into the original of the folded range; marks and invisible characters that follow belong to it."""
        if self.starts is None or start >= end:
            return start, end
        following = self.starts[end] if end < len(self.starts) else self.original_length
        return self.starts[start], max(following, self.starts[end - 1] + 1)


def fold(text: str) -> Folded:
    """The text with one-to-one ASCII forms where there are any.  Linear in its length."""
    if text.isascii():
        return Folded(text.translate(_BLANKS), None, len(text))
    parts: list[str] = []
    starts: list[int] = []
    for index, character in enumerate(text):
        plain = character if "!" <= character <= "~" else _fold_character(character)
        parts.append(plain)
        starts.extend([index] * len(plain))
    return Folded("".join(parts), tuple(starts), len(text))


def fold_plain(text: str) -> str:
    """The folded text alone."""
    return fold(text).text


_BLANKS = {ord("\r"): "\n", ord("\t"): " ", 0x0B: "\n", 0x0C: "\n", ord("`"): "'"}


@lru_cache(maxsize=65536)
def _fold_character(character: str) -> str:
    known = _LETTERS.get(character)
    if known is not None:
        return known
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf"):
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Zs":
        return " "
    decomposed = unicodedata.normalize("NFKD", character)
    if decomposed == character:
        return character
    kept = "".join(_LETTERS.get(c, c) for c in decomposed if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    # A fraction such as ½ folds to 1/2, which rules must read as one number, not as a part of the next.
    return kept or character
