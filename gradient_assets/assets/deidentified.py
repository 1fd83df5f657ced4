"""The de-identified zone: cleaned headers, reports and pictures, joined per hospital and put together for all.

Belongs here: `deidentified_metadata`, `deidentified_reports`, `thumbnails` with `pixel_text`, `final_table`, `prod`.
Every row of the first four was built by `boundary.cross`; the last two are SQL over them.
"""

from typing import Any

import dagster as dg

from gradient_assets.assets.context import HospitalWork, result, silent, stage_metadata
from gradient_assets.assets.passed import require_passed
from gradient_assets.contact_sheet import put_contact_sheet
from gradient_assets.hospitals import Registry
from gradient_assets.integrity import given
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders
from gradient_assets.pipelines.reports import CleanReports
from gradient_assets.pipelines.stage import ObjectCommit
from gradient_assets.pipelines.thumbnails import MakeThumbnails, stage_version
from gradient_assets.review.decisions import decisions_of, reviewed_counts
from gradient_assets.sql import statement
from gradient_assets.tables import DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS, FINAL_TABLE, PIXEL_TEXT, PROD
from gradient_assets.ui.lineage import sql_metadata
from gradient_assets.verification import Remembered, Verifier
from resources import Resources

DEIDENTIFIED = ("dicom_metadata", "identified_reports")


