"""Identifiers that nobody knows yet, by their look: phones, social security numbers, e-mails, names with a title, dates.

Belongs here: the patterns, and which of them are sure enough, in which kind of text, to put a record aside (`Verdict`).
The others are counted and shown.  A pattern that fires on more than .5 % of clean records may not isolate.  Every
expression is bounded, so that time is linear in the text.

Measured on 400 reports cleaned under either named profile with tags, and on 438 cleaned headers under either: phone, ssn,
email, url, titled_name, labelled_number 0 records; full dates in reports 0, in descriptions 0, in other elements 19 headers
(4.3 %: software versions, numbers of codes).  In reports with surrogates titled names fire on 52 %, phones on 17 %, because
surrogates look like what they replace.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from gradient_assets.deid.verify.dates import WrittenDate, written_dates
from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.folding import View, fold_accents
from gradient_assets.deid.verify.levels import Level
from gradient_assets.deid.verify.profile import OLDEST_SHIFT_DAYS, Promise, is_description, label_of
from gradient_assets.deid.verify.vocabulary import is_ordinary

_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}(?![\w-]|\.\d)"
    r"|(?<![\w.])\+\d{1,3}(?:[ .-]\d{2,4}){3,5}(?!\w)"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?P<host>[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4})")
_URL = re.compile(r"(?i)\b(?:https?|ftp)://(?P<host>[^\s<>\"/:?#]{1,120})[^\s<>\"]{0,200}")
_TITLED = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Doctor|Nurse|DR|MR|MRS|MS|PROF)\.? {1,2}(?:[A-Z]\. ?){0,2}(?P<name>[A-Z][A-Za-z'-]{2,30})"
)
_LABELLED = re.compile(
    r"(?i)\b(?:mrn|medical record(?: number)?|accession(?: number)?|patient id|ssn|dob)\b\s{0,3}[#:.=]{1,2}\s{0,3}"
    r"(?P<value>[A-Z0-9][A-Z0-9/-]{3,24})"
)
_DERIVED = re.compile(r"[PAX][A-Z2-7]{15,16}|[0-9a-f]{32}|2\.25\.\d+|[A-Za-z]+|(?:19|20)\d\d")
"""What may stand behind a label: what the platform writes in place of an id, a word, a year."""
_NOBODYS_HOST = re.compile(r"(?i)(?:^|\.)(?:test|invalid|example|example\.(?:com|net|org))$")
"""Names that belong to nobody (RFC 2606); surrogates use them."""
_VERSION = re.compile(r"(?=.*\b\d\b)\d{1,2}\.\d{1,2}\.\d{1,2}")
_TEXT_VRS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN"})

KINDS = ("phone", "ssn", "email", "url", "titled_name", "labelled_number", "full_date")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one record shows: `sure` puts it aside, `doubtful` is counted."""

    sure: tuple[Hit, ...] = ()
    doubtful: Counter[str] = field(default_factory=Counter)


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
    return Counter(_kinds_in(fold_accents(text)))


def suspicions_in_column(texts: Iterable[str]) -> Suspicions:
    """Suspicions over a free-text column, counted."""
    column = Suspicions()
    for text in texts:
        column.add(suspicions_in_text(text))
    return column


def _kinds_in(plain: str) -> Iterator[str]:
    for kind, pattern in (("phone", _PHONE), ("ssn", _SSN)):
        yield from (kind for _ in pattern.finditer(plain))
    for kind, pattern in (("email", _EMAIL), ("url", _URL)):
        yield from (kind for match in pattern.finditer(plain) if not _NOBODYS_HOST.search(match["host"]))
    yield from ("titled_name" for match in _TITLED.finditer(plain) if not is_ordinary(match["name"].lower()))
    yield from ("labelled_number" for match in _LABELLED.finditer(plain) if not _DERIVED.fullmatch(match["value"]))


def unknown_in_report(text: str, promise: Promise, *, surrogates: bool, where: str = "report_text") -> Verdict:
    """What a cleaned report shows.  `surrogates`: identifiers were replaced by made-up ones, which look the same; then only
    addresses of the network are sure, since made-up ones have hosts that belong to nobody, and dates under a profile
    that cuts them."""
    plain = fold_accents(text)
    found = Counter(_kinds_in(plain))
    if promise.dates != "keep":
        found["full_date"] = sum(1 for _ in _dates_in(View(plain).folded))
    surely = frozenset({"email", "url"} | ({"full_date"} if promise.dates == "year" else set())) if surrogates else _ALL
    return _verdict(+found, surely, where)


_ALL = frozenset(KINDS)


def unknown_in_header(level: Level, promise: Promise) -> Verdict:
    """What the texts of a written header show, nested ones included."""
    sure: dict[Hit, None] = {}
    doubtful: Counter[str] = Counter()
    for tag, path, text in _texts(level, ""):
        plain = fold_accents(text)
        found = Counter(_kinds_in(plain))
        if promise.dates != "keep":
            found["full_date"] = _dates_among_words(plain)
        if found := +found:
            one = _verdict(found, _ALL if is_description(tag) else _ALL - {"full_date"}, f"{path}{label_of(tag)}")
            sure.update(dict.fromkeys(one.sure))
            doubtful.update(one.doubtful)
    return Verdict(tuple(sure), doubtful)


def _dates_among_words(plain: str) -> int:
    """A text that is a date and nothing else was moved like one; among words it should not be there."""
    folded = View(plain).folded
    whole = len(folded.strip())
    return sum(1 for written in _dates_in(folded) if written.end - written.start < whole)


def _dates_in(folded: str) -> Iterator[WrittenDate]:
    """Dates, but for three short numbers with dots, as versions have them (`10.6.1`)."""
    return (written for written in written_dates(folded) if not _VERSION.fullmatch(folded, written.start, written.end))


def _texts(level: Level, path: str) -> Iterator[tuple[int, str, str]]:
    for tag, element in level.elements.items():
        if element.vr in _TEXT_VRS:
            yield from ((tag, path, value) for value in element.values if value)
        for number, item in enumerate(element.items):
            yield from _texts(item, f"{path}{label_of(tag)}[{number}].")


def _verdict(found: Counter[str], surely: frozenset[str], where: str) -> Verdict:
    sure = tuple(Hit(kind, where, "identifier_like") for kind in sorted(found) if kind in surely)
    return Verdict(sure, Counter({kind: count for kind, count in found.items() if kind not in surely}))


def breaks_date_promise(
    day: date | None, promise: Promise, originals: tuple[date, date] | None, where: str
) -> list[Hit]:
    """Whether a date in a column of dates is one that the profile can't have written.

    `originals`: the first and the last study date of the hospital as sent; None where none is known.
    """
    if day is None or (promise.dates == "keep" and not promise.removes_dates):
        return []
    if promise.removes_dates:
        return [Hit("date_not_removed", where, "profile")]
    if promise.dates == "year":
        return [] if (day.month, day.day) == (1, 1) else [Hit("date_not_cut", where, "profile")]
    if originals is not None:
        first, last = originals
        if not first - timedelta(days=OLDEST_SHIFT_DAYS) <= day <= last - timedelta(days=1):
            return [Hit("date_out_of_bounds", where, "profile")]
    return []
