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
from gradient_assets.deid.pixels.changed_parts import Part, SeenPictures
from gradient_assets.deid.pixels.declared_regions import declares_text, outside_ultrasound_regions
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
        self._kept: set[tuple[int, Part]] = set()
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
        self.found_on: dict[int, Part] = {}

    def add(self, index: int, frame: Frame) -> None:
        """Look at one frame."""
        digest = hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        twin = self.first_equal[index] = self._index_of_digest.setdefault(digest, index)
        if twin != index:
            self.own[index] = [box.on_frame(index) for box in self.own[twin]]
            return
        self.values.add(frame, self.source.shape)
        self._look_at_hidden_planes(frame)
        pictures = self.look.pictures(frame, index)
        # What changes only where a declared box goes anyway costs no look; but the finder is shown what lies there, because
        # such a box may cut a line (one of a sample kept the lower half of its end: nobody reads half letters).
        undeclared = np.dstack(pictures)
        for number, declared in enumerate(self.declared):
            if not _is_constant(frame, declared):
                self.declared_needed.add(number)
            undeclared[declared.slices] = 0
        every = Part(0, 0, self.source.shape.columns, self.source.shape.rows)
        part = self._new_part(index, undeclared, every)
        whole = part == every
        boxes: list[Box] = []
        if part.area:
            edge = None if whole else (part.bottom - part.top, part.right - part.left)
            verdict = self._judged([picture[part.slices] for picture in pictures], edge=edge)
            kept = [_place(text, part) for text in verdict.kept]
            self._kept |= {(index, place) for place in kept}
            boxes = self._boxes(verdict, index, frame, part.left, part.top)
            self.looked.append(index)
            unread = [text for text in (*verdict.known, *verdict.filled) if text.letters < LETTERS_FOR_ALL_FRAMES]
            self._seen.add(undeclared, part, kept=kept, unread=[_place(text, part) for text in unread])
            if boxes:
                self.found_on[index] = part
        if not whole:
            boxes += [box.on_frame(index) for box in self._reference_boxes]
        if part.area:
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
            if _is_constant(frame, box):
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
        if self.second is None or not declares_text(self.look.header) or self.has_boxes or self._kept:
            return
        self.finder = self.second
        for index in sorted(set(self.first_equal.values())):
            frame = self.source[index]
            self.own[index] = self._boxes(self._judged(self.look.pictures(frame, index)), index, frame, 0, 0)
            if self.own[index]:
                self.found_on[index] = Part(0, 0, self.source.shape.columns, self.source.shape.rows)
        for index, twin in self.first_equal.items():
            if index != twin:
                self.own[index] = [box.on_frame(index) for box in self.own[twin]]

    @property
    def kept(self) -> int:
        """Texts that stay by policy and that no box hides on their frame; the same place on many frames counts once."""
        places = set()
        for index, text in self._kept:
            boxes = (Part(box.left, box.top, box.right, box.bottom) for box in self.on(index))
            if not any(text.touches(box) for box in boxes):
                places.add(text)
        return len(places)

    def pass_over(self) -> None:
        """Leave the object unseen: triage found no need."""
        for index in range(len(self.source)):
            self.own[index] = []
            self.first_equal[index] = index

    def found_in(self, pictures: Sequence[Picture], part: Part | None = None) -> list[FoundText]:
        """What has to go from the pictures of a frame, or from a part of it; whatever the finder raises refuses the object."""
        if part is None:
            verdict = self._judged(pictures)
            return [*verdict.known, *verdict.filled]
        edge = (part.bottom - part.top, part.right - part.left)
        verdict = self._judged([picture[part.slices] for picture in pictures], edge=edge)
        found = [*verdict.known, *verdict.filled]
        return [replace(text, left=text.left + part.left, top=text.top + part.top) for text in found]

    def _judged(self, pictures: Sequence[Picture], *, edge: tuple[int, int] | None = None) -> Judged:
        """What is to be done with the text in pictures of one place."""
        verdict = Judged([], [], [])
        for picture in pictures:
            one = self._judged_one(picture, edge)
            for texts, more in ((verdict.filled, one.filled), (verdict.known, one.known), (verdict.kept, one.kept)):
                texts += more
        return verdict

    def _judged_one(self, picture: Picture, edge: tuple[int, int] | None) -> Judged:
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
        seen = self._judged(planes)
        # letters of one bit are read worse than they are found: what looks like text is enough to clear what nobody sees
        self.clear_hidden = bool(seen.known or seen.filled or seen.kept)

    def _new_part(self, index: int, picture: Picture, every: Part) -> Part:
        """What has to be looked at of this picture; may be empty.

        Of the first, the middle and the last frame everything that moved is: what is overlooked once is rarely overlooked
        thrice.
        """
        frames = len(self.source)
        part = self._seen.new_part(picture, thorough=index in (0, frames // 2, frames - 1))
        return every if part.area > CHANGED_SHARE * every.area else part


def _is_constant(frame: Frame, box: Box) -> bool:
    """Whether all pixels of the box are equal, in every sample."""
    region = frame[box.slices]
    return bool(np.all(region == region[0, 0]))


def _place(text: FoundText, part: Part) -> Part:
    """Where text found in a part of the picture stands in the whole of it."""
    left, top = part.left + text.left, part.top + text.top
    return Part(left, top, left + text.width, top + text.height)


def _within(added: Sequence[Box], source: FrameSource) -> tuple[Box, ...]:
    """A reviewer's boxes, if they lie in the picture: else they were drawn on another one."""
    shape = source.shape
    for box in added:
        fits = 0 <= box.left < box.right <= shape.columns and 0 <= box.top < box.bottom <= shape.rows
        if not fits or not (box.frame == ALL_FRAMES or 0 <= box.frame < len(source)):
            raise Refused(Reason.REDACTION_FAILED, "a box added in review lies outside of the picture")
    return tuple(added)
