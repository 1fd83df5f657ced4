"""Which objects need the text finder at all: a table of rules, then a measurement of every frame.

Belongs here: the two tests and the draw of the audit sample.  Both have to say "clean" before a frame goes unseen; no
modality or class is enough, and whatever fails means "look".  The table is data (`tables/triage.json`).  Looking is
`survey`'s business, the order `engine`'s, counting what the audit found that of the asset check.

Off unless a hospital switches it on.  Releases never use it: what leaves is looked at in whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue

from gradient_assets.deid.pixels.device_rules import DeviceRule, device_boxes
from gradient_assets.deid.pixels.rendering import Picture

Looked = Literal["all", "skipped", "audited"]
"""Every frame was shown to the finder; none was; all were, though none needed it."""

AUDIT_SHARE = 0.02
_DIGITS = 12
_DRAWS = 1 << 4 * _DIGITS
_CURVATURE = np.array([[-1, 2, -1]], np.float32)
_DRAWN_GROUPS = frozenset((*range(0x5000, 0x5100, 2), *range(0x6000, 0x6100, 2)))
"""Curves and overlays, PS3.5 7.6."""


@dataclass(frozen=True, slots=True)
class Triage:
    """Whether an object is looked at.  `audit_share`: 0 … 1, of the skipped objects, that are looked at all the same.

    `device_rules` are the ones the engine uses: an object that one matches is always looked at.
    """

    audit_share: float = AUDIT_SHARE
    device_rules: Sequence[DeviceRule] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.audit_share <= 1:
            raise ValueError("audit_share: expected a number from 0 to 1")

    def needs_a_look(self, header: Dataset, frame_picture: Picture) -> bool:
        """Whether a frame may hold text; `frame_picture` is H × W or H × W × 3, as `Look.picture` makes it.

        Never raises: what can't be judged needs a look.
        """
        try:
            return not _may_be_skipped(header, frame_picture.shape, self.device_rules) or _may_hold_text(frame_picture)
        except Exception:  # no header and no picture is so odd that it may go unseen
            return True

    def looked(self, header: Dataset, pictures: Callable[[], Iterable[Picture]], *, drawn: bool) -> Looked:
        """What becomes of a whole object: one frame that needs a look makes all be looked at.

        `pictures` is not called where the header already decides.  `drawn`: it belongs to the audit sample.
        """
        try:
            shape = (int(header.Rows), int(header.Columns))
            if not _may_be_skipped(header, shape, self.device_rules):
                return "all"
            seen = False
            for picture in pictures():
                seen = True
                if self.needs_a_look(header, picture):
                    return "all"
        except Exception:  # as above; what is broken is refused where it is looked at
            return "all"
        if not seen:
            return "all"
        return "audited" if drawn else "skipped"

    def draws(self, token: str) -> bool:
        """Whether an object belongs to the audit sample, by a keyed token of its SOP Instance pseudonym in hexadecimal.

        The same token gives the same answer on each run.  Raises ValueError for what is no such token.
        """
        if len(token) < _DIGITS:
            raise ValueError("the token is too short to draw by")
        return int(token[:_DIGITS], 16) < self.audit_share * _DRAWS


def _may_be_skipped(header: Dataset, shape: Sequence[int], device_rules: Sequence[DeviceRule] | None) -> bool:
    """What the header says: a slice as the scanner made it, with nothing drawn on it."""
    table = _table()
    rule = table["may_be_skipped"].get(str(header.get("SOPClassUID", "")))
    if rule is None or str(header.get("Modality", "")) != rule["modality"]:
        return False
    image_type = [value.upper() for value in _values(header, "ImageType")]
    if image_type[:2] != table["image_type_begins"]:
        return False
    if rule["third_image_type"] and (len(image_type) < 3 or image_type[2] not in rule["third_image_type"]):
        return False
    if any(word in value for value in image_type for word in table["image_type_words_looked_at"]):
        return False
    if any("\\".join(_values(header, keyword)) not in allowed for keyword, allowed in table["allowed_values"].items()):
        return False
    if any(keyword in header for keyword in table["looked_at_when_present"]):
        return False
    tags = header.keys()  # iterating over the dataset would parse each element
    if any(tag.group in _DRAWN_GROUPS for tag in tags):
        return False
    return not device_boxes(header, shape[0], shape[1], device_rules)


def _values(header: Dataset, keyword: str) -> list[str]:
    value = header.get(keyword)
    if value is None or value == "":
        return []
    return [str(one).strip() for one in value] if isinstance(value, MultiValue) else [str(value).strip()]


def _may_hold_text(picture: Picture) -> bool:
    """Whether anything in the picture is as dense in sharp strokes as a line of text, or too faint to tell."""
    measured = _table()["measured"]
    if min(picture.shape[:2]) < measured["least_side_px"]:
        return True
    full = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., 0])
    if (
        picture.ndim == 3
        and _levels_between_percentiles(full, picture[..., 1]) < measured["least_levels_between_percentiles"]
    ):
        return True
    share: float = measured["dense_share"]
    return densest(full, measured["step_levels"], measured["window_px"]) >= share


def densest(picture: Picture, step_levels: int, window_px: Sequence[int]) -> float:
    """How much of any window of that width and height, lying or standing, is sharp along both axes: the largest share, 0 … 1.

    A point is sharp along an axis where twice its value differs from the sum of its two neighbours by `step_levels` or more;
    of the two axes' shares the smaller one counts, since the edge of a table is sharp along one.  Letters are drawn after
    the reconstruction, so they rise within one pixel both ways, which tissue seen through a scanner seldom does.
    """
    along, across = (_sharp(picture, kernel, step_levels) for kernel in (_CURVATURE, _CURVATURE.T))
    long, short = window_px
    shares = [cv2.min(_share(along, size), _share(across, size)).max() for size in ((long, short), (short, long))]
    return float(max(shares)) / 255


def _sharp(picture: Picture, kernel: NDArray[np.float32], step_levels: int) -> Picture:
    curved = np.abs(cv2.filter2D(picture, cv2.CV_16S, kernel))
    return np.where(curved >= step_levels, np.uint8(255), np.uint8(0))


def _share(sharp: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.boxFilter(sharp, -1, size, borderType=cv2.BORDER_CONSTANT), dtype=np.uint8)


def _levels_between_percentiles(full: Picture, narrow: Picture) -> int:
    """How many of the 256 levels between smallest and largest value the percentile window spans."""
    inside = full[(narrow > 0) & (narrow < 255)]
    return int(inside.max()) - int(inside.min()) if inside.size else 0


@cache
def _table() -> Any:
    return json.loads(files(__package__).joinpath("tables/triage.json").read_text("utf-8"))
