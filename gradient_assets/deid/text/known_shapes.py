"""Known names in shapes that no word boundary shows: spaced out, torn apart, read wrongly by a machine, part of a login.

Belongs here: `L U K A S Z`, `LUKA SZ`, `Luka-` `sz` over a line's end, `G0mez`, `Gornez`, `jgomez`.  Which words are known is
`known`'s business; this module makes further spellings of them and reads the places where letters stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import Reading
from gradient_assets.deid.text.spans import Span

SHORTEST_SPACED = 3
"""Letters of a name that counts when a whole run of single letters spells it; inside a longer run it needs one more."""
LONGEST_NAME = 24
"""Letters of a name that is looked for letter by letter, so that a line of single letters is read in linear time."""
SHORTEST_TORN = 5
"""Letters of a name that counts in two pieces; shorter ones are made of words and abbreviations too often."""
SHORTEST_LOGIN = 4
"""Letters of the family name in a login (`jgomez`, `gomezj`)."""

_DIGIT_IN_WORD = re.compile(r"[01345680](?=[^\W\d_])|(?<=[^\W\d_])[01345680]")
_LOOKALIKES = {"0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "6": "gb", "8": "b"}
_MISREAD = (("m", "rn"), ("w", "vv"), ("d", "cl"), ("l", "i"), ("i", "l"))
"""What optical recognition makes of a letter."""
MOST_MISREAD = 3
"""Digits for letters in one name."""
_TORN_GAPS = frozenset((" ", "-", "-\n", "- ", "\n", "- \n"))


def misread(part: str, lexicon: Lexicon) -> Iterator[str]:
    """Spellings of a name with one letter that a machine reads as others, none of them a word."""
    if len(part) < SHORTEST_LOGIN:
        return
    for letter, shown in _MISREAD:
        at = part.find(letter)
        while at >= 0:
            spelling = part[:at] + shown + part[at + 1 :]
            if not _is_word(spelling, lexicon):
                yield spelling
            at = part.find(letter, at + 1)


def logins(given: Iterable[str], family: Iterable[str], lexicon: Lexicon) -> Iterator[str]:
    """User names made of a family name and initials, none of them a word."""
    initials = [name[0] for name in given]
    for name in family:
        if len(name) < SHORTEST_LOGIN or not initials:
            continue
        for letters in dict.fromkeys((*initials, "".join(initials))):
            for login in (letters + name, name + letters):
                if not _is_word(login, lexicon):
                    yield login


def is_torn(reading: Reading, index: int, lexicon: Lexicon) -> bool:
    """Whether the words `index - 1` and `index`, which are a known name when joined, are the pieces of it."""
    gap = reading.gap(index - 1)
    if gap not in _TORN_GAPS or len(reading.words[index - 1]) + len(reading.words[index]) < SHORTEST_TORN:
        return False
    return gap.startswith("-") or not (
        _is_word(reading.words[index - 1], lexicon) and _is_word(reading.words[index], lexicon)
    )


def find_shapes(reading: Reading, parts: Iterable[str]) -> Iterator[Span]:
    """Spans of known names spelled letter by letter or with digits for letters."""
    names = frozenset(part for part in parts if len(part) <= LONGEST_NAME)
    if names:
        yield from _spaced(reading, names)
        yield from _with_digits(reading, names)


def _spaced(reading: Reading, names: frozenset[str]) -> Iterator[Span]:
    first, total = 0, len(reading)
    words = reading.words
    while first < total:
        last = first
        if len(words[first]) == 1:
            while last + 1 < total and len(words[last + 1]) == 1 and _letters_apart(reading.gap(last)):
                last += 1
            if last - first + 1 >= SHORTEST_SPACED:
                yield from _in_run(reading, first, "".join(words[first : last + 1]), names)
        first = last + 1


def _letters_apart(gap: str) -> bool:
    return 0 < len(gap) <= 3 and not gap.strip(" .-")


def _in_run(reading: Reading, first: int, run: str, names: frozenset[str]) -> Iterator[Span]:
    for start in range(len(run)):
        for end in range(min(len(run), start + LONGEST_NAME), start + SHORTEST_SPACED - 1, -1):
            if run[start:end] in names and (end - start > SHORTEST_SPACED or end - start == len(run)):
                yield Span(reading.starts[first + start], reading.ends[first + end - 1], "NAME", "known-spaced")
                break


def _with_digits(reading: Reading, names: frozenset[str]) -> Iterator[Span]:
    text, position = reading.text, 0
    for match in _DIGIT_IN_WORD.finditer(text):
        if match.start() < position:
            continue
        start, end = match.span()
        while start > position and start > match.start() - 24 and (text[start - 1].isalnum() or text[start - 1] == "'"):
            start -= 1
        while end < len(text) and end < match.end() + 24 and (text[end].isalnum() or text[end] == "'"):
            end += 1
        position = end
        written = text[start:end].lower().replace("'", "")
        if any(reading_of in names for reading_of in _letters(written)):
            yield Span(start, end, "NAME", "known-misread")


def _letters(written: str) -> list[str]:
    """What a word with digits may have been; nothing where digits are more than a slip."""
    digits = sum(character.isdigit() for character in written)
    if not 0 < digits <= MOST_MISREAD or digits * 2 >= len(written) or len(written) < SHORTEST_LOGIN:
        return []
    found = [""]
    for character in written:
        choices = _LOOKALIKES.get(character, "" if character.isdigit() else character)
        found = [before + choice for before in found for choice in choices]
    return found


def _is_word(word: str, lexicon: Lexicon) -> bool:
    return word in lexicon.guarded or word in lexicon.ordinary or word in lexicon.also_words
