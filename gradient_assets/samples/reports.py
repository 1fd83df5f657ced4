"""Radiology reports about the sample studies, and the CSV exports that hold them.

Belongs here: filling `tables/templates.txt`, which notes what it writes, and writing CSV in a hospital's habits.  Sentences
about the examination come from `tables/exams.yaml` and hold nobody's identifiers.  Reports about a folder of files that
somebody else made are `folder_reports`' business.
"""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from gradient_assets.samples.context import Study
from gradient_assets.samples.people import OLDEST_TOLD, PersonName, age_at, dice, table, written_dates
from gradient_assets.samples.planted import PlantedList


@dataclass(frozen=True, slots=True)
class Phrase:
    """One value that a template may ask for; `kind` is empty where it identifies nobody."""

    text: str
    kind: str = ""
    name: PersonName | None = None
    ambiguous: bool = False


@cache
def templates() -> tuple[str, ...]:
    """All report templates, in the order of the file."""
    text = (files("gradient_assets.samples") / "tables" / "templates.txt").read_text(encoding="utf-8")
    return tuple(part.strip("\n") for part in text.split("\n%%\n"))


def write_report(study: Study, number: int, key: str) -> str:
    """The text of one report, from template `number` (wrapping round); what it gives away is noted under `key`."""
    template = templates()[number % len(templates())]
    phrases = phrases_of(study)
    for _, field, _, _ in string.Formatter().parse(template):
        if field and phrases[field].kind:
            _note(phrases[field], study.hospital.planted, key, "report_text")
    return fill(study, template)


def fill(study: Study, template: str) -> str:
    """A template with the study's phrases put in; nothing is noted."""
    return template.format_map({field: phrase.text for field, phrase in phrases_of(study).items()})


def _note(phrase: Phrase, planted: PlantedList, key: str, where: str) -> None:
    """Note a phrase, and for a name also its parts."""
    planted.add(phrase.kind, phrase.text, where, key, ambiguous=phrase.ambiguous)
    if phrase.name is not None:
        for part in (phrase.name.family, phrase.name.given):
            if part.casefold() in phrase.text.casefold():
                planted.add(phrase.kind, part, where, key, ambiguous=phrase.name.ambiguous)


def phrases_of(study: Study) -> dict[str, Phrase]:
    """Everything that a template may say about a study."""
    return {**_of_the_patient(study), **_of_the_staff(study), **_of_the_dates(study), **_of_the_exam(study)}


def _of_the_patient(study: Study) -> dict[str, Phrase]:
    patient = study.patient
    name = patient.name
    age = age_at(patient.birth_date, study.day)

    def written(text: str, *, bare: bool = False) -> Phrase:
        return Phrase(text, "NAME", name, ambiguous=name.ambiguous and bare)

    return {
        "name": written(name.spoken),
        "NAME": written(name.spoken.upper()),
        "name_comma": written(name.comma),
        "NAME_COMMA": written(name.comma.upper()),
        "title_name": written(f"{patient.title} {name.spoken}"),
        "title_family": written(f"{patient.title} {name.family}"),
        "title_possessive": written(f"{patient.title} {name.family}'s"),
        "Family": written(name.family, bare=True),
        "relative": Phrase(patient.relative, "RELATIVE"),
        "mrn": Phrase(patient.patient_id, "ID", ambiguous=patient.id_is_digits),
        "other_id": Phrase(patient.other_id, "ID"),
        "address": Phrase(patient.address, "ADDRESS"),
        "patient_phone": Phrase(patient.phone, "PHONE"),
        "email": Phrase(patient.email, "EMAIL"),
        "sex": Phrase("male" if patient.sex == "M" else "female"),
        "sex_word": Phrase("man" if patient.sex == "M" else "woman"),
        "his": Phrase("his" if patient.sex == "M" else "her"),
        "age": Phrase(str(age), "AGE" if age > OLDEST_TOLD else "", ambiguous=True),
    }


