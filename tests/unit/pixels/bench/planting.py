"""Real pictures without text, and lines of text put into their stored values.

Belongs here: which files serve as ground, what is written, how high, in which shade, turned which way and where.  The
letters are `lettering`'s, the counting `scoring`'s business.  Everything about a line follows from the seed.
"""

from __future__ import annotations

import csv
import random
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.data import get_testdata_file

from gradient_assets.deid.pixels.decoding import FrameSource, decode_frames
from gradient_assets.deid.pixels.rendering import Look, Picture
from gradient_assets.deid.reasons import Refused
from tests.unit.pixels.bench.lettering import (
    Font,
    Stencil,
    font_of,
    ideograph_font,
    portable_fonts,
    system_fonts,
)

HEIGHTS_PX = (7, 7, 8, 8, 9, 10, 11, 12, 13, 14, 16, 18, 22, 28, 36, 48, 64, 90)
PACKAGED = ("CT_small.dcm", "MR_small.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm")
STYLES = ("white", "white", "white", "grey", "black", "white-on-plate", "black-on-plate", "outlined", "colour", "faint")
LEAST_LEVELS = 32
"""Between darkest and brightest value of a ground: masks of segmentations have two, and no shades to write in."""
LEAST_CONTRAST = 45
"""Levels of 256 between letter and ground: less, and a reader at a normal window overlooks it too."""
LEAST_CONTRAST_IN_DEVIATIONS = 2.5
"""The same in standard deviations of the ground: letters in noise of their own height can't be read."""

_NAMES = (
    "MEIER", "ANNA", "Okonkwo", "JONES", "O'NEIL", "Smith-Lee", "Garcia", "NGUYEN", "Petrov", "YILMAZ", "Ivanova", "WU", "LI"
)  # fmt: skip
_PLACES = ("ST MARY HOSPITAL", "Univ. Klinik", "GENERAL", "Imaging Center", "RAD ONC", "MERCY")
_LABELS = ("ID", "Name:", "DOB", "PAT", "Acc", "Dr.", "MRN", "F", "M", "Age 64Y")
_SHORT = ("WU", "LI", "J.S", "A7", "KM", "64Y", "R2", "MR", "B12", "ANN")
_SCRIPTS = ("Иванова Анна", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "Müller, Jürgen", "Øvergård", "Łukasz Żak")
# without digits: the fallback font has none, and draws empty boxes
_IDEOGRAPHS = ("山田太郎", "王小明", "東京病院")

SCRIPTS = {
    "Cyrillic": ("Иванова Анна", "Петров Сергей", "Городская больница", "Шевченко Ю.Щ."),
    "Greek": ("ΠΑΠΑΔΟΠΟΥΛΟΣ", "Γεωργίου Μαρία", "Νοσοκομείο", "Κωνσταντίνος Ψ."),
    "Hebrew": ("כהן שרה", "לוי דוד", "בית חולים", "מזרחי אברהם"),
    "Arabic": ("محمد أحمد", "فاطمة الزهراء", "مستشفى", "يوسف خليل"),
    "Armenian": ("Գրիգորյան Անի", "Հակոբյան", "Հիվանդանոց", "Պետրոսյան"),
    "Georgian": ("ბერიძე ნინო", "კაპანაძე", "საავადმყოფო", "გიორგი"),
    "Chinese": ("王小明", "李娜", "北京医院", "欧阳建国"),
    "Japanese": ("山田太郎", "タナカ ハナコ", "東京病院", "さとう けんじ"),
    "Korean": ("김민수", "이서연", "서울병원", "박지훈"),
}
"""Names and places by script; those that the seeds draw have been scored and stay as they are."""
SCRIPT_HEIGHTS_PX = (11, 14, 18, 24, 36)


@dataclass(frozen=True)
class Ground:
    """One frame of a real object, and how to look at it."""

    name: str
    modality: str
    frame: np.ndarray
    look: Look | None

    def picture(self, frame: np.ndarray) -> Picture:
        """What a finder is shown of these stored values."""
        return frame if self.look is None else self.look.picture(frame)


@dataclass(frozen=True)
class Line:
    """What was planted, in words that a table of misses can use; `contrast_to_noise` is measured in the finished picture."""

    font: str
    height_px: int
    style: str
    turn: int
    place: str
    letters: int
    ground: str
    modality: str
    contrast_to_noise: str = ""
    kind: str = ""
    script: str = ""


