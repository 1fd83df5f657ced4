"""What the header engine takes and gives: the text cleaner it is handed, and its result.

Belongs here: types only.  The text cleaner itself is `deid.text`'s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from pydicom.dataset import FileDataset

from gradient_assets.deid.headers.profile import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person


class CleanedText(Protocol):
    """A text without identifiers, and how many of each kind were taken out."""

    @property
    def text(self) -> str: ...
    @property
    def removed(self) -> Counter[str]: ...


class TextCleaner(Protocol):
    """Free text in, free text without identifiers out.  Raises `Refused` if it can't."""

    def clean(self, text: str, identifiers: KnownIdentifiers, person: Person) -> CleanedText: ...


REMOVING = frozenset({"remove", "unlisted", "private", "unparsable"})
"""Actions after which an element is gone (see `rules.Action`)."""


@dataclass(slots=True)
class CleanedHeader:
    """One instance's clean data set and what was done to it.  Old UIDs make this record identified data."""

    dataset: FileDataset
    person: Person
    old_sop_uid: str
    new_sop_uid: str
    old_series_uid: str
    new_series_uid: str
    old_study_uid: str
    new_study_uid: str
    profile: Profile
    engine_version: str
    actions: Counter[tuple[str, str]]
    removed_by_kind: Counter[str]
    method_codes: tuple[str, ...]
    retained: frozenset[str] = field(default=frozenset(), repr=False)
    """Names of institutions and devices that the profile keeps (see `retained`); empty under the named profiles."""

    @property
    def elements_removed(self) -> int:
        """Elements that are no longer there."""
        return sum(n for (_, action), n in self.actions.items() if action in REMOVING or action.endswith("_removed"))

    @property
    def elements_changed(self) -> int:
        """Elements whose value was replaced, emptied, moved or cleaned."""
        kept = sum(n for (_, action), n in self.actions.items() if action == "keep")
        return self.actions.total() - kept - self.elements_removed

    def audit(self) -> dict[str, object]:
        """What was done to this instance, ready for JSON: counts by action and tag, never a value or an old UID.

        Tags are `(gggg,eeee)`, of private elements `(gggg,xxee)`: numbers, never a creator's name.  Everything is sorted,
        so that equal work gives equal text.
        """
        by_action: dict[str, dict[str, int]] = {}
        for (tag, action), count in sorted(self.actions.items(), key=lambda entry: (entry[0][1], entry[0][0])):
            by_action.setdefault(action, {})[tag] = count
        return {
            "profile": self.profile.name,
            "profile_digest": self.profile.digest,
            "edition": self.profile.edition,
            "engine_version": self.engine_version,
            "method_codes": list(self.method_codes),
            "actions": by_action,
            "removed_by_kind": dict(sorted(self.removed_by_kind.items())),
        }

    def __repr__(self) -> str:
        return f"CleanedHeader({self.new_sop_uid}, {self.actions.total()} actions)"
