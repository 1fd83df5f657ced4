"""Reading ends in a data set or in one fixed reason, whatever the bytes are."""

import io
import struct
import zlib

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from gradient_assets.deid.headers import read, read_dataset
from gradient_assets.deid.headers.gather import identifiers_of
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import as_bytes, instance


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value) if length is None else length) + value


def pixels(length: int, stored: int) -> bytes:
    return struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, length) + b"\x01" * stored


def deep(levels: int) -> bytes:
    opening = struct.pack("<HH2sHLHHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opening * levels + closing * levels


def deep_with_lengths(levels: int) -> bytes:
    inner = b""
    for _ in range(levels):
        inner = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(inner)) + inner
    return inner


WHOLE = as_bytes(instance())
REFUSED = {
    "empty": (b"", Reason.EMPTY_OBJECT),
    "text": (b"Dear Dr. Miller, thank you for the referral of this patient." * 9, Reason.NOT_DICOM),
    "zeros": (b"\x00" * 4096, Reason.NOT_DICOM),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, Reason.NOT_DICOM),
    "three bytes": (b"abc", Reason.NOT_DICOM),
    "prefix alone": (b"\x00" * 128 + b"DICM", Reason.TRUNCATED),
    "cut in a value": (WHOLE[:-3], Reason.TRUNCATED),
    "cut in an element's head": (WHOLE + b"\x10\x00\x20", Reason.TRUNCATED),
    "pixel data too short": (WHOLE + pixels(1000, 10), Reason.TRUNCATED),
    "undefined length never ends": (WHOLE + pixels(0xFFFFFFFF, 64), Reason.TRUNCATED),
    "sequence never ends": (WHOLE + deep(3)[:60], Reason.TRUNCATED),
    "one thousand levels": (WHOLE + deep(1000), Reason.NESTED_TOO_DEEP),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_gets_its_fixed_reason(case):
    source, reason = REFUSED[case]
    with pytest.raises(Refused) as refusal:
        read_dataset(source)
    assert refusal.value.reason is reason


def test_levels_with_declared_lengths_are_refused_when_they_are_walked():
    ds = read_dataset(WHOLE + deep_with_lengths(200))
    with pytest.raises(Refused) as refusal:
        identifiers_of(ds)
    assert refusal.value.reason is Reason.NESTED_TOO_DEEP


def test_refusals_never_quote_a_value():
    for source, _ in REFUSED.values():
        with pytest.raises(Refused) as refusal:
            read_dataset(source)
        assert "Zymurgy" not in str(refusal.value)
        assert refusal.value.__cause__ is None


def test_deflated_bomb_is_refused_before_it_grows(monkeypatch):
    monkeypatch.setattr(read, "MAX_INFLATED_BYTES", 1 << 20)
    head = as_bytes(instance(), DeflatedExplicitVRLittleEndian)
    meta_end = 132 + 12 + struct.unpack("<L", head[140:144])[0]
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(b"\x00" * (8 << 20)) + packer.flush()
    with pytest.raises(Refused) as refusal:
        read_dataset(head[:meta_end] + bomb)
    assert refusal.value.reason is Reason.HEADER_TOO_LARGE


def test_header_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(read, "MAX_HEADER_BYTES", 10_000)
    source = as_bytes(instance(PatientComments="x" * 10_240))
    with pytest.raises(Refused) as refusal:
        read_dataset(source)
    assert refusal.value.reason is Reason.HEADER_TOO_LARGE


def test_pixel_data_does_not_count_as_header(monkeypatch):
    monkeypatch.setattr(read, "MAX_HEADER_BYTES", 10_000)
    assert 0x7FE00010 in read_dataset(WHOLE + pixels(20_000, 20_000))


@pytest.mark.parametrize(
    "strip",
    [
        pytest.param(lambda raw: raw, id="whole"),
        pytest.param(lambda raw: raw[132:], id="no preamble, no prefix"),
        pytest.param(lambda raw: raw[132 + 12 + struct.unpack("<L", raw[140:144])[0] :], id="no file meta"),
        pytest.param(lambda raw: raw[128:], id="prefix without preamble"),
        pytest.param(lambda raw: raw + b"\x00" * 6, id="a few zero bytes behind"),
    ],
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian])
def test_containers_that_lack_something_are_still_read(strip, syntax):
    ds = read_dataset(strip(as_bytes(instance(), syntax)))
    assert ds.PatientID == "MRN-0077123"


class CountsReads(io.BytesIO):
    furthest = 0

    def read(self, size=-1):
        found = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return found


def test_stopping_before_pixels_reads_nothing_behind_their_start():
    source = CountsReads(WHOLE + pixels(1 << 20, 1 << 20))
    ds = read_dataset(source, stop_before_pixels=True)
    assert ds.PatientID == "MRN-0077123"
    assert 0x7FE00010 not in ds
    assert source.furthest <= len(WHOLE) + 16


def test_truncated_pixels_are_noticed_without_reading_them():
    with pytest.raises(Refused) as refusal:
        read_dataset(io.BytesIO(WHOLE + pixels(1 << 20, 100)), stop_before_pixels=True)
    assert refusal.value.reason is Reason.TRUNCATED


def test_thousands_of_elements_are_fine():
    many = b"".join(explicit(0x00091000 + n, b"LO", b"x ") for n in range(0xF00))
    assert len(read_dataset(as_bytes(instance()) + many)) > 0xF00
