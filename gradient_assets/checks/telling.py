"""What a check says of its findings to whoever opens its page: kinds, places and counts, pseudonyms of a few objects.

Belongs here: the words that `leaks` and `written` share.  No value of a record gets here: kinds and places are names of the
verification's, pseudonyms those of `gradient quarantine show`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from gradient_assets.tables import TableSpec
from resources.warehouses.warehouse import Warehouse

EXAMPLES = 5
KINDS = 4
"""Kinds in a check's sentence; the metadata has all of them."""
SEARCHED_NOW = "searched in this run"
"""In place of an earlier run that searched the same content for the same."""


def pseudonyms_of(warehouse: Warehouse, made: TableSpec, partition: str, tokens: Collection[str]) -> list[str]:
    """Object pseudonyms of a few of these work tokens, from the stage's table of origins."""
    if not tokens:
        return []
    batches = warehouse.scan(made, partition, columns=("work_token", "object_pseudonym"))
    named = (
        pseudonym
        for batch in batches
        for token, pseudonym in zip(batch["work_token"].to_pylist(), batch["object_pseudonym"].to_pylist(), strict=True)
        if token in tokens
    )
    return sorted(islice(dict.fromkeys(named), EXAMPLES))


def most_frequent(by_kind: Mapping[str, int]) -> str:
    """The most frequent kinds, to stand behind their number: ` (18 × name in report_text and 2 more kinds)`; blank for none."""
    ordered = sorted(by_kind.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{count} × {kind}" for kind, count in ordered[:KINDS])
    left = len(ordered) - KINDS
    more = f" and {left} more kind{'s' if left > 1 else ''}" if left > 0 else ""
    return f" ({named}{more})" if named else ""
