"""Whether a known name that is also a word, or an eponym, stands for a person here.

Belongs here: what surrounds `Young`, `Rose`, `Waters` where they are people: titles, other parts of the name, what people do.
How known names are spelled is `known`'s business; which of them are words is data (`clinical_words.txt`,
`common_words.txt`, `names_also_words.txt`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import CAPITAL, LETTER, UPPER, Reading

LONGEST_DESCRIPTOR = 8
"""Words of a description in a header (LO holds 64 characters); longer texts are read as prose."""


class KnownWords:
    """The names of one patient's record, asked about one place of a text at a time."""

    def __init__(
        self,
        parts: Mapping[str, set[int]],
        initials: Mapping[str, set[int]],
        patient_words: Set[str],
        patient_family: Set[str],
        lexicon: Lexicon,
    ) -> None:
        self.parts = parts
        self.initials = initials
        self._patient_words = patient_words
        self._patient_family = patient_family
        self._lexicon = lexicon

    def stands_for_a_person(self, reading: Reading, index: int) -> bool:
        """A known name that is also a word, or an eponym, needs company."""
        word, lexicon = reading.words[index], self._lexicon
        if index in reading.taken:
            return False
        if index in reading.protected:
            return False
        also_word = word in lexicon.also_words
        plain = word not in lexicon.guarded and not also_word
        if plain and (len(word) >= 3 or reading.shapes[index] in (CAPITAL,)):
            return True
        if self._in_company(reading, index):
            return True
        if also_word and self._in_a_compound(reading, index):
            return False
        if reading.shapes[index] == CAPITAL and not reading.shouted[index] and self._subject(reading, index):
            return True
        if word in self._patient_words and self._among_deeds(reading, index):
            return True
        if self._ends_a_descriptor(reading, index):
            return True
        if word in lexicon.clinical or len(word) < 3:
            return False
        if also_word and self._before_its_noun(reading, index):
            return False
        if (
            also_word
            and word not in lexicon.guarded
            and reading.shapes[index] == CAPITAL
            and not reading.shouted[index]
        ):
            return True
        if also_word and self._opens_in_capitals(reading, index):
            return True
        # Young, May, Rose: a capital inside a sentence of a text in mixed case is a name.
        return (
            reading.shapes[index] == CAPITAL
            and not reading.shouted[index]
            and not reading.opens_sentence(index, lexicon.cues["titles_abbreviated"])
            and word not in lexicon.cues["name_stops"]
        )

    def _ends_a_descriptor(self, reading: Reading, index: int) -> bool:
        """`MRI KNEE WO CONTRAST YOUNG` of a patient Young: technologists put the family name behind the exam's."""
        return (
            len(reading) <= LONGEST_DESCRIPTOR
            and index == len(reading) - 1 > 0
            and reading.shouted[index]
            and len(reading.words[index]) >= 3
            and reading.words[index] in self._patient_family
        )

    def _subject(self, reading: Reading, index: int) -> bool:
        """`Young is an 85 yo`, `Head presents`: what is said of people, not of organs."""
        following = index + 1
        if following + 1 >= len(reading) or reading.gap(index) != " ":
            return False
        verb = reading.words[following]
        cues = self._lexicon.cues
        if verb in cues["to_be"]:
            return reading.words[following + 1] in cues["articles"] or reading.gap(following).strip(" ")[:2].isdigit()
        return verb in cues["person_verbs"] and verb not in cues["organ_verbs"]

    def _among_deeds(self, reading: Reading, index: int) -> bool:
        """`called June`, `spoke with June`, `SMALL returned`, `Small was told`: the patient's own name, though a word too."""
        cues, words = self._lexicon.cues, reading.words
        word = words[index]
        if reading.shapes[index] not in (CAPITAL, UPPER) or (
            word in self._lexicon.clinical and word not in self._patient_family
        ):
            return False
        if index and reading.gap(index - 1) == " ":
            before = words[index - 1]
            if before in cues["person_slots"]:
                return True
            if before in cues["communication_words"] and index > 1 and words[index - 2] in cues["person_acts"]:
                return True
        following = index + 1
        if following >= len(reading) or reading.gap(index) != " ":
            return False
        if words[following] in cues["to_be"]:
            return following + 1 < len(reading) and words[following + 1] in cues["person_slots"]
        return words[following] in cues["person_acts"] and words[following] not in cues["organ_verbs"]

    def _beside(self, reading: Reading, index: int, step: int) -> int:
        """The word before (-1) or after (1), past up to three particles: `June` and `Bosque` of `June del Bosque`."""
        other = index + step
        while (
            0 < other < len(reading) - 1
            and abs(other - index) <= 3
            and reading.words[other] in self._lexicon.cues["particles"]
            and reading.words[other] not in self.parts
            and reading.gap(min(other, other + step)) in (" ", "-")
        ):
            other += step
        return other

    def _in_company(self, reading: Reading, index: int) -> bool:
        """Next to a title, or to another part (or the initial) of the same person."""
        word = reading.words[index]
        persons = self.parts[word]
        for other, left in ((self._beside(reading, index, -1), True), (self._beside(reading, index, 1), False)):
            if not 0 <= other < len(reading):
                continue
            gap = reading.gap(other if left else other - 1)
            if (
                len(gap) > 3
                or any(mark in gap for mark in ":;/\n")
                or (gap.strip(" ") == "." and not is_initial(reading, other))
            ):
                continue
            neighbour = reading.words[other]
            if left and neighbour in self._lexicon.cues["titles"]:
                return True
            if len(neighbour) > 1:
                if neighbour != word and persons & self.parts.get(neighbour, set()):
                    return True
            elif reading.shapes[other] == LETTER and persons & self.initials.get(neighbour, set()):
                dotted = reading.after(other) == "." or reading.after(other) == "^"
                if (
                    dotted
                    or gap.strip(" ") == ","
                    or (
                        left
                        and neighbour not in self._lexicon.cues["letter_words"]
                        and reading.shapes[index] == CAPITAL
                    )
                ):
                    return True
        return False

    def _in_a_compound(self, reading: Reading, index: int) -> bool:
        """`X-RAY`, `lipid-rich`: joined by a hyphen to what is no part of the name; and `x ray`."""
        if index:
            before, gap = reading.words[index - 1], reading.gap(index - 1)
            if before not in self.parts and (gap == "-" or (before == "x" and gap == " ")):
                return True
        return index + 1 < len(reading) and reading.gap(index) == "-" and reading.words[index + 1] not in self.parts

    def _opens_in_capitals(self, reading: Reading, index: int) -> bool:
        """`IVY WAS MOVED`: in a report in capitals, the patient's own name before what is no medicine."""
        return (
            reading.shouted[index]
            and reading.words[index] in self._patient_words
            and reading.words[index] not in self._lexicon.guarded
            and reading.opens_sentence(index, self._lexicon.cues["titles_abbreviated"])
            and len(reading) > LONGEST_DESCRIPTOR
            and index + 1 < len(reading)
            and reading.gap(index) == " "
            and reading.words[index + 1] not in self._lexicon.clinical
        )

    def _before_its_noun(self, reading: Reading, index: int) -> bool:
        """`Waters view`, `Berry aneurysm`."""
        return (
            index + 1 < len(reading)
            and reading.gap(index) == " "
            and reading.words[index + 1] in self._lexicon.eponym_nouns
        )


def is_initial(reading: Reading, index: int) -> bool:
    """Whether a word is a single capital letter."""
    return reading.shapes[index] == LETTER
