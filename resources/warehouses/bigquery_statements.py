"""The statements that the warehouse on BigQuery sends of its own: reading, replacing, searching, digests, row policies.

Belongs here: their text, made of names of the specifications; values are bound as parameters.  Statements of assets are in
`gradient_assets/sql` and go through `dialect`.  `own_statements` lists what is sent, for `gradient doctor` and for the
analyzer in the tests.
"""

# ruff: noqa: S608  Statements are put together from names of the specifications; values are bound as parameters.

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gradient_assets.tables import TableSpec
from resources.warehouses.bigquery_tables import quoted
from resources.warehouses.warehouse_contract import WORK_TOKEN

SEARCHED = "search_text"
PLATFORM_POLICY = "gradient_platform"
READERS_POLICY = "gradient_readers"


def partition_column(spec: TableSpec) -> str:
    """The column that tells the partitions apart."""
    return "hospital_number" if spec.partitioned_by == "hospital" else "release"


def reading(spec: TableSpec, target: str, what: str, *, one_partition: bool, in_order: bool = False) -> str:
    """Rows or sums of a table, of one partition with the parameter `partition`."""
    where = f" WHERE {partition_column(spec)} = @partition" if one_partition else ""
    order = f" ORDER BY {', '.join(quoted(name) for name in spec.sort_by)}" if in_order else ""
    return f"SELECT {what} FROM {target}{where}{order}"


def columns_of(names: Sequence[str]) -> str:
    """The columns in backquotes."""
    return ", ".join(quoted(name) for name in names)


def merged(spec: TableSpec, target: str, fresh: str, dropped: str) -> str:
    """What a partition is to hold: the rows of `fresh`, and the old ones whose token is neither there nor in `dropped`.

    Either table may be empty text: there is none.
    """
    columns = columns_of(spec.column_names)
    gone = [f"SELECT token FROM {dropped}"] if dropped else []
    selects = []
    if fresh:
        selects.append(f"SELECT {columns} FROM {fresh}")
        gone.append(f"SELECT {WORK_TOKEN} FROM {fresh}")
    if WORK_TOKEN in spec.column_names:
        keep = f" AND {WORK_TOKEN} NOT IN ({' UNION ALL '.join(gone)})" if gone else ""
        selects.append(f"SELECT {columns} FROM {target} WHERE {partition_column(spec)} = @partition{keep}")
    return " UNION ALL ".join(selects) or f"SELECT {columns} FROM {target} WHERE false"


def standing(spec: TableSpec, target: str, fresh: str, dropped: str) -> str:
    """Sums over a partition that was `merged`: `total` rows, `fresh` ones of loaded tokens, `dropped` ones that should be gone.

    Of a table without tokens every row is a fresh one.
    """
    if WORK_TOKEN not in spec.column_names:
        return reading(spec, target, "COUNT(*) AS total, COUNT(*) AS fresh, 0 AS dropped", one_partition=True)
    is_fresh = f"{WORK_TOKEN} IN (SELECT {WORK_TOKEN} FROM {fresh})" if fresh else "FALSE"
    is_dropped = f"{WORK_TOKEN} IN (SELECT token FROM {dropped})" if dropped else "FALSE"
    marked = reading(spec, target, f"{is_fresh} AS is_fresh, {is_dropped} AS is_dropped", one_partition=True)
    return (
        "SELECT COUNT(*) AS total, COUNT(IF(is_fresh, 1, NULL)) AS fresh, "
        f"COUNT(IF(is_dropped AND NOT is_fresh, 1, NULL)) AS dropped FROM ({marked})"
    )


def by_name(spec: TableSpec, held: Collection[str], statement: str) -> str:
    """The statement's columns in the order of the table, with NULL for those that it has not."""
    columns = ", ".join(
        quoted(c.name) if c.name in held else f"CAST(NULL AS {c.type}) AS {quoted(c.name)}" for c in spec.columns
    )
    return f"SELECT {columns} FROM ({statement})"


