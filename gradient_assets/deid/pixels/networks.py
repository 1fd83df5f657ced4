"""The two neural networks that see text: a detector that says where, a recogniser that says how much of it can be read.

Belongs here: finding the weight files inside installed wheels, opening one onnxruntime session per process and file, and
the arithmetic before and after each network.  What is shown to them and which of their boxes count is `finding`'s
business.  No image, no text and no result is ever logged.

Network inputs follow the PaddleOCR models: BGR, (x / 255 - 0.5) / 0.5, sides multiples of 32 for the detector, height
48 for the recogniser.
"""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Post-processing of differentiable binarization (Liao et al. 2020) with published values, except for the score: regions
# down to .3 are handed on (instead of .5), because the gate behind it (`finding`) removes what is no text.
PROBABILITY_THRESHOLD = 0.3
BOX_SCORE_THRESHOLD = 0.3
UNCLIP_RATIO = 1.6
MAX_CANDIDATES = 1000
SHORTEST_SIDE_PX = 3

RECOGNISER_HEIGHT_PX = 48
# Wider crops are squeezed: what counts is whether there are letters, not which.
RECOGNISER_MAX_WIDTH_PX = 480
RECOGNISER_BATCH = 8
# Text this much taller than wide runs upwards or downwards.
UPRIGHT_SHAPE = 1.5

_sessions: dict[tuple[int, str], Session] = {}
_threads: dict[int, ThreadPoolExecutor] = {}


