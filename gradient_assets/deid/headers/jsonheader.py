"""The whole header as DICOM JSON without bulk data, for the metadata tables.

Belongs here: the two directions of that text.  Values that JSON or pydicom can't express are left out, never guessed.
PS3.18 F.2.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from gradient_assets.deid.headers._quiet import quiet
from gradient_assets.deid.headers.charsets import DEFAULT
from gradient_assets.deid.headers.elements import (
    ARRAY_VRS,
    BLOB_VRS,
    MAX_DEPTH,
    STRING_VRS,
    WORD_BYTES,
    Field,
    Unparsable,
    codecs_at,
    creators_of,
    field_at,
    tags_of,
)
from gradient_assets.deid.reasons import Reason, Refused

MAX_VALUE_BYTES = 64 * 1024
_SMALL_BLOB_BYTES = 64
_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json_header(ds: Dataset) -> str:
    """DICOM JSON of all elements but bulk data (OB, OW, OF … and values over 64 KiB), keys in tag order.

    Bad values are left out.  Raises `Refused(NESTED_TOO_DEEP)` for bottomless sequences.
    """
    with quiet():
        return json.dumps(_level(ds, DEFAULT, 0), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json_header(text: str) -> Dataset:
    """The data set that `to_json_header` wrote (its values; not its encoding)."""
    with quiet():
        return Dataset.from_json(text)


def _level(ds: Dataset, inherited: tuple[str, ...], depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP)
    codecs, creators = codecs_at(ds, inherited), creators_of(ds)
    found: dict[str, Any] = {}
    for tag in tags_of(ds):
        if tag & 0xFFFF == 0 or tag == 0x00080005:  # group lengths; JSON is Unicode, whatever the file was
            continue
        try:
            entry = _entry(field_at(ds, tag, creators), codecs, depth)
        except (Unparsable, UnicodeError, ValueError, TypeError, AttributeError, struct.error):
            continue
        if entry is not None:
            found[f"{tag:08X}"] = entry
    return found


def _entry(field: Field, codecs: tuple[str, ...], depth: int) -> dict[str, Any] | None:
    if field.items is not None:
        items = [_level(item, codecs, depth + 1) for item in field.items]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if field.vr in ARRAY_VRS or field.tag >> 16 == 0x7FE0:
        return None
    stored = field.raw.value if field.raw is not None else None
    if stored is not None and len(stored) > MAX_VALUE_BYTES:
        return None
    if field.is_empty or (field.vr != "PN" and field.is_doubtful(codecs)):
        return {"vr": field.vr}
    if field.vr in BLOB_VRS:
        if stored is None or len(stored) > _SMALL_BLOB_BYTES:
            return None
        return {"vr": field.vr, "InlineBinary": base64.b64encode(stored).decode("ascii")}
    values = _strings(field, codecs) if field.vr in STRING_VRS else _numbers(field)
    return {"vr": field.vr, "Value": values} if values else {"vr": field.vr}


def _strings(field: Field, codecs: tuple[str, ...]) -> list[Any]:
    texts = field.texts(codecs, lenient=True)
    if field.vr == "PN":
        names = [dict(zip(_GROUPS, text.split("="), strict=False)) for text in texts]
        return [{group: part for group, part in name.items() if part} for name in names]
    if field.vr in ("DS", "IS"):
        kept: list[Any] = []
        for text in texts:
            if not text:
                kept.append(None)
                continue
            number = int(text) if field.vr == "IS" else float(text)
            if not math.isfinite(number):
                raise ValueError
            kept.append(number)
        return kept
    return [text or None for text in texts]


def _numbers(field: Field) -> list[Any]:
    if field.raw is None:
        value = field.element.value if field.element is not None else []
        values = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value]
    else:
        stored = field.raw.value or b""
        order = "<" if field.raw.is_little_endian else ">"
        if field.vr == "AT":
            pairs = struct.unpack(f"{order}{len(stored) // 2}H", stored)
            return [f"{group:04X}{number:04X}" for group, number in zip(pairs[::2], pairs[1::2], strict=True)]
        values = list(struct.unpack(f"{order}{len(stored) // WORD_BYTES[field.vr]}{_FORMATS[field.vr]}", stored))
    if field.vr == "AT":
        return [f"{int(BaseTag(value)):08X}" for value in values]
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError
    return values
