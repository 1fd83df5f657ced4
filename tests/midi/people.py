"""Made-up patients drawn from a seed, and what is written of them.

Belongs here: one patient's identifiers and the substitutes for the templates of `wording.json`.  Pools are data.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

Half = Literal["seen", "held_out"]


@cache
def pools(name: str, half: Half) -> dict[str, Any]:
    """One half of `people.json` or `wording.json`."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))[half]
    return found


@dataclass(frozen=True)
class Patient:
    """One made-up patient with a study; `charset` is the Specific Character Set the name needs."""

    family: str
    given: str
    name: str
    charset: str
    patient_id: str
    accession: str
    physician: str
    institution: str
    street: str
    phone: str
    birth: date
    study: date

    @property
    def substitutes(self) -> dict[str, str]:
        """What a template's fields stand for."""
        seen = self.study - timedelta(days=37)
        return {
            "family": self.family,
            "given": self.given,
            "initial": self.family[0],
            "physician": self.physician.split("^")[0],
            "institution": self.institution,
            "id": self.patient_id,
            "accession": self.accession,
            "us": f"{seen:%m/%d/%Y}",
            "iso": f"{seen:%Y-%m-%d}",
            "da": f"{seen:%Y%m%d}",
            "md": f"{seen.month}/{seen.day}",
        }


def patient(rng: random.Random, half: Half, *, exotic: bool) -> Patient:
    """A patient; `exotic` ones have a name that needs a Specific Character Set."""
    found = pools("people", half)
    family, given, charset = rng.choice(found["family"]), rng.choice(found["given"]), "ISO_IR 6"
    name = f"{family}^{given}" if rng.random() < 0.6 else f"{family}^{given}^{rng.choice('ABCDEHKLMR')}"
    if exotic:
        charset, name, family = rng.choice(found["sets"])
        given = name.split("=")[0].partition("^")[2] or family
    study = date(rng.randint(2003, 2022), rng.randint(1, 12), rng.randint(1, 28))
    return Patient(
        family=family,
        given=given,
        name=name,
        charset="" if charset == "ISO_IR 6" else charset,
        patient_id=rng.choice(found["ids"]) % rng.randint(100_000, 999_999),
        accession=f"{rng.choice(['ACC', 'E', 'A-'])}{rng.randint(1_000_000, 9_999_999)}",
        physician=rng.choice(found["physicians"]),
        institution=rng.choice(found["institutions"]),
        street=rng.choice(found["streets"]),
        phone=f"{rng.randint(201, 989)}-555-{rng.randint(0, 9999):04d}",
        birth=study - timedelta(days=rng.randint(8_000, 30_000)),
        study=study,
    )
