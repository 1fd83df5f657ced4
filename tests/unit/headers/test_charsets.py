"""Text is decoded with what is declared, with what was meant, or refused."""

import io

import pydicom
import pytest
from pydicom.charset import convert_encodings

from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, write_dataset
from gradient_assets.deid.headers.charsets import DEFAULT, codecs_of, decode
from gradient_assets.deid.headers.gather import first_text
from gradient_assets.deid.headers.read import read_dataset
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
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


def japanese(text: str) -> bytes:
    return text.encode("iso2022_jp")


def korean(text: str) -> bytes:
    return b"\x1b$)C" + text.encode("euc_kr")


def chinese(text: str) -> bytes:
    return b"\x1b$)A" + text.encode("gb2312")


def greek(text: str) -> bytes:
    return b"\x1b-F" + text.encode("iso8859-7")


KATAKANA, SUPPLEMENT = "ﾔﾏﾀﾞ^ﾀﾛｳ", "丂丄"
NAMES = {
    # declared, bytes of Patient's Name, what they say, a group of it as it may stand in a description
    "Latin 1": ("ISO_IR 100", "Buc^Jérôme".encode("latin-1"), "Buc^Jérôme"),
    "Latin 2": ("ISO_IR 101", "Wałęsa^Łukasz".encode("iso8859-2"), "Wałęsa^Łukasz"),
    "Latin 3": ("ISO_IR 109", "Ĉapelo^Ĝoja".encode("iso8859-3"), "Ĉapelo^Ĝoja"),
    "Latin 4": ("ISO_IR 110", "Bērziņš^Ēriks".encode("iso8859-4"), "Bērziņš^Ēriks"),
    "Cyrillic": ("ISO_IR 144", "Люксембург^Роза".encode("iso8859-5"), "Люксембург^Роза"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار".encode("iso8859-6"), "قباني^لنزار"),
    "Greek": ("ISO_IR 126", "Διονυσιος^Ανδρεας".encode("iso8859-7"), "Διονυσιος^Ανδρεας"),
    "Hebrew": ("ISO_IR 138", "שרון^דבורה".encode("iso8859-8"), "שרון^דבורה"),
    "Latin 5": ("ISO_IR 148", "Çavuşoğlu^Şule".encode("iso8859-9"), "Çavuşoğlu^Şule"),
    "Thai": ("ISO_IR 166", "นามสกุล^สมชาย".encode("iso8859-11"), "นามสกุล^สมชาย"),
    "Latin 9": ("ISO_IR 203", "Œuvrard^Zoë".encode("iso8859-15"), "Œuvrard^Zoë"),
    "UTF-8, PS3.5 J.1": ("ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Wang^XiaoDong=王^小東="),
    "GB 18030, PS3.5 J.2": ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "Wang^XiaoDong=王^小东="),
    "GBK": ("GBK", "Zhu^Rongji=朱^镕基=".encode("gbk"), "Zhu^Rongji=朱^镕基="),
    "JIS X 0208, PS3.5 H.3.1": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=" + japanese("山田^太郎=やまだ^たろう"),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "JIS X 0201 and 0208, PS3.5 H.3.2": (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        KATAKANA.encode("shift_jis") + b"=" + japanese("山田^太郎=やまだ^たろう").replace(b"\x1b(B", b"\x1b(J"),
        f"{KATAKANA}=山田^太郎=やまだ^たろう",
    ),
    "JIS X 0201 alone": ("ISO_IR 13", KATAKANA.encode("shift_jis"), KATAKANA),
    "JIS X 0212": ("\\ISO 2022 IR 159", b"Kan^A=" + SUPPLEMENT.encode("iso2022_jp_2"), f"Kan^A={SUPPLEMENT}"),
    "two bytes that are a backslash and a caret": (
        "\\ISO 2022 IR 87",
        b"Hyou^A=" + b"\x1b$B\x49\x5c\x49\x5e\x1b(B",
        "Hyou^A=" + b"\x1b$B\x49\x5c\x49\x5e\x1b(B".decode("iso2022_jp"),
    ),
    "KS X 1001, PS3.5 I.2": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=" + korean("洪") + b"^" + korean("吉洞") + b"=" + korean("홍") + b"^" + korean("길동"),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "KS X 1001, designated once": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=" + korean("洪^吉洞=홍^길동"),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "GB 2312, PS3.5 K.2": (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=" + chinese("张") + b"^" + chinese("小东") + b"=",
        "Zhang^XiaoDong=张^小东=",
    ),
    "Greek behind Latin 1": (
        "ISO 2022 IR 100\\ISO 2022 IR 126",
        "Müller^Jörg=".encode("latin-1") + greek("Διονυσιος") + "=Müller".encode("latin-1"),
        "Müller^Jörg=Διονυσιος=Müller",
    ),
    "escapes that nobody declared": (
        "",
        b"Yamada^Tarou=" + japanese("山田^太郎"),
        "Yamada^Tarou=山田^太郎",
    ),
    "escapes under a wrong declaration": ("ISO_IR 100", b"Hong^Gildong=" + korean("洪^吉洞"), "Hong^Gildong=洪^吉洞"),
    "Korean without its escapes": ("\\ISO 2022 IR 149", b"Hong^A=" + "홍^길동".encode("euc_kr"), "Hong^A=홍^길동"),
    "UTF-8 under Greek": ("ISO_IR 126", "Διονυσιος^Α".encode(), "Διονυσιος^Α"),
    "UTF-8 under nothing": ("", "山田^太郎".encode(), "山田^太郎"),
}  # fmt: skip


def with_name(declared: str, name: bytes, description: bytes) -> bytes:
    """An object as bytes, because no library would write all of these."""

    def element(tag: bytes, vr: bytes, value: bytes) -> bytes:
        value += b" " * (len(value) & 1)
        return tag + vr + len(value).to_bytes(2, "little") + value

    inner = element(b"\x08\x00\x04\x01", b"LO", description)
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    body = (
        element(b"\x08\x00\x05\x00", b"CS", declared.encode())
        + element(b"\x08\x00\x16\x00", b"UI", b"1.2.840.10008.5.1.4.1.1.2\x00")
        + element(b"\x08\x00\x18\x00", b"UI", b"1.2.3.4.5.6.7.8.9\x00")
        + element(b"\x08\x00\x30\x10", b"LO", description)
        + b"\x08\x00\x32\x10SQ\x00\x00" + len(item).to_bytes(4, "little") + item
        + element(b"\x10\x00\x10\x00", b"PN", name)
        + element(b"\x10\x00\x20\x00", b"LO", b"4711-22")
        + element(b"\x20\x00\x0d\x00", b"UI", b"1.2.3.4.5.6.7.8.1\x00")
    )  # fmt: skip
    meta = element(b"\x02\x00\x10\x00", b"UI", b"1.2.840.10008.1.2.1\x00")
    return b"\x00" * 128 + b"DICM" + meta + body


@pytest.mark.parametrize("case", NAMES)
def test_a_name_in_any_set_is_read(case):
    declared, raw, expected = NAMES[case]
    assert first_text(read_dataset(with_name(declared, raw, b"CT")), 0x00100010) == expected.strip()


@pytest.mark.parametrize("case", NAMES)
def test_a_name_in_any_set_leaves_every_group_and_every_description(case, pseudonymizer):
    declared, raw, expected = NAMES[case]
    ds = read_dataset(with_name(declared, raw, b"CT " + raw.replace(b"=", b" ")))
    engine = HeaderEngine(Profile.named("longitudinal"), pseudonymizer, TextEngine())
    written = write_dataset(engine.clean(ds, identifiers_of(ds)).dataset)
    after = pydicom.dcmread(io.BytesIO(written))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert str(after.PatientName) == pseudonymizer.person("4711-22").pseudonym
    assert after.StudyDescription.startswith("CT [NAME]")
    for word in expected.replace("=", "^").split("^"):
        if len(word) > 1:
            for codec in ("utf-8", "utf-16-le", "gb18030", "euc_kr", "shift_jis", "iso2022_jp"):
                coded = word.encode(codec, "ignore")
                assert len(coded) < 3 or coded not in written, (word, codec)


def test_an_item_may_declare_a_set_of_its_own(pseudonymizer):
    ds = read_dataset((PACKAGE_FOLDER / "charset_files" / "chrSQEncoding.dcm").read_bytes())
    found = identifiers_of(ds).patient_names
    assert "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう" in found
    nested = read_dataset(with_name("ISO_IR 144", "Люксембург".encode("iso8859-5"), b"CT"))
    item = nested[0x00081032].value[0]
    item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 100", "CT Müller"
    engine = HeaderEngine(Profile.named("longitudinal"), pseudonymizer, TextEngine())
    cleaned = engine.clean(nested, identifiers_of(nested)).dataset
    inner = cleaned[0x00081032].value[0] if 0x00081032 in cleaned else None
    assert inner is None or "SpecificCharacterSet" not in inner


@pytest.mark.parametrize("raw", [b"\x1b$Zabc", b"\x1b$B\x20", b"\x1b$)C\xff\xff", b"abc\x1b"])
def test_escapes_that_lead_nowhere_are_refused(raw):
    with pytest.raises(Refused) as refusal:
        decode(raw, DEFAULT, 0x00100010)
    assert refusal.value.reason is Reason.UNKNOWN_CHARACTER_SET
