"""The work list: refusals of all stages and releases, each with its status, filtered and counted.

Belongs here: reading refusals, what is shown of one outside the identified zone, and which of them were made by another
engine or profile than today's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import ACCEPTABLE, EXPLANATIONS, Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.release import CleanInstances
from gradient_assets.pipelines.release import stage_version as release_version
from gradient_assets.pipelines.reports import CleanReports, ReadReports
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.pipelines.thumbnails import stage_version as pixel_version
from gradient_assets.quarantine.decisions import Decisions, QuarantineError, Status
from gradient_assets.tables import TOKEN_PATTERN, TableSpec
from resources import Resources

_STEPS = (ReadHeaders, ReadReports, CleanHeaders, CleanReports, MakeThumbnails, CleanInstances)

STAGES: dict[str, TableSpec] = {step.stage: step.refusals for step in _STEPS}
"""Stage → where its refusals are, in the order in which an object meets them."""

OUTPUTS: dict[str, TableSpec] = {step.stage: step.output for step in _STEPS}
"""Stage → where its rows are."""

PIXELS_ALONE = MakeThumbnails.stage
"""The stage that another profile concerns only as far as it has another version."""

_NAME = re.compile(rf"({TOKEN_PATTERN})(?::([1-9][0-9]{{0,9}}))?")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused object, or record of a report file.  `release` is empty but for those of a release.

    `object_key` may hold a name: it is shown to nobody who did not ask for it.
    """

    hospital_id: str
    release: str
    stage: str
    object_pseudonym: str
    row_number: int
    reason: str
    detail: str
    engine_version: str
    profile_digest: str
    work_token: str
    object_key: str = field(repr=False)
    status: Status = "open"

    @property
    def name(self) -> str:
        """What people call it: the pseudonym, and for a record of a file its number behind a colon."""
        return f"{self.object_pseudonym}:{self.row_number}" if self.row_number else self.object_pseudonym

    @property
    def may_be_accepted(self) -> bool:
        """Whether a person may accept its reason as a risk."""
        return self.reason in ACCEPTABLE

    @property
    def meaning(self) -> str:
        """What its reason code means."""
        return EXPLANATIONS[Reason(self.reason)].meaning

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return EXPLANATIONS[Reason(self.reason)].remedy

    def as_dict(self) -> dict[str, Any]:
        """What may be shown, for JSON: no object key and no work token."""
        return {
            "hospital": self.hospital_id,
            "release": self.release,
            "stage": self.stage,
            "pseudonym": self.object_pseudonym,
            "row_number": self.row_number,
            "reason": self.reason,
            "detail": self.detail,
            "status": self.status,
            "engine_version": self.engine_version,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which refusals: every part that is given has to fit.  `names` as `Refusal.name`, or a pseudonym for all its records.

    Raises `QuarantineError` for a stage, reason or name that can't be.
    """

    names: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = [reason.value for reason in Reason]
        if unknown := sorted(set(self.reasons) - set(known)):
            raise QuarantineError(f"No such reason code: {', '.join(unknown)}. docs/quarantine.md has all of them.")
        if unknown := sorted(set(self.stages) - set(STAGES)):
            raise QuarantineError(f"No such stage: {', '.join(unknown)}. Stages: {', '.join(STAGES)}.")
        if not all(_NAME.fullmatch(name) for name in self.names):
            # What was typed is not repeated: it may be an identifier.
            raise QuarantineError(
                "An item is named by its pseudonym, 32 of 0–9 and a–f, with :N for record N of a report file."
            )

    def fits(self, refusal: Refusal) -> bool:
        """Whether it is one of them."""
        return (
            (not self.names or refusal.name in self.names or refusal.object_pseudonym in self.names)
            and (not self.stages or refusal.stage in self.stages)
            and (not self.reasons or refusal.reason in self.reasons)
            and (not self.releases or refusal.release in self.releases)
            and (not self.statuses or refusal.status in self.statuses)
        )


def refusals(resources: Resources, hospital_id: str, decisions: Decisions) -> Iterator[Refusal]:
    """Every refusal of a hospital with its status: its stages', then those of releases."""
    for stage, spec in STAGES.items():
        partition = None if spec.partitioned_by == "release" else hospital_id
        for batch in resources.warehouse.scan(spec, partition):
            for row in batch.to_pylist():
                if row["hospital_id"] == hospital_id and row["reason"] != Reason.WITHDRAWN.value:
                    yield _refusal(stage, row, decisions)


def accepted_and_passed(resources: Resources, hospital_id: str, decisions: Decisions) -> Iterator[Refusal]:
    """What passed because somebody accepted the risk, as it was when it was refused.

    One that another object, engine or profile has ended since has no row any more, and is not here.
    """

    @cache
    def tokens(stage: str, release: str) -> set[str]:
        return resources.warehouse.tokens(OUTPUTS[stage], release or hospital_id)

    for token, (item, _) in decisions.accepted().items():
        if token in tokens(item.stage, item.release):
            yield Refusal(
                hospital_id=hospital_id,
                release=item.release,
                stage=item.stage,
                object_pseudonym=item.object_pseudonym,
                row_number=item.row_number,
                reason=item.reason,
                detail=item.detail,
                engine_version=item.engine_version,
                profile_digest="",
                work_token=token,
                object_key="",
                status="accepted",
            )


def counts(found: Iterable[Refusal]) -> Counter[tuple[str, str, str, str]]:
    """How many there are of each hospital, stage, reason and status."""
    return Counter((one.hospital_id, one.stage, one.reason, one.status) for one in found)


def by_status(found: Iterable[Refusal]) -> dict[str, int]:
    """How many there are of each status."""
    return dict(sorted(Counter(one.status for one in found).items()))


@dataclass(frozen=True)
class Today:
    """The engines and the profile of one hospital as they are now: what made a refusal that need not be made again."""

    versions: Mapping[str, str]
    profile_digest: str

    @classmethod
    def of(cls, resources: Resources, hospital: Hospital) -> Today:
        """From the settings and the registry.  Raises what profiles and finders raise."""
        profile = Profile.of(hospital.profile)
        finder, second = resources.text_finder, resources.second_finder
        versions = {
            **{step.stage: step.version for step in (ReadHeaders, ReadReports, CleanHeaders, CleanReports)},
            MakeThumbnails.stage: pixel_version(finder, profile),
            CleanInstances.stage: release_version(finder, second),
        }
        return cls(versions, profile.digest)

    def made(self, refusal: Refusal) -> bool:
        """Whether today's engine and profile made it."""
        same_profile = refusal.stage == PIXELS_ALONE or refusal.profile_digest in ("", self.profile_digest)
        return same_profile and refusal.engine_version == self.versions[refusal.stage]


def _refusal(stage: str, row: Mapping[str, Any], decisions: Decisions) -> Refusal:
    return Refusal(
        hospital_id=row["hospital_id"],
        release=row.get("release") or "",
        stage=stage,
        object_pseudonym=row["object_pseudonym"],
        row_number=row["row_number"],
        reason=row["reason"],
        detail=row["detail"],
        engine_version=row["engine_version"],
        profile_digest=row["profile_digest"] or "",
        work_token=row["work_token"],
        object_key=row["object_key"],
        status=decisions.status(row["work_token"], row["row_number"]),
    )
