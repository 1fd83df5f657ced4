"""Only text on the allow-list stays, and only when it was read surely."""

import pickle

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
     "MI 1.1 TIS 0.6", "WW 400 WL 40", "120 kV", "42 fps", "CRL 12 mm"],
)  # fmt: skip
def test_marks_and_measurements_stay(text):
    assert KEEP.keeps(line(text))


@pytest.mark.parametrize(
    "text",
    ["OKONKWO", "R OKONKWO", "Anna", "12.03.1954", "08:41:23", "00482913", "12", "M", "F", "64Y", "A55120", "L 00482913",
     "Dr. Lee",     "ST MARY", "12 cm OKONKWO", "MI 0.9 ANNA", "", " ", "1954 03 12", "R\nANNA", "12.03.1954 cm"],
)  # fmt: skip
def test_anything_that_does_not_match_as_a_whole_goes(text):
    assert not KEEP.keeps(line(text))


def test_a_mark_that_was_not_read_surely_goes():
    assert KEEP.keeps(line("R", confidence=LEAST_CONFIDENCE))
    assert not KEEP.keeps(line("R", confidence=LEAST_CONFIDENCE - 0.01))


@pytest.mark.parametrize("expression", [".*", r"\w+", "[A-Z]+ [A-Z]+", r"\d+", r"[\d.]+", "["])
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
