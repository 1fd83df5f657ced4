"""What is known of hospitals, as the verification searches for it: from headers, report columns and the crosswalk.

Belongs here: which sources there are, and building each index once per content of them.  The crosswalk remembers ids of
objects that are gone from bucket and tables.  UIDs are not searched for: `profile` compares each with the one that was sent,
and a table of them would be ten times as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from gradient_assets.crosswalk import Entry, HospitalKeys, opened
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.deid.verify.names import people
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.known import gather
from gradient_assets.tables import CROSSWALK, DICOM_METADATA, IDENTIFIED_REPORTS
from resources import Resources

SOURCES = (DICOM_METADATA, IDENTIFIED_REPORTS, CROSSWALK)


def index_of(resources: Resources, hospitals: Iterable[Hospital]) -> IdentifierIndex:
    """Every identifier known for these hospitals; built once per content of the identified tables.

    Raises `CrosswalkError`, and what the vault and the warehouse raise.
    """
    return _index(_Known.of(resources, hospitals))


def name_parts_of(resources: Resources, hospitals: Iterable[Hospital]) -> frozenset[str]:
    """Every part of a patient's name at these hospitals."""
    return _name_parts(_Known.of(resources, hospitals))


@dataclass(frozen=True, eq=False)
class _Known:
    """Two of them are equal when the tables hold the same."""

    resources: Resources
    hospitals: tuple[Hospital, ...]
    digests: tuple[str, ...]

    @classmethod
    def of(cls, resources: Resources, hospitals: Iterable[Hospital]) -> _Known:
        every = tuple(hospitals)
        digests = (resources.warehouse.content_digest(spec, one.id) for one in every for spec in SOURCES)
        return cls(resources, every, tuple(digests))

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self._content == other._content

    @property
    def _content(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(hospital.id for hospital in self.hospitals), self.digests

    def everyone(self) -> Iterator[KnownIdentifiers]:
        """Headers and columns, joined by patient."""
        for hospital in self.hospitals:
            yield from gather(self.resources.warehouse, hospital.id).everyone()

    def remembered(self) -> Iterator[KnownIdentifiers]:
        """What the crosswalk holds."""
        for hospital in self.hospitals:
            if hospital.id in self.resources.warehouse.partitions(CROSSWALK):
                keys = HospitalKeys.of(self.resources, hospital)
                entries = opened(self.resources.warehouse, keys, ("patient", "accession_number", "report"))
                yield from (_known_by(entry) for entry in entries)


def _known_by(entry: Entry) -> KnownIdentifiers:
    text = (entry.original.text,)
    match entry.original.kind:
        case "patient":
            return KnownIdentifiers(patient_ids=text)
        case "accession_number":
            return KnownIdentifiers(accession_numbers=text)
        case _:
            return KnownIdentifiers(other_ids=text)


@lru_cache(maxsize=4)
def _index(known: _Known) -> IdentifierIndex:
    return IdentifierIndex.build(one for source in (known.everyone(), known.remembered()) for one in source)


@lru_cache(maxsize=4)
def _name_parts(known: _Known) -> frozenset[str]:
    values = (value for one in known.everyone() for value in one.patient_names)
    return frozenset(part for value in values for name in people(value) for part in name.parts)
