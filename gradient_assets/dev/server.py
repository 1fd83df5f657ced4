"""A server of the local stand: a free port, a log file, a health check with a deadline, an end.

Belongs here: one process from start to stop.  What is started is `parts`' business, how it comes onto this machine
`recipes`'; that it ends with this process, `guard`'s.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
CHECKOUT = Path(__file__).parents[2]
LOOK_EVERY_S = 0.2
STOP_DEADLINE_S = 20.0
"""More than the guard's own grace."""

TEMPORARY = "tmp"
"""Folder beside the log for what a server leaves in temporary files and where it stands; whoever owns the log's folder
deletes it."""

LOG_LINES = 15
"""So many last lines of a log are told when a server does not come up; it only ever saw made-up people."""


class ServerFailed(Exception):  # noqa: N818  the name says what happened
    """A server ended, or was not healthy within its deadline.  The message has its log's path and last lines."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now.

    Another process may take it before the server does; the server then ends, and `Server.start` says so.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether an HTTP server answers there, with whatever status below 500."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  our own server's address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def from_this_checkout() -> dict[str, str]:
    """Environment of a server that imports our packages: the checkout may be used without being installed."""
    return {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def children_of(process: int) -> list[int]:
    """Process ids that this one has started and that still run; none where it has ended."""
    try:
        threads = [*Path(f"/proc/{process}/task").iterdir()]
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


class Server:
    """One process, ended with this one.  Its output goes to `log`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        healthy: Callable[[], bool],
        deadline_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._command = [str(word) for word in command]
        self._healthy = healthy
        self._deadline_s = deadline_s
        self.temporary = log.absolute().parent / TEMPORARY
        # Without performance data in /tmp, which Java keeps there whatever it is told of temporary files.
        java = f'-XX:-UsePerfData "-Djava.io.tmpdir={self.temporary}"'
        own = {"TMPDIR": str(self.temporary), "JDK_JAVA_OPTIONS": java}
        self._environment = {**os.environ, **own, **(environment or {})}
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start, and wait until it is healthy.  Raises `ServerFailed`; nothing runs on then."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._guard = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-I", str(GUARD), *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Beam's starter of workers writes `pipeline_options.json` to where it stands.
                cwd=self.temporary,
                start_new_session=True,  # Ctrl-C is for the one who started it; the guard hears of the end anyway
            )
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._wait()
            undo.pop_all()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + self._deadline_s
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerFailed(f"{self._name} ended while it started. {self._last_words()}")
            if self._healthy():
                return
            time.sleep(LOOK_EVERY_S)
        raise ServerFailed(f"{self._name} was not healthy within {self._deadline_s:.0f} s. {self._last_words()}")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._guard is not None and self._guard.poll() is None

    def stop(self) -> None:
        """End it and all its children; one that has ended is no error."""
        if self._guard is None:
            return
        guard, self._guard = self._guard, None
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would; its children go with it.  `start` brings it back."""
        if self._guard is None:
            return
        for child in children_of(self._guard.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._guard.wait(STOP_DEADLINE_S)

    @property
    def descendants(self) -> list[int]:
        """Process ids of the program and of all that it has started."""
        found = [self._guard.pid] if self._guard is not None else []
        for parent in found:
            found.extend(children_of(parent))
        return found[1:]

    @property
    def _name(self) -> str:
        return Path(self._command[0]).name

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"Its log is {self.log}:", *lines])
