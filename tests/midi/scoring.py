"""The scorer: output files against the answer key and the crosswalk, nothing else.

Belongs here: the ten action types of MIDI-B (arXiv 2507.23608), and the stricter rule that a missing file fails every
answer.  Nothing of the engines is imported: files are read with pydicom, pictures decoded with imagecodecs.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from tests.midi.answers import ACTIONS, Answer, Crosswalk, FileKey, Path, Place, Private

HIDDEN_SHARE = 0.95
"""Of a burned-in line's glyph pixels, as in the pixel benchmark."""
_DAY = re.compile(r"(\d{4})(?:(-?)(\d{2})(?:\2(\d{2}))?)?")
_RANGE = re.compile(r"^(\d{8})-(?=\d{8}$)")
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_RLE = "1.2.840.10008.1.2.5"


@dataclass
class Score:
    """Right and wrong answers by action; each miss with its file; files that are missing as a whole."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    misses: list[tuple[str, Answer]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    @property
    def percent(self) -> float:
        """Share of right answers over all action types."""
        return 100 * self.right.total() / max(1, self.right.total() + self.wrong.total())

    def table(self) -> str:
        """One line for each action type, then the classes of misses."""
        lines = [f"{'action':18} {'right':>7} {'all':>7} {'%':>8}"]
        for action in (*ACTIONS, "all"):
            right = self.right.total() if action == "all" else self.right[action]
            of = right + (self.wrong.total() if action == "all" else self.wrong[action])
            lines.append(f"{action:18} {right:7} {of:7} {100 * right / of if of else 100:8.2f}")
        classes = Counter((answer.action, answer.kind) for name, answer in self.misses if name not in self.missing)
        lines += [f"missing file: {name}" for name in sorted(self.missing)]
        lines += [f"miss {n:4} × {action}: {kind}" for (action, kind), n in classes.most_common()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Glyphs:
    """Where a line was burned in: a mask over the rows and columns of the first frame."""

    mask: np.ndarray


class Scorer:
    """Scores one run; UIDs that the crosswalk does not list must be mapped alike in all files."""

    def __init__(self, crosswalk: Crosswalk, glyphs: dict[str, Glyphs] | None = None) -> None:
        self.crosswalk = crosswalk
        self.glyphs = glyphs or {}
        self._new_of: dict[str, str] = dict(crosswalk.uids)
        self._old_of: dict[str, str] = {new: old for old, new in crosswalk.uids.items()}
        self._days: dict[str, set[int]] = defaultdict(set)

    def score(self, keys: list[FileKey], outputs: dict[str, bytes]) -> Score:
        """Every answer of every key."""
        score = Score()
        for key in keys:
            written = outputs.get(key.name)
            if not written:
                score.missing.add(key.name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = pydicom.dcmread(io.BytesIO(written)) if written else None
                for answer in key.answers:
                    if found is not None and written is not None and self._right(answer, key, written, found):
                        score.right[answer.action] += 1
                    else:
                        score.wrong[answer.action] += 1
                        score.misses.append((key.name, answer))
        return score

    def _right(self, answer: Answer, key: FileKey, written: bytes, found: Dataset) -> bool:
        try:
            return bool(getattr(self, f"_{answer.action}")(answer, key, written, found))
        except Exception:  # an output that can't be read or decoded is a wrong answer, whatever the reason
            return False

    # one method for each action type

    def _tag_retained(self, answer: Answer, _key: FileKey, _written: bytes, found: Dataset) -> bool:
        return element_at(found, answer.path, answer.target) is not None

    def _text_notnull(self, answer: Answer, _key: FileKey, _written: bytes, found: Dataset) -> bool:
        return bool(text_at(found, answer).strip())

    def _text_retained(self, answer: Answer, _key: FileKey, _written: bytes, found: Dataset) -> bool:
        return answer.expected in text_at(found, answer)

    def _text_removed(self, answer: Answer, _key: FileKey, written: bytes, found: Dataset) -> bool:
        if answer.target is None:
            return not survives(answer.expected, written)
        text = text_at(found, answer)
        return re.search(rf"(?<!\w){re.escape(answer.expected)}(?!\w)", text, re.IGNORECASE) is None

    def _date_shifted(self, answer: Answer, key: FileKey, _written: bytes, found: Dataset) -> bool:
        olds, news = (_RANGE.sub(r"\1\\", text).split("\\") for text in (answer.expected, text_at(found, answer)))
        if len(olds) != len(news):
            return False
        return all(self._one_date(key.patient_id, old, new) for old, new in zip(olds, news, strict=True))

    def _one_date(self, patient: str, old: str, new: str) -> bool:
        before, after = _DAY.match(old), _DAY.match(new)
        if not before or not after or old[before.end() :] != new[after.end() :] or len(old) != len(new):
            return False
        if not before[4]:  # a month or a year alone moves to where its first day goes
            return True
        days = (_day(after) - _day(before)).days
        if not days:
            return False
        self._days[patient].add(days)
        return len(self._days[patient]) == 1

    def _uid_changed(self, answer: Answer, _key: FileKey, written: bytes, found: Dataset) -> bool:
        text = text_at(found, answer)
        return bool(text) and answer.expected not in text and not survives(answer.expected, written)

    def _uid_consistent(self, answer: Answer, _key: FileKey, _written: bytes, found: Dataset) -> bool:
        named = re.findall(r"\d+(?:\.\d+){2,}", text_at(found, answer))
        if not named or not all(
            len(uid) <= 64 and re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", uid) for uid in named
        ):
            return False
        old, new = answer.expected, named[-1]
        return self._new_of.setdefault(old, new) == new and self._old_of.setdefault(new, old) == old

    def _patid_consistent(self, answer: Answer, key: FileKey, _written: bytes, found: Dataset) -> bool:
        return text_at(found, answer) == self.crosswalk.patient_ids[key.patient_id] != key.patient_id

    def _pixels_retained(self, _answer: Answer, key: FileKey, _written: bytes, found: Dataset) -> bool:
        before = pydicom.dcmread(io.BytesIO(key.original))
        old, new = frames(before), frames(found)
        return len(old) == len(new) and all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))

    def _pixels_hidden(self, _answer: Answer, key: FileKey, _written: bytes, found: Dataset) -> bool:
        mask = self.glyphs[key.name].mask
        picture = found.pixel_array
        picture = picture.reshape(-1, *picture.shape[-2:])[0] if picture.ndim == 2 else picture
        rows, columns = np.nonzero(mask)
        box = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].reshape(-1, *picture.shape[2:])
        values, counts = np.unique(box, axis=0, return_counts=True)
        fill = values[counts.argmax()]
        covered = picture[rows, columns] == fill
        return float(np.mean(covered.all(axis=-1) if covered.ndim > 1 else covered)) >= HIDDEN_SHARE


def element_at(ds: Dataset, path: Path, target: Place | None) -> pydicom.DataElement | None:
    """The element, or None if it or a sequence on the way to it is gone."""
    for place, number in path:
        stored = _element(ds, place)
        if stored is None or stored.VR != "SQ" or number >= len(stored.value):
            return None
        ds = stored.value[number]
    return _element(ds, target) if target is not None else None


def _element(ds: Dataset, place: Place) -> pydicom.DataElement | None:
    if isinstance(place, Private):
        for block in range(0x10, 0x100):
            if str(ds.get((place.group, block), pydicom.DataElement(0x00090010, "LO", "")).value) == place.creator:
                tag = (place.group, block << 8 | place.element)
                return ds.get(tag)
        return None
    if place >> 16 == 2:
        return ds.file_meta.get(place)
    return ds.get(place)


def text_at(ds: Dataset, answer: Answer) -> str:
    """The value as text, several joined by backslashes; blank if the element is gone."""
    stored = element_at(ds, answer.path, answer.target)
    return "" if stored is None else value_text(stored)


def value_text(stored: pydicom.DataElement) -> str:
    """The value as the file writes it."""
    value = stored.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    values = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    return "\\".join(str(one).strip() for one in values)


def survives(text: str, written: bytes) -> bool:
    """Whether the text stands in the bytes in any of the encodings it may be written in."""
    folded, text = written.lower(), text.lower()
    codecs = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "gb18030", "shift_jis", "euc_kr", "iso8859_5", "iso8859_7")
    coded = {form.encode(codec, "ignore") for codec in codecs for form in (text, text.upper(), text.title())}
    return any(len(one) >= max(4, len(text)) and (one in folded or one in written) for one in coded)


def frames(ds: Dataset) -> list[np.ndarray]:
    """Pictures of a file, decoded where they are compressed, without what stands beside them in the stream."""
    syntax, count = str(ds.file_meta.TransferSyntaxUID), int(ds.get("NumberOfFrames", 1) or 1)
    keyword = next((k for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if k in ds), None)
    if keyword is None:
        return []
    if syntax in _NATIVE:
        bits = int(ds.BitsAllocated) * int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel", 1)) * count
        if str(ds.get("PhotometricInterpretation", "")) == "YBR_FULL_422":
            bits = bits * 2 // 3
        return [np.frombuffer(ds[keyword].value[: (bits + 7) // 8], np.uint8)]
    return [_decoded(frame, syntax) for frame in generate_frames(ds.PixelData, number_of_frames=count)]


def _decoded(frame: bytes, syntax: str) -> np.ndarray:
    if syntax == _RLE:
        return np.frombuffer(frame.rstrip(b"\x00"), np.uint8)
    if ".4.8" in syntax:
        return np.asarray(imagecodecs.jpegls_decode(frame))
    if ".4.9" in syntax or ".4.20" in syntax:
        return np.asarray(imagecodecs.jpeg2k_decode(frame))
    return np.asarray(
        imagecodecs.jpeg_decode(frame, colorspace=0, outcolorspace=0)
        if _is_8bit(frame)
        else imagecodecs.jpeg_decode(frame)
    )


def _is_8bit(frame: bytes) -> bool:
    head = re.search(rb"\xff[\xc0-\xc2]..(.)", frame, re.DOTALL)
    return head is not None and head[1] == b"\x08"


def _day(match: re.Match[str]) -> date:
    return date(int(match[1]), int(match[3]), int(match[4]))
