"""What a stage was given, kept beside the records of its tables: what has to come out, be refused or be withdrawn.

Belongs here: one small file for each stage and partition, `_given/<partition>/<stage>.json` in the identified zone, written as
the last part of the stage's commit.  The number of inputs is kept where no table of ours holds it: the length of a bucket's
listing, the size of a release's cohort.  Which run had made the stage before tells a table that was made again since from
rows that were lost.  Adding up is the business of `checks.reconciliation`.

Dagster's event log is not asked: it may be pruned or set up anew, and a hospital is no less sound for it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from gradient_assets.integrity.recorded import RecordedWarehouse
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.warehouses.warehouse import Warehouse

PREFIX = "_given"

STAGE_BEFORE = {
    "deidentified_metadata": "dicom_metadata",
    "deidentified_reports": "identified_reports",
    "thumbnails": "deidentified_metadata",
    "final_table": "thumbnails",
}
"""Stages whose input is a table, and the stage that fills it."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a run was given.  `inputs` is None where the table before says it; `after` is the run that had made that table.

    `again`: inputs whose refusal a withdrawal has taken away since, so that the next run reads them again.
    """

    inputs: int | None
    run_id: str
    after: str = ""
    again: int = 0


def run_before(warehouse: Warehouse, partition: str, stage: str) -> str:
    """The run that made the table before, to be asked before it is read; blank where there is none."""
    if stage not in STAGE_BEFORE or not isinstance(warehouse, RecordedWarehouse):
        return ""
    found = noted(warehouse.ledger, partition, STAGE_BEFORE[stage])
    return found.run_id if found else ""


def standing(warehouse: Warehouse, partition: str, stage: str) -> Given | None:
    """What stands of the stage, to be asked before its work is planned; None for a warehouse without records."""
    return noted(warehouse.ledger, partition, stage) if isinstance(warehouse, RecordedWarehouse) else None


def note(
    warehouse: Warehouse, partition: str, stage: str, inputs: int | None, after: str, before: Given | None = None
) -> None:
    """Keep it, in place of the stage's last one; nothing for a warehouse without records.

    `before`: what stood when the work was planned.  Refusals that were taken away since are not read again by this run.
    """
    if isinstance(warehouse, RecordedWarehouse):
        now = noted(warehouse.ledger, partition, stage)
        again = now.again if now is not None and now != before else 0
        _put(warehouse.ledger, partition, stage, Given(inputs, warehouse.run_id, after, again))


def note_again(warehouse: Warehouse, partition: str, stage: str, accounted: int) -> None:
    """Say how many inputs have neither row nor refusal any more, of which `accounted` have one."""
    if isinstance(warehouse, RecordedWarehouse):
        now = noted(warehouse.ledger, partition, stage)
        if now is not None and now.inputs is not None:
            _put(warehouse.ledger, partition, stage, replace(now, again=max(0, now.inputs - accounted)))


def noted(ledger: Bucket, partition: str, stage: str) -> Given | None:
    """What the stage's last run was given; None if nobody knows, or the file can't be read."""
    try:
        found = Given(**json.loads(ledger.get(_key(partition, stage))))
    except (ObjectVanished, TypeError, ValueError):
        return None
    return found if type(found.inputs) in (int, type(None)) and type(found.again) is int else None


def _put(ledger: Bucket, partition: str, stage: str, given: Given) -> None:
    ledger.put(_key(partition, stage), json.dumps(asdict(given), sort_keys=True).encode())


def _key(partition: str, stage: str) -> str:
    return f"{PREFIX}/{partition}/{stage}.json"
