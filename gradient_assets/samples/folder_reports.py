"""Invented reports about the studies of any folder of DICOM files, for trying the graph on files that came without any.

Belongs here: reading the few header elements that tie a report to a study, and writing the CSV.  The texts come from
`reports`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from gradient_assets.samples.context import Hospital, Study
from gradient_assets.samples.people import PersonName, dice
from gradient_assets.samples.reports import fill, templates
from gradient_assets.samples.studies import quiet

GENERATED_ROLES = (
    "report_id", "study_instance_uid", "accession_number", "patient_id", "patient_name", "patient_birth_date", "study_date",
    "referring_physician_name", "reading_physician_name", "institution_name", "text",
)  # fmt: skip
"""Columns of `make_reports_for`, named by their roles."""

_WANTED = (
    "StudyInstanceUID", "AccessionNumber", "PatientID", "PatientName", "PatientBirthDate", "StudyDate",
    "ReferringPhysicianName", "InstitutionName", "Modality",
)  # fmt: skip
_EXAMS = {
    "CT": "ct_chest",
    "MR": "mr_brain",
    "US": "us_abdomen",
    "CR": "chest_xray",
    "DX": "chest_xray",
    "NM": "bone_scan",
}
_UNREADABLE = (
    InvalidDicomError, OSError, ValueError, AttributeError, TypeError, KeyError, LookupError, EOFError, NotImplementedError,
)  # fmt: skip


def make_reports_for(folder_of_dicoms: Path, *, share: float, seed: int) -> bytes:
    """A CSV (UTF-8, commas, columns of `GENERATED_ROLES`) about `share` (0 to 1) of the studies found under a folder.

    Files that can't be read as DICOM, or lack a Study Instance UID, are passed over.  Texts name the patient as the header
    does; people whom the header does not name are invented.  Dates are written year first.
    """
    with quiet():
        studies = _studies_in(folder_of_dicoms)
    chosen = sorted(dice(seed, "reports for a folder").sample(sorted(studies), k=round(len(studies) * share)))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, GENERATED_ROLES)
    writer.writeheader()
    writer.writerows(_row(studies[study_uid], place, seed) for place, study_uid in enumerate(chosen))
    return buffer.getvalue().encode("utf-8")


def _studies_in(folder: Path) -> dict[str, dict[str, str]]:
    """What the first readable header of each study says, by Study Instance UID."""
    studies: dict[str, dict[str, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_WANTED, "SpecificCharacterSet"])
            header = {keyword: str(ds.get(keyword) or "").split("\\")[0].strip() for keyword in _WANTED}
        except _UNREADABLE:
            continue  # broken files are the folder's business; here they only have no report
        if header["StudyInstanceUID"]:
            studies.setdefault(header["StudyInstanceUID"], header)
    return studies


def _row(header: Mapping[str, str], place: int, seed: int) -> dict[str, str]:
    """One row by roles about a study of which only the header is known."""
    study = _study_of(header, seed)
    return {
        "report_id": f"GEN{place:05d}",
        "study_instance_uid": study.study_uid,
        "accession_number": header["AccessionNumber"],
        "patient_id": header["PatientID"],
        "patient_name": study.patient.name.comma.strip(", "),
        "patient_birth_date": f"{study.patient.birth_date:%Y-%m-%d}",
        "study_date": f"{study.day:%Y-%m-%d}",
        "referring_physician_name": study.referrer.comma.strip(", "),
        "reading_physician_name": study.reader.comma,
        "institution_name": header["InstitutionName"],
        "text": fill(study, templates()[place % len(templates())]),
    }


def _study_of(header: Mapping[str, str], seed: int) -> Study:
    """An invented study with everything the header knows put in its place."""
    hospital = Hospital.open("harbor-clinic", seed)
    hospital.chance = dice(seed, header["StudyInstanceUID"])
    study = Study.draw(hospital, hospital.population.patient(), _EXAMS.get(header["Modality"], "screenshot"))
    day = _day(header["StudyDate"]) or study.day
    patient = replace(
        study.patient,
        name=_name_of(header["PatientName"]) or study.patient.name,
        patient_id=header["PatientID"] or study.patient.patient_id,
        birth_date=_day(header["PatientBirthDate"]) or study.patient.birth_date,
    )
    return replace(
        study,
        patient=patient,
        study_uid=header["StudyInstanceUID"],
        accession=header["AccessionNumber"] or study.accession,
        day=day,
        prior_day=day - timedelta(days=211),
        referrer=_name_of(header["ReferringPhysicianName"]) or study.referrer,
    )


def _name_of(value: str) -> PersonName | None:
    """The name a header holds, if it has letters."""
    family, given, *_ = [part.strip() for part in value.split("=")[0].split("^")] + ["", ""]
    return PersonName(family, given) if any(letter.isalpha() for letter in family) else None


def _day(value: str) -> date | None:
    """A DA value as a date, None where it is none or a year before 1900."""
    digits = value.replace(".", "")[:8]
    try:
        found = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
    return found if found.year >= 1900 else None
