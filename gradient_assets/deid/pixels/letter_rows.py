"""Rows of shapes that could be letters: a source of boxes that needs no network.

Belongs here: connected shapes of one binarised picture, put side by side into rows, and which rows are worth reading.
Whether letters stand there is the recogniser's answer, and what counts as text `finding`'s business.

Why: most of what the detector misses it misses in every view.  Shapes side by side, equally high and of one shade, are found
whatever stands around them: of 23 planted lines all were met, 3 of them in part.  In 58 pictures without text such rows
were read at .66 at most with three letters or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.networks import Quad

# Letters differ from what is around them by so many levels of 256; the bench plants none below 45, which blurs less at
# the edges of small ones.
CONTRAST_LEVELS = 22
# What is around them: a soft blur for letters of 7 to 20 px, a wide mean for taller ones.
NARROW_SIGMA_PX, WIDE_SIDE_PX = 3.0, 49
# Burned-in letters often hold the darkest or the brightest value there is.
EXTREME_LEVELS = 3
LEAST_HEIGHT_PX, MOST_HEIGHT_PX = 5, 110
MOST_WIDTH_HEIGHTS = 2.2
"""Wider than a letter: two or three that touch."""
LEAST_FILL = 0.12
LEAST_PIXELS = 5
MOST_GAP_HEIGHTS, MOST_OVERLAP_HEIGHTS = 1.0, 0.3
SHARED_HEIGHT = 0.7
MOST_HEIGHT_RATIO = 1.6
"""Between neighbours: capitals and small letters."""
UNEVEN = 1.8
"""A row is no line that is so many times as high as its shapes: it climbs."""
LEAST_SHAPES = 2
SAME_SHADE_LEVELS = 4
# Drawn, not acquired: shapes of one shade and one height on a ground of one shade, far from it.  Nothing has to be read
# there, so alphabets that nobody knows and letters that look like other shapes are met too.  In 58 pictures without text
# such rows have at most 42 levels between ink and ground.  Masks of segmentations have nothing but such shapes.
DRAWN_INK, DRAWN_GROUND, DRAWN_UNEQUAL, DRAWN_LEVELS = 0.7, 0.85, 0.2, 80
# Boxes that were filled black are of one shade too, but without a gap in them.
DRAWN_FILL = 0.85
LEAST_SHADES = 32
READ_ROWS = 16
"""Rows of a picture that are read, the likeliest first."""
MARGIN_HEIGHTS, LEAST_MARGIN_PX = 0.3, 2
COVERED_SHARE = 0.6
"""A row that lies so far in one that was chosen is the same letters, seen in another binarised picture."""

Shapes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Binarised:
    """One way to tell ink from ground: the picture, H × W, the number of the shape at each pixel, and what OpenCV measured
    of each shape (left, top, width, height, pixels); number 0 is the ground.  `many_shades`: no mask of a segmentation."""

    shown: NDArray[np.uint8]
    labels: Shapes
    measures: Shapes
    many_shades: bool


@dataclass(frozen=True, slots=True)
class LetterRow:
    """Shapes side by side: pixels of the picture, `right` and `bottom` are the first beyond.

    `one_shade`: share of their pixels near the median shade.  `unequal`: standard deviation of their heights, in heights.
    `drawn`: no scanner makes such shapes.
    """

    left: int
    top: int
    right: int
    bottom: int
    shapes: int
    one_shade: float
    unequal: float
    upright: bool
    drawn: bool

    @property
    def likelihood(self) -> float:
        """Only for sorting: many shapes of one shade and one height."""
        return self.shapes * (0.15 + self.one_shade) * (1 - min(0.6, self.unequal))

    def quad(self) -> Quad:
        """The row and some of what is around it, as the recogniser wants its lines; the score is 0: no detector saw it."""
        height = self.right - self.left if self.upright else self.bottom - self.top
        margin = 2 * max(LEAST_MARGIN_PX, MARGIN_HEIGHTS * height)
        middle = ((self.left + self.right) / 2, (self.top + self.bottom) / 2)
        return Quad(*middle, self.right - self.left + margin, self.bottom - self.top + margin, 0.0, 0.0)

    def lies_in(self, left: int, top: int, right: int, bottom: int, share: float = COVERED_SHARE) -> bool:
        """Whether that share of the row lies in a rectangle."""
        wide, high = min(self.right, right) - max(self.left, left), min(self.bottom, bottom) - max(self.top, top)
        area = (self.right - self.left) * (self.bottom - self.top)
        return wide > 0 and high > 0 and wide * high >= share * area


def letter_rows(seen: Binarised) -> Iterator[LetterRow]:
    """Rows of one binarised picture, along both axes."""
    measures = seen.measures
    filled = measures[:, cv2.CC_STAT_AREA] >= np.maximum(LEAST_PIXELS, LEAST_FILL * measures[:, 2] * measures[:, 3])
    filled[0] = False  # what is not ink
    for upright in (False, True):
        boxes = measures[:, [1, 0, 3, 2]] if upright else measures[:, :4]
        wide, high = boxes[:, 2], boxes[:, 3]
        numbers = np.flatnonzero(
            filled & (high >= LEAST_HEIGHT_PX) & (high <= MOST_HEIGHT_PX) & (wide <= MOST_WIDTH_HEIGHTS * high)
        )
        numbers = numbers[np.argsort(boxes[numbers, 0], kind="stable")]
        for members in side_by_side(boxes[numbers]):
            row = _row(seen, numbers[members], upright=upright)
            if row is not None:
                yield row


def worth_reading(rows: Iterable[LetterRow], known: Iterable[tuple[int, int, int, int]]) -> list[LetterRow]:
    """The likeliest `READ_ROWS` rows that lie in none of the known rectangles (left, top, right, bottom), each once."""
    taken = list(known)
    chosen: list[LetterRow] = []
    for row in sorted(rows, key=lambda row: row.likelihood, reverse=True):
        if len(chosen) == READ_ROWS:
            break
        if not any(row.lies_in(*rectangle) for rectangle in taken):
            chosen.append(row)
            taken.append((row.left, row.top, row.right, row.bottom))
    return chosen


def binarised(picture: NDArray[np.uint8]) -> Iterator[Binarised]:
    """The shapes of a picture, H × W × 3, that are brighter or darker than what is around them, or as bright or dark as can be.

    Of the channels the brightest and the darkest at each pixel are looked at: coloured letters stay bright, and the windows
    of a deep picture are seen together.
    """
    brightest, darkest = picture.max(axis=2), picture.min(axis=2)
    many_shades = int(np.count_nonzero(np.bincount(brightest.ravel(), minlength=256))) >= LEAST_SHADES
    for shown in [brightest] if np.array_equal(brightest, darkest) else [brightest, darkest]:
        for ink in _inks(shown):
            _, labels, measures, _ = cv2.connectedComponentsWithStats(
                ink.view(np.uint8), connectivity=8, ltype=cv2.CV_32S
            )
            yield Binarised(shown, labels, measures, many_shades)


def _inks(shown: NDArray[np.uint8]) -> Iterator[NDArray[np.bool_]]:
    for around in (cv2.GaussianBlur(shown, (0, 0), NARROW_SIGMA_PX), cv2.blur(shown, (WIDE_SIDE_PX, WIDE_SIDE_PX))):
        yield cv2.subtract(shown, around) > CONTRAST_LEVELS
        yield cv2.subtract(around, shown) > CONTRAST_LEVELS
    yield shown >= int(shown.max()) - EXTREME_LEVELS
    yield shown <= int(shown.min()) + EXTREME_LEVELS


def _row(seen: Binarised, members: NDArray[np.intp], *, upright: bool) -> LetterRow | None:
    """The shapes with these numbers as a row; None where they climb."""
    shapes = seen.measures[members]
    left, top = int(shapes[:, 0].min()), int(shapes[:, 1].min())
    right, bottom = int((shapes[:, 0] + shapes[:, 2]).max()), int((shapes[:, 1] + shapes[:, 3]).max())
    heights = shapes[:, 2 if upright else 3]
    if (right - left if upright else bottom - top) > UNEVEN * float(np.median(heights)):
        return None
    at = (slice(top, bottom), slice(left, right))
    ink = seen.shown[at][np.isin(seen.labels[at], members)].astype(np.int16)
    one_shade = float((np.abs(ink - np.median(ink)) <= SAME_SHADE_LEVELS).mean())
    unequal = float(heights.std() / heights.mean())
    filled = float((shapes[:, 4] / (shapes[:, 2] * shapes[:, 3])).min())
    drawn = one_shade >= DRAWN_INK and unequal <= DRAWN_UNEQUAL and filled <= DRAWN_FILL and seen.many_shades
    drawn = drawn and _stands_on_one_shade(seen, members, left, top, right, bottom)
    return LetterRow(left, top, right, bottom, len(members), one_shade, unequal, upright, drawn)


def _stands_on_one_shade(seen: Binarised, members: NDArray[np.intp], *edges: int) -> bool:
    left, top, right, bottom = edges
    margin = LEAST_MARGIN_PX
    at = (slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin))
    ink = np.isin(seen.labels[at], members)
    ground = seen.shown[at][cv2.dilate(ink.view(np.uint8), np.ones((3, 3), np.uint8)) == 0].astype(np.int16)
    if not ground.size:
        return False
    shade = float(np.median(ground))
    far = abs(float(np.median(seen.shown[at][ink])) - shade) >= DRAWN_LEVELS
    return far and float((np.abs(ground - shade) <= SAME_SHADE_LEVELS).mean()) >= DRAWN_GROUND


def side_by_side(shapes: Shapes) -> list[NDArray[np.intp]]:
    """Which shapes, sorted by their left edge, follow each other at one height; each group holds `LEAST_SHAPES` or more."""
    left, top, wide, high = (shapes[:, column].astype(np.float32) for column in range(4))
    group = np.arange(len(shapes))
    last = np.searchsorted(left, left + wide + MOST_GAP_HEIGHTS * high, side="right")
    for one in range(len(shapes)):
        after = slice(one + 1, int(last[one]))
        if after.start >= after.stop:
            continue
        lower = np.minimum(high[one], high[after])
        gap = left[after] - left[one] - wide[one]
        shared = np.minimum(top[one] + high[one], top[after] + high[after]) - np.maximum(top[one], top[after])
        follows = (gap <= MOST_GAP_HEIGHTS * lower) & (gap >= -MOST_OVERLAP_HEIGHTS * lower)
        follows &= shared >= SHARED_HEIGHT * lower
        follows &= np.maximum(high[one], high[after]) <= MOST_HEIGHT_RATIO * lower
        if follows.any():
            group[one + 1 + int(follows.argmax())] = group[one]
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [part for part in parts if len(part) >= LEAST_SHAPES]
