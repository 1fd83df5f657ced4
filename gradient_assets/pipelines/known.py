"""Everything known to identify each patient of a hospital, gathered over headers and reports alike.

Belongs here: joining the records of `dicom_metadata` and `identified_reports` by patient id, so that a blank column in one
row does not blind the engine to what another one says.  The result never leaves the identified zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradient_assets.deid.identifiers import KnownIdentifiers, joined_patient_id
from gradient_assets.deid.text import identifiers_of_columns
from gradient_assets.hospitals import REPORT_ROLES
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS
from resources.warehouses.warehouse import Warehouse

REPORT_COLUMNS = tuple(role for role in REPORT_ROLES if role != "text")
"""Columns of `identified_reports` that say who the report is about."""


@dataclass
class HospitalIdentifiers:
    """Known identifiers of one hospital, by patient id."""

    by_patient: dict[str, KnownIdentifiers] = field(default_factory=dict)

    def of(self, patient_id: str | None, own: KnownIdentifiers) -> KnownIdentifiers:
        """What the record itself says, and what is known of the patient elsewhere."""
        key = joined_patient_id(patient_id)
        return own.merge(self.by_patient.get(key, KnownIdentifiers())) if key else own

    def everyone(self) -> Iterator[KnownIdentifiers]:
        """All records."""
        yield from self.by_patient.values()

    def add(self, patient_id: str | None, found: KnownIdentifiers, record: str) -> None:
        """Take in what one record says.  A record without a patient id stands by itself."""
        key = joined_patient_id(patient_id) or f"\x00{record}"
        known = self.by_patient.get(key)
        self.by_patient[key] = found if known is None else known.merge(found)


def gather(warehouse: Warehouse, hospital_id: str) -> HospitalIdentifiers:
    """Read both identified tables of a hospital."""
    known = HospitalIdentifiers()
    seen: set[tuple[str, str]] = set()
    columns = ("patient_id", "identifiers_json", "object_key")
    for batch in warehouse.scan(DICOM_METADATA, hospital_id, columns=columns):
        for row in batch.to_pylist():
            # The headers of a series say the same thing hundreds of times: parse each text once per patient.
            text = (row["patient_id"] or row["object_key"], row["identifiers_json"])
            if text not in seen:
                seen.add(text)
                found = KnownIdentifiers.from_dict(json.loads(row["identifiers_json"]))
                known.add(row["patient_id"], found, row["object_key"])
    for batch in warehouse.scan(IDENTIFIED_REPORTS, hospital_id, columns=(*REPORT_COLUMNS, "object_key", "row_number")):
        for row in batch.to_pylist():
            found = identifiers_of_columns({role: row[role] or "" for role in REPORT_COLUMNS})
            known.add(row["patient_id"], found, f"{row['object_key']}\x00{row['row_number']}")
    return known
