"""Prefixes where unfinished work waits, and getting rid of what dead runs left there.

Belongs here: a fresh prefix of a bucket, its end, and the sweep.  A killed process can't clean up.  In a folder the kernel
tells who is dead: each prefix has a lock file whose lock goes with its process, so that the next run sweeps at once.  In
a remote bucket nobody can tell, and a prefix goes when nothing was written to it for a day.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from resources.buckets.local_folder import remove_tree
from resources.buckets.object_store import Bucket, StoreError
from resources.errors import checked_name

STALE_STAGING_S = 24 * 3600


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
    newest: dict[str, float] = {}
    keys: dict[str, list[str]] = {}
    for found in root.listing():
        run = found.key.partition("/")[0]
        newest[run] = max(newest.get(run, 0.0), found.last_modified.timestamp())
        keys.setdefault(run, []).append(found.key)
    for run, last_written in newest.items():
        if last_written < time.time() - STALE_STAGING_S:
            root.delete(keys[run])
