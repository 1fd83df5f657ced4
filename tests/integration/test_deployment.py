"""The processes of `deploy/` on a real PostgreSQL: runs at once, restarts, the ends of runs, health, backup and restore."""

import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.launcher import LaunchRunContext
from dagster_k8s import K8sRunLauncher

from tests.fakes import small_hospital
from tests.graph.forked import left_over
from tests.integration.deployed import DEPLOY, Deployed, wait
from tests.integration.fault_proxy import FaultProxy, runs_on

pytestmark = pytest.mark.timeout(1200)
HOSPITALS = ("st-mary", "lakeside")


def database(postgres, name):
    postgres.psql(f'CREATE DATABASE "{name}"')
    return postgres.url.rpartition("/")[0] + f"/{name}"


@pytest.fixture(scope="module")
def deployed(postgres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    home = small_hospital.build(folder / "home", *HOSPITALS)
    stand = Deployed(folder, home, database(postgres, "deployed"))
    stand.start("code", "web")
    stand.switch_sensors_off()
    stand.start("daemon")
    yield stand
    stand.stop()


def test_two_hospitals_run_at_once_and_all_of_it_is_in_the_database(deployed, postgres):
    runs = [deployed.launch(hospital) for hospital in HOSPITALS]
    assert deployed.ended(*runs) == ["SUCCESS", "SUCCESS"]
    with deployed.instance() as instance:
        first, second = (instance.get_run_record_by_id(run) for run in runs)
    assert first.start_time < second.end_time
    assert second.start_time < first.end_time
    assert "all as recorded" in deployed.gradient("verify")
    assert int(postgres.psql("SELECT count(*) FROM event_logs", deployed.database_url)) > 100
    assert sorted(path.name for path in deployed.dagster_home.iterdir()) == ["dagster.yaml", "workspace.yaml"]


def test_health_tells_what_works_and_what_does_not(deployed):
    web = f"http://127.0.0.1:{deployed.ports['web']}"
    code, said = deployed.health("--storage", "--daemon", "--code", f"127.0.0.1:{deployed.ports['code']}", "--web", web)
    assert (code, said.count(": works")) == (0, 4), said
    code, said = deployed.health("--storage", "--code", "127.0.0.1:9", "--web", "http://127.0.0.1:9")
    assert (code, said.count(": works"), said.count("does not work")) == (3, 1, 2), said


def test_runs_are_known_after_a_restart_of_everything(deployed):
    before = deployed.runs()
    deployed.stop("daemon", "web", "code")
    assert deployed.health("--daemon", "--web", f"http://127.0.0.1:{deployed.ports['web']}")[0] == 3
    deployed.start("code", "web", "daemon")
    assert deployed.runs() == before != []
    assert deployed.ended(deployed.launch("st-mary")) == ["SUCCESS"]


def unfinished(home):
    """What ended runs have left; the code location is alive and has a folder for temporary files."""
    return [name for name in left_over(home) if not name.startswith("identified/tmp/")]


def put_a_new_image(deployed, hospital, name):
    """So that the next run has pictures to look at."""
    patient = small_hospital.GONE
    path = deployed.home / f"landing/{hospital}/dicoms/{name}.dcm"
    path.write_bytes(small_hospital.instance(patient, int(name)))


def test_a_run_that_is_ended_on_the_page_is_canceled_and_the_next_one_completes(deployed):
    put_a_new_image(deployed, "st-mary", "11")
    run = deployed.launch("st-mary")
    wait(deployed.in_a_stage, "a stage", 240)
    deployed.terminate(run)
    assert deployed.ended(run) == ["CANCELED"]
    assert unfinished(deployed.home) == []
    assert deployed.ended(deployed.launch("st-mary")) == ["SUCCESS"]
    assert "all as recorded" in deployed.gradient("verify")


def test_a_run_whose_container_was_killed_is_noticed_and_the_next_one_completes(deployed):
    put_a_new_image(deployed, "lakeside", "12")
    run = deployed.launch("lakeside")
    wait(deployed.in_a_stage, "a stage", 240)
    deployed.kill("code")
    deployed.start("code")
    assert deployed.ended(run) == ["FAILURE"]
    assert deployed.ended(deployed.launch("lakeside")) == ["SUCCESS"]
    assert unfinished(deployed.home) == []
    assert "all as recorded" in deployed.gradient("verify")


def test_a_run_goes_on_when_web_and_daemon_are_killed(deployed):
    put_a_new_image(deployed, "lakeside", "14")
    run = deployed.launch("lakeside")
    wait(deployed.in_a_stage, "a stage", 240)
    deployed.kill("web")
    deployed.kill("daemon")
    try:
        assert deployed.ended(run) == ["SUCCESS"]
        assert unfinished(deployed.home) == []
    finally:
        deployed.start("web", "daemon")


def test_a_run_that_is_ended_on_the_page_cancels_its_job_in_bigquery(postgres, bigquery, tmp_path):
    home = small_hospital.build(tmp_path / "home", "st-mary")
    with FaultProxy(bigquery.front) as proxy:
        exports = bigquery.exports() | {"GRADIENT_BIGQUERY_ENDPOINT": proxy.endpoint}
        stand = Deployed(tmp_path, home, database(postgres, "ended"), GRADIENT_DATASET_PREFIX="ended_", **exports)
        stand.gradient("doctor", "--mend")
        stand.start("code", "web")
        try:
            stand.switch_sensors_off()
            stand.start("daemon")
            proxy.breaks(runs_on("-put-"))
            run = stand.launch("st-mary")
            wait(lambda: proxy.asked("GET", "-put-"), "a job of BigQuery", 240)
            assert proxy.asked(containing="/cancel") == []
            stand.terminate(run)
            assert stand.ended(run) == ["CANCELED"]
            (cancelled,) = proxy.asked("POST", "/cancel")
            assert "-put-" in cancelled.path
        finally:
            stand.stop()


class Cluster:
    """Kubernetes' API for Jobs, in memory."""

    def __init__(self):
        self.jobs = []

    def create_namespaced_job(self, body, namespace, **_):
        self.jobs.append((namespace, body))


def a_runs_pod(deployed, run_id):
    """The Job that Dagster's launcher makes of a run, from the settings of `deploy/kubernetes`."""
    config = yaml.safe_load((DEPLOY / "kubernetes/base/dagster.yaml").read_text())["run_launcher"]["config"]
    kubeconfig = deployed.folder / "kubeconfig"
    here = [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}]
    contexts = [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}]
    users = [{"name": "nobody", "user": {}}]
    known = {"clusters": here, "contexts": contexts, "users": users, "current-context": "here"}
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **known}))
    outside = {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    cluster = Cluster()
    launcher = K8sRunLauncher(
        **{**config, **outside}, job_image="gradient:0.1.0", k8s_client_batch_api=cluster, k8s_client_core_api=object()
    )
    with deployed.instance() as instance:
        launcher.register_instance(instance)
        starting = DagsterEvent(
            DagsterEventType.PIPELINE_STARTING.value, "hospital"
        )  # as the daemon, before it launches
        instance.report_dagster_event(starting, run_id)
        launcher.launch_run(LaunchRunContext(dagster_run=instance.get_run_by_id(run_id), workspace=None))
    ((namespace, job),) = cluster.jobs
    assert namespace == "gradient"
    return job.spec.template.spec.containers[0]


def run_pod(deployed, words, asked):
    """The pod's process up to its end; it gets the signal when a stage has begun to write."""
    with (deployed.folder / "pod.log").open("wb") as log:
        pod = subprocess.Popen(words, env=deployed.environ("code"), cwd=deployed.folder, stdout=log, stderr=log)
    try:
        if asked:
            wait(lambda: deployed.in_a_stage() or pod.poll() is not None, "a stage", 240)
            pod.send_signal(asked)
        pod.wait(240)
    finally:
        pod.kill()


@pytest.fixture
def without_daemon(deployed):
    """Runs that are asked for stay in the queue."""
    deployed.stop("daemon")
    yield deployed
    deployed.start("daemon")


def test_a_runs_pod_that_is_asked_to_end_ends_and_the_next_one_completes(without_daemon):
    deployed = without_daemon
    put_a_new_image(deployed, "st-mary", "13")
    for asked, ended in ((signal.SIGTERM, "FAILURE"), (None, "SUCCESS")):
        run_id = deployed.launch("st-mary")
        container = a_runs_pod(deployed, run_id)
        words = [*(container.command or ()), *container.args]
        assert deployed.storage["DAGSTER_POSTGRES_PASSWORD"] not in json.dumps(
            [container.to_dict(), words], default=str
        )
        run_pod(deployed, words, asked)
        assert deployed.ended(run_id) == [ended]
        assert unfinished(deployed.home) == []
    assert "all as recorded" in deployed.gradient("verify")


def documented(marker):
    """The commands behind a marker of docs/deployment.md."""
    page = (DEPLOY.parent / "docs/deployment.md").read_text()
    return page.split(f"<!-- {marker} -->\n```\n")[1].split("\n```")[0]


def follow(marker, postgres, home, backup, database_url, **more):
    programs = Path(postgres._program("pg_dump")[-1]).parent
    environ = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "GRADIENT_HOME": str(home),
        "BACKUP": str(backup),
        "DATABASE_URL": database_url,
        **more,
    }
    done = subprocess.run(["bash", "-euc", documented(marker)], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Restored(Deployed):
    """The home and the database somewhere else; the hospitals' buckets are where they were."""

    @classmethod
    def of(cls, deployed, postgres, backup, name, **more):
        home = deployed.folder / name / "home"
        url = database(postgres, name)
        follow("restore", postgres, home, backup, url, **more)
        (home / "landing").symlink_to(deployed.home / "landing")
        shutil.copy(deployed.home / "hospitals.yaml", home)
        return cls(deployed.folder / name, home, url)


def secrets_of(home):
    return {path.name: (path.stat().st_mode & 0o777, path.read_bytes()) for path in home.glob("identified/secrets/*/*")}


def test_a_backup_is_restored_elsewhere_and_old_tombstones_bring_a_patient_back(deployed, postgres):
    home, backup = deployed.home, deployed.folder / "backup"
    backup.mkdir()
    assert deployed.ended(deployed.launch("st-mary"), deployed.launch("lakeside")) == ["SUCCESS", "SUCCESS"]
    follow("backup", postgres, home, backup, deployed.database_url)
    with tarfile.open(backup / "stores.tar") as stores:
        assert not [name for name in stores.getnames() if "secrets" in name or "release_requests" in name]

    elsewhere = Restored.of(deployed, postgres, backup, "elsewhere")
    assert secrets_of(elsewhere.home) == secrets_of(home) != {}
    assert "all as recorded" in elsewhere.gradient("verify")
    assert elsewhere.runs() == deployed.runs() != []

    ids = small_hospital.ids_file(deployed.folder, small_hospital.GONE)
    given = ("-H", "st-mary", "--patient-id-file", str(ids))
    deployed.gradient("withdraw", "--hospital", "st-mary", *given[2:], "--reason", "request 1", "--by", "Ada")
    elsewhere.gradient("run", "-H", "st-mary")
    assert "all as recorded" in elsewhere.gradient("verify")
    elsewhere.gradient("verify", "--withdrawn", *given, expect=3)  # old tombstones: the patient is there

    newest = deployed.folder / "newest.tar"
    with tarfile.open(newest, "w", format=tarfile.PAX_FORMAT) as logs:
        for name in ("release_requests", "key_fingerprints", "way_back_log"):
            if (home / "identified" / name).exists():
                logs.add(home / "identified" / name, f"identified/{name}")
    forward = Restored.of(deployed, postgres, backup, "forward", LOGS=str(newest))
    forward.gradient("run", "-H", "st-mary")
    forward.gradient("verify", "--withdrawn", *given)
