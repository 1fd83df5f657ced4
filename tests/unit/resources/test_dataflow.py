"""Jobs on Dataflow, against its REST interface on localhost: sent whole, followed patiently, ended when nobody waits."""

import json
import re
import time
from datetime import UTC, datetime

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics

from resources.engines.beam import BeamEngine
from resources.engines.dataflow import (
    ATTACH_LABEL,
    REFUSED_OPTIONS,
    SLOWEST_POLL_S,
    DataflowEngine,
    DataflowSite,
    Job,
    next_pause,
)
from resources.engines.dataflow_messages import Hearing, told
from resources.engines.dataflow_service import DataflowService, JobMessage
from resources.engines.waiting import PipelineFailed
from resources.errors import withheld_text
from resources.settings import Settings, SettingsError
from tests.fakes.dataflow_rest import DataflowRest, options_sent

NAME = "thumbnails-st-mary"
PLACE = ("project-x", "europe-west3")


class Count(beam.DoFn):
    """Counts what it sees; fails at a name."""

    def process(self, element):
        Metrics.counter("stage", "seen").inc()
        if element == "DOE^JANE":
            raise ValueError(element)
        yield element


def pipeline_over(*elements):
    def build(pipeline):
        _ = pipeline | beam.Create(list(elements)) | beam.Reshuffle() | beam.ParDo(Count())

    return build


@pytest.fixture
def service():
    with DataflowRest() as running:
        yield running


@pytest.fixture
def job(service):
    """A job's follower that asks without pauses, and what it said."""
    said = []
    asked = DataflowService(*PLACE, service.endpoint, first_pause_s=0.01, deadline_s=2.0)
    follower = Job(asked, NAME, said.append, 0.0)
    return follower, said


def starting(service, *states, then=lambda job: None):
    """What submits: the service has the job with these states."""

    def submit(labels):
        started = service.add(NAME, labels, states or ("RUNNING", "DONE"))
        then(started)
        return started.id

    return submit


def never(labels):
    raise AssertionError("a second job was submitted")


@pytest.fixture
def site(service, tmp_path):
    """A site with everything named; staged files go to a folder."""
    for name in ("staging", "temp"):
        (tmp_path / name).mkdir()
    package = tmp_path / "gradient_assets-1.0-py3-none-any.whl"
    package.write_bytes(b"PK")
    return DataflowSite(
        *PLACE,
        staging=str(tmp_path),
        image="europe-docker.pkg.dev/project-x/gradient/worker:1",
        package=str(package),
        network="hospital-net",
        subnetwork="regions/europe-west3/subnetworks/workers",
        service_account="workers@project-x.iam.gserviceaccount.com",
        kms_key="projects/project-x/locations/europe-west3/keyRings/r/cryptoKeys/k",
        labels=("team=imaging",),
        endpoint=service.endpoint,
    )


def test_a_job_is_sent_with_its_package_image_network_account_and_labels(service, site, tmp_path):
    service.works = True
    said = []
    engine = DataflowEngine(site=site, progress_s=0.02)
    assert engine.run(pipeline_over("a", "bb"), name=NAME, on_progress=said.append) == {"seen": 2}
    (sent,) = service.jobs.values()
    pool = sent.body["environment"]["workerPools"][0]
    assert pool["workerHarnessContainerImage"] == site.image
    assert (pool["network"], pool["subnetwork"]) == (site.network, site.subnetwork)
    assert pool["ipConfiguration"] == 2, "WORKER_IP_PRIVATE"
    assert "gradient_assets-1.0-py3-none-any.whl" in [one["name"] for one in pool["packages"]]
    assert (tmp_path / "staging/gradient_assets-1.0-py3-none-any.whl").read_bytes() == b"PK"
    assert sent.body["environment"]["serviceAccountEmail"] == site.service_account
    assert sent.body["environment"]["serviceKmsKeyName"] == site.kms_key
    assert sent.name == NAME
    assert {name: value for name, value in sent.labels.items() if "gradient" not in name} == {"team": "imaging"}
    assert service.kinds["elsewhere"] == 0
    assert all("/locations/europe-west3/" in path for _, _, path, _ in service.requests), "the region's own path"
    assert any("https://console.cloud.google.com/dataflow/jobs/europe-west3/" in line for line in said)


def test_no_main_session_and_no_list_of_this_machines_packages_is_staged(service, site, tmp_path):
    service.works = True
    DataflowEngine(site=site, progress_s=0.02).run(pipeline_over("a"), name=NAME)
    (sent,) = service.jobs.values()
    assert options_sent(sent)["save_main_session"] is False
    staged = sorted(path.name for path in (tmp_path / "staging").iterdir())
    assert staged == ["extra_packages.txt", "gradient_assets-1.0-py3-none-any.whl", "pipeline.pb"]


