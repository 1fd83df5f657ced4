"""A process that has imported everything, and becomes the command `gradient` as often as it is asked to.

Imports of Dagster and Beam take 6 s, a command over a small home 3 s: 40 commands are too slow as processes of their own.
Each line of stdin is a JSON list of commands that are started together; each is forked from here, becomes the leader of a
process group, and ends as the command ends, with all that the interpreter does at its end.  Worker processes are real ones.
The answer is the list of exit codes, -9 for killed.

Threads don't survive a fork, and who waits for one in the child waits for ever: this process has one thread, and opens
nothing.  DuckDB opens a connection of its own when it is imported, whose thread ends with it; Arrow's allocator is told by who
starts this process not to have one.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TypedDict

import duckdb

from gradient_assets.cli import COMMANDS

ALL = (
    "apache_beam.runners.portability.fn_api_runner",
    "gradient_assets.pipelines.worker",
    *(f"gradient_assets.cli.{module}" for module in sorted({*COMMANDS.values()})),
)
"""What commands import, with all that these import."""


def import_all() -> None:
    """Everything, without a thread."""
    duckdb.default_connection().close()
    for name in ALL:
        importlib.import_module(name)
    importlib.import_module("tests.fakes.counted.sitecustomize")
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a library has started a thread"


class Command(TypedDict):
    """One command; what it prints goes to two files, and it begins when the file `after` has so many bytes."""

    arguments: list[str]
    environ: dict[str, str]
    out: str
    err: str
    after: tuple[str, int] | None


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
    sys.argv = ["gradient", *command["arguments"]]
    importlib.import_module("tests.fakes.counted.sitecustomize").count_changes()


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
