"""Lines that another engine saw: put into pixels of the picture, and kept or left by what was read in them.

Belongs here: what EasyOCR and Tesseract share.  The gate of the default finders, which sees scores that these engines don't
tell, is `finding`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.boxes import FoundText, without_contained
from gradient_assets.deid.pixels.finding import SMALLEST_SIDE_PX, ReadText
from gradient_assets.deid.pixels.gate import tallest
from gradient_assets.deid.pixels.networks import MissingWeightsError

COVERED_SHARE = 0.8
"""A box of which so much lies in a line that was read is not read again."""


class MissingEngineError(MissingWeightsError):
    """A package, program or language that a finder needs is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Which lines count as text: `letters` read with at least `confidence`, or any letter with at least `sure`."""

    letters: int
    confidence: float
    sure: float

    def passes(self, found: FoundText, short_side: int) -> bool:
        """Whether a line of a picture with this shorter side is text; what is taller than text can be is not."""
        if min(found.width, found.height) > tallest(short_side):
            return False
        if found.letters >= self.letters:
            return found.confidence >= self.confidence
        return found.letters > 0 and found.confidence >= self.sure

    def kept(self, found: Iterable[FoundText], short_side: int) -> list[FoundText]:
        """The lines that pass, each once."""
        return without_contained(one for one in found if self.passes(one, short_side))


def is_blank(image: NDArray[np.uint8]) -> bool:
    """Whether a picture can hold no line: one shade only, or too small for letters."""
    return min(image.shape[:2]) < SMALLEST_SIDE_PX or int(image.max()) == int(image.min())


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H × W of H × W or H × W × 3: the brightest channel, so that coloured letters stay as bright as white ones."""
    return image if image.ndim == 2 else np.ascontiguousarray(image.max(axis=2))


def line(
    bounds: tuple[float, float, float, float], text: str, confidence: float, rows: int, columns: int
) -> FoundText | None:
    """A line with `bounds` (left, top, right, bottom), clipped to the picture; None when nothing of it lies inside."""
    left, top = max(0, int(np.floor(bounds[0]))), max(0, int(np.floor(bounds[1])))
    right, bottom = min(columns, int(np.ceil(bounds[2]))), min(rows, int(np.ceil(bounds[3])))
    if right <= left or bottom <= top:
        return None
    sure = float(min(1.0, max(0.0, confidence)))
    return FoundText(left, top, right - left, bottom - top, sure, sum(map(str.isalnum, text)), text, sure)


def is_known(found: FoundText, known: Iterable[FoundText]) -> bool:
    """Whether most of it lies in a line in which letters were read."""
    for one in known:
        wide = min(one.left + one.width, found.left + found.width) - max(one.left, found.left)
        high = min(one.top + one.height, found.top + found.height) - max(one.top, found.top)
        area = found.width * found.height
        if one.letters >= 2 and wide > 0 and high > 0 and wide * high >= COVERED_SHARE * area:
            return True
    return False


def as_read(found: Iterable[FoundText]) -> list[ReadText]:
    """The same for pages of documents."""
    return [ReadText(one, one.text, one.confidence) for one in found]
