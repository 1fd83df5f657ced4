"""Each protective step, switched off by itself: what it lets through is caught by exactly what `mutations.json` says.

Both ways: a step that is caught by less fails, and so does one that is caught by more.  What nothing catches is printed in
docs/boundary.md as residual risk.
"""

import json

import pytest

from gradient_assets.promises import mutations
from tests.fakes.graph_checks import checks_of_the_graph
from tests.unit.mutations import gates, headers, pictures, texts
from tests.unit.mutations.hospital import Built
from tests.unit.mutations.switching import CATCHES, Off, caught_by

CASES = [*headers.CASES, *texts.CASES, *pictures.CASES, *gates.CASES]
EXPECTED = {one["step"]: one["caught_by"] for one in mutations()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    made = Built(tmp_path_factory.mktemp("mutations"))
    yield made
    made.close()


@pytest.mark.parametrize("mutation", CASES, ids=[one.step for one in CASES])
def test_what_a_step_lets_through_is_caught_as_listed(mutation, built):
    assert caught_by(mutation, built) == EXPECTED[mutation.step]


@pytest.mark.parametrize("step", gates.GATES)
def test_what_a_gate_lets_through_is_caught_as_listed(step, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        off = Off(patch)
        assert gates.GATES[step](tmp_path, off) == EXPECTED[step]
        assert off.used


def test_the_list_holds_each_step_once_and_no_other():
    steps = [one["step"] for one in mutations()]
    assert sorted(steps) == sorted([*(one.step for one in CASES), *gates.GATES])
    assert len(steps) == len(set(steps))


def test_each_blocking_check_of_the_graph_has_its_line():
    steps = {one["step"] for one in mutations() if one["step"].startswith("check ")}
    assert steps == {f"check {name}" for name in checks_of_the_graph(blocking=True)}


def test_each_line_says_what_was_switched_off_and_planted_and_who_may_catch_it():
    for one in mutations():
        assert one["off"].endswith("."), json.dumps(one)
        assert set(one["caught_by"]) <= {*CATCHES}, json.dumps(one)
