"""What needs eyes comes first, and nothing that was decided is lost from the list."""

import pytest

from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.review.decisions import Decision, ReviewError
from gradient_assets.review.listing import Subject, _place, _Said, is_pending, subjects
from gradient_assets.tables import PIXEL_TEXT
from tests.fakes.small_home import SmallHome


def listed(home, decisions=None, only="all"):
    found = subjects(home.source, home.step, decisions or {}, only)
    return [home.name_of(subject.pseudonym) for subject in found]


def decided(home, name, verdict="accept", version=MakeThumbnails.version):
    item = next(i for i in home.source.pixels(version) if i["object_pseudonym"] == home.pseudonym(name))
    one = Decision(item["object_pseudonym"], item["work_token"], verdict, (), "Ada", "2026-01-02T03:04:05+00:00")
    return {one.object_pseudonym: one}


def test_doubt_comes_first_then_boxes_then_what_looked_clean(home):
    assert listed(home)[0] == "doubtful"
    assert listed(home)[-1] == "missed"


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("unsure", {"doubtful"}),
        ("redacted", {"doubtful", "sure", "cine"}),
        ("sample", {"doubtful", "sure", "cine", "missed"}),
        ("all", {"doubtful", "sure", "cine", "missed"}),
    ],
)
def test_a_part_can_be_chosen(home, only, expected):
    assert set(listed(home, only=only)) == expected


def test_what_was_accepted_comes_last(home):
    assert listed(home, decided(home, "doubtful"))[-1] == "doubtful"


def test_an_accept_of_an_older_engine_is_shown_again(home):
    assert listed(home, decided(home, "doubtful", version="0"))[0] == "doubtful"


def test_a_quarantine_of_an_older_engine_is_not(home):
    assert listed(home, decided(home, "doubtful", "quarantine", version="0"))[-1] == "doubtful"


def test_what_review_quarantined_stays_listed_without_a_row(home):
    decisions = decided(home, "sure", "quarantine")
    token = next(iter(decisions.values())).made_on
    home.resources.warehouse.replace(PIXEL_TEXT, "st-mary", shards=[], drop_tokens=[token])
    assert "sure" in listed(home, decisions)
    assert "sure" not in listed(home)


def test_a_hospital_without_thumbnails_is_told_how_to_make_them(tmp_path):
    home = SmallHome.build(tmp_path / "home", with_thumbnails=False)
    with pytest.raises(ReviewError, match=r"has no thumbnails yet\. `gradient run --hospital st-mary`"):
        listed(home)


def row(box, **more):
    return {"box": box, "verdict": "redacted", "boxes": 1, "frame": 0, "source": "ppocr-v6-small", "score": 0.9} | more


@pytest.mark.parametrize(
    ("rows", "doubts"),
    [
        ([row(0), row(1)], ()),
        ([row(0), row(1, score=0.59)], ("low score",)),
        ([row(0), row(1, source="ppocr-v4")], ("second finder",)),
        ([row(0), row(1, source="device-rule"), row(2, source="review")], ()),
        ([row(0, kept=2), row(1)], ("text kept",)),
        ([row(0, look="audited")], ("audit",)),
        ([row(0), *(row(n) for n in range(1, 41))], ("many boxes",)),
        ([row(0), *(row(n, frame=n) for n in range(1, 41))], ()),
    ],
)
def test_signs_of_doubt(rows, doubts):
    said = _Said()
    for one in rows:
        said.add(one)
    assert said.doubts("ppocr-v6-small") == doubts


def subject(pseudonym="c" * 32, verdict="redacted", boxes=1, score=0.9, doubts=()):
    item = {"work_token": "1" * 32, "object_key": "k", "object_pseudonym": pseudonym}
    return Subject(item, "2.25.1", verdict, boxes, score, doubts)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (subject(doubts=("text kept",)), subject(doubts=("second finder",))),
        (subject(doubts=("second finder",)), subject(doubts=("low score",), score=0.4)),
        (subject(doubts=("low score", "many boxes")), subject(doubts=("text kept",), pseudonym="d" * 32)),
        (subject(doubts=("audit",), verdict="clean", boxes=0, score=None), subject()),
        (subject(score=0.7), subject(score=0.8)),
        (subject(boxes=9), subject(boxes=2)),
        (subject(), subject(verdict="clean", boxes=0, score=None)),
    ],
)
def test_the_order_of_two(first, then):
    assert sorted([then, first], key=lambda one: _place(one, None)) == [first, then]


def test_what_nobody_decided_is_pending():
    assert is_pending(subject(), None)


def test_a_subject_shows_no_object_key():
    assert "object_key" not in repr(subject())
