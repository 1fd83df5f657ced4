"""The blocking search for known identifiers in what was written, on every asset behind the boundary.

Belongs here: reading a partition back and searching it for every identifier that the hospital's headers, reports and crosswalk
hold.  A hit fails the check, so that nothing after the asset runs.  Where a check found nothing before and nothing of it has
changed, its verdict is taken again (`verification.remembered`); releases are searched each time.  The search itself is
`deid.verify`, which shares no rule with the engines; hits carry kinds and places, never values.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.assets.context import silent
from gradient_assets.checks.telling import SEARCHED_NOW, most_frequent, pseudonyms_of
from gradient_assets.deid.verify import Hit, IdentifierIndex, suspicions_in_text
from gradient_assets.hospitals import Registry
from gradient_assets.quarantine import Spared
from gradient_assets.releases import load_release
from gradient_assets.releases.manifest import MANIFEST, REPORT, digest_of, manifest_digest
from gradient_assets.releases.report import without_pictures
from gradient_assets.releases.verification import CheckOutcome, keep_outcome
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    FINAL_TABLE,
    MADE_DEIDENTIFIED_METADATA,
    MADE_DEIDENTIFIED_REPORTS,
    MADE_RELEASE,
    MADE_THUMBNAILS,
    PIXEL_TEXT,
    PROD,
    PUBLIC_TABLE,
    RELEASE_MANIFEST,
    TableSpec,
)
from gradient_assets.verification import Remembered
from gradient_assets.verification.known import SOURCES, index_of
from gradient_assets.verification.remembered import Verdict
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.warehouses.warehouse import Warehouse

REMEDY = (
    "Nothing after this asset has run. Find the engine that should have removed these kinds in these columns, and report it "
    "with the counts; do not copy the partition anywhere. After the mend, materialize the hospital again."
)
FINE = "Nothing to do: none of the hospital's identifiers was found."

NO_KNOWN_IDENTIFIER = "no_known_identifier"
NOTHING: Counter[str] = Counter()

TABLES: tuple[TableSpec, ...] = (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    PIXEL_TEXT,
    FINAL_TABLE,
    PROD,
    PUBLIC_TABLE,
)

_MADE = {
    DEIDENTIFIED_METADATA: MADE_DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS: MADE_DEIDENTIFIED_REPORTS,
    PIXEL_TEXT: MADE_THUMBNAILS,
}
"""Where the objects stand that rows of a table were made from."""


@dataclass
class Search:
    """Counts what was searched and what was found; `spared` is what somebody accepted as a risk."""

    index: IdentifierIndex
    spared: Spared = field(default_factory=Spared)
    values: int = 0
    accepted: int = 0
    suspicions: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)
    """Work tokens of what was found."""
    examples: list[str] = field(default_factory=list)
    """Pseudonyms of a few objects with findings."""
    page: str = ""
    """The digest of the release's page that was searched; empty for a search in something else."""

    def add(self, hits: Iterable[Hit], where: str = "", spared: Collection[str] = (), token: str = "") -> None:
        """Count one searched thing and its hits; those of kinds that are spared there are counted apart."""
        self.values += 1
        for hit in hits:
            if hit.kind in spared:
                self.accepted += 1
            else:
                self.found[f"{hit.kind} in {where or hit.where}"] += 1
                self.tokens.add(token)

    def result(self) -> dg.AssetCheckResult:
        """The check's outcome: counts by kind and place."""
        return _result(Verdict(self.values, self.accepted, self.suspicions, run=""), self.found, self.examples)


