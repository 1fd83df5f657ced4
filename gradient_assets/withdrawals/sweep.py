"""Take withdrawn patients' rows and pictures away, and tell what is still there.

Belongs here: which row of which table is theirs (by the columns that the table has, so that a new table is covered by its
column names), replacing a partition without these rows, thumbnails, review decisions.  Releases are `deliveries`' business.

A table of stages is rewritten by work token: of a token with a withdrawn row the other rows are written again, other tokens
are not touched, so that a run which commits at the same time loses nothing.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradient_assets.boundary import contact_sheet_key
from gradient_assets.contact_sheet import shown_on
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.integrity.given import note_again
from gradient_assets.review.decisions import DecisionLog, decisions_of
from gradient_assets.tables import (
    ALL_TABLES,
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    MADE_IDENTIFIED_REPORTS,
    MADE_METADATA,
    MADE_RELEASE,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_RELEASE,
    RELEASE_MANIFEST,
    TableSpec,
)
from gradient_assets.withdrawals.register import Register, Traces, identities_of, load_register
from gradient_assets.withdrawals.traces import HEADER_COLUMNS, RECORD_COLUMNS, header_identifiers
from resources import Resources
from resources.buckets.object_store import Bucket
from resources.warehouses.warehouse import Warehouse
from resources.warehouses.warehouse_contract import WORK_TOKEN

_PSEUDONYMOUS = (
    ("patient_pseudonym", "patients"),
    ("study_instance_uid", "studies"),
    ("sop_instance_uid", "instances"),
    ("accession_pseudonym", "accessions"),
    ("report_pseudonym", "reports"),
)
"""Columns behind the boundary, with the traces that are compared with them."""

_ORIGIN = ("hospital_id", "hospital_number", "reason", "object_pseudonym", "object_key", "row_number", "pseudonym")

_LEFT_OUT = {DICOM_METADATA: REFUSED_METADATA, IDENTIFIED_REPORTS: REFUSED_IDENTIFIED_REPORTS}
"""What is read from a hospital's bucket, and where it stands that something of it was left out."""

_MADE = {DICOM_METADATA: MADE_METADATA, IDENTIFIED_REPORTS: MADE_IDENTIFIED_REPORTS}
"""Where the origins of such rows stand, with object keys.  A stage that was reading when somebody was withdrawn commits rows of
objects that no trace knows yet: their origins are found by the rows alone."""

SHARD_ROWS = 50_000


@dataclass(frozen=True)
class Withdrawn:
    """Whose rows go: the register of one hospital, and what makes its object pseudonyms."""

    hospital: Hospital
    register: Register
    identity: Pseudonymizer = field(repr=False)
    """Under the version of the key that is in use."""
    identities: tuple[Pseudonymizer, ...] = field(default=(), repr=False)
    """Under all versions."""

    @classmethod
    def of(cls, resources: Resources, hospital: Hospital) -> Withdrawn:
        """As it stands now.  Raises `WithdrawalError`."""
        register = load_register(resources, hospital)
        identities = identities_of(resources, hospital.secret_name, hospital.id) if register else ()
        return cls(hospital, register, Pseudonymizer(resources.key(hospital.secret_name), hospital.id), identities)

    def columns(self, spec: TableSpec) -> tuple[str, ...]:
        """What of a table has to be read to judge its rows."""
        wanted = {*_ORIGIN, *(name for name, _ in _PSEUDONYMOUS)}
        wanted |= {DICOM_METADATA: {*HEADER_COLUMNS}, IDENTIFIED_REPORTS: {*RECORD_COLUMNS}}.get(spec, set())
        wanted |= {WORK_TOKEN, "engine_version"} if spec in _LEFT_OUT else {WORK_TOKEN}
        return tuple(name for name in spec.column_names if name in wanted)

    def owns(self, spec: TableSpec, row: Mapping[str, Any]) -> bool:
        """Whether a row of the table is a withdrawn patient's.

        The refusals with the reason `withdrawn` are not: they say by object pseudonym that something was left out.
        """
        if not self._of_this_hospital(row) or row.get("reason") == Reason.WITHDRAWN.value:
            return False
        traces = self.traces
        if spec is DICOM_METADATA:
            return self.register.tombstones.covers_header(row, header_identifiers(row))
        if spec is IDENTIFIED_REPORTS:
            return self.register.tombstones.covers_report(row)
        if "object_pseudonym" in row:
            number = row.get("row_number") or 0
            name = row["object_pseudonym"]
            return name in traces.objects or (number > 0 and f"{name}#{number}" in traces.records)
        if spec.zone == "identified" and "object_key" in row:
            return any(identity.token("object", row["object_key"]) in traces.objects for identity in self.identities)
        if row.get("pseudonym") in self.pseudonyms:
            return True
        return any(row.get(column) in getattr(traces, kind) for column, kind in _PSEUDONYMOUS if row.get(column))

    @cached_property
    def traces(self) -> Traces:
        """The names in all scopes: no two scopes have one in common."""
        found = Traces()
        for one in self.register.traces.values():
            found = found.merge(one)
        return found

    @cached_property
    def pseudonyms(self) -> frozenset[str]:
        """All of them that can stand in a column of any kind of pseudonym."""
        return self.traces.pseudonyms()

    def _of_this_hospital(self, row: Mapping[str, Any]) -> bool:
        if "hospital_id" in row:
            return bool(row["hospital_id"] == self.hospital.id)
        return "hospital_number" not in row or bool(row["hospital_number"] == self.hospital.number)


