"""All parts of the local stand together, in a process that outlives the command that started it.

Belongs here: which parts there are, the keeper process, and the file by which `up`, `down` and `status` know of it.  Where
both S3 and the secret manager are up, the sample hospitals of `network` are put onto them.  The keeper holds a lock as long
as it lives, so that a number in a file is never taken for a process that it is not.  The guards of its servers end them when
it dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

from gradient_assets.dev.bigquery import BigQuery
from gradient_assets.dev.part import Part
from gradient_assets.dev.postgres import Postgres
from gradient_assets.dev.recipes import PartUnavailable, Say, cache_folder
from gradient_assets.dev.runners import FlinkCluster, FlinkLocal, Prism, WorkerPool
from gradient_assets.dev.server import ServerFailed
from gradient_assets.dev.stores import S3, Amazon, Gcs

PARTS: dict[str, type[Part]] = {
    part.name: part for part in (S3, Gcs, Amazon, BigQuery, Postgres, Prism, FlinkLocal, FlinkCluster, WorkerPool)
}
USUAL = ("s3", "gcs", "amazon", "bigquery", "postgres", "flink-cluster")
"""What `up` starts when nothing is named: one of each kind, the runner with two task managers."""

OPTIONS = "GRADIENT_BEAM_OPTIONS"

UP_DEADLINE_S = 600.0
"""All parts are up after 40 s where nothing else runs."""

DOWN_DEADLINE_S = 60.0
LOOK_EVERY_S = 0.3


class Running(TypedDict):
    """One part as the keeper tells of it."""

    version: str
    folder: str
    exports: dict[str, str]


class StandError(Exception):
    """The stand did not come up or go down.  The message says why and where the log is."""


def stand_folder() -> Path:
    """Data, logs and state of the stand."""
    return cache_folder() / "stand"


def up(names: Sequence[str], say: Say) -> dict[str, Running]:
    """Fetch and start the named parts; returns what runs, which may be more where the stand is up already.

    The data of an earlier stand is deleted: the secret manager and the BigQuery emulator have forgotten theirs, and half of
    it would fit nothing.  Raises `StandError`, and `PartUnavailable` before it starts any.
    """
    folder = stand_folder()
    if running := status():
        if missing := [name for name in names if name not in running]:
            raise StandError(f"The stand is up without {', '.join(missing)}: `gradient dev down` first.")
        say("the stand is up already")
        return running
    if _held(folder):
        raise StandError("The stand is coming up; `gradient dev status` shows it when it is there.")
    _fetch([PARTS[name](folder / name) for name in names], say)
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
    _state(folder).unlink(missing_ok=True)
    say(f"starting {', '.join(names)} …")
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603  our own interpreter
            [sys.executable, "-m", "gradient_assets.dev.stand", *names],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if not _wait(UP_DEADLINE_S, lambda: _state(folder).exists() or keeper.poll() is not None):
        keeper.terminate()
    running = status()
    if not running:
        last = (folder / "keeper.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-20:]
        raise StandError("\n".join(["The stand did not come up.", *last]))
    return running


def _fetch(parts: Sequence[Part], say: Say) -> None:
    """Fetch all.  Raises `PartUnavailable` with everything that is to be installed, before a minute was spent on a build."""
    absent = []
    for part in parts:
        for tool in dict.fromkeys(tool for recipe in part.recipes for tool in recipe.tools):
            try:
                tool.path()
            except PartUnavailable as error:
                absent.append(f"{part.name}: {error}")
    if not absent:
        for part in parts:
            try:
                part.fetch(say)
            except PartUnavailable as error:
                absent.append(f"{part.name}: {error}")
    if absent:
        names = " ".join(part.name for part in parts if not any(line.startswith(f"{part.name}: ") for line in absent))
        others = [f"The others start with: gradient dev up {names}"] if names else []
        raise PartUnavailable("\n".join([*absent, "Nothing was started.", *others]))


def down() -> bool:
    """End the stand; False when there was none.  Raises `StandError` when it does not end."""
    folder = stand_folder()
    if not _held(folder):
        return False
    keeper = int((folder / "keeper.lock").read_text(encoding="ascii"))
    os.kill(keeper, signal.SIGTERM)
    if not _wait(DOWN_DEADLINE_S, lambda: not _held(folder)):
        raise StandError(f"The stand's keeper, process {keeper}, does not end; its log is {folder / 'keeper.log'}.")
    return True


def status() -> dict[str, Running]:
    """The parts that run; empty when the stand is down or not up yet."""
    folder = stand_folder()
    if not _held(folder) or not _state(folder).exists():
        return {}
    running: dict[str, Running] = json.loads(_state(folder).read_text(encoding="utf-8"))
    return running


def keep(names: Sequence[str]) -> int:
    """Start the parts, tell of them, and hold them until SIGTERM; the exit code of the keeper."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    os.umask(0o077)  # what is told holds the S3 server's own key
    folder = stand_folder()
    descriptor = os.open(folder / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    with ExitStack() as running:
        try:
            told = _started([PARTS[name](folder / name) for name in names], folder, running)
        except (PartUnavailable, ServerFailed) as error:
            print(error, flush=True)  # noqa: T201  the keeper's log
            return 1
        new = _state(folder).with_suffix(".new")
        new.write_text(json.dumps(told, indent=1), encoding="utf-8")
        new.replace(_state(folder))
        running.callback(_state(folder).unlink, missing_ok=True)
        ended.wait()
    return 0


def _started(parts: Sequence[Part], folder: Path, running: ExitStack) -> dict[str, Running]:
    """Start all parts; the worker pool comes last, since its workers open the stores with what the others export."""
    told: dict[str, Running] = {}

    def start(part: Part) -> None:
        running.enter_context(part)
        told[part.name] = Running(version=part.version, folder=str(part.folder), exports=part.exports())

    for part in parts:
        if isinstance(part, BigQuery):
            # The emulator reads `gs://` objects of load jobs where the GCS server keeps them.
            part.buckets = folder / Gcs.name / "buckets"
        if not isinstance(part, WorkerPool):
            start(part)
    told |= _hospitals(parts, folder)
    for part in parts:
        if isinstance(part, WorkerPool):
            part.environment = merged(told)
            start(part)
    return told


def merged(running: Mapping[str, Running]) -> dict[str, str]:
    """What to export for all parts together.

    Several name Amazon's credentials: the hospitals' win over the others', and S3's over moto's, which takes any.  A worker
    pool adds its options to those of the runner that it works for, and is of no use without one.
    """
    exports: dict[str, str] = {}
    others = [name for name in running if name != WorkerPool.name]
    for name in sorted(others, key=lambda name: {Amazon.name: 0, "hospitals": 2}.get(name, 1)):
        exports |= running[name]["exports"]
    if WorkerPool.name in running and OPTIONS in exports:
        exports[OPTIONS] += f" {running[WorkerPool.name]['exports'][OPTIONS]}"
    return exports


def _hospitals(parts: Sequence[Part], folder: Path) -> dict[str, Running]:
    """The sample hospitals, put onto the stand if it has what they need."""
    s3 = next((part for part in parts if isinstance(part, S3)), None)
    amazon = next((part for part in parts if isinstance(part, Amazon)), None)
    if s3 is None or amazon is None:
        return {}
    from gradient_assets.dev.network import Network  # 2 s, which `status` need not wait

    network = Network(s3, amazon, folder / Network.name)
    network.furnish()
    return {
        network.name: Running(version="three sample hospitals", folder=str(network.folder), exports=network.exports())
    }


def _state(folder: Path) -> Path:
    return folder / "running.json"


def _held(folder: Path) -> bool:
    """Whether a keeper holds the lock."""
    try:
        descriptor = os.open(folder / "keeper.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _wait(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
