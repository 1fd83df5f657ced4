"""What the blocking checks found in a release: counts, kept in the identified zone for its report and for the gate.

Belongs here: keeping an outcome with the digests of the manifest and of the page that it was found for, and refusing to go on
without.  The searches themselves are `checks`'; an outcome holds kinds and counts, never a value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from gradient_assets.releases.requests import ReleaseError, load_release
from gradient_assets.seals import Seals
from resources.environment import Resources

PREFIX = "_verification"

BEFORE_REPORT = ("release_dicoms", "release_manifest")
BEFORE_DELIVERY = (*BEFORE_REPORT, "release_report")
"""Assets whose checks have to have passed before the report is made, and before anything is delivered."""

PIXELS = ("release_dicoms", "no_text_in_pixels")
BALANCE = ("release_manifest", "in_equals_out_plus_quarantined")
"""It counts what the others search."""
NEEDED = (
    ("release_dicoms", "no_known_identifier"),
    ("release_dicoms", "no_identifier_like_pattern"),
    PIXELS,
    ("release_dicoms", "profile_holds"),
    ("release_manifest", "no_known_identifier"),
    BALANCE,
)
"""Asset and check without which nothing is verified: every blocking one.  What others left here must have passed too."""

PAGE = ("release_report", "no_known_identifier")
"""The blocking one that can look only when the page is laid: without it nothing is approved or delivered."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """How one check ended over what the release held then (`manifest`: the digest of its manifest).

    `report`: the digest of the page that was searched, for a check that searches one.  `accepted`: findings that people
    accepted as false alarms.  `known`: forms of known identifiers that were looked for; 0 for a check that looks for
    something else.  `reader`: who read pictures, as it describes itself.
    """

    asset: str
    check: str
    passed: bool
    searched: int
    found: Mapping[str, int]
    manifest: str
    accepted: int = 0
    known: int = 0
    report: str = ""
    reader: str = ""

    def __post_init__(self) -> None:
        numbers = (self.searched, self.accepted, self.known)
        texts = {type(self.report), type(self.reader)}
        is_formed = type(self.passed) is bool and isinstance(self.found, dict) and texts == {str}
        if not is_formed or {type(one) for one in numbers} != {int}:
            raise ValueError("an outcome of another form")


def keep_outcome(resources: Resources, release: str, outcome: CheckOutcome) -> None:
    """Keep it in place of the check's last one, under the seal of the recipient's key.  Raises what the vault raises."""
    bucket, key = resources.release_requests, f"{release}/{outcome.asset}.{outcome.check}.json"
    seals = Seals.of(resources, load_release(bucket, release).secret_name, PREFIX)
    bucket.put(f"{PREFIX}/{key}", seals.closed(key, asdict(outcome)))


def outcomes_of(
    resources: Resources,
    release: str,
    manifest: str,
    assets: Collection[str] = BEFORE_DELIVERY,
    *,
    report: str = "",
    unread_pixels: bool = False,
) -> list[CheckOutcome]:
    """The outcomes of these assets' checks for what the release holds now, by asset and check.

    `report`: the digest of its page, once there is one: a check of another page says nothing.  `unread_pixels`: whether a
    release may pass whose pixels nobody has read again (`releases.unread_pixels`).

    Raises `ReleaseError` if a needed check has not run over exactly this manifest, if one has looked at nothing, if any has
    failed, or if what was kept of one is not as the check left it.
    """
    found: list[CheckOutcome] = []
    bucket = resources.release_requests
    seals = Seals.of(resources, load_release(bucket, release).secret_name, PREFIX)
    for stat in bucket.under(f"{PREFIX}/{release}").listing():
        key = f"{release}/{stat.key}"
        try:
            outcome = CheckOutcome(**seals.opened(key, bucket.get(f"{PREFIX}/{key}")))
        except (ValueError, TypeError):
            outcome = None
        if outcome is None:
            raise ReleaseError(
                f"What the checks found in release '{release}' can't be read, or was changed. Run `gradient release` again."
            )
        is_of_now = outcome.manifest == manifest and (outcome.asset != PAGE[0] or outcome.report == report)
        if is_of_now and outcome.asset in assets:
            found.append(outcome)
    current = {(one.asset, one.check) for one in found}
    needed = [one for one in (*NEEDED, PAGE) if one[0] in assets]
    if missing := [f"{check} of {asset}" for asset, check in needed if (asset, check) not in current]:
        raise ReleaseError(
            f"Release '{release}' is not verified: {', '.join(missing)} has not run over what it holds now. Run "
            "`gradient release` again."
        )
    if failed := [f"{one.check} of {one.asset}" for one in found if not one.passed]:
        raise ReleaseError(f"Release '{release}' is not verified: {', '.join(failed)} has failed.")
    allowed = {PIXELS} if unread_pixels else set()
    idle = [one for one in found if not one.searched and (one.asset, one.check) in set(needed) - allowed]
    if blind := [f"{one.check} of {one.asset}" for one in idle]:
        raise ReleaseError(
            f"Release '{release}' is not verified: {', '.join(blind)} has looked at nothing. Set GRADIENT_VERIFYING_READER to "
            "a reader and run `gradient release` again, or allow it in the registry (`releases.unread_pixels: true`)."
        )
    return sorted(found, key=lambda one: (one.asset, one.check))
