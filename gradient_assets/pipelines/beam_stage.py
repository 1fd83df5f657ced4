"""The Beam pipeline of a heavy stage: chunk names → items → worker pool → shards → one manifest.

Belongs here: the transforms and their counters.  Workers get chunk names and give shard addresses; the manifest is
written behind a `GroupByKey`, so that shards of a bundle that was tried twice are counted once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from gradient_assets.diagnostics import LeftBehind
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.pool import PoolError, WorkerPool
from gradient_assets.pipelines.shards import GroupResult, StagingPlace
from gradient_assets.pipelines.steps import Step, foreseen
from gradient_assets.pipelines.worklist import read_chunk

MANIFEST = "manifest.json"
FAILURE = "failure.txt"

_listeners: list[Callable[[int], None]] = []


def listen(listener: Callable[[int], None]) -> Callable[[], None]:
    """Hear of items done in this process (the embedded runner works in it); returns what ends the listening."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def _tell(done: int) -> None:
    for listener in tuple(_listeners):
        listener(done)


@dataclass(frozen=True)
class StagePlan:
    """All that a worker needs to know: picklable, without an open client."""

    step: Step
    hospitals: dict[str, Hospital]
    places: dict[str, StagingPlace]
    processes: int


class ApplyStep(beam.DoFn):  # type: ignore[misc]  # Beam ships no types
    """Chunk name → what its items became, as plain values.  Native crashes end in the pool, not in the Beam worker."""

    def __init__(self, plan: StagePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """Open the pool; its processes start with the first chunk."""
        plan = self._plan
        self._pool = WorkerPool(plan.step, plan.hospitals, plan.places, plan.processes)
        self._pool.__enter__()

    def teardown(self) -> None:
        """Give the workers back."""
        self._pool.__exit__()

    def process(self, chunk: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Apply the step to the items of one chunk."""
        place = self._plan.places["identified"]
        stage = self._plan.step.stage
        failure: PoolError | None = None
        try:
            result = self._pool.run(list(read_chunk(place, chunk)), _tell)
        except PoolError as error:
            failure = error
        except Exception as error:
            left = self._plan.places.get("diagnostics")
            refused = LeftBehind(left.bucket if left else None).told(error, foreseen(error), stage, chunk, "")
            failure = PoolError(f"Stage {stage}: {refused}")
        if failure is not None:
            # A runner logs a failed element's error, with what it came from, where others read it; ours is for people.
            place.bucket.put(FAILURE, str(failure).encode())
            raise failure
        Metrics.counter(stage, "items").inc(result.items)
        for name, count in result.counts.items():
            Metrics.counter(stage, name).inc(count)
        yield "", {"shards": result.shards, "items": result.items, "counts": dict(result.counts)}


class WriteManifest(beam.DoFn):  # type: ignore[misc]  # as above
    """All results of the stage → one manifest object."""

    def __init__(self, place: StagingPlace) -> None:
        self._place = place

    def process(self, grouped: tuple[str, Iterable[dict[str, Any]]]) -> None:
        """Add the results up and put the manifest."""
        total = GroupResult()
        for result in grouped[1]:
            total.add(GroupResult(result["shards"], result["items"]))
            total.counts.update(result["counts"])
        manifest = {"shards": total.shards, "items": total.items, "counts": dict(sorted(total.counts.items()))}
        self._place.bucket.put(MANIFEST, json.dumps(manifest).encode())


def build(plan: StagePlan, chunks: list[str]) -> Callable[[beam.Pipeline], None]:
    """What `resources.beam` runs."""

    def construct(pipeline: beam.Pipeline) -> None:
        (
            pipeline
            | "chunks" >> beam.Create(chunks)
            | "spread" >> beam.Reshuffle()
            | plan.step.stage >> beam.ParDo(ApplyStep(plan))
            | "together" >> beam.GroupByKey()
            | "manifest" >> beam.ParDo(WriteManifest(plan.places["identified"]))
        )

    return construct


def read_failure(place: StagingPlace) -> str | None:
    """What a worker said of its set-up before the pipeline failed."""
    return place.bucket.get(FAILURE).decode() if place.bucket.exists(FAILURE) else None


def read_manifest(place: StagingPlace) -> GroupResult:
    """What the stage's workers reported."""
    manifest = json.loads(place.bucket.get(MANIFEST))
    result = GroupResult(manifest["shards"], manifest["items"])
    result.counts.update(manifest["counts"])
    return result


def default_processes() -> int:
    """`GRADIENT_PROCESSES`, else the processors this process may use."""
    return int(os.environ.get("GRADIENT_PROCESSES") or len(os.sched_getaffinity(0)))