def _of_the_staff(study: Study) -> dict[str, Phrase]:
    habits = study.hospital.habits
    chance = dice(study.accession, "phones")
    phone, fax = (f"({chance.choice(table('people')['area_codes'])}) 555-01{chance.randrange(100):02d}" for _ in "pf")
    phrases = {
        "phone": Phrase(phone, "PHONE"),
        "fax": Phrase(fax, "PHONE"),
        "url": Phrase(f"https://pacs.example.org/view?study={study.accession}", "URL"),
        "institution": Phrase(habits["institution"], "INSTITUTION"),
        "institution_address": Phrase(habits["institution_address"], "ADDRESS"),
    }
    for role, name in (("referrer", study.referrer), ("reader", study.reader), ("nurse", study.nurse)):
        phrases[role] = Phrase(name.spoken, "PHYSICIAN", name)
        phrases[role.upper()] = Phrase(name.spoken.upper(), "PHYSICIAN", name)
        phrases[f"{role}_family"] = Phrase(name.family, "PHYSICIAN", name)
        phrases[f"{role}_comma"] = Phrase(name.comma, "PHYSICIAN", name)
    return phrases


def _of_the_dates(study: Study) -> dict[str, Phrase]:
    order = study.hospital.habits["date_order"]
    exam, prior = written_dates(study.day, order), written_dates(study.prior_day, order)
    born = written_dates(study.patient.birth_date, order)
    return {
        "exam_date": Phrase(exam["numeric"], "STUDY_DATE", ambiguous=True),
        "exam_date_long": Phrase(exam["long"], "STUDY_DATE", ambiguous=True),
        "exam_date_dashed": Phrase(exam["dashed"], "STUDY_DATE", ambiguous=True),
        "prior_date": Phrase(prior["numeric"], "STUDY_DATE", ambiguous=True),
        "prior_date_long": Phrase(prior["long"], "STUDY_DATE", ambiguous=True),
        "dob": Phrase(born["numeric"], "BIRTH_DATE"),
        "dob_long": Phrase(born["long"], "BIRTH_DATE"),
        "accession": Phrase(study.accession, "ACCESSION"),
        "prior_accession": Phrase(study.prior_accession, "ACCESSION"),
        "time": Phrase(f"{study.hour[:2]}:{study.hour[2:4]}"),
    }


def _of_the_exam(study: Study) -> dict[str, Phrase]:
    exam = study.exam
    chance = dice(study.accession, "findings")
    findings = chance.sample(exam["findings"], k=max(1, len(exam["findings"]) - 1))
    impression = exam["impression"]
    numbered = "\n".join(f"{place}. {line}" for place, line in enumerate(impression, 1))
    texts = {
        "description": exam["description"],
        "technique": exam["technique"],
        "findings": "\n".join(findings),
        "findings_line": " ".join(findings),
        "impression": numbered,
        "impression_line": " ".join(impression),
    }
    shouted = {key.upper(): text.upper() for key, text in texts.items()}
    return {key: Phrase(text) for key, text in (texts | shouted).items()}


def report_row(study: Study, report_id: str, text: str, key: str, *, without: str = "") -> dict[str, str]:
    """One row by roles, as the hospital exports it; identifying columns are noted under `key`.

    The role `without` is left empty.
    """
    order = study.hospital.habits["date_order"]
    patient = study.patient
    phrases = phrases_of(study)
    born = Phrase(written_dates(patient.birth_date, order)["numeric"], "BIRTH_DATE")
    columns = {
        "accession_number": phrases["accession"],
        "study_instance_uid": Phrase(study.study_uid, "UID"),
        "patient_id": phrases["mrn"],
        "patient_name": phrases["name_comma"],
        "patient_birth_date": born,
        "study_date": phrases["exam_date"],
        "referring_physician_name": phrases["referrer_comma"],
        "reading_physician_name": phrases["reader_comma"],
        "institution_name": phrases["institution"],
        "patient_address": phrases["address"],
        "patient_phone": phrases["patient_phone"],
    }
    row = {"report_id": report_id, "text": text}
    for role in study.hospital.habits["report_columns"]:
        if role in columns and role != without:
            row[role] = columns[role].text
            _note(columns[role], study.hospital.planted, key, f"column:{role}")
    return row


def to_csv(rows: Iterable[Mapping[str, str]], habits: Mapping[str, Any], *, without: Sequence[str] = ()) -> bytes:
    """The rows as the hospital writes CSV; `without` names roles whose columns are left out."""
    columns = {role: column for role, column in habits["report_columns"].items() if role not in without}
    style = habits["csv"]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=style["delimiter"], lineterminator=style["line_end"])
    writer.writerow(columns.values())
    writer.writerows([row.get(role, "") for role in columns] for row in rows)
    return encode_csv(buffer.getvalue(), habits)


def encode_csv(text: str, habits: Mapping[str, Any]) -> bytes:
    """Text in the hospital's encoding; UTF-16 always little endian with a byte order mark."""
    encoding: str = habits["csv"]["encoding"]
    return b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16" else text.encode(encoding)
