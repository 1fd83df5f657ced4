"""What one work item becomes: the shape that every heavy stage has.

Belongs here: the `Step` protocol, what a step emits, and how a refusal and an origin become rows.  A step knows one object and
one patient's identifiers; how many items there are, who retries and what survives a crash is `worker`, `pool` and `stage`.
A step is pickled to worker processes: it holds settings, never an open client or a loaded model.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

from gradient_assets.boundary import Crossing
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.tables import TableSpec

TRANSIENT = frozenset({Reason.OBJECT_VANISHED, Reason.STORE_UNAVAILABLE})
"""Refusals that say something of the moment, not of the object: tried again in each run."""


class WorkItem(TypedDict, total=False):
    """One thing to do.  `work_token`, `object_key` and `object_pseudonym` are always there; the rest is the step's."""

    work_token: str
    object_key: str
    object_pseudonym: str
    hospital_id: str
    row_number: int
    etag: str
    object_version: str
    size: int
    run_id: str
    refuse: str
    added: list[dict[str, int | None]]
    accepted: dict[str, list[str]]
    row: dict[str, Any]
    identifiers: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Emitted:
    """A row for the step's output table, or for another one that the step names in `beside`."""

    row: Mapping[str, Any] | Crossing
    into: TableSpec | None = None


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """One record of an object was refused; the rest of the object goes on."""

    row_number: int
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EmittedObject:
    """Bytes to be put into the stage's bucket under a key that the boundary has built."""

    key: str
    content: bytes


class Step(Protocol):
    """One heavy stage's work on one item."""

    stage: str
    version: str
    output: TableSpec
    refusals: TableSpec
    deadline_s: float

    @property
    def made(self) -> TableSpec | None:
        """Where it is kept what each row was made from; None for a step outside the graph."""

    @property
    def beside(self) -> tuple[TableSpec, ...]:
        """Tables that are written and committed together with `output`, under the same work tokens."""

    def open(self) -> None:
        """Make clients and load models; called once in each worker process."""

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """What becomes of the item.  Raises `Refused` when all of it is refused."""


@runtime_checkable
class SearchesForEveryone(Protocol):
    """A step that looks for every patient of the hospital in what it is about to write, not only for the record's own."""

    def meet(self, everyone: Iterable[KnownIdentifiers]) -> None:
        """Take in all identifiers known for the hospital; called once after `open`."""


@runtime_checkable
class UnderOneProfile(Protocol):
    """A step whose items are all of one hospital, under its profile."""

    profile: Profile


@runtime_checkable
class UnderProfiles(Protocol):
    """A step over several hospitals, each under its own profile."""

    profiles: dict[str, Profile]


@runtime_checkable
class ForRelease(Protocol):
    """A step whose tables are partitioned by release."""

    release: str


def _partition_columns(step: Step, hospital: Hospital) -> dict[str, Any]:
    release = {"release": step.release} if isinstance(step, ForRelease) else {}
    return {**release, "hospital_id": hospital.id, "hospital_number": hospital.number}


def _profile_digest(step: Step, hospital: Hospital) -> str:
    if isinstance(step, UnderOneProfile):
        return step.profile.digest
    return step.profiles[hospital.id].digest if isinstance(step, UnderProfiles) else ""


def made_row(step: Step, hospital: Hospital, item: WorkItem, objects: Mapping[str, str]) -> dict[str, Any]:
    """The row that says what an item was made from; `objects`: key → SHA-256 of what was written for it."""
    return {
        **_partition_columns(step, hospital),
        "work_token": item["work_token"],
        "object_pseudonym": item["object_pseudonym"],
        "object_key": item["object_key"],
        "etag": item.get("etag"),
        "object_version": item.get("object_version"),
        "row_number": item.get("row_number", 0),
        "engine_version": step.version,
        "profile_digest": _profile_digest(step, hospital),
        "run_id": item.get("run_id", ""),
        "objects_json": json.dumps(objects, sort_keys=True),
    }


def refusal_row(
    step: Step, hospital: Hospital, item: WorkItem, refused: Refused, row_number: int = 0
) -> dict[str, Any]:
    """The row of the stage's refusals for an item, or for one record of it."""
    return {
        **_partition_columns(step, hospital),
        "work_token": item["work_token"],
        "stage": step.stage,
        "object_pseudonym": item["object_pseudonym"],
        # A key may hold the patient's id or name, and of a withdrawn one nothing stays.
        "object_key": "" if refused.reason is Reason.WITHDRAWN else item["object_key"],
        "row_number": row_number or item.get("row_number", 0),
        "reason": refused.reason.value,
        "detail": refused.detail,
        "engine_version": step.version,
        "profile_digest": _profile_digest(step, hospital),
    }


def foreseen(error: BaseException) -> Refused:
    """The refusal for any error: its own when it is one, else `internal_error` with type and place, never its message."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError):
        return Refused(Reason.WORKER_DIED, "out of memory")
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    return Refused(Reason.INTERNAL_ERROR, f"{type(error).__name__} at {place}")
