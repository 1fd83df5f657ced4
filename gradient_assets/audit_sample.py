"""What a sample says of what nobody looked at: counts, and how many misses they leave possible.

Belongs here: the sample of instances that triage skipped, the bound, and what to do about a miss.  Who is skipped is
`deid.pixels.triage`'s business; `checks.triage` blocks on a miss, a release's report shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradient_assets.deid.reasons import Reason
from resources.warehouses.warehouse import Warehouse

CONFIDENCE = 0.95
REMEDY = (
    "Nothing after this asset has run. Set `pixels.triage: false` for this hospital in hospitals.yaml and materialize it "
    "again: every frame is looked at then. Report the counts below, with the kind of picture, to those who calibrate triage."
)
FINE = "Nothing to do: no text was found in what triage would have skipped."
UNUSED = "Nothing to do: every frame was looked at."
UNAUDITED = (
    "Nobody has looked: no skipped instance was drawn into the sample. Raise `pixels.audit_share` in hospitals.yaml and "
    "materialize the asset again."
)


@dataclass(frozen=True)
class Audit:
    """Instances that were skipped, that were audited, and the audited ones in which text was found."""

    skipped: int
    audited: int
    hits: int

    @property
    def most_missed(self) -> float:
        """Upper 95 % bound (Clopper and Pearson, one-sided) of the share of skipped instances with text, 0 … 1."""
        return upper_bound(self.hits, self.audited)

    @property
    def looked(self) -> bool:
        """Whether the sample says anything of what was skipped, or nothing was."""
        return self.audited > 0 or not self.skipped

    @property
    def what_to_do(self) -> str:
        """For the reader of the asset's page."""
        if self.hits:
            return REMEDY
        if self.audited:
            return FINE
        return UNAUDITED if self.skipped else UNUSED


def upper_bound(hits: int, looked: int) -> float:
    """The largest share at which so few hits among so many looks are still as likely as 5 %; 1 without a look."""
    if hits >= looked:
        return 1.0
    low, high = hits / looked, 1.0
    for _ in range(60):
        share = (low + high) / 2
        if _at_most(hits, looked, share) > 1 - CONFIDENCE:
            low = share
        else:
            high = share
    return high


def _at_most(hits: int, looked: int, share: float) -> float:
    """Probability of so many hits or fewer, by logarithms: a sample may hold tens of thousands."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    whole = math.lgamma(looked + 1)
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(count + 1)
            - math.lgamma(looked - count + 1)
            + count * math.log(share)
            + (looked - count) * math.log1p(-share)
        )
        for count in range(hits + 1)
    )


def audit_of(warehouse: Warehouse, hospital_id: str) -> Audit:
    """The counts of a hospital; audited instances that were refused because their text could not be blacked out are hits."""
    sql = (
        "SELECT look, COUNT(*) AS instances, COUNTIF(has_text) AS hits FROM ("
        "SELECT look, boxes > 0 AS has_text FROM deidentified.pixel_text WHERE hospital_id = @hospital_id AND box = 0 "
        "UNION ALL SELECT 'audited' AS look, TRUE AS has_text FROM identified.refused_thumbnails "
        "WHERE hospital_id = @hospital_id AND reason = @missed) AS seen GROUP BY look"
    )
    given = {"hospital_id": hospital_id, "missed": Reason.TRIAGE_MISSED_TEXT.value}
    rows = {row["look"]: row for row in warehouse.query(sql, given).to_pylist()}

    def count(look: str, column: str) -> int:
        return int(rows[look][column]) if look in rows else 0

    return Audit(count("skipped", "instances"), count("audited", "instances"), count("audited", "hits"))
