"""The files of `deploy/` that start processes, as data.

Belongs here: reading them, and one face for a container of the compose file and one of a pod.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
BASE = DEPLOY / "kubernetes/base"
OVERLAYS = ("aws", "gcp")


@dataclass(frozen=True)
class Container:
    """One container: who runs what, with which variables."""

    where: str
    image: str
    command: tuple[str, ...]
    environ: tuple[str, ...]
    probes: tuple[tuple[str, ...], ...]
    spec: dict
    pod: dict

    @property
    def ours(self):
        return "gradient" in self.image


def objects():
    """Every object of the base, as `kubectl` would see it."""
    return [
        found
        for name in yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
        for found in yaml.safe_load_all((BASE / name).read_text())
    ]


def pod_of(workload):
    """The pod's spec and its labels, None for what has no pod."""
    spec = workload.get("spec", {})
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template")


def _pods_containers():
    for workload in objects():
        template = pod_of(workload)
        for one in template["spec"]["containers"] if template else ():
            probes = [one[kind]["exec"]["command"] for kind in PROBES if "exec" in one.get(kind, {})]
            environ = [variable["name"] for variable in one.get("env", ())]
            where = f"kubernetes/{workload['metadata']['name']}"
            command = tuple(map(str, one.get("command", ())))
            yield Container(
                where, one["image"], command, tuple(environ), tuple(map(tuple, probes)), one, template["spec"]
            )


PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def compose():
    """The compose file."""
    return yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())


def _services():
    for name, one in compose()["services"].items():
        image = re.sub(r"\$\{[A-Z_]+:-(.+)\}", r"\1", one["image"])
        probes = (tuple(one["healthcheck"]["test"][1:]),)
        yield Container(
            f"compose/{name}", image, tuple(one.get("command", ())), tuple(one["environment"]), probes, one, {}
        )


def containers():
    """All of them."""
    return [*_services(), *_pods_containers()]


def settings_files():
    """Name → value of each overlay's settings."""
    return {
        name: dict(line.split("=", 1) for line in (DEPLOY / f"kubernetes/{name}/settings.env").read_text().splitlines())
        for name in OVERLAYS
    }


def dockerfile():
    """Stage → its instructions as (word, rest)."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    stages = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            image, _, stage = rest.partition(" AS ")
            stages[stage] = [(word, image)]
        else:
            stages[stage].append((word, rest))
    return stages


def image_variables(stage="platform"):
    """What a stage's ENV lines set."""
    words = [word for kind, rest in dockerfile()[stage] if kind == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)
