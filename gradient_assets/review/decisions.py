"""What reviewers decided about instances: kept in the identified zone, applied on the next run.

Belongs here: the record, its file, reading a hospital's decisions.  There is one JSON object per instance, put in place as
a whole, under the seal of the hospital's key; it names the instance by its object's pseudonym and holds boxes and codes,
never a value of the object.  Decisions are requests of people to the graph, like releases, and lie in the same bucket under
a prefix that no release can have.

A seal says that a file was made here and for this instance.  A file that was taken away, or an older one of the same
instance put back, leaves no trace (docs/boundary.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from gradient_assets.deid.pixels.boxes import ALL_FRAMES, Box
from gradient_assets.hospitals import Hospital, load_registry, registry_path
from gradient_assets.seals import Seals
from resources.buckets.object_store import Bucket
from resources.environment import Resources

Verdict = Literal["accept", "box", "quarantine"]

SOURCE = "review"
"""Who found a reviewer's box, as `Box.source` says it."""

PREFIX = "_reviews"
"""Begins with what no release's name begins with."""

MAX_BOXES = 200
"""Boxes that one decision may add: whoever wants more wants to quarantine."""

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_REVIEWER = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_FIELDS = {"object_pseudonym", "made_on", "verdict", "boxes", "reviewer", "decided_at", "drawn_by_chance"}
_BOX_FIELDS = {"left", "top", "width", "height", "frame"}


class ReviewError(Exception):
    """A review can't be held or read as wished; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class AddedBox:
    """A rectangle that a person wants black: stored pixels, of one frame (from 0) or, with None, of all."""

    left: int
    top: int
    width: int
    height: int
    frame: int | None = None

    def __post_init__(self) -> None:
        whole = (self.left, self.top, self.width, self.height, 0 if self.frame is None else self.frame)
        if any(type(number) is not int for number in whole):
            raise ReviewError("A box has whole numbers.")
        if self.left < 0 or self.top < 0 or self.width < 1 or self.height < 1 or (self.frame or 0) < 0:
            raise ReviewError("A box lies within the picture and has a width and a height.")

    def fits(self, rows: int, columns: int, frames: int) -> bool:
        """Whether it lies within a picture of that size."""
        return (
            self.left + self.width <= columns
            and self.top + self.height <= rows
            and (self.frame is None or self.frame < frames)
        )

    def as_dict(self) -> dict[str, int | None]:
        """For JSON."""
        return {
            "left": self.left,
            "top": self.top,
            "width": self.width,
            "height": self.height,
            "frame": self.frame,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided about one instance.

    `made_on` is the work token, without any decision in it, of what was shown: another engine or another object has
    another.  `decided_at` is ISO 8601 with its offset.  `drawn_by_chance`: the instance came before a person's eyes because
    the sample drew it, not because somebody chose it; bounds are taken from such looks alone.  Raises `ReviewError` when the
    parts don't fit together.
    """

    object_pseudonym: str
    made_on: str
    verdict: Verdict
    boxes: tuple[AddedBox, ...]
    reviewer: str
    decided_at: str
    drawn_by_chance: bool = False

    def __post_init__(self) -> None:
        if not all(
            isinstance(name, str) and _PSEUDONYM.fullmatch(name) for name in (self.object_pseudonym, self.made_on)
        ):
            raise ReviewError("A decision names the object's pseudonym and its work token.")
        if self.verdict not in get_args(Verdict):
            raise ReviewError(f"A decision is one of {', '.join(get_args(Verdict))}.")
        if (self.verdict == "box") != bool(self.boxes) or len(self.boxes) > MAX_BOXES:
            raise ReviewError(f"The decision box has 1 to {MAX_BOXES} boxes, the others have none.")
        check_reviewer(self.reviewer)
        try:
            aware = datetime.fromisoformat(self.decided_at).tzinfo is not None
        except (TypeError, ValueError):
            aware = False
        if not aware:
            raise ReviewError("A decision has the time it was made at, with its offset.")
        if type(self.drawn_by_chance) is not bool:
            raise ReviewError("A decision says whether the instance was drawn by chance.")

    @property
    def digest(self) -> str:
        """What it changes in the result, as a part of a work token; empty for accept, which changes nothing."""
        if self.verdict == "accept":
            return ""
        boxes = sorted(json.dumps(box.as_dict(), sort_keys=True) for box in self.boxes)
        return hashlib.sha256("\x1f".join((self.verdict, *boxes)).encode()).hexdigest()

    def holds_for(self, work_token: str) -> bool:
        """Whether it is still said of what is shown now: an accept of an older engine's picture is not; all else holds on."""
        return self.verdict != "accept" or self.made_on == work_token


