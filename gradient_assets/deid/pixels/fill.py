"""The filled frames of one object, the second look at each of them, and the proof that they were stored.

Belongs here: which frame is changed, whether text is still to be seen in it, and whether the object that was written holds
the fill.  The fill itself is `redaction`'s business, how frames are written `encoding`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom import Dataset

from gradient_assets.deid.pixels import encoding, redaction, rendering
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.changed_parts import Part
from gradient_assets.deid.pixels.decoding import JPEG_LOSSY, Frame, decode_frames
from gradient_assets.deid.pixels.encoding import CHROMA_REACH_PX, BoxFill
from gradient_assets.deid.pixels.survey import LETTERS_FOR_ALL_FRAMES, Survey
from gradient_assets.deid.reasons import Accepted, Reason, Refused, unless_accepted

# In the second look at a filled frame, text counts if this much of it lies outside the filled boxes: the corners of
# the boxes themselves look like letters.
NEW_TEXT_SHARE_OUTSIDE = 0.3
VERIFICATION_ROUNDS = 3
# After the last round, a line of this many letters refuses the object; less is speckle that reads as "1l" anew each time
# (one ultrasound of the test set was refused for two letters at its edge).
LETTERS_REFUSED = 4


class Fill:
    """The filled frames of one object, made when asked for."""

    def __init__(self, survey: Survey, header: Dataset) -> None:
        self.survey, self.header = survey, header
        self.source = survey.source
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The stored value that displays black; None while there is nothing to fill."""
        if self._value is None and self.survey.has_boxes:
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

    def store(self, ds: Dataset) -> str:
        """Put the filled frames into the dataset and look whether they are there; returns the Derivation Description.

        Raises Refused(REDACTION_FAILED) when filling changed no frame, or when what was stored does not hold the fill.
        """
        if self.survey.has_boxes and not any(
            self._is_changed(index) for index in set(self.survey.first_equal.values())
        ):
            raise Refused(Reason.REDACTION_FAILED, "filling changed nothing")
        by_blocks = None if self.survey.clear_hidden else BoxFill(self.survey.on, self.value)
        description = encoding.store_frames(ds, self.source, self.changed_frame, by_blocks)
        self._prove(ds)
        return description

    def _is_changed(self, index: int) -> bool:
        changed = self.changed_frame(index)
        return changed is not None and changed.tobytes() != self.source[index].tobytes()

    def _prove(self, ds: Dataset) -> None:
        """Read what was stored: nothing but the fill may be left in a box, whatever was done on the way."""
        try:
            stored = decode_frames(ds)
            # chroma of JPEG is interpolated over the border of a box, and its steps may miss a bright fill value
            margin = CHROMA_REACH_PX if stored.transfer_syntax in JPEG_LOSSY else 0
            for index in range(len(stored)):
                if boxes := self.survey.on(index):
                    redaction.check_fill(stored[index], boxes, None if margin else self.value, margin)
        except Refused as refused:
            raise Refused(Reason.REDACTION_FAILED, f"once stored: {refused.reason}") from None

    def verify(self, accepted: Accepted | None = None) -> None:
        """Look at the filled frames again; new text is filled too, on every frame, and refused when it does not end.

        Of frames with the same boxes one is looked at, and always the first, the middle and the last frame; of the others on
        which something was found, the part in which it was.
        """
        for index, part in self._places_to_verify():
            for _ in range(VERIFICATION_ROUNDS):
                new = self._new_text(index, part)
                for box, _ in new:
                    self.survey.put_everywhere(box)
                if not new:
                    break
            else:
                if any(letters >= LETTERS_REFUSED for _, letters in new):
                    endless = Refused(Reason.RESIDUAL_TEXT_IN_PIXELS, f"after {VERIFICATION_ROUNDS} rounds")
                    unless_accepted(endless, accepted)

    def _new_text(self, index: int, part: Part | None) -> list[tuple[Box, int]]:
        """Boxes around text that the boxes so far leave visible, with the letters read."""
        survey, shape = self.survey, self.source.shape
        mask = redaction.covered(survey.on(index), shape.rows, shape.columns)
        new = []
        for found in survey.found_in(survey.look.pictures(self.frame(index), index), part):
            inside = mask[found.top : found.top + found.height, found.left : found.left + found.width]
            if found.letters >= LETTERS_FOR_ALL_FRAMES and inside.size and 1 - inside.mean() >= NEW_TEXT_SHARE_OUTSIDE:
                box = survey.box(found, index)
                if box is not None:
                    new.append((box, found.letters))
        return new

    def _places_to_verify(self) -> list[tuple[int, Part | None]]:
        """Frames, and the part of each that is looked at; None for all of it."""
        survey, frames = self.survey, len(self.source)
        chosen: dict[object, int] = {}
        for index in sorted(set(survey.first_equal.values())):
            places = frozenset((box.left, box.top, box.width, box.height) for box in survey.on(index))
            if places:
                chosen.setdefault(index if index in (0, frames // 2, frames - 1) else places, index)
        whole = set(chosen.values())
        # a name on one slide puts its boxes on all of them: equal boxes don't mean that equal things stood under them
        parts = [(index, part) for index, part in survey.found_on.items() if index not in whole]
        return sorted([*((index, None) for index in whole), *parts], key=lambda place: place[0])
