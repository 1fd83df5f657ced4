"""Names told by the lists alone, and names found once that stand elsewhere in the same text.

Belongs here: pairs of a given and a family name, initials before a family name, lone given names inside a sentence,
propagation.  Words of medicine and eponyms are never taken; in capitals the lists have to agree on every word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gradient_assets.deid.text.name_reader import NameReader, Trust
from gradient_assets.deid.text.reading import CAPITAL, LETTER, LOWER, UPPER
from gradient_assets.deid.text.spans import Span
from gradient_assets.deid.text.strangers import find_strangers

MAX_PARTICLES = 4
MAX_FAMILY_WORDS = 4
"""Further words of a family name; a text of nothing but names must not be read to its end from each of them."""

_DOTTED_PAIR = re.compile(r"(?<![\w.])[A-Z]\.[A-Z]\.(?:[A-Z]\.)?(?!\w)")
_CARETS = re.compile(
    r"(?<![\w^])([^\W\d_](?:[^\W\d_]|['. -]){0,30})\^([^\W\d_](?:[^\W\d_]|[' -]){0,30})(?!\d)((?:\^[A-Za-z.]{0,12}){0,3})(?!\w)"
)
"""`FAMILY^GIVEN^MIDDLE`, as DICOM and HL7 write a person's name."""


def find_listed(reader: NameReader) -> Iterator[Span]:
    """Names by the lists."""
    reading, lexicon = reader.reading, reader.lexicon
    for index, word in enumerate(reading.words):
        shape = reading.shapes[index]
        if shape == LOWER or index in reading.taken or index in reading.protected:
            continue
        if shape == LETTER:
            family = _family_after_initial(reader, index) if reading.after(index) == "." else None
            if family is not None:
                yield reader.span(index, family, "initial-family")
            continue
        if word in lexicon.given and word not in lexicon.cues["name_stops"]:
            last = _pair(reader, index)
            if last is not None:
                yield reader.span(index, last, "given-family")
                continue
        if _inverted_pair(reader, index):
            yield reader.span(_first_family(reader, index), index + 1, "family-given")
        elif shape == CAPITAL and not reading.shouted[index] and _lone_given(reader, index):
            yield reader.span(index, index, "given")
    yield from _with_carets(reader)
    yield from find_strangers(reader)
    for match in _DOTTED_PAIR.finditer(reading.text):
        if match.group().lower() not in lexicon.cues["abbreviations"]:
            yield Span(match.start(), match.end(), "NAME", "initials")


def _with_carets(reader: NameReader) -> Iterator[Span]:
    """`CASE^CHRISTIAN^J`; not `CTCHEST^CT CHEST W CONTRAST`, a code with its meaning."""
    if "^" not in reader.reading.text:
        return
    lexicon = reader.lexicon
    for match in _CARETS.finditer(reader.reading.text):
        family, given = match[1].lower().replace("'", "").split(), match[2].lower().replace("'", "").split()
        if len(family) > 3 or len(given) > 2 or any(word in lexicon.ordinary for word in (*family, *given)):
            continue
        person = given[0] in lexicon.given or reader.known.is_known(given[0]) or given[0] not in lexicon.guarded
        plain = not any(word in lexicon.clinical for word in family) or given[0] in lexicon.given
        if person and plain:
            yield Span(match.start(), match.end(2) + len(match[3].rstrip("^")), "NAME", "carets")


