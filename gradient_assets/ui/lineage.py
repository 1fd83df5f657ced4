"""Column lineage of the SQL assets, for Dagster's own view and as a table that the open-source UI shows.

Belongs here: turning `resources.warehouses.dialect`'s lineage into metadata.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import dagster as dg

from gradient_assets import boundary
from gradient_assets.sql import statement
from gradient_assets.tables import TableSpec
from resources.warehouses.dialect import lineage


@lru_cache(maxsize=16)
def column_sources(name: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Column of `<name>.sql` → the tables' columns it is made of."""
    return {column: tuple(sources) for column, sources in lineage(statement(name)).items()}


def sql_metadata(spec: TableSpec) -> dict[str, Any]:
    """Lineage of the table's columns: Dagster's own form, and a Markdown table, since showing the former needs Dagster+."""
    sources = column_sources(spec.name)
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(table.rpartition(".")[2]), name) for table, name in found]
        for column, found in sources.items()
        if found
    }
    lines = [
        f"| {column} | {', '.join(f'{t}.{c}' for t, c in found) or 'constant'} |" for column, found in sources.items()
    ]
    return boundary.asset_metadata(
        {
            "dagster/column_lineage": dg.TableColumnLineage(deps),
            "gradient/column_lineage": dg.MetadataValue.md(
                "\n".join(["| column | made of |", "| --- | --- |", *lines])
            ),
        }
    )
