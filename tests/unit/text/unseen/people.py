"""Who occurs in a generated report, and how a name is written there.

Belongs here: drawing people who never lived from `names.json`, and the forms of a name, each under the class name that
the scorer shows.  Dates are `dates.py`'s, numbers and places `marks.py`'s.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

NAMES: dict[str, Any] = json.loads((Path(__file__).parent / "names.json").read_text(encoding="utf-8"))
FAMILIES = (
    3  # families of seeds; each draws from its own third of the names, so that a rule fits no seed but by being right
)


@dataclass(frozen=True)
class Name:
    """One person's name; `middle` is one letter or empty."""

    given: str
    family: str
    middle: str

    @property
    def dicom(self) -> str:
        """`FAMILY^GIVEN^M`, capitals, without diacritics, as most exports have it."""
        return folded(f"{self.family}^{self.given}^{self.middle}".rstrip("^")).upper()


def folded(text: str) -> str:
    """Without diacritics; letters that don't decompose are written as two or one of ASCII."""
    pairs = {
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "ß": "ss",
        "đ": "d",
        "Đ": "D",
        "ı": "i",
        "Þ": "Th",
        "þ": "th",
        "ð": "d",
    }
    plain = "".join(pairs.get(letter, letter) for letter in text)
    return "".join(letter for letter in unicodedata.normalize("NFD", plain) if not unicodedata.combining(letter))


def draw_name(rng: Random, seed_family: int, sex: str) -> Name:
    """A name from the third of the lists that belongs to `seed_family`; every fifth family name is a word."""
    given = _third(NAMES["given_f" if sex == "F" else "given_m"], seed_family)
    families = _third(NAMES["family_words" if rng.random() < 0.2 else "family"], seed_family)
    return Name(
        rng.choice(given), rng.choice(families), rng.choice("ABCDEFGHJKLMNPRSTVW") if rng.random() < 0.6 else ""
    )


def _third(names: list[str], seed_family: int) -> list[str]:
    return names[seed_family % FAMILIES :: FAMILIES]


def _typo(rng: Random, word: str) -> str:
    """One slip of the finger in the longest part: two letters swapped, one doubled, dropped or another."""
    longest = max(word.split(" "), key=len)
    if longest != word:
        return word.replace(longest, _typo(rng, longest))
    if len(word) < 5:
        return word + word[-1]
    at = rng.randrange(1, len(word) - 2)
    slips = [
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1 :],
        word[:at] + ("e" if word[at] != "e" else "a") + word[at + 1 :],
    ]
    slip = rng.choice(slips)
    return slip if slip != word else slips[1]


def _initials(name: Name, separator: str = "") -> str:
    letters = [name.given[0], *name.middle, name.family.replace("'", "")[0].upper()]
    return separator.join(letters) + separator.rstrip(" ")


def _nickname(name: Name) -> str:
    given = folded(name.given)
    return str(NAMES["nicknames"].get(given, given))


def _half(name: Name) -> str:
    """Half of a compound family name, else the whole."""
    for separator in ("-", " "):
        parts = name.family.split(separator)
        if len(parts) > 1:
            return parts[0] if len(parts[0]) > 3 else parts[-1]
    return name.family


FORMS: dict[str, Callable[[Name, Random], str]] = {
    "full": lambda n, _: f"{n.given} {n.family}",
    "full-middle": lambda n, _: f"{n.given} {n.middle}. {n.family}" if n.middle else f"{n.given} {n.family}",
    "family-given": lambda n, _: f"{n.family}, {n.given}",
    "family-given-middle": lambda n, _: f"{n.family}, {n.given} {n.middle}".rstrip(),
    "family-given-tight": lambda n, _: f"{n.family},{n.given}",
    "family-given-no-comma": lambda n, _: f"{n.family} {n.given}",
    "upper-family-given": lambda n, _: f"{n.family.upper()} {n.given}",
    "upper-full": lambda n, _: f"{n.given} {n.family}".upper(),
    "upper-family-comma": lambda n, _: f"{n.family}, {n.given}".upper(),
    "lower-full": lambda n, _: f"{n.given} {n.family}".lower(),
    "lower-family": lambda n, _: n.family.lower(),
    "family": lambda n, _: n.family,
    "given": lambda n, _: n.given,
    "initial-family": lambda n, _: f"{n.given[0]}. {n.family}",
    "initial-family-no-dot": lambda n, _: f"{n.given[0]} {n.family}",
    "initials-family": lambda n, _: f"{n.given[0]}.{n.middle or 'J'}. {n.family}",
    "family-initial": lambda n, _: f"{n.family}, {n.given[0]}.",
    "family-initials-no-dot": lambda n, _: f"{n.family} {n.given[0]}{n.middle}",
    "given-initial": lambda n, _: f"{n.given} {n.family[0].upper()}.",
    "initials": lambda n, _: _initials(n),
    "initials-dots": lambda n, _: _initials(n, "."),
    "initials-lower": lambda n, _: _initials(n).lower(),
    "hl7": lambda n, _: f"{n.family}^{n.given}^{n.middle}".rstrip("^").upper(),
    "hl7-folded": lambda n, _: n.dicom,
    "folded-full": lambda n, _: folded(f"{n.given} {n.family}"),
    "folded-family": lambda n, _: folded(n.family),
    "typo-family": lambda n, r: _typo(r, n.family),
    "typo-given": lambda n, r: f"{_typo(r, n.given)} {n.family}",
    "typo-full": lambda n, r: f"{n.given} {_typo(r, n.family)}",
    "nickname": lambda n, _: _nickname(n),
    "nickname-full": lambda n, _: f"{_nickname(n)} {n.family}",
    "half-family": lambda n, _: _half(n),
    "line-break": lambda n, _: f"{n.given}\n{n.family}",
    "login": lambda n, _: (folded(n.given)[0] + "".join(c for c in folded(n.family) if c.isalpha())[:7]).lower(),
    "login-upper": lambda n, r: (
        "".join(c for c in folded(n.family) if c.isalpha())[:6].upper() + str(r.randrange(10, 99))
    ),
}
