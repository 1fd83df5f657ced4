"""Prefixes where unfinished work waits, and getting rid of what dead runs left there.

Belongs here: a fresh prefix of a bucket, its end, and the sweeps.  A killed process can't clean up.  In a folder the kernel
tells who is dead: each prefix has a lock file whose lock goes with its process, so that the next run sweeps at once.  In
a remote bucket nobody can tell, and a prefix goes when nothing was written to it for a day; `end_staging` goes further, for
who can't wait and can say which runs have ended (Dagster knows, this module does not).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from resources.buckets.local_folder import remove_tree
from resources.buckets.object_store import Bucket, StoreError
from resources.errors import checked_name

STALE_STAGING_S = 24 * 3600

UNKNOWN_STALE_S = 3600
"""For `end_staging`: what a command left, or a run that only another Dagster instance knows.  One that lives and was silent for
so long loses its shards: its stage fails as if it had been killed, and is run again."""

JOB_NOTES = "jobs"
"""Under this prefix lie notes of jobs (`pipelines.attaching`), which are no work: keyed digests and names of prefixes."""

RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Of Dagster; the name of a stage's prefix holds it."""

Ended = Callable[[frozenset[str]], Mapping[str, bool]]
"""Of runs by their ids: whether each has ended; without those that it does not know."""


class Staging(AbstractContextManager["Staging"]):
    """A prefix for one step's work; gone when the `with` block ends."""

    def __init__(self, bucket: Bucket, root: Bucket, lock: int | None = None) -> None:
        self.bucket = bucket
        self.root = root
        self.uri = bucket.uri
        self._lock = lock

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What can't be deleted now is swept later; the step's own outcome matters more.
        with suppress(StoreError):
            self.bucket.delete([found.key for found in self.bucket.listing()])
        if self.bucket.address.scheme == "file":
            # Also what a killed worker had not finished, which no listing shows.
            _remove(self.bucket.address.folder)
        if self._lock is not None:
            os.close(self._lock)


def fresh_staging(root: Bucket, run_id: str) -> Staging:
    """A prefix `<run id>/<random>` under `root` that nobody has used; sweeps what dead runs left under `root`."""
    checked_name(run_id, "a run id")
    prefix = root.under(f"{run_id}/{secrets.token_hex(8)}")
    if root.address.scheme != "file":
        _sweep_remote(root)
        return Staging(prefix, root)
    _sweep_folder(root.address.folder)
    return Staging(prefix, root, _claim(prefix.address.folder))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".gradient-{folder.name}.part")  # a name that listings leave out


def _claim(folder: Path) -> int:
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove(folder: Path) -> None:
    remove_tree(folder)
    _lock_of(folder).unlink(missing_ok=True)
    with suppress(OSError):
        folder.parent.rmdir()


def end_staging(root: Bucket, ended: Ended) -> None:
    """Delete the prefixes under `root` of runs that have ended; those of which nothing is known, when they are an hour old.

    A prefix whose run goes on stays, and so does one that a living process of this machine holds.  Raises `StoreError`, and
    what `ended` raises; it is asked once, and only if there is something to ask for.
    """
    if root.address.scheme == "file":
        _sweep_folder(root.address.folder)
    left = [one for one in waiting(root) if not one.is_held(root)]
    named = frozenset(one.run_id for one in left if one.run_id)
    states = ended(named) if named else {}
    for one in left:
        if states.get(one.run_id, one.last_written < time.time() - UNKNOWN_STALE_S):
            one.remove(root)


@dataclass
class Waiting:
    """A prefix `<name>/<random>` in which something waits."""

    prefix: str
    keys: list[str] = field(default_factory=list, repr=False)
    last_written: float = 0.0

    @property
    def run_id(self) -> str:
        """Of the run whose work it is; empty if no run's."""
        found = RUN_ID.search(self.prefix.partition("/")[0])
        return found.group() if found else ""

    def is_held(self, root: Bucket) -> bool:
        """Whether it is a folder of a process that lives: a dead one's lock file went with the sweep."""
        return root.address.scheme == "file" and _lock_of(root.address.folder / self.prefix).exists()

    def remove(self, root: Bucket) -> None:
        """Delete it.  Raises `StoreError`."""
        root.delete(self.keys)
        if root.address.scheme == "file":
            _remove(root.address.folder / self.prefix)


def waiting(root: Bucket) -> list[Waiting]:
    """What waits under `root`, without the notes of jobs.  Raises `StoreError`."""
    return [one for one in _prefixes(root) if not one.prefix.startswith(f"{JOB_NOTES}/")]


def _prefixes(root: Bucket) -> list[Waiting]:
    found: dict[str, Waiting] = {}
    for stat in root.listing():
        prefix = "/".join(stat.key.split("/")[:2])
        one = found.setdefault(prefix, Waiting(prefix))
        one.keys.append(stat.key)
        one.last_written = max(one.last_written, stat.last_modified.timestamp())
    return list(found.values())


def _sweep_folder(root: Path) -> None:
    locks = [path for path in root.glob("*/.gradient-*.part") if path.is_file()]
    for lock in locks:
        if _is_free(lock):
            _remove(lock.with_name(lock.name.removeprefix(".gradient-").removesuffix(".part")))
    for folder in root.glob("*/*"):
        if folder.is_dir() and not _lock_of(folder).exists() and _newest(folder) < time.time() - STALE_STAGING_S:
            _remove(folder)


def _is_free(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _newest(folder: Path) -> float:
    times = []
    for path in [file for file in folder.rglob("*") if file.is_file()] or [folder]:
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


def _sweep_remote(root: Bucket) -> None:
    for one in _prefixes(root):
        if one.last_written < time.time() - STALE_STAGING_S:
            one.remove(root)