def test_the_error_of_an_element_is_told_by_its_kind_and_kept_for_the_diagnostics(service, site, caplog, capfd):
    service.works = True
    said = []
    build = pipeline_over("a", "DOE" + "^JANE")
    with pytest.raises(PipelineFailed) as caught:
        DataflowEngine(site=site, progress_s=0.02).run(build, name=NAME, on_progress=said.append)
    assert "failed" in str(caught.value)
    assert "ValueError" in str(caught.value)
    shown = "\n".join([str(caught.value), *said, caplog.text, *capfd.readouterr()])
    assert "DOE" not in shown
    assert caught.value.__context__ is None
    assert "DOE^JANE" in withheld_text(caught.value), "the test's error would be seen"


@pytest.mark.parametrize("option", sorted(REFUSED_OPTIONS))
def test_an_option_that_would_let_something_out_is_refused(service, site, option):
    engine = DataflowEngine(options=(f"{option}=x",), site=site)
    with pytest.raises(PipelineFailed, match=option):
        engine.run(pipeline_over("a"), name=NAME)
    assert service.kinds["create"] == 0


@pytest.mark.parametrize(
    "name", ["thumbnails-DOE^JANE", "thumbnails st-mary", "Thumbnails", "", "-x", "x" * 300, "x\ny"]
)
def test_a_name_of_another_form_is_refused_before_anything_is_sent_and_not_repeated(service, site, name):
    with pytest.raises(PipelineFailed) as caught:
        DataflowEngine(site=site).run(pipeline_over("a"), name=name)
    assert not service.requests
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("label", ["patient=DOE^JANE", "Team=x", "team", "x=" + "y" * 64])
def test_a_label_that_google_does_not_take_is_refused(service, site, label):
    from dataclasses import replace

    with pytest.raises(PipelineFailed, match="GRADIENT_DATAFLOW_LABELS") as caught:
        DataflowEngine(site=replace(site, labels=(label,))).run(pipeline_over("a"), name=NAME)
    assert "DOE" not in str(caught.value)


def test_the_embedded_engine_runs_no_job_on_dataflow():
    with pytest.raises(PipelineFailed, match="DataflowEngine"):
        BeamEngine("dataflow").run(pipeline_over("a"), name=NAME)


def test_settings_become_the_site():
    values = {
        "GRADIENT_GCP_PROJECT": "project-x",
        "GRADIENT_STAGING_URI": "gs://staging/x/",
        "GRADIENT_DATAFLOW_REGION": "europe-west3",
        "GRADIENT_DATAFLOW_IMAGE": "worker:1",
        "GRADIENT_DATAFLOW_LABELS": "team=imaging, cost=42",
    }
    made = DataflowSite.of(Settings.from_environment(values))
    assert (made.project, made.region, made.image) == ("project-x", "europe-west3", "worker:1")
    assert made.staging == "gs://staging/x/dataflow"
    assert made.labels == ("team=imaging", "cost=42")
    for needed in ("GRADIENT_GCP_PROJECT", "GRADIENT_DATAFLOW_REGION", "GRADIENT_DATAFLOW_IMAGE"):
        with pytest.raises(SettingsError, match=needed):
            DataflowSite.of(Settings.from_environment(values | {needed: ""}))


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "DRAINED", "UPDATED"])
def test_a_job_that_did_not_end_well_is_a_failure(service, job, state):
    with pytest.raises(PipelineFailed, match=state.lower()):
        job[0].run(starting(service, "PENDING", "RUNNING", state), None)


def test_counters_are_summed_by_name_and_attempted_ones_stand_in(service, job):
    def counting(started):
        started.count("items", 3)
        started.count("items", 4)
        started.count("items", 9, tentative=True)
        started.count("slow", 2, tentative=True)
        started.count("TotalVcpuTime", 99, origin="dataflow/v1b3")

    assert job[0].run(starting(service, then=counting), None) == {"items": 7, "slow": 2}


def test_a_job_that_is_done_does_not_fail_for_its_counters(service, job):
    follower, said = job
    service.faults = {"metrics": [403] * 10}
    assert follower.run(starting(service), None) == {}
    assert any("counters can't be read" in line for line in said)
    assert service.kinds["update"] == 0


