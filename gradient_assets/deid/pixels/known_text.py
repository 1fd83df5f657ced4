"""Does what was read in a picture name the patient?

Belongs here: comparing one recognised line with the known identifiers, however the recogniser misread it.  Which lines
are filled for it is `survey`'s business; the same question about reports, which are not misread, is `text.known`'s.

Letters and digits that recognisers mix up (0/O, 1/l/I, 5/S, 8/B, 2/Z, w/vv, m/rn) are one here, so a match can only be
gained by it.  What was read and what is known stays in memory: no repr, no exception quotes it.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable, Iterator

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.identifiers import KnownIdentifiers

LEAST_FUZZY = 4
"""Letters of a name from which one error is bridged; a shorter one must be read exactly, as a word of its own."""
LEAST_FUZZY_TWO = 8
"""Letters from which two errors are."""
LEAST_ID = 4
"""Letters and digits of a number; shorter ones stand in every scale and setting."""
LEAST_FUZZY_ID = 7
"""Letters and digits of a number or date from which one error is bridged: of 6 digits, every tenth number is a neighbour."""
LEAST_IDEOGRAPHS = 2

_CONFUSED = str.maketrans({"o": "0", "q": "0", "i": "1", "l": "1", "|": "1", "!": "1", "s": "5", "b": "8", "z": "2"})
_MORE_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th", "ı": "i"}
)
_WORD = re.compile(r"[^\W_]+")
_LONG_RUN = re.compile(r"\d{5,}")
_APOSTROPHES = re.compile("['’`´]")
_FIRST_IDEOGRAPH = "\u2e80"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class KnownText:
    """The known identifiers of one patient, ready to be compared with lines. False when there is nothing to compare."""

    __slots__ = ("_names", "_numbers", "_short")

    def __init__(self, known: KnownIdentifiers) -> None:
        words = {
            word
            for name in (
                *known.patient_names,
                *known.relatives,
                *known.physicians,
                *known.institutions,
                *known.addresses,
            )
            for word in _words(name)
        }
        self._names = {_canonical(w) for w in words if len(w) >= LEAST_FUZZY or _is_ideographic(w)}
        self._short = {w for w in words if 2 <= len(w) < LEAST_FUZZY}
        numbers = (*known.patient_ids, *known.accession_numbers, *known.other_ids, *known.phones)
        self._numbers = {c for number in numbers for part in _parts(number) if len(c := _canonical(part)) >= LEAST_ID}
        for date in (*known.birth_dates, *known.study_dates):
            self._numbers.update(map(_canonical, _renderings(date)))

    def __bool__(self) -> bool:
        return bool(self._names or self._short or self._numbers)

    def __repr__(self) -> str:
        return f"KnownText({len(self._names) + len(self._short)} words, {len(self._numbers)} numbers)"

    def is_in(self, text: str) -> bool:
        """Whether a name, number or date of the patient stands in the line, within the errors of a recogniser."""
        words = list(_words(text))
        if not self._short.isdisjoint(words):
            return True
        joined = _canonical(text)
        if not joined:
            return False
        canonical = {_canonical(word) for word in words}
        return any(_has_name(name, canonical, joined) for name in self._names) or any(
            _has_number(number, joined) for number in self._numbers
        )


def _has_name(name: str, words: Iterable[str], joined: str) -> bool:
    if name in joined:
        return True
    errors = 0 if len(name) < LEAST_FUZZY else 1 if len(name) < LEAST_FUZZY_TWO else 2
    return bool(errors) and any(
        DamerauLevenshtein.distance(name, word, score_cutoff=errors) <= errors
        for word in words
        if len(word) >= LEAST_FUZZY - 1
    )


def _has_number(number: str, joined: str) -> bool:
    if number in joined:
        return True
    if len(number) < LEAST_FUZZY_ID or len(joined) < len(number) - 1:
        return False
    return fuzz.partial_ratio(number, joined) >= 100 * (1 - 1 / len(number)) - 1e-6


def _words(text: str) -> Iterator[str]:
    """Lower-case words without accents and apostrophes."""
    for match in _WORD.finditer(_APOSTROPHES.sub("", _plain(text))):
        yield match.group()


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_MORE_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def _canonical(text: str) -> str:
    """Letters and digits only, those that recognisers mix up made one."""
    plain = _plain(text).replace("vv", "w").replace("rn", "m")
    return "".join(letter for letter in plain.translate(_CONFUSED) if letter.isalnum())


def _parts(number: str) -> Iterator[str]:
    """The number as a whole, and its long runs of digits without leading zeros: pictures leave out prefixes."""
    yield number
    for run in _LONG_RUN.findall(number):
        yield run.lstrip("0")


def _is_ideographic(word: str) -> bool:
    return len(word) >= LEAST_IDEOGRAPHS and min(word) >= _FIRST_IDEOGRAPH


def _renderings(date: str) -> Iterator[str]:
    """A DICOM date in every order, with and without padding, with two-digit years and month names; no separators."""
    try:
        day = datetime.datetime.strptime(date.strip()[:8], "%Y%m%d").date()
    except ValueError:
        return
    year, month = f"{day.year}", _MONTHS[day.month - 1]
    for years in (year, year[2:]):
        for days in {f"{day.day:02}", f"{day.day}"}:
            yield from (f"{days}{month}{years}", f"{month}{days}{years}", f"{years}{month}{days}")
            for months in {f"{day.month:02}", f"{day.month}"}:
                for written in (f"{years}{months}{days}", f"{days}{months}{years}", f"{months}{days}{years}"):
                    if len(written) >= 6:
                        yield written
