"""Dataflow: submit a pipeline or find the one that still runs, hear of it, wait for it, cancel it.

Belongs here: everything about a job that outlives the process that started it, and the options that it is sent with.  The
service's requests are `dataflow_service`'s, what may be told of its messages `dataflow_messages`'.

A job's name, labels and options stand in Google's console and logs, and the name in each request: they are made of the stage's
name, the partition's and settings, and a name of any other form is refused, not mended.  The package has to be in the workers'
image, or is staged as one file; the main session is never pickled, which Beam does on Dataflow unless told not to.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from resources.engines.beam import BeamEngine, Runner
from resources.engines.dataflow_messages import Hearing
from resources.engines.dataflow_service import REQUEST_S, DataflowService, JobMessage, ListedJob, is_local
from resources.engines.waiting import PipelineFailed, kind_of, silence_beam
from resources.errors import holding_back, holding_text_back

if TYPE_CHECKING:
    from datetime import datetime

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from resources.settings import Settings

ATTACH_LABEL = "gradient-attach"
SUBMISSION_LABEL = "gradient-submission"

ENDED = frozenset({"DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED"})
"""Dataflow REST reference v1b3, JobState: the terminal ones."""

SLOWEST_POLL_S = 60.0
POLL_GROWTH = 1.5
"""A job without news is asked for less and less often: 5, 7.5, 11 … 60 s; of a job of six hours 370 times, not 4,320."""

LAST_WORDS = 10
"""Looks for the reason of a failure: its message comes up to half a minute after the state (Beam's own runner waits 50 s)."""

_JOB_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,198}[a-z0-9])?")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}")

REFUSED_OPTIONS = {
    "--job_name": "the job's name is the stage's and the partition's",
    "--save_main_session": "everything that the main module holds would be staged",
    "--enable_hot_key_logging": "keys of elements would be logged",
    "--update": "a stage's job is never replaced by another one",
    "--template_location": "use GRADIENT_DATAFLOW_TEMPLATE",
    "--dataflow_endpoint": "use GRADIENT_DATAFLOW_ENDPOINT",
    "--label": "use GRADIENT_DATAFLOW_LABELS",
    "--labels": "use GRADIENT_DATAFLOW_LABELS",
    "--no_auth": "only a server on this machine is asked without credentials",
    "--runner": "use GRADIENT_BEAM_RUNNER",
    # Given after the site's own they would win, and another account's workers or another bucket go unseen.
    "--project": "use GRADIENT_GCP_PROJECT",
    "--region": "use GRADIENT_DATAFLOW_REGION",
    "--staging_location": "use GRADIENT_DATAFLOW_STAGING_URI",
    "--temp_location": "use GRADIENT_DATAFLOW_STAGING_URI",
    "--sdk_container_image": "use GRADIENT_DATAFLOW_IMAGE",
    "--extra_package": "use GRADIENT_DATAFLOW_PACKAGE",
    "--network": "use GRADIENT_DATAFLOW_NETWORK",
    "--subnetwork": "use GRADIENT_DATAFLOW_SUBNETWORK",
    "--service_account_email": "use GRADIENT_DATAFLOW_SERVICE_ACCOUNT",
    "--impersonate_service_account": "a job is sent as the process itself",
    "--dataflow_kms_key": "use GRADIENT_DATAFLOW_KMS_KEY",
}
"""Of Beam's options those that would let something out, or that this module sets."""


