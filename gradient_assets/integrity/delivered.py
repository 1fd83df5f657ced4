"""Reads a release again where it lies, and compares it with its manifest, its log and its records.

Belongs here: the re-check of a release's objects, of `manifest.csv` and the report.  What the states mean is the business of
`releases.states`.  Three sources have to agree on a delivered object: the manifest's table, the `manifest.csv` that the
recipient has (whose digest stands in the sealed log), and the bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from gradient_assets.boundary import RELEASE_KEY
from gradient_assets.integrity import records
from gradient_assets.integrity.recheck import (
    Recheck,
    compare_objects,
    key_in_use,
    made_objects,
    reader,
    sizes,
    verify_tables,
)
from gradient_assets.releases import Release
from gradient_assets.releases.manifest import MANIFEST, REPORT, REVOKED, as_csv, digest_of, manifest_rows
from gradient_assets.releases.states import LogError, ReleaseLog, Standing
from gradient_assets.tables import ALL_TABLES, MADE_RELEASE, RELEASE_MANIFEST
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished

BESIDE = frozenset({MANIFEST, REPORT, REVOKED, "withdrawn_objects.csv"})
"""What may lie with a recipient beside the objects."""


@dataclass(frozen=True)
class _Found:
    """What is to be compared of one release: object key → SHA-256, by the table and by the recipient's manifest."""

    made: Mapping[str, str]
    handed_out: Mapping[str, str]
    manifest: bytes | None
    report: bytes | None


def verify_release(resources: Resources, release: Release, approvals: int, check: Recheck) -> str:
    """Re-hash all that a release is; returns its state, `unknown` when its log can't be relied on.

    `approvals`: how many the registry asks for.  Raises what the stores raise.
    """
    key = key_in_use(resources, release.secret_name, release.name, check)
    standing = _standing(resources, release, check) if key is not None else None
    state = "unknown" if standing is None else standing.state(approvals)
    if state == "revoked":
        _nothing_left(resources.releases, release, check)
        return state
    specs = [spec for spec in ALL_TABLES if spec.partitioned_by == "release"]
    sound = verify_tables(resources, specs, release.name, key, check)
    if RELEASE_MANIFEST not in sound or MADE_RELEASE not in sound:
        check.differs(release.name, "objects", "not looked at")
        return state
    found = _found(resources, release)
    if standing is not None:
        _compare_log(resources, release, standing, state, found, check)
    _compare_origins(resources, release, found, check)
    _compare_bytes(resources, release, found, check)
    return state


def _standing(resources: Resources, release: Release, check: Recheck) -> Standing | None:
    try:
        return ReleaseLog.of(resources, release).standing()
    except LogError:
        check.differs(release.name, "log of states", "changed")
        return None


def _found(resources: Resources, release: Release) -> _Found:
    bucket = resources.releases
    rows = manifest_rows(resources.warehouse, release.name)
    manifest = _content(bucket, f"{release.delivered}/{MANIFEST}")
    handed_out: dict[str, str] = {}
    if manifest is not None:
        for row in csv.DictReader(io.StringIO(manifest.decode(errors="replace"))):
            handed_out[row.get("object_key") or ""] = row.get("sha256") or ""
    made = {row["object_key"]: row["sha256"] for row in rows}
    return _Found(made, handed_out, manifest, _content(bucket, f"{release.delivered}/{REPORT}"))


def _compare_log(
    resources: Resources, release: Release, standing: Standing, state: str, found: _Found, check: Recheck
) -> None:
    """`manifest.csv` and report against the digests of the sealed log; the table against both where all is delivered."""
    reports = [entry.report for entry in standing.entries if entry.change in ("delivered", "reduced")]
    wanted = {MANIFEST: standing.delivered, REPORT: reports[-1] if reports else ""}
    for name, content in ((MANIFEST, found.manifest), (REPORT, found.report)):
        if wanted[name] and content is None:
            check.differs(release.name, name, "missing")
        elif content is not None and digest_of(content) != wanted[name]:
            check.differs(release.name, name, "changed" if wanted[name] else "extra")
    if state == "draft":
        return
    rows = manifest_rows(resources.warehouse, release.name)
    if standing.manifest and digest_of(as_csv(rows)) != standing.manifest:
        check.differs(release.name, "public.release_manifest and log", "changed")
    if state == "delivered":
        for name in sorted(set(found.made) | set(found.handed_out)):
            shown = name if RELEASE_KEY.fullmatch(name) else ""
            if name not in found.handed_out:
                check.differs(release.name, f"{MANIFEST} row", "missing", shown)
            elif name not in found.made:
                check.differs(release.name, f"{MANIFEST} row", "extra", shown)
            elif found.made[name] != found.handed_out[name]:
                check.differs(release.name, f"{MANIFEST} row", "changed", shown)


def _compare_origins(resources: Resources, release: Release, found: _Found, check: Recheck) -> None:
    """The digests that the workers wrote down against those of the manifest's table."""
    written = made_objects(resources, MADE_RELEASE, release.name)
    for name in sorted(found.made):
        if name in written and written[name] != found.made[name]:
            check.differs(release.name, "public.release_manifest row", "changed", name)


def _compare_bytes(resources: Resources, release: Release, found: _Found, check: Recheck) -> None:
    """Objects with the recipient against the recipient's manifest, objects that wait against the table."""
    pending = bool(records.announced(resources.partition_records, MADE_RELEASE, release.name))
    waiting = {name: digest for name, digest in found.made.items() if found.handed_out.get(name) != digest}
    for prefix, place, expected in (
        (f"{release.delivered}/dicom/", "delivered", found.handed_out),
        (f"{release.prepared}/", "waiting", waiting),
    ):
        bucket = resources.releases.under(prefix)
        compare_objects(
            check, release.name, place, expected, sizes(bucket, ""), reader(bucket), RELEASE_KEY, pending=pending
        )
    foreign = [
        stat.key
        for stat in resources.releases.under(release.delivered).listing()
        if stat.key not in BESIDE and not stat.key.startswith("dicom/")
    ]
    if foreign:
        check.differs(release.name, "recipient's folder", "extra", count=len(foreign))


def _nothing_left(bucket: Bucket, release: Release, check: Recheck) -> None:
    for prefix in (f"{release.delivered}/dicom/", f"{release.prepared}/"):
        if left := sum(1 for _ in bucket.listing(prefix)):
            check.differs(release.name, "objects of a revoked release", "extra", count=left)


def _content(bucket: Bucket, key: str) -> bytes | None:
    try:
        return bucket.get(key)
    except ObjectVanished:
        return None
