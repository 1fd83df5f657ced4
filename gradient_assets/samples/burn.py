"""Text drawn into pixels, overlays and icons.

Belongs here: fitting small test images to a size where text can be read, and drawing lines of text on them.  Arrays are
rows x columns or rows x columns x 3, of any integer type.  The font is the one Pillow carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LONGEST_SIDE = 640
"""No sample image is larger: reading the text of one frame takes up to a second."""

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a block of text came to lie, in stored pixels."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width},{self.height}"


def fit(frame: Pixels, rows: int, columns: int) -> Pixels:
    """The frame scaled (linear) to `rows` x `columns`, in the same type."""
    planes = frame[..., None] if frame.ndim == 2 else frame
    scaled = [
        np.asarray(
            Image.fromarray(planes[..., plane].astype(np.float32)).resize((columns, rows), Image.Resampling.BILINEAR)
        )
        for plane in range(planes.shape[-1])
    ]
    fitted: Pixels = np.rint(np.stack(scaled, axis=-1)).astype(frame.dtype)
    return fitted.reshape((rows, columns, *frame.shape[2:]))


def text_mask(lines: Sequence[str], size: int) -> NDArray[np.uint8]:
    """The lines as white (255) on black (0), tight but for a small margin; `size` is the font's height in pixels."""
    font = ImageFont.load_default(size=size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), "\n".join(lines), font=font
    )
    margin = max(2, size // 5)
    image = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    ImageDraw.Draw(image).multiline_text((margin - left, margin - top), "\n".join(lines), fill=255, font=font)
    return np.asarray(image)


def burn(
    frame: Pixels, lines: Sequence[str], *, corner: str, size: int, black: float, white: float
) -> tuple[Pixels, Placed]:
    """A copy of the frame with the lines in a black box at `corner` (tl, tr, bl, br, tc, bc), and where they lie.

    `black` and `white` are stored values.  Text that does not fit is drawn smaller until it does.
    """
    mask = text_mask(lines, size)
    while mask.shape[0] > frame.shape[0] - 4 or mask.shape[1] > frame.shape[1] - 4:
        size -= 1
        mask = text_mask(lines, size)
    height, width = mask.shape
    gap = min(8, (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2)
    top = gap if corner[0] == "t" else frame.shape[0] - height - gap
    left = {"l": gap, "r": frame.shape[1] - width - gap, "c": (frame.shape[1] - width) // 2}[corner[1]]
    drawn = frame.copy()
    ink = np.rint(black + (white - black) * (mask / 255.0)).astype(frame.dtype)
    drawn[top : top + height, left : left + width] = ink[..., None] if frame.ndim == 3 else ink
    return drawn, Placed(left, top, width, height)


def overlay_bits(rows: int, columns: int, lines: Sequence[str], size: int) -> NDArray[np.bool_]:
    """A plane of bits with the lines in its lower left corner."""
    blank = np.zeros((rows, columns), np.uint8)
    drawn, _ = burn(blank, lines, corner="bl", size=size, black=0, white=255)
    return np.asarray(drawn) > 127