@dataclass(frozen=True)
class DataflowSite:
    """Where jobs run, in which image and as whom.  Workers have no public address; the network has to let them out."""

    project: str
    region: str
    staging: str
    image: str
    package: str = ""
    network: str = ""
    subnetwork: str = ""
    service_account: str = ""
    kms_key: str = ""
    labels: tuple[str, ...] = ()
    endpoint: str = ""
    template: str = ""

    @classmethod
    def of(cls, settings: Settings) -> DataflowSite:
        """The site of GRADIENT_DATAFLOW_….  Raises `SettingsError` for what is missing."""
        staging = settings["GRADIENT_DATAFLOW_STAGING_URI"] or (
            f"{settings.needed('GRADIENT_STAGING_URI', 'Dataflow').rstrip('/')}/dataflow"
        )
        return cls(
            project=settings.needed("GRADIENT_GCP_PROJECT", "Dataflow"),
            region=settings.needed("GRADIENT_DATAFLOW_REGION", "Dataflow"),
            staging=staging,
            image=settings.needed("GRADIENT_DATAFLOW_IMAGE", "Dataflow"),
            package=settings["GRADIENT_DATAFLOW_PACKAGE"],
            network=settings["GRADIENT_DATAFLOW_NETWORK"],
            subnetwork=settings["GRADIENT_DATAFLOW_SUBNETWORK"],
            service_account=settings["GRADIENT_DATAFLOW_SERVICE_ACCOUNT"],
            kms_key=settings["GRADIENT_DATAFLOW_KMS_KEY"],
            labels=settings.listed("GRADIENT_DATAFLOW_LABELS"),
            endpoint=settings["GRADIENT_DATAFLOW_ENDPOINT"],
            template=settings["GRADIENT_DATAFLOW_TEMPLATE"],
        )

    def _checked_labels(self) -> tuple[str, ...]:
        if any(_LABEL.fullmatch(label) is None for label in self.labels):
            raise PipelineFailed("GRADIENT_DATAFLOW_LABELS: expected name=value in small letters, digits, '_' and '-'")
        return self.labels

    def template_environment(self, labels: Mapping[str, str]) -> dict[str, Any]:
        """As `options`, in the words of Dataflow's REST reference (FlexTemplateRuntimeEnvironment)."""
        given = {
            "sdk_container_image": self.image,
            "network": self.network,
            "subnetwork": self.subnetwork,
            "service_account_email": self.service_account,
            "kms_key_name": self.kms_key,
            "staging_location": f"{self.staging.rstrip('/')}/staging",
            "temp_location": f"{self.staging.rstrip('/')}/temp",
        }
        own = dict(label.split("=", 1) for label in self._checked_labels())
        named: dict[str, Any] = {name: value for name, value in given.items() if value}
        return named | {"ip_configuration": "WORKER_IP_PRIVATE", "additional_user_labels": own | dict(labels)}

    def options(self) -> list[str]:
        """Beam's options for a job here.  Raises `PipelineFailed` for a label that Google does not take."""
        given = {
            "project": self.project,
            "region": self.region,
            "staging_location": f"{self.staging.rstrip('/')}/staging",
            "temp_location": f"{self.staging.rstrip('/')}/temp",
            "sdk_container_image": self.image,
            "extra_package": self.package,
            "network": self.network,
            "subnetwork": self.subnetwork,
            "service_account_email": self.service_account,
            "dataflow_kms_key": self.kms_key,
            "dataflow_endpoint": self.endpoint,
        }
        named = [f"--{name}={value}" for name, value in given.items() if value]
        named += [f"--labels={label}" for label in self._checked_labels()]
        local = ["--no_auth"] if is_local(self.endpoint) else []
        # Without the experiment Beam runs `pip freeze`, 4 s, and stages its output with this machine's paths.
        own = ["--experiments=disable_logging_submission_environment", "--sdk_location=container"]
        return [*named, "--no_use_public_ips", "--no_save_main_session", *own, *local]


@runtime_checkable
class Templated(Protocol):
    """A graph that the Flex template can build as well."""

    def template_parameters(self) -> dict[str, str]:
        """What the template has to know."""


class Jobs(Protocol):
    """What is asked of the Dataflow service."""

    def active(self, name: str) -> list[ListedJob]:
        """Jobs of that name that have not ended."""
        ...

    def listed(self, name: str) -> list[ListedJob]:
        """All jobs of that name, the newest first."""
        ...

    def state(self, job_id: str) -> str:
        """The job's state."""
        ...

    def cancel(self, job_id: str) -> None:
        """Ask for the job's end."""
        ...

    def messages(self, job_id: str, since: datetime | None) -> list[JobMessage]:
        """What was said at `since` and later."""
        ...

    def counters(self, job_id: str) -> dict[str, int]:
        """The pipeline's own counters."""
        ...

    def console(self, job_id: str) -> str:
        """The job's page for people."""
        ...


