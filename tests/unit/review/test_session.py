"""A sitting: pictures are redacted, decisions are checked, kept, and undone as they were."""

import io

import numpy as np
import pytest
from PIL import Image

from gradient_assets.review.decisions import ReviewError, decisions_of
from gradient_assets.review.session import NotReady
from tests.fakes.sittings import index_of, looked, sitting
from tests.fakes.small_home import CINE_FRAMES, COLUMNS, DOUBTFUL, MISSED, NAME, PATIENT, ROWS, SURE

BOX = {"left": 20, "top": 40, "width": 70, "height": 14, "frame": None}
ACCEPT, QUARANTINE = {"verdict": "accept", "boxes": []}, {"verdict": "quarantine", "boxes": []}


def picture(session, index, frame=0, view="shown"):
    return np.asarray(Image.open(io.BytesIO(session.png(index, frame, view))))


def show(session, home, name):
    index = index_of(session, home, name)
    looked(session, index)
    session.png(index, 0, "shown")
    return index


@pytest.fixture(scope="module")
def steady(made):
    """A sitting that is looked at and never decides anything."""
    with sitting(made) as opened:
        yield opened


def test_frames_are_shown_redacted_in_every_window_at_full_size(steady, made):
    for name, places in (("sure", [SURE]), ("doubtful", [SURE, DOUBTFUL]), ("cine", [SURE])):
        index = index_of(steady, made, name)
        state = looked(steady, index)
        assert state == {
            "state": "ready",
            "rows": ROWS,
            "columns": COLUMNS,
            "frames": CINE_FRAMES if name == "cine" else 1,
        }
        for frame in range(state["frames"]):
            for view in ("shown", "full", "narrow"):
                shown = picture(steady, index, frame, view)
                assert shown.shape == (ROWS, COLUMNS)
                assert shown.any()
                for left, top, width, height, _ in places:
                    assert not shown[top : top + height, left : left + width].any()


def test_a_picture_carries_no_text(steady, made):
    index = show(steady, made, "sure")
    assert Image.open(io.BytesIO(steady.png(index, 0, "shown"))).info == {}


def test_text_that_nobody_found_is_there_to_be_seen(steady, made):
    index = show(steady, made, "missed")
    left, top, width, height = MISSED
    assert picture(steady, index)[top : top + height, left : left + width].max() == 255


def test_boxes_of_each_frame_are_told_without_words(steady, made):
    index = show(steady, made, "cine")
    boxes = steady.boxes(index, 2)
    assert [(box["source"], box["score"]) for box in boxes] == [("planted", 0.93)]
    assert set(boxes[0]) == {"left", "top", "width", "height", "source", "score"}


def test_what_the_page_is_told_names_nobody(steady, made):
    show(steady, made, "sure")
    told = str([steady.about(index) for index in range(4)]).casefold()
    for value in (PATIENT, *NAME.split("^"), "1.2.3.4", ".dcm"):
        assert value.casefold() not in told
    assert made.new_uid(1) in told


def test_nothing_is_written_but_decisions(home, tmp_path):
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with sitting(home) as session:
        session.decide(show(session, home, "sure"), ACCEPT)
    new = [path for path in tmp_path.rglob("*") if path.is_file() and path not in before]
    assert [path.name for path in new] == ["000001.json"]


def test_a_picture_not_asked_for_is_not_ready(session):
    with pytest.raises(NotReady):
        session.png(3, 0, "shown")


@pytest.mark.parametrize(
    "call", [lambda s: s.about(4), lambda s: s.about(-1), lambda s: s.look(4), lambda s: s.decide(9, ACCEPT)]
)
def test_an_instance_that_is_not_listed_is_an_index_error(session, call):
    with pytest.raises(IndexError):
        call(session)


def test_a_frame_that_is_not_there_is_an_index_error(steady, made):
    index = show(steady, made, "sure")
    for frame in (1, -1):
        with pytest.raises(IndexError):
            steady.png(index, frame, "shown")


@pytest.mark.parametrize(
    "wish",
    [
        {"verdict": "box", "boxes": []},
        {"verdict": "box", "boxes": [{**BOX, "left": 120}]},
        {"verdict": "box", "boxes": [{**BOX, "frame": 1}]},
        {"verdict": "box", "boxes": [{**BOX, "left": "1"}]},
        {"verdict": "accept", "boxes": [BOX]},
        {"verdict": "whatever", "boxes": []},
        {"verdict": ["accept"], "boxes": []},
        {"verdict": None, "boxes": []},
        {"verdict": "accept"},
        {"verdict": "accept", "boxes": [], "reviewer": "Eve"},
    ],
)
def test_a_wish_that_is_none_is_refused_and_changes_nothing(steady, made, wish):
    index = show(steady, made, "sure")
    with pytest.raises(ReviewError):
        steady.decide(index, wish)
    assert decisions_of(made.resources, "st-mary") == {}


@pytest.mark.parametrize("wish", [ACCEPT, {"verdict": "box", "boxes": [BOX]}])
def test_a_picture_that_was_not_shown_cannot_be_accepted(session, wish):
    with pytest.raises(ReviewError, match="not shown yet"):
        session.decide(2, wish)


