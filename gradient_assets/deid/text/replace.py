"""What takes the place of an identifier: a tag, or a surrogate that keeps its shape.

Belongs here: which treatment a kind gets, moved and coarsened dates, pooled ages.  How names, numbers and addresses
are invented is `surrogates`' business.  What can't be rendered is tagged.
"""

from __future__ import annotations

import datetime
import re
from typing import Literal

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.text.births import BIRTH_RULE
from gradient_assets.deid.text.calendar_dates import WrittenDate, read_date
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.spans import Span
from gradient_assets.deid.text.surrogates import Surrogates

Replacement = Literal["tags", "surrogates"]
DateTreatment = Literal["year", "shift", "keep"]

MAX_PLAIN_AGE = 89
"""Ages above it are pooled (45 CFR 164.514(b)(2)(i)(C))."""
POOLED_AGE = "90+"

_ORDERS = ("mdy", "dmy", "ymd")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?\+?")


class Replacer:
    """Replacements for one text of one patient.

    `dates`: `year` (Safe Harbor: years may stay), `shift` or `keep`.  With tags a date is `[DATE]` whatever may stay: a tag
    can't be taken for the patient's.  No digit of a postal code stays, though Safe Harbor allows three where many people
    live: a release counts nobody as told apart by where they live (`releases.statistics`).
    """

    def __init__(
        self,
        identifiers: KnownIdentifiers,
        person: Person,
        lexicon: Lexicon,
        *,
        replace: Replacement,
        dates: DateTreatment,
        date_order: str = "mdy",
        text: str = "",
        draw: int = 0,
    ) -> None:
        self._person = person
        self._lexicon = lexicon
        self._surrogates = (
            Surrogates(identifiers, person, lexicon, text=text, draw=draw) if replace == "surrogates" else None
        )
        self._dates = dates
        self._date_order = date_order
        years = [int(date[:4]) for date in identifiers.study_dates if date[:4].isdigit()]
        self._study_year = max(years) if years else None
        self._latest = self._study_year + 1 if self._study_year else None
        self._births = frozenset(identifiers.birth_dates)
        self._own_days = self._births | frozenset(identifiers.study_dates)

    def replacement(self, value: str, span: Span) -> str:
        """What stands in the place of `value`."""
        if span.kind == "DATE":
            return self._date(value, span.rule)
        if span.kind == "AGE":
            return _NUMBER.sub(POOLED_AGE, value, count=1) if _NUMBER.search(value) else POOLED_AGE
        if self._surrogates is None:
            return f"[{span.kind}]"
        match span.kind:
            case "NAME":
                return self._surrogates.name(value)
            case "ID" | "PHONE":
                return self._surrogates.number(value, span.kind)
            case "ADDRESS":
                return self._surrogates.address(value)
            case "INSTITUTION":
                return self._surrogates.institution(value)
            case "EMAIL":
                return self._surrogates.mail(value)
            case "URL":
                return self._surrogates.address_of_page(value)
        return f"[{span.kind}]"

    def _date(self, value: str, rule: str) -> str:
        # The birth date is no date of an event.  Its year tells an age over 89, and a moved one a moved age: no profile keeps,
        # cuts or moves it in a text.
        if (self._surrogates is None and self._dates != "keep") or rule == BIRTH_RULE or self._is_birth_date(value):
            return "[DATE]"
        written = read_date(value, order=self._date_order, latest_year=self._latest, language=self._lexicon.language)
        if self._dates == "keep":
            return value
        if written is None:
            return "[DATE]"
        if self._dates == "year":
            return str(written.year) if written.year and self._year_may_stay(written.year) else "[DATE]"
        return self._shifted(written) or "[DATE]"

    def _shifted(self, written: WrittenDate) -> str | None:
        day = written.as_date(year=self._study_year)
        if day is None:
            return None
        try:
            moved = day + datetime.timedelta(days=self._person.shift_days)
            rendered = written.render(moved)
        except (OverflowError, ValueError):
            return None
        # Whole years moved: month and day would still be the patient's own.
        same = (moved.month, moved.day if written.day else 0) == (day.month, day.day if written.day else 0)
        return None if same or f"{moved:%Y%m%d}" in self._own_days else rendered

    def _is_birth_date(self, value: str) -> bool:
        """Whether the value is a known birth date in any order of day and month."""
        if not self._births:
            return False
        for order in _ORDERS:
            written = read_date(value, order=order, latest_year=self._latest, language=self._lexicon.language)
            day = written.as_date() if written is not None and written.day else None
            if day is not None and f"{day:%Y%m%d}" in self._births:
                return True
        return False

    def _year_may_stay(self, year: int) -> bool:
        """A year that tells an age over 89 does not stay."""
        return (self._study_year or datetime.date.today().year) - year <= MAX_PLAIN_AGE
