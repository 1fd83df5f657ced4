"""Boxes to black: which stored value displays black, filling it in, and proving that it was filled.

Belongs here: the fill itself.  Which boxes, is `engine`'s business; how the frames are written back, `encoding`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.decoding import Frame
from gradient_assets.deid.pixels.geometry import PALETTE, PixelShape
from gradient_assets.deid.pixels.rendering import pixel_values
from gradient_assets.deid.reasons import Reason, Refused


@dataclass(slots=True)
class ValueRange:
    """Smallest and largest pixel value seen over the frames of an object."""

    low: float | int | None = None
    high: float | int | None = None

    def add(self, frame: Frame, shape: PixelShape) -> None:
        """Take one frame into account; not-a-number and infinities are left out."""
        values = pixel_values(frame, shape)
        if shape.is_float:
            values = values[np.isfinite(values)]
        if values.size:
            low, high = values.min().item(), values.max().item()
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)


def black(header: Dataset, shape: PixelShape, photometric: str, seen: ValueRange) -> Any:
    """The stored value (or three) that displays black.

    Greyscale: the darkest value the object itself holds, or 0 where that is darker still, so that windows computed from
    the pixels stay as they were.  Palette: the index of the darkest entry.
    """
    if photometric == PALETTE:
        return _darkest_index(header, shape)
    if shape.samples == 3:
        if photometric.startswith("YBR"):
            grey = 1 << (shape.bits_stored - 1)
            return (16 if photometric.startswith("YBR_PARTIAL") else 0, grey, grey)
        return (0, 0, 0)
    inverse = (photometric == "MONOCHROME1") != (header.get("PresentationLUTShape") == "INVERSE")
    inverse = inverse != _falls(header)
    if seen.low is None or seen.high is None:
        raise Refused(Reason.REDACTION_FAILED, "no finite pixel value")
    value = seen.high if inverse else min(0, seen.low)
    if shape.is_float:
        return value
    return int(value) << (shape.high_bit + 1 - shape.bits_stored)


def _falls(header: Dataset) -> bool:
    """True when a larger stored value means a smaller output value: a negative Rescale Slope (PS3.3 C.11.1)."""
    try:
        return float(header.get("RescaleSlope") or 1) < 0
    except (TypeError, ValueError):  # no number, or several: no viewer applies it
        return False


def _darkest_index(header: Dataset, shape: PixelShape) -> int:
    entries, first, _ = (int(v) for v in header.RedPaletteColorLookupTableDescriptor)
    # 0 stands for 65,536 entries (PS3.3 C.7.6.3.1.5)
    entries = entries or 65_536
    low, high = (
        (-(1 << (shape.bits_stored - 1)), 1 << (shape.bits_stored - 1)) if shape.signed else (0, 1 << shape.bits_stored)
    )
    indices = np.arange(max(first, low), min(first + entries, high))
    if not indices.size:
        raise Refused(Reason.PIXEL_GEOMETRY, "no palette entry can be addressed")
    colours = apply_color_lut(indices.reshape(1, -1), header)[0, :, :3].astype(np.int64)
    return int(indices[int(colours.sum(axis=1).argmin())]) << (shape.high_bit + 1 - shape.bits_stored)


def filled(frame: Frame, boxes: Sequence[Box], value: Any, *, pairs: bool) -> Frame:
    """A copy of the frame with the boxes filled; `pairs` widens them to even columns (4:2:2 stores chroma per pair).

    Raises Refused(REDACTION_FAILED) when a box lies outside the frame or does not hold the value afterwards.
    """
    result = frame.copy()
    for box in boxes:
        region = _region(box, pairs)
        if not result[region].size:
            raise Refused(Reason.REDACTION_FAILED, "a box lies outside the frame")
        result[region] = value
    check_fill(result, boxes, value)
    return result


def check_fill(frame: Frame, boxes: Sequence[Box], value: Any, margin: int = 0) -> None:
    """Raises Refused(REDACTION_FAILED) where a box does not hold the value; None: where it is not of one value.

    `margin` leaves out that many pixels inside the border of each box.
    """
    for box in boxes:
        rows, columns = box.slices
        region = frame[rows.start + margin : rows.stop - margin, columns.start + margin : columns.stop - margin]
        if region.size and not np.all(region == (region[0, 0] if value is None else np.asarray(value))):
            raise Refused(Reason.REDACTION_FAILED, "a box does not hold the fill value")


def _region(box: Box, pairs: bool) -> tuple[slice, slice]:
    if not pairs:
        return box.slices
    return slice(box.top, box.bottom), slice(box.left // 2 * 2, (box.right + 1) // 2 * 2)


def covered(boxes: Sequence[Box], rows: int, columns: int) -> NDArray[np.bool_]:
    """True where a box of the frame is."""
    mask = np.zeros((rows, columns), np.bool_)
    for box in boxes:
        mask[box.slices] = True
    return mask