def hospital_tables() -> tuple[TableSpec, ...]:
    """The tables of a hospital, from its buckets on: what stands first is emptied first, so that nothing is made again."""
    return tuple(spec for spec in ALL_TABLES if spec is not RELEASE_MANIFEST)


def partitions_of(warehouse: Warehouse, spec: TableSpec, hospital: Hospital) -> list[str]:
    """The partitions of a table in which rows of the hospital may stand."""
    there = warehouse.partitions(spec)
    return there if spec.partitioned_by == "release" else [one for one in there if one == hospital.id]


def found_in(withdrawn: Withdrawn, warehouse: Warehouse, spec: TableSpec, partition: str) -> int:
    """How many rows of the partition are withdrawn patients'."""
    columns = withdrawn.columns(spec)
    batches = warehouse.scan(spec, partition, columns=columns)
    return sum(withdrawn.owns(spec, row) for batch in batches for row in batch.to_pylist())


def remove_rows(withdrawn: Withdrawn, warehouse: Warehouse, spec: TableSpec, partition: str) -> int:
    """Replace the partition without the withdrawn patients' rows; returns how many went.  Nothing to remove, nothing written.

    What was read from a bucket is first put down as left out, so that the next run does not read it again to learn that.
    """
    theirs: list[dict[str, Any]] = []
    shared: set[str] = set()
    for batch in warehouse.scan(spec, partition, columns=withdrawn.columns(spec)):
        for row in batch.to_pylist():
            if withdrawn.owns(spec, row):
                theirs.append(row)
            elif spec in _MADE:
                shared.add(row[WORK_TOKEN])
    if not theirs:
        return 0
    if spec in _LEFT_OUT:
        _put_down(withdrawn, warehouse, spec, theirs)
    if spec in _MADE:
        gone = {row[WORK_TOKEN] for row in theirs} - shared
        warehouse.replace(_MADE[spec], partition, shards=[], drop_tokens=gone)
    tokens = {row[WORK_TOKEN] for row in theirs} if WORK_TOKEN in spec.column_names else None
    _replace(warehouse, spec, partition, _kept(withdrawn, warehouse, spec, partition, tokens), tokens)
    return len(theirs)


