"""The pipeline of a stage: what its graph holds, what its workers raise, and what they tell meanwhile."""

import pickle
import time
from dataclasses import replace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gradient_assets.deid.headers import Profile
from gradient_assets.integrity.records import engine_versions
from gradient_assets.pipelines import beam_stage
from gradient_assets.pipelines.beam_stage import PLAN, ApplyStep, PlacedPlan, StagePlan, WriteManifest, read_progress
from gradient_assets.pipelines.metadata import CleanHeaders
from gradient_assets.pipelines.pool import PoolError
from gradient_assets.pipelines.progress import Progress, counted, watching
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.worklist import Worklist
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes.small_home import SmallHome


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("home"), with_thumbnails=False)


@pytest.fixture
def place(tmp_path):
    bucket = Bucket(BucketAddress(str(tmp_path / "staging")))
    return StagingPlace(bucket, bucket.uri)


@pytest.fixture
def plan(home, place):
    step = CleanHeaders(home.hospital, Profile.named("longitudinal"), home.identity)
    return StagePlan(step, {"st-mary": home.hospital}, {"identified": place}, processes=1, tells=True)


@pytest.fixture
def chunk(place):
    work = Worklist(place)
    work.add(
        {"work_token": "t", "object_key": "quillfeather/sure.dcm", "object_pseudonym": "p", "hospital_id": "st-mary"}
    )
    work.close()
    return work.chunks[0]


class DoFns(PipelineVisitor):
    """Every DoFn of a pipeline, as Beam packs them into the graph but for the compression."""

    def __init__(self):
        self.packed = []

    def visit_transform(self, node):
        if isinstance(node.transform, beam.ParDo) and type(node.transform.fn).__module__ == beam_stage.__name__:
            self.packed.append(pickle.dumps(node.transform.fn))


def test_neither_the_graph_that_a_runner_stores_nor_the_staging_holds_a_key(home, plan, place):
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    beam_stage.build(plan, ["work-000000.jsonl"])(pipeline)
    dofns = DoFns()
    pipeline.visit(dofns)
    secret = home.identity.key.secret
    assert secret in pickle.dumps(plan), "the step holds the key, so this search can find it"
    assert len(dofns.packed) == 2
    assert not [packed for packed in dofns.packed if secret in packed]
    assert secret not in place.bucket.get(PLAN)
    assert secret in pickle.dumps(PlacedPlan.of(plan).get())
    assert "opener" not in repr(PlacedPlan.of(plan))


def test_a_plan_that_was_changed_is_not_unpickled(plan, place, chunk):
    placed = PlacedPlan.of(plan)
    place.bucket.put(PLAN, place.bucket.get(PLAN) + b"more")
    with pytest.raises(PoolError, match="its plan was changed"):
        list(ApplyStep(placed).process(chunk))


def worker_with(monkeypatch, **versions):
    monkeypatch.setattr(beam_stage, "engine_versions", lambda: engine_versions() | versions)


@pytest.mark.parametrize("name", ["package", "headers", "pixels", "text"])
def test_a_worker_of_another_version_does_nothing_and_says_so_in_a_line(plan, place, chunk, monkeypatch, name):
    placed = PlacedPlan.of(plan)
    before = {stat.key for stat in place.bucket.listing()}
    worker_with(monkeypatch, **{name: "0.0.9"})
    with pytest.raises(
        PoolError, match=rf"another version than the platform \({name} 0\.0\.9 instead of [\d.]+\)"
    ) as caught:
        list(ApplyStep(placed).process(chunk))
    assert "\n" not in str(caught.value)
    assert beam_stage.read_failure(place) == str(caught.value), "the run's log says the same"
    assert {stat.key for stat in place.bucket.listing()} == before | {beam_stage.FAILURE}


class Bomb:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


