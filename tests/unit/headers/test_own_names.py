"""Full names that are known are cut from short texts; words of medicine beside them stay."""

import pytest

from gradient_assets.deid.headers.own_names import pattern_of

PATIENT = ("Young^Tobias^W", "王^小東", "O'Rourke^Leopold")
CUT = [
    ("MRI BRAIN O'Rourke, Leopold", "MRI BRAIN [NAME]"),
    ("MRI BRAIN O'ROURKE,LEOPOLD", "MRI BRAIN [NAME]"),
    ("T2 repeat, Tobias Young moved", "T2 repeat, [NAME] moved"),
    ("TOBIAS W YOUNG KNEE", "[NAME] KNEE"),
    ("young^tobias^w knee", "[NAME] knee"),
    ("HIP Young", "HIP [NAME]"),
    ("YOUNG - US ABDOMEN", "[NAME] - US ABDOMEN"),
    ("Young: hip", "[NAME]: hip"),
    ("HIP YOUNG ", "HIP [NAME] "),
    ("CT 王", "CT [NAME]"),
    ("王先生", "[NAME]先生"),
    ("王 小東 CT", "[NAME] CT"),
    ("小東", "[NAME]"),
    ("seen by Miller, Ann", "seen by [NAME]"),
    ("ANN MILLER'S protocol", "[NAME]'S protocol"),
]
LEFT = [
    "CT CHEST PA/LAT",
    "young adult protocol",
    "Young",
    "国王病院",
    "Tobiasyoung",
    "ANN ARBOR STAGE II",
    "Miller sign",
    "HEAD",
]


@pytest.mark.parametrize(("text", "expected"), CUT)
def test_a_full_name_is_cut(text, expected):
    assert pattern_of(PATIENT, ("Miller^Ann",)).sub("[NAME]", text) == expected


@pytest.mark.parametrize("text", LEFT)
def test_what_is_no_full_name_is_left_to_the_text_engine(text):
    assert pattern_of(PATIENT, ("Miller^Ann",)).sub("[NAME]", text) == text


def test_without_names_nothing_is_cut():
    assert pattern_of((), ("",)).sub("[NAME]", "CT 王") == "CT 王"


def test_a_word_of_radiology_stays_at_the_end_of_a_description():
    assert pattern_of(("Chest^Ann",), ()).sub("[NAME]", "CT Chest") == "CT Chest"


@pytest.mark.parametrize("text", ["ŁóŻań ok", "ŻAŃŁÓ ok", "Łó Żań ok"])
def test_a_name_with_letters_that_few_words_have_is_found_joined(text):
    assert pattern_of(("Łó^Żań",), ()).sub("[NAME]", text) == "[NAME] ok"
