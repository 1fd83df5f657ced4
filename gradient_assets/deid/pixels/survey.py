"""What was found on each frame of one object: every picture is looked at, equal ones once.

Belongs here: which parts of which frames are shown to the finder, and which boxes follow for the other frames.  Where text
is in a picture is `finding`'s business, which of it goes `lines`', filling it `fill`'s, the order of it all `engine`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradient_assets.deid.pixels import redaction, rendering
from gradient_assets.deid.pixels.boxes import ALL_FRAMES, Box, FoundText, grown, line_gaps
from gradient_assets.deid.pixels.changed_parts import SeenPictures
from gradient_assets.deid.pixels.declared_regions import outside_ultrasound_regions
from gradient_assets.deid.pixels.decoding import Frame, FrameSource
from gradient_assets.deid.pixels.device_rules import device_boxes
from gradient_assets.deid.pixels.finding import DoubtingFinder, Looked, TextFinder
from gradient_assets.deid.pixels.keep import KeepPolicy
from gradient_assets.deid.pixels.known_text import KnownText
from gradient_assets.deid.pixels.lines import KNOWN_IDENTIFIER, Judged, judged
from gradient_assets.deid.pixels.rendering import Look, Picture
from gradient_assets.deid.reasons import Reason, Refused

# A line read with this many letters on one frame is blacked out on all frames: burned-in text rarely moves, and a
# detector that sees it on 29 of 30 frames would leave it legible.
LETTERS_FOR_ALL_FRAMES = 2
# A frame that is new in less than this share of its area is looked at only there.
CHANGED_SHARE = 0.5


class Survey:
    """What was found on each frame; equal frames are looked at once, nearly equal ones where they differ."""

    def __init__(
        self,
        finder: TextFinder,
        source: FrameSource,
        look: Look,
        *,
        clear_hidden: bool,
        known: KnownText | None = None,
        keep: KeepPolicy | None = None,
        second: TextFinder | None = None,
        added: Sequence[Box] = (),
    ) -> None:
        """`second`: asked where the header says that text is burned in and nothing was found; `added`: a reviewer's boxes."""
        self.finder, self.source, self.look = finder, source, look
        self.clear_hidden = clear_hidden
        self.known, self.keep, self.second = known, keep, second
        self._kept: set[tuple[int, int, int, int, int]] = set()
        self.values = redaction.ValueRange()
        self.own: dict[int, list[Box]] = {}
        self.everywhere: dict[tuple[int, int, int, int], Box] = {}
        size = (source.shape.rows, source.shape.columns)
        self.declared = [*outside_ultrasound_regions(look.header, *size), *device_boxes(look.header, *size)]
        self.added = _within(added, source)
        self.declared_needed: set[int] = set()
        self.first_equal: dict[int, int] = {}
        self._index_of_digest: dict[bytes, int] = {}
        self._seen = SeenPictures()
        self._reference_boxes: list[Box] = []
        self.looked: list[int] = []

    def add(self, index: int, frame: Frame) -> None:
        """Look at one frame."""
        digest = hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        twin = self.first_equal[index] = self._index_of_digest.setdefault(digest, index)
        if twin != index:
            self.own[index] = [box.on_frame(index) for box in self.own[twin]]
            return
        self.values.add(frame, self.source.shape)
        self._look_at_hidden_planes(frame)
        picture = self.look.picture(frame)
        # What changes only where a declared box goes anyway costs no look; but the finder is shown what lies there, because
        # such a box may cut a line (one of a sample kept the lower half of its end: nobody reads half letters).
        undeclared = picture.copy()
        for number, declared in enumerate(self.declared):
            if frame[declared.slices].min() != frame[declared.slices].max():
                self.declared_needed.add(number)
            undeclared[declared.slices] = 0
        left, top, part = self._new_part(index, undeclared)
        part = picture[top : top + part.shape[0], left : left + part.shape[1]]
        whole = part.shape == picture.shape
        verdict = self._judged(part, edge=None if whole else (part.shape[0], part.shape[1]))
        for text in verdict.kept:
            self._kept.add((index, left + text.left, top + text.top, text.width, text.height))
        boxes = self._boxes(verdict, index, frame, left, top)
        if part.size:
            self.looked.append(index)
            self._seen.add(undeclared)
        if not whole:
            boxes += [box.on_frame(index) for box in self._reference_boxes]
        if part.size:
            self._reference_boxes = boxes
        self.own[index] = boxes

    def _boxes(self, verdict: Judged, index: int, frame: Frame, left: int, top: int) -> list[Box]:
        """Boxes around what goes; lines that were read stand on every other frame too."""
        boxes = []
        named = [(found, KNOWN_IDENTIFIER) for found in verdict.known]
        for found, source in [*named, *((found, self.finder.name) for found in verdict.filled)]:
            box = self.box(found, index, left, top)
            if box is None:
                continue
            if frame[box.slices].min() == frame[box.slices].max() and frame.ndim == 2:
                if found.letters:
                    raise Refused(Reason.REDACTION_FAILED, "text was read where the frame is constant")
                continue
            box = replace(box, source=source)
            boxes.append(box)
            if found.letters >= LETTERS_FOR_ALL_FRAMES:
                self.put_everywhere(box)
        return boxes + line_gaps(boxes)

    def put_everywhere(self, box: Box) -> None:
        """A box that stands on every frame; of equal rectangles the first."""
        self.everywhere.setdefault((box.left, box.top, box.width, box.height), box)

    def finish(self) -> None:
        """Look again with the second finder where the header promises text, but none was found on any frame."""
        promised = str(self.look.header.get("BurnedInAnnotation", "") or "").strip().upper() == "YES"
        if self.second is None or not promised or self.has_boxes or self._kept:
            return
        self.finder = self.second
        for index in sorted(set(self.first_equal.values())):
            frame = self.source[index]
            self.own[index] = self._boxes(self._judged(self.look.picture(frame)), index, frame, 0, 0)
        for index, twin in self.first_equal.items():
            if index != twin:
                self.own[index] = [box.on_frame(index) for box in self.own[twin]]

    @property
    def kept(self) -> int:
        """Texts that stay by policy and that no box hides on their frame; the same place on many frames counts once."""
        places = set()
        for index, left, top, width, height in self._kept:
            boxes = self.on(index)
            if not any(
                b.left < left + width and left < b.right and b.top < top + height and top < b.bottom for b in boxes
            ):
                places.add((left, top, width, height))
        return len(places)

    def pass_over(self) -> None:
        """Leave the object unseen: triage found no need."""
        for index in range(len(self.source)):
            self.own[index] = []
            self.first_equal[index] = index

    def found_in(self, picture: Picture) -> list[FoundText]:
        """What has to go from a picture of the whole frame; whatever the finder raises refuses the object."""
        verdict = self._judged(picture)
        return [*verdict.known, *verdict.filled]

    def _judged(self, picture: Picture, *, edge: tuple[int, int] | None = None) -> Judged:
        if not picture.size:
            return Judged([], [], [])
        try:
            if self.known and isinstance(self.finder, DoubtingFinder):
                looked = self.finder.look(picture)
            else:
                looked = Looked(self.finder.find(picture), [])
            return judged(looked, self.known, self.keep, edge=edge)
        except Refused:
            raise
        except Exception as error:  # an engine's error text may hold what it read
            raise Refused(Reason.PIXEL_ENGINE_FAILED, type(error).__name__) from None

    def box(self, found: FoundText, frame: int, left: int = 0, top: int = 0) -> Box | None:
        """The box around text found in a part of the frame that begins at left, top."""
        moved = replace(found, left=found.left + left, top=found.top + top)
        return grown(moved, self.source.shape.rows, self.source.shape.columns, self.finder.name, frame)

    def on(self, index: int) -> list[Box]:
        """Every box to fill on one frame, each rectangle once."""
        declared = [box for number, box in enumerate(self.declared) if number in self.declared_needed]
        boxes = self.own[index] + [box.on_frame(index) for box in (*self.everywhere.values(), *declared)]
        boxes += [box.on_frame(index) for box in self.added if box.frame in (ALL_FRAMES, index)]
        rectangles = {(b.left, b.top, b.width, b.height): b for b in boxes}
        return list(rectangles.values())

    @property
    def has_boxes(self) -> bool:
        """Whether there is a box on any frame."""
        return any(self.on(index) for index in range(len(self.source)))

    @property
    def all_boxes(self) -> list[Box]:
        """The boxes of all frames."""
        return [box for index in range(len(self.source)) for box in self.on(index)]

    def _look_at_hidden_planes(self, frame: Frame) -> None:
        if self.clear_hidden:
            return
        planes = rendering.hidden_planes(frame, self.source.shape)
        seen = [self._judged(plane) for plane in planes]
        self.clear_hidden = any(text.letters for one in seen for text in (*one.known, *one.filled, *one.kept))

    def _new_part(self, index: int, picture: Picture) -> tuple[int, int, Picture]:
        """What has to be looked at of this picture: left, top and that part of it, which may be empty.

        Of the first, the middle and the last frame everything that moved is: what is overlooked once is rarely overlooked
        thrice.
        """
        frames = len(self.source)
        left, top, part = self._seen.new_part(picture, thorough=index in (0, frames // 2, frames - 1))
        return (0, 0, picture) if part.size > CHANGED_SHARE * picture.size else (left, top, part)


def _within(added: Sequence[Box], source: FrameSource) -> tuple[Box, ...]:
    """A reviewer's boxes, if they lie in the picture: else they were drawn on another one."""
    shape = source.shape
    for box in added:
        fits = 0 <= box.left < box.right <= shape.columns and 0 <= box.top < box.bottom <= shape.rows
        if not fits or not (box.frame == ALL_FRAMES or 0 <= box.frame < len(source)):
            raise Refused(Reason.REDACTION_FAILED, "a box added in review lies outside of the picture")
    return tuple(added)
