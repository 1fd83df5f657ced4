"""Names of institutions: `Good Samaritan Hospital`, `ADVENTIST HEALTH TORRANCE HILLS`, `St. Mary's Imaging Center`.

Belongs here: how far such a name reaches to the left and right of the noun that ends or carries it.  The known
institution of the record is `known`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import CAPITAL, LOWER, UPPER, Reading
from gradient_assets.deid.text.spans import Span

MAX_WORDS_BEFORE = 5
MAX_ACRONYM = 6
_ACRONYM_ENDS = ("h", "mc", "hc", "gh")


def find_facilities(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """Spans of institution names."""
    if words.cues["facility_acronyms_kept"]:
        yield from _acronyms(reading, words)
        yield from _in_lower_case(reading, words)
    for index, word in enumerate(reading.words if words.cues["facility_acronyms"] else ()):
        if word in words.cues["facility_acronyms"] and reading.shapes[index] != LOWER:
            yield Span(reading.starts[index], reading.ends[index], "INSTITUTION", "facility-acronym")
    heads, endings = words.facility_heads, tuple(words.cues["facility_suffixes"])
    for index, word in enumerate(reading.words):
        if reading.shapes[index] == LOWER:
            continue
        if word not in heads:
            if endings and word.endswith(endings) and _compound_name(word, endings, words):
                last = _right_end(reading, index, words, compound=True)[0]
                yield Span(reading.starts[index], last, "INSTITUTION", "facility-compound")
            continue
        for noun in heads[word]:
            if tuple(reading.words[index : index + len(noun)]) == noun and _together(
                reading, index, index + len(noun) - 1, words
            ):
                span = _name_around(reading, index, index + len(noun) - 1, words)
                if span:
                    yield span
                break


def _acronyms(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """`transferred from TRWH`, `|LVMC|`: letters that end like a hospital, where a place stands."""
    for index, word in enumerate(reading.words):
        if not (
            reading.shapes[index] == UPPER
            and 3 <= len(word) <= MAX_ACRONYM
            and word.endswith(_ACRONYM_ENDS)
            and word not in words.guarded
            and word not in words.cues["facility_acronyms_kept"]
        ):
            continue
        piped = reading.before(index) == "|" and reading.after(index)[:1] in ("|", "^", "\n", "")
        behind = (
            index > 0
            and not reading.shouted[index]
            and reading.gap(index - 1) in (" ", " @ ")
            and (reading.words[index - 1] in words.cues["care_places"] or "@" in reading.gap(index - 1))
        )
        if piped or behind:
            yield Span(reading.starts[index], reading.ends[index], "INSTITUTION", "facility-acronym")


def _in_lower_case(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """`the patient came from dunmore general hospital`: unknown words before an institution's noun in dictated text."""
    heads = words.facility_heads
    for index, word in enumerate(reading.words):
        if word not in heads or reading.shapes[index] != LOWER or index == 0:
            continue
        noun = next((n for n in heads[word] if tuple(reading.words[index : index + len(n)]) == n), None)
        if noun is None:
            continue
        first = index
        while first and index - first < MAX_WORDS_BEFORE and reading.gap(first - 1) in (" ", "'", "-"):
            before = reading.words[first - 1]
            if before in words.cues["name_stops"] or before in words.cues["articles_of_things"]:
                break
            known = before in words.guarded or before in words.ordinary
            if reading.shapes[first - 1] != LOWER or (known and before not in words.cues["facility_generic"]):
                break
            first -= 1
        while first < index and reading.words[first] in words.cues["facility_generic"]:
            first += 1
        own = sum(reading.words[i] not in words.cues["facility_generic"] for i in range(first, index))
        if own and not any(i in reading.taken for i in range(first, index)):
            yield Span(reading.starts[first], reading.ends[index + len(noun) - 1], "INSTITUTION", "facility-lower")


