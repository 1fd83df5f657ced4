"""Which instances a person should look at, and in what order.

Belongs here: reading what the pixel engine said of each instance (`pixel_text`), the signs of doubt, the order, the random
sample.  What is shown of an instance is `redaction`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gradient_assets.deid.headers import replaced_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels import declared_regions, device_rules
from gradient_assets.deid.pixels.lines import KNOWN_IDENTIFIER
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.review.decisions import SOURCE, Decision, ReviewError
from gradient_assets.tables import DICOM_METADATA, PIXEL_TEXT
from resources.warehouses.warehouse import Warehouse

Only = Literal["all", "redacted", "unsure", "sample"]

UNSURE_SCORE = 0.6
"""The finder keeps boxes in which it read nothing from this score on (`gate.UNREAD_SCORE`); below, it was in doubt."""

MANY_BOXES = 40
"""Boxes on one frame.  Burned-in overlays of scanners have up to about 30 lines; more is a form, a table or texture."""

SAMPLE_SHARE, SMALLEST_SAMPLE = 0.02, 20

LOW_SCORE, MANY, KEPT, SECOND, AUDITED = "low score", "many boxes", "text kept", "second finder", "audit"
_WEIGHT = {KEPT: 5, SECOND: 4, LOW_SCORE: 3, MANY: 2, AUDITED: 1}
"""What stands in the picture for all to read comes first, then what one finder saw and the other did not, then doubt."""


NO_FINDERS = {declared_regions.SOURCE, device_rules.SOURCE, KNOWN_IDENTIFIER, SOURCE}
"""Sources of boxes that nobody had to find in the picture."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One instance to look at.  `instance_uid` is the new UID, `work_token` the one without a decision in it."""

    item: WorkItem = field(repr=False)
    instance_uid: str
    verdict: str
    boxes: int
    lowest_score: float | None
    doubts: tuple[str, ...]

    @property
    def pseudonym(self) -> str:
        """The object's pseudonym."""
        return self.item["object_pseudonym"]

    @property
    def work_token(self) -> str:
        """The work token of what is shown, without a decision in it."""
        return self.item["work_token"]


@dataclass
class _Said:
    """What `pixel_text` says of one instance."""

    verdict: str = ""
    boxes: int = 0
    kept: int = 0
    look: str = ""
    lowest: float | None = None
    sources: set[str] = field(default_factory=set)
    by_frame: dict[int, int] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        if row["box"] == 0:
            self.verdict, self.boxes = row["verdict"], row["boxes"]
            self.kept, self.look = row.get("kept") or 0, row.get("look") or ""
            return
        self.sources.add(row["source"] or "")
        frame = row["frame"] or 0
        self.by_frame[frame] = self.by_frame.get(frame, 0) + 1
        if row["score"] is not None and (self.lowest is None or row["score"] < self.lowest):
            self.lowest = row["score"]

    def doubts(self, finder: str) -> tuple[str, ...]:
        """The signs of doubt; `finder` is the name of the first one."""
        signs = (
            (KEPT, self.kept > 0),
            (SECOND, bool(self.sources - NO_FINDERS - {finder})),
            (LOW_SCORE, self.lowest is not None and self.lowest < UNSURE_SCORE),
            (MANY, max(self.by_frame.values(), default=0) >= MANY_BOXES),
            (AUDITED, self.look == "audited"),
        )
        return tuple(name for name, holds in signs if holds)


