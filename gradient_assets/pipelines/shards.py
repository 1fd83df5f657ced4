"""Parquet shards that workers write to a staging prefix; nothing of them is visible until the stage commits them.

Belongs here: collecting the rows of one item and writing or forgetting them together; making few shards of what many groups
of items have left.  A table behind the boundary takes `Crossing` records only.  Committing is `stage`'s
business, merging `resources.warehouses.warehouse`'s.
"""

from __future__ import annotations

import io
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradient_assets.boundary import Crossing
from gradient_assets.tables import TableSpec
from resources.buckets.object_store import Bucket

ROWS_IN_MEMORY = 2_000
"""Rows held per table before they go to a shard: a report of 10 kB a row makes 20 MB, a header of 40 kB 80 MB."""


SHARD_BYTES = 32 * 1024**2
"""Rows gathered per table before they go to a shard, as they lie in memory.  One for each group of four items were 25,000 of
100,000 objects: the warehouse took .1 MB of memory for each, and BigQuery loads 10,000 at once."""


@dataclass(frozen=True, slots=True)
class StagingPlace:
    """Where shards of one zone go: a bucket and the URI under which the warehouse finds them."""

    bucket: Bucket
    uri: str


@dataclass
class ShardWriter:
    """Writes rows of several tables; `keep` or `forget` what one item wrote as a whole."""

    places: Mapping[str, StagingPlace]
    shards: dict[str, list[str]] = field(default_factory=dict)
    written: Counter[str] = field(default_factory=Counter)
    """Rows that count, by table."""
    _kept: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    _pending: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    _pending_shards: list[tuple[TableSpec, str]] = field(default_factory=list)
    _pending_written: Counter[str] = field(default_factory=Counter)
    _specs: dict[str, TableSpec] = field(default_factory=dict)

    def add(self, spec: TableSpec, row: Mapping[str, Any] | Crossing) -> None:
        """Add a row of the current item.  Raises `TypeError` for a row behind the boundary that is no `Crossing` of it."""
        if spec.zone != "identified" and not (isinstance(row, Crossing) and row.table == spec.full_name):
            raise TypeError(f"{spec.full_name} lies behind the boundary: only its own crossings are written.")
        self._specs[spec.full_name] = spec
        rows = self._pending.setdefault(spec.full_name, [])
        rows.append(row)
        self._pending_written[spec.full_name] += 1
        if len(rows) >= ROWS_IN_MEMORY:
            self._pending_shards.append((spec, self._write(spec, rows)))
            rows.clear()

    def keep(self) -> None:
        """The current item is done: its rows count."""
        self.written.update(self._pending_written)
        self._pending_written.clear()
        for spec, name in self._pending_shards:
            self.shards.setdefault(spec.full_name, []).append(f"{self.places[spec.zone].uri}/{name}")
        self._pending_shards.clear()
        for table, rows in self._pending.items():
            self._kept.setdefault(table, []).extend(rows)
        self._pending.clear()
        for table in [table for table, rows in self._kept.items() if len(rows) >= ROWS_IN_MEMORY]:
            self._flush(table)

    def forget(self) -> None:
        """The current item failed: nothing it wrote counts."""
        for spec, name in self._pending_shards:
            self.places[spec.zone].bucket.delete([name])
        self._pending_shards.clear()
        self._pending.clear()
        self._pending_written.clear()

    def close(self) -> dict[str, list[str]]:
        """Write what is still in memory; return the shard URIs by table."""
        for table in list(self._kept):
            self._flush(table)
        return self.shards

    def hand_over(self) -> tuple[dict[str, list[str]], dict[str, bytes]]:
        """The shard URIs by table, and what is still in memory as Arrow streams, for who gathers the rows of many groups."""
        rows = {table: _stream(_as_table(self._specs[table], kept)) for table, kept in self._kept.items() if kept}
        self._kept.clear()
        return self.shards, rows

    def _flush(self, table: str) -> None:
        rows = self._kept.pop(table, [])
        if rows:
            spec = self._specs[table]
            self.shards.setdefault(table, []).append(f"{self.places[spec.zone].uri}/{self._write(spec, rows)}")
            self._kept[table] = []

    def _write(self, spec: TableSpec, rows: list[Mapping[str, Any]]) -> str:
        return _put(self.places[spec.zone], spec.name, _as_table(spec, rows))


def _as_table(spec: TableSpec, rows: list[Mapping[str, Any]]) -> pa.Table:
    return pa.table({name: [row[name] for row in rows] for name in spec.column_names}, schema=spec.arrow_schema)


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def _put(place: StagingPlace, table: str, rows: pa.Table) -> str:
    """Write one shard; returns its name."""
    name = f"{table}-{uuid.uuid4().hex}.parquet"
    buffer = io.BytesIO()
    # No statistics: they would repeat the smallest and the largest value of each column in the footer.
    pq.write_table(rows, buffer, compression="zstd", write_statistics=False)
    place.bucket.put(name, buffer.getvalue())
    return name


@dataclass
class GroupResult:
    """What a group of items became: shard URIs by table, and counts.

    `written` is how many rows of each table the workers wrote, so that one that is lost on its way to a shard shows.  `rows`
    are those that lie in no shard yet, by table, as `ShardWriter.hand_over` gives them; they go from a worker to its pool and
    no further.
    """

    shards: dict[str, list[str]] = field(default_factory=dict)
    items: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    rows: dict[str, bytes] = field(default_factory=dict)

    def add(self, other: GroupResult) -> None:
        """Take in another group's shards and counts."""
        for table, uris in other.shards.items():
            self.shards.setdefault(table, []).extend(uris)
        self.items += other.items
        self.counts.update(other.counts)
        self.written.update(other.written)


@dataclass
class Gathering:
    """Rows of many groups become few shards."""

    places: Mapping[str, StagingPlace]
    shards: dict[str, list[str]] = field(default_factory=dict)
    _held: dict[str, list[pa.Table]] = field(default_factory=dict)

    def add(self, rows: Mapping[str, bytes]) -> None:
        """Take in what a group has handed over; what has become much is written."""
        for table, stream in rows.items():
            held = self._held.setdefault(table, [])
            held.append(pa.ipc.open_stream(stream).read_all())
            if sum(one.nbytes for one in held) >= SHARD_BYTES:
                self._flush(table)

    def close(self) -> dict[str, list[str]]:
        """Write the rest; return the shard URIs by table."""
        for table in list(self._held):
            self._flush(table)
        return self.shards

    def _flush(self, table: str) -> None:
        zone, _, name = table.partition(".")
        place = self.places[zone]
        shard = _put(place, name, pa.concat_tables(self._held.pop(table)))
        self.shards.setdefault(table, []).append(f"{place.uri}/{shard}")
