"""EasyOCR as a text finder: the extra `easyocr`, with weight files that somebody put into a folder.

Belongs here: which files it needs, opening a reader once per process, and turning its boxes into lines.  Nothing is ever
downloaded: its files come from a folder that is named by a setting, and are checked by their published digests before they
are opened, because they are pickles, which run code when they are loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.finders.lines import Gate, MissingEngineError, as_read, grey, is_blank, is_known, line
from gradient_assets.deid.pixels.finding import HIGH_PASS_SIGMA_PX, ReadText, high_passed
from gradient_assets.deid.pixels.networks import MissingWeightsError

LEAST_SIDE_PX, MOST_SIDE_PX = 768, 1280
"""Pixels of the longer side that the detector sees.  Its time grows with the area: 2 s at 512 x 512, 24 s at 1,280 x 1,280 on
one thread of a busy machine."""
MOST_ENLARGEMENT = 4
SMALLEST_BOX_PX = 3
"""EasyOCR's own default drops boxes of up to 20 px, which are two letters of 10 px."""
TIME_LIMIT_S = 240.0
"""Of one picture; the stages' own deadline is 300 s."""
UPRIGHT_RATIO = 1.5
GATE = Gate(letters=2, confidence=0.1, sure=0.5)

_readers: dict[tuple[int, str, tuple[str, ...]], Any] = {}


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A weight file of EasyOCR: its name, its published MD5, its size where that is known."""

    name: str
    md5: str
    size: int | None = None

    def __str__(self) -> str:
        size = f", {self.size:,} bytes" if self.size else ""
        return f"{self.name} (MD5 {self.md5}{size})"

    def check(self, folder: Path) -> None:
        """Raises `MissingWeightsError` when the file is not there or is another one."""
        path = folder / self.name
        if not path.is_file():
            raise MissingWeightsError(f"EasyOCR needs {self} in {folder}, which is not there; nothing is downloaded")
        if (self.size is not None and path.stat().st_size != self.size) or _md5(path) != self.md5:
            raise MissingWeightsError(f"EasyOCR needs {self} in {folder}; the file there is another one")


def expected_files(languages: Sequence[str]) -> tuple[ExpectedFile, ExpectedFile]:
    """Detector and recogniser for these languages (EasyOCR's codes); raises `ValueError` for a mixture without a recogniser."""
    table = _table()
    for recogniser in table["recognisers"]:
        if languages and set(languages) <= set(recogniser["languages"]):
            return _expected(table["detector"]), _expected(recogniser)
    known = sorted({code for recogniser in table["recognisers"] for code in recogniser["languages"]})
    raise ValueError(
        f"no EasyOCR recogniser reads {', '.join(languages) or 'no language'} together; known are {', '.join(known)}"
    )


class EasyOcrTextFinder:
    """EasyOCR's CRAFT detector and one of its recognisers, on the processor, one thread.

    Holds names only, so that it can be pickled; each process opens its reader at first use.
    """

    name = "easyocr"

    def __init__(
        self, models: str, languages: Sequence[str] = ("en",), *, expected: Sequence[ExpectedFile] | None = None
    ) -> None:
        """`models`: folder of the weight files; `expected` overrides which ones.

        Raises `MissingEngineError` without the package, `MissingWeightsError` for a file that is absent or another one,
        `ValueError` for languages that no recogniser reads together.
        """
        self.languages = tuple(languages)
        wanted = tuple(expected or expected_files(self.languages))
        if not models:
            needed = " and ".join(map(str, wanted))
            raise MissingWeightsError(
                f"no folder of EasyOCR's weight files is given (GRADIENT_EASYOCR_MODELS); it must hold {needed}"
            )
        self.models = str(Path(models).absolute())
        if importlib.util.find_spec("easyocr") is None:
            raise MissingEngineError("the package easyocr is not installed: pip install 'gradient-assets[easyocr]'")
        for file in wanted:
            file.check(Path(self.models))
        self._files = wanted

    @property
    def version(self) -> str:
        """Of the package, with the digests' beginnings: other weights find other text."""
        return "-".join([metadata.version("easyocr"), *(file.md5[:6] for file in self._files)])

    def find(self, image: NDArray[np.uint8]) -> list[FoundText]:
        """Text in an 8-bit image, H × W or H × W × 3 (RGB), in pixels of that image.  Raises `TimeoutError`."""
        return GATE.kept(self._lines(image), min(image.shape[:2]))

    def read(self, image: NDArray[np.uint8]) -> list[ReadText]:
        """Every line with what it says; no gate is applied.  Raises `TimeoutError`."""
        return as_read(self._lines(image))

    def _lines(self, image: NDArray[np.uint8]) -> list[FoundText]:
        if is_blank(image):
            return []
        until = time.monotonic() + TIME_LIMIT_S
        reader = _reader_of(self.models, self.languages)
        plain = grey(image)
        rows, columns = plain.shape
        seen = high_passed(plain, HIGH_PASS_SIGMA_PX)
        found: list[FoundText] = []
        for bounds, corners in _boxes(reader, seen):
            box = line(bounds, "", 0.0, rows, columns)
            if box is None or is_known(box, found):
                continue
            if time.monotonic() > until:
                raise TimeoutError("EasyOCR on one picture")
            text, confidence = _read(reader, plain, box, corners)
            whole = line(bounds, text, confidence, rows, columns)
            found += [whole] if whole is not None else []
        return found


Bounds = tuple[float, float, float, float]
Corners = list[list[float]]


def _boxes(reader: Any, picture: NDArray[np.uint8]) -> list[tuple[Bounds, Corners | None]]:
    """left, top, right, bottom of what the detector finds; with its corners where it is tilted."""
    longest = max(picture.shape)
    seen = min(max(LEAST_SIDE_PX, min(MOST_SIDE_PX, longest)), MOST_ENLARGEMENT * longest)
    level, tilted = reader.detect(
        np.repeat(picture[:, :, None], 3, axis=2),
        min_size=SMALLEST_BOX_PX,
        canvas_size=seen,
        mag_ratio=seen / longest,
        reformat=False,
    )
    boxes: list[tuple[Bounds, Corners | None]] = [((x0, y0, x1, y1), None) for x0, x1, y0, y1 in level[0]]
    for corners in tilted[0]:
        across, down = [point[0] for point in corners], [point[1] for point in corners]
        boxes.append(((min(across), min(down), max(across), max(down)), corners))
    return boxes


def _read(reader: Any, plain: NDArray[np.uint8], box: FoundText, corners: Corners | None) -> tuple[str, float]:
    """What stands in one box; a box that is higher than wide is read in both directions too."""
    level = [[box.left, box.left + box.width, box.top, box.top + box.height]] if corners is None else []
    upright = box.height > UPRIGHT_RATIO * box.width
    results = reader.recognize(
        plain,
        level,
        [] if corners is None else [corners],
        rotation_info=[90, 270] if upright else None,
        reformat=False,
        workers=0,
    )
    return max(((str(text), float(sure)) for _, text, sure in results), key=lambda one: one[1], default=("", 0.0))


def _reader_of(models: str, languages: tuple[str, ...]) -> Any:
    key = (os.getpid(), models, languages)
    if key not in _readers:
        import easyocr  # here: it imports torch, which takes 2 to 7 s

        import_module("torch").set_num_threads(1)  # a worker process per processor
        _readers[key] = easyocr.Reader(
            list(languages),
            gpu=False,
            model_storage_directory=models,
            user_network_directory=models,  # else it makes a folder in the home
            download_enabled=False,
            verbose=False,
        )
    return _readers[key]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _expected(entry: Mapping[str, Any]) -> ExpectedFile:
    return ExpectedFile(entry["file"], entry["md5"], entry["bytes"])


@cache
def _table() -> dict[str, Any]:
    text = files("gradient_assets.deid.pixels.finders").joinpath("easyocr_weights.json").read_text("utf-8")
    return dict(json.loads(text))
