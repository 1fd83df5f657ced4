"""What was decided is read back as it was, changes work tokens where it changes results, and no broken log is passed over."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from gradient_assets.deid.pixels import Box
from gradient_assets.hospitals import load_registry
from gradient_assets.review.decisions import (
    ALL_FRAMES,
    MAX_BOXES,
    AddedBox,
    Decision,
    DecisionLog,
    ReviewError,
    added_boxes,
    boxes_from,
    decisions_bucket,
    decisions_of,
    reviewed_counts,
)
from resources import Settings, SettingsError, resources_for

OBJECT, OTHER, TOKEN, NEWER = "a" * 32, "b" * 32, "1" * 32, "2" * 32
AT = "2026-01-02T03:04:05+00:00"
BOX, BOX_ON_ONE = AddedBox(1, 2, 3, 4), AddedBox(5, 6, 7, 8, 1)


def decision(verdict="accept", boxes=(), **more):
    fields = {"object_pseudonym": OBJECT, "made_on": TOKEN, "reviewer": "Ada", "decided_at": AT, **more}
    return Decision(verdict=verdict, boxes=tuple(boxes), **fields)


def entry(number, hospital_id, secret_name):
    return {
        "id": hospital_id,
        "number": number,
        "buckets": {"dicoms": f"landing/{hospital_id}/dicoms", "reports": f"landing/{hospital_id}/reports"},
        "report_columns": {"report_id": "id", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "safe_harbor",
        "secret_name": secret_name,
    }


@pytest.fixture
def resources(tmp_path):
    """A home with two hospitals."""
    entries = [entry(1, "st-mary", "hospital/st-mary"), entry(2, "st-mary-2", "hospital/st-mary-2")]
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    made = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
    for one in entries:
        made.vault.create(one["secret_name"])
    return made


def log(resources, hospital_id="st-mary"):
    """As a process that has just begun opens it."""
    registry = load_registry(resources.settings.home / "hospitals.yaml", home=resources.settings.home)
    return DecisionLog.of(resources, registry.get(hospital_id))


@pytest.fixture
def bucket(resources):
    return decisions_bucket(resources, "st-mary")


@pytest.mark.parametrize(
    "one",
    [
        decision(),
        decision("quarantine"),
        decision("box", [BOX, BOX_ON_ONE]),
        decision(reviewer="Zoë Ørsted"),
        decision(drawn_by_chance=True),
    ],
)
def test_a_decision_is_read_as_it_was_kept(resources, one):
    log(resources).keep(one)
    assert decisions_of(resources, "st-mary") == {OBJECT: one}


def test_the_last_decision_about_an_instance_stands_alone(resources):
    kept = log(resources)
    kept.keep(decision("quarantine"))
    kept.keep(decision("accept"))
    kept.keep(decision(object_pseudonym=OTHER))
    assert {name: one.verdict for name, one in decisions_of(resources, "st-mary").items()} == {
        OBJECT: "accept",
        OTHER: "accept",
    }


def test_a_decision_taken_back_is_gone_and_may_be_taken_back_twice(resources, bucket):
    kept = log(resources)
    kept.keep(decision())
    assert (kept.take_back([OBJECT, OTHER]), kept.take_back([OBJECT])) == (1, 0)
    assert decisions_of(resources, "st-mary") == {}
    assert [stat.key for stat in bucket.listing()] == ["000001.json", "000002.json"]


def test_a_decision_takes_the_place_of_those_under_former_names(resources):
    kept = log(resources)
    kept.keep(decision(object_pseudonym=OTHER))
    kept.keep(decision("quarantine"), instead_of=[OTHER])
    assert set(decisions_of(resources, "st-mary")) == {OBJECT}


def test_hospitals_have_decisions_of_their_own(resources):
    log(resources).keep(decision())
    assert decisions_of(resources, "st-mary-2") == {}


def test_they_lie_in_the_identified_zone_alone(resources, tmp_path):
    log(resources).keep(decision())
    assert [file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("000001.json")] == ["identified"]
    public = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path), "GRADIENT_ZONES": "public"}))
    with pytest.raises(SettingsError):
        decisions_of(public, "st-mary")


def test_two_reviewers_at_once_lose_no_decision(resources):
    # Each has looked at the log before the other added to it.
    first, second = log(resources), log(resources)
    first.standing(), second.standing()
    first.keep(decision("quarantine"))
    second.keep(decision("quarantine", object_pseudonym=OTHER))
    first.keep(decision("accept"))
    assert {name: one.verdict for name, one in log(resources).standing().items()} == {
        OBJECT: "accept",
        OTHER: "quarantine",
    }


def test_many_writers_at_once_lose_no_decision(resources, bucket):
    names = [f"{number:032x}" for number in range(24)]

    def keep_some(mine):
        kept = log(resources)
        for name in mine:
            kept.keep(decision(object_pseudonym=name))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep_some, [names[start::4] for start in range(4)]))
    assert set(decisions_of(resources, "st-mary")) == set(names)
    assert [stat.key for stat in bucket.listing()] == [f"{number:06}.json" for number in range(1, 25)]


GOOD = {
    "object_pseudonym": OBJECT,
    "made_on": TOKEN,
    "verdict": "quarantine",
    "boxes": [],
    "reviewer": "Ada",
    "decided_at": AT,
    "drawn_by_chance": False,
}
MISSING, CHANGED, NONE = "an entry is missing", "an entry was changed", "an entry that is none"


def refused(resources, why):
    with pytest.raises(ReviewError, match=rf"hospital 'st-mary' can't be relied on \({why}.*Restore the files") as told:
        decisions_of(resources, "st-mary")
    assert "\n" not in str(told.value)


def sealed(resources, content):
    """An entry that the key's holder wrote, whatever it says."""
    log(resources)._log.append(1, content, "")


