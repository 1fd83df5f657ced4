"""What a look at a partition found: counts by kind and place, and which work token each finding belongs to.

Belongs here: gathering.  A judge that raises is a finding by itself (`verification_failed`): what nobody could judge is not
clean.  Findings that somebody has accepted are counted apart (`quarantine.spared`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gradient_assets.deid.reasons import Refused
from gradient_assets.deid.verify import Hit

MOST_PLACES = 4
"""Places that the detail of one refusal names."""
Spare = Callable[[list[str]], frozenset[str]]
"""Given the kind of each hit in a row or object, the kinds that somebody accepted there."""


def nothing(kinds: list[str]) -> frozenset[str]:
    """Nothing was accepted."""
    return frozenset()


@dataclass
class Found:
    """Counts over what was looked at; kinds and places, never a value."""

    searched: int = 0
    accepted: int = 0
    by_token: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    loose: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Findings that belong to no work token: they can't be put aside, so they fail the check."""
    doubtful: Counter[str] = field(default_factory=Counter)
    """Patterns that are not sure enough to put anything aside, by kind."""
    since: str = ""
    """The run that looked, where nothing has changed since and nobody looked now; empty if somebody did."""

    def add(self, hits: Iterable[Hit], token: str = "", *, where: str = "", spare: Spare = nothing) -> None:
        """Take in the hits of one row or object; `where` in place of each hit's own place."""
        all_hits = list(hits)
        spared = spare([hit.kind for hit in all_hits]) if all_hits else ()
        for hit in all_hits:
            if hit.kind in spared:
                self.accepted += 1
            elif token:
                self.by_token[token][hit.kind, where or hit.where] += 1
            else:
                self.loose[hit.kind, where or hit.where] += 1

    def judge(
        self,
        judge: Callable[[], Iterable[Hit]],
        token: str = "",
        *,
        where: str = "",
        spare: Spare = nothing,
    ) -> None:
        """Look at one row or object.  Whatever the judge raises is a finding of it, never accepted."""
        self.searched += 1
        try:
            hits = list(judge())
        except Refused as refused:
            self.add([Hit("verification_failed", refused.reason.value, "error")], token)
        except Exception as error:  # fail closed; the text of the error may hold a value
            self.add([Hit("verification_failed", type(error).__name__, "error")], token)
        else:
            self.add(hits, token, where=where, spare=spare)

    def merge(self, other: Found) -> None:
        """Take in what another look found."""
        self.searched += other.searched
        self.accepted += other.accepted
        for token, found in other.by_token.items():
            self.by_token[token].update(found)
        self.loose.update(other.loose)
        self.doubtful.update(other.doubtful)
        self.since = self.since if self.since == other.since else ""

    @property
    def by_kind(self) -> dict[str, int]:
        """Counts by `kind in place`, sorted."""
        total = Counter(self.loose)
        for found in self.by_token.values():
            total.update(found)
        return {f"{kind} in {place}" if place else kind: count for (kind, place), count in sorted(total.items())}

    @property
    def total(self) -> int:
        """Number of findings."""
        return self.loose.total() + sum(found.total() for found in self.by_token.values())

    def details(self) -> dict[str, str]:
        """Work token → what was found there, as the refusal says it: `2 × name [report_text]`."""
        return {token: _detail(found) for token, found in self.by_token.items() if found}


def _detail(found: Counter[tuple[str, str]]) -> str:
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for (kind, place), count in found.items():
        by_kind[kind][place] += count
    return ", ".join(f"{places.total()} × {kind}{_named(places)}" for kind, places in sorted(by_kind.items()))


def _named(places: Counter[str]) -> str:
    named = sorted(place for place in places if place)
    more = f" and {len(named) - MOST_PLACES} more" if len(named) > MOST_PLACES else ""
    return f" [{' '.join(named[:MOST_PLACES])}{more}]" if named else ""
