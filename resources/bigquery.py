"""The warehouse on BigQuery: Parquet load jobs, and one query job that replaces a partition.

Belongs here: job ids, partitions, clients.  The interface is `warehouse_contract`'s business, the same promises on a folder
are `warehouse`'s.  The client comes from dagster-gcp; its IO managers are not used: they delete, then insert, without a
transaction, through a data frame in memory.

A hospital's rows are one integer-range partition, replaced by a job with `WRITE_TRUNCATE` on `table$N`: readers see the old
rows or the new.  Tables of releases have no such number; theirs are replaced in a transaction of one script.
"""

# ruff: noqa: S608  Statements are put together from names of the specifications; values are bound as parameters.

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gradient_assets.tables import ALL_TABLES, TableSpec
from resources import dialect
from resources.bigquery_tables import BigQueryTables, quoted, table_schema
from resources.credentials import Identity
from resources.errors import WarehouseError, ZoneRefused, checked_name, holding_back
from resources.full_text import words_of
from resources.object_store import Bucket
from resources.parquet_files import conformed
from resources.staging import Staging, fresh_staging
from resources.vault import Vault
from resources.warehouse_contract import WORK_TOKEN, ZONES

PAGE_ROWS = 10_000
MAX_ATTEMPTS = 5
"""A job id is used once: after a job failed, the same work gets the next number."""

_Answer = TypeVar("_Answer")


