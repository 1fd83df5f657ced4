"""Only text on the allow-list stays, and only when it was read surely."""

import pickle
from importlib.resources import files

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.finding import Looked
from gradient_assets.deid.pixels.keep import LEAST_CONFIDENCE, KeepPolicy, KeepPolicyError, shipped_policy
from gradient_assets.deid.pixels.known_text import KnownText
from gradient_assets.deid.pixels.lines import judged

KEEP = shipped_policy()


def line(text, left=100, top=50, width=60, height=12, confidence=0.99):
    return FoundText(left, top, width, height, 0.9, sum(map(str.isalnum, text)), text, confidence)


@pytest.mark.parametrize(
    "text",
    ["R", "L", "RCC", "R CC", "LMLO", "AP", "PA", "ERECT", "Supine", "LEFT KIDNEY", "LIVER", "12.5 cm", "Dist 4,31 mm",
     "Depth 16 cm",     "Gain 62 dB", "Frq 3.5 MHz", "MI 0.9", "TIS 1.2",
     "MI 1.1 TIS 0.6", "WW 400 WL 40", "120 kV", "42 fps", "CRL 12 mm", "1.2 cm", "12.5 mm", "0.05 cm", "D1: 4.31 cm",
     "A 120 mm", "+ 8.4 mm", "HR 72 bpm", "RI 0.65", "-42 HU", "W1500 L-600", "L 40 / WW 400", "Zoom 1.5 x", "LT HAND",
     "RT FOOT", "LIVER TRANS", "LAO 30 deg", "3.2 mSv"],
)  # fmt: skip
def test_marks_and_measurements_stay(text):
    assert KEEP.keeps(line(text))


@pytest.mark.parametrize(
    "text",
    ["OKONKWO", "R OKONKWO", "Anna", "12.03.1954", "08:41:23", "00482913", "12", "M", "F", "64Y", "A55120", "L 00482913",
     "Dr. Lee",     "ST MARY", "12 cm OKONKWO", "MI 0.9 ANNA", "", " ", "1954 03 12", "R\nANNA", "12.03.1954 cm",
     "12.03 54"],
)  # fmt: skip
def test_anything_that_does_not_match_as_a_whole_goes(text):
    assert not KEEP.keeps(line(text))


@pytest.mark.parametrize(
    "text",
    ["AC4821", "AC 4821", "FL4829", "C4829", "L4829", "SD 48291", "SD 4821", "HC 0512", "EDV 0512", "X9 4821 mm", "D12",
     "G612%", "4829bpm", "PG:1961", "PI 1205", "W400", "L 40", "4821 mm", "HR 1954", "Depth 16", "TI 5", "RAO 30"],
)  # fmt: skip
def test_a_number_without_a_separator_and_a_unit_may_be_an_identifier_and_goes(text):
    assert not KEEP.keeps(line(text))


@pytest.mark.parametrize(
    "text",
    ["12.05 mm", "12,05 mm", "D 1.12 cm", "Dist 31.10 mm", "D1961 mm", "1961 mm", "1961 Hz", "Gen 1961 Hz", "1961 HU",
     "Vol 1961.051", "W1954/C1205", "L1205 W1961", "WW 2004 WL 40", "120561 mm", "MI 1.05", "PI 2.12", "FL1205.961"],
)  # fmt: skip
def test_a_measure_that_is_a_year_or_a_day_with_its_month_goes(text):
    assert not KEEP.keeps(line(text))


@pytest.mark.parametrize("text", ["AL", "RH", "LA", "OV", "GB", "RK", "WB"])
def test_two_letters_that_are_no_mark_of_side_or_beam_may_be_initials_and_go(text):
    assert not KEEP.keeps(line(text))


COMMON_MARKS = {"pa", "lat", "left", "right", "kidney", "upright", "standing"}
"""Rare as surnames, and the most frequent marks there are."""