def ground_of(ds: pydicom.Dataset, name: str) -> Ground:
    """The middle frame: stored values where they are grey, the picture where they are colours. Raises Refused."""
    source: FrameSource = decode_frames(ds)
    look = Look(source.shape, source.photometric, ds)
    frame = source[len(source) // 2]
    modality = str(ds.get("Modality", "") or "none")
    if source.shape.samples == 1 and source.photometric.startswith("MONOCHROME") and not source.shape.is_float:
        return Ground(name, modality, frame, look)
    return Ground(name, modality, np.ascontiguousarray(look.picture(frame)), None)


def packaged_grounds() -> list[Ground]:
    """Pictures that ship inside the pydicom package."""
    paths = [(name, get_testdata_file(name, download=False)) for name in PACKAGED]
    return [ground_of(pydicom.dcmread(path), name) for name, path in paths if path is not None]


def real_grounds(folder: Path, *, longest_px: int = 2600, least_px: int = 100) -> list[Ground]:
    """The files of manifest.csv in which nobody saw text, each content once."""
    seen, grounds = set(), []
    for row in csv.DictReader((folder / "manifest.csv").open()):
        sides = [row["rows"], row["cols"]]
        if row["burned_in_text"] != "none" or row["content_cluster"] in seen or not all(s.isdigit() for s in sides):
            continue
        if min(map(int, sides)) < least_px or max(map(int, sides)) > longest_px:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ground = ground_of(pydicom.dcmread(folder / row["file"], force=True), row["file"].rsplit("/", 1)[-1])
        except (Refused, OSError):
            continue
        seen.add(row["content_cluster"])
        if int(ground.frame.max()) - int(ground.frame.min()) >= LEAST_LEVELS:
            grounds.append(ground)
    return grounds


def planted(
    ground: Ground, rng: random.Random, lines: int, *, portable: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, Line]]:
    """(stored values with one line, glyph mask, what it is) for as many lines as fit; each alone in its picture."""
    fonts = portable_fonts() if portable else (*portable_fonts(), *system_fonts())
    for _ in range(lines):
        for _attempt in range(8):
            one = _one(ground, rng, fonts, portable=portable)
            if one is not None:
                yield one
                break


def planted_scripts(
    ground: Ground, rng: random.Random, scripts: Sequence[str]
) -> Iterator[tuple[np.ndarray, np.ndarray, Line]]:
    """As `planted`, one line of each script of `SCRIPTS` that this machine has a font for, where one fits."""
    for script in scripts:
        font = font_of(script)
        if font is None:
            continue
        for _attempt in range(8):
            text, height = rng.choice(SCRIPTS[script]), rng.choice(SCRIPT_HEIGHTS_PX)
            one = _placed(ground, rng, text, font, height, ("script", script))
            if one is not None:
                yield one
                break


def script_of(text: str) -> str:
    """The script of the first letter, as Unicode names it; "none" without letters."""
    letter = next(filter(str.isalpha, text), "")
    return unicodedata.name(letter).split()[0].capitalize() if letter else "none"


def _text(rng: random.Random) -> tuple[str, str]:
    kind = rng.choice(("words", "words", "words", "id", "date", "short", "script", "place"))
    year, month, day = rng.randint(1931, 2024), rng.randint(1, 12), rng.randint(1, 28)
    date = rng.choice(
        (
            f"{day:02}.{month:02}.{year}",
            f"{year}-{month:02}-{day:02}",
            f"{month}/{day}/{year}",
            f"{year}{month:02}{day:02}",
        )
    )
    number = "".join(rng.choice("0123456789") for _ in range(rng.randint(5, 10)))
    words = [rng.choice(_NAMES), rng.choice(_NAMES), rng.choice(_LABELS), date, number]
    text = {
        "words": " ".join(rng.sample(words, rng.choice((1, 1, 2, 3)))),
        "id": f"{rng.choice(('ID ', 'MRN: ', '', '', 'A'))}{number}",
        "date": f"{date} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"[
            : rng.choice((10, 19))
        ],
        "short": rng.choice(_SHORT),
        "script": rng.choice((*_SCRIPTS, *_IDEOGRAPHS)),
        "place": rng.choice(_PLACES),
    }[kind]
    return kind, text.strip()


