"""Find what is known of where the patient lives and is treated.

Belongs here: the known street with any word for its kind, the town, the postal code, and the institution with and without
its common nouns.  Dictionaries of words, made once per patient.  Addresses that nobody told of are `addresses`' business,
unknown institutions `facilities`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import LOWER, Reading
from gradient_assets.deid.text.spans import Span

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_PARTS = re.compile(r"[,;^\n\\]+")
_HOUSE_NUMBER = re.compile(r"\d{1,6}[A-Za-z]?\ $")
_POSTAL_CODE = re.compile(
    r"(?<![A-Z0-9])(?:\d{5}(?=(?:-\d{4})?(?![\w-]))|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4} ?[A-Z]{2}"
    r"(?=\ ))(?![A-Z0-9])"
)
"""Codes that are told from other numbers by themselves; the four digits of Swiss and Austrian ones are not."""
_SAINTS = {"saint": ("st",), "st": ("saint",), "sankt": ("st",), "sint": ("st",), "mount": ("mt",), "fort": ("ft",)}

SHORTEST_TOWN = 4
"""Letters of a town that is looked for; shorter words of an address are units, directions and states."""

_Sure = Callable[[Reading, int, int], bool]


class KnownPlaces:
    """The places of one patient, ready to be looked up word by word."""

    def __init__(self, identifiers: KnownIdentifiers, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._generic = lexicon.cues["facility_generic"] | {
            word for heads in lexicon.facility_heads.values() for head in heads for word in head
        }
        self._wanted: dict[str, dict[tuple[str, ...], tuple[str, str, _Sure]]] = {}
        for institution in identifiers.institutions:
            self._learn_institution(institution)
        codes: dict[str, None] = {}
        for address in identifiers.addresses:
            self._learn_address(address)
            codes.update(
                dict.fromkeys(code.replace(" ", "") for code in _POSTAL_CODE.findall(fold_plain(address).upper()))
            )
        self._codes = tuple(codes)

    def find(self, reading: Reading) -> Iterator[Span]:
        """Known places in the folded text."""
        if self._wanted:
            for index, word in enumerate(reading.words):
                if word in self._wanted:
                    yield from self._at(reading, index)
        for code in self._codes:
            yield from self._code(reading.text, code)

    def _at(self, reading: Reading, index: int) -> Iterator[Span]:
        for sequence, (kind, rule, sure) in self._wanted[reading.words[index]].items():
            last = index + len(sequence) - 1
            if not self._matches(reading, index, sequence) or not sure(reading, index, last):
                continue
            start = reading.starts[index]
            number = _HOUSE_NUMBER.search(reading.text[max(0, start - 8) : start]) if kind == "ADDRESS" else None
            yield Span(start - (len(number.group()) if number else 0), reading.ends[last], kind, rule)

    def _matches(self, reading: Reading, index: int, sequence: tuple[str, ...]) -> bool:
        """Word by word; `Mulberry Cres.` is `Mulberry Crescent`."""
        words = tuple(reading.words[index : index + len(sequence)])
        kinds = self._lexicon.cues["street_types"]
        return words == sequence or (
            len(words) == len(sequence) > 1
            and words[:-1] == sequence[:-1]
            and sequence[-1] in kinds
            and words[-1] in kinds
        )

    def _code(self, text: str, code: str) -> Iterator[Span]:
        cut = len(code) - (3 if not code[0].isdigit() else 2)
        forms = (code,) if code.isdigit() else (code, f"{code[:cut]} {code[cut:]}")
        shown = text.upper() if len(text.upper()) == len(text) else text
        for form in forms:
            at = shown.find(form)
            while at >= 0:
                end = at + len(form)
                if self._lexicon.expressions["units"].match(text, end):
                    at = shown.find(form, end)
                    continue
                before, after = shown[max(0, at - 1) : at], shown[end : end + 2]
                if not (before.isalnum() or before in (".", ",")) and not (
                    after[:1].isalnum() or after[:1] == "%" or (after[:1] in (".", ",") and after[1:].isdigit())
                ):
                    extension = re.match(r"-\d{4}(?!\d)", text[end : end + 6])
                    yield Span(at, end + (extension.end() if extension else 0), "ADDRESS", "known-postal-code")
                at = shown.find(form, end)

    # learning ----------------------------------------------------------------------------------------------------------

    def _want(self, sequence: tuple[str, ...], kind: str, rule: str, sure: _Sure) -> None:
        if sequence:
            self._wanted.setdefault(sequence[0], {}).setdefault(sequence, (kind, rule, sure))

    def _learn_address(self, address: str) -> None:
        parts = [part for part in _PARTS.split(fold_plain(address)) if part.strip()]
        for number, part in enumerate(parts):
            words = self._words(part)
            if number == 0:
                kinds = [
                    place for place, word in enumerate(words) if place and word in self._lexicon.cues["street_types"]
                ]
                cut = kinds[-1] + 1 if kinds and len(parts) == 1 else len(words)
                if len(words[:cut]) >= 2 or self._telling(words[:cut]):
                    self._want(words[:cut], "ADDRESS", "known-address", _anywhere)
                words = words[cut:]
                if not words:
                    continue
            self._learn_town(words)

    def _learn_town(self, words: tuple[str, ...]) -> None:
        while words and (words[-1] in self._lexicon.states or " ".join(words[-2:]) in self._lexicon.states):
            words = words[: -1 if words[-1] in self._lexicon.states else -2]
        if not words or max(map(len, words)) < SHORTEST_TOWN:
            return
        plain = all(word not in self._lexicon.guarded and word not in self._lexicon.also_words for word in words)
        self._want(words, "ADDRESS", "known-town", self._town if plain else self._town_in_company)

    def _learn_institution(self, name: str) -> None:
        whole = self._words(fold_plain(name))
        core = whole
        while core and core[-1] in self._generic and core[-1] not in _SAINTS:
            core = core[:-1]
        while core and core[0] in self._generic and core[0] not in _SAINTS:
            core = core[1:]
        for spelling in _spellings(whole):
            if len(spelling) >= 2 or self._telling(spelling):
                self._want(spelling, "INSTITUTION", "known-institution", _anywhere)
        if core == whole or not any(self._telling((word,)) for word in core):
            return
        for spelling in _spellings(core):
            if len(spelling) >= 2:
                self._want(spelling, "INSTITUTION", "known-institution-short", _in_capitals)
        name_word = core[-1] if core[0] in _SAINTS else core[0]
        if len(core) == 1 + (core[0] in _SAINTS) and self._telling((name_word,)):
            self._want((name_word,), "INSTITUTION", "known-institution-short", self._behind_place_word)

    def _words(self, text: str) -> tuple[str, ...]:
        return tuple(
            word
            for match in _WORD.findall(text)
            if (word := match.lower().replace("'", "")) not in self._lexicon.cues["no_names"]
        )

    def _telling(self, words: tuple[str, ...]) -> bool:
        return len(words) == 1 and len(words[0]) >= SHORTEST_TOWN and words[0] not in self._lexicon.guarded

    # what else must hold -----------------------------------------------------------------------------------------------

    def _town(self, reading: Reading, first: int, last: int) -> bool:
        """Not where it is part of another name: `Boston Scientific`, `Chicago classification`."""
        following = reading.words[last + 1] if last + 1 < len(reading) and reading.gap(last) == " " else ""
        if not _in_capitals(reading, first, last) and reading.words[first] in self._lexicon.ordinary:
            return False
        return first not in reading.protected and following not in self._lexicon.eponym_nouns

    def _town_in_company(self, reading: Reading, first: int, last: int) -> bool:
        """A town that is a word too (Reading, Orange): behind a word of place, or before its state or code."""
        if not _in_capitals(reading, first, last):
            return False
        following = reading.text[reading.ends[last] : reading.ends[last] + 8].lstrip(" ,")
        if (
            last + 1 < len(reading)
            and reading.words[last + 1] in self._lexicon.states
            and reading.shapes[last + 1] != LOWER
        ):
            return True
        return following[:4].isdigit() or (self._behind_place_word(reading, first, last) and not reading.shouted[first])

    def _behind_place_word(self, reading: Reading, first: int, last: int) -> bool:
        return (
            first > 0
            and _in_capitals(reading, first, last)
            and first not in reading.protected
            and reading.gap(first - 1) == " "
            and reading.words[first - 1] in self._lexicon.cues["place_words"]
        )


def _anywhere(reading: Reading, first: int, last: int) -> bool:
    return True


def _in_capitals(reading: Reading, first: int, last: int) -> bool:
    return reading.shapes[first] != LOWER and reading.shapes[last] != LOWER


def _spellings(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """`saint barnabas` as `st barnabas`, and back."""
    yield words
    for number, word in enumerate(words):
        for other in _SAINTS.get(word, ()):
            yield (*words[:number], other, *words[number + 1 :])
