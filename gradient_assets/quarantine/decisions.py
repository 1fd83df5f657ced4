"""What people decided about quarantined items: a log that is only added to, and what stands of it.

Belongs here: the record of one decision, the log of a hospital, and which of several is in force.  Each decision is one entry
in the identified zone, beside reviews and requests for releases.  It names items by pseudonym, and may be about many at once.

Entries are sealed with the hospital's key, each over the one before (`seals.SealedLog`): one that is missing may have taken an
acceptance back.  Entries cut off the end leave no trace (docs/boundary.md): the rights in `deploy/` let nobody delete one.

A decision holds for the work token it was made on, and names the token that the item has from then on.  So an item is done
again because of it exactly once, and another object, engine, profile or knowledge of the patient, which all change the
token, end it.  Of two decisions on the same token the later one holds; the log has both.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from gradient_assets.deid.reasons import ACCEPTABLE, Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.seals import LogEntry, SealBroken, SealedLog, Seals
from gradient_assets.tables import TOKEN_PATTERN
from resources.buckets.object_store import Bucket, ObjectExists
from resources.environment import Resources

Action = Literal["retry", "accept", "drop"]
Status = Literal["open", "accepted", "dropped"]

PREFIX = "_quarantine"
"""Begins with what no release's name begins with."""

MAX_WHY = 500
"""Characters of a decision's reason: a sentence or three."""

_TOKEN = re.compile(TOKEN_PATTERN)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_WHY = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_WHY}}}")


class QuarantineError(Exception):
    """The work list can't be read or changed as wished; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One refusal that a decision is about, as it stood in its table.

    `becomes` is the work token the item has from then on; empty where the decision asks for nothing to be done (`drop`).
    """

    stage: str
    release: str
    object_pseudonym: str
    row_number: int
    reason: str
    detail: str
    engine_version: str
    work_token: str
    becomes: str = ""

    def __post_init__(self) -> None:
        texts = (self.stage, self.release, self.reason, self.detail, self.engine_version)
        if not all(isinstance(text, str) for text in texts) or type(self.row_number) is not int:
            raise QuarantineError("A decided item has texts and a row number.")
        tokens = (self.object_pseudonym, self.work_token, self.becomes or self.work_token)
        if not all(isinstance(token, str) and _TOKEN.fullmatch(token) for token in tokens):
            raise QuarantineError("A decided item names the object's pseudonym and work tokens.")


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what about which items, when (ISO 8601, UTC) and why.  Raises `QuarantineError` if the parts don't fit."""

    action: Action
    decided_by: str
    why: str
    decided_at: str
    items: tuple[Decided, ...]

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise QuarantineError(f"A decision is one of {', '.join(get_args(Action))}.")
        check_name(self.decided_by)
        check_why(self.why, needed=self.action != "retry")
        try:
            aware = datetime.fromisoformat(self.decided_at).utcoffset() is not None
        except (TypeError, ValueError):
            aware = False
        if not aware:
            raise QuarantineError("A decision has the time it was made at, with its offset.")
        if not self.items or any(bool(item.becomes) == (self.action == "drop") for item in self.items):
            raise QuarantineError("A decision is about something; an item has a new token unless it is dropped.")
        if self.action == "accept" and any(item.reason not in ACCEPTABLE for item in self.items):
            raise QuarantineError(f"Only {acceptable_codes()} can be accepted.")


