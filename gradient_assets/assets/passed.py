"""What comes after an asset is made only when the asset's blocking checks passed over what stands there, in whichever run.

Belongs here: which checks those are, and asking Dagster for the last outcome of each.  Within one run Dagster itself stops what
comes after a blocking check that failed; but an asset can be made alone, in a later run.  A check that never ran, never ended,
or looked at what was there before counts as one that failed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import dagster as dg

# Dagster's public questions about checks know no partitions; these two names do. The ceiling in pyproject.toml keeps another
# Dagster out until the tests of this module have passed with it.
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

_KNOWN = "no_known_identifier"
_ADDS_UP = "in_equals_out_plus_quarantined"

BLOCKING_CHECKS: dict[str, tuple[str, ...]] = {
    "deidentified_metadata": (_KNOWN, "profile_holds", "no_identifier_like_pattern"),
    "deidentified_reports": (_KNOWN, "no_identifier_like_pattern"),
    "thumbnails": (_KNOWN, "no_text_in_pixels"),
    "pixel_text": (_KNOWN, "triage_missed_nothing"),
    "final_table": (_KNOWN, _ADDS_UP),
    "prod": (_KNOWN,),
}
"""By asset; a test compares them with the graph's."""

_ENDED = (AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED)

_RECENT = 50
"""How many records of a check are looked at.  More only stand there when so many runs were planned and killed."""


def require_passed(context: dg.AssetExecutionContext, *assets: str, of: Collection[str] = ()) -> None:
    """Raise `dg.Failure` unless every blocking check of these assets passed over what was made last.

    Asked in this partition, or in those of the hospitals `of` where what is made rests on several.  One that only warns
    (nobody looked) blocks nothing: somebody has chosen that.  While another run is at the same partition, the outcome in the
    own run counts, unless a later one failed.
    """
    lacking = [
        f"{name} of {asset}{f' of {partition!r}' if of else ''} {why}"
        for partition in sorted(of) or [context.partition_key]
        for asset in assets
        for name in BLOCKING_CHECKS[asset]
        if (why := _why_not(context.instance, context.run.run_id, asset, name, partition))
    ]
    if lacking:
        raise dg.Failure(
            f"Blocking checks have not passed: {', '.join(lacking)}. Nothing was made. After the mend, run the whole hospital "
            "again."
        )


def _why_not(instance: dg.DagsterInstance, run_id: str, asset: str, name: str, partition: str) -> str:
    records: Sequence[AssetCheckExecutionRecord] = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), name), limit=_RECENT, partition_filter=PartitionKeyFilter(key=partition)
    )
    if not records:
        return "never ran"
    ended = [record for record in records if record.status in _ENDED]
    own = any(record.run_id == run_id for record in ended)
    if not ended or (not own and records[0].status not in _ENDED):
        return "has not ended"
    if _failed(ended[0]):
        return "failed"
    if not own and not _over_the_last(instance, ended[0], asset, partition):
        return "has not looked at what was made last"
    return ""


def _failed(record: AssetCheckExecutionRecord) -> bool:
    if record.status is AssetCheckExecutionRecordStatus.SUCCEEDED:
        return False
    return record.evaluation is None or record.evaluation.severity is dg.AssetCheckSeverity.ERROR


def _over_the_last(instance: dg.DagsterInstance, record: AssetCheckExecutionRecord, asset: str, partition: str) -> bool:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition])
    made = instance.fetch_materializations(wanted, limit=1).records
    target = record.evaluation.target_materialization_data if record.evaluation else None
    return bool(made) and target is not None and target.storage_id == made[0].storage_id
