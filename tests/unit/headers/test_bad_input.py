"""Whatever the bytes are: a clean object or a refusal with a fixed code, within bounded memory, and nobody is named."""

import io
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import (
    Profile,
    columns_of,
    from_json_header,
    identifiers_of,
    read,
    read_dataset,
    to_json_header,
)
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.conftest import PACKAGED
from tests.unit.headers.instances import as_bytes, instance
from tests.unit.pixels.objects import FixedFinder

NAME, PATIENT_ID, ACCESSION = "Zymurgy^Quentin", "MRN-0077123", "ACC99123"
PLANTED = [b"Zymurgy", b"Quentin", b"0077123", b"ACC99123"]
EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
CLEANER = InstanceCleaner(
    Profile.named("longitudinal"), Pseudonymizer(SecretKey(bytes(range(32))), "st-mary"), FixedFinder()
)
SMALL = [path for path in PACKAGED if 800 < path.stat().st_size < 40_000 and "DICOMDIR" not in path.name][:24]


def outcome(content: bytes) -> Reason | None:
    """The reason of the refusal; None for a clean object, after a look at its bytes."""
    try:
        cleaned = CLEANER.clean(content).content
    except Refused as refusal:
        return fixed_reason(refusal)
    assert not [planted for planted in PLANTED if planted in cleaned]
    pydicom.dcmread(io.BytesIO(cleaned))
    return None


def fixed_reason(refusal: Refused) -> Reason:
    """A reason that says what was wrong with the object, in words that quote nothing of it."""
    assert refusal.reason is not Reason.INTERNAL_ERROR, refusal.detail
    assert not any(planted.decode() in str(refusal) for planted in PLANTED)
    return refusal.reason


def with_planted(path: Path) -> bytes:
    """A real file with identifiers of ours in several places."""
    ds = pydicom.dcmread(path, force=True)
    ds.PatientName, ds.PatientID, ds.AccessionNumber = NAME, PATIENT_ID, ACCESSION
    ds.OtherPatientNames, ds.StudyDescription = NAME, "seen for Zymurgy"
    buffer = io.BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


def readable(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            yield with_planted(path)
        except Exception:  # some of the package's files are broken on purpose and can't be written again
            continue


REAL = list(readable(SMALL))


def test_there_are_enough_real_files():
    assert len(REAL) >= 15
    assert sum(outcome(raw) is None for raw in REAL) >= 10


@pytest.mark.parametrize("number", range(len(REAL)))
def test_a_file_cut_anywhere_is_refused_or_clean(number):
    raw = REAL[number]
    cuts = {
        *range(0, min(len(raw), 400), 37),
        *range(400, len(raw), max(1, len(raw) // 24)),
        len(raw) - 1,
        len(raw) - 9,
    }
    for cut in sorted(cuts):
        outcome(raw[: max(0, cut)])


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """One to sixteen small accidents: bytes changed, lengths made huge, VRs swapped, pieces missing or put in."""
    broken = bytearray(raw)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(
            min(128, len(broken) - 1), len(broken) if chance.random() < 0.5 else min(len(broken), 2000)
        )
        kind = chance.randrange(7)
        if kind == 0:
            broken[at] = chance.randrange(256)
        elif kind == 1:
            broken[at : at + 4] = b"\xff\xff\xff\xff"
        elif kind == 2:
            del broken[at : at + chance.choice([1, 2, 4, 8, 100])]
        elif kind == 3:
            broken[at:at] = chance.randbytes(chance.choice([1, 2, 8]))
        elif kind == 4:
            broken[at : at + 2] = chance.choice([b"SQ", b"UN", b"OB", b"UT", b"ZZ", b"\0\0"])
        elif kind == 5:
            broken[at : at + 4] = chance.choice([b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"\xfe\xff\x0d\xe0"])
        else:
            swap = chance.randrange(132, len(broken) - 8) if len(broken) > 160 else 0
            broken[at : at + 8], broken[swap : swap + 8] = broken[swap : swap + 8], broken[at : at + 8]
        if len(broken) < 200:
            break
    return bytes(broken)


@pytest.mark.parametrize("number", range(len(REAL)))
def test_a_file_with_accidents_is_refused_or_clean(number):
    chance = random.Random(f"accidents {number}")
    for _ in range(25):
        outcome(mutated(REAL[number], chance))


WHOLE = as_bytes(instance(StudyDescription="seen for Zymurgy"))
COLUMNS = columns_of(read_dataset(WHOLE)).keys()
META_END = 132 + 12 + struct.unpack("<L", WHOLE[140:144])[0]


@pytest.mark.parametrize("number", range(len(REAL)))
def test_readers_of_a_header_with_accidents_refuse_or_answer(number):
    chance = random.Random(f"headers {number}")
    for _ in range(25):
        try:
            ds = read_dataset(io.BytesIO(mutated(REAL[number], chance)), stop_before_pixels=True)
            columns = columns_of(ds)
            identifiers_of(ds)
            header = to_json_header(ds)
        except Refused:
            continue
        assert columns.keys() == COLUMNS
        from_json_header(header)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.binary(max_size=300), st.sampled_from([b"", WHOLE[:132], WHOLE[:META_END], WHOLE]))
def test_any_bytes_behind_any_beginning_are_refused_or_clean(tail, beginning):
    outcome(beginning + tail)


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    head, size = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr), len(value) if length is None else length
    long = vr in (b"OB", b"OW", b"UN", b"UT", b"SQ")
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value) if length is None else length) + value


