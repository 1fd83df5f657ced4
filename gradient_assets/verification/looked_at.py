"""Pictures in which a reader never read anything, by the digest of their bytes, so that nobody looks at them twice.

Belongs here: remembering.  Only what held no reading at all is remembered, since what a reading means changes with what is
known of the hospital; another reader or another byte is another picture.  Kept in the identified zone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from resources.object_store import Bucket, ObjectVanished

PREFIX = "_looked_at"


@dataclass
class LookedAt:
    """Digests of one partition's blank pictures under one reader."""

    bucket: Bucket
    partition: str
    reader: str
    _known: set[str] = field(default_factory=set)
    _met: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            found = json.loads(self.bucket.get(self._key))
        except (ObjectVanished, ValueError):
            return  # nothing is known then, and everything is looked at
        self._known = {digest for digest in found if isinstance(digest, str)} if isinstance(found, list) else set()

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
            self.bucket.put(self._key, json.dumps(sorted(self._met)).encode())
            self._known = set(self._met)
