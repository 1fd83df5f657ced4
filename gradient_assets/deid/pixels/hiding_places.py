"""Pictures beside the picture: overlays, curves, icons and pixel data inside sequences, all taken out; and what lies behind
the last sample of spectra and waveforms.

Belongs here: removal only.  Whether an overlay holds text is not asked: it is drawn over the image by viewers, and a
removed overlay can't be wrong.  Overlays in unused bits of the pixels are `rendering.hidden_planes`'; graphic
annotations are the header engine's.  PS3.3 C.9.2 (Overlay Plane), C.7.6.1.1.6 (Icon Image),
C.8.14.4 (Spectroscopy Data), C.10.9 (Waveform).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import prod

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag, Tag

from gradient_assets.deid.reasons import Reason, Refused

ICON_IMAGE_SEQUENCE = Tag(0x0088, 0x0200)
OVERLAY_BIT_POSITION = 0x0102
OVERLAY_DATA = 0x3000
PIXEL_GROUP = 0x7FE0
ITEM = b"\xfe\xff\x00\xe0"
SPECTROSCOPY_DATA = Tag(0x5600, 0x0020)
SPECTRUM_SAMPLE_BYTES = 4
WAVEFORM_DATA = Tag(0x5400, 0x1010)
_SPECTRUM = ("Rows", "Columns", "NumberOfFrames", "DataPointRows", "DataPointColumns")
_WAVEFORM = ("NumberOfWaveformChannels", "NumberOfWaveformSamples", "WaveformBitsAllocated")
MAX_DEPTH = 48
"""Levels of nesting, as in `headers.elements`."""


def is_overlay(tag: BaseTag) -> bool:
    """60xx, even groups."""
    return 0x6000 <= tag.group <= 0x60FF and tag.group % 2 == 0


def is_curve(tag: BaseTag) -> bool:
    """50xx, even groups; retired, some hold drawn text."""
    return 0x5000 <= tag.group <= 0x50FF and tag.group % 2 == 0


def has_embedded_overlay(ds: Dataset) -> bool:
    """True when an overlay plane is declared without data of its own: its bits lie in the pixels."""
    tags = list(ds.keys())
    groups = {tag.group for tag in tags if is_overlay(tag)}
    return any(Tag(g, OVERLAY_BIT_POSITION) in ds and Tag(g, OVERLAY_DATA) not in ds for g in groups)


def removed_pictures(ds: Dataset) -> Counter[str]:
    """Remove them from the dataset given, at every level; counts by kind (overlay, curve, icon, nested_pixels,
    unparsable, samples, offset_table).  A sequence that can't be parsed is removed as well: nobody can say what pictures
    it holds.  Raises Refused(NESTED_TOO_DEEP), and PIXEL_GEOMETRY for samples whose number is not declared."""
    counts: Counter[str] = Counter()
    _remove_from(ds, counts, depth=0)
    counts["offset_table"] += _empty_false_offset_table(ds)
    if SPECTROSCOPY_DATA in ds:
        parts = 2 if str(ds.get("DataRepresentation", "")).strip() == "COMPLEX" else 1
        counts["samples"] += _cut(ds, SPECTROSCOPY_DATA, parts * _product(ds, _SPECTRUM) * SPECTRUM_SAMPLE_BYTES)
    for group in ds.get("WaveformSequence") or []:
        if WAVEFORM_DATA in group:
            counts["samples"] += _cut(group, WAVEFORM_DATA, _product(group, _WAVEFORM) // 8)
    return +counts


def _empty_false_offset_table(ds: Dataset) -> int:
    """Empty a Basic Offset Table that holds anything but offsets of fragments; decoders of single frames never look at it.
    An empty one is always allowed (PS3.5 A.4); 1 if it was emptied."""
    if "PixelData" not in ds:
        return 0
    element = ds["PixelData"]
    value = element.value
    if not element.is_undefined_length or not isinstance(value, bytes) or value[:4] != ITEM:
        return 0
    length = int.from_bytes(value[4:8], "little")
    first = 8 + length
    offsets = [int.from_bytes(value[at : at + 4], "little") for at in range(8, first, 4)]
    frames = int(ds.get("NumberOfFrames") or 1)
    is_true = len(offsets) == frames and offsets[:1] == [0] and all(a < b for a, b in pairwise(offsets))
    if not length or (is_true and all(value[first + at : first + at + 4] == ITEM for at in offsets)):
        return 0
    ds["PixelData"] = DataElement(element.tag, element.VR, ITEM + bytes(4) + value[first:])
    ds["PixelData"].is_undefined_length = True
    return 1


def _product(ds: Dataset, keywords: tuple[str, ...]) -> int:
    """The numbers of the elements named, multiplied; a Number of Frames that is missing counts as 1."""
    try:
        return prod(int(ds.get(keyword) or (1 if keyword == "NumberOfFrames" else 0)) for keyword in keywords)
    except Exception:
        raise Refused(Reason.PIXEL_GEOMETRY, "the number of samples is no number") from None


def _cut(ds: Dataset, tag: BaseTag, length: int) -> int:
    """Cut the element to the length declared; 1 if anything was cut."""
    element = ds[tag]
    value = element.value or b""
    if length <= 0 or not isinstance(value, bytes):
        raise Refused(Reason.PIXEL_GEOMETRY, "the number of samples is not declared")
    length += length & 1
    if len(value) <= length:
        return 0
    ds[tag] = DataElement(tag, element.VR, value[:length])
    return 1


def _remove_from(ds: Dataset, counts: Counter[str], *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP)
    groups: set[tuple[str, int]] = set()
    for tag in list(ds.keys()):
        if is_overlay(tag):
            groups.add(("overlay", tag.group))
        elif is_curve(tag):
            groups.add(("curve", tag.group))
        elif tag == ICON_IMAGE_SEQUENCE:
            counts["icon"] += 1
        elif depth and tag.group == PIXEL_GROUP:
            counts["nested_pixels"] += 1
        elif not _is_sequence(ds, tag):
            continue
        else:
            try:
                items = list(ds[tag].value or [])
                if not all(isinstance(item, Dataset) for item in items):
                    raise TypeError
            except Exception:  # pydicom raises almost anything on a broken sequence
                counts["unparsable"] += 1
            else:
                for item in items:
                    _remove_from(item, counts, depth=depth + 1)
                continue
        del ds[tag]
    counts.update(kind for kind, _ in groups)


def _is_sequence(ds: Dataset, tag: BaseTag) -> bool:
    """By the VR stored, and by the dictionary's where the file says nothing or UN.  Nothing else is decoded: an element
    with an unknown VR has made pydicom raise here, and refused the whole object."""
    vr = getattr(ds.get_item(tag, keep_deferred=True), "VR", None)
    if vr not in (None, "UN"):
        return bool(vr == "SQ")
    return dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"