@dataclass(frozen=True)
class DataflowEngine(BeamEngine):
    """Runs pipelines on Dataflow; see `BeamEngine`."""

    runner: Runner = "dataflow"
    site: DataflowSite = field(default=DataflowSite("", "", "", ""), kw_only=True)

    def run(
        self,
        build: Callable[[beam.Pipeline], None],
        *,
        name: str,
        on_progress: Callable[[str], None] | None = None,
        attach: str | None = None,
    ) -> dict[str, int]:
        """As `BeamEngine.run`.  Raises `PipelineFailed`."""
        job = Job(self._service, _checked(name), on_progress or (lambda message: None), self.progress_s)
        return job.run(lambda labels: self._submit(build, name, labels), attach)

    def left(self, name: str, attach: str) -> Literal["running", "done", ""]:
        """How the last job of that name fares that was started for the same work.  Raises `PipelineFailed`."""
        return Job(self._service, _checked(name), lambda message: None, self.progress_s).left(attach)

    @property
    def _service(self) -> DataflowService:
        return DataflowService(self.site.project, self.site.region, self.site.endpoint)

    def _submit(self, build: Callable[[beam.Pipeline], None], name: str, labels: Mapping[str, str]) -> str:
        """Build the graph, stage it and start the job, or have all this done by the site's Flex template."""
        if self.site.template:
            return self._launched(build, name, labels)
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        silence_beam()
        options = PipelineOptions(self.job_options(name, labels))
        self._look_for_staging(options)
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        return str(pipeline.run().job_id())

    def _look_for_staging(self, options: PipelineOptions) -> None:
        from apache_beam.io.gcp.gcsio import create_storage_client

        if self.site.staging.startswith("gs://"):
            # Beam takes any error of an upload for a passing one, and would try for ten minutes.
            storage = create_storage_client(options, use_credentials=not is_local(self.site.endpoint))
            storage.get_bucket(self.site.staging.removeprefix("gs://").partition("/")[0], timeout=REQUEST_S)

    def _launched(self, build: object, name: str, labels: Mapping[str, str]) -> str:
        if not isinstance(build, Templated):
            raise PipelineFailed(f"pipeline {name}: the Flex template starts stages only")
        if self.options:
            raise PipelineFailed(
                "GRADIENT_BEAM_OPTIONS: a Flex template takes none; give the image or the template others"
            )
        environment = self.site.template_environment(labels)
        return self._service.launch(self.site.template, name, build.template_parameters(), environment)

    def job_options(self, name: str, labels: Mapping[str, str]) -> list[str]:
        """The options of one job.  Raises `PipelineFailed` for one that may not be given."""
        for option in self.options:
            refused = option.partition("=")[0]
            if why := REFUSED_OPTIONS.get(refused):
                raise PipelineFailed(f"GRADIENT_BEAM_OPTIONS: {refused} is not taken: {why}")
        named = [f"--labels={label}={value}" for label, value in labels.items()]
        return ["--runner=DataflowRunner", f"--job_name={name}", *self.site.options(), *named, *self.options]


