"""The public zone: what external users search, and what recipients are given.

Belongs here: `public_table`, `release_dicoms` with `release_manifest`, `release_report`.  A release is cleaned again from
the originals under the recipient's own key, checked where it waits, and delivered as the last step.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.context import HospitalWork, profile_of, result, silent, stage_metadata
from gradient_assets.cohort import cohort_condition
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.pixels.finders import described
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.pipelines.known import everyone_index, gather
from gradient_assets.pipelines.release import CleanInstances
from gradient_assets.pipelines.stage import ObjectCommit, StageRun
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.releases import Release, ReleaseError, load_release
from gradient_assets.review.decisions import decisions_of
from gradient_assets.sql import statement
from gradient_assets.tables import PROD, PUBLIC_TABLE, RELEASE_MANIFEST
from gradient_assets.ui.lineage import sql_metadata
from gradient_assets.ui.release_report import render_report
from resources import Resources
from resources.object_store import Bucket


@dg.asset(deps=["prod"], code_version="1", metadata=sql_metadata(PUBLIC_TABLE))
@silent
def public_table(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Replace the hospital's partition of what external users search."""
    hospital = registry.get(context.partition_key)
    warehouse = resources.warehouse
    rows = warehouse.replace_from_query(
        PUBLIC_TABLE, hospital.id, statement("public_table"), {"hospital_id": hospital.id}
    )
    metadata = {"dagster/partition_row_count": rows, "dagster/row_count": warehouse.count(PUBLIC_TABLE)}
    return result("public_table", metadata, warehouse.content_digest(PUBLIC_TABLE, hospital.id))


