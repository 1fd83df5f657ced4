"""Invented names, numbers, places and addresses that keep the shape of what they stand for.

Belongs here: keyed surrogates for everything but dates and ages, which are `replace`'s.  The same value of the same patient
gets the same surrogate in every text.  Where a patient lives is made up whole and for each patient alone: no digit of a postal
code stays, and nobody sees who are neighbours.  A surrogate is never an identifier of the record, and as a name never a name
of the text.  Family names and places are invented (`surrogates.json`) rather than taken from lists of real ones: a surrogate
that is by chance the name of another patient would be a wrong statement about a real person, and the search over what was
written would have to report it.  Hosts are those that RFC 2606 reserves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import Lexicon, lexicon

NEAR = 2
"""A surrogate differs from each name of the record by more typing errors than this."""

_DATA = Path(__file__).with_name("surrogates.json")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]{2,})?")
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|.", re.DOTALL)
_LETTERS_DRAWN = "abcdefghjklmnprstw"
_KEPT_IN_NAMES = frozenset(("md", "jr", "sr", "ii", "iv"))
_FAMILY = re.compile(r"^([^\^,=]+)[\^,]")
_DRAWS = 8
_LONGEST_ABBREVIATION = 6


@dataclass(frozen=True, slots=True)
class Stock:
    """What surrogates of one language are drawn from; `leading` are names that are given names first (`Raymond`)."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    leading: frozenset[str]
    places: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]
    facilities: tuple[str, ...]
    hosts: tuple[str, ...]


@lru_cache(maxsize=8)
def stock(language: str) -> Stock:
    """The stock of a language; invented names that its lists know as names or words are left out."""
    parts = json.loads(_DATA.read_text(encoding="utf-8"))
    words = lexicon(language)
    real = words.guarded | words.family | words.given | words.eponyms

    def invented(kind: str) -> tuple[str, ...]:
        pairs = (head + tail for head in parts[f"{kind}_heads"] for tail in parts[f"{kind}_tails"])
        return tuple(dict.fromkeys(name for name in pairs if name not in real))

    rank_as_family = {name: rank for rank, name in enumerate(words.family_pool)}
    often_family = len(words.family_pool)
    leading = (name for rank, name in enumerate(words.given_pool) if rank < rank_as_family.get(name, often_family))
    return Stock(
        leading=frozenset(leading),
        given=words.given_pool,
        family=invented("name"),
        places=invented("place"),
        classes={word: tuple(members) for members in parts["classes"] for word in members},
        facilities=tuple(parts["facilities"].get(language, parts["facilities"]["en"])),
        hosts=tuple(parts["hosts"]),
    )


