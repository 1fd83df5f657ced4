"""Pictures in which a reader never read anything, by the digest of their bytes, so that nobody looks at them twice.

Belongs here: remembering.  Only what held no reading at all is remembered, since what a reading means changes with what is
known of the hospital; another reader or another byte is another picture.  Kept in the identified zone under a seal: a digest
that somebody else put there would keep a picture from being looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from gradient_assets.seals import SealBroken, Seals
from resources.buckets.object_store import Bucket, ObjectVanished

PREFIX = "_looked_at"


@dataclass
class LookedAt:
    """Digests of one partition's blank pictures under one reader."""

    bucket: Bucket
    seals: Seals
    partition: str
    reader: str
    _known: set[str] = field(default_factory=set)
    _met: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            found = self.seals.opened(self._key, self.bucket.get(self._key))
        except (ObjectVanished, SealBroken):
            return  # nothing is known then, and everything is looked at
        self._known = set(found["blank"])

    @property
    def _key(self) -> str:
        return f"{PREFIX}/{self.partition}/{self.reader}.json"

    def is_blank(self, content: bytes) -> bool:
        """Whether nothing was read in a picture of these bytes."""
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._known:
            self._met.add(digest)
        return digest in self._known

    def remember(self, content: bytes) -> None:
        """Nothing was read in it."""
        self._met.add(hashlib.sha256(content).hexdigest())

    def keep(self) -> None:
        """Write down what was met this time; pictures that are gone are forgotten."""
        if self._met != self._known:
            self.bucket.put(self._key, self.seals.closed(self._key, {"blank": sorted(self._met)}))
            self._known = set(self._met)
