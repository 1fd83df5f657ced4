"""What a header says: the columns that are asked for often, and everything in it that identifies.

Belongs here: reading values without changing anything and without ever failing on a bad one.  Which elements identify is
data (`tables/identifying_elements.json`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Literal, cast

from pydicom.datadict import private_dictionary_description
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from gradient_assets.deid.headers._quiet import quiet
from gradient_assets.deid.headers.charsets import DEFAULT
from gradient_assets.deid.headers.elements import (
    MAX_DEPTH,
    STRING_VRS,
    WORD_BYTES,
    Field,
    Unparsable,
    codecs_at,
    creators_of,
    dictionary_vrs,
    elements_of,
    field_at,
    field_of,
    holding_vr,
    stored_at,
)
from gradient_assets.deid.headers.rules import table
from gradient_assets.deid.identifiers import KnownIdentifiers, unique
from gradient_assets.deid.reasons import Reason, Refused

Columns = dict[str, str | int | None]
_SHORTEST_OTHER_ID = 4
_NESTED = "items"

_STRINGS = {
    "patient_id": 0x00100020,
    "patient_name": 0x00100010,
    "patient_birth_date": 0x00100030,
    "patient_sex": 0x00100040,
    "patient_age": 0x00101010,
    "accession_number": 0x00080050,
    "study_instance_uid": 0x0020000D,
    "series_instance_uid": 0x0020000E,
    "sop_instance_uid": 0x00080018,
    "sop_class_uid": 0x00080016,
    "modality": 0x00080060,
    "study_date": 0x00080020,
    "study_time": 0x00080030,
    "study_description": 0x00081030,
    "series_description": 0x0008103E,
    "body_part_examined": 0x00180015,
    "manufacturer": 0x00080070,
    "manufacturer_model_name": 0x00081090,
    "institution_name": 0x00080080,
    "photometric_interpretation": 0x00280004,
    "burned_in_annotation": 0x00280301,
}
_NUMBERS = {
    "series_number": 0x00200011,
    "instance_number": 0x00200013,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "number_of_frames": 0x00280008,
}
_META = {"sop_instance_uid": 0x00020003, "sop_class_uid": 0x00020002}


def first_text(ds: Dataset, tag: int, codecs: tuple[str, ...] | None = None) -> str:
    """The first value of a string element at the top level, trimmed; blank if it is missing or can't be read."""
    found = _texts(ds, tag, codecs or codecs_at(ds, DEFAULT))
    return found[0] if found else ""


def _texts(ds: Dataset, tag: int, codecs: tuple[str, ...]) -> list[str]:
    if stored_at(ds, tag) is None:
        return []
    try:
        field = field_at(ds, tag, {})
    except Unparsable:
        field = _as_bytes(tag, cast(DataElement | RawDataElement, stored_at(ds, tag)))
    except Refused:
        return []
    if field.vr not in STRING_VRS:
        return []
    return [text.strip(" \x00") for text in field.texts(codecs, lenient=True)]


def columns_of(ds: Dataset) -> Columns:
    """The columns of the metadata table.  Strings are trimmed and None when blank, dates are DA, numbers are int."""
    with quiet():
        meta = getattr(ds, "file_meta", None)
        codecs = codecs_at(ds, DEFAULT)
        found: Columns = {name: first_text(ds, tag, codecs) or None for name, tag in _STRINGS.items()}
        for name, tag in _META.items():
            if not found[name] and meta is not None:
                found[name] = first_text(meta, tag) or None
        for name in ("patient_birth_date", "study_date"):
            found[name] = _plain_date(found[name])
        found |= {name: _number(ds, tag) for name, tag in _NUMBERS.items()}
        found["transfer_syntax_uid"] = (first_text(meta, 0x00020010) or None) if meta is not None else None
        found["image_type"] = "\\".join(_texts(ds, 0x00080008, codecs)) or None
    return found


def _plain_date(value: str | int | None) -> str | None:
    text = str(value or "").replace(".", "").replace("-", "")
    return text if len(text) == 8 and text.isascii() and text.isdigit() else None


def _number(ds: Dataset, tag: int) -> int | None:
    if stored_at(ds, tag) is None:
        return None
    try:
        field = field_at(ds, tag, {})
        if field.vr in STRING_VRS:
            number = int(float(field.texts(DEFAULT, lenient=True)[0]))
        elif field.raw is not None:
            order: Literal["little", "big"] = "little" if field.raw.is_little_endian else "big"
            stored = (field.raw.value or b"")[: WORD_BYTES[field.vr]]
            number = int.from_bytes(stored, order, signed=field.vr in ("SS", "SL", "SV"))
            if not stored:
                return None
        else:
            value = field.element.value if field.element is not None else None
            number = int(value[0] if isinstance(value, MultiValue | list) else value)  # type: ignore[arg-type]  # or raises
    except Exception:  # whatever a garbled number raises, the column stays empty
        return None
    return number if -(2**63) <= number < 2**63 else None


