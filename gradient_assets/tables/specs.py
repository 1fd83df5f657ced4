"""What a table and a column are, and the columns and forms that several tables share.

Belongs here: `Column`, `TableSpec`, patterns of pseudonyms and codes, the reasons why a column may cross.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

Zone = Literal["identified", "deidentified", "public"]
ColumnType = Literal["STRING", "INT64", "FLOAT64", "BOOL", "DATE", "TIMESTAMP"]

_ARROW: dict[ColumnType, pa.DataType] = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `crossing` says why it may stand in a de-identified or public table; it is empty in identified ones.  `pattern`, where
    given, is the regular expression that a value that crosses must match in full.
    """

    name: str
    type: ColumnType
    description: str
    required: bool = False
    crossing: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class TableSpec:
    """One table.  Rows of a partition are stored sorted by `sort_by`, so that equal content is equal bytes."""

    name: str
    zone: Zone
    description: str
    columns: tuple[Column, ...]
    sort_by: tuple[str, ...]
    cluster_by: tuple[str, ...] = ()
    partitioned_by: Literal["hospital", "release"] = "hospital"

    @property
    def full_name(self) -> str:
        """`zone.table`, as the SQL files name it."""
        return f"{self.zone}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in stored order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The stored schema; required columns are not nullable."""
        return pa.schema([pa.field(c.name, _ARROW[c.type], nullable=not c.required) for c in self.columns])


PATIENT_PATTERN = r"P[A-Z2-7]{16}"
ACCESSION_PATTERN = r"A[A-Z2-7]{15}"
REPORT_PATTERN = r"X[A-Z2-7]{15}"
NEW_UID_PATTERN = r"2\.25\.\d{1,39}"
STANDARD_UID_PATTERN = r"1\.2\.840\.10008(\.\d+)+"
INSTANCE_PATTERN = f"{NEW_UID_PATTERN}|{STANDARD_UID_PATTERN}"
TOKEN_PATTERN = r"[0-9a-f]{32}"  # noqa: S105  the form of a work token, no password
CODE_PATTERN = r"[A-Z0-9 _]{0,16}"
FACE_PATTERN = r"none|likely|unknown"
LINK_METHODS = ("accession_number", "study_instance_uid", "patient_and_date")

A_COUNT = "a count"
A_PSEUDONYM = "derived by key; says nothing without it"
GEOMETRY = "describes the picture's form, not the person"
DEVICE = "names a product line, not a device: the profile keeps it"
CLEANED = "free text after the header engine and the search for what is left"
VERSION = "says what cleaned the row"


def hospital(crossing: str = "") -> tuple[Column, ...]:
    return (
        Column(
            "hospital_id", "STRING", "Partition: the hospital's id in the registry.", True, crossing, r"[a-z0-9-]{2,40}"
        ),
        Column("hospital_number", "INT64", "The hospital's stable number in the registry.", True, crossing),
    )


def work_token(crossing: str = "") -> Column:
    return Column(
        "work_token",
        "STRING",
        "Keyed token of the work item a row came from: input, engine version and profile. Equal token, nothing to redo.",
        True,
        crossing,
        TOKEN_PATTERN,
    )


def text(name: str, description: str, crossing: str = "", pattern: str = "", *, required: bool = False) -> Column:
    return Column(name, "STRING", description, required, crossing, pattern)


def whole(name: str, description: str, crossing: str = "", *, required: bool = False) -> Column:
    return Column(name, "INT64", description, required, crossing)


SOURCE_OBJECT = (
    text("object_key", "Key of the object in the hospital's bucket.", required=True),
    text("etag", "Entity tag of the object as listed.", required=True),
    whole("size", "Bytes of the object as listed.", required=True),
)