class BigQueryWarehouse:
    """Datasets `<prefix>identified`, `<prefix>deidentified`, `<prefix>public` of one project.  Picklable.

    `numbers` gives each hospital's partition, `staging_areas` each zone's bucket, `identities` as whom a zone is opened;
    `client` is for tests and emulators.
    """

    def __init__(
        self,
        *,
        project: str,
        staging_areas: Mapping[str, Bucket],
        numbers: Mapping[str, int],
        location_name: str = "US",
        dataset_prefix: str = "",
        endpoint: str | None = None,
        zones: Sequence[str] = ZONES,
        specs: Sequence[TableSpec] = ALL_TABLES,
        client: Any = None,
        identities: Mapping[str, tuple[Identity, ...]] | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.zones = tuple(zones)
        self.specs = tuple(specs)
        self._staging_areas = dict(staging_areas)
        self._numbers = dict(numbers)
        self._tables = BigQueryTables(
            project, location_name, dataset_prefix, endpoint, client, identities=identities or {}, vault=vault
        )

    def tokens(self, spec: TableSpec, partition: str) -> set[str]:
        """The work tokens that have rows in the partition."""
        return {
            token
            for batch in self._batches(
                spec, partition, f"DISTINCT {WORK_TOKEN}", pa.schema([(WORK_TOKEN, pa.string())])
            )
            for token in batch.column(0).to_pylist()
        }

    def scan(
        self, spec: TableSpec, partition: str | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows in the order of `sort_by`, a page at a time; over all partitions without `partition`."""
        names = tuple(spec.column_names if columns is None else columns)
        schema = pa.schema([spec.arrow_schema.field(name) for name in names])
        order = f" ORDER BY {', '.join(quoted(name) for name in spec.sort_by)}" if columns is None else ""
        yield from self._batches(spec, partition, ", ".join(quoted(name) for name in names), schema, order)

    def count(self, spec: TableSpec, partition: str | None = None) -> int:
        """Number of rows."""
        batches = self._batches(spec, partition, "COUNT(*) AS total", pa.schema([("total", pa.int64())]))
        return sum(batch.column(0)[0].as_py() for batch in batches if batch.num_rows)

    def partitions(self, spec: TableSpec) -> list[str]:
        """Names of the partitions that have rows, sorted."""
        column = _partition_column(spec)
        field = pa.field(column, pa.int64() if spec.partitioned_by == "hospital" else pa.string())
        found = [
            value
            for batch in self._batches(spec, None, f"DISTINCT {column}", pa.schema([field]))
            for value in batch.column(0).to_pylist()
        ]
        names = {number: name for name, number in self._numbers.items()}
        return sorted(names.get(value, str(value)) for value in found)

    def replace(
        self, spec: TableSpec, partition: str, *, shards: Sequence[str], drop_tokens: Collection[str] = ()
    ) -> int:
        """New partition = old rows whose work token is neither dropped nor in the shards, and the shards' rows.

        The shards and the dropped tokens are loaded into two tables that vanish after a day; one query job puts the
        result in place.  Returns the number of rows.  Raises `WarehouseError`; the old partition then stands.
        """
        self._admit(spec.zone)
        column, value = self._partition(spec, partition)
        work = _digest(spec.full_name, partition, *sorted(shards), "\x00", *sorted(drop_tokens))
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        columns = ", ".join(quoted(name) for name in spec.column_names)
        selects = []
        dropped = self._load_tokens(spec, work, drop_tokens)
        gone = f"SELECT token FROM {dropped}" if dropped else ""
        if shards:
            fresh = self._load(spec, f"{spec.name}_{work}", sorted(shards), table_schema(spec))
            selects.append(f"SELECT {columns} FROM {fresh}")
            gone = " UNION ALL ".join(filter(None, [gone, f"SELECT {WORK_TOKEN} FROM {fresh}"]))
        if WORK_TOKEN in spec.column_names:
            keep = f" AND {WORK_TOKEN} NOT IN ({gone})" if gone else ""
            selects.append(f"SELECT {columns} FROM {target} WHERE {column} = @partition{keep}")
        select = " UNION ALL ".join(selects) or f"SELECT {columns} FROM {target} WHERE false"
        self._put(spec, partition, work, select, {"partition": value})
        return self.count(spec, partition)

    def replace_from_query(
        self, spec: TableSpec, partition: str, sql: str, parameters: Mapping[str, str | int] | None = None
    ) -> int:
        """New partition = the query's result, matched to the table's columns by name.  Returns the number of rows."""
        self._admit(spec.zone)
        statement, given = self._prepared(sql), dialect.bound(sql, parameters or {})
        self._ask("prepare", lambda: self._tables.ensure(spec))
        held = set(dialect.checked(sql).named_selects)
        if unknown := held - set(spec.column_names):
            names = ", ".join(sorted(unknown))
            raise WarehouseError(f"{spec.full_name}: the query gives columns that the table has not: {names}")
        columns = ", ".join(
            quoted(c.name) if c.name in held else f"CAST(NULL AS {c.type}) AS {quoted(c.name)}" for c in spec.columns
        )
        work = _digest(spec.full_name, partition, statement, json.dumps(given, sort_keys=True))
        self._put(spec, partition, work, f"SELECT {columns} FROM ({statement})", given)
        return self.count(spec, partition)

    def query(self, sql: str, parameters: Mapping[str, str | int] | None = None) -> pa.Table:
        """The result of a query; the same allow-list as in the embedded warehouse, so that both mean the same."""
        statement, given = self._prepared(sql), dialect.bound(sql, parameters or {})
        zone = self._zone_of(sql)
        rows = self._ask("query", lambda: self._tables.run(statement, given, zone=zone))
        return self._ask("query", lambda: rows.to_arrow(create_bqstorage_client=False))

    def search(self, spec: TableSpec, column: str, terms: str, limit: int = 20) -> pa.Table:
        """The rows whose `column` holds all words of `terms`; BigQuery does not rank, so that `score` is 1 for all."""
        self._admit(spec.zone)
        if column not in spec.column_names:
            raise WarehouseError(f"{spec.full_name} has no column to search by that name")
        columns = ", ".join(quoted(name) for name in spec.column_names)
        order = ", ".join(quoted(name) for name in spec.sort_by)
        words = words_of(terms)
        statement = (
            f"SELECT {columns}, 1.0 AS score FROM {self._tables.name(spec)} "
            f"WHERE {'SEARCH(' + quoted(column) + ', @words)' if words else 'false'} ORDER BY {order} LIMIT @most"
        )
        given: dict[str, str | int] = {"most": max(0, limit), **({"words": words} if words else {})}
        rows = self._ask("search", lambda: self._tables.run(statement, given, zone=spec.zone))
        return self._ask("search", lambda: rows.to_arrow(create_bqstorage_client=False))

    def drop(self, spec: TableSpec, partition: str) -> None:
        """Remove the partition; one that is not there is no error."""
        self._admit(spec.zone)
        column, value = self._partition(spec, partition)
        if spec.partitioned_by == "hospital":
            self._ask("drop", lambda: self._tables.delete(spec, f"${value}"))
            return
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        statement = f"DELETE FROM {target} WHERE {column} = @partition"
        self._ask("drop", lambda: self._tables.run(statement, {"partition": value}, zone=spec.zone))

    def content_digest(self, spec: TableSpec, partition: str) -> str:
        """SHA-256 over the sorted SHA-256 of all rows, taken by BigQuery from what it holds now; no row leaves it.

        In two steps, since one aggregated string holds 100 MB at most (BigQuery, Quotas and limits): rows whose digests begin
        with the same three digits are hashed together, then these 4,096 digests are.
        """
        self._admit(spec.zone)
        column, value = self._partition(spec, partition)
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        statement = (
            "SELECT TO_HEX(SHA256(IFNULL(STRING_AGG(part, '' ORDER BY part), ''))) AS digest FROM ("
            "SELECT TO_HEX(SHA256(STRING_AGG(mark, '' ORDER BY mark))) AS part FROM ("
            f"SELECT TO_HEX(SHA256(TO_JSON_STRING(t))) AS mark FROM {target} AS t WHERE {column} = @partition) "
            "GROUP BY SUBSTR(mark, 1, 3))"
        )
        run = self._tables.run
        found = self._ask("digest", lambda: next(iter(run(statement, {"partition": value}, zone=spec.zone))))
        return str(found["digest"])

    def location(self, spec: TableSpec, partition: str | None = None) -> str:
        """The table's address, with its partition's number."""
        self._admit(spec.zone)
        number = (
            f"${self._partition(spec, partition)[1]}"
            if partition is not None and spec.partitioned_by == "hospital"
            else ""
        )
        return f"bigquery://{self._tables.plain_name(spec).replace('.', '/')}{number}"

    def staging(self, zone: str, run_id: str) -> Staging:
        """A fresh prefix `<zone>/staging/<run id>/<random>` of the staging bucket."""
        self._admit(zone)
        return fresh_staging(self._staging_areas[zone].under(f"{zone}/staging"), run_id)

    def _admit(self, zone: str) -> None:
        if zone not in self.zones:
            raise ZoneRefused(f"this warehouse was opened for {', '.join(self.zones) or 'no zone'}, not for {zone}")

    def _partition(self, spec: TableSpec, partition: str) -> tuple[str, str | int]:
        checked_name(partition, "the name of a partition")
        if spec.partitioned_by == "release":
            return "release", partition
        if partition not in self._numbers:
            raise WarehouseError(f"{spec.full_name}: the registry has no number for this partition")
        return "hospital_number", self._numbers[partition]

    def _prepared(self, sql: str) -> str:
        known = {spec.full_name: spec for spec in self.specs}
        for zone, name in dialect.tables(sql):
            if zone in ZONES:
                self._admit(zone)
            if f"{zone}.{name}" not in known:
                raise WarehouseError(f"the statement names {zone}.{name}, which is no table")
            spec = known[f"{zone}.{name}"]
            self._ask("prepare", lambda spec=spec: self._tables.ensure(spec))  # type: ignore[misc]  # binds the loop's spec
        return dialect.to_bigquery(sql, {name: self._tables.plain_name(spec) for name, spec in known.items()})

    def _zone_of(self, sql: str) -> str:
        """The zone nearest to the patients that the statement names: its identity may read the ones behind it too."""
        named = {zone for zone, _ in dialect.tables(sql)}
        return next((zone for zone in ZONES if zone in named), self.zones[-1] if self.zones else ZONES[-1])

    def _batches(
        self, spec: TableSpec, partition: str | None, select: str, schema: pa.Schema, order: str = ""
    ) -> Iterator[pa.RecordBatch]:
        self._admit(spec.zone)
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        where, given = "", {}
        if partition is not None:
            column, value = self._partition(spec, partition)
            where, given = f" WHERE {column} = @partition", {"partition": value}
        statement = f"SELECT {select} FROM {target}{where}{order}"
        rows = self._ask("scan", lambda: self._tables.run(statement, given, zone=spec.zone, page_size=PAGE_ROWS))
        batches = self._ask("scan", lambda: iter(rows.to_arrow_iterable(bqstorage_client=None)))
        while (batch := self._ask("scan", lambda: next(batches, None))) is not None:
            yield conformed(batch, schema)

    def _load(self, spec: TableSpec, name: str, uris: Sequence[str], schema: list[Any]) -> str:
        def load() -> str:
            return self._tables.load(spec.zone, f"staging_{name}", uris, schema, _job_ids("load", name))

        return self._ask("load", load)

    def _load_tokens(self, spec: TableSpec, work: str, tokens: Collection[str]) -> str:
        """Put the tokens beside the shards and load them: a million of them are no query parameter."""
        if not tokens or WORK_TOKEN not in spec.column_names:
            return ""
        with self.staging(spec.zone, f"tokens-{work}") as stage:
            buffer = io.BytesIO()
            pq.write_table(pa.table({"token": pa.array(sorted(tokens), pa.string())}), buffer)
            stage.bucket.put("tokens.parquet", buffer.getvalue())
            from google.cloud.bigquery import SchemaField

            schema = [SchemaField("token", "STRING")]
            return self._load(spec, f"{spec.name}_{work}_gone", [f"{stage.uri}/tokens.parquet"], schema)

    def _put(self, spec: TableSpec, partition: str, work: str, select: str, given: Mapping[str, str | int]) -> None:
        """Replace the partition by what the statement selects, in one step."""
        column, value = self._partition(spec, partition)
        # The id holds what the sources look like now: an answer that got lost is asked for again under the same id, while
        # tomorrow's run of the same statement is another job.
        state = self._ask("prepare", lambda: self._tables.state([*self.specs]))
        ids = _job_ids("put", spec.name, partition, _digest(work, state))
        if spec.partitioned_by == "hospital":
            self._ask("replace", lambda: self._tables.replace_partition(spec, f"${value}", select, given, ids))
            return
        target = self._tables.name(spec)
        columns = ", ".join(quoted(name) for name in spec.column_names)
        # What is kept of the old rows is read before they are deleted.
        script = (
            f"CREATE TEMP TABLE replacement AS {select}; BEGIN TRANSACTION; "
            f"DELETE FROM {target} WHERE {column} = @release_partition; "
            f"INSERT INTO {target} ({columns}) SELECT {columns} FROM replacement; COMMIT TRANSACTION;"
        )
        bound = {**given, "release_partition": value}
        self._ask("replace", lambda: self._tables.run(script, bound, zone=spec.zone, job_ids=ids))

    def _ask(self, operation: str, call: Callable[[], _Answer]) -> _Answer:
        # BigQuery quotes values (`Bad int64 value: …`): only the kind of an error goes further.
        try:
            return call()
        except WarehouseError:
            raise
        except Exception as error:
            failure = holding_back(WarehouseError(f"BigQuery: {operation} failed ({type(error).__name__})"), error)
        raise failure


def _partition_column(spec: TableSpec) -> str:
    return "hospital_number" if spec.partitioned_by == "hospital" else "release"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _job_ids(*parts: str) -> list[str]:
    base = "gradient-" + "-".join("".join(c if c.isalnum() or c in "_-" else "_" for c in part) for part in parts)
    return [f"{base}-{attempt}" for attempt in range(MAX_ATTEMPTS)]
