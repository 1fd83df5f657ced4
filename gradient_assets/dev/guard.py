"""Run one program, and end it with everything it started when nobody needs it any more.

Belongs here: what happens between a parent's death and its servers' end.  Started by `server` as a file of its own, with
the standard library only: it has to be up in milliseconds.

The parent holds the other end of this process's standard input.  It closes when the parent stops, crashes or is killed by
a signal that no handler sees; a request of the kernel (PR_SET_PDEATHSIG) would also fire when only the thread ended that
had started the server, which pytest's and Dagster's threads do.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time

GRACE_S = 10.0
"""From the polite signal to the last one; Flink's job server takes 3 s."""

LOOK_EVERY_S = 0.1


def keep(command: list[str]) -> int:
    """Run the command until it ends or standard input closes; returns its exit code, 0 when it was ended."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    # A group of its own: a job server or a worker pool has children, and they go with it.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  our own command
    with selectors.DefaultSelector() as parent:
        parent.register(sys.stdin, selectors.EVENT_READ)
        while child.poll() is None:
            if asked or (parent.select(LOOK_EVERY_S) and not os.read(sys.stdin.fileno(), 1)):
                _end(child)
                return 0
    _signal_group(child.pid, signal.SIGKILL)
    return child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