def _put_down(withdrawn: Withdrawn, warehouse: Warehouse, spec: TableSpec, theirs: list[dict[str, Any]]) -> None:
    refusals, hospital = _LEFT_OUT[spec], withdrawn.hospital
    identity = withdrawn.identity
    rows = [
        {
            "hospital_id": hospital.id,
            "hospital_number": hospital.number,
            "work_token": row[WORK_TOKEN],
            "stage": spec.name,
            "object_pseudonym": identity.token("object", row["object_key"]),
            "object_key": "",
            "row_number": row.get("row_number") or 0,
            "reason": Reason.WITHDRAWN.value,
            "detail": "",
            "engine_version": row["engine_version"],
        }
        for row in theirs
    ]
    new = {(row["work_token"], row["row_number"]) for row in rows}
    tokens = {token for token, _ in new}
    for batch in warehouse.scan(refusals, hospital.id):
        there = ((row, (row["work_token"], row["row_number"])) for row in batch.to_pylist())
        rows.extend(row for row, place in there if place[0] in tokens and place not in new)
    _replace(warehouse, refusals, hospital.id, iter([pa.Table.from_pylist(rows, refusals.arrow_schema)]), tokens)


def _replace(
    warehouse: Warehouse, spec: TableSpec, partition: str, kept: Iterator[pa.Table], tokens: set[str] | None
) -> None:
    with warehouse.staging(spec.zone, f"withdraw-{spec.name}-{partition}") as staging:
        shards = []
        for number, rows in enumerate(kept):
            name = f"{spec.name}-{number:06d}.parquet"
            staging.bucket.put(name, _parquet(rows))
            shards.append(f"{staging.uri}/{name}")
        warehouse.replace(spec, partition, shards=shards, drop_tokens=tokens or ())


def _kept(
    withdrawn: Withdrawn, warehouse: Warehouse, spec: TableSpec, partition: str, tokens: set[str] | None
) -> Iterator[pa.Table]:
    """The rows that stay and have to be written again: those of the tokens, or all of a table without tokens."""
    waiting: list[pa.RecordBatch] = []
    for batch in warehouse.scan(spec, partition):
        judged = batch.select(list(withdrawn.columns(spec))).to_pylist()
        stays = [(tokens is None or row[WORK_TOKEN] in tokens) and not withdrawn.owns(spec, row) for row in judged]
        if any(stays):
            waiting.append(batch.filter(pa.array(stays)))
        if sum(one.num_rows for one in waiting) >= SHARD_ROWS:
            yield pa.Table.from_batches(waiting, spec.arrow_schema)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, spec.arrow_schema)


def _parquet(rows: pa.Table) -> bytes:
    stream = io.BytesIO()
    # No statistics: they would repeat the smallest and the largest value of each column in the footer.
    pq.write_table(rows, stream, compression="zstd", write_statistics=False)
    return stream.getvalue()


def sweep_tables(withdrawn: Withdrawn, warehouse: Warehouse, specs: Sequence[TableSpec] | None = None) -> Counter[str]:
    """Remove the withdrawn patients' rows from these tables, by default from all of the hospital's; counts by table."""
    counts: Counter[str] = Counter()
    if not withdrawn.register:
        return counts
    for spec in hospital_tables() if specs is None else specs:
        for partition in partitions_of(warehouse, spec, withdrawn.hospital):
            if gone := remove_rows(withdrawn, warehouse, spec, partition):
                counts[spec.full_name] += gone
    return counts


def settle(resources: Resources, warehouse: Warehouse, hospital: Hospital, specs: Sequence[TableSpec]) -> Counter[str]:
    """What a stage does after its commit: whoever was withdrawn while it ran goes from what it has just written.

    Raises `WithdrawalError`.
    """
    return sweep_tables(Withdrawn.of(resources, hospital), warehouse, specs)


