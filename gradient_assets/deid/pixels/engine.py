"""One object's pixels: look at every frame, black out what is text, look again, give back a new object.

Belongs here: the order of the steps and what counts as done.  Each step has a module of its own: `geometry`, `decoding`,
`rendering`, `finding`, `boxes`, `declared_regions`, `redaction`, `encoding`, `hiding_places`.  Header elements other than
those that describe the pixels are the header engine's business.

Nothing comes out of a step that failed: every exception becomes `Refused`.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import DataElement

from gradient_assets.deid.pixels import encoding, hiding_places, redaction, rendering
from gradient_assets.deid.pixels.boxes import Box, FoundText, grown, line_gaps
from gradient_assets.deid.pixels.declared_regions import outside_ultrasound_regions
from gradient_assets.deid.pixels.decoding import LOSSLESS, Frame, FrameSource, decode_frames, native_length
from gradient_assets.deid.pixels.finding import TextFinder
from gradient_assets.deid.pixels.geometry import pixel_keyword
from gradient_assets.deid.pixels.rendering import Look, Picture
from gradient_assets.deid.reasons import Reason, Refused

ENGINE_VERSION = "1"

CLEAN_PIXEL_DATA = "113101"
CLEAN_GRAPHICS = "113103"

# A line read with this many letters on one frame is blacked out on all frames: burned-in text rarely moves, and a
# detector that sees it on 29 of 30 frames would leave it legible.
LETTERS_FOR_ALL_FRAMES = 2
# In the second look at a filled frame, text counts if this much of it lies outside the filled boxes: the corners of
# the boxes themselves look like letters.
NEW_TEXT_SHARE_OUTSIDE = 0.3
VERIFICATION_ROUNDS = 3
# After the last round, a line of this many letters refuses the object; less is speckle that reads as "1l" anew each time
# (one ultrasound of the test set was refused for two letters at its edge).
LETTERS_REFUSED = 4
# A frame that differs from one already looked at in less than this share of its area is looked at only there.
CHANGED_SHARE = 0.5
CHANGED_MARGIN_PX = 32

Verdict = Literal["no_pixels", "clean", "redacted"]


@dataclass(frozen=True, slots=True)
class CleanedPixels:
    """The outcome for one object; `touched`: stored pixel bytes changed; `boxes` of all frames, never the words."""

    dataset: Dataset
    boxes: tuple[Box, ...]
    frames: int
    touched: bool
    verdict: Verdict
    method_codes: tuple[str, ...]
    removed: Counter[str] = field(default_factory=Counter)
    _middle: Picture | None = field(default=None, repr=False)

    def thumbnail(self, longest_side: int = 256) -> bytes | None:
        """PNG of the redacted middle frame, without text chunks; None without pixels."""
        return None if self._middle is None else rendering.png(self._middle, longest_side)


class PixelEngine:
    """Removes burned-in text with the finder given. Picklable if the finder is."""

    def __init__(self, finder: TextFinder) -> None:
        self.finder = finder

    def clean(self, ds: Dataset) -> CleanedPixels:
        """A new dataset without burned-in text, overlays and icons; `ds` stays as it is.

        Raises Refused: PIXEL_GEOMETRY, PIXELS_TOO_LARGE, UNDECODABLE_PIXELS, PIXEL_ENGINE_FAILED, REDACTION_FAILED,
        RESIDUAL_TEXT_IN_PIXELS.
        """
        try:
            return self._clean(ds)
        except Refused:
            raise
        except Exception as error:  # fail closed; messages of foreign errors may quote values, so the type must do
            raise Refused(Reason.PIXEL_ENGINE_FAILED, type(error).__name__) from None

    def _clean(self, ds: Dataset) -> CleanedPixels:
        result = copy.deepcopy(ds)
        embedded = hiding_places.has_embedded_overlay(result)
        removed = hiding_places.removed_pictures(result)
        codes = [CLEAN_GRAPHICS] if removed["overlay"] or removed["curve"] else []
        if pixel_keyword(ds) is None:
            return CleanedPixels(result, (), 0, False, "no_pixels", tuple(codes), removed)
        source = decode_frames(ds)
        look = Look(source.shape, source.photometric, ds)
        survey = _Survey(self.finder, source, look, clear_hidden=embedded and source.transfer_syntax in LOSSLESS)
        for index, frame in enumerate(source):
            survey.add(index, frame)
        fill = _Fill(survey, ds)
        changed = survey.all_boxes or survey.clear_hidden
        if changed:
            fill.verify()
            encoding.store_frames(result, source, fill.changed_frame)
        elif source.stripped:
            encoding.store_streams(result, source.streams)
        else:
            _cut_trailing_bytes(result, source)
        _describe(result, source, fill)
        middle = fill.frame(len(source) // 2)
        boxes = tuple(sorted(survey.all_boxes, key=lambda b: (b.frame, b.top, b.left)))
        if boxes:
            codes.insert(0, CLEAN_PIXEL_DATA)
        keyword = source.shape.keyword
        return CleanedPixels(
            dataset=result,
            boxes=boxes,
            frames=len(source),
            touched=result[keyword].value != ds[keyword].value,
            verdict="redacted" if boxes else "clean",
            method_codes=tuple(codes),
            removed=removed,
            _middle=look.thumbnail(middle),
        )


class _Survey:
    """What was found on each frame; equal frames are looked at once, nearly equal ones where they differ."""

    def __init__(self, finder: TextFinder, source: FrameSource, look: Look, *, clear_hidden: bool) -> None:
        self.finder, self.source, self.look = finder, source, look
        self.clear_hidden = clear_hidden
        self.values = redaction.ValueRange()
        self.own: dict[int, list[Box]] = {}
        self.everywhere: list[Box] = []
        self.declared = outside_ultrasound_regions(look.header, source.shape.rows, source.shape.columns)
        self.declared_needed: set[int] = set()
        self.first_equal: dict[int, int] = {}
        self._index_of_digest: dict[bytes, int] = {}
        self._reference: Picture | None = None
        self._reference_boxes: list[Box] = []

    def add(self, index: int, frame: Frame) -> None:
        """Look at one frame."""
        digest = hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        twin = self.first_equal[index] = self._index_of_digest.setdefault(digest, index)
        if twin != index:
            self.own[index] = [box.on_frame(index) for box in self.own[twin]]
            return
        self.values.add(frame, self.source.shape)
        self._look_at_hidden_planes(frame)
        picture = self.look.picture(frame).copy()
        for number, declared in enumerate(self.declared):
            if frame[declared.slices].min() != frame[declared.slices].max():
                self.declared_needed.add(number)
            picture[declared.slices] = 0
        left, top, part = self._new_part(picture)
        boxes = []
        for found in self.found_in(part):
            box = self.box(found, index, left, top)
            if box is None:
                continue
            if frame[box.slices].min() == frame[box.slices].max() and frame.ndim == 2:
                if found.letters:
                    raise Refused(Reason.REDACTION_FAILED, "text was read where the frame is constant")
                continue
            boxes.append(box)
            if found.letters >= LETTERS_FOR_ALL_FRAMES:
                self.everywhere.append(box)
        boxes += line_gaps(boxes)
        if part is picture:
            self._reference, self._reference_boxes = picture, boxes
        else:
            boxes += [box.on_frame(index) for box in self._reference_boxes]
        self.own[index] = boxes

    def found_in(self, picture: Picture) -> list[FoundText]:
        """The finder's answer; whatever it raises refuses the object."""
        if not picture.size:
            return []
        try:
            return self.finder.find(picture)
        except Refused:
            raise
        except Exception as error:  # an engine's error text may hold what it read
            raise Refused(Reason.PIXEL_ENGINE_FAILED, type(error).__name__) from None

    def box(self, found: FoundText, frame: int, left: int = 0, top: int = 0) -> Box | None:
        """The box around text found in a part of the frame that begins at left, top."""
        moved = FoundText(found.left + left, found.top + top, found.width, found.height, found.score, found.letters)
        return grown(moved, self.source.shape.rows, self.source.shape.columns, self.finder.name, frame)

    def on(self, index: int) -> list[Box]:
        """Every box to fill on one frame, each rectangle once."""
        declared = [box for number, box in enumerate(self.declared) if number in self.declared_needed]
        boxes = self.own[index] + [box.on_frame(index) for box in self.everywhere + declared]
        rectangles = {(b.left, b.top, b.width, b.height): b for b in boxes}
        return list(rectangles.values())

    @property
    def all_boxes(self) -> list[Box]:
        """The boxes of all frames."""
        return [box for index in range(len(self.source)) for box in self.on(index)]

    def _look_at_hidden_planes(self, frame: Frame) -> None:
        if self.clear_hidden:
            return
        planes = rendering.hidden_planes(frame, self.source.shape)
        self.clear_hidden = any(found.letters for plane in planes for found in self.found_in(plane))

    def _new_part(self, picture: Picture) -> tuple[int, int, Picture]:
        """Where the picture differs from the last one looked at as a whole: left, top and that part of it."""
        if self._reference is None or self._reference.shape != picture.shape:
            return 0, 0, picture
        differs = picture != self._reference
        if differs.ndim == 3:
            differs = differs.any(axis=2)
        rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        if not rows.size:  # equal pictures of unequal values: nothing new to see
            return 0, 0, picture[:0, :0]
        top, bottom = max(0, rows[0] - CHANGED_MARGIN_PX), min(picture.shape[0], rows[-1] + 1 + CHANGED_MARGIN_PX)
        left, right = max(0, columns[0] - CHANGED_MARGIN_PX), min(picture.shape[1], columns[-1] + 1 + CHANGED_MARGIN_PX)
        if (bottom - top) * (right - left) > CHANGED_SHARE * picture.shape[0] * picture.shape[1]:
            return 0, 0, picture
        return int(left), int(top), picture[top:bottom, left:right]