@pytest.mark.parametrize(
    "content",
    [
        {**GOOD, "more": 1},
        {name: value for name, value in GOOD.items() if name != "verdict"},
        {**GOOD, "verdict": "perhaps"},
        {**GOOD, "verdict": ["quarantine"]},
        {**GOOD, "boxes": [BOX.as_dict()]},
        {**GOOD, "decided_at": "2026-01-02T03:04:05"},
        {**GOOD, "decided_at": None},
        {**GOOD, "made_on": None},
        {**GOOD, "reviewer": ""},
        {**GOOD, "drawn_by_chance": 1},
    ],
)
def test_a_sealed_entry_that_cannot_be_understood_stops_the_reading(resources, content):
    sealed(resources, {"decision": content, "taken_back": []})
    refused(resources, NONE)


def test_an_entry_with_other_fields_stops_the_reading(resources):
    sealed(resources, {"decision": GOOD})
    refused(resources, NONE)


def test_the_good_entry_of_that_table_is_read(resources):
    sealed(resources, {"decision": GOOD, "taken_back": []})
    assert decisions_of(resources, "st-mary")[OBJECT].verdict == "quarantine"


@pytest.mark.parametrize("file", [b"", b"{", b"[]", b"{}", b'{"seal": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_entry_stops_the_reading(resources, bucket, file):
    bucket.put("000001.json", file)
    refused(resources, NONE)


@pytest.fixture
def three(resources, bucket):
    """Quarantined, a box for another one, and that one accepted."""
    kept = log(resources)
    kept.keep(decision("quarantine"))
    kept.keep(decision("box", [BOX], object_pseudonym=OTHER))
    kept.keep(decision("accept", object_pseudonym=OTHER))
    return [bucket.get(f"{number:06}.json") for number in (1, 2, 3)]


@pytest.mark.parametrize("number", [1, 2])
def test_a_decision_that_was_deleted_stops_the_reading(resources, bucket, three, number):
    bucket.delete(f"{number:06}.json")
    refused(resources, MISSING)


@pytest.mark.parametrize(("number", "older"), [(2, 1), (3, 1), (3, 2)])
def test_an_older_decision_put_in_place_of_a_newer_one_stops_the_reading(resources, bucket, three, number, older):
    bucket.put(f"{number:06}.json", three[older - 1])
    refused(resources, CHANGED)


def test_an_older_decision_put_behind_the_others_stops_the_reading(resources, bucket, three):
    bucket.put("000004.json", three[1])
    refused(resources, CHANGED)


def test_two_decisions_that_were_exchanged_stop_the_reading(resources, bucket, three):
    bucket.put("000001.json", three[1])
    bucket.put("000002.json", three[0])
    refused(resources, CHANGED)


def test_a_gap_closed_by_moving_the_later_ones_up_stops_the_reading(resources, bucket, three):
    bucket.put("000002.json", three[2])
    bucket.delete("000003.json")
    refused(resources, CHANGED)


def test_what_was_cut_off_the_end_is_not_noticed_but_nothing_follows_it(resources, bucket, three):
    # A boundary that docs/boundary.md names: the rights in `deploy/` keep it, not the seals.
    open_since_before = log(resources)
    open_since_before.standing()
    bucket.delete("000003.json")
    assert decisions_of(resources, "st-mary")[OTHER].verdict == "box"
    open_since_before.keep(decision("accept"))
    refused(resources, MISSING)


@pytest.mark.parametrize(
    "change", [{"verdict": "accept"}, {"made_on": NEWER}, {"drawn_by_chance": True}, {"reviewer": "Bo"}]
)
def test_a_decision_that_was_changed_stops_the_reading(resources, bucket, three, change):
    entry = json.loads(three[0])
    entry["decision"].update(change)
    bucket.put("000001.json", json.dumps(entry).encode())
    refused(resources, CHANGED)


def test_a_decision_without_a_seal_stops_the_reading(resources, bucket):
    bucket.put("000001.json", json.dumps({"decision": GOOD, "taken_back": []}).encode())
    refused(resources, NONE)


@pytest.mark.parametrize("name", [f"{OBJECT}.json", f"{'0' * 32}.json", "QUILLFEATHER.json"])
def test_a_decision_of_before_the_log_and_a_foreign_file_stop_the_reading(resources, bucket, name):
    bucket.put(name, json.dumps(GOOD).encode())
    refused(resources, MISSING)
    with pytest.raises(ReviewError) as told:
        log(resources).take_back([OBJECT])
    assert name.removesuffix(".json") not in str(told.value)


def test_a_broken_log_is_not_added_to(resources, bucket, three):
    bucket.put("000002.json", three[0])
    with pytest.raises(ReviewError, match=CHANGED):
        log(resources).keep(decision())
    assert [stat.key for stat in bucket.listing()] == ["000001.json", "000002.json", "000003.json"]


def test_another_hospitals_log_stops_the_reading(resources, bucket):
    log(resources, "st-mary-2").keep(decision())
    bucket.put("000001.json", decisions_bucket(resources, "st-mary-2").get("000001.json"))
    refused(resources, CHANGED)


def test_two_hospitals_with_one_key_have_logs_of_their_own(resources, bucket, tmp_path):
    entries = [entry(1, "st-mary", "hospital/st-mary"), entry(2, "st-mary-2", "hospital/st-mary")]
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    log(resources, "st-mary-2").keep(decision())
    bucket.put("000001.json", decisions_bucket(resources, "st-mary-2").get("000001.json"))
    refused(resources, CHANGED)


def test_a_log_goes_on_after_a_rotation_of_the_key(resources):
    log(resources).keep(decision("quarantine"))
    resources.keys.rotate("hospital/st-mary", by="Ada", reason="a laptop was lost")
    log(resources).keep(decision(object_pseudonym=OTHER))
    assert {name: one.verdict for name, one in decisions_of(resources, "st-mary").items()} == {
        OBJECT: "quarantine",
        OTHER: "accept",
    }


@pytest.mark.parametrize(
    ("verdict", "boxes"),
    [("box", []), ("accept", [BOX]), ("quarantine", [BOX]), ("", []), ("box", [BOX] * (MAX_BOXES + 1))],
)
def test_verdict_and_boxes_fit_together(verdict, boxes):
    with pytest.raises(ReviewError):
        decision(verdict, boxes)


@pytest.mark.parametrize(
    "fields",
    [(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 1, -1), (0.5, 0, 1, 1), (True, 0, 1, 1)],
)
def test_a_box_has_whole_numbers_an_area_and_a_place(fields):
    with pytest.raises(ReviewError):
        AddedBox(*fields)


@pytest.mark.parametrize("parsed", [None, {}, "x", [1], [{}], [{**BOX.as_dict(), "text": "x"}], [BOX.as_dict()] * 201])
def test_boxes_of_another_form_are_refused(parsed):
    with pytest.raises(ReviewError):
        boxes_from(parsed)


@pytest.mark.parametrize(
    ("box", "fits"),
    [
        (AddedBox(0, 0, 20, 10), True),
        (AddedBox(1, 0, 20, 10), False),
        (AddedBox(0, 1, 20, 10), False),
        (AddedBox(0, 0, 20, 10, 2), True),
        (AddedBox(0, 0, 20, 10, 3), False),
    ],
)
def test_a_box_fits_the_picture_or_not(box, fits):
    assert box.fits(10, 20, 3) is fits


def test_boxes_to_fill_are_on_their_frame_or_on_all():
    added = added_boxes([BOX.as_dict(), BOX_ON_ONE.as_dict()])
    assert added == (Box(1, 2, 3, 4, "review", 1.0, ALL_FRAMES), Box(5, 6, 7, 8, "review", 1.0, 1))


def test_the_digest_is_of_what_changes_the_result():
    digests = [
        decision("quarantine").digest,
        decision("box", [BOX]).digest,
        decision("box", [BOX_ON_ONE]).digest,
        decision("box", [BOX, BOX_ON_ONE]).digest,
    ]
    assert len(set(digests)) == 4
    assert "" not in digests
    assert decision("box", [BOX, BOX_ON_ONE]).digest == decision("box", [BOX_ON_ONE, BOX]).digest
    assert decision("quarantine", reviewer="Bo", made_on=NEWER).digest == digests[0]
    assert decision("accept").digest == ""


@pytest.mark.parametrize(
    ("one", "holds"), [(decision(), False), (decision("quarantine"), True), (decision("box", [BOX]), True)]
)
def test_only_an_accept_ends_with_the_picture_it_was_made_on(one, holds):
    assert one.holds_for(TOKEN)
    assert one.holds_for(NEWER) is holds


def test_decisions_are_counted_by_kind():
    made = [decision(), decision(), decision("box", [BOX])]
    assert reviewed_counts(made) == {"accept": 2, "box": 1, "quarantine": 0}
