"""Full-text search of the embedded warehouse: DuckDB's `fts` extension, from the installed package, never from the network.

Belongs here: loading the extension and building an index for one question.  The index lives in memory with its
connection: the public table of three hospitals is indexed in milliseconds.  BigQuery's counterpart is in `bigquery`.
"""

# ruff: noqa: S608  Statements are put together from names of the specifications and column names; values are bound.

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa

from gradient_assets.tables import TableSpec

MAX_RESULTS = 10_000
_WORD = re.compile(r"\w+")


class FullTextUnavailable(Exception):  # noqa: N818  the name says what happened
    """The extension is not installed for this version of DuckDB."""


def load(database: duckdb.DuckDBPyConnection) -> None:
    """Load the extension's file.  Raises `FullTextUnavailable`; nothing is ever downloaded."""
    import duckdb_extension_fts  # type: ignore[import-untyped]  # ships no types

    folder = Path(duckdb_extension_fts.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / "fts.duckdb_extension"
    if not file.is_file():
        raise FullTextUnavailable(
            f"duckdb-extension-fts is not built for DuckDB {duckdb.__version__}: install the version of the same number"
        )
    database.execute("LOAD '" + str(file).replace("'", "''") + "'")


def search(database: duckdb.DuckDBPyConnection, spec: TableSpec, column: str, terms: str, limit: int) -> pa.Table:
    """The rows of the view `spec.full_name` whose `column` holds all words of `terms`, best first, with their `score`.

    English stems; every word counts, also short and common ones.  No words, no rows.
    """
    columns = ", ".join(f'"{name}"' for name in spec.column_names)
    database.execute(
        f"CREATE TABLE searched AS SELECT row_number() OVER () AS __row, {columns} FROM {spec.zone}.{spec.name} "
        f'WHERE "{column}" IS NOT NULL'
    )
    database.execute(
        f"PRAGMA create_fts_index('searched', '__row', '{column}', stemmer = 'english', stopwords = 'none')"
    )
    order = ", ".join(f'"{name}"' for name in spec.sort_by)
    return database.execute(
        f"SELECT {columns}, score FROM (SELECT *, fts_main_searched.match_bm25(__row, $words, conjunctive := 1) AS score "
        f"FROM searched) WHERE score IS NOT NULL ORDER BY score DESC, {order} LIMIT $most",
        {"words": words_of(terms), "most": max(0, min(limit, MAX_RESULTS))},
    ).to_arrow_table()


def words_of(terms: str) -> str:
    """The words of what a user typed, without signs that a search function would read as operators."""
    return " ".join(_WORD.findall(terms))
