"""Compose file and Kubernetes manifests: valid, every name in them exists, nothing runs as root, no secret stands in them."""

import re
import subprocess
from pathlib import Path

import click
import pyarrow as pa
import pytest
import yaml
from click.testing import CliRunner
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client

from gradient_assets.cli import cli
from gradient_assets.cli.query import opened_for_searching
from gradient_assets.deployment.health import SERVICE
from gradient_assets.hospitals import load_registry
from gradient_assets.tables import PUBLIC_TABLE
from resources import SETTINGS, Settings, SettingsError, resources_for
from resources.engines.dataflow import DataflowEngine
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.warehouse import ZONES
from tests.unit.deploy import manifests, policies
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


def with_the_registry(overlay, name):
    """The variables of a pod, with the registry where it lies here."""
    registry = DEPLOY / f"kubernetes/{overlay}/hospitals.yaml"
    return {**manifests.environment(overlay, name), "GRADIENT_HOSPITALS": str(registry)}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", ["code", "verify"])
def test_the_stores_and_the_runner_of_each_overlay_can_be_opened(overlay, name):
    environ = with_the_registry(overlay, name)
    opened = resources_for(Settings.from_environment(environ))
    assert opened.vault
    assert opened.warehouse.zones == opened.settings.zones
    if isinstance(opened.beam, DataflowEngine):
        site = opened.beam.site
        assert site.staging == f"{environ['GRADIENT_STAGING_URI']}/dataflow", "the prefix that gcp/grants.json gives"
        assert site.service_account.startswith("gradient-worker@"), "else workers are Compute Engine's own account"
        assert site.image.rpartition(":")[2] == tag_of(overlay)
        assert site.subnetwork.split("/")[1] == site.region
        assert opened.beam.job_options("a-b", {})


@pytest.mark.parametrize("variable", ["GRADIENT_DATAFLOW_REGION", "GRADIENT_DATAFLOW_IMAGE"])
def test_an_overlay_without_what_dataflow_needs_is_seen(variable):
    environ = {**with_the_registry("gcp", "code"), variable: ""}
    with pytest.raises(SettingsError, match=variable):
        _ = resources_for(Settings.from_environment(environ)).beam


