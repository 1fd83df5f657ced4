"""A stage on Dataflow, whole: its job as it is sent, what it leaves when it fails, and a job that outlived its run."""

import base64
import bz2
import contextlib
import json
import re
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gradient_assets.pipelines import flex_template
from gradient_assets.pipelines.attaching import outliving, work_named
from gradient_assets.pipelines.beam_stage import PLAN
from gradient_assets.pipelines.stage import ObjectCommit, StageRun
from gradient_assets.tables import ALL_TABLES
from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.staging import Staging
from resources.engines.beam import BeamEngine
from resources.engines.dataflow import DataflowEngine, DataflowSite
from resources.engines.waiting import PipelineFailed
from tests.fakes.dataflow_rest import DataflowRest, options_sent, run_staged, staged_graph
from tests.fakes.small_home import NAME, OBJECTS, PATIENT, SmallHome
from tests.unit.pipelines.dataflow_golden import GOLDEN, normal, sent

ROOT = Path(__file__).parents[3]
IDENTIFIERS = [PATIENT, NAME, "Quillfeather", "quillfeather", "Zebulon", "1.2.3.4.1", "19610203"]


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    return folder, *sent(folder)


def test_the_job_is_the_reviewed_one(submitted):
    folder, _, job, _ = submitted
    assert normal(job, folder) == json.loads(GOLDEN.read_text(encoding="utf-8")), (
        "Look at the difference; where it is meant: python -m tests.unit.pipelines.dataflow_golden"
    )


_PACKED = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")


