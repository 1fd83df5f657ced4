"""Rows of shapes like letters are met without a detector, and texture is not taken for letters."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid.pixels.letter_rows import READ_ROWS, LetterRow, binarised, letter_rows, worth_reading

ROWS, COLUMNS = 240, 360


def ground():
    """Soft shapes without a constant place."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    noise = np.random.default_rng(3).normal(0, 3, (ROWS, COLUMNS))
    return (90 + 40 * np.sin(x / 40) * np.cos(y / 30) + noise).clip(0, 255).astype(np.uint8)


def written(text="MEIER 1954", *, size=18, shade=255, turn=0, plate=None):
    """H × W × 3, and where the letters are."""
    stencil = Image.new("L", (COLUMNS, ROWS), 0)
    ImageDraw.Draw(stencil).text((60, 90), text, fill=255, font=ImageFont.load_default(size))
    glyphs = np.rot90(np.asarray(stencil) > 127, turn)
    picture = np.rot90(ground(), turn).copy()
    if plate is not None:
        rows, columns = np.flatnonzero(glyphs.any(axis=1)), np.flatnonzero(glyphs.any(axis=0))
        picture[rows[0] - 3 : rows[-1] + 4, columns[0] - 3 : columns[-1] + 4] = plate
    picture[glyphs] = shade
    return np.dstack([picture] * 3), glyphs


def rows_of(picture):
    return [row for seen in binarised(picture) for row in letter_rows(seen)]


def best_share(rows, glyphs):
    """Of the letters' pixels, in the row that has most of them."""
    return max((glyphs[row.top : row.bottom, row.left : row.right].sum() / glyphs.sum() for row in rows), default=0)


@pytest.mark.parametrize("turn", [0, 1, 3])
@pytest.mark.parametrize("shade", [255, 200, 0])
@pytest.mark.parametrize("size", [11, 18, 40])
def test_letters_side_by_side_are_a_row_that_is_read(size, shade, turn):
    picture, glyphs = written("MEIERS", size=size, shade=shade, turn=turn)
    rows = worth_reading(rows_of(picture), [])
    assert best_share(rows, glyphs) >= 0.6
    assert any(row.upright == (turn != 0) for row in rows)


def test_coloured_letters_are_met_though_they_are_as_bright_as_the_ground_on_the_whole():
    grey, glyphs = written("MEIERS")
    picture = np.full_like(grey, 170)
    picture[glyphs] = (255, 255, 0)
    assert best_share(rows_of(picture), glyphs) >= 0.9


@pytest.mark.parametrize(("shade", "plate"), [(255, 0), (0, 255), (200, 40)])
def test_letters_of_one_shade_on_a_plate_are_known_to_be_drawn(shade, plate):
    picture, glyphs = written("HK", size=40, shade=shade, plate=plate)
    drawn = [row for row in rows_of(picture) if row.drawn]
    assert best_share(drawn, glyphs) >= 0.9


def test_letters_on_tissue_are_not_said_to_be_drawn_without_reading():
    picture, _ = written()
    assert not [row for row in rows_of(picture) if row.drawn]


def test_shapes_of_a_mask_are_not_said_to_be_drawn():
    _, glyphs = written("HK", size=40)
    mask = np.dstack([glyphs.astype(np.uint8) * 255] * 3)
    assert rows_of(mask)
    assert not [row for row in rows_of(mask) if row.drawn]


def test_boxes_that_were_filled_are_not_said_to_be_drawn():
    picture = np.dstack([ground()] * 3)
    picture[30:120, 40:300] = 255
    picture[60:80, 60:90] = picture[60:80, 100:140] = 0
    assert rows_of(picture)
    assert not [row for row in rows_of(picture) if row.drawn]


@pytest.mark.parametrize("picture", [np.dstack([ground()] * 3), np.zeros((80, 80, 3), np.uint8)])
def test_a_soft_ground_makes_no_row_of_many_shapes(picture):
    assert not [row for row in rows_of(picture) if row.shapes >= 4 or row.drawn]


def test_what_lies_in_a_known_line_is_not_read_again_and_equal_rows_once():
    picture, glyphs = written()
    rows = rows_of(picture)
    left, top = (int(np.flatnonzero(glyphs.any(axis=axis))[0]) for axis in (0, 1))
    assert not [row for row in worth_reading(rows, [(left - 9, top - 9, COLUMNS, top + 40)]) if row.shapes > 3]
    assert len(worth_reading(rows + rows, [])) == len(worth_reading(rows, []))


def test_the_likeliest_rows_are_read_and_no_more_than_the_limit():
    def row(number, shapes):
        return LetterRow(number * 50, 0, number * 50 + 40, 10, shapes, 1.0, 0.0, upright=False, drawn=False)

    rows = [row(number, number + 2) for number in range(READ_ROWS + 5)]
    chosen = worth_reading(rows, [])
    assert [one.shapes for one in chosen] == [one.shapes for one in reversed(rows)][:READ_ROWS]