class MissingWeightsError(RuntimeError):
    """A weight file that an engine needs is not installed; the message says which package carries it."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file inside an installed package: found without importing that package's code."""

    package: str
    relative_path: str
    requirement: str

    def path(self) -> Path:
        """Where the file lies; raises `MissingWeightsError` if package or file is absent."""
        spec = importlib.util.find_spec(self.package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            candidate = Path(folder) / self.relative_path
            if candidate.is_file():
                return candidate
        raise MissingWeightsError(
            f"the weight file {self.relative_path} is not installed: it is part of the package {self.requirement}"
        )


PPOCR_V6_DETECTOR = WeightFile("rapidocr", "models/PP-OCRv6_det_small.onnx", "rapidocr>=3.10,<3.11")
PPOCR_V6_RECOGNISER = WeightFile("rapidocr", "models/PP-OCRv6_rec_small.onnx", "rapidocr>=3.10,<3.11")
PPOCR_V4_DETECTOR = WeightFile(
    "rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", "rapidocr-onnxruntime==1.4.4 (install with --no-deps)"
)
PPOCR_V4_RECOGNISER = WeightFile(
    "rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", "rapidocr-onnxruntime==1.4.4 (install with --no-deps)"
)
PPOCR_V3_DETECTOR = WeightFile(
    "rapidocr_openvino", "models/ch_PP-OCRv3_det_infer.onnx", "rapidocr-openvino==1.2.3 (install with --no-deps)"
)
PPOCR_V3_RECOGNISER = WeightFile(
    "rapidocr_openvino", "models/ch_PP-OCRv3_rec_infer.onnx", "rapidocr-openvino==1.2.3 (install with --no-deps)"
)


class Session:
    """An onnxruntime session that is opened and run on the one thread of this process that is kept for networks.

    There denormal numbers count as zero: without that black images run up to 4 times slower.  The switch is the thread's,
    not the session's.  On the main thread it turned the smallest floats of headers into 0, in every worker process that had
    looked at a picture before, and only there.
    """

    def __init__(self, path: str, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._session = thread.submit(_opened, path).result()

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's first output."""
        return np.asarray(self._thread.submit(self._run, inputs).result())

    def _run(self, inputs: NDArray[np.float32]) -> Any:
        return self._session.run(None, {self._session.get_inputs()[0].name: inputs})[0]

    @property
    def metadata(self) -> dict[str, str]:
        """What the weight file says of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)


def _opened(path: str) -> Any:
    import onnxruntime  # here, so that importing this package costs no 0.3 s and no thread pool

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Heard once per process, and done to the thread that opens its first session.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def session_of(weights: WeightFile) -> Session:
    """The session of a weight file, opened at first use in each process."""
    process = os.getpid()
    key = (process, str(weights.path()))
    if key not in _sessions:
        if process not in _threads:
            _threads[process] = ThreadPoolExecutor(1, thread_name_prefix="networks")
        _sessions[key] = Session(key[1], _threads[process])
    return _sessions[key]


@dataclass(frozen=True, slots=True)
class Quad:
    """A rotated rectangle around text, in pixels of the image given: centre, sides, angle in degrees (OpenCV's)."""

    center_x: float
    center_y: float
    width: float
    height: float
    angle: float
    score: float

    def bounds(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom of the upright rectangle around it."""
        corners = self.corners()
        return (
            float(corners[:, 0].min()),
            float(corners[:, 1].min()),
            float(corners[:, 0].max()),
            float(corners[:, 1].max()),
        )

    @property
    def tilt(self) -> float:
        """Degrees away from the nearest of horizontal and vertical, 0 … 45."""
        turned = self.angle % 90
        return min(turned, 90 - turned)

    @property
    def is_upright(self) -> bool:
        """Whether its text, if it has any, runs upwards or downwards."""
        left, top, right, bottom = self.bounds()
        return bottom - top > UPRIGHT_SHAPE * (right - left)

    def corners(self) -> NDArray[np.float32]:
        """The four corners, 4 × 2."""
        return np.asarray(
            cv2.boxPoints(((self.center_x, self.center_y), (self.width, self.height), self.angle)), dtype=np.float32
        )


def normalised(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H × W × 3 (8 bit) → 1 × 3 × H × W in −1 … 1."""
    scaled = image.astype(np.float32) * np.float32(2 / 255) - np.float32(1)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def detect(weights: WeightFile, image: NDArray[np.uint8], long_side: int) -> list[Quad]:
    """Text regions of an H × W × 3 image, looked at with its longer side scaled to `long_side` pixels."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    seen_w, seen_h = (max(32, round(side * scale / 32) * 32) for side in (width, height))
    shrinking = seen_w < width
    seen = cv2.resize(image, (seen_w, seen_h), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    probability = session_of(weights).run(normalised(np.asarray(seen, dtype=np.uint8)))[0, 0]
    return _quads(probability, width / seen_w, height / seen_h)


def detect_in_tiles(
    weights: WeightFile, image: NDArray[np.uint8], scale: float, tile_side: int, overlap: int
) -> list[Quad]:
    """The same on overlapping parts of the image enlarged by `scale`; `tile_side` and `overlap` in pixels after that."""
    height, width = image.shape[:2]
    found = []
    for top, high in _spans(height, int(tile_side / scale), int(overlap / scale)):
        for left, wide in _spans(width, int(tile_side / scale), int(overlap / scale)):
            part = image[top : top + high, left : left + wide]
            found += [
                replace(quad, center_x=quad.center_x + left, center_y=quad.center_y + top)
                for quad in detect(weights, part, round(max(high, wide) * scale))
            ]
    return found


def _spans(total: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """(start, length) of equal overlapping spans, none longer than `side`, that cover `total`."""
    count = max(1, -(-(total - overlap) // max(1, side - overlap)))
    length = min(total, -(-(total + overlap * (count - 1)) // count))
    return [(round(i * (total - length) / max(1, count - 1)), length) for i in range(count)]


def _quads(probability: NDArray[np.float32], scale_x: float, scale_y: float) -> list[Quad]:
    mask = cv2.dilate((probability > PROBABILITY_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours[:MAX_CANDIDATES]:
        (x, y), (w, h), angle = cv2.minAreaRect(contour)
        if min(w, h) < SHORTEST_SIDE_PX:
            continue
        score = _score(probability, cv2.boxPoints(((x, y), (w, h), angle)))
        if score < BOX_SCORE_THRESHOLD:
            continue
        margin = 2 * w * h * UNCLIP_RATIO / (2 * (w + h))
        corners = cv2.boxPoints(((x, y), (w + margin, h + margin), angle)) * np.array([scale_x, scale_y], np.float32)
        (x, y), (w, h), angle = cv2.minAreaRect(corners.astype(np.float32))
        found.append(Quad(x, y, w, h, angle, score))
    return found


def _score(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    """Mean probability inside the rectangle."""
    rows, columns = probability.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, [columns - 1, rows - 1])
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, [columns - 1, rows - 1])
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0])


def crop_of(image: NDArray[np.uint8], quad: Quad, widest: int = RECOGNISER_MAX_WIDTH_PX) -> NDArray[np.uint8]:
    """The text line turned upright, 48 px high; lines taller than 1.5 × their width are turned by 90° first.  Lines that
    would be wider than `widest` pixels are squeezed."""
    corners = quad.corners()
    by_sum, by_difference = corners.sum(axis=1), corners[:, 1] - corners[:, 0]
    ordered = corners[[by_sum.argmin(), by_difference.argmin(), by_sum.argmax(), by_difference.argmax()]]
    width = max(1.0, float(np.linalg.norm(ordered[1] - ordered[0])))
    height = max(1.0, float(np.linalg.norm(ordered[3] - ordered[0])))
    upright = height > UPRIGHT_SHAPE * width
    if upright:
        ordered, width, height = ordered[[1, 2, 3, 0]], height, width
    out_w = int(np.clip(round(width / height * RECOGNISER_HEIGHT_PX), 16, widest))
    target = np.array([[0, 0], [out_w, 0], [out_w, RECOGNISER_HEIGHT_PX], [0, RECOGNISER_HEIGHT_PX]], np.float32)
    transform = cv2.getPerspectiveTransform(ordered.astype(np.float32), target)
    crop = cv2.warpPerspective(
        image, transform, (out_w, RECOGNISER_HEIGHT_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in a crop: identified data, for the calling process alone.

    `confidence`: mean likelihood of the letters, 0 without any.  `places`: middle of each letter, as a share of the width.
    """

    text: str = field(default="", repr=False)
    confidence: float = 0.0
    places: tuple[float, ...] = ()


def read_surely(weights: WeightFile, crops: list[NDArray[np.uint8]]) -> list[Reading]:
    """What is read in each crop of `crop_of` (greedy CTC)."""
    session = session_of(weights)
    alphabet = _alphabet(session)
    order = sorted(range(len(crops)), key=lambda i: crops[i].shape[1])
    readings = [Reading()] * len(crops)
    for start in range(0, len(order), RECOGNISER_BATCH):
        batch = order[start : start + RECOGNISER_BATCH]
        widest = max(crops[i].shape[1] for i in batch)
        tensor = np.zeros((len(batch), 3, RECOGNISER_HEIGHT_PX, widest), np.float32)
        for row, i in enumerate(batch):
            tensor[row, :, :, : crops[i].shape[1]] = normalised(crops[i])[0]
        likelihood = session.run(tensor)
        best, certainty = likelihood.argmax(axis=2), likelihood.max(axis=2)
        for row, i in enumerate(batch):
            steps = best.shape[1] * crops[i].shape[1] / widest
            readings[i] = _greedy(best[row], certainty[row], alphabet, steps)
    return readings


def _greedy(best: NDArray[np.int64], certainty: NDArray[np.float32], alphabet: list[str], steps: float) -> Reading:
    """The letters of one row of the network's answer, of which the crop fills the first `steps`."""
    letters: list[str] = []
    places: list[float] = []
    sure, previous = 0.0, 0
    for step, (symbol, likelihood) in enumerate(zip(best.tolist(), certainty.tolist(), strict=True)):
        # 0 is CTC's blank; a letter under .3 is a guess about texture
        if symbol not in (0, previous) and likelihood >= 0.3:
            letter = alphabet[symbol - 1] if symbol <= len(alphabet) else " "
            letters.append(letter)
            places += [(step + 0.5) / steps] * len(letter)
            sure += likelihood
        previous = symbol
    return Reading("".join(letters), sure / len(letters) if letters else 0.0, tuple(places))


def _alphabet(session: Session) -> list[str]:
    return session.metadata["character"].splitlines()
