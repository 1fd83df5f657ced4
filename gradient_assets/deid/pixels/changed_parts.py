"""Which part of a frame shows something that none of the frames looked at before can have shown.

Belongs here: comparing one picture with the brightest and darkest values seen so far.  Which frames are looked at at all is
`survey`'s business.

In a cine the anatomy moves on every frame, and a lossy one differs everywhere, so equal pixels tell little.  But letters
that come up in it are brighter or darker than everything that was there.  Of 80 lines planted into single frames of two
real ultrasound cines, all left such a mark, in 3 ms a frame.  What is looked at of these cines adds up to the area of 3.0 of
27 frames in one and of 4.9 of 30 in the other: a further frame costs .08 and .13 of the first.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.rendering import Picture

STEP = 30
"""Levels of 256 beyond the values seen in the neighbourhood; faint lines of the bench have 55, speckle moves within 30."""
NEIGHBOURHOOD_PX = 5
INK_PX, INK_WINDOW_PX = 8, (32, 16)
"""New pixels in a window as wide as three small letters: two letters of 7 px have about 25."""
FEW_CHANGES = 0.05
"""A part this small is looked at whatever it shows: a clock, a marker."""
MARGIN_PX = 32
REMEMBERED = 8
"""Pictures that make up what was seen: of more, every value has occurred everywhere."""


class SeenPictures:
    """The last pictures that were looked at, as the range of values they span."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._low: Picture | None = None
        self._high: Picture | None = None

    def add(self, picture: Picture) -> None:
        """Remember a picture that was looked at; one of another shape begins anew."""
        if self._pictures and self._pictures[-1].shape != picture.shape:
            self._pictures = []
        self._pictures = [*self._pictures, picture][-REMEMBERED:]
        around = np.ones((NEIGHBOURHOOD_PX, NEIGHBOURHOOD_PX), np.uint8)
        self._low = np.asarray(cv2.erode(np.min(self._pictures, axis=0), around), dtype=np.uint8)
        self._high = np.asarray(cv2.dilate(np.max(self._pictures, axis=0), around), dtype=np.uint8)

    def new_part(self, picture: Picture, *, thorough: bool) -> tuple[int, int, Picture]:
        """Left, top and the part of the picture that has to be looked at; an empty part when nothing is new.

        `thorough`: any change counts, not only letters.
        """
        if self._low is None or self._high is None or self._low.shape != picture.shape:
            return 0, 0, picture
        differs = _any_channel(picture != self._pictures[-1])
        part = _around(picture, differs)
        if thorough or part[2].size <= FEW_CHANGES * picture.size:
            return part
        ink = _any_channel((cv2.subtract(picture, self._high) > STEP) | (cv2.subtract(self._low, picture) > STEP))
        dense = cv2.boxFilter(ink.astype(np.float32), -1, INK_WINDOW_PX, normalize=False) >= INK_PX - 0.5
        return _around(picture, np.asarray(dense, dtype=np.bool_))


def _any_channel(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask.any(axis=2)) if mask.ndim > 2 else mask


def _around(picture: Picture, mask: NDArray[np.bool_]) -> tuple[int, int, Picture]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0, 0, picture[:0, :0]
    top, bottom = max(0, int(rows[0]) - MARGIN_PX), int(rows[-1]) + 1 + MARGIN_PX
    left, right = max(0, int(columns[0]) - MARGIN_PX), int(columns[-1]) + 1 + MARGIN_PX
    return left, top, picture[top:bottom, left:right]
