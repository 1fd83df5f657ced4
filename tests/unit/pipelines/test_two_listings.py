"""Two runs of one partition with different listings: no row is left that names an object which the other run deleted."""

import json
from dataclasses import dataclass, field
from threading import Thread

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import Hospital
from gradient_assets.integrity.given import noted
from gradient_assets.integrity.recorded import RecordedWarehouse
from gradient_assets.pipelines.shards import GroupResult
from gradient_assets.pipelines.stage import ObjectCommit, StageError, StageRun
from gradient_assets.pipelines.steps import Emitted, EmittedObject, WorkItem, made_row
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.tables import MADE_METADATA, MADE_THUMBNAILS, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket, BucketAddress
from resources.engines.beam import BeamEngine
from resources.warehouses.warehouse import EmbeddedWarehouse

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
KEY = SecretKey(bytes(32))
LONG_ENOUGH_S = 2.0
"""For the other run to come to its end where nothing holds it back."""


@dataclass
class Pictures:
    """A step that makes one object and one row of each input."""

    stage: str = "thumbnails"
    version: str = "1"
    deadline_s: float = 9.0
    profile: Profile = field(default_factory=lambda: Profile.named("longitudinal"))
    output = MADE_METADATA
    made = MADE_THUMBNAILS
    refusals = REFUSED_THUMBNAILS
    beside = ()

    def open(self):
        pass

    def apply(self, item):
        yield EmittedObject(f"st-mary/{item['object_key']}.png", b"a picture")
        yield Emitted(made_row(self, HOSPITAL, item, {}))


@dataclass
class InThisProcess(StageRun):
    """A stage without Beam and without worker processes; `meanwhile` is called when its objects lie where they belong."""

    meanwhile: object = None

    def _process(self, step, worklist, places, writes):
        chunks = [places["identified"].bucket.get(chunk).decode() for chunk in worklist.chunks]
        items = [json.loads(line) for chunk in chunks for line in chunk.splitlines()]
        return StepRunner(step, self.hospitals, places).run(items) if items else GroupResult()

    def _commit(self, *arguments, **named):
        if self.meanwhile is not None:
            self.meanwhile()
        super()._commit(*arguments, **named)


@dataclass
class Store:
    """A warehouse with records beside it, or without, and a bucket for pictures."""

    path: object
    recorded: bool

    def __post_init__(self):
        self.ledger = Bucket(BucketAddress(str(self.path / "records")))
        self.pictures = Bucket(BucketAddress(str(self.path / "pictures")))
        self.plain = EmbeddedWarehouse(self.path / "home")

    def warehouse(self, run_id):
        return RecordedWarehouse(self.plain, self.ledger, run_id, lambda *_: KEY, {}) if self.recorded else self.plain

    def run(self, run_id, keys, meanwhile=None):
        stage = InThisProcess(
            self.warehouse(run_id), BeamEngine(), "st-mary", run_id, {"st-mary": HOSPITAL}, meanwhile=meanwhile
        )
        items = [WorkItem(work_token=key, object_key=key, object_pseudonym=key, hospital_id="st-mary") for key in keys]
        objects = ObjectCommit(self.pictures, "st-mary/", self.named)
        return stage.run(Pictures(), items, objects, inputs=lambda: len(keys))

    def named(self):
        batches = self.plain.scan(MADE_METADATA, "st-mary", columns=("object_key",))
        return {f"st-mary/{key}.png" for batch in batches for key in batch["object_key"].to_pylist()}

    def there(self):
        return {stat.key for stat in self.pictures.listing()}


def in_the_midst(store, run_id, keys):
    """What starts the other run, and goes on when that one has ended, or waits."""
    others = []

    def start():
        other = Thread(target=store.run, args=(run_id, keys))
        other.start()
        other.join(LONG_ENOUGH_S)
        others.append(other)

    return start, others


@pytest.mark.parametrize(("first", "second"), [("ab", "a"), ("a", "ab"), ("ab", "bc")])
def test_a_run_that_begins_while_another_one_commits_waits_and_rows_and_objects_agree(tmp_path, first, second):
    store = Store(tmp_path, recorded=True)
    start, others = in_the_midst(store, "second", second)
    store.run("first", first, start)
    others[0].join()
    assert store.named() == store.there() == {f"st-mary/{key}.png" for key in second}
    assert store.plain.tokens(MADE_THUMBNAILS, "st-mary") == set(second)
    assert noted(store.ledger, "st-mary", "thumbnails").inputs == len(second)
    store.run("third", "abc")
    assert store.named() == store.there() == {f"st-mary/{key}.png" for key in "abc"}


def test_where_nothing_can_be_locked_a_row_without_its_object_is_noticed_and_taken_out(tmp_path):
    store = Store(tmp_path, recorded=False)
    start, _ = in_the_midst(store, "second", "a")
    with pytest.raises(StageError, match="1 objects were gone as soon as their rows stood"):
        store.run("first", "ab", start)
    assert store.named() == store.there() == {"st-mary/a.png"}
    store.run("third", "ab")
    assert store.named() == store.there() == {"st-mary/a.png", "st-mary/b.png"}


def test_what_is_laid_down_after_the_objects_were_listed_is_not_deleted(tmp_path):
    store = Store(tmp_path, recorded=False)
    store.run("first", "a")

    def late():
        store.pictures.put("st-mary/late.png", b"of another run")
        return store.named()

    assert ObjectCommit(store.pictures, "st-mary/", late).remove_orphans() == set()
    assert store.there() == {"st-mary/a.png", "st-mary/late.png"}
    assert ObjectCommit(store.pictures, "st-mary/", store.named).remove_orphans() == set()
    assert store.there() == {"st-mary/a.png"}
