"""What a withdrawal takes out of a release, at any point of its way: the recipient is told of all that lies with them."""

import csv
import io
from dataclasses import dataclass

import pytest

from gradient_assets.assets import public
from gradient_assets.releases import ReleaseError
from gradient_assets.releases.manifest import as_csv, digest_of, manifest_rows
from gradient_assets.releases.states import LogError
from gradient_assets.tables import RELEASE_MANIFEST
from gradient_assets.withdrawals import deliveries
from resources import Settings, resources_for
from resources.buckets.object_store import Bucket
from tests.fakes.small_release import OTHER, RELEASE, Made, Person, TheFirst

GONE = Person(0)
KEY = f"dicom/{GONE.key}"


@pytest.fixture
def made(tmp_path):
    made = Made.build(tmp_path)
    made.report()
    made.gate.approve(OTHER)
    return made


def state(made):
    return made.gate.log.standing().state(1)


def reduced(made, resources=None):
    """What the sweep over releases comes to."""
    resources = resources or made.resources
    return deliveries.reduce_release(TheFirst(), resources, resources.warehouse, RELEASE)


def swept(made):
    """The same with the log."""
    one = reduced(made)
    deliveries._log(made.resources, RELEASE, "Ada")
    return one


def told(made):
    content = made.resources.releases.under(RELEASE.delivered).get(deliveries.WITHDRAWN_OBJECTS)
    return {(row["object_key"], row["sha256"]) for row in csv.DictReader(io.StringIO(content.decode()))}


def digest_in_table(made, person=GONE):
    rows = manifest_rows(made.resources.warehouse, RELEASE.name)
    return next(row["sha256"] for row in rows if row["object_key"] == person.key)


def begin_delivery(made, *people):
    """A delivery that was killed when it had moved these."""
    for person in people:
        made.resources.releases.move(f"{RELEASE.prepared}/{person.key}", f"{RELEASE.delivered}/dicom/{person.key}")


def test_what_an_unfinished_delivery_left_with_the_recipient_is_told_to_them(made):
    digest = digest_in_table(made)
    begin_delivery(made, GONE, Person(1))
    one = swept(made)
    assert told(made) == {(GONE.key, digest)}
    assert made.delivered() == {f"dicom/{Person(1).key}", deliveries.WITHDRAWN_OBJECTS}
    assert (one.named, one.deleted, one.delivered) == (1, 1, True)


def test_what_lies_there_in_another_form_than_the_manifest_names_is_told_in_both(made):
    digest = digest_in_table(made)
    made.gate.deliver("root")
    bucket = made.resources.releases
    bucket.put(f"{RELEASE.delivered}/{KEY}", b"made again, half delivered")
    swept(made)
    assert told(made) == {(GONE.key, digest), (GONE.key, digest_of(b"made again, half delivered"))}


def test_what_only_waits_is_told_to_nobody(made):
    one = swept(made)
    assert made.delivered() == set()
    assert (one.named, one.deleted, one.delivered) == (0, 1, False)


class Moving(Bucket):
    """An object is moved to the recipient as soon as one of its two places has been listed."""

    def listing(self, prefix="", start_after=None):
        yield from list(super().listing(prefix, start_after))
        waiting = f"{RELEASE.prepared}/{GONE.key}"
        if prefix in (f"{RELEASE.prepared}/", f"{RELEASE.delivered}/") and self.exists(waiting):
            self.move(waiting, f"{RELEASE.delivered}/{KEY}")


def test_an_object_that_moves_while_both_places_are_listed_is_in_one_of_the_lists(made):
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(made.path)}))
    resources.__dict__["releases"] = Moving(made.resources.releases.address)
    digest = digest_in_table(made)
    reduced(made, resources)
    assert KEY not in made.delivered()
    assert told(made) == {(GONE.key, digest)}


def test_an_approval_of_what_was_reduced_does_not_outlive_it_and_the_log_says_so(made):
    assert state(made) == "approved"
    swept(made)
    standing = made.gate.log.standing()
    assert (standing.state(1), standing.approved_by) == ("draft", ())
    assert (standing.entries[-1].change, standing.entries[-1].by) == ("reduced", "Ada")
    with pytest.raises(ReleaseError, match="is not verified"):
        made.gate.deliver("root")
    before = len(standing.entries)
    swept(made)
    assert len(made.gate.log.standing().entries) == before


