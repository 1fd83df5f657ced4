"""What a step prints reaches nobody.

Belongs here: the class that the `dagster.yaml` files in `deploy` name.  Dagster's own `NoOpComputeLogManager` keeps nothing,
but leaves the streams as they are: in a container they end in the cluster's log store, which many read and nobody purges.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

STREAMS = (1, 2)
"""File descriptors, not Python's objects: libraries in C print too."""


class NowhereComputeLogManager(NoOpComputeLogManager):
    """While a step runs, this process's stdout and stderr lead to /dev/null.

    For processes that run one step at a time, as run workers with the in-process executor do.  Dagster's events are in its
    event log all the same.
    """

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Redirect for the time of the block."""
        sys.stdout.flush()
        sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        before = [os.dup(stream) for stream in STREAMS]
        try:
            for stream in STREAMS:
                os.dup2(nowhere, stream)
            yield CapturedLogContext(log_key=log_key)
        finally:
            # What Python still holds in its buffers was printed by the step.
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, kept in zip(STREAMS, before, strict=True):
                os.dup2(kept, stream)
                os.close(kept)
            os.close(nowhere)
