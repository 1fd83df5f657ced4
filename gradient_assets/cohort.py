"""Who is in a release: a condition over the columns of `prod`, written in SQL and checked before it runs.

Belongs here: the small language of conditions and its refusal.  A condition is parsed and rebuilt from the constructs
listed here; anything else (a function, a subquery, another table) is refused with what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gradient_assets.tables import PROD

ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.And,
    exp.Or,
    exp.Not,
    exp.Paren,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Between,
    exp.In,
    exp.Like,
    exp.Is,
    exp.Null,
    exp.Boolean,
    exp.Literal,
    exp.Neg,
    exp.Column,
    exp.Identifier,
    exp.Cast,
    exp.DataType,
)


COLUMNS = tuple(
    name for name in PROD.column_names if name not in ("hospital_id", "accession_pseudonym", "thumbnail_key")
)
"""What a condition may name: the recipient reads it in the release's report, so no hospital's id (its number will do)."""


CODES = (
    "modality",
    "patient_sex",
    "patient_age",
    "body_part_examined",
    "photometric_interpretation",
    "sop_class_uid",
    "transfer_syntax_uid",
    "may_show_face",
    "verdict",
    "link_method",
)
"""Columns whose values are codes of the standard or of this project, never free text."""


class CohortError(Exception):
    """The condition can't be used; the message says what is allowed."""


def cohort_condition(condition: str) -> str:
    """The condition in BigQuery's dialect, rebuilt from its parsed form.  Raises `CohortError`."""
    try:
        parsed = sqlglot.parse_one(f"SELECT 1 FROM prod WHERE {condition}", read="bigquery")  # noqa: S608  parsed, never run
    except SqlglotError:
        raise CohortError(f"The cohort's condition is no SQL condition. {_help()}") from None
    where = parsed.args.get("where")
    if not isinstance(parsed, exp.Select) or where is None or set(_parts(parsed)) - {"expressions", "from", "where"}:
        raise CohortError(f"The cohort's condition has to be one condition. {_help()}")
    for node in where.this.walk():
        if not isinstance(node, ALLOWED):
            raise CohortError(f"The cohort's condition uses {type(node).__name__}. {_help()}")
        if isinstance(node, exp.Column) and (node.table or node.name not in COLUMNS):
            raise CohortError(f"`{node.name}` can't be asked for. Columns: {', '.join(COLUMNS)}.")
    return str(where.this.sql(dialect="bigquery"))


def condition_columns(condition: str) -> list[str]:
    """The columns that a condition names, sorted."""
    parsed = sqlglot.parse_one(cohort_condition(condition), read="bigquery")
    return sorted({column.name for column in parsed.find_all(exp.Column)})


def shown_condition(condition: str, known_codes: Mapping[str, Collection[str]]) -> str:
    """The condition as others may read it: operators, columns, and of the values what can't be a name.

    Numbers and dates stay.  A text stays only beside a column of codes (`CODES`), and only if `known_codes` has it there, that
    is, if an instance of the platform has this code.  Any other text becomes `…`: whoever wrote it may have typed a name.
    """
    parsed = sqlglot.parse_one(f"SELECT 1 FROM prod WHERE {cohort_condition(condition)}", read="bigquery")  # noqa: S608  parsed, never run
    where = parsed.args["where"].this
    for literal in list(where.find_all(exp.Literal)):
        if literal.is_string and not _may_be_shown(literal, known_codes):
            literal.replace(exp.Literal.string("…"))
    return str(where.sql(dialect="bigquery"))


def _may_be_shown(literal: exp.Literal, known_codes: Mapping[str, Collection[str]]) -> bool:
    text = str(literal.this)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return True
    beside = literal.parent
    if not isinstance(beside, (exp.EQ, exp.NEQ, exp.In)):
        return False
    columns = {column.name for column in beside.find_all(exp.Column)}
    return len(columns) == 1 and all(name in CODES and text in known_codes.get(name, ()) for name in columns)


def _parts(select: exp.Expression) -> list[str]:
    return [name.rstrip("_") for name, value in select.args.items() if value]


def _help() -> str:
    return "Allowed are columns of prod, literals, AND, OR, NOT, =, <>, <, <=, >, >=, IN, BETWEEN, LIKE and IS NULL."
