"""In = out + quarantined, at every stage of a hospital.

Belongs here: counting what a stage was given, what it wrote and what it refused, from the tables themselves.
"""

from dataclasses import dataclass

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.context import silent
from resources import Resources
from resources.warehouse import Warehouse


@dataclass(frozen=True)
class Balance:
    """One stage's numbers."""

    stage: str
    given: int
    out: int
    quarantined: int

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return self.given == self.out + self.quarantined


_COUNTS = {
    "deidentified_metadata": (
        "SELECT COUNT(*) AS n FROM identified.dicom_metadata",
        "SELECT COUNT(*) AS n FROM deidentified.deidentified_metadata",
        "SELECT COUNT(*) AS n FROM identified.refused_deidentified_metadata",
    ),
    "deidentified_reports": (
        "SELECT COUNT(*) AS n FROM identified.identified_reports",
        "SELECT COUNT(*) AS n FROM deidentified.deidentified_reports",
        "SELECT COUNT(*) AS n FROM identified.refused_deidentified_reports",
    ),
    "thumbnails": (
        "SELECT COUNT(*) AS n FROM deidentified.deidentified_metadata",
        "SELECT COUNT(DISTINCT sop_instance_uid) AS n FROM deidentified.pixel_text",
        "SELECT COUNT(*) AS n FROM identified.refused_thumbnails",
    ),
    "final_table": (
        "SELECT COUNT(DISTINCT sop_instance_uid) AS n FROM deidentified.pixel_text",
        "SELECT COUNT(*) AS n FROM deidentified.final_table",
        "",
    ),
}


def balances(warehouse: Warehouse, hospital_id: str) -> list[Balance]:
    """The balance of each stage whose input is a table; the two stages that read buckets check themselves as they commit."""

    def count(sql: str) -> int:
        if not sql:
            return 0
        rows = warehouse.query(f"{sql} WHERE hospital_id = @hospital_id", {"hospital_id": hospital_id}).to_pylist()
        return int(rows[0]["n"])

    return [Balance(stage, *(count(sql) for sql in statements)) for stage, statements in _COUNTS.items()]


def reconciliation_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The check on `quarantine`, which is made last."""

    @dg.asset_check(
        asset="quarantine",
        name="in_equals_out_plus_quarantined",
        partitions_def=hospitals,
        additional_deps=["final_table"],
        description="Each stage's rows and refusals add up to what it was given.",
    )
    @silent
    def in_equals_out_plus_quarantined(
        context: dg.AssetCheckExecutionContext, resources: dg.ResourceParam[Resources]
    ) -> dg.AssetCheckResult:
        found = balances(resources.warehouse, context.partition_key)
        broken = [balance for balance in found if not balance.holds]
        lines = [f"{b.stage}: {b.given} in, {b.out} out, {b.quarantined} quarantined" for b in found]
        return dg.AssetCheckResult(
            passed=not broken,
            description=". ".join(lines) + ".",
            metadata=boundary.asset_metadata(
                {
                    "gradient/quarantined_by_reason": dg.MetadataValue.json({b.stage: b.quarantined for b in found}),
                    "gradient/what_to_do": "Materialize the hospital again; if it stays, report the numbers above."
                    if broken
                    else "Nothing to do.",
                }
            ),
        )

    return [in_equals_out_plus_quarantined]