def _pair(reader: NameReader, index: int) -> int | None:
    """The last word of `Given [I.] Family` (or `Given I.`) that begins here."""
    reading, lexicon = reader.reading, reader.lexicon
    word, shouted = reading.words[index], reading.shouted[index]
    plain = word not in lexicon.guarded and word not in lexicon.eponyms
    following, initials = index + 1, 0
    while (
        following < len(reading)
        and reading.shapes[following] == LETTER
        and reading.gap(following - 1) in (" ", ". ", ".")
    ):
        dotted = reading.after(following) == "."
        if not dotted and (
            shouted
            or following + 1 >= len(reading)
            or reading.gap(following) != " "
            or reading.shapes[following + 1] == LOWER
        ):
            break
        following, initials = following + 1, initials + dotted
        if initials > 2:
            break
    if following < len(reading) and reading.gap(following - 1) in (" ", "-", ". ", "  "):
        following = _behind_particles(reader, following)
        family, shape = reading.words[following], reading.shapes[following]
        free = following not in reading.taken and following not in reading.protected and family not in lexicon.guarded
        listed = family in lexicon.family or reader.known.is_known(family)
        if free and shape in (CAPITAL, UPPER) and len(family) > 1 and (reading.gap(following - 1) != ". " or initials):
            if shape == UPPER and not shouted:
                agreed = listed and (reading.shapes[index] == UPPER or len(family) > 3)
            elif shouted:
                agreed = listed and plain
            else:
                # MRI BRAIN Delacroix: an organ in capitals before a name in mixed case
                organ = word in lexicon.clinical and reading.shapes[index] == UPPER
                agreed = plain or (family in lexicon.frequent_family and not organ)
            if agreed:
                return _whole_family(reader, following)
    return following - 1 if initials and plain else None


def _family_after_initial(reader: NameReader, index: int) -> int | None:
    """The last word of a family name behind an initial, its particles between them."""
    reading, lexicon = reader.reading, reader.lexicon
    if reading.after(index, 2) != ". ":
        return None
    family = _behind_particles(reader, index + 1)
    if family >= len(reading) or "\n" in reading.gap(index) or family in reading.taken or family in reading.protected:
        return None
    word, shape = reading.words[family], reading.shapes[family]
    if word in lexicon.guarded or word in lexicon.cues["organisms"] or len(word) < 3:
        return None
    if shape == UPPER and (reading.shouted[family] or len(word) < 4):
        agreed = word in lexicon.frequent_family and index > 0 and reading.line_of[index - 1] == reading.line_of[index]
    elif lexicon.unlisted_names and not lexicon.nouns_in_capitals:
        agreed = shape == CAPITAL or word in lexicon.family
    else:
        agreed = shape in (CAPITAL, UPPER) and word in lexicon.family
    return _whole_family(reader, family) if agreed else None


def _behind_particles(reader: NameReader, index: int) -> int:
    """The word behind `van der`, or the same word."""
    reading, particles = reader.reading, reader.lexicon.cues["particles"]
    end = min(len(reading) - 1, index + MAX_PARTICLES)
    while (
        index < end
        and reading.words[index] in particles
        and reading.shapes[index] == LOWER
        and reading.gap(index) in (" ", "'", " '")
    ):
        index += 1
    return index


def _whole_family(reader: NameReader, index: int) -> int:
    """The last word of a family name that begins here: `Sáenz de Tejada`, `Sanders-Mein`, `López Ibáñez`."""
    reading, lexicon = reader.reading, reader.lexicon
    for _ in range(MAX_FAMILY_WORDS):
        if index + 1 >= len(reading):
            break
        if reading.gap(index) == "-" and reading.shapes[index + 1] != LOWER:
            index += 1
            continue
        following = _behind_particles(reader, index + 1)
        if not (
            lexicon.two_family_names
            and following < len(reading)
            and reading.gap(index) == " "
            and reading.gap(following - 1) == " "
            and reading.shapes[following] in (CAPITAL, UPPER)
            and reading.shouted[following] == reading.shouted[index]
            and (reading.words[following] not in lexicon.guarded or reading.words[following] in lexicon.family)
            and reading.words[following] not in lexicon.cues["name_stops"]
            and following not in reading.taken
            and following not in reading.protected
        ):
            break
        index = following
    return index


def _inverted_pair(reader: NameReader, index: int) -> bool:
    """`Family, Given`; where the lists are short, an unlisted family name too."""
    reading, lexicon = reader.reading, reader.lexicon
    word, given = reading.words[index], index + 1
    if word in lexicon.guarded or not (word in lexicon.family or (lexicon.unlisted_names and len(word) > 2)):
        return False
    return (
        given < len(reading)
        and reading.gap(index) in (", ", ",", "^")
        and reading.shapes[given] in (CAPITAL, UPPER)
        and reading.words[given] in lexicon.given
        and reading.words[given] not in lexicon.guarded
        and given not in reading.taken
        and given not in reading.protected
    )


