"""One reviewer's sitting: the instances in their order, what is shown of them, what is decided.

Belongs here: turning a reviewer's wishes into decisions, undo, and what the page is told of an instance: pseudonyms, counts,
codes and geometry only.  HTTP is `server`'s business.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels import TextFinder
from gradient_assets.deid.reasons import EXPLANATIONS, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.thumbnails import MakeThumbnails, stage_version
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.review.decisions import Decision, DecisionLog, ReviewError, Verdict, boxes_from, check_reviewer
from gradient_assets.review.listing import Only, Subject, carried_over, is_pending, subjects
from gradient_assets.review.redaction import Redacted, Redactor, View
from resources.environment import Resources

WAIT_S = 2.0
"""How long an answer may wait for a redaction that is under way, before it says so."""


class NotReady(Exception):  # noqa: N818  an outcome, not an error
    """The picture is still being made."""


@dataclass
class Session:
    """A sitting.  Its methods may be called from several threads."""

    hospital_id: str
    reviewer: str
    subjects: list[Subject] = field(repr=False)
    decisions: dict[str, Decision] = field(repr=False)
    log: DecisionLog = field(repr=False)
    redactor: Redactor
    by_chance: bool = False
    """The instances are a sample: none of them was chosen by a person."""
    former_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Object pseudonym → those under the versions of the key before."""
    _seen: set[str] = field(default_factory=set, repr=False)
    _undo: list[tuple[int, Decision | None]] = field(default_factory=list, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def open(
        cls, resources: Resources, hospital: Hospital, reviewer: str, only: Only, finder: TextFinder | None = None
    ) -> Session:
        """A sitting over a hospital's instances.

        Needs the identified zone, as the thumbnails' stage does, and redacts as that stage does (finder, version).  Raises
        `ReviewError` without thumbnails or when nothing is to be looked at, and what the vault and the stores raise.
        """
        check_reviewer(reviewer)
        identity = Pseudonymizer(resources.key(hospital.secret_name), hospital.id)
        former = tuple(Pseudonymizer(key, hospital.id) for key in resources.former_keys(hospital.secret_name))
        source = WorkSource(hospital, resources.warehouse, identity, former)
        finder = finder or resources.text_finder
        originals = resources.hospital_bucket(hospital, "dicoms")
        profile = Profile.of(hospital.profile)
        version = stage_version(finder, profile)
        step = MakeThumbnails(hospital, originals, identity, profile, finder, version=version)
        log = DecisionLog.of(resources, hospital)
        decisions, former_names = carried_over(source, step.version, log.standing())
        listed = subjects(source, step, decisions, only)
        if not listed:
            which = "" if only == "all" else f" with --only {only}"
            raise ReviewError(f"Hospital '{hospital.id}' has nothing to review{which}.")
        return cls(
            hospital.id,
            reviewer,
            listed,
            decisions,
            log,
            Redactor(step),
            only == "sample",
            former_names=former_names,
        )

    @property
    def decisions_made(self) -> int:
        """How many decisions of this sitting stand."""
        return len(self._undo)

    def close(self) -> None:
        """Forget every picture."""
        self.redactor.close()

    def start(self) -> int:
        """Index of the first instance that somebody has to look at; 0 when none is left."""
        with self._lock:
            return next((index for index in range(len(self.subjects)) if self._is_pending(index)), 0)

    def about(self, index: int) -> dict[str, Any]:
        """What the page says of an instance and of the sitting.  Raises `IndexError`."""
        subject = self._subject(index)
        with self._lock:
            decision = self.decisions.get(subject.pseudonym)
            return {
                "index": index,
                "total": len(self.subjects),
                "pending": sum(self._is_pending(i) for i in range(len(self.subjects))),
                "next_pending": self._next_pending(index),
                "undo": len(self._undo),
                "hospital": self.hospital_id,
                "reviewer": self.reviewer,
                "object": subject.pseudonym,
                "instance": subject.instance_uid,
                "verdict": subject.verdict,
                "boxes": subject.boxes,
                "lowest_score": subject.lowest_score,
                "doubts": list(subject.doubts),
                "decision": None if decision is None else _told(decision, subject),
            }

    def look(self, index: int) -> dict[str, Any]:
        """How far the instance's picture is; the next pending one is made after it."""
        subject = self._subject(index)
        with self._lock:
            following = self._next_pending(index)
            ahead = following if following is not None and following != index else (index + 1) % len(self.subjects)
        wanted = {i: self.subjects[i].item for i in (index, ahead)}
        self.redactor.want(list(wanted.values()))
        outcome = self.redactor.outcome(subject.pseudonym, WAIT_S)
        if outcome is None:
            return {"state": "working"}
        if isinstance(outcome, Refused):
            return {"state": "refused", "reason": outcome.reason.value, "meaning": EXPLANATIONS[outcome.reason].meaning}
        rows, columns, frames = outcome.size
        return {"state": "ready", "rows": rows, "columns": columns, "frames": frames}

    def boxes(self, index: int, frame: int) -> list[dict[str, Any]]:
        """The engine's boxes on one frame.  Raises `NotReady`, `Refused`, `IndexError`."""
        shown = self._redacted(index)
        return [
            {
                "left": box.left,
                "top": box.top,
                "width": box.width,
                "height": box.height,
                "source": box.source,
                "score": round(float(box.score), 2),
            }
            for box in shown.boxes
            if box.frame == frame
        ]

    def png(self, index: int, frame: int, view: View) -> bytes:
        """One redacted frame.  Raises `NotReady`, `Refused`, `IndexError`."""
        picture = self._redacted(index).png(frame, view)
        self._seen.add(self._subject(index).pseudonym)
        return picture

    def decide(self, index: int, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a decision: `verdict` and, for box, `boxes`; an empty verdict takes it back.  Returns `about`.

        Raises `ReviewError` for what can't be decided so: accepting or marking a picture that was not shown, a box outside
        of it.
        """
        subject = self._subject(index)
        if set(wish) != {"verdict", "boxes"}:
            raise ReviewError("A decision has verdict and boxes.")
        verdict, boxes = wish["verdict"], boxes_from(wish["boxes"])
        decision = None
        if verdict != "":
            if verdict != "quarantine" and subject.pseudonym not in self._seen:
                raise ReviewError("The picture was not shown yet.")
            if boxes and not all(box.fits(*self._redacted(index).size) for box in boxes):
                raise ReviewError("A box lies outside of the picture.")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            decision = Decision(
                subject.pseudonym, subject.work_token, cast(Verdict, verdict), boxes, self.reviewer, now, self.by_chance
            )
        with self._lock:
            before = self.decisions.get(subject.pseudonym)
            if decision is not None and before is not None and before.drawn_by_chance:
                # Or deciding anew in a sitting of one's own choice would take a miss out of the sample.
                decision = replace(decision, drawn_by_chance=True)
            self._keep(subject.pseudonym, decision)
            self._undo.append((index, before))
            return self.about(index)

    def undo(self) -> dict[str, Any]:
        """Take the last decision of this sitting back, and put in place what stood before.  Raises `ReviewError`."""
        with self._lock:
            if not self._undo:
                raise ReviewError("There is nothing to undo in this sitting.")
            index, before = self._undo[-1]
            self._keep(self.subjects[index].pseudonym, before)
            self._undo.pop()
            return self.about(index)

    def _keep(self, pseudonym: str, decision: Decision | None) -> None:
        # With the names before a rotation, or the stages would go by what was decided then once nothing stands under today's.
        former = self.former_names.get(pseudonym, ())
        if decision is None:
            self.log.take_back((pseudonym, *former))
            self.decisions.pop(pseudonym, None)
        else:
            self.log.keep(decision, instead_of=former)
            self.decisions[pseudonym] = decision

    def _subject(self, index: int) -> Subject:
        if not 0 <= index < len(self.subjects):
            raise IndexError(index)
        return self.subjects[index]

    def _redacted(self, index: int) -> Redacted:
        outcome = self.redactor.outcome(self._subject(index).pseudonym)
        if outcome is None:
            raise NotReady
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def _is_pending(self, index: int) -> bool:
        subject = self.subjects[index]
        return is_pending(subject, self.decisions.get(subject.pseudonym))

    def _next_pending(self, index: int) -> int | None:
        following = [*range(index + 1, len(self.subjects)), *range(index)]
        return next((i for i in following if self._is_pending(i)), None)


def _told(decision: Decision, subject: Subject) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "boxes": [box.as_dict() for box in decision.boxes],
        "reviewer": decision.reviewer,
        "decided_at": decision.decided_at,
        "stale": not decision.holds_for(subject.work_token),
    }
