"""Read one name forwards or backwards from a place where a name is expected.

Belongs here: which words can follow each other in a name (initials, particles, suffixes, `Family, Given`), and how much
trust a cue gives.  The cues are `cues`', lines of signatures `signatures`', lists alone `names`', known names `known`'s
business.
"""

from __future__ import annotations

from enum import IntEnum

from gradient_assets.deid.text.known import KnownMatcher
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import CAPITAL, LETTER, LOWER, UPPER, Reading
from gradient_assets.deid.text.spans import Span

MAX_NAME_WORDS = 6
_JOINTS = frozenset(("", "-", "^", ".", "\n", "'", ".-"))


class Trust(IntEnum):
    """How sure a cue is that a name follows: the surer, the less the name itself has to look like one."""

    WEAK = 0
    MEDIUM = 1
    STRONG = 2
    TITLE = 3


class NameReader:
    """Reads names around cues in one text."""

    def __init__(self, reading: Reading, lexicon: Lexicon, known: KnownMatcher) -> None:
        self.reading = reading
        self.lexicon = lexicon
        self.known = known

    # one name ----------------------------------------------------------------------------------------------------------

    def forward(self, first: int, trust: Trust, *, comma: bool = True) -> tuple[int, int] | None:
        """Numbers of the first and last word of a name that begins at word `first`."""
        reading, cues = self.reading, self.lexicon.cues
        last = -1
        position, used_comma = first, not comma
        while position < len(reading) and position - first < MAX_NAME_WORDS + 2:
            if position > first:
                gap = reading.soft_gap(position - 1)
                joint = gap.strip(" ")
                if len(gap) > 4 or ("\n" in gap and not self._name_goes_on(position)):
                    break
                if joint == ",":
                    if used_comma or not self._inverted(position):
                        break
                    used_comma = True
                elif joint not in _JOINTS or (joint == "." and not self._abbreviated(position - 1)):
                    break
            word = reading.words[position]
            if word in cues["particles"] and self._particle(position):
                pass
            elif word in cues["suffixes"] and last >= 0:
                last = position
            elif reading.shapes[position] == LETTER or (len(word) == 1 and reading.shouted[position]):
                if not self._initial(position, last >= 0):
                    break
                last = position if reading.after(position) == "." or last >= 0 or self._next_is_name(position) else last
                if last != position:
                    break
            elif self._name_word(position, last < 0, trust):
                last = position
            else:
                break
            position += 1
        if last < 0:
            return None
        return first, last

    def backward(self, last: int, trust: Trust) -> int | None:
        """The first word of a name that ends at word `last`."""
        reading, cues = self.reading, self.lexicon.cues
        first = -1
        position, used_comma = last, False
        while position >= 0 and last - position < 5:
            if position < last:
                gap = reading.soft_gap(position)
                joint = gap.strip(" ")
                if len(gap) > 3 or "\n" in gap:
                    break
                if joint == ",":
                    if (
                        used_comma
                        or last - position > 2
                        or not self._inverted(position + 1)
                        or self._name_words(position + 1, last) > 1
                    ):
                        break
                    used_comma = True
                elif (
                    joint == "."
                    and reading.shapes[position] != LETTER
                    and reading.words[position] not in cues["abbreviations_before_names"]
                ) or joint not in ("", "-", "^", ".", "'"):
                    break
            word = reading.words[position]
            if word in cues["titles"]:
                break
            if word in cues["particles"] and first >= 0:
                first = position
            elif word in cues["suffixes"] and first < 0:
                pass
            elif reading.shapes[position] == LETTER:
                if first < 0 and reading.after(position) != ".":
                    break
                first = position
            elif self._name_word(position, False, trust):
                first = position
            else:
                break
            position -= 1
        return first if first >= 0 else None

    def _name_words(self, first: int, last: int) -> int:
        return sum(self.reading.shapes[index] != LETTER for index in range(first, last + 1))

    def _name_word(self, position: int, opening: bool, trust: Trust) -> bool:
        """Whether this word can be part of a name here."""
        reading, lexicon = self.reading, self.lexicon
        word, shape, shouted = reading.words[position], reading.shapes[position], reading.shouted[position]
        if position in reading.taken or (position in reading.protected and trust < Trust.STRONG):
            return False
        if reading.after(position) == ":" and not self.known.is_known(word) and not self._addressed(position, trust):
            return False
        if word in lexicon.cues["credentials"] or word in lexicon.cues["titles"]:
            return False
        is_name = word in lexicon.given or word in lexicon.frequent_family or self.known.is_known(word)
        if word in lexicon.cues["name_stops"]:
            # Dr. May, Dr. Page: names only behind a title, in mixed case or where the record knows them.
            if not is_name or shape != CAPITAL or (shouted and not self.known.is_known(word)):
                return False
            return trust == Trust.TITLE or (word in lexicon.given and self._next_is_name(position))
        if shape == LOWER:
            return is_name and word not in lexicon.guarded and (trust >= Trust.STRONG or word in lexicon.given)
        if word in lexicon.guarded:
            if self.known.is_known(word):
                return trust >= Trust.MEDIUM or not opening
            if not opening and self._owned(position):
                return False
            if shouted or shape == UPPER:
                return is_name and trust >= Trust.STRONG and len(word) > 2
            if opening and trust == Trust.TITLE and lexicon.unlisted_names and word not in lexicon.clinical:
                return word not in lexicon.cues["roles"] and word not in lexicon.cues["labels"]
            if not is_name and (
                word in lexicon.common or word in lexicon.cues["roles"] or word in lexicon.cues["labels"]
            ):
                return False
            return (
                trust >= Trust.STRONG
                or (not opening and is_name)
                or (trust == Trust.MEDIUM and is_name and self._next_is_name(position))
            )
        if shouted or shape == UPPER:
            if trust >= Trust.STRONG:
                return len(word) > 2 or word in lexicon.family or self.known.is_known(word)
            return len(word) > 2 and (word in lexicon.given or word in lexicon.family or self.known.is_known(word))
        if lexicon.nouns_in_capitals and opening and trust == Trust.MEDIUM and not is_name:
            return self._next_is_name(position) and reading.words[position + 1] in lexicon.family
        return len(word) > 1 and (trust > Trust.WEAK or not opening or word in lexicon.given or word in lexicon.family)

    def _owned(self, position: int) -> bool:
        """`Frau Schmidts Thorax`: medicine behind a name in the genitive, where nouns have capitals."""
        owner = self.reading.words[position - 1] if position else ""
        return (
            self.lexicon.nouns_in_capitals
            and owner.endswith("s")
            and owner not in self.lexicon.given
            and (owner[:-1] in self.lexicon.family or self.known.is_known(owner[:-1]))
            and self.reading.words[position] in self.lexicon.clinical
        )

    def _addressed(self, position: int, trust: Trust) -> bool:
        """`Dear Dr. Smith:`, the end of a line behind a title; elsewhere a colon follows labels."""
        reading = self.reading
        return (
            trust == Trust.TITLE
            and reading.words[position] not in self.lexicon.guarded
            and reading.shapes[position] == CAPITAL
            and reading.line_end(position) <= reading.ends[position] + 1
        )

    def _next_is_name(self, position: int) -> bool:
        reading, following = self.reading, position + 1
        if following >= len(reading) or "\n" in reading.gap(position) or len(reading.gap(position)) > 3:
            return False
        word = reading.words[following]
        if reading.shapes[following] == LETTER:
            return reading.after(following) == "."
        return (
            reading.shapes[following] != LOWER and word not in self.lexicon.guarded and following not in reading.taken
        )

    def _name_goes_on(self, position: int) -> bool:
        """`Jacob\\nAbernathy`: the line was wrapped inside a name."""
        reading, word = self.reading, self.reading.words[position]
        return (
            reading.gap(position - 1) == "\n"
            and reading.shapes[position] == CAPITAL
            and word not in self.lexicon.guarded
            and (word in self.lexicon.family or self.known.is_known(word))
            and ":" not in reading.text[reading.ends[position] : reading.ends[position] + 24].split("\n")[0]
            and reading.words[position - 1] in self.lexicon.given
        )

    def _inverted(self, position: int) -> bool:
        """After `Family,` comes a given name, not a credential, a place or the sentence's rest."""
        reading, word = self.reading, self.reading.words[position]
        if word in self.lexicon.cues["credentials"] or word in self.lexicon.cues["credentials_after_comma"]:
            return False
        if reading.shapes[position] == LETTER:
            start = reading.starts[position]
            return reading.text[start : start + 3].lower() not in self.lexicon.cues["dotted_credentials"]
        if reading.shapes[position] == LOWER or (word in self.lexicon.guarded and not self.known.is_known(word)):
            return (
                word in self.lexicon.given
                and reading.shapes[position] == CAPITAL
                and word not in self.lexicon.cues["name_stops"]
            )
        return (
            (reading.shapes[position] == CAPITAL and not self.lexicon.nouns_in_capitals)
            or word in self.lexicon.given
            or self.known.is_known(word)
            or word in self.lexicon.family
        )

    def _abbreviated(self, position: int) -> bool:
        cues, word = self.lexicon.cues, self.reading.words[position]
        return self.reading.shapes[position] == LETTER or word in cues["abbreviations_in_names"]

    def _particle(self, position: int) -> bool:
        reading, following = self.reading, position + 1
        if following >= len(reading) or reading.gap(position).strip(" ") not in ("", "-", ".", "'"):
            return False
        if reading.words[following] in self.lexicon.cues["particles"]:
            return following + 1 < len(reading) and reading.shapes[following + 1] != LOWER
        return (
            reading.shapes[following] in (CAPITAL, UPPER)
            and reading.words[following] not in self.lexicon.cues["name_stops"]
        )

    def _initial(self, position: int, inside: bool) -> bool:
        reading = self.reading
        if reading.after(position) == ".":
            return True
        if reading.shouted[position] and reading.words[position] in self.lexicon.cues["letter_words"]:
            return inside and (
                reading.line_end(position) == reading.ends[position]
                or self._next_is_name(position)
                or reading.after(position) in ",;"
            )
        return True

    def span(self, first: int, last: int, rule: str) -> Span:
        """The characters of a name, its final full stop with an initial."""
        reading = self.reading
        end = reading.ends[last]
        if reading.shapes[last] == LETTER and reading.after(last) == ".":
            end += 1
        return Span(reading.starts[first], end, "NAME", rule)