def _first_family(reader: NameReader, index: int) -> int:
    """The first of two family names before `, Given`."""
    reading, lexicon = reader.reading, reader.lexicon
    before = index - 1
    if (
        lexicon.two_family_names
        and before >= 0
        and reading.gap(before) == " "
        and reading.shapes[before] == reading.shapes[index]
        and reading.words[before] not in lexicon.guarded
        and reading.words[before] not in lexicon.cues["name_stops"]
        and reading.words[before] not in lexicon.cues["labels"]
        and before not in reading.taken
    ):
        return before
    return index


def _lone_given(reader: NameReader, index: int) -> bool:
    """A given name inside a sentence of mixed case, no word and no eponym, beside no other capital that it may belong to."""
    reading, lexicon = reader.reading, reader.lexicon
    word = reading.words[index]
    if word in lexicon.guarded or len(word) < 3 or word in lexicon.states:
        return False
    following = index + 1
    acts = (
        following + 1 < len(reading)
        and reading.gap(index) == " "
        and reading.words[following] in lexicon.cues["auxiliaries"]
    )
    if acts and reading.words[following + 1] in lexicon.cues["human_actions"]:
        return True  # Meiling will call, Dolores was notified
    if word not in lexicon.given or word in lexicon.eponyms or len(word) < 4:
        return False
    if (
        following < len(reading)
        and reading.gap(index) == " "
        and reading.words[following] in lexicon.cues["person_verbs"]
    ):
        return True
    if (
        reading.opens_sentence(index, lexicon.cues["titles_abbreviated"])
        or reading.after(index) == "-"
        or reading.before(index) == "-"
    ):
        return False
    if following < len(reading) and reading.gap(index) in (" ", "'"):
        word_after = reading.words[following]
        if word_after in lexicon.eponym_nouns:
            return False
        if (
            word_after in lexicon.cues["possessive"]
            and following + 1 < len(reading)
            and reading.words[following + 1] in lexicon.eponym_nouns
        ):
            return False
    return True


def find_joined(reader: NameReader, found: Iterable[Span]) -> Iterator[Span]:
    """`Ann Lee and Ortiz`: a capital joined by `and` to a name inside a sentence of mixed case."""
    reading, lexicon = reader.reading, reader.lexicon
    for span in found:
        words = reading.words_between(span.start, span.end)
        if not words or span.kind != "NAME":
            continue
        joint, name = words[-1] + 1, words[-1] + 2
        if name >= len(reading) or reading.words[joint] not in lexicon.cues["and"] or reading.soft_gap(joint) != " ":
            continue
        if reading.soft_gap(words[-1]) != " " or reading.shapes[name] != CAPITAL or reading.shouted[name]:
            continue
        joined = reader.forward(name, Trust.MEDIUM, comma=False)
        word = reading.words[name]
        if joined:
            yield reader.span(*joined, "joined")
        elif (word in lexicon.given or word in lexicon.frequent_family) and word not in lexicon.cues["name_stops"]:
            yield reader.span(name, name, "joined")


def propagate(reader: NameReader, found: Iterable[Span]) -> Iterator[Span]:
    """Every other place where a name that was found stands by itself."""
    reading, lexicon = reader.reading, reader.lexicon
    names: set[str] = set()
    covered: set[int] = set()
    for span in found:
        if span.kind != "NAME":
            continue
        for index in reading.words_between(span.start, span.end):
            covered.add(index)
            word = reading.words[index]
            if (
                len(word) >= 3
                and word not in lexicon.guarded
                and word not in lexicon.cues["particles"]
                and word not in lexicon.eponyms_alone
            ):
                names.add(word)
    if not names:
        return
    for index, word in enumerate(reading.words):
        if (
            word in names
            and index not in covered
            and index not in reading.protected
            and index not in reading.taken
            and reading.shapes[index] != LOWER
            # `ROSE REPORTS PAIN. WBC ROSE TO 12.`
            and not (
                word in lexicon.also_words
                and reading.shouted[index]
                and index
                and reading.words[index - 1] in lexicon.clinical
            )
        ):
            yield reader.span(index, index, "propagated")
