"""Rectangles around text: what a finder returns, what a redaction keeps, and the geometry of both.

Belongs here: the two records and pure arithmetic on them (grow, clip, join).  What was read travels with the text that was
found, in memory only and in no repr; boxes never carry the words they hide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

# Grown by the larger of the two: measured in the design note; what sticks out of a box is mostly descenders and halos.
GROW_PX = 4
GROW_SHARE_OF_HEIGHT = 0.15


ALL_FRAMES = -1
"""Frame of a box that stands on every frame, however many the object has."""


@dataclass(frozen=True, slots=True)
class FoundText:
    """Text a finder saw: pixels of the image given to it, score 0 … 1, number of letters and digits that were read.

    `text` is what was read, `confidence` (0 … 1) how surely; empty and 0 from finders that don't tell.
    """

    left: int
    top: int
    width: int
    height: int
    score: float
    letters: int
    text: str = field(default="", repr=False, compare=False)
    confidence: float = field(default=0.0, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle in stored pixels of one frame (counted from 0); `source` says who found it."""

    left: int
    top: int
    width: int
    height: int
    source: str
    score: float
    frame: int

    @property
    def right(self) -> int:
        """First column after the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row after the box."""
        return self.top + self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, for indexing a frame."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def on_frame(self, frame: int) -> Box:
        """The same rectangle on another frame."""
        return replace(self, frame=frame)


def grown(found: FoundText, rows: int, columns: int, source: str, frame: int) -> Box | None:
    """The box that hides what was found, grown and clipped to the frame; None when nothing of it lies inside."""
    margin = max(GROW_PX, round(GROW_SHARE_OF_HEIGHT * min(found.width, found.height)))
    left, top = max(0, found.left - margin), max(0, found.top - margin)
    right, bottom = min(columns, found.left + found.width + margin), min(rows, found.top + found.height + margin)
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top, source, round(found.score, 3), frame)


# Two boxes on one line with a gap of up to this many heights belong together: "M   49" is one line, and what stands
# between two words that were found is more often a third word than anatomy.
LINE_GAP_HEIGHTS = 2.5


def line_gaps(boxes: list[Box]) -> list[Box]:
    """Boxes that fill the gaps between neighbours on the same baseline (same frame, similar height)."""
    gaps = []
    ordered = sorted(boxes, key=lambda b: b.left)
    for i, one in enumerate(ordered):
        followers = [other for other in ordered[i + 1 :] if other.left >= one.right and _same_line(one, other)]
        if not followers:
            continue
        other = followers[0]
        if other.left - one.right <= LINE_GAP_HEIGHTS * min(one.height, other.height):
            top, bottom = max(one.top, other.top), min(one.bottom, other.bottom)
            if other.left > one.right:
                gaps.append(replace(one, left=one.right, top=top, width=other.left - one.right, height=bottom - top))
    return gaps


def _same_line(one: Box, other: Box) -> bool:
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared >= 0.6 * max(one.height, other.height) and one.height < 4 * one.width


def without_contained(found: Iterable[FoundText]) -> list[FoundText]:
    """The boxes that lie in no other box; of equal ones the first."""
    kept: list[FoundText] = []
    for one in sorted(found, key=lambda f: -f.width * f.height):
        if not any(_contains(other, one) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda f: (f.top, f.left))


def _contains(outer: FoundText, inner: FoundText) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and outer.left + outer.width >= inner.left + inner.width
        and outer.top + outer.height >= inner.top + inner.height
    )
