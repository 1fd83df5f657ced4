"""Beam's portable runners on this machine: Prism, Flink in one process, a Flink cluster with two task managers, a worker pool.

Belongs here: starting them, killing one of their processes, and the options by which a pipeline finds them.  How a pipeline
is run is `resources.engines.portable`'s.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from gradient_assets.dev.part import Part
from gradient_assets.dev.recipes import JAVA, GoProgram, Jars, Recipe, SourceArchive
from gradient_assets.dev.server import Server, answers, free_port, from_this_checkout, listens

PRISM = GoProgram("github.com/apache/beam/sdks/v2/go/cmd/prism", "v2.77.0")
JOB_SERVER = Jars(
    "flink-job-server",
    "org.apache.beam:beam-runners-flink-1.19:2.70.0",
    # The job service of 2.70.0 is not published.
    ("org.apache.beam:beam-runners-java-job-service:2.65.0",),
)
FLINK = SourceArchive("apache-flink-libraries", "1.19.3")
START_DEADLINE_S = 120.0
"""A job server is up after 4 s where nothing else runs."""

TASK_MANAGERS = 2
SLOTS = 2

# Flink gives its message system 10 s to start, which is too little where thirty others want the same two processors.
FLINK_SETTINGS = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.process.size: 1024m
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
blob.server.port: 0
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: {slots}
taskmanager.cpu.cores: {slots}.0
taskmanager.memory.network.min: 256m
taskmanager.memory.network.max: 256m
taskmanager.memory.managed.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
parallelism.default: {slots}
io.tmp.dirs: {folder}/tmp
pekko.startup-timeout: 120 s
pekko.ask.timeout: 60 s
"""

OPENED = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.util", "java.text", "java.time")
]
"""What Flink 1.19's own start scripts open on Java 17."""


class Runner(Part):
    """Something that takes portable jobs."""

    runner: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.job_port = 0
        self._servers: dict[str, Server] = {}

    def kill(self, name: str) -> None:
        """End one of its processes as a crash would."""
        self._servers[name].kill()

    def mend(self) -> None:
        """Start again what was killed, where it was."""
        for server in self._servers.values():
            if not server.running:
                server.start()

    def serve_as(self, name: str, server: Server) -> None:
        """Start a server that `kill` and `mend` know by this name."""
        self._servers[name] = server
        self.serve(server)

    @property
    def options(self) -> tuple[str, ...]:
        """Beam's options, for `BeamEngine`."""
        return (f"--job_endpoint=127.0.0.1:{self.job_port}",)

    def exports(self) -> dict[str, str]:
        return {"GRADIENT_BEAM_RUNNER": self.runner, "GRADIENT_BEAM_OPTIONS": " ".join(self.options)}


class Prism(Runner):
    """Beam's own portable runner for one machine."""

    name: ClassVar[str] = "prism"
    runner: ClassVar[str] = "prism"
    recipes: ClassVar[Sequence[Recipe]] = (PRISM,)

    def _start(self) -> None:
        self.job_port = free_port()
        self.serve_as(
            "job-server",
            Server(
                [PRISM.place() / PRISM.name, f"--job_port={self.job_port}", "--serve_http=false"],
                log=self.log("prism"),
                healthy=lambda: listens(self.job_port),
                deadline_s=START_DEADLINE_S,
            ),
        )


class FlinkLocal(Runner):
    """A job server that runs Flink inside itself."""

    name: ClassVar[str] = "flink-local"
    runner: ClassVar[str] = "flink"
    recipes: ClassVar[Sequence[Recipe]] = (JOB_SERVER,)
    master = "[local]"

    def _start(self) -> None:
        self._serve_jobs()

    def _serve_jobs(self) -> None:
        self.job_port = free_port()
        artifacts = self.folder / "artifacts"
        artifacts.mkdir(exist_ok=True)
        arguments = [
            f"--flink-master={self.master}",
            f"--job-port={self.job_port}",
            "--job-host=127.0.0.1",
            "--artifact-port=0",
            "--expansion-port=0",
            f"--artifacts-dir={artifacts}",
            "--clean-artifacts-per-job",
        ]
        self.serve_as(
            "job-server",
            Server(
                [
                    *_java(JOB_SERVER.place(), heap="768m"),
                    "org.apache.beam.runners.flink.FlinkJobServerDriver",
                    *arguments,
                ],
                log=self.log("job-server"),
                healthy=lambda: listens(self.job_port),
                deadline_s=START_DEADLINE_S,
            ),
        )


