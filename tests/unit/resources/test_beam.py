"""Pipelines: counters, failures without elements, jobs that are cancelled or found again."""

import traceback

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics

from resources.beam import BeamEngine, PipelineFailed, job_name, wait
from resources.dataflow import ATTACH_LABEL, ActiveJob, run_job


class Count(beam.DoFn):
    """Counts what it sees; fails at a name."""

    def process(self, element):
        Metrics.counter("stage", "seen").inc()
        Metrics.counter(str(len(element)), "by_length").inc(2)
        if element == "DOE^JANE":
            raise ValueError(element)
        yield element


def pipeline_over(*elements):
    def build(pipeline):
        _ = pipeline | beam.Create(list(elements)) | beam.Reshuffle() | beam.ParDo(Count())

    return build


def test_counters_come_back_by_name_summed_over_namespaces():
    assert BeamEngine().run(pipeline_over("a", "bb", "cc"), name="count") == {"by_length": 6, "seen": 3}


def test_a_failed_pipeline_says_its_kind_and_no_element(caplog, capfd):
    build = pipeline_over("a", "DOE" + "^JANE")
    with pytest.raises(PipelineFailed) as caught:
        BeamEngine().run(build, name="metadata-st-mary")
    assert "DOE" not in "".join(traceback.format_exception(caught.value))
    assert "DOE" not in caplog.text
    assert "DOE" not in "".join(capfd.readouterr())
    assert caught.value.__context__ is None
    assert "metadata-st-mary" in str(caught.value)


def test_the_programs_command_line_is_not_read(monkeypatch):
    monkeypatch.setattr("sys.argv", ["program", "--runner=DataflowRunner", "--job_name=stolen"])
    assert BeamEngine().run(pipeline_over("a"), name="count")["seen"] == 1


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("thumbnails-st-mary", "thumbnails-st-mary"),
        ("Stage_One/É", "stage-one"),
        ("9lives", "g-9lives"),
        ("x" * 90, "x" * 60),
        ("a" * 59 + "-b", "a" * 59),
    ],
)
def test_job_names_are_what_dataflow_accepts(name, cleaned):
    assert job_name(name) == cleaned


class FakeResult:
    """A job that goes through states, one a question; the last one stays."""

    def __init__(self, *states, job_id="job-1"):
        self._states = list(states)
        self._job_id = job_id
        self.cancelled = False

    def job_id(self):
        return self._job_id

    @property
    def state(self):
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if isinstance(state, BaseException):
            raise state
        return state

    def cancel(self):
        self.cancelled = True
        self._states = ["CANCELLED"]

    def metrics(self):
        return None


class FakeJobs:
    """The service: jobs that run, and what a submission gives."""

    def __init__(self, *running, submitted=None):
        self._running = {job.job_id: (job, result) for job, result in running}
        self._submitted = submitted or FakeResult("RUNNING", "DONE", job_id="new")
        self.submissions = []

    def active(self, name):
        assert name == "thumbnails-st-mary"
        return [job for job, _ in self._running.values()]

    def attach(self, job_id):
        return self._running[job_id][1]

    def submit(self, build, labels):
        if isinstance(self._submitted, Exception):
            raise self._submitted
        self.submissions.append(dict(labels))
        return self._submitted

    def console(self, job_id):
        return f"https://console/{job_id}"


def run(jobs, attach=None):
    said = []
    counted = run_job(jobs, lambda pipeline: None, "thumbnails-st-mary", attach, said.append, 0.0)
    return counted, said


def test_a_job_is_submitted_and_its_page_is_told():
    jobs = FakeJobs()
    counted, said = run(jobs)
    assert counted == {}
    assert jobs.submissions == [{}]
    assert any("https://console/new" in line for line in said)


def test_a_job_of_the_same_work_is_waited_for_and_not_started_again():
    first = FakeJobs()
    run(first, attach="run-1")
    label = first.submissions[0][ATTACH_LABEL]
    running = FakeResult("RUNNING", "DONE", job_id="old")
    again = FakeJobs((ActiveJob("old", {ATTACH_LABEL: label}), running))
    run(again, attach="run-1")
    assert again.submissions == []
    assert not running.cancelled


@pytest.mark.parametrize("attach", [None, "run-2"])
def test_a_job_left_over_by_other_work_is_cancelled_before_the_new_one(attach):
    left_over = FakeResult("RUNNING", job_id="old")
    jobs = FakeJobs((ActiveJob("old", {ATTACH_LABEL: "of-another-run"}), left_over))
    run(jobs, attach=attach)
    assert left_over.cancelled
    assert len(jobs.submissions) == 1


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "DRAINED", "UPDATED"])
def test_a_job_that_did_not_end_well_is_a_failure(state):
    with pytest.raises(PipelineFailed, match=state.lower()):
        run(FakeJobs(submitted=FakeResult("RUNNING", state)))


def test_a_refused_submission_says_its_kind_only():
    with pytest.raises(PipelineFailed) as caught:
        run(FakeJobs(submitted=ValueError("DOE^JANE")))
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("interruption", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (SystemExit(), SystemExit), (OSError("connection"), PipelineFailed)],
)
def test_a_wait_that_is_interrupted_cancels_the_job(interruption, raised):
    result = FakeResult("RUNNING", interruption)
    with pytest.raises(raised):
        wait(result, "job", lambda message: None, 0.0)
    assert result.cancelled
