"""Dates and times of one patient: moved by one number of days, or cut down to the year.

Belongs here: how DA, DT and TM values, and texts that are a date and nothing else, are parsed, moved and written back,
multi-valued, partial and ranges included.  The number of days comes from `identity`; which elements are dates is the
rules' business; dates among other words are the text engine's.  PS3.5 6.2 (DA, DT, TM) and PS3.15 E.3.6, Retain
Longitudinal Temporal Information with Modified Dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

DateMode = Literal["keep", "shift", "year"]
EARLIEST_YEAR = 1900
LATEST_YEAR = 2100

DUMMIES = {"DA": "19000101", "DT": "19000101000000", "TM": "000000"}
"""What stands in a Type 1 attribute whose own value can't be kept."""

_DATE = re.compile(r"(\d{4})(?:([.-]?)(\d{2})(?:\2(\d{2}))?)?")
_ZONE = r"[+-](?:0\d|1[0-4])[0-5]\d"  # -1200 to +1400, PS3.5 6.2: what else follows a year is the end of a range
_DATETIME = re.compile(
    rf"(\d{{4}})(?:(\d{{2}})(?:(\d{{2}})(\d{{2}}(?:\d{{2}}(?:\d{{2}}(?:\.\d{{1,6}})?)?)?)?)?)?({_ZONE})?"
)
_ISO_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?([+-]\d{2}:?\d{2})?")
_DATE_IN_TEXT = (
    r"(?:19|20)\d{2}(?P<s%d>[-/.]?)\d{2}(?P=s%d)\d{2}"
    r"(?:[T ]?\d{2}:?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?(?: ?Z|[+-]\d{2}:?\d{2})?)?"
)
_TEXT = re.compile(rf"(?P<a>{_DATE_IN_TEXT % (1, 1)})(?:(?P<to> ?- ?| to |/)(?P<b>{_DATE_IN_TEXT % (2, 2)}))?")
_TIME = re.compile(r"([01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?")


class NotADate(ValueError):  # noqa: N818  an outcome for the caller, its message holds no value
    """A value that is no date or time, or lies outside the years that are believed."""


def moved(vr: str, values: list[str], mode: DateMode, days: int) -> list[str]:
    """The values of a DA, DT or TM element under `mode`; blanks stay blank.  Raises `NotADate` for any value amiss.

    In mode `year` a DA becomes `YYYY0101`, a DT `YYYY`, and a TM has no value left (an empty list is returned).
    """
    if vr == "TM":
        kept = [_each_bound(value, _time) for value in values]
        return [] if mode == "year" else kept
    one = _date if vr == "DA" else _datetime
    return [_each_bound(value, lambda bound: one(bound, mode, days)) for value in values]


def _each_bound(value: str, change: object) -> str:
    """Apply to one value, or to both ends of a range (`20200101-20200131`, `-20200131`, `20200101-`)."""
    assert callable(change)
    if not value:
        return value
    try:
        return str(change(value))
    except NotADate:
        bounds = value.split("-")
        if len(bounds) != 2 or not any(bounds):
            raise
        return "-".join(str(change(bound.strip())) if bound.strip() else "" for bound in bounds)


def moved_text(text: str, mode: DateMode, days: int) -> str | None:
    """A text that is a date, a date with a time, or a range of such, year first, moved in its own form; else None.

    In mode `year` the years alone are left.  A month or day that no calendar has makes it no date: None.
    """
    found = _TEXT.fullmatch(text.strip())
    if not found:
        return None
    try:
        ends = [_moved_in_text(end, mode, days) for end in (found["a"], found["b"]) if end]
    except NotADate:
        return None
    return (found["to"] or "").join(ends)


def _moved_in_text(written: str, mode: DateMode, days: int) -> str:
    separator = written[4] if not written[4].isdigit() else ""
    length = 10 if separator else 8
    digits, rest = written[:length].replace(separator, ""), written[length:]
    clock = re.sub(r"[^\d]", "", re.split(r"[.Z+-]", rest)[0])
    if clock and not _TIME.fullmatch(clock):
        raise NotADate
    if mode == "year":
        return _year(digits[:4], digits[4:6], digits[6:])
    day = _rewritten(digits[:4], digits[4:6], digits[6:], mode, days)
    return separator.join((day[:4], day[4:6], day[6:])) + rest


def _date(value: str, mode: DateMode, days: int) -> str:
    if value == DUMMIES["DA"]:  # stands for no date, and stays so when a cleaned object is cleaned again
        return value
    match = _DATE.fullmatch(value)
    if not match:
        raise NotADate
    year, _, month, day = match.groups()
    return _rewritten(year, month, day, mode, days) if mode != "year" else _year(year, month, day) + "0101"


def _datetime(value: str, mode: DateMode, days: int) -> str:
    if value == DUMMIES["DT"]:
        return value
    if iso := _ISO_DATETIME.fullmatch(value):  # seen in DT, although PS3.5 knows no separators
        value = re.sub(r"[-:]", "", iso[1] + (iso[2] or "")) + (iso[3] or "").replace(":", "")
    match = _DATETIME.fullmatch(value)
    if not match:
        raise NotADate
    year, month, day, clock, zone = match.groups()
    if clock and not _TIME.fullmatch(clock):
        raise NotADate
    if mode == "year":
        return _year(year, month, day)
    return _rewritten(year, month, day, mode, days) + (clock or "") + (zone or "")


def _time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise NotADate
    return value


def _year(year: str, month: str | None, day: str | None) -> str:
    _calendar_day(year, month, day)
    return year


def _rewritten(year: str, month: str | None, day: str | None, mode: DateMode, days: int) -> str:
    """The date moved, to the precision it had: a partial date stands for its first day."""
    first = _calendar_day(year, month, day)
    if mode == "shift":
        first += timedelta(days=days)
    return first.strftime("%Y%m%d")[: 4 + 2 * bool(month) + 2 * bool(day)]


def _calendar_day(year: str, month: str | None, day: str | None) -> date:
    try:
        found = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise NotADate from None
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        raise NotADate
    return found


_AGE = re.compile(r"(\d{1,3})([DWMY])")
_UNITS_IN_90_YEARS = {"Y": 90, "M": 1080, "W": 4696, "D": 32872}


POOLED_YEARS = 90
POOLED_AGE = "090Y"


def reaches_pooled_age(
    birth_dates: Iterable[str], study_dates: Iterable[str], ages: Iterable[str], latest: int
) -> bool:
    """Whether a year of birth would tell that somebody is 90 or more: by an AS value, or by the years of any birth and study
    date (DA).  Without a study date it is the year `latest` that counts."""
    for age in ages:
        try:
            if pooled_age(age) == POOLED_AGE:
                return True
        except NotADate:
            continue
    born = [int(day[:4]) for day in birth_dates if day[:4].isdecimal() and len(day) >= 4]
    seen = [int(day[:4]) for day in study_dates if day[:4].isdecimal() and len(day) >= 4]
    return bool(born) and max(seen, default=latest) - min(born) >= POOLED_YEARS


def pooled_age(value: str) -> str:
    """An AS value with all ages of 90 years and more as `090Y`.  45 CFR 164.514(b)(2)(i)(C).

    Raises `NotADate` if the value is no age.
    """
    match = _AGE.fullmatch(value.upper())
    if not match:
        raise NotADate
    number, unit = int(match[1]), match[2]
    return POOLED_AGE if number >= _UNITS_IN_90_YEARS[unit] else f"{number:03d}{unit}"