@dg.multi_asset(
    name="release_dicoms",
    specs=[
        dg.AssetSpec(
            key,
            deps=[
                dg.AssetDep(parent, partition_mapping=dg.AllPartitionMapping())
                for parent in ("hospital_dicoms", "prod")
            ],
            code_version=CleanInstances.version,
        )
        for key in ("release_dicoms", "release_manifest")
    ],
)
@silent
def release_dicoms(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Clean the cohort's originals once more, for this recipient alone."""
    release = load_release(resources.release_requests, context.partition_key)
    recipient_key = resources.key(release.secret_name)
    cohort = _cohort(resources, release)
    hospitals = {hospital.id: hospital for hospital in registry if hospital.id in cohort}
    finder, second = resources.text_finder, resources.second_finder
    step = CleanInstances(
        release=release.name,
        hospitals=hospitals,
        buckets={hospital.id: resources.hospital_bucket(hospital, "dicoms") for hospital in hospitals.values()},
        profiles={hospital.id: profile_of(hospital) for hospital in hospitals.values()},
        pseudonymizers={hospital_id: Pseudonymizer(recipient_key, hospital_id) for hospital_id in hospitals},
        finder=finder,
        residual=second,
        version="+".join([CleanInstances.version, *(described(one) for one in (finder, second) if one is not None)]),
    )
    run = StageRun(resources.warehouse, resources.beam, release.name, context.run_id, hospitals, context.log.info)
    bucket = resources.releases.under(release.prepared)
    delivered = {stat.key for stat in resources.releases.under(release.delivered).listing("dicom/")}

    def waiting() -> set[str]:
        return {key for key in _manifest_keys(resources, release.name) if f"dicom/{key}" not in delivered}

    work = _work(context, registry, resources, hospitals, cohort, step, recipient_key)
    counts = run.run(step, work, ObjectCommit(bucket, "", waiting))
    version = resources.warehouse.content_digest(RELEASE_MANIFEST, release.name)
    metadata = stage_metadata(counts, RELEASE_MANIFEST, **{"gradient/recipient": release.recipient})
    return result("release_dicoms", metadata, version), result("release_manifest", metadata, version)


@dg.asset(deps=["release_dicoms", "release_manifest"], code_version="1")
@silent
def release_report(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Deliver what the check has passed: move the objects, then put manifest and report beside them."""
    release = load_release(resources.release_requests, context.partition_key)
    rows = [row for batch in resources.warehouse.scan(RELEASE_MANIFEST, release.name) for row in batch.to_pylist()]
    delivered = resources.releases.under(release.delivered)
    manifest, report = _as_csv(rows), render_report(release, rows).encode()
    _refuse_leaks(registry, resources, manifest, report)
    _deliver(resources.releases, release, {row["object_key"] for row in rows})
    delivered.put("manifest.csv", manifest)
    delivered.put("report.html", report)
    version = resources.warehouse.content_digest(RELEASE_MANIFEST, release.name)
    metadata = boundary.asset_metadata(
        {
            "gradient/rows_out": len(rows),
            "gradient/recipient": release.recipient,
            "gradient/report": dg.MetadataValue.url(f"{delivered.uri}/report.html"),
        }
    )
    return result("release_report", metadata, version)


def _cohort(resources: Resources, release: Release) -> dict[str, set[str]]:
    condition = cohort_condition(release.condition)
    sql = f"SELECT hospital_id, sop_instance_uid FROM {PROD.full_name} WHERE {condition}"  # noqa: S608  rebuilt from a checked tree
    cohort: dict[str, set[str]] = {}
    for row in resources.warehouse.query(sql).to_pylist():
        cohort.setdefault(row["hospital_id"], set()).add(row["sop_instance_uid"])
    if not cohort:
        raise ReleaseError(f"The cohort of release '{release.name}' selects nothing. Nothing was made.")
    return cohort


def _work(
    context: dg.AssetExecutionContext,
    registry: Registry,
    resources: Resources,
    hospitals: dict[str, Hospital],
    cohort: dict[str, set[str]],
    step: CleanInstances,
    recipient_key: SecretKey,
) -> Iterator[WorkItem]:
    for hospital_id in sorted(hospitals):
        work = HospitalWork.of(hospital_id, registry, resources, context.run_id, context.log.info)
        known = gather(resources.warehouse, hospital_id)
        version = f"{step.version}\x1f{work.profile.digest}"
        recipient = Pseudonymizer(recipient_key, hospital_id)
        decisions = decisions_of(resources, hospital_id)
        yield from work.source.release(cohort[hospital_id], known, recipient, version, decisions)


def _manifest_keys(resources: Resources, release: str) -> set[str]:
    batches = resources.warehouse.scan(RELEASE_MANIFEST, release, columns=("object_key",))
    return {key for batch in batches for key in batch["object_key"].to_pylist()}


def _deliver(bucket: Bucket, release: Release, keys: set[str]) -> None:
    there = {
        stat.key.removeprefix(f"{release.delivered}/dicom/") for stat in bucket.listing(f"{release.delivered}/dicom/")
    }
    waiting = {stat.key.removeprefix(f"{release.prepared}/") for stat in bucket.listing(f"{release.prepared}/")}
    if missing := keys - there - waiting:
        raise ReleaseError(
            f"{len(missing)} objects of release '{release.name}' are not there. Materialize release_dicoms again."
        )
    for key in sorted(keys & waiting):
        bucket.move(f"{release.prepared}/{key}", f"{release.delivered}/dicom/{key}")
    bucket.delete([f"{release.delivered}/dicom/{key}" for key in sorted(there - keys)])


def _refuse_leaks(registry: Registry, resources: Resources, *contents: bytes) -> None:
    """What goes beside the objects is searched before anything is delivered; the check after that reads what was written."""
    index = everyone_index(resources.warehouse, registry.ids)
    if hits := sum(len(index.search_bytes(content)) for content in contents):
        raise ReleaseError(
            f"{hits} known identifiers stand in the release's report or manifest. Nothing was delivered."
        )


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    columns = [name for name in RELEASE_MANIFEST.column_names if name != "work_token"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
