"""The hospitals' own buckets: external assets, observed and never written.

Belongs here: their specs, and what a look at a bucket says (how many objects, and a keyed digest of the listing).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import dagster as dg

from gradient_assets import boundary
from gradient_assets.deid.identity import Pseudonymizer
from resources.object_store import Bucket

hospital_dicoms = dg.AssetSpec("hospital_dicoms")
hospital_reports = dg.AssetSpec("hospital_reports")


@dataclass(frozen=True)
class Observation:
    """A look at a bucket: the number of objects, their bytes, and a keyed digest that changes with the listing."""

    objects: int
    size: int
    listing: str

    def event(self, key: str, partition: str) -> dg.AssetObservation:
        """What Dagster keeps of the look: counts, and the keyed digest as data version."""
        metadata = boundary.asset_metadata({"gradient/objects_in": self.objects, "gradient/bytes": self.size})
        tags = {"dagster/data_version": self.listing}
        return dg.AssetObservation(asset_key=key, partition=partition, metadata=metadata, tags=tags)


def observe(bucket: Bucket, identity: Pseudonymizer) -> Observation:
    """List a bucket once, in bounded pages.  Raises `StoreError`."""
    objects = size = 0
    digest = hashlib.sha256()
    for stat in bucket.listing():
        objects += 1
        size += stat.size
        digest.update(f"{stat.key}\x1f{stat.etag}\x1f{stat.size}\x1e".encode("utf-8", "surrogatepass"))
    return Observation(objects, size, identity.token("listing", digest.digest()))
