"""Identifiers that nobody knows yet, by their look: phones, social security numbers, e-mails, names with a title.

Belongs here: suspicion in free-text columns, counted and shown as a warning.  It blocks nothing: a pattern can't tell a
patient's phone from a catalogue number.  Every expression is bounded, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gradient_assets.deid.verify.folding import fold_accents
from gradient_assets.deid.verify.vocabulary import is_ordinary

_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}(?![\w-]|\.\d)"
    r"|(?<![\w.])\+\d{1,3}(?:[ .-]\d{2,4}){3,5}(?!\w)"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_URL = re.compile(r"(?i)\b(?:https?|ftp)://[^\s<>\"]{4,200}")
_TITLED = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Doctor|Nurse|DR|MR|MRS|MS|PROF)\.? {1,2}(?:[A-Z]\. ?){0,2}(?P<name>[A-Z][A-Za-z'-]{2,30})"
)
_LABELLED = re.compile(
    r"(?i)\b(?:mrn|medical record(?: number)?|accession(?: number)?|patient id|ssn|dob)\b\s{0,3}[#:.=]{1,2}\s{0,3}"
    r"(?P<value>[A-Z0-9][A-Z0-9/-]{3,24})"
)
_DERIVED = re.compile(r"[PAX][A-Z2-7]{15,16}|[0-9a-f]{32}|2\.25\.\d+|[A-Za-z]+")


@dataclass(slots=True)
class Suspicions:
    """Counts by kind over the texts looked at; no text is kept."""

    texts: int = 0
    suspicious: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, found: Counter[str]) -> None:
        """Count one text's suspicions."""
        self.texts += 1
        self.suspicious += bool(found)
        self.by_kind.update(found)

    def merge(self, other: Suspicions) -> None:
        """Add the counts of another part of the column."""
        self.texts += other.texts
        self.suspicious += other.suspicious
        self.by_kind.update(other.by_kind)


def suspicions_in_text(text: str) -> Counter[str]:
    """How many phones, SSNs, e-mails, URLs, titled names and labelled numbers the text seems to hold, by kind."""
    plain = fold_accents(text)
    found: Counter[str] = Counter()
    for kind, pattern in (("phone", _PHONE), ("ssn", _SSN), ("email", _EMAIL), ("url", _URL)):
        found[kind] = sum(1 for _ in pattern.finditer(plain))
    found["titled_name"] = sum(not is_ordinary(match["name"].lower()) for match in _TITLED.finditer(plain))
    found["labelled_number"] = sum(_DERIVED.fullmatch(match["value"]) is None for match in _LABELLED.finditer(plain))
    return +found


def suspicions_in_column(texts: Iterable[str]) -> Suspicions:
    """Suspicions over a free-text column, counted."""
    column = Suspicions()
    for text in texts:
        column.add(suspicions_in_text(text))
    return column
