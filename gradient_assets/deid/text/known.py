"""Find the identifiers that are known of this patient.

Belongs here: the variants of a known name (parts, initials, nicknames, joined and split compounds, typing errors), known
numbers whatever their separators and leading zeros, known places.  One `KnownMatcher` per patient, made of dictionaries
only: no expression is compiled for a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import CAPITAL, LETTER, LOWER, UPPER, Reading
from gradient_assets.deid.text.spans import Span

_NAME_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_CHUNK = re.compile(r"[A-Za-z0-9]+")
_DOTTED = re.compile(r"(?<![\w.])[A-Z]\.[ -]?(?:[A-Z]\.[ -]?){0,2}[A-Z](?:\.|(?![\w.]))")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "ø": "oe"})

MIN_FUZZY = 5
"""Shorter names have too many ordinary neighbours."""
MIN_FUZZY_TWO = 9
"""From nine letters on, two typing errors are bridged."""
LONGEST_DESCRIPTOR = 8
"""Words of a description in a header (LO holds 64 characters); longer texts are read as prose."""
MIN_ID_DIGITS = 4
"""A known number with fewer characters stands for too many other things; it is found by its label only."""


@dataclass(slots=True)
class _Person:
    family: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    @property
    def parts(self) -> list[str]:
        return self.family + self.given


class KnownMatcher:
    """Everything known of one patient, ready to be looked up word by word."""

    def __init__(self, identifiers: KnownIdentifiers, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.parts: dict[str, set[int]] = {}
        """Name word → the persons it belongs to."""
        self.family: set[str] = set()
        self._patient_family: set[str] = set()
        self._patient_words: set[str] = set()
        self.initials: dict[str, set[int]] = {}
        self._joined: set[str] = set()
        self._initial_pairs: set[str] = set()
        people = [*identifiers.patient_names, *identifiers.relatives, *identifiers.physicians]
        for number, name in enumerate(people):
            for alphabet in name.split("="):
                for person in _persons(alphabet, lexicon):
                    self._add(person, number, is_patient=number < len(identifiers.patient_names))
        self._fuzzy = [part for part in self.parts if len(part) >= MIN_FUZZY and part not in lexicon.clinical]
        self._ids = _id_cores(identifiers)
        self._phones = {digits[-10:] for phone in identifiers.phones if len(digits := re.sub(r"\D", "", phone)) >= 7}
        self._places = _word_sequences(identifiers.institutions, least=2, lexicon=lexicon)
        self._streets = _word_sequences(
            (_street(address) for address in identifiers.addresses), least=2, lexicon=lexicon
        )

    def is_known(self, word: str) -> bool:
        """Whether a lower-case word is part of a known name."""
        return word in self.parts

    def _add(self, person: _Person, number: int, *, is_patient: bool) -> None:
        particles = self._lexicon.cues["particles"]
        for part in person.parts:
            if len(part) == 1:
                self.initials.setdefault(part, set()).add(number)
            elif part not in particles or len(person.parts) <= 2:
                self.parts.setdefault(part, set()).add(number)
                self.initials.setdefault(part[0], set()).add(number)
        self.family.update(person.family)
        if is_patient:
            self._patient_family.update(person.family)
            self._patient_words.update(person.parts)
            for part in person.given:
                for nickname in self._lexicon.nicknames.get(part, ()):
                    self.parts.setdefault(nickname, set()).add(number)
        for group in (person.family, person.given, [*person.given, *person.family]):
            if len(group) > 1 and len("".join(group)) >= 6:
                self._joined.add("".join(group))
        for first, second in pairwise(person.parts):
            if len(first) + len(second) >= 6:
                self._joined.add(first + second)
        given, family = [p[0] for p in person.given], [p[0] for p in person.family if p not in particles] or [""]
        if given and family[0]:
            self._initial_pairs.update(
                (given[0] + family[0], "".join(given) + family[0], given[0] + "".join(family), family[0] + given[0])
            )

    # names -------------------------------------------------------------------------------------------------------------

    def find_names(self, reading: Reading) -> Iterator[Span]:
        """Known names in the folded text."""
        hits = self._name_words(reading)
        for index in sorted(hits):
            start, end = self._extended(reading, index, hits)
            yield Span(start, end, "NAME", "known-name")
        for match in _DOTTED.finditer(reading.text):
            letters = re.sub(r"[^A-Z]", "", match.group()).lower()
            if letters in self._initial_pairs and match.group().lower() not in self._lexicon.cues["abbreviations"]:
                yield Span(match.start(), match.end(), "NAME", "known-initials")

    def _name_words(self, reading: Reading) -> set[int]:
        if not self.parts:
            return set()
        hits: set[int] = set()
        words = reading.words
        fuzzy_seen: dict[str, bool] = {}
        for index, word in enumerate(words):
            if word in self.parts:
                if self._stands_for_a_person(reading, index):
                    hits.add(index)
            elif word in self._joined or (
                self._fuzzy and len(word) >= MIN_FUZZY - 1 and self._misspelt(reading, index, fuzzy_seen)
            ):
                hits.add(index)
            if self._joined and index and words[index - 1] + word in self._joined and len(reading.gap(index - 1)) == 1:
                hits.update((index - 1, index))
        return hits

    def _stands_for_a_person(self, reading: Reading, index: int) -> bool:
        """A known name that is also a word, or an eponym, needs company."""
        word, lexicon = reading.words[index], self._lexicon
        if index in reading.taken:
            return False
        if index in reading.protected:
            return False
        plain = word not in lexicon.guarded
        if plain and (len(word) >= 3 or reading.shapes[index] in (CAPITAL,)):
            return True
        if self._in_company(reading, index):
            return True
        if reading.shapes[index] == CAPITAL and not reading.shouted[index] and self._subject(reading, index):
            return True
        if word in self._patient_words and self._among_deeds(reading, index):
            return True
        if self._ends_a_descriptor(reading, index):
            return True
        if word in lexicon.clinical or len(word) < 3:
            return False
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
            and reading.gap(min(other, other + step)) == " "
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
                or (gap.strip(" ") == "." and not _is_initial(reading, other))
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

    def _misspelt(self, reading: Reading, index: int, seen: dict[str, bool]) -> bool:
        word = reading.words[index]
        if index in reading.taken or index in reading.protected:
            return False
        if reading.shapes[index] == LOWER and not (index and reading.words[index - 1] in self._lexicon.cues["titles"]):
            return False
        found = seen.get(word)
        if found is None:
            found = seen[word] = (
                word not in self._lexicon.guarded and word not in self._lexicon.eponyms and self._near_a_name(word)
            )
        return found

    def _near_a_name(self, word: str) -> bool:
        size = len(word)
        for part in self._fuzzy:
            allowed = 2 if len(part) >= MIN_FUZZY_TWO else 1
            if (
                abs(len(part) - size) <= allowed
                and DamerauLevenshtein.distance(word, part, score_cutoff=allowed) <= allowed
            ):
                return True
            # An s, a possessive without its apostrophe, or a doubled letter more.
            if size > 6 and word.startswith(part) and size - len(part) <= 1:
                return True
        return False

    def _extended(self, reading: Reading, index: int, hits: set[int]) -> tuple[int, int]:
        """The word with the initials and particles that belong to it."""
        first = last = index
        particles = self._lexicon.cues["particles"]
        while first > 0 and first - 1 not in hits:
            gap, before = reading.gap(first - 1), reading.words[first - 1]
            if (
                _is_initial(reading, first - 1)
                and gap in (".", ". ", " ", ", ", "-", "^")
                and self._initial_fits(reading, first - 1, gap)
            ) or (before in particles and gap in (" ", "-") and before in self.parts_with_particles):
                first -= 1
            else:
                break
        end = reading.ends[last]
        while last + 1 < len(reading) and last + 1 not in hits:
            gap = reading.gap(last)
            if not (
                _is_initial(reading, last + 1)
                and gap in (" ", ", ", "^", "-", ". ")
                and self._initial_fits(reading, last + 1, reading.gap(last + 1))
            ):
                break
            last += 1
            end = reading.ends[last] + (reading.after(last) == ".")
        if last == index and self._initials_together(reading, index):
            end = reading.ends[index + 1]
        return reading.starts[first], end

    def _initials_together(self, reading: Reading, index: int) -> bool:
        """`Trevelyan XD`: a given name's initial and one more that nobody wrote down."""
        following = index + 1
        if following >= len(reading) or reading.gap(index) not in (" ", ", ") or reading.shapes[following] != UPPER:
            return False
        word, persons = reading.words[following], self.parts.get(reading.words[index], set())
        return (
            len(word) <= 3 and word not in self._lexicon.guarded and bool(persons & self.initials.get(word[0], set()))
        )

    @property
    def parts_with_particles(self) -> frozenset[str]:
        """Particles count as part of a name wherever a known name follows."""
        return self._lexicon.cues["particles"]

    def _initial_fits(self, reading: Reading, index: int, gap_after: str) -> bool:
        letter = reading.words[index]
        if gap_after.startswith((".", "^")):
            return True
        return letter in self.initials and (
            letter not in self._lexicon.cues["letter_words"] or not reading.shouted[index]
        )

    # numbers and places ------------------------------------------------------------------------------------------------

    def find_numbers(self, reading: Reading) -> Iterator[Span]:
        """Known ids and phones, whatever stands between their characters."""
        if not (self._ids or self._phones):
            return
        view: list[str] = []
        places: list[int] = []
        for match in _CHUNK.finditer(reading.text):
            view.append(match.group().lower())
            places.extend(range(match.start(), match.end()))
        joined = "".join(view)
        for core in self._ids:
            yield from self._occurrences(reading.text, joined, places, core, "ID", "known-id")
        for phone in self._phones:
            yield from self._occurrences(reading.text, joined, places, phone, "PHONE", "known-phone")

    @staticmethod
    def _occurrences(text: str, joined: str, places: list[int], core: str, kind: str, rule: str) -> Iterator[Span]:
        at = joined.find(core)
        while at >= 0:
            start, end = places[at], places[at + len(core) - 1] + 1
            # Leading zeros and letters (MR000123 for 123) belong to the number; another digit makes it another number.
            while start > 0 and text[start - 1] == "0":
                start -= 1
            whole = (
                not (start > 0 and text[start - 1].isdigit() and core[0].isdigit())
                and not text[end : end + 1].isdigit()
            )
            if core[0].isdigit():
                letters = start
                while (
                    letters > 0 and text[letters - 1].isascii() and text[letters - 1].isalpha() and start - letters < 6
                ):
                    letters -= 1
                start = letters
            if whole and _tight(text, places, at, len(core)):
                yield Span(start, end, kind, rule)
            at = joined.find(core, at + 1)

    def find_places(self, reading: Reading) -> Iterator[Span]:
        """The known institution and street address, word by word."""
        for sequences, kind, rule in (
            (self._places, "INSTITUTION", "known-institution"),
            (self._streets, "ADDRESS", "known-address"),
        ):
            for first, sequence in sequences:
                for index, word in enumerate(reading.words):
                    if word == first and tuple(reading.words[index : index + len(sequence)]) == sequence:
                        start = reading.starts[index]
                        number = (
                            re.search(r"\d{1,6}[A-Za-z]?\ $", reading.text[max(0, start - 8) : start])
                            if kind == "ADDRESS"
                            else None
                        )
                        yield Span(
                            start - (len(number.group()) if number else 0),
                            reading.ends[index + len(sequence) - 1],
                            kind,
                            rule,
                        )


