"""A stage that is killed between any two of its writes, and run again, comes to what it comes to undisturbed.

Files of reports are the hard case: one item has rows and refusals, so that neither table alone tells whether it is whole.
"""

import json
from dataclasses import dataclass, field

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.shards import GroupResult
from gradient_assets.pipelines.stage import StageRun
from gradient_assets.pipelines.steps import Emitted, RefusedRecord, WorkItem, made_row
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.tables import MADE_DEIDENTIFIED_REPORTS, MADE_METADATA, MADE_THUMBNAILS, REFUSED_THUMBNAILS
from resources.engines.beam import BeamEngine
from resources.warehouses.warehouse import EmbeddedWarehouse

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
TABLES = (MADE_METADATA, MADE_DEIDENTIFIED_REPORTS, MADE_THUMBNAILS, REFUSED_THUMBNAILS)


class Killed(BaseException):
    """What a test raises in place of SIGKILL."""


@dataclass
class Files:
    """A step over files; a key says how many records are good and how many are not, as in `2-1`: `0-0` is refused whole."""

    version: str = "1"
    stage: str = "copies"
    deadline_s: float = 9.0
    profile: Profile = field(default_factory=lambda: Profile.named("longitudinal"))
    output = MADE_METADATA
    made = MADE_THUMBNAILS
    refusals = REFUSED_THUMBNAILS
    beside = (MADE_DEIDENTIFIED_REPORTS,)

    def open(self):
        pass

    def apply(self, item):
        good, bad = map(int, item["object_key"].partition(" ")[2].split("-"))
        if not good and not bad:
            raise Refused(Reason.TRUNCATED)
        for _ in range(good):
            row = made_row(self, HOSPITAL, item, {})
            yield Emitted(row)
            yield Emitted(row, MADE_DEIDENTIFIED_REPORTS)
        for number in range(bad):
            yield RefusedRecord(number, Reason.TRUNCATED)


@dataclass
class InThisProcess(StageRun):
    """A stage without Beam and without worker processes."""

    def _process(self, step, worklist, places, writes):
        chunks = [places["identified"].bucket.get(chunk).decode() for chunk in worklist.chunks]
        items = [json.loads(line) for chunk in chunks for line in chunk.splitlines()]
        return StepRunner(step, self.hospitals, places).run(items) if items else GroupResult()


class KilledAt:
    """A warehouse that dies in place of its n-th replacement."""

    def __init__(self, warehouse, place=None):
        self._warehouse, self.left = warehouse, place

    def __getattr__(self, name):
        return getattr(self._warehouse, name)

    def replace(self, *arguments, **named):
        if self.left is not None:
            if not self.left:
                raise Killed
            self.left -= 1
        return self._warehouse.replace(*arguments, **named)


def run(warehouse, keys, version="1", etags=""):
    stage = InThisProcess(warehouse, BeamEngine(), "st-mary", "r", {"st-mary": HOSPITAL})
    work = [
        WorkItem(
            work_token=f"{version}{etags} {key}",
            object_key=key,
            object_pseudonym=key[0],
            hospital_id="st-mary",
            etag=etags,
            row_number=1,
        )
        for key in keys
    ]
    return stage.run(Files(version), work)


def rows(warehouse):
    """Per table, what its rows are about, with how many there are."""
    found = {}
    for spec in TABLES:
        batches = warehouse.scan(spec, "st-mary", columns=("work_token",))
        found[spec.name] = sorted(token for batch in batches for token in batch["work_token"].to_pylist())
    return found


BEFORE = ("a 2-1", "b 3-0", "c 0-2", "d 0-0")
CHANGES = {
    "first run": ((), {}, BEFORE, {}),
    "one is gone": (BEFORE, {}, BEFORE[1:], {}),
    "all are gone": (BEFORE, {}, (), {}),
    "another engine": (BEFORE, {}, BEFORE, {"version": "2"}),
    "sent again": (BEFORE, {}, BEFORE, {"etags": "x"}),
    "one comes and one goes": (BEFORE, {}, (*BEFORE[1:], "e 1-1"), {}),
}


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("change", CHANGES)
def test_killed_before_any_table_is_replaced_and_run_again_it_comes_to_the_same(tmp_path, change, place):
    before, first, after, second = CHANGES[change]
    undisturbed, killed = EmbeddedWarehouse(tmp_path / "one"), EmbeddedWarehouse(tmp_path / "two")
    for warehouse in (undisturbed, killed):
        run(warehouse, before, **first)
    run(undisturbed, after, **second)
    with pytest.raises(Killed):
        run(KilledAt(killed, place), after, **second)
    run(killed, after, **second)
    assert rows(killed) == rows(undisturbed)
    assert len(rows(killed)[MADE_METADATA.name]) == sum(int(key.partition(" ")[2].partition("-")[0]) for key in after)


def test_undisturbed_it_does_nothing_twice(tmp_path):
    warehouse = EmbeddedWarehouse(tmp_path)
    assert run(warehouse, BEFORE).processed == len(BEFORE)
    again = run(warehouse, BEFORE)
    assert (again.processed, again.reused, again.rows_out, again.quarantined) == (0, len(BEFORE), 5, 4)