def test_short_outages_of_the_service_are_waited_out(service, job):
    service.faults = {"list": [503], "get": [500, 429, 502, 504, 200, 503], "messages": [503], "metrics": [500]}
    assert job[0].run(starting(service, "PENDING", "RUNNING", "RUNNING", "DONE"), None) == {}
    assert service.kinds["get"] >= 9


def test_a_service_that_stays_away_ends_the_wait_and_the_job(service, job):
    service.faults = {"get": [503] * 1000}
    with pytest.raises(PipelineFailed, match="RetryError") as caught:
        job[0].run(starting(service, "RUNNING"), None)
    assert "DOE" not in str(caught.value)
    assert service.kinds["update"] == 1


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_not_asked_again(service, job, status):
    service.faults = {"list": [status]}
    with pytest.raises(PipelineFailed, match="not accepted by Dataflow") as caught:
        job[0].run(never, None)
    assert "DOE" not in str(caught.value)
    assert service.kinds["list"] == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit()])
def test_a_wait_that_is_interrupted_cancels_the_job(service, job, interruption):
    def interrupted(message):
        if "running" in message:
            raise interruption

    follower = Job(job[0].jobs, NAME, interrupted, 0.0)
    with pytest.raises(type(interruption)):
        follower.run(starting(service, "PENDING", "RUNNING"), None)
    (cancelled,) = service.jobs.values()
    assert cancelled.states[-1] == "CANCELLED"


@pytest.mark.parametrize("made", [True, False])
def test_a_submission_that_is_interrupted_leaves_no_job_running(service, job, made):
    def interrupted(labels):
        if made:
            starting(service, "RUNNING")(labels)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job[0].run(interrupted, "work")
    assert [one.states[-1] for one in service.jobs.values()] == ["CANCELLED"] * made


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("http://localhost:8080", True),
        ("https://localhost.example.org", False),
        ("https://dataflow.googleapis.com/?x=localhost", False),
        ("", False),
    ],
)
def test_only_a_server_on_this_machine_is_asked_without_credentials(endpoint, local):
    site = DataflowSite(*PLACE, "gs://staging", "worker:1", endpoint=endpoint)
    assert ("--no_auth" in site.options()) == local


def test_a_job_of_the_same_work_is_waited_for_and_not_started_again(service, job):
    follower, said = job
    first = Job(follower.jobs, NAME, said.append, 0.0)
    first.run(starting(service), "work-1")
    label = next(iter(service.jobs.values())).labels[ATTACH_LABEL]
    running = service.add(NAME, {ATTACH_LABEL: label}, ["RUNNING", "RUNNING", "DONE"])
    follower.run(never, "work-1")
    assert running.state == "DONE"
    assert service.kinds["update"] == 0
    assert any("still runs; waiting" in line for line in said)


@pytest.mark.parametrize("attach", [None, "other-work"])
def test_a_job_left_over_by_other_work_is_gone_before_the_new_one(service, job, attach):
    left_over = service.add(NAME, {ATTACH_LABEL: "of-another"}, ["RUNNING"])
    seen = []

    def submit(labels):
        seen.append(left_over.state)
        return starting(service)(labels)

    job[0].run(submit, attach)
    assert seen == ["CANCELLED"]


def test_a_job_of_another_name_is_let_be(service, job):
    other = service.add("metadata-st-mary", {}, ["RUNNING"])
    job[0].run(starting(service), None)
    assert other.state == "RUNNING"


def test_a_submission_whose_answer_was_lost_is_found_and_followed(service, job):
    def lost(labels):
        starting(service)(labels)
        raise ConnectionError("DOE^JANE")

    assert job[0].run(lost, None) == {}
    assert len(service.jobs) == 1


def test_a_submission_that_was_refused_says_its_kind_only(service, job):
    def refused(labels):
        raise ValueError("DOE^JANE")

    with pytest.raises(PipelineFailed) as caught:
        job[0].run(refused, None)
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("states", "fares"),
    [([], ""), (["RUNNING"], "running"), (["CANCELLING"], "running"), (["DONE"], "done"), (["FAILED"], "")],
)
def test_how_a_job_fares_that_was_left(service, job, states, fares):
    from resources.engines.dataflow import _attach_label

    for state in states:
        service.add(NAME, {ATTACH_LABEL: _attach_label("work")}, [state])
    service.add(NAME, {ATTACH_LABEL: "of-another"}, ["RUNNING"])
    assert job[0].left("work") == fares


def test_pauses_grow_to_a_minute_and_no_further():
    pauses = [5.0]
    while pauses[-1] < SLOWEST_POLL_S:
        pauses.append(next_pause(pauses[-1]))
    assert pauses == sorted(set(pauses))
    assert pauses[-1] == next_pause(pauses[-1]) == 60.0
    assert len(pauses) < 10


