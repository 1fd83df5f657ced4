"""Find the identifiers that are known of this patient.

Belongs here: the variants of a known name (parts, initials, nicknames, joined and split compounds, typing errors) and known
numbers whatever their separators and leading zeros.  One `KnownMatcher` per patient, made of dictionaries only: no
expression is compiled for a record.  Known places are `known_places`' business, letters spaced out and misread names
`known_shapes`', and whether a name that is a word stands for a person here `known_words`'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.known_places import KnownPlaces
from gradient_assets.deid.text.known_shapes import SHORTEST_TORN, find_shapes, is_torn, logins, misread
from gradient_assets.deid.text.known_words import KnownWords, is_initial
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import LOWER, UPPER, Reading
from gradient_assets.deid.text.spans import Span

_NAME_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_CHUNK = re.compile(r"[A-Za-z0-9]+")
_DOTTED = re.compile(r"(?<![\w.])[A-Z]\.[ -]?(?:[A-Z]\.[ -]?){0,2}[A-Z](?:\.|(?![\w.]))")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "ø": "oe"})

MIN_FUZZY = 5
"""Shorter names have too many ordinary neighbours."""
MIN_FUZZY_TWO = 9
"""From nine letters on, two typing errors are bridged."""
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
        self._places = KnownPlaces(identifiers, lexicon)
        self._words = KnownWords(self.parts, self.initials, self._patient_words, self._patient_family, lexicon)
        self._torn = {part for part in self.parts if len(part) >= SHORTEST_TORN}

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
        self._joined.update(logins(person.given, person.family, self._lexicon))
        self._joined.update(spelling for part in person.parts for spelling in misread(part, self._lexicon))
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
        yield from find_shapes(reading, self.parts)
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
                if self._words.stands_for_a_person(reading, index):
                    hits.add(index)
            elif word in self._joined or (
                self._fuzzy and len(word) >= MIN_FUZZY - 1 and self._misspelt(reading, index, fuzzy_seen)
            ):
                hits.add(index)
            if index and (
                ((pair := words[index - 1] + word) in self._joined and len(reading.gap(index - 1)) == 1)
                or (pair in self._torn and is_torn(reading, index, self._lexicon))
            ):
                hits.update((index - 1, index))
        return hits

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
                is_initial(reading, first - 1)
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
                is_initial(reading, last + 1)
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

    def find_places(self, reading: Reading) -> Iterator[Span]:
        """The known institution, street, town and postal code."""
        return self._places.find(reading)

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
