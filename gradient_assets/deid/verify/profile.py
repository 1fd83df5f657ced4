"""The DICOM profile, evaluated a second time: is each written header what Table E.1-1 and the asked options allow?

Belongs here: a judgement of written headers beside their originals, made from the standard's tables alone.  The tables are
the data files that ship with the header engine; none of its code is used, so that a rule read wrongly there is not read
wrongly here.  Headers come as `levels`; who is told what is the asset checks' business.

What is asked: X is absent, or says nothing; Z is empty or a dummy; D is not the original; U is new under 2.25; an
original value stays only where an option of the profile says K or C; private elements stand on the safe list; dates are
moved by one number of days, cut, or gone; no curve, overlay or hidden picture; the object states what was done to it.
Which of several codes (X/Z/D) had to be taken for the object to stay valid is not asked: all of them say nothing.

Sources: PS3.15 E.1, Tables E.1-1 and E.3.10-1; PS3.16 CID 7050; 45 CFR 164.514(b)(2)(i)(C) for dates and ages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources
from math import prod
from typing import Any, Protocol

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, repeater_has_tag

from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.levels import Element, Level, level_of_dataset
from gradient_assets.deid.verify.uids import is_of_a_standard

_TABLES = resources.files("gradient_assets.deid") / "headers" / "tables"  # files, not the package: no code is run

OLDEST_SHIFT_DAYS = 1826
"""Dates move back by 1 to 1,826 days."""
OLDEST_AGE_YEARS = 90

_METHOD_CODES = {
    # PS3.16 CID 7050, by the option's name in a profile
    "113101": "clean_pixel_data", "113102": "clean_recognizable_visual_features", "113103": "clean_graphics",
    "113104": "clean_structured_content", "113105": "clean_descriptors", "113106": "retain_longitudinal_full",
    "113107": "retain_longitudinal_modified", "113108": "retain_patient_characteristics",
    "113109": "retain_device_identity", "113110": "retain_uids", "113111": "retain_safe_private",
    "113112": "retain_institution_identity",
}  # fmt: skip
_BASIC_PROFILE, _CLEAN_PIXELS, _CLEAN_GRAPHICS = "113100", "113101", "113103"
_ALWAYS_DONE = frozenset({_BASIC_PROFILE, _CLEAN_PIXELS, _CLEAN_GRAPHICS})
"""Pixels and overlays are cleaned whatever the profile's options say."""
_LONGITUDINAL = {"keep": "UNMODIFIED", "shift": "MODIFIED", "year": "REMOVED"}

_DUMMY = re.compile(
    r"REMOVED|99REMOVED|urn:removed|[PAX][A-Z2-7]{15,16}|[+-]?0+(\.0+)?|000D|19000101|19000101000000|000000|"
    r"(\[[A-Z_ ]+\][ ,.;:-]*)+"
)
"""Values that say nothing: placeholders, pseudonyms, zeros, the day and time that stand for none, the report engine's tags."""
_NEW_UID = re.compile(r"2\.25\.(0|[1-9]\d{0,38})")
_DAY = re.compile(r"\d{8}")
_YEAR_ONLY = {
    "DA": re.compile(r"\d{4}0101|"),
    "DT": re.compile(r"\d{4}|19000101000000|"),
    "TM": re.compile(r"0{2,6}|"),
}
_AGE = re.compile(r"(\d{3})([DWMY])")
_UNITS_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.0, "D": 365.0}
_DATE_VRS = frozenset({"DA", "DT", "TM"})
_NEVER_KEPT = frozenset({"AE", "UR"})
_BLOBS = frozenset({"OB", "UN"})
_KNOWN_BLOBS = frozenset(
    {0x00282000, 0x00701808, 0x54000110, 0x54000112, 0x5400100A, 0x54001010, 0x7FE00008, 0x7FE00009, 0x7FE00010}
)
"""Bytes that no table lists and that are pictures, waves or tables of colours; all others may hold a text."""

_BIRTH_DATE, _IDENTITY_REMOVED, _METHODS, _LONGITUDINAL_TAG = 0x00100030, 0x00120062, 0x00120064, 0x00280303
_BURNED_IN, _PATIENT_ID, _ACCESSION = 0x00280301, 0x00100020, 0x00080050
_CODE_VALUE, _PIXELS = 0x00080100, 0x7FE00010
_SPECIFIC_CHARACTER_SET = 0x00080005
_WRITTEN_ANEW = frozenset({_IDENTITY_REMOVED, 0x00120063, _METHODS, _LONGITUDINAL_TAG, _SPECIFIC_CHARACTER_SET})
_FILE_META = frozenset(0x00020000 | number for number in (0, 1, 2, 3, 0x10, 0x12, 0x13))
_META_CLASS, _META_INSTANCE, _SOP_CLASS, _SOP_INSTANCE = 0x00020002, 0x00020003, 0x00080016, 0x00080018


