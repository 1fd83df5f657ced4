"""Retry, accept-risk and drop: from what a person asks for to one decision in each hospital's log.

Belongs here: which refusals a wish is about, whether it is allowed, the status table that the quarantine is joined with.
Nothing is done to an object or a row: the next run does what the log says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gradient_assets.deid.reasons import ACCEPTABLE, Reason
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.quarantine.decisions import (
    Action,
    Decided,
    Decision,
    Decisions,
    QuarantineError,
    acceptable_codes,
    decided_now,
    fresh_token,
    keep,
)
from gradient_assets.quarantine.listing import Refusal, Today, Wanted
from gradient_assets.tables import QUARANTINE_STATUS
from resources import Resources
from resources.warehouses.warehouse import Warehouse


def chosen(found: Iterable[Refusal], wanted: Wanted) -> list[Refusal]:
    """The refusals that were asked for.  Raises `QuarantineError` when a name, or everything together, is about none."""
    fitting = [one for one in found if wanted.fits(one)]
    missing = [name for name in wanted.names if not any(name in (one.name, one.object_pseudonym) for one in fitting)]
    if missing:
        raise QuarantineError(
            f"{len(missing)} of {len(wanted.names)} items are not in the quarantine, or not with that stage and reason. "
            "Nothing was changed."
        )
    if not fitting:
        raise QuarantineError("Nothing in the quarantine is like that. Nothing was changed.")
    return fitting


def outdated(found: Iterable[Refusal], today: Mapping[str, Today]) -> list[Refusal]:
    """The refusals that another engine or profile than today's has made; `today` by hospital."""
    return [one for one in found if not today[one.hospital_id].made(one)]


def acceptable(found: Sequence[Refusal], reason: str) -> Refusal:
    """The one refusal whose risk is accepted.  Raises `QuarantineError` for a code that can't be, and unless it is one."""
    if reason not in [code.value for code in Reason]:
        raise QuarantineError("No such reason code. docs/quarantine.md has all of them. Nothing was changed.")
    if reason not in ACCEPTABLE:
        raise QuarantineError(
            f"{reason} is no finding that can be a false alarm. Codes that may be accepted: {acceptable_codes()}. "
            "Nothing was changed."
        )
    fitting = [one for one in found if one.reason == reason]
    if not fitting:
        raise QuarantineError(f"The item was not refused for {reason}. Nothing was changed.")
    if len(fitting) > 1:
        raise QuarantineError(
            f"{len(fitting)} refusals are like that: say which with --stage, --release, or :N for record N of a report file. "
            "Nothing was changed."
        )
    return fitting[0]


def decide(
    resources: Resources, registry: Registry, action: Action, found: Iterable[Refusal], decided_by: str, why: str
) -> None:
    """Put one decision into the log of each hospital concerned.

    Raises `QuarantineError` for a name or `why` that can't be, and what the vault raises.
    """
    by_hospital: dict[str, list[Refusal]] = defaultdict(list)
    for one in found:
        by_hospital[one.hospital_id].append(one)
    moment = decided_now()
    made = {
        hospital_id: Decision(action, decided_by, why, moment, _decided(action, refused))
        for hospital_id, refused in by_hospital.items()
    }
    for hospital_id, decision in made.items():
        keep(resources, registry.get(hospital_id), decision)


def write_status(warehouse: Warehouse, hospital: Hospital, decisions: Decisions, run_id: str) -> None:
    """Make the hospital's partition of `quarantine_status` anew from the log."""
    with warehouse.staging("identified", f"quarantine-status-{hospital.id}-{run_id}") as staging:
        writer = ShardWriter({"identified": StagingPlace(staging.bucket, staging.uri)})
        for item, status in decisions.last_words():
            writer.add(
                QUARANTINE_STATUS,
                {
                    "hospital_id": hospital.id,
                    "hospital_number": hospital.number,
                    "work_token": item.work_token,
                    "row_number": item.row_number,
                    "status": status,
                },
            )
        writer.keep()
        shards = writer.close().get(QUARANTINE_STATUS.full_name, [])
        before = warehouse.tokens(QUARANTINE_STATUS, hospital.id)
        warehouse.replace(QUARANTINE_STATUS, hospital.id, shards=shards, drop_tokens=before)


def _decided(action: Action, refused: Sequence[Refusal]) -> tuple[Decided, ...]:
    # Records of one report file have one work token, and go on to one.
    becomes = {one.work_token: "" if action == "drop" else fresh_token() for one in refused}
    return tuple(
        Decided(
            stage=one.stage,
            release=one.release,
            object_pseudonym=one.object_pseudonym,
            row_number=one.row_number,
            reason=one.reason,
            detail=one.detail,
            engine_version=one.engine_version,
            work_token=one.work_token,
            becomes=becomes[one.work_token],
        )
        for one in refused
    )