@dataclass(frozen=True)
class Job:
    """The one job of a stage and a partition: found or started, followed to its end."""

    jobs: Jobs
    name: str
    say: Callable[[str], None]
    poll_s: float

    def run(self, submit: Callable[[Mapping[str, str]], str], attach: str | None) -> dict[str, int]:
        """Wait for the job of the same work, or end left-over ones and submit; return the counters."""
        failure = None
        job_id = None
        try:
            job_id = self._found(attach) or self._submitted(submit, attach)
        except PipelineFailed as error:
            failure = error
        except Exception as error:
            failure = holding_back(
                PipelineFailed(f"pipeline {self.name}: not accepted by Dataflow ({kind_of(error)})"), error
            )
        if failure is not None:
            raise failure
        assert job_id is not None, "either found or submitted"
        return self._followed(job_id)

    def left(self, attach: str) -> Literal["running", "done", ""]:
        """How the last job fares that was started for the same work; empty for none, and for one that did not end well."""
        failure = None
        states: list[str] = []
        try:
            label = _attach_label(attach)
            states = [job.state for job in self.jobs.listed(self.name) if job.labels.get(ATTACH_LABEL) == label]
        except Exception as error:
            failed = PipelineFailed(f"pipeline {self.name}: Dataflow can't be asked ({kind_of(error)})")
            failure = holding_back(failed, error)
        if failure is not None:
            raise failure
        if any(state not in ENDED for state in states):
            return "running"
        return "done" if states[:1] == ["DONE"] else ""

    def _found(self, attach: str | None) -> str | None:
        label = _attach_label(attach) if attach else None
        found = None
        for job in self.jobs.active(self.name):
            if found is None and label is not None and job.labels.get(ATTACH_LABEL) == label:
                self.say(f"{self.name}: Dataflow job {job.job_id} still runs; waiting for it")
                found = job.job_id
            else:
                self.say(f"{self.name}: Dataflow job {job.job_id} was left over; cancelling it")
                self.jobs.cancel(job.job_id)
                # Both jobs would write for one partition; the old one has to be gone before the new one starts.
                self._until_ended(job.job_id, lambda message: None)
        return found

    def _submitted(self, submit: Callable[[Mapping[str, str]], str], attach: str | None) -> str:
        submission = secrets.token_hex(8)
        labels = {SUBMISSION_LABEL: submission} | ({ATTACH_LABEL: _attach_label(attach)} if attach else {})
        try:
            return submit(labels)
        except Exception:
            # The answer may be lost while the job is there: it would run unheard, and bar the next one of its name.
            if (made := self._made(submission)) is None:
                raise
            return made
        except BaseException:
            with suppress(Exception):  # as in `_cancel`
                if (made := self._made(submission)) is not None:
                    self.jobs.cancel(made)
            raise

    def _made(self, submission: str) -> str | None:
        active = self.jobs.active(self.name)
        return next((job.job_id for job in active if job.labels.get(SUBMISSION_LABEL) == submission), None)

    def _followed(self, job_id: str) -> dict[str, int]:
        what = f"Dataflow job {job_id} ({self.name})"
        failure = None
        hearing = Hearing()
        try:
            self.say(f"{self.name}: Dataflow job {job_id}, {self.jobs.console(job_id)}")
            state = self._until_ended(job_id, lambda message: self.say(f"{what}: {message}"), hearing)
            if state == "DONE":
                return self._counted(job_id)
            reason = self._last_words(job_id, hearing) if state == "FAILED" else ""
            ended = PipelineFailed(f"{what}: ended as {state.lower()}{'. ' if reason else ''}{reason}")
            failure = holding_text_back(ended, "\n".join(hearing.withheld)) if hearing.withheld else ended
        except Exception as error:
            self._cancel(job_id)
            failure = holding_back(PipelineFailed(f"{what}: {kind_of(error)}"), error)
        except BaseException:
            # Dagster ends a run by an exception that is none of Exception; a job nobody waits for would go on and cost.
            self._cancel(job_id)
            raise
        raise failure

    def _until_ended(self, job_id: str, say: Callable[[str], None], hearing: Hearing | None = None) -> str:
        last, pause = "", self.poll_s
        while True:
            state = self.jobs.state(job_id)
            news = list(self._heard(job_id, hearing)) if hearing is not None else []
            if state != last:
                news.append(state.lower().replace("_", " "))
            for words in news:
                say(words)
            if state in ENDED:
                return state
            pause = self.poll_s if news else next_pause(pause)
            last = state
            time.sleep(pause)

    def _heard(self, job_id: str, hearing: Hearing) -> list[str]:
        try:
            return list(hearing.new(self.jobs.messages(job_id, hearing.since)))
        except Exception:  # messages are a courtesy: without them the job goes on
            return []

    def _counted(self, job_id: str) -> dict[str, int]:
        try:
            return self.jobs.counters(job_id)
        except Exception as error:  # the work is done, and what was written is checked without them
            self.say(f"{self.name}: the job's counters can't be read ({kind_of(error)})")
            return {}

    def _last_words(self, job_id: str, hearing: Hearing) -> str:
        for _ in range(LAST_WORDS):
            if hearing.withheld:
                break
            time.sleep(self.poll_s)
            self._heard(job_id, hearing)
        return hearing.reason

    def _cancel(self, job_id: str) -> None:
        try:
            self.jobs.cancel(job_id)
        except Exception:  # the interruption is what has to be told; a job that ended meanwhile can't be cancelled
            return


def next_pause(pause: float) -> float:
    """The pause after one without news, in seconds."""
    return min(pause * POLL_GROWTH, max(SLOWEST_POLL_S, pause))


def _checked(name: str) -> str:
    if _JOB_NAME.fullmatch(name) is None:
        raise PipelineFailed("a Dataflow job's name is a stage's and a partition's: small letters, digits and hyphens")
    return name


def _attach_label(attach: str) -> str:
    # A label takes 63 of [a-z0-9_-]; the text is made of keyed tokens and names of the code, of which this tells nothing.
    return hashlib.sha256(attach.encode()).hexdigest()[:40]
