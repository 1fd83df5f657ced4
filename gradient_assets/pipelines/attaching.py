"""A job that outlived its process: the next run of the same work waits for it, and takes what it wrote.

Belongs here: the note of where a stage's job writes, and finding it again.  Only runners whose jobs outlive the process that
started them (Dataflow) have such notes; how a job is found among others is the engine's business
(`resources.engines.dataflow`).

A note names the work by its tokens, which are keyed: a decision, a changed object or another version of the step makes
other tokens, and its job is not waited for.  What a found job wrote is checked item by item, as any job's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from gradient_assets.pipelines.beam_stage import MANIFEST, PLAN
from resources.buckets.object_store import Bucket, StoreError
from resources.buckets.staging import JOB_NOTES, Staging

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}/[0-9a-f]{16}")


@runtime_checkable
class FindsJobs(Protocol):
    """An engine whose jobs outlive the process that started them."""

    def left(self, name: str, attach: str) -> Literal["running", "done", ""]:
        """How the last job of that name fares that was started for the same work; empty for none, or a failed one."""


def work_named(stage: str, version: str, tokens: Iterable[str]) -> str:
    """The name of a stage's work over these items: equal for equal work, whoever asks and in whatever order."""
    digest = hashlib.sha256("\x1f".join((stage, version, *sorted(tokens))).encode())
    return f"{stage}-{digest.hexdigest()}"


@dataclass(frozen=True)
class Writes:
    """Where a stage's job writes, by what it is known again, and whether it is done already."""

    stagings: Mapping[str, Staging]
    attach: str
    done: bool = False

    @classmethod
    def to(cls, stagings: Mapping[str, Staging], work: str, *, done: bool = False) -> Writes:
        """A job is known by its work and by where it writes, so that nobody waits for one that writes elsewhere."""
        return cls(stagings, f"{work} {_prefix(stagings['identified'])}", done)


@contextmanager
def outliving(engine: object, name: str, work: str, fresh: Mapping[str, Staging]) -> Iterator[Writes]:
    """Where the job of this work writes: where one writes that was left running, or is done meanwhile, else `fresh`.

    `fresh` has a staging for each place, `identified` among them.  Raises `StoreError`, `PipelineFailed`.
    """
    writes = Writes.to(fresh, work)
    if not isinstance(engine, FindsJobs):
        yield writes
        return
    notes = fresh["identified"].root.under(JOB_NOTES)
    noted = f"{name}.json"
    left = _left(notes, noted, work, fresh)
    found = None if left is None else _still(engine, name, Writes.to(left, work))
    if found is None:
        places = {place: _prefix(staging) for place, staging in fresh.items()}
        notes.put(noted, json.dumps({"work": work, "places": places}).encode())
    try:
        yield found or writes
    finally:
        _forget(notes, noted)
        for staging in (found.stagings if found else {}).values():
            staging.__exit__(None, None, None)


def _still(engine: FindsJobs, name: str, writes: Writes) -> Writes | None:
    """The job's writing, if there is something to wait for or to take.  Nothing of a failed job is, however much it wrote."""
    fares = engine.left(name, writes.attach)
    bucket = writes.stagings["identified"].bucket
    if fares == "done" and bucket.exists(MANIFEST):
        return replace(writes, done=True)
    return writes if fares == "running" and bucket.exists(PLAN) else None


def _forget(notes: Bucket, noted: str) -> None:
    with suppress(StoreError):
        notes.delete([noted])


def _left(notes: Bucket, noted: str, work: str, fresh: Mapping[str, Staging]) -> dict[str, Staging] | None:
    if not notes.exists(noted):
        return None
    try:
        note = json.loads(notes.get(noted))
        places = {str(place): str(prefix) for place, prefix in note["places"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # a note that can't be read is none: the work is done anew
    named = all(_PREFIX.fullmatch(prefix) for prefix in places.values())
    if note.get("work") != work or places.keys() != fresh.keys() or not named:
        return None
    return {place: Staging(fresh[place].root.under(prefix), fresh[place].root) for place, prefix in places.items()}


def _prefix(staging: Staging) -> str:
    return staging.uri.removeprefix(staging.root.uri).strip("/")
