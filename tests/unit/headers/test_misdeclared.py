"""Text under a wrong declaration is read as what it is, and what is nothing is removed."""

import pytest

from gradient_assets.deid.headers import (
    HeaderEngine,
    Profile,
    from_json_header,
    identifiers_of,
    read_dataset,
    to_json_header,
    write_dataset,
)
from gradient_assets.deid.headers.misdeclared import DOUBTFUL, meant
from gradient_assets.deid.text import TextEngine
from tests.unit.headers.test_charsets import with_name

LATIN_1, LATIN_2, NOTHING, UTF_8 = ("latin_1",), ("iso8859_2",), ("iso8859",), ("utf8",)

MEANT = [
    ("gb18030", ["王^小东=王^小东"]),
    ("gb18030", ["王^小东", "胸部平扫 王小东"]),
    ("gb18030", ["患者王小东，头部"]),
    ("shift_jis", ["ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"]),
    ("shift_jis", ["患者 山田"]),
    ("euc_kr", ["홍길동 가슴 촬영"]),
    ("big5", ["王小明 胸部"]),
    ("iso8859_5", ["Иванов^Иван", "КТ грудной клетки"]),
    ("cp1251", ["Иванов^Иван", "Пациент Иванова, КТ"]),
    ("koi8_r", ["Иванов^Иван"]),
    ("iso8859_7", ["Παπαδόπουλος^Γιώργος"]),
]


@pytest.mark.parametrize(("codec", "texts"), MEANT)
@pytest.mark.parametrize("declared", [LATIN_1, NOTHING])
def test_what_is_no_latin_is_told_by_its_script(codec, texts, declared):
    assert meant(declared, [text.encode(codec) for text in texts]) == (codec,)


LATIN = [
    "Müller^Jörg", "ÞÓRÐUR^Ævar", "PÄÄ", "jäääär", "yöäöitä", "«\xa0À la carte\xa0»", "5±2° ²± µm", "Größe ½° ×²", "ÅÄÖ",
    "ÄÄÄÄÄÄ", "a °°°°°° b", "Schädel", "1×½",
]  # fmt: skip


@pytest.mark.parametrize("text", LATIN)
def test_latin_stays_latin(text):
    assert meant(LATIN_1, [text.encode("latin-1")]) == LATIN_1


@pytest.mark.parametrize("text", ["Żółć^Łukasz", "ŁÓDŹ", "źdźbło śćężka", "Wałęsa"])
def test_polish_stays_polish(text):
    assert meant(LATIN_2, [text.encode("iso8859-2")]) == LATIN_2


def test_windows_quotation_marks_are_no_other_script():
    assert meant(LATIN_1, ["patient’s “big” … – ok…”".encode("cp1252")]) == LATIN_1


def test_valid_utf8_and_escapes_are_left_to_the_decoder():
    assert meant(LATIN_1, ["王小东".encode(), b"\x1b$)A" + "王小东".encode("gb2312")]) == LATIN_1


def test_chinese_declared_as_utf8_is_read():
    assert meant(UTF_8, ["王小东".encode("gb18030")]) == ("gb18030",)


@pytest.mark.parametrize("text", ["Brzęczek ok", "Müller"])
def test_latin_declared_as_utf8_is_not_guessed(text):
    assert meant(UTF_8, [text.encode("iso8859-2")]) == UTF_8


def test_bytes_that_fit_no_script_are_doubtful():
    assert meant(LATIN_1, [b"\xff\x81\x80\xfe\xff\xff\x80\x9d"]) == (*LATIN_1, DOUBTFUL)


@pytest.mark.parametrize("declared", ["ISO_IR 100", "", "ISO_IR 192"])
def test_a_chinese_name_under_a_wrong_declaration_leaves_every_text(declared, pseudonymizer):
    raw = with_name(declared, "王^小东=王^小东".encode("gb18030"), "胸部 王小东".encode("gb18030"))
    ds = read_dataset(raw)
    assert "王^小东=王^小东" in identifiers_of(ds).patient_names
    engine = HeaderEngine(Profile.named("longitudinal"), pseudonymizer, TextEngine())
    cleaned = engine.clean(ds, identifiers_of(ds)).dataset
    assert cleaned.StudyDescription == "胸部 [NAME]"
    written = write_dataset(cleaned)
    assert not any("小东".encode(codec) in written for codec in ("utf-8", "gb18030"))
    assert not any(garbled in written for garbled in ("Ð¡¶«".encode(), "Ð¡¶«".encode("latin-1")))


def test_doubtful_text_is_removed_and_counted_and_plain_text_stays(longitudinal):
    odd = b"\xff\x81\x80\xfe\xff\xff\x80\x9d"
    ds = read_dataset(with_name("ISO_IR 100", b"Zymurgy^Quentin", odd))
    ds[0x00081032].value[0].CodeMeaning = "CT"
    result = longitudinal.clean(ds, identifiers_of(ds))
    assert not result.dataset.get("StudyDescription")
    assert result.removed_by_kind["UNDECODABLE"] == 1
    assert odd not in write_dataset(result.dataset)
    assert not from_json_header(to_json_header(ds)).get("StudyDescription")
    assert result.dataset.ProcedureCodeSequence[0].CodeMeaning == "CT"
