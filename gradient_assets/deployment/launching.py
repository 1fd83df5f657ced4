"""Runs as processes of a code location, and noticing that such a process is gone.

Belongs here: the launcher that our `dagster.yaml` files name, and the mark by which a run of the command is known to it.  On
Kubernetes Dagster's own launcher asks the cluster.

Dagster's default launcher can't tell whether a run's process lives.  When it dies with whoever would have told, its run stays
`STARTED` for ever, and with one run at a time for each hospital that hospital never runs again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from dagster import DagsterRun
from dagster._core.events import DagsterEventType
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value

PROCESS_TAG = "gradient/process"
"""On runs of the command: namespace of processes, id and birth of the process that they are steps of."""

HERE = ("localhost", "127.0.0.1")
"""Where `dagster dev` starts its code location: on the machine of whoever looks."""

CLOCK_STEP_S = 600.0
"""A process that began so long after the run named it is another one; clocks are set by less."""


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher, which asks the code location whether it still has the run, or looks for the run's process.

    Dagster's run monitoring asks it, and marks a run as failed that is no longer there.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND when the server that started the run has forgotten it, or its process on this machine is gone.

        RUNNING in all other cases.  A server elsewhere that does not answer is no proof: it may be starting again, and says
        then what it has.  Nor is a process of another container that can't be seen from here.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]  # Dagster's
        if client is None:
            return _of_the_command(run)
        try:
            current = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except Exception:
            if client.host in HERE:
                return _of_this_machine(self._instance, run)
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code location does not answer", transient=True)
        if run.run_id in current.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code location was started again")


def process_tags() -> dict[str, str]:
    """Tags of a run that is made in this process."""
    return {PROCESS_TAG: f"{_namespace()} {os.getpid()} {_birth(os.getpid())}"}


def end_the_dead(instance: dg.DagsterInstance) -> None:
    """Mark as failed the runs of the command whose process is gone, for homes where no daemon looks."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(unfinished):
        if _of_the_command(run).status == WorkerStatus.NOT_FOUND:
            instance.report_run_failed(run, "The run's process is gone.")


def ended(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, bool]:
    """Of runs by their ids: whether each has ended, also by the death of its process; without those this instance never had."""
    end_the_dead(instance)
    return {run.run_id: run.is_finished for run in instance.get_runs(dg.RunsFilter(run_ids=sorted(run_ids)))}


def _of_the_command(run: DagsterRun) -> CheckRunHealthResult:
    namespace, _, process = run.tags.get(PROCESS_TAG, "").partition(" ")
    if namespace != _namespace():
        return CheckRunHealthResult(WorkerStatus.RUNNING, "its process can't be seen from here")
    pid, _, birth = process.partition(" ")
    return _found(_birth(int(pid)) == int(birth))


def _of_this_machine(instance: dg.DagsterInstance, run: DagsterRun) -> CheckRunHealthResult:
    """Whether the process is there that the run's first event names."""
    for record in instance.get_records_for_run(run.run_id, of_type=DagsterEventType.ENGINE_EVENT).records:
        event = record.event_log_entry.get_dagster_event()
        if pid := event.engine_event_data.metadata.get("pid"):
            ticks = _birth(int(str(pid.value)))
            began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + (ticks or 0) / os.sysconf("SC_CLK_TCK")
            return _found(ticks is not None and began < record.timestamp + CLOCK_STEP_S)
    return CheckRunHealthResult(WorkerStatus.RUNNING, "it has not named its process yet", transient=True)


def _found(there: bool) -> CheckRunHealthResult:
    if there:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")


def _namespace() -> str:
    """The namespace in which process ids are counted; another container has another one."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _birth(pid: int) -> int | None:
    """Clock ticks from the machine's start to the process's; None when there is none, or only what is left of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
