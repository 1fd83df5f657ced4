"""Identifiers in the columns of a report row.

Belongs here: which role of a column feeds which kind of `KnownIdentifiers`, and how a column's date is read.  How rows are
read is `csv_reports`' business, how records of one patient are joined that of `KnownIdentifiers.merge`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gradient_assets.deid.identifiers import KnownIdentifiers, unique
from gradient_assets.deid.text.calendar_dates import parse_date

ROLES: Final = (
    "report_id", "text", "accession_number", "patient_id", "patient_name", "patient_birth_date", "study_date",
    "referring_physician_name", "reading_physician_name", "institution_name", "patient_address", "patient_phone",
    "study_instance_uid",
)  # fmt: skip

_SEVERAL = re.compile(r"[;|\\\n]")


def identifiers_of_columns(row: Mapping[str, str], *, date_order: str = "mdy") -> KnownIdentifiers:
    """What the columns of one row say of its patient; unknown roles are ignored, blank values left out.

    Several values in one column may be separated by `;`, `|`, a backslash or a line break.  Dates become `YYYYMMDD`; one
    that can't be read stays as it is, so that it is at least found verbatim.
    """

    def several(*roles: str) -> tuple[str, ...]:
        return unique(value for role in roles for value in _SEVERAL.split(row.get(role) or ""))

    def dates(role: str) -> tuple[str, ...]:
        return unique(_as_da(value, date_order) for value in several(role))

    return KnownIdentifiers(
        patient_names=several("patient_name"),
        patient_ids=several("patient_id"),
        accession_numbers=several("accession_number"),
        birth_dates=dates("patient_birth_date"),
        study_dates=dates("study_date"),
        addresses=unique(re.sub(r"\s+", " ", row.get("patient_address") or "").split(";")),
        phones=several("patient_phone"),
        physicians=several("referring_physician_name", "reading_physician_name"),
        institutions=several("institution_name"),
        other_ids=several("report_id", "study_instance_uid"),
    )


def _as_da(value: str, date_order: str) -> str:
    parsed = parse_date(value, order=date_order)
    return f"{parsed:%Y%m%d}" if parsed else value
