"""Whether a picture may show a face: volumes of the head can be rendered into a portrait.

Belongs here: the verdict on one instance, from its header before cleaning.  Anatomy codes and Body Part Examined place it;
where they say nothing, position and extent do; a description can only add.  The words and codes are data (`faces.json`).
A series is as doubtful as the worst of its instances (`sql/final_table.sql`).  Nothing is defaced here, or anywhere yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydicom import Dataset

Face = Literal["none", "likely", "unknown"]
_DESCRIPTIONS = (
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "RequestedProcedureDescription",
    "PerformedProcedureStepDescription",
    "ReceiveCoilName",
    "TransmitCoilName",
)
_FRAMES_READ = 4
"""Functional groups of so many frames are read: an enhanced object is one volume, its frames share anatomy and plane."""


def face_of(header: Dataset) -> Face:
    """Whether the instance may show a face; `unknown` for a volume that nothing places elsewhere.  Never raises."""
    try:
        return _face_of(header)
    except Exception:  # a header that can't be read places nothing
        return "unknown"


def _face_of(header: Dataset) -> Face:
    table = _table()
    if str(header.get("Modality", "")).strip().upper() not in table["modalities"]:
        return "none"
    codes, parts = list(_anatomy_codes(header)), list(_body_parts(header))
    if any(code in table["head_codes"] for code in codes) or any(map(_is_head, parts)) or _is_described(header):
        return "likely"
    named = [code in table["elsewhere_codes"] for code in codes] + [
        part in table["body_parts_elsewhere"] for part in parts
    ]
    limb = any(code in table["limb_codes"] for code in codes) or any(part in table["limbs"] for part in parts)
    if named and all(named):
        # a PET of the breast was taken from the thighs to the eyes; a long picture shows more than the part it was made for
        wide = str(header.get("Modality")).strip().upper() in ("PT", "NM") or _is_long(header)
        return "unknown" if wide and not limb else "none"
    return "likely" if _has_the_extent_of_a_head(header) else "unknown"


def _anatomy_codes(header: Dataset) -> Iterator[str]:
    """Code values, SCT or SRT, of every anatomic region that the header names."""
    for place in (header, *_groups(header)):
        for keyword in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
            for item in place.get(keyword) or ():
                if value := item.get("CodeValue") or item.get("LongCodeValue"):
                    yield str(value).strip().upper()
        for item in place.get("FrameAnatomySequence") or ():
            yield from _anatomy_codes(item)


def _groups(header: Dataset) -> Iterator[Dataset]:
    """The shared functional groups and those of the first frames, PS3.3 C.7.6.16."""
    yield from header.get("SharedFunctionalGroupsSequence") or ()
    yield from list(header.get("PerFrameFunctionalGroupsSequence") or ())[:_FRAMES_READ]


def _body_parts(header: Dataset) -> Iterator[str]:
    value = str(header.get("BodyPartExamined") or "").upper()
    if folded := re.sub(r"[^A-Z]", "", value):
        yield folded


def _is_head(part: str) -> bool:
    return any(part.startswith(word) for word in _table()["body_part_beginnings_that_show_a_face"])


def _is_described(header: Dataset) -> bool:
    text = " ".join(str(header.get(keyword) or "") for keyword in _DESCRIPTIONS).casefold()
    return any(word in text for word in _table()["description_words"])


def _planes(header: Dataset) -> Iterator[tuple[list[float], float, float]]:
    """Orientation (six cosines, empty where not given), height and width in millimetres of the pictures."""
    for place in (header, *_groups(header)):
        measures: Any = next(iter(place.get("PixelMeasuresSequence") or ()), place)
        plane: Any = next(iter(place.get("PlaneOrientationSequence") or ()), place)
        spacing = measures.get("PixelSpacing")
        if spacing is not None and len(spacing) == 2:
            orientation = [float(cosine) for cosine in plane.get("ImageOrientationPatient") or ()]
            yield orientation, float(spacing[0]) * int(header.Rows), float(spacing[1]) * int(header.Columns)


def _is_long(header: Dataset) -> bool:
    """Whether the picture runs along the body for longer than a trunk is high."""
    geometry = _table()["geometry"]
    for orientation, height, width in _planes(header):
        along = [
            side
            for side, cosines in ((height, orientation[3:6]), (width, orientation[0:3]))
            if len(cosines) == 3 and abs(cosines[2]) > geometry["upright_tilt"]
        ]
        if any(side > geometry["long_field_mm"] for side in along):
            return True
    return False


def _has_the_extent_of_a_head(header: Dataset) -> bool:
    """Head first, and a field as wide as a head is long: what a head coil or a head scan field gives."""
    position = str(header.get("PatientPosition") or "").strip().upper()
    least, most = _table()["geometry"]["head_field_mm"]
    return (not position or position.startswith("HF")) and any(
        least <= side <= most for _, height, width in _planes(header) for side in (max(height, width),)
    )


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath("faces.json").read_text("utf-8"))

    def codes(rows: Iterable[list[str]]) -> frozenset[str]:
        return frozenset(code for row in rows for code in row[:2] if code)

    for name, rows in (("head_codes", "shows_a_face"), ("elsewhere_codes", "elsewhere")):
        table[name] = codes(table[rows])
    of_limbs = set(table["limb_codes"])
    table["limb_codes"] = codes(row for row in table["elsewhere"] if row[0] in of_limbs)
    return table
