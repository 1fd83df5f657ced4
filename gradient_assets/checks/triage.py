"""What triage overlooked: text in the audit sample of the instances it would have skipped.

Belongs here: the blocking check.  Where instances were skipped and none was audited it warns and blocks nothing, as
`no_text_in_pixels` does where nobody looked: somebody has chosen the share.  Counting the sample is `audit_sample`'s business,
who is skipped `deid.pixels.triage`'s.
"""

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.context import silent
from gradient_assets.audit_sample import Audit, audit_of
from resources import Resources


def triage_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The blocking check on `pixel_text`."""

    @dg.asset_check(
        asset="pixel_text",
        name="triage_missed_nothing",
        blocking=True,
        partitions_def=hospitals,
        description="No text was found in the sample of instances that triage would have skipped. A hit blocks what follows.",
    )
    @silent
    def triage_missed_nothing(
        context: dg.AssetCheckExecutionContext, resources: dg.ResourceParam[Resources]
    ) -> dg.AssetCheckResult:
        return outcome_of(audit_of(resources.warehouse, context.partition_key))

    return [triage_missed_nothing]


def outcome_of(audit: Audit) -> dg.AssetCheckResult:
    """The check's outcome: counts, the bound they leave, what to do."""
    bound = round(audit.most_missed, 6) if audit.audited else None
    return dg.AssetCheckResult(
        passed=audit.looked and not audit.hits,
        severity=dg.AssetCheckSeverity.ERROR if audit.looked else dg.AssetCheckSeverity.WARN,
        description=f"{audit.skipped} instances skipped, {audit.audited} audited, text in {audit.hits} of these.",
        metadata=boundary.asset_metadata(
            {
                "gradient/audit": dg.MetadataValue.json(
                    {
                        "skipped": audit.skipped,
                        "audited": audit.audited,
                        "hits": audit.hits,
                        "share_missed_at_most": bound,
                    }
                ),
                "gradient/what_to_do": audit.what_to_do,
            }
        ),
    )
