"""The identified zone: what hospitals sent, as tables, and what was refused.

Belongs here: `dicom_metadata`, `identified_reports`, `crosswalk`, `quarantine`.  Everything before the boundary.
"""

from collections import Counter
from typing import Any

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.context import HospitalWork, result, silent, stage_metadata
from gradient_assets.assets.landing import Look, hospital_dicoms, hospital_reports
from gradient_assets.crosswalk import HospitalKeys, bring_up_to_date
from gradient_assets.hospitals import Registry
from gradient_assets.pipelines.metadata import ReadHeaders
from gradient_assets.pipelines.reports import ReadReports
from gradient_assets.quarantine import decisions_of, write_status
from gradient_assets.tables import CROSSWALK, CROSSWALK_SOURCES, DICOM_METADATA, IDENTIFIED_REPORTS, QUARANTINE
from gradient_assets.ui.lineage import sql_metadata
from gradient_assets.withdrawals.register import load_register
from gradient_assets.withdrawals.sweep import forget_unread
from resources import Resources


@dg.asset(deps=[hospital_dicoms], code_version=ReadHeaders.version)
@silent
def dicom_metadata(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Read the headers of new and changed objects; drop the rows of objects that are gone."""
    work = HospitalWork.open(context, registry, resources)
    bucket = work.bucket("dicoms")
    look = Look(bucket, work.identity)
    work.settle((DICOM_METADATA,))
    withdrawn = load_register(resources, work.hospital)
    step = ReadHeaders(work.hospital, bucket, work.profile, withdrawn.tombstones)
    items = work.source.objects(look.stats(), f"{step.version}\x1f{work.profile.scanned_forms}")
    counts = work.stage.run(step, items, inputs=look.inputs)
    if load_register(resources, work.hospital).files != withdrawn.files:
        forget_unread(work.warehouse, work.hospital.id)  # refused without the tombstones that have come meanwhile
    context.log_event(look.event("hospital_dicoms", work.hospital.id))
    return result("dicom_metadata", stage_metadata(counts, DICOM_METADATA), work.version_of(DICOM_METADATA))


@dg.asset(deps=[hospital_reports], code_version=ReadReports.version)
@silent
def identified_reports(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Read new and changed CSV files; drop the rows of files that are gone."""
    work = HospitalWork.open(context, registry, resources)
    bucket = work.bucket("reports")
    look = Look(bucket, work.identity)
    work.settle((IDENTIFIED_REPORTS,))
    step = ReadReports(work.hospital, bucket, load_register(resources, work.hospital).tombstones)
    counts = work.stage.run(step, work.source.files(look.stats(), step.version), inputs=look.inputs)
    context.log_event(look.event("hospital_reports", work.hospital.id))
    return result("identified_reports", stage_metadata(counts, IDENTIFIED_REPORTS), work.version_of(IDENTIFIED_REPORTS))


@dg.asset(deps=["dicom_metadata", "identified_reports"], code_version="1")
@silent
def crosswalk(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Seal the originals of new rows; link what an older key made to the key in use.  Nothing is dropped."""
    work = HospitalWork.open(context, registry, resources)
    counts = bring_up_to_date(work.warehouse, HospitalKeys.of(resources, work.hospital), context.run.run_id)
    for spec in (CROSSWALK, CROSSWALK_SOURCES):
        work.warehouse.finish(spec, work.hospital.id)
    work.settle((CROSSWALK,))
    metadata = {
        "dagster/partition_row_count": counts.rows,
        "gradient/objects_in": counts.sources,
        "gradient/processed": counts.new_sources,
        "gradient/rows_out": counts.rows,
        "gradient/carried_over": counts.carried_over,
        "gradient/key": f"version {work.identity.key.version}, fingerprint {work.identity.key.fingerprint}",
    }
    return result("crosswalk", boundary.asset_metadata(metadata), work.version_of(CROSSWALK))


@dg.asset(
    deps=["dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports", "thumbnails"],
    code_version="1",
    metadata=sql_metadata(QUARANTINE),
)
@silent
def quarantine(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Put the stages' refusals together, each with what people decided about it."""
    work = HospitalWork.open(context, registry, resources)
    hospital = work.hospital
    write_status(work.warehouse, hospital, decisions_of(resources, hospital), context.run.run_id)
    rows = work.remake(QUARANTINE)
    by_reason: Counter[str] = Counter()
    by_status: Counter[str] = Counter()
    for batch in resources.warehouse.scan(QUARANTINE, hospital.id, columns=("stage", "reason", "status")):
        for row in batch.to_pylist():
            by_reason[f"{row['stage']}: {row['reason']}"] += 1
            by_status[row["status"]] += 1
    metadata = {
        "dagster/partition_row_count": rows,
        "gradient/quarantined": rows,
        "gradient/quarantined_by_reason": dg.MetadataValue.json(dict(sorted(by_reason.items()))),
        "gradient/quarantined_by_status": dg.MetadataValue.json(dict(sorted(by_status.items()))),
    }
    return result("quarantine", metadata, work.version_of(QUARANTINE))
