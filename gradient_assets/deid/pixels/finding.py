"""Finders: given one 8-bit picture, where is text?

Belongs here: the two finders that ship, the views of a picture they look at, and the gate that keeps texture out.  The
networks behind them are `networks`; which pictures are shown (frames, windows, overlays) is `engine`'s business.

The recipe was measured on 355 lines rendered into real images: the union of a high-passed and the raw view covers .98 of
them, each alone .95 to .98; before the gate 43 % of clean anatomy would have been blacked out, behind it 0.3 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels import networks
from gradient_assets.deid.pixels.boxes import FoundText, without_contained
from gradient_assets.deid.pixels.networks import Quad, WeightFile

# A picture is looked at no larger than this many times its size: beyond 4 no further letter was found.
MAX_ENLARGEMENT = 4
HIGH_PASS_GAIN = 2.0
HIGH_PASS_SIGMA_PX = 6.0

# Text is no taller than the larger of these two; bigger boxes are organs and collimator edges.
TALLEST_PX = 90
TALLEST_SHARE_OF_SHORT_SIDE = 0.12
# In small pictures no more than this share, or a whole PET slice would count as a line.
TALLEST_SHARE_OF_SMALL_PICTURE = 0.3
BOX_SCORE = 0.4
LETTERS_READ = 2
# A box in which nothing is read is kept up to this height and share of the short side, if the detector is sure of it.
TALLEST_UNREAD_PX = 32
TALLEST_UNREAD_SHARE = 0.1
UNREAD_SCORE = 0.6
# Burned-in lines run along the axes; a box further off, or a tall one, must be read with more letters: rows of teeth and
# vertebrae read as "00" (one CT lost 21 % of its area, three slices 3 to 7 %).
STRAIGHT_DEG = 15.0
LETTERS_READ_DOUBTFUL = 4
TALLEST_TILTED_PX = 48
# Under this side length a picture holds no legible line: the smallest fonts in use are 7 px high, 5 px wide.
SMALLEST_SIDE_PX = 24


class TextFinder(Protocol):
    """What the pixel engine asks of an engine that finds text."""

    name: str

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB), in pixels of that image; any exception refuses the object."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """How a picture is shown to the detector.

    `sigma`: of the high pass, None for the picture itself.  `least`, `most`: pixels of the longer side it is scaled to,
    its own size where that lies between.  `tile`: side of the parts it is shown in; None for one look at the whole.
    """

    sigma: float | None
    least: int
    most: int
    tile: int | None = None


# The detector weighs the whole picture: one 14 px line alone on 2,000 x 1,600 px scored .06, in an 800 px part of it 1.0.
# So small letters are looked for in parts, large ones on the whole.
FINE = View(HIGH_PASS_SIGMA_PX, least=1280, most=2400, tile=736)
WHOLE = View(None, least=736, most=736)
SECOND_LOOK = View(None, least=1280, most=2400, tile=960)
TILE_OVERLAP_PX = 96


class _TwoViewFinder:
    """Detector on a high-passed and on the raw view, then the recogniser as a gate.

    Holds no session, so that it can be pickled and sent to workers; each process opens its own at first use.
    """

    name = ""
    _detector: WeightFile
    _recogniser: WeightFile
    _views: tuple[View, ...]

    def __init__(self) -> None:
        """Checks that the weight files are installed; raises `MissingWeightsError` if not."""
        self._detector.path()
        self._recogniser.path()

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB); boxes in pixels of that image, not yet grown."""
        picture = _three_channels(image)
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE_PX or int(picture.max()) == int(picture.min()):
            return []
        kept: list[FoundText] = []
        for view in self._views:
            shown = picture if view.sigma is None else high_passed(picture, view.sigma)
            kept += self._gate(self._quads(shown, view), shown, kept)
        return without_contained(kept)

    def _quads(self, shown: NDArray[np.uint8], view: View) -> list[Quad]:
        height, width = shown.shape[:2]
        longest = max(height, width)
        seen = min(max(view.least, min(view.most, longest)), MAX_ENLARGEMENT * longest)
        if view.tile is None:
            quads = networks.detect(self._detector, shown, seen)
        else:
            quads = networks.detect_in_tiles(self._detector, shown, seen / longest, view.tile, TILE_OVERLAP_PX)
        short = min(height, width)
        tallest = min(max(TALLEST_PX, TALLEST_SHARE_OF_SHORT_SIDE * short), TALLEST_SHARE_OF_SMALL_PICTURE * short)
        return [quad for quad in quads if min(quad.width, quad.height) <= tallest]

    def _gate(self, quads: list[Quad], view: NDArray[np.uint8], known: list[FoundText]) -> list[FoundText]:
        """The quads that hold text; one that a known line covers is not read again (half the reading time)."""
        height, width = view.shape[:2]
        boxes = [_upright(quad, height, width) for quad in quads]
        covering = [
            next((k.letters for k in known if k.letters >= LETTERS_READ and _covers(k, box)), None) for box in boxes
        ]
        unread = [i for i, letters in enumerate(covering) if letters is None]
        texts = networks.read(self._recogniser, [networks.crop_of(view, quads[i]) for i in unread])
        letters_in = {i: sum(character.isalnum() for character in text) for i, text in zip(unread, texts, strict=True)}
        kept: list[FoundText] = []
        doubtful: list[FoundText] = []
        for i, (quad, box) in enumerate(zip(quads, boxes, strict=True)):
            letters = covering[i] if i not in letters_in else letters_in[i]
            if letters is None or box.width <= 0 or box.height <= 0:
                continue
            counts = quad.score >= BOX_SCORE and _counts(quad, letters, min(height, width))
            (kept if counts else doubtful).append(replace(box, letters=letters))
        return kept + _neighbours(doubtful, known + kept)


