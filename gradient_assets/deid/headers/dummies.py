"""The one item of a sequence that may be neither kept nor empty (code D of Table E.1-1).

Belongs here: building that item from `tables/dummy_items.json`.  Dummy values of other elements are `values`' business.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from gradient_assets.deid.headers._tables import table


def dummy_sequence(tag: int) -> DataElement | None:
    """The sequence with one valid item that says nothing; None where the items are to be cleaned one by one, because they
    are references, or nothing is known of what an item needs."""
    model = _models().get(tag)
    if model is None:
        return None
    return DataElement(BaseTag(tag), "SQ", Sequence([Dataset.from_json(model)]))


@cache
def _models() -> dict[int, dict[str, Any]]:
    items = table("dummy_items")["items"]
    return {int(tag, 16): _with_codes(model) for tag, model in items.items()}


def _with_codes(model: Any) -> Any:
    """`code` stands for the item of a code sequence."""
    if model == "code":
        return table("dummy_items")["code"]
    if isinstance(model, dict):
        return {
            key: [_with_codes(one) for one in value]
            if key == "Value"
            else _with_codes(value)
            if isinstance(value, dict)
            else value
            for key, value in model.items()
        }
    return model
