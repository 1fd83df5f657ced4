"""What the blocking checks found in a release: counts, kept in the identified zone for its report and for the gate.

Belongs here: keeping an outcome with the digest of the manifest that it was found for, and refusing to go on without.  The
searches themselves are `checks`'; an outcome holds kinds and counts, never a value.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from gradient_assets.releases.requests import ReleaseError
from resources.object_store import Bucket

PREFIX = "_verification"

BEFORE_REPORT = ("release_dicoms", "release_manifest")
BEFORE_DELIVERY = (*BEFORE_REPORT, "release_report")
"""Assets whose checks have to have passed before the report is made, and before anything is delivered."""

NEEDED = (
    ("release_dicoms", "no_known_identifier"),
    ("release_dicoms", "no_identifier_like_pattern"),
    ("release_dicoms", "no_text_in_pixels"),
    ("release_dicoms", "profile_holds"),
    ("release_manifest", "no_known_identifier"),
)
"""Asset and check without which nothing is verified: every blocking one.  What others left here must have passed too."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """How one check ended over what the release held then (`manifest`: the digest of its manifest)."""

    asset: str
    check: str
    passed: bool
    searched: int
    found: Mapping[str, int]
    manifest: str

    def __post_init__(self) -> None:
        if type(self.passed) is not bool or type(self.searched) is not int or not isinstance(self.found, dict):
            raise ValueError("an outcome of another form")


def keep_outcome(bucket: Bucket, release: str, outcome: CheckOutcome) -> None:
    """Keep it in place of the check's last one.  `bucket` is that of the requests."""
    content = json.dumps(asdict(outcome), sort_keys=True).encode()
    bucket.put(f"{PREFIX}/{release}/{outcome.asset}.{outcome.check}.json", content)


def outcomes_of(
    bucket: Bucket, release: str, manifest: str, assets: Collection[str] = BEFORE_DELIVERY
) -> list[CheckOutcome]:
    """The outcomes of these assets' checks for what the release holds now, by asset and check.

    Raises `ReleaseError` if a needed check has not run over exactly this manifest, or if any has failed.
    """
    found: list[CheckOutcome] = []
    for stat in bucket.under(f"{PREFIX}/{release}").listing():
        try:
            outcome = CheckOutcome(**json.loads(bucket.get(f"{PREFIX}/{release}/{stat.key}")))
        except (ValueError, TypeError):
            outcome = None
        if outcome is None:
            raise ReleaseError(
                f"What the checks found in release '{release}' can't be read. Run `gradient release` again."
            )
        if outcome.manifest == manifest and outcome.asset in assets:
            found.append(outcome)
    current = {(one.asset, one.check) for one in found}
    if missing := [f"{check} of {asset}" for asset, check in NEEDED if (asset, check) not in current]:
        raise ReleaseError(
            f"Release '{release}' is not verified: {', '.join(missing)} has not run over what it holds now. Run "
            "`gradient release` again."
        )
    if failed := [f"{one.check} of {one.asset}" for one in found if not one.passed]:
        raise ReleaseError(f"Release '{release}' is not verified: {', '.join(failed)} has failed.")
    return sorted(found, key=lambda one: (one.asset, one.check))
