"""Killed anywhere and started again, a command comes to what it comes to undisturbed: nothing lost, nothing doubled.

Each command runs once over a small home, and its changes of files are counted.  Then it is killed, with its worker process,
instead of changes that are spread evenly over the count, and run again.  Points are changes, not times.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import small_hospital
from tests.graph.forked import (
    KILLED,
    Call,
    Commands,
    changes,
    copied,
    differences,
    last_change,
    left_over,
    made,
    runs_that_seem_to_go_on,
)

pytestmark = pytest.mark.xdist_group("kills")

COHORT = ("--recipient", small_hospital.RECIPIENT, "--where", "modality = 'MR'", "--by", "Ada")
CHAIN = {
    "run": ("run", "-H", "st-mary"),
    "release": ("release", "all-mr", *COHORT),
    "approve": ("approve", "all-mr", "--by", "Grace"),
    "deliver": ("deliver", "all-mr"),
    "again": ("run", "-H", "st-mary"),
}
"""`again` comes after the hospital has sent other things: rows are replaced and dropped, not only written."""

POINTS = {"run": 11, "release": 5, "approve": 1, "deliver": 3, "again": 8}
"""Times that each command is killed, most of them where most is written."""


@dataclass(frozen=True)
class Stages:
    """The home before each command of an undisturbed chain, what it comes to after it, and its number of changes."""

    before: dict[str, Path]
    after: dict[str, dict[str, object]]
    changes: dict[str, int]


@pytest.fixture(scope="module")
def undisturbed(commands: Commands, tmp_path_factory) -> Stages:
    folder = tmp_path_factory.mktemp("kills")
    home = small_hospital.build(folder / "home")
    stages = Stages({}, {}, {})
    for name, arguments in CHAIN.items():
        if name == "again":
            small_hospital.send_again(home)
        stages.before[name] = copied(home, folder / f"before-{name}")
        commands.run(call := Call(home, arguments))
        stages.after[name] = made(home)
        stages.changes[name] = changes(call)
        assert left_over(home) == []
    assert differences(home) == []
    return stages


def test_the_undisturbed_chain_makes_rows_pictures_and_a_delivery(undisturbed):
    names = undisturbed.after["deliver"]
    assert sum(name.endswith(".png") for name in names) == len(small_hospital.IMAGES)
    assert sum(name.endswith(".dcm") for name in names) == len(small_hospital.IMAGES)
    assert not any("_prepared" in name for name in names)
    assert all(undisturbed.changes[name] >= 3 * points for name, points in POINTS.items())
    assert sum(name.endswith(".png") for name in undisturbed.after["again"]) == len(small_hospital.IMAGES) - 1


@pytest.mark.parametrize(
    ("name", "point"),
    [pytest.param(name, point, id=f"{name}-{point}") for name in POINTS for point in range(POINTS[name])],
)
def test_killed_at_any_point_and_run_again_it_comes_to_the_same(commands, undisturbed, tmp_path, name, point):
    home = copied(undisturbed.before[name], tmp_path / "home")
    kill_at = 1 + (2 * point + 1) * undisturbed.changes[name] // (2 * POINTS[name])
    call = Call(home, CHAIN[name], kill_at)
    commands.run(call, expect=KILLED)
    place = last_change(call)
    commands.run(Call(home, CHAIN[name]))
    assert made(home) == undisturbed.after[name], place
    assert left_over(home) == [], place
    assert differences(home) == [], place
    assert runs_that_seem_to_go_on(home) == 0, place
    shutil.rmtree(home)


def test_a_kill_leaves_something_unfinished(commands, undisturbed, tmp_path):
    """Or the kills above would come where nothing is going on, and coming to the same would say nothing."""
    home = copied(undisturbed.before["run"], tmp_path / "home")
    commands.run(Call(home, CHAIN["run"], undisturbed.changes["run"] // 2), expect=KILLED)
    assert left_over(home)
    assert runs_that_seem_to_go_on(home) == 1
    assert made(home) != undisturbed.after["run"]
