"""Dates in text, read in every order that they can be read in.

Belongs here: finding written days and comparing them with known ones.  The search does not know a hospital's date order
and needs none: `02/01/1980` is both 2 January and 1 February, and either is a hit if it is the day that must not be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from typing import NamedTuple

from gradient_assets.deid.verify.vocabulary import table

_SENTINELS = frozenset(
    {date(1, 1, 1), date(1900, 1, 1), date(1970, 1, 1), date(1753, 1, 1), date(1858, 11, 17), date(9999, 12, 31)}
)
"""Days that formats and databases write when they know none (SQL Server's and the Julian epoch among them)."""


class WrittenDate(NamedTuple):
    """A day found in text: where, and each day it may mean."""

    start: int
    end: int
    readings: frozenset[date]


@cache
def _months() -> dict[str, int]:
    return {spelling: int(number) for number, spellings in table("months").items() for spelling in spellings}


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    month = "|".join(sorted(_months(), key=len, reverse=True))
    year = r"(?P<y>\d{4}|'?\d{2})(?!\d)"
    day = r"(?P<d>\d{1,2})(?:st|nd|rd|th|er)?"
    return (
        re.compile(r"(?<!\d)(?P<a>\d{1,4})(?P<s> ?[-/._\\] ?| |, ?)(?P<b>\d{1,2})(?P=s)(?P<c>\d{1,4})(?![\d])"),
        re.compile(r"(?<!\d)(?P<y>\d{4}) ?年 ?(?P<n>\d{1,2}) ?月 ?(?P<d>\d{1,2}) ?日"),
        re.compile(r"(?<!\d)(?P<compact>\d{8})(?:\d{4}|\d{6})?(?:\.\d{1,6})?(?:[+-]\d{4})?(?!\d)"),
        re.compile(
            rf"(?<![a-z])(?P<m>{month})\b[.,]?[-/ ]{{0,3}}(?:the )?{day}(?:[.,][-/ ]{{0,3}}|[-/ ]{{1,3}}){year}"
        ),
        re.compile(
            rf"(?<!\d){day}\.?[-/ ]{{0,3}}(?:of |de |den |d')?(?P<m>{month})\b[.,]?[-/ ]{{0,3}}(?:de |del |of )?{year}"
        ),
        re.compile(rf"(?<!\d)(?P<y>\d{{4}})[-/ .]{{1,3}}(?P<m>{month})\b[.,]?[-/ ]{{0,3}}{day}(?!\d)"),
        re.compile(rf"(?<!\d)(?P<d>\d{{1,2}})(?P<m>{month})(?P<y>\d{{4}}|\d{{2}})(?!\d)"),
    )


def known_days(values: Iterable[str]) -> frozenset[date]:
    """Days of DICOM DA values or other written dates; what is no day, or a sentinel, is left out."""
    found: set[date] = set()
    for value in values:
        digits = value.strip()
        if re.fullmatch(r"\d{8}(?:\d{6}.*)?", digits):
            found |= _day(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
        else:
            for written in written_dates(value.casefold()):
                if len(written.readings) == 1:
                    found |= written.readings
    return frozenset(found - _SENTINELS)


def written_dates(folded: str) -> Iterator[WrittenDate]:
    """Every day written with digits or month names in folded text.  Linear in the length of the text."""
    for pattern in _patterns():
        for match in pattern.finditer(folded):
            readings = frozenset(_readings(match))
            if readings and not _part_of_dotted_number(folded, match):
                yield WrittenDate(match.start(), match.end(), readings)


def _readings(match: re.Match[str]) -> set[date]:
    found = match.groupdict()
    if compact := found.get("compact"):
        return (
            _day(int(compact[:4]), int(compact[4:6]), int(compact[6:]))
            | _day(int(compact[4:]), int(compact[:2]), int(compact[2:4]))
            | _day(int(compact[4:]), int(compact[2:4]), int(compact[:2]))
        )
    if "n" in found:
        return _day(int(str(found["y"])), int(str(found["n"])), int(str(found["d"])))
    if "m" in found:
        month = _months()[str(found["m"])]
        return {day for year in _years(str(found["y"])) for day in _day(year, month, int(str(found["d"])))}
    first, second, third = str(found["a"]), str(found["b"]), str(found["c"])
    if str(found["s"]).strip(" ,") == "" and max(len(first), len(third)) < 4:
        return set()
    if len(first) == 3 or len(third) == 3 or (len(first) == 4) == (len(third) == 4) == True:  # noqa: E712
        return set()
    readings: set[date] = set()
    if len(first) != 1 and len(third) <= 2:
        for year in _years(first):
            readings |= _day(year, int(second), int(third)) | _day(year, int(third), int(second))
    if len(third) != 1 and len(first) <= 2:
        for year in _years(third):
            readings |= _day(year, int(first), int(second)) | _day(year, int(second), int(first))
    return readings


def _years(written: str) -> tuple[int, ...]:
    digits = written.lstrip("'")
    return (int(digits),) if len(digits) == 4 else (1900 + int(digits), 2000 + int(digits))


def _day(year: int, month: int, day: int) -> set[date]:
    try:
        return {date(year, month, day)} if 1800 <= year <= 2100 else set()
    except ValueError:
        return set()


def _part_of_dotted_number(folded: str, match: re.Match[str]) -> bool:
    """`1.2.840.10.1.1980` is a UID, not a date."""
    if "." not in match[0]:
        return False
    before, after = folded[max(0, match.start() - 2) : match.start()], folded[match.end() : match.end() + 2]
    return bool(re.fullmatch(r"\d\.", before) or re.fullmatch(r"\.\d", after))
