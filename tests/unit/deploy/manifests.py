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


def compose_for_a_cloud():
    """What the second compose file adds to the first."""
    return yaml.safe_load((DEPLOY / "compose/cloud.yaml").read_text())


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


def patches(overlay):
    """What the overlay changes of the base's objects."""
    text = (DEPLOY / f"kubernetes/{overlay}/kustomization.yaml").read_text()
    return [yaml.safe_load(one["patch"]) for one in yaml.safe_load(text)["patches"]]


def cloud_name(overlay, account):
    """Who the pods of a service account are in the overlay's cloud."""
    (patch,) = [
        one for one in patches(overlay) if one["kind"] == "ServiceAccount" and one["metadata"]["name"] == account
    ]
    (name,) = patch["metadata"]["annotations"].values()
    return name


def environment(overlay, name):
    """Variable → value in the pod of that name, where no secret gives it: the image's, the overlay's settings, its own."""
    own = [one.spec["env"] for one in _pods_containers() if one.where == f"kubernetes/{name}"]
    own += [
        one["env"]
        for patch in patches(overlay)
        if patch["kind"] == "Deployment" and patch["metadata"]["name"] == name
        for one in pod_of(patch)["spec"]["containers"]
    ]
    named = {one["name"]: one["value"] for env in own for one in env if "value" in one}
    return {**image_variables(), **settings_files()[overlay], **named}


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
