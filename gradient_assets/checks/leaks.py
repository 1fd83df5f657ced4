"""The blocking search for known identifiers in what was written, on every asset behind the boundary.

Belongs here: reading a partition back and searching it for every identifier that the hospital's headers and reports hold.
A hit fails the check, so that nothing after the asset runs.  The search itself is `deid.verify`, which shares no rule with
the engines; hits carry kinds and places, never values.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.assets.context import silent
from gradient_assets.deid.verify import Hit, IdentifierIndex, suspicions_in_text
from gradient_assets.hospitals import Registry
from gradient_assets.pipelines.known import everyone_index
from gradient_assets.releases import load_release
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    PROD,
    PUBLIC_TABLE,
    RELEASE_MANIFEST,
    TableSpec,
)
from resources import Resources
from resources.object_store import Bucket
from resources.warehouse import Warehouse

REMEDY = (
    "Nothing after this asset has run. Look up the kind and column below, find the engine that should have removed it, and "
    "report it with the counts; do not copy the partition anywhere. After the mend, materialize the hospital again."
)
FINE = "Nothing to do: none of the hospital's identifiers was found."

TABLES: tuple[TableSpec, ...] = (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    PIXEL_TEXT,
    FINAL_TABLE,
    PROD,
    PUBLIC_TABLE,
)


@dataclass
class Search:
    """Counts what was searched and what was found."""

    index: IdentifierIndex
    values: int = 0
    suspicions: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    def add(self, hits: Iterable[Hit], where: str = "") -> None:
        """Count one searched thing and its hits."""
        self.values += 1
        self.found.update(f"{hit.kind} in {where or hit.where}" for hit in hits)

    def result(self) -> dg.AssetCheckResult:
        """The check's outcome: counts by kind and place."""
        leaks = self.found.total()
        return dg.AssetCheckResult(
            passed=not leaks,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{self.values} records and objects searched, {leaks} hits.",
            metadata=boundary.asset_metadata(
                {
                    "gradient/searched": self.values,
                    "gradient/hits_by_kind": dg.MetadataValue.json(dict(sorted(self.found.items()))),
                    "gradient/suspicious_patterns": dg.MetadataValue.json(dict(sorted(self.suspicions.items()))),
                    "gradient/what_to_do": REMEDY if leaks else FINE,
                }
            ),
        )


def hospital_index(warehouse: Warehouse, hospital_id: str) -> IdentifierIndex:
    """Every identifier known for the hospital; built once per content of the two identified tables."""
    digests = tuple(warehouse.content_digest(spec, hospital_id) for spec in (DICOM_METADATA, IDENTIFIED_REPORTS))
    return _index(_Key(warehouse, hospital_id, digests))


@dataclass(frozen=True, eq=False)
class _Key:
    warehouse: Warehouse
    hospital_id: str
    digests: tuple[str, ...]

    def __hash__(self) -> int:
        return hash((self.hospital_id, self.digests))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (self.hospital_id, self.digests) == (other.hospital_id, other.digests)


@lru_cache(maxsize=4)
def _index(key: _Key) -> IdentifierIndex:
    return everyone_index(key.warehouse, [key.hospital_id])


def search_table(search: Search, warehouse: Warehouse, spec: TableSpec, partition: str) -> Search:
    """Search each row of a table's partition, column by column."""
    for batch in warehouse.scan(spec, partition):
        for row in batch.to_pylist():
            search.add(search.index.search_record(row))
            search.suspicions.update(suspicions_in_text(row.get("report_text") or ""))
    return search


def search_thumbnails(search: Search, bucket: Bucket, hospital_id: str) -> Search:
    """Search each thumbnail's key, text chunks and bytes."""
    for stat in bucket.listing(f"{hospital_id}/"):
        search.add(search.index.search_key(stat.key), "object key")
        search.add(search.index.search_png(bucket.get(stat.key)), "png")
    return search


def search_dicoms(search: Search, bucket: Bucket, prefix: str) -> Search:
    """Search each DICOM object's key and every element of its data set."""
    for stat in bucket.listing(f"{prefix}/"):
        if stat.key.endswith(".dcm"):
            search.add(search.index.search_key(stat.key), "object key")
            search.add(search.index.search_dicom(bucket.get(stat.key)))
    return search


def leak_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """One blocking check per de-identified and public asset."""
    return [
        *(_check(spec.name, hospitals, _of_hospital, partial(_in_table, spec)) for spec in TABLES),
        _check("thumbnails", hospitals, _of_hospital, _in_thumbnails),
        _check("release_dicoms", RELEASES, _of_everyone, _in_release),
        _check("release_manifest", RELEASES, _of_everyone, partial(_in_table, RELEASE_MANIFEST)),
        _check("release_report", RELEASES, _of_everyone, _in_report),
    ]


def _check(
    asset: str,
    partitions: dg.PartitionsDefinition[str],
    index_of: Callable[[Registry, Resources, str], IdentifierIndex],
    search_in: Callable[[Search, Resources, str], object],
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="no_known_identifier",
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
        search = Search(index_of(registry, resources, context.partition_key))
        search_in(search, resources, context.partition_key)
        return search.result()

    return no_known_identifier


def _of_hospital(registry: Registry, resources: Resources, hospital_id: str) -> IdentifierIndex:
    return hospital_index(resources.warehouse, registry.get(hospital_id).id)


def _of_everyone(registry: Registry, resources: Resources, release: str) -> IdentifierIndex:
    return everyone_index(resources.warehouse, registry.ids)


def _in_table(spec: TableSpec, search: Search, resources: Resources, partition: str) -> None:
    search_table(search, resources.warehouse, spec, partition)


def _in_thumbnails(search: Search, resources: Resources, hospital_id: str) -> None:
    search_thumbnails(search, resources.thumbnails, hospital_id)


def _in_release(search: Search, resources: Resources, name: str) -> None:
    release = load_release(resources.release_requests, name)
    search_dicoms(search, resources.releases, release.prepared)
    search_dicoms(search, resources.releases, release.delivered)


def _in_report(search: Search, resources: Resources, name: str) -> None:
    release = load_release(resources.release_requests, name)
    delivered = resources.releases.under(release.delivered)
    for key in ("report.html", "manifest.csv"):
        search.add(search.index.search_bytes(delivered.get(key)), key)
