"""Text is decoded with what is declared, with what was meant, or refused."""

import pytest
from pydicom.charset import convert_encodings

from gradient_assets.deid.headers.charsets import DEFAULT, codecs_of, decode
from gradient_assets.deid.headers.gather import first_text
from gradient_assets.deid.headers.read import read_dataset
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.conftest import PACKAGE_FOLDER

DECODED = [
    (["ISO_IR 100"], "Schädel".encode("latin-1"), "Schädel"),
    (["ISO_IR 192"], "Schädel 酸".encode(), "Schädel 酸"),
    (["ISO IR 192"], "Schädel".encode(), "Schädel"),
    (["UTF-8"], "Schädel".encode(), "Schädel"),
    (["ISO_IR 100"], "Schädel".encode(), "Schädel"),  # declared wrongly
    ([""], "Schädel".encode(), "Schädel"),
    (["ISO_IR 144"], "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
    (["GB18030"], "王^小东".encode("gb18030"), "王^小东"),
    (["GBK"], "王".encode("gbk"), "王"),
    (
        ["", "ISO 2022 IR 87"],
        "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B".encode("latin-1"),
        "Yamada^Tarou=山田^太郎",
    ),
    (["ISO_IR 999"], b"plain", "plain"),
    (["ISO_IR 999"], "Schädel".encode(), "Schädel"),
]


@pytest.mark.parametrize(("declared", "raw", "expected"), DECODED)
def test_text_is_decoded(declared, raw, expected):
    assert decode(raw, codecs_of(declared, DEFAULT), 0x00081030) == expected


@pytest.mark.parametrize(("declared", "raw"), [(["ISO_IR 999"], b"Sch\xe4del"), (["GB18030"], b"\x81\x20\xff")])
def test_text_that_fits_nothing_is_refused_by_its_tag(declared, raw):
    with pytest.raises(Refused) as refusal:
        decode(raw, codecs_of(declared, DEFAULT), 0x00081030)
    assert (refusal.value.reason, refusal.value.detail) == (Reason.UNKNOWN_CHARACTER_SET, "(0008,1030)")


def test_an_item_without_a_declaration_inherits():
    assert codecs_of(None, ("gb18030",)) == ("gb18030",)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE_FOLDER / "charset_files").glob("chr*.dcm")), ids=lambda path: path.name
)
def test_names_of_pydicoms_charset_files_are_decoded_like_pydicom_does(path):
    ds = read_dataset(path.read_bytes())
    if "PatientName" not in ds:
        pytest.skip("has names in sequence items only")
    expected = ds.PatientName.decode(convert_encodings(ds.get("SpecificCharacterSet")))
    assert first_text(ds, 0x00100010) == str(expected).strip()
