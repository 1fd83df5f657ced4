"""Under which keyed names withdrawn patients stand in our tables: looked up before anything is removed.

Belongs here: reading the two identified tables for what is the patients', and deriving the names in every scope (the
hospital's own, and each recipient's), under every version of the keys.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradient_assets.deid.headers import is_well_known_uid, replaced_uid
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS, TableSpec
from gradient_assets.withdrawals.register import Traces
from gradient_assets.withdrawals.tombstones import (
    ACCESSION,
    PATIENT,
    STUDY,
    Tombstones,
    accession_numbers,
    is_named,
    patient_ids,
    report_identifiers,
    says,
)
from resources.warehouses.warehouse import Warehouse

HEADER_COLUMNS = (
    "patient_id",
    "accession_number",
    "study_instance_uid",
    "sop_instance_uid",
    "object_key",
    "identifiers_json",
)
RECORD_COLUMNS = ("patient_id", "accession_number", "study_instance_uid", "report_id", "object_key", "row_number")


@dataclass
class Belongings:
    """What the identified tables say is the patients'.  Identified data: it lives in one process's memory only."""

    wanted: frozenset[str] = field(default=frozenset(), repr=False)
    patient_ids: set[str] = field(default_factory=set, repr=False)
    accession_numbers: set[str] = field(default_factory=set, repr=False)
    studies: set[str] = field(default_factory=set, repr=False)
    headers: list[dict[str, Any]] = field(default_factory=list, repr=False)
    reports: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def values(self) -> Iterator[tuple[str, str]]:
        """Kind and value of all that gets a tombstone."""
        yield from ((PATIENT, value) for value in self.wanted | self.patient_ids)
        yield from ((ACCESSION, value) for value in self.accession_numbers)
        yield from ((STUDY, value) for value in self.studies)

    def traces(self, identities: Collection[Pseudonymizer]) -> Traces:
        """Their keyed names in one scope, under each of these versions of its key."""
        found: dict[str, set[str]] = defaultdict(set)
        for identity in identities:
            found["patients"].update(map(identity.patient, self.wanted | self.patient_ids))
            found["accessions"].update(map(identity.accession, self.accession_numbers))
            found["studies"].update(identity.uid(uid) for uid in self.studies if not is_well_known_uid(uid))
            for row in self.headers:
                found["objects"].add(identity.token("object", row["object_key"]))
                if not is_well_known_uid(row["sop_instance_uid"]):
                    found["instances"].add(replaced_uid(row["sop_instance_uid"], identity.uid))
                if not is_named((row["patient_id"] or "",)) and row["study_instance_uid"]:
                    # The pseudonym of an object without patient id stands for its study alone.
                    found["patients"].add(identity.person("", fallback=row["study_instance_uid"]).pseudonym)
            for row in self.reports:
                found["reports"].add(identity.identifier("report", row["report_id"]))
                found["records"].add(f"{identity.token('object', row['object_key'])}#{row['row_number']}")
        return Traces(**{kind: frozenset(names) for kind, names in found.items()})


def belongings(warehouse: Warehouse, hospital_id: str, tombstones: Tombstones, wanted: Iterable[str]) -> Belongings:
    """All that is the patients' whose ids are covered by the tombstones, and the ids as they were given.

    Accession numbers and studies count as theirs when no record names another patient beside them: an accession number that
    two patients share says nothing of either.
    """
    found = Belongings(frozenset(wanted))
    others: dict[str, set[str]] = {ACCESSION: set(), STUDY: set()}
    for row, known in _records(warehouse, hospital_id):
        ids = [one for one in patient_ids(row, known) if one.strip()]
        theirs = [one for one in ids if tombstones.covers(PATIENT, one)]
        found.patient_ids.update(theirs)
        if not theirs and not is_named(ids):
            continue
        accessions = {one for one in accession_numbers(row, known) if says(ACCESSION, one)}
        studies = {one for one in (row["study_instance_uid"] or "",) if says(STUDY, one)}
        for kind, values, target in (
            (ACCESSION, accessions, found.accession_numbers),
            (STUDY, studies, found.studies),
        ):
            (target if theirs else others[kind]).update(values)
    found.accession_numbers -= others[ACCESSION]
    found.studies -= others[STUDY]
    return found


def collect(warehouse: Warehouse, hospital_id: str, tombstones: Tombstones, found: Belongings) -> None:
    """Add the records themselves: every header and report row that the tombstones cover."""
    for row in _rows(warehouse, DICOM_METADATA, hospital_id, HEADER_COLUMNS):
        if tombstones.covers_header(row, header_identifiers(row)):
            found.headers.append({name: row[name] for name in HEADER_COLUMNS if name != "identifiers_json"})
    for row in _rows(warehouse, IDENTIFIED_REPORTS, hospital_id, RECORD_COLUMNS):
        if tombstones.covers_report(row):
            found.reports.append(row)


def header_identifiers(row: Mapping[str, Any]) -> KnownIdentifiers:
    """What the row's header says that identifies."""
    return KnownIdentifiers.from_dict(json.loads(row["identifiers_json"]))


def _records(warehouse: Warehouse, hospital_id: str) -> Iterator[tuple[dict[str, Any], KnownIdentifiers]]:
    for row in _rows(warehouse, DICOM_METADATA, hospital_id, HEADER_COLUMNS):
        yield row, header_identifiers(row)
    for row in _rows(warehouse, IDENTIFIED_REPORTS, hospital_id, RECORD_COLUMNS):
        yield row, report_identifiers(row)


def _rows(
    warehouse: Warehouse, spec: TableSpec, hospital_id: str, columns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    for batch in warehouse.scan(spec, hospital_id, columns=columns):
        yield from batch.to_pylist()