def unpacked(payload):
    """A payload and what is packed in it: Beam puts code into the graph as base64 of a compressed pickle."""
    found = [payload]
    for part in _PACKED.findall(payload):
        for start in range(4):  # letters of the field before it may look like base64, too
            for unpack in (bz2.decompress, zlib.decompress):
                with contextlib.suppress(ValueError, OSError, zlib.error):
                    found.append(unpack(base64.b64decode(part[start : start + (len(part) - start) // 4 * 4])))
    return found


def test_no_identifier_and_no_key_is_in_anything_that_is_sent(submitted):
    folder, home, job, service = submitted
    key = home.identity.key.secret
    graph = staged_graph(job)
    payloads = [one.spec.payload for one in graph.components.transforms.values()]
    shown = [data.payload for one in graph.components.transforms.values() for data in one.display_data]
    staged = [path.read_bytes() for path in (folder / "staging").rglob("*") if path.is_file()]
    asked = [json.dumps(request).encode() for request in service.requests]
    everything = [part for one in (*payloads, *shown, *staged, *asked) for part in unpacked(one)]
    assert b"PlacedPlan" in b"".join(everything), "the code is unpacked, so this search can find what is in it"
    for secret in (key, key.hex().encode(), *(text.encode() for text in IDENTIFIERS)):
        assert not [one for one in everything if secret in one]


@dataclass
class Unlocked:
    """A warehouse whose stagings are as a remote bucket's: nobody can tell that a run is dead, so nothing is swept."""

    inner: object

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def staging(self, zone, run_id):
        locked = self.inner.staging(zone, run_id)
        with locked:
            root = locked.root
        return fresh(root, run_id)


def fresh(root, run_id):
    return Staging(root.under(f"{run_id}/{time.time_ns():016x}"), root)


@dataclass(frozen=True)
class UnlockedObjects(ObjectCommit):
    def staging(self, name):
        return fresh(self.bucket.under("_staging"), name)


@pytest.fixture
def home(tmp_path):
    return SmallHome.build(tmp_path / "home", with_thumbnails=False)


@pytest.fixture
def service():
    with DataflowRest() as running:
        yield running


@pytest.fixture
def engine(service, tmp_path):
    for name in ("staging", "temp"):
        (tmp_path / name).mkdir()
    site = DataflowSite("project-x", "europe-west3", str(tmp_path), "worker:1", endpoint=service.endpoint)
    return DataflowEngine(site=site, progress_s=0.05)


def make_thumbnails(home, engine, said=None, run_id="run"):
    warehouse = Unlocked(home.resources.warehouse)
    said = [] if said is None else said
    run = StageRun(warehouse, engine, "st-mary", run_id, {"st-mary": home.hospital}, say=said.append)
    thumbnails = home.resources.thumbnails
    keys = lambda: {stat.key for stat in thumbnails.listing() if "_staging" not in stat.key}  # noqa: E731
    return run.run(home.step, home.source.pixels(home.step.version), UnlockedObjects(thumbnails, "st-mary/", keys))


def seen(home):
    warehouse = home.resources.warehouse
    rows = {spec.full_name: warehouse.content_digest(spec, "st-mary") for spec in ALL_TABLES}
    return rows, sorted(stat.key for stat in home.resources.thumbnails.listing() if "_staging" not in stat.key)


def staged(home):
    """What lies in the stagings; locks are of local folders only."""
    files = [path for path in home.path.rglob("*") if path.is_file() and path.suffix != ".part"]
    return [path for path in files if "staging" in str(path.parent)]


def test_a_stage_on_dataflow_commits_what_the_embedded_one_does(home, service, engine, tmp_path):
    service.works = True
    other = SmallHome.build(tmp_path / "other", with_thumbnails=False)
    counts, expected = make_thumbnails(home, engine), make_thumbnails(other, BeamEngine())
    assert (counts.rows_out, counts.quarantined) == (expected.rows_out, expected.quarantined)
    assert counts.counters == expected.counters
    assert len(seen(home)[1]) == len(seen(other)[1]) >= len(OBJECTS)
    assert staged(home) == [], "nothing is left, the note neither"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_job_that_wrote_all_and_failed_is_not_committed(home, service, engine, state):
    before = seen(home)

    def work_and_fail(job):
        run_staged(job)
        assert job.states == ["DONE"], job.error
        job.states = ["RUNNING", state]

    service.made = work_and_fail
    with pytest.raises(PipelineFailed, match=state.lower()):
        make_thumbnails(home, engine)
    assert seen(home) == before
    assert staged(home) == []


class Killed(BaseException):
    """The process is gone: nothing of it runs on."""


@pytest.fixture
def killed_while_it_runs(home, service, engine, monkeypatch):
    """A first run that died while its job ran on: its stagings and its note are there, nothing was cancelled."""
    monkeypatch.setattr(DataflowEngine, "run", _submit_and_die)
    monkeypatch.setattr(Staging, "__exit__", lambda *_: None)
    monkeypatch.setattr("gradient_assets.pipelines.attaching._forget", lambda *_: None)
    with pytest.raises(Killed):
        make_thumbnails(home, engine, run_id="first")
    monkeypatch.undo()
    (job,) = service.jobs.values()
    return job


def _submit_and_die(self, build, *, name, on_progress=None, attach=None):
    from resources.engines.dataflow import ATTACH_LABEL, _attach_label

    self._submit(build, name, {ATTACH_LABEL: _attach_label(attach)})
    raise Killed


def test_a_retried_run_waits_for_the_job_that_still_runs(home, service, engine, killed_while_it_runs):
    job, said = killed_while_it_runs, []

    def work(kind, path, query, body, answered=service.answered):
        # The job does its work while the second run is waiting for it.
        if kind == "get" and job.asked == 1 and job.states == ["RUNNING"]:
            run_staged(job)
        return answered(kind, path, query, body)

    service.answered = work
    counts = make_thumbnails(home, engine, said, run_id="second")
    assert service.kinds["create"] == 1, "no second job"
    assert counts.processed == len(OBJECTS)
    assert len(seen(home)[1]) >= len(OBJECTS)
    assert any("still runs; waiting" in line for line in said)
    assert staged(home) == [], "the first run's stagings are gone as well"


def test_a_retried_run_takes_what_a_job_wrote_that_ended_meanwhile(home, service, engine, killed_while_it_runs):
    run_staged(killed_while_it_runs)
    assert make_thumbnails(home, engine, run_id="second").processed == len(OBJECTS)
    assert service.kinds["create"] == 1
    assert staged(home) == []


@pytest.mark.parametrize("ended", ["failed", "other work", "staging lost", "note damaged"])
def test_what_cannot_be_waited_for_is_done_anew(home, service, engine, killed_while_it_runs, ended):
    job = killed_while_it_runs
    if ended == "failed":
        run_staged(job)
        job.states = ["FAILED"]
    if ended == "other work":
        (home.path / "landing/st-mary/dicoms/quillfeather/missed.dcm").unlink()
        spec = home.step.output
        assert home.resources.warehouse.count(spec, "st-mary") == 0
    if ended == "staging lost":
        for path in staged(home):
            if path.name == PLAN:
                path.unlink()
    if ended == "note damaged":
        (note,) = [path for path in staged(home) if path.parent.name == "jobs"]
        note.write_bytes(b'{"work": 1, "places": []}')
    service.works = True
    source = home.source.pixels(home.step.version)
    items = [item for item in source if ended != "other work" or "missed" not in item["object_key"]]
    warehouse = Unlocked(home.resources.warehouse)
    run = StageRun(warehouse, engine, "st-mary", "second", {"st-mary": home.hospital})
    thumbnails = home.resources.thumbnails
    keys = lambda: {stat.key for stat in thumbnails.listing() if "_staging" not in stat.key}  # noqa: E731
    counts = run.run(home.step, items, UnlockedObjects(thumbnails, "st-mary/", keys))
    assert counts.processed == len(items)
    assert service.kinds["create"] == 2
    assert job.state in ("CANCELLED", "FAILED"), "the old job is ended, not forgotten"


def test_equal_work_has_one_name_in_whatever_order_and_other_work_another():
    named = work_named("thumbnails", "1", ["a", "b"])
    assert named == work_named("thumbnails", "1", ["b", "a"])
    others = [("thumbnails", "1", ["a"]), ("thumbnails", "2", ["a", "b"]), ("reports", "1", ["a", "b"])]
    assert len({named, *(work_named(*other) for other in others)}) == 4


def test_a_note_does_not_lead_out_of_the_stagings(tmp_path, service, engine):
    root = Bucket(BucketAddress(str(tmp_path / "root")))
    work = work_named("thumbnails", "1", ["a"])
    places = {"identified": "../../identified/warehouse/x"}
    root.under("jobs").put("thumbnails-st-mary.json", json.dumps({"work": work, "places": places}).encode())
    mine = {"identified": fresh(root, "run")}
    with outliving(engine, "thumbnails-st-mary", work, mine) as writes:
        assert writes.stagings is mine


def test_an_embedded_stage_leaves_no_note(tmp_path):
    root = Bucket(BucketAddress(str(tmp_path / "root")))
    mine = {"identified": fresh(root, "run")}
    with outliving(BeamEngine(), "thumbnails-st-mary", "work", mine) as writes:
        assert writes.stagings is mine
        assert not root.under("jobs").exists("thumbnails-st-mary.json")


@pytest.fixture
def template(engine):
    """The engine with a Flex template: the service's container builds the graph from the parameters alone."""
    site = replace(
        engine.site,
        template="gs://gradient/templates/stage.json",
        service_account="workers@project-x.iam.gserviceaccount.com",
        subnetwork="regions/europe-west3/subnetworks/workers",
        labels=("team=imaging",),
    )
    return replace(engine, site=site)


def launch_as_google_does(service, tmp_path):
    """What the launcher does: it runs the container's program with the parameters, and starts the job from what was staged."""

    def made(job):
        parameters = service.launched[-1]["parameters"]
        stored = tmp_path / "job_object"
        flex_template.main(
            [
                *(f"--{name}={value}" for name, value in parameters.items()),
                "--runner=DataflowRunner",
                f"--template_location={stored}",
                f"--job_name={job.name}",
                *engine_options(service, tmp_path),
            ]
        )
        body = json.loads(stored.read_text(encoding="utf-8"))
        job.body = {**body, "name": job.name, "labels": job.labels}

    return made


def engine_options(service, tmp_path):
    site = DataflowSite("project-x", "europe-west3", str(tmp_path), "worker:1", endpoint=service.endpoint)
    own = ("--no_save_main_session", "--experiments=disable_logging_submission_environment")
    return [option for option in site.options() if option not in own]


def test_a_flex_template_builds_the_same_job_from_four_parameters(home, service, template, tmp_path):
    service.works = True
    service.made = launch_as_google_does(service, tmp_path)
    assert make_thumbnails(home, template).processed == len(OBJECTS)
    (launch,) = service.launched
    assert service.kinds["create"] == 0
    assert launch["containerSpecGcsPath"] == "gs://gradient/templates/stage.json"
    assert launch["jobName"] == "thumbnails-st-mary"
    environment = launch["environment"]
    assert environment["serviceAccountEmail"] == template.site.service_account
    assert environment["subnetwork"] == template.site.subnetwork
    assert environment["ipConfiguration"] == 2, "WORKER_IP_PRIVATE"
    assert environment["additionalUserLabels"]["team"] == "imaging"
    assert "gradient-attach" in environment["additionalUserLabels"]
    assert launch["parameters"].keys() == flex_template.PARAMETERS.keys()
    asked = json.dumps(service.launched)
    assert [text for text in IDENTIFIERS if text in asked] == []
    (job,) = service.jobs.values()
    assert options_sent(job)["save_main_session"] is False


def test_a_template_takes_no_options_that_it_would_lose(home, service, template):
    with pytest.raises(PipelineFailed, match="GRADIENT_BEAM_OPTIONS"):
        make_thumbnails(home, replace(template, options=("--max_num_workers=3",)))
    assert service.launched == []


def test_the_specification_has_the_parameters_that_the_program_takes():
    specification = json.loads((ROOT / "deploy/dataflow/template.json").read_text(encoding="utf-8"))
    described = {one["name"]: one for one in specification["metadata"]["parameters"]}
    assert {name: one["helpText"] for name, one in described.items()} == flex_template.PARAMETERS
    given = {"place": "gs://bucket-x/identified/staging/thumbnails-st-mary-run/0f", "stage": "thumbnails"}
    given |= {"opener": "0" * 64, "chunks": "12"}
    for name, value in given.items():
        (pattern,) = described[name]["regexes"]
        assert re.fullmatch(pattern, value)
        assert not re.fullmatch(pattern, "DOE^JANE")
    assert specification["sdkInfo"] == {"language": "PYTHON"}