def test_a_withdrawal_that_was_killed_before_the_log_says_it_later(made, monkeypatch):
    reduced(made)
    assert state(made) == "approved"
    monkeypatch.setattr(deliveries, "Withdrawn", TheFirst)
    assert deliveries.withdraw_objects(TheFirst(), made.resources, made.resources.warehouse, "Ada") == []
    assert state(made) == "draft"


def test_a_newer_one_that_waits_is_a_draft_again_and_what_was_delivered_stays_so(made):
    made.gate.deliver("root")
    made.make([Person(number) for number in range(4)])
    made.report()
    made.gate.approve(OTHER)
    swept(made)
    standing = made.gate.log.standing()
    manifest = made.resources.releases.get(f"{RELEASE.delivered}/manifest.csv")
    assert (standing.state(1), standing.approved_by, standing.delivered) == ("draft", (), digest_of(manifest))
    assert GONE.key.encode() not in manifest


def test_what_is_wholly_delivered_stays_delivered(made):
    made.gate.deliver("root")
    swept(made)
    assert state(made) == "delivered"
    rows = manifest_rows(made.resources.warehouse, RELEASE.name)
    assert made.gate.log.standing().manifest == digest_of(as_csv(rows))


@pytest.mark.parametrize("holds", [True, False], ids=["holds one of them", "holds nobody of them"])
def test_a_broken_log_is_told_after_the_objects_are_gone_and_only_where_something_is_to_be_said(tmp_path, holds):
    made = Made.build(tmp_path, [Person(number) for number in range(3) if holds or number])
    (made.log_folder / "000001.json").write_text("x")
    sweep = (TheFirst(), made.resources, made.resources.warehouse, "Ada")
    if holds:
        with pytest.raises(LogError):
            deliveries.withdraw_objects(*sweep)
    else:
        assert deliveries.withdraw_objects(*sweep) == []
    waiting = {stat.key for stat in made.resources.releases.listing(f"{RELEASE.prepared}/")}
    assert waiting == {f"{RELEASE.prepared}/{Person(number).key}" for number in (1, 2)}


@dataclass
class Run:
    """What the assets ask of their run."""

    run_id: str = "r1"
    partition_key: str = RELEASE.name

    @property
    def run(self):
        return self


def unwrapped(asset):
    """The asset's function without what keeps it silent."""
    function = asset.op.compute_fn.decorated_fn
    return getattr(function, "__wrapped__", function)


def test_a_delivery_that_breaks_off_leaves_nothing_of_who_was_withdrawn_meanwhile(made, monkeypatch):
    """The sweep had listed both places before the object moved; then the store failed."""

    class Breaking(Bucket):
        def move(self, source, target):
            super().move(source, target)
            raise OSError("the store is gone")

    monkeypatch.setattr(deliveries, "Withdrawn", TheFirst)
    monkeypatch.setattr(public, "recorded_warehouse", lambda resources, *_: resources.warehouse)
    digest = digest_in_table(made)
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(made.path)}))
    resources.__dict__["releases"] = Breaking(made.resources.releases.address)
    with pytest.raises(OSError, match="store is gone"):
        unwrapped(public.release_delivery)(Run(), made.registry, resources)
    assert told(made) == {(GONE.key, digest)}
    assert made.delivered() == {deliveries.WITHDRAWN_OBJECTS}
    assert state(made) == "draft"


def test_a_page_that_is_laid_after_the_sweep_goes_again(tmp_path, monkeypatch):
    made = Made.build(tmp_path)
    monkeypatch.setattr(public, "_refuse_leaks", lambda *_: None)
    monkeypatch.setattr(public, "recorded_warehouse", lambda resources, *_: resources.warehouse)
    gathered = public.gather_evidence

    def overtaken(*arguments):
        evidence = gathered(*arguments)
        reduced(made)
        monkeypatch.setattr(deliveries, "Withdrawn", TheFirst)
        return evidence

    monkeypatch.setattr(public, "gather_evidence", overtaken)
    monkeypatch.setattr(public, "pictures_of", lambda keys, read: [])
    with pytest.raises(ReleaseError, match="were withdrawn while its report was made"):
        unwrapped(public.release_report)(Run(), made.registry, made.resources)
    assert [stat.key for stat in made.resources.releases.listing(f"{RELEASE.pages}/")] == []
    assert [entry.change for entry in made.gate.log.standing().entries] == ["draft", "verified", "reduced"]
    assert state(made) == "draft"
    rows = manifest_rows(made.resources.warehouse, RELEASE.name)
    assert {row["object_key"] for row in rows} == {Person(number).key for number in (1, 2)}
    assert made.resources.warehouse.count(RELEASE_MANIFEST, RELEASE.name) == len(rows)
