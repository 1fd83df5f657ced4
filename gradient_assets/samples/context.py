"""What one object is about: its hospital, patient, study and place in the bucket.

Belongs here: the small records that recipes are carried out with, and drawing the numbers of a study.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from gradient_assets.samples.people import (
    FIRST_STUDY,
    STUDY_SPAN_DAYS,
    Patient,
    PersonName,
    Population,
    dice,
    table,
)
from gradient_assets.samples.planted import PlantedList

_UID_ROOT = "1.2.826.0.1.3680043.8.498"
"""Root under which anybody may make UIDs (pydicom's); real roots belong to somebody."""


@dataclass
class Hospital:
    """One sample hospital while it is being made."""

    id: str
    habits: dict[str, Any]
    population: Population
    planted: PlantedList
    chance: random.Random
    referrers: list[PersonName]
    readers: list[PersonName]

    @classmethod
    def open(cls, hospital_id: str, seed: int, arrival: int | None = None) -> Hospital:
        """The hospital `hospital_id` of `tables/habits.yaml` with its people for this seed.

        With `arrival`, the same hospital at a later time: the same staff sees other patients.
        """
        hospitals = table("habits")["hospitals"]
        place = list(hospitals).index(hospital_id)
        habits = hospitals[hospital_id]
        population = Population(seed, hospital_id, place, habits["id_form"])
        referrers, readers = ([population.staff() for _ in range(count)] for count in (5, 4))
        if arrival is not None:
            population = Population(seed, hospital_id, place, habits["id_form"], arrival)
        return cls(
            id=hospital_id,
            habits=habits,
            population=population,
            planted=PlantedList(hospital_id),
            chance=dice(seed, hospital_id, "studies", *([] if arrival is None else [arrival])),
            referrers=referrers,
            readers=readers,
        )

    def uid(self) -> str:
        """A new UID, under 64 characters."""
        return f"{_UID_ROOT}.{self.habits['number']}{self.chance.getrandbits(96)}.{self.chance.randrange(10, 99)}"


@dataclass
class Study:
    """One examination of one patient."""

    hospital: Hospital
    patient: Patient
    exam: dict[str, Any]
    study_uid: str
    accession: str
    day: date
    hour: str
    prior_day: date
    prior_accession: str
    referrer: PersonName
    reader: PersonName
    nurse: PersonName
    series: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """SOP Instance UIDs made so far."""

    @classmethod
    def draw(cls, hospital: Hospital, patient: Patient, exam: str) -> Study:
        """A new study of `patient`; `exam` is a key of `tables/exams.yaml`."""
        chance = hospital.chance
        day = FIRST_STUDY + timedelta(days=chance.randrange(STUDY_SPAN_DAYS))
        form: str = hospital.habits["accession_form"]
        return cls(
            hospital=hospital,
            patient=patient,
            exam=table("exams")[exam],
            study_uid=hospital.uid(),
            accession=form.format(chance.randrange(10_000_000, 99_999_999)),
            day=day,
            hour=f"{chance.randrange(7, 19):02d}{chance.randrange(60):02d}{chance.randrange(60):02d}",
            prior_day=day - timedelta(days=chance.randrange(90, 900)),
            prior_accession=form.format(chance.randrange(10_000_000, 99_999_999)),
            referrer=chance.choice(hospital.referrers),
            reader=chance.choice(hospital.readers),
            nurse=hospital.population.staff(),
        )

    def new_uid_for(self, old: str) -> str:
        """The UID that stands for `old` of the base file everywhere in this study."""
        return self.uids.setdefault(old, self.hospital.uid())

    def series_uid(self, name: str) -> str:
        """The Series Instance UID of the series called `name` in the recipe."""
        return self.series.setdefault(name, self.hospital.uid())


@dataclass
class Instance:
    """One object of a study: what it will be called, and how to note what is planted in it."""

    study: Study
    number: int
    sop_uid: str
    key: str

    def plant(self, kind: str, value: str, where: str, *, ambiguous: bool = False) -> str:
        """Note that `value` stands at `where` in this object; returns the value, so that it can be used in place."""
        self.study.hospital.planted.add(kind, value, where, self.key, ambiguous=ambiguous)
        return value

    def plant_name(self, where: str, written: str, name: PersonName, kind: str = "NAME") -> str:
        """Note a name as written and its parts that tell by themselves; returns `written`."""
        self.plant(kind, written, where, ambiguous=name.ambiguous and " " not in written and "^" not in written)
        for part in (name.family, name.given):
            if part.casefold() in written.casefold():
                self.plant(kind, part, where, ambiguous=name.ambiguous)
        return written

    def plant_id(self, where: str) -> str:
        """Note the patient's id; bare digits may stand in an output by chance."""
        patient = self.study.patient
        return self.plant("ID", patient.patient_id, where, ambiguous=patient.id_is_digits)

    def plant_date(self, where: str, written: str, *, birth: bool = False) -> str:
        """Note a date.  Eight bare digits, and any day of a study, may stand in an output by chance."""
        kind = "BIRTH_DATE" if birth else "STUDY_DATE"
        return self.plant(kind, written, where, ambiguous=not birth or written.isdigit())
