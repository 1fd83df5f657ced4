"""A process that has imported everything, and becomes the command `gradient` as often as it is asked to.

Imports of Dagster and Beam take 6 s, a command over a small home 2 s: 100 commands are too slow as processes of their own.
Each line of stdin is a JSON list of commands that are started together; each is forked from here, becomes the leader of a
process group, and ends as the command ends, with all that the interpreter does at its end.  Its first workers are forked from
it before it has a thread; a worker that comes after one that died is started as always.
The answer is the list of exit codes, -9 for killed.

Nothing waits for a disk: what is written survives a process that is killed, and no test cuts the power.

Threads don't survive a fork, and who waits for one in the child waits for ever: this process has one thread, and opens
nothing.  DuckDB opens a connection of its own when it is imported, whose thread ends with it; Arrow's allocator is told by who
starts this process not to have one.
"""

import contextlib
import gc
import importlib
import json
import os
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypedDict

import duckdb
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gradient_assets.cli import COMMANDS
from gradient_assets.deid.text.lexicon import lexicon
from gradient_assets.pipelines import pool, worker

FAKES = Path(__file__).parents[1] / "fakes"
STORAGES = tuple(f"dagster._core.storage.{storage}.sqlite" for storage in ("event_log", "runs", "schedules"))
ALL = (
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "apache_beam.runners.portability.fn_api_runner",
    "dagster._core.execution.execute_in_process",
    "dagster._core.execution.plan.active",
    "dagster._core.instance.factory",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.noop_compute_log_manager",
    *STORAGES,
    "dagster._daemon",
    *(f"gradient_assets.cli.{module}" for module in sorted({*COMMANDS.values()})),
    "obstore.store",
    "pyarrow.dataset",
    "pyarrow.substrait",
    "sqlglot.dialects.duckdb",
    "tests.fakes.small_home",
    "upath.implementations.local",
    "watchdog.observers",
)
"""What commands import, some of it late, with all that these import."""


def import_all() -> None:
    """Everything, without a thread."""
    duckdb.default_connection().close()
    for name in ALL:
        importlib.import_module(name)
    lexicon("en")
    event.listen(Engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    os.fsync = lambda _: None
    keep_engines()
    gc.freeze()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a library has started a thread"


def keep_engines() -> None:
    """One engine for each of Dagster's databases: each new one compiles every statement again."""
    made: dict[str, Engine] = {}

    def create_engine(address: str, **options: object) -> Engine:
        if address not in made:
            made[address] = sqlalchemy.create_engine(address, **options)
        return made[address]

    for name in STORAGES:
        for module in [m for n, m in sys.modules.items() if n.startswith(name) and hasattr(m, "create_engine")]:
            module.create_engine = create_engine


class Command(TypedDict):
    """One command; what it prints goes to two files, and it begins when the file `after` has so many bytes.

    `fakes` are folders of `tests/fakes` whose `sitecustomize` is in force in it and in its workers.
    """

    arguments: list[str]
    environ: dict[str, str]
    fakes: list[str]
    workers: int
    out: str
    err: str
    after: tuple[str, int] | None


@dataclass
class ForkedProcess:
    """What the pool asks of a worker's process."""

    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)

    def wait(self) -> None:
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork_worker() -> pool._Worker:
    """A worker of this command, which only waits for its first step yet."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        for descriptor in (1, 2):
            os.dup2(0, descriptor)
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        count_changes()
        sys.argv = ["worker", str(theirs.detach())]
        with contextlib.suppress(KeyboardInterrupt):
            worker.main()
        os._exit(0)
    theirs.close()
    made = object.__new__(pool._Worker)
    made.process, made.connection = ForkedProcess(pid), Connection(ours.detach())
    made.group, made.deadline = None, 0.0
    return made


def count_changes() -> None:
    """If the fake is in force that counts them: each process has an open log of its own."""
    if counted := sys.modules.get("tests.fakes.counted.sitecustomize"):
        counted.count_changes()


def become(command: Command) -> None:
    """Be the process that a shell would have started."""
    os.setsid()
    for descriptor, path in ((0, os.devnull), (1, command["out"]), (2, command["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(command["environ"])
    os.chdir(os.environ["GRADIENT_HOME"])
    tempfile.tempdir = None
    logged = {name: os.environ.pop(name) for name in ("COUNTED_LOG",) if name in os.environ}
    for fake in command["fakes"]:
        sys.path.insert(0, str(FAKES / fake))
        importlib.import_module(f"tests.fakes.{fake}.sitecustomize")
    os.environ.update(logged)  # only now, or a fake's import would count before the workers are there
    pool._IDLE.extend(fork_worker() for _ in range(command["workers"]))
    count_changes()
    sys.argv = ["gradient", *command["arguments"]]


def wait_for(file: str, size: int, pid: int) -> None:
    """Until the file has grown so far, or the process that writes it has ended."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if Path(file).exists() and Path(file).stat().st_size >= size:
            return
        time.sleep(0.005)


def serve() -> bool:
    """Answer until stdin ends; True in a forked process, which is to go on as the command."""
    while line := sys.stdin.readline():
        started: list[int] = []
        for command in json.loads(line):
            if command["after"]:
                wait_for(*command["after"], started[-1])
            pid = os.fork()
            if not pid:
                become(command)
                return True
            started.append(pid)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]), flush=True)  # noqa: T201
    return False


if __name__ == "__main__":
    import_all()
    if serve():
        importlib.import_module("gradient_assets.cli").main()
