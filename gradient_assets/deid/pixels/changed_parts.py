"""Which part of a frame shows something that none of the frames looked at before can have shown.

Belongs here: comparing one picture with each of those looked at before.  Which frames are looked at at all is `survey`'s
business.

In a cine the anatomy moves on every frame, and a lossy one differs everywhere, so equal pixels tell little.  But letters
that come up in it are brighter or darker than everything that was there in any one picture.  Each picture is compared by
itself: a page of white and one of black paper span every value together, and hide any letter between them (a name on the
third of eight slides was never looked at).  Of 80 lines planted into single frames of two real ultrasound cines, all left
such a mark.  What is looked at of these cines adds up to the area of 3.0 of 27 frames in one and of 6.7 of 30 in the other:
a further frame costs .08 and .20 of the first, and 2 to 5 ms for the comparison.

Where text was found, and no box stands on every frame, that tells nothing: other letters at the same place lie within a
pixel or two of those ("MEIER ANNA" of 8 to 12 px over "RIGHT LIVER" left no mark in four of seven sizes).  There each pixel
is compared with itself alone, and what is looked at holds the whole of such a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.rendering import Picture

STEP = 30
"""Levels of 256 beyond the values seen in the neighbourhood; faint lines of the bench have 55, speckle moves within 30."""
NEIGHBOURHOOD_PX = 5
LETTER_REACH_PX = NEIGHBOURHOOD_PX // 2
INK_PX, INK_WINDOW_PX = 8, (32, 16)
"""New pixels in a window as wide as three small letters: two letters of 7 px have about 25."""
FEW_CHANGES = 0.05
"""A part this small is looked at whatever it shows: a clock, a marker."""
INK_IN_KEPT_PX = 3
"""The same where other text stays: letters that share most of their strokes differ by few pixels."""
MARGIN_PX = 32
REMEMBERED = 8
"""Pictures that a frame is compared with, the last ones that were looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a picture, in pixels; empty where nothing has to be looked at."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, for indexing a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def touches(self, other: Part) -> bool:
        """Whether they share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def grown(self, margin: int, within: Part) -> Part:
        """By a margin on each side, as far as there is room."""
        return Part(
            max(within.left, self.left - margin),
            max(within.top, self.top - margin),
            min(within.right, self.right + margin),
            min(within.bottom, self.bottom + margin),
        )

    def joined(self, other: Part) -> Part:
        """The rectangle around both."""
        return Part(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture that was looked at, and the lowest and highest value around each of its pixels."""

    picture: Picture
    low: Picture
    high: Picture


class SeenPictures:
    """The last pictures that were looked at, H × W or H × W × channels."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._kept: set[Part] = set()
        self._unread: set[Part] = set()

    def add(self, picture: Picture, part: Part, *, kept: Iterable[Part] = (), unread: Iterable[Part] = ()) -> None:
        """Remember the part that was looked at; the rest is what was seen there before, which is not what stands there now.

        `kept`, `unread`: where text was found that is black on no other frame, because it stays or for want of letters.
        """
        whole = Part(0, 0, picture.shape[1], picture.shape[0])
        if not self._seen or self._seen[-1].picture.shape != picture.shape:
            self._seen, self._kept, self._unread = [], set(), set()  # of another shape: nothing can be compared
            known = picture
        else:
            known = self._seen[-1].picture.copy()
            known[part.slices] = picture[part.slices]
        self._kept |= {text.grown(LETTER_REACH_PX, whole) for text in kept}
        self._unread |= {text.grown(LETTER_REACH_PX, whole) for text in unread}
        around = np.ones((NEIGHBOURHOOD_PX, NEIGHBOURHOOD_PX), np.uint8)
        low, high = (change(known, around).reshape(known.shape) for change in (cv2.erode, cv2.dilate))
        for text in self._kept | self._unread:
            low[text.slices] = high[text.slices] = known[text.slices]
        self._seen = [*self._seen, _Seen(known, low, high)][-REMEMBERED:]

    def new_part(self, picture: Picture, *, thorough: bool) -> Part:
        """The part of the picture that has to be looked at.

        `thorough`: any change counts, not only letters.
        """
        whole = Part(0, 0, picture.shape[1], picture.shape[0])
        if not self._seen or self._seen[-1].picture.shape != picture.shape:
            return whole
        part = _around(_any_channel(picture != self._seen[-1].picture))
        if thorough or part.area <= FEW_CHANGES * whole.area:
            return self._with_whole_texts(part, whole)
        least = np.full(picture.shape[:2], INK_PX, np.float32)
        for text in self._kept:
            least[text.slices] = INK_IN_KEPT_PX
        new = np.ones(picture.shape[:2], np.bool_)
        for seen in reversed(self._seen):
            new &= _has_ink(picture, seen, least)
            if not new.any():
                break
        return self._with_whole_texts(_around(new), whole)

    def _with_whole_texts(self, part: Part, whole: Part) -> Part:
        """The part with every text that it touches: half a line is not read, and one that stays needs room around it."""
        rooms = {text: text.grown(max(MARGIN_PX, 2 * (text.bottom - text.top)), whole) for text in self._kept}
        rooms = {**{text: text for text in self._unread}, **rooms}
        while part.area and (touched := [text for text in rooms if part.touches(text)]):
            for text in touched:
                part = part.joined(rooms.pop(text))
        return part


def _has_ink(picture: Picture, seen: _Seen, least: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a window of the picture holds `least` pixels and more that the other one can't have shown."""
    ink = _any_channel((cv2.subtract(picture, seen.high) > STEP) | (cv2.subtract(seen.low, picture) > STEP))
    dense = cv2.boxFilter(ink.astype(np.float32), -1, INK_WINDOW_PX, normalize=False) >= least - 0.5
    return np.asarray(dense, dtype=np.bool_)


def _any_channel(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask.any(axis=2)) if mask.ndim > 2 else mask


def _around(mask: NDArray[np.bool_]) -> Part:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Part(0, 0, 0, 0)
    top, bottom = max(0, int(rows[0]) - MARGIN_PX), min(mask.shape[0], int(rows[-1]) + 1 + MARGIN_PX)
    left, right = max(0, int(columns[0]) - MARGIN_PX), min(mask.shape[1], int(columns[-1]) + 1 + MARGIN_PX)
    return Part(left, top, right, bottom)
