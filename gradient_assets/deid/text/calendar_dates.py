"""Read a date as it is written, and write another day in the same way.

Belongs here: the parts of one written date, the day it means, its rendering for another day.  Where dates stand in a text
is `dates`' business, which day takes its place that of `replace`.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import Calendar, lexicon

_PIECE = re.compile(r"\d+|[^\W\d_]+|[^0-9A-Za-z]+|.", re.ASCII)
_ORDERS = {"mdy": ("m", "d", "y"), "dmy": ("d", "m", "y"), "ymd": ("y", "m", "d")}
DEFAULT_PIVOT = 2040
"""Without a study date, a two-digit year lies in the hundred years that end here."""


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date as written: its pieces in order, each with the part it plays, and the numbers they mean.

    `parts[i]` is `y`, `m`, `d`, `M` (month name), `W` (weekday), `o` (ordinal suffix) or `` (kept as it is).
    """

    pieces: tuple[str, ...]
    parts: tuple[str, ...]
    year: int | None
    month: int | None
    day: int | None
    pivot: int
    calendar: Calendar

    def as_date(self, *, year: int | None = None) -> datetime.date | None:
        """The day meant; a missing day counts as the first, a missing year as `year`; `None` if there is no such day."""
        whole_year = self.year or year
        if not whole_year or not self.month:
            return None
        try:
            return datetime.date(whole_year, self.month, self.day or 1)
        except ValueError:
            return None

    def render(self, when: datetime.date) -> str:
        """Another day, written the same way: order, separators, digits, letter case."""
        return "".join(self._piece(piece, part, when) for piece, part in zip(self.pieces, self.parts, strict=True))

    def _piece(self, piece: str, part: str, when: datetime.date) -> str:
        if part == "y":
            return f"{when.year:04d}" if len(piece) == 4 else f"{when.year % 100:02d}"
        if part in ("m", "d"):
            number = when.month if part == "m" else when.day
            return f"{number:02d}" if self._padded(piece) else str(number)
        if part == "ymd":
            return f"{when:%Y%m%d}"
        if part == "M":
            return self._month_name(when.month - 1, piece)
        if part == "W":
            whole = self.calendar.weekdays[when.weekday()]
            return _cased(whole if len(piece) > 5 else whole[: min(3, len(piece))], piece)
        if part == "o":
            suffix = self.calendar.ordinal(when.day)
            return suffix.upper() if piece.isupper() else suffix
        return piece

    def _month_name(self, month: int, example: str) -> str:
        """A month's name, abbreviated like the example where that is an abbreviation: `Mar`, `MARCH`, `sept`."""
        calendar = self.calendar
        if len(example) > 3 and example.lower() in map(fold_plain, calendar.month_names):
            return _cased(calendar.month_names[month], example)
        short = calendar.month_abbreviations[month]
        return _cased(next((name for name in short if len(name) == len(example)), short[0]), example)

    def _padded(self, piece: str) -> bool:
        if piece.startswith("0"):
            return True
        numbers = [p for p, part in zip(self.pieces, self.parts, strict=True) if part in ("m", "d")]
        # 10-12-2014 says nothing of padding by itself; dashes and leading years go with two digits.
        dashed = "-" in self.pieces or self.parts[0] == "y"
        return any(p.startswith("0") for p in numbers) or (dashed and all(len(p) == 2 for p in numbers))


def read_date(
    text: str, *, order: str = "mdy", latest_year: int | None = None, language: str = "en"
) -> WrittenDate | None:
    """The parts of one written date, or `None` where the form is not understood.

    `latest_year` bounds two-digit years from above (a study's year + 1): 04/20/24 in a study of 2011 is 1924.
    """
    pieces = tuple(_PIECE.findall(fold_plain(text)))
    months, calendar = lexicon(language).months, lexicon(language).calendar
    numbers: list[tuple[int, str]] = []
    parts = [""] * len(pieces)
    for index, piece in enumerate(pieces):
        lower = piece.lower()
        if piece.isdigit():
            numbers.append((index, "N"))
        elif lower in months:
            numbers.append((index, "M"))
        elif lower in calendar.ordinal_suffixes:
            parts[index] = "o"
        elif len(lower) >= 3 and any(fold_plain(day).startswith(lower) for day in calendar.weekdays):
            parts[index] = "W"
        elif lower.isalpha() and lower not in calendar.fillers:
            return None
    roles = _roles([kind for _, kind in numbers], [pieces[index] for index, _ in numbers], order)
    if roles is None:
        return None
    meaning: dict[str, int] = {}
    for (index, kind), role in zip(numbers, roles, strict=True):
        parts[index] = "M" if kind == "M" else role
        meaning[role] = months[pieces[index].lower()] if kind == "M" else int(pieces[index])
    if "ymd" in meaning:
        whole = meaning.pop("ymd")
        meaning = {"y": whole // 10000, "m": whole // 100 % 100, "d": whole % 100}
    year = meaning.get("y")
    pivot = latest_year or DEFAULT_PIVOT
    if year is not None and year < 100:
        year += (pivot - year) // 100 * 100
    written = WrittenDate(pieces, tuple(parts), year, meaning.get("m"), meaning.get("d"), pivot, calendar)
    if not 1 <= (written.month or 0) <= 12 or not 1 <= (written.day or 1) <= 31:
        return None
    return written


def parse_date(value: str, *, order: str = "mdy", language: str = "en") -> datetime.date | None:
    """The day a column's value means (a time after it is ignored), or `None`."""
    head = re.split(r"[T ](?=\d{1,2}:\d{2})|(?<=\d)T(?=\d{4})", value.strip(), maxsplit=1)[0]
    written = read_date(head, order=order, language=language)
    return None if written is None or not written.year or not written.day else written.as_date()


def _roles(kinds: list[str], values: list[str], order: str) -> tuple[str, ...] | None:
    """Which number is year, month and day."""
    sizes = [len(value) for value in values]
    form = "".join(kinds)
    if form == "N" and sizes[0] == 8:
        return ("ymd",)
    if form == "NNN":
        if sizes[0] == 4:
            return ("y", "m", "d")
        if sizes[2] not in (2, 4):
            return None
        chosen = _ORDERS.get(order, _ORDERS["mdy"])
        if sizes[2] == 4 and chosen[0] == "y":
            chosen = _ORDERS["mdy"]
        if chosen[0] == "m" and int(values[0]) > 12:
            chosen = _ORDERS["dmy"]
        elif chosen[0] == "d" and int(values[1]) > 12:
            chosen = _ORDERS["mdy"]
        return chosen
    if form == "NN":
        if sizes[1] == 4:
            return ("m", "y")
        if sizes[0] == 4:
            return ("y", "m")
        if order == "dmy" and int(values[1]) <= 12:
            return ("d", "m")
        return ("m", "d")
    table: dict[str, tuple[str, ...]] = {"MNN": ("m", "d", "y"), "NMN": ("d", "m", "y"), "NM": ("d", "m")}
    if form == "NMN" and sizes[0] == 4:
        return ("y", "m", "d")
    if form == "MN":
        return ("m", "y") if sizes[1] == 4 or (sizes[1] == 2 and int(values[1]) > 31) else ("m", "d")
    return table.get(form)


def _cased(word: str, example: str) -> str:
    if example.isupper():
        return word.upper()
    return word.capitalize() if example[:1].isupper() else word
