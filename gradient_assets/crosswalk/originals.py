"""Which ids of a record stand under a pseudonym behind the boundary.

Belongs here: reading them out of a row of `dicom_metadata` (the header at any depth) and of `identified_reports`.  Names,
addresses and telephone numbers get no pseudonym of their own and are not here; UIDs within free text are those of elements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradient_assets.deid.headers import is_well_known_uid
from gradient_assets.deid.identity import Pseudonymizer

Kind = Literal["patient", "uid", "accession_number", "report"]

DICOM_COLUMNS = ("work_token", "patient_id", "study_instance_uid", "accession_number", "header_json")
REPORT_COLUMNS = ("work_token", "patient_id", "study_instance_uid", "accession_number", "report_id")

_PATIENT_ID, _ACCESSION_NUMBER = "00100020", "00080050"


@dataclass(frozen=True, slots=True)
class Original:
    """One id as it was sent.  `without_id` stands for a patient that was sent without one: their study, or their report."""

    kind: Kind
    text: str = field(repr=False)
    without_id: str = field(default="", repr=False)

    def pseudonym(self, identity: Pseudonymizer) -> str:
        """What stands in its place under that key."""
        match self.kind:
            case "patient":
                return identity.person(self.text, fallback=self.without_id).pseudonym
            case "uid":
                return identity.uid(self.text)
            case "accession_number":
                return identity.accession(self.text)
            case "report":
                return identity.identifier("report", self.text)

    def shift_days(self, identity: Pseudonymizer) -> int | None:
        """Days that a patient's dates were moved by; None for all other ids."""
        return identity.person(self.text, fallback=self.without_id).shift_days if self.kind == "patient" else None


@dataclass(frozen=True, slots=True)
class Record:
    """The patient that a record is about, and every id in it, theirs first."""

    patient: Original
    originals: tuple[Original, ...] = field(repr=False)


def of_header(row: Mapping[str, Any]) -> Record:
    """Of a row of `dicom_metadata` with `DICOM_COLUMNS`."""
    study = row["study_instance_uid"] or ""
    patient = _patient(row["patient_id"], study)
    found = {patient: None}
    if row["accession_number"]:
        found[Original("accession_number", row["accession_number"])] = None
    for one in _of_elements(json.loads(row["header_json"])):
        found[one] = None
    return Record(patient, tuple(found))


def of_report(row: Mapping[str, Any]) -> Record:
    """Of a row of `identified_reports` with `REPORT_COLUMNS`."""
    study = row["study_instance_uid"] or ""
    patient = _patient(row["patient_id"], study or f"report {row['report_id']}")
    found = {patient: None, Original("report", row["report_id"]): None}
    if row["accession_number"]:
        found[Original("accession_number", row["accession_number"])] = None
    if study and not is_well_known_uid(study):
        found[Original("uid", study)] = None
    return Record(patient, tuple(found))


def _patient(patient_id: str | None, without_id: str) -> Original:
    # Blanks and zero bytes alone are no id to `Pseudonymizer.person` either.
    if (patient_id or "").strip().rstrip("\0").strip():
        return Original("patient", patient_id or "")
    return Original("patient", "", without_id)


def _of_elements(elements: Mapping[str, Any]) -> Iterator[Original]:
    for tag, element in elements.items():
        vr = element.get("vr")
        for value in element.get("Value", ()):
            if vr == "SQ" and isinstance(value, dict):
                yield from _of_elements(value)
            elif not isinstance(value, str) or not value.strip(" \0"):
                continue
            elif vr == "UI" and not is_well_known_uid(value):
                yield Original("uid", value)
            elif tag == _PATIENT_ID:  # another id of the patient's, or another patient's
                yield Original("patient", value)
            elif tag == _ACCESSION_NUMBER:
                yield Original("accession_number", value)
