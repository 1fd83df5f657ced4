"""Text in the pixels of what was written, read by an engine that did not clean it.

Belongs here: opening written pictures, and the judgement of what a reader makes of them.  Which pictures an object has is
`views`' business.  The reader is handed in: it must have other weights than what cleaned.  Words that were read are compared
and forgotten; a hit holds none.

What counts (`is_text`), measured with the PP-OCRv3 networks: of 120 redacted thumbnails of 256 pixels 50 held a box, in which
nothing or few signs were read (`20` at .82, `ogom` at .75, `89`); of 76 delivered files 45 did (`83` at .72, `888` at .55).
Three signs at .8 and more were read in one alone, a coloured word that had been left (`red`).  So a box alone says nothing,
and letters do.  Of 24 lines of three letters and more, planted into real pictures (bench, seed 7), 20 counted; three of the
others are 7 px high.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image, ImageSequence
from pydicom import Dataset
from rapidfuzz.distance import OSA

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.folding import fold
from gradient_assets.deid.verify.index import IdentifierIndex
from gradient_assets.deid.verify.views import Picture, stretched, views_of
from gradient_assets.deid.verify.vocabulary import is_ordinary

MIN_SIGNS = 3
MIN_CONFIDENCE = 0.8
MIN_CONFIDENCE_OF_KNOWN = 0.5
"""A reading that is somebody's name counts although the reader was in doubt of a letter."""
MIN_FUZZY = 5
_RINGS_AND_STROKES = frozenset("0oqcud1iljtrvn2s8")
"""Signs that anatomy draws too; a line must hold one beside them, or four different ones of any kind."""
_WORD = re.compile(r"[^\W_]{2,}")
MAX_SAMPLES = 1 << 29
"""Samples of one object that are held at a time, 512 Mi."""


class Line(Protocol):
    """A line that was read: what it says, and 0 … 1, how sure the reader is."""

    @property
    def text(self) -> str: ...
    @property
    def confidence(self) -> float: ...


class Reader(Protocol):
    """What reads pictures; `pixels.TextReader` is one."""

    @property
    def name(self) -> str: ...
    def read(self, image: Picture) -> Sequence[Line]: ...


class KnownWords:
    """Compares what was read with what is known of a hospital: exactly through the index, words with one misread sign."""

    def __init__(self, index: IdentifierIndex, parts: Iterable[str]) -> None:
        self._index = index
        self._by_shape: dict[tuple[int, str], list[str]] = {}
        for part in parts:
            if len(part) >= MIN_FUZZY and not is_ordinary(part):
                for end in {part[0] + "*", "*" + part[-1]}:
                    self._by_shape.setdefault((len(part), end), []).append(part)

    def kinds_in(self, text: str) -> set[str]:
        """Kinds of known identifiers in a line."""
        kinds = {hit.kind for hit in self._index.search_text(text)}
        if any(self._is_somebody(word) for word in _WORD.findall(fold(text))):
            kinds.add("name")
        return kinds

    def _is_somebody(self, word: str) -> bool:
        if len(word) < MIN_FUZZY or is_ordinary(word):
            return False
        return any(
            OSA.distance(part, word, score_cutoff=1) <= 1
            for length in (len(word) - 1, len(word), len(word) + 1)
            for end in (word[0] + "*", "*" + word[-1])
            for part in self._by_shape.get((length, end), ())
        )


def is_text(text: str, confidence: float) -> bool:
    """Whether a reading is text beyond doubt, whatever it says."""
    signs = [sign for sign in text.casefold() if sign.isalnum()]
    if len(signs) < MIN_SIGNS or confidence < MIN_CONFIDENCE:
        return False
    return not _RINGS_AND_STROKES.issuperset(signs) or len(set(signs)) >= 4


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of an object's pictures.  `is_blank`: it read nothing anywhere, not even in doubt."""

    hits: tuple[Hit, ...]
    is_blank: bool


def text_in_pictures(
    pictures: Iterable[Picture], reader: Reader, known: KnownWords, *, marks_may_stay: bool = False
) -> Reading:
    """Hits in pictures: text of any kind (not where a profile lets marks stay), and identifiers known for the hospital.

    Each kind once for each picture.  Whatever the reader raises passes through: nobody has looked then.
    """
    found: dict[Hit, None] = {}
    is_blank = True
    for number, picture in enumerate(pictures):
        for line in reader.read(picture):
            if line.confidence < MIN_CONFIDENCE_OF_KNOWN or sum(map(str.isalnum, line.text)) < 2:
                continue
            is_blank = False
            kinds = known.kinds_in(line.text)
            if not kinds and not marks_may_stay and is_text(line.text, line.confidence):
                kinds = {"text_in_pixels"}
            found.update((Hit(kind, f"picture {number}", "read_in_pixels"), None) for kind in sorted(kinds))
    return Reading(tuple(found), is_blank)


def pictures_of_png(content: bytes) -> Iterator[Picture]:
    """The frames of a PNG, H × W or H × W × 3.  Raises `Refused(UNDECODABLE_PIXELS)`."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            for frame in ImageSequence.Iterator(image):
                grey = frame.mode in ("1", "L", "I;16", "I")
                yield stretched(np.asarray(frame if grey else frame.convert("RGB")))
    except Exception as error:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written PNG ({type(error).__name__})") from None


def pictures_of_dicom(dataset: Dataset) -> Iterator[Picture]:
    """What to look at in a written object, as `views` chooses it.

    Nothing for an object without pixels.  Raises `Refused` (`UNDECODABLE_PIXELS`, `PIXELS_TOO_LARGE`).
    """
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return
    samples = (
        int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0) * int(dataset.get("SamplesPerPixel") or 1)
    )
    if samples > MAX_SAMPLES:
        raise Refused(Reason.PIXELS_TOO_LARGE, f"a written frame of {samples} samples")
    try:
        yield from views_of(dataset)
    except Refused:
        raise
    except Exception as error:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written object ({type(error).__name__})") from None
