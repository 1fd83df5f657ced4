"""Elements at a path, as the plan writes them: `0040,A730/0029,01@CREATOR LO`.

Belongs here: walking and making sequences, private blocks and items.  Values are written as told, valid or not.
"""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag


def put(ds: Dataset, path: str, vr: str, text: str) -> None:
    """The text as the value of that element; sequences on the way are made, or their first item is used."""
    *outer, last = path.split("/")
    for step in outer:
        tag = _tag(ds, step)
        if tag not in ds:
            ds[tag] = DataElement(tag, "SQ", Sequence([Dataset()]))
        ds = ds[tag].value[0]
    tag = _tag(ds, last)
    if vr in ("OB", "UN"):
        ds[tag] = DataElement(tag, vr, even(text.encode()))
        return
    if vr == "PN":
        ds[tag] = DataElement(tag, vr, text)
        return
    # LO takes any text; the VR is changed afterwards, so that a wrong value can be written.
    ds[tag] = DataElement(tag, "LO", text.split("\\") if "\\" in text else text)
    ds[tag].VR = vr


def _tag(ds: Dataset, step: str) -> Tag:
    place, _, creator = step.partition("@")
    group, element = (int(part, 16) for part in place.split(","))
    return ds.private_block(group, creator, create=True).get_tag(element) if creator else Tag(group, element)


def even(value: bytes) -> bytes:
    """Padded to an even length."""
    return value + b"\0" * (len(value) % 2)
