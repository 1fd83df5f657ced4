"""Derive `headers/tables/iod_types.json` from a machine-readable copy of PS3.3: `python tools/iod_types.py FOLDER`.

Belongs here: which attributes are Type 1 or 2 at which place of which SOP Class, packed small.  FOLDER holds the files
`iod_module_map.json`, `module_attribute_map.json` and `sop_class_iod_map.json` of the package highdicom (folder
`highdicom/_standard` of its wheel).  Reading the result is `gradient_assets.deid.headers.iod_types`' business.

An attribute that several modules list at one place has its most demanding Type.  Type 3 and absence are the same to a
rule, so neither is written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

SOURCE = "highdicom 0.28.2 (PyPI), highdicom/_standard"
EDITION = "that of the source, which names none; its youngest modules are of 2024 (Confocal Microscopy, Height Map)"
ABOUT = (
    "Which attributes are Type 1, 1C, 2 or 2C where. A SOP Class has a node for its top level; a node has the tags of each "
    "Type (only those that a rule may ask for), and under `in` its sequences with the nodes of their items."
)
TABLES = Path(__file__).parents[1] / "gradient_assets" / "deid" / "headers" / "tables"
ASKED_BY_VR = frozenset({"AE", "AS", "DA", "DT", "OB", "PN", "TM", "UN", "UR"})
"""Elements of these VRs can fail to be kept (a date that is none, an address), and the rules ask what a failure leaves."""
SUCCESSORS = {
    "1.2.840.10008.5.1.4.1.1.3": "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.5": "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.6": "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.12.3": "1.2.840.10008.5.1.4.1.1.12.1",
}
"""Retired SOP Classes that PS3.3 no longer describes, with the class that took their place: US, NM, bi-plane XA."""
_DEMANDING = ("1", "1C", "2", "2C", "3")
Node = dict[str, Any]


def main(folder: Path) -> None:
    """Write the table.  Nothing is fetched: `folder` is an unpacked wheel's."""
    modules, iods, classes = (
        json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in ("module_attribute_map", "iod_module_map", "sop_class_iod_map")
    )
    classes |= {retired: classes[successor] for retired, successor in SUCCESSORS.items()}
    packed = _Packed(_asked_by_table())
    roots = {iod: packed.number(_tree(iods[iod], modules)) for iod in sorted(set(classes.values()))}
    table = {
        "about": ABOUT,
        "source": f"DICOM PS3.3 by way of {SOURCE}; made by tools/iod_types.py",
        "edition": EDITION,
        "licence": "MIT (highdicom)",
        "classes": {uid: roots[iod] for uid, iod in sorted(classes.items())},
        "nodes": packed.nodes,
    }
    lines = json.dumps(table, separators=(",", ":")).replace('"nodes":[', '"nodes":[\n').replace("},{", "},\n{")
    (TABLES / "iod_types.json").write_text(lines + "\n", encoding="utf-8")


def _asked_by_table() -> frozenset[int]:
    rows = json.loads((TABLES / "ps3.15_table_e.1-1.json").read_text("utf-8"))["rows"]
    beyond = json.loads((TABLES / "beyond_the_table.json").read_text("utf-8"))["rows"]
    return frozenset(int(row[0], 16) for row in (*rows, *beyond) if row[0] != "private" and "X" not in row[0][2:])


def _attributes(iod: list[dict[str, str]], modules: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[list[int], str]]:
    for module in iod:
        for attribute in modules.get(module["key"], ()):
            path = [tag_for_keyword(keyword) for keyword in (*attribute["path"], attribute["keyword"])]
            if None not in path:  # repeating groups have no single tag
                type_ = str(attribute["type"])  # "None" where PS3.3 leaves it to a service of PS3.4
                yield [tag for tag in path if tag is not None], type_ if type_ in _DEMANDING else "3"


def _tree(iod: list[dict[str, str]], modules: dict[str, list[dict[str, Any]]]) -> Node:
    root: Node = {"types": {}, "inside": {}}
    for path, type_ in _attributes(iod, modules):
        node = root
        for tag in path[:-1]:
            node = node["inside"].setdefault(tag, {"types": {}, "inside": {}})
        tag = path[-1]
        node["types"].setdefault(tag, set()).add(type_)
        if dictionary_VR(tag) == "SQ":
            node["inside"].setdefault(tag, {"types": {}, "inside": {}})
    return root


class _Packed:
    """Equal nodes are written once."""

    def __init__(self, asked: frozenset[int]) -> None:
        self._asked = asked
        self._numbers: dict[str, int] = {}
        self.nodes: list[Node] = []

    def number(self, node: Node) -> int:
        """The number of the node, whose items are packed first."""
        inside = {f"{tag:08X}": self.number(child) for tag, child in sorted(node["inside"].items())}
        packed: Node = {"in": inside} if inside else {}
        for tag, types in sorted(node["types"].items()):
            demanding = min(types, key=_DEMANDING.index)
            if demanding != _DEMANDING[-1] and self._is_asked(tag):
                packed.setdefault(demanding, []).append(f"{tag:08X}")
        key = json.dumps(packed, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append(packed)
        return self._numbers[key]

    def _is_asked(self, tag: int) -> bool:
        vr = dictionary_VR(tag)
        return tag in self._asked or vr == "SQ" or not ASKED_BY_VR.isdisjoint(vr.split(" or "))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
