"""A line that was found in part is followed to its ends, and nowhere else."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid.pixels import FoundText
from gradient_assets.deid.pixels.line_ends import lengthened
from gradient_assets.deid.pixels.networks import PPOCR_V6_RECOGNISER

ROWS, COLUMNS = 200, 420
TEXT, LEFT, TOP, SIZE = "MEIER ANNA 12.03.1954", 60, 90, 20


def written(text=TEXT):
    """Letters on soft shapes, and how far they reach: first and last column, first and last row."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    picture = (70 + 40 * np.sin(x / 40) * np.cos(y / 30)).astype(np.uint8)
    stencil = Image.new("L", (COLUMNS, ROWS), 0)
    ImageDraw.Draw(stencil).text((LEFT, TOP), text, fill=255, font=ImageFont.load_default(SIZE))
    glyphs = np.asarray(stencil) > 127
    picture[glyphs] = 240
    columns, rows = np.flatnonzero(glyphs.any(axis=0)), np.flatnonzero(glyphs.any(axis=1))
    return np.dstack([picture] * 3), (int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1]))


def part(first, last, extent, letters=4):
    """The line as it was found, between two shares of its length, as high as the detector makes its boxes."""
    left, right, top, bottom = extent
    start, stop = left + first * (right - left), left + last * (right - left)
    margin = (bottom - top) // 2
    return FoundText(
        round(start), top - margin, round(stop - start), bottom - top + 2 * margin, 0.8, letters, "MEIE", 0.9
    )


def turned(found, turns):
    """The box in the picture turned by quarter turns (as np.rot90)."""
    if turns == 1:
        return FoundText(found.top, COLUMNS - found.left - found.width, found.height, found.width, 0.8, found.letters)
    return FoundText(ROWS - found.top - found.height, found.left, found.height, found.width, 0.8, found.letters)


@pytest.mark.parametrize(("first", "last"), [(0, 0.4), (0.5, 1), (0.35, 0.7)])
def test_a_line_found_in_part_is_covered_to_both_ends(first, last):
    picture, extent = written()
    (line,) = lengthened(PPOCR_V6_RECOGNISER, picture, [part(first, last, extent)])
    assert line.left <= extent[0]
    assert line.left + line.width > extent[1]
    assert line.width < 1.4 * (extent[1] - extent[0])


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize(("first", "last"), [(0, 0.5), (0.5, 1)])
def test_so_is_one_that_runs_upwards_or_downwards(first, last, turns):
    picture, extent = written()
    upright = np.ascontiguousarray(np.rot90(picture, turns))
    (line,) = lengthened(PPOCR_V6_RECOGNISER, upright, [turned(part(first, last, extent), turns)])
    whole = turned(part(0, 1, extent), turns)
    assert line.top <= whole.top
    assert line.top + line.height >= whole.top + whole.height


def test_a_line_found_whole_stays_as_it_is():
    picture, extent = written()
    whole = part(-0.05, 1.05, extent)
    assert lengthened(PPOCR_V6_RECOGNISER, picture, [whole]) == [whole]


def test_bright_shapes_beyond_an_end_are_no_letters():
    picture, extent = written("MEIER")
    whole = part(-0.1, 1.1, extent)
    picture[90:120, whole.left + whole.width + 10 :: 40] = 230
    assert lengthened(PPOCR_V6_RECOGNISER, picture, [whole]) == [whole]


def test_a_box_in_which_nothing_was_read_is_not_followed():
    picture, extent = written()
    unread = part(0, 0.4, extent, letters=0)
    assert lengthened(PPOCR_V6_RECOGNISER, picture, [unread]) == [unread]


def test_what_was_read_beyond_an_end_belongs_to_the_lines_text():
    picture, extent = written()
    (line,) = lengthened(PPOCR_V6_RECOGNISER, picture, [part(0, 0.24, extent)])
    assert line.text.startswith("MEIE")
    assert "1954" in line.text
    assert line.letters > 10
