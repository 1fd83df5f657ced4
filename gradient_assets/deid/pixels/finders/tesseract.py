"""Tesseract as a text finder: the program of that name, talked to over pipes.

Belongs here: which views it is shown, and turning its words into lines.  No wrapper package is used: the common one writes
the picture and the words that were read into files of the temporary folder, where a killed worker leaves them.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.finders.lines import Gate, MissingEngineError, as_read, grey, is_blank, is_known, line
from gradient_assets.deid.pixels.finding import ReadText, high_passed

PROGRAM = "tesseract"
SPARSE_TEXT = "11"
"""Page segmentation mode: text in no order, anywhere.  The others look for paragraphs."""
LETTER_SCALE = 2.0
"""Tesseract reads letters of 20 to 40 px; burned-in ones are 7 to 16 px high."""
MOST_SIDE_PX = 2000
"""At 3,200 px one noisy slice took over two minutes."""
SIGMA_PX = 12.0
"""Of the high pass.  With 6, the default finders', letters get a rim in which Tesseract read nothing at any scale."""
TIME_LIMIT_S = 120.0
"""Of one picture, all looks together; a program that takes longer is killed."""
WORD_GAP_HEIGHTS = 2.5
GATE = Gate(letters=2, confidence=0.6, sure=0.9)
_WORD = "5"
_PROBLEM = "Tesseract is not usable: install the program (Debian: tesseract-ocr)"


class TesseractTextFinder:
    """The program `tesseract` on the raw and a high-passed picture, and on the raw one turned both ways; one thread.

    Each look is a process of its own that reads the picture from a pipe; nothing of it is written to a disk.
    """

    name = "tesseract"

    def __init__(self, languages: Sequence[str] = ("eng",), *, program: str = PROGRAM) -> None:
        """`languages`: Tesseract's codes.  Raises `MissingEngineError` without the program or one of the languages."""
        where = shutil.which(program)
        if where is None:
            raise MissingEngineError(_PROBLEM)
        self._program = where
        self.languages = tuple(languages)
        installed = _installed_languages(where)
        if missing := [language for language in self.languages if language not in installed]:
            raise MissingEngineError(
                f"Tesseract has no {', '.join(missing)} (Debian: tesseract-ocr-{missing[0]}); it has {', '.join(installed)}"
            )

    @property
    def version(self) -> str:
        """Of the program, with the languages."""
        return "-".join([_version(self._program), *(language.lower() for language in self.languages)])

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB), in pixels of that image.

        Raises `subprocess.SubprocessError` when the program fails or takes too long.
        """
        return GATE.kept(self._lines(image), min(image.shape[:2]))

    def read(self, image: NDArray[np.uint8]) -> list[ReadText]:
        """Every line with what it says; no gate is applied.  Raises as `find`."""
        return as_read(self._lines(image))

    def _lines(self, image: NDArray[np.uint8]) -> list[FoundText]:
        if is_blank(image):
            return []
        until = time.monotonic() + TIME_LIMIT_S
        plain = grey(image)
        rows, columns = plain.shape
        found: list[FoundText] = []
        for view, scale, turns in _views(plain):
            for bounds, text, confidence in self._look(view, until):
                left, top, right, bottom = _turned_back([edge / scale for edge in bounds], turns, rows, columns)
                one = line((left, top, right, bottom), text, confidence, rows, columns)
                if one is not None and not is_known(one, found):
                    found.append(one)
        return found

    def _look(
        self, view: NDArray[np.uint8], until: float
    ) -> list[tuple[tuple[float, float, float, float], str, float]]:
        """Lines of one view: left, top, right, bottom in its pixels, what was read, how surely (0 … 1)."""
        picture = b"P5\n%d %d\n255\n" % (view.shape[1], view.shape[0]) + view.tobytes()
        arguments = ["--psm", SPARSE_TEXT, "--dpi", "150", "-l", "+".join(self.languages)]
        result = subprocess.run(  # noqa: S603  a program found by its name, arguments of ours, the picture on its input
            [
                self._program,
                "stdin",
                "stdout",
                *arguments,
                "-c",
                "tessedit_create_tsv=1",
                "-c",
                "tessedit_create_txt=0",
            ],
            input=picture,
            capture_output=True,
            timeout=max(0.1, until - time.monotonic()),
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            check=False,
        )
        if result.returncode:
            # without its output: that may hold what was read
            raise subprocess.SubprocessError(f"tesseract ended with {result.returncode}")
        return list(_lines_of(result.stdout.decode("utf-8", "replace")))


def _views(plain: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], float, int]]:
    """(view, its scale, quarter turns counterclockwise): dark letters on light ground, as Tesseract was trained."""
    scale = min(LETTER_SCALE, MOST_SIDE_PX / max(plain.shape))
    raw = _scaled(255 - plain, scale)
    yield raw, scale, 0
    yield _scaled(255 - high_passed(plain, SIGMA_PX), scale), scale, 0
    for turns in (1, 3):
        yield np.ascontiguousarray(np.rot90(raw, turns)), scale, turns


def _scaled(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1.0:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _turned_back(bounds: Sequence[float], turns: int, rows: int, columns: int) -> tuple[float, float, float, float]:
    """The rectangle in the picture before `turns` quarter turns counterclockwise; `rows`, `columns` of that picture."""
    left, top, right, bottom = bounds
    if turns == 1:
        return columns - bottom, left, columns - top, right
    if turns == 3:
        return top, rows - right, bottom, rows - left
    return left, top, right, bottom


def _lines_of(table: str) -> Iterator[tuple[tuple[float, float, float, float], str, float]]:
    """Words of one line joined; a gap of more than `WORD_GAP_HEIGHTS` begins another box."""
    words: dict[tuple[str, ...], list[tuple[tuple[float, float, float, float], str, float]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] != _WORD or not (text := (row["text"] or "").strip()):
            continue
        left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
        place = tuple(row[name] for name in ("block_num", "par_num", "line_num"))
        words.setdefault(place, []).append(((left, top, left + width, top + height), text, float(row["conf"]) / 100))
    for line_of_words in words.values():
        group: list[tuple[tuple[float, float, float, float], str, float]] = []
        for word in line_of_words:
            height = word[0][3] - word[0][1]
            if group and word[0][0] - group[-1][0][2] > WORD_GAP_HEIGHTS * height:
                yield _joined(group)
                group = []
            group.append(word)
        yield _joined(group)


def _joined(
    words: Sequence[tuple[tuple[float, float, float, float], str, float]],
) -> tuple[tuple[float, float, float, float], str, float]:
    lefts, tops, rights, bottoms = zip(*(bounds for bounds, _, _ in words), strict=True)
    # a line is as sure as its surest word: one good word in a smeared line is text all the same
    sure = max(confidence for _, _, confidence in words)
    return (min(lefts), min(tops), max(rights), max(bottoms)), " ".join(text for _, text, _ in words), sure


@cache
def _installed_languages(program: str) -> tuple[str, ...]:
    return tuple(sorted(line.strip() for line in _told(program, "--list-langs").splitlines()[1:] if line.strip()))


@cache
def _version(program: str) -> str:
    words = _told(program, "--version").split()
    return words[1] if len(words) > 1 else "unknown"


def _told(program: str, question: str) -> str:
    try:
        answer = subprocess.run([program, question], capture_output=True, timeout=30, check=True)  # noqa: S603  as above
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingEngineError(f"{_PROBLEM} ({type(error).__name__} at {question})") from None
    return (answer.stdout or answer.stderr).decode("utf-8", "replace")