ITEM_END, SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def nested(levels: int, *, defined: bool) -> bytes:
    inner = explicit(0x00204000, b"LT", b"of Zymurgy")
    if not defined:
        opening = explicit(0x0040A730, b"SQ", item(b"", 0xFFFFFFFF), 0xFFFFFFFF)
        return opening * levels + inner + (ITEM_END + SEQUENCE_END) * levels
    for _ in range(levels):
        inner = explicit(0x0040A730, b"SQ", item(inner))
    return inner


def pixels(rows: int, columns: int, frames: int = 1) -> Dataset:
    ds = instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Rows=rows, Columns=columns, NumberOfFrames=str(frames))
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = b"\0" * 64
    ds["PixelData"].VR = "OW"
    return ds


def implicit_meta_length() -> int:
    return int(struct.unpack("<L", as_bytes(instance(), IMPLICIT)[140:144])[0])


WRONG = {
    "empty": (b"", Reason.EMPTY_OBJECT),
    "no preamble": (WHOLE[128:], None),
    "no preamble and prefix": (WHOLE[132:], None),
    "no file meta": (WHOLE[META_END:], None),
    "headless and implicit": (as_bytes(instance(), IMPLICIT)[132 + 12 + implicit_meta_length() :], None),
    "cut before the patient": (WHOLE[: WHOLE.index(b"\x10\0\x10\0PN")], Reason.TRUNCATED),
    "declared big, stored little endian": (WHOLE.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), Reason.TRUNCATED),
    "declared implicit, stored explicit": (
        as_bytes(instance(), IMPLICIT)[: 132 + 12 + implicit_meta_length()] + WHOLE[META_END:],
        None,
    ),
    "declared explicit, stored implicit": (
        WHOLE[:META_END] + as_bytes(instance(), IMPLICIT)[132 + 12 + implicit_meta_length() :],
        None,
    ),
    "odd length": (WHOLE + explicit(0x00204000, b"LT", b"odd"), None),
    "a length of 4 GB": (WHOLE + explicit(0x00204000, b"UT", b"short", 0xFFFFFFFE), Reason.TRUNCATED),
    "pixels of 4 GB": (WHOLE + explicit(0x7FE00010, b"OW", b"short", 0xFFFFFFFE), Reason.TRUNCATED),
    "pixels of undefined length": (WHOLE + explicit(0x7FE00010, b"OW", b"short", 0xFFFFFFFF), Reason.TRUNCATED),
    "a value longer than the rest by one": (WHOLE + explicit(0x00204000, b"LT", b"1234567", 8), Reason.TRUNCATED),
    "terabytes of pixels": (as_bytes(pixels(65535, 65535, 999)), Reason.PIXELS_TOO_LARGE),
    "no rows": (as_bytes(pixels(0, 4)), Reason.PIXEL_GEOMETRY),
    "more pixels than bytes": (as_bytes(pixels(100, 100)), Reason.PIXEL_GEOMETRY),
    "1,000 levels of undefined length": (WHOLE + nested(1000, defined=False), Reason.NESTED_TOO_DEEP),
    "1,000 levels of defined length": (WHOLE + nested(1000, defined=True), Reason.NESTED_TOO_DEEP),
    "100 levels": (WHOLE + nested(100, defined=True), Reason.NESTED_TOO_DEEP),
    "12 levels": (WHOLE + nested(12, defined=True), None),
    "12 levels of undefined length": (WHOLE + nested(12, defined=False), None),
    "a sequence without its delimiter": (WHOLE + explicit(0x0040A730, b"SQ", item(b""), 0xFFFFFFFF), Reason.TRUNCATED),
    "an item without its delimiter": (
        WHOLE + explicit(0x0040A730, b"SQ", item(explicit(0x00204000, b"LT", b"ok"), 0xFFFFFFFF), 0xFFFFFFFF),
        Reason.TRUNCATED,
    ),
    "an item longer than its sequence": (WHOLE + explicit(0x0040A730, b"SQ", item(b"", 4000)), None),
    "delimiters that delimit nothing": (WHOLE + SEQUENCE_END + explicit(0x00204000, b"LT", b"Zymurgy "), None),
    "items of no length": (WHOLE + explicit(0x0040A730, b"SQ", item(b"") * 50), None),
    "an empty sequence": (WHOLE + explicit(0x0040A730, b"SQ", b""), None),
    "a VR that nobody knows": (WHOLE + explicit(0x00204000, b"ZZ", b"Zymurgy "), None),
    "a VR that nobody knows, empty": (WHOLE + explicit(0x00204000, b"ZZ", b""), None),
    "a wrong VR": (WHOLE + explicit(0x00204000, b"US", b"Zymurgy "), None),
    "a sequence that is text": (WHOLE + explicit(0x00081140, b"LO", b"Zymurgy "), None),
    "text that is a sequence": (WHOLE + explicit(0x00204000, b"SQ", b"Zymurgy "), None),
    "one tag twice": (
        WHOLE + explicit(0x00100010, b"PN", b"Other^Name") + explicit(0x00080050, b"SH", b"OTHER1"),
        Reason.UNREADABLE_HEADER,
    ),
    "tags out of order": (WHOLE + explicit(0x00080080, b"LO", b"Zymurgy ") + explicit(0x00081010, b"SH", b"CT"), None),
    "group 0002 again": (WHOLE + WHOLE[144:META_END], None),
    "a character set that is none": (WHOLE + explicit(0x00080005, b"CS", b"\xff\xfe\\??"), None),
    "nothing behind the file meta": (WHOLE[:META_END], Reason.TRUNCATED),
    "a deflated data set that is none": (as_bytes(instance(), DEFLATED)[:-20] + b"\xff" * 20, Reason.UNREADABLE_HEADER),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_object_decides_what_becomes_of_it(case):
    content, reason = WRONG[case]
    assert outcome(content) is reason


