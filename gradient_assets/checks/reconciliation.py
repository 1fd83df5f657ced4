"""In = out + quarantined + withdrawn, at every stage of a hospital, over all of them, and for a release.

Belongs here: counting what a stage was given, what it wrote and what it left out, from the tables themselves; for what no table
says (how long a bucket's listing was, how large a cohort) from what the stage's run has kept (`integrity.given`).  On
`final_table` and `release_manifest` the check blocks all that comes after; `quarantine` shows the stages' numbers once more.

Two runs may be at one hospital.  A balance that does not hold is counted again until the numbers stand still.  One that another
run has overtaken (it has made what is before the stage since) warns: that run's own check judges it.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.assets.context import silent
from gradient_assets.integrity.balance import RELEASE_STAGE, Balance, of_release, of_table, refused
from gradient_assets.integrity.given import STAGE_BEFORE, Given, noted
from gradient_assets.integrity.origins import STAGES
from gradient_assets.integrity.records import announced
from gradient_assets.releases.manifest import manifest_digest
from gradient_assets.releases.verification import BALANCE, CheckOutcome, keep_outcome
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_THUMBNAILS,
    RELEASE_MANIFEST,
    REPORT_FILES,
    TableSpec,
)
from gradient_assets.verification.partitions import WITHDRAWAL_S
from gradient_assets.withdrawals.register import standing
from resources import Resources
from resources.buckets.object_store import Bucket
from resources.warehouses.warehouse import Warehouse

ADDS_UP = "in_equals_out_plus_quarantined"

REMEDY = (
    "Nothing after this asset has run. Materialize the hospital (or make the release) again; if it stays, report the numbers "
    "above."
)
OVERTAKEN = (
    "Another run has made a stage again since. Its own check judges it; if it was stopped, run the hospital again."
)
FINE = "Nothing to do."

_STAGES = ("dicom_metadata", "identified_reports", *STAGE_BEFORE, RELEASE_STAGE)

LOOKS = 4
PAUSE_S = 10.0
"""How often at most, and after how long, numbers that do not add up are counted again: a stage's five tables take another run
under a second in the embedded warehouse, and 5 to 10 s each as BigQuery jobs."""


def balances(
    warehouse: Warehouse,
    hospital_id: str,
    objects: int | None,
    files: int | None,
    overtaken: Collection[str] = (),
    again: int = 0,
) -> list[Balance]:
    """The balance of each stage, then of the hospital's objects from bucket to `final_table`.

    `objects` and `files`: how many the last listing of each bucket had.  `overtaken`: stages that another run has overtaken.
    `again`: objects that the next run reads again.
    """
    count = _Count(warehouse, hospital_id, overtaken)
    dicoms = count.of_table("dicom_metadata", "objects", objects, count.rows(DICOM_METADATA), REFUSED_METADATA)
    read, looked, final = count.rows(IDENTIFIED_REPORTS), count.instances(PIXEL_TEXT), count.rows(FINAL_TABLE)
    cleaned = count.of_table(
        "deidentified_metadata",
        "instances",
        count.rows(DICOM_METADATA),
        count.rows(DEIDENTIFIED_METADATA),
        REFUSED_DEIDENTIFIED_METADATA,
    )
    pictures = count.of_table("thumbnails", "instances", count.rows(DEIDENTIFIED_METADATA), looked, REFUSED_THUMBNAILS)
    reports = count.of_table(
        "deidentified_reports", "reports", read, count.rows(DEIDENTIFIED_REPORTS), REFUSED_DEIDENTIFIED_REPORTS
    )
    left_out = (dicoms, cleaned, pictures)
    return [
        replace(dicoms, again=again),
        *count.of_files(files),
        cleaned,
        reports,
        pictures,
        count.marked(Balance("final_table", "instances", looked, final, 0, 0)),
        Balance(
            hospital_id,
            "objects",
            objects,
            final,
            sum(one.quarantined for one in left_out),
            sum(one.withdrawn for one in left_out),
            overtaken="final_table" in overtaken,
            again=again,
        ),
    ]


@dataclass(frozen=True)
class _Count:
    warehouse: Warehouse
    hospital_id: str
    overtaken: Collection[str]

    def rows(self, spec: TableSpec) -> int:
        return self.warehouse.count(spec, self.hospital_id)

    def instances(self, spec: TableSpec) -> int:
        batches = self.warehouse.scan(spec, self.hospital_id, columns=("sop_instance_uid",))
        return len({uid for batch in batches for uid in batch["sop_instance_uid"].to_pylist()})

    def marked(self, balance: Balance) -> Balance:
        return replace(balance, overtaken=balance.stage in self.overtaken)

    def of_table(self, stage: str, what: str, given: int | None, out: int, refusals: TableSpec) -> Balance:
        return self.marked(of_table(self.warehouse, self.hospital_id, stage, what, given, out, refusals))

    def of_files(self, files: int | None) -> list[Balance]:
        """Files, of which each one was read or refused as a whole, and the records of those that were read."""
        batches = self.warehouse.scan(REPORT_FILES, self.hospital_id, columns=("work_token", "records"))
        records = {row["work_token"]: row["records"] for batch in batches for row in batch.to_pylist()}
        left_out = refused(self.warehouse, REFUSED_IDENTIFIED_REPORTS, self.hospital_id)
        whole = [is_withdrawn for _, number, is_withdrawn in left_out if not number]
        single = [is_withdrawn for _, number, is_withdrawn in left_out if number]
        accounted: Counter[str] = Counter(token for token, number, _ in left_out if number)
        for batch in self.warehouse.scan(IDENTIFIED_REPORTS, self.hospital_id, columns=("work_token",)):
            accounted.update(batch["work_token"].to_pylist())
        uneven = sum(accounted[token] != records.get(token, 0) for token in accounted.keys() | records.keys())
        stage, read = "identified_reports", accounted.total() - len(single)
        return [
            Balance(stage, "files", files, len(records), len(whole) - sum(whole), sum(whole)),
            Balance(
                stage,
                "records of the files that were read",
                sum(records.values()),
                read,
                len(single) - sum(single),
                sum(single),
                uneven,
            ),
        ]


def overtaken_stages(ledger: Bucket, hospital_id: str) -> set[str]:
    """Stages that were made from what another run has replaced since, and all after them."""
    found: set[str] = set()
    for stage, before in STAGE_BEFORE.items():
        own, made = noted(ledger, hospital_id, stage), noted(ledger, hospital_id, before)
        if before in found or (own is not None and made is not None and own.after != made.run_id):
            found.add(stage)
    return found


def settled(resources: Resources, hospital_id: str, run_id: str) -> list[Balance]:
    """The balances; where they do not hold, counted again until they stand still: a run or a withdrawal may be at work.

    A withdrawal announces nothing between two tables: it is waited for as the verification waits for it.
    """
    ledger = resources.partition_records
    last: list[Balance] = []
    until = time.monotonic() + WITHDRAWAL_S
    look = 0
    while True:
        before = _standing(ledger, hospital_id, run_id)
        objects, files = (given.inputs if given else None for given in before[0][:2])
        overtaken, dicoms = overtaken_stages(ledger, hospital_id), before[0][0]
        again = dicoms.again if dicoms else 0
        found = balances(resources.warehouse, hospital_id, objects, files, overtaken, again)
        if all(one.holds for one in found):
            return found
        withdrawing = standing(resources, hospital_id).at_work and time.monotonic() < until
        stands_still = found == last and not before[1] and before == _standing(ledger, hospital_id, run_id)
        look += not withdrawing
        if not withdrawing and (stands_still or look == LOOKS):
            return found
        last = found
        time.sleep(PAUSE_S)


_Standing = tuple[list[Given | None], list[str]]


def _standing(ledger: Bucket, hospital_id: str, run_id: str) -> _Standing:
    """What each stage's last run was given, and which stages another run is writing; the stages over buckets first."""
    hospital_stages = [stage for stage in STAGES if stage.output.partitioned_by == "hospital"]
    writing = [name for one in hospital_stages for name in announced(ledger, one.made, hospital_id, but_by=run_id)]
    return [noted(ledger, hospital_id, stage) for stage in _STAGES[:-1]], writing


