"""What passes the gate: by height, score and reading; the values beside each bound are those it was measured between."""

import pytest

from gradient_assets.deid.pixels import gate
from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.networks import Quad

SHORT_SIDE = 512


def quad(score, *, width=120.0, height=60.0, angle=0.0):
    return Quad(200, 200, width, height, angle, score)


@pytest.mark.parametrize(
    ("score", "text", "confidence", "passes"),
    [
        (0.9, "M", 1.0, True),  # one letter, clear box and reading
        (0.75, "M", 0.94, False),
        (0.65, "M", 1.0, False),
        (0.75, "O", 1.0, False),  # a ring
        (0.7, "LI", 0.74, True),  # two strokes in a clear box
        (0.7, "LI", 0.5, False),
        (0.5, "LI", 0.95, False),
        (0.5, "WU", 0.95, True),
        (0.31, "HA", 0.94, False),  # trabeculae of one CT
        (0.31, "HA", 0.98, True),
        (0.31, "ANN", 0.8, True),
        (0.42, "637", 0.58, False),
        (0.31, "OIO", 0.99, False),
        (0.85, "", 0.0, True),  # an alphabet that nobody reads
        (0.75, "", 0.0, False),
    ],
)
def test_a_tall_box_passes_by_score_and_reading(score, text, confidence, passes):
    assert gate.is_text(quad(score), text, confidence, SHORT_SIDE) == passes


def test_an_organ_of_a_small_picture_does_not_pass_by_its_score():
    assert gate.is_text(quad(0.85, width=60, height=46), "", 0.0, SHORT_SIDE)
    assert not gate.is_text(quad(0.85, width=60, height=46), "o", 0.85, 144)


def test_a_box_off_the_axes_needs_many_letters():
    assert not gate.is_text(quad(0.9, angle=30, height=30), "ANN", 0.99, SHORT_SIDE)
    assert gate.is_text(quad(0.9, angle=30, height=30), "ANNA", 0.99, SHORT_SIDE)


@pytest.mark.parametrize(
    ("text", "confidence", "passes"),
    [("MEI", 0.76, True), ("MEI", 0.66, False), ("RA", 0.91, False), ("RA", 0.98, True), ("000000", 0.99, False),
     ("M", 1.0, False), ("", 0.0, False)],
)  # fmt: skip
def test_a_row_that_no_detector_saw_passes_by_its_reading(text, confidence, passes):
    assert gate.is_row_of_letters(text, confidence) == passes


@pytest.mark.parametrize(("short_side", "tallest"), [(128, 51.2), (512, 140), (2000, 300)])
def test_no_line_is_taller_than_its_share_of_the_picture(short_side, tallest):
    assert gate.tallest(short_side) == pytest.approx(tallest)


def test_a_doubtful_box_beside_a_line_at_its_height_is_text_and_one_further_off_is_not():
    line = FoundText(100, 50, 80, 20, 0.9, 5)
    beside, further, above = (FoundText(x, y, 20, 18, 0.4, 0) for x, y in ((190, 51), (240, 51), (190, 20)))
    assert gate.neighbours([beside, further, above], [line]) == [beside]
