"""One element as the rules see it: tag, VR that holds, and its value as text, items or untouched bytes.

Belongs here: which VR an element has when the file says `UN`, nothing, or something the dictionary contradicts; private
elements are named by their creator.  What happens to an element is `rules`' and `engine`'s business.  PS3.5 6.2, 7.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from pydicom.datadict import dictionary_VM, dictionary_VR, private_dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from gradient_assets.deid.headers import charsets, misdeclared
from gradient_assets.deid.reasons import Reason, Refused

MAX_DEPTH = 48
"""Levels of nesting.  The deepest genuine object known here (an SR of 460 real files) has 12."""

PLAIN_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is a letter in these, not a separator
TEXT_VRS = frozenset({"LO", "SH", "UC", "LT", "ST", "UT", "PN", "UR"})
STRING_VRS = TEXT_VRS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}
WORD_BYTES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8, "AT": 4}
ARRAY_VRS = frozenset({"OW", "OF", "OD", "OL", "OV"})
BLOB_VRS = frozenset({"OB", "UN"})
KNOWN_VRS = STRING_VRS | WORD_BYTES.keys() | ARRAY_VRS | BLOB_VRS | {"SQ"}


@dataclass(slots=True)
class Field:
    """One element.  Exactly one of `raw` (bytes as stored), `items` and `element` (already decoded) is set."""

    tag: int
    vr: str
    creator: str | None
    raw: RawDataElement | None = None
    items: list[Dataset] | None = None
    element: DataElement | None = None

    @property
    def label(self) -> str:
        """`(gggg,eeee)`; the block number of a private element is left out, because it says nothing."""
        return label_of(self.tag)

    @property
    def is_empty(self) -> bool:
        """Whether there is no value at all."""
        if self.items is not None:
            return not self.items
        if self.raw is not None:
            stored = self.raw.value
            return not stored or (self.vr in STRING_VRS and not stored.strip(b" \x00"))
        return self.element is None or self.element.is_empty

    def is_doubtful(self, codecs: tuple[str, ...]) -> bool:
        """Whether nobody knows what a text says: its bytes fit no character set."""
        if self.raw is None or self.vr not in TEXT_VRS or (self.raw.value or b"").isascii():
            return False
        return misdeclared.DOUBTFUL in misdeclared.judged(codecs)

    def texts(self, codecs: tuple[str, ...], *, lenient: bool = False) -> list[str]:
        """Values of a string VR without padding.  Raises `Refused` if the bytes can't be decoded."""
        if self.raw is not None:
            stored = self.raw.value or b""
            if self.vr not in TEXT_VRS:
                text = stored.decode("ascii", "replace")
            elif lenient:
                text = charsets.decode_leniently(stored, codecs)
            else:
                text = charsets.decode(stored, codecs, self.tag)
            parts = [text] if self.vr in PLAIN_TEXT_VRS else text.split("\\")
        else:
            parts = _decoded_texts(self.element)
        if self.vr in PLAIN_TEXT_VRS or self.vr == "UC":
            return [part.rstrip(" \x00") for part in parts]
        return [part.strip(" \x00") for part in parts]


@lru_cache(maxsize=16384)
def label_of(tag: int) -> str:
    """See `Field.label`."""
    group, number = tag >> 16, tag & 0xFFFF
    if group & 1 and number > 0xFF:
        return f"({group:04X},xx{number & 0xFF:02X})"
    return f"({group:04X},{number:04X})"


def _decoded_texts(element: DataElement | None) -> list[str]:
    if element is None or element.value is None:
        return []
    value = element.value
    if isinstance(value, bytes):
        return [value.decode("iso8859")]
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return [_one_text(one) for one in value]
    return [_one_text(value)]


def _one_text(value: object) -> str:
    original = getattr(value, "original_string", None)
    return original if isinstance(original, str) and type(value).__name__ != "PersonName" else str(value)