@dg.asset(deps=DEIDENTIFIED, code_version=CleanHeaders.version)
@silent
def deidentified_metadata(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Clean each header with what headers and reports say of its patient."""
    work = HospitalWork.open(context, registry, resources)
    step = CleanHeaders(work.hospital, work.profile, work.identity)
    known = gather(resources.warehouse, work.hospital.id)
    stage, verifier = work.stage, _verifier(work)
    counts = stage.run(step, work.source.headers(known, work.profile, step.version), everyone=known.everyone())
    counts = stage.isolate(step, verifier.to_isolate(verifier.undisturbed(Verifier.all_in_headers)), counts)
    sums = _sums(resources, DEIDENTIFIED_METADATA.full_name, work.hospital.id, "elements_removed", "elements_changed")
    version = work.version_of(DEIDENTIFIED_METADATA)
    return result("deidentified_metadata", stage_metadata(counts, DEIDENTIFIED_METADATA, **sums), version)


@dg.asset(deps=DEIDENTIFIED, code_version=CleanReports.version)
@silent
def deidentified_reports(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Clean each report with what headers and reports say of its patient."""
    work = HospitalWork.open(context, registry, resources)
    step = CleanReports(work.hospital, work.profile, work.identity)
    known = gather(resources.warehouse, work.hospital.id)
    stage, verifier = work.stage, _verifier(work)
    counts = stage.run(step, work.source.reports(known, work.profile, step.version), everyone=known.everyone())
    counts = stage.isolate(step, verifier.to_isolate(verifier.undisturbed(Verifier.all_in_reports)), counts)
    sums = _sums(resources, DEIDENTIFIED_REPORTS.full_name, work.hospital.id, "identifiers_removed")
    version = work.version_of(DEIDENTIFIED_REPORTS)
    return result("deidentified_reports", stage_metadata(counts, DEIDENTIFIED_REPORTS, **sums), version)


@dg.multi_asset(
    name="thumbnails",
    specs=[
        dg.AssetSpec(
            key,
            deps=["hospital_dicoms", "dicom_metadata", "deidentified_metadata"],
            code_version=MakeThumbnails.version,
        )
        for key in ("thumbnails", "pixel_text")
    ],
)
@silent
def thumbnails(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Black out text on every frame, then shrink; keep where the boxes were."""
    work = HospitalWork.open(context, registry, resources)
    work.require_current(DEIDENTIFIED_METADATA)
    hospital_id = work.hospital.id
    bucket = resources.thumbnails
    finder = resources.text_finder
    version = stage_version(finder, work.profile)
    step = MakeThumbnails(work.hospital, work.bucket("dicoms"), work.identity, work.profile, finder, version=version)

    def keys(*columns: str) -> set[str]:
        batches = resources.warehouse.scan(PIXEL_TEXT, hospital_id, columns=columns)
        return {key for batch in batches for column in columns for key in batch[column].to_pylist() if key}

    objects = ObjectCommit(bucket, f"{hospital_id}/", lambda: keys("thumbnail_key", "strip_key"))
    decisions = decisions_of(resources, hospital_id)
    stage, verifier = work.stage, _verifier(work)
    counts = stage.run(step, work.source.pixels(step.version, decisions), objects)
    counts = stage.isolate(step, verifier.to_isolate(verifier.undisturbed(Verifier.all_in_thumbnails)), counts, objects)
    boxes, with_boxes = _boxes(resources, hospital_id)
    sheet = put_contact_sheet(bucket, hospital_id, lambda: keys("thumbnail_key"))
    found: dict[str, Any] = {"gradient/boxes": boxes, "gradient/instances_with_boxes": with_boxes}
    found["gradient/reviewed"] = dg.MetadataValue.json(reviewed_counts(decisions.values()))
    found["gradient/instances_by_look"] = dg.MetadataValue.json(_by_look(resources, hospital_id))
    metadata = stage_metadata(counts, PIXEL_TEXT, **found)
    version = work.version_of(PIXEL_TEXT)
    address = (
        dg.MetadataValue.url(f"{bucket.uri}/{sheet}") if sheet else dg.MetadataValue.text("No instance has pixels.")
    )
    shown = {"gradient/contact_sheet": address, "dagster/partition_row_count": len(keys("thumbnail_key"))}
    return result("thumbnails", {**metadata, **shown}, version), result("pixel_text", metadata, version)


@dg.asset(
    deps=["deidentified_metadata", "deidentified_reports", "thumbnails", "pixel_text"],
    code_version="1",
    metadata=sql_metadata(FINAL_TABLE),
)
@silent
def final_table(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Join instances with the reports of their study."""
    work = HospitalWork.open(context, registry, resources)
    work.require_current(DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS, PIXEL_TEXT)
    require_passed(context, "deidentified_metadata", "deidentified_reports", "thumbnails", "pixel_text")
    hospital, warehouse = work.hospital, work.warehouse
    parameters = {"hospital_id": hospital.id}
    after = given.run_before(warehouse, hospital.id, FINAL_TABLE.name)
    rows = work.remake(FINAL_TABLE)
    given.note(warehouse, hospital.id, FINAL_TABLE.name, None, after)
    linked = warehouse.query(statement("linked_by"), parameters).to_pylist()
    alone = warehouse.query(statement("reports_without_images"), parameters).to_pylist()
    faces = warehouse.query(statement("series_by_face"), parameters).to_pylist()
    metadata = {
        "dagster/partition_row_count": rows,
        "gradient/linked_by": dg.MetadataValue.json({row["link_method"]: row["studies"] for row in linked}),
        "gradient/series_by_face": dg.MetadataValue.json({row["may_show_face"]: row["series"] for row in faces}),
        "gradient/reports_without_images": alone[0]["reports"],
    }
    return result("final_table", metadata, work.version_of(FINAL_TABLE))


@dg.asset(deps=["final_table"], code_version="1", metadata=sql_metadata(PROD))
@silent
def prod(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Replace the hospital's partition of the table of all hospitals."""
    work = HospitalWork.open(context, registry, resources)
    work.require_current(FINAL_TABLE)
    require_passed(context, "final_table")
    rows = work.remake(PROD)
    metadata = {"dagster/partition_row_count": rows, "dagster/row_count": work.warehouse.count(PROD)}
    return result("prod", metadata, work.version_of(PROD))


def _verifier(work: HospitalWork) -> Verifier:
    remembered = Remembered.of(work.resources, work.hospital, "stage", work.run_id)
    return Verifier.of_hospital(work.resources, work.hospital, remembered)


def _sums(resources: Resources, table: str, hospital_id: str, *columns: str) -> dict[str, int]:
    sums = ", ".join(f"COALESCE(SUM({column}), 0) AS {column}" for column in columns)
    sql = f"SELECT {sums} FROM {table} WHERE hospital_id = @hospital_id"  # noqa: S608  names of our own tables and columns
    row = resources.warehouse.query(sql, {"hospital_id": hospital_id}).to_pylist()[0]
    return {f"gradient/{column}": int(row[column]) for column in columns}


def _boxes(resources: Resources, hospital_id: str) -> tuple[int, int]:
    sql = "SELECT COALESCE(SUM(boxes), 0) AS boxes, COALESCE(COUNTIF(boxes > 0), 0) AS instances FROM deidentified.pixel_text"
    where = " WHERE hospital_id = @hospital_id AND box = 0"
    row = resources.warehouse.query(sql + where, {"hospital_id": hospital_id}).to_pylist()[0]
    return int(row["boxes"]), int(row["instances"])


def _by_look(resources: Resources, hospital_id: str) -> dict[str, int]:
    sql = "SELECT look, COUNT(*) AS instances FROM deidentified.pixel_text WHERE hospital_id = @hospital_id AND box = 0"
    rows = resources.warehouse.query(f"{sql} GROUP BY look ORDER BY look", {"hospital_id": hospital_id}).to_pylist()
    return {row["look"]: int(row["instances"]) for row in rows}
