"""The blocking looks at what was written that need no list of identifiers: the profile, patterns, text in pixels.

Belongs here: one check for each look and asset.  The looks are `verification`'s; the asset has already put aside what it
found with them, so that a finding here is one that could not be put aside, or that came after.  Which patterns may block is
decided in `deid.verify.patterns`; the search for known identifiers is in `leaks`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.assets.context import silent
from gradient_assets.checks.telling import SEARCHED_NOW, most_frequent, pseudonyms_of
from gradient_assets.deid.pixels.finders import described
from gradient_assets.hospitals import Registry
from gradient_assets.releases import load_release
from gradient_assets.releases.manifest import manifest_digest
from gradient_assets.releases.verification import CheckOutcome, keep_outcome
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    MADE_DEIDENTIFIED_METADATA,
    MADE_DEIDENTIFIED_REPORTS,
    MADE_RELEASE,
    MADE_THUMBNAILS,
    TableSpec,
)
from gradient_assets.verification import Found, Remembered, Verifier
from resources import Resources

NOBODY_LOOKED = (
    "Nobody has looked: GRADIENT_VERIFYING_READER is `none`, and an engine that cleaned can't verify itself. Choose a "
    "reader and materialize the asset again."
)


@dataclass(frozen=True)
class Look:
    """One check: its name, what it says of itself, what to do when it fails and when it holds."""

    name: str
    description: str
    remedy: str
    fine: str


PROFILE_HOLDS = Look(
    "profile_holds",
    "Evaluates Table E.1-1 a second time, straight from the table, over each written header beside its original.",
    "Nothing after this asset has run. The rules and tags below broke the profile and could not be put aside. Report them; "
    "after the mend, or a change of the profile, materialize the hospital or release again.",
    "Nothing to do: every element is what the profile allows.",
)
NO_PATTERN = Look(
    "no_identifier_like_pattern",
    "Searches texts for phones, social security numbers, e-mails, names with a title, labelled numbers, and dates that the "
    "profile does not allow.",
    "Nothing after this asset has run. Look at the examples inside the hospital: a row with the kind below could not be put "
    "aside. Report the kind and place; after the mend materialize the hospital again.",
    "Nothing to do. Suspicious patterns, if any are counted, are not sure enough to block.",
)
NO_TEXT = Look(
    "no_text_in_pixels",
    "Reads pictures with an engine that cleaned none of them, and compares what it reads with every name and id known.",
    "Nothing after this asset has run. Look at the examples with `gradient review` and add the boxes that are missing, or "
    "quarantine them; then materialize the asset again.",
    "Nothing to do: no text was read.",
)


def written_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The checks of all assets."""
    headers, reports = DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS
    return [
        _check(headers.name, PROFILE_HOLDS, hospitals, MADE_DEIDENTIFIED_METADATA, Verifier.profile),
        _check(headers.name, NO_PATTERN, hospitals, MADE_DEIDENTIFIED_METADATA, lambda one: one.patterns(headers)),
        _check(reports.name, NO_PATTERN, hospitals, MADE_DEIDENTIFIED_REPORTS, lambda one: one.patterns(reports)),
        _check("thumbnails", NO_TEXT, hospitals, MADE_THUMBNAILS, Verifier.text_in_thumbnails),
        _check("release_dicoms", PROFILE_HOLDS, RELEASES, MADE_RELEASE, Verifier.profile_of_release),
        _check("release_dicoms", NO_PATTERN, RELEASES, MADE_RELEASE, Verifier.patterns_of_release),
        _check("release_dicoms", NO_TEXT, RELEASES, MADE_RELEASE, Verifier.text_in_release),
    ]


def _check(
    asset: str,
    look: Look,
    partitions: dg.PartitionsDefinition[str],
    made: TableSpec,
    taken: Callable[[Verifier], Found],
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=look.name, blocking=True, partitions_def=partitions, description=look.description)
    @silent
    def check(
        context: dg.AssetCheckExecutionContext,
        registry: dg.ResourceParam[Registry],
        resources: dg.ResourceParam[Resources],
    ) -> dg.AssetCheckResult:
        partition = context.partition_key
        manifest = ""
        if partitions is RELEASES:
            # Before the look: what another run makes of the release meanwhile was not looked at.
            manifest = manifest_digest(resources.warehouse, partition)
            verifier = Verifier.of_release(resources, registry, load_release(resources.release_requests, partition))
        else:
            hospital, run_id = registry.get(partition), context.op_execution_context.run_id
            remembered = Remembered.of(resources, hospital, "check", run_id)
            verifier = Verifier.of_hospital(resources, hospital, remembered)
        found = unspared(verifier, verifier.undisturbed(taken))
        if partitions is RELEASES:
            outcome = CheckOutcome(
                asset,
                look.name,
                not found.total,
                found.searched,
                found.by_kind,
                manifest,
                accepted=found.accepted,
                reader=described(verifier.reader) if look is NO_TEXT and verifier.reader is not None else "",
            )
            keep_outcome(resources, partition, outcome)
        return outcome_of(
            look, found, examples(verifier, made, found), looked=look is not NO_TEXT or verifier.reader is not None
        )

    return check


def unspared(verifier: Verifier, found: Found) -> Found:
    """What was found but for what was put aside once and accepted by a person: of each kind no more than was accepted."""
    for token, hits in list(found.by_token.items()):
        accepted, numbers = verifier.spared.put_aside(token), Counter[str]()
        for (kind, _), count in hits.items():
            numbers[kind] += count
        for kind, place in list(hits):
            if numbers[kind] <= accepted[kind]:
                found.accepted += hits.pop((kind, place))
        if not hits:
            del found.by_token[token]
    return found


def examples(verifier: Verifier, made: TableSpec, found: Found) -> list[str]:
    """Pseudonyms of a few objects with findings, as `gradient quarantine show` knows them."""
    return pseudonyms_of(verifier.warehouse, made, verifier.partition, found.by_token)


def outcome_of(look: Look, found: Found, shown: list[str], *, looked: bool = True) -> dg.AssetCheckResult:
    """The check's outcome: counts by kind and place, pseudonyms, what to do.  Where nobody could look it warns, and blocks
    nothing: somebody has chosen that."""
    failed = found.total > 0
    todo = look.remedy if failed else look.fine if looked else NOBODY_LOOKED
    return dg.AssetCheckResult(
        passed=looked and not failed,
        severity=dg.AssetCheckSeverity.ERROR if failed or looked else dg.AssetCheckSeverity.WARN,
        description=f"{found.searched} looked at. Findings: {found.total}{most_frequent(found.by_kind)}. Accepted as false "
        f"alarms: {found.accepted}."
        if looked
        else "Not looked at.",
        metadata=boundary.asset_metadata(
            {
                "gradient/searched": found.searched,
                "gradient/accepted": found.accepted,
                "gradient/remembered_since": found.since or SEARCHED_NOW,
                "gradient/hits_by_kind": dg.MetadataValue.json(found.by_kind),
                "gradient/suspicious_patterns": dg.MetadataValue.json(dict(sorted(found.doubtful.items()))),
                "gradient/examples": ", ".join(shown) or "none",
                "gradient/what_to_do": todo,
            }
        ),
    )
