"""The public zone: what external users search, and what recipients are given.

Belongs here: `public_table`, `release_dicoms` with `release_manifest`, `release_report`, `release_delivery`.  A release is
cleaned again from the originals under the recipient's own key, checked and reported where it waits, and delivered by an asset
of its own once people have approved it.  The gate itself is `releases`.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg

from gradient_assets import boundary, quarantine
from gradient_assets.assets.context import HospitalWork, profile_of, result, silent, stage_metadata
from gradient_assets.assets.passed import require_passed
from gradient_assets.cohort import cohort_condition
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.diagnostics import Diagnostics
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.integrity.recorded import recorded_warehouse
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.release import CleanInstances, stage_version
from gradient_assets.pipelines.stage import ObjectCommit, StageRun
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.releases import Release, ReleaseError, load_release
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.evidence import gather_evidence, refuse_small_classes
from gradient_assets.releases.manifest import REPORT, as_csv, waiting_keys
from gradient_assets.releases.pictures import chosen_keys, pictures_of
from gradient_assets.releases.report import render_report, without_pictures
from gradient_assets.releases.states import account_name
from gradient_assets.review.decisions import decisions_of
from gradient_assets.tables import PROD, PUBLIC_TABLE, RELEASE_MANIFEST
from gradient_assets.ui.lineage import sql_metadata
from gradient_assets.verification import Verifier
from gradient_assets.verification.known import index_of
from gradient_assets.withdrawals.deliveries import settle_objects
from gradient_assets.withdrawals.sweep import Withdrawn, settle_release
from resources import Resources
from resources.buckets.object_store import ObjectVanished

FACTS = "facts"
"""Part of a release's work tokens: what was made before `release_facts` were kept is made again with them."""


