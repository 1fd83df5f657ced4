"""What may stay of graphics drawn over a picture, in presentation states and wherever else there are some.

Belongs here: which graphic objects can't be handwriting, and the new names of graphic layers.  Texts of annotations are free
text like any other (`values`); overlays and curves are taken out by `deid.pixels`.  Coordinates of reports, structure sets
and fiducials are measurements of the object itself and stay (docs/boundary.md).  PS3.3 C.10.5 (Graphic Annotation), C.10.7
(Graphic Layer).
"""

from __future__ import annotations

from pydicom.dataset import Dataset

ANNOTATIONS = 0x00700001
OBJECTS = 0x00700009
COMPOUND = 0x00700209
_LAYER, _OVERLAY_LAYER = 0x00700002, 0x60001001
_TEXTS = 0x00700008

_COORDINATES = {"POINT": 2, "CIRCLE": 4, "ELLIPSE": 8}
"""Graphic types that stay, and how many numbers each has (PS3.3 C.10.5.1.2).  A polyline, straight or interpolated, may be
handwriting; nobody looks at what it spells."""

MOST_OBJECTS = 12
"""Objects of one instance that stay: measurements have a few, and a letter of dots takes about as many."""


def is_layer_name(tag: int) -> bool:
    """Whether the element names a graphic layer: its own name or that of the layer an overlay is shown in.  It is a CS that
    people write, like Content Label."""
    return tag == _LAYER or tag & 0xFF00FFFF == _OVERLAY_LAYER


class Drawn:
    """What has been kept of one instance's graphics so far."""

    def __init__(self) -> None:
        self._layers: dict[str, str] = {}
        self._objects = 0

    def layer(self, name: str) -> str:
        """The new name of a layer, the same wherever the layer is named; blank for none."""
        name = name.strip()
        return self._layers.setdefault(name, f"LAYER{len(self._layers) + 1}") if name else ""

    def kept(self, tag: int, items: list[Dataset]) -> list[Dataset]:
        """The cleaned items of a sequence without what may be handwriting, and without annotations that lost all they had."""
        if tag == OBJECTS:
            items = [item for item in items if _is_plain_mark(item)][: MOST_OBJECTS - self._objects]
            self._objects += len(items)
        elif tag == ANNOTATIONS:
            items = [item for item in items if OBJECTS in item or _TEXTS in item]
        return items


def _is_plain_mark(item: Dataset) -> bool:
    """A point, circle or ellipse with its own number of coordinates in the plane."""
    wanted = _COORDINATES.get(str(item.get("GraphicType") or "").strip().upper())
    return "GraphicData" in item and wanted == item["GraphicData"].VM