def bomb(megabytes: int) -> bytes:
    head = as_bytes(instance(), DEFLATED)
    packer = zlib.compressobj(9, wbits=-15)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(megabytes)) + packer.flush()
    return head[: 132 + 12 + struct.unpack("<L", head[140:144])[0]] + body


FLOODS = {
    "items of defined length": WHOLE + explicit(0x0040A730, b"SQ", item(b"") * 40_000),
    "items of undefined length": WHOLE + explicit(0x0040A730, b"SQ", item(b"") * 40_000 + SEQUENCE_END, 0xFFFFFFFF),
    "items inside an item": WHOLE
    + explicit(0x0040A730, b"SQ", item(explicit(0x0040A730, b"SQ", item(b"") * 40_000)) + SEQUENCE_END, 0xFFFFFFFF),
    "elements": WHOLE + b"".join(explicit(0x00410000 + n, b"LO", b"") for n in range(40_000)),
    "a deflated bomb": bomb(40),
    "a length of 4 GB": WHOLE + explicit(0x00204000, b"UT", b"short", 0xFFFFFFFE),
    "a fragment of 4 GB": WHOLE + explicit(0x7FE00010, b"OB", item(b"short", 0xFFFFFFFE), 0xFFFFFFFF),
    "terabytes of pixels": as_bytes(pixels(65535, 65535, 999)),
}
MEMORY_BYTES = 12 << 20


@pytest.mark.parametrize("case", FLOODS)
def test_floods_are_refused_before_they_take_memory(case, monkeypatch):
    for limit, value in (("MAX_ITEMS", 1_000), ("MAX_READS", 20_000), ("MAX_INFLATED_BYTES", 1 << 20)):
        monkeypatch.setattr(read, limit, value)
    tracemalloc.start()
    try:
        reason = outcome(FLOODS[case])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason in (Reason.HEADER_TOO_LARGE, Reason.TRUNCATED, Reason.PIXELS_TOO_LARGE)
    assert peak < MEMORY_BYTES
