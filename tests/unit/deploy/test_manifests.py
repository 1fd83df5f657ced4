"""Compose file and Kubernetes manifests: valid, every name in them exists, nothing runs as root, no secret stands in them."""

import re
from pathlib import Path

import click
import pytest
import yaml
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client

from gradient_assets.cli import cli
from gradient_assets.deployment.health import SERVICE
from gradient_assets.hospitals import load_registry
from resources import SETTINGS, Settings
from tests.unit.deploy import manifests
from tests.unit.deploy.manifests import BASE, DEPLOY, OVERLAYS, compose, containers, objects, pod_of

OURS = {setting.name for setting in SETTINGS}
OTHERS = {
    "DAGSTER_POSTGRES_HOST",
    "DAGSTER_POSTGRES_PORT",
    "DAGSTER_POSTGRES_DATABASE",
    "DAGSTER_POSTGRES_USER",
    "DAGSTER_POSTGRES_PASSWORD",
    "DAGSTER_HOME",
    "DAGSTER_CURRENT_IMAGE",
    "DAGSTER_DISABLE_TELEMETRY",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_INITDB_ARGS",
    "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT",
}
"""Variables of other programs; docs/deployment.md explains them."""

MODELS = {
    "Namespace": client.V1Namespace,
    "ServiceAccount": client.V1ServiceAccount,
    "Role": client.V1Role,
    "RoleBinding": client.V1RoleBinding,
    "NetworkPolicy": client.V1NetworkPolicy,
    "Service": client.V1Service,
    "Deployment": client.V1Deployment,
    "StatefulSet": client.V1StatefulSet,
    "CronJob": client.V1CronJob,
}
GATEWAYS = {"dagster", "dagster-webserver", "dagster-daemon", "gradient", "pg_isready", "sleep"}

ALL = containers()
OF_PODS = [one for one in ALL if one.where.startswith("kubernetes")]
each_container = pytest.mark.parametrize("container", ALL, ids=lambda one: one.where)
each_pods_container = pytest.mark.parametrize("container", OF_PODS, ids=lambda one: one.where)


def read(found):
    """As the client's own class; an unknown or missing field is an error."""
    model = MODELS[found["kind"]]
    return k8s_model_from_dict(model, k8s_snake_case_dict(model, found))


