"""The warehouse on BigQuery: Parquet load jobs, and one query job that replaces a partition.

Belongs here: which rows are to stand in a partition.  The interface is `warehouse_contract`'s business, the same promises on a
folder are `warehouse`'s; the text of statements is `bigquery_statements`', what is sent `bigquery_tables`', waiting, trying
again and cancelling `bigquery_jobs`'.  The client comes from dagster-gcp; its IO managers are not used: they delete, then
insert, without a transaction, through a data frame in memory.

A hospital's rows are one integer-range partition, replaced by a job with `WRITE_TRUNCATE_DATA` on `table$N`: readers see the
old rows or the new.  Tables of releases have no such number; theirs are replaced in a transaction of one script.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gradient_assets.tables import ALL_TABLES, TableSpec
from resources.buckets.object_store import Bucket
from resources.buckets.staging import Staging, fresh_staging
from resources.credentials import Identity
from resources.errors import WarehouseError, ZoneRefused, checked_name, holding_back
from resources.vault_contract import Vault
from resources.warehouses import bigquery_statements as statements
from resources.warehouses import dialect
from resources.warehouses.bigquery_jobs import Limits, ids_of_work, kind_and_reason
from resources.warehouses.bigquery_readers import RowPolicies
from resources.warehouses.bigquery_tables import BigQueryTables, Staged, table_schema
from resources.warehouses.full_text import words_of
from resources.warehouses.parquet_files import conformed
from resources.warehouses.warehouse_contract import WORK_TOKEN, ZONES, Rehearsal

PAGE_ROWS = 10_000
NO_TABLE = Staged("", 0)

_Answer = TypeVar("_Answer")


class BigQueryWarehouse:
    """Datasets `<prefix>identified`, `<prefix>deidentified`, `<prefix>public` of one project.  Picklable.

    `numbers` gives each hospital's partition, `staging_areas` each zone's bucket, `identities` as whom a zone is opened;
    `limits` what a query may cost and how long is tried; `client` is for tests and emulators.
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
        limits: Limits | None = None,
    ) -> None:
        self.zones = tuple(zones)
        self.specs = tuple(specs)
        self._staging_areas = dict(staging_areas)
        self._numbers = dict(numbers)
        self._tables = BigQueryTables(
            project,
            location_name,
            dataset_prefix,
            endpoint,
            client,
            identities=identities or {},
            vault=vault,
            limits=limits,
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
        select = statements.columns_of(names)
        yield from self._batches(spec, partition, select, schema, in_order=columns is None)

    def count(self, spec: TableSpec, partition: str | None = None) -> int:
        """Number of rows."""
        batches = self._batches(spec, partition, "COUNT(*) AS total", pa.schema([("total", pa.int64())]))
        return sum(batch.column(0)[0].as_py() for batch in batches if batch.num_rows)

    def partitions(self, spec: TableSpec) -> list[str]:
        """Names of the partitions that have rows, sorted."""
        column = statements.partition_column(spec)
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
        result in place, another one counts what stands then.  Returns the number of rows.  Raises `WarehouseError`; the old
        partition then stands, unless the count shows that the job did not do what it was told.
        """
        self._admit(spec.zone)
        value = self._partition(spec, partition)
        gone = sorted(set(drop_tokens))
        work = _digest(spec.full_name, partition, *sorted(shards), "\x00", *gone)
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        dropped = self._load_tokens(spec, work, gone)
        fresh = self._load(spec, f"{spec.name}_{work}", sorted(shards), table_schema(spec)) if shards else NO_TABLE
        select = statements.merged(spec, target, fresh.name, dropped.name)
        self._put(spec, partition, work, select, {"partition": value}, [spec])
        return self._stands(spec, value, fresh, dropped)

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
        work = _digest(spec.full_name, partition, statement, json.dumps(given, sort_keys=True))
        sources = [one for one in self.specs if (one.zone, one.name) in dialect.tables(sql)]
        self._put(spec, partition, work, statements.by_name(spec, held, statement), given, [spec, *sources])
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
        words = words_of(terms)
        statement = statements.searching(spec, self._tables.name(spec), column, has_words=bool(words))
        given: dict[str, str | int] = {"most": max(0, limit), **({"words": words} if words else {})}
        rows = self._ask("search", lambda: self._tables.run(statement, given, zone=spec.zone))
        return self._ask("search", lambda: rows.to_arrow(create_bqstorage_client=False))

    def drop(self, spec: TableSpec, partition: str) -> None:
        """Remove the partition; one that is not there is no error."""
        self._admit(spec.zone)
        value = self._partition(spec, partition)
        if spec.partitioned_by == "hospital":
            self._ask("drop", lambda: self._tables.delete(spec, f"${value}"))
            return
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        statement = statements.removal(spec, target)
        given = {"partition": value}
        self._ask("drop", lambda: self._tables.run(statement, given, zone=spec.zone, operation="drop"))

    def content_digest(self, spec: TableSpec, partition: str) -> str:
        """SHA-256 over the sorted SHA-256 of all rows, taken by BigQuery from what it holds now; no row leaves it."""
        self._admit(spec.zone)
        value = self._partition(spec, partition)
        statement = statements.digesting(spec, self._ask("prepare", lambda: self._tables.ensure(spec)))
        run = self._tables.run
        found = self._ask("digest", lambda: next(iter(run(statement, {"partition": value}, zone=spec.zone))))
        return str(found["digest"])

    def location(self, spec: TableSpec, partition: str | None = None) -> str:
        """The table's address, with its partition's number."""
        self._admit(spec.zone)
        number = (
            f"${self._partition(spec, partition)}"
            if partition is not None and spec.partitioned_by == "hospital"
            else ""
        )
        return f"bigquery://{self._tables.plain_name(spec).replace('.', '/')}{number}"

    def rehearse(self, queries: Mapping[str, str], parameters: Mapping[str, str | int]) -> Rehearsal:
        """Dry runs of the queries and of every statement that is sent for the tables of the open zones."""
        largest, count, refused = 0, 0, {}

        def tried(name: str, read: Callable[[], int]) -> None:
            nonlocal largest, count
            count += 1
            try:
                largest = max(largest, self._ask("dry run", read))
            except WarehouseError as error:
                refused[name] = str(error)

        for name, sql in queries.items():
            tried(name, lambda sql=sql: self._rehearsed(sql, parameters))  # type: ignore[misc]  # binds the loop's query
        for spec in (one for one in self.specs if one.zone in self.zones):
            target = self._ask("prepare", lambda spec=spec: self._tables.ensure(spec))  # type: ignore[misc]  # binds the loop's spec
            for what, statement, given in statements.own_statements(spec, target):

                def read(spec: TableSpec = spec, text: str = statement, bound: dict[str, str | int] = given) -> int:
                    return self._tables.dry_run(text, bound, zone=spec.zone)

                tried(f"{what} of {spec.full_name}", read)
        return Rehearsal(count, largest, refused)

    def _rehearsed(self, sql: str, parameters: Mapping[str, str | int]) -> int:
        statement, given = self._prepared(sql), dialect.bound(sql, parameters)
        return self._tables.dry_run(statement, given, zone=self._zone_of(sql))

    def row_policies(self, spec: TableSpec, readers: Sequence[str]) -> RowPolicies:
        """Who sees which rows of a table."""
        self._admit(spec.zone)
        return RowPolicies(self._tables, spec, tuple(readers), tuple(self._numbers.values()))

    def staging(self, zone: str, run_id: str) -> Staging:
        """A fresh prefix `<zone>/staging/<run id>/<random>` of the staging bucket."""
        self._admit(zone)
        return fresh_staging(self._staging_areas[zone].under(f"{zone}/staging"), run_id)

    def _admit(self, zone: str) -> None:
        if zone not in self.zones:
            raise ZoneRefused(f"this warehouse was opened for {', '.join(self.zones) or 'no zone'}, not for {zone}")

    def _partition(self, spec: TableSpec, partition: str) -> str | int:
        """The value of the partition's column."""
        checked_name(partition, "the name of a partition")
        if spec.partitioned_by == "release":
            return partition
        if partition not in self._numbers:
            raise WarehouseError(f"{spec.full_name}: the registry has no number for this partition")
        return self._numbers[partition]

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
        self, spec: TableSpec, partition: str | None, select: str, schema: pa.Schema, *, in_order: bool = False
    ) -> Iterator[pa.RecordBatch]:
        self._admit(spec.zone)
        target = self._ask("prepare", lambda: self._tables.ensure(spec))
        given = {} if partition is None else {"partition": self._partition(spec, partition)}
        statement = statements.reading(spec, target, select, one_partition=partition is not None, in_order=in_order)
        rows = self._ask("scan", lambda: self._tables.run(statement, given, zone=spec.zone, page_size=PAGE_ROWS))
        batches = self._ask("scan", lambda: iter(rows.to_arrow_iterable(bqstorage_client=None)))
        while (batch := self._ask("scan", lambda: next(batches, None))) is not None:
            yield conformed(batch, schema)

    def _stands(self, spec: TableSpec, value: str | int, fresh: Staged, dropped: Staged) -> int:
        """The number of rows in a partition.  Raises `WarehouseError` unless all fresh rows and no dropped ones are there."""
        statement = statements.standing(spec, self._tables.name(spec), fresh.name, dropped.name)
        run = self._tables.run
        stands = self._ask("count", lambda: next(iter(run(statement, {"partition": value}, zone=spec.zone))))
        if stands["fresh"] != fresh.rows or stands["dropped"]:
            raise WarehouseError(
                f"{spec.full_name}: after the replacement {stands['fresh']} of {fresh.rows} new rows stand there, and "
                f"{stands['dropped']} that were to go"
            )
        return int(stands["total"])

    def _load(self, spec: TableSpec, name: str, uris: Sequence[str], schema: list[Any]) -> Staged:
        return self._ask("load", lambda: self._tables.load(spec.zone, f"staging_{name}", uris, schema))

    def _load_tokens(self, spec: TableSpec, work: str, tokens: Sequence[str]) -> Staged:
        """Put the tokens beside the shards and load them: a million of them are no query parameter.

        Raises `WarehouseError` unless each of them arrived: rows of the others would stay without a word.
        """
        if not tokens or WORK_TOKEN not in spec.column_names:
            return NO_TABLE
        with self.staging(spec.zone, f"tokens-{work}") as stage:
            buffer = io.BytesIO()
            pq.write_table(pa.table({"token": pa.array(tokens, pa.string())}), buffer)
            stage.bucket.put("tokens.parquet", buffer.getvalue())
            from google.cloud.bigquery import SchemaField

            schema = [SchemaField("token", "STRING")]
            gone = self._load(spec, f"{spec.name}_{work}_gone", [f"{stage.uri}/tokens.parquet"], schema)
        if gone.rows != len(tokens):
            raise WarehouseError(
                f"{spec.full_name}: {gone.rows} of {len(tokens)} work tokens were loaded whose rows are to go"
            )
        return gone

    def _put(
        self,
        spec: TableSpec,
        partition: str,
        work: str,
        select: str,
        given: Mapping[str, str | int],
        involved: Sequence[TableSpec],
    ) -> None:
        """Replace the partition by what the statement selects, in one step."""
        value = self._partition(spec, partition)
        # The id holds what the tables involved look like now: an answer that got lost is asked for again under the same id,
        # while tomorrow's run of the same statement is another job.
        state = self._ask("prepare", lambda: self._tables.state(involved))
        ids = ids_of_work("put", spec.name, partition, _digest(work, state))
        if spec.partitioned_by == "hospital":
            self._ask("replace", lambda: self._tables.replace_partition(spec, f"${value}", select, given, ids))
            return
        script = statements.exchange(spec, self._tables.name(spec), select)
        bound = {**given, "release_partition": value}
        self._ask("replace", lambda: self._tables.run(script, bound, zone=spec.zone, operation="replace", job_ids=ids))

    def _ask(self, operation: str, call: Callable[[], _Answer]) -> _Answer:
        # BigQuery quotes values (`Bad int64 value: …`): only the kind of an error goes further.
        try:
            return call()
        except WarehouseError:
            raise
        except Exception as error:
            told = f"BigQuery: {operation} failed ({kind_and_reason(error)})"
            failure = holding_back(WarehouseError(told), error)
        raise failure


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
