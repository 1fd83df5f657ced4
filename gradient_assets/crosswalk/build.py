"""Bringing a hospital's partition of the crosswalk up to date, and forgetting a patient.

Belongs here: which sources are new, which rows are sealed with an older key, and committing both in one step.  Rows are
added and carried over; only `forget` takes one away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_assets.crosswalk import originals
from gradient_assets.crosswalk.rows import CrosswalkError, HospitalKeys, carried_over, opened_row, sealed_row, token_of
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.tables import CROSSWALK, CROSSWALK_SOURCES, DICOM_METADATA, IDENTIFIED_REPORTS, TableSpec
from resources.warehouses.warehouse import Warehouse

MET_AT_MOST = 200_000
"""Originals remembered in memory, about 60 MB: the instances of a study name the same UIDs again and again."""

_Reader = Callable[[Mapping[str, Any]], originals.Record]

_SOURCES: tuple[tuple[TableSpec, tuple[str, ...], _Reader], ...] = (
    (DICOM_METADATA, originals.DICOM_COLUMNS, originals.of_header),
    (IDENTIFIED_REPORTS, originals.REPORT_COLUMNS, originals.of_report),
)


@dataclass(frozen=True, slots=True)
class CrosswalkCounts:
    """How an update ended.  `carried_over` rows were sealed with an older key and are now linked to the key in use."""

    sources: int
    new_sources: int
    rows: int
    added: int
    carried_over: int


def bring_up_to_date(warehouse: Warehouse, keys: HospitalKeys, run_id: str) -> CrosswalkCounts:
    """Take in new rows of both identified tables, and carry rows of older keys over.

    The partition is replaced as a whole: before, every row opens with the version that it names; afterwards too.  Equal
    tables and equal keys give equal bytes.  Raises `CrosswalkError`, and what the vault and the warehouse raise.
    """
    hospital_id = keys.hospital.id
    present = {token for spec, _, _ in _SOURCES for token in warehouse.tokens(spec, hospital_id)}
    done = warehouse.tokens(CROSSWALK_SOURCES, hospital_id)
    with warehouse.staging("identified", f"crosswalk-{hospital_id}-{run_id}") as staged:
        update = _Update(keys, ShardWriter({"identified": StagingPlace(staged.bucket, staged.uri)}))
        update.begin(warehouse)
        for record, token in _records(warehouse, hospital_id, present - done):
            update.take_in(record, token)
        shards = update.writer.close()
        if update.added or update.carried:
            warehouse.replace(CROSSWALK, hospital_id, shards=shards.get(CROSSWALK.full_name, []))
        # The sources last: broken off before, they are taken in once more, which adds nothing.
        if present != done:
            mine = shards.get(CROSSWALK_SOURCES.full_name, [])
            warehouse.replace(CROSSWALK_SOURCES, hospital_id, shards=mine, drop_tokens=done - present)
    rows = warehouse.count(CROSSWALK, hospital_id)
    return CrosswalkCounts(len(present), len(present - done), rows, update.added, update.carried)


def forget(warehouse: Warehouse, hospital_id: str, pseudonyms: Collection[str]) -> int:
    """Delete the rows of these patients, given by any of their pseudonyms of any key version.  Returns how many.

    What the identified tables still hold of them is not taken in again as long as it does not change.
    """
    patients = _all_versions(warehouse, hospital_id, set(pseudonyms))
    gone: set[str] = set()
    for batch in warehouse.scan(CROSSWALK, hospital_id, columns=("work_token", "pseudonym", "patient_pseudonym")):
        for row in batch.to_pylist():
            # A patient's id may stand in another one's header: that row is the other one's, its original is not.
            if not patients.isdisjoint((row["pseudonym"], row["patient_pseudonym"])):
                gone.add(row["work_token"])
    if gone:
        warehouse.replace(CROSSWALK, hospital_id, shards=[], drop_tokens=gone)
    return len(gone)


class _Update:
    """The rows of one update on their way into shards."""

    def __init__(self, keys: HospitalKeys, writer: ShardWriter) -> None:
        self.keys, self.writer = keys, writer
        self.added = self.carried = 0
        self._there: set[str] = set()
        self._sources: set[str] = set()
        self._met: set[tuple[str, originals.Original]] = set()

    def begin(self, warehouse: Warehouse) -> None:
        """Learn which rows are there, and carry over those of older keys."""
        hospital_id, number = self.keys.hospital.id, self.keys.number
        newest = oldest = number
        for batch in warehouse.scan(CROSSWALK, hospital_id, columns=("work_token", "sealed_with")):
            for row in batch.to_pylist():
                newest, oldest = max(newest, row["sealed_with"]), min(oldest, row["sealed_with"])
                if row["sealed_with"] == number:
                    self._there.add(row["work_token"])
        if newest > number:
            raise CrosswalkError(
                f"The crosswalk of '{hospital_id}' was made with key version {newest}, newer than the one in use, {number}. "
                "Restore the record of the keys."
            )
        if oldest < number:
            self._carry_over(warehouse)

    def _carry_over(self, warehouse: Warehouse) -> None:
        # First the patients: a row names its patient by a pseudonym of its own key version only.
        patients: dict[tuple[str, int], str] = {}
        for row in _stale(warehouse, self.keys, "patient"):
            original = opened_row(self.keys, row).original
            patients[row["pseudonym"], row["key_version"]] = original.pseudonym(self.keys.current)
        for row in _stale(warehouse, self.keys):
            entry = opened_row(self.keys, row)
            self.writer.add(CROSSWALK, carried_over(self.keys, row, entry))
            self.carried += 1
            owner = patients.get((row["patient_pseudonym"], row["key_version"]))
            if owner is not None:
                self._add(entry.original, owner)
            self.writer.keep()

    def take_in(self, record: originals.Record, source: str) -> None:
        """The ids of one record, and the work token of the source that it came from."""
        owner = record.patient.pseudonym(self.keys.current)
        for original in record.originals:
            self._add(original, owner)
        if source not in self._sources:
            self._sources.add(source)
            hospital = self.keys.hospital
            row = {"hospital_id": hospital.id, "hospital_number": hospital.number, "work_token": source}
            self.writer.add(CROSSWALK_SOURCES, row)
        self.writer.keep()

    def _add(self, original: originals.Original, owner: str) -> None:
        if (owner, original) in self._met:
            return
        if len(self._met) >= MET_AT_MOST:
            self._met.clear()
        self._met.add((owner, original))
        token = token_of(self.keys.current, original, owner)
        if token not in self._there:
            self._there.add(token)
            self.writer.add(CROSSWALK, sealed_row(self.keys, original, owner))
            self.added += 1


def _records(warehouse: Warehouse, hospital_id: str, wanted: set[str]) -> Iterator[tuple[originals.Record, str]]:
    if not wanted:
        return
    for spec, columns, read in _SOURCES:
        for batch in warehouse.scan(spec, hospital_id, columns=columns):
            for row in batch.to_pylist():
                if row["work_token"] in wanted:
                    yield read(row), row["work_token"]


def _stale(warehouse: Warehouse, keys: HospitalKeys, kind: str | None = None) -> Iterator[dict[str, Any]]:
    for batch in warehouse.scan(CROSSWALK, keys.hospital.id):
        for row in batch.to_pylist():
            if row["sealed_with"] != keys.number and kind in (None, row["kind"]):
                yield row


def _all_versions(warehouse: Warehouse, hospital_id: str, pseudonyms: set[str]) -> set[str]:
    """The pseudonyms with those that rotations linked them to, before and after."""
    links: list[tuple[str, str]] = []
    for batch in warehouse.scan(CROSSWALK, hospital_id, columns=("kind", "pseudonym", "current_pseudonym")):
        patients = (row for row in batch.to_pylist() if row["kind"] == "patient" and row["current_pseudonym"])
        links.extend((row["pseudonym"], row["current_pseudonym"]) for row in patients)
    found = set(pseudonyms)
    found.update(newer for older, newer in links if older in pseudonyms)
    found.update(older for older, newer in links if newer in found)
    return found