@pytest.mark.parametrize("found", objects(), ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_each_object_is_one_that_kubernetes_knows(found):
    assert read(found).kind == found["kind"]


def test_an_unknown_field_is_seen():
    broken = next(one for one in objects() if one["kind"] == "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    with pytest.raises(Exception, match="comand"):
        read(broken)


@each_container
def test_each_variable_is_in_a_reference(container):
    assert set(container.environ) <= OURS | OTHERS


def test_each_foreign_variable_is_explained_and_set():
    page = (DEPLOY.parent / "docs/deployment.md").read_text()
    assert [name for name in sorted(OTHERS) if f"`{name}`" not in page] == []
    used = {name for one in ALL for name in one.environ}
    used |= {name for stage in manifests.dockerfile() for name in manifests.image_variables(stage)}
    assert used >= OTHERS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlays_settings_are_accepted(overlay):
    given = manifests.settings_files()[overlay]
    assert set(given) <= OURS
    settings = Settings.from_environment(given)
    for zone in settings.zones:
        assert settings.identities(zone), f"{zone} is opened as the process itself"
    registry = load_registry(DEPLOY / f"kubernetes/{overlay}/hospitals.yaml")
    assert registry.ids


@each_container
def test_each_command_exists(container):
    for command in filter(None, (container.command, *container.probes)):
        assert command[0] in GATEWAYS, command
        if command[0] == "gradient":
            found = cli.get_command(click.Context(cli), command[1])
            assert found is not None
            options = {option for parameter in found.params for option in parameter.opts}
            assert {word for word in command if word.startswith("--")} <= options


@each_container
def test_each_image_has_a_version(container):
    name, _, tag = container.image.rpartition(":")
    assert name
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-[a-z]+)?", tag), container.image


@each_container
def test_each_container_has_limits(container):
    if container.where.startswith("compose"):
        assert {"mem_limit", "cpus", "pids_limit"} <= set(container.spec)
    else:
        assert set(container.spec["resources"]["limits"]) >= {"cpu", "memory"}
        assert set(container.spec["resources"]["requests"]) >= {"cpu", "memory"}


@each_container
def test_each_container_is_nobody_special_and_changes_nothing(container):
    spec = container.spec
    if container.where.startswith("compose"):
        assert spec["cap_drop"] == ["ALL"]
        assert spec["read_only"] is True
        assert "no-new-privileges:true" in spec["security_opt"]
        assert spec["user"].partition(":")[0] not in ("", "0", "root")
        return
    security, pods = spec["securityContext"], container.pod["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pods["runAsNonRoot"] is True
    assert pods["runAsUser"] > 0
    assert pods["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("place", ["hostPath", "hostNetwork", "hostPID", "privileged"])
def test_nothing_of_the_node_is_given_away(place):
    assert place not in "".join(path.read_text() for path in BASE.glob("*.yaml"))


@each_container
def test_each_container_says_how_it_is(container):
    if container.where in ("kubernetes/verify", "kubernetes/curator"):  # ends by itself; does nothing by itself
        return
    kinds = [kind for kind in ("healthcheck", "livenessProbe") if kind in container.spec]
    assert kinds
    for kind in manifests.PROBES:
        probe = container.spec.get(kind, {})
        assert probe.get("grpc", {}).get("service", SERVICE) == SERVICE
        if "exec" in probe and container.ours:
            assert probe["timeoutSeconds"] >= 30  # Python alone takes seconds to begin


def test_ports_of_probes_services_and_commands_fit():
    for workload in objects():
        template = pod_of(workload)
        for one in template["spec"]["containers"] if template else ():
            ports = {port["name"]: str(port["containerPort"]) for port in one.get("ports", ())}
            asked = [one[kind] for kind in manifests.PROBES if kind in one]
            for probe in asked:
                assert probe.get("httpGet", {}).get("port", "http") in {*ports, "http"}
                assert str(probe.get("grpc", {}).get("port", "4000")) in {*ports.values(), "4000"}
            if "-p" in one.get("command", ()):
                assert one["command"][one["command"].index("-p") + 1] in ports.values()
    services = {one["metadata"]["name"]: one["spec"] for one in objects() if one["kind"] == "Service"}
    workspace = yaml.safe_load((BASE / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    assert services[workspace["host"]]["ports"][0]["port"] == workspace["port"]


def test_each_service_and_rule_finds_its_pods():
    labels = [pod_of(one)["metadata"]["labels"] for one in objects() if pod_of(one)]
    found = {one["app.kubernetes.io/component"] for one in labels} | {"run_worker"}  # Dagster's own label
    for one in objects():
        if one["kind"] == "Service":
            assert one["spec"]["selector"]["app.kubernetes.io/component"] in found
        if one["kind"] == "NetworkPolicy":
            text = str(one["spec"])
            for named in re.findall(r"'values': \[([^\]]*)\]", text):
                assert set(re.findall(r"\w+", named)) <= found


def test_volumes_are_those_that_are_mounted():
    for workload in objects():
        template = pod_of(workload)
        if not template:
            continue
        mounted = {mount["name"] for one in template["spec"]["containers"] for mount in one["volumeMounts"]}
        claimed = {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())}
        assert mounted == {one["name"] for one in template["spec"].get("volumes", ())} | claimed
    services = compose()["services"].values()
    named = {volume.partition(":")[0] for one in services for volume in one["volumes"] if re.match("[a-z]", volume)}
    assert named == set(compose()["volumes"])


def test_who_may_what_in_the_cluster():
    accounts = {one["metadata"]["name"]: one for one in objects() if one["kind"] == "ServiceAccount"}
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    with_token = set()
    for one in OF_PODS:
        assert one.pod["serviceAccountName"] in accounts
        if one.pod["automountServiceAccountToken"]:
            with_token.add(one.pod["serviceAccountName"])
    (role,) = [one for one in objects() if one["kind"] == "Role"]
    (binding,) = [one for one in objects() if one["kind"] == "RoleBinding"]
    assert {subject["name"] for subject in binding["subjects"]} == with_token == {"gradient-dagster"}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert resources == {"jobs", "jobs/status", "pods", "pods/status", "events"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_who_opens_zones_is_somebody_in_the_cloud(overlay):
    patches = yaml.safe_load((DEPLOY / f"kubernetes/{overlay}/kustomization.yaml").read_text())["patches"]
    tied = {yaml.safe_load(one["patch"])["metadata"]["name"] for one in patches}
    assert tied == {"gradient-platform", "gradient-curator"}
    opening = {one.where for one in OF_PODS if one.pod["serviceAccountName"] == "gradient-platform"}
    assert opening == {"kubernetes/code", "kubernetes/verify"}
    (curator,) = [one for one in OF_PODS if one.pod["serviceAccountName"] == "gradient-curator"]
    assert {"name": "GRADIENT_ZONES", "value": "deidentified"} in curator.spec["env"]


SECRET = re.compile(r"(?i)(password|secret_access_key|private_key|token)['\"]?\s*[:=]\s*['\"]?(?!\$\{|\s|$)\S{6,}")
LITERAL = re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN|://[^/\s:@]+:[^$\s@{]+@")


def secrets_in(text):
    plain = re.sub(r"#.*", "", text)
    found = [match[0] for match in LITERAL.finditer(plain)] + [match[0] for match in SECRET.finditer(plain)]
    return [one for one in found if "automountServiceAccountToken" not in one and not re.search(r"ccountToken: ", one)]


@pytest.mark.parametrize(
    "path", [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()], ids=lambda p: str(p.relative_to(DEPLOY))
)
def test_no_secret_stands_in_a_file(path: Path):
    assert secrets_in(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD: hunter22",
        "URL=postgresql://a:b@c/d",
        "url: postgresql://dagster:pa55@db/x",
        "key: AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN PRIVATE KEY-----",
        "secret_access_key = 'abcdefgh'",
    ],
)
def test_a_secret_is_seen(text):
    assert secrets_in(text)


def test_secrets_come_from_outside():
    for one in OF_PODS:
        for variable in one.spec.get("env", ()):
            if "PASSWORD" in variable["name"]:
                assert set(variable) == {"name", "valueFrom"}
    assert not [one for one in objects() if one["kind"] == "Secret"]
    for service in compose()["services"].values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value)