class Promise(Protocol):
    """What of a profile is looked at; `headers.Profile` is one."""

    @property
    def options(self) -> frozenset[str]: ...
    @property
    def dates(self) -> str: ...
    @property
    def removes_dates(self) -> bool: ...
    @property
    def birth_date(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of Table E.1-1: the basic profile's code, and those under the options."""

    basic: str
    options: Mapping[str, str]

    def kept_by(self, promise: Promise) -> str:
        """The code under the options that the profile asks for: `K`, `C`, or blank if none speaks of the element."""
        codes = {code for option, code in self.options.items() if option in promise.options}
        return "K" if "K" in codes else "C" if "C" in codes else ""


@cache
def _rows() -> tuple[dict[int, _Row], dict[str, _Row]]:
    """Rows by tag, and rows by masked tag (`60XX4000`)."""
    exact: dict[int, _Row] = {}
    masked: dict[str, _Row] = {}
    for tag, _name, basic, options in _table("ps3.15_table_e.1-1"):
        if tag == "private":
            continue
        if "X" in tag:
            masked[tag] = _Row(basic, options)
        else:
            exact[int(tag, 16)] = _Row(basic, options)
    for tag, code, _why in _table("beyond_the_table"):
        exact.setdefault(int(tag, 16), _Row(code, {}))
    return exact, masked


@cache
def _safe_private() -> frozenset[tuple[str, int, int]]:
    rows = _table("ps3.15_table_e.3.10-1")
    return frozenset((" ".join(row[0].split()).casefold(), int(row[1], 16), int(row[2], 16)) for row in rows)


def _table(name: str) -> list[Any]:
    found: list[Any] = json.loads((_TABLES / f"{name}.json").read_text("utf-8"))["rows"]
    return found


def _row_of(tag: int) -> _Row | None:
    exact, masked = _rows()
    return exact.get(tag) or masked.get(f"{tag >> 24:02X}XX{tag & 0xFFFF:04X}")


def keeps_uid(tag: int, promise: Promise) -> bool:
    """Whether the profile keeps the UIDs of this element."""
    row = _row_of(tag)
    return "retain_uids" in promise.options if row is None else row.kept_by(promise) == "K"


def profile_breaches(written: Level, original: Level | None, promise: Promise) -> list[Hit]:
    """Where a written header is not what the profile allows: one hit for each element and rule, sorted.

    `original` is the header as it was sent; without it nothing can be said of what had to change, which is a breach by
    itself (`original_missing`).
    """
    if original is None:
        return [Hit("original_missing", "header", "profile")]
    judge = _Judge(promise, frozenset(original.uids()))
    hits = [*judge.level(written, original, ""), *_attestation(written, promise), *judge.uneven_shift()]
    return sorted(set(hits))


def file_breaches(dataset: Dataset, original: Level | None, promise: Promise) -> list[Hit]:
    """The same for a delivered file: its file meta information and pixel attributes as well.  Raises `Refused` for a file that
    can't be read."""
    written = level_of_dataset(dataset)
    return sorted(
        {
            *profile_breaches(written, original, promise),
            *_meta_breaches(dataset, written),
            *_pixel_claims(written),
            *_behind_pixels(dataset),
        }
    )


def _meta_breaches(dataset: Dataset, written: Level) -> Iterator[Hit]:
    meta = level_of_dataset(getattr(dataset, "file_meta", None) or Dataset())
    for tag in sorted(meta.elements.keys() - _FILE_META):
        yield _hit("file_meta_element", "", tag)
    for in_meta, tag in ((_META_CLASS, _SOP_CLASS), (_META_INSTANCE, _SOP_INSTANCE)):
        if _first(meta, in_meta) != _first(written, tag):
            yield _hit("file_meta_differs", "", in_meta)


def _pixel_claims(written: Level) -> Iterator[Hit]:
    if _first(written, _BURNED_IN) == "YES":
        yield _hit("burned_in_annotation", "", _BURNED_IN)


def _behind_pixels(dataset: Dataset) -> Iterator[Hit]:
    """Bytes behind the last uncompressed sample: no viewer shows them, no reader of pictures sees them."""
    element = dataset.get(_PIXELS)
    if element is None or element.is_undefined_length:
        return
    sizes = (dataset.get(keyword) or 1 for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"))
    expected = (prod(map(int, sizes)) * int(dataset.get("BitsAllocated") or 8) + 7) // 8
    if len(element.value or b"") > expected + expected % 2:
        yield _hit("bytes_behind_pixels", "", _PIXELS)


def _attestation(written: Level, promise: Promise) -> Iterator[Hit]:
    """Patient Identity Removed, the method's codes, Longitudinal Temporal Information Modified: said, and true."""
    if _first(written, _IDENTITY_REMOVED) != "YES":
        yield _hit("identity_not_said_removed", "", _IDENTITY_REMOVED)
    methods = written.elements.get(_METHODS, Element("SQ"))
    codes = {_first(item, _CODE_VALUE) for item in methods.items}
    allowed = {code for code, option in _METHOD_CODES.items() if option in promise.options} | _ALWAYS_DONE
    if _BASIC_PROFILE not in codes or codes - allowed:
        yield _hit("method_codes", "", _METHODS)
    if _first(written, _LONGITUDINAL_TAG) != _LONGITUDINAL[promise.dates]:
        yield _hit("longitudinal_information", "", _LONGITUDINAL_TAG)
    if _CLEAN_PIXELS in codes and _first(written, _BURNED_IN) == "YES":
        yield _hit("burned_in_annotation", "", _BURNED_IN)


class _Judge:
    """One header's judgement; gathers the days by which its dates moved."""

    def __init__(self, promise: Promise, original_uids: frozenset[str]) -> None:
        self._promise = promise
        self._original_uids = original_uids
        self._shifts: set[int] = set()

    def level(self, written: Level, original: Level | None, path: str) -> Iterator[Hit]:
        """Breaches of one level and of those below it."""
        for tag, element in written.elements.items():
            before = original.elements.get(tag) if original is not None else None
            if tag & 0xFFFF == 0 or (not path and tag in _WRITTEN_ANEW):
                continue
            rule = self._private(tag, written) if tag >> 16 & 1 else self._standard(tag, element, before, path)
            if rule:
                yield _hit(rule, path, tag)
            items = before.items if before is not None and len(before.items) == len(element.items) else ()
            for number, item in enumerate(element.items):
                beside = items[number] if items else None
                yield from self.level(item, beside, f"{path}{label_of(tag)}[{number}].")

    def uneven_shift(self) -> Iterator[Hit]:
        """Dates of one patient all move by one number of days, within the bounds."""
        if len(self._shifts) > 1:
            yield Hit("dates_moved_unevenly", "header", "profile")
        if any(not -OLDEST_SHIFT_DAYS <= days <= -1 for days in self._shifts):
            yield Hit("date_not_moved", "header", "profile")

    def _private(self, tag: int, level: Level) -> str:
        """The rule that a private element breaks, blank if none."""
        if "retain_safe_private" not in self._promise.options:
            return "private_element"
        number = tag & 0xFFFF
        if number <= 0xFF:
            of_block = (
                other for other in level.elements if other >> 16 == tag >> 16 and (other & 0xFF00) >> 8 == number
            )
            return "" if any(True for _ in of_block) else "private_block_without_elements"
        creator = level.creator(tag)
        return "" if (creator, tag >> 16, tag & 0xFF) in _safe_private() else "private_element_not_safe"

    def _standard(self, tag: int, element: Element, before: Element | None, path: str) -> str:
        if _is_hidden_picture(tag, path):
            return "hidden_picture"
        if element.is_empty:
            return ""
        if tag == _BIRTH_DATE:
            return self._birth_date(element, before)
        if element.vr == "UI":
            return self._uid(tag, element)
        row = _row_of(tag)
        kept = row.kept_by(self._promise) if row is not None else ""
        if element.vr in _DATE_VRS:
            return self._date(element, before, row, kept)
        if element.vr == "AS" and any(map(_is_over_ninety, element.values)):
            return "age_over_ninety"
        if row is None:
            return self._unlisted(tag, element, before)
        return "" if kept else _basic(row.basic, element, before)

    def _unlisted(self, tag: int, element: Element, before: Element | None) -> str:
        if not dictionary_has_tag(tag) and not repeater_has_tag(tag):
            return "unknown_element"
        if element.vr == "PN":
            return _basic("D", element, before)
        return "not_removed" if element.vr in _NEVER_KEPT or (element.vr in _BLOBS and tag not in _KNOWN_BLOBS) else ""

    def _birth_date(self, element: Element, before: Element | None) -> str:
        match self._promise.birth_date:
            case "empty":
                return "birth_date"
            case "year":
                return "" if all(map(_YEAR_ONLY["DA"].fullmatch, element.values)) else "birth_date"
            case _:
                return self._moved(element, before)

    def _uid(self, tag: int, element: Element) -> str:
        if keeps_uid(tag, self._promise):
            return ""
        for uid in element.values:
            if not uid or is_of_a_standard(uid):
                continue
            if uid in self._original_uids:
                return "uid_unchanged"
            if not _NEW_UID.fullmatch(uid):
                return "uid_not_new"
        return ""

    def _date(self, element: Element, before: Element | None, row: _Row | None, kept: str) -> str:
        if self._promise.dates == "keep":
            return "" if row is None or kept else _basic(row.basic, element, before)
        if self._promise.removes_dates:
            return "" if kept == "K" or all(map(_DUMMY.fullmatch, element.values)) else "date_not_removed"
        if self._promise.dates == "year":
            return "" if all(map(_YEAR_ONLY[element.vr].fullmatch, element.values)) else "date_not_cut"
        return "" if element.vr == "TM" else self._moved(element, before)

    def _moved(self, element: Element, before: Element | None) -> str:
        """Each full day differs from the original one, all by the same number of days; those of a place that can't be told
        from its neighbours are not compared."""
        if before is None or len(before.values) != len(element.values):
            return ""
        for new, old in zip(element.values, before.values, strict=True):
            if _DUMMY.fullmatch(new) or not new:
                continue
            days = (_day(new), _day(old))
            if new == old:
                return "date_not_moved"
            if days[0] is not None and days[1] is not None:
                self._shifts.add((days[0] - days[1]).days)
        return ""


def _basic(code: str, element: Element, before: Element | None) -> str:
    """The rule that a value breaks under the basic profile's code, blank if none."""
    if "U" in code or (element.items and "D" in code):
        return ""  # references, and dummy items: their own elements are judged one by one
    if element.items:
        return "" if _says_nothing(element) else "not_removed"
    if element.is_bulk:
        return "" if "D" in code else "not_removed"
    if all(_DUMMY.fullmatch(value) for value in element.values if value):
        return ""
    if "D" not in code:
        return "not_removed" if code == "X" else "not_emptied"
    unchanged = before is not None and any(value and value in before.values for value in element.values)
    return "value_unchanged" if unchanged else ""


def _says_nothing(element: Element) -> bool:
    """Whether a sequence's items hold placeholders and codes of the standard only."""
    return all(
        _says_nothing(inner) if inner.items else all(_DUMMY.fullmatch(value) for value in inner.values if value)
        for item in element.items
        for inner in item.elements.values()
        if not inner.is_empty
    )


def _is_hidden_picture(tag: int, path: str) -> bool:
    """Curves, overlay planes, icons' and other pictures where no finder of text looks."""
    group, number = tag >> 16, tag & 0xFFFF
    if group & 0xFF01 == 0x5000 or (group & 0xFF01 == 0x6000 and number == 0x3000):
        return True
    if group & 0xFF01 == 0x7F00 and group != 0x7FE0:
        return True
    return tag == 0x00880200 or bool(path and group == 0x7FE0)


def _is_over_ninety(age: str) -> bool:
    match = _AGE.fullmatch(age)
    return match is not None and int(match[1]) / _UNITS_A_YEAR[match[2]] > OLDEST_AGE_YEARS + 0.5


def _day(value: str) -> date | None:
    digits = _DAY.match(value.replace("-", "").replace(".", "") if len(value) == 10 else value)
    if digits is None:
        return None
    try:
        return datetime.strptime(digits[0], "%Y%m%d").date()
    except ValueError:
        return None


def _first(level: Level, tag: int) -> str:
    element = level.elements.get(tag)
    return element.values[0] if element is not None and element.values else ""


def is_description(tag: int) -> bool:
    """Whether Table E.1-1 lists the element as a description that may be cleaned instead of removed."""
    row = _row_of(tag)
    return row is not None and "clean_descriptors" in row.options


def label_of(tag: int) -> str:
    """`(gggg,eeee)`; of a private element `(gggg,xxee)`."""
    number = tag & 0xFF if tag >> 16 & 1 and tag & 0xFFFF > 0xFF else None
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})" if number is None else f"({tag >> 16:04X},xx{number:02X})"


def _hit(rule: str, path: str, tag: int) -> Hit:
    return Hit(rule, f"{path}{label_of(tag)}", "profile")
