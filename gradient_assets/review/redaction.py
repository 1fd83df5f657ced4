"""The redacted picture of an instance, made when somebody wants to see it: in memory, never on disk.

Belongs here: the process that opens originals and redacts them, the objects that are held ready, and a frame as a PNG.
Originals stay in that process: what it hands over is what the pixel engine made.  It is a process of its own since a native
decoder may die of an object; the page goes on then.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import signal
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydicom import Dataset

from gradient_assets.deid.pixels import Box, FrameSource, decode_frames
from gradient_assets.deid.pixels.rendering import Look, Picture
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.pipelines.pool import START_S
from gradient_assets.pipelines.steps import TRANSIENT, WorkItem, foreseen
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.pipelines.worker import MEMORY_LIMIT_BYTES
from gradient_assets.review.decisions import ReviewError

View = Literal["shown", "full", "narrow"]
"""As a viewer shows it first; from the smallest to the largest value; without the outermost percent at both ends."""

OBJECTS_HELD, BYTES_HELD = 4, 512 * 1024**2
"""Redacted objects in memory: the one shown, the next, and some before, since people go back and forth."""

LARGE_BYTES = 256 * 1024**2
"""While an object of this size is shown, the next one is not made beforehand."""

CLOSING_S = 0.2
"""How long the thread may take to see that its process is dead, before it is looked for another one."""

PNG_COMPRESSION = 1
"""The page is on the same machine: level 1 took a fifth of the time of level 6 for a third more bytes."""


@dataclass(frozen=True)
class Redacted:
    """One redacted object in memory."""

    dataset: Dataset = field(repr=False)
    boxes: tuple[Box, ...]

    @cached_property
    def frames(self) -> FrameSource:
        """The redacted frames, decoded when asked for."""
        return decode_frames(self.dataset)

    @property
    def stored_bytes(self) -> int:
        """What its pixels take in memory."""
        return len(self.dataset[self.frames.shape.keyword].value)

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns, frames."""
        shape = self.frames.shape
        return shape.rows, shape.columns, len(self.frames)

    def png(self, frame: int, view: View) -> bytes:
        """One frame at full size.  Raises `Refused` and `IndexError`."""
        if not 0 <= frame < len(self.frames):
            raise IndexError(frame)
        look = Look(self.frames.shape, self.frames.photometric, self.dataset)
        stream = io.BytesIO()
        Image.fromarray(_seen(look, self.frames[frame], frame, view)).save(
            stream, "PNG", compress_level=PNG_COMPRESSION
        )
        return stream.getvalue()


def _seen(look: Look, frame: Any, index: int, view: View) -> Picture:
    if view == "shown":
        return look.thumbnail(frame, index)
    picture = look.picture(frame, index)
    if look.shape.samples == 1 and picture.ndim == 3 and look.photometric.startswith("MONOCHROME"):
        return np.ascontiguousarray(picture[..., ("full", "narrow").index(view)])
    return picture


def redacted(step: MakeThumbnails, item: WorkItem) -> Redacted:
    """The object as the thumbnails' stage sees it after the pixel engine.  Raises `Refused`."""
    _, cleaned = step.redacted(item)
    if cleaned.frames == 0:
        raise Refused(Reason.PIXEL_GEOMETRY, "no pixel data element")
    return Redacted(cleaned.dataset, cleaned.boxes)


