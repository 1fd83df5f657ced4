"""The Dataflow service's REST interface in the few words that are needed of it: find, ask, cancel, hear, count.

Belongs here: requests and what comes back, each retried with growing pauses until `DEADLINE_S`.  When a job is started,
waited for or given up is `dataflow`'s business, what of its messages may be told `dataflow_messages`'.

All requests go to the region's own path (`…/projects/P/locations/R/…`): the one without a location answers for
us-central1 alone.  Source: Dataflow REST reference v1b3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

REQUEST_S = 60.0
"""A single request may take so long."""

DEADLINE_S = 600.0
"""A service that has not answered for so long is down; shorter outages are waited out."""

FIRST_PAUSE_S = 1.0
"""Before the second try of a request; each further one waits twice as long, at most a minute."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job as a listing has it."""

    job_id: str
    labels: Mapping[str, str]
    state: str


@dataclass(frozen=True, slots=True)
class JobMessage:
    """What the service says of a job.  `text` is foreign: it may quote an element."""

    id: str
    time: datetime | None
    importance: str
    text: str


def _state(job: Any) -> str:
    return str(job.current_state.name).removeprefix("JOB_STATE_")


def is_local(endpoint: str) -> bool:
    """Whether the endpoint is a server on this machine, which knows no Google account; Beam wants it by this name."""
    return urlsplit(endpoint).hostname == "localhost"


@dataclass(frozen=True)
class DataflowService:
    """One project and region of the service.  Its errors are Google's, and their texts foreign."""

    project: str
    region: str
    endpoint: str = ""
    first_pause_s: float = FIRST_PAUSE_S
    deadline_s: float = DEADLINE_S

    def active(self, name: str) -> list[ListedJob]:
        """Jobs of that name that have not ended."""
        from google.cloud import dataflow

        return self._listed(name, dataflow.ListJobsRequest.Filter.ACTIVE)

    def listed(self, name: str) -> list[ListedJob]:
        """All jobs of that name, the newest first."""
        from google.cloud import dataflow

        return self._listed(name, dataflow.ListJobsRequest.Filter.ALL)

    def _listed(self, name: str, which: Any) -> list[ListedJob]:
        from google.cloud import dataflow

        request = dataflow.ListJobsRequest(**self._place, filter=which, name=name, view=dataflow.JobView.JOB_VIEW_ALL)

        def listed() -> list[ListedJob]:
            pages = self._jobs.list_jobs(request, timeout=REQUEST_S)
            newest_first = sorted(
                pages, key=lambda job: job.create_time.timestamp() if job.create_time else 0.0, reverse=True
            )
            return [ListedJob(job.id, dict(job.labels), _state(job)) for job in newest_first if job.name == name]

        return self._asked(listed)

    def state(self, job_id: str) -> str:
        """The job's state without its prefix: `RUNNING`, `DONE`, `FAILED`, …"""
        from google.cloud import dataflow

        request = dataflow.GetJobRequest(**self._place, job_id=job_id, view=dataflow.JobView.JOB_VIEW_SUMMARY)
        job = self._asked(lambda: self._jobs.get_job(request, timeout=REQUEST_S))
        return _state(job)

    def cancel(self, job_id: str) -> None:
        """Ask for the job's end; it takes the service some seconds to minutes."""
        from google.cloud import dataflow

        wanted = dataflow.Job(requested_state=dataflow.JobState.JOB_STATE_CANCELLED)
        request = dataflow.UpdateJobRequest(**self._place, job_id=job_id, job=wanted)
        self._asked(lambda: self._jobs.update_job(request, timeout=REQUEST_S))

    def messages(self, job_id: str, since: datetime | None) -> list[JobMessage]:
        """What was said at `since` and later, oldest first; debugging messages are left out."""
        from google.cloud import dataflow

        request = dataflow.ListJobMessagesRequest(
            **self._place,
            job_id=job_id,
            minimum_importance=dataflow.JobMessageImportance.JOB_MESSAGE_DETAILED,
            start_time=since,
        )

        def listed() -> list[JobMessage]:
            pages: Iterator[Any] = iter(self._messages.list_job_messages(request, timeout=REQUEST_S))
            return [
                JobMessage(
                    one.id,
                    one.time,
                    str(dataflow.JobMessageImportance(one.message_importance).name).removeprefix("JOB_MESSAGE_"),
                    one.message_text,
                )
                for one in pages
            ]

        return sorted(self._asked(listed), key=lambda said: said.time.timestamp() if said.time else 0.0)

    def counters(self, job_id: str) -> dict[str, int]:
        """The pipeline's own counters by name, summed over steps and namespaces; attempted ones where none is committed."""
        from google.cloud import dataflow

        request = dataflow.GetJobMetricsRequest(**self._place, job_id=job_id)
        found = self._asked(lambda: self._metrics.get_job_metrics(request, timeout=REQUEST_S))
        committed: dict[str, int] = {}
        attempted: dict[str, int] = {}
        for metric in found.metrics:
            if metric.name.origin == "user" and isinstance(metric.scalar, int | float):
                into = attempted if metric.name.context.get("tentative") == "true" else committed
                into[metric.name.name] = into.get(metric.name.name, 0) + int(metric.scalar)
        return dict(sorted((attempted | committed).items()))

    def launch(self, template: str, name: str, parameters: Mapping[str, str], environment: Mapping[str, Any]) -> str:
        """Have a Flex template start a job; returns the job's id."""
        from google.cloud import dataflow

        launch = dataflow.LaunchFlexTemplateParameter(
            job_name=name,
            container_spec_gcs_path=template,
            parameters=dict(parameters),
            environment=dataflow.FlexTemplateRuntimeEnvironment(dict(environment)),
        )
        request = dataflow.LaunchFlexTemplateRequest(**self._place, launch_parameter=launch)
        # Asked once: a second try after a lost answer is the caller's, who looks for the job first.
        return str(self._templates.launch_flex_template(request, timeout=REQUEST_S).job.id)

    def console(self, job_id: str) -> str:
        """The job's page for people."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job_id}?project={self.project}"

    @property
    def _place(self) -> dict[str, str]:
        return {"project_id": self.project, "location": self.region}

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        from google.api_core import exceptions, retry
        from requests import exceptions as transport

        passing = (
            exceptions.ServerError,
            exceptions.TooManyRequests,
            transport.ConnectionError,
            transport.Timeout,
            transport.ChunkedEncodingError,
        )
        patient = retry.Retry(
            predicate=retry.if_exception_type(*passing),
            initial=self.first_pause_s,
            multiplier=2.0,
            maximum=60.0,
            timeout=self.deadline_s,
        )
        answer: _Answer = patient(ask)()
        return answer

    @cached_property
    def _jobs(self) -> Any:
        from google.cloud import dataflow

        return dataflow.JobsV1Beta3Client(**self._opened)

    @cached_property
    def _messages(self) -> Any:
        from google.cloud import dataflow

        return dataflow.MessagesV1Beta3Client(**self._opened)

    @cached_property
    def _metrics(self) -> Any:
        from google.cloud import dataflow

        return dataflow.MetricsV1Beta3Client(**self._opened)

    @cached_property
    def _templates(self) -> Any:
        from google.cloud import dataflow

        return dataflow.FlexTemplatesServiceClient(**self._opened)

    @property
    def _opened(self) -> dict[str, Any]:
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials

        return {
            "transport": "rest",
            "credentials": AnonymousCredentials() if is_local(self.endpoint) else None,  # type: ignore[no-untyped-call]
            "client_options": ClientOptions(api_endpoint=self.endpoint.rstrip("/")) if self.endpoint else None,
        }
