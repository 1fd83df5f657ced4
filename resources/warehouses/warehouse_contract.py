"""What every warehouse promises: zones, partitions replaced in one step, reading, searching.

Belongs here: the interface.  Prefixes for shards are `staging`'s business.
`warehouse` keeps the promises on a folder, `bigquery` in the cloud.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from gradient_assets.tables import TableSpec
from resources.buckets.staging import Staging

ZONES = ("identified", "deidentified", "public")
"""From the most confidential to the least."""

WORK_TOKEN = "work_token"  # noqa: S105  a column's name


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of trying statements without running them.

    `count` of them, `largest`: the bytes that the greediest would read (0 where that is not known), `refused`: name → why.
    """

    count: int
    largest: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)


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

    def rehearse(self, queries: Mapping[str, str], parameters: Mapping[str, str | int]) -> Rehearsal:
        """Read and plan the queries by name, and what the warehouse sends itself; nothing is run."""
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