class RedactionProcess:
    """A process that redacts one object after the other; started anew after its death.  Used from one thread."""

    def __init__(self, step: MakeThumbnails) -> None:
        self._step = step
        self._process: Any = None
        self._connection: Connection[Any, Any] | None = None

    def redact(self, item: WorkItem) -> Redacted:
        """The redacted object.  Raises `Refused`, also when the process died or took too long."""
        try:
            if self._connection is None:
                self.start()
            connection = self._connection
            assert connection is not None, "start sets it or raises"
            connection.send(item)
            if not connection.poll(self._step.deadline_s):
                self.end()
                raise Refused(Reason.TIMED_OUT)
            outcome = connection.recv()
        except (EOFError, OSError):
            self.end()
            raise Refused(Reason.WORKER_DIED) from None
        if isinstance(outcome, Redacted):
            return outcome
        raise outcome

    def start(self) -> None:
        """Start it and load the models.  Raises `ReviewError` when that fails."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._step), daemon=True)
        self._process.start()
        theirs.close()
        try:
            ready = ours.poll(START_S) and ours.recv() == "ready"
        except (EOFError, OSError):
            ready = False
        if not ready:
            self.end()
            raise ReviewError("The pixel engine could not be set up. Run `gradient doctor`.")
        self._connection = ours

    def kill(self) -> None:
        """Make the process die, whatever it is doing; from any thread."""
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """The same, and clear up after it."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _serve(connection: Connection[Any, Any], step: MakeThumbnails) -> None:
    """The process: says `ready`, then answers each item with a `Redacted` or a `Refused`, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold identified data
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # native libraries may print what they read
        os.dup2(nowhere, descriptor)
    try:
        step.open()
    except Exception:
        connection.send("failed")
        return
    connection.send("ready")
    with suppress(EOFError, OSError):
        while True:
            item = connection.recv()
            try:
                answer: Redacted | Refused = redacted(step, item)
            except Exception as error:  # fail closed; the text of the error may hold a value
                answer = foreseen(error)
            connection.send(answer)


class Redactor:
    """Keeps the objects ready that somebody looks at now or next.  Its thread ends with `close`."""

    def __init__(self, step: MakeThumbnails) -> None:
        self._process = RedactionProcess(step)
        self._wanted: list[WorkItem] = []
        self._ready: OrderedDict[str, Redacted | Refused] = OrderedDict()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="redactor", daemon=True)

    def start(self) -> None:
        """Load the models, so that a missing one is an error of the set-up.  Raises `ReviewError`.

        Called before anything is wanted, or never: the first object then loads them.
        """
        self._process.start()

    def want(self, items: Sequence[WorkItem]) -> None:
        """The objects wanted from now on, the one shown first; what was wanted before and not begun is dropped."""
        with self._change:
            self._wanted = list(items)
            if self._thread.ident is None and not self._closed:
                self._thread.start()
            for item in reversed(items):
                if item["object_pseudonym"] in self._ready:
                    self._ready.move_to_end(item["object_pseudonym"])
            self._change.notify_all()

    def outcome(self, pseudonym: str, wait_s: float = 0.0) -> Redacted | Refused | None:
        """The redacted object, why there is none, or None while it is being made (asked again after `wait_s` at most)."""
        with self._change:
            self._change.wait_for(lambda: pseudonym in self._ready or self._closed, wait_s)
            outcome = self._ready.get(pseudonym)
            if isinstance(outcome, Refused) and outcome.reason in TRANSIENT:
                del self._ready[pseudonym]  # said once; the next question tries again
            return outcome

    def close(self) -> None:
        """End thread and process; what was held is forgotten."""
        with self._change:
            self._closed = True
            self._ready.clear()
            self._change.notify_all()
        while self._thread.is_alive():
            self._process.kill()  # the thread may just have started another one
            self._thread.join(CLOSING_S)
        self._process.end()

    def _next(self) -> WorkItem | None:
        with self._change:
            while not self._closed:
                first = self._ready.get(self._wanted[0]["object_pseudonym"]) if self._wanted else None
                large = isinstance(first, Redacted) and first.stored_bytes > LARGE_BYTES
                for item in self._wanted[:1] if large else self._wanted:
                    if item["object_pseudonym"] not in self._ready:
                        return item
                self._change.wait()
        return None

    def _make_room(self) -> None:
        wanted = {item["object_pseudonym"] for item in self._wanted}
        for pseudonym in [name for name in self._ready if name not in wanted]:
            held = sum(one.stored_bytes for one in self._ready.values() if isinstance(one, Redacted))
            if len(self._ready) > OBJECTS_HELD or held > BYTES_HELD:
                del self._ready[pseudonym]

    def _work(self) -> None:
        while (item := self._next()) is not None:
            try:
                outcome: Redacted | Refused = self._process.redact(item)
                if isinstance(outcome, Redacted):
                    _ = outcome.size
            except Exception as error:  # a closed pipe at the end included
                outcome = foreseen(error)
            with self._change:
                if self._closed:
                    break
                self._ready[item["object_pseudonym"]] = outcome
                self._make_room()
                self._change.notify_all()
