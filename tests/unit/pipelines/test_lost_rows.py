"""A row that is lost between a worker and its shard makes the stage fail: nothing of it is committed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines import beam_stage
from gradient_assets.pipelines.shards import Gathering, GroupResult, StagingPlace
from gradient_assets.pipelines.stage import ObjectCommit, StageError, StageRun
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem, made_row
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.tables import MADE_DEIDENTIFIED_REPORTS, MADE_METADATA, MADE_THUMBNAILS, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket, BucketAddress
from resources.engines.beam import BeamEngine
from resources.warehouses.warehouse import EmbeddedWarehouse

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
OUTPUT, MADE, BESIDE, REFUSALS = MADE_METADATA, MADE_THUMBNAILS, MADE_DEIDENTIFIED_REPORTS, REFUSED_THUMBNAILS
TABLES = (OUTPUT, MADE, BESIDE, REFUSALS)
WORK = ("rows", "rows refused", "refused", "objects refused", "whole")
"""What becomes of each item; `whole` is refused as a whole."""


@dataclass
class Makes:
    """A step whose items say what becomes of them."""

    version: str = "1"
    stage: str = "copies"
    deadline_s: float = 9.0
    profile: Profile = field(default_factory=lambda: Profile.named("longitudinal"))
    output = OUTPUT
    made = MADE
    refusals = REFUSALS
    beside = (BESIDE,)

    def open(self):
        pass

    def apply(self, item):
        becomes = item["object_key"].split()
        if "whole" in becomes:
            raise Refused(Reason.TRUNCATED)
        if "rows" in becomes:
            for into in (None, None, BESIDE):
                yield Emitted(made_row(self, HOSPITAL, item, {}), into)
        if "objects" in becomes:
            yield EmittedObject("st-mary/one.bin", b"one")
        if "refused" in becomes:
            yield RefusedRecord(1, Reason.TRUNCATED)


class Rootless(Makes):
    """A worker that forgets the row of origin."""

    made = None


class Idle(Makes):
    """A worker that counts a row which it writes elsewhere."""

    output = BESIDE


class Loses(Gathering):
    """Loses the rows of one table, or its last row only."""

    table, all_of_it = "", True

    def _flush(self, table):
        if table != self.table:
            super()._flush(table)
            return
        rows = pa.concat_tables(self._held.pop(table))
        if not self.all_of_it and rows.num_rows > 1:
            self._held[table] = [rows.slice(0, rows.num_rows - 1)]
            super()._flush(table)


@dataclass
class InThisProcess(StageRun):
    """A stage without Beam and without worker processes; what is handed over is gathered as a pool does it."""

    gathering: Callable[[dict[str, StagingPlace]], Gathering] = Gathering
    runs: Makes | None = None

    def _process(self, step, worklist, places, writes):
        chunks = [places["identified"].bucket.get(chunk).decode() for chunk in worklist.chunks]
        items = [json.loads(line) for chunk in chunks for line in chunk.splitlines()]
        runner = StepRunner(self.runs or step, self.hospitals, places)
        gathered, total = self.gathering(places), GroupResult()
        for item in items:
            result = runner.run([item], hand_over=True)
            total.add(result)
            gathered.add(result.rows)
        total.add(GroupResult(gathered.close()))
        return total


def run(folder, work=WORK, **how):
    """The stage over these items; the warehouse."""
    warehouse = EmbeddedWarehouse(folder / "home")
    stage = InThisProcess(warehouse, BeamEngine(), "st-mary", "r", {"st-mary": HOSPITAL}, **how)
    items = [
        WorkItem(
            work_token=f"{number:032}", object_key=becomes, object_pseudonym="p", hospital_id="st-mary", row_number=1
        )
        for number, becomes in enumerate(work)
    ]
    thumbnails = Bucket(BucketAddress(str(folder / "thumbnails")))
    stage.run(Makes(), items, ObjectCommit(thumbnails, "st-mary/", lambda: {"st-mary/one.bin"}))
    return warehouse


def numbers(warehouse):
    return {spec: warehouse.count(spec, "st-mary") for spec in TABLES}


def test_a_stage_that_loses_nothing_commits_all(tmp_path):
    assert numbers(run(tmp_path)) == {OUTPUT: 4, MADE: 3, BESIDE: 2, REFUSALS: 4}


@pytest.mark.parametrize("all_of_it", [True, False], ids=["all its rows", "its last row"])
@pytest.mark.parametrize("lost", TABLES, ids=["output", "made", "beside", "refusals"])
def test_what_is_lost_in_gathering_makes_the_stage_fail(tmp_path, lost, all_of_it):
    class Losing(Loses):
        table = lost.full_name

    Losing.all_of_it = all_of_it
    with pytest.raises(StageError, match=rf"rows written for {lost.name}, \d are there.*Nothing was committed"):
        run(tmp_path, gathering=Losing)
    assert not any(numbers(EmbeddedWarehouse(tmp_path / "home")).values())


def test_a_row_that_is_gathered_twice_makes_the_stage_fail(tmp_path):
    class Doubles(Gathering):
        def add(self, rows):
            super().add(rows)
            super().add({table: stream for table, stream in rows.items() if table == BESIDE.full_name})

    with pytest.raises(StageError, match=f"of 2 rows written for {BESIDE.name}, 4 are there"):
        run(tmp_path, gathering=Doubles)


@pytest.mark.parametrize(
    ("runs", "says"),
    [(Rootless(), "without origin: 1, origins of nothing: 0"), (Idle(), "without origin: 0, origins of nothing: 1")],
)
def test_rows_and_origins_that_a_worker_does_not_bring_together_make_the_stage_fail(tmp_path, runs, says):
    with pytest.raises(StageError, match=says):
        run(tmp_path, work=("rows refused",), runs=runs)
    assert not any(numbers(EmbeddedWarehouse(tmp_path / "home")).values())


def test_the_manifest_carries_how_many_rows_were_written(tmp_path):
    bucket = Bucket(BucketAddress(str(tmp_path)))
    place = StagingPlace(bucket, bucket.uri)
    one = {"shards": {"t": ["a"]}, "items": 1, "counts": {"rows": 2}, "written": {"t": 2}}
    beam_stage.WriteManifest(beam_stage.PlacedPlan(place, "copies", b"")).process(("", [one, one]))
    result = beam_stage.read_manifest(place)
    assert (result.shards, result.items, result.written) == ({"t": ["a", "a"]}, 2, {"t": 4})
