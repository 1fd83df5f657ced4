"""What every warehouse promises: zones, partitions replaced in one step, reading, searching, staging.

Belongs here: the interface and the staging prefix.  `warehouse` keeps the promises on a folder, `bigquery` in the cloud.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Protocol

import pyarrow as pa

from gradient_assets.tables import TableSpec
from resources.errors import WarehouseError
from resources.local_folder import remove_tree
from resources.object_store import Bucket, StoreError

ZONES = ("identified", "deidentified", "public")
"""From the most confidential to the least."""

WORK_TOKEN = "work_token"  # noqa: S105  a column's name
STALE_STAGING_S = 24 * 3600

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def checked_name(name: str, what: str) -> str:
    """A name that can be part of a path, a job id and a URI.  Raises `WarehouseError`."""
    if _NAME.fullmatch(name) is None:
        raise WarehouseError(f"{what} is made of letters, digits, '.', '_' and '-', and does not begin with a sign")
    return name


class Staging(AbstractContextManager["Staging"]):
    """A prefix for one step's shards; gone when the `with` block ends."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.uri = bucket.uri

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What can't be deleted now is swept after a day; the step's own outcome matters more.
        with suppress(StoreError):
            self.bucket.delete([found.key for found in self.bucket.listing()])
        if self.bucket.address.scheme == "file":
            # Also what a killed worker had not finished, which no listing shows.
            remove_tree(self.bucket.address.folder)
            with suppress(OSError):
                self.bucket.address.folder.parent.rmdir()


def fresh_staging(root: Bucket, run_id: str) -> Staging:
    """A prefix `<run id>/<random>` under `root` that nobody has used; sweeps what dead runs left under `root`."""
    checked_name(run_id, "a run id")
    _sweep(root)
    return Staging(root.under(f"{run_id}/{secrets.token_hex(8)}"))


def _sweep(root: Bucket) -> None:
    """Delete the staging of runs in which nothing was written for a day: a killed process can't clean up."""
    newest: dict[str, float] = {}
    keys: dict[str, list[str]] = {}
    for found in root.listing():
        run = found.key.partition("/")[0]
        newest[run] = max(newest.get(run, 0.0), found.last_modified.timestamp())
        keys.setdefault(run, []).append(found.key)
    for run, last_written in newest.items():
        if last_written < time.time() - STALE_STAGING_S:
            root.delete(keys[run])
            if root.address.scheme == "file":
                remove_tree(root.address.folder / run)


class Warehouse(Protocol):
    """Tables in zones.  Every writer replaces a whole partition in one step: readers see the old or the new."""

    def tokens(self, spec: TableSpec, partition: str) -> set[str]:
        """The work tokens that have rows in the partition."""
        ...

    def scan(
        self, spec: TableSpec, partition: str | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows in stored order, a batch at a time; all partitions in the order of their names without `partition`."""
        ...

    def count(self, spec: TableSpec, partition: str | None = None) -> int:
        """Number of rows."""
        ...

    def partitions(self, spec: TableSpec) -> list[str]:
        """Names of the partitions that were written."""
        ...

    def replace(
        self, spec: TableSpec, partition: str, *, shards: Sequence[str], drop_tokens: Collection[str] = ()
    ) -> int:
        """New partition = old rows whose work token is neither dropped nor in the shards, and the shards' rows."""
        ...

    def replace_from_query(
        self, spec: TableSpec, partition: str, sql: str, parameters: Mapping[str, str | int] | None = None
    ) -> int:
        """New partition = the query's result.  Returns its number of rows."""
        ...

    def query(self, sql: str, parameters: Mapping[str, str | int] | None = None) -> pa.Table:
        """The result of a query in BigQuery's dialect."""
        ...

    def search(self, spec: TableSpec, column: str, terms: str, limit: int = 20) -> pa.Table:
        """The rows whose `column` holds all `terms`, best first, with a column `score`."""
        ...

    def drop(self, spec: TableSpec, partition: str) -> None:
        """Remove the partition; one that is not there is no error."""
        ...

    def content_digest(self, spec: TableSpec, partition: str) -> str:
        """Hexadecimal digest that is equal for equal content and differs else."""
        ...

    def location(self, spec: TableSpec, partition: str | None = None) -> str:
        """A URI for people (`dagster/uri`)."""
        ...

    def staging(self, zone: str, run_id: str) -> Staging:
        """A fresh staging prefix of the zone."""
        ...
