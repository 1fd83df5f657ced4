"""Writing burned into pixels, and whether it can still be seen there.

Belongs here: drawing in eight styles, and comparing a frame at the planted place.  Frames are rows x columns of 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from gradient_assets.samples.burn import text_mask

ROWS, COLUMNS = 320, 400
STILL_SEEN = 0.25
"""Correlation of ink and picture above which the writing counts as seen.  Black boxes give 0, other anatomy under .1,
writing in a thumbnail of 256 pixels .7 and more."""


@dataclass(frozen=True)
class Drawn:
    """Ink (0 to 1) at its place in a frame."""

    frame: int
    left: int
    top: int
    ink: np.ndarray

    def seen(self, frame: np.ndarray) -> bool:
        """Whether the writing can be seen in this frame, which may be scaled and coloured."""
        plane = frame.astype(float).mean(axis=2) if frame.ndim == 3 else frame.astype(float)
        scale = plane.shape[1] / COLUMNS
        height, width = (max(2, round(side * scale)) for side in self.ink.shape)
        top, left = round(self.top * scale), round(self.left * scale)
        part = plane[top : top + height, left : left + width]
        ink = np.asarray(Image.fromarray((self.ink * 255).astype(np.uint8)).resize((width, height)), float)
        ink = ink[: part.shape[0], : part.shape[1]]
        # A window over the ink, line by line: half of a line that is left is a leak too.
        thirds = np.array_split(np.arange(ink.shape[1]), 3)
        return any(_alike(ink[:, cols], part[:, cols]) > STILL_SEEN for cols in thirds if cols.size > 2)


def _alike(ink: np.ndarray, part: np.ndarray) -> float:
    if ink.shape != part.shape or ink.std() < 1 or part.std() < 1e-6:
        return 0.0
    return abs(float(np.corrcoef(ink.ravel(), part.ravel())[0, 1]))


def blank(frames: int, seed: int) -> np.ndarray:
    """Something like tissue: smooth, dark, another on each frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 90, (frames, 10, 12)).astype(np.uint8)
    size = (COLUMNS, ROWS)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in coarse])


def burn(pixels: np.ndarray, frame: int, style: str, text: str, row: int) -> Drawn:
    """Draw the text on one frame; `row` keeps several texts of one object apart."""
    ink = _bars(text) if style == "barcode" else text_mask([text], 10 if style == "small" else 18) / 255.0
    if style == "rotated":
        ink = np.rot90(ink)
    height, width = ink.shape
    top, left = 20 + 60 * row, 24
    if style == "corner":
        top, left = ROWS - height - 6, COLUMNS - width - 6
    part = pixels[frame, top : top + height, left : left + width].astype(float)
    dark, light = {"inverted": (240.0, 10.0), "white": (250.0, 0.0)}.get(style, (0.0, 235.0))
    if style == "faint":
        drawn = part + 55 * ink
    else:
        ground = np.full_like(part, dark) if style in ("inverted", "white", "barcode") else part
        drawn = ground + (light - ground) * ink
    pixels[frame, top : top + height, left : left + width] = np.clip(drawn, 0, 255).astype(np.uint8)
    return Drawn(frame, left, top, np.ascontiguousarray(ink))


def _bars(text: str) -> np.ndarray:
    """Stripes that spell the text's bits, two pixels each: no standard code, but one that a camera could read."""
    bits = np.unpackbits(np.frombuffer(text.encode(), np.uint8)).astype(float)
    return np.tile(np.repeat(bits, 2), (48, 1))
