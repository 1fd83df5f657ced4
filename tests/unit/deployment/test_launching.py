"""A run whose process is gone is noticed; one that may be alive is left alone.

That the next command ends a killed one's run is also seen in `tests/graph/test_kills.py`.
"""

import json
import logging
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring import execute_run_monitoring_iteration
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import serialize_value

from gradient_assets.deployment import launching
from gradient_assets.deployment.launching import PROCESS_TAG, WatchedRunLauncher, end_the_dead, process_tags
from gradient_assets.instance import prepare_home


class Server:
    """What a code location answers."""

    host = "code"

    def __init__(self, *runs):
        self.runs = runs

    def get_current_runs(self):
        return serialize_value(GetCurrentRunsResult(current_runs=list(self.runs), serializable_error_info=None))


class Silent:
    host = "code"

    def get_current_runs(self):
        raise ConnectionError("Quillfeather")


class Launcher(WatchedRunLauncher):
    """With a server of the test's."""

    server = None

    def _get_grpc_client_for_termination(self, run_id):
        return self.server


@pytest.mark.parametrize(
    ("server", "status"),
    [
        (Server("this-run", "another"), WorkerStatus.RUNNING),
        (Server("another"), WorkerStatus.NOT_FOUND),
        (Server(), WorkerStatus.NOT_FOUND),
        (Silent(), WorkerStatus.RUNNING),
        (None, WorkerStatus.RUNNING),
    ],
    ids=["has it", "has another", "has none", "does not answer", "no server"],
)
def test_a_run_is_gone_only_when_its_server_says_so(server, status):
    launcher = Launcher()
    launcher.server = server
    result = launcher.check_run_worker_health(DagsterRun(job_name="hospital", run_id="this-run"))
    assert result.status == status
    assert "Quillfeather" not in str(result)


def test_the_monitoring_asks_it():
    assert WatchedRunLauncher().supports_check_run_worker_health


def ended():
    """Id of a process that was there."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@contextmanager
def unburied():
    """Id of a process that has ended and is still listed."""
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    yield child.pid
    child.wait()


def tagged(**changed):
    namespace, pid, birth = process_tags()[PROCESS_TAG].split()
    words = {"namespace": namespace, "pid": pid, "birth": birth} | changed
    return DagsterRun(job_name="hospital", tags={PROCESS_TAG: "{namespace} {pid} {birth}".format(**words)})


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, WorkerStatus.RUNNING),
        ({"birth": "1"}, WorkerStatus.NOT_FOUND),
        ({"pid": "4194305"}, WorkerStatus.NOT_FOUND),
        ({"namespace": "1", "pid": "4194305"}, WorkerStatus.RUNNING),
    ],
    ids=["is there", "another one has its number", "is gone", "is in another container"],
)
def test_a_run_of_the_command_is_gone_with_its_process(changed, status):
    assert Launcher().check_run_worker_health(tagged(**changed)).status == status


def test_a_process_that_ended_is_gone_though_nobody_has_asked_how():
    with unburied() as pid:
        assert launching._birth(pid) is None
    assert launching._birth(os.getpid()) > 0


@dg.job
def hospital():
    pass


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """Dagster's storage as `gradient ui` has it."""
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_home(tmp_path, {})))
    with dg.DagsterInstance.get() as opened:
        yield opened


def look(instance):
    """One look of Dagster's run monitoring."""
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as workspace:
        assert not [error for error in execute_run_monitoring_iteration(workspace, logging.getLogger("look")) if error]


def started_by_a_server_that_is_gone(instance, pid, host="localhost"):
    where = json.dumps({"host": host, "socket": "/tmp/nobody-listens-here"})
    run = instance.create_run_for_job(hospital, status=DagsterRunStatus.STARTED, tags={GRPC_INFO_TAG: where})
    if pid is not None:
        instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(pid))
    return run.run_id


@pytest.mark.parametrize(
    ("pid", "host", "status"),
    [
        (ended, "localhost", DagsterRunStatus.FAILURE),
        (os.getpid, "localhost", DagsterRunStatus.STARTED),
        (lambda: None, "localhost", DagsterRunStatus.STARTED),
        (ended, "code", DagsterRunStatus.STARTED),
    ],
    ids=["its process is gone", "its process lives on", "it named none yet", "elsewhere"],
)
def test_when_the_page_was_ended_a_run_goes_with_its_process(instance, pid, host, status):
    run = started_by_a_server_that_is_gone(instance, pid(), host)
    look(instance)
    assert instance.get_run_by_id(run).status == status


def test_a_process_that_began_long_after_the_run_is_another_one(instance, monkeypatch):
    run = instance.get_run_by_id(started_by_a_server_that_is_gone(instance, os.getpid()))
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    (record,) = instance.get_records_for_run(run.run_id).records
    long_after = timedelta(days=1).total_seconds() + record.timestamp
    monkeypatch.setattr(launching.time, "time", lambda: long_after + time.clock_gettime(time.CLOCK_BOOTTIME))
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"pid": "4194305"}, DagsterRunStatus.FAILURE), ({}, DagsterRunStatus.STARTED)],
    ids=["is gone", "is there"],
)
@pytest.mark.parametrize("looks", [look, end_the_dead], ids=["the monitoring", "the next command"])
def test_a_killed_command_leaves_no_run_that_seems_to_go_on(instance, looks, changed, status):
    run = instance.create_run_for_job(hospital, status=DagsterRunStatus.STARTED, tags=tagged(**changed).tags)
    looks(instance)
    assert instance.get_run_by_id(run.run_id).status == status
