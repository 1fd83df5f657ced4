"""What the header itself says of text in the picture: that there is some, and what is no anatomy in an ultrasound image.

Belongs here: Burned In Annotation and rectangles from declared geometry, no look at the pixels.  PS3.3 C.8.5.5 (US Region
Calibration): the regions hold the calibrated image, the margin around them what the machine writes about patient, hospital
and settings.
"""

from __future__ import annotations

import itertools

from pydicom import Dataset

from gradient_assets.deid.pixels.boxes import Box

SOURCE = "ultrasound-regions"


def declares_text(ds: Dataset) -> bool:
    """Whether the header says that text is burned in which names the patient (PS3.3 C.7.6.1.1, Burned In Annotation)."""
    return str(ds.get("BurnedInAnnotation", "") or "").strip().upper() == "YES"


def outside_ultrasound_regions(ds: Dataset, rows: int, columns: int) -> list[Box]:
    """Rectangles (on frame 0) that cover everything outside the declared regions; empty without usable regions.

    Regions that do not fit the frame are left unused: some exports scale or crop the image and keep the old coordinates.
    """
    regions = []
    for item in ds.get("SequenceOfUltrasoundRegions") or ():
        corners = [item.get(f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if not all(isinstance(c, int) for c in corners):
            return []
        left, top, right, bottom = corners
        if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
            return []
        regions.append((left, top, min(columns, right + 1), min(rows, bottom + 1)))
    if not regions:
        return []
    cuts = sorted({0, rows, *(r[1] for r in regions), *(r[3] for r in regions)})
    boxes = []
    for top, bottom in itertools.pairwise(cuts):
        at = 0
        for left, right in sorted((r[0], r[2]) for r in regions if r[1] <= top and r[3] >= bottom):
            if left > at:
                boxes.append(Box(at, top, left - at, bottom - top, SOURCE, 1.0, 0))
            at = max(at, right)
        if at < columns:
            boxes.append(Box(at, top, columns - at, bottom - top, SOURCE, 1.0, 0))
    return boxes