class FlinkCluster(FlinkLocal):
    """A job manager, two task managers, and a job server that submits to them."""

    name: ClassVar[str] = "flink-cluster"
    recipes: ClassVar[Sequence[Recipe]] = (JOB_SERVER, FLINK)

    def busy_task_managers(self) -> list[str]:
        """Names of those that work on a job now."""
        found = _asked(f"http://{self.master}/taskmanagers")["taskmanagers"]
        return [manager["id"] for manager in found if manager["freeSlots"] < manager["slotsNumber"]]

    def _start(self) -> None:
        rest = free_port()
        self.master = f"127.0.0.1:{rest}"
        settings = FLINK_SETTINGS.format(rpc=free_port(), rest=rest, slots=SLOTS, folder=self.folder)
        (self.folder / "flink-conf.yaml").write_text(settings, encoding="utf-8")
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        self._serve_flink("job-manager", entry, "1024m", lambda: answers(f"http://127.0.0.1:{rest}/overview"))
        for number in range(1, TASK_MANAGERS + 1):
            worker = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
            name = f"task-manager-{number}"
            named = ["-D", f"taskmanager.resource-id={name}"]
            self._serve_flink(name, worker, "768m", partial(_has_task_manager, rest, name), named)
        self._serve_jobs()

    def _serve_flink(
        self, name: str, main: str, heap: str, healthy: Callable[[], bool], more: Sequence[str] = ()
    ) -> None:
        libraries = next(FLINK.place().rglob("flink-dist-*.jar")).parent
        self.serve_as(
            name,
            Server(
                [*_java(libraries, heap=heap), main, "--configDir", self.folder, *more],
                log=self.log(name),
                healthy=healthy,
                deadline_s=START_DEADLINE_S,
            ),
        )


class WorkerPool(Part):
    """Beam's worker pool: a runner asks it for a Python process for each of its workers (environment EXTERNAL)."""

    name: ClassVar[str] = "worker-pool"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = 0
        self.environment: Mapping[str, str] = {}
        """What the workers find beside this process's own: how to open the vault, for those who take identities from it."""
        self._server: Server | None = None

    @property
    def version(self) -> str:
        """The pool is part of Beam."""
        return f"apache-beam {version('apache-beam')}"

    @property
    def options(self) -> tuple[str, ...]:
        """Beam's options, beside the runner's."""
        return ("--environment_type=EXTERNAL", f"--environment_config=localhost:{self.port}")

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that run now."""
        return self._server.descendants[1:] if self._server is not None else []

    def _start(self) -> None:
        self.port = free_port()
        # The pool starts `python` from PATH, and the workers import what the pipeline names.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._server = Server(
            [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={self.port}"],
            log=self.log("worker-pool"),
            healthy=lambda: listens(self.port),
            deadline_s=START_DEADLINE_S,
            environment={**from_this_checkout(), "PATH": path, **self.environment},
        )
        self.serve(self._server)

    def exports(self) -> dict[str, str]:
        return {"GRADIENT_BEAM_OPTIONS": " ".join(self.options)}


def _has_task_manager(rest_port: int, name: str) -> bool:
    try:
        found = _asked(f"http://127.0.0.1:{rest_port}/taskmanagers")["taskmanagers"]
        return any(manager["id"] == name for manager in found)
    except (OSError, ValueError, KeyError):
        return False


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own server's address
        return json.load(answer)


def _java(libraries: Path, *, heap: str) -> list[str]:
    return [JAVA.path(), f"-Xmx{heap}", *OPENED, "-cp", f"{libraries}/*"]
