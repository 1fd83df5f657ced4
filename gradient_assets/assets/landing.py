"""The hospitals' own buckets: external assets, observed and never written.

Belongs here: their specs, and what a look at a bucket says (how many objects, and a keyed digest of the listing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import dagster as dg

from gradient_assets import boundary
from gradient_assets.deid.identity import Pseudonymizer
from resources.buckets.object_store import Bucket, ObjectStat

hospital_dicoms = dg.AssetSpec("hospital_dicoms")
hospital_reports = dg.AssetSpec("hospital_reports")


class Look:
    """One listing of a bucket, passed on as it is read; afterwards it says what was there.

    A listing of 100,000 objects takes 5–30 s, so that the observation and the work list share one.
    """

    def __init__(self, bucket: Bucket, identity: Pseudonymizer) -> None:
        self._bucket, self._identity = bucket, identity
        self.objects = 0
        self.markers = 0
        self.size = 0
        self._digest = hashlib.sha256()

    def stats(self) -> Iterator[ObjectStat]:
        """The bucket's objects in key order, in bounded pages.  Raises `StoreError`."""
        for stat in self._bucket.listing():
            self.objects += 1
            self.markers += stat.key.endswith("/") and not stat.size
            self.size += stat.size
            self._digest.update(f"{stat.key}\x1f{stat.etag}\x1f{stat.size}\x1e".encode("utf-8", "surrogatepass"))
            yield stat

    def inputs(self) -> int:
        """How many objects a stage over the listing has to account for: all but the markers of folders."""
        return self.objects - self.markers

    def event(self, key: str, partition: str) -> dg.AssetObservation:
        """What Dagster keeps of a listing that was read to its end: counts, and its keyed digest as data version."""
        metadata = boundary.asset_metadata({"gradient/objects_in": self.objects, "gradient/bytes": self.size})
        tags = {"dagster/data_version": self._identity.token("listing", self._digest.digest())}
        return dg.AssetObservation(asset_key=key, partition=partition, metadata=metadata, tags=tags)
