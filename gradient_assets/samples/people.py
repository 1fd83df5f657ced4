"""Invented patients and staff, and the ways in which a name, an id or a date is written.

Belongs here: who exists in a sample hospital, drawn from `tables/people.yaml` by a seed.  Where their identifiers are put
is the business of `headers`, `hiding_places`, `burn` and `reports`.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import chain, permutations
from typing import Any

import yaml

FIRST_STUDY = date(2017, 1, 9)
"""Studies lie in the seven years after this day; a shift of five years back keeps them apart from any date of birth."""
STUDY_SPAN_DAYS = 2500
YOUNGEST_BIRTH = date(1931, 2, 3)
BIRTH_SPAN_DAYS = 23_000
SURNAMES_PER_ARRIVAL = 3
OLDEST_TOLD = 89
"""Ages above identify, 45 CFR 164.514(b)(2)(i)(C)."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def dice(*names: object) -> random.Random:
    """A stream of pseudo-random numbers of its own for these names; equal names give equal numbers on any machine."""
    return random.Random("\x1f".join(map(str, names)))  # noqa: S311  samples must come out the same each time


@cache
def table(name: str) -> Any:
    """One YAML file of `tables/`."""
    return yaml.safe_load((files("gradient_assets.samples") / "tables" / f"{name}.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in its parts.  `latin_*` stand in where only Latin letters can be written (keys, burned-in text)."""

    family: str
    given: str
    middle: str = ""
    ideographic: str = ""
    phonetic: str = ""
    latin_family: str = ""
    latin_given: str = ""
    ambiguous: bool = False

    @property
    def dicom(self) -> str:
        """PN, PS3.5 6.2.1: `FAMILY^Given^M`, with further component groups after `=`."""
        alphabetic = "^".join((self.family, self.given, self.middle)).rstrip("^")
        return "=".join((alphabetic, self.ideographic, self.phonetic)).rstrip("=")

    @property
    def comma(self) -> str:
        """`Family, Given M`."""
        return f"{self.family}, {self.given} {self.middle}".strip()

    @property
    def spoken(self) -> str:
        """`Given Family`."""
        return f"{self.given} {self.family}"

    @property
    def latin(self) -> PersonName:
        """The same person in Latin letters, alphabetic group only."""
        return PersonName(
            self.latin_family or self.family, self.latin_given or self.given, self.middle, ambiguous=self.ambiguous
        )

    @property
    def plain(self) -> PersonName:
        """`latin` without accents, as scanners print it and old systems store it."""
        latin = self.latin
        return replace(latin, family=_without_accents(latin.family), given=_without_accents(latin.given))


@dataclass(frozen=True, slots=True)
class Patient:
    """One invented patient of one hospital."""

    name: PersonName
    sex: str
    birth_date: date
    patient_id: str
    other_id: str
    address: str
    street: str
    phone: str
    email: str
    relative: str
    character_set: tuple[str, ...]
    id_is_digits: bool

    @property
    def title(self) -> str:
        """Mr. or Ms."""
        return "Mr." if self.sex == "M" else "Ms."


def _without_accents(text: str) -> str:
    """Letters of Latin script as ASCII: decomposed, combining marks dropped (Ü as U, Ż as Z)."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def age_at(birth: date, on: date) -> int:
    """Completed years."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def written_dates(day: date, order: str) -> dict[str, str]:
    """The ways a day is written where `order` (mdy, dmy, ymd) is the habit; `da` is DICOM's own."""
    numeric = {"mdy": f"{day:%m/%d/%Y}", "dmy": f"{day:%d.%m.%Y}", "ymd": f"{day:%Y-%m-%d}"}[order]
    month = _MONTHS[day.month - 1]
    long = {"mdy": f"{month} {day.day}, {day.year}", "dmy": f"{day.day} {month} {day.year}"}.get(
        order, f"{day.year} {month[:3]} {day.day:02d}"
    )
    return {
        "numeric": numeric,
        "long": long,
        "dashed": f"{day.day:02d}-{month[:3].upper()}-{day.year}",
        "da": f"{day:%Y%m%d}",
    }


class Population:
    """Draws the people of one hospital; no surname is drawn twice, in any hospital."""

    def __init__(self, seed: int, hospital: str, place: int, id_form: str, arrival: int | None = None) -> None:
        """`place` is the hospital's place among the three: it decides which share of the surnames is its own.

        `id_form` writes a patient id from a number, as `SM{:07d}X`.  People of a later `arrival` (0, 1, …) come from the
        far end of the share.
        """
        self._dice = dice(seed, hospital, "people", *([] if arrival is None else [arrival]))
        self._lists: Mapping[str, Any] = table("people")
        self._id_form = id_form
        surnames = [start + end for start in self._lists["family_starts"] for end in self._lists["family_ends"]]
        dice(seed, "surnames").shuffle(surnames)
        share = surnames[place::3] if arrival is None else surnames[place::3][::-1][SURNAMES_PER_ARRIVAL * arrival :]
        doubled = (f"{first}-{second}" for first, second in permutations(share, 2))
        self._surnames: Iterator[str] = chain(share, doubled)
        self._ids = iter(self._dice.sample(range(1_000_000, 9_999_999), 2000))

    def staff(self) -> PersonName:
        """A physician, nurse or technologist."""
        given = self._dice.choice(self._lists["given_f"] + self._lists["given_m"])
        return PersonName(next(self._surnames), given, self._dice.choice(self._lists["middles"]))

    def patient(self, hard: str | None = None) -> Patient:
        """A patient; `hard` names one of the fixed ones of `tables/people.yaml`."""
        chance = self._dice
        fixed: dict[str, Any] = self._lists["hard"][hard] if hard else {}
        sex = fixed.get("sex") or chance.choice("FM")
        name = PersonName(
            fixed.get("family") or next(self._surnames),
            fixed.get("given") or chance.choice(self._lists["given_f" if sex == "F" else "given_m"]),
            fixed.get("middle", "" if hard else chance.choice(self._lists["middles"])),
            ideographic=fixed.get("ideographic", ""),
            phonetic=fixed.get("phonetic", ""),
            latin_family=fixed.get("latin_family", ""),
            latin_given=fixed.get("latin_given", ""),
            ambiguous=fixed.get("ambiguous", False),
        )
        birth = YOUNGEST_BIRTH + timedelta(days=chance.randrange(BIRTH_SPAN_DAYS))
        if "birth_year" in fixed:
            birth = birth.replace(year=fixed["birth_year"], day=min(birth.day, 28))
        street = chance.choice(self._lists["streets"])
        code = chance.choice(self._lists["area_codes"])
        patient_id = self._id_form.format(next(self._ids))
        return Patient(
            name=name,
            sex=sex,
            birth_date=birth,
            patient_id=patient_id,
            other_id=f"OLD-{next(self._ids)}-{chance.choice('KMQXZ')}",
            address=f"{chance.randrange(11, 999)} {street}, {chance.choice(self._lists['towns'])}",
            street=street,
            phone=f"({code}) 555-01{chance.randrange(100):02d}",  # 555-01xx is kept free for fiction
            email=f"{_mailbox(name.plain)}{chance.randrange(10, 99)}@mailbox.example.org",
            relative=chance.choice(self._lists["given_f"]),
            character_set=tuple(fixed.get("character_set", ())),
            id_is_digits=patient_id.isdigit(),
        )


def _mailbox(name: PersonName) -> str:
    """`given.family` in small letters, for e-mail addresses."""
    return "".join(letter for letter in f"{name.given}.{name.family}".lower() if letter.isalnum() or letter == ".")
