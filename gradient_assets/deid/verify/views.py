"""A written object as viewers show it: which of its frames are looked at, and the pictures of each.

Belongs here: this package's own decoding, contrast, windows, lookup tables and palettes; it shares nothing with what cleaned.
What is read in the pictures is judged by `pictures`.  PS3.3 C.11.1 and C.11.2 (Modality and VOI LUT), C.7.6.16.2.9 and
C.7.6.16.2.10 (Pixel Value Transformation, Frame VOI LUT), C.7.6.3.1.5 (palettes).

A single frame is looked at with the contrast stretched and in each window and table that is declared: two pictures of an
ordinary slice.  Of more frames those are looked at that are not nearly equal to the one before, `MOST_FRAMES` of them evenly
spread, and always the first, the middle and the last one; besides, the brightest and the darkest value of all frames at each
place, in which text that stands still on a dark or light ground is seen.  Where those two show nothing, because most places
are dark on one frame and light on another (pages, a flash), `MOST_PAGES` are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, convert_color_space

from gradient_assets.deid.reasons import Reason, Refused

Picture = NDArray[np.uint8]
Plane = NDArray[Any]

MOST_FRAMES, MOST_PAGES = 12, 64
"""Frames of one object that are looked at; a reading takes about a second, and a cine has hundreds of frames."""
MOST_VIEWS = 8
"""Declared windows and tables of one frame that are looked at; real files declare up to five."""
CHANGED_STEP, CHANGED_SHARE = 1 / 8, 1 / 2000
"""A frame is a new one when this share of its pixels changed by this part of the value range: half of a short line of
10 px on a picture of 512 × 512."""
PAGE_STEP, PAGE_SHARE = 1 / 2, 1 / 2
"""Pages: this share of the places goes through this part of the value range."""
SAME_LEVELS = 24
"""Of 255: a view that differs nowhere by more from one that was looked at shows nothing new."""
PERCENTILES = (0.2, 99.8)
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


def views_of(dataset: Dataset) -> Iterator[Picture]:
    """Pictures of an object with pixels, H × W or H × W × 3.  Raises `Refused(UNDECODABLE_PIXELS)` for missing frames, and
    whatever a decoder raises."""
    count = int(dataset.get("NumberOfFrames") or 1)
    chosen, composites = _survey(dataset, count) if count > 1 else ([0], [])
    seen = 0
    for index, frame in zip(chosen, _frames(dataset, count, chosen), strict=False):
        seen += 1
        yield from _views(frame, dataset, index)
    if seen < len(chosen):
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written object with {seen} of {len(chosen)} frames")
    yield from (stretched(plane) for plane in composites)


def stretched(plane: Plane) -> Picture:
    """8 bits with the contrast stretched; a blank picture stays blank."""
    values = np.nan_to_num(plane.astype(np.float32))
    low, high = np.percentile(values, PERCENTILES)
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return _between(values, low, high)


def _between(values: Plane, low: float, high: float) -> Picture:
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.asarray(np.clip((values - low) * (255.0 / (high - low)), 0, 255), dtype=np.uint8)


def _survey(dataset: Dataset, count: int) -> tuple[list[int], list[Plane]]:
    """Indices of the frames to look at, and the brightest and darkest of all frames."""
    brightest = darkest = last = None
    low = high = 0.0
    new, seen = [], 0
    for index, frame in enumerate(_frames(dataset, count)):
        seen += 1
        plane = np.nan_to_num((frame[..., :3].max(axis=-1) if frame.ndim == 3 else frame).astype(np.float32))
        brightest = plane if brightest is None else np.maximum(brightest, plane)
        darkest = plane if darkest is None else np.minimum(darkest, plane)
        low, high = (
            (float(plane.min()), float(plane.max()))
            if last is None
            else (min(low, plane.min()), max(high, plane.max()))
        )
        if last is None or (np.abs(plane - last) > CHANGED_STEP * (high - low)).mean() >= CHANGED_SHARE:
            new.append(index)
            last = plane
    if seen < count or brightest is None or darkest is None:
        raise Refused(Reason.UNDECODABLE_PIXELS, f"a written object with {seen} of {count} frames")
    pages = (brightest - darkest > PAGE_STEP * (high - low)).mean() > PAGE_SHARE
    most = MOST_PAGES if pages else MOST_FRAMES
    spread = new if len(new) <= most else [new[at * (len(new) - 1) // (most - 1)] for at in range(most)]
    return sorted({0, count // 2, count - 1, *spread}), [brightest, darkest]


def _frames(dataset: Dataset, count: int, indices: Iterable[int] | None = None) -> Iterator[Plane]:
    """Decoded frames in their order; all of them unless some are asked for."""
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    wanted = None if indices is None else set(indices)
    decode = _DECODERS.get(syntax)
    if decode is not None:
        streams = generate_frames(dataset[_PIXELS].value, number_of_frames=count)
        yield from (np.asarray(decode(one)) for at, one in enumerate(streams) if wanted is None or at in wanted)
    elif "PixelData" not in dataset or not dataset.file_meta.TransferSyntaxUID.is_compressed:
        whole = dataset.pixel_array if count > 1 else dataset.pixel_array[np.newaxis]
        yield from (frame for at, frame in enumerate(whole) if wanted is None or at in wanted)
    else:
        some = None if wanted is None else sorted(wanted)
        yield from (frame for frame, _ in get_decoder(syntax).iter_array(dataset, raw=True, indices=some))


def _views(frame: Plane, dataset: Dataset, index: int) -> Iterator[Picture]:
    """One frame as it is stored, and as each palette, window and table shows it; a view that shows nothing new is left out."""
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip()
    if frame.ndim == 3:
        yield stretched(_rgb(frame, photometric, str(dataset.file_meta.TransferSyntaxUID)))
        return
    shown = []
    if photometric == "PALETTE COLOR" and (palette := _palette(dataset)) is not None:
        entries, first = palette
        places = np.clip(frame.astype(np.int64) - first, 0, len(entries) - 1)
        shown.append(stretched(entries[places]))
        yield shown[0]
        used = np.unique(places)
        if len(np.unique(entries[used], axis=0)) == len(used):
            return
    shown.append(stretched(frame))
    yield shown[-1]
    for picture in _declared(frame, dataset, index):
        if len(shown) > MOST_VIEWS:
            return
        if all(one.ndim == 3 or _differ(one, picture) for one in shown):
            shown.append(picture)
            yield picture


def _differ(one: Picture, other: Picture) -> bool:
    """Whether one may show what the other does not, be it light on dark there and dark on light here."""
    return min(_most(one, other), _most(one, 255 - other)) > SAME_LEVELS


def _most(one: Picture, other: Picture) -> int:
    return int((np.maximum(one, other) - np.minimum(one, other)).max())


def _rgb(frame: Plane, photometric: str, syntax: str) -> Plane:
    """Red, green and blue; what a codec delivers in YBR is converted, where it has not done so itself."""
    frame = frame[..., :3]
    converts = syntax in _DECODERS and _DECODERS[syntax] is not imagecodecs.jpegls_decode
    if photometric.startswith("YBR_FULL") and frame.dtype == np.uint8 and not converts:
        return np.asarray(convert_color_space(frame, photometric, "RGB"))
    return frame


def _palette(dataset: Dataset) -> tuple[Plane, int] | None:
    """Red, green and blue of each entry, and the stored value of the first; None without plain tables."""
    tables = []
    for colour in ("Red", "Green", "Blue"):
        table = dataset.get(f"{colour}PaletteColorLookupTableData")
        descriptor = dataset.get(f"{colour}PaletteColorLookupTableDescriptor")
        if not isinstance(table, bytes) or not table or descriptor is None:
            return None
        count = int(descriptor[0]) or 1 << 16
        entries = np.frombuffer(table[: len(table) // 2 * 2], "<u2") if len(table) >= 2 * count else None
        tables.append(np.frombuffer(table, np.uint8) if entries is None else entries)
    length = min(map(len, tables))
    return np.stack([table[:length] for table in tables], axis=-1), int(descriptor[1])


def _declared(frame: Plane, dataset: Dataset, index: int) -> Iterator[Picture]:
    """The frame in each window and each table of its own functional groups, of those of all frames, and of the object."""
    groups = [*_items(dataset, "PerFrameFunctionalGroupsSequence")[index : index + 1]]
    groups += _items(dataset, "SharedFunctionalGroupsSequence")
    transformed = [item for group in groups for item in _items(group, "PixelValueTransformationSequence")]
    output = _rescaled(frame, dataset, transformed[0] if transformed else dataset)
    if "ModalityLUTSequence" in dataset:
        yield stretched(output)
    for holder in [*(item for group in groups for item in _items(group, "FrameVOILUTSequence")), dataset]:
        yield from _tabled(output, holder)
        for center, width in zip(_numbers(holder, "WindowCenter"), _numbers(holder, "WindowWidth"), strict=False):
            reach = width if str(holder.get("VOILUTFunction") or "").strip().upper() == "SIGMOID" else width / 2
            yield _between(output.astype(np.float32), center - reach, center + reach)


def _rescaled(frame: Plane, dataset: Dataset, holder: Dataset) -> Plane:
    """Output values of the Modality LUT or of the rescale."""
    if "ModalityLUTSequence" in dataset:
        with suppress(Exception):  # a broken table, which no viewer shows either
            return np.asarray(apply_modality_lut(frame, dataset))
    slope, intercept = (_numbers(holder, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return frame * np.float32(slope[0] if slope else 1) + np.float32(intercept[0] if intercept else 0)


def _tabled(output: Plane, holder: Dataset) -> Iterator[Picture]:
    """What each VOI LUT makes of the output values."""
    for item in _items(holder, "VOILUTSequence"):
        with suppress(Exception):  # a broken table, which no viewer shows either
            first, stored = int(item.LUTDescriptor[1]), item.LUTData
            entries = np.frombuffer(stored, "<u2") if isinstance(stored, bytes) else np.asarray(stored)
            yield stretched(entries[np.clip(np.round(output).astype(np.int64) - first, 0, len(entries) - 1)])


def _items(holder: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in holder.get(keyword) or [] if isinstance(item, Dataset)]


def _numbers(holder: Dataset, keyword: str) -> list[float]:
    """The values of a decimal string; none where one is no finite number."""
    value = holder.get(keyword)
    try:
        values = [
            float(one) for one in (value if isinstance(value, MultiValue | list) else [value]) if one not in (None, "")
        ]
    except (TypeError, ValueError):
        return []
    return values if np.isfinite(values).all() else []