def reconciliation_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The check that blocks `prod`, the same numbers on `quarantine`, and the check that blocks a release."""
    return [_hospital_check("final_table", hospitals), _hospital_check("quarantine", hospitals), _release_check()]


def _hospital_check(asset: str, hospitals: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    is_last = asset == FINAL_TABLE.name

    @dg.asset_check(
        asset=asset,
        name=ADDS_UP,
        blocking=is_last,
        partitions_def=hospitals,
        description="What each stage wrote, refused and left out as withdrawn adds up to what it was given.",
    )
    @silent
    def in_equals_out_plus_quarantined(
        context: dg.AssetCheckExecutionContext, resources: dg.ResourceParam[Resources]
    ) -> dg.AssetCheckResult:
        found = settled(resources, context.partition_key, context.run.run_id)
        # The quarantine is made before the final table, or at the same time.
        return outcome(found if is_last else found[:-2])

    return in_equals_out_plus_quarantined


def _release_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=RELEASE_MANIFEST.name,
        name=ADDS_UP,
        blocking=True,
        partitions_def=RELEASES,
        description="Each instance of the cohort is an object of the manifest, was refused, or is left out as withdrawn.",
    )
    @silent
    def in_equals_out_plus_quarantined(
        context: dg.AssetCheckExecutionContext, resources: dg.ResourceParam[Resources]
    ) -> dg.AssetCheckResult:
        release = context.partition_key
        manifest = manifest_digest(resources.warehouse, release)  # first: what is counted after a change is not of it
        found = of_release(resources, release)
        missing = {} if found.holds else {"instances without one outcome": max(1, abs(_lacking(found)))}
        checked = CheckOutcome(*BALANCE, found.holds, found.given or 0, missing, manifest)
        keep_outcome(resources, release, checked)
        return outcome([found])

    return in_equals_out_plus_quarantined


def _lacking(balance: Balance) -> int:
    return (balance.given or 0) - balance.out - balance.quarantined - balance.withdrawn


def outcome(found: list[Balance]) -> dg.AssetCheckResult:
    """What the check's page shows: a sentence and a line of a table for each stage."""
    uneven = [balance for balance in found if not balance.holds]
    lost = [balance for balance in uneven if not balance.overtaken]
    metadata = {
        "gradient/balance": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "stage": one.stage,
                        "what": one.what,
                        "in": -1 if one.given is None else one.given,
                        "out": one.out,
                        "quarantined": one.quarantined,
                        "withdrawn": one.withdrawn,
                        "adds up": one.holds,
                    }
                )
                for one in found
            ]
        ),
        "gradient/quarantined_by_reason": dg.MetadataValue.json(_by_stage(found)),
        "gradient/withdrawn": sum(one.withdrawn for one in found if one.stage in _STAGES),
        "gradient/what_to_do": REMEDY if lost else OVERTAKEN if uneven else FINE,
    }
    return dg.AssetCheckResult(
        passed=not uneven,
        severity=dg.AssetCheckSeverity.ERROR if lost or not uneven else dg.AssetCheckSeverity.WARN,
        description=". ".join(one.line for one in found) + ".",
        metadata=boundary.asset_metadata(metadata),
    )


def _by_stage(found: list[Balance]) -> dict[str, int]:
    stages: dict[str, int] = defaultdict(int)
    for one in found:
        if one.stage in _STAGES:
            stages[one.stage] += one.quarantined
    return dict(stages)
