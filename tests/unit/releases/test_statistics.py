"""Counts of people: small groups stay hidden, whoever subtracts; and how many are alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_assets.deid.headers.profile import NAMED, Profile
from gradient_assets.deid.headers.rules import Action, Rules
from gradient_assets.releases.statistics import Classes, age_group, cells, classes_of, hidden_cells

FLOOR = 11
COUNTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 60), max_size=8)


@given(COUNTS, st.integers(1, 20))
def test_no_small_cell_can_be_had_from_the_total_and_what_is_shown(counts, floor):
    hidden = hidden_cells(counts, floor)
    assert {name for name, count in counts.items() if count < floor} <= hidden
    if hidden and hidden != set(counts):
        assert len(hidden) > 1
        assert sum(counts.values()) - sum(count for name, count in counts.items() if name not in hidden) >= floor


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({"F": 40, "M": 30}, set()),
        ({"F": 40, "M": 30, "O": 2}, {"M", "O"}),
        ({"a": 1, "b": 2, "c": 30, "d": 50}, {"a", "b", "c"}),
        ({"a": 6, "b": 7, "c": 30}, {"a", "b"}),
        ({"only": 3}, {"only"}),
        ({}, set()),
    ],
)
def test_the_smallest_are_hidden_with_the_small(counts, hidden):
    assert hidden_cells(counts, FLOOR) == hidden


def fact(patient, sex="F", age="061Y", year=2019, study=None, group="g"):
    return {
        "patient_pseudonym": patient,
        "study_instance_uid": study or f"s{patient}",
        "patient_sex": sex,
        "patient_age": age,
        "study_year": year,
        "group": group,
    }


def test_patients_are_counted_not_their_objects():
    facts = [fact("a")] * 2000 + [fact("b"), fact("b", study="other")]
    (cell,) = cells(facts, lambda one: one["group"], 2)
    assert (cell.patients, cell.studies, cell.objects, cell.hidden) == (2, 3, 2002, False)


def test_groups_come_in_the_order_of_their_names_not_their_sizes():
    facts = [fact("a", group="z"), fact("b", group="z"), fact("c", group="a")]
    assert [cell.name for cell in cells(facts, lambda one: one["group"], 1)] == ["a", "z"]


ALIKE = [
    ([fact("a"), fact("b"), fact("c", sex="M")], (1, 2)),
    ([fact("a")] * 50, (1,)),
    ([fact("a"), fact("b", year=2020)], (1, 1)),
    ([fact("a"), fact("b", age=None)], (1, 1)),
    ([fact("a", age=None), fact("b", age="")], (2,)),
    # One study of b looks like the one of a; the other one, of another year, tells b apart all the same.
    ([fact("a"), fact("b"), fact("b", year=2021, study="t")], (1, 1)),
    ([], ()),
]


@pytest.mark.parametrize(("facts", "sizes"), ALIKE)
def test_classes_are_of_patients_by_all_their_studies(facts, sizes):
    assert classes_of(facts).sizes == sizes


def test_without_years_classes_only_grow():
    facts = [fact("a"), fact("b", year=2020), fact("c", sex="M")]
    assert classes_of(facts, with_year=lambda one: False).sizes == (1, 2)


def test_too_small_classes_are_counted():
    classes = Classes((1, 1, 4, 5, 30))
    assert (classes.smallest, classes.too_small(5), classes.too_small(1)) == (1, 3, 0)
    assert sum(patients for _, _, patients in classes.distribution) == 41
    assert Classes(()).smallest == 0


@pytest.mark.parametrize(
    ("age", "group"),
    [
        ("017Y", "0–17"),
        ("018Y", "18–29"),
        ("011M", "0–17"),
        ("900D", "0–17"),
        ("089Y", "75–89"),
        ("090Y", "90 and over"),
        ("", "unknown"),
        (None, "unknown"),
        ("old", "unknown"),
        ("18Y", "unknown"),
        ("018y", "unknown"),
    ],
)
def test_ages_have_groups(age, group):
    assert age_group(age) == group


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("tag", [0x00101040, 0x00102150, 0x00102152])
def test_no_place_of_residence_is_left_to_tell_patients_apart(name, tag):
    assert set(Rules(Profile.named(name)).by_type(tag, "LO")) <= {Action.REMOVE, Action.EMPTY, Action.DUMMY}
