"""Stored values to something that can be looked at: pictures for the finder, hidden bit planes, thumbnails.

Belongs here: unused bits, palettes, colour spaces, and which views of a frame are shown.  Which windows the header declares is
`windows`' business.  Nothing here changes what is stored.  PS3.3 C.7.6.3.1 (Image Pixel), C.7.9 (Palette).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from gradient_assets.deid.pixels.decoding import Frame
from gradient_assets.deid.pixels.geometry import PALETTE, PixelShape
from gradient_assets.deid.pixels.lost_contrast import lost_letters
from gradient_assets.deid.pixels.windows import Linear, Table, declared
from gradient_assets.deid.reasons import Reason, Refused

Picture = NDArray[np.uint8]
# The second window of deep images leaves out this share at both ends: metal and air push everything else together.
WINDOW_PERCENTILES = (1.0, 99.0)
# Of shallow images it is shown where nearly all values lie in a quarter of the range: it would show the speckle of any dark
# cine as new on each frame, and the finder's own high pass doubles the contrast anyway.
WORTH_A_WINDOW = 4.0
# A declared window is left out where one that is shown holds it and is no wider than so many times: a letter loses a third
# of its contrast at most.  The first one is always shown.
HOLDS_UP_TO = 1.5
# Views that differ by no more are one.
SAME_LEVELS = 8


@dataclass(frozen=True, slots=True)
class _Views:
    """Greyscale pictures of one frame, each different; `first` is the one that a viewer shows."""

    shown: list[Picture]
    ranges: list[tuple[float, float]]
    first: int


@dataclass(frozen=True, slots=True)
class Look:
    """How one object's stored values are turned into pictures; `photometric` is that of the decoded values."""

    shape: PixelShape
    photometric: str
    header: Dataset

    def pictures(self, frame: Frame, index: int = 0) -> list[Picture]:
        """8-bit pictures, H × W or H × W × 3, in at least one of which every text shows; `index` is the frame's number.

        Greyscale: smallest to largest value, percentiles, each window and lookup table that is declared for the frame, and
        the stored values' fine structure where windows lose letters (`lost_contrast`).  Three of them are the colour channels
        of one picture: one look costs a third of three.  A CT slice of one or two windows has one picture.
        What `thumbnail` shows is among them; MONOCHROME1 is not inverted here.
        """
        values = pixel_values(frame, self.shape)
        if self.photometric == PALETTE:
            return self._palette(values)
        if self.shape.samples == 3:
            return self._colours(values)
        views = self._views(values, index)
        lost = lost_letters(values, views.ranges)
        return _packed(views.shown if lost is None else [*views.shown, lost])

    def picture(self, frame: Frame, index: int = 0) -> Picture:
        """The first of them: of a deep greyscale image the channels are all values, percentiles, the first declared view."""
        return self.pictures(frame, index)[0]

    def _views(self, values: NDArray[Any], index: int) -> _Views:
        ranges = [_range(values)]
        low, high = ranges[0]
        shown = [windowed(values, low, high)]
        first = 0
        narrow = _percentile_range(values)
        deep = self.shape.bits_stored > 8 or self.shape.is_float
        if narrow and (deep or high - low >= WORTH_A_WINDOW * (narrow[1] - narrow[0])):
            ranges.append(narrow)
            shown.append(windowed(values, *narrow))
            first = 1
        nothing_declared = True
        for one in declared(self.header, index):
            ends = None
            if isinstance(one, Linear):
                ends = max(low, one.low), min(high, one.high)
                if not nothing_declared and any(_holds(wide, ends) for wide in ranges):
                    continue
                view = windowed(values, *ends) if ends[1] > ends[0] else None
            else:
                view = self._through(one, values)
            if view is None:
                continue
            at = next((i for i, other in enumerate(shown) if _are_same(view, other)), len(shown))
            if at == len(shown):
                shown.append(view)
                ranges += [ends] if ends else []
            if nothing_declared:
                nothing_declared, first = False, at
        return _Views(shown, ranges, first)

    def _through(self, table: Table, values: NDArray[Any]) -> Picture | None:
        try:
            output = table.shown(values if self.shape.is_float else values.astype(np.int64))
        except Exception:  # a broken table is applied by no viewer either
            return None
        return windowed(output, *_range(output))

    def _colours(self, values: NDArray[Any]) -> list[Picture]:
        """RGB; of more than 8 bits stretched over the values there are: some writers declare 16 bits and store 8."""
        bits = self.shape.bits_stored
        if bits <= 8:
            return [rgb(values, self.photometric)]
        if self.photometric.startswith("YBR"):
            return [rgb(values >> (bits - 8), self.photometric), *_packed(self._views(values[..., 0], 0).shown)]
        low, high = _range(values)
        full = windowed(values, low, high)
        narrow = _percentile_range(values)
        if narrow and high - low >= WORTH_A_WINDOW * (narrow[1] - narrow[0]):
            return [full, windowed(values, *narrow)]
        return [full]

    def _palette(self, indices: NDArray[Any]) -> list[Picture]:
        try:
            coloured = apply_color_lut(indices, self.header)
        except Exception as error:  # a palette that can't be applied leaves open what the image shows
            raise Refused(Reason.PIXEL_GEOMETRY, f"palette: {type(error).__name__}") from None
        if coloured.max(initial=0) > 255:  # some writers declare 16 bits and store 8
            coloured = coloured >> 8
        picture = np.asarray(coloured[..., :3], dtype=np.uint8)
        told_apart = _under_one_colour(indices, picture)
        return [picture] if told_apart is None else [picture, told_apart]

    def thumbnail(self, frame: Frame, index: int = 0) -> Picture:
        """The frame as a viewer would show it first: modality and VOI applied, MONOCHROME1 inverted."""
        if self.photometric == PALETTE or self.shape.samples == 3:
            return self.picture(frame)
        views = self._views(pixel_values(frame, self.shape), index)
        grey = views.shown[views.first]
        inverse = (self.photometric == "MONOCHROME1") != (self.header.get("PresentationLUTShape") == "INVERSE")
        return np.asarray(255 - grey if inverse else grey, dtype=np.uint8)


