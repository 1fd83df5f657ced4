"""Pictures beside the picture: overlays, curves, icons and pixel data inside sequences, all taken out.

Belongs here: removal only.  Whether an overlay holds text is not asked: it is drawn over the image by viewers, and a
removed overlay can't be wrong.  Overlays in unused bits of the pixels are `rendering.hidden_planes`'; graphic
annotations are the header engine's.  PS3.3 C.9.2 (Overlay Plane), C.7.6.1.1.6 (Icon Image).
"""

from __future__ import annotations

from collections import Counter

from pydicom import Dataset
from pydicom.tag import BaseTag, Tag

ICON_IMAGE_SEQUENCE = Tag(0x0088, 0x0200)
OVERLAY_BIT_POSITION = 0x0102
OVERLAY_DATA = 0x3000
PIXEL_GROUP = 0x7FE0


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
    """Remove them from the dataset given, at every level; counts by kind (overlay, curve, icon, nested_pixels)."""
    counts: Counter[str] = Counter()
    _remove_from(ds, counts, nested=False)
    return counts


def _remove_from(ds: Dataset, counts: Counter[str], *, nested: bool) -> None:
    groups: set[tuple[str, int]] = set()
    for tag in list(ds.keys()):
        if is_overlay(tag):
            groups.add(("overlay", tag.group))
        elif is_curve(tag):
            groups.add(("curve", tag.group))
        elif tag == ICON_IMAGE_SEQUENCE:
            counts["icon"] += 1
        elif nested and tag.group == PIXEL_GROUP:
            counts["nested_pixels"] += 1
        else:
            element = ds[tag]
            if element.VR == "SQ":
                for item in element.value:
                    _remove_from(item, counts, nested=True)
            continue
        del ds[tag]
    counts.update(kind for kind, _ in groups)
