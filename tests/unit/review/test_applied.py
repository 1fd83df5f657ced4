"""Decisions are applied by the next run of the thumbnails' stage, and only to their own instances."""

from dataclasses import replace

import pytest

from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.review.decisions import AddedBox, Decision, DecisionLog, decisions_of
from gradient_assets.tables import PIXEL_TEXT


def decide(home, name, verdict, *boxes):
    at = "2026-01-02T03:04:05+00:00"
    one = Decision(home.pseudonym(name), "0" * 32, verdict, boxes, "Ada", at)
    DecisionLog.of(home.resources, home.hospital).keep(one)


def items(home, decisions):
    return {home.name_of(i["object_pseudonym"]): i for i in home.source.pixels(home.step.version, decisions)}


def rows(home, item):
    """What the stage writes of one item: frames and places of boxes from review, and the refusals' counts."""
    warehouse = home.resources.warehouse
    with (
        warehouse.staging("identified", "again") as private,
        warehouse.staging("deidentified", "again") as visible,
        warehouse.staging("identified", "objects") as objects,
    ):
        places = {"identified": private, "deidentified": visible, "objects": objects}
        places = {zone: StagingPlace(one.bucket, one.uri) for zone, one in places.items()}
        result = StepRunner(home.step, {"st-mary": home.hospital}, places).run([item])
        warehouse.replace(PIXEL_TEXT, "test", shards=result.shards.get(PIXEL_TEXT.full_name, []))
    found = [row for batch in warehouse.scan(PIXEL_TEXT, "test") for row in batch.to_pylist()]
    boxes = [(r["frame"], r["box_left"], r["box_top"]) for r in found if r["source"] == "review"]
    return boxes, [name for name in result.counts if name.startswith("refused")]


def test_only_what_changes_the_result_changes_the_token(home):
    before = items(home, {})
    for name, verdict, boxes in (
        ("sure", "quarantine", ()),
        ("missed", "box", (AddedBox(1, 1, 9, 9),)),
        ("cine", "accept", ()),
    ):
        decide(home, name, verdict, *boxes)
    after = items(home, decisions_of(home.resources, "st-mary"))
    changed = {name for name in before if before[name]["work_token"] != after[name]["work_token"]}
    assert changed == {"sure", "missed"}


@pytest.mark.parametrize(
    ("name", "verdict", "boxes", "expected"),
    [
        ("missed", "box", [AddedBox(20, 40, 70, 14)], ([(0, 20, 40)], [])),
        ("cine", "box", [AddedBox(20, 40, 30, 14)], ([(0, 20, 40), (1, 20, 40), (2, 20, 40)], [])),
        ("cine", "box", [AddedBox(20, 40, 30, 14, 1)], ([(1, 20, 40)], [])),
        ("sure", "box", [AddedBox(150, 40, 30, 14)], ([], ["refused/redaction_failed"])),
        ("sure", "box", [AddedBox(20, 40, 30, 14, 1)], ([], ["refused/redaction_failed"])),
        ("sure", "quarantine", [], ([], ["refused/rejected_in_review"])),
        ("sure", "accept", [], ([], [])),
    ],
)
def test_a_decision_is_applied_to_its_instance(home, name, verdict, boxes, expected):
    decide(home, name, verdict, *boxes)
    assert rows(home, items(home, decisions_of(home.resources, "st-mary"))[name]) == expected


def test_a_decision_made_before_a_rotation_of_the_key_is_applied_after_it(home):
    decide(home, "missed", "box", AddedBox(20, 40, 70, 14))
    decide(home, "sure", "quarantine")
    decisions = decisions_of(home.resources, "st-mary")
    former = home.identity
    home.rotate()
    source = replace(home.source, former=(former,))
    found = {home.name_of(item["object_pseudonym"]): item for item in source.pixels(home.step.version, decisions)}
    assert len(found) == 4
    assert rows(home, found["sure"]) == ([], ["refused/rejected_in_review"])
    assert rows(home, found["missed"]) == ([(0, 20, 40)], [])
    assert "added" not in found["cine"]
