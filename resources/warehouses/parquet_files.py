"""Parquet files whose bytes depend on their rows only.

Belongs here: where row groups end, the writer's options, bringing batches to a table's schema.  Which rows, and in
which order, is `warehouse`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resources.buckets.local_folder import put_in_place
from resources.errors import WarehouseError, holding_back

ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 32 * 1024**2
"""As the rows lie in memory, where a group is held three times while it is written.  65,536 headers of 40 kB were 2.6 GB."""

BATCH_ROWS = 2_048
FIXED_BYTES = 8
"""For a value of a type without a length of its own."""


def write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write the batches beside `path`, sync, rename over it.  One writer of `path` at a time.  Returns the number of rows.

    Raises `WarehouseError` without any value of a row; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Always the same name: what a killed writer left is written over by the next one.
    part = path.with_name(f".gradient-{path.stem}.part")
    rows = 0
    try:
        # Batches arrive cut at random; only whole row groups are written, so that the cuts leave no trace.
        # No statistics: they would repeat the smallest and the largest value of each column in the footer.
        with pq.ParquetWriter(part, schema, compression="zstd", version="2.6", write_statistics=False) as writer:
            for table in _row_groups(schema, batches):
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
                rows += table.num_rows
        put_in_place(part, path)
        return rows
    except WarehouseError:
        raise
    except Exception as error:
        # Arrow and DuckDB quote the value that did not fit.
        failure = holding_back(WarehouseError(f"a partition could not be written ({type(error).__name__})"), error)
    finally:
        part.unlink(missing_ok=True)
    raise failure


def read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The file's rows in `schema`: a column that it has not yet is null.  A file that is gone has none."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        return
    with file:
        held = set(file.schema_arrow.names)
        wanted = pa.schema([field if field.name in held else field.with_nullable(True) for field in schema])
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[name for name in wanted.names if name in held]):
            yield conformed(batch, wanted)


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the schema's columns and types.  Raises `WarehouseError` where a required column is null."""
    columns = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        column = pa.nulls(batch.num_rows, field.type) if index < 0 else batch.column(index).cast(field.type)
        if not field.nullable and column.null_count:
            raise WarehouseError(f"the required column {field.name} is null in {column.null_count} rows")
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _row_groups(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of so many rows or bytes as a row group holds, and the rest.  A row that is larger has a group of its own."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in (conformed(batch, schema) for batch in batches):
        ends = np.cumsum(_row_bytes(batch))
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            full = int(np.searchsorted(ends, before + ROW_GROUP_BYTES - size)) + 1
            stop = min(full, start + ROW_GROUP_ROWS - rows, batch.num_rows)
            held.append(batch.slice(start, stop - start))
            rows, size, start = rows + stop - start, size + int(ends[stop - 1]) - before, stop
            if rows == ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
                yield pa.Table.from_batches(held, schema).combine_chunks()
                held, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held, schema).combine_chunks()


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """The length of each row's texts, and a fixed size for each other value: a function of the row alone."""
    texts = [column for column in batch.columns if pa.types.is_string(column.type) or pa.types.is_binary(column.type)]
    sizes = np.full(batch.num_rows, FIXED_BYTES * (batch.num_columns - len(texts)), np.int64)
    for column in texts:
        sizes += pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return sizes
