"""Prism and Flink, through a job server: submit a pipeline, follow it, cancel it, and keep to itself what workers raise.

Belongs here: everything about a job that a job server runs.  `beam` chooses the runner, waits and reads counters.

What a worker raises may quote an element, and comes back three times: a LOOPBACK worker prints it and logs it, both in this
process, and the runner sends it as a message.  Nothing of that is shown; the messages hang on the failure for the diagnostics.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.worker import sdk_worker

from resources.engines.waiting import (
    FIRST_POLL_S,
    PipelineFailed,
    cancel,
    counters,
    job_name,
    kind_of,
    silence_beam,
    wait,
)
from resources.errors import holding_back, holding_text_back, withheld_text

LAST_ERRORS = 20
"""Messages kept of a job; Flink repeats one error for each task."""

LAST_WORDS_S = 3.0
"""How long the last messages are waited for after the job has ended."""

SUBMITTED_WITHIN_S = 60.0
"""How long an interrupted run waits for the job that it is submitting, to cancel it; one to three seconds are usual."""


def portable_options(name: str, options: Sequence[str]) -> list[str]:
    """Beam's options for a job server; workers are threads of this process unless `options` name an environment."""
    # The last of two equal options counts.
    return ["--runner=PortableRunner", "--environment_type=LOOPBACK", f"--job_name={job_name(name)}", *options]


def run_on_job_server(
    runner: str,
    build: Callable[[beam.Pipeline], None],
    name: str,
    options: Sequence[str],
    say: Callable[[str], None],
    poll_s: float,
) -> dict[str, int]:
    """Run the pipeline on Prism or Flink; see `BeamEngine.run`."""
    silence_workers()
    pipeline = beam.Pipeline(options=PipelineOptions(portable_options(name, options)))
    build(pipeline)
    failure = None
    try:
        result = _submitted(pipeline)
    except Exception as error:
        failure = holding_back(PipelineFailed(f"pipeline {name}: not accepted by {runner}: {kind_of(error)}"), error)
    if failure is not None:
        raise failure
    try:
        heard = _Heard(result)
        say(f"{name}: accepted by {runner}")
    except BaseException:
        _give_up(result)
        raise
    try:
        wait(result, f"pipeline {name} on {runner}", say, poll_s)
        found = counters(result)
    except PipelineFailed as error:
        failure = heard.held_back_in(error)
    except Exception as error:
        failure = holding_back(PipelineFailed(f"pipeline {name} on {runner}: {kind_of(error)}"), error)
    finally:
        _end_loopback(result)
    if failure is not None:
        raise failure
    return found


def _submitted(pipeline: beam.Pipeline) -> Any:
    """The job, once the server has taken it.  When this wait is interrupted, a job that is taken all the same is cancelled.

    Submitting is several requests, and only the answer to the last one names the job: in a thread of its own it comes to its
    end whatever ends this run.
    """
    submitting: Future[Any] = Future()

    def submit() -> None:
        try:
            submitting.set_result(pipeline.run())
        except BaseException as error:
            submitting.set_exception(error)

    try:
        threading.Thread(target=submit, daemon=True).start()
        # Not without an end: a signal that meets the other thread is heard by this one only when it does something.
        while not futures.wait([submitting], FIRST_POLL_S).done:
            pass
    except BaseException:
        with suppress(Exception):  # none was taken, or none so far; the interruption is what has to be told
            _give_up(submitting.result(SUBMITTED_WITHIN_S))
        raise
    return submitting.result()


def _give_up(result: Any) -> None:
    cancel(result)
    _end_loopback(result)


def silence_workers() -> None:
    """Nothing of Beam speaks in this process any more, nor do the workers in it."""
    silence_beam()
    # The only thing that the module prints is the traceback of a failed element, on stderr; no setting prevents it.
    sdk_worker.print = lambda *_words, **_where: None


def _end_loopback(result: Any) -> None:
    # Beam's own `wait_until_finish` ends the server of LOOPBACK workers so, but it also logs the job's messages.
    with suppress(Exception):  # how the job ended is what has to be told
        result._cleanup()


class _Heard:
    """The last errors among the messages of a job."""

    def __init__(self, result: Any) -> None:
        self._errors: deque[str] = deque(maxlen=LAST_ERRORS)
        # `wait_until_finish` is Beam's own reader of this stream; it logs each message.
        self._reader = threading.Thread(target=self._read, args=[result._message_stream], daemon=True)
        self._reader.start()

    def _read(self, messages: Any) -> None:
        try:
            for message in messages:
                said = message.message_response
                if (
                    message.HasField("message_response")
                    and said.importance == beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR
                ):
                    self._errors.append(said.message_text)
        except Exception:  # the stream ends with its server; the state tells what became of the job
            return

    def held_back_in(self, failure: PipelineFailed) -> PipelineFailed:
        """The failure, with what was heard hung on it."""
        self._reader.join(LAST_WORDS_S)
        return holding_text_back(failure, "\n".join([withheld_text(failure), *self._errors]))