class _Fill:
    """The filled frames of one object, made when asked for."""

    def __init__(self, survey: _Survey, header: Dataset) -> None:
        self.survey, self.header = survey, header
        self.source = survey.source
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The stored value that displays black; None while there is nothing to fill."""
        if self._value is None and self.survey.all_boxes:
            self._value = redaction.black(self.header, self.source.shape, self.source.photometric, self.survey.values)
        return self._value

    def frame(self, index: int) -> Frame:
        """The frame as it may leave: filled, and without hidden bits where those held something."""
        changed = self.changed_frame(index)
        return self.source[index] if changed is None else changed

    def changed_frame(self, index: int) -> Frame | None:
        """The same, or None when the frame stays as it was."""
        boxes = self.survey.on(index)
        if not boxes and not self.survey.clear_hidden:
            return None
        frame = self.source[index]
        if self.survey.clear_hidden:
            bare = rendering.without_hidden_bits(frame, self.source.shape)
            if not boxes and np.array_equal(bare, frame):
                return None
            frame = bare
        if boxes:
            pairs = self.source.photometric == "YBR_FULL_422"
            frame = redaction.filled(frame, boxes, self.value, pairs=pairs)
        return frame

    def verify(self) -> None:
        """Look at every filled frame again; new text is filled too, and refused when it does not end."""
        for index in sorted(set(self.survey.first_equal.values())):
            if not self.survey.on(index):
                continue
            for _ in range(VERIFICATION_ROUNDS):
                new = self._new_text(index)
                self._add(index, [box for box, _ in new])
                if not new:
                    break
            else:
                if any(letters >= LETTERS_REFUSED for _, letters in new):
                    raise Refused(Reason.RESIDUAL_TEXT_IN_PIXELS, f"after {VERIFICATION_ROUNDS} rounds")

    def _new_text(self, index: int) -> list[tuple[Box, int]]:
        """Boxes around text that the boxes so far leave visible, with the letters read."""
        survey, shape = self.survey, self.source.shape
        mask = redaction.covered(survey.on(index), shape.rows, shape.columns)
        new = []
        for found in survey.found_in(survey.look.picture(self.frame(index))):
            inside = mask[found.top : found.top + found.height, found.left : found.left + found.width]
            if found.letters >= LETTERS_FOR_ALL_FRAMES and inside.size and 1 - inside.mean() >= NEW_TEXT_SHARE_OUTSIDE:
                box = survey.box(found, index)
                if box is not None:
                    new.append((box, found.letters))
        return new

    def _add(self, index: int, new: Sequence[Box]) -> None:
        """Boxes for this frame and its equals."""
        for frame, first in self.survey.first_equal.items():
            if first == index:
                self.survey.own[frame] = self.survey.own[frame] + [box.on_frame(frame) for box in new]


def _describe(ds: Dataset, source: FrameSource, fill: _Fill) -> None:
    """The attributes that say what the pixels are now."""
    ds.BurnedInAnnotation = "NO"
    if not fill.survey.all_boxes or source.shape.samples != 1 or source.shape.is_float:
        return
    # Smallest and Largest are in stored bits, the fill value in the container (shifted where High Bit leaves a gap)
    value = int(fill.value) >> (source.shape.high_bit + 1 - source.shape.bits_stored)
    for keyword, extreme in (
        ("SmallestImagePixelValue", min),
        ("LargestImagePixelValue", max),
        ("SmallestPixelValueInSeries", min),
        ("LargestPixelValueInSeries", max),
    ):
        if isinstance(ds.get(keyword), int):
            ds[keyword] = DataElement(keyword, "SS" if source.shape.signed else "US", extreme(ds.get(keyword), value))


def _cut_trailing_bytes(ds: Dataset, source: FrameSource) -> None:
    """Nothing may follow the last native frame but a byte of padding."""
    keyword = source.shape.keyword
    if source.streams:
        return
    length = native_length(source.shape)
    padded = length + length % 2
    if len(ds[keyword].value) > padded:
        ds[keyword] = DataElement(keyword, ds[keyword].VR, bytes(ds[keyword].value[:padded]))
