"""Jobs of a job server: whose processes the workers are, and what is held back.  The runs are in tests/integration."""

import logging
import sys
from types import SimpleNamespace

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options import PortableOptions as BeamPortable
from apache_beam.portability.api import beam_fn_api_pb2, beam_job_api_pb2
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.worker import sdk_worker

from resources.engines.portable import LAST_ERRORS, _Heard, portable_options, silence_workers
from resources.engines.waiting import PipelineFailed
from resources.errors import holding_back, withheld_text

ERROR, WARNING = beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR, beam_job_api_pb2.JobMessage.JOB_MESSAGE_WARNING


@pytest.mark.parametrize(
    ("given", "urn", "named"),
    [
        ((), "beam:env:embedded_python_loopback:v1", ""),
        (
            ("--environment_type=EXTERNAL", "--environment_config=localhost:50000"),
            "beam:env:external:v1",
            "localhost:50000",
        ),
        (
            ("--environment_type=DOCKER", "--environment_config=hub/gradient:1.4"),
            "beam:env:docker:v1",
            "hub/gradient:1.4",
        ),
        (
            ("--environment_type=PROCESS", '--environment_config={"command": "/opt/beam/boot"}'),
            "beam:env:process:v1",
            "/opt/beam/boot",
        ),
    ],
)
def test_workers_are_what_the_options_name(given, urn, named):
    options = PipelineOptions(portable_options("thumbnails-st-mary", ("--job_endpoint=localhost:8099", *given)))
    environment = PortableRunner._create_environment(options).to_runner_api(None)
    assert environment.urn == urn
    assert named.encode() in environment.payload
    assert options.view_as(BeamPortable).job_endpoint == "localhost:8099"


def harness():
    """As much of a worker as is needed to run one instruction."""
    made = sdk_worker.SdkHarness.__new__(sdk_worker.SdkHarness)
    answers = []
    made._responses = SimpleNamespace(put=answers.append)
    return made, answers


def test_a_worker_in_this_process_says_nothing_of_a_failed_element(caplog, capfd):
    def fails():
        raise ValueError("DOE" + "^JANE")

    silence_workers()
    worker, answers = harness()
    worker._execute(fails, beam_fn_api_pb2.InstructionRequest(instruction_id="1"))
    assert "DOE^JANE" in answers[0].error, "the runner hears of it, so there was something to say"
    assert "DOE" not in caplog.text
    assert "DOE" not in "".join(capfd.readouterr())


def test_silence_is_for_beam_alone(capfd, caplog):
    silence_workers()
    logging.getLogger("gradient.test").warning("a line of ours")
    sys.stderr.write("printed by us\n")
    assert "a line of ours" in caplog.text
    assert "printed by us" in capfd.readouterr().err


def messages(*said):
    """A job's messages, with a change of state between them as a runner sends it."""
    yield beam_job_api_pb2.JobMessagesResponse(state_response=beam_job_api_pb2.JobStateEvent(state="RUNNING"))
    for importance, text in said:
        message = beam_job_api_pb2.JobMessage(importance=importance, message_text=text)
        yield beam_job_api_pb2.JobMessagesResponse(message_response=message)


def test_the_last_errors_of_a_job_hang_on_the_failure_and_are_not_in_it():
    said = [(WARNING, "slow"), *((ERROR, f"DOE^JANE {number}") for number in range(LAST_ERRORS + 2))]
    heard = _Heard(SimpleNamespace(_message_stream=messages(*said)))
    failure = heard.held_back_in(holding_back(PipelineFailed("ended as failed"), OSError("connection")))
    assert str(failure) == "ended as failed"
    text = withheld_text(failure)
    assert "connection" in text
    assert f"DOE^JANE {LAST_ERRORS + 1}" in text
    assert "DOE^JANE 1\n" not in text
    assert "slow" not in text


def test_a_stream_that_breaks_is_no_error_of_the_run():
    def broken():
        yield from messages((ERROR, "DOE^JANE"))
        raise OSError("connection")

    failure = _Heard(SimpleNamespace(_message_stream=broken())).held_back_in(PipelineFailed("ended as failed"))
    assert "DOE^JANE" in withheld_text(failure)
