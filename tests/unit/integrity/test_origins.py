"""What the worker writes down of each item: for those that succeeded an origin, for the others a refusal, never both."""

import hashlib
import io
import json
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import EmittedObject, RefusedRecord, WorkItem
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.tables import MADE_RELEASE, MADE_THUMBNAILS, REFUSED_RELEASE, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket, BucketAddress

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")


@dataclass
class Copies:
    """Puts two objects for each item; refuses the item, or one record of it, as its key says."""

    profile: Profile = field(default_factory=lambda: Profile.named("longitudinal"))
    stage: str = "copies"
    version: str = "7"
    deadline_s: float = 1.0
    output = MADE_THUMBNAILS
    refusals = REFUSED_THUMBNAILS
    made = MADE_THUMBNAILS
    beside = ()

    def open(self):
        """Nothing to load."""

    def apply(self, item):
        yield EmittedObject("a.png", b"a")
        if item["object_key"] == "half":
            yield RefusedRecord(3, Reason.TRUNCATED)
        if item["object_key"] == "bad":
            raise Refused(Reason.TRUNCATED)
        yield EmittedObject("b.png", b"b")


@dataclass
class CopiesForRelease(Copies):
    """The same for a release, over hospitals with profiles of their own."""

    release: str = "spring"
    profiles: dict = field(default_factory=lambda: {"st-mary": Profile.named("safe_harbor")})
    refusals = REFUSED_RELEASE
    made = MADE_RELEASE

    def __post_init__(self):
        del self.profile


@pytest.fixture
def written(tmp_path):
    bucket = Bucket(BucketAddress(str(tmp_path)))
    places = dict.fromkeys(("identified", "deidentified", "objects"), StagingPlace(bucket, bucket.uri))

    def run(step, *keys):
        items = [
            WorkItem(
                work_token=f"t-{key}",
                object_key=key,
                object_pseudonym=f"p-{key}",
                hospital_id="st-mary",
                etag="e",
                object_version="v5",
                row_number=2,
                run_id="r1",
            )
            for key in keys
        ]
        shards = StepRunner(step, {"st-mary": HOSPITAL}, places).run(items).shards
        return {
            spec.name: [
                row
                for uri in shards.get(spec.full_name, [])
                for row in pq.read_table(io.BytesIO(bucket.get(uri.rpartition("/")[2]))).to_pylist()
            ]
            for spec in (step.made, step.refusals)
            if spec is not None
        }

    return run


def test_an_item_that_succeeded_has_an_origin(written):
    rows = written(Copies(), "good")
    assert rows["refused_thumbnails"] == []
    (row,) = rows["made_thumbnails"]
    assert json.loads(row.pop("objects_json")) == {
        "a.png": hashlib.sha256(b"a").hexdigest(),
        "b.png": hashlib.sha256(b"b").hexdigest(),
    }
    assert row == {
        "hospital_id": "st-mary",
        "hospital_number": 1,
        "work_token": "t-good",
        "object_pseudonym": "p-good",
        "object_key": "good",
        "etag": "e",
        "object_version": "v5",
        "row_number": 2,
        "engine_version": "7",
        "profile_digest": Profile.named("longitudinal").digest,
        "run_id": "r1",
    }


def test_an_item_that_was_refused_has_none(written):
    rows = written(Copies(), "bad", "good", "half")
    assert sorted(row["object_key"] for row in rows["made_thumbnails"]) == ["good", "half"]
    assert sorted(row["object_key"] for row in rows["refused_thumbnails"]) == ["bad", "half"]


def test_the_rows_of_a_release_name_it(written):
    rows = written(CopiesForRelease(), "bad", "good")
    assert [row["release"] for name in ("made_release_dicoms", "refused_release_dicoms") for row in rows[name]] == [
        "spring",
        "spring",
    ]
    assert rows["made_release_dicoms"][0]["profile_digest"] == Profile.named("safe_harbor").digest


def test_a_step_outside_the_graph_keeps_no_origin(written):
    step = Copies()
    step.made = None
    rows = written(step, "good", "bad")
    assert list(rows) == ["refused_thumbnails"]
    assert len(rows["refused_thumbnails"]) == 1
