"""Finders: given one 8-bit picture, where is text?

Belongs here: the three finders that ship and the views of a picture they look at.  The networks behind them are `networks`,
what is found without a detector `letter_rows` and `bar_codes`, what keeps texture out `gate`; which pictures are shown
(frames, windows, overlays) is `engine`'s business.

Measured by `tests.unit.pixels.bench`, lines planted alone into real pictures: 371 of 374 covered on seeds that were not
looked at, .977 of 174 before `letter_rows` (recipe 2); misses and clean area: docs/benchmarks_pixels.md.
Before any gate 43 % of clean anatomy would have been blacked out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels import gate, networks
from gradient_assets.deid.pixels.bar_codes import qr_codes, striped_codes
from gradient_assets.deid.pixels.boxes import FoundText, without_contained
from gradient_assets.deid.pixels.letter_rows import LetterRow, binarised, letter_rows, worth_reading
from gradient_assets.deid.pixels.line_ends import lengthened
from gradient_assets.deid.pixels.networks import Quad, Reading, WeightFile

RECIPE_VERSION = "5"
"""Raised whenever the same picture may give other boxes: views, rows, gate, lengthening."""

# A picture is looked at no larger than this many times its size: beyond 4 no further letter was found.
MAX_ENLARGEMENT = 4
HIGH_PASS_GAIN = 2.0
HIGH_PASS_SIGMA_PX = 6.0

# Widened by what its edge looks like without letters: a line that touched the lower edge was found in no high-passed view
# without a border; with the edge repeated, letters ran on as stripes, and 3 of 46 lines at edges were missed, now none.
BORDER_PX = 16
BORDER_MEDIAN_PX = 31
# Under this side length a picture holds no legible line: the smallest fonts in use are 7 px high.
SMALLEST_SIDE_PX = 7
# A strip with one line in it is nearly as high as its letters, and the gate takes what fills so much of a picture for an organ.
# So it is widened with its median: narrow pictures, and flat ones that are so many times as long as high.
NARROW_PX, STRIP_PX, STRIP_SHAPE = 24, 96, 3


class TextFinder(Protocol):
    """What the pixel engine asks of an engine that finds text."""

    name: str

    @property
    def version(self) -> str:
        """Of the recipe and what it rests on: another one looks at every object anew."""
        ...

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB), in pixels of that image; any exception refuses the object."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What a finder saw in one picture: what it takes for text, and what its gate took for texture."""

    sure: list[FoundText]
    doubtful: list[FoundText]


@runtime_checkable
class DoubtingFinder(Protocol):
    """A finder that also tells what it rejected, for a comparison with known identifiers."""

    def look(self, image: NDArray[np.uint8]) -> Looked:
        """As `find`; any exception refuses the object."""
        ...


@dataclass(frozen=True, slots=True)
class ReadText:
    """A line and what was read in it: identified data, for the page being cleaned and nobody else.

    `confidence`: 0 … 1, how sure the recogniser is of the letters; 0 where it read none.
    """

    box: FoundText
    text: str = field(repr=False)
    confidence: float


class TextReader(TextFinder, Protocol):
    """A finder that can also say what is written, for pages of documents (`deid.documents`)."""

    def read(self, image: NDArray[np.uint8]) -> list[ReadText]:
        """Every line of an 8-bit image, H × W or H × W × 3 (RGB); any exception refuses the object."""
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
# So small letters are looked for in parts, large ones on the whole.  The parts are shown without the high pass too: bitmap
# letters on bright tissue ("64Y" in 5 x 7 dots) are read there at 1.00 and nowhere else.
FINE = View(HIGH_PASS_SIGMA_PX, least=1280, most=2400, tile=736)
PLAIN = View(None, least=1280, most=2400, tile=736)
WHOLE = View(None, least=736, most=736)
SECOND_LOOK = View(None, least=1280, most=2400, tile=960)
TILE_OVERLAP_PX = 96

# A page is read on the whole first: parts cut lines, and half a name is no name.  What only the parts show is added.
PAGE = View(None, least=1280, most=2400)
# 480 px would squeeze a line of 90 letters to 5 px a letter, which no recogniser reads.
READING_MAX_WIDTH_PX = 3200


