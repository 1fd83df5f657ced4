"""Fonts of many kinds and the stencils their letters leave.

Belongs here: TrueType and Type 1 fonts of the system or of an installed package, Pillow's own two, OpenCV's plotter font, and
a 5 × 7 dot matrix as in frame grabbers and ultrasound machines.  Which text is written where is `planting`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Stencil = np.ndarray
"""How much of each pixel the letters cover, 0 … 1, H × W, cut to the letters."""

_SYSTEM_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "DejaVuSansCondensed", "LiberationSans-Regular",
    "LiberationSans-Bold", "LiberationMono-Regular", "LiberationSerif-Regular", "LiberationSansNarrow-Regular",
    "LiberationSerif-Italic", "NotoMono-Regular", "NimbusSans-Regular", "NimbusMonoPS-Bold", "Z003-MediumItalic",
    "URWGothic-Demi", "P052-Roman",
)  # fmt: skip

_FONT_OF = {
    **dict.fromkeys(("Cyrillic", "Greek", "Hebrew", "Arabic", "Armenian", "Georgian"), "DejaVuSans"),
    **dict.fromkeys(("Chinese", "Japanese", "Korean"), "DroidSansFallback"),
}
"""Script → a font that has its letters: DejaVu Sans ships with matplotlib too, the other one with the system only."""

# Five columns of each letter, lowest bit on top.
_DOTS = {
    "A": "7e1111117e", "B": "7f49494936", "C": "3e41414122", "D": "7f4141413e", "E": "7f49494941", "F": "7f09090901",
    "G": "3e41495938", "H": "7f0808087f", "I": "00417f4100", "J": "2040413f01", "K": "7f08142241", "L": "7f40404040",
    "M": "7f020c027f", "N": "7f0408107f", "O": "3e4141413e", "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946",
    "S": "4649494931", "T": "01017f0101", "U": "3f4040403f", "V": "1f2040201f", "W": "7f2018207f", "X": "6314081463",
    "Y": "0304780403", "Z": "6151494543", "0": "3e5149453e", "1": "00427f4000", "2": "6251494946", "3": "2241494936",
    "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e",
    ".": "0060600000", ":": "0036360000", "-": "0808080808", "/": "2010080402", ",": "0050300000", " ": "0000000000",
}  # fmt: skip


@dataclass(frozen=True)
class Font:
    """A named way to turn a text into a stencil whose capitals are about so many pixels high."""

    name: str
    stencil: Callable[[str, int], Stencil]
    only_capitals: bool = False


def _cut(stencil: np.ndarray) -> Stencil:
    rows, columns = np.flatnonzero(stencil.any(axis=1)), np.flatnonzero(stencil.any(axis=0))
    if not rows.size:
        return np.zeros((0, 0), np.float32)
    return stencil[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)


def _drawn(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, *, smooth: bool) -> Stencil:
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4), 0)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "L" if smooth else "1"
    draw.text((2 - left, 2 - top), text, fill=255, font=font)
    return _cut(np.asarray(image, np.float32) / 255)


def _points_for(capital_px: int, capital_at_100: float) -> int:
    return max(6, round(capital_px * 100 / capital_at_100))


def _scalable(path: str | None, *, smooth: bool = True) -> Callable[[str, int], Stencil]:
    def load(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
        return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)

    box = load(100).getbbox("H")
    capital = box[3] - box[1]
    return lambda text, px: _drawn(text, load(_points_for(px, capital)), smooth=smooth)


def _dot_matrix(text: str, px: int) -> Stencil:
    columns: list[int] = []
    for letter in text.upper():
        columns += [*bytes.fromhex(_DOTS.get(letter, _DOTS["-"])), 0]
    bits = np.array([[column >> row & 1 for column in columns] for row in range(7)], np.float32)
    return _cut(np.kron(bits, np.ones((max(1, round(px / 7)),) * 2, np.float32)))


def _pillow_bitmap(text: str, px: int) -> Stencil:
    plain = _drawn(text, ImageFont.load_default_imagefont(), smooth=False)
    return _cut(np.kron(plain, np.ones((max(1, round(px / 8)),) * 2, np.float32)))


def _plotter(text: str, px: int) -> Stencil:
    scale = px / 21
    thickness = max(1, round(px / 9))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    image = np.zeros((height + below + 2 * thickness + 8, width + 2 * thickness + 8), np.uint8)
    at = (4 + thickness, height + thickness + 4)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    return _cut(image.astype(np.float32) / 255)


@cache
def portable_fonts() -> tuple[Font, ...]:
    """Fonts that every machine with Pillow and OpenCV has."""
    return (
        Font("pillow", _scalable(None)),
        Font("pillow-aliased", _scalable(None, smooth=False)),
        Font("pillow-bitmap", _pillow_bitmap),
        Font("dots-5x7", _dot_matrix, only_capitals=True),
        Font("plotter", _plotter),
    )


@cache
def system_fonts() -> tuple[Font, ...]:
    """The scalable fonts of this machine that are on the list, in a fixed order; empty on a bare one."""
    paths = {path.stem: path for ending in ("ttf", "otf") for path in Path("/usr/share/fonts").rglob(f"*.{ending}")}
    return tuple(Font(name, _scalable(str(paths[name]))) for name in _SYSTEM_FONTS if name in paths)


@cache
def ideograph_font() -> Font | None:
    """The system's fallback font for Chinese and Japanese; None without it."""
    path = next(iter(sorted(Path("/usr/share/fonts-droid-fallback").rglob("DroidSansFallback*.ttf"))), None)
    return None if path is None else Font("ideographs", _scalable(str(path)))


@cache
def font_of(script: str) -> Font | None:
    """A font of the system or of matplotlib with the letters of a script; None where there is none."""
    matplotlib = find_spec("matplotlib")
    within = matplotlib.submodule_search_locations if matplotlib else None
    folders = [
        "/usr/share/fonts",
        "/usr/share/fonts-droid-fallback",
        *(f"{folder}/mpl-data/fonts" for folder in within or ()),
    ]
    name = _FONT_OF[script]
    path = next((path for folder in folders for path in sorted(Path(folder).rglob(f"{name}.ttf"))), None)
    return None if path is None else Font(name, _scalable(str(path)))