@pytest.mark.parametrize("versions", [b"", b"no JSON\n", b"{}\n", b'{"package": "0.1.0"}\n'])
def test_a_plan_that_does_not_say_all_versions_is_not_unpickled(place, versions):
    opener, nonce = AESGCM.generate_key(256), bytes(12)
    place.bucket.put(PLAN, nonce + AESGCM(opener).encrypt(nonce, versions + pickle.dumps(Bomb()), None))
    with pytest.raises(PoolError, match="another version than the platform"):
        PlacedPlan(place, "thumbnails", opener).get()


class Unwritable(Bucket):
    """A bucket that quotes a patient when one of its objects is put."""

    refused = (beam_stage.MANIFEST,)

    def put(self, key, content):
        if key in self.refused:
            raise ValueError("DOE^JANE")
        return super().put(key, content)


class Unreachable(Unwritable):
    """Nor can the failure itself be put."""

    refused = (beam_stage.MANIFEST, beam_stage.FAILURE)


def fails_at_items(plan, place):
    place.bucket.put("work-000000.jsonl", b'{"patient": "DOE^JANE"')
    return lambda: list(ApplyStep(PlacedPlan.of(plan)).process("work-000000.jsonl"))


def fails_at_manifest(plan, place, bucket=Unwritable):
    placed = replace(PlacedPlan.of(plan), place=StagingPlace(bucket(place.bucket.address), place.uri))
    return lambda: WriteManifest(placed).process(("", []))


@pytest.mark.parametrize("fails", [fails_at_items, fails_at_manifest])
def test_what_a_worker_raises_are_words_of_ours(plan, place, fails):
    with pytest.raises(PoolError, match=r"internal_error: .*Error at") as caught:
        fails(plan, place)()
    assert caught.value.__context__ is None
    assert "DOE" not in str(caught.value)
    assert beam_stage.read_failure(place) == str(caught.value)


def test_a_failure_that_cannot_be_written_down_is_raised_in_words_of_ours_too(plan, place):
    with pytest.raises(PoolError, match="internal_error") as caught:
        fails_at_manifest(plan, place, Unreachable)()
    assert caught.value.__context__ is None
    assert beam_stage.read_failure(place) is None


def test_a_worker_of_a_stage_that_was_ended_leaves_nothing(plan, place):
    placed = PlacedPlan.of(plan)
    place.bucket.delete([PLAN])
    with pytest.raises(PoolError):
        list(ApplyStep(placed).process("work-000000.jsonl"))
    assert list(place.bucket.listing()) == []


def test_workers_elsewhere_tell_how_far_they_are(place, chunk, monkeypatch):
    monkeypatch.setattr(beam_stage, "TELL_EVERY_S", 0.0)
    said = []
    with watching(place, Progress("thumbnails", 8, said.append)):
        for name in (chunk, "work-000001.jsonl"):
            place.bucket.put(name, b"")
            beam_stage._ChunkProgress(place, "thumbnails", name).done(3)
        # The second was tried again, and counts once.
        beam_stage._ChunkProgress(place, "thumbnails", "work-000001.jsonl").done(4)
        assert read_progress(place) == 7
    assert said[-1] == "thumbnails: 7 of 8"


def test_a_worker_whose_stage_was_ended_stops(place, chunk, monkeypatch):
    monkeypatch.setattr(beam_stage, "TELL_EVERY_S", 0.0)
    progress = beam_stage._ChunkProgress(place, "thumbnails", chunk)
    progress.done(1)
    place.bucket.delete([chunk])
    with pytest.raises(PoolError, match="was ended while a worker was at it"):
        progress.done(1)


def test_progress_is_said_now_and_then_and_never_twice_the_same():
    said = []
    progress = Progress("reports", 9, said.append, _last=time.monotonic() - 3600)
    progress.add(3)
    progress._last = time.monotonic() + 3600
    progress.add(3)
    assert said == ["reports: 3 of 9"]
    progress.reached(9, now=True)
    progress.reached(9, now=True)
    assert said == ["reports: 3 of 9", "reports: 9 of 9"]


def test_counters_of_a_runner_are_told_in_one_line():
    assert counted("reports", {"rows": 2, "items": 3}) == "reports: counted by the runner: items 3, rows 2"
    assert counted("reports", {}) == "reports: counted by the runner: nothing"
