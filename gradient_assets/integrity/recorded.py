"""The warehouse through which partitions are written: the key is compared first, the content recorded after.

Belongs here: the order of announcement, commit and record.  It is the only way on which assets write tables, so that none
can forget; reading goes to the warehouse behind it.  Killed at any point, it leaves the record that fits the content, or an
announcement that says why it does not; the next write of the partition mends it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import pyarrow as pa

from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import Registry
from gradient_assets.integrity import records
from gradient_assets.integrity.records import IntegrityError
from gradient_assets.releases import load_release
from gradient_assets.tables import ALL_TABLES, TableSpec
from resources import Resources
from resources.buckets.object_store import Bucket
from resources.buckets.staging import Staging
from resources.warehouses.warehouse import Warehouse
from resources.warehouses.warehouse_contract import Rehearsal

LOCKS = "_locks"
"""Prefix of the empty files that are locked while a stage commits; no table's name begins with `_`."""

LOOKS = 3
"""How often content and record are compared before a difference is believed: another run may be between the two."""


@dataclass(frozen=True)
class RecordedWarehouse:
    """A warehouse that records what it writes.  `key_of` gives the key under which a table's partition is made.

    Every write raises `KeyChanged` before anything is written if the partition was made with another key.
    """

    inner: Warehouse
    ledger: Bucket
    run_id: str
    key_of: Callable[[TableSpec, str], SecretKey]
    versions: Mapping[str, str] = field(default_factory=records.engine_versions)

    def replace(
        self, spec: TableSpec, partition: str, *, shards: Sequence[str], drop_tokens: Collection[str] = ()
    ) -> int:
        """As the warehouse's.  Raises `IntegrityError` if the rows that would stay are not those that were recorded."""
        self.require_unchanged(spec, partition)
        with self.writing(spec, partition):
            return self.inner.replace(spec, partition, shards=shards, drop_tokens=drop_tokens)

    def replace_from_query(
        self, spec: TableSpec, partition: str, sql: str, parameters: Mapping[str, str | int] | None = None
    ) -> int:
        """As the warehouse's; nothing of the old partition stays."""
        with self.writing(spec, partition):
            return self.inner.replace_from_query(spec, partition, sql, parameters)

    def drop(self, spec: TableSpec, partition: str) -> None:
        """As the warehouse's; the record goes too."""
        records.check_key(self.ledger, spec, partition, self.key_of(spec, partition))
        drop(self.inner, self.ledger, spec, partition, self.run_id)

    def require_unchanged(self, spec: TableSpec, partition: str) -> None:
        """Raise `IntegrityError` if the partition is not what was recorded and nobody announced a change."""
        if is_changed(self.inner, self.ledger, spec, partition):
            raise IntegrityError(
                f"{spec.full_name} of '{partition}' is not what was recorded, or its record is gone, and no run was stopped "
                "while it wrote. "
                "Nothing was written. `gradient verify` shows all that differs; with --drop-changed the next run makes it anew."
            )

    @contextmanager
    def writing(self, spec: TableSpec, partition: str) -> Iterator[None]:
        """Announce a change of the partition or of its objects; when the block ends well, record what the partition is.

        Raises `KeyChanged` before the block.  After an error in the block the announcement stands: part of it may be done.
        """
        key = self.key_of(spec, partition)
        records.check_key(self.ledger, spec, partition, key)
        stale = records.announced(self.ledger, spec, partition, but_by=self.run_id)
        own = records.announce(self.ledger, spec, partition, self.run_id)
        yield
        records.put_record(
            self.ledger,
            self.inner,
            spec,
            partition,
            key=key,
            run_id=self.run_id,
            versions=self.versions,
        )
        records.withdraw(self.ledger, [*stale, own])

    def finish(self, spec: TableSpec, partition: str) -> None:
        """Record the partition if a run was stopped while it wrote it; for who writes nothing when nothing has changed."""
        if records.announced(self.ledger, spec, partition):
            with self.writing(spec, partition):
                pass

    def tokens(self, spec: TableSpec, partition: str) -> set[str]:
        """As the warehouse's.  Raises `IntegrityError` as `replace`: what counts as done is read from here."""
        self.require_unchanged(spec, partition)
        return self.inner.tokens(spec, partition)

    def scan(
        self, spec: TableSpec, partition: str | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """As the warehouse's."""
        return self.inner.scan(spec, partition, columns)

    def count(self, spec: TableSpec, partition: str | None = None) -> int:
        """As the warehouse's."""
        return self.inner.count(spec, partition)

    def partitions(self, spec: TableSpec) -> list[str]:
        """As the warehouse's."""
        return self.inner.partitions(spec)

    def query(self, sql: str, parameters: Mapping[str, str | int] | None = None) -> pa.Table:
        """As the warehouse's."""
        return self.inner.query(sql, parameters)

    def rehearse(self, queries: Mapping[str, str], parameters: Mapping[str, str | int]) -> Rehearsal:
        """As the warehouse's."""
        return self.inner.rehearse(queries, parameters)

    def search(self, spec: TableSpec, column: str, terms: str, limit: int = 20) -> pa.Table:
        """As the warehouse's."""
        return self.inner.search(spec, column, terms, limit)

    def content_digest(self, spec: TableSpec, partition: str) -> str:
        """As the warehouse's."""
        return self.inner.content_digest(spec, partition)

    def location(self, spec: TableSpec, partition: str | None = None) -> str:
        """As the warehouse's."""
        return self.inner.location(spec, partition)

    def staging(self, zone: str, run_id: str) -> Staging:
        """As the warehouse's; the name ends with the run's, so that one can say when what waits there is nobody's."""
        return self.inner.staging(zone, run_id if self.run_id in run_id else f"{run_id}-{self.run_id}")


def recorded_warehouse(
    resources: Resources,
    partition: str,
    key: SecretKey,
    run_id: str,
    partitioned_by: Literal["hospital", "release"] = "hospital",
) -> RecordedWarehouse:
    """The warehouse through which the partition of a hospital or of a release is written.

    Raises `KeyChanged` if any table of the partition was made with another key, before anything is done.
    """
    for spec in ALL_TABLES:
        if spec.partitioned_by == partitioned_by:
            records.require_same_key(resources, spec, partition, key)

    def key_of(spec: TableSpec, wanted: str) -> SecretKey:
        if (spec.partitioned_by, wanted) != (partitioned_by, partition):
            raise ValueError("this warehouse was opened for another partition, under that one's key")
        return key

    return RecordedWarehouse(resources.warehouse, resources.partition_records, run_id, key_of)


def recording_warehouse(resources: Resources, registry: Registry, run_id: str) -> RecordedWarehouse:
    """The warehouse for a command that writes partitions of several hospitals and releases, each under its own key."""

    @cache
    def key(secret_name: str) -> SecretKey:
        return resources.key(secret_name)

    def key_of(spec: TableSpec, partition: str) -> SecretKey:
        if spec.partitioned_by == "hospital":
            return key(registry.get(partition).secret_name)
        return key(load_release(resources.release_requests, partition).secret_name)

    return RecordedWarehouse(resources.warehouse, resources.partition_records, run_id, key_of)


@contextmanager
def committing(warehouse: Warehouse, made: TableSpec | None, partition: str) -> Iterator[None]:
    """Announce that a stage's tables and objects are about to change together, and let no other run change them meanwhile.

    Nothing for a warehouse without records.  Where records lie in a bucket on a network there is no lock: Dagster's limit of
    one run for each partition keeps runs apart there, and the stage looks after its commit for what another run took away.
    """
    if made is None or not isinstance(warehouse, RecordedWarehouse):
        yield
        return
    with alone(warehouse.ledger, made, partition):
        warehouse.require_unchanged(made, partition)
        with warehouse.writing(made, partition):
            yield


@contextmanager
def alone(ledger: Bucket, made: TableSpec, partition: str) -> Iterator[None]:
    """The lock of `committing` by itself, for who changes a stage's objects and not its tables; not to be taken twice."""
    if ledger.address.scheme != "file":
        yield
        return
    path = ledger.address.folder / LOCKS / made.full_name / partition
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # a killed run holds it no longer
        yield
    finally:
        os.close(descriptor)


def drop(warehouse: Warehouse, ledger: Bucket, spec: TableSpec, partition: str, run_id: str) -> None:
    """Remove a partition and its record."""
    name = records.announce(ledger, spec, partition, run_id)
    warehouse.drop(spec, partition)
    records.forget(ledger, spec, partition)
    records.withdraw(ledger, [name])


def is_changed(warehouse: Warehouse, ledger: Bucket, spec: TableSpec, partition: str) -> bool:
    """Whether the partition's content is another than its record says, and no announcement says why.

    Rows without a record are changed: each run records what it writes, so the record was taken away.  Raises
    `IntegrityError` for an unreadable record.
    """
    for _ in range(LOOKS):
        before = records.recorded(ledger, spec, partition)
        if before is None:
            fits = not has_rows(warehouse, spec, partition)
        else:
            fits = warehouse.content_digest(spec, partition) == before.content_sha256
        if fits or records.announced(ledger, spec, partition):
            return False
        if records.recorded(ledger, spec, partition) == before:
            return True
    return False


def has_rows(warehouse: Warehouse, spec: TableSpec, partition: str) -> bool:
    """Whether there is anything in the partition; a file that can't be read is not nothing."""
    if partition not in warehouse.partitions(spec):
        return False
    try:
        return warehouse.count(spec, partition) > 0
    except pa.ArrowException:
        return True
