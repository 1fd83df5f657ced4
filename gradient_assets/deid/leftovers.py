"""What the search still finds in a cleaned header: blacked out in texts, searched for again, and only then refused.

Belongs here: the order in which a cleaned header meets the search, so that the graph and the folder tool do the very same
(`report` is this for a report's text).  What is searched for is `verify`'s business, which values are texts `headers`'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gradient_assets.deid import headers
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Accepted, Reason, Refused, unless_accepted
from gradient_assets.deid.report import without
from gradient_assets.deid.verify import Hit, residual_in_dataset, residual_in_text


def black_out_leftovers(
    cleaned: headers.CleanedHeader, known: KnownIdentifiers, accepted: Accepted | None = None
) -> None:
    """Black out in the texts of `cleaned` what the cleaner left of `known`; counted in it as `REDACTED`.

    Of a patient named Gross, `GROSS HEMATURIA` loses a word; the object is not lost for it.  Raises
    `Refused(RESIDUAL_IDENTIFIER)` when the search still finds something, or can't say where in a text, that a person has not
    `accepted`.
    """
    known = headers.without_retained(known, cleaned.retained)
    if not (hits := residual_in_dataset(cleaned.dataset, known)) or _is_accepted(hits, accepted):
        return
    places = 0

    def blacked_out(text: str) -> str:
        nonlocal places
        after, count = without(text, residual_in_text(text, known))
        places += count
        return after

    changed = headers.rewrite_texts(cleaned.dataset, blacked_out)
    for label, count in changed.items():
        moved = min(count, cleaned.actions[label, "text_kept"])
        cleaned.actions.subtract({(label, "text_kept"): moved})
        cleaned.actions[label, "cleaned"] += moved
    cleaned.actions += Counter()  # entries of zero go
    if places:
        cleaned.removed_by_kind["REDACTED"] += places
    if left := residual_in_dataset(cleaned.dataset, known):
        unless_accepted(_finding(left), accepted)


def _is_accepted(hits: Iterable[Hit], accepted: Accepted | None) -> bool:
    try:
        unless_accepted(_finding(hits), accepted)
    except Refused:
        return False
    return True  # a person called it a false alarm: nothing is blacked out for it


def _finding(hits: Iterable[Hit]) -> Refused:
    kinds = Counter(hit.kind for hit in hits)
    said = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
    return Refused(Reason.RESIDUAL_IDENTIFIER, said)