def test_a_picture_that_was_not_shown_can_be_quarantined(session, home):
    session.decide(index_of(session, home, "sure"), QUARANTINE)
    assert decisions_of(home.resources, "st-mary")[home.pseudonym("sure")].verdict == "quarantine"


def test_a_decision_is_kept_with_reviewer_token_and_time(session, home):
    index = show(session, home, "missed")
    told = session.decide(index, {"verdict": "box", "boxes": [BOX]})
    kept = decisions_of(home.resources, "st-mary")[home.pseudonym("missed")]
    assert (kept.verdict, kept.reviewer, kept.boxes[0].as_dict()) == ("box", "Ada", BOX)
    assert kept.made_on == session.subjects[index].work_token
    assert kept.decided_at.endswith("+00:00")
    assert told["decision"]["boxes"] == [BOX]
    assert (told["pending"], told["undo"]) == (3, 1)


def test_undo_puts_back_what_stood_before_with_its_reviewer(home):
    with sitting(home) as session:
        session.decide(index_of(session, home, "sure"), QUARANTINE)
    first = decisions_of(home.resources, "st-mary")
    with sitting(home) as session:
        session.reviewer = "Bo"
        index = show(session, home, "sure")
        session.decide(index, ACCEPT)
        session.decide(index, {"verdict": "box", "boxes": [BOX]})
        assert decisions_of(home.resources, "st-mary") != first
        session.undo()
        assert session.undo()["index"] == index
        assert decisions_of(home.resources, "st-mary") == first
        with pytest.raises(ReviewError, match="nothing to undo"):
            session.undo()


@pytest.mark.parametrize(
    ("only", "by_chance"), [("all", False), ("unsure", False), ("redacted", False), ("sample", True)]
)
def test_a_decision_says_whether_its_instance_was_drawn_by_chance(home, only, by_chance):
    with sitting(home, only) as session:
        session.decide(index_of(session, home, "doubtful"), QUARANTINE)
    assert decisions_of(home.resources, "st-mary")[home.pseudonym("doubtful")].drawn_by_chance is by_chance


def test_what_a_sample_drew_stays_drawn_when_it_is_decided_anew(home):
    with sitting(home, "sample") as session:
        session.decide(show(session, home, "missed"), {"verdict": "box", "boxes": [BOX]})
    with sitting(home) as session:
        session.decide(show(session, home, "missed"), {"verdict": "box", "boxes": [BOX, {**BOX, "top": 60}]})
    kept = decisions_of(home.resources, "st-mary")[home.pseudonym("missed")]
    assert (len(kept.boxes), kept.drawn_by_chance) == (2, True)


def test_an_empty_verdict_takes_a_decision_back(session, home):
    index = index_of(session, home, "sure")
    session.decide(index, QUARANTINE)
    assert session.decide(index, {"verdict": "", "boxes": []})["decision"] is None
    assert decisions_of(home.resources, "st-mary") == {}


def test_the_next_sitting_begins_where_this_one_stopped(home):
    with sitting(home) as session:
        assert session.start() == 0
        session.decide(0, QUARANTINE)
        assert session.start() == 1
        assert session.about(0)["next_pending"] == 1
        done = session.subjects[0].pseudonym
    with sitting(home) as session:
        assert session.subjects[-1].pseudonym == done
        assert session.about(3)["decision"]["stale"] is False


def test_a_part_in_which_nothing_is_listed_is_told(home):
    (home.path / "deidentified/warehouse/pixel_text/st-mary.parquet").unlink()
    with pytest.raises(ReviewError, match="no thumbnails yet"), sitting(home):
        pass


def test_an_object_that_is_gone_is_refused_and_the_others_go_on(session, home):
    gone = index_of(session, home, "sure")
    (home.path / "landing/st-mary/dicoms/quillfeather/sure.dcm").unlink()
    assert looked(session, gone)["reason"] == "object_vanished"
    assert looked(session, index_of(session, home, "cine"))["state"] == "ready"


def test_an_object_that_was_replaced_since_its_header_was_read_is_refused(session, home):
    (home.path / "landing/st-mary/dicoms/quillfeather/sure.dcm").write_bytes(b"another patient's picture")
    assert looked(session, index_of(session, home, "sure"))["reason"] == "object_vanished"


def test_what_was_decided_before_a_rotation_of_the_key_is_shown_and_can_be_taken_back(home):
    with sitting(home) as before:
        before.decide(show(before, home, "sure"), ACCEPT)
        before.decide(show(before, home, "missed"), {"verdict": "box", "boxes": [BOX]})
        before.decide(index_of(before, home, "cine"), QUARANTINE)
    home.rotate()
    home.make_thumbnails()
    with sitting(home) as after:
        told = {name: after.about(index_of(after, home, name)) for name in ("sure", "missed", "cine", "doubtful")}
        shown = {
            name: (one["decision"]["verdict"], one["decision"]["stale"])
            for name, one in told.items()
            if one["decision"]
        }
        assert shown == {"sure": ("accept", False), "missed": ("box", False), "cine": ("quarantine", False)}
        assert told["sure"]["pending"] == 1
        after.decide(index_of(after, home, "cine"), {"verdict": "", "boxes": []})
        after.decide(index_of(after, home, "missed"), QUARANTINE)
    kept = decisions_of(home.resources, "st-mary").values()
    assert sorted(decision.verdict for decision in kept) == ["accept", "quarantine"]
