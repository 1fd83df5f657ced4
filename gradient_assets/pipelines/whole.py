"""Whether what lies in a stage's shards is all that its workers made of the work list.

Belongs here: reading the shards back before anything is committed, and saying in numbers what is wrong.  From a worker to a
shard rows go through a pipe, a pool and a manifest; a row that is lost there is lost for good, since its item counts as done.
Refusing to commit is `stage`'s business; whether committed tables add up over all stages is `checks.reconciliation`'s.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from gradient_assets.pipelines.shards import GroupResult, StagingPlace
from gradient_assets.pipelines.steps import Step
from gradient_assets.tables import TableSpec

_Row = dict[str, Any]


def wrongs(step: Step, todo: set[str], result: GroupResult, places: Mapping[str, StagingPlace]) -> list[str]:
    """What the shards lack or have too much of, in numbers; empty where the stage may commit.

    `todo`: the work tokens that were to be done.  Each has rows or a refusal; each table has as many rows as the workers wrote;
    and an item has one row of origin if rows or objects were made of it, else none (`worker.StepRunner`).
    """
    found: list[str] = []

    def read(spec: TableSpec, *columns: str) -> list[_Row]:
        rows = list(_rows(spec, result, places, ["work_token", *columns]))
        if len(rows) != (written := result.written[spec.full_name]):
            found.append(f"of {written} rows written for {spec.name}, {len(rows)} are there")
        return rows

    output = {row["work_token"] for row in read(step.output)}
    outcome = output | {row["work_token"] for row in read(step.refusals)}
    if outcome != todo:
        found.append(
            f"{len(todo - outcome)} of {len(todo)} work items have no outcome, {len(outcome - todo)} outcomes belong to none"
        )
    for spec in step.beside:
        read(spec)
    if step.made is not None:
        origins = read(step.made, "objects_json")
        made = {row["work_token"]: row["objects_json"] for row in origins}
        rootless = output - made.keys()
        idle = [token for token, objects in made.items() if objects == "{}" and token not in output]
        if rootless or idle or len(made) != len(origins):
            found.append(
                f"items with rows and without origin: {len(rootless)}, origins of nothing: {len(idle)}, "
                f"origins that stand twice: {len(origins) - len(made)}"
            )
    return found


def _rows(
    spec: TableSpec, result: GroupResult, places: Mapping[str, StagingPlace], columns: list[str]
) -> Iterator[_Row]:
    for uri in result.shards.get(spec.full_name, []):
        shard = places[spec.zone].bucket.get(uri.rpartition("/")[2])
        yield from pq.read_table(io.BytesIO(shard), columns=columns).to_pylist()
