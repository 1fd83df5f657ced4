"""Eponyms: names that are medicine, not people.

Belongs here: telling `Baker cyst`, `pouch of Douglas`, `Garden III fracture` from Ms. Baker.  A protected word is kept even
when it is the patient's family name; a title or a given name before it takes the protection away.
"""

from __future__ import annotations

import re

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import LETTER, LOWER, Reading

_NO_BREAK = re.compile(r"[.;:\n,]")
_INSIDE_PAIR = frozenset((" ", "-", "' ", "'s "))
_REACH = 3
"""Words that may stand between an eponym and its noun (`Salter-Harris type II fracture`)."""


def protect(reading: Reading, lexicon: Lexicon) -> None:
    """Mark the words of eponyms as protected."""
    words, eponyms = reading.words, lexicon.eponyms
    hits = [index for index, word in enumerate(words) if word in eponyms]
    for index in hits:
        if _after_prefix(reading, index, lexicon):
            reading.protected.add(index)
            continue
        if _after_title(reading, index, lexicon):
            continue
        if (
            words[index] in lexicon.eponyms_alone
            or _names_noun(reading, index, lexicon)
            or _follows_noun(reading, index, lexicon)
        ):
            reading.protected.add(index)
    for index, word in enumerate(words):
        following = lexicon.eponym_pairs.get(word)
        if (
            following
            and index + 1 < len(words)
            and words[index + 1] in following
            and reading.gap(index) in _INSIDE_PAIR
            and not _after_title(reading, index, lexicon)
        ):
            reading.protected.update((index, index + 1))
    for index in hits:  # Virchow-Robin, Osgood-Schlatter: both halves, if one is protected
        for other in (index - 1, index + 1):
            if other in reading.protected and 0 <= other < len(words) and reading.gap(min(index, other)) == "-":
                reading.protected.add(index)


def _after_prefix(reading: Reading, index: int, lexicon: Lexicon) -> bool:
    """`Morbus Bechterew`, `M. Bechterew`: a word (or its letter) that only stands before an eponym."""
    if index == 0 or reading.gap(index - 1) not in (" ", ". ", "."):
        return False
    before = reading.words[index - 1]
    if reading.shapes[index - 1] == LETTER:
        return (
            before in lexicon.cues["eponym_prefixes"] and reading.words[index] in lexicon.cues["eponyms_after_letter"]
        )
    return before in lexicon.cues["eponym_prefixes"]


def _after_title(reading: Reading, index: int, lexicon: Lexicon) -> bool:
    if index == 0:
        return False
    before = reading.words[index - 1]
    gap = reading.text[reading.ends[index - 1] : reading.starts[index]]
    if len(gap) > 2 or "\n" in gap or "-" in gap:
        return False
    if before in lexicon.cues["titles"]:
        return True
    if reading.shapes[index - 1] == LETTER and gap.startswith("."):
        return True
    return (
        before in lexicon.given
        and before not in lexicon.guarded
        and before not in lexicon.eponyms
        and reading.shapes[index - 1] != LOWER
        and gap == " "
    )


def _names_noun(reading: Reading, index: int, lexicon: Lexicon) -> bool:
    position = index
    for step in range(1, _REACH + 2):
        following = index + step
        if following >= len(reading) or _NO_BREAK.search(reading.gap(position)):
            return False
        word = reading.words[following]
        if word in lexicon.eponym_nouns:
            return True
        gap = reading.gap(position)
        if gap == "-" or (word in lexicon.eponyms and gap == " "):
            position = following
            continue
        if word not in lexicon.cues["eponym_between"] and not (
            step <= 2 and word in lexicon.clinical and reading.shapes[following] == LOWER
        ):
            return False
        position = following
    return False


def _follows_noun(reading: Reading, index: int, lexicon: Lexicon) -> bool:
    """`pouch of Douglas`, `circle of Willis`, `tetralogy of Fallot`."""
    cues, words = lexicon.cues, reading.words
    back = index - 1
    if back >= 1 and words[back] in cues["eponym_articles"]:
        back -= 1
    return back >= 1 and words[back] in cues["eponym_of"] and words[back - 1] in lexicon.eponym_nouns
