"""Which recognised text may stay in a picture.

Belongs here: the allow-list as data (`tables/keep_text.json`), its validation, and the question whether one line is on it.
No policy is the strict default: then all text goes.  That a known identifier on the same line overrides the list is
`survey`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol

LEAST_CONFIDENCE = 0.9
"""A text read less surely goes: the recogniser gives .93 and more to printed letters that it read rightly."""
LONGEST_TEXT = 40
"""Letters; a longer line is no mark and no measurement."""


class KeepPolicyError(ValueError):
    """The allow-list can't be used; the message names the entry."""


class ReadLine(Protocol):
    """What the policy asks of a found text."""

    @property
    def text(self) -> str:
        """What was read."""
        ...

    @property
    def confidence(self) -> float:
        """How surely, 0 … 1."""
        ...


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """Regular expressions over whole lines, letters of either case; a text that matches none of them goes."""

    patterns: tuple[re.Pattern[str], ...]
    least_confidence: float = LEAST_CONFIDENCE

    @classmethod
    def of(cls, expressions: Iterable[str], least_confidence: float = LEAST_CONFIDENCE) -> KeepPolicy:
        """Raises `KeepPolicyError` for an expression that is broken, or that lets through words nobody listed."""
        return cls(tuple(_compiled(expression) for expression in expressions), least_confidence)

    def keeps(self, line: ReadLine) -> bool:
        """Whether this text may stay: read surely, and the whole of it on the list."""
        text = " ".join(line.text.split())
        if not text or len(text) > LONGEST_TEXT or line.confidence < self.least_confidence:
            return False
        return any(pattern.fullmatch(text) for pattern in self.patterns)


@cache
def shipped_policy() -> KeepPolicy:
    """The allow-list that ships: laterality and view marks, measurements with units, machine settings, body marks."""
    table = json.loads(files("gradient_assets.deid.pixels").joinpath("tables/keep_text.json").read_text("utf-8"))
    return KeepPolicy.of(_whole(entry["pattern"], table["parts"]) for entry in table["patterns"])


def _whole(pattern: str, parts: Mapping[str, str]) -> str:
    """The pattern with the table's `<parts>` written out."""
    for name, part in parts.items():
        pattern = pattern.replace(name, part)
    return pattern


# An allow-list must not let these through, whatever it was written for: if it matches one, it matches names and numbers.
_NEVER = (
    *("Okonkwo", "MEIER ANNA", "XQWVZ", "Long", "Rao", "Lao", "Hand", "L HAND", "R LOBE", "Cor", "Lee", "Ng"),
    *("AL", "RH", "LA", "OV", "GB", "RK", "WB", "F", "M"),
    *("00482913", "12.03.1954", "1954-03-12", "19540312", "3/12/54", "08:41:23", "12 03 54", "12.03.", "1954", "482"),
    *("A55120", "AC4821", "AC 4821", "FL4829", "C4829", "C1234", "L4829", "AC1234", "HC 0512", "SD 4821", "EDV 0512"),
    *("W1954/C1205", "L1205 W1961", "W1954 L40", "WW 2004 WL 40", "W400", "L 40", "C 300", "W 0512 L 40"),
    *(
        "12.05 mm",
        "12,05 mm",
        "D 12.05 cm",
        "Dist 1.12 cm",
        "120319 mm",
        "12051961 mm",
        "R 12.05.1961 mm",
        "12.03.54 mm",
    ),
    *("D1961 mm", "1961 mm", "A 1961 HU", "1961 HU", "1961 ms", "+1961%", "X9 4821 mm", "4829bpm", "G612%", "D12"),
    *("1961 Hz", "Gen 1961 Hz", "F 2004 kHz", "HR 1954", "PI 1205", "PI 1.05", "RI 12", "PG:1961", "MI 1.05", "TI 5"),
    *("Vol 1961.051", "FL1205.961", "Depth 1961", "Zoom 1961 %", "1961 kV", "2D 196 dB", "RAO 30", "W 1961 L 1205"),
)


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(expression, re.IGNORECASE | re.ASCII)
    except re.error:
        raise KeepPolicyError(f"keep policy: {expression!r} is no regular expression") from None
    if any(pattern.fullmatch(text) for text in _NEVER):
        raise KeepPolicyError(f"keep policy: {expression!r} would also keep names, dates or numbers")
    return pattern