def exchange(spec: TableSpec, target: str, select: str) -> str:
    """A script that puts the result of `select` in place of the rows of `@release_partition`, all or nothing."""
    columns = columns_of(spec.column_names)
    # What is kept of the old rows is read before they are deleted.
    return (
        f"CREATE TEMP TABLE replacement AS {select}; BEGIN TRANSACTION; "
        f"DELETE FROM {target} WHERE {partition_column(spec)} = @release_partition; "
        f"INSERT INTO {target} ({columns}) SELECT {columns} FROM replacement; COMMIT TRANSACTION;"
    )


def removal(spec: TableSpec, target: str) -> str:
    """Delete the rows of a partition that has no number."""
    return f"DELETE FROM {target} WHERE {partition_column(spec)} = @partition"


def searching(spec: TableSpec, target: str, column: str, *, has_words: bool) -> str:
    """Rows whose column holds all of `@words`, `@most` of them; BigQuery does not rank."""
    found = f"SEARCH({quoted(column)}, @words)" if has_words else "false"
    order = columns_of(spec.sort_by)
    return (
        f"SELECT {columns_of(spec.column_names)}, 1.0 AS score FROM {target} WHERE {found} ORDER BY {order} LIMIT @most"
    )


def digesting(spec: TableSpec, target: str) -> str:
    """The digest of a partition's rows, whatever their order.

    In two steps, since one aggregated string holds 100 MB at most (BigQuery, Quotas and limits): rows whose digests begin
    with the same three digits are hashed together, then these 4,096 digests are.
    """
    return (
        "SELECT TO_HEX(SHA256(IFNULL(STRING_AGG(part, '' ORDER BY part), ''))) AS digest FROM ("
        "SELECT TO_HEX(SHA256(STRING_AGG(mark, '' ORDER BY mark))) AS part FROM ("
        f"SELECT TO_HEX(SHA256(TO_JSON_STRING(t))) AS mark FROM {target} AS t WHERE {partition_column(spec)} = @partition) "
        "GROUP BY SUBSTR(mark, 1, 3))"
    )


def row_policies(target: str, platform: str, readers: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Statements that let the platform see all rows, and readers those of registered hospitals.

    The platform's comes first: with the first policy of a table everybody else sees nothing (BigQuery, Row-level security).
    """
    seen = f"hospital_number IN ({', '.join(str(number) for number in sorted(numbers))})" if numbers else "FALSE"
    return [
        _policy(PLATFORM_POLICY, target, [platform], "TRUE"),
        _policy(READERS_POLICY, target, readers, seen),
    ]


def _policy(name: str, target: str, grantees: Sequence[str], predicate: str) -> str:
    granted = ", ".join(f'"{grantee}"' for grantee in grantees)
    return f"CREATE OR REPLACE ROW ACCESS POLICY {name} ON {target} GRANT TO ({granted}) FILTER USING ({predicate})"


def own_statements(spec: TableSpec, target: str) -> Iterator[tuple[str, str, dict[str, str | int]]]:
    """What is done, the statement, its parameters: all that is sent for one table, with values that fit their types."""
    given: dict[str, str | int] = {"partition": 1 if spec.partitioned_by == "hospital" else "none"}
    every = columns_of(spec.column_names)
    # Staged tables are there only while rows are replaced: the table itself stands for them.
    has_tokens = WORK_TOKEN in spec.column_names
    fresh = target if has_tokens else ""
    dropped = f"(SELECT {WORK_TOKEN} AS token FROM {target})" if has_tokens else ""
    select = merged(spec, target, fresh, dropped)
    yield "scan", reading(spec, target, every, one_partition=False, in_order=True), {}
    yield "scan", reading(spec, target, every, one_partition=True, in_order=True), given
    yield "count", reading(spec, target, "COUNT(*) AS total", one_partition=True), given
    yield "partitions", reading(spec, target, f"DISTINCT {partition_column(spec)}", one_partition=False), {}
    yield "what stands", standing(spec, target, fresh, dropped), given
    if has_tokens:
        yield "tokens", reading(spec, target, f"DISTINCT {WORK_TOKEN}", one_partition=True), given
    yield "digest", digesting(spec, target), given
    if SEARCHED in spec.column_names:
        yield "search", searching(spec, target, SEARCHED, has_words=True), {"words": "none", "most": 1}
    if spec.partitioned_by == "hospital":
        yield "replace", select, given
    else:
        yield "replace", exchange(spec, target, select), {**given, "release_partition": "none"}
        yield "drop", removal(spec, target), given