def test_no_name_of_the_lists_stays_unless_it_is_a_common_mark():
    lists = (files("gradient_assets.deid.text") / "languages").iterdir()
    names = {
        name.strip()
        for language in lists
        if language.is_dir()
        for file in language.iterdir()
        if file.name.endswith("names.txt")
        for name in file.read_text("utf-8").splitlines()
    }
    assert len(names) > 50_000
    assert {name.casefold() for name in names if KEEP.keeps(line(name))} == COMMON_MARKS


@pytest.mark.parametrize("text", ["Long", "Hand", "L HAND", "R LOBE", "Rao", "Lao"])
def test_a_mark_that_is_a_usual_surname_goes(text):
    assert not KEEP.keeps(line(text))


def test_a_mark_that_was_not_read_surely_goes():
    assert KEEP.keeps(line("R", confidence=LEAST_CONFIDENCE))
    assert not KEEP.keeps(line("R", confidence=LEAST_CONFIDENCE - 0.01))


@pytest.mark.parametrize(
    "expression",
    [
        ".*",
        r"\w+",
        "[A-Z]+ [A-Z]+",
        r"\d+",
        r"[\d.]+",
        "[",
        r"(AC|FL)[ :]*\d{1,4}",
        r"\d{1,4} ?mm",
        r"\d{1,2}\.\d{2} ?mm",
        "C[0-9]{4}",
        "[RL] ?(HAND|LOBE)",
        "[AP][RLHF]",
    ],
)
def test_a_policy_that_would_keep_names_or_numbers_is_refused(expression):
    with pytest.raises(KeepPolicyError):
        KeepPolicy.of([expression])


def test_the_policy_can_be_sent_to_workers():
    assert pickle.loads(pickle.dumps(KEEP)).keeps(line("ERECT"))


def verdict(sure, doubtful=(), known=None, keep=KEEP, edge=None):
    return judged(Looked(list(sure), list(doubtful)), known, keep, edge=edge)


OKONKWO = KnownText(KnownIdentifiers(patient_names=("OKONKWO^ANNA",), patient_ids=("ERECT",)))


def test_without_a_policy_every_text_goes():
    assert verdict([line("R"), line("12 cm", top=90)], keep=None).kept == []


def test_a_known_identifier_overrides_the_list():
    assert verdict([line("ERECT")], known=OKONKWO).kept == []


def test_a_known_identifier_takes_every_mark_of_its_baseline_with_it():
    name, mark, other = line("OKONKWO"), line("R", left=400, width=10), line("L", left=400, width=10, top=200)
    found = verdict([name, mark, other], known=OKONKWO)
    assert (found.known, found.kept) == ([name, mark], [other])


def test_a_known_identifier_raises_rejected_boxes_beside_it_but_none_far_off():
    name, beside, far = line("OKONKWO"), line("", left=180), line("", left=900)
    found = verdict([name], [beside, far], known=OKONKWO)
    assert found.known == [name, beside]


def test_a_rejected_box_in_which_the_name_was_read_goes():
    name = line("OKONKWO")
    assert verdict([], [name], known=OKONKWO).known == [name]


def test_a_name_cut_into_two_boxes_is_recognised():
    first, second = line("OKO"), line("NKWO", left=164)
    found = verdict([second, first], known=OKONKWO)
    assert sorted(box.left for box in found.known) == [100, 164]


def test_a_baseline_that_runs_upwards_is_followed_too():
    name = line("OKONKWO", left=20, top=100, width=12, height=80)
    mark = line("AP", left=20, top=300, width=12, height=24)
    apart = line("AP", left=200, top=100, width=24, height=12)
    found = verdict([name, mark, apart], known=OKONKWO)
    assert (found.known, found.kept) == ([name, mark], [apart])


def test_a_mark_that_adjoins_text_that_goes_is_a_part_of_it():
    mark, rest, next_mark = line("R", width=10), line("OBERTS", left=112), line("L", left=177, width=8)
    assert verdict([mark, rest, next_mark]).kept == []


def test_a_mark_at_the_border_of_a_part_may_be_cut():
    mark = line("R", left=2, width=10)
    assert verdict([mark]).kept == [mark]
    assert verdict([mark], edge=(200, 400)).kept == []