def identifiers_of(ds: Dataset) -> KnownIdentifiers:
    """Everything in the header that identifies, nested and private included where it is clear what it is.

    Never fails on a bad value; raises `Refused(NESTED_TOO_DEEP)` for bottomless sequences.
    """
    found: dict[str, list[str]] = {}
    with quiet():
        for kind, value in _identifying(ds, DEFAULT, 0):
            found.setdefault(kind, []).append(value)
    return KnownIdentifiers(**{kind: unique(values) for kind, values in found.items()})


def _identifying(ds: Dataset, inherited: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP)
    codecs = codecs_at(ds, inherited)
    creators = creators_of(ds)
    for tag, stored in elements_of(ds):
        kind = _kind_of(tag, stored.VR, creators.get(tag >> 16 << 8 | (tag & 0xFF00) >> 8) if tag >> 16 & 1 else None)
        if kind is None:
            continue
        try:
            field = field_of(ds, tag, stored, creators)
        except Unparsable:
            if kind == _NESTED:
                continue
            field = _as_bytes(tag, stored)
        if field.items is not None:
            for item in field.items:
                yield from _identifying(item, codecs, depth + 1)
            continue
        if field.is_empty:
            continue
        yield from ((kind, text) for text in _worth(kind, field, codecs))


def _as_bytes(tag: int, stored: DataElement | RawDataElement) -> Field:
    """An element whose stated VR the dictionary contradicts, read as what the dictionary says: a Patient's Name stored as OB
    is still the name by which texts are cleaned."""
    vr = next(iter(dictionary_vrs(tag)), "LO")
    value = stored.value
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        return Field(tag, vr, None, element=DataElement(BaseTag(tag), "UT", "" if value is None else str(value)))
    return Field(tag, vr, None, raw=RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True))


def _worth(kind: str, field: Field, codecs: tuple[str, ...]) -> Iterator[str]:
    for text in field.texts(codecs, lenient=True):
        if kind in ("birth_dates", "study_dates"):
            day = _plain_date(text[:10] if "." in text or "-" in text else text[:8])
            if day:
                yield day
        elif not is_placeholder(text) and not (kind == "other_ids" and len(text) < _SHORTEST_OTHER_ID):
            yield text


def is_placeholder(text: str) -> bool:
    """Whether a value is blank or made of words that name nobody (`ANONYMOUS`, `REMOVED`, `Phantom^Head`)."""
    no_names = table("identifying_elements")["no_names"]
    return all(word in no_names for word in re.findall(r"[^\W_]+", text.casefold()))


@lru_cache(maxsize=65536)
def _kind_of(tag: int, stated: str | None, creator: str | None) -> str | None:
    """What an element of this tag and stated VR identifies, `_NESTED` if it has items, None if it can be passed over."""
    try:
        vr = holding_vr(tag, stated, creator)
    except Unparsable:
        vr = next(iter(dictionary_vrs(tag)), "LO")
    if vr == "SQ":
        return _NESTED
    if vr not in STRING_VRS:
        return None
    private = _private_kind(tag, creator) if creator is not None else None
    return private or _kinds().get(tag) or ("physicians" if vr == "PN" else None)


@cache
def _kinds() -> dict[int, str]:
    return {int(tag, 16): kind for kind, tags in table("identifying_elements")["kinds"].items() for tag in tags}


def _private_kind(tag: int, creator: str) -> str | None:
    try:
        name = private_dictionary_description(tag, creator).casefold()
    except KeyError:
        return None
    for kind, phrases in table("identifying_elements")["private_names"].items():
        if any(phrase in name for phrase in phrases):
            return str(kind)
    return None


def complete_identifiers(ds: Dataset, known: KnownIdentifiers) -> KnownIdentifiers:
    """`known`, with the header's own identifiers where they are missing from it; the same object if none is."""
    top = ((0x00100010, known.patient_names), (0x00100020, known.patient_ids), (0x00080050, known.accession_numbers))
    codecs = codecs_at(ds, DEFAULT)
    if all((text := first_text(ds, tag, codecs)) in values or is_placeholder(text) for tag, values in top):
        return known
    return known.merge(identifiers_of(ds))
