"""Names told by what they are not: capitals in prose that no list of words knows.

Belongs here: weighing a capital inside a sentence by the lists of names, by what stands before it and by what it does.  It
works where the language has a long list of ordinary words (`lexicon.ordinary`); lines in capitals are left to the other
rules.  Titles, labels and credentials are `cues`', pairs told by lists alone `names`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradient_assets.deid.text.known_words import LONGEST_DESCRIPTOR
from gradient_assets.deid.text.name_reader import NameReader, Trust
from gradient_assets.deid.text.reading import CAPITAL, LETTER, LOWER, UPPER
from gradient_assets.deid.text.spans import Span

MAX_RUN = 5
"""Words of one name."""

_PLURAL_ACRONYM = re.compile(r"[A-Z]{2,}s")

_PROFESSIONS = ("ologist", "grapher", "ician", "therapist", "ionist")

ENOUGH = 3
"""An unknown word has two points, its place inside a sentence is the third."""

UNKNOWN = 2


def find_strangers(reader: NameReader) -> Iterator[Span]:
    """Runs of unknown capitals with enough points."""
    reading, lexicon = reader.reading, reader.lexicon
    if not lexicon.ordinary or _descriptor(reader):
        return
    index, total = 0, len(reading)
    while index < total:
        if not _stranger(reader, index):
            found = _doubtful(reader, index)
            if found:
                yield reader.span(*found, "stranger-cued")
            index = found[1] + 1 if found else index + 1
            continue
        first, last = _first(reader, index), _last(reader, index)
        if _points(reader, first, index, last) >= ENOUGH:
            yield reader.span(first, last, "stranger")
        index = last + 1


def _stranger(reader: NameReader, index: int) -> bool:
    reading, lexicon = reader.reading, reader.lexicon
    if reading.shapes[index] != CAPITAL or reading.shouted[index]:
        return False
    word = reading.words[index]
    return not (
        word in lexicon.guarded
        or word in lexicon.ordinary
        or word in lexicon.eponyms
        or word in lexicon.states
        or word in lexicon.cues["name_stops"]
        or word in lexicon.cues["staff"]
        or word.endswith(_PROFESSIONS)
        or word in lexicon.cues["titles"]
        or word in lexicon.cues["credentials"]
        or word in lexicon.cues["organisms"]
        or index in reading.protected
        or index in reading.taken
        or reading.after(index) == ":"
        or reading.after(index, 2)[1:].isdigit()
        or _PLURAL_ACRONYM.fullmatch(reading.text, reading.starts[index], reading.ends[index])
        or (len(word) < 3 and word not in lexicon.frequent_family)
        or (reading.before(index) == "-" and index > 0 and not _may_lead(reader, index - 1))
    )


def _descriptor(reader: NameReader) -> bool:
    """`Sag Haste Dynaview` is a series, `seen by Haste` a sentence."""
    reading, lexicon = reader.reading, reader.lexicon
    return len(reading) <= LONGEST_DESCRIPTOR and not any(
        shape == LOWER and (word in lexicon.common or word in lexicon.ordinary or word in lexicon.cues["person_acts"])
        for word, shape in zip(reading.words, reading.shapes, strict=True)
    )


def _doubtful(reader: NameReader, index: int) -> tuple[int, int] | None:
    """A name that is a word too, or whose case says nothing: only behind a strong cue, or before what only people do."""
    reading, lexicon = reader.reading, reader.lexicon
    word = reading.words[index]
    if (
        index in reading.taken
        or index in reading.protected
        or len(word) < 2
        or word in lexicon.clinical
        or word in lexicon.ordinary
        or word in lexicon.eponyms
        or word in lexicon.cues["name_stops"]
        or word in lexicon.cues["staff"]
        or not (word in lexicon.given or word in lexicon.frequent_family)
    ):
        return None
    shape, plain = reading.shapes[index], word not in lexicon.guarded
    if not plain and (
        shape != CAPITAL or reading.shouted[index] or reading.opens_sentence(index, lexicon.cues["titles_abbreviated"])
    ):
        return None
    cued = _slot_before(reader, index) or (shape != LOWER and _acts_after(reader, index))
    if not cued and not (shape == CAPITAL and _amid_lower_case(reader, index)):
        return None
    return reader.forward(index, Trust.STRONG, comma=False)


def _amid_lower_case(reader: NameReader, index: int) -> bool:
    """`it was Cross again`: a sentence gives no other word a capital; `the Cross trainer` is a thing."""
    reading, cues = reader.reading, reader.lexicon.cues
    if index == 0 or reading.shouted[index] or index + 1 >= len(reading):
        return False
    before, following = reading.words[index - 1], reading.shapes[index + 1]
    return (
        reading.shapes[index - 1] == LOWER
        and reading.gap(index - 1) == " "
        and before not in cues["articles_of_things"]
        and (following == LOWER or reading.gap(index).strip(" ") in (".", ",", ";", ")"))
        and reading.gap(index) != "-"
        and not _names_a_thing(reader, index, index)
    )


def _slot_before(reader: NameReader, index: int) -> bool:
    reading, cues = reader.reading, reader.lexicon.cues
    if index == 0 or reading.line_of[index - 1] != reading.line_of[index]:
        return False
    before, gap = reading.words[index - 1], reading.gap(index - 1).strip(" ")
    if (before in cues["communication_words"] or before in cues["agent_words"]) and gap in ("", "/"):
        # Capitals say nothing in a line of capitals or without any: there a listed name behind `with` or `to` has to do.
        plain = reading.words[index] not in reader.lexicon.guarded
        return plain and len(reading.words[index]) > 3 and (reading.shouted[index] or reading.shapes[index] == LOWER)
    return gap in ("", ",", "(", "/") and (before in cues["person_slots"] or before in cues["staff"])


def _acts_after(reader: NameReader, index: int) -> bool:
    reading = reader.reading
    return (
        index + 1 < len(reading)
        and reading.gap(index) == " "
        and reading.words[index + 1] in reader.lexicon.cues["person_acts"]
    )


def _may_lead(reader: NameReader, index: int) -> bool:
    """Whether a double name can begin with this word; `Bland-Altman`, `Non-Hodgkin` are none."""
    reading, lexicon = reader.reading, reader.lexicon
    word = reading.words[index]
    return word not in lexicon.guarded and word not in lexicon.ordinary and word not in lexicon.eponyms


def _first(reader: NameReader, index: int) -> int:
    """The first word: initials, given names that are words too, particles before the stranger."""
    reading, lexicon = reader.reading, reader.lexicon
    first = index
    while first and index - first < MAX_RUN and first - 1 not in reading.taken and first - 1 not in reading.protected:
        before, word, gap = first - 1, reading.words[first - 1], reading.gap(first - 1)
        if (
            (
                reading.shapes[before] == LETTER
                and gap in (". ", ".", " ", "-")
                and word not in lexicon.cues["letter_words"]
            )
            or (word in lexicon.cues["particles"] and gap in (" ", "-", ". ", "'") and reading.shapes[before] != UPPER)
            or (
                gap in (" ", "-")
                and reading.shapes[before] == CAPITAL
                and word in lexicon.given
                and word not in lexicon.clinical
                and word not in lexicon.cues["name_stops"]
            )
        ):
            first = before
        else:
            break
    while (
        first < index
        and reading.words[first] in lexicon.cues["particles"]
        and reading.shapes[first] == LOWER
        and _plain(reader, first)
    ):
        first += 1
    return first


def _plain(reader: NameReader, index: int) -> bool:
    """Particles that are words of the language too belong to a name only behind another part of it."""
    return reader.reading.words[index] in reader.lexicon.guarded


def _last(reader: NameReader, index: int) -> int:
    reading, lexicon = reader.reading, reader.lexicon
    last = position = index
    while position + 1 < len(reading) and position + 1 - index < MAX_RUN:
        gap, following = reading.gap(position), position + 1
        if gap not in (" ", "-", "'", ". ") or (gap == ". " and reading.shapes[position] != LETTER):
            break
        word, shape = reading.words[following], reading.shapes[following]
        if _stranger(reader, following) or (word in lexicon.cues["suffixes"] and gap != "-"):
            last = following
        elif shape == LETTER and reading.after(following) == ".":
            pass
        elif (shape == CAPITAL and gap == "-" and following not in reading.taken) or (
            shape == CAPITAL
            and word in lexicon.frequent_family
            and word not in lexicon.clinical
            and word not in lexicon.cues["name_stops"]
            and following not in reading.taken
            and following not in reading.protected
        ):
            last = following
        elif not (word in lexicon.cues["particles"] and gap == " "):
            break
        position = following
    return last


def _points(reader: NameReader, first: int, core: int, last: int) -> int:
    reading, lexicon = reader.reading, reader.lexicon
    cues = lexicon.cues
    if _names_a_thing(reader, first, last):
        return 0
    words = [reading.words[i] for i in range(first, last + 1) if reading.shapes[i] == CAPITAL]
    listed = sum(word in lexicon.given or word in lexicon.frequent_family for word in words)
    points = UNKNOWN
    points += (len(words) > 1) + (listed > 1) + (first < core and reading.shapes[first] == LETTER)
    opens = reading.opens_sentence(first, cues["titles_abbreviated"]) or "  " in reading.before(first, 2)
    if first and reading.line_of[first - 1] == reading.line_of[first]:
        before, gap = reading.words[first - 1], reading.gap(first - 1).strip(" ")
        if gap in ("", ",", "(", "/", ":", "-", "&"):
            if before in cues["person_slots"] or before in cues["staff"] or before in cues["relations"]:
                points += 3
            elif before in cues["person_joints"]:
                points += 1
        if before in cues["articles_of_things"]:
            points -= 2
    points += not opens or _in_list(reader, first, last) or _whole_value(reader, first, last)
    following = last + 1
    if following < len(reading) and reading.line_of[following] == reading.line_of[last]:
        after, gap = reading.words[following], reading.gap(last).strip(" ")
        acts = gap == "" and reading.shapes[following] == LOWER and after in cues["person_acts"]
        role = gap in ("", ",", "(", "-", "/") and (after in cues["staff"] or after in cues["credentials"])
        points += 3 * (acts or role)
    return points


def _in_list(reader: NameReader, first: int, last: int) -> bool:
    """`Present: Okafor, Nguyen and Patel`: another stranger beside it, joined by a comma or `and`."""
    reading, joints = reader.reading, reader.lexicon.cues["and"]
    following, gap = last + 1, reading.gap(last).strip(" ")
    if following < len(reading) and reading.words[following] in joints and gap == "":
        following, gap = following + 1, ","
    return gap in (",", "&", "/", ";", "+") and following < len(reading) and _stranger(reader, following)


def _whole_value(reader: NameReader, first: int, last: int) -> bool:
    """`Finalised: Nakagawa`: all that stands behind a label that is a deed."""
    reading, cues = reader.reading, reader.lexicon.cues
    if first == 0 or ":" not in reading.gap(first - 1) or reading.line_of[first - 1] != reading.line_of[first]:
        return False
    label = reading.words[first - 1]
    deed = label in cues["by_verbs"] or label in cues["field_persons"] or label in cues["signing_words"]
    return deed and reading.text[reading.ends[last] : reading.ends[last] + 2].strip(" .,;|)") in ("", "\n")


def _names_a_thing(reader: NameReader, first: int, last: int) -> bool:
    """`Wexler retractor`, `Karydakis flap`, `Amplatzer plug`: a noun of medicine directly behind."""
    reading, lexicon = reader.reading, reader.lexicon
    following = last + 1
    if following < len(reading) and lexicon.cues["possessive"] and reading.gap(last) == "'":
        following += reading.words[following] in lexicon.cues["possessive"]
    if following >= len(reading) or reading.gap(following - 1) not in (" ", "-"):
        return False
    word = reading.words[following]
    if word in lexicon.cues["person_acts"] or word in lexicon.cues["staff"] or word in lexicon.cues["name_stops"]:
        return False
    return word in lexicon.eponym_nouns or (word in lexicon.clinical and reading.shapes[following] == LOWER)
