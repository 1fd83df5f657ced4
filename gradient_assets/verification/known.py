"""What is known of hospitals, as the verification searches for it: from headers, report columns and the crosswalk.

Belongs here: which sources there are, and building each index once per content of them.  The crosswalk remembers ids of
objects that are gone from bucket and tables.  Which UIDs a profile keeps is said by `deid.verify.profile`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from gradient_assets.crosswalk import Entry, HospitalKeys, opened
from gradient_assets.crosswalk.originals import Kind
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.deid.verify.levels import level_of_json
from gradient_assets.deid.verify.names import people
from gradient_assets.deid.verify.profile import keeps_uid
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.known import gather
from gradient_assets.tables import CROSSWALK, DICOM_METADATA, IDENTIFIED_REPORTS
from resources import Resources

SOURCES = (DICOM_METADATA, IDENTIFIED_REPORTS, CROSSWALK)

_COLUMNS = {"study_instance_uid": 0x0020000D, "series_instance_uid": 0x0020000E, "sop_instance_uid": 0x00080018}
_UID_ELEMENT = re.compile(r'\{"vr":"UI","Value":\[([^\]]*)\]')
"""As `headers.to_json_header` writes it."""
_QUOTED = re.compile(r'"([^"]*)"')


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
    profiles: tuple[Profile, ...]
    digests: tuple[str, ...]

    @classmethod
    def of(cls, resources: Resources, hospitals: Iterable[Hospital]) -> _Known:
        every = tuple(hospitals)
        digests = (resources.warehouse.content_digest(spec, one.id) for one in every for spec in SOURCES)
        return cls(resources, every, tuple(Profile.of(one.profile) for one in every), tuple(digests))

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self._content == other._content

    @property
    def _content(self) -> tuple[tuple[str, ...], ...]:
        return tuple(one.id for one in self.hospitals), tuple(one.digest for one in self.profiles), self.digests

    def everyone(self) -> Iterator[KnownIdentifiers]:
        """Headers and columns, joined by patient."""
        for hospital in self.hospitals:
            yield from gather(self.resources.warehouse, hospital.id).everyone()

    def remembered(self) -> Iterator[KnownIdentifiers]:
        """What the crosswalk holds, but for UIDs."""
        for hospital in self.hospitals:
            yield from map(_known_by, self._entries(hospital, "patient", "accession_number", "report"))

    def uids(self) -> tuple[set[str], set[str]]:
        """Every UID as sent, at any depth of a header, and those of them that a profile keeps."""
        sent, kept = set[str](), set[str]()
        for hospital, profile in zip(self.hospitals, self.profiles, strict=True):
            for tag, uid in self._elements(hospital):
                (kept if keeps_uid(tag, profile) else sent).add(uid)
        return sent, kept

    def _elements(self, hospital: Hospital) -> Iterator[tuple[int, str]]:
        """UIDs with the element that they stand in; those of the crosswalk count as an instance's."""
        for spec, columns in (
            (DICOM_METADATA, (*_COLUMNS, "header_json")),
            (IDENTIFIED_REPORTS, ("study_instance_uid",)),
        ):
            for batch in self.resources.warehouse.scan(spec, hospital.id, columns=columns):
                for name in columns:
                    for value in set(batch[name].to_pylist()) - {None}:
                        yield from _of_header(value) if name == "header_json" else ((_COLUMNS[name], value),)
        for entry in self._entries(hospital, "uid"):
            yield _COLUMNS["sop_instance_uid"], entry.original.text

    def _entries(self, hospital: Hospital, *kinds: Kind) -> Iterator[Entry]:
        if hospital.id in self.resources.warehouse.partitions(CROSSWALK):
            yield from opened(self.resources.warehouse, HospitalKeys.of(self.resources, hospital), kinds)


def _of_header(text: str) -> Iterator[tuple[int, str]]:
    elements = list(_UID_ELEMENT.finditer(text))
    for element in elements:
        tag = int(text[element.start() - len('00080018":') : element.start() - len('":')], 16)
        yield from ((tag, uid) for uid in _QUOTED.findall(element[1]))
    if not elements:  # every header names its class: this one was written in another manner
        yield from ((_COLUMNS["sop_instance_uid"], uid) for uid in level_of_json(text).uids())


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
    everyone = (one for source in (known.everyone(), known.remembered()) for one in source)
    sent, kept = known.uids()
    return IdentifierIndex.build(everyone, uids=sent - kept, spared=kept)  # a report's study is among its patient's ids


@lru_cache(maxsize=4)
def _name_parts(known: _Known) -> frozenset[str]:
    values = (value for one in known.everyone() for value in one.patient_names)
    return frozenset(part for value in values for name in people(value) for part in name.parts)