class RapidTextFinder(_TwoViewFinder):
    """The default: PP-OCRv6 small, detector and recogniser out of the rapidocr wheel, one thread, no download."""

    name = "ppocr-v6-small"
    _detector = networks.PPOCR_V6_DETECTOR
    _recogniser = networks.PPOCR_V6_RECOGNISER
    _views = (FINE, WHOLE)


class ResidualTextFinder(_TwoViewFinder):
    """A second look with other weights (PP-OCRv4), for checking a release: misses of its own, not the default's."""

    name = "ppocr-v4"
    _detector = networks.PPOCR_V4_DETECTOR
    _recogniser = networks.PPOCR_V4_RECOGNISER
    _views = (SECOND_LOOK,)


def _counts(quad: Quad, letters: int, short_side: int) -> bool:
    """Whether a box is text, by what was read in it."""
    height = min(quad.width, quad.height)
    if quad.tilt > STRAIGHT_DEG:
        return letters >= LETTERS_READ_DOUBTFUL and height <= TALLEST_TILTED_PX
    if height > TALLEST_UNREAD_PX and (quad.score < UNREAD_SCORE or height > TALLEST_TILTED_PX):
        return letters >= LETTERS_READ_DOUBTFUL
    low = height <= min(TALLEST_UNREAD_PX, TALLEST_UNREAD_SHARE * short_side)
    return letters >= LETTERS_READ or (low and (letters > 0 or quad.score >= UNREAD_SCORE))


def _neighbours(doubtful: list[FoundText], kept: list[FoundText]) -> list[FoundText]:
    """Doubtful boxes that continue a line: what stands beside a word at its height is more often text than not."""
    return [
        box
        for box in doubtful
        if box.height <= TALLEST_UNREAD_PX
        and any(
            min(box.top + box.height, line.top + line.height) - max(box.top, line.top) >= 0.6 * box.height
            and max(box.left - line.left - line.width, line.left - box.left - box.width) <= box.height
            and line.height <= 2 * box.height
            for line in kept
        )
    ]


def _upright(quad: Quad, height: int, width: int) -> FoundText:
    left, top, right, bottom = quad.bounds()
    x0, y0 = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
    x1, y1 = min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))
    return FoundText(x0, y0, x1 - x0, y1 - y0, quad.score, 0)


def _covers(known: FoundText, box: FoundText) -> bool:
    """Four fifths of the box lie in the known one."""
    wide = min(known.left + known.width, box.left + box.width) - max(known.left, box.left)
    high = min(known.top + known.height, box.top + box.height) - max(known.top, box.top)
    return wide > 0 and high > 0 and wide * high >= 0.8 * box.width * box.height


def high_passed(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Fine structure only, doubled, around mid grey: letters stay, organs and gradients go."""
    signed = image.astype(np.float32)
    blurred = cv2.GaussianBlur(signed, (0, 0), sigma)
    return np.asarray(np.clip(128 + HIGH_PASS_GAIN * (signed - blurred), 0, 255), dtype=np.uint8)


def _three_channels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGR, as the networks were trained."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1])
