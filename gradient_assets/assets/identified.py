"""The identified zone: what hospitals sent, as tables, and what was refused.

Belongs here: `dicom_metadata`, `identified_reports`, `quarantine`.  Everything before the boundary.
"""

from typing import Any

import dagster as dg

from gradient_assets.assets.context import HospitalWork, result, silent, stage_metadata
from gradient_assets.assets.landing import Look, hospital_dicoms, hospital_reports
from gradient_assets.hospitals import Registry
from gradient_assets.pipelines.metadata import ReadHeaders
from gradient_assets.pipelines.reports import ReadReports
from gradient_assets.sql import statement
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS, QUARANTINE
from gradient_assets.ui.lineage import sql_metadata
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
    step = ReadHeaders(work.hospital, bucket, work.profile)
    counts = work.stage.run(step, work.source.objects(look.stats(), f"{step.version}\x1f{work.profile.scanned_forms}"))
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
    counts = work.stage.run(ReadReports(work.hospital, bucket), work.source.files(look.stats(), ReadReports.version))
    context.log_event(look.event("hospital_reports", work.hospital.id))
    return result("identified_reports", stage_metadata(counts, IDENTIFIED_REPORTS), work.version_of(IDENTIFIED_REPORTS))


@dg.asset(
    deps=["dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports", "thumbnails"],
    code_version="1",
    metadata=sql_metadata(QUARANTINE),
)
@silent
def quarantine(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Put the stages' refusals together."""
    work = HospitalWork.open(context, registry, resources)
    hospital = work.hospital
    rows = resources.warehouse.replace_from_query(
        QUARANTINE, hospital.id, statement("quarantine"), {"hospital_id": hospital.id}
    )
    by_reason: dict[str, int] = {}
    for batch in resources.warehouse.scan(QUARANTINE, hospital.id, columns=("stage", "reason")):
        for row in batch.to_pylist():
            name = f"{row['stage']}: {row['reason']}"
            by_reason[name] = by_reason.get(name, 0) + 1
    metadata = {
        "dagster/partition_row_count": rows,
        "gradient/quarantined": rows,
        "gradient/quarantined_by_reason": dg.MetadataValue.json(dict(sorted(by_reason.items()))),
    }
    return result("quarantine", metadata, work.version_of(QUARANTINE))
