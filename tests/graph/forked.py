"""Commands in small homes, forked from one process that has imported everything; and what a home holds after them.

Belongs here: the client of `fork_server`, and comparing homes: what was made, and what of unfinished work is left.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from gradient_assets.cli.verify import look
from gradient_assets.releases import load_release, release_names
from gradient_assets.releases.delivery import Gate
from tests.fakes.counted.log import LINE_BYTES
from tests.graph.conftest import ROOT, Home

KILLED = -9
PLANTED = ("counted",)
"""Text in pixels is found where `small_home` plants it, and changes of files are counted."""
OWN = ("run_id", "sealed")
"""Columns in which two runs over the same differ: who made a row, and a seal with a nonce of its own."""


@dataclass(frozen=True)
class Call:
    """A command in a home.

    `kill_at`: it gets SIGKILL instead of its so many-th change of a file.  `after`: it begins when the call before it has made
    so many changes.  `name` tells the calls of one home apart that are made together.  `fakes` are in force in all its
    processes, `environ` comes to that of the home, `workers` are there before the first is needed; what is
    needed more is started as always.
    """

    home: Path
    arguments: tuple[str, ...]
    kill_at: int = 0
    after: int = 0
    name: str = "call"
    fakes: tuple[str, ...] = PLANTED
    environ: tuple[tuple[str, str], ...] = ()
    workers: int = 1

    @property
    def log(self) -> Path:
        return self.home.with_name(f"{self.home.name}.{self.name}.changes")

    @property
    def out(self) -> Path:
        return self.log.with_suffix(".out")

    @property
    def err(self) -> Path:
        return self.log.with_suffix(".err")

    def request(self, before: "Call | None" = None) -> dict[str, object]:
        counting = {"COUNTED_HOME": str(self.home), "COUNTED_LOG": str(self.log), "KILL_AT": str(self.kill_at)}
        path = os.pathsep.join([*(str(ROOT / "tests/fakes" / fake) for fake in reversed(self.fakes)), str(ROOT)])
        # With two workers the changes' order would be another each time.
        processes = {"GRADIENT_PROCESSES": "1", "PYTHONPATH": path}
        environ = {**Home(self.home).environ, **counting, **processes, **dict(self.environ)}
        after = (str(before.log), self.after * LINE_BYTES) if before and self.after else None
        places = {"out": str(self.out), "err": str(self.err), "after": after}
        how = {"fakes": list(self.fakes), "workers": self.workers}
        return {"arguments": list(self.arguments), "environ": environ, **how, **places}


@dataclass(frozen=True)
class Commands:
    """The server's process."""

    process: subprocess.Popen[str]

    def together(self, *calls: Call) -> list[int]:
        """Start them at the same time; the exit codes when all have ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for call in calls:
            for file in (call.log, call.out, call.err):
                file.unlink(missing_ok=True)
        requests = [call.request(before) for call, before in zip(calls, (None, *calls), strict=False)]
        self.process.stdin.write(json.dumps(requests) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the server has died"
        return json.loads(answer)

    def run(self, call: Call, expect: int = 0) -> None:
        """One command; it must end with this code."""
        self.run_together(call, expect=expect)

    def run_together(self, *calls: Call, expect: int = 0) -> None:
        """All of them must end with this code."""
        for call, code in zip(calls, self.together(*calls), strict=True):
            assert code == expect, (
                f"{call.arguments}: {code}; {last_change(call)}\n{call.out.read_text()}{call.err.read_text()}"
            )


@dataclass(frozen=True)
class ForkedHome(Home):
    """A home in which no command imports anything; with the fakes that are given no model is loaded either."""

    commands: Commands
    fakes: tuple[str, ...] = PLANTED
    workers: int = 1

    def gradient(
        self, *arguments: str, expect: int | None = 0, fakes: tuple[str, ...] = (), **environ: str
    ) -> subprocess.CompletedProcess:
        """As a home's, by the server; with further fakes, and with what the environment has besides."""
        call = Call(
            self.path, arguments, fakes=(*self.fakes, *fakes), environ=tuple(environ.items()), workers=self.workers
        )
        (code,) = self.commands.together(call)
        done = subprocess.CompletedProcess(arguments, code, call.out.read_text(), call.err.read_text())
        assert expect is None or code == expect, done.stdout + done.stderr
        return done

    def copied(self, to: Path) -> "ForkedHome":
        """The same at another place."""
        return replace(self, path=copied(self.path, to))


@contextmanager
def serving_commands() -> Iterator[Commands]:
    """The server, for as long as the `with` block lasts."""
    # Libraries of linear algebra and Arrow's allocator would start threads when they are imported.
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **single}
    command = [sys.executable, "-m", "tests.graph.fork_server"]
    with subprocess.Popen(
        command, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Commands(process)
        assert process.stdin is not None
        process.stdin.close()


def copied(home: Path, to: Path) -> Path:
    """A copy with the times of its files: a bucket's etags are made of them."""
    shutil.copytree(home, to, symlinks=True)
    return to


def changes(call: Call) -> int:
    """How many changes of files the command made."""
    return call.log.stat().st_size // LINE_BYTES


def changed_paths(call: Call) -> list[str]:
    """What was changed, in the order of the changes."""
    return [line.strip().partition(" ")[2] for line in call.log.read_text().splitlines()]


def last_change(call: Call) -> str:
    """The change before which it was killed."""
    return call.log.read_text().splitlines()[-1].strip() if call.log.exists() else "no change"


def made(home: Path) -> dict[str, object]:
    """Every table partition and every object outside the landing zone, as digests; the standing of every release."""
    found: dict[str, object] = {}
    for zone in ("identified", "deidentified", "public"):
        for path in sorted((home / zone).rglob("*")):
            name = str(path.relative_to(home))
            if path.suffix == ".parquet":
                found[name] = _rows(path)
            elif path.suffix in (".png", ".dcm", ".csv", ".html"):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    opened = Home(home)
    for name in release_names(opened.resources.release_requests):
        release = load_release(opened.resources.release_requests, name)
        standing = Gate(opened.resources, opened.registry.releases, release).log.standing()
        found[f"log of {name}"] = [(entry.change, entry.by, entry.manifest) for entry in standing.entries]
    return found


def _rows(path: Path) -> object:
    table = pq.read_table(path)
    if not set(OWN) & set(table.column_names):
        return table.num_rows, hashlib.sha256(path.read_bytes()).hexdigest()
    kept = table.drop_columns([name for name in OWN if name in table.column_names])
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in kept.to_pylist())


def runs_that_seem_to_go_on(home: Path) -> int:
    """How many of Dagster's runs have no end."""
    with closing(sqlite3.connect(home / "dagster/history/runs.db")) as storage:
        ((number,),) = storage.execute(
            "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
        )
    return int(number)


def left_over(home: Path) -> list[str]:
    """Files of unfinished work: staging, announcements, temporary files."""
    unfinished = {"staging", "_staging", "_writing", "tmp"}
    found = [
        path.relative_to(home)
        for zone in ("identified", "deidentified", "public")
        for path in sorted((home / zone).rglob("*"))
        if path.is_file()
    ]
    return [str(path) for path in found if path.suffix == ".part" or unfinished & set(path.parts)]


def differences(home: Path) -> list[str]:
    """What `gradient verify` has to say."""
    opened = Home(home)
    return [one.line for one in look(opened.resources, opened.registry, None, None).check.differences]
