"""BigQuery's SQL for DuckDB: what may be written, how it is translated, where each column comes from.

Belongs here: the allow-list of constructs, and the places where sqlglot's translation alone gives another answer.
sqlglot reads nearly everything and complains about little, so a construct that nobody has compared on both engines is
refused here instead of giving a silently wrong number.  Statements are single queries; tables are written by `warehouse`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage as _lineage_of_column

from gradient_assets.tables import ALL_TABLES, ColumnType, TableSpec
from resources.errors import WarehouseError

DUCKDB_TYPES: dict[ColumnType, str] = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}

_STRUCTURE: tuple[type[exp.Expr], ...] = (
    *(exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join, exp.Where),
    *(exp.Group, exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Window),
    *(exp.WindowSpec, exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Parameter),
    *(exp.Var, exp.Literal, exp.RawString, exp.Null, exp.Boolean, exp.Paren, exp.DataType, exp.Interval, exp.Tuple),
)
_OPERATORS: tuple[type[exp.Expr], ...] = (
    *(
        exp.And,
        exp.Or,
        exp.Not,
        exp.EQ,
        exp.NEQ,
        exp.GT,
        exp.GTE,
        exp.LT,
        exp.LTE,
        exp.Is,
        exp.In,
        exp.Between,
        exp.Like,
    ),
    *(exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Case, exp.If, exp.Exists, exp.DPipe),
)
_FUNCTIONS: tuple[type[exp.Expr], ...] = (
    *(exp.Count, exp.CountIf, exp.Sum, exp.Min, exp.Max, exp.Avg, exp.AnyValue, exp.GroupConcat),
    *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.FirstValue, exp.Lag, exp.Lead),
    *(exp.Coalesce, exp.Nullif, exp.Cast, exp.TryCast, exp.SafeFunc, exp.SafeDivide, exp.Abs, exp.Mod),
    *(exp.Least, exp.Greatest, exp.Concat, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring),
    *(exp.StartsWith, exp.StrPosition, exp.Extract, exp.DateAdd, exp.DateSub, exp.DateDiff, exp.DateTrunc, exp.Date),
)
ALLOWED = frozenset(_STRUCTURE + _OPERATORS + _FUNCTIONS)
"""Constructs that were compared on both engines; whoever adds one adds its line to the table of tests."""

_ADVICE: dict[type[exp.Expr], str] = {
    exp.Format: "FORMAT('%05d', …) gives another text in DuckDB; use CAST and SUBSTR",
    exp.Div: "division by zero is an error on one engine only; use SAFE_DIVIDE",
    exp.Anonymous: "an unknown function; full text is `Warehouse.search`",
    exp.CurrentDate: "today's date makes equal input give different tables; pass it as a parameter",
    exp.CurrentTimestamp: "the time makes equal input give different tables; pass it as a parameter",
}
_DATE_UNITS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})


class DialectRefused(WarehouseError):  # noqa: N818  the name says what happened
    """The statement holds something that is not on the allow-list.  The message names it and what to write instead."""


@lru_cache(maxsize=256)
def to_duckdb(sql: str) -> str:
    """The statement in DuckDB's dialect; parameters become `$name`.  Raises `DialectRefused`."""
    return _translated(checked(sql)).sql(dialect="duckdb", comments=False)


def to_bigquery(sql: str, names: Mapping[str, str]) -> str:
    """The statement as it is, with `zone.table` replaced by `names[zone.table]` (`project.dataset.table`)."""
    query = checked(sql).copy()
    for table in list(query.find_all(exp.Table)):
        if table.db:
            full_name = names[f"{table.db}.{table.name}"]
            renamed = exp.to_table(full_name, dialect="bigquery", alias=table.alias_or_name)
            for part in renamed.parts:
                part.set("quoted", True)
            table.replace(renamed)
    return query.sql(dialect="bigquery", comments=False)


