"""What `gradient doctor` asks of the warehouse: whether it would take every query, and who sees which public rows.

Belongs here: these two questions and the sentences about them.  Each answer is what was looked at, what was found, and what
to do, empty when nothing is.  The other questions are `doctor`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradient_assets import sql
from gradient_assets.tables import PUBLIC_TABLE
from resources import Resources
from resources.warehouses.warehouse import WarehouseError

Told = tuple[str, str, str]

SHOWN = 5


def queries(resources: Resources) -> Told:
    """A rehearsal of every statement: names, types, rights and costs, with nothing run."""
    given = {"hospital_id": "none"}
    try:
        rehearsal = resources.warehouse.rehearse({name: sql.statement(name) for name in sql.names()}, given)
    except WarehouseError as error:
        return "queries", "could not be tried", f"{error}."
    if rehearsal.refused:
        told = [f"{name}: {why}" for name, why in list(rehearsal.refused.items())[:SHOWN]]
        return (
            "queries",
            f"{len(rehearsal.refused)} of {rehearsal.count} refused",
            f"See Dry runs in docs/warehouse.md. {'; '.join(told)}",
        )
    reads = f", the largest would read {rehearsal.largest / 2**30:.2f} GiB" if rehearsal.largest else ""
    return "queries", f"{rehearsal.count} would run{reads}", ""


def readers(resources: Resources, mend: bool) -> Iterator[Told]:
    """The row access policies of the public table, made with `mend`; nothing on the embedded warehouse."""
    from resources.warehouses.bigquery import BigQueryWarehouse

    warehouse, named = resources.warehouse, resources.settings.listed("GRADIENT_BIGQUERY_READERS")
    if not isinstance(warehouse, BigQueryWarehouse) or PUBLIC_TABLE.zone not in warehouse.zones:
        return
    if not named:
        yield "readers", "none named: whoever may read public_table sees all its rows", ""
        return
    try:
        policies = warehouse.row_policies(PUBLIC_TABLE, named)
        if mend:
            policies.put()
        wanting = policies.wanting()
    except WarehouseError as error:
        yield "readers", "could not be looked at", f"{error}. See Readers of the public table in docs/warehouse.md."
        return
    yield "readers", wanting or f"{len(named)} see the registered hospitals", wanting and "`gradient doctor --mend`."
