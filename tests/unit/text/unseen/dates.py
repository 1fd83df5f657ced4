"""How a day is written in a generated report: one entry for each rendering, named as the scorer shows it.

Belongs here: the renderings.  A value in `«»` is no part of the identifier (a weekday, a clock time, a bare year): a
de-identifier may take it or leave it.  Months come before days where both are numbers: that is what the engine is told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from random import Random

_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_UNITS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
_ORDINALS = [
    *_UNITS,
    *(
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
    ),
    *("nineteenth", "twentieth"),
    *(f"twenty-{unit}" for unit in _UNITS),
    *("thirtieth", "thirty-first"),
]
_ONES = ["", " one", " two", " three", " four", " five", " six", " seven", " eight", " nine"]


def ordinal(day: int) -> str:
    """`1st`, `22nd`, `13th`."""
    return f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _spoken_year(year: int) -> str:
    if year < 2010:
        return f"two thousand{_ONES[year % 10]}"
    return f"twenty {_TEENS[year - 2010] if year <= 2020 else 'twenty' + _ONES[year - 2020]}"


def _clock(r: Random) -> str:
    return f"{r.randrange(0, 24):02}:{r.randrange(60):02}"


FORMS: dict[str, Callable[[date, Random], str]] = {
    "m/d/yyyy": lambda d, _: f"{d.month}/{d.day}/{d.year}",
    "mm/dd/yyyy": lambda d, _: f"{d:%m/%d/%Y}",
    "m/d/yy": lambda d, _: f"{d.month}/{d.day}/{d:%y}",
    "m/d": lambda d, _: f"{d.month}/{d.day}",
    "m-d-yy": lambda d, _: f"{d.month}-{d.day}-{d:%y}",
    "mm-dd-yyyy": lambda d, _: f"{d:%m-%d-%Y}",
    "m.d.yyyy": lambda d, _: f"{d.month}.{d.day}.{d.year}",
    "yyyy-mm-dd": lambda d, _: f"{d:%Y-%m-%d}",
    "yyyy/mm/dd": lambda d, _: f"{d:%Y/%m/%d}",
    "yyyy.mm.dd": lambda d, _: f"{d:%Y.%m.%d}",
    "iso-with-T": lambda d, r: f"{d:%Y-%m-%d}«T{_clock(r)}:00»",
    "iso-with-zone": lambda d, r: f"{d:%Y-%m-%d}«T{_clock(r)}:07.221-05:00»",
    "compact": lambda d, _: f"{d:%Y%m%d}",
    "compact-timestamp": lambda d, r: f"{d:%Y%m%d}{_clock(r).replace(':', '')}{r.randrange(60):02}",
    "dd-MON-yyyy": lambda d, _: f"{d:%d-%b-%Y}".upper(),
    "dd-Mon-yy": lambda d, _: f"{d:%d-%b-%y}",
    "ddMONyy": lambda d, _: f"{d:%d%b%y}".upper(),
    "ddMONyyyy": lambda d, _: f"{d:%d%b%Y}".upper(),
    "ddMON": lambda d, _: f"{d:%d%b}".upper(),
    "d Mon yyyy": lambda d, _: f"{d.day} {d:%b} {d.year}",
    "d Month yyyy": lambda d, _: f"{d.day} {d:%B} {d.year}",
    "d Mon 'yy": lambda d, _: f"{d.day} {d:%b} '{d:%y}",
    "d/Mon/yyyy": lambda d, _: f"{d:%d/%b/%Y}",
    "d.Mon.yy": lambda d, _: f"{d.day}.{d:%b}.{d:%y}",
    "military-group": lambda d, r: f"«{_clock(r).replace(':', '')}h »{d:%d %b %y}".upper().replace("H »", "h »"),
    "Mon d, yyyy": lambda d, _: f"{d:%b} {d.day}, {d.year}",
    "Mon. d, yyyy": lambda d, _: f"{'Sept' if d.month == 9 else d.strftime('%b')}. {d.day}, {d.year}",
    "Month d, yyyy": lambda d, _: f"{d:%B} {d.day}, {d.year}",
    "Month d yyyy": lambda d, _: f"{d:%B} {d.day} {d.year}",
    "Mon d/yy": lambda d, _: f"{d:%b} {d.day}/{d:%y}",
    "Mon-dd-yyyy": lambda d, _: f"{d:%b-%d-%Y}",
    "Month dth": lambda d, _: f"{d:%B} {ordinal(d.day)}",
    "Month dth, yyyy": lambda d, _: f"{d:%B} {ordinal(d.day)}, {d.year}",
    "Month d": lambda d, _: f"{d:%B} {d.day}",
    "Mon d": lambda d, _: f"{d:%b} {d.day}",
    "d Month": lambda d, _: f"{d.day} {d:%B}",
    "dth of Month": lambda d, _: f"{ordinal(d.day)} of {d:%B}",
    "the dth of Month": lambda d, _: f"«the »{ordinal(d.day)} of {d:%B}",
    "dth Month yyyy": lambda d, _: f"{ordinal(d.day)} {d:%B} {d.year}",
    "dth of Month, yyyy": lambda d, _: f"{ordinal(d.day)} of {d:%B}, {d.year}",
    "month d lower": lambda d, _: f"{d:%B} {d.day} {d.year}".lower(),
    "MONTH D upper": lambda d, _: f"{d:%B} {d.day}, {d.year}".upper(),
    "Month yyyy": lambda d, _: f"{d:%B} {d.year}",
    "Mon yyyy": lambda d, _: f"{d:%b} {d.year}",
    "Month of yyyy": lambda d, _: f"{d:%B} of {d.year}",
    "Mon 'yy": lambda d, _: f"{d:%b} '{d:%y}",
    "Mon-yy": lambda d, _: f"{d:%b-%y}",
    "MON/yyyy": lambda d, _: f"{d:%b/%Y}".upper(),
    "mm/yyyy": lambda d, _: f"{d:%m/%Y}",
    "m-yyyy": lambda d, _: f"{d.month}-{d.year}",
    "Weekday m/d": lambda d, _: f"«{d:%a} »{d.month}/{d.day}",
    "last Weekday m/d/yy": lambda d, _: f"«last {d:%A} »{d.month}/{d.day}/{d:%y}",
    "Weekday, Month d": lambda d, _: f"«{d:%A}, »{d:%B} {d.day}",
    "Weekday d Month yyyy": lambda d, _: f"«{d:%a} »{d.day} {d:%b} {d.year}",
    "m/d @ time": lambda d, r: f"{d.month}/{d.day}« @ {_clock(r).replace(':', '')}»",
    "m/d/yy time": lambda d, r: f"{d.month}/{d.day}/{d:%y}« {_clock(r)}»",
    "spoken": lambda d, _: f"{d:%B} {_ORDINALS[d.day - 1]}".lower(),
    "spoken with year": lambda d, _: f"{d:%B} {_ORDINALS[d.day - 1]}« {_spoken_year(d.year)}»".lower(),
    "spoken day of month": lambda d, _: f"«the »{_ORDINALS[d.day - 1]} of {d:%B}",
    "padded spaces": lambda d, _: f"{d.month} / {d.day:>2} / {d.year}",
    "range m/d-m/d": lambda d, _: f"{d.month}/{min(d.day, 27)}-{d.month}/{min(d.day, 27) + 1}",
    "range Month d-d": lambda d, _: f"{d:%B} {min(d.day, 27)}-{min(d.day, 27) + 1}",
    "misspelt month": lambda d, _: (
        {1: "Janurary", 2: "Febuary", 3: "Marhc", 9: "Setpember"}.get(d.month, f"{d:%B}"[:-1] + f"{d:%B}"[-1] * 2)
        + f" {d.day}, {d.year}"
    ),
}

GROUPS: dict[str, list[str]] = {
    "key": [
        "m/d/yyyy",
        "mm/dd/yyyy",
        "dd-MON-yyyy",
        "yyyy-mm-dd",
        "m/d/yy",
        "d Mon yyyy",
        "m-d-yy",
        "yyyy/mm/dd",
        "ddMONyyyy",
    ],
    "prose": [
        *(
            "m/d/yyyy",
            "m/d/yy",
            "Month d, yyyy",
            "Mon d, yyyy",
            "Mon. d, yyyy",
            "d Month yyyy",
            "Month dth, yyyy",
            "dd-Mon-yy",
        ),
        *(
            "dth of Month, yyyy",
            "Month d yyyy",
            "m.d.yyyy",
            "mm-dd-yyyy",
            "d Mon 'yy",
            "Mon-dd-yyyy",
            "ddMONyy",
            "d/Mon/yyyy",
        ),
        *(
            "last Weekday m/d/yy",
            "Weekday d Month yyyy",
            "misspelt month",
            "Mon d/yy",
            "d.Mon.yy",
            "yyyy.mm.dd",
            "dth Month yyyy",
        ),
    ],
    "short": [
        *(
            "m/d",
            "Month d",
            "Mon d",
            "Month dth",
            "the dth of Month",
            "d Month",
            "Weekday m/d",
            "Weekday, Month d",
            "m/d @ time",
        ),
        *("dth of Month", "ddMON", "range m/d-m/d", "range Month d-d"),
    ],
    "month": ["Month yyyy", "Mon yyyy", "Mon 'yy", "mm/yyyy", "Month of yyyy", "Mon-yy", "m-yyyy", "MON/yyyy"],
    "stamp": ["iso-with-T", "iso-with-zone", "compact-timestamp", "m/d/yy time", "military-group", "compact"],
    "spoken": ["spoken", "spoken with year", "month d lower", "spoken day of month"],
}
