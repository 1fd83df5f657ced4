"""Stored values to something that can be looked at: pictures for the finder, hidden bit planes, thumbnails.

Belongs here: unused bits, windows, palettes, colour spaces.  Nothing here changes what is stored.
PS3.3 C.7.6.3.1 (Image Pixel), C.7.9 (Palette), C.11.1 and C.11.2 (Modality and VOI LUT).
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
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from gradient_assets.deid.pixels.decoding import Frame
from gradient_assets.deid.pixels.geometry import PALETTE, PixelShape
from gradient_assets.deid.reasons import Reason, Refused

Picture = NDArray[np.uint8]
# The second window of deep images leaves out this share at both ends: metal and air push everything else together.
WINDOW_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, slots=True)
class Look:
    """How one object's stored values are turned into pictures; `photometric` is that of the decoded values."""

    shape: PixelShape
    photometric: str
    header: Dataset

    def picture(self, frame: Frame) -> Picture:
        """One 8-bit picture, H × W or H × W × 3, in which text of any depth shows.

        Deep greyscale images are shown under three windows at once, one per colour channel (smallest to largest value,
        percentiles, the declared VOI window): text is legible in at least one of them, and one look costs a third of three.
        """
        if self.photometric == PALETTE:
            return self._palette(frame)
        if self.shape.samples == 3:
            return rgb(frame, self.photometric, self.shape.bits_stored)
        values = pixel_values(frame, self.shape)
        low, high = _range(values)
        full = windowed(values, low, high)
        if self.shape.bits_stored <= 8 and not self.shape.is_float:
            return full
        finite = values[np.isfinite(values)] if self.shape.is_float else values
        middle = np.percentile(finite[::7] if finite.size > 200_000 else finite, WINDOW_PERCENTILES)
        narrow = windowed(values, float(middle[0]), float(middle[1])) if middle[1] > middle[0] else full
        window = self._voi_window()
        declared = windowed(values, *window) if window else narrow
        return np.dstack([full, narrow, declared])

    def _voi_window(self) -> tuple[float, float] | None:
        """The first declared window in stored values; None without a usable one."""
        try:
            center, width = (_first(self.header.get(k)) for k in ("WindowCenter", "WindowWidth"))
            slope = _first(self.header.get("RescaleSlope")) or 1.0
            intercept = _first(self.header.get("RescaleIntercept")) or 0.0
            if center is None or not width or width <= 0:
                return None
            low, high = ((center + side * width / 2 - intercept) / slope for side in (-1, 1))
            return (min(low, high), max(low, high)) if np.isfinite(low + high) and low != high else None
        except (TypeError, ValueError):
            return None

    def _palette(self, frame: Frame) -> Picture:
        indices = pixel_values(frame, self.shape)
        try:
            coloured = apply_color_lut(indices, self.header)
        except Exception as error:  # a palette that can't be applied leaves open what the image shows
            raise Refused(Reason.PIXEL_GEOMETRY, f"palette: {type(error).__name__}") from None
        if coloured.max(initial=0) > 255:  # some writers declare 16 bits and store 8
            coloured = coloured >> 8
        return np.asarray(coloured[..., :3], dtype=np.uint8)

    def thumbnail(self, frame: Frame) -> Picture:
        """The frame as a viewer would show it first: modality and VOI applied, MONOCHROME1 inverted."""
        if self.photometric == PALETTE or self.shape.samples == 3:
            return self.picture(frame)
        values = pixel_values(frame, self.shape).astype(np.float64)
        try:
            shown = np.asarray(apply_voi_lut(apply_modality_lut(_whole(values, self.shape), self.header), self.header))
        except Exception:  # a broken LUT only costs the thumbnail its looks
            shown = values
        low, high = self._shown_range(shown)
        grey = windowed(shown, low, high)
        inverse = (self.photometric == "MONOCHROME1") != (self.header.get("PresentationLUTShape") == "INVERSE")
        return np.asarray(255 - grey if inverse else grey, dtype=np.uint8)

    def _shown_range(self, shown: NDArray[Any]) -> tuple[float, float]:
        if self._voi_window() is not None or "VOILUTSequence" in self.header:
            return _range(shown)
        finite = shown[np.isfinite(shown)]
        if not finite.size:
            return 0.0, 0.0
        low, high = np.percentile(finite, (0.5, 99.5))
        return (float(low), float(high)) if high > low else _range(shown)


def _whole(values: NDArray[Any], shape: PixelShape) -> NDArray[Any]:
    return values if shape.is_float else values.astype(np.int64)


def _first(value: Any) -> float | None:
    if isinstance(value, (MultiValue, list, tuple)):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)


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
    if shape.is_float or shape.bits_stored == shape.bits_allocated or shape.samples != 1:
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
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.asarray(np.nan_to_num(np.clip(scaled, 0, 255), nan=0.0), dtype=np.uint8)


def rgb(frame: Frame, photometric: str, bits_stored: int) -> Picture:
    """Three samples as 8-bit RGB."""
    eight = frame if bits_stored <= 8 else frame >> (bits_stored - 8)
    picture = np.asarray(eight, dtype=np.uint8)
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
