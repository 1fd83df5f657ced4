"""The contract that Dataflow's stub holds requests against finds those that break it, and takes what Google's JSON takes."""

import urllib.request

import pytest

from tests.fakes.dataflow_rest import CONTRACT, DataflowRest

JOBS = "v1b3/projects/p/locations/eu/jobs"


@pytest.mark.parametrize(
    ("request_line", "breach"),
    [
        (("POST", JOBS, {}, {"name": "n", "labels": {"a": "b"}, "environment": {"workerPools": [{"numWorkers": 2}]}}), ""),
        (("POST", JOBS, {}, {"type": "JOB_TYPE_BATCH"}), ""),
        (("POST", JOBS, {"$alt": "json;enum-encoding=int"}, {"type": 1}), ""),
        (("POST", JOBS, {}, {"type": "BATCH"}), "BATCH is none of the values"),
        (("POST", JOBS, {}, {"type": 99}), "99 is none of the values"),
        (("POST", JOBS, {}, {"type": True}), "True is none of the values"),
        (("POST", JOBS, {}, {"label": {}}), "label: not in Job"),
        (("POST", JOBS, {}, {"labels": {"a": 1}}), "labels.a: a number where a text is expected"),
        (("POST", JOBS, {}, {"environment": {"workerPools": [{"workers": 2}]}}), "workerPools[0].workers: not in WorkerPool"),
        (("GET", f"{JOBS}/j/messages", {"startTime": "2026-01-01T00:00:00Z"}, {}), ""),
        (("GET", f"{JOBS}/j/messages", {"since": "2026"}, {}), "no parameter since"),
        (("GET", f"{JOBS}/j/metrics", {}, {"x": 1}), "takes no body"),
        (("POST", "v1b3/projects/p/locations/eu/flexTemplates:launch", {}, {"launchParameter": {"jobName": "n"}}), ""),
        (("DELETE", f"{JOBS}/j", {}, {}), "no method"),
    ],
)  # fmt: skip
def test_the_contract_finds_a_request_that_breaks_it(request_line, breach):
    found = CONTRACT.breaches(*request_line)
    assert breach in "".join(found)
    assert bool(found) == bool(breach)


def test_the_stub_does_not_end_well_after_a_request_that_breaks_the_contract():
    stub = DataflowRest()

    def ask():
        with stub:
            job = stub.add("n")
            urllib.request.urlopen(f"{stub.endpoint}/{JOBS}/{job.id}/messages?since=1").read()

    with pytest.raises(AssertionError, match="no parameter since"):
        ask()
