"""What a release holds, as the file that the recipient gets, and the digest that names it.

Belongs here: `manifest.csv`, made and read.  Its SHA-256 is what people approve: it covers the digest of every object, and
the recipient can compute it with any tool.  How the rows came about is the business of `pipelines.release`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

from gradient_assets.releases.requests import Release
from gradient_assets.tables import RELEASE_MANIFEST
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.warehouses.warehouse import Warehouse

MANIFEST, REPORT, REVOKED = "manifest.csv", "report.html", "revoked.csv"
"""What lies beside the objects; the last one only after a release was revoked."""

COLUMNS = tuple(name for name in RELEASE_MANIFEST.column_names if name != "work_token")


def manifest_rows(warehouse: Warehouse, release: str) -> list[dict[str, Any]]:
    """Rows of the release's partition, in stored order."""
    return [row for batch in warehouse.scan(RELEASE_MANIFEST, release) for row in batch.to_pylist()]


def as_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The rows as the recipient gets them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def manifest_digest(warehouse: Warehouse, release: str) -> str:
    """The digest of what the release holds now."""
    return digest_of(as_csv(manifest_rows(warehouse, release)))


def delivered_rows(releases: Bucket, release: Release) -> list[dict[str, str]]:
    """Rows of the manifest that the recipient has; none before the first delivery."""
    try:
        content = releases.get(f"{release.delivered}/{MANIFEST}")
    except ObjectVanished:
        return []
    return rows_of(content)


def rows_of(content: bytes) -> list[dict[str, str]]:
    """The rows of such a file."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def waiting_keys(warehouse: Warehouse, releases: Bucket, release: Release) -> set[str]:
    """Objects that the recipient does not have in the form that the manifest names: they must wait, all others go."""
    delivered = {row["object_key"]: row["sha256"] for row in delivered_rows(releases, release)}
    return {
        row["object_key"]
        for row in manifest_rows(warehouse, release.name)
        if delivered.get(row["object_key"]) != row["sha256"]
    }