def added_boxes(kept: Iterable[Mapping[str, Any]]) -> tuple[Box, ...]:
    """Boxes of a work item (`AddedBox.as_dict`) as `PixelEngine.clean` takes them."""
    return _filled(AddedBox(**one) for one in kept)


def check_reviewer(name: str) -> str:
    """The name, if it can stand in a decision.  Raises `ReviewError`."""
    if not isinstance(name, str) or not _REVIEWER.fullmatch(name):
        raise ReviewError("A reviewer's name has 1 to 60 characters on one line.")
    return name


def decisions_bucket(resources: Resources, hospital_id: str) -> Bucket:
    """Where a hospital's decisions lie.  Raises `SettingsError` in a process without the identified zone."""
    return resources.release_requests.under(f"{PREFIX}/{hospital_id}")


def decisions_of(resources: Resources, hospital_id: str) -> dict[str, Decision]:
    """All decisions of a hospital by object pseudonym.

    Raises `ReviewError` for a file that can't be understood, or that is not as it was written: whatever it says now, it may
    have been a quarantine or a box, and going on without it would pass the object on.  Raises what the vault and the
    registry raise.
    """
    bucket, seals = decisions_bucket(resources, hospital_id), None
    found: dict[str, Decision] = {}
    for stat in bucket.listing():
        if seals is None:  # a hospital that nobody reviewed needs no key here
            seals = seals_of(resources, _registered(resources, hospital_id))
        try:
            decision = _parsed(seals.opened(stat.key, bucket.get(stat.key)))
            understood = stat.key == f"{decision.object_pseudonym}.json"
        except (ReviewError, ValueError, TypeError, KeyError, RecursionError):
            understood = False
        if not understood:
            raise ReviewError(
                f"A review decision of hospital '{hospital_id}' can't be read, or was not made here: {_shown(stat.key)}. "
                "Restore the file, or delete it and review the instance again."
            )
        found[decision.object_pseudonym] = decision
    return found


def seals_of(resources: Resources, hospital: Hospital) -> Seals:
    """What seals a hospital's decisions; one hospital's are none of another's.  Raises `MissingKey` and `KeyChanged`."""
    return Seals.of(resources, hospital.secret_name, f"{PREFIX}/{hospital.id}")


def save_decision(bucket: Bucket, seals: Seals, decision: Decision) -> None:
    """Keep it under its seal, in place of an earlier one about the same instance."""
    content = {
        "object_pseudonym": decision.object_pseudonym,
        "made_on": decision.made_on,
        "verdict": decision.verdict,
        "boxes": [box.as_dict() for box in decision.boxes],
        "reviewer": decision.reviewer,
        "decided_at": decision.decided_at,
        "drawn_by_chance": decision.drawn_by_chance,
    }
    bucket.put(f"{decision.object_pseudonym}.json", seals.closed(f"{decision.object_pseudonym}.json", content))


def forget_decision(bucket: Bucket, object_pseudonym: str) -> None:
    """Take it back; one that is not there is no error."""
    bucket.delete(f"{object_pseudonym}.json")


def reviewed_counts(decisions: Iterable[Decision]) -> dict[str, int]:
    """How many decisions of each kind there are, for the asset's metadata."""
    made = [decision.verdict for decision in decisions]
    return {verdict: made.count(verdict) for verdict in get_args(Verdict)}


def boxes_from(parsed: Any) -> tuple[AddedBox, ...]:
    """Boxes out of parsed JSON.  Raises `ReviewError`."""
    if not isinstance(parsed, list) or len(parsed) > MAX_BOXES:
        raise ReviewError(f"Boxes are a list of up to {MAX_BOXES}.")
    if not all(isinstance(box, dict) and set(box) == _BOX_FIELDS for box in parsed):
        raise ReviewError(f"A box has {', '.join(sorted(_BOX_FIELDS))}.")
    return tuple(AddedBox(**box) for box in parsed)


def _registered(resources: Resources, hospital_id: str) -> Hospital:
    settings = resources.settings
    return load_registry(registry_path(settings.values), home=settings.home).get(hospital_id)


def _parsed(fields: dict[str, Any]) -> Decision:
    if set(fields) != _FIELDS:
        raise ReviewError("A decision has other fields.")
    boxes = boxes_from(fields.pop("boxes"))
    return Decision(**fields, boxes=boxes)


def _shown(key: str) -> str:
    # Anybody can put a file there; its name is shown only when it is one of ours.
    return key if _PSEUDONYM.fullmatch(key.removesuffix(".json")) else "a file with a foreign name"


def _filled(boxes: Iterable[AddedBox]) -> tuple[Box, ...]:
    return tuple(
        Box(box.left, box.top, box.width, box.height, SOURCE, 1.0, ALL_FRAMES if box.frame is None else box.frame)
        for box in boxes
    )
