"""Pipelines: counters, failures without elements, jobs that are cancelled or found again."""

import signal
import threading
import traceback

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics

from resources.engines import portable
from resources.engines.beam import BeamEngine
from resources.engines.waiting import PipelineFailed, job_name, wait
from resources.errors import withheld_text


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
def test_job_names_are_what_every_runner_accepts(name, cleaned):
    assert job_name(name) == cleaned


class FakeResult:
    """A job that goes through states, one a question; the last one stays."""

    def __init__(self, *states):
        self._states = list(states)
        self.cancelled = False

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


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "DRAINED", "UPDATED"])
def test_a_job_that_did_not_end_well_is_a_failure(state):
    with pytest.raises(PipelineFailed, match=state.lower()):
        wait(FakeResult("RUNNING", state), "job", lambda message: None, 0.0)


@pytest.mark.parametrize(
    ("interruption", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (SystemExit(), SystemExit), (OSError("connection"), PipelineFailed)],
)
def test_a_wait_that_is_interrupted_cancels_the_job(interruption, raised):
    result = FakeResult("RUNNING", interruption)
    with pytest.raises(raised):
        wait(result, "job", lambda message: None, 0.0)
    assert result.cancelled


@pytest.mark.parametrize("lost", [1, 2])
def test_a_job_is_not_given_up_for_a_lost_answer(lost):
    result = FakeResult("RUNNING", *[OSError("connection")] * lost, "RUNNING", "DONE")
    said = []
    wait(result, "job", said.append, 0.0)
    assert said == ["job: running", "job: done"]
    assert not result.cancelled


def test_the_text_of_a_lost_connection_is_kept_for_the_diagnostics():
    with pytest.raises(PipelineFailed) as caught:
        wait(FakeResult(OSError("DOE^JANE")), "job", lambda message: None, 0.0)
    assert "DOE" not in str(caught.value)
    assert "DOE^JANE" in withheld_text(caught.value)


# --- Prism and Flink: a job that nobody waits for any more is cancelled, whenever that was ------------------------------------


class Taken(FakeResult):
    """A job on a server."""

    def __init__(self):
        super().__init__("RUNNING")
        self._message_stream = ()
        self.cleaned = False

    def _cleanup(self):
        self.cleaned = True


class Submission:
    """Stands for `beam.Pipeline`: interrupts this process's main thread when the server is in the middle of taking the job."""

    def __init__(self, job, interrupts=True, fails=False):
        self.job, self.interrupts, self.fails = job, interrupts, fails
        self.interrupted = threading.Event()

    def __call__(self, options):
        return self

    def run(self):
        if self.interrupts:
            signal.raise_signal(signal.SIGINT)
            assert self.interrupted.wait(20)
        if self.fails:
            raise OSError("DOE^JANE")
        return self.job


def run_on_server(monkeypatch, submission, say=lambda message: None):
    monkeypatch.setattr(portable.beam, "Pipeline", submission)
    portable.run_on_job_server("prism", lambda pipeline: None, "headers-st-mary", [], say, 0.01)


@pytest.fixture
def interrupting(monkeypatch):
    """Ctrl-C ends the run, also where the tests were started in the background; returns a submission that it meets."""
    submission = Submission(Taken())

    def interrupt(*_):
        submission.interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    yield submission
    signal.signal(signal.SIGINT, before)


def test_a_run_that_is_ended_while_it_submits_cancels_the_job_that_was_taken(monkeypatch, interrupting):
    with pytest.raises(KeyboardInterrupt):
        run_on_server(monkeypatch, interrupting)
    assert (interrupting.job.cancelled, interrupting.job.cleaned) == (True, True)


def test_a_run_that_is_ended_while_its_job_is_refused_says_that_it_was_ended(monkeypatch, interrupting):
    interrupting.fails = True
    with pytest.raises(KeyboardInterrupt):
        run_on_server(monkeypatch, interrupting)
    assert not interrupting.job.cancelled


def test_a_run_that_is_ended_just_after_its_job_was_taken_cancels_it(monkeypatch):
    job = Taken()

    def ended(message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_server(monkeypatch, Submission(job, interrupts=False), ended)
    assert (job.cancelled, job.cleaned) == (True, True)


def test_a_job_that_the_server_does_not_take_is_told_by_its_kind(monkeypatch):
    with pytest.raises(PipelineFailed, match="not accepted by prism: OSError") as caught:
        run_on_server(monkeypatch, Submission(None, interrupts=False, fails=True))
    assert "DOE" not in str(caught.value)
