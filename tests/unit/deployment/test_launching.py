"""A run whose process is gone is noticed; one that may be alive is left alone."""

import pytest
from dagster import DagsterRun
from dagster._core.launcher.base import WorkerStatus
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import serialize_value

from gradient_assets.deployment.launching import WatchedRunLauncher


class Server:
    """What a code location answers."""

    def __init__(self, *runs):
        self.runs = runs

    def get_current_runs(self):
        return serialize_value(GetCurrentRunsResult(current_runs=list(self.runs), serializable_error_info=None))


class Silent:
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
