"""The Beam pipeline of a heavy stage: chunk names → items → worker pool → shards → one manifest.

Belongs here: the transforms, their counters, and what they tell while they work.  Workers get chunk names and give shard
addresses; the manifest is written behind a `GroupByKey`, so that shards of a bundle that was tried twice are counted once.

A runner stores a pipeline's graph and shows it (Dataflow's console, Flink's pages), and it logs what a worker raises.  So the
graph names the place where the plan lies, since a step holds the hospital's key; and a worker raises words of ours only.
The plan is sealed there, and the graph holds what opens it: each alone is worth nothing.
"""

from __future__ import annotations

import json
import os
import pickle
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gradient_assets.diagnostics import LeftBehind
from gradient_assets.hospitals import Hospital
from gradient_assets.integrity.records import engine_versions
from gradient_assets.pipelines.pool import PoolError, WorkerPool
from gradient_assets.pipelines.shards import GroupResult, StagingPlace
from gradient_assets.pipelines.steps import Step, foreseen
from gradient_assets.pipelines.worklist import read_chunk
from gradient_assets.silence import no_core_files

MANIFEST = "manifest.json"
FAILURE = "failure.txt"
PLAN = "plan.pickle"
PROGRESS = "progress"
_NONCE_BYTES = 12
_VERSIONS_END = b"\n"

TELL_EVERY_S = 2.0
"""Between two words of a worker on how far its chunk is: a small object each."""

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
    tells: bool = False
    """Whether workers write down how far they are; on the embedded runner they say it in this process."""


@dataclass(frozen=True)
class PlacedPlan:
    """Where the plan lies, sealed, and what opens it: the staging alone tells no key of a hospital, nor does the graph."""

    place: StagingPlace
    stage: str
    opener: bytes = field(repr=False)

    @classmethod
    def of(cls, plan: StagePlan) -> PlacedPlan:
        """The plan, put into its identified staging under a key of its own."""
        opener, nonce = AESGCM.generate_key(256), secrets.token_bytes(_NONCE_BYTES)
        place = plan.places["identified"]
        content = json.dumps(engine_versions()).encode() + _VERSIONS_END + pickle.dumps(plan)
        place.bucket.put(PLAN, nonce + AESGCM(opener).encrypt(nonce, content, None))
        return cls(place, plan.step.stage, opener)

    def get(self) -> StagePlan:
        """The plan.  Raises `PoolError` when what lies there is not what was put, or was put by another version of the
        package: neither is unpickled."""
        sealed = self.place.bucket.get(PLAN)
        try:
            content = AESGCM(self.opener).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except InvalidTag:
            raise PoolError(
                f"Stage {self.stage}: its plan was changed after it was written. Nothing was done."
            ) from None
        versions, _, pickled = content.partition(_VERSIONS_END)
        self._compare(versions)
        plan: StagePlan = pickle.loads(pickled)  # noqa: S301  our own, as the seal says
        return plan

    def _compare(self, versions: bytes) -> None:
        """Refuse to work for a plan of another version: its tokens and rows would be none that the stage expects."""
        try:
            theirs: dict[str, str] = json.loads(versions)
        except ValueError:
            theirs = {}
        ours = engine_versions()
        if ours != theirs:
            unlike = ", ".join(
                f"{name} {ours.get(name, 'unknown')} instead of {theirs.get(name, 'unknown')}"
                for name in sorted(ours.keys() | theirs)
                if ours.get(name) != theirs.get(name)
            )
            raise PoolError(
                f"Stage {self.stage}: the worker has another version than the platform ({unlike}). Build both images from one "
                "checkout, and name the new one for the workers. Nothing was done."
            )

    def told(self, error: Exception, where: str, places: dict[str, StagingPlace]) -> PoolError:
        """What a worker raises in the error's stead: a runner logs it, with what it came from, where others read it."""
        failure = error
        if not isinstance(failure, PoolError):
            left = places.get("diagnostics")
            refused = LeftBehind(left.bucket if left else None).told(error, foreseen(error), self.stage, where, "")
            failure = PoolError(f"Stage {self.stage}: {refused}")
        # An error here would carry the first one along, and a stage that was ended has no staging any more.
        with suppress(Exception):
            if self.place.bucket.exists(PLAN):
                self.place.bucket.put(FAILURE, str(failure).encode())
        return failure