class _ViewsFinder:
    """Detector on high-passed and on raw views, then the recogniser as a gate.

    Holds no session, so that it can be pickled and sent to workers; each process opens its own at first use.
    """

    name = ""
    version = RECIPE_VERSION
    _detector: WeightFile
    _recogniser: WeightFile
    _views: tuple[View, ...]

    def __init__(self) -> None:
        """Checks that the weight files are installed; raises `MissingWeightsError` if not."""
        self._detector.path()
        self._recogniser.path()

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB); boxes in pixels of that image, not yet grown."""
        return self.look(image).sure

    def look(self, image: NDArray[np.uint8]) -> Looked:
        """The same, with the boxes that the gate kept out."""
        picture = _three_channels(image)
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE_PX or int(picture.max()) == int(picture.min()):
            return Looked([], [])
        picture, left, top = _widened(picture)
        height, width = picture.shape[:2]
        picture = _framed(picture)
        sure: list[FoundText] = []
        doubtful: list[FoundText] = []
        for view in self._views:
            shown = picture if view.sigma is None else high_passed(picture, view.sigma)
            more, less = self._gate(self._quads(shown, view), shown, sure)
            sure, doubtful = sure + more, doubtful + less
        rows: list[LetterRow] = []
        codes = qr_codes(picture)
        for seen in binarised(picture):
            rows += letter_rows(seen)
            codes += striped_codes(seen)
        more, less = self._read_rows(rows, picture, sure + codes)
        sure, doubtful = sure + more, doubtful + less
        sure = [*lengthened(self._recogniser, picture, without_contained(sure)), *codes]
        inside = (_without_border(boxes, height, width) for boxes in (sure, doubtful))
        return Looked(*(without_contained(_moved(boxes, left, top, image.shape)) for boxes in inside))

    def read(self, image: NDArray[np.uint8]) -> list[ReadText]:
        """Every line of a page, an 8-bit image, H × W or H × W × 3 (RGB), with what it says; no gate is applied."""
        picture = _three_channels(image)
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE_PX or int(picture.max()) == int(picture.min()):
            return []
        picture, margin_left, margin_top = _widened(picture)
        height, width = picture.shape[:2]
        longest = max(height, width)
        seen = min(max(PAGE.least, min(PAGE.most, longest)), MAX_ENLARGEMENT * longest)
        quads = networks.detect(self._detector, picture, seen)
        boxes = [_upright(quad, height, width) for quad in quads]
        tile = SECOND_LOOK.tile or longest
        for quad in networks.detect_in_tiles(self._detector, picture, seen / longest, tile, TILE_OVERLAP_PX):
            box = _upright(quad, height, width)
            if not any(_covers(known, box) for known in boxes):
                quads.append(quad)
                boxes.append(box)
        lines = self._read(picture, quads, READING_MAX_WIDTH_PX)
        return [
            ReadText(replace(moved, letters=sum(map(str.isalnum, line.text))), line.text, line.confidence)
            for box, line in zip(boxes, lines, strict=True)
            for moved in _moved([box], margin_left, margin_top, image.shape)
        ]

    def _read_rows(
        self, rows: list[LetterRow], picture: NDArray[np.uint8], known: list[FoundText]
    ) -> tuple[list[FoundText], list[FoundText]]:
        """Lines that no view of the detector showed, and rows that read like letters but not surely."""
        height, width = picture.shape[:2]
        lines = [(k.left, k.top, k.left + k.width, k.top + k.height) for k in known]
        rows = worth_reading(rows, lines)
        quads = [row.quad() for row in rows]
        kept: list[FoundText] = []
        doubtful: list[FoundText] = []
        for row, quad, reading in zip(rows, quads, self._read(picture, quads), strict=True):
            letters = sum(map(str.isalnum, reading.text))
            box = replace(
                _upright(quad, height, width),
                score=reading.confidence,
                letters=letters,
                text=reading.text,
                confidence=reading.confidence,
            )
            if row.drawn or gate.is_row_of_letters(reading.text, reading.confidence):
                kept.append(box)
            elif gate.may_be_letters(reading.text, reading.confidence) and not any(
                row.lies_in(*line, share=0.01) for line in lines
            ):
                doubtful.append(box)
        return kept, doubtful

    def _quads(self, shown: NDArray[np.uint8], view: View) -> list[Quad]:
        height, width = shown.shape[:2]
        longest = max(height, width)
        seen = min(max(view.least, min(view.most, longest)), MAX_ENLARGEMENT * longest)
        if view.tile is None:
            quads = networks.detect(self._detector, shown, seen)
        else:
            quads = networks.detect_in_tiles(self._detector, shown, seen / longest, view.tile, TILE_OVERLAP_PX)
        short = min(height, width) - 2 * BORDER_PX
        tallest = gate.tallest(short)
        return [quad for quad in quads if min(quad.width, quad.height) <= tallest]

    def _read(
        self, view: NDArray[np.uint8], quads: list[Quad], widest: int = networks.RECOGNISER_MAX_WIDTH_PX
    ) -> list[Reading]:
        """What is read in each quad; one that stands upright is read from above and from below, and the surer counts."""
        crops = [networks.crop_of(view, quad, widest) for quad in quads]
        upright = [i for i, quad in enumerate(quads) if quad.is_upright]
        both = [*crops, *(np.ascontiguousarray(crops[i][::-1, ::-1]) for i in upright)]
        readings = networks.read_surely(self._recogniser, both)
        for i, other in zip(upright, readings[len(crops) :], strict=True):
            readings[i] = max(readings[i], other, key=lambda reading: reading.confidence * len(reading.text))
        return readings[: len(crops)]

    def _gate(
        self, quads: list[Quad], view: NDArray[np.uint8], known: list[FoundText]
    ) -> tuple[list[FoundText], list[FoundText]]:
        """The quads that hold text, and the others; one that a known line covers is not read again (half the reading time)."""
        height, width = view.shape[:2]
        placed = [(quad, box) for quad in quads if (box := _upright(quad, height, width)).width > 0 and box.height > 0]
        covering = [
            next((k for k in known if k.letters >= gate.LETTERS_READ and _covers(k, box)), None) for _, box in placed
        ]
        unread = [i for i, line in enumerate(covering) if line is None]
        said = dict(zip(unread, self._read(view, [placed[i][0] for i in unread]), strict=True))
        kept: list[FoundText] = []
        doubtful: list[FoundText] = []
        for i, (quad, box) in enumerate(placed):
            over = covering[i]
            text, confidence = (said[i].text, said[i].confidence) if over is None else (over.text, over.confidence)
            letters = sum(map(str.isalnum, text)) if over is None else over.letters
            counts = gate.is_text(quad, text, confidence, min(height, width) - 2 * BORDER_PX)
            (kept if counts else doubtful).append(replace(box, letters=letters, text=text, confidence=confidence))
        neighbours = gate.neighbours(doubtful, known + kept)
        return kept + neighbours, [box for box in doubtful if box not in neighbours]


class RapidTextFinder(_ViewsFinder):
    """The default: PP-OCRv6 small, detector and recogniser out of the rapidocr wheel, one thread, no download."""

    name = "ppocr-v6-small"
    _detector = networks.PPOCR_V6_DETECTOR
    _recogniser = networks.PPOCR_V6_RECOGNISER
    _views = (FINE, PLAIN, WHOLE)


class ResidualTextFinder(_ViewsFinder):
    """A second look with other weights (PP-OCRv4), for cleaning a release: misses of its own, not the default's."""

    name = "ppocr-v4"
    _detector = networks.PPOCR_V4_DETECTOR
    _recogniser = networks.PPOCR_V4_RECOGNISER
    _views = (SECOND_LOOK,)