class Unparsable(Exception):  # noqa: N818  an outcome for the rule that asked, never shown
    """An element whose bytes do not fit any VR it may have."""

    def __init__(self, tag: int, vr: str | None) -> None:
        super().__init__(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
        self.tag = tag
        self.vr = vr


def creators_of(dataset: Dataset) -> dict[int, str]:
    """Private creators of this level: `group << 8 | block` → creator.  PS3.5 7.8.1."""
    found: dict[int, str] = {}
    for tag, stored in dataset.items():
        if not tag & 0x00010000 or not 0x10 <= tag & 0xFFFF <= 0xFF:
            continue
        value = stored.value
        if isinstance(value, bytes):
            value = value.decode("iso8859")
        if isinstance(value, str) and value.strip(" \x00"):
            found[tag >> 16 << 8 | tag & 0xFFFF] = value.strip(" \x00")
    return found


def stored_at(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """The element as it is stored, undecoded, or None.

    `Dataset.get_item` builds a tag from the tag and looks twice: 2 µs, which was a tenth of the cleaning time.
    """
    return dataset._dict.get(tag)  # type: ignore[call-overload, no-any-return]  # a tag is an int


def codecs_at(dataset: Dataset, inherited: tuple[str, ...]) -> tuple[str, ...]:
    """The character sets that hold at this level: what it declares or inherits, and at need what its texts show to be meant."""
    declared = _declared_at(dataset, inherited)
    if len(declared) > 1 or declared[0] not in misdeclared.JUDGED:
        return declared
    return misdeclared.Judged.at(declared, lambda: _texts_above_ascii(dataset))


def _texts_above_ascii(dataset: Dataset) -> Iterator[bytes]:
    for tag, stored in dataset._dict.items():
        if not isinstance(stored, RawDataElement) or not stored.value:
            continue
        vr = stored.VR
        if (vr is None or vr == "UN") and not tag >> 16 & 1:
            vr = next(iter(dictionary_vrs(int(tag))), None)
        if vr in TEXT_VRS and not stored.value.isascii():
            yield stored.value


def _declared_at(dataset: Dataset, inherited: tuple[str, ...]) -> tuple[str, ...]:
    stored = stored_at(dataset, 0x00080005)
    if stored is None:
        return inherited
    value = stored.value
    if isinstance(value, bytes):
        return charsets.codecs_of(value.decode("ascii", "replace").split("\\"), inherited)
    if value is None or isinstance(value, str):
        return charsets.codecs_of([value or ""], inherited)
    return charsets.codecs_of([str(one) for one in value], inherited)


def tags_of(dataset: Dataset) -> Iterator[int]:
    """Tags in ascending order, without decoding anything."""
    return iter(sorted(map(int, dataset.keys())))  # a Dataset iterates over decoded elements, its keys over tags


def elements_of(dataset: Dataset) -> list[tuple[int, DataElement | RawDataElement]]:
    """Tags in ascending order with what is stored there, nothing decoded."""
    return sorted((int(tag), stored) for tag, stored in dataset.items())


def field_at(dataset: Dataset, tag: int, creators: dict[int, str], safe_vr: str | None = None) -> Field:
    """See `field_of`."""
    return field_of(dataset, tag, cast(DataElement | RawDataElement, stored_at(dataset, tag)), creators, safe_vr)


def field_of(
    dataset: Dataset,
    tag: int,
    stored: DataElement | RawDataElement,
    creators: dict[int, str],
    safe_vr: str | None = None,
) -> Field:
    """The element with the VR that holds.  Raises `Unparsable`; `Refused(NESTED_TOO_DEEP)` for bottomless sequences.

    `safe_vr` is the VR a table gives for a private element; it wins over the private dictionary.
    """
    creator = _creator(tag, creators)
    if isinstance(stored, DataElement):
        vr = holding_vr(tag, stored.VR, creator, safe_vr)
        if vr == "SQ":
            return Field(tag, vr, creator, items=_items(stored.value, tag))
        if isinstance(stored.value, bytes) and stored.VR in BLOB_VRS | ARRAY_VRS:
            length = 0xFFFFFFFF if stored.is_undefined_length else len(stored.value)
            return Field(tag, vr, creator, raw=RawDataElement(BaseTag(tag), vr, length, stored.value, 0, False, True))
        return Field(tag, vr if stored.VR not in WORD_BYTES else stored.VR, creator, element=stored)
    vr = holding_vr(tag, stored.VR, creator, safe_vr)
    if vr == "SQ":
        return Field(tag, vr, creator, None, _parsed_items(dataset, stored))
    if not stored.value and stored.value != b"":  # pydicom has None, "" and b"" for it
        stored = stored._replace(value=b"")
    if vr in WORD_BYTES and len(stored.value or b"") % WORD_BYTES[vr]:
        raise Unparsable(tag, vr)
    return Field(tag, vr, creator, stored if vr == stored.VR else stored._replace(VR=vr))


def _items(value: object, tag: int) -> list[Dataset]:
    if value is None:
        return []
    if not isinstance(value, Sequence | list):
        raise Unparsable(tag, "SQ")
    return list(value)


def _parsed_items(dataset: Dataset, stored: RawDataElement) -> list[Dataset]:
    if not stored.value:
        return []
    try:
        parsed = convert_raw_data_element(stored._replace(VR="SQ"), ds=dataset)
        items = list(parsed.value)
    except RecursionError:
        raise Refused(Reason.NESTED_TOO_DEEP, f"({stored.tag.group:04X},{stored.tag.element:04X})") from None
    except Exception:  # any failure to parse is the same to the rules: nothing can be kept of it
        raise Unparsable(int(stored.tag), "SQ") from None
    dataset._dict[stored.tag] = (
        parsed  # as pydicom does on access: items are parsed once, not by gatherer and rules anew
    )
    return items


@lru_cache(maxsize=65536)
def holding_vr(tag: int, stated: str | None, creator: str | None, safe_vr: str | None = None) -> str:
    """The VR that holds for an element of this tag whose file says `stated`.  Raises `Unparsable`."""
    return _holding_vr(tag, stated, creator if tag & 0xFFFF >= 0x1000 else None, safe_vr)


def _creator(tag: int, creators: dict[int, str]) -> str | None:
    if not tag >> 16 & 1 or tag & 0xFFFF < 0x1000:
        return None
    return creators.get(tag >> 16 << 8 | (tag & 0xFF00) >> 8)


@lru_cache(maxsize=16384)
def dictionary_vrs(tag: int) -> tuple[str, ...]:
    """The VRs the standard's dictionary allows, or () for tags it does not hold.  PS3.6."""
    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()


@lru_cache(maxsize=4096)
def has_one_value(tag: int) -> bool:
    """Whether the standard's dictionary says that the element has exactly one value (VM 1)."""
    try:
        return dictionary_VM(tag) == "1"
    except KeyError:
        return False


@lru_cache(maxsize=4096)
def _private_vr(tag: int, creator: str) -> str | None:
    try:
        return private_dictionary_VR(tag, creator).split(" or ")[0]
    except KeyError:
        return None


def _holding_vr(tag: int, stated: str | None, creator: str | None, safe_vr: str | None) -> str:
    if tag >> 16 & 1:
        if tag & 0xFFFF <= 0xFF:
            return "LO"
        known = safe_vr or (_private_vr(tag, creator) if creator else None)
        allowed: tuple[str, ...] = (known,) if known else ()
    else:
        allowed = dictionary_vrs(tag)
    if stated is None or stated == "UN" or stated not in KNOWN_VRS:
        if stated is not None and len(stated) != 2 and stated in (" or ".join(allowed), "US or SS or OW"):
            return allowed[0]  # pydicom's own way to say that the dictionary leaves a choice
        return _preferred(allowed) if allowed else "UN"
    if not allowed or stated in allowed or _family(stated) == _family(allowed[0]):
        return stated if not (allowed and stated not in allowed and stated in STRING_VRS) else allowed[0]
    raise Unparsable(tag, stated)


def _preferred(allowed: tuple[str, ...]) -> str:
    return "OW" if "OW" in allowed and "US" not in allowed else allowed[0]


def _family(vr: str) -> str:
    if vr in STRING_VRS:
        return "string"
    if vr in ARRAY_VRS or vr in BLOB_VRS:
        return "bulk"
    if vr in WORD_BYTES:
        return f"word{WORD_BYTES[vr]}{'f' if vr in ('FL', 'FD') else ''}"
    return vr