def _packed(views: list[Picture]) -> list[Picture]:
    """Three views to a picture, in their order; two are filled up with the second, a single one stays grey."""
    groups = [views[at : at + 3] for at in range(0, len(views), 3)]
    return [group[0] if len(group) == 1 else np.dstack([*group, group[-1]][:3]) for group in groups]


def _holds(wide: tuple[float, float], ends: tuple[float, float]) -> bool:
    return wide[0] <= ends[0] and ends[1] <= wide[1] and wide[1] - wide[0] <= HOLDS_UP_TO * (ends[1] - ends[0])


def _are_same(one: Picture, other: Picture) -> bool:
    """Nearly equal, or one the inverse of the other: what is legible in one is in the other."""
    return min(int(cv2.absdiff(one, seen).max()) for seen in (other, cv2.bitwise_not(other))) <= SAME_LEVELS


def _percentile_range(values: NDArray[Any]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return None
    low, high = np.percentile(finite[::7] if finite.size > 200_000 else finite, WINDOW_PERCENTILES)
    return (float(low), float(high)) if high > low else None


def _under_one_colour(indices: NDArray[Any], picture: Picture) -> Picture | None:
    """Which of several indices of one colour a pixel holds, the first black, the last white; None if none share one."""
    used, first, number = np.unique(indices, return_index=True, return_inverse=True)
    colours = picture.reshape(-1, 3)[first].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    order = np.argsort(colours, kind="stable")
    begins = np.r_[True, np.diff(colours[order]) > 0]
    at = np.arange(used.size)
    ranks = np.empty(used.size, np.int64)
    ranks[order] = at - np.maximum.accumulate(np.where(begins, at, 0))
    if not ranks.any():
        return None
    return np.asarray(ranks[number.reshape(indices.shape)] * 255 // int(ranks.max()), dtype=np.uint8)


def pixel_values(frame: Frame, shape: PixelShape) -> NDArray[Any]:
    """The stored bits alone, sign applied: what a viewer reads; float frames as they are."""
    if shape.is_float or (shape.bits_stored == shape.bits_allocated) or shape.bits_allocated == 1:
        return frame
    shift = shape.high_bit + 1 - shape.bits_stored
    masked = (frame.astype(np.int64) >> shift) & ((1 << shape.bits_stored) - 1)
    if shape.signed:
        half = 1 << (shape.bits_stored - 1)
        masked = (masked ^ half) - half
    return masked


def hidden_planes(frame: Frame, shape: PixelShape) -> list[Picture]:
    """Bits that no viewer shows, as pictures: those outside Bits Stored that are neither constant nor the sign."""
    if shape.is_float or shape.bits_stored == shape.bits_allocated:
        return []
    bits = frame.view(np.dtype(f"u{frame.dtype.itemsize}"))
    used = range(shape.high_bit + 1 - shape.bits_stored, shape.high_bit + 1)
    sign = (bits >> shape.high_bit) & 1
    planes: list[Picture] = []
    for position in range(shape.bits_allocated):
        if position in used:
            continue
        plane = (bits >> position) & 1
        constant = plane.min() == plane.max()
        if not constant and not np.array_equal(plane, sign):
            picture = np.asarray(plane * 255, dtype=np.uint8)
            if not any(np.array_equal(picture, other) for other in planes):
                planes.append(picture)
    return planes


def without_hidden_bits(frame: Frame, shape: PixelShape) -> Frame:
    """The same values with nothing in the unused bits but the sign."""
    if shape.is_float or shape.bits_stored == shape.bits_allocated or shape.bits_allocated == 1:
        return frame
    shift = shape.high_bit + 1 - shape.bits_stored
    return np.asarray(pixel_values(frame, shape) << shift).astype(frame.dtype)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def windowed(values: NDArray[Any], low: float, high: float) -> Picture:
    """Values between low and high spread over 0 … 255; all black when there is no range."""
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    # a float of 32 bits has no room for values of more than 24: counts of billions would come out in steps of 128
    exact: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    start, gain = (exact.dtype.type(number) for number in (low, 255 / (high - low)))
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.multiply(np.subtract(exact, start), gain)
    return np.asarray(np.nan_to_num(np.clip(scaled, 0, 255), nan=0.0), dtype=np.uint8)


def rgb(values: NDArray[Any], photometric: str) -> Picture:
    """Three samples of 8 bits as RGB."""
    picture = np.asarray(values, dtype=np.uint8)
    if photometric.startswith("YBR"):
        # OpenCV's order is Y, Cr, Cb; PS3.3 C.7.6.3.1.2 stores Y, Cb, Cr
        swapped = np.ascontiguousarray(picture[..., [0, 2, 1]])
        picture = np.asarray(cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
    return picture


def shrunk(picture: Picture, longest_side: int) -> Picture:
    """The picture scaled down (never up) to the longest side given."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    if scale == 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def png(pictures: Sequence[Picture], frame_ms: int = 0) -> bytes:
    """A PNG without text chunks; of several pictures an animated one that repeats for ever."""
    first, *others = (Image.fromarray(picture) for picture in pictures)
    stream = io.BytesIO()
    if others:
        first.save(stream, format="PNG", save_all=True, append_images=others, duration=frame_ms, loop=0)
    else:
        first.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
