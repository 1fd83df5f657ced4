"""Where text is planted: elements of every text VR, at every level, standard, private and unknown.

Belongs here: the places, as a table, and how an element is put there.  All of these places stay under the named profiles
(Clean Descriptors, Retain Safe Private), so that what is said in them can be judged; places that go are `containers`'.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.midi.answers import Path, Place, Private


class Site(NamedTuple):
    """A place for text: the class it is reported under, the VR, the sequences on the way, the element."""

    kind: str
    vr: str
    path: Path
    target: Place


REQUEST, PROTOCOL, CONTEXT, MODIFIER = 0x00400275, 0x00400008, 0x00400440, 0x00400441
PHILIPS = "Philips Imaging DD 001"
_STACK, _GRAPHIC = Private(0x2001, PHILIPS, 0x5F), Private(0x2001, PHILIPS, 0x9A)
DEEP: Path = ((REQUEST, 0), (PROTOCOL, 0), (CONTEXT, 0), (MODIFIER, 0))

SITES = (
    Site("top", "LO", (), 0x00081030),
    Site("top", "LO", (), 0x0008103E),
    Site("top", "LO", (), 0x00181030),
    Site("top", "LO", (), 0x00400254),
    Site("top", "LO", (), 0x00321060),
    Site("top", "LO", (), 0x00081080),
    Site("top", "LO", (), 0x00401002),
    Site("top", "LO", (), 0x00181400),
    Site("top", "LT", (), 0x00204000),
    Site("top", "LT", (), 0x00104000),
    Site("top", "LT", (), 0x00184000),
    Site("top", "LT", (), 0x001021B0),
    Site("top", "LT", (), 0x00189424),
    Site("top", "ST", (), 0x00082111),
    Site("top", "UC", (), 0x00100212),
    Site("top", "SH", (), 0x00180024),
    Site("sequence 1", "LO", DEEP[:1], 0x00400007),
    Site("sequence 1", "LT", DEEP[:1], 0x00401400),
    Site("sequence 2, local code", "LO", DEEP[:2], 0x00080104),
    Site("sequence 3", "LO", DEEP[:3], 0x00080104),
    Site("sequence 4", "UT", DEEP, 0x0040A160),
    Site("second item", "LO", ((REQUEST, 1),), 0x00400007),
    Site("structured content", "UT", ((0x0040A730, 0),), 0x0040A160),
    Site("structured content 2", "UT", ((0x0040A730, 1), (0x0040A730, 0)), 0x0040A160),
    Site("safe private", "LO", (), Private(0x2001, PHILIPS, 0x93)),
    Site("safe private", "ST", (), Private(0x2001, PHILIPS, 0x5A)),
    Site("safe private", "LO", (), Private(0x0019, "GEMS_ACQU_01", 0x9E)),
    Site("safe private", "LT", (), Private(0x0099, "NQHeader", 0x05)),
    Site("private sequence 1", "LO", ((_STACK, 0),), 0x0008103E),
    Site("private sequence 2", "LO", ((_STACK, 0), (_GRAPHIC, 0)), Private(0x2001, PHILIPS, 0x94)),
    Site("unknown VR", "UN", (), 0x00380062),
    Site("unknown VR sequence", "UN", ((0x00081032, 0),), 0x00080104),
)


def put(ds: Dataset, site: Site, value: object, *, block: int = 0x10) -> None:
    """Write the value at the site; sequences, items and private creators are made on the way."""
    if site.kind == "unknown VR sequence":
        coded = str(value).encode("ascii", "replace")
        coded += b" " * (len(coded) & 1)
        body = struct.pack("<HHL", 0x0008, 0x0104, len(coded)) + coded
        stored = struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
        ds[0x00081032] = _unknown(0x00081032, stored)
        return
    for place, number in site.path:
        tag = tag_of(ds, place, block)
        if tag not in ds or ds[tag].VR != "SQ":
            ds[tag] = DataElement(tag, "SQ", Sequence([]))
        items = ds[tag].value
        while len(items) <= number:
            items.append(_typed_item(tag))
        ds = items[number]
    tag = tag_of(ds, site.target, block)
    if site.vr == "UN":
        coded = str(value).encode("ascii", "replace")
        ds[tag] = _unknown(tag, coded + b" " * (len(coded) & 1))
    else:
        ds[tag] = DataElement(tag, site.vr, value)


def tag_of(ds: Dataset, place: Place, block: int) -> int:
    """The tag of a place in this data set; a private creator gets the first free block from `block` on."""
    if not isinstance(place, Private):
        return place
    taken = (b for b in range(0x10, 0x100) if (held := ds.get((place.group, b))) and held.value == place.creator)
    block = next(taken, block)
    while str(ds.get((place.group, block), DataElement(0x00090010, "LO", place.creator)).value) != place.creator:
        block += 1
    ds[place.group << 16 | block] = DataElement(place.group << 16 | block, "LO", place.creator)
    return place.group << 16 | block << 8 | place.element


def _typed_item(tag: int) -> Dataset:
    """An item with what its sequence asks for: codes of a local scheme, content items."""
    item = Dataset()
    if tag in (PROTOCOL, CONTEXT):
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "P1", "99LOCAL", "Routine"
    if tag == 0x0040A730:
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    return item


def _unknown(tag: int, stored: bytes) -> DataElement:
    """VR `UN` for a tag that pydicom knows: it would put the VR right."""
    element = DataElement(tag, "OB", stored)
    element.VR = "UN"
    return element
