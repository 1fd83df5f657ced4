"""What an answer key says: which action is expected at which place of which file.

Belongs here: types only.  Places are named by tag, or by private creator, group and element, because a block may move.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

ACTIONS = (
    "tag_retained",
    "text_notnull",
    "text_retained",
    "text_removed",
    "date_shifted",
    "uid_changed",
    "uid_consistent",
    "patid_consistent",
    "pixels_retained",
    "pixels_hidden",
)
"""The ten types of MIDI-B, arXiv 2507.23608."""


class Private(NamedTuple):
    """A private element, whatever block it stands in."""

    group: int
    creator: str
    element: int


Place = int | Private
Path = tuple[tuple[Place, int], ...]
"""Sequences to go through, each with the number of the item."""


@dataclass(frozen=True)
class Answer:
    """One action.  `expected`: the text that stays or goes, the old date or the old UID.  `kind` names the class of the
    plant in the list of misses.  `target` None: the whole file."""

    action: str
    kind: str
    expected: str = ""
    target: Place | None = None
    path: Path = ()


@dataclass
class FileKey:
    """One planted file and everything that is expected of it."""

    name: str
    original: bytes
    patient_id: str
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Crosswalk:
    """Old to new, as `gradient crosswalk` writes it."""

    uids: dict[str, str]
    patient_ids: dict[str, str]