def _result(counts: Verdict, found: Counter[str] = NOTHING, examples: Collection[str] = ()) -> dg.AssetCheckResult:
    leaks = found.total()
    return dg.AssetCheckResult(
        passed=not leaks,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{counts.searched} records and objects searched. Hits: {leaks}{most_frequent(found)}. Accepted as "
        f"false alarms: {counts.accepted}.",
        metadata=boundary.asset_metadata(
            {
                "gradient/searched": counts.searched,
                "gradient/accepted": counts.accepted,
                "gradient/remembered_since": counts.run or SEARCHED_NOW,
                "gradient/hits_by_kind": dg.MetadataValue.json(dict(sorted(found.items()))),
                "gradient/suspicious_patterns": dg.MetadataValue.json(dict(sorted(counts.doubtful.items()))),
                "gradient/examples": ", ".join(examples) or "none",
                "gradient/what_to_do": REMEDY if leaks else FINE,
            }
        ),
    )


def search_table(search: Search, warehouse: Warehouse, spec: TableSpec, partition: str) -> Search:
    """Search every value of a table's partition."""
    for batch in warehouse.scan(spec, partition):
        if not any(search.index.search_column(name, batch[name].to_pylist()) for name in batch.schema.names):
            search.values += batch.num_rows  # a column at a time is one pass; row by row only where there is a hit
        else:
            for row in batch.to_pylist():
                hits = search.index.search_record(row)
                spared = search.spared.in_row(row, [hit.kind for hit in hits]) if hits else ()
                search.add(hits, spared=spared, token=row.get("work_token") or "")
        if "report_text" in batch.schema.names:
            for text in batch["report_text"].to_pylist():
                search.suspicions.update(suspicions_in_text(text or ""))
    return search


def search_thumbnails(search: Search, bucket: Bucket, hospital_id: str) -> Search:
    """Search each thumbnail's key, text chunks and bytes; one that a withdrawal takes away meanwhile is not there any more."""
    for stat in bucket.listing(f"{hospital_id}/"):
        search.add(search.index.search_key(stat.key), "object key")
        with suppress(ObjectVanished):
            search.add(search.index.search_png(bucket.get(stat.key)), "png")
    return search


def search_dicoms(search: Search, bucket: Bucket, prefix: str, tokens: Mapping[str, str]) -> Search:
    """Search each DICOM object's key and every element of its data set.  `tokens`: key below the prefix → work token."""
    for stat in bucket.listing(f"{prefix}/"):
        if stat.key.endswith(".dcm"):
            own = stat.key.removeprefix(f"{prefix}/").removeprefix("dicom/")
            token = tokens.get(own, "")
            search.add(search.index.search_key(stat.key), "object key", token=token)
            with suppress(ObjectVanished):  # as above
                hits = search.index.search_dicom(bucket.get(stat.key))
                search.add(hits, spared=search.spared.in_object(own, [hit.kind for hit in hits]), token=token)
    return search


def leak_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """One blocking check per de-identified and public asset."""
    return [
        *(_check(spec.name, hospitals, _of_hospital(spec.name, (spec,), partial(_in_table, spec))) for spec in TABLES),
        _check("thumbnails", hospitals, _of_hospital("thumbnails", (), _in_thumbnails)),
        _check("release_dicoms", RELEASES, _of_release("release_dicoms", _in_release)),
        _check("release_manifest", RELEASES, _of_release("release_manifest", partial(_in_table, RELEASE_MANIFEST))),
        _check("release_report", RELEASES, _of_release("release_report", _in_report)),
        _check("release_delivery", RELEASES, _of_release("release_delivery", _in_delivery)),
    ]


_SearchIn = Callable[[Search, Resources, str], object]
_Judge = Callable[[Registry, Resources, str, str], dg.AssetCheckResult]
"""Of registry, resources, partition and run."""


def _check(asset: str, partitions: dg.PartitionsDefinition[str], judge: _Judge) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name=NO_KNOWN_IDENTIFIER,
        blocking=True,
        partitions_def=partitions,
        description="Searches what was written for every identifier known for the hospital. A hit blocks everything after it.",
    )
    @silent
    def no_known_identifier(
        context: dg.AssetCheckExecutionContext,
        registry: dg.ResourceParam[Registry],
        resources: dg.ResourceParam[Resources],
    ) -> dg.AssetCheckResult:
        return judge(registry, resources, context.partition_key, context.op_execution_context.run_id)

    return no_known_identifier


