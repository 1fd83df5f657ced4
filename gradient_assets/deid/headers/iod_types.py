"""Which Type an attribute has at its place in an object: top level or sequence, by SOP Class.

Belongs here: reading `tables/iod_types.json`, which `tools/iod_types.py` derives from PS3.3.  What a Type means for an
action is `rules`' business.  PS3.5 7.4, PS3.3 Annex A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from gradient_assets.deid.headers._tables import table

Type = Literal["1", "1C", "2", "2C", "3"]


@dataclass(slots=True)
class Place:
    """One level of one kind of object: the Types of its attributes, and its sequences."""

    types: Mapping[int, Type]
    sequences: dict[int, Place] = field(default_factory=dict, repr=False)

    def type_of(self, tag: int) -> Type:
        """The attribute's Type; 3 for one that is absent from the IOD, which nothing requires."""
        return self.types.get(tag, "3")


def top_level(sop_class_uid: str) -> Place | None:
    """The top level of a SOP Class's objects; None for a class that the table does not hold."""
    number = table("iod_types")["classes"].get(sop_class_uid)
    return None if number is None else _places()[number]


@cache
def _places() -> list[Place]:
    """All nodes of the table; a node's sequences have lower numbers than the node itself."""
    places: list[Place] = []
    for node in table("iod_types")["nodes"]:
        inside: dict[str, int] = node.get("in", {})
        places.append(Place(_types(node), {int(tag, 16): places[number] for tag, number in inside.items()}))
    return places


def _types(node: Mapping[str, Any]) -> dict[int, Type]:
    kinds: tuple[Type, ...] = ("1", "1C", "2", "2C")
    return {int(tag, 16): kind for kind in kinds for tag in node.get(kind, ())}
