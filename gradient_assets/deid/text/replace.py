"""What takes the place of an identifier: a tag, or a surrogate that keeps its shape.

Belongs here: tags, keyed surrogates for names, numbers and addresses, moved dates.  The same value of the same patient
gets the same surrogate everywhere; a surrogate is never an identifier of the record; what can't be rendered is tagged.
"""

from __future__ import annotations

import datetime
import re
from typing import Literal

from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.text.calendar_dates import read_date
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.spans import Span

Replacement = Literal["tags", "surrogates"]
DateTreatment = Literal["year", "shift", "keep"]

NEAR = 2
"""A surrogate differs from each name of the record by more typing errors than this."""

MAX_PLAIN_AGE = 89
"""Ages above it are pooled (45 CFR 164.514(b)(2)(i)(C))."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]{2,})?")
_TITLES_KEPT = frozenset(("dr", "mr", "mrs", "ms", "md"))


class Replacer:
    """Replacements for one text of one patient."""

    def __init__(
        self,
        identifiers: KnownIdentifiers,
        person: Person,
        lexicon: Lexicon,
        *,
        replace: Replacement,
        dates: DateTreatment,
        date_order: str = "mdy",
    ) -> None:
        self._identifiers = identifiers
        self._person = person
        self._lexicon = lexicon
        self._surrogates = replace == "surrogates"
        self._dates = dates
        self._date_order = date_order
        years = [int(date[:4]) for date in identifiers.study_dates if date[:4].isdigit()]
        self._study_year = max(years) if years else None
        self._own_words = {
            word.lower()
            for value in (
                *identifiers.patient_names,
                *identifiers.physicians,
                *identifiers.relatives,
                *identifiers.institutions,
                *identifiers.addresses,
            )
            for word in _WORD.findall(fold_plain(value))
        }

    def replacement(self, value: str, span: Span) -> str:
        """What stands in the place of `value`."""
        if span.kind == "DATE":
            return self._date(value)
        if not self._surrogates:
            return f"[{span.kind}]"
        if span.kind == "NAME":
            return self._name(value)
        if span.kind in ("ID", "PHONE"):
            return self._number(value, span.kind)
        if span.kind == "AGE":
            return "90+"
        return f"[{span.kind}]"

    def _date(self, value: str) -> str:
        if self._dates == "keep":
            return value
        if not self._surrogates:
            return "[DATE]"
        latest = self._study_year + 1 if self._study_year else None
        written = read_date(value, order=self._date_order, latest_year=latest, language=self._lexicon.language)
        if written is None:
            return "[DATE]"
        if self._dates == "year":
            return str(written.year) if written.year and self._year_may_stay(written.year) else "[DATE]"
        day = written.as_date(year=self._study_year)
        if day is None:
            return "[DATE]"
        try:
            moved = written.render(day + datetime.timedelta(days=self._person.shift_days))
        except (OverflowError, ValueError):
            return "[DATE]"
        shifted = day + datetime.timedelta(days=self._person.shift_days)
        # Whole years moved: month and day would still be the patient's own.
        return (
            "[DATE]"
            if (shifted.month, shifted.day if written.day else 0) == (day.month, day.day if written.day else 0)
            else moved
        )

    def _year_may_stay(self, year: int) -> bool:
        """A year that tells an age over 89 does not stay."""
        return (self._study_year or datetime.date.today().year) - year <= MAX_PLAIN_AGE

    def _name(self, value: str) -> str:
        return _WORD.sub(lambda match: self._name_word(match.group()), value) if _WORD.search(value) else "[NAME]"

    def _name_word(self, word: str) -> str:
        plain = fold_plain(word).lower().replace("'", "")
        if plain in _TITLES_KEPT:
            return word
        if plain in self._lexicon.cues["particles"]:
            return self._particle(word, plain)
        digest = self._person.pseudonymizer.digest("surrogate-name", self._person.pseudonym, plain)
        number = int.from_bytes(digest[:8])
        if len(plain) == 1:
            letters = [letter for letter in "abcdefghjklmnprstw" if letter != plain]
            return _cased(letters[number % len(letters)], word)
        given = plain in self._lexicon.given and plain not in self._lexicon.frequent_family
        pool = self._lexicon.given_pool if given else self._lexicon.family_pool
        for step in range(len(pool)):
            candidate = pool[(number + step) % len(pool)]
            if candidate != plain and not self._resembles_an_own_word(candidate):
                return _cased(candidate, word)
        return "[NAME]"

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

    def _number(self, value: str, kind: str) -> str:
        plain = re.sub(r"[^0-9a-z]", "", fold_plain(value).lower())
        core = plain.lstrip("0") or plain
        for attempt in range(8):
            digest = self._person.pseudonymizer.digest("surrogate-number", kind, core, str(attempt))
            stream = int.from_bytes(digest * (1 + len(value) // 16))
            characters = []
            for character in value:
                if character.isdigit():
                    stream, digit = divmod(stream, 10)
                    characters.append(str(digit))
                elif character.isalpha():
                    stream, letter = divmod(stream, 26)
                    drawn = chr(ord("a") + letter)
                    characters.append(drawn.upper() if character.isupper() else drawn)
                else:
                    characters.append(character)
            made = "".join(characters)
            if not self._is_own_number(made) and not _shares_a_run(made, value):
                return made
        return f"[{kind}]"

    def _is_own_number(self, made: str) -> bool:
        plain = re.sub(r"[^0-9a-z]", "", made.lower()).lstrip("0")
        known = (
            *self._identifiers.patient_ids,
            *self._identifiers.accession_numbers,
            *self._identifiers.phones,
            *self._identifiers.other_ids,
        )
        return any(plain == re.sub(r"[^0-9a-z]", "", value.lower()).lstrip("0") for value in known)


def _shares_a_run(made: str, value: str) -> bool:
    """A group of two or more characters that stayed the same: draw again."""
    groups = set(re.findall(r"[0-9]{2,}|[A-Za-z]{2,}", made)) & set(re.findall(r"[0-9]{2,}|[A-Za-z]{2,}", value))
    return bool(groups)


def _cased(word: str, example: str) -> str:
    if example.isupper():
        return word.upper()
    return word.capitalize() if example[:1].isupper() else word