def _is_initial(reading: Reading, index: int) -> bool:
    return reading.shapes[index] == LETTER and reading.shapes[index] != UPPER


def _tight(text: str, places: list[int], at: int, size: int) -> bool:
    """Between the characters of a number stands at most one separator, and no line break."""
    for left, right in pairwise(places[at : at + size]):
        if right - left > 1 and not (right - left <= 3 and all(c in "-./ _()" for c in text[left + 1 : right])):
            return False
    return True


def _persons(name: str, lexicon: Lexicon) -> list[_Person]:
    """A name in DICOM form or free text: as folded, with German digraphs, and with digraphs read as umlauts."""
    folded = fold_plain(name)
    spellings = dict.fromkeys((folded, fold_plain(name.translate(_UMLAUTS)), _without_digraphs(folded, lexicon)))
    return [person for spelling in spellings if (person := _person(spelling, lexicon)).parts]


def _without_digraphs(name: str, lexicon: Lexicon) -> str:
    """`MUELLER` of a header is `Müller` in a report, which folds to `Muller`."""
    name = name.lower() if lexicon.digraphs else name
    for letter, digraph in lexicon.digraphs.items():
        name = name.replace(digraph, fold_plain(letter))
    return name


def _person(name: str, lexicon: Lexicon) -> _Person:
    if "^" in name:
        components = name.split("^")
        family, given = components[0], " ".join(components[1:3])
    elif "," in name:
        family, given = name.split(",", 1)
    else:
        words = _name_words(name, lexicon)
        count = 1
        while count < len(words) - 1 and words[-count - 1] in lexicon.cues["particles"]:
            count += 1
        return _Person(words[-count:], words[:-count])
    return _Person(_name_words(family, lexicon), _name_words(given, lexicon))


