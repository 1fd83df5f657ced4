"""How a table that is there differs from the one that the spec says.

Belongs here: what has to be sent to bring it up to date, and what can't be brought.  Making and changing tables is
`bigquery_tables`' business.
"""

from __future__ import annotations

from typing import Any

from gradient_assets.tables import TableSpec
from resources.errors import WarehouseError

_OLD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""What the service calls the types of a table that was made with today's names."""


def require_same(spec: TableSpec, wanted: Any, found: Any) -> None:
    """Raise `WarehouseError` for what can't be changed in a table that is there."""
    if _partitions(wanted) != _partitions(found):
        raise WarehouseError(
            f"{spec.full_name} is there with other partitions than one for each hospital's number; move it away first"
        )
    held = {field.name: _type(field) for field in found.schema}
    if other := sorted(f.name for f in wanted.schema if held.get(f.name, _type(f)) != _type(f)):
        raise WarehouseError(f"{spec.full_name} is there with another type of {', '.join(other)}; move it away first")


def differences(wanted: Any, found: Any) -> list[str]:
    """The properties that have to be sent, put into `found`."""
    from google.cloud.bigquery import SchemaField

    changed = []
    fields = {field.name: field for field in wanted.schema}
    schema = [
        SchemaField(f.name, f.field_type, mode=f.mode, description=fields[f.name].description)
        if f.name in fields
        else f
        for f in found.schema
    ]
    held = {field.name for field in found.schema}
    # A column that came later can't be required: the old rows have no value in it.
    schema += [
        SchemaField(f.name, f.field_type, description=f.description) for f in wanted.schema if f.name not in held
    ]
    if [(f.name, f.description) for f in schema] != [(f.name, f.description) for f in found.schema]:
        found.schema = schema
        changed.append("schema")
    if (found.description or "") != (wanted.description or ""):
        found.description = wanted.description
        changed.append("description")
    labels = dict(found.labels or {})
    if not wanted.labels.items() <= labels.items():
        found.labels = {**labels, **wanted.labels}
        changed.append("labels")
    return changed


def _partitions(table: Any) -> tuple[str, int, int, int] | None:
    found = table.range_partitioning
    return found and (
        found.field,
        int(found.range_.start or 0),
        int(found.range_.end or 0),
        int(found.range_.interval or 0),
    )


def _type(field: Any) -> str:
    return str(_OLD_NAMES.get(field.field_type, field.field_type))
