"""Birth dates in a text: years and dates behind a label of birth.

Belongs here: telling `born in 1931` and `DOB: April 1931` from dates of events.  A birth year tells an age, and a moved birth
date tells it still; so neither is moved or cut to its year, whatever the profile does with dates.  Where dates stand is
`dates`' business; the labels are data (`birth_label` of `forms.json`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import Reading
from gradient_assets.deid.text.spans import Span

BIRTH_RULE = "birth-date"
"""Rule of the spans that are a date of birth; such a span always becomes a tag."""

_YEAR = re.compile(r"(?:18|19|20)\d\d(?![\d%]|[-/.,]\d)")


def mark_births(reading: Reading, words: Lexicon, dates: Iterable[Span]) -> list[Span]:
    """`dates`, those behind a label of birth with the rule of births, and bare years behind such a label."""
    marked = list(dates)
    at: dict[int, list[int]] = {}
    for number, date in enumerate(marked):
        at.setdefault(date.start, []).append(number)
    for label in words.expressions["birth_label"].finditer(reading.text):
        place = label.end()
        for number in at.get(place, ()):
            marked[number] = marked[number]._replace(rule=BIRTH_RULE)
        if year := _YEAR.match(reading.text, place):
            marked.append(Span(*year.span(), "DATE", BIRTH_RULE))
    return marked
