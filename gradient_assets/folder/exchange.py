"""Work items to worker processes, and what became of them back to the parent.

Belongs here: running a step in `pipelines.pool` without a warehouse.  Workers answer in small Parquet files, as they do for
the graph; here they lie in a private folder beside FILE and are read and removed at once.  What a record says is the
step's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.pool import WorkerPool
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import Emitted, Step, WorkItem
from gradient_assets.tables import REFUSED_METADATA, Column, TableSpec
from resources.buckets.object_store import Bucket, BucketAddress

CHUNK_ITEMS = 1024
"""Items handed to the pool at once: their records and identifiers (some kB each) are what the parent holds in memory."""

OUTCOMES = TableSpec(
    name="folder_outcomes",
    zone="identified",
    description="What a step made of one item, as JSON. Never leaves the private folder beside FILE.",
    sort_by=("work_token",),
    columns=(
        Column("work_token", "STRING", "The item.", required=True),
        Column("record_json", "STRING", "What the step says of it.", required=True),
    ),
)
REFUSALS = REFUSED_METADATA

FOLDER = Hospital(
    id="folder",
    number=0,
    dicoms_uri="",
    reports_uri="",
    report_columns={},
    delimiter="",
    encoding="",
    date_order="ymd",
    timezone="",
    profile="",
    secret_name="",
)
"""Stands where the pool expects a hospital: a folder is none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: a record, or a refusal."""

    record: dict[str, Any] = field(default_factory=dict, repr=False)
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where workers write: `records` (identified) and `objects` (cleaned)."""

    records: Path
    objects: Path
    jobs: int

    def run(
        self, step: Step, items: Iterable[WorkItem], on_done: Callable[[int], None] = lambda done: None
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Each item with its outcome, in the order given.  Raises `PoolError` when workers can't start."""
        records = Bucket(BucketAddress(str(self.records)))
        places = {
            "identified": StagingPlace(records, str(self.records)),
            "objects": StagingPlace(Bucket(BucketAddress(str(self.objects))), str(self.objects)),
        }
        waiting = iter(items)
        with WorkerPool(step, {FOLDER.id: FOLDER}, places, self.jobs) as pool:
            while chunk := list(islice(waiting, CHUNK_ITEMS)):
                shards = pool.run(chunk, on_done).shards
                outcomes = dict(_outcomes([Path(uri) for uris in shards.values() for uri in uris]))
                for item in chunk:
                    # A token without an outcome is a KeyError here: no item may be lost without a word.
                    yield item, outcomes[item["work_token"]]


def work_item(
    token: str, number: int, row: dict[str, Any], identifiers: dict[str, list[str]] | None = None
) -> WorkItem:
    """An item of this folder.  Its path or text stands in `row` alone, which workers read and never write."""
    return WorkItem(
        work_token=token,
        object_key=str(number),
        object_pseudonym=token,
        hospital_id=FOLDER.id,
        row=row,
        identifiers=identifiers or {},
    )


def emitted(item: WorkItem, record: dict[str, Any]) -> Emitted:
    """The item's record, in ASCII, so that broken text can't break the file it is written to."""
    return Emitted({"work_token": item["work_token"], "record_json": json.dumps(record, ensure_ascii=True)})


def _outcomes(shards: Iterable[Path]) -> Iterator[tuple[str, Outcome]]:
    for path in shards:
        for row in pq.read_table(path).to_pylist():
            if "record_json" in row:
                yield row["work_token"], Outcome(record=json.loads(row["record_json"]))
            else:
                yield row["work_token"], Outcome(refused=Refused(Reason(row["reason"]), row["detail"]))
        path.unlink()
