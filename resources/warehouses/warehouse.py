"""The embedded warehouse: a Parquet file for each table and partition, put in place in one step.

Belongs here: merging shards into a partition, queries, search.  The interface is `warehouse_contract`'s, the same promises
on BigQuery are `bigquery`'s, translating SQL is `dialect`'s business; which columns a table has, `gradient_assets.tables`
says.

The layout is `<home>/<zone>/warehouse/<table>/<partition>.parquet`.  Each call opens a DuckDB of its own in memory: one
`.duckdb` file gave over 100 lock errors with four writers, files put in place by `os.replace` none.
"""

# ruff: noqa: S608  Statements are put together from names of the specifications and quoted paths; values are bound.

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from gradient_assets.tables import ALL_TABLES, TableSpec
from resources.buckets.local_folder import remove_tree
from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.staging import Staging, fresh_staging
from resources.errors import WarehouseError, ZoneRefused, checked_name
from resources.warehouses import dialect, full_text, parquet_files
from resources.warehouses.duckdb_session import own_name, path_literals, run, session
from resources.warehouses.warehouse_contract import WORK_TOKEN, ZONES, Rehearsal, Warehouse


@dataclass(frozen=True)
class EmbeddedWarehouse:
    """The warehouse of one folder.  Picklable; opens only the zones it was made for.

    `specs` lists the tables that SQL may name: one without a file is an empty table, not an error.
    """

    home: Path
    zones: tuple[str, ...] = ZONES
    specs: tuple[TableSpec, ...] = ALL_TABLES

    def tokens(self, spec: TableSpec, partition: str) -> set[str]:
        """The work tokens that have rows in the partition."""
        found: set[str] = set()
        for batch in self.scan(spec, partition, [WORK_TOKEN]):
            found.update(batch.column(0).unique().to_pylist())
        return found

    def scan(
        self, spec: TableSpec, partition: str | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows in stored order, in the table's schema of today: a column added since is null, one gone is left out."""
        names = spec.column_names if columns is None else columns
        schema = pa.schema([spec.arrow_schema.field(name) for name in names])
        for path in self._files(spec, partition):
            yield from parquet_files.read(path, schema)

    def count(self, spec: TableSpec, partition: str | None = None) -> int:
        """Number of rows, from the files' footers."""
        return sum(int(pq.read_metadata(path).num_rows) for path in self._files(spec, partition))

    def partitions(self, spec: TableSpec) -> list[str]:
        """Names of the partitions that were written, sorted."""
        return [path.stem for path in self._files(spec, None)]

    def replace(
        self, spec: TableSpec, partition: str, *, shards: Sequence[str], drop_tokens: Collection[str] = ()
    ) -> int:
        """New partition = old rows whose work token is neither dropped nor in the shards, and the shards' rows, sorted.

        Because a shard's token replaces its old rows, a retry with the same shards gives the same bytes.  Returns the
        number of rows.  Raises `WarehouseError`; the old partition then stands.
        """
        path = self._file(spec, partition)
        fresh = sorted(_local_path(shard) for shard in shards)
        by_token = WORK_TOKEN in spec.column_names
        self._admit(spec.zone)
        with self._locked(path), self._opened(fresh) as opened:
            database = opened.database
            run(database, "CREATE TEMP TABLE dropped (token VARCHAR)")
            if drop_tokens:
                database.register("gone", pa.table({"token": pa.array(sorted(drop_tokens), pa.string())}))
                run(database, "INSERT INTO dropped SELECT token FROM gone")
            sources = []
            if fresh:
                rows = _read_parquet(fresh)
                sources.append(f"SELECT {_columns(database, spec, rows)} FROM {rows}")
                if by_token:
                    run(database, f"INSERT INTO dropped SELECT DISTINCT {WORK_TOKEN} FROM {rows}")
            if path.exists() and by_token:
                rows = _read_parquet([path])
                kept = f"{rows} ANTI JOIN dropped ON {WORK_TOKEN} = token"
                sources.append(f"SELECT {_columns(database, spec, rows)} FROM {kept}")
            return _write_sorted(database, spec, path, " UNION ALL ".join(sources) or _no_rows(spec))

    def replace_from_query(
        self, spec: TableSpec, partition: str, sql: str, parameters: Mapping[str, str | int] | None = None
    ) -> int:
        """New partition = the query's result, matched to the table's columns by name.  Returns the number of rows."""
        path = self._file(spec, partition)
        self._admit(spec.zone)
        with self._locked(path), self._opened() as opened:
            database = opened.database
            statement = self._prepared(opened, sql)
            run(database, f"CREATE TEMP TABLE result AS {statement}", dialect.bound(sql, parameters or {}))
            unknown = _held_columns(database, "result") - set(spec.column_names)
            if unknown:
                names = ", ".join(sorted(unknown))
                raise WarehouseError(f"{spec.full_name}: the query gives columns that the table has not: {names}")
            return _write_sorted(database, spec, path, f"SELECT {_columns(database, spec, 'result')} FROM result")

    def query(self, sql: str, parameters: Mapping[str, str | int] | None = None) -> pa.Table:
        """The result of a query in BigQuery's dialect; parameters are `@name`."""
        with self._opened() as opened:
            statement = self._prepared(opened, sql)
            return _fetched(run(opened.database, statement, dialect.bound(sql, parameters or {})))

    def search(self, spec: TableSpec, column: str, terms: str, limit: int = 20) -> pa.Table:
        """The rows whose `column` holds all words of `terms` (stemmed), best first by BM25, with a column `score`."""
        if column not in spec.column_names:
            raise WarehouseError(f"{spec.full_name} has no column to search by that name")
        self._admit(spec.zone)
        with self._opened(full_text_search=True) as opened:
            self._view(opened, spec)
            return full_text.search(opened.database, spec, column, terms, limit)

    def rehearse(self, queries: Mapping[str, str], parameters: Mapping[str, str | int]) -> Rehearsal:
        """Plan each query over the files that are there; DuckDB does not say what one would read."""
        refused = {}
        for name, sql in queries.items():
            try:
                with self._opened() as opened:
                    run(opened.database, f"EXPLAIN {self._prepared(opened, sql)}", dialect.bound(sql, parameters))
            except WarehouseError as error:
                refused[name] = str(error)
        return Rehearsal(len(queries), 0, refused)

    def drop(self, spec: TableSpec, partition: str) -> None:
        """Remove the partition's file; one that is not there is no error."""
        path = self._file(spec, partition)
        with self._locked(path):
            path.unlink(missing_ok=True)

    def content_digest(self, spec: TableSpec, partition: str) -> str:
        """SHA-256 of the file's bytes, which are equal for equal content; of nothing for a partition never written."""
        path = self._file(spec, partition)
        if not path.exists():
            return hashlib.sha256().hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def location(self, spec: TableSpec, partition: str | None = None) -> str:
        """The file's or folder's URI."""
        return (self._folder(spec) if partition is None else self._file(spec, partition)).as_uri()

    def staging(self, zone: str, run_id: str) -> Staging:
        """A fresh folder `<home>/<zone>/staging/<run id>/<random>`; what dead runs left there goes after a day."""
        return fresh_staging(Bucket(BucketAddress(self._staging_folder(zone).as_uri())), run_id)

    def _admit(self, zone: str) -> None:
        if zone not in self.zones:
            raise ZoneRefused(f"this warehouse was opened for {', '.join(self.zones) or 'no zone'}, not for {zone}")

    def _most_confidential(self) -> str:
        return next((zone for zone in ZONES if zone in self.zones), "none")

    def _zone_folder(self, zone: str) -> Path:
        self._admit(zone)
        folder = self.home.absolute() / zone
        # Other users of the machine have no business in the identified zone.
        folder.mkdir(mode=0o700 if zone == "identified" else 0o755, parents=True, exist_ok=True)
        return folder

    def _staging_folder(self, zone: str) -> Path:
        return self._zone_folder(zone) / "staging"

    def _folder(self, spec: TableSpec) -> Path:
        self._admit(spec.zone)
        return self.home.absolute() / spec.zone / "warehouse" / spec.name

    def _file(self, spec: TableSpec, partition: str) -> Path:
        return self._folder(spec) / f"{checked_name(partition, 'the name of a partition')}.parquet"

    def _files(self, spec: TableSpec, partition: str | None) -> list[Path]:
        if partition is not None:
            path = self._file(spec, partition)
            return [path] if path.exists() else []
        return sorted(path for path in self._folder(spec).glob("*.parquet") if not path.name.startswith("."))

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """One writer of a partition at a time: the second one merges into what the first one wrote."""
        self._zone_folder(path.parents[2].name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(f".{path.stem}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, files: Sequence[Path] = (), *, full_text_search: bool = False) -> Iterator[_Opened]:
        # A query for a lower zone may hold rows of a higher one while it runs; they spill where they may lie.
        spill = self._staging_folder(self._most_confidential())
        name = own_name()
        own = {zone: self._staging_folder(zone) / name for zone in self.zones}
        folders = [self.home.absolute() / zone / "warehouse" for zone in self.zones]
        try:
            allowed = [*folders, *own.values()]
            with session(allowed, files, spill / name, full_text_search=full_text_search) as database:
                yield _Opened(database, own)
        finally:
            for folder in own.values():
                remove_tree(folder)

    def _prepared(self, opened: _Opened, sql: str) -> str:
        """Make a view for each table that the SQL names; return the SQL in DuckDB's dialect."""
        known = {spec.full_name: spec for spec in self.specs}
        for zone, name in dialect.tables(sql):
            if zone in ZONES:
                self._admit(zone)
            if f"{zone}.{name}" not in known:
                raise WarehouseError(f"the statement names {zone}.{name}, which is no table")
            self._view(opened, known[f"{zone}.{name}"])
        return dialect.to_duckdb(sql)

    def _view(self, opened: _Opened, spec: TableSpec) -> None:
        files = opened.as_they_are(spec, self._files(spec, None))
        rows = _read_parquet(files)
        select = f"SELECT {_columns(opened.database, spec, rows)} FROM {rows}" if files else _no_rows(spec)
        run(opened.database, f'CREATE SCHEMA IF NOT EXISTS "{spec.zone}"')
        run(opened.database, f'CREATE OR REPLACE VIEW "{spec.zone}"."{spec.name}" AS {select}')


@dataclass(frozen=True)
class _Opened:
    """A database, and a folder of its own in each zone."""

    database: duckdb.DuckDBPyConnection
    own: Mapping[str, Path]

    def as_they_are(self, spec: TableSpec, files: Sequence[Path]) -> list[Path]:
        """The table's files under names that nobody replaces; one that was dropped meanwhile is left out.

        DuckDB reads a file's footer and its rows at different times, by its name: a partition that another process put in place
        in between failed a run (`TProtocolException: Invalid data`), and could have given rows that are none.
        """
        folder = self.own[spec.zone] / spec.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return [folder / file.name for file in files if _pinned(file, folder / file.name)]


def _pinned(file: Path, name: Path) -> bool:
    """Give a file one more name.  False for one that is not there any more."""
    name.unlink(missing_ok=True)
    while file.exists():
        try:
            os.link(file, name)
        except FileNotFoundError:  # replaced in this very moment: the new one then
            continue
        except OSError:  # a file system without hard links
            with suppress(FileNotFoundError):
                shutil.copyfile(file, name)
                return True
        else:
            return True
    return False


def _read_parquet(files: Sequence[Path]) -> str:
    # Without union_by_name a column that only newer files have is gone without a word.
    return f"read_parquet({path_literals(files)}, union_by_name = true)"


def _held_columns(database: duckdb.DuckDBPyConnection, source: str) -> set[str]:
    return {row[0] for row in run(database, f"DESCRIBE SELECT * FROM {source}").fetchall()}


def _columns(database: duckdb.DuckDBPyConnection, spec: TableSpec, source: str) -> str:
    held = _held_columns(database, source)
    sources = [(c, f'"{c.name}"' if c.name in held else "NULL") for c in spec.columns]
    return ", ".join(f'CAST({value} AS {dialect.DUCKDB_TYPES[c.type]}) AS "{c.name}"' for c, value in sources)


def _no_rows(spec: TableSpec) -> str:
    columns = ", ".join(f'CAST(NULL AS {dialect.DUCKDB_TYPES[c.type]}) AS "{c.name}"' for c in spec.columns)
    return f"SELECT {columns} WHERE false"


def _write_sorted(database: duckdb.DuckDBPyConnection, spec: TableSpec, path: Path, select: str) -> int:
    """Every column takes part in the order: rows with equal keys must not depend on which worker came first."""
    order = [*spec.sort_by, *(name for name in spec.column_names if name not in spec.sort_by)]
    keys = ", ".join(f'"{name}" NULLS FIRST' for name in order)
    reader = run(database, f"SELECT * FROM ({select}) ORDER BY {keys}").to_arrow_reader(parquet_files.BATCH_ROWS)
    return parquet_files.write(path, spec.arrow_schema, reader)


def _fetched(result: duckdb.DuckDBPyConnection) -> pa.Table:
    try:
        return _with_types_of_bigquery(result.to_arrow_table())
    except Exception as error:
        failure = WarehouseError(f"the statement failed ({type(error).__name__})")
    raise failure


def _with_types_of_bigquery(found: pa.Table) -> pa.Table:
    """DuckDB's sums of whole numbers have 128 bits, and both they and a literal like 0.5 are decimals; BigQuery's are INT64 and
    FLOAT64.  A sum that INT64 can't hold is an error there and here."""
    types = {True: pa.int64(), False: pa.float64()}
    fields = [f.with_type(types[f.type.scale == 0]) if pa.types.is_decimal(f.type) else f for f in found.schema]
    return found.cast(pa.schema(fields))


def _local_path(uri: str) -> Path:
    if "://" not in uri:
        return Path(uri).absolute()
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise WarehouseError(f"the embedded warehouse reads shards from folders, not from {parts.scheme}://")
    return Path(unquote(parts.path))


__all__ = ["ZONES", "EmbeddedWarehouse", "Staging", "Warehouse", "WarehouseError", "ZoneRefused"]