def _one(
    ground: Ground, rng: random.Random, fonts: Sequence[Font], *, portable: bool
) -> tuple[np.ndarray, np.ndarray, Line] | None:
    kind, text = _text(rng)
    font, height = rng.choice(fonts), rng.choice(HEIGHTS_PX)
    ideographs = ideograph_font()
    if kind == "script":
        font = next((f for f in system_fonts() if f.name == "DejaVuSans"), portable_fonts()[0])
        if portable or (text in _IDEOGRAPHS and ideographs is None):
            text = _SCRIPTS[2]
        elif text in _IDEOGRAPHS:
            font, height = ideographs or font, max(height, 11)
    return _placed(ground, rng, text, font, height, (kind, script_of(text)))


def _placed(
    ground: Ground, rng: random.Random, text: str, font: Font, height: int, described: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, Line] | None:
    """The text somewhere in the picture; `described`: kind and script.  None where it does not fit or can't be read."""
    stencil = font.stencil(text.upper() if font.only_capitals else text, height)
    turn = rng.choice((0,) * 8 + (1, 3))
    stencil = np.rot90(stencil, turn)
    rows, columns = ground.frame.shape[:2]
    high, wide = stencil.shape
    if not stencil.size or high > rows // 2 or wide > columns - 12 or (height > 20 and height > rows / 8):
        return None
    place = rng.choice(("edge", "inside", "inside", "corner"))
    top = rng.randint(6, rows - high - 6)
    left = rng.randint(6, columns - wide - 6) if columns - wide > 12 else 6
    if place == "edge":
        top = rng.choice((0, rows - high)) if turn == 0 else top
        left = left if turn == 0 else rng.choice((0, columns - wide))
    elif place == "corner":
        top, left = rng.choice((3, rows - high - 3)), rng.choice((3, max(3, columns - wide - 3)))
    at = (slice(top, top + high), slice(left, left + wide))
    changed, style = _inked(ground, at, stencil, rng)
    if changed is None:
        return None
    glyphs = np.zeros((rows, columns), bool)
    glyphs[at] = stencil > 0.5
    letters = sum(map(str.isalnum, text))
    drawn_px = (high if turn == 0 else wide) if font.only_capitals else height
    kind, script = described
    line = Line(
        font.name, drawn_px, style, turn * 90, place, letters, ground.name, ground.modality, kind=kind, script=script
    )
    return changed, glyphs, line


def _inked(
    ground: Ground, at: tuple[slice, slice], stencil: Stencil, rng: random.Random
) -> tuple[np.ndarray | None, str]:
    """The stored values with the stencil printed at its place; None where nobody could read it."""
    style = rng.choice(STYLES)
    frame = ground.frame.astype(np.float32)
    low, high = float(frame.min()), float(frame.max())
    if style == "colour" and frame.ndim == 2:
        style = "white"
    # letters are as bright as the picture's brightest tissue or brighter, never beyond what the frame can hold
    around = frame[at].mean(axis=2) if frame.ndim == 3 else frame[at]
    level, spread, unit = float(around.mean()), float(around.std()), (high - low) / 255
    ink, plate = high, None
    if style == "grey":
        ink = low + rng.choice((140, 170, 200)) * unit
    elif style == "black":
        ink = low
    elif style == "white-on-plate":
        plate = low
    elif style == "black-on-plate":
        ink, plate = low, high
    elif style == "faint":
        ink = level + rng.choice((-1, 1)) * 55 * unit
        ink = ink if low <= ink <= high else 2 * level - ink
    least = max(LEAST_CONTRAST * unit, LEAST_CONTRAST_IN_DEVIATIONS * spread)
    if plate is None and style != "outlined" and abs(ink - level) < least:
        return None, style
    if plate is not None:
        margin = 3
        rows, columns = at
        frame[
            max(0, rows.start - margin) : rows.stop + margin, max(0, columns.start - margin) : columns.stop + margin
        ] = plate
    alpha = np.zeros(frame.shape[:2], np.float32)
    alpha[at] = stencil
    if style == "outlined":
        ring = cv2.dilate(alpha, np.ones((3, 3), np.uint8))
        frame = _blended(frame, ring, np.full(3, low, np.float32))
    colour = np.full(3, ink, np.float32)
    if style == "colour":
        colour = np.array(rng.choice(((255, 255, 0), (0, 255, 0), (0, 255, 255), (255, 160, 0))), np.float32)
        if abs(float(colour.mean()) - level) < LEAST_CONTRAST:
            return None, style
    return _blended(frame, alpha, colour).round().astype(ground.frame.dtype), style


def _blended(frame: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> np.ndarray:
    if frame.ndim == 2:
        return frame * (1 - alpha) + colour[0] * alpha
    return frame * (1 - alpha[..., None]) + colour * alpha[..., None]
