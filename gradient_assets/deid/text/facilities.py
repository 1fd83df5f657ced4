"""Names of institutions: `Good Samaritan Hospital`, `ADVENTIST HEALTH TORRANCE HILLS`, `St. Mary's Imaging Center`.

Belongs here: how far such a name reaches to the left and right of the noun that ends or carries it.  The known
institution of the record is `known`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gradient_assets.deid.text.lexicon import Lexicon, lexicon
from gradient_assets.deid.text.reading import CAPITAL, LOWER, Reading
from gradient_assets.deid.text.spans import Span

MAX_WORDS_BEFORE = 5
_INNER = frozenset(("of", "the", "and", "for", "at", "s", "de", "la", "our"))
_CARRIERS = frozenset(("health", "healthcare", "memorial", "university", "imaging", "radiology"))


@lru_cache(maxsize=4)
def _heads(language: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Facility nouns by their first word, the longest first."""
    heads: dict[str, list[tuple[str, ...]]] = {}
    for noun in lexicon(language).cues["facility_heads"]:
        words = tuple(noun.replace("'", "").split())
        heads.setdefault(words[0], []).append(words)
    return {first: tuple(sorted(nouns, key=len, reverse=True)) for first, nouns in heads.items()}


def find_facilities(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """Spans of institution names."""
    heads = _heads(words.language)
    for index, word in enumerate(reading.words):
        if word not in heads or reading.shapes[index] == LOWER:
            continue
        for noun in heads[word]:
            if tuple(reading.words[index : index + len(noun)]) == noun and _together(
                reading, index, index + len(noun) - 1
            ):
                span = _name_around(reading, index, index + len(noun) - 1, words)
                if span:
                    yield span
                break


def find_places_of_care(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """`seen at Riverside Methodist`, `transferred from Lakeview`: capitals behind a verb of care and a place word."""
    for index, word in enumerate(reading.words):
        if word not in ("at", "from", "to") or index == 0 or reading.shapes[index] != LOWER:
            continue
        if reading.words[index - 1] not in words.cues["care_verbs"] or (
            word == "to" and reading.words[index - 1] != "transferred"
        ):
            continue
        last = index
        while (
            last + 1 < len(reading) and last - index < MAX_WORDS_BEFORE and reading.gap(last) in (" ", "-", "'", ". ")
        ):
            following = reading.words[last + 1]
            if following == "s" and reading.gap(last) == "'":
                last += 1
                continue
            if reading.gap(last) == ". " and reading.words[last] not in ("st", "mt", "ft"):
                break
            if (
                reading.shapes[last + 1] != CAPITAL
                or last + 1 in reading.taken
                or following in words.cues["name_stops"]
            ):
                break
            last += 1
        names = range(index + 1, last + 1)
        if any(reading.words[name] not in words.guarded for name in names):
            yield Span(reading.starts[index + 1], reading.ends[last], "INSTITUTION", "place-of-care")


def _together(reading: Reading, first: int, last: int) -> bool:
    return all(
        reading.gap(index) in (" ", "'", "-") and reading.shapes[index + 1] != LOWER for index in range(first, last)
    )


def _name_around(reading: Reading, head: int, last: int, lexicon: Lexicon) -> Span | None:
    generic = lexicon.cues["facility_generic"]
    start, own = head, 0
    position = head - 1
    while position >= 0 and head - position <= MAX_WORDS_BEFORE:
        gap = reading.gap(position)
        word = reading.words[position]
        if gap not in (" ", "'", "-", ". ", "' ", " & ", " - ") or (
            gap == ". " and word not in ("st", "mt", "ft", "dr")
        ):
            break
        if position in reading.taken:
            break
        if word == "our" and reading.shapes[position] != LOWER and own:
            start = position
            break
        inner = word in _INNER and position > 0 and reading.gap(position - 1) in (" ", "'", ". ")
        if reading.shapes[position] == LOWER and not inner:
            break
        if word in lexicon.cues["name_stops"] and word not in ("st", "a", "i", "the", "of", "our", "and", "for"):
            break
        if not inner and reading.shapes[position] != LOWER:
            if word not in generic and word not in lexicon.cues["name_stops"] and _proper(reading, position, lexicon):
                own += 1
                start = position
            elif (word in generic and not _function_word(word, lexicon)) or word == "va":
                start = position
            elif not reading.shouted[position] and word in lexicon.clinical:
                start = position  # Harbor Point Clinic, Stone Ridge Hospital: an own word must still come
            else:
                break
        position -= 1
    while start < head and reading.words[start] in ("the", "at", "of", "and", "s", "for"):
        start += 1
    if own == 0:
        return None
    end = _right_end(reading, head, last, lexicon)
    return Span(reading.starts[start], end, "INSTITUTION", "facility")


def _function_word(word: str, lexicon: Lexicon) -> bool:
    return word in lexicon.cues["name_stops"] or len(word) <= 2


def _proper(reading: Reading, position: int, lexicon: Lexicon) -> bool:
    """A word that may make an institution's name its own; in capitals, medicine and plain words do not."""
    word = reading.words[position]
    if len(word) < 2:
        return False
    if reading.shouted[position]:
        return word not in lexicon.clinical and (word not in lexicon.common or word in lexicon.cues["facility_proper"])
    return word not in lexicon.clinical or word in lexicon.cues["facility_proper"]


def _right_end(reading: Reading, head: int, last: int, lexicon: Lexicon) -> int:
    """`X Health Torrance Hills`, `University of Y Hospital`, `X Hospital of Y`, `X Hospital - Y Campus`."""
    end = reading.ends[last]
    carrier = reading.words[last] in _CARRIERS
    position = last + 1
    for _ in range(4):
        if position >= len(reading):
            break
        gap = reading.gap(position - 1)
        word = reading.words[position]
        if gap != " " or position in reading.taken or (reading.shapes[position] == LOWER and word != "of"):
            break
        if word == "of":
            if (
                position + 1 < len(reading)
                and reading.shapes[position + 1] != LOWER
                and reading.words[position + 1] not in lexicon.guarded
            ):
                position += 1
                continue
            break
        after_of = reading.words[position - 1] == "of"
        if not (carrier or after_of) or (
            word in lexicon.guarded
            and word not in lexicon.cues["facility_proper"]
            and word not in lexicon.cues["facility_generic"]
        ):
            break
        if word in lexicon.cues["name_stops"]:
            break
        end = reading.ends[position]
        position += 1
    return end