def find_places_of_care(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """`seen at Riverside Methodist`, `transferred from Lakeview`: capitals behind a verb of care and a place word."""
    places = words.cues["care_places"]
    for index, word in enumerate(reading.words):
        if (
            (word not in places and word not in words.cues["care_goals"])
            or index == 0
            or reading.shapes[index] != LOWER
        ):
            continue
        if reading.words[index - 1] not in words.cues["care_verbs"] or (
            word not in places and reading.words[index - 1] not in words.cues["care_goal_verbs"]
        ):
            continue
        last = index
        while (
            last + 1 < len(reading) and last - index < MAX_WORDS_BEFORE and reading.gap(last) in (" ", "-", "'", ". ")
        ):
            following = reading.words[last + 1]
            if following in words.cues["possessive"] and reading.gap(last) == "'":
                last += 1
                continue
            if reading.gap(last) == ". " and reading.words[last] not in words.cues["place_abbreviations"]:
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


def _compound_name(word: str, endings: tuple[str, ...], words: Lexicon) -> bool:
    """`Marienkrankenhaus`, not `Kreiskrankenhaus`: what stands before the noun is no plain word."""
    front = next(word.removesuffix(ending) for ending in endings if word.endswith(ending))
    generic = words.cues["facility_generic"]
    return (
        len(front) > 2
        and word not in generic
        and not {front, front.removesuffix("s")} & generic
        and front not in words.guarded
    )


def _together(reading: Reading, first: int, last: int, lexicon: Lexicon) -> bool:
    return all(
        reading.gap(index) in (" ", "'", "-")
        and (reading.shapes[index + 1] != LOWER or (index + 1 < last and lexicon.cues["facility_named_behind"]))
        for index in range(first, last)
    )


def _name_around(reading: Reading, head: int, last: int, lexicon: Lexicon) -> Span | None:
    generic = lexicon.cues["facility_generic"]
    start, own = head, 0
    position = head - 1
    while position >= 0 and head - position <= MAX_WORDS_BEFORE:
        gap = reading.gap(position)
        word = reading.words[position]
        if gap not in (" ", "'", "-", ". ", "' ", " & ", " - ") or (
            gap == ". " and word not in lexicon.cues["facility_abbreviations"]
        ):
            break
        if position in reading.taken:
            break
        if word in lexicon.cues["facility_openers"] and reading.shapes[position] != LOWER and own:
            start = position
            break
        if lexicon.cues["facility_named_behind"] and _is_other_head(word, lexicon):
            break
        inner = (
            word in lexicon.cues["facility_inner"] and position > 0 and reading.gap(position - 1) in (" ", "'", ". ")
        )
        if reading.shapes[position] == LOWER and not inner:
            break
        if word in lexicon.cues["name_stops"] and word not in lexicon.cues["facility_name_stops_kept"]:
            break
        if not inner and reading.shapes[position] != LOWER:
            if word not in generic and word not in lexicon.cues["name_stops"] and _proper(reading, position, lexicon):
                own += 1
                start = position
            elif (word in generic and not _function_word(word, lexicon)) or word in lexicon.cues[
                "facility_short_generic"
            ]:
                start = position
            elif not reading.shouted[position] and word in lexicon.clinical:
                start = position  # Harbor Point Clinic, Stone Ridge Hospital: an own word must still come
            else:
                break
        position -= 1
    while start < head and reading.words[start] in lexicon.cues["facility_outer"]:
        start += 1
    end, own_after = _right_end(reading, last, lexicon)
    if own + own_after == 0:
        return None
    if own == 0:
        start = head
    return Span(reading.starts[start], end, "INSTITUTION", "facility")


def _is_other_head(word: str, lexicon: Lexicon) -> bool:
    """`Pflegeheim Seniorenresidenz Rosengarten`: another institution's noun, of which only the second carries the name."""
    return word in lexicon.facility_heads and word not in lexicon.cues["facility_generic"]


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


def _right_end(reading: Reading, last: int, lexicon: Lexicon, *, compound: bool = False) -> tuple[int, int]:
    """Where a name ends to the right of its noun, and how many words there can be its own without any on the left.

    `X Health Torrance Hills`, `University of Y Hospital`, `X Hospital of Y`; where the language names institutions behind
    their noun (`Klinikum Großhadern`, `Hospital de la Paz`) words there make the name.
    """
    cues = lexicon.cues
    end, own = reading.ends[last], 0
    carrier = reading.words[last] in cues["facility_carriers"]
    named_behind = reading.words[last] in cues["facility_named_behind"] or compound
    position = last + 1
    for _ in range(5 if named_behind else 4):
        if position >= len(reading):
            break
        gap = reading.gap(position - 1)
        word = reading.words[position]
        joint = word in cues["facility_of"]
        abbreviated = gap in (". ", ".") and reading.words[position - 1] in cues["facility_abbreviations"]
        if not (gap == " " or (named_behind and (gap == "-" or abbreviated))) or position in reading.taken:
            break
        if (reading.shapes[position] == LOWER and not joint) or (named_behind and _is_other_head(word, lexicon)):
            break
        if joint:
            if not _goes_on(reading, position + 1, lexicon):
                break
            position += 1
            continue
        after_of = reading.words[position - 1] in cues["facility_of"]
        if not (carrier or after_of or named_behind) or (
            word in lexicon.guarded and word not in cues["facility_proper"] and word not in cues["facility_generic"]
        ):
            break
        if word in cues["name_stops"]:
            break
        if named_behind:
            own += word not in cues["facility_generic"] and not reading.shouted[position]
        end = reading.ends[position]
        position += 1
    return end, own


def _goes_on(reading: Reading, position: int, lexicon: Lexicon) -> bool:
    """Behind `of` or `de la` comes a capital that is no plain word."""
    while position < len(reading) and reading.words[position] in lexicon.cues["facility_of"]:
        position += 1
    return (
        position < len(reading)
        and reading.shapes[position] != LOWER
        and (
            reading.words[position] not in lexicon.guarded
            or reading.words[position] in lexicon.cues["facility_proper_behind"]
        )
    )
