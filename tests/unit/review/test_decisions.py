"""What was decided is read back as it was, changes work tokens where it changes results, and no broken file is passed over."""

import json
from dataclasses import asdict

import pytest
import yaml

from gradient_assets.deid.pixels import Box
from gradient_assets.hospitals import load_registry
from gradient_assets.review.decisions import (
    ALL_FRAMES,
    MAX_BOXES,
    AddedBox,
    Decision,
    ReviewError,
    added_boxes,
    boxes_from,
    decisions_bucket,
    decisions_of,
    forget_decision,
    reviewed_counts,
    save_decision,
    seals_of,
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


def seals(resources, hospital_id="st-mary"):
    registry = load_registry(resources.settings.home / "hospitals.yaml", home=resources.settings.home)
    return seals_of(resources, registry.get(hospital_id))


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
def test_a_decision_is_read_as_it_was_saved(resources, bucket, one):
    save_decision(bucket, seals(resources), one)
    assert decisions_of(resources, "st-mary") == {OBJECT: one}


def test_the_last_decision_about_an_instance_stands_alone(resources, bucket):
    save_decision(bucket, seals(resources), decision("quarantine"))
    save_decision(bucket, seals(resources), decision("accept"))
    save_decision(bucket, seals(resources), decision(object_pseudonym=OTHER))
    assert {name: one.verdict for name, one in decisions_of(resources, "st-mary").items()} == {
        OBJECT: "accept",
        OTHER: "accept",
    }


def test_a_decision_taken_back_is_gone_and_may_be_taken_back_twice(resources, bucket):
    save_decision(bucket, seals(resources), decision())
    forget_decision(bucket, OBJECT)
    forget_decision(bucket, OBJECT)
    assert decisions_of(resources, "st-mary") == {}


def test_hospitals_have_decisions_of_their_own(resources, bucket):
    save_decision(bucket, seals(resources), decision())
    assert decisions_of(resources, "st-mary-2") == {}


def test_they_lie_in_the_identified_zone_alone(bucket, resources, tmp_path):
    save_decision(bucket, seals(resources), decision())
    assert [file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob(f"{OBJECT}*")] == ["identified"]
    public = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path), "GRADIENT_ZONES": "public"}))
    with pytest.raises(SettingsError):
        decisions_of(public, "st-mary")


GOOD = {
    "object_pseudonym": OBJECT,
    "made_on": TOKEN,
    "verdict": "quarantine",
    "boxes": [],
    "reviewer": "Ada",
    "decided_at": AT,
    "drawn_by_chance": False,
}


def refused(resources, shown):
    with pytest.raises(
        ReviewError, match=rf"hospital 'st-mary' can't be read, or was not made here: {shown}\. Restore"
    ):
        decisions_of(resources, "st-mary")


@pytest.mark.parametrize(
    "content",
    [
        {**GOOD, "more": 1},
        {name: value for name, value in GOOD.items() if name != "verdict"},
        {**GOOD, "verdict": "perhaps"},
        {**GOOD, "verdict": ["quarantine"]},
        {**GOOD, "object_pseudonym": OTHER},
        {**GOOD, "boxes": [BOX.as_dict()]},
        {**GOOD, "decided_at": "2026-01-02T03:04:05"},
        {**GOOD, "decided_at": None},
        {**GOOD, "made_on": None},
        {**GOOD, "reviewer": ""},
        {**GOOD, "drawn_by_chance": 1},
    ],
)
def test_a_sealed_file_that_cannot_be_understood_stops_the_reading(resources, bucket, content):
    bucket.put(f"{OBJECT}.json", seals(resources).closed(f"{OBJECT}.json", content))
    refused(resources, f"{OBJECT}.json")


def test_the_good_file_of_that_table_is_read(resources, bucket):
    bucket.put(f"{OBJECT}.json", seals(resources).closed(f"{OBJECT}.json", GOOD))
    assert decisions_of(resources, "st-mary")[OBJECT].verdict == "quarantine"


@pytest.mark.parametrize("file", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_sealed_file_stops_the_reading(resources, bucket, file):
    bucket.put(f"{OBJECT}.json", file)
    refused(resources, f"{OBJECT}.json")


@pytest.mark.parametrize("verdict", ["accept", "quarantine"])
def test_a_decision_without_a_seal_stops_the_reading(resources, bucket, verdict):
    bucket.put(f"{OBJECT}.json", json.dumps({**GOOD, "verdict": verdict}).encode())
    refused(resources, f"{OBJECT}.json")


@pytest.mark.parametrize(
    "change", [{"verdict": "accept"}, {"made_on": NEWER}, {"drawn_by_chance": True}, {"reviewer": "Bo"}]
)
def test_a_decision_that_was_changed_stops_the_reading(resources, bucket, change):
    save_decision(bucket, seals(resources), decision("quarantine"))
    outer = json.loads(bucket.get(f"{OBJECT}.json"))
    outer["content"].update(change)
    bucket.put(f"{OBJECT}.json", json.dumps(outer).encode())
    refused(resources, f"{OBJECT}.json")


def test_a_decision_laid_in_the_place_of_another_instances_stops_the_reading(resources, bucket):
    bucket.put(f"{OTHER}.json", seals(resources).closed(f"{OBJECT}.json", asdict(decision(object_pseudonym=OTHER))))
    refused(resources, f"{OTHER}.json")


def test_a_decision_under_another_hospitals_seal_stops_the_reading(resources, bucket):
    save_decision(bucket, seals(resources, "st-mary-2"), decision())
    refused(resources, f"{OBJECT}.json")


def test_two_hospitals_with_one_key_have_seals_of_their_own(resources, bucket, tmp_path):
    entries = [entry(1, "st-mary", "hospital/st-mary"), entry(2, "st-mary-2", "hospital/st-mary")]
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    save_decision(bucket, seals(resources, "st-mary-2"), decision())
    refused(resources, f"{OBJECT}.json")


def test_a_decision_is_read_after_a_rotation_of_the_key(resources, bucket):
    save_decision(bucket, seals(resources), decision("quarantine"))
    resources.keys.rotate("hospital/st-mary", by="Ada", reason="a laptop was lost")
    assert decisions_of(resources, "st-mary")[OBJECT].verdict == "quarantine"


def test_a_foreign_file_name_is_not_repeated(resources, bucket):
    bucket.put("QUILLFEATHER.json", seals(resources).closed("QUILLFEATHER.json", GOOD))
    refused(resources, "a file with a foreign name")


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
