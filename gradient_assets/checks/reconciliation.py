"""In = out + quarantined + withdrawn, at every stage of a hospital and over all of them.

Belongs here: counting what a stage was given, what it wrote and what it left out, from the tables themselves; for the two
stages that read buckets, what they were given is the number of objects that the listing of their last run had.  Files of
reports are counted as files: nobody keeps how many records a file had.  Releases are not counted here, and nothing waits for
this check: `quarantine` is made last.
"""

from dataclasses import dataclass

import dagster as dg

from gradient_assets import boundary
from gradient_assets.assets.context import silent
from gradient_assets.deid.reasons import Reason
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_THUMBNAILS,
    TableSpec,
)
from resources import Resources
from resources.warehouses.warehouse import Warehouse

REMEDY = "Materialize the hospital again; if it stays, report the numbers above."
FINE = "Nothing to do."


@dataclass(frozen=True)
class Balance:
    """One stage's numbers.  `given` is None where nobody knows any more what the stage was given."""

    stage: str
    what: str
    given: int | None
    out: int
    quarantined: int
    withdrawn: int

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return self.given == self.out + self.quarantined + self.withdrawn

    @property
    def line(self) -> str:
        """For people."""
        given = "an unknown number of" if self.given is None else self.given
        left_out = f"{self.quarantined} quarantined, {self.withdrawn} withdrawn"
        return f"{self.stage}: {given} {self.what} in, {self.out} out, {left_out}"


def balances(warehouse: Warehouse, hospital_id: str, objects: int | None, files: int | None) -> list[Balance]:
    """The balance of each stage, then of the hospital's objects from bucket to `final_table`.

    `objects` and `files`: how many the last listing of each bucket had.
    """
    count = _Count(warehouse, hospital_id)
    dicoms = count.of_bucket("dicom_metadata", "objects", objects, DICOM_METADATA, REFUSED_METADATA)
    cleaned = count.of_table(
        "deidentified_metadata",
        "instances",
        count.rows(DICOM_METADATA),
        count.rows(DEIDENTIFIED_METADATA),
        REFUSED_DEIDENTIFIED_METADATA,
    )
    looked = count.instances(PIXEL_TEXT)
    pictures = count.of_table("thumbnails", "instances", count.rows(DEIDENTIFIED_METADATA), looked, REFUSED_THUMBNAILS)
    final = count.rows(FINAL_TABLE)
    return [
        dicoms,
        count.of_bucket("identified_reports", "files", files, IDENTIFIED_REPORTS, REFUSED_IDENTIFIED_REPORTS),
        cleaned,
        count.of_table(
            "deidentified_reports",
            "reports",
            count.rows(IDENTIFIED_REPORTS),
            count.rows(DEIDENTIFIED_REPORTS),
            REFUSED_DEIDENTIFIED_REPORTS,
        ),
        pictures,
        Balance("final_table", "instances", looked, final, 0, 0),
        Balance(
            hospital_id,
            "objects",
            objects,
            final,
            sum(one.quarantined for one in (dicoms, cleaned, pictures)),
            sum(one.withdrawn for one in (dicoms, cleaned, pictures)),
        ),
    ]


@dataclass(frozen=True)
class _Count:
    warehouse: Warehouse
    hospital_id: str

    def rows(self, spec: TableSpec) -> int:
        return self.warehouse.count(spec, self.hospital_id)

    def instances(self, spec: TableSpec) -> int:
        return len(self._values(spec, "sop_instance_uid"))

    def of_table(self, stage: str, what: str, given: int, out: int, refusals: TableSpec) -> Balance:
        """A stage whose input is a table: each row became a row, or was refused."""
        withdrawn = sum(reason == Reason.WITHDRAWN for _, reason in self._refused(refusals))
        return Balance(stage, what, given, out, self.rows(refusals) - withdrawn, withdrawn)

    def of_bucket(self, stage: str, what: str, given: int | None, output: TableSpec, refusals: TableSpec) -> Balance:
        """A stage whose input is a bucket.  An object counts as out if anything of it is: a file may have refused records.
        One of which nothing is out is withdrawn if that is all that was said of it."""
        tokens = self._values(output, "work_token")
        reasons: dict[str, set[str]] = {}
        for token, reason in self._refused(refusals):
            if token not in tokens:
                reasons.setdefault(token, set()).add(reason)
        withdrawn = sum(found == {Reason.WITHDRAWN.value} for found in reasons.values())
        return Balance(stage, what, given, len(tokens), len(reasons) - withdrawn, withdrawn)

    def _values(self, spec: TableSpec, column: str) -> set[str]:
        batches = self.warehouse.scan(spec, self.hospital_id, columns=(column,))
        return {value for batch in batches for value in batch[column].to_pylist()}

    def _refused(self, refusals: TableSpec) -> list[tuple[str, str]]:
        batches = self.warehouse.scan(refusals, self.hospital_id, columns=("work_token", "reason"))
        return [(row["work_token"], row["reason"]) for batch in batches for row in batch.to_pylist()]


def reconciliation_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The check on `quarantine`, which is made last."""

    @dg.asset_check(
        asset="quarantine",
        name="in_equals_out_plus_quarantined",
        partitions_def=hospitals,
        additional_deps=["final_table"],
        description="What each stage wrote, refused and left out as withdrawn adds up to what it was given.",
    )
    @silent
    def in_equals_out_plus_quarantined(
        context: dg.AssetCheckExecutionContext, resources: dg.ResourceParam[Resources]
    ) -> dg.AssetCheckResult:
        hospital_id = context.partition_key
        listed = {stage: _listed(context.instance, stage, hospital_id) for stage in _BUCKET_STAGES}
        found = balances(resources.warehouse, hospital_id, *listed.values())
        return outcome(found)

    return [in_equals_out_plus_quarantined]


def outcome(found: list[Balance]) -> dg.AssetCheckResult:
    """What the check's page shows: a sentence and a line of a table for each stage."""
    broken = [balance for balance in found if not balance.holds]
    metadata = {
        "gradient/balance": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "stage": one.stage,
                        "what": one.what,
                        "in": -1 if one.given is None else one.given,
                        "out": one.out,
                        "quarantined": one.quarantined,
                        "withdrawn": one.withdrawn,
                        "adds up": one.holds,
                    }
                )
                for one in found
            ]
        ),
        "gradient/quarantined_by_reason": dg.MetadataValue.json({one.stage: one.quarantined for one in found[:-1]}),
        "gradient/withdrawn": found[-1].withdrawn,
        "gradient/what_to_do": REMEDY if broken else FINE,
    }
    return dg.AssetCheckResult(
        passed=not broken,
        description=". ".join(one.line for one in found) + ".",
        metadata=boundary.asset_metadata(metadata),
    )


_BUCKET_STAGES = ("dicom_metadata", "identified_reports")


def _listed(instance: dg.DagsterInstance, stage: str, hospital_id: str) -> int | None:
    """How many objects the stage's last run was given; None if Dagster has forgotten that run."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage), asset_partitions=[hospital_id])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        if (made := record.asset_materialization) is not None and "gradient/objects_in" in made.metadata:
            return int(str(made.metadata["gradient/objects_in"].value))
    return None
