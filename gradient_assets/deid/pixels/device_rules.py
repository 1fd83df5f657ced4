"""Where known devices burn in text: rectangles by manufacturer, model, SOP Class and size of the picture.

Belongs here: reading rule files, refusing rules that can't match, and the boxes for one object.  The rules are data
(`tables/device_rules.json`, or a file of one's own in the same form).  They add to what the finder sees, and never say
that a picture is clean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from gradient_assets.deid.pixels.boxes import Box

SOURCE = "device-rule"
_FIELDS = frozenset({"name", "when", "any", "rows", "columns", "boxes"})
_LONGEST_CODE = 16
_SIDES = range(1, 65_536)
Condition = tuple[str, tuple[str, ...]]


class DeviceRuleError(ValueError):
    """A rule can't match, or is no rule; the message names the rule and what to change."""


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """All of `when`, one of `any_of`, and the size where it is given → text in `boxes` (left, top, width, height)."""

    name: str
    when: tuple[Condition, ...]
    any_of: tuple[Condition, ...]
    rows: frozenset[int]
    columns: frozenset[int]
    boxes: tuple[tuple[int, int, int, int], ...]

    def matches(self, header: Dataset, rows: int, columns: int) -> bool:
        """Whether the object is of this kind; a word occurs anywhere in the attribute's value, in any case."""
        return (
            (not self.rows or rows in self.rows)
            and (not self.columns or columns in self.columns)
            and all(_holds(header, condition) for condition in self.when)
            and (not self.any_of or any(_holds(header, condition) for condition in self.any_of))
        )


def _holds(header: Dataset, condition: Condition) -> bool:
    keyword, words = condition
    meta = getattr(header, "file_meta", None)
    value = header.get(keyword, None if meta is None else meta.get(keyword))
    if value is None:
        return False
    text = ("\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)).casefold()
    return any(word in text for word in words)


def device_boxes(header: Dataset, rows: int, columns: int, rules: Iterable[DeviceRule] | None = None) -> list[Box]:
    """Rectangles (on frame 0) that the matching rules give, cut to the picture; each once."""
    found: dict[tuple[int, int, int, int], Box] = {}
    for rule in shipped_rules() if rules is None else rules:
        if not rule.matches(header, rows, columns):
            continue
        for left, top, width, height in rule.boxes:
            right, bottom = min(columns, left + width), min(rows, top + height)
            if right > left and bottom > top:
                place = (left, top, right - left, bottom - top)
                found.setdefault(place, Box(*place, SOURCE, 1.0, 0))
    return list(found.values())


@cache
def shipped_rules() -> tuple[DeviceRule, ...]:
    """The rules that ship."""
    return _parsed(json.loads(files(__package__).joinpath("tables/device_rules.json").read_text("utf-8")))


def load_rules(path: Path) -> tuple[DeviceRule, ...]:
    """The rules of a file.  Raises `DeviceRuleError` for one that can't match."""
    try:
        return _parsed(json.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DeviceRuleError(f"{path}: can't be read as JSON ({type(error).__name__})") from None


def _parsed(found: Any) -> tuple[DeviceRule, ...]:
    if not isinstance(found, Mapping) or not isinstance(found.get("rules"), list):
        raise DeviceRuleError("expected an object with a list `rules`")
    rules: list[DeviceRule] = []
    known: set[tuple[object, ...]] = set()
    for number, one in enumerate(found["rules"], start=1):
        rule = _rule(one, f"rule {number}" + (f" ({one.get('name')})" if isinstance(one, Mapping) else ""))
        content = (rule.when, rule.any_of, rule.rows, rule.columns, rule.boxes)
        if content in known:
            raise DeviceRuleError(f"rule {number} ({rule.name}): says the same as an earlier one; remove it")
        known.add(content)
        rules.append(rule)
    return tuple(rules)


def _rule(one: Any, where: str) -> DeviceRule:
    if not isinstance(one, Mapping) or (set(one) - _FIELDS) or not one.get("when") or not one.get("boxes"):
        raise DeviceRuleError(f"{where}: expected {', '.join(sorted(_FIELDS))}, with at least `when` and `boxes`")
    when = one["when"].items() if isinstance(one["when"], Mapping) else one["when"]
    rows, columns = (_sides(one.get(side, []), f"{where}: `{side}`") for side in ("rows", "columns"))
    return DeviceRule(
        name=str(one.get("name", "")),
        when=tuple(_condition(condition, where) for condition in when),
        any_of=tuple(_condition(condition, where) for condition in one.get("any", ())),
        rows=rows,
        columns=columns,
        boxes=tuple(_box(box, max(rows, default=65_535), max(columns, default=65_535), where) for box in one["boxes"]),
    )


def _sides(found: Any, where: str) -> frozenset[int]:
    if not isinstance(found, list) or not all(isinstance(side, int) and side in _SIDES for side in found):
        raise DeviceRuleError(f"{where}: expected whole numbers from 1 to 65535")
    return frozenset(found)


def _condition(condition: Any, where: str) -> Condition:
    try:
        keyword, words = condition
    except (TypeError, ValueError):
        raise DeviceRuleError(f"{where}: a condition is an attribute with a list of words") from None
    tag = tag_for_keyword(keyword) if isinstance(keyword, str) else None
    if tag is None:
        raise DeviceRuleError(f"{where}: no attribute of the standard is called {keyword!r}")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise DeviceRuleError(f"{where}: {keyword} needs a list of words")
    if dictionary_VR(tag) == "CS":
        for word in words:
            if len(word) > _LONGEST_CODE or not all(sign.isupper() or sign.isdigit() or sign in " _" for sign in word):
                raise DeviceRuleError(f"{where}: {keyword} is a code string, it can never hold {word!r}")
    return keyword, tuple(word.casefold() for word in words)


def _box(box: Any, rows: int, columns: int, where: str) -> tuple[int, int, int, int]:
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int) for side in box):
        raise DeviceRuleError(f"{where}: a box is [left, top, width, height]")
    left, top, width, height = box
    if left < 0 or top < 0 or width < 1 or height < 1 or left >= columns or top >= rows:
        raise DeviceRuleError(f"{where}: a box lies outside the picture")
    return left, top, width, height
