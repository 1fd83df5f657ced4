"""Bar codes: a patient's number that no reader of letters sees.

Belongs here: stripes of one height side by side, along both axes, and QR codes.  What a code says is of no interest: wherever
one stands it goes.  Shapes and rows are `letter_rows`' way of looking.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.letter_rows import Binarised, Shapes, side_by_side

LEAST_STRIPES = 14
"""Code 39 draws 5 for each of its characters and both ends, Code 128 three: two characters have 14 or more."""
LEAST_STRIPE_PX = 12
MOST_STRIPE_WIDTH_HEIGHTS = 0.3
LEAST_FILL = 0.8
"""A stripe fills its rectangle; what a lossy codec nibbles off its edge is less than a fifth."""
MOST_UNEQUAL = 0.06
"""Standard deviation of the stripes' heights, in heights: no row of 58 pictures without codes comes near it."""
MOST_GAP_WIDTHS = 6.0
"""Between stripes, in widths of the narrowest: the widest gap of the usual codes has four modules."""
LEAST_WIDTHS = 2
"""Stripes of one width are a grid or a scale."""


def striped_codes(seen: Binarised) -> list[FoundText]:
    """Every striped code of one binarised picture; the boxes hold no text, their score is 1."""
    measures = seen.measures[1:]
    lying = [_box(*edges) for edges in _striped(measures)]
    return lying + [
        _box(left, top, right, bottom) for top, left, bottom, right in _striped(measures[:, [1, 0, 3, 2, 4]])
    ]


def qr_codes(picture: NDArray[np.uint8]) -> list[FoundText]:
    """Every QR code of a picture, H × W × 3; boxes as of striped codes."""
    there, corners = cv2.QRCodeDetector().detectMulti(np.ascontiguousarray(picture.max(axis=2)))
    if not there:
        return []
    height, width = picture.shape[:2]
    found = []
    for code in np.asarray(corners).reshape(-1, 4, 2):
        left, top = np.clip(np.floor(code.min(axis=0)), 0, [width - 1, height - 1]).astype(int)
        right, bottom = np.clip(np.ceil(code.max(axis=0)), [left + 1, top + 1], [width, height]).astype(int)
        found.append(_box(int(left), int(top), int(right), int(bottom)))
    return found


def _striped(measures: Shapes) -> list[tuple[int, int, int, int]]:
    """left, top, right, bottom of each row of upright stripes."""
    wide, high, area = measures[:, 2], measures[:, 3], measures[:, 4]
    stripes = measures[
        (high >= LEAST_STRIPE_PX) & (wide <= MOST_STRIPE_WIDTH_HEIGHTS * high) & (area >= LEAST_FILL * wide * high)
    ]
    stripes = stripes[np.argsort(stripes[:, 0], kind="stable")]
    return [edges for row in side_by_side(stripes) for edges in _codes(stripes[row])]


def _codes(row: Shapes) -> list[tuple[int, int, int, int]]:
    """The row as a code, if it is one."""
    if len(row) < LEAST_STRIPES or row[:, 3].std() > MOST_UNEQUAL * row[:, 3].mean():
        return []
    gaps = [int(after[0] - before[0] - before[2]) for before, after in pairwise(row)]
    if max(gaps) > MOST_GAP_WIDTHS * max(1, int(row[:, 2].min())):
        return []
    if len(set(row[:, 2].tolist())) < LEAST_WIDTHS or len(set(gaps)) < LEAST_WIDTHS:
        return []
    right, bottom = (row[:, 0] + row[:, 2]).max(), (row[:, 1] + row[:, 3]).max()
    return [(int(row[:, 0].min()), int(row[:, 1].min()), int(right), int(bottom))]


def _box(left: int, top: int, right: int, bottom: int) -> FoundText:
    return FoundText(left, top, right - left, bottom - top, 1.0, 0)
