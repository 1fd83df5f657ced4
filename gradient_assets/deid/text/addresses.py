"""Postal addresses: streets with their house number, places with their postal code.

Belongs here: the two ways of writing a street: number first (`12 Old Mill Lane`), read word by word up to a street type, and
number behind (`Musterstraße 5`, `C/ Mayor 3`), a language's own expression; and postal codes with the place beside them.
The known address of the record is `known`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import LOWER, UPPER, Reading
from gradient_assets.deid.text.spans import Span

_STREET_NUMBER = re.compile(r"(?<![\w.,/-])(?<!\d )\d{1,6}[A-Za-z]?(?:-\d{1,4})?\ (?=[A-Za-z0-9])")
_STREET_GAP = re.compile(r"[ .]|\d{1,3}(?=$)|'")


def find_addresses(reading: Reading, lexicon: Lexicon) -> Iterator[Span]:
    """Spans of post-office boxes, streets and places; they may overlap."""
    text, expressions = reading.text, lexicon.expressions
    for match in expressions["po_box"].finditer(text):
        yield Span(match.start(), match.end(), "ADDRESS", "po-box")
    if lexicon.cues["street_types"]:
        for match in _STREET_NUMBER.finditer(text):
            end = _street_end(reading, match.end(), lexicon)
            if end:
                unit = expressions["house_unit"].match(text, end)
                yield Span(match.start(), unit.end() if unit else end, "ADDRESS", "street")
        for match in expressions["postal_code"].finditer(text):
            start = _city_start(reading, match.start(), lexicon)
            if start is not None:
                yield Span(start, match.end(), "ADDRESS", "city-state-zip")
    for match in expressions["labelled_postal_code"].finditer(text):
        yield Span(*match.span("code"), "ADDRESS", "postal-code")
    for match in expressions["street"].finditer(text):
        unit = expressions["house_unit"].match(text, match.end())
        yield Span(match.start(), unit.end() if unit else match.end(), "ADDRESS", "street")
    for match in expressions["postal_place"].finditer(text):
        first = reading.words_between(match.start("place"), match.end())[0]
        if reading.words[first] not in lexicon.clinical or reading.words[first] in lexicon.places:
            yield Span(match.start(), match.end(), "ADDRESS", "postal-place")


def _street_end(reading: Reading, start: int, lexicon: Lexicon) -> int | None:
    """Where a street name that begins at `start` ends: up to four words and a street type, no medicine among them."""
    words = reading.words_between(start, min(len(reading.text), start + 60))
    if not words:
        return None
    unguarded = False
    for count, index in enumerate(words):
        gap = reading.gap(index - 1) if count else ""
        if "\n" in gap or _STREET_GAP.sub("", gap):
            return None
        if "." in gap and len(reading.words[words[count - 1]]) > 2:
            return None  # 45 YO MAN. DR LEE: only directions and `St.` are abbreviated inside a street's name
        word, shouted = reading.words[index], reading.shouted[index]
        if count and word in lexicon.cues["street_types"] and (reading.shapes[index] != LOWER):
            following = reading.after(index, 2)
            if (unguarded or not shouted) and word not in lexicon.cues["street_types_weak"]:
                return reading.ends[index]
            if unguarded and (
                following[:1] in ",.\n" or following == "" or shouted or following.startswith((" #", ","))
            ):
                return reading.ends[index] + (following[:1] == ".")
            if unguarded and lexicon.expressions["house_unit"].match(reading.text, reading.ends[index]):
                return reading.ends[index]
        if count and word in lexicon.cues["house_ordinals"] and gap.strip(" .").isdigit():
            unguarded = True
            continue
        if count >= 5 or reading.shapes[index] == LOWER:
            return None
        if word in lexicon.cues["name_stops"] or word in lexicon.months:
            return None
        unguarded = unguarded or word not in lexicon.clinical
    return None


def _city_start(reading: Reading, zip_start: int, lexicon: Lexicon) -> int | None:
    """Where `City, ST` before a ZIP code begins, or `None`."""
    text = reading.text
    before = reading.words_between(max(0, zip_start - 40), zip_start)
    if not before or text[reading.ends[before[-1]] : zip_start].strip(" ,."):
        return None
    state = before[-1]
    first_of_state = state
    if state and f"{reading.words[state - 1]} {reading.words[state]}" in lexicon.states:
        first_of_state = state - 1
    elif reading.words[state] not in lexicon.states:
        return None
    if reading.shapes[state] == LOWER:
        return None
    if len(reading.words[state]) == 2 and reading.shapes[state] != UPPER and reading.after(state) != ".":
        return None
    start = reading.starts[first_of_state]
    for index in range(first_of_state - 1, max(-1, first_of_state - 4), -1):
        gap = reading.gap(index)
        if (
            gap.strip(" ") not in ("", ",", ".", "-")
            or reading.shapes[index] == LOWER
            or (gap.strip(" ") == "," and index != first_of_state - 1)
        ):
            break
        if reading.words[index] in lexicon.cues["name_stops"] or reading.words[index] in lexicon.cues["street_types"]:
            break
        start = reading.starts[index]
    return start