class ApplyStep(beam.DoFn):  # type: ignore[misc]  # Beam ships no types
    """Chunk name → what its items became, as plain values.  Native crashes end in the pool, not in the Beam worker."""

    def __init__(self, placed: PlacedPlan) -> None:
        self._placed = placed
        self._plan: StagePlan | None = None
        self._pool: WorkerPool | None = None

    def setup(self) -> None:
        """The pool opens with the first chunk; a worker of a cluster is no process of ours until now."""
        no_core_files()

    def teardown(self) -> None:
        """Give the workers back."""
        if self._pool is not None:
            self._pool.__exit__()
            self._pool = None

    def process(self, chunk: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Apply the step to the items of one chunk."""
        failure: PoolError | None = None
        try:
            result = self._apply(chunk)
        except Exception as error:
            self.teardown()  # its workers may be in the middle of items that nobody waits for
            failure = self._placed.told(error, chunk, self._plan.places if self._plan else {})
        if failure is not None:
            raise failure
        stage = self._placed.stage
        Metrics.counter(stage, "items").inc(result.items)
        for name, count in result.counts.items():
            Metrics.counter(stage, name).inc(count)
        yield "", _as_values(result)

    def _apply(self, chunk: str) -> GroupResult:
        plan = self._plan = self._plan or self._placed.get()
        if self._pool is None:
            self._pool = WorkerPool(plan.step, plan.hospitals, plan.places, plan.processes)
        place = self._placed.place
        progress = _ChunkProgress(place, self._placed.stage, chunk)
        items = list(read_chunk(place, chunk))
        result = self._pool.run(items, progress.done if plan.tells else _tell)
        if plan.tells:
            progress.put()
        return result


def _as_values(result: GroupResult) -> dict[str, Any]:
    counts, written = dict(result.counts), dict(result.written)
    return {"shards": result.shards, "items": result.items, "counts": counts, "written": written}


def _from_values(values: Mapping[str, Any]) -> GroupResult:
    # A job of an earlier version, taken over when it was done, has not counted its rows: the stage won't commit them.
    written = Counter(values.get("written", {}))
    return GroupResult(values["shards"], values["items"], Counter(values["counts"]), written)


class _ChunkProgress:
    """Tells the driver, by an object beside the chunk, how many of its items are done; and hears that nobody waits any more."""

    def __init__(self, place: StagingPlace, stage: str, chunk: str) -> None:
        self._place, self._stage, self._chunk = place, stage, chunk
        self._done = 0
        self._last = time.monotonic()

    def done(self, items: int) -> None:
        """Count items.  Raises `PoolError` when the stage was ended: its staging is gone."""
        self._done += items
        if time.monotonic() - self._last >= TELL_EVERY_S:
            self._last = time.monotonic()
            if not self._place.bucket.exists(self._chunk):
                raise PoolError(f"Stage {self._stage} was ended while a worker was at it. Nothing was committed.")
            self.put()

    def put(self) -> None:
        """The count so far; a chunk that is tried twice overwrites its own."""
        self._place.bucket.put(f"{PROGRESS}/{self._chunk}", str(self._done).encode())


class WriteManifest(beam.DoFn):  # type: ignore[misc]  # as above
    """All results of the stage → one manifest object."""

    def __init__(self, placed: PlacedPlan) -> None:
        self._placed = placed

    def process(self, grouped: tuple[str, Iterable[dict[str, Any]]]) -> None:
        """Add the results up and put the manifest."""
        failure: PoolError | None = None
        try:
            self._write(grouped[1])
        except Exception as error:
            failure = self._placed.told(error, "the manifest", {})
        if failure is not None:
            raise failure

    def _write(self, results: Iterable[dict[str, Any]]) -> None:
        total = GroupResult()
        for result in results:
            total.add(_from_values(result))
        self._placed.place.bucket.put(MANIFEST, json.dumps(_as_values(total), sort_keys=True).encode())


def build(plan: StagePlan, chunks: list[str]) -> Callable[[beam.Pipeline], None]:
    """What `resources.engines.beam` runs."""
    return graph(PlacedPlan.of(plan), chunks)


def graph(placed: PlacedPlan, chunks: list[str]) -> Callable[[beam.Pipeline], None]:
    """The transforms over a plan that lies in its place."""

    def construct(pipeline: beam.Pipeline) -> None:
        (
            pipeline
            | "chunks" >> beam.Create(chunks)
            | "spread" >> beam.Reshuffle()
            | placed.stage >> beam.ParDo(ApplyStep(placed))
            | "together" >> beam.GroupByKey()
            | "manifest" >> beam.ParDo(WriteManifest(placed))
        )

    return construct


def read_progress(place: StagingPlace) -> int:
    """How many items the workers have told as done."""
    return sum(int(place.bucket.get(stat.key)) for stat in place.bucket.listing(f"{PROGRESS}/"))


def read_failure(place: StagingPlace) -> str | None:
    """What a worker said of its set-up before the pipeline failed."""
    return place.bucket.get(FAILURE).decode() if place.bucket.exists(FAILURE) else None


def read_manifest(place: StagingPlace) -> GroupResult:
    """What the stage's workers reported."""
    return _from_values(json.loads(place.bucket.get(MANIFEST)))


def default_processes() -> int:
    """`GRADIENT_PROCESSES`, else the processors this process may use."""
    return int(os.environ.get("GRADIENT_PROCESSES") or len(os.sched_getaffinity(0)))