@lru_cache(maxsize=256)
def checked(sql: str) -> exp.Query:
    """The parsed statement, when every construct in it is allowed.  Raises `DialectRefused`; do not change the result."""
    try:
        statements = [statement for statement in sqlglot.parse(sql, read="bigquery") if statement is not None]
    except SqlglotError as error:
        # The first line says what and where; the rest quotes the statement with terminal colours.
        raise DialectRefused(f"the statement is no SQL: {_plain(error)}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DialectRefused("one query is expected: SELECT or WITH, no DDL, no DML")
    query = statements[0]
    for node in query.walk():
        if type(node) not in ALLOWED:
            advice = next(
                (text for kind, text in _ADVICE.items() if isinstance(node, kind)), "not compared on both engines"
            )
            raise DialectRefused(f"{_name(node)} is not allowed: {advice}")
        _check_details(node)
    return query


def tables(sql: str) -> list[tuple[str, str]]:
    """`(zone, table)` of every table the statement reads, sorted.  Raises `DialectRefused` for a name without zone."""
    query = checked(sql)
    common = {cte.alias for cte in query.find_all(exp.CTE)}
    found = set()
    for table in query.find_all(exp.Table):
        if table.catalog:
            raise DialectRefused("tables are named `zone.table`, without a project")
        if table.db:
            found.add((table.db, table.name))
        elif table.name not in common:
            raise DialectRefused(f"the table {table.name} is named without its zone")
    return sorted(found)


def parameters(sql: str) -> set[str]:
    """Names of the parameters (`@name`) in the statement."""
    return {parameter.name for parameter in checked(sql).find_all(exp.Parameter)}


def bound(sql: str, given: Mapping[str, str | int]) -> dict[str, str | int]:
    """The parameters that the statement (in BigQuery's dialect) uses.  Raises `DialectRefused` if one is not given."""
    wanted = parameters(sql)
    if missing := wanted - set(given):
        raise DialectRefused(f"the statement needs the parameters {', '.join(sorted(missing))}")
    return {name: value for name, value in given.items() if name in wanted}


def lineage(sql: str, specs: Iterable[TableSpec] = ALL_TABLES) -> dict[str, list[tuple[str, str]]]:
    """Result column → the `(zone.table, column)` it is made of, sorted; a constant has none.  Raises `DialectRefused`."""
    query = checked(sql)
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for spec in specs:
        schema.setdefault(spec.zone, {})[spec.name] = {column.name: column.type for column in spec.columns}
    try:
        return {
            column: _sources(_lineage_of_column(column, query.copy(), schema=schema, dialect="bigquery"))
            for column in query.named_selects
        }
    except SqlglotError as error:
        raise DialectRefused(f"the lineage can't be followed: {_plain(error)}") from None


def _sources(root: object) -> list[tuple[str, str]]:
    found = set()
    for node in root.walk():  # type: ignore[attr-defined]  # sqlglot.lineage.Node, which sqlglot leaves untyped
        if isinstance(node.expression, exp.Table) and node.expression.db:
            found.add((f"{node.expression.db}.{node.expression.name}", node.name.rpartition(".")[2].strip('`"')))
    return sorted(found)


def _check_details(node: exp.Expr) -> None:
    if isinstance(node, exp.Select) and not node.expressions:
        raise DialectRefused("SELECT names no column")
    if isinstance(node, exp.Substring):
        start = node.args.get("start")
        if not (isinstance(start, exp.Literal) and start.is_int and int(start.name) >= 0):
            raise DialectRefused(
                "SUBSTR takes a start that is written as a number from 0: others differ between the engines"
            )
    if isinstance(node, exp.DateAdd | exp.DateSub | exp.DateTrunc | exp.DateDiff):
        unit = node.args["unit"].name.upper() if node.args.get("unit") else ""
        if unit not in _DATE_UNITS or (unit == "WEEK" and not isinstance(node, exp.DateAdd | exp.DateSub)):
            raise DialectRefused(f"{_name(node)} takes DAY, MONTH, QUARTER or YEAR")
    if isinstance(node, exp.Extract) and node.name.upper() not in {"YEAR", "MONTH", "DAY", "QUARTER", "DAYOFYEAR"}:
        raise DialectRefused(
            "EXTRACT takes YEAR, QUARTER, MONTH, DAY or DAYOFYEAR: weeks and weekdays count differently"
        )
    if isinstance(node, exp.Cast) and node.to.this not in _CASTS:
        raise DialectRefused("CAST goes to STRING, INT64, FLOAT64, BOOL, DATE or TIMESTAMP")
    if isinstance(node, exp.Join) and node.method:
        raise DialectRefused(f"{node.method} JOIN is not allowed")


_CASTS = frozenset(
    {
        *(exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR, exp.DataType.Type.BIGINT, exp.DataType.Type.DOUBLE),
        *(exp.DataType.Type.BOOLEAN, exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMPTZ),
    }
)


def _translated(query: exp.Query) -> exp.Expr:
    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.DateAdd | exp.DateSub | exp.DateTrunc):
            # DuckDB makes a timestamp of a date here; the column would come back with another type.
            return exp.cast(node, "DATE") if not isinstance(node.parent, exp.Cast) else node
        if isinstance(node, exp.SafeFunc):
            return exp.func("TRY", node.this)
        if isinstance(node, exp.Substring) and node.args["start"].name == "0":
            # BigQuery reads position 0 as 1; DuckDB starts before the text and gives one character less.
            node.set("start", exp.Literal.number(1))
        return node

    return query.copy().transform(change)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this)
    return node.sql_name() if isinstance(node, exp.Func) else type(node).__name__


def _plain(error: Exception) -> str:
    return str(error).splitlines()[0].split("\x1b")[0].strip()
