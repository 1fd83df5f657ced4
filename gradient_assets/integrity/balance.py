"""In = out + quarantined + withdrawn, for one stage.

Belongs here: what a balance is, and counting refusals and a release from their tables.  A hospital's stages are put together by
`checks.reconciliation`; what a stage was given is kept by `given`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradient_assets.deid.reasons import Reason
from gradient_assets.integrity.given import noted
from gradient_assets.tables import REFUSED_RELEASE, RELEASE_MANIFEST, TableSpec
from resources import Resources
from resources.warehouses.warehouse import Warehouse

RELEASE_STAGE = "release_dicoms"


@dataclass(frozen=True)
class Balance:
    """One stage's numbers.

    `given` is None where nobody knows any more what the stage was given.  `uneven` is how many inputs do not add up by
    themselves, where that is known: one lost and one doubled give the right sum.  `overtaken`: another run has made what is
    before the stage since.  `again`: inputs that the next run reads again, since a withdrawal took their refusals away.
    """

    stage: str
    what: str
    given: int | None
    out: int
    quarantined: int
    withdrawn: int
    uneven: int = 0
    overtaken: bool = False
    again: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return self.given == self.out + self.quarantined + self.withdrawn + self.again and not self.uneven

    @property
    def line(self) -> str:
        """For people."""
        given = "an unknown number of" if self.given is None else self.given
        left_out = f"{self.quarantined} quarantined, {self.withdrawn} withdrawn"
        uneven = f", {self.uneven} files do not add up" if self.uneven else ""
        again = f", {self.again} to be read again by the next run" if self.again else ""
        overtaken = ", made again since by another run" if self.overtaken and not self.holds else ""
        return f"{self.stage}: {given} {self.what} in, {self.out} out, {left_out}{again}{uneven}{overtaken}"


def refused(warehouse: Warehouse, refusals: TableSpec, partition: str) -> list[tuple[str, int, bool]]:
    """Work token, number of the record (0: the whole object) and whether it is a withdrawal, of each refusal."""
    batches = warehouse.scan(refusals, partition, columns=("work_token", "row_number", "reason"))
    rows = (row for batch in batches for row in batch.to_pylist())
    return [(row["work_token"], row["row_number"], row["reason"] == Reason.WITHDRAWN.value) for row in rows]


def of_table(
    warehouse: Warehouse, partition: str, stage: str, what: str, given: int | None, out: int, refusals: TableSpec
) -> Balance:
    """The balance of a stage of which each input became one thing, or was refused."""
    left_out = refused(warehouse, refusals, partition)
    withdrawn = sum(is_withdrawn for _, _, is_withdrawn in left_out)
    return Balance(stage, what, given, out, len(left_out) - withdrawn, withdrawn)


def of_release(resources: Resources, release: str) -> Balance:
    """Cohort = manifest + refused + withdrawn."""
    given = noted(resources.partition_records, release, RELEASE_STAGE)
    warehouse, cohort = resources.warehouse, given.inputs if given else None
    made = warehouse.count(RELEASE_MANIFEST, release)
    return of_table(warehouse, release, RELEASE_STAGE, "instances", cohort, made, REFUSED_RELEASE)