@dg.asset(deps=["prod"], code_version="1", metadata=sql_metadata(PUBLIC_TABLE))
@silent
def public_table(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Replace the hospital's partition of what external users search."""
    work = HospitalWork.open(context, registry, resources)
    work.require_current(PROD)
    require_passed(context, "prod")
    rows = work.remake(PUBLIC_TABLE)
    metadata = {"dagster/partition_row_count": rows, "dagster/row_count": work.warehouse.count(PUBLIC_TABLE)}
    return result("public_table", metadata, work.version_of(PUBLIC_TABLE))


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
    gate = Gate(resources, registry.releases, release)
    gate.require_not_revoked()
    recipient_key = resources.key(release.secret_name)
    cohort = _cohort(resources, registry, release)
    require_passed(context, "prod", of=cohort)
    hospitals = {hospital_id: registry.get(hospital_id) for hospital_id in sorted(cohort)}
    finder, second = resources.text_finder, resources.second_finder
    step = CleanInstances(
        release=release.name,
        hospitals=hospitals,
        buckets={hospital.id: resources.hospital_bucket(hospital, "dicoms") for hospital in hospitals.values()},
        profiles={hospital.id: profile_of(hospital) for hospital in hospitals.values()},
        pseudonymizers={hospital_id: Pseudonymizer(recipient_key, hospital_id) for hospital_id in hospitals},
        finder=finder,
        residual=second,
        version=stage_version(finder, second),
    )
    warehouse = recorded_warehouse(resources, release.name, recipient_key, context.run.run_id, "release")
    run = StageRun(warehouse, resources.beam, release.name, context.run.run_id, hospitals, context.log.info)
    run.diagnostics = Diagnostics.open(resources, context.run.run_id)
    run.settle = partial(settle_release, resources, warehouse, hospitals.values(), release.name)
    bucket = resources.releases.under(release.prepared)

    def waiting() -> set[str]:
        return waiting_keys(resources.warehouse, resources.releases, release)

    work = _work(context, registry, resources, hospitals, cohort, step, recipient_key)
    objects, verifier = ObjectCommit(bucket, "", waiting), Verifier.of_release(resources, registry, release)
    counts = run.run(step, work, objects, inputs=lambda: sum(map(len, cohort.values())))
    gate.give_up_if_revoked()  # cleaning takes hours, and so does the search after it
    counts = run.isolate(step, verifier.to_isolate(verifier.undisturbed(Verifier.all_in_release)), counts, objects)
    gate.give_up_if_revoked()
    version = resources.warehouse.content_digest(RELEASE_MANIFEST, release.name)
    metadata = stage_metadata(counts, RELEASE_MANIFEST, **{"gradient/recipient": release.recipient})
    return result("release_dicoms", metadata, version), result("release_manifest", metadata, version)


@dg.asset(deps=["release_dicoms", "release_manifest"], code_version="2")
@silent
def release_report(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Put together what an approver reads, and log the release as verified: it may be approved as it is now."""
    release = load_release(resources.release_requests, context.partition_key)
    gate = Gate(resources, registry.releases, release)
    gate.require_not_revoked()
    evidence = gather_evidence(resources, registry, release)
    refuse_small_classes(release, evidence.classes, registry.releases.smallest_class)
    keys = chosen_keys(evidence.rows, evidence.manifest)
    pictures = pictures_of(keys, lambda key: _object(resources, release, key))
    manifest, report = as_csv(evidence.rows), render_report(evidence, pictures).encode()
    _refuse_leaks(registry, resources, manifest, without_pictures(report))
    recipient_key = resources.key(release.secret_name)
    warehouse = recorded_warehouse(resources, release.name, recipient_key, context.run.run_id, "release")
    try:
        standing = gate.verify(account_name(), manifest, report)
    finally:
        gone = settle_objects(resources, warehouse, registry, release, account_name())
    gate.give_up_if_revoked()
    if gone:
        raise ReleaseError(
            f"Patients of release '{release.name}' were withdrawn while its report was made. Run `gradient release` again."
        )
    place = release.delivered if standing.is_current_delivered else release.pages
    metadata = {
        "gradient/rows_out": len(evidence.rows),
        "gradient/recipient": release.recipient,
        "gradient/state": standing.state(registry.releases.approvals),
        "gradient/manifest_digest": evidence.manifest,
        "gradient/smallest_class": evidence.classes.smallest,
        "gradient/report": dg.MetadataValue.url(f"{resources.releases.under(place).uri}/{REPORT}"),
    }
    return result("release_report", boundary.asset_metadata(metadata), standing.report)


@dg.asset(deps=["release_report"], code_version="1")
@silent
def release_delivery(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], resources: dg.ResourceParam[Resources]
) -> dg.MaterializeResult[Any]:
    """Move what was approved to the recipient; refuse anything else."""
    release = load_release(resources.release_requests, context.partition_key)
    recipient_key = resources.key(release.secret_name)
    warehouse = recorded_warehouse(resources, release.name, recipient_key, context.run.run_id, "release")
    try:
        standing = Gate(resources, registry.releases, release).deliver(account_name())
    finally:
        settle_objects(resources, warehouse, registry, release, account_name())
    metadata = {
        "gradient/rows_out": resources.warehouse.count(RELEASE_MANIFEST, release.name),
        "gradient/recipient": release.recipient,
        "gradient/state": standing.state(registry.releases.approvals),
        "gradient/manifest_digest": standing.manifest,
        "gradient/report": dg.MetadataValue.url(f"{resources.releases.under(release.delivered).uri}/{REPORT}"),
    }
    return result("release_delivery", boundary.asset_metadata(metadata), standing.manifest)


def _cohort(resources: Resources, registry: Registry, release: Release) -> dict[str, set[str]]:
    condition = cohort_condition(release.condition)
    sql = f"SELECT hospital_id, sop_instance_uid FROM {PROD.full_name} WHERE {condition}"  # noqa: S608  rebuilt from a checked tree
    cohort: dict[str, set[str]] = {}
    for row in resources.warehouse.query(sql).to_pylist():
        cohort.setdefault(row["hospital_id"], set()).add(row["sop_instance_uid"])
    if not cohort:
        raise ReleaseError(f"The cohort of release '{release.name}' selects nothing. Nothing was made.")
    if strangers := cohort.keys() - {hospital.id for hospital in registry}:
        raise ReleaseError(
            f"The cohort of release '{release.name}' has {sum(len(cohort[one]) for one in strangers)} instances of hospitals "
            "that are not in the registry. Put them back, or choose a cohort without them. Nothing was made."
        )
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
        work = HospitalWork.of(hospital_id, registry, resources, context.run.run_id, context.log.info)
        work.require_current(PROD)
        known = gather(resources.warehouse, hospital_id)
        version = f"{step.version}\x1f{work.profile.digest}\x1f{FACTS}"
        recipient = Pseudonymizer(recipient_key, hospital_id)
        decisions = decisions_of(resources, hospital_id)
        withdrawn = Withdrawn.of(resources, work.hospital).traces.instances
        items = work.source.release(cohort[hospital_id], known, recipient, version, decisions, withdrawn)
        yield from quarantine.decisions_of(resources, work.hospital).applied(items)


def _object(resources: Resources, release: Release, key: str) -> bytes:
    try:
        return resources.releases.get(f"{release.prepared}/{key}")
    except ObjectVanished:
        return resources.releases.get(f"{release.delivered}/dicom/{key}")


def _refuse_leaks(registry: Registry, resources: Resources, *contents: bytes) -> None:
    """What goes beside the objects is searched before it can be approved; the check after that reads what was written."""
    index = index_of(resources, registry)
    if hits := sum(len(index.search_bytes(content)) for content in contents):
        raise ReleaseError(f"{hits} known identifiers stand in the release's report or manifest. It is not verified.")
