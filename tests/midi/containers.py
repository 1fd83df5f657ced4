"""Places that must go: elements and containers of every kind that may hold identifiers nobody needs.

Belongs here: elements by VR and nature (private of nobody, overlays, icons, signatures …), the preamble, comments inside
compressed streams.  What is planted here is searched in all bytes of the output.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")  # fmt: skip
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")


def _item(*elements: tuple[int, str, object]) -> Dataset:
    item = Dataset()
    for tag, vr, value in elements:
        item[tag] = DataElement(tag, vr, value)
    return item


def _sequence(*items: Dataset) -> Sequence:
    return Sequence(items)


def _even(text: str) -> bytes:
    coded = text.encode("utf-8")
    return coded + b" " * (len(coded) & 1)


def _private(
    vr: str, value: object, *, creator: str = "ACME SCANNERS 1.1", group: int = 0x0019
) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        block = next(b for b in range(0x20, 0x100) if (group << 16 | b) not in ds)
        ds[group << 16 | block] = DataElement(group << 16 | block, "LO", creator)
        ds[group << 16 | block << 8 | 0x01] = DataElement(group << 16 | block << 8 | 0x01, vr, value)

    return plant


def _set(tag: int, vr: str, value: object) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        ds[tag] = DataElement(tag, vr, value)

    return plant


def _stated(tag: int, vr: str, value: str) -> Callable[[Dataset], None]:
    """A value that its VR does not allow: pydicom would refuse to make the element."""

    def plant(ds: Dataset) -> None:
        ds[tag] = DataElement(tag, "LO", value)
        ds[tag].VR = vr

    return plant


def plants(text: str, uid: str) -> dict[str, Callable[[Dataset], None]]:
    """Kind → how the text is put there.  `text` is letters and digits, at most 14 characters."""
    name, blob = f"{text}^X", _even(text)
    picture = _item((0x00280010, "US", 1), (0x00280100, "US", 8), (0x7FE00010, "OB", blob))
    signature = _item((0x04000110, "CS", "X509_1993_SIG"), (0x04000115, "OB", blob), (0x04000120, "OB", blob))
    original = _item(
        (0x04000550, "SQ", _sequence(_item((0x00100010, "PN", name), (0x00100020, "LO", text)))),
        (0x04000563, "LO", text),
        (0x04000564, "LO", text),
    )
    other_id = _item((0x00100020, "LO", text), (0x00100021, "LO", text))
    observer = _item((0x0040A123, "PN", name), (0x0040A027, "LO", text))
    return {
        "PN other names": _set(0x00101001, "PN", [name, name]),
        "PN operators": _set(0x00081070, "PN", name),
        "PN with component groups": _set(0x00081048, "PN", f"{name}={name}={name}"),
        "LO address": _set(0x00101040, "LO", text),
        "SH telephone": _set(0x00102154, "SH", text),
        "SH station": _set(0x00081010, "SH", text),
        "LO device serial": _set(0x00181000, "LO", text),
        "AE title": _set(0x00080055, "AE", text.upper()),
        "UR address": _set(0x00081190, "UR", f"http://pacs.example/{text}"),
        "IS that is text": _stated(0x00200012, "IS", text),
        "DS that is text": _stated(0x00181153, "DS", text),
        "DA that is text": _stated(0x00181012, "DA", text),
        "DT that is text": _stated(0x00181078, "DT", text),
        "TM that is text": _stated(0x00080033, "TM", text),
        "UI that is text": _stated(0x00081195, "UI", text),
        "OB blob": _set(0x04000310, "OB", blob),
        "tag nobody knows": _set(0x00180FFE, "LO", text),
        "private LO": _private("LO", text),
        "private PN": _private("PN", name, group=0x0021),
        "private UT": _private("UT", text * 50, group=0x0023),
        "private OB": _private("OB", blob, group=0x0025),
        "private UN": _private("UN", blob, group=0x0027),
        "private sequence": _private("SQ", _sequence(_item((0x00100010, "PN", name))), group=0x0031),
        "private creator": _private("US", 7, creator=text, group=0x0033),
        "private creator with a safe name in another group": _private("LO", text, creator="GEMS_PARM_01", group=0x0035),
        "private of a safe creator, not listed": _private("LO", text, creator="GEMS_PARM_01", group=0x0043),
        "private without creator": _set(0x003710F1, "LO", text),
        "overlay comment": _set(0x60004000, "LT", text),
        "overlay label": _set(0x60021500, "LO", text),
        "curve": _set(0x50003000, "OW", blob),
        "curve description": _set(0x50000022, "LO", text),
        "icon": _set(0x00880200, "SQ", _sequence(picture)),
        "digital signature": _set(0xFFFAFFFA, "SQ", _sequence(signature)),
        "MAC parameters": _set(
            0x4FFE0001, "SQ", _sequence(_item((0x04000005, "US", 1), (0x04000020, "AT", 0x00100010)))
        ),
        "original attributes": _set(0x04000561, "SQ", _sequence(original)),
        "other patient ids": _set(0x00101002, "SQ", _sequence(other_id)),
        "verifying observer": _set(0x0040A073, "SQ", _sequence(observer)),
        "encrypted attributes": _set(0x04000500, "SQ", _sequence(_item((0x04000520, "OB", blob)))),
        "trailing padding": _set(0xFFFCFFFC, "OB", blob),
        "directory": _set(0x00041130, "CS", text.upper()),
        "referenced file": _set(0x00041500, "CS", [text.upper(), "IM1"]),
        "UID of a machine": _set(0x00181002, "UI", uid),
    }


def with_comment(ds: Dataset, text: str) -> bool:
    """Write the text as a comment into the first frame of a JPEG, JPEG-LS or JPEG 2000 stream, if it is one."""
    syntax = str(ds.file_meta.TransferSyntaxUID)
    if syntax not in JPEG + JPEG_2000 or "PixelData" not in ds:
        return False
    pictures = list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1) or 1)))
    first, coded = pictures[0], text.encode()
    if syntax in JPEG and first[:2] == b"\xff\xd8":
        app = b"\xff\xe1" + struct.pack(">H", len(coded) + 8) + b"Exif\x00\x00" + coded
        pictures[0] = first[:2] + b"\xff\xfe" + struct.pack(">H", len(coded) + 2) + coded + app + first[2:]
    elif syntax in JPEG_2000 and first[:4] == b"\xff\x4f\xff\x51":
        end = 4 + struct.unpack(">H", first[4:6])[0]
        pictures[0] = first[:end] + b"\xff\x64" + struct.pack(">HH", len(coded) + 4, 1) + coded + first[end:]
    else:
        return False
    ds.PixelData = encapsulate(pictures)
    ds["PixelData"].is_undefined_length = True
    return True
