"""Releases as they are asked for: a name, a recipient, a cohort's condition.

Belongs here: the request and its file.  Requests are kept in the identified zone, since a condition may hold a name that
somebody typed.  Who is in the cohort is `cohort`'s business, what became of the request that of `states`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from gradient_assets.cohort import cohort_condition
from resources.buckets.object_store import Bucket, ObjectVanished

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,59}")
PREPARED = "_prepared"
"""Prefix of the releases' bucket that no recipient may read: objects wait here for checks and approval."""


class ReleaseError(Exception):
    """A release can't be asked for or made as wished; the message says why and what to do."""


@dataclass(frozen=True)
class Release:
    """One request.  `condition` is SQL over the columns of `prod` (see `cohort`)."""

    name: str
    recipient: str
    condition: str

    def __post_init__(self) -> None:
        for field, value in (("name", self.name), ("recipient", self.recipient)):
            if not NAME.fullmatch(value):
                raise ReleaseError(f"A release's {field} has 2–60 of a–z, 0–9 and -, a letter or digit first.")
        cohort_condition(self.condition)

    @property
    def secret_name(self) -> str:
        """Where the recipient's key is kept: two recipients can't link their copies."""
        return f"recipient/{self.recipient}"

    @property
    def prepared(self) -> str:
        """Where the objects wait."""
        return f"{PREPARED}/{self.name}"

    @property
    def staged(self) -> str:
        """Where the objects of a run that goes on wait to be committed (`pipelines.stage`)."""
        return f"{self.prepared}/_staging"

    @property
    def pages(self) -> str:
        """Where report and manifest wait; beside the objects, whose folder is swept."""
        return f"{PREPARED}/_pages/{self.name}"

    @property
    def delivered(self) -> str:
        """Where the recipient finds them."""
        return f"{self.recipient}/{self.name}"


def without_faces(condition: str) -> str:
    """The condition for a cohort without series that may show a face.  Raises `CohortError` for one that can't be used."""
    return f"({cohort_condition(condition)}) AND may_show_face = 'none'"


def refuse_another(bucket: Bucket, release: Release) -> None:
    """Raise `ReleaseError` if another request has that name."""
    if bucket.exists(f"{release.name}.json") and load_release(bucket, release.name) != release:
        raise ReleaseError(f"Release '{release.name}' exists with another recipient or cohort. Choose another name.")


def save_release(bucket: Bucket, release: Release) -> None:
    """Keep a request.  The same once more is fine; another under the same name raises `ReleaseError`."""
    refuse_another(bucket, release)
    bucket.put(f"{release.name}.json", json.dumps(asdict(release), sort_keys=True).encode())


def load_release(bucket: Bucket, name: str) -> Release:
    """The request of that name.  Raises `ReleaseError` if there is none."""
    try:
        return Release(**json.loads(bucket.get(f"{name}.json")))
    except ObjectVanished:
        message = f"Release '{name}' is unknown. `gradient release {name} --recipient R --where CONDITION` makes it."
    raise ReleaseError(message)


def release_names(bucket: Bucket) -> list[str]:
    """Names of all requests, sorted."""
    names = (stat.key.removesuffix(".json") for stat in bucket.listing() if stat.key.endswith(".json"))
    return sorted(name for name in names if NAME.fullmatch(name))
