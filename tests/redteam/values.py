"""Identifiers of people who never lived, one for each line of the plan, and the forms in which a leak would show.

Belongs here: making values.  They depend on the seed alone.  Numbers are from ranges that are not given out where there are
such ranges (telephone exchange 555, social security numbers from 900, example domains, private networks).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

SEED = 20260107
_HEADS = ("Qua", "Zor", "Xan", "Vel", "Bry", "Thu", "Kro", "Jux", "Wim", "Pho", "Gry", "Nax")
_MIDDLES = ("dra", "lim", "vor", "zen", "kut", "pel", "rix", "mon", "tav", "gul")
_TAILS = ("quist", "bergh", "zewski", "ovanu", "thwick", "lander", "polsky", "idze", "nagel", "worth")
_GIVEN = ("Brunhild", "Osric", "Tamsin", "Evander", "Leocadia", "Quentin", "Philippa", "Anselm", "Rosalba", "Thaddeus")
_STREETS = ("Lane", "Street", "Avenue", "Road")
_TOWNS = ("Zarnhausen", "Port Quilby", "East Xanver", "Velmorton")
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


@dataclass(frozen=True)
class Value:
    """One identifier: as it is written, its other spellings by name, and what to search for."""

    written: str
    needles: frozenset[str]
    spellings: dict[str, str] = field(default_factory=dict)

    def fill(self, template: str) -> str:
        """The template of the plan with this value in it."""
        compact = "".join(sign for sign in self.written if sign.isalnum())
        return template.format(v=self.written, V=self.written.upper(), c=compact, **self.spellings)


def _family(rng: random.Random, number: int) -> str:
    # The number picks head and middle: no two lines of the plan share a family name.
    return _HEADS[number % 12] + _MIDDLES[number // 12 % 10] + _MIDDLES[number // 120] + rng.choice(_TAILS)


def _person(rng: random.Random, number: int) -> Value:
    family, given = _family(rng, number), rng.choice(_GIVEN)
    return Value(
        f"{given} {family}",
        frozenset({family}),
        {"f": family, "p": f"{family}^{given}", "b": f"{family[:4]}-\n{family[4:]}"},
    )


def _address(rng: random.Random, number: int) -> Value:
    street = f"{rng.randint(110, 9899)} {_family(rng, number)} {rng.choice(_STREETS)}"
    return Value(f"{street}, {rng.choice(_TOWNS)}", frozenset({street, street.split()[1]}))


def _date(rng: random.Random, number: int) -> Value:
    # Days of the 1930s and 1940s: no date that the profile moves comes there.
    day = date(1931, 1, 1) + timedelta(days=rng.randint(0, 6500))
    while day.day < 13:
        day += timedelta(days=1)
    words, roman = f"{day:%B} {day.day}, {day.year}", f"{day.day}.{_ROMAN[day.month - 1]}.{day.year}"
    forms = {f"{day:%Y%m%d}", f"{day:%m/%d/%Y}", f"{day:%Y-%m-%d}", words, roman, f"{day.day} {day:%B %Y}"}
    return Value(f"{day:%m/%d/%Y}", frozenset(forms), {"da": f"{day:%Y%m%d}", "words": words, "roman": roman})


def _phone(rng: random.Random, number: int) -> Value:
    area, line = rng.randint(620, 989), rng.randint(1000, 9999)
    digits = f"{area}555{line}"
    return Value(f"({area}) 555-{line}", frozenset({digits}), {"dotted": f"{area}.555.{line}"})


def _email(rng: random.Random, number: int) -> Value:
    family = _family(rng, number).lower()
    spoken = f"{family} at vanhost dot example"
    return Value(f"{family}@vanhost.example", frozenset({family}), {"spoken": spoken})


def _ssn(rng: random.Random, number: int) -> Value:
    text = f"{rng.randint(900, 999)}-{rng.randint(10, 49)}-{rng.randint(1000, 9999)}"
    return Value(text, frozenset({text}))


def _uid(rng: random.Random, number: int) -> Value:
    record = str(rng.randint(10**8, 10**9 - 1))
    return Value(f"1.2.826.0.1.3680043.10.77.{record}.{number + 1}", frozenset({record}))


def _url(rng: random.Random, number: int) -> Value:
    record = str(rng.randint(10**8, 10**9 - 1))
    return Value(f"https://pacs.vanhost.example/p/{record}", frozenset({record}))


def _ip(rng: random.Random, number: int) -> Value:
    text = ".".join(str(part) for part in (10, rng.randint(100, 254), rng.randint(100, 254), rng.randint(10, 99)))
    return Value(text, frozenset({text}))


def _vehicle(rng: random.Random, number: int) -> Value:
    letters = "".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3))
    plate = f"{letters}-{rng.randint(1000, 9999)}"
    vin = f"1ZV{letters}{rng.randint(10**10, 10**11 - 1)}"
    return Value(plate, frozenset({plate, vin}), {"vin": vin})


def _coded(form: str):
    """Values of a fixed form with `#` for a digit and `?` for a letter."""

    def make(rng: random.Random, number: int) -> Value:
        text = "".join(
            str(rng.randint(1, 9)) if sign == "#" else rng.choice("BCDFGHJKLMNPQRTVWXZ") if sign == "?" else sign
            for sign in form
        )
        return Value(text, frozenset({text}))

    return make


_MAKERS = {
    "name": _person,
    "address": _address,
    "date": _date,
    "phone": _phone,
    "fax": _phone,
    "email": _email,
    "ssn": _ssn,
    "mrn": _coded("########"),
    "health_plan": _coded("?#?######"),
    "account": _coded("#########"),
    "license": _coded("?#######"),
    "vehicle": _vehicle,
    "device": _coded("?##?#####"),
    "url": _url,
    "ip": _ip,
    "biometric": _coded("?#?####?#"),
    "photo": _coded("IMG#######"),
    "other": _coded("?########"),
    "relative": _person,
    "staff": _person,
    "uid": _uid,
}
KINDS = tuple(_MAKERS)


def value_of(kind: str, number: int) -> Value:
    """The identifier of that line of the plan."""
    return _MAKERS[kind](random.Random(SEED * 1000 + number), number)
