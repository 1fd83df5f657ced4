"""The engine on wording that its rules were not written for, and the generator and scorer that measure it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from . import dates, marks, people
from .generator import POOLS, TEMPLATES, Gold, Report, generate
from .scoring import Score, add, known_identifiers, removed, run

# At first sight, before any rule was changed for this wording, seed 24 gave with 150 reports recall .8227 and .34 % of
# clinical words lost with tags, .8340 and .44 % with surrogates.  Rounded; raise the floor and lower the ceiling after
# work on the rules, never the other way.
SEED, COUNT = 24, 150
RECALL_FLOOR = {"tags": 0.93, "surrogates": 0.93}
CLINICAL_LOST_CEILING = {"tags": 0.003, "surrogates": 0.004}
KINDS = {
    *("ACCESSION", "ADDRESS", "AGE_90PLUS", "DATE", "EMAIL", "FACILITY", "ID", "MRN", "OTHER_NAME", "PATIENT", "PHONE"),
    *("PHYSICIAN", "URL"),
}


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """Three families of seeds together: each lacks templates that the others have."""
    return [report for seed in (SEED, SEED + 1, SEED + 2) for report in generate(seed, 400)]


@pytest.mark.parametrize("replace", ["tags", "surrogates"])
def test_the_engine_keeps_its_measure_on_unseen_wording(replace):
    score = run(generate(SEED, COUNT), replace)

    assert score.recall >= RECALL_FLOOR[replace]
    assert score.clinical_lost <= CLINICAL_LOST_CEILING[replace]


def test_the_same_seed_gives_the_same_reports_and_another_seed_others():
    assert generate(SEED, 40) == generate(SEED, 40)
    assert {report.text for report in generate(SEED, 40)}.isdisjoint(report.text for report in generate(SEED + 3, 40))


def test_fewer_reports_are_the_first_of_more():
    assert generate(SEED, 60)[:25] == generate(SEED, 25)


def test_spans_lie_in_the_text_in_order_and_apart(reports):
    for report in reports:
        spans = [(gold.start, gold.end) for gold in report.gold] + list(report.neutral)
        spans = sorted(spans + [(start, end) for start, end, _ in report.hard])
        assert all(0 <= start < end <= len(report.text) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_identifiers_begin_and_end_with_their_own_characters(reports):
    edges = [report.text[gold.start : gold.end] for report in reports for gold in report.gold]

    assert [text for text in edges if text != text.strip(" ,;:\n") or not re.search(r"\w", text)] == []


def test_no_slot_is_left_unfilled(reports):
    assert [report.report_id for report in reports if re.search(r"[{}‹›¦«»]", report.text)] == []


def test_every_kind_template_and_pool_occurs(reports):
    assert {gold.kind for report in reports for gold in report.gold} == KINDS
    assert len(TEMPLATES) >= 40
    named = {pool for _, body in TEMPLATES for pool in re.findall(r"\{@(\w+)", body)}
    assert named == set(POOLS)


@pytest.mark.parametrize(
    ("what", "forms"),
    [
        ("name", people.FORMS),
        ("mrn", marks.MRN_FORMS),
        ("id", marks.ID_FORMS),
        ("phone", marks.PHONE_FORMS),
        ("date", dates.FORMS),
    ],
)
def test_every_form_of_a_slot_occurs(what, forms, reports):
    seen = {gold.form for report in reports for gold in report.gold}

    assert [
        form for form in forms if not any(re.fullmatch(rf"{what}:{re.escape(form)}(@[\w-]+)?", one) for one in seen)
    ] == []


def test_columns_are_blank_now_and_then_and_never_all_blank(reports):
    for column in ("patient_name", "patient_birth_date", "mrn", "accession_number", "referring_physician_name"):
        blank = sum(not report.columns[column] for report in reports)
        assert 0 < blank < len(reports) / 2


def test_a_patients_columns_are_joined_over_the_reports(reports):
    blank = [at for at, report in enumerate(reports) if report.columns["mrn"] and not report.columns["patient_name"]]
    known = known_identifiers(reports)

    assert any(known[at].patient_names for at in blank)


def test_an_engine_that_removes_everything_has_full_recall_and_loses_every_clinical_word(reports):
    score = Score()
    for report in reports[:50]:
        add(score, report, set(range(len(report.text))), [])

    assert (score.recall, score.clinical_lost, score.patients[1]) == (1.0, 1.0, 0)


def test_an_engine_that_removes_nothing_has_no_recall_and_loses_nothing(reports):
    score = Score()
    for report in reports[:50]:
        add(score, report, set(), [])

    assert (score.recall, score.clinical_lost) == (0.0, 0.0)
    assert score.patients[0] == score.patients[1] > 0


@pytest.mark.parametrize(
    ("text", "kind", "kept", "surrogates", "gone"),
    [
        ("March 3, 2020", "DATE", "2020", False, True),
        ("March 3, 2020", "DATE", "3", False, False),
        ("March 3, 2020", "DATE", "March", True, True),
        ("van der Berg", "PATIENT", "van der", False, True),
        ("Ann B Berg", "PATIENT", "B", False, True),
        ("Ann B Berg", "PATIENT", "Ann", False, False),
        ("Ann B Berg", "PATIENT", "Ann", True, False),
        ("555-0134", "PHONE", "555", False, False),
        ("NSW 12 99", "ADDRESS", "12", True, True),
    ],
)
def test_what_counts_as_removed(text, kind, kept, surrogates, gone):
    keeps = set(range(text.index(kept), text.index(kept) + len(kept)))
    gold = Gold(0, len(text), kind, "", "unknown")

    assert removed(text, gold, set(range(len(text))) - keeps, surrogates=surrogates) is gone
