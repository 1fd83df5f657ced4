"""Releases that hold a withdrawn patient: their objects go, and their recipients are told what to delete.

Belongs here: the list of objects for the recipient, deleting what lies under our control, the manifest without them.  What a
release is and the log of its changes is `gradient_assets.releases`' business.

The order makes it safe to be killed at any point: the list is written while the manifest still names the objects, the rows
go from the table last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_assets.hospitals import Hospital
from gradient_assets.releases import Release, load_release, release_names
from gradient_assets.releases.manifest import MANIFEST, REPORT, as_csv, digest_of
from gradient_assets.releases.states import ReleaseLog
from gradient_assets.tables import RELEASE_MANIFEST
from gradient_assets.withdrawals.sweep import Withdrawn, remove_rows
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.warehouses.warehouse import Warehouse

WITHDRAWN_OBJECTS = "withdrawn_objects.csv"
"""Beside the manifest of a delivery: what the recipient has to delete, over all withdrawals since."""

COLUMNS = ("object_key", "sha256")


NOTICE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Report taken back</title></head><body><p>Patients '
    f"were withdrawn from this release. Delete the objects that {WITHDRAWN_OBJECTS} names. {MANIFEST} names those that "
    "remain; a new report is made with the next delivery.</p></body></html>\n"
)
"""In place of a report, whose counts and pictures hold withdrawn patients."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """What became of one release: objects named for the recipient now, and objects that were deleted here."""

    release: Release
    named: int
    deleted: int
    delivered: bool


def withdraw_objects(withdrawn: Withdrawn, resources: Resources, warehouse: Warehouse, by: str) -> list[Reduced]:
    """Take the withdrawn patients out of every release, then say so in the releases' logs.

    Releases that hold none of them are not in the result.  Raises `ReleaseError` for a log that can't be relied on, when all
    releases are reduced.
    """
    if not withdrawn.register:
        return []
    bucket = resources.release_requests
    releases = [load_release(bucket, name) for name in release_names(bucket)]
    reduced = [reduce_release(withdrawn, resources, warehouse, release) for release in releases]
    for release in releases:
        _log(resources, release, by)
    return [one for one in reduced if one is not None]


def settle_delivery(
    resources: Resources, warehouse: Warehouse, hospitals: Iterable[Hospital], release: Release, by: str
) -> None:
    """What a delivery does when it is done: whoever was withdrawn meanwhile goes from what has just been moved."""
    for hospital in hospitals:
        withdrawn = Withdrawn.of(resources, hospital)
        if withdrawn.register and reduce_release(withdrawn, resources, warehouse, release) is not None:
            _log(resources, release, by)


def reduce_release(
    withdrawn: Withdrawn, resources: Resources, warehouse: Warehouse, release: Release
) -> Reduced | None:
    """Take them out of one release; None if it holds none of them."""
    bucket = resources.releases
    rows = [row for batch in warehouse.scan(RELEASE_MANIFEST, release.name) for row in batch.to_pylist()]
    stray = strays(withdrawn, bucket, release)
    listed = _listed(bucket, f"{release.delivered}/{MANIFEST}")
    theirs = [row for row in listed if _is_theirs(withdrawn, row["object_key"])]
    pages = [one.key for one in bucket.listing(f"{release.pages}/")]
    waiting = [
        row for row in _listed(bucket, f"{release.pages}/{MANIFEST}") if _is_theirs(withdrawn, row["object_key"])
    ]
    if not (theirs or stray or waiting or any(withdrawn.owns(RELEASE_MANIFEST, row) for row in rows)):
        return None
    if listed:
        _tell(bucket, release, theirs)
    bucket.delete([*stray, *pages])
    if listed:
        kept = [row for row in listed if not _is_theirs(withdrawn, row["object_key"])]
        bucket.put(f"{release.delivered}/{REPORT}", NOTICE.encode())
        bucket.put(f"{release.delivered}/{MANIFEST}", as_csv(kept))
    remove_rows(withdrawn, warehouse, RELEASE_MANIFEST, release.name)
    return Reduced(release, len(theirs), len(stray), bool(listed))


def _log(resources: Resources, release: Release, by: str) -> None:
    """Say that fewer objects stand there than were delivered; a withdrawal that was killed before this says it later."""
    bucket = resources.releases
    if not told(bucket, release) or not bucket.exists(f"{release.delivered}/{MANIFEST}"):
        return
    manifest, report = (digest_of(bucket.get(f"{release.delivered}/{name}")) for name in (MANIFEST, REPORT))
    log = ReleaseLog.of(resources, release)
    standing = log.standing()
    if standing.delivered and standing.delivered != manifest and not standing.revoked:
        log.append("reduced", by, note="patients were withdrawn", manifest=manifest, report=report)


def strays(withdrawn: Withdrawn, bucket: Bucket, release: Release) -> list[str]:
    """Keys of withdrawn patients' objects that wait for the release or were delivered with it."""
    return [
        stat.key
        for place in (f"{release.delivered}/", f"{release.prepared}/")
        for stat in bucket.listing(place)
        if _is_theirs(withdrawn, stat.key)
    ]


def told(bucket: Bucket, release: Release) -> list[dict[str, str]]:
    """The objects that the recipient was told to delete."""
    return _listed(bucket, f"{release.delivered}/{WITHDRAWN_OBJECTS}")


def _is_theirs(withdrawn: Withdrawn, key: str) -> bool:
    traces = withdrawn.traces
    names = traces.patients | traces.studies | traces.instances
    return any(part.removesuffix(".dcm") in names for part in key.split("/"))


def _tell(bucket: Bucket, release: Release, rows: Iterable[Mapping[str, Any]]) -> None:
    wanted = {(row["object_key"], row["sha256"]) for row in (*told(bucket, release), *rows)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(wanted))
    bucket.put(f"{release.delivered}/{WITHDRAWN_OBJECTS}", text.getvalue().encode())


def _listed(bucket: Bucket, key: str) -> list[dict[str, str]]:
    try:
        content = bucket.get(key).decode()
    except ObjectVanished:
        return []
    return list(csv.DictReader(io.StringIO(content)))
