"""Text in the pixels of what was written, read by an engine that did not clean it.

Belongs here: opening written pictures with this package's own decoding and contrast, and the judgement of what a reader
makes of them.  The reader is handed in: it must have other weights than what cleaned.  Words that were read are compared
and forgotten; a hit holds none.

What counts (`is_text`), measured with the PP-OCRv4 networks: on 95 redacted thumbnails of 256 pixels 28 held a box in which
nothing or a sign or two was read (`0`, `00`, `2`, `088` at .64); none held three signs read at .8 and more that are not
rings and strokes.  So a box alone says nothing at that size, and letters do.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from rapidfuzz.distance import OSA

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.folding import fold
from gradient_assets.deid.verify.index import IdentifierIndex
from gradient_assets.deid.verify.vocabulary import is_ordinary

Picture = NDArray[np.uint8]

MIN_SIGNS = 3
MIN_CONFIDENCE = 0.8
MIN_CONFIDENCE_OF_KNOWN = 0.5
"""A reading that is somebody's name counts although the reader was in doubt of a letter."""
MIN_FUZZY = 5
_RINGS_AND_STROKES = frozenset("0oqcud1iljtrvn2s8")
"""Signs that anatomy draws too; a line must hold two different ones beside them, or four of any kind."""
_WORD = re.compile(r"[^\W_]{2,}")
MAX_SAMPLES = 1 << 29
"""Samples of one object that are held at a time, 512 Mi."""
_PERCENTILES = (0.2, 99.8)
"""Contrast: from the darkest to the brightest but for two pixels in a thousand at either end."""

_PIXELS = 0x7FE00010
_DECODERS: dict[str, Any] = {
    **dict.fromkeys(
        (f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)), imagecodecs.jpeg_decode
    ),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81)), imagecodecs.jpegls_decode),
    **dict.fromkeys(
        (f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 92, 93, 201, 202, 203)), imagecodecs.jpeg2k_decode
    ),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112)), imagecodecs.jpegxl_decode),
}  # fmt: skip


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
    return len(set(signs) - _RINGS_AND_STROKES) >= 2 or len(set(signs)) >= 4


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
                yield _stretched(np.asarray(frame if grey else frame.convert("RGB")))
    except Exception as error:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written PNG ({type(error).__name__})") from None


def pictures_of_dicom(dataset: Dataset) -> Iterator[Picture]:
    """What to look at in a written object: of a single frame the frame, of a cine its first, middle and last frame and the
    brightest and darkest of all frames at each place, in which no text that stands still or moves is lost.

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
        shown = _shown(dataset)
    except Refused:
        raise
    except Exception as error:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written object ({type(error).__name__})") from None
    yield from shown


def _shown(dataset: Dataset) -> list[Picture]:
    count = int(dataset.get("NumberOfFrames") or 1)
    wanted = {0, count // 2, count - 1}
    chosen: list[NDArray[Any]] = []
    brightest: NDArray[Any] | None = None
    darkest: NDArray[Any] | None = None
    seen = 0
    for number, frame in enumerate(_frames(dataset, count)):
        seen += 1
        plane = _luminance(frame, dataset)
        if number in wanted:
            chosen.append(plane)
        brightest = plane if brightest is None else np.maximum(brightest, plane)
        darkest = plane if darkest is None else np.minimum(darkest, plane)
    if seen < count:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written object with {seen} of {count} frames")
    if count > 1 and brightest is not None and darkest is not None:
        chosen += [brightest, darkest]
    return [_stretched(plane) for plane in chosen]


def _frames(dataset: Dataset, count: int) -> Iterator[NDArray[Any]]:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    decode = _DECODERS.get(syntax)
    if decode is not None:
        streams = generate_frames(dataset[_PIXELS].value, number_of_frames=count)
        yield from (np.asarray(decode(stream)) for stream in streams)
    elif "PixelData" not in dataset or not dataset.file_meta.TransferSyntaxUID.is_compressed:
        whole = dataset.pixel_array
        yield from whole if count > 1 else (whole,)
    else:
        yield from (frame for frame, _ in get_decoder(syntax).iter_array(dataset, raw=True))


def _luminance(frame: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """One plane: what is written in colour is bright or dark in it too.  Palettes are seen through their red table."""
    if frame.ndim == 3:
        photometric = str(dataset.get("PhotometricInterpretation") or "")
        native_ybr = photometric.startswith("YBR") and not dataset.file_meta.TransferSyntaxUID.is_compressed
        return frame[..., 0] if native_ybr else frame[..., :3].max(axis=-1)
    table = dataset.get("RedPaletteColorLookupTableData")
    descriptor = dataset.get("RedPaletteColorLookupTableDescriptor")
    if (
        isinstance(table, bytes)
        and descriptor is not None
        and str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR"
    ):
        entries = np.frombuffer(table, np.uint8 if int(descriptor[2]) == 8 else "<u2")
        return entries[np.clip(frame.astype(np.int64) - int(descriptor[1]), 0, len(entries) - 1)]
    return frame


def _stretched(plane: NDArray[Any]) -> Picture:
    """8 bits with the contrast stretched; a blank picture stays blank."""
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, _PERCENTILES)
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(plane.shape, np.uint8)
    return np.asarray(np.clip((values - low) * (255.0 / (high - low)), 0, 255), dtype=np.uint8)
