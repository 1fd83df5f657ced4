"""The deployment of `deploy/compose` without containers: its commands and settings as processes, on a real database server.

Belongs here: starting, stopping and killing the services, asking for runs as the web page does.  Commands, variables and
Dagster's settings are read from the files; only addresses, ports and the time between two looks of the run monitoring are
this machine's.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import yaml

from gradient_assets.deployment import health
from gradient_assets.dev.server import Server, free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
START_S, RUN_S = 240.0, 480.0
"""Upper bounds, for a machine that is busy with something else; alone it takes a tenth of that."""

LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
SENSORS = """query ($selector: RepositorySelector!) { sensorsOrError(repositorySelector: $selector) {
  ... on Sensors { results { id } } } }"""
STOP_SENSOR = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"
REPOSITORY = {"repositoryLocationName": "gradient", "repositoryName": "__repository__"}
TERMINATE = "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"


def image_environment():
    """What the image's ENV lines set."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    platform = text.split("AS platform")[1].split("\nFROM ")[0]
    words = [word for line in re.findall(r"^ENV (.+)$", platform, re.M) for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


class Deployed:
    """Three services over one home and one database; `more` are variables of the code location's."""

    def __init__(self, folder: Path, home: Path, database_url: str, **more: str):
        self.folder, self.home, self.more = folder, home, more
        self.ports = {"code": free_port(), "web": free_port()}
        self.running: dict[str, Server] = {}
        self.services = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
        self.dagster_home = folder / "dagster"
        self.dagster_home.mkdir(parents=True)
        settings = (DEPLOY / "compose/dagster.yaml").read_text()
        assert "poll_interval_seconds: 30" in settings
        (self.dagster_home / "dagster.yaml").write_text(settings.replace("interval_seconds: 30", "interval_seconds: 2"))
        workspace = yaml.safe_load((DEPLOY / "compose/workspace.yaml").read_text())
        workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": self.ports["code"]}
        (self.dagster_home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
        server = urlsplit(database_url)
        given = (server.hostname, server.port, server.path[1:], server.username, server.password)
        names = ("HOST", "PORT", "DATABASE", "USER", "PASSWORD")
        self.storage = {f"DAGSTER_POSTGRES_{name}": str(value) for name, value in zip(names, given, strict=True)}
        self.database_url = database_url

    def environ(self, service: str) -> dict[str, str]:
        """A service's variables and no others of ours; what only the code location mounts, the others don't have."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIENT_", "DAGSTER_", "PYTHON"))}
        image = {k: v for k, v in image_environment().items() if k not in ("PATH", "HOME")}
        mounts = " ".join(self.services[service]["volumes"])
        home = self.home if "home:/var/lib/gradient" in mounts else self.folder / f"no-home-of-{service}"
        own = {**self.storage, "GRADIENT_HOSPITALS": str(self.home / "hospitals.yaml")}
        named = {name: own[name] for name in self.services[service]["environment"]}
        here = {"DAGSTER_HOME": str(self.dagster_home), "GRADIENT_DAGSTER_HOME": str(self.dagster_home)}
        # A small machine: one worker, and one model.
        one_model = {"GRADIENT_SECOND_FINDER": "none", "GRADIENT_VERIFYING_READER": "none"}
        small = {"GRADIENT_PROCESSES": "1", **one_model, **self.more} if service == "code" else {}
        path = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return {**kept, **image, **named, **here, **small, **path, "GRADIENT_HOME": str(home), "COLUMNS": "200"}

    def command(self, service: str) -> list[str]:
        words = self.services[service]["command"]
        here = {"0.0.0.0": "127.0.0.1", "4000": str(self.ports["code"]), "3000": str(self.ports["web"])}
        return [here.get(word, word.replace("/etc/gradient/dagster", str(self.dagster_home))) for word in words]

    def start(self, *services: str) -> None:
        for service in services:
            healthy = {
                "code": lambda: health.code_location(f"127.0.0.1:{self.ports['code']}").healthy,
                "web": lambda: health.web_server(f"http://127.0.0.1:{self.ports['web']}").healthy,
                "daemon": lambda: True,
            }[service]
            command = ["env", "-i", *(f"{k}={v}" for k, v in self.environ(service).items()), *self.command(service)]
            server = Server(command, log=self.folder / f"{service}.log", healthy=healthy, deadline_s=START_S)
            self.running[service] = server.start()

    def stop(self, *services: str) -> None:
        """As `docker compose stop`: SIGTERM, then, after a grace, SIGKILL."""
        for service in services or tuple(self.running):
            self.running.pop(service).stop()

    def kill(self, service: str) -> None:
        """As when the machine is gone: SIGKILL for the service and all that it has started."""
        server = self.running.pop(service)
        for pid in reversed(server.descendants):
            os.kill(pid, signal.SIGKILL)
        server.stop()

    def health(self, *options: str, service: str = "daemon") -> tuple[int, str]:
        """Exit code and lines of `gradient health`, in the service's container."""
        done = subprocess.run(
            [str(BIN / "gradient"), "health", *options], env=self.environ(service), capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def gradient(self, *arguments: str, expect: int = 0) -> str:
        """The command in the code location's container."""
        done = subprocess.run(
            [str(BIN / "gradient"), *arguments],
            env=self.environ("code"),
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def ask(self, query: str, **variables: object) -> dict:
        """GraphQL, as the page asks."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['web']}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def launch(self, hospital: str) -> str:
        """A run of the hospital, as the page's button asks for it."""
        selector = {**REPOSITORY, "jobName": "hospital"}
        tags = [{"key": "dagster/partition", "value": hospital}]
        answer = self.ask(LAUNCH, params={"selector": selector, "executionMetadata": {"tags": tags}, "mode": "default"})
        assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
        return answer["launchRun"]["run"]["runId"]

    def switch_sensors_off(self) -> None:
        """As on the page: runs are then those that a test asks for."""
        for sensor in self.ask(SENSORS, selector=REPOSITORY)["sensorsOrError"]["results"]:
            answer = self.ask(STOP_SENSOR, id=sensor["id"])
            assert answer["stopSensor"]["__typename"] == "StopSensorMutationResult", answer

    def terminate(self, run_id: str) -> None:
        answer = self.ask(TERMINATE, id=run_id)
        assert answer["terminateRun"]["__typename"] == "TerminateRunSuccess", answer

    @contextmanager
    def instance(self):
        """Dagster's storage, as a process of the deployment opens it."""
        os.environ |= self.storage
        try:
            with dg.DagsterInstance.from_config(str(self.dagster_home)) as instance:
                yield instance
        finally:
            for name in self.storage:
                del os.environ[name]

    def runs(self) -> list[str]:
        """Every run that the storage knows."""
        with self.instance() as instance:
            return sorted(run.run_id for run in instance.get_runs())

    def ended(self, *run_ids: str) -> list[str]:
        """How the runs ended."""
        with self.instance() as instance:
            wait(lambda: all(instance.get_run_by_id(one).is_finished for one in run_ids), "the runs' end", RUN_S)
            return [instance.get_run_by_id(one).status.value for one in run_ids]

    def in_a_stage(self) -> bool:
        """Whether a stage has begun to write."""
        return any(path.is_file() for path in self.home.glob("*/staging/*/*/**/*"))


def wait(until, what: str, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not until():
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for {what}"
        time.sleep(0.2)
