"""Dataflow: submit a pipeline or find the one that still runs, wait for it, cancel it, read its counters.

Belongs here: everything about a job that outlives the process that started it.  A job is found again by its name and by the
label `gradient-attach`; both are made of the stage's and the partition's names.  `beam` chooses the runner.

The package has to be in the workers' image (`--sdk_container_image`); `save_main_session` is never used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from resources.beam import POLL_S, PipelineFailed, counters, job_name, kind_of, wait

ATTACH_LABEL = "gradient-attach"


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job that has not ended yet."""

    job_id: str
    labels: Mapping[str, str]


class Jobs(Protocol):
    """What is asked of the Dataflow service."""

    def active(self, name: str) -> list[ActiveJob]:
        """Jobs of that name that have not ended."""
        ...

    def attach(self, job_id: str) -> Any:
        """The result object of a running job, as `Pipeline.run` would have returned it."""
        ...

    def submit(self, build: Callable[[beam.Pipeline], None], labels: Mapping[str, str]) -> Any:
        """Start a job; returns its result object."""
        ...

    def console(self, job_id: str) -> str:
        """The job's page for people."""
        ...


def run_on_dataflow(
    build: Callable[[beam.Pipeline], None],
    name: str,
    attach: str | None,
    options: Sequence[str],
    say: Callable[[str], None],
    poll_s: float = POLL_S,
) -> dict[str, int]:
    """Run the pipeline on Dataflow; see `BeamEngine.run`."""
    failure = None
    try:
        jobs = GoogleJobs(job_name(name), tuple(options))
    except Exception as error:
        failure = PipelineFailed(f"pipeline {name}: Dataflow's client could not be opened ({kind_of(error)})")
    if failure is not None:
        raise failure
    return run_job(jobs, build, name, attach, say, poll_s)


def run_job(
    jobs: Jobs,
    build: Callable[[beam.Pipeline], None],
    name: str,
    attach: str | None,
    say: Callable[[str], None],
    poll_s: float,
) -> dict[str, int]:
    """Attach to the job of the same work, or end left-over ones and submit; wait; return the counters."""
    label = _attach_label(attach) if attach else None
    failure = None
    result = None
    try:
        for job in jobs.active(job_name(name)):
            if result is None and label is not None and job.labels.get(ATTACH_LABEL) == label:
                say(f"{name}: Dataflow job {job.job_id} still runs; waiting for it")
                result = jobs.attach(job.job_id)
            else:
                say(f"{name}: Dataflow job {job.job_id} was left over; cancelling it")
                left_over = jobs.attach(job.job_id)
                left_over.cancel()
                _wait_until_ended(left_over, f"left-over Dataflow job {job.job_id}", poll_s)
        if result is None:
            result = jobs.submit(build, {ATTACH_LABEL: label} if label else {})
            say(f"{name}: Dataflow job {result.job_id()}, {jobs.console(result.job_id())}")
    except PipelineFailed as error:
        failure = error
    except Exception as error:
        failure = PipelineFailed(f"pipeline {name}: not accepted by Dataflow ({kind_of(error)})")
    if failure is not None:
        raise failure
    assert result is not None, "either attached or submitted"
    wait(result, f"Dataflow job {result.job_id()} ({name})", say, poll_s)
    return counters(result)


def _wait_until_ended(result: Any, what: str, poll_s: float) -> None:
    # Both jobs would write the same shards' names; the old one has to be gone before the new one starts.
    try:
        wait(result, what, lambda message: None, poll_s)
    except PipelineFailed:
        return  # ended as cancelled, which is what was wanted


def _attach_label(attach: str) -> str:
    # A label takes 63 of [a-z0-9_-]; the text is the stage's, the partition's and the run's name, nothing secret.
    return hashlib.sha256(attach.encode()).hexdigest()[:40]


class GoogleJobs:
    """The Dataflow service through Beam's own client."""

    def __init__(self, name: str, options: tuple[str, ...]) -> None:
        from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

        self._name = name
        self._options = options
        parsed = self._pipeline_options({})
        cloud = parsed.view_as(GoogleCloudOptions)
        self._project, self._region = cloud.project, cloud.region
        self._runner = DataflowRunner()
        self._client = DataflowApplicationClient(parsed)
        self._runner.dataflow_client = self._client

    def active(self, name: str) -> list[ActiveJob]:
        """Jobs of that name that have not ended."""
        from google.cloud import dataflow

        request = dataflow.ListJobsRequest(
            project_id=self._project,
            location=self._region,
            filter=dataflow.ListJobsRequest.Filter.ACTIVE,
            name=name,
        )
        # Beam keeps the jobs client to itself and offers no search by label.
        listed = self._client._jobs_client.list_jobs(request)
        return [ActiveJob(job.id, dict(job.labels)) for job in listed if job.name == name]

    def attach(self, job_id: str) -> Any:
        """The result object of a running job."""
        from apache_beam.runners.dataflow.dataflow_metrics import DataflowMetrics
        from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult

        result = DataflowPipelineResult(self._client.get_job(job_id), self._runner, self._pipeline_options({}))
        result.metric_results = DataflowMetrics(self._client, result, None)
        return result

    def submit(self, build: Callable[[beam.Pipeline], None], labels: Mapping[str, str]) -> Any:
        """Start a job; returns its result object."""
        pipeline = beam.Pipeline(options=self._pipeline_options(labels))
        build(pipeline)
        return pipeline.run()

    def console(self, job_id: str) -> str:
        """The job's page in Google's console."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self._region}/{job_id}?project={self._project}"

    def _pipeline_options(self, labels: Mapping[str, str]) -> PipelineOptions:
        named = [f"--labels={name}={value}" for name, value in labels.items()]
        return PipelineOptions(["--runner=DataflowRunner", f"--job_name={self._name}", *named, *self._options])