class VerifyingTextFinder(_ViewsFinder):
    """Third weights (PP-OCRv3), which clean nothing: they read what was written (`verify.pictures`)."""

    name = "ppocr-v3"
    _detector = networks.PPOCR_V3_DETECTOR
    _recogniser = networks.PPOCR_V3_RECOGNISER
    _views = (SECOND_LOOK,)


def _without_border(boxes: list[FoundText], height: int, width: int) -> list[FoundText]:
    """Boxes of the picture with its border, in pixels of the picture itself."""
    return _moved(boxes, BORDER_PX, BORDER_PX, (height, width))


def _moved(boxes: list[FoundText], by_left: int, by_top: int, shape: tuple[int, ...]) -> list[FoundText]:
    """Boxes of a picture with margins at its left and top, in pixels of the picture of that shape without them."""
    moved = []
    for box in boxes:
        left, top = max(0, box.left - by_left), max(0, box.top - by_top)
        right = min(shape[1], box.left + box.width - by_left)
        bottom = min(shape[0], box.top + box.height - by_top)
        if right > left and bottom > top:
            moved.append(replace(box, left=left, top=top, width=right - left, height=bottom - top))
    return moved


def _widened(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
    """The picture with both sides long enough for one line, and the margins that it has at its left and top now."""
    height, width = picture.shape[:2]
    short, long = sorted((height, width))
    if short >= STRIP_PX or (short >= NARROW_PX and long < STRIP_SHAPE * short):
        return picture, 0, 0
    left, top = (max(0, STRIP_PX - side) // 2 for side in (width, height))
    ground = [int(np.median(picture[..., channel])) for channel in range(3)]
    margins = (top, max(0, STRIP_PX - height) - top, left, max(0, STRIP_PX - width) - left)
    return cv2.copyMakeBorder(picture, *margins, cv2.BORDER_CONSTANT, value=ground), left, top


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


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a border that goes on as its edges do, but without what is thinner than half the median's width."""
    wide = cv2.copyMakeBorder(picture, *(BORDER_PX,) * 4, cv2.BORDER_REPLICATE)
    framed = wide.copy()
    strip = BORDER_PX + BORDER_MEDIAN_PX // 2 + 1
    for _ in range(4):  # each side once, as the upper one
        framed[:BORDER_PX] = cv2.medianBlur(np.ascontiguousarray(framed[:strip]), BORDER_MEDIAN_PX)[:BORDER_PX]
        framed = np.rot90(framed)
    return np.ascontiguousarray(framed)


def _three_channels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGR, as the networks were trained."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1])
