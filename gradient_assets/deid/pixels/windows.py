"""How the header wants stored values to be shown: every window and lookup table that it declares for one frame.

Belongs here: finding them at each place where the standard allows them, and what they make of stored values.  Which of them
a finder is shown, and how, is `rendering`'s business.  PS3.3 C.11.1 and C.11.2 (Modality and VOI LUT), C.7.6.16.2.9 (Pixel
Value Transformation), C.7.6.16.2.10 (Frame VOI LUT).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi

_OF_THE_PIXELS = ("PixelRepresentation", "BitsStored", "PhotometricInterpretation")
_OF_THE_MODALITY = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")


@dataclass(frozen=True, slots=True)
class Linear:
    """A window in stored values."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table: `header` holds it and what comes before it; `item` is None where only a Modality LUT is meant.

    `low`, `high`: the window over its output; None for all of it.
    """

    header: Dataset
    item: int | None
    low: float | None = None
    high: float | None = None

    def shown(self, values: NDArray[Any]) -> NDArray[Any]:
        """Output values of the same shape; a table that is broken raises what pydicom raises."""
        output = np.asarray(apply_modality_lut(values, self.header))
        if self.item is not None:
            output = np.asarray(apply_voi(output, self.header, self.item))
        return output if self.low is None else np.clip(output, self.low, self.high)


def declared(header: Dataset, index: int) -> Iterator[Linear | Table]:
    """All of them for one frame (counted from 0), as a viewer chooses: the frame's before the object's, tables first.

    What can't be parsed is left out, as no viewer shows it either.
    """
    groups = [*_functional_groups(header, index)]
    modality = _with_modality(header, groups)
    holders = [voi for group in groups for voi in _items(group, "FrameVOILUTSequence")]
    for holder in [*holders, header]:
        one = Dataset()
        for keyword in _OF_THE_PIXELS:
            _copy(header, one, keyword)
        for keyword in _OF_THE_MODALITY:
            _copy(modality, one, keyword)
        _copy(holder, one, "VOILUTSequence")
        for item in range(len(_items(one, "VOILUTSequence"))):
            yield Table(one, item)
        for low, high in _windows(holder):
            if "ModalityLUTSequence" in one:
                yield Table(one, None, low, high)
            else:
                window = _stored(low, high, modality)
                if window is not None:
                    yield window
    if "ModalityLUTSequence" in modality:
        one = Dataset()
        for keyword in (*_OF_THE_PIXELS, "ModalityLUTSequence"):
            _copy(header, one, keyword)
        yield Table(one, None)


def _functional_groups(header: Dataset, index: int) -> Iterator[Dataset]:
    """The frame's own item, then the one that all frames share."""
    own = _items(header, "PerFrameFunctionalGroupsSequence")
    if index < len(own):
        yield own[index]
    yield from _items(header, "SharedFunctionalGroupsSequence")


def _with_modality(header: Dataset, groups: list[Dataset]) -> Dataset:
    """Where the rescale of this frame stands."""
    for group in groups:
        for item in _items(group, "PixelValueTransformationSequence"):
            return item
    return header


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    try:
        value = ds.get(keyword)
        return [item for item in value if isinstance(item, Dataset)] if value else []
    except Exception:  # pydicom raises almost anything on a broken sequence
        return []


def _copy(source: Dataset, target: Dataset, keyword: str) -> None:
    try:
        if keyword in source:
            target.add(source[keyword])
    except Exception:  # as above
        return


def _windows(holder: Dataset) -> Iterator[tuple[float, float]]:
    """Lower and upper end of each window, in output values.  A sigmoid one goes on beyond its ends, so it counts twice."""
    centers, widths = (_numbers(holder, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    sigmoid = str(holder.get("VOILUTFunction") or "").strip().upper() == "SIGMOID"
    for center, width in zip(centers, widths, strict=False):
        if np.isfinite(center) and np.isfinite(width) and width > 0:
            yield center - width / 2, center + width / 2
            if sigmoid:
                yield center - width, center + width


def _stored(low: float, high: float, modality: Dataset) -> Linear | None:
    slope, intercept = (_numbers(modality, keyword)[:1] for keyword in ("RescaleSlope", "RescaleIntercept"))
    by = slope[0] if slope and slope[0] else 1.0
    ends = sorted((end - (intercept[0] if intercept else 0.0)) / by for end in (low, high))
    return Linear(*ends) if np.isfinite(ends).all() and ends[0] != ends[1] else None


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    try:
        value = ds.get(keyword)
        values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
        return [float(one) for one in values if one not in (None, "")]
    except Exception:  # no number
        return []
