"""What reviewers decided about instances: a log in the identified zone that is only added to, applied on the next run.

Belongs here: the record, the log of a hospital, what stands of it.  Each entry is a decision about one instance, or takes
decisions back; of several about one instance the last one stands.  It names instances by their objects' pseudonyms and holds
boxes and codes, never a value of the object.  Decisions are requests of people to the graph, like releases, and lie in the same
bucket under a prefix that no release can have.

Entries are sealed with the hospital's key, each over the one before (`seals.SealedLog`).  One that is missing, was changed,
was put back or is another hospital's stops the reading.  Entries cut off the end leave no trace (docs/boundary.md): the rights
in `deploy/` let nobody delete one.
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
from gradient_assets.seals import LogEntry, SealBroken, SealedLog, Seals
from resources.buckets.object_store import Bucket, ObjectExists
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
_ENTRY_FIELDS = {"decision", "taken_back"}
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
    """Where a hospital's log lies.  Raises `SettingsError` in a process without the identified zone."""
    return resources.release_requests.under(f"{PREFIX}/{hospital_id}")


def decisions_of(resources: Resources, hospital_id: str) -> dict[str, Decision]:
    """The decisions of a hospital that stand, by object pseudonym.

    Raises `ReviewError` for a log that is not as it was written: whatever it says now, an entry of it may have been a
    quarantine or a box, and going on without it would pass the object on.  Raises what the vault and the registry raise.
    """
    if next(iter(decisions_bucket(resources, hospital_id).listing()), None) is None:
        return {}  # a hospital that nobody reviewed needs no key here
    settings = resources.settings
    registry = load_registry(registry_path(settings.values), home=settings.home)
    return DecisionLog.of(resources, registry.get(hospital_id)).standing()


class DecisionLog:
    """The log of one hospital.  For one thread at a time; several processes may add to it at once, and none loses an entry."""

    def __init__(self, hospital_id: str, log: SealedLog) -> None:
        self.hospital_id = hospital_id
        self._log = log
        self._standing: dict[str, Decision] = {}
        self._length, self._seal = 0, ""

    @classmethod
    def of(cls, resources: Resources, hospital: Hospital) -> DecisionLog:
        """One hospital's entries are none of another's.  Raises `MissingKey` and `KeyChanged`."""
        place = f"{PREFIX}/{hospital.id}"
        sealers = Seals.of(resources, hospital.secret_name, place).sealers
        return cls(hospital.id, SealedLog(decisions_bucket(resources, hospital.id), place, sealers))

    def standing(self) -> dict[str, Decision]:
        """What stands now, by object pseudonym.  Raises `ReviewError`."""
        self._catch_up()
        return dict(self._standing)

    def keep(self, decision: Decision, *, instead_of: Iterable[str] = ()) -> None:
        """Add a decision, in place of what was decided of the instance, also under these names.  Raises `ReviewError`."""
        self._add({"decision": _fields_of(decision), "taken_back": sorted(instead_of)})

    def take_back(self, object_pseudonyms: Iterable[str]) -> int:
        """Take back what stands of these instances, and say of how many.  Raises `ReviewError`."""
        self._catch_up()
        standing = sorted(self._standing.keys() & set(object_pseudonyms))
        if standing:
            self._add({"decision": None, "taken_back": standing})
        return len(standing)

    def _add(self, content: dict[str, Any]) -> None:
        while True:
            length = self._length
            try:
                added = self._log.append(length + 1, content, self._seal)
            except ObjectExists:
                self._catch_up()  # somebody else was first: this one goes behind theirs
                if self._length == length:
                    raise self._broken("an entry is missing, or a foreign file lies there") from None
            else:
                self._take_in(added)
                return

    def _catch_up(self) -> None:
        try:
            for entry in self._log.read(self._length, self._seal):
                self._take_in(entry)
        except SealBroken as error:
            what = str(error)
        except (ReviewError, ValueError, TypeError, KeyError):
            what = "an entry that is none"
        else:
            return
        raise self._broken(what)

    def _take_in(self, entry: LogEntry) -> None:
        if set(entry.content) != _ENTRY_FIELDS:
            raise ReviewError("An entry has other fields.")
        decision = _parsed(entry.content["decision"]) if entry.content["decision"] is not None else None
        for name in entry.content["taken_back"]:
            self._standing.pop(name, None)
        if decision is not None:
            self._standing[decision.object_pseudonym] = decision
        self._length, self._seal = self._length + 1, entry.seal

    def _broken(self, what: str) -> ReviewError:
        return ReviewError(
            f"The review decisions of hospital '{self.hospital_id}' can't be relied on ({what}), and nothing is made by them. "
            f"Restore the files under {PREFIX}/{self.hospital_id} from a copy; or delete them all, also those of versions "
            "before this log, and review the hospital again."
        )


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


def _fields_of(decision: Decision) -> dict[str, Any]:
    return {
        "object_pseudonym": decision.object_pseudonym,
        "made_on": decision.made_on,
        "verdict": decision.verdict,
        "boxes": [box.as_dict() for box in decision.boxes],
        "reviewer": decision.reviewer,
        "decided_at": decision.decided_at,
        "drawn_by_chance": decision.drawn_by_chance,
    }


def _parsed(fields: Mapping[str, Any]) -> Decision:
    if set(fields) != _FIELDS:
        raise ReviewError("A decision has other fields.")
    return Decision(**{**fields, "boxes": boxes_from(fields["boxes"])})


def _filled(boxes: Iterable[AddedBox]) -> tuple[Box, ...]:
    return tuple(
        Box(box.left, box.top, box.width, box.height, SOURCE, 1.0, ALL_FRAMES if box.frame is None else box.frame)
        for box in boxes
    )
