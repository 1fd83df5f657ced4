"""Runs as processes of the code location's container, and noticing that such a process is gone.

Belongs here: the launcher that `deploy/compose/dagster.yaml` names.  On Kubernetes Dagster's own launcher asks the cluster.

Dagster's default launcher can't tell whether a run's process lives.  When the container dies, its runs stay `STARTED` for
ever, and with one run at a time for each hospital that hospital never runs again.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher, which asks the code location whether it still has the run.

    Dagster's run monitoring asks it, and marks a run as failed that is no longer there.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the server that started the run says so, or can't be asked; NOT_FOUND when it has forgotten the run.

        A server that does not answer is no proof: it may be starting again, and says then what it has.  A run without a
        server (`gradient run`) is its own process's business.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]  # Dagster's
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no server started it")
        try:
            current = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except Exception:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code location does not answer", transient=True)
        if run.run_id in current.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code location was started again")
