"""A small pool of worker processes that outlives crashes, hangs and memory bombs.

Belongs here: handing groups of items to workers, noticing the death or the time-out of one, trying its items alone, and
refusing the item that kills a worker by itself.  `concurrent.futures` breaks as a whole when one worker dies and can't end
a hung one; here each worker has its own pipe and its own deadline.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.shards import Gathering, GroupResult, StagingPlace
from gradient_assets.pipelines.steps import Step, WorkItem

GROUP_ITEMS = 4
"""Items handed over at once: a death costs at most so many repeats, a hand-over costs under a millisecond."""

START_S = 60.0
"""Time for a worker to import and load its models; measured 2–4 s on two cores."""


class PoolError(Exception):
    """The pool can't work at all (a worker can't start, a step can't open): an error of the set-up, not of an object."""


@dataclass
class _Group:
    items: list[WorkItem]
    died: Reason | None = None


class _Worker:
    """One process and its pipe."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ)
        # The checkout may be used without being installed (tests, `python -m`): the child must find the same packages.
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(Path(__file__).parents[2]), *filter(None, [environment.get("PYTHONPATH")])]
        )
        environment.setdefault("OMP_NUM_THREADS", "1")
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "gradient_assets.pipelines.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.group: _Group | None = None
        self.deadline = 0.0

    def give(self, group: _Group, deadline_s: float) -> None:
        self.group = group
        self.deadline = time.monotonic() + deadline_s * max(1, len(group.items)) + START_S
        self.connection.send(("run", group.items, group.died))

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


class WorkerPool:
    """Runs a step over items with `processes` workers.  One at a time per step; not shared between threads."""

    def __init__(
        self, step: Step, hospitals: dict[str, Hospital], places: dict[str, StagingPlace], processes: int
    ) -> None:
        self._step = step
        self._setup = ("step", step, hospitals, places)
        self._places = places
        self._size = max(1, processes)
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            _release(worker)
        self._workers.clear()

    def run(self, items: Sequence[WorkItem], on_done: Callable[[int], None] = lambda done: None) -> GroupResult:
        """Apply the step to all items; each ends as rows or as a refusal.  `on_done` gets the number of items of each
        finished group.  Raises `PoolError` when a worker can't start or the step can't open."""
        waiting = deque(_Group(list(items[i : i + GROUP_ITEMS])) for i in range(0, len(items), GROUP_ITEMS))
        total, rows = GroupResult(), Gathering(self._places)
        while waiting or any(worker.group for worker in self._workers):
            self._hand_out(waiting)
            busy = [worker for worker in self._workers if worker.group]
            timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
            ready = set(wait([worker.connection for worker in busy], timeout))
            for worker in busy:
                if worker.connection in ready:
                    self._collect(worker, waiting, total, rows, on_done)
                # It may have answered while rows of another one were written.
                elif time.monotonic() >= worker.deadline and not worker.connection.poll():
                    self._lost(worker, waiting, Reason.TIMED_OUT)
        total.add(GroupResult(rows.close()))
        return total

    def _hand_out(self, waiting: deque[_Group]) -> None:
        while waiting:
            idle = next((worker for worker in self._workers if worker.group is None), None)
            if idle is None:
                if len(self._workers) >= self._size:
                    return
                idle = self._start()
            idle.give(waiting.popleft(), self._step.deadline_s)

    def _start(self) -> _Worker:
        worker = _acquire()
        try:
            worker.connection.send(self._setup)
            if not worker.connection.poll(START_S):
                raise EOFError
            answer, _ = worker.connection.recv()
        except (EOFError, OSError):
            worker.end()
            raise PoolError(
                f"A worker process of stage {self._step.stage} did not start. Run `gradient doctor`."
            ) from None
        if answer != "ready":
            worker.end()
            raise PoolError(f"Stage {self._step.stage} could not be set up in a worker. Run `gradient doctor`.")
        self._workers.append(worker)
        return worker

    def _collect(
        self,
        worker: _Worker,
        waiting: deque[_Group],
        total: GroupResult,
        rows: Gathering,
        on_done: Callable[[int], None],
    ) -> None:
        group = worker.group
        assert group is not None, "only busy workers are waited for"
        try:
            answer, result = worker.connection.recv()
        except (EOFError, OSError):
            self._lost(worker, waiting, Reason.WORKER_DIED)
            return
        worker.group = None
        if answer != "done":
            raise PoolError(f"Stage {self._step.stage} could not open its engines: {result}. Run `gradient doctor`.")
        if result.items != len(group.items):
            raise PoolError(
                f"Stage {self._step.stage}: a worker answered for {result.items} of {len(group.items)} items."
            )
        total.add(result)
        rows.add(result.rows)
        on_done(result.items)

    def _lost(self, worker: _Worker, waiting: deque[_Group], reason: Reason) -> None:
        group = worker.group
        assert group is not None, "only a busy worker can be lost with work"
        worker.end()
        self._workers.remove(worker)
        if group.died is not None:
            raise PoolError(f"Stage {self._step.stage}: a worker died while writing a refusal. Run `gradient doctor`.")
        if len(group.items) == 1:
            waiting.appendleft(_Group(group.items, died=reason))
        else:
            waiting.extendleft(_Group([item]) for item in reversed(group.items))


_IDLE: list[_Worker] = []


def _acquire() -> _Worker:
    """A worker that has imported everything already, or a new one."""
    while _IDLE:
        worker = _IDLE.pop()
        if worker.process.poll() is None:
            return worker
        worker.end()
    return _Worker()


def _release(worker: _Worker) -> None:
    if worker.group is None and worker.process.poll() is None:
        _IDLE.append(worker)
    else:
        worker.end()


@atexit.register
def _end_idle_workers() -> None:
    for worker in _IDLE:
        with contextlib.suppress(OSError):
            worker.end()
    _IDLE.clear()
