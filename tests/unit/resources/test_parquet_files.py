"""Where row groups end depends on the rows alone, and bounds what is held of them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.warehouses import parquet_files

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])
TABLE = pa.table(
    {"number": range(40), "text": [None if n % 5 == 0 else "x" * (n * 37 % 101) for n in range(40)]}, SCHEMA
)


def written(path, table, cut):
    """Sizes of the row groups of a file that was written from batches of so many rows."""
    assert parquet_files.write(path, SCHEMA, iter(table.to_batches(cut))) == table.num_rows
    assert pq.read_table(path) == table
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def in_memory(rows):
    """Eight bytes for the number, and the text."""
    return sum(8 + len(text or "") for text in rows["text"].to_pylist())


@pytest.fixture(params=[(65_536, 300), (7, 10**6), (7, 300)])
def limits(request, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", request.param[0])
    monkeypatch.setattr(parquet_files, "ROW_GROUP_BYTES", request.param[1])
    return request.param


def test_a_row_group_ends_with_the_row_that_fills_it(tmp_path, limits):
    most_rows, most_bytes = limits
    sizes = written(tmp_path / "a.parquet", TABLE, 40)
    assert len(sizes) > 3
    start = 0
    for number, size in enumerate(sizes):
        held = in_memory(TABLE.slice(start, size))
        assert size <= most_rows
        assert in_memory(TABLE.slice(start, size - 1)) < most_bytes
        assert size == most_rows or held >= most_bytes or number == len(sizes) - 1
        start += size


def test_how_the_batches_were_cut_leaves_no_trace(tmp_path, limits):
    files = [tmp_path / f"{cut}.parquet" for cut in (1, 3, 7, 40)]
    for file in files:
        written(file, TABLE, int(file.stem))
    assert len({file.read_bytes() for file in files}) == 1


def test_a_row_larger_than_a_row_group_has_one(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROW_GROUP_BYTES", 300)
    table = pa.table({"number": range(4), "text": ["x" * 1000, "y" * 1000, "", "z"]}, SCHEMA)
    assert written(tmp_path / "a.parquet", table, 4) == [1, 1, 2]


def test_no_row_at_all_is_a_file_without_rows(tmp_path):
    assert written(tmp_path / "a.parquet", TABLE.slice(0, 0), 1) == []
