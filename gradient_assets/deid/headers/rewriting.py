"""Texts of a cleaned data set, changed where they stand.

Belongs here: which values of a cleaned data set are free text, at every level, and how a changed one is put back.  What a
text becomes is decided by the caller (`deid.leftovers`).  PS3.5 6.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from gradient_assets.deid.headers.elements import PLAIN_TEXT_VRS, TEXT_VRS, label_of
from gradient_assets.deid.headers.values import LONGEST, REMOVED_TEXT

_REWRITTEN = TEXT_VRS - {"PN", "UR"}
"""A name that the cleaner wrote is a pseudonym, and an address that loses a part is none any more."""
_CONTENT_LABEL = 0x00700080
"""The one CS that people write themselves (PS3.3 10.9): a real segmentation bears a part of a name in it."""


def rewrite_texts(dataset: Dataset, change: Callable[[str], str]) -> Counter[str]:
    """Replace every text value by what `change` makes of it, in place; labels of the elements that became other ones.

    A value that grows beyond what its VR allows is cut, to its own former length at least.
    """
    changed: Counter[str] = Counter()
    for element in _texts(dataset):
        before = _values(element)
        after = [_cut(change(text), text, element.VR) for text in before]
        if after != before:
            element.value = after if len(after) > 1 else after[0]
            changed[label_of(int(element.tag))] += 1
    return changed


def _texts(dataset: Dataset) -> Iterator[DataElement]:
    for tag in list(dataset.keys()):
        if tag >> 16 == 0x7FE0:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif (element.VR in _REWRITTEN or tag == _CONTENT_LABEL) and not element.is_empty:
            yield element


def _values(element: DataElement) -> list[str]:
    value = element.value
    return [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]


def _cut(text: str, before: str, vr: str) -> str:
    if vr == "CS":
        return before if text == before else REMOVED_TEXT
    if vr not in PLAIN_TEXT_VRS:
        text = text.replace("\\", " ")
    longest = LONGEST.get(vr)
    return text if longest is None else text[: max(longest, len(before))]
