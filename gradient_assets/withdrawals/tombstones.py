"""Who is withdrawn, without saying who: keyed digests, and the question whether a header or a report row is one of theirs.

Belongs here: what is compared and how it is folded.  Where digests are kept is `register`'s business.  Workers get this
object: it holds a key of its own, from which no pseudonym can be derived, and no id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gradient_assets.deid.identifiers import KnownIdentifiers, joined_patient_id
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import identifiers_of_columns

PATIENT: Final = "patient"
ACCESSION: Final = "accession"
STUDY: Final = "study"

_SHORTEST_DISTINCTIVE = 4
"""Letters and digits of an accession number below which it may stand for anybody (`0`, `12`, `N/A`)."""

_SHORTEST_IN_KEY = 5
"""The same for a patient id that is looked for in an object's key: a folder `2019` names a year."""

_PARTS_OF_KEY = re.compile(r"[^/]+")
_COLUMNS = ("patient_id", "accession_number", "report_id", "study_instance_uid")


@dataclass(frozen=True)
class Tombstones:
    """The digests of one hospital, under each version of its key that they were made with."""

    digests: frozenset[str] = field(default=frozenset(), repr=False)
    digesters: tuple[Pseudonymizer, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def covers(self, kind: str, value: str | None) -> bool:
        """Whether this patient id, accession number or Study Instance UID is a withdrawn patient's."""
        folded = _folded(kind, value)
        return bool(folded) and any(digester.token(kind, folded) in self.digests for digester in self.digesters)

    def covers_header(self, row: Mapping[str, Any], known: KnownIdentifiers) -> bool:
        """Whether a header is a withdrawn patient's: by any patient id in it, its accession numbers or its study."""
        return bool(self.digests) and self._covers(row, known)

    def covers_report(self, row: Mapping[str, Any]) -> bool:
        """The same for a row of reports, by its columns."""
        return bool(self.digests) and self._covers(row, report_identifiers(row))

    def names_in_key(self, object_key: str) -> bool:
        """Whether a part of the object's key is a withdrawn patient's id: all that is known of an unreadable object."""
        if not self.digests:
            return False
        parts = _PARTS_OF_KEY.findall(object_key)
        candidates = {*parts, *(part.rpartition(".")[0] for part in parts)}
        return any(
            sum(sign.isalnum() for sign in candidate) >= _SHORTEST_IN_KEY and self.covers(PATIENT, candidate)
            for candidate in candidates
        )

    def _covers(self, row: Mapping[str, Any], known: KnownIdentifiers) -> bool:
        return (
            any(self.covers(PATIENT, value) for value in patient_ids(row, known))
            or any(self.covers(ACCESSION, value) for value in accession_numbers(row, known))
            or self.covers(STUDY, row["study_instance_uid"])
        )


def digester(key: SecretKey, hospital_id: str) -> Pseudonymizer:
    """What makes the digests of one hospital: a key for this purpose alone."""
    return Pseudonymizer(key.derive("withdrawals"), hospital_id)


def digest(by: Pseudonymizer, kind: str, value: str) -> str:
    """The digest of one value, or nothing if the value says nothing."""
    folded = _folded(kind, value)
    return by.token(kind, folded) if folded else ""


def patient_ids(row: Mapping[str, Any], known: KnownIdentifiers) -> Iterator[str]:
    """Every patient id that a record names: its own, and other ids of the same patient."""
    yield from (row["patient_id"] or "", *known.patient_ids)


def accession_numbers(row: Mapping[str, Any], known: KnownIdentifiers) -> Iterator[str]:
    """Every accession number that a record names."""
    yield from (row["accession_number"] or "", *known.accession_numbers)


def report_identifiers(row: Mapping[str, Any]) -> KnownIdentifiers:
    """What the columns of a report say; several ids may stand in one column."""
    return identifiers_of_columns({name: row[name] or "" for name in _COLUMNS if name in row})


def says(kind: str, value: str | None) -> bool:
    """Whether a value can stand for one patient or study at all."""
    return bool(_folded(kind, value))


def is_named(values: Iterable[str]) -> bool:
    """Whether any of the patient ids says something."""
    return any(says(PATIENT, value) for value in values)


def _folded(kind: str, value: str | None) -> str:
    if kind == PATIENT:
        return joined_patient_id(value)
    stripped = (value or "").strip(" \x00").casefold()
    if kind == ACCESSION and sum(sign.isalnum() for sign in stripped) < _SHORTEST_DISTINCTIVE:
        return ""
    return stripped
