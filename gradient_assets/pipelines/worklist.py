"""What is to be done, and for whom to look, in chunks in the identified staging area; Beam passes their names, never the items.

Belongs here: writing and reading chunks.  Items hold object keys and identifiers: in a pipeline's graph, which Dataflow
stores and shows, they would have left the identified zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import WorkItem

CHUNK_ITEMS = 256
"""Items of a chunk: with a header of 40 kB each, 10 MB."""


def chunk_name(number: int) -> str:
    """The name of a chunk, counted from 0."""
    return f"work-{number:06d}.jsonl"


@dataclass
class Worklist:
    """Collects items and writes a chunk whenever it is full."""

    place: StagingPlace
    chunks: list[str] = field(default_factory=list)
    items: int = 0
    _open: list[WorkItem] = field(default_factory=list)

    def add(self, item: WorkItem) -> None:
        """Add one item."""
        self._open.append(item)
        self.items += 1
        if len(self._open) >= CHUNK_ITEMS:
            self.close()

    def close(self) -> None:
        """Write the chunk that is open, if it holds anything."""
        if self._open:
            name = chunk_name(len(self.chunks))
            lines = "\n".join(json.dumps(item, ensure_ascii=True) for item in self._open)
            self.place.bucket.put(name, lines.encode())
            self.chunks.append(name)
            self._open.clear()


EVERYONE = "everyone.jsonl"


def write_everyone(place: StagingPlace, everyone: Iterable[KnownIdentifiers]) -> None:
    """Put all identifiers known for the hospital where the stage's workers find them."""
    lines = (json.dumps(record.as_dict(), ensure_ascii=True) for record in everyone)
    place.bucket.put(EVERYONE, "\n".join(lines).encode())


def read_everyone(place: StagingPlace) -> Iterator[KnownIdentifiers]:
    """What `write_everyone` put.  Raises `ObjectVanished` if it did not: a search for nobody would find nobody."""
    for line in place.bucket.get(EVERYONE).decode().splitlines():
        yield KnownIdentifiers.from_dict(json.loads(line))


def read_chunk(place: StagingPlace, name: str) -> Iterator[WorkItem]:
    """The items of one chunk."""
    for line in place.bucket.get(name).decode().split("\n"):
        yield json.loads(line)
