"""How often a run asks the warehouse grows neither with its hospital nor with others; docs/scaling.md reckons with that."""

import pytest

from benchmarks.warehouse_calls import Calls, calls_of_runs


@pytest.fixture(scope="module")
def small(commands, tmp_path_factory):
    return calls_of_runs(commands, tmp_path_factory.mktemp("small") / "home", 1)


def test_the_file_has_the_calls_of_todays_code(small):
    assert small == Calls.counted(), "run python -m benchmarks.warehouse_calls --write"


def test_a_hospital_twice_as_large_beside_another_one_asks_just_as_often(commands, small, tmp_path):
    assert calls_of_runs(commands, tmp_path / "home", 2, others=("lakeside",)) == small


def test_every_way_to_write_and_to_read_was_counted(small):
    """A run that failed early would ask less; the records alone ask three times for each replacement."""
    assert small.nothing_new["content_digest"] > 3 * small.nothing_new["replace"]
    assert set(small.more_objects) - set(small.nothing_new) >= {"load"}