class Surrogates:
    """Surrogates for one text of one patient.  `draw` chooses other ones, where the first would name somebody known."""

    def __init__(
        self, identifiers: KnownIdentifiers, person: Person, words: Lexicon, *, text: str = "", draw: int = 0
    ) -> None:
        self._person = person
        self._lexicon = words
        self._stock = stock(words.language)
        self._draw = str(draw)
        people = (*identifiers.patient_names, *identifiers.physicians, *identifiers.relatives)
        self._own_words = {
            word
            for value in (*people, *identifiers.institutions, *identifiers.addresses)
            for word in _plain_words(value)
        }
        self._family_words = {
            word for value in people if (match := _FAMILY.match(value)) for word in _plain_words(match[1])
        }
        self._given_by_initial = {
            word[0]: word
            for value in reversed(identifiers.patient_names)
            for word in reversed(_plain_words(value))
            if len(word) > 1 and word not in self._family_words
        }
        self._words_of_text = frozenset(_plain_words(text))
        numbers = (
            *(*identifiers.patient_ids, *identifiers.accession_numbers),
            *(*identifiers.phones, *identifiers.other_ids),
        )
        self._own_numbers = {_core(value) for value in numbers}

    def name(self, value: str) -> str:
        """A name word by word: order, letter case, commas and hyphens stay; `[NAME]` where nothing can be drawn."""
        return _WORD.sub(lambda match: self._name_word(match.group()), value) if _WORD.search(value) else "[NAME]"

    def number(self, value: str, kind: str) -> str:
        """A number made up of other digits and letters; separators, length and letter case stay.

        Another patient's equal number, which may be a neighbour's postal code, gets another surrogate.
        """
        core, whose = _core(value), self._person.pseudonym
        for attempt in range(_DRAWS):
            stream = int.from_bytes(self._digest("number", whose, kind, core, str(attempt)) * (1 + len(value) // 16))
            made = _rewritten(value, stream)
            if _core(made) not in self._own_numbers and not _shares_a_run(made, value):
                return made
        return f"[{kind}]"

    def address(self, value: str) -> str:
        """A street, town or whole address: numbers, kinds of street and states change, names of places are invented."""
        return "".join(self._address_piece(piece) for piece in _TOKEN.findall(value))

    def institution(self, value: str) -> str:
        """An invented institution; an abbreviation becomes another of its length."""
        plain = _plain_words(value)
        if not plain:
            return "[INSTITUTION]"
        if len(plain) == 1 and value.isupper() and len(value) <= _LONGEST_ABBREVIATION:
            return self._abbreviation(value)
        special = [word for word in plain if len(word) >= 4 and word not in self._lexicon.guarded]
        place = self._place((special or plain)[0]).capitalize()
        used = set(plain)
        fitting = [kind for kind in self._stock.facilities if used.isdisjoint(_plain_words(kind))]
        if not fitting:
            return "[INSTITUTION]"
        return _in_case(self._choice(fitting, "facility", *plain).format(place), value)

    def mail(self, value: str) -> str:
        """A mail address at a reserved host; the part before it keeps its shape."""
        local, _, host = value.rpartition("@")
        names = _WORD.sub(lambda match: self._name_word(match.group(), even_titles=True), local)
        digits = re.sub(r"\d+", lambda match: self.number(match.group(), "EMAIL"), names)
        return re.sub(r"\[\w+\]", "x", f"{digits}@{self._host(host)}")

    def address_of_page(self, value: str) -> str:
        """A URL at a reserved host with a path of the same length; query and names in the path do not stay."""
        match = re.match(r"(?i)(https?|ftp)://", value)
        # With the scheme, one word of the original would be left where it stood; which one is used tells nothing.
        scheme = {"http": "https://", "https": "http://"}.get(match[1].lower(), "https://") if match else ""
        rest = value[match.end() :] if match else value
        host, slash, path = rest.partition("/")
        drawn = int.from_bytes(self._digest("page", fold_plain(value).lower()))
        made = f"{scheme}{self._host(host)}{slash}{_rewritten('x1' * (len(path) // 2), drawn)}"
        return made.upper() if value.isupper() else made

    def _name_word(self, word: str, *, even_titles: bool = False) -> str:
        plain = fold_plain(word).lower().replace("'", "")
        is_title = plain in _KEPT_IN_NAMES or plain in self._lexicon.cues["titles_abbreviated"]
        if is_title and not even_titles:
            return word
        if plain in self._lexicon.cues["particles"]:
            return self._particle(word, plain)
        if len(plain) == 1:
            return _cased(self._initial(plain), word)
        family = (
            plain in self._family_words or plain not in self._lexicon.given or plain in self._lexicon.frequent_family
        )
        pool = self._stock.family if family else self._stock.given
        number = self._number_of("name", self._person.pseudonym, plain)
        for step in range(len(pool)):
            candidate = pool[(number + step) % len(pool)]
            if (
                candidate != plain
                and candidate not in self._words_of_text
                and not self._resembles_an_own_word(candidate)
            ):
                return _cased(candidate, word)
        return "[NAME]"

    def _is_given(self, plain: str) -> bool:
        """By what the record says, else by what the word is more often: the same everywhere, whatever the order of names."""
        if plain in self._family_words:
            return False
        if plain in self._given_by_initial.values() or plain in self._stock.leading:
            return True
        return plain in self._lexicon.given and plain not in self._lexicon.frequent_family

    def _initial(self, plain: str) -> str:
        """That of the surrogate for the patient's name which it abbreviates, else another letter."""
        if given := self._given_by_initial.get(plain):
            return self._name_word(given)[:1].lower()
        letters = [letter for letter in _LETTERS_DRAWN if letter != plain]
        return self._choice(letters, "initial", self._person.pseudonym, plain)

    def _particle(self, word: str, plain: str) -> str:
        """The patient's own particle of three letters and more tells as much as a short name: another takes its place."""
        if len(plain) < 3 or plain not in self._own_words:
            return word
        return next((_cased(other, word) for other in ("von", "van", "del", "der") if other not in self._own_words), "")

    def _resembles_an_own_word(self, candidate: str) -> bool:
        """Gregg for Greg would be taken for a misspelling of the patient's own name, by readers and by the check."""
        return any(
            DamerauLevenshtein.distance(candidate, own, score_cutoff=NEAR) <= NEAR
            for own in self._own_words
            if len(own) > NEAR
        )

    def _address_piece(self, piece: str) -> str:
        whose = self._person.pseudonym
        if piece.isdigit():
            made = self.number(piece, "ADDRESS")
            return made if made[0] != "[" else str(self._number_of("house", whose, piece) % 9 + 1)
        if not piece[0].isalpha():
            return piece
        plain = fold_plain(piece).lower()
        if plain in self._stock.classes:
            others = [word for word in self._stock.classes[plain] if word != plain and word not in self._own_words]
            return _cased(self._choice(others, "class", whose, plain), piece) if others else ""
        if len(plain) == 1:
            letters = [letter for letter in _LETTERS_DRAWN if letter != plain]
            return _cased(self._choice(letters, "letter", whose, plain), piece)
        if plain in self._lexicon.states:
            return _cased(self._choice(self._stock.classes["ia"], "state", whose, plain), piece)
        return _cased(self._place(plain), piece)

    def _place(self, plain: str) -> str:
        number = self._number_of("place", self._person.pseudonym, plain)
        pool = self._stock.places
        candidates = (pool[(number + step) % len(pool)] for step in range(len(pool)))
        return next(
            (one for one in candidates if one not in self._words_of_text and one not in self._own_words), "place"
        )

    def _abbreviation(self, value: str) -> str:
        for attempt in range(_DRAWS):
            drawn = int.from_bytes(self._digest("abbreviation", value.lower(), str(attempt)))
            made = _rewritten(value, drawn)
            if made != value and made.lower() not in self._lexicon.guarded | self._words_of_text:
                return made
        return "[INSTITUTION]"

    def _host(self, host: str) -> str:
        """A reserved host that shares no word with the one it stands for."""
        used = set(_plain_words(host))
        fitting = [one for one in self._stock.hosts if used.isdisjoint(_plain_words(one))]
        return fitting[0] if fitting else "[URL]"

    def _choice(self, pool: Sequence[str], kind: str, *parts: str) -> str:
        return pool[self._number_of(kind, *parts) % len(pool)]

    def _number_of(self, kind: str, *parts: str) -> int:
        return int.from_bytes(self._digest(kind, *parts)[:8])

    def _digest(self, kind: str, *parts: str) -> bytes:
        return self._person.pseudonymizer.digest(f"surrogate-{kind}", self._draw, *parts)


def _plain_words(value: str) -> list[str]:
    return [word.replace("'", "") for word in _WORD.findall(fold_plain(value).lower())]


def _core(value: str) -> str:
    plain = re.sub(r"[^0-9a-z]", "", fold_plain(value).lower())
    return plain.lstrip("0") or plain


def _rewritten(value: str, stream: int) -> str:
    made = []
    for sign in value:
        if sign.isdigit():
            stream, digit = divmod(stream, 10)
            made.append(str(digit))
        elif sign.isalpha():
            stream, letter = divmod(stream, len(_LETTERS_DRAWN))
            drawn = _LETTERS_DRAWN[letter]
            made.append(drawn.upper() if sign.isupper() else drawn)
        else:
            made.append(sign)
    return "".join(made)


def _shares_a_run(made: str, value: str) -> bool:
    """A group of two or more characters that stayed the same, or the first three, a postal code's area: draw again."""
    runs = re.compile(r"[0-9]{2,}|[a-z]{2,}")
    return made[:3].lower() == value[:3].lower() or bool(
        set(runs.findall(made.lower())) & set(runs.findall(value.lower()))
    )


def _in_case(made: str, example: str) -> str:
    if example.isupper():
        return made.upper()
    return made.lower() if example.islower() else made


def _cased(word: str, example: str) -> str:
    if len(example) > 1 and example.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if example[:1].isupper() else word