def tag_of(overlay):
    kustomization = yaml.safe_load((DEPLOY / f"kubernetes/{overlay}/kustomization.yaml").read_text())
    (image,) = kustomization["images"]
    return image["newTag"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pods_command_asks_for_the_public_table_with_the_public_zone_open(overlay, tmp_path, monkeypatch):
    asked = []

    def search(warehouse, spec, column, terms, limit):
        asked.append((warehouse.zones, spec, terms))
        return pa.table({})

    monkeypatch.setattr(BigQueryWarehouse, "search", search)
    environ = {**with_the_registry(overlay, "search"), "GRADIENT_HOME": str(tmp_path)}
    done = CliRunner().invoke(cli, ["search", "pleural effusion"], env=environ)
    assert (done.exit_code, done.output) == (0, "Nothing found.\n")
    assert asked == [(("public",), PUBLIC_TABLE, "pleural effusion")]


SEARCHED = policies.Place("table", PUBLIC_TABLE.zone, PUBLIC_TABLE.name)


def test_the_pod_that_searches_on_google_is_the_identity_that_reads_the_public_table_alone():
    environ = with_the_registry("gcp", "search")
    assert Settings.from_environment(environ).zones == ("public",)
    opened = opened_for_searching(environ)
    assert (opened.warehouse.zones, opened.settings.identities("public")) == (("public",), ()), "as the pod itself"
    account = manifests.cloud_name("gcp", "gradient-search")
    assert f"serviceAccount:{account}" in Settings.from_environment(environ).listed("GRADIENT_BIGQUERY_READERS")
    grants = policies.google_grants()
    assert policies.google_allows("external", grants, "bigquery.tables.getData", SEARCHED)
    assert policies.google_allows("external", grants, "bigquery.jobs.create", policies.Place("project", ""))
    assert not policies.google_allows("curator", grants, "bigquery.tables.getData", SEARCHED), "nor would it see a row"


def test_the_pod_that_searches_on_amazon_reads_the_one_key_that_opens_the_public_table():
    environ = with_the_registry("aws", "search")
    assert Settings.from_environment(environ).zones == ("public",)
    opened = opened_for_searching(environ)
    (identity,) = opened.settings.identities("public")
    assert (opened.warehouse.zones, identity.kind) == (("public",), "secret")
    role = manifests.cloud_name("aws", "gradient-search").rpartition("/gradient-")[2]
    may_read = {
        name
        for name in ("identified", "deidentified", "public", "external")
        if policies.aws_allows(role, policies.aws_documents()[role], policies.secret_read(f"zone/{name}"))
    }
    assert {f"zone/{name}" for name in may_read} == {identity.name}


@pytest.mark.parametrize("zone", ["identified", "deidentified", "public"])
def test_what_runs_on_amazon_may_read_the_key_that_opens_bigquery(zone):
    environ = with_the_registry("aws", "code")
    names = [one.name for one in Settings.from_environment(environ).identities(zone) if one.kind == "secret"]
    role = manifests.cloud_name("aws", "gradient-platform").rpartition("/gradient-")[2]
    (name,) = names
    assert policies.aws_allows(role, policies.aws_documents()[role], policies.secret_read(name))


def test_the_platform_on_google_may_do_what_a_stage_asks_of_dataflow():
    """The process submits as itself: no setting names another identity for it."""
    account = manifests.cloud_name("gcp", "gradient-platform").partition("@")[0].removeprefix("gradient-")
    site = resources_for(Settings.from_environment(with_the_registry("gcp", "code"))).beam.site
    worker = site.service_account.partition("@")[0].removeprefix("gradient-")
    staging = site.staging.removeprefix("gs://gradient-")
    bucket, _, folder = staging.partition("/")
    project, place = policies.Place("project", ""), policies.Place("object", bucket, f"{folder}/staging/x")
    grants = policies.google_grants()
    asked = [
        *((account, f"dataflow.jobs.{verb}", project) for verb in ("create", "list", "get", "updateContents")),
        (account, "dataflow.messages.list", project),
        (account, "dataflow.metrics.get", project),
        (account, "iam.serviceAccounts.actAs", policies.Place("account", worker)),
        (account, "storage.buckets.get", policies.Place("bucket", bucket)),
        (account, "storage.objects.create", place),
        (worker, "dataflow.workItems.lease", project),
        (worker, "storage.objects.get", place),
        *((worker, "iam.serviceAccounts.getAccessToken", policies.Place("account", zone)) for zone in ZONES),
    ]
    assert [one for one in asked if not policies.google_allows(one[0], grants, one[1], one[2])] == []


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
    if container.where in ("kubernetes/verify", "kubernetes/search"):  # ends by itself; does nothing by itself
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
    tied = {one["metadata"]["name"] for one in manifests.patches(overlay) if one["kind"] == "ServiceAccount"}
    assert tied == {"gradient-platform", "gradient-search"}
    opening = {one.where for one in OF_PODS if one.pod["serviceAccountName"] == "gradient-platform"}
    assert opening == {"kubernetes/code", "kubernetes/verify"}
    searching = {one.where for one in OF_PODS if one.pod["serviceAccountName"] == "gradient-search"}
    assert searching == {"kubernetes/search"}


def ways_out(service, *files):
    """Networks of a service that lead out of the machine; compose joins the lists of its files."""
    joined = {name for one in files for name in one["services"].get(service, {}).get("networks", ())}
    return {name for name in joined if not (compose()["networks"][name] or {}).get("internal")}


def test_in_compose_what_opens_zones_reaches_nobody_outside_unless_a_cloud_is_asked_for():
    assert ways_out("code", compose()) == set()
    assert "env_file" not in compose()["services"]["code"]
    more = manifests.compose_for_a_cloud()
    assert ways_out("code", compose(), more) == {"outside"}
    assert set(more) == {"services"}
    assert set(more["services"]) == {"code"}, "runs are processes of it; web and daemon open no zone"
    (file,) = more["services"]["code"]["env_file"]
    assert f"/deploy/compose/{file}" in (DEPLOY.parent / ".gitignore").read_text().splitlines()


def test_the_example_of_a_clouds_settings_opens_its_stores(tmp_path):
    lines = (DEPLOY / "compose/cloud.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) - OURS == {"GOOGLE_APPLICATION_CREDENTIALS"}
    (mounted,) = manifests.compose_for_a_cloud()["services"]["code"]["volumes"]
    assert given.pop("GOOGLE_APPLICATION_CREDENTIALS").startswith(f"{mounted.split(':')[-2]}/")
    registry = DEPLOY / "kubernetes/gcp/hospitals.yaml"
    environ = {**manifests.image_variables(), **given, "GRADIENT_HOSPITALS": str(registry)}
    opened = resources_for(Settings.from_environment(environ))
    assert opened.warehouse.zones == ZONES
    assert opened.vault
    assert opened.beam.runner == "embedded", "a machine of its own does the work itself"
    assert all(opened.settings.identities(zone) for zone in ZONES)
    folders = {name for name in OURS if name.endswith("_URI")} - set(given) - {"GRADIENT_DATAFLOW_STAGING_URI"}
    assert folders == set(), "left in the home, with the rest elsewhere"


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


def test_the_password_that_the_page_makes_has_no_line_break():
    page = (DEPLOY.parent / "docs/deployment.md").read_text()
    (line,) = re.findall(r"^.* create secret generic gradient-postgres .*$", page, re.M)
    makes, _, stores = line.partition(" | ")
    assert stores.startswith("kubectl ")
    assert stores.endswith("--from-file=DAGSTER_POSTGRES_PASSWORD=/dev/stdin"), "all bytes of the pipe, breaks too"
    made = subprocess.run(["bash", "-c", makes], capture_output=True, check=True).stdout
    assert re.fullmatch(rb"[0-9a-f]{48}", made)


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
