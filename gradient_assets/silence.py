"""What a process of the platform does before it touches identified data, so that only what is meant to be said is said.

Belongs here: core files, temporary files, and the ways in which Python and foreign libraries speak by themselves (warnings,
log lines without a handler, uncaught errors).  Errors of stages are `assets.context.silent`'s and `pipelines.worker`'s
business, what they said `diagnostics`'; the log of Dagster's steps is switched off in `instance`.

Idempotent, and never undone: a process that has seen a patient's data stays silent.
"""

from __future__ import annotations

import atexit
import logging
import os
import resource
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

SPEAKING = ("dagster", "gradient")
"""Loggers whose lines are written for people: Dagster's say what our stages say.  The text of an error goes from theirs too."""

TEMPORARY = "identified/tmp"
"""Below the home; a folder for each process, which goes with it.  The next process sweeps what a killed one left."""


def fall_silent(home: Path | None = None) -> None:
    """No core files, no texts of libraries; with a home, temporary files inside its identified zone, for this user alone."""
    no_core_files()
    warnings.showwarning = _say_kind
    logging.setLogRecordFactory(_place_alone)
    logging.raiseExceptions = False  # else a log line that can't be written is printed with its arguments
    sys.excepthook = _say_place
    sys.unraisablehook = lambda raised: _say_place(raised.exc_type, raised.exc_value, raised.exc_traceback)
    threading.excepthook = lambda raised: _say_place(raised.exc_type, raised.exc_value, raised.exc_traceback)
    if home is not None:
        _keep_temporary_files_in(home / TEMPORARY)


def no_core_files() -> None:
    """The memory of a process that dies is not written to a file; inherited by its children."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _keep_temporary_files_in(root: Path) -> None:
    if tempfile.tempdir is not None and Path(tempfile.tempdir).is_relative_to(root):
        return
    from resources.buckets.object_store import Bucket, BucketAddress  # 0.3 s, which `gradient --help` need not pay
    from resources.buckets.staging import fresh_staging

    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = fresh_staging(Bucket(BucketAddress(str(root))), f"process-{os.getpid()}")
    folder = place.bucket.address.folder
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    own = os.getpid()

    def end() -> None:
        if os.getpid() == own:  # a forked child's end is not the end of the folder
            place.__exit__(None, None, None)

    atexit.register(end)


def _place_alone(*given: Any, **named: Any) -> logging.LogRecord:
    """A log record; one of a foreign library says its place instead of its text, whoever handles it.

    Beam and other libraries put handlers of their own on the root logger, so that a handler of ours would not be enough.
    """
    record = logging.LogRecord(*given, **named)
    kind = record.exc_info[0] if record.exc_info else None
    record.exc_info = record.stack_info = None
    if not (record.name or "").startswith(SPEAKING):
        record.msg = f"{Path(record.pathname).name}:{record.lineno}; its text is withheld"
        record.args = ()
    if kind is not None:
        record.msg = f"{record.msg} ({kind.__name__})"
    return record


def _say_kind(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"{category.__name__} at {Path(filename).name}:{lineno}", file=file or sys.stderr)


def _say_place(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    frames = traceback.extract_tb(trace)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    name = kind.__name__ if kind else "error"
    print(f"Error: {name} at {place}; its text is withheld", file=sys.stderr)  # noqa: T201  as above