@dataclass(frozen=True)
class Decisions:
    """All decisions of one hospital in the order in which they were added, and what of them is in force."""

    log: tuple[Decision, ...] = ()
    _last: dict[tuple[str, int], tuple[Decision, Decided]] = field(init=False, repr=False, default_factory=dict)
    _moves: dict[str, tuple[Decision, Decided]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for decision in self.log:
            for item in decision.items:
                self._last[item.work_token, item.row_number] = decision, item
        order = {id(decision): number for number, decision in enumerate(self.log)}
        for decision, item in sorted(self._last.values(), key=lambda pair: order[id(pair[0])]):
            if item.becomes:
                self._moves[item.work_token] = decision, item

    def of(self, object_pseudonym: str) -> Iterator[tuple[Decision, Decided]]:
        """What was decided about one object, oldest first; what is no longer in force too."""
        for decision in self.log:
            for item in decision.items:
                if item.object_pseudonym == object_pseudonym:
                    yield decision, item

    def status(self, work_token: str, row_number: int) -> Status:
        """How a refusal stands.  `accepted`: it passes at the next run; one to be retried is open."""
        decision, _ = self._last.get((work_token, row_number), (None, None))
        if decision is None or decision.action == "retry":
            return "open"
        return "dropped" if decision.action == "drop" else "accepted"

    def now(self, work_token: str) -> tuple[str, dict[str, list[str]]]:
        """The token of an item once everything decided about it is applied, and the findings accepted for it."""
        accepted: dict[str, list[str]] = {}
        seen = {work_token}
        while work_token in self._moves:
            decision, item = self._moves[work_token]
            if decision.action == "retry":
                accepted = {}
            else:
                accepted.setdefault(item.reason, []).append(item.detail)
            work_token = item.becomes
            if work_token in seen:
                raise QuarantineError("A quarantine decision leads back to itself. Remove it from the log.")
            seen.add(work_token)
        return work_token, accepted

    def applied(self, items: Iterable[WorkItem]) -> Iterator[WorkItem]:
        """Work items as the decisions change them: another token for what is done again, `accepted` for what passes."""
        for item in items:
            item["work_token"], accepted = self.now(item["work_token"])
            if accepted:
                item["accepted"] = accepted
            yield item

    def accepted(self) -> dict[str, tuple[Decided, dict[str, list[str]]]]:
        """Work token → item and findings, for each acceptance that no later decision took back.

        Whether it still holds shows in the tables: one that ended has no row with its token.
        """
        targets = {item.becomes for _, item in self._moves.values()}
        found = {}
        for start in self._moves.keys() - targets:
            token, findings = self.now(start)
            if findings:
                found[token] = next(item for _, item in self._moves.values() if item.becomes == token), findings
        return found

    def last_words(self) -> Iterator[tuple[Decided, Status]]:
        """Each item that was decided about with its status, for the table that the quarantine is joined with."""
        for (work_token, row_number), (_, item) in sorted(self._last.items(), key=lambda pair: pair[0]):
            yield item, self.status(work_token, row_number)


def check_name(name: str) -> str:
    """The name, if it can stand in a decision.  Raises `QuarantineError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.strip():
        raise QuarantineError("A name has 1 to 60 characters on one line.")
    return name


def check_why(why: str, *, needed: bool) -> str:
    """The reason, if it can stand in a decision.  Raises `QuarantineError`."""
    if not isinstance(why, str) or (needed and not why.strip()) or (why and not _WHY.fullmatch(why)):
        raise QuarantineError(f"A reason has 1 to {MAX_WHY} characters on one line.")
    return why


def acceptable_codes() -> str:
    """The codes that may be accepted, for a sentence."""
    return ", ".join(reason.value for reason in Reason if reason in ACCEPTABLE)


def fresh_token() -> str:
    """A work token that nothing has yet.  It is drawn, not derived: the log keeps it."""
    return secrets.token_hex(16)


def decided_now() -> str:
    """This moment as a decision writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def log_bucket(resources: Resources, hospital_id: str) -> Bucket:
    """Where a hospital's log lies.  Raises `SettingsError` in a process without the identified zone."""
    return resources.release_requests.under(f"{PREFIX}/{hospital_id}")


def keep(resources: Resources, hospital: Hospital, decision: Decision) -> None:
    """Add a decision to the hospital's log.  Raises as `decisions_of`: nothing is added to a log that is broken."""
    log, length = _log(resources, hospital), -1
    while True:
        entries = [entry for entry, _ in _read(log, hospital)]
        if len(entries) == length:
            raise _broken(hospital, "an entry is missing, or a foreign file lies there")
        length = len(entries)
        with suppress(ObjectExists):  # somebody else was first: this one goes behind theirs
            log.append(length + 1, asdict(decision), entries[-1].seal if entries else "")
            return


def decisions_of(resources: Resources, hospital: Hospital) -> Decisions:
    """The log of a hospital.

    Raises `QuarantineError` for a log that is not as it was written: it may take an acceptance back, or make one up, and going
    on would pass the object on.  Raises what the vault raises.
    """
    if next(iter(log_bucket(resources, hospital.id).listing()), None) is None:
        return Decisions()  # a hospital nobody decided about needs no key here
    return Decisions(tuple(decision for _, decision in _read(_log(resources, hospital), hospital)))


def _log(resources: Resources, hospital: Hospital) -> SealedLog:
    """One hospital's entries are none of another's.  Raises what the vault raises."""
    place = f"{PREFIX}/{hospital.id}"
    return SealedLog(
        log_bucket(resources, hospital.id), place, Seals.of(resources, hospital.secret_name, place).sealers
    )


def _read(log: SealedLog, hospital: Hospital) -> list[tuple[LogEntry, Decision]]:
    try:
        return [(entry, _parsed(entry.content)) for entry in log.read()]
    except SealBroken as error:
        what = str(error)
    except (QuarantineError, ValueError, TypeError, KeyError):
        what = "an entry that is none"
    raise _broken(hospital, what)


def _broken(hospital: Hospital, what: str) -> QuarantineError:
    return QuarantineError(
        f"The quarantine decisions of hospital '{hospital.id}' can't be relied on ({what}), and nothing is made by them. "
        f"Restore the files under {PREFIX}/{hospital.id} from a copy; or delete them all, also those of versions before this "
        "log, and decide again."
    )


def _parsed(content: dict[str, Any]) -> Decision:
    items = tuple(Decided(**item) for item in content["items"])
    return Decision(**{**content, "items": items})
