"""What the search says: hits without their values, and their counts.

Belongs here: `Hit` and `Finding`.  Neither holds the identifier that was found, so neither can show it in a log, an
asset check or an exception.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """One identifier found: its kind (`name`, `id`, `phone` …), where it stands (a tag path, a column, a part of a
    file; never content) and the rule that found it.

    `start` and `end` (exclusive) are offsets into a text that was searched, None where they are not known: in bytes, in what
    became readable only by undoing an escape.  Two hits that differ in their place alone are equal.
    """

    kind: str
    where: str
    rule: str
    start: int | None = field(default=None, compare=False, repr=False)
    end: int | None = field(default=None, compare=False, repr=False)

    def at(self, place: str) -> Hit:
        """The same hit with `place` in front of where it stands."""
        return Hit(self.kind, f"{place} {self.where}".strip(), self.rule)


@dataclass(slots=True)
class Finding:
    """Hits counted over many objects or rows, for an asset check."""

    searched: int = 0
    flagged: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_place: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)

    def add(self, hits: Iterable[Hit]) -> bool:
        """Count one searched thing; True if anything was found in it."""
        found = list(hits)
        self.searched += 1
        self.flagged += bool(found)
        self.by_kind.update(hit.kind for hit in found)
        self.by_place.update(hit.where or "text" for hit in found)
        self.by_rule.update(hit.rule for hit in found)
        return bool(found)

    def merge(self, other: Finding) -> None:
        """Add the counts of another finding, such as that of another shard."""
        self.searched += other.searched
        self.flagged += other.flagged
        self.by_kind.update(other.by_kind)
        self.by_place.update(other.by_place)
        self.by_rule.update(other.by_rule)

    @property
    def clean(self) -> bool:
        """True if nothing was found."""
        return not self.flagged

    @property
    def total(self) -> int:
        """Number of hits."""
        return self.by_kind.total()

    def summary(self) -> str:
        """One line: how many things were searched, and what was found in how many of them."""
        if self.clean:
            return f"{self.searched:,} searched, nothing found"
        kinds = ", ".join(f"{count:,} × {kind}" for kind, count in self.by_kind.most_common())
        return f"{self.searched:,} searched, {self.flagged:,} with findings ({kinds})"

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """Plain counts for JSON and for the metadata of an asset check."""
        return {
            "searched": self.searched,
            "flagged": self.flagged,
            "by_kind": dict(self.by_kind.most_common()),
            "by_place": dict(self.by_place.most_common()),
            "by_rule": dict(self.by_rule.most_common()),
        }
