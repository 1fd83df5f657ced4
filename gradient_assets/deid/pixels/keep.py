"""Which recognised text may stay in a picture.

Belongs here: the allow-list as data (`tables/keep_text.json`), its validation, and the question whether one line is on it.
No policy is the strict default: then all text goes.  That a known identifier on the same line overrides the list is
`survey`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
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
    return KeepPolicy.of(entry["pattern"] for entry in table["patterns"])


# An allow-list must not let these through, whatever it was written for: if it matches one, it matches names and numbers.
_NEVER = (
    "Okonkwo",
    "MEIER ANNA",
    "XQWVZ",
    "00482913",
    "12.03.1954",
    "1954-03-12",
    "19540312",
    "3/12/54",
    "08:41:23",
    "A55120",
)


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(expression, re.IGNORECASE | re.ASCII)
    except re.error:
        raise KeepPolicyError(f"keep policy: {expression!r} is no regular expression") from None
    if any(pattern.fullmatch(text) for text in _NEVER):
        raise KeepPolicyError(f"keep policy: {expression!r} would also keep names, dates or numbers")
    return pattern
