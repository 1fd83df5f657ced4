"""Workers that crash, hang or eat memory cost their own item and nothing else."""

import errno
import io
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines import shards
from gradient_assets.pipelines.pool import PoolError, WorkerPool
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.pipelines.steps import Emitted, WorkItem
from gradient_assets.tables import HEADER_AUDIT, PIXEL_TEXT, QUARANTINE, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket, BucketAddress

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")


@dataclass
class Behave:
    """A step that does what the item's key says."""

    stage: str = "behave"
    version: str = "1"
    deadline_s: float = 1.0
    fails_to_open: bool = False
    output = QUARANTINE
    refusals = REFUSED_THUMBNAILS
    made = None
    beside = (HEADER_AUDIT,)

    def open(self):
        if self.fails_to_open:
            raise RuntimeError("no model")

    def apply(self, item):
        match item["object_key"].split("-")[0]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(3600)
            case "eat":
                bytearray(64 * 1024**3)
            case "raise":
                raise ValueError("DOE^JOHN stands in this message")
            case "refuse":
                raise Refused(Reason.TRUNCATED, "half")
            case "half":
                yield self._row(item, QUARANTINE)
                yield self._row(item, HEADER_AUDIT)
                raise Refused(Reason.TRUNCATED)
            case "audited":
                yield self._row(item, HEADER_AUDIT)
        yield self._row(item, QUARANTINE)

    def _row(self, item, table):
        numbers = {"hospital_number", "row_number", "size"}
        row = {name: 1 if name in numbers else "x" for name in table.column_names} | {"work_token": item["work_token"]}
        return Emitted(row) if table is QUARANTINE else Emitted(row, into=table)


def items(*keys):
    return [
        WorkItem(work_token=f"{n:032x}", object_key=key, object_pseudonym="p", hospital_id="st-mary")
        for n, key in enumerate(keys)
    ]


@pytest.fixture
def place(tmp_path):
    return StagingPlace(Bucket(BucketAddress(str(tmp_path))), tmp_path.as_uri())


def rows(result, place, spec):
    names = [uri.rpartition("/")[2] for uri in result.shards.get(spec.full_name, [])]
    return [row for name in names for row in pq.read_table(io.BytesIO(place.bucket.get(name))).to_pylist()]


class Full(Bucket):
    """On a disk that is full."""

    def put(self, key, content):
        raise OSError(errno.ENOSPC, "No space left on device")


def run(place, step, work, processes=2):
    with WorkerPool(step, {"st-mary": HOSPITAL}, {"identified": place}, processes) as pool:
        return pool.run(work)


def test_each_item_ends_as_a_row_or_as_a_refusal(place, monkeypatch):
    monkeypatch.setattr("gradient_assets.pipelines.pool.START_S", 20.0)
    work = items("ok-1", "die", "ok-2", "raise", "refuse", "half", "eat", "ok-3", "ok-4", "ok-5", "ok-6")
    result = run(place, Behave(), work)
    refused = {row["object_key"]: row for row in rows(result, place, REFUSED_THUMBNAILS)}
    assert result.items == len(work)
    assert Counter(row["work_token"] for row in rows(result, place, QUARANTINE)) == Counter(
        item["work_token"] for item in work if item["object_key"].startswith("ok")
    )
    assert {key: row["reason"] for key, row in refused.items()} == {
        "die": "worker_died",
        "raise": "internal_error",
        "refuse": "truncated",
        "half": "truncated",
        "eat": "worker_died",
    }
    assert "DOE" not in str(refused["raise"]["detail"])


def test_a_hanging_item_is_ended_and_the_rest_goes_on(place, monkeypatch):
    monkeypatch.setattr("gradient_assets.pipelines.pool.START_S", 6.0)
    result = run(place, Behave(deadline_s=0.5), items("ok-1", "hang", "ok-2"))
    assert [row["reason"] for row in rows(result, place, REFUSED_THUMBNAILS)] == ["timed_out"]
    assert len(rows(result, place, QUARANTINE)) == 2


def test_a_step_that_cannot_open_is_an_error_of_the_set_up(place):
    with pytest.raises(PoolError, match="gradient doctor"):
        run(place, Behave(fails_to_open=True), items("ok-1"))


def test_rows_beside_the_output_stand_or_fall_with_their_item(place):
    result = run(place, Behave(), items("audited-1", "half-1", "audited-2"))
    audited = [row["work_token"] for row in rows(result, place, HEADER_AUDIT)]
    assert sorted(audited) == [f"{0:032x}", f"{2:032x}"]
    assert len(rows(result, place, QUARANTINE)) == 2


def test_the_rows_of_many_groups_lie_in_one_shard(place):
    result = run(place, Behave(), items(*(f"ok-{n}" for n in range(10)), "audited-1", "raise", "die"))
    assert {table: len(shards) for table, shards in result.shards.items()} == {
        QUARANTINE.full_name: 1,
        HEADER_AUDIT.full_name: 1,
        REFUSED_THUMBNAILS.full_name: 1,
    }
    assert len(rows(result, place, QUARANTINE)) == 11
    assert len(rows(result, place, REFUSED_THUMBNAILS)) == 2
    assert len(list(place.bucket.listing())) == 3, "nothing else was written"
    assert result.rows == {}


def test_rows_that_have_become_many_are_written_before_the_end(place, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    result = run(place, Behave(), items(*(f"ok-{n}" for n in range(10))))
    assert len(result.shards[QUARANTINE.full_name]) == 3, "a group of four each, and the rest"
    assert sorted(row["work_token"] for row in rows(result, place, QUARANTINE)) == [f"{n:032x}" for n in range(10)]


def test_a_shard_that_can_not_be_written_fails_all_of_it(place):
    full = StagingPlace(Full(place.bucket.address), place.uri)
    pool = WorkerPool(Behave(), {"st-mary": HOSPITAL}, {"identified": full}, 1)
    with pool, pytest.raises(OSError, match="No space"):
        pool.run(items("ok-1"))


class Slow(Bucket):
    """A store that takes its time."""

    def put(self, key, content):
        time.sleep(3.0)
        super().put(key, content)


def test_a_worker_that_answered_while_rows_were_written_is_not_late(place, monkeypatch):
    slow = StagingPlace(Slow(place.bucket.address), place.uri)
    with WorkerPool(Behave(deadline_s=0.05), {"st-mary": HOSPITAL}, {"identified": slow}, 2) as pool:
        pool.run(items("ok-1", "ok-2", "ok-3", "ok-4", "ok-5"))
        monkeypatch.setattr(shards, "SHARD_BYTES", 1)
        monkeypatch.setattr("gradient_assets.pipelines.pool.START_S", 1.5)
        result = pool.run(items(*(f"ok-{n}" for n in range(8))))
    assert REFUSED_THUMBNAILS.full_name not in result.shards
    assert len(rows(result, place, QUARANTINE)) == 8


def test_a_row_behind_the_boundary_has_to_be_a_crossing(place):
    writer = ShardWriter({"deidentified": place})
    with pytest.raises(TypeError, match="boundary"):
        writer.add(PIXEL_TEXT, {"sop_instance_uid": "1.2.3"})
