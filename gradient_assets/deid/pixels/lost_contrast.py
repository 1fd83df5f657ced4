"""Rows of letter-like shapes that stored values hold, but that no window spreads over enough of 256 levels.

Belongs here: the cheap test for them and the picture in which they show.  A picture of its own doubles the cost of a frame, so
it is made only where the test sees such a row: of 21 CT, MR and NM slices without text none has a row likelier than
3.0 (`LetterRow.likelihood`), while lines of 12 levels planted into them reach 4.0 to 23 where they are four times the noise
or more.  The test takes .02 CPU-seconds for 512 x 512 pixels, a look about 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.letter_rows import CONTRAST_LEVELS, Binarised, letter_rows

STROKE_PX = 9
"""Strokes are narrower than this; unlike a blur's, what is left by opening and closing has no skirts beside an edge."""
TILE_PX = 64
NOISES = 3.0
"""Strokes stand out from the median of their tile, which is noise, by so many times."""
LEAST_STEP = 1.5
"""Stored values; one step is what rounding does to a smooth ramp."""
LIKELY = 3.5
BAND_PX, OVERLAP_PX = 2048, 128
"""Rows that are held as floating-point numbers at once; digitised film has 10,000."""
SHOWN_LEVELS = 60
"""Levels of 256 from the ground for a stroke that just stands out."""


def lost_letters(values: NDArray[Any], ranges: Sequence[tuple[float, float]]) -> NDArray[np.uint8] | None:
    """A picture of the fine structure of stored values (H × W), or None where nothing in it looks like a line of letters.

    `ranges`: lowest and highest value of each window that is shown anyway, the first over all finite values.
    """
    low, high = ranges[0]
    if not high - low > 255:  # 8 bits hold every step
        return None
    bands = range(0, values.shape[0], BAND_PX)
    shown = [_fine_structure(values[top : top + BAND_PX + OVERLAP_PX], ranges) for top in bands]
    if not any(has_row for _, has_row in shown):
        return None
    return np.vstack([picture[:BAND_PX] for picture, _ in shown])


def _fine_structure(values: NDArray[Any], ranges: Sequence[tuple[float, float]]) -> tuple[NDArray[np.uint8], bool]:
    """The picture, and whether a row of letter-like shapes is in it that no window shows."""
    low, high = ranges[0]
    above = np.nan_to_num(np.clip(values.astype(np.float64) - low, 0, high - low)).astype(np.float32)
    square = np.ones((STROKE_PX, STROKE_PX), np.uint8)
    bright = above - np.asarray(cv2.morphologyEx(above, cv2.MORPH_OPEN, square), np.float32)
    dark = np.asarray(cv2.morphologyEx(above, cv2.MORPH_CLOSE, square), np.float32) - above
    limit = np.maximum(NOISES * _tile_medians(np.maximum(bright, dark)), np.float32(LEAST_STEP))
    levels = np.zeros(above.shape, np.float32)
    for start, end in ranges:
        inside = (above >= start - low) & (above <= end - low)
        levels = np.maximum(levels, inside * np.float32(255 / (end - start)))
    has_row = any(_has_row(strokes, limit, (strokes * levels) < CONTRAST_LEVELS) for strokes in (bright, dark))
    signed = np.where(bright >= dark, bright, -dark) / limit
    return np.asarray(np.clip(128 + SHOWN_LEVELS * signed, 0, 255), dtype=np.uint8), has_row


def _has_row(strokes: NDArray[np.float32], limit: NDArray[np.float32], faint: NDArray[np.bool_]) -> bool:
    ink = (strokes > limit) & faint
    if not ink.any():
        return False
    _, labels, measures, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    shown = np.asarray(np.clip(strokes / limit * (SHOWN_LEVELS * 2 / 3), 0, 255), dtype=np.uint8)
    rows = letter_rows(Binarised(shown, labels, measures, many_shades=True))
    return any(row.likelihood >= LIKELY for row in rows)


def _tile_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median around each pixel, by tiles: less than half of a tile is ever ink."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % TILE_PX), (0, -width % TILE_PX)), mode="edge")
    down, across = padded.shape[0] // TILE_PX, padded.shape[1] // TILE_PX
    tiles = padded.reshape(down, TILE_PX, across, TILE_PX).transpose(0, 2, 1, 3).reshape(down, across, -1)
    medians = np.median(tiles, axis=2).astype(np.float32)
    spread = cv2.resize(medians, (padded.shape[1], padded.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(spread[:height, :width], dtype=np.float32)