def _name_words(text: str, lexicon: Lexicon) -> list[str]:
    return [
        word
        for match in _NAME_WORD.findall(text)
        if (word := match.lower().replace("'", "")) not in lexicon.cues["no_names"]
    ]


def _id_cores(identifiers: KnownIdentifiers) -> list[str]:
    """Ids without separators, leading zeros, and the letters before the digits."""
    cores: dict[str, None] = {}
    for value in (*identifiers.patient_ids, *identifiers.accession_numbers, *identifiers.other_ids):
        whole = re.sub(r"[^a-z0-9]", "", fold_plain(value).lower())
        digits = re.sub(r"^[a-z]*0*", "", whole)
        for core in (digits, whole.lstrip("0")):
            if len(core) >= MIN_ID_DIGITS and any(c.isdigit() for c in core) and sum(c.isdigit() for c in core) >= 3:
                cores[core] = None
                break
    return list(cores)


def _street(address: str) -> str:
    return re.sub(r"\d", " ", address.split(",")[0])


def _word_sequences(values: Iterable[str], *, least: int, lexicon: Lexicon) -> list[tuple[str, tuple[str, ...]]]:
    """Word sequences worth looking for: several words, or one that is no word of the language."""
    sequences: dict[tuple[str, ...], None] = {}
    for value in values:
        words = tuple(_name_words(fold_plain(value), lexicon))
        if len(words) >= least or (len(words) == 1 and len(words[0]) >= 4 and words[0] not in lexicon.guarded):
            sequences[words] = None
    return [(sequence[0], sequence) for sequence in sequences]