def subjects(source: WorkSource, step: MakeThumbnails, decisions: Mapping[str, Decision], only: Only) -> list[Subject]:
    """The instances with pixels that the step redacts: those that need eyes most first, what was decided and holds last.

    One that was quarantined in review has no row any more, and is still listed, so that it can be taken back.  Raises
    `ReviewError` when the hospital has no thumbnails yet.
    """
    hospital, warehouse, identity = source.hospital, source.warehouse, source.identity
    if hospital.id not in warehouse.partitions(PIXEL_TEXT):
        raise ReviewError(
            f"Hospital '{hospital.id}' has no thumbnails yet. `gradient run --hospital {hospital.id}` makes them."
        )
    said = _said(warehouse, hospital.id)
    new_uids = _new_uids(warehouse, hospital.id, identity)
    found = []
    for item in source.pixels(step.version):
        uid = new_uids[item["object_key"]]
        about = said.get(uid)
        if about is None and item["object_pseudonym"] in decisions:
            found.append(Subject(item, uid, "quarantined", 0, None, ()))
        elif about is not None and about.verdict != "no_pixels":
            found.append(Subject(item, uid, about.verdict, about.boxes, about.lowest, about.doubts(step.finder.name)))
    return sorted(_chosen(found, only), key=lambda subject: _place(subject, decisions.get(subject.pseudonym)))


def carried_over(
    source: WorkSource, version: str, decisions: Mapping[str, Decision]
) -> tuple[dict[str, Decision], dict[str, tuple[str, ...]]]:
    """Decisions under the objects' names of today, and each such name with those before it, which a file may still have.

    A rotation of the key renames every object and work token; what a person has seen is the same.  A decision under a newer
    name counts, as for the stages.
    """
    found, former_names = dict(decisions), {}
    for item in source.pixels(version):
        name = item["object_pseudonym"]
        former = {one.token("object", item["object_key"]): one for one in source.former}
        former_names[name] = tuple(former)
        older = next((one for one in former if one in decisions), None)
        if name not in decisions and older is not None:
            decision = decisions[older]
            same = decision.made_on == source.pixel_token(former[older], version, item)
            made_on = item["work_token"] if same else decision.made_on
            found[name] = replace(decision, object_pseudonym=name, made_on=made_on)
    return found, former_names


def is_pending(subject: Subject, decision: Decision | None) -> bool:
    """Whether somebody still has to look: nothing was decided, or an accept was made on another engine's picture."""
    return decision is None or not decision.holds_for(subject.work_token)


def _place(subject: Subject, decision: Decision | None) -> tuple[bool, int, bool, float, int, str]:
    weight = sum(_WEIGHT[doubt] for doubt in subject.doubts)
    lowest = 1.0 if subject.lowest_score is None else subject.lowest_score
    # The pseudonym is random with respect to the object: it mixes what is equal in all else.
    return (
        not is_pending(subject, decision),
        -weight,
        subject.verdict != "redacted",
        lowest,
        -subject.boxes,
        subject.pseudonym,
    )


def _chosen(found: list[Subject], only: Only) -> list[Subject]:
    match only:
        case "redacted":
            return [subject for subject in found if subject.boxes]
        case "unsure":
            return [subject for subject in found if subject.doubts]
        case "sample":
            size = max(SMALLEST_SAMPLE, round(SAMPLE_SHARE * len(found)))
            return sorted(found, key=lambda subject: subject.pseudonym)[:size]
        case "all":
            return found


def _said(warehouse: Warehouse, hospital_id: str) -> dict[str, _Said]:
    said: dict[str, _Said] = {}
    wanted = ("sop_instance_uid", "box", "verdict", "boxes", "frame", "source", "score", "kept", "look")
    columns = [name for name in wanted if name in PIXEL_TEXT.column_names]
    for batch in warehouse.scan(PIXEL_TEXT, hospital_id, columns=columns):
        for row in batch.to_pylist():
            said.setdefault(row["sop_instance_uid"], _Said()).add(row)
    return said


def _new_uids(warehouse: Warehouse, hospital_id: str, identity: Pseudonymizer) -> dict[str, str]:
    columns = ("object_key", "sop_instance_uid")
    return {
        row["object_key"]: replaced_uid(row["sop_instance_uid"], identity.uid)
        for batch in warehouse.scan(DICOM_METADATA, hospital_id, columns=columns)
        for row in batch.to_pylist()
    }