def test_a_job_without_news_is_asked_for_less_often(service, monkeypatch):
    paused = []
    monkeypatch.setattr(time, "sleep", paused.append)
    asked = DataflowService(*PLACE, service.endpoint)
    Job(asked, NAME, lambda message: None, 5.0).run(starting(service, *["RUNNING"] * 6, "CANCELLING", "DONE"), None)
    assert paused[:2] == [5.0, 7.5]
    assert paused[4] > 20
    assert paused[-1] == 5.0, "news begin anew"


MESSAGES = [
    ("Starting 3 workers in europe-west3-b...", "BASIC", "starting 3 workers in europe-west3-b"),
    ("(56b03c4ce491e46b): Workers have started successfully.", "DETAILED", "workers have started"),
    ("Worker configuration: n1-standard-1 in us-central1-a.", "BASIC", "workers are n1-standard-1 in us-central1-a"),
    ("Autoscaling: Raised the number of workers to 7 based on the rate of DOE^JANE.", "DETAILED", "7 workers run"),
    ("Worker configuration: DOE in us-central1-a.", "BASIC", None),
    ("Starting DOE workers in europe-west3-b...", "BASIC", None),
    ("Executing operation DOE^JANE/Read", "BASIC", None),
    ("Traceback …\nValueError: DOE^JANE", "ERROR", "error of unknown form with ValueError; its text is withheld"),
    ("DOE^JANE", "WARNING", "warning of unknown form; its text is withheld"),
    ("Workflow failed. DOE^JANE ZONE_RESOURCE_POOL_EXHAUSTED x", "ERROR", "the zone has no machines left"),
    ("DOE: A work item was attempted 4 times without success.", "ERROR", "a part of the work failed 4 times"),
]


@pytest.mark.parametrize(("text", "importance", "words"), MESSAGES)
def test_of_a_message_only_known_words_and_numbers_are_told(text, importance, words):
    said = told(text, importance)
    assert (said is None) if words is None else said.startswith(words)
    assert "DOE" not in (said or "")


def test_messages_are_streamed_once_each_in_order_over_pages(service, job):
    follower, said = job
    service.page = 2

    def talking(started):
        for number in range(1, 6):
            started.say(f"Autoscaling: Raised the number of workers to {number} based on x", "DETAILED", number)

    follower.run(starting(service, "RUNNING", "RUNNING", "RUNNING", "DONE", then=talking), None)
    heard = [int(found[1]) for line in said if (found := re.search(r": (\d) workers run", line))]
    assert heard == [1, 2, 3, 4, 5]
    assert any("startTime" in path for kind, _, path, _ in service.requests if kind == "messages"), "asks for news only"


def test_a_failures_reason_is_waited_for(service, job):
    """The state comes first, its message up to half a minute later."""
    follower, _ = job

    def late(started):
        ask = service.answered

        def answered(kind, path, query, body):
            if kind == "messages" and started.state == "FAILED" and service.kinds["messages"] > 4:
                started.messages.clear()
                started.say("Startup of the pool failed: QUOTA_EXCEEDED for DOE^JANE", "ERROR", 5)
            return ask(kind, path, query, body)

        service.answered = answered

    with pytest.raises(PipelineFailed, match=r"ended as failed\. the project's quota") as caught:
        follower.run(starting(service, "RUNNING", "FAILED", then=late), None)
    assert "DOE" not in str(caught.value)


def test_messages_that_cannot_be_read_do_not_end_a_job(service, job):
    service.faults = {"messages": [403] * 10}
    assert job[0].run(starting(service), None) == {}


def test_what_is_kept_of_grave_messages_is_bounded():
    hearing = Hearing()
    now = datetime.now(UTC)
    list(hearing.new([JobMessage(str(n), now, "ERROR", "x" * 30_000) for n in range(20)]))
    assert sum(map(len, hearing.withheld)) <= 2 * 16 * 1024


def test_each_known_form_compiles_and_repeats_only_numbers_zones_and_machines():
    from resources.engines import dataflow_messages

    listed = json.loads(
        (dataflow_messages.Path(dataflow_messages.__file__).with_suffix(".json")).read_text(encoding="utf-8")
    )["forms"]
    for form in listed:
        groups = dataflow_messages._pattern(form["form"]).groups
        placeholders = len(re.findall(r"\b(?:ZONE|MACHINE|N)\b", form["form"]))
        assert groups == placeholders, form["form"]
        assert form["say"].format(*["1"] * groups)
