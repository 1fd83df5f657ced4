"""A header as the profile's re-check sees it: elements by tag, values as plain text, sequences as levels of their own.

Belongs here: bringing DICOM JSON and data sets into one small shape, with this package's own reader.  What must hold of the
values is `profile`'s business.  PS3.18 F.2 (DICOM JSON), PS3.5 7.8 (private blocks).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement

from gradient_assets.deid.reasons import Reason, Refused

MAX_DEPTH = 48
"""Levels of nesting; the deepest genuine object known has 12."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One element: its VR, its values without padding, the items of a sequence.  `is_bulk`: a value nobody reads as text."""

    vr: str
    values: tuple[str, ...] = ()
    items: tuple[Level, ...] = ()
    is_bulk: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no value at all."""
        return not self.items and not self.is_bulk and not any(self.values)


@dataclass(frozen=True, slots=True, repr=False)
class Level:
    """One data set or item: elements by tag."""

    elements: Mapping[int, Element] = field(default_factory=dict)

    def creator(self, tag: int) -> str:
        """The private creator of an element's block, folded; blank if its block has none."""
        element = self.elements.get(tag >> 16 << 16 | (tag & 0xFF00) >> 8)
        return " ".join(element.values[0].split()).casefold() if element is not None and element.values else ""

    def uids(self) -> Iterator[str]:
        """Every UID of this level and of those below it."""
        for element in self.elements.values():
            if element.vr == "UI":
                yield from filter(None, element.values)
            for item in element.items:
                yield from item.uids()


def level_of_json(text: str) -> Level:
    """The level of a header in DICOM JSON.  Raises `Refused(UNREADABLE_HEADER)` for a text that is none."""
    try:
        found = json.loads(text)
        return _json_level(found, 0)
    except Refused:
        raise
    except Exception as error:  # whatever is wrong with it: what can't be read can't be proved
        raise Refused(Reason.UNREADABLE_HEADER, f"a header's JSON can't be read ({type(error).__name__})") from None


def _json_level(found: Mapping[str, Any], depth: int) -> Level:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP, f"more than {MAX_DEPTH} levels of sequences")
    return Level({int(tag, 16): _json_element(entry, depth) for tag, entry in found.items()})


def _json_element(entry: Mapping[str, Any], depth: int) -> Element:
    vr, values = str(entry.get("vr", "UN")), entry.get("Value", [])
    if vr == "SQ":
        return Element(vr, items=tuple(_json_level(item or {}, depth + 1) for item in values))
    if "InlineBinary" in entry or "BulkDataURI" in entry:
        return Element(vr, is_bulk=True)
    return Element(vr, tuple(_json_text(value) for value in values))


def _json_text(value: Any) -> str:
    if isinstance(value, Mapping):  # a person's name
        return "=".join(str(value.get(group, "")) for group in _NAME_GROUPS).rstrip("=")
    return "" if value is None else str(value).strip(" \0")


def level_of_dataset(dataset: Dataset) -> Level:
    """The level of a data set, file meta information not included.

    Raises `Refused` (`NESTED_TOO_DEEP`, `UNREADABLE_HEADER`) for what can't be read.
    """
    return _dataset_level(dataset, 0)


def _dataset_level(dataset: Dataset, depth: int) -> Level:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP, f"more than {MAX_DEPTH} levels of sequences")
    found: dict[int, Element] = {}
    for tag in dataset.keys():  # noqa: SIM118  iterating a Dataset gives decoded elements, its keys give tags
        try:
            element = dataset[tag]
        except Exception:
            label = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            raise Refused(Reason.UNREADABLE_HEADER, f"{label} can't be read") from None
        found[int(tag)] = _element(element, depth)
    return Level(found)


def _element(element: DataElement, depth: int) -> Element:
    vr, value = str(element.VR), element.value
    if vr == "SQ":
        return Element(vr, items=tuple(_dataset_level(item, depth + 1) for item in value or ()))
    if isinstance(value, bytes | bytearray):
        return Element(vr, is_bulk=bool(value))
    if value is None or value == "":
        return Element(vr)
    several = element.VM > 1 and not isinstance(value, str)
    return Element(vr, tuple(_text(one) for one in (value if several else (value,))))


def _text(value: object) -> str:
    written = getattr(value, "original_string", None)
    text = written if isinstance(written, str) else str(value)
    return text.strip(" \0")