def settle_release(
    resources: Resources,
    warehouse: Warehouse,
    hospitals: Iterable[Hospital],
    release: str,
    specs: Sequence[TableSpec],
) -> None:
    """The same for a stage over a release: everything of an instance of theirs goes, in all tables of the stage, and it is
    put down as left out.

    A recipient who is newer than the withdrawal has no traces; the object that an instance was made from has.
    """
    for hospital in hospitals:
        withdrawn = Withdrawn.of(resources, hospital)
        if not withdrawn.register:
            continue
        tokens = {
            row[WORK_TOKEN]
            for spec in specs
            for batch in warehouse.scan(spec, release, columns=withdrawn.columns(spec))
            for row in batch.to_pylist()
            if withdrawn.owns(spec, row)
        }
        if tokens:
            _put_down_of_release(warehouse, release, tokens)
        for spec in specs if tokens else ():
            warehouse.replace(spec, release, shards=[], drop_tokens=tokens)


def _put_down_of_release(warehouse: Warehouse, release: str, tokens: set[str]) -> None:
    """That these instances of the cohort are left out as withdrawn: the release has to add up."""
    same = [name for name in REFUSED_RELEASE.column_names if name in MADE_RELEASE.column_names]
    fixed = {"stage": "release_dicoms", "object_key": "", "reason": Reason.WITHDRAWN.value, "detail": ""}
    rows = [
        {name: row[name] for name in same} | fixed
        for batch in warehouse.scan(MADE_RELEASE, release)
        for row in batch.to_pylist()
        if row[WORK_TOKEN] in tokens
    ]
    table = pa.Table.from_pylist(rows, REFUSED_RELEASE.arrow_schema)
    _replace(warehouse, REFUSED_RELEASE, release, iter([table]), tokens)


def forget_unread(warehouse: Warehouse, hospital_id: str) -> int:
    """Drop what `dicom_metadata` refused, so that the next run reads it again: nobody knows whose these objects are."""
    tokens = {
        row[WORK_TOKEN]
        for batch in warehouse.scan(REFUSED_METADATA, hospital_id, columns=(WORK_TOKEN, "reason"))
        for row in batch.to_pylist()
        if row["reason"] != Reason.WITHDRAWN.value
    }
    if tokens:
        warehouse.replace(REFUSED_METADATA, hospital_id, shards=[], drop_tokens=tokens)
    accounted = sum(warehouse.count(spec, hospital_id) for spec in (DICOM_METADATA, REFUSED_METADATA))
    note_again(warehouse, hospital_id, DICOM_METADATA.name, accounted)
    return len(tokens)


def thumbnails_of(withdrawn: Withdrawn, bucket: Bucket) -> list[str]:
    """Keys of the pictures of withdrawn patients, those that no row names included, and of the sheet if one of them is on it.

    A sheet that does not say whom it shows may show anybody.  The next run makes another one.
    """
    parts = withdrawn.traces.instances | withdrawn.traces.studies
    if not parts:
        return []

    def is_theirs(key: str) -> bool:
        return any(part.split(".strip")[0].removesuffix(".png") in parts for part in key.split("/"))

    theirs = [stat.key for stat in bucket.listing(f"{withdrawn.hospital.id}/") if is_theirs(stat.key)]
    on_sheet = shown_on(bucket, withdrawn.hospital.id)
    return (
        [*theirs, contact_sheet_key(withdrawn.hospital.id)]
        if on_sheet is None or any(map(is_theirs, on_sheet))
        else theirs
    )


def sweep_thumbnails(withdrawn: Withdrawn, bucket: Bucket) -> int:
    """Delete them; returns how many there were."""
    keys = thumbnails_of(withdrawn, bucket)
    bucket.delete(keys)
    return len(keys)


def decisions_about(withdrawn: Withdrawn, resources: Resources) -> int:
    """How many review decisions about withdrawn patients' objects stand.  Raises `ReviewError`."""
    return len(withdrawn.traces.objects & decisions_of(resources, withdrawn.hospital.id).keys())


def sweep_decisions(withdrawn: Withdrawn, resources: Resources) -> int:
    """Take them back; returns how many there were.  The log keeps what it says of their pseudonyms.  Raises `ReviewError`."""
    if not decisions_about(withdrawn, resources):
        return 0  # nor is a key asked for where nobody reviewed
    return DecisionLog.of(resources, withdrawn.hospital).take_back(withdrawn.traces.objects)
