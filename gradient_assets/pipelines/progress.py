"""How far a stage is, said into its run: heard in this process, or read where workers elsewhere write it down.

Belongs here: lines for people, and how often.  What workers write is `beam_stage`'s business.  Flink's job server tells a
job's counters at its end only, so the lines in between come from the stage's staging, the same for every runner.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gradient_assets.pipelines import beam_stage
from gradient_assets.pipelines.shards import StagingPlace
from resources.buckets.object_store import StoreError

PROGRESS_EVERY_S = 2.0


@dataclass
class Progress:
    """Says how far a stage is, at most every `PROGRESS_EVERY_S` seconds."""

    stage: str
    total: int
    say: Callable[[str], None]
    _done: int = 0
    _said: int = 0
    _last: float = field(default_factory=time.monotonic)

    def add(self, items: int) -> None:
        """So many more are done."""
        self.reached(self._done + items)

    def reached(self, done: int, *, now: bool = False) -> None:
        """So many are done by now; one that says less than before was tried again."""
        self._done = done
        if done != self._said and (now or time.monotonic() - self._last >= PROGRESS_EVERY_S):
            self._last = time.monotonic()
            self._said = done
            self.say(f"{self.stage}: {self._done} of {self.total}")


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """While the workers' Beam side is in this process."""
    unlisten = beam_stage.listen(progress.add)
    try:
        yield
    finally:
        unlisten()


@contextmanager
def watching(place: StagingPlace, progress: Progress) -> Iterator[None]:
    """While workers are elsewhere: read what they wrote down, and once more at a good end."""
    ended = threading.Event()

    def look(*, now: bool = False) -> None:
        # A store that does not answer is the stage's own trouble; a line less is none.
        with suppress(StoreError):
            progress.reached(beam_stage.read_progress(place), now=now)

    def watch() -> None:
        while not ended.wait(PROGRESS_EVERY_S):
            look()

    watcher = threading.Thread(target=watch, name="stage-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    look(now=True)


def counted(stage: str, counters: Mapping[str, int]) -> str:
    """What the runner counted, in a line: `items 12, refused/not_dicom 1, rows 11`."""
    listed = ", ".join(f"{name} {count}" for name, count in sorted(counters.items()))
    return f"{stage}: counted by the runner: {listed or 'nothing'}"
