"""Dagster's settings of each deployment: what Dagster accepts, the default's rules, and the pod that a run gets."""

import json
import subprocess
import sys

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher
from kubernetes.client import ApiClient

from gradient_assets.deployment.launching import WatchedRunLauncher
from gradient_assets.deployment.step_output import NowhereComputeLogManager
from gradient_assets.instance import DAGSTER_YAML, dagster_folder, prepare_home
from resources import SettingsError
from tests.unit.deploy.manifests import BASE, DEPLOY, compose, image_variables, objects, pod_of

FILES = {"compose": DEPLOY / "compose/dagster.yaml", "kubernetes": BASE / "dagster.yaml"}
SECRET = "correct horse"
STORAGE = {
    "DAGSTER_POSTGRES_HOST": "db.example.org",
    "DAGSTER_POSTGRES_PORT": "5433",
    "DAGSTER_POSTGRES_DATABASE": "dagster",
    "DAGSTER_POSTGRES_USER": "dagster",
    "DAGSTER_POSTGRES_PASSWORD": SECRET,
}
each_file = pytest.mark.parametrize("path", FILES.values(), ids=FILES)


@pytest.fixture(autouse=True)
def storage_variables(monkeypatch):
    for name, value in STORAGE.items():
        monkeypatch.setenv(name, value)


@each_file
def test_dagster_accepts_the_file(path, tmp_path):
    (tmp_path / "dagster.yaml").write_text(path.read_text())
    given, custom = dagster_instance_config(str(tmp_path))
    assert custom is None
    assert given["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


@each_file
def test_the_rules_are_the_defaults(path):
    default, given = yaml.safe_load(DAGSTER_YAML), yaml.safe_load(path.read_text())
    own = {"storage", "run_launcher", "local_artifact_storage", "compute_logs"}
    assert set(given) == set(default) | own
    default["concurrency"]["runs"].pop("max_concurrent_runs")
    given["concurrency"]["runs"].pop("max_concurrent_runs")
    for name in set(default) - own:
        assert given[name].items() >= default[name].items(), name


@each_file
def test_no_secret_is_in_what_is_handed_to_a_run(path, tmp_path):
    (tmp_path / "dagster.yaml").write_text(path.read_text())
    ref = InstanceRef.from_dir(str(tmp_path))
    assert SECRET not in json.dumps(ref.to_dict(), default=repr)
    assert "DAGSTER_POSTGRES_PASSWORD" in json.dumps(ref.to_dict(), default=repr)


def test_containers_on_one_machine_start_watched_runs(tmp_path):
    (tmp_path / "dagster.yaml").write_text(FILES["compose"].read_text())
    ref = InstanceRef.from_dir(str(tmp_path))
    assert isinstance(ref.run_launcher, WatchedRunLauncher)
    assert ref.run_launcher.supports_check_run_worker_health
    assert isinstance(ref.compute_log_manager, NowhereComputeLogManager)


@pytest.fixture
def job(tmp_path):
    """The Job that Dagster's launcher would create for a run."""
    config = yaml.safe_load(FILES["kubernetes"].read_text())["run_launcher"]["config"]
    cluster = tmp_path / "kubeconfig"
    cluster.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
                "users": [{"name": "nobody", "user": {}}],
                "current-context": "here",
            }
        )
    )
    outside = {"load_incluster_config": False, "kubeconfig_file": str(cluster)}
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump(
            {"run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": {**config, **outside}}}
        )
    )
    launcher = InstanceRef.from_dir(str(tmp_path)).run_launcher
    assert isinstance(launcher, K8sRunLauncher)
    with dg.DagsterInstance.ephemeral() as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(nothing)
        context = launcher.get_container_context_for_run(run)
        made = construct_dagster_k8s_job(
            context.get_k8s_job_config("registry/gradient:0.1.0", launcher),
            args=["dagster", "api", "execute_run", "{}"],
            job_name="dagster-run-1",
            component="run_worker",
            user_defined_k8s_config=context.run_k8s_config,
        )
    return ApiClient().sanitize_for_serialization(made)


@dg.job
def nothing():
    pass


def test_a_runs_pod_is_as_hardened_as_the_others(job):
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["serviceAccountName"] == "gradient-platform"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "fsGroup": 10001}
    assert container["resources"]["limits"]["memory"] == "16Gi"
    assert job["spec"]["backoffLimit"] == 0


def test_a_runs_pod_has_the_code_locations_settings_and_folders(job):
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (code,) = [one for one in objects() if one["kind"] == "Deployment" and one["metadata"]["name"] == "code"]
    (server,) = pod_of(code)["spec"]["containers"]
    assert {str(one) for one in container["envFrom"]} == {str(one) for one in server["envFrom"]}
    here = {mount["mountPath"] for mount in container["volumeMounts"]}
    # Dagster's settings come with the command.
    assert here | {"/etc/gradient/dagster"} == {mount["mountPath"] for mount in server["volumeMounts"]}
    environ = {one["name"]: one.get("value") for one in container["env"]}
    assert environ["DAGSTER_HOME"] == image_variables()["DAGSTER_HOME"] == image_variables()["GRADIENT_DAGSTER_HOME"]
    assert environ["GRADIENT_HOSPITALS"] == "/etc/gradient/registry/hospitals.yaml"


def test_a_run_has_time_to_end(job):
    settings = yaml.safe_load(FILES["kubernetes"].read_text())["run_monitoring"]
    grace = job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert 60 < grace < settings["cancel_timeout_seconds"]


def test_the_code_location_tells_runs_its_own_image():
    (code,) = [one for one in objects() if one["kind"] == "Deployment" and one["metadata"]["name"] == "code"]
    (server,) = pod_of(code)["spec"]["containers"]
    assert {"name": "DAGSTER_CURRENT_IMAGE", "value": server["image"]} in server["env"]


def test_compose_and_kubernetes_differ_in_the_workspace_by_nothing():
    assert (DEPLOY / "compose/workspace.yaml").read_text() == (BASE / "workspace.yaml").read_text()
    assert (
        yaml.safe_load((BASE / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]["host"]
        in (compose()["services"])
    )


def test_a_folder_of_settings_that_is_named_is_left_as_it_is(tmp_path):
    named = tmp_path / "etc"
    named.mkdir()
    environ = {"GRADIENT_DAGSTER_HOME": str(named)}
    with pytest.raises(SettingsError, match=r"without a dagster\.yaml"):
        prepare_home(tmp_path / "home", environ)
    (named / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert prepare_home(tmp_path / "home", environ) == named == dagster_folder(tmp_path / "home", environ)
    assert [path.name for path in named.iterdir()] == ["dagster.yaml"]


def test_without_a_name_it_lies_in_the_home(tmp_path):
    assert prepare_home(tmp_path, {}) == dagster_folder(tmp_path, {}) == tmp_path / "dagster"
    assert (tmp_path / "dagster/dagster.yaml").read_text() == DAGSTER_YAML


PRINTING = """
import os
from gradient_assets.deployment.step_output import NowhereComputeLogManager
print("before")
try:
    with NowhereComputeLogManager().capture_logs(["step"]):
        print("Quillfeather")
        os.write(1, b"Quillfeather")
        os.system("echo Quillfeather; echo Quillfeather >&2")
        raise RuntimeError
except RuntimeError:
    print("after")
"""


def test_what_a_step_prints_goes_nowhere():
    done = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["before", "after"], "")