def _of_hospital(asset: str, tables: tuple[TableSpec, ...], search_in: _SearchIn) -> _Judge:
    """Searched, unless a check searched the same content for the same before and found nothing."""

    def judge(registry: Registry, resources: Resources, hospital_id: str, run_id: str) -> dg.AssetCheckResult:
        hospital = registry.get(hospital_id)
        spared = Spared.of_hospital(resources, hospital)
        asked = Remembered.of(resources, hospital, "check", run_id).ask(
            f"leaks-{asset}", spared, (*tables, *SOURCES), objects=None if tables else resources.thumbnails
        )
        if (verdict := asked.verdict) is not None:
            return _result(verdict)
        search = Search(index_of(resources, [hospital]), spared)
        search_in(search, resources, hospital_id)
        if not search.found:
            asked.remember(search.values, search.accepted, search.suspicions)
        return search.result()

    return judge


def _of_release(asset: str, search_in: _SearchIn) -> _Judge:
    """Always searched.  The outcome is kept: the release's report shows it, and the gate asks for it."""

    def judge(registry: Registry, resources: Resources, release: str, run_id: str) -> dg.AssetCheckResult:
        # Before the search: what another run makes of the release meanwhile was not searched, and must not seem so.
        manifest = manifest_digest(resources.warehouse, release)
        search = Search(index_of(resources, registry), Spared.of_release(resources, registry.hospitals, release))
        search_in(search, resources, release)
        outcome = CheckOutcome(
            asset,
            NO_KNOWN_IDENTIFIER,
            not search.found,
            search.values,
            dict(search.found),
            manifest,
            accepted=search.accepted,
            known=search.index.size,
            report=search.page,
        )
        keep_outcome(resources, release, outcome)
        return search.result()

    return judge


def _in_table(spec: TableSpec, search: Search, resources: Resources, partition: str) -> None:
    search_table(search, resources.warehouse, spec, partition)
    if spec in _MADE:
        search.examples = pseudonyms_of(resources.warehouse, _MADE[spec], partition, search.tokens)


def _in_thumbnails(search: Search, resources: Resources, hospital_id: str) -> None:
    search_thumbnails(search, resources.thumbnails, hospital_id)


def _in_release(search: Search, resources: Resources, name: str) -> None:
    release = load_release(resources.release_requests, name)
    tokens: dict[str, str] = {}
    for batch in resources.warehouse.scan(RELEASE_MANIFEST, name, columns=("object_key", "work_token")):
        tokens |= dict(zip(batch["object_key"].to_pylist(), batch["work_token"].to_pylist(), strict=True))
    for prefix in (release.prepared, release.delivered):
        search_dicoms(search, resources.releases, prefix, tokens)
    search.examples = pseudonyms_of(resources.warehouse, MADE_RELEASE, name, search.tokens)


def _in_report(search: Search, resources: Resources, name: str) -> None:
    release = load_release(resources.release_requests, name)
    try:
        _in_page(search, resources, release.pages)
    except ObjectVanished:  # delivered, just now perhaps
        _in_page(search, resources, release.delivered)


def _in_delivery(search: Search, resources: Resources, name: str) -> None:
    """The objects were searched where they waited, and have the digests of then: what is beside them is looked at, and keys."""
    release = load_release(resources.release_requests, name)
    _in_page(search, resources, release.delivered)
    for stat in resources.releases.listing(f"{release.delivered}/"):
        search.add(search.index.search_key(stat.key), "object key")


def _in_page(search: Search, resources: Resources, folder: str) -> None:
    bucket = resources.releases.under(folder)
    page, manifest = bucket.get(REPORT), bucket.get(MANIFEST)
    search.page = digest_of(page)
    search.add(search.index.search_bytes(without_pictures(page)), REPORT)
    search.add(search.index.search_bytes(manifest), MANIFEST)
