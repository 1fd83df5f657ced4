"""A DuckDB of one call: in memory, shut in, offline.

Belongs here: how the database is opened and closed, and which of its errors' texts may go further.  What is asked of it is
`warehouse`'s business.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from resources.buckets.local_folder import remove_tree
from resources.errors import WarehouseError, holding_back
from resources.warehouses import full_text

MEMORY_LIMIT = "1GB"
"""DuckDB sorts on disk what is larger."""
THREADS = 2


@contextmanager
def session(
    folders: Sequence[Path], files: Sequence[Path], spill: Path, *, full_text_search: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that reads these folders and files only, downloads nothing, and counts time in UTC.

    What it puts on disk lies in the folder `spill`, which is its own (`own_name`): two databases with one folder for it
    overwrite each other's files, since DuckDB numbers them from 0.
    """
    database = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(spill),
            "memory_limit": MEMORY_LIMIT,
            "threads": str(THREADS),
            "python_enable_replacements": "false",
        },
    )
    try:
        database.execute("SET TimeZone = 'UTC'")
        if full_text_search:
            full_text.load(database)
        database.execute(f"SET allowed_directories = {path_literals(folders)}")
        database.execute(f"SET allowed_paths = {path_literals(files)}")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield database
    finally:
        database.close()
        remove_tree(spill)


def own_name() -> str:
    """A name for a session's folders that no other has."""
    return f"spill-{os.getpid()}-{secrets.token_hex(8)}"


def run(
    database: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, str | int] | None = None
) -> duckdb.DuckDBPyConnection:
    """Execute one statement.  Raises `WarehouseError` without any value of a row.

    DuckDB quotes values (`Could not convert string 'Doe^Jane' to INT32`), so only the kind of an error goes further, except
    for those that speak of the statement alone.
    """
    try:
        return database.execute(sql, dict(parameters)) if parameters else database.execute(sql)
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        failure = WarehouseError(f"the statement was refused: {str(error).splitlines()[0]}")
    except Exception as error:
        failure = holding_back(WarehouseError(f"the statement failed ({type(error).__name__})"), error)
    raise failure


def path_literals(paths: Sequence[Path]) -> str:
    """A list of paths as SQL."""
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"
