"""Runs as Jobs of Kubernetes: what Dagster's launcher asks of the API, and that the Role of the manifests lets it.

The API is in memory: it answers a call only when a rule of the Role gives the verb on the resource, else with 403.
"""

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.launcher.base import WorkerStatus
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import get_job_name_from_run_id
from kubernetes import client
from kubernetes.client.rest import ApiException

from tests.unit.deploy.manifests import BASE, objects

CALLS = {
    "create_namespaced_job": ("create", "jobs"),
    "read_namespaced_job_status": ("get", "jobs/status"),
    "list_namespaced_job": ("list", "jobs"),
    "delete_namespaced_job": ("delete", "jobs"),
    "list_namespaced_pod": ("list", "pods"),
    "delete_namespaced_pod": ("delete", "pods"),
    "read_namespaced_pod_log": ("get", "pods/log"),
    "list_namespaced_event": ("list", "events"),
}
"""Method of the client → verb and resource that the API asks a right for."""


def role_rules():
    (role,) = [one for one in objects() if one["kind"] == "Role"]
    return {(verb, what) for rule in role["rules"] for verb in rule["verbs"] for what in rule["resources"]}


class Cluster:
    """The API of one namespace with one Job and its pod; either client of Kubernetes' package."""

    def __init__(self, status=None, rules=None):
        self.status = status
        self.pods = ["dagster-run-pod"]
        self.rules = role_rules() if rules is None else rules
        self.asked = []

    def __getattr__(self, name):
        def call(*args, namespace, **given):
            assert namespace == "gradient"
            self.asked.append(CALLS[name])
            if CALLS[name] not in self.rules:
                raise ApiException(status=403)
            return getattr(self, f"_{name}")(*args, **given)

        if name not in CALLS:
            raise AttributeError(name)
        return call

    def _read_namespaced_job_status(self, name):
        if self.status is None:
            raise ApiException(status=404)
        return client.V1Job(status=client.V1JobStatus(**self.status))

    def _delete_namespaced_job(self, *, name):
        if self.status is None:
            raise ApiException(status=404)
        self.status = None

    def _list_namespaced_pod(self, **_):
        return client.V1PodList(
            items=[
                client.V1Pod(metadata=client.V1ObjectMeta(name=pod), status=client.V1PodStatus()) for pod in self.pods
            ]
        )

    def _delete_namespaced_pod(self, *, name):
        self.pods.remove(name)


@dg.job
def hospital():
    pass


@pytest.fixture
def started(tmp_path):
    """Opens a launcher over a cluster, and a run of it that has started."""
    config = yaml.safe_load((BASE / "dagster.yaml").read_text())["run_launcher"]["config"]
    known = {
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
        "current-context": "here",
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **known}))
    outside = {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}

    with dg.DagsterInstance.ephemeral() as instance:

        def start(cluster):
            launcher = K8sRunLauncher(
                **{**config, **outside},
                job_image="gradient:0.1.0",
                k8s_client_batch_api=cluster,
                k8s_client_core_api=cluster,
            )
            launcher.register_instance(instance)
            return launcher, instance, instance.create_run_for_job(hospital, status=DagsterRunStatus.STARTED)

        yield start


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"active": 1}, WorkerStatus.RUNNING),
        ({"active": 1, "failed": 1}, WorkerStatus.RUNNING),
        ({"failed": 1}, WorkerStatus.FAILED),
        ({"succeeded": 1}, WorkerStatus.FAILED),
        (None, WorkerStatus.UNKNOWN),
    ],
    ids=[
        "its pod works",
        "another pod works",
        "its pod was killed",
        "its pod ended and told nobody",
        "its Job is gone",
    ],
)
def test_a_run_whose_pod_is_gone_is_noticed(started, status, found):
    cluster = Cluster(status)
    launcher, _, run = started(cluster)
    assert launcher.supports_check_run_worker_health
    assert launcher.check_run_worker_health(run).status == found
    assert set(cluster.asked) == {("get", "jobs/status")}


def test_a_run_that_is_ended_loses_its_job_and_its_pod(started):
    cluster = Cluster({"active": 1})
    launcher, instance, run = started(cluster)
    assert launcher.terminate(run.run_id) is True
    assert (cluster.status, cluster.pods) == (None, [])
    assert set(cluster.asked) == {("list", "pods"), ("delete", "jobs"), ("delete", "pods")}
    assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.CANCELING


@pytest.mark.parametrize("lacking", [("delete", "jobs"), ("delete", "pods"), ("list", "pods")])
def test_a_role_that_lacks_a_right_is_seen(started, lacking):
    launcher, _, run = started(Cluster({"active": 1}, role_rules() - {lacking}))
    assert not launcher.terminate(run.run_id)


def test_what_a_pod_printed_is_not_read(started):
    cluster = Cluster({"failed": 1})
    launcher, _, run = started(cluster)
    assert get_job_name_from_run_id(run.run_id) in launcher.get_run_worker_debug_info(run)
    assert ("get", "pods/log") not in cluster.rules


def test_a_run_can_be_started():
    assert CALLS["create_namespaced_job"] in role_rules()
