"""The audit of triage: its counts, its bound, that a hit fails, and that where nobody looked nothing passes."""

import pytest

from gradient_assets.audit_sample import Audit, audit_of, upper_bound
from gradient_assets.boundary import cross
from gradient_assets.checks.triage import outcome_of
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.tables import PIXEL_TEXT, REFUSED_THUMBNAILS
from resources.warehouses.warehouse import EmbeddedWarehouse


@pytest.mark.parametrize(
    ("hits", "looked", "expected"),
    [(0, 0, 1.0), (0, 1, 0.95), (0, 300, 0.009936), (1, 100, 0.046560), (5, 1000, 0.010484), (3, 3, 1.0)],
)
def test_the_bound_is_the_one_of_clopper_and_pearson(hits, looked, expected):
    assert upper_bound(hits, looked) == pytest.approx(expected, abs=2e-5)


def test_the_bound_of_a_large_sample_is_about_three_in_its_size():
    assert upper_bound(0, 100_000) == pytest.approx(3 / 100_000, rel=0.01)


@pytest.mark.parametrize(
    ("audit", "says"),
    [
        (Audit(0, 0, 0), "every frame was looked at"),
        (
            Audit(10, 0, 0),
            "Nobody has looked: no skipped instance was drawn into the sample. Raise `pixels.audit_share`",
        ),
        (Audit(10, 2, 0), "no text was found"),
        (Audit(10, 2, 1), "Set `pixels.triage: false`"),
    ],
)
def test_the_reader_is_told_what_to_do(audit, says):
    assert says in audit.what_to_do


@pytest.mark.parametrize(
    ("audit", "outcome"),
    [
        (Audit(0, 0, 0), (True, "ERROR")),
        (Audit(10, 2, 0), (True, "ERROR")),
        (Audit(10, 2, 1), (False, "ERROR")),
        (Audit(0, 1, 1), (False, "ERROR")),
        (Audit(10, 0, 0), (False, "WARN")),
    ],
    ids=["nothing skipped", "nothing missed", "a hit", "a hit and nothing unseen", "nobody looked"],
)
def test_a_hit_blocks_and_where_nobody_looked_the_check_does_not_pass(audit, outcome):
    result = outcome_of(audit)
    assert (result.passed, result.severity.value) == outcome
    assert result.metadata["gradient/what_to_do"].text == audit.what_to_do


HERE, ELSEWHERE = "st-mary", "lakeside"


class Stored:
    """A warehouse with what the thumbnails' stage left: verdicts of instances and refusals."""

    def __init__(self, folder):
        self.warehouse = EmbeddedWarehouse(folder)
        self._count = 0

    def verdict(self, look, boxes, hospital=HERE):
        """Rows of one instance: its verdict, and each of its boxes."""
        self._count += 1
        common = {
            "verdict": "redacted" if boxes else "clean",
            "look": look,
            "boxes": boxes,
            "kept": 0,
            "frames": 1,
            "sop_instance_uid": f"2.25.{self._count}",
            "engine_version": "5",
        }
        return [cross(PIXEL_TEXT, self._named(hospital) | common | {"box": number}) for number in range(boxes + 1)]

    def refusal(self, reason, hospital=HERE):
        self._count += 1
        nothing = dict.fromkeys(REFUSED_THUMBNAILS.column_names, "")
        return [nothing | self._named(hospital) | {"stage": "thumbnails", "row_number": 0, "reason": reason}]

    def _named(self, hospital):
        return {"hospital_id": hospital, "hospital_number": 1, "work_token": f"{self._count:032x}"}

    def write(self, spec, rows):
        for hospital in {row["hospital_id"] for row in rows}:
            with self.warehouse.staging(spec.zone, "made") as staging:
                writer = ShardWriter({spec.zone: StagingPlace(staging.bucket, staging.uri)})
                for row in rows:
                    if row["hospital_id"] == hospital:
                        writer.add(spec, row)
                writer.keep()
                self.warehouse.replace(spec, hospital, shards=writer.close()[spec.full_name])


SKIPPED, CLEAN, HIT = ("skipped", 0), ("audited", 0), ("audited", 3)


@pytest.mark.parametrize(
    ("verdicts", "refused", "counted", "passed"),
    [
        ([SKIPPED, SKIPPED, CLEAN], [], Audit(2, 1, 0), True),
        ([SKIPPED, CLEAN, HIT], [], Audit(1, 2, 1), False),
        ([SKIPPED, CLEAN], ["triage_missed_text"], Audit(1, 2, 1), False),
        ([SKIPPED], ["triage_missed_text"], Audit(1, 1, 1), False),
        ([], ["triage_missed_text"], Audit(0, 1, 1), False),
        ([SKIPPED, HIT], ["triage_missed_text"] * 2, Audit(1, 3, 3), False),
        ([SKIPPED, CLEAN], ["residual_text_in_pixels", "undecodable_pixels"], Audit(1, 1, 0), True),
        ([SKIPPED, CLEAN, ("all", 2)], [], Audit(1, 1, 0), True),
        ([("all", 2)], [], Audit(0, 0, 0), True),
    ],
    ids=[
        "nothing missed",
        "a box in an audited instance",
        "an audited instance refused for its text",
        "the whole sample refused",
        "nothing but the refused one",
        "both sorts",
        "refused, and not of the sample",
        "text where triage had everything looked at",
        "without triage",
    ],
)
def test_what_the_stage_left_decides_the_check(tmp_path, verdicts, refused, counted, passed):
    stored = Stored(tmp_path)
    others = stored.verdict(*HIT, hospital=ELSEWHERE)
    stored.write(PIXEL_TEXT, others + [row for verdict in verdicts for row in stored.verdict(*verdict)])
    elsewhere = stored.refusal("triage_missed_text", hospital=ELSEWHERE)
    stored.write(REFUSED_THUMBNAILS, elsewhere + [row for reason in refused for row in stored.refusal(reason)])
    audit = audit_of(stored.warehouse, HERE)
    assert audit == counted
    assert outcome_of(audit).passed == passed


def test_before_anything_is_stored_nothing_is_counted(tmp_path):
    assert audit_of(EmbeddedWarehouse(tmp_path), HERE) == Audit(0, 0, 0)
