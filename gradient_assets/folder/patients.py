"""What is known of each patient, gathered over the headers of all files and the rows of the CSV files.

Belongs here: whose record a file or a row belongs to: by patient id, else by Study Instance UID, else by accession number.
Identified data; held in memory for the run and never written.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from gradient_assets.deid.identifiers import KnownIdentifiers

_NOTHING = KnownIdentifiers()


@dataclass(frozen=True, slots=True, repr=False)
class Belonging:
    """What ties a file or a row to a patient; blank where it is not known."""

    patient_id: str = ""
    study_uid: str = ""
    accession_number: str = ""


@dataclass(repr=False)
class Patients:
    """Known identifiers by patient."""

    _known: dict[str, KnownIdentifiers] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _of_study: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _of_accession: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _seen: dict[str, set[KnownIdentifiers]] = field(default_factory=lambda: defaultdict(set))

    def add(self, belonging: Belonging, found: KnownIdentifiers) -> None:
        """Take in what one file or row says.  What belongs to nobody by any of the three stands by itself and is left out."""
        for patient in self._patients(belonging):
            self._note(patient, belonging)
            # Headers of a series say the same a hundred times: merging each would cost the square of their number.
            if found not in self._seen[patient]:
                self._seen[patient].add(found)
                self._known[patient] = self._known.get(patient, _NOTHING).merge(found)

    def of(self, belonging: Belonging, own: KnownIdentifiers = _NOTHING) -> KnownIdentifiers:
        """What the file or row says by itself, and everything known of its patient."""
        linked = self._of_study.get(belonging.study_uid.strip(), set()) | self._of_accession.get(
            _folded(belonging.accession_number), set()
        )
        nameless = {patient for patient in linked if patient.startswith("\x00")}
        patients = sorted({*self._patients(belonging), *nameless})
        known = [self._known[patient] for patient in patients if patient in self._known]
        return own.merge(*known) if known else own

    def patient_id(self, belonging: Belonging) -> str:
        """The patient id of a file or row: its own, else that of the only patient with its study or accession number."""
        if belonging.patient_id.strip():
            return belonging.patient_id
        ids = {self._ids[patient] for patient in self._patients(belonging) if patient in self._ids}
        return ids.pop() if len(ids) == 1 else ""

    def _patients(self, belonging: Belonging) -> list[str]:
        if patient := _folded(belonging.patient_id):
            return [patient]
        study, accession = belonging.study_uid.strip(), _folded(belonging.accession_number)
        by_link = self._of_study.get(study, set()) | self._of_accession.get(accession, set())
        if by_link:
            return sorted(by_link)
        # \x00 keeps these names apart from any patient id.
        if study:
            return [f"\x00study {study}"]
        return [f"\x00accession {accession}"] if accession else []

    def _note(self, patient: str, belonging: Belonging) -> None:
        if belonging.patient_id.strip():
            self._ids.setdefault(patient, belonging.patient_id)
        if study := belonging.study_uid.strip():
            self._of_study[study].add(patient)
        if accession := _folded(belonging.accession_number):
            self._of_accession[accession].add(patient)


def _folded(value: str) -> str:
    """As `identity` compares ids: blanks around them and letter case do not matter."""
    return value.strip().rstrip("\x00").strip().casefold()
