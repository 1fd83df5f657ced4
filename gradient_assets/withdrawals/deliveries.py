"""Releases that hold a withdrawn patient: their objects go, and their recipients are told what to delete.

Belongs here: the list of objects for the recipient, deleting what lies under our control, the manifest without them, and the
log's entry, which ends every approval of what waited.  What a release is and what its log comes to is
`gradient_assets.releases`' business.

The order makes it safe to be killed at any point: the list is written while the objects lie there and the manifest still names
them, the rows go from the table last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from gradient_assets.hospitals import Hospital
from gradient_assets.integrity.recorded import alone
from gradient_assets.releases import Release, ReleaseError, load_release, release_names
from gradient_assets.releases.manifest import MANIFEST, REPORT, as_csv, digest_of
from gradient_assets.releases.states import ReleaseLog, Revocation
from gradient_assets.tables import MADE_RELEASE, RELEASE_MANIFEST
from gradient_assets.withdrawals.sweep import Withdrawn, remove_rows
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.vault_contract import VaultError
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
    """What became of one release: objects named for the recipient now, and objects that were deleted here.

    `delivered`: whether any of it lies, or lay, with the recipient.
    """

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
    failed: Exception | None = None
    for release, one in zip(releases, reduced, strict=True):
        try:
            _log(resources, release, by)
        except (ReleaseError, VaultError) as error:
            # Of a release that held none of them the log may be broken, or its key not made yet: nothing is to be said there.
            if one is not None or told(resources.releases, release):
                failed = failed or error
    if failed is not None:
        raise failed
    return [one for one in reduced if one is not None]


def settle_objects(
    resources: Resources, warehouse: Warehouse, hospitals: Iterable[Hospital], release: Release, by: str
) -> bool:
    """What a delivery, and the laying of a page, does at its end, however it ends: whoever was withdrawn meanwhile goes from
    what has just been put in place.  Returns whether anybody did.  Raises as `withdraw_objects`."""
    is_reduced = False
    for hospital in hospitals:
        withdrawn = Withdrawn.of(resources, hospital)
        if withdrawn.register and reduce_release(withdrawn, resources, warehouse, release) is not None:
            _log(resources, release, by)
            is_reduced = True
    return is_reduced


def reduce_release(
    withdrawn: Withdrawn, resources: Resources, warehouse: Warehouse, release: Release
) -> Reduced | None:
    """Take them out of one release, when no stage and no delivery is at it; None if it holds none of them."""
    with alone(resources.partition_records, MADE_RELEASE, release.name):
        return _reduced(withdrawn, resources, warehouse, release)


def _reduced(withdrawn: Withdrawn, resources: Resources, warehouse: Warehouse, release: Release) -> Reduced | None:
    bucket = resources.releases
    rows = [row for batch in warehouse.scan(RELEASE_MANIFEST, release.name) for row in batch.to_pylist()]
    stray = strays(withdrawn, bucket, release)
    listed = _listed(bucket, f"{release.delivered}/{MANIFEST}")
    theirs = [row for row in listed if _is_theirs(withdrawn, row["object_key"])]
    lying = _lying(bucket, release, stray)
    pages = [one.key for one in bucket.listing(f"{release.pages}/")]
    waiting = [
        row for row in _listed(bucket, f"{release.pages}/{MANIFEST}") if _is_theirs(withdrawn, row["object_key"])
    ]
    if not (theirs or stray or waiting or any(withdrawn.owns(RELEASE_MANIFEST, row) for row in rows)):
        return None
    # Beside an unfinished delivery lies no manifest, or that of the one before: what lies there is told all the same.
    named = {(row["object_key"], row["sha256"]) for row in (*theirs, *lying)}
    if listed or lying:
        _tell(bucket, release, named)
    bucket.delete([*stray, *pages])
    if listed:
        kept = [row for row in listed if not _is_theirs(withdrawn, row["object_key"])]
        bucket.put(f"{release.delivered}/{REPORT}", NOTICE.encode())
        bucket.put(f"{release.delivered}/{MANIFEST}", as_csv(kept))
    remove_rows(withdrawn, warehouse, RELEASE_MANIFEST, release.name)
    return Reduced(release, len(named), len(stray), bool(listed or lying))


def _log(resources: Resources, release: Release, by: str) -> None:
    """Say that fewer objects stand there than were delivered, or that what was verified or approved does not stand any more; a
    withdrawal that was killed before this says it later."""
    if Revocation(resources.release_requests, release.name).exists():
        return
    log = ReleaseLog.of(resources, release)
    with alone(resources.partition_records, MADE_RELEASE, release.name):
        standing, bucket = log.standing(), resources.releases
        there = {name: f"{release.delivered}/{name}" for name in (MANIFEST, REPORT)} if standing.delivered else {}
        if not all(map(bucket.exists, there.values())):
            return  # `gradient verify` tells of somebody else's hand
        now = {name: digest_of(bucket.get(key)) for name, key in there.items()}
        is_smaller = bool(told(bucket, release)) and now.get(MANIFEST, "") != standing.delivered
        waits = bool(standing.manifest) and not standing.is_current_delivered
        has_page = bucket.exists(f"{release.pages}/{REPORT}")
        if is_smaller or (waits and not has_page):
            manifest, report = now.get(MANIFEST, ""), now.get(REPORT, "")
            log.append("reduced", by, note="patients were withdrawn", manifest=manifest, report=report)


def strays(withdrawn: Withdrawn, bucket: Bucket, release: Release) -> list[str]:
    """Keys of withdrawn patients' objects that wait for the release or were delivered with it."""
    # A delivery moves objects from the first place to the second: listed the other way round, one could be missed in both.
    return [
        stat.key
        for place in (f"{release.prepared}/", f"{release.delivered}/")
        for stat in bucket.listing(place)
        if _is_theirs(withdrawn, stat.key)
    ]


def _lying(bucket: Bucket, release: Release, keys: Iterable[str]) -> list[dict[str, str]]:
    """Those of the objects that lie with the recipient, with the digests of what lies there."""
    place, rows = f"{release.delivered}/dicom/", []
    for key in keys:
        with suppress(ObjectVanished):
            if key.startswith(place):
                rows.append({"object_key": key.removeprefix(place), "sha256": digest_of(bucket.get(key))})
    return rows


def told(bucket: Bucket, release: Release) -> list[dict[str, str]]:
    """The objects that the recipient was told to delete."""
    return _listed(bucket, f"{release.delivered}/{WITHDRAWN_OBJECTS}")


def _is_theirs(withdrawn: Withdrawn, key: str) -> bool:
    traces = withdrawn.traces
    names = traces.patients | traces.studies | traces.instances
    return any(part.removesuffix(".dcm") in names for part in key.split("/"))


def _tell(bucket: Bucket, release: Release, named: Iterable[tuple[str, str]]) -> None:
    wanted = {(row["object_key"], row["sha256"]) for row in told(bucket, release)}.union(named)
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
