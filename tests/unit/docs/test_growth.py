"""The table of what grows with all history is that of today's constants, and the model does what it says."""

import pytest

from benchmarks import growth

TOKEN_BYTES = 100.0


@pytest.fixture(scope="module")
def lines():
    return {line.name: line for line in growth.grown(growth.HOSPITALS, growth.RUNS_A_DAY, TOKEN_BYTES)}


def test_the_page_has_the_numbers_of_todays_code(lines):
    page = growth.PAGE.read_text(encoding="utf-8")
    stands = page.partition(growth.BEGIN)[2].partition(growth.END)[0].splitlines()
    now = growth.table(list(lines.values())).splitlines()
    without_the_measured = [[row for row in rows if growth.MEMORY not in row] for rows in (stands, now)]
    assert without_the_measured[0] == without_the_measured[1], "run python -m benchmarks.growth --write"
    assert len(stands) == len(now)


def test_each_line_grows_as_it_says(lines):
    for line in lines.values():
        grows = line.values[-1] > line.values[0]
        assert grows == (line.grows != "constant"), line.name
        assert list(line.values) == sorted(line.values), line.name


def test_the_counting_warehouse_is_asked_by_every_stage():
    calls = growth.calls_of_a_run()
    assert calls["tokens"] >= 2 * len(growth.STAGES)
    assert calls["replace"] >= 3 * len(growth.STAGES)


def test_more_hospitals_share_the_objects_and_add_ticks():
    few, many = (
        {line.name: line.values for line in growth.grown(hospitals, 1, TOKEN_BYTES)} for hospitals in (10, 100)
    )
    assert many["listing pages of one hospital, once"][-1] == few["listing pages of one hospital, once"][-1] / 10
    assert many["sensor ticks a day, all hospitals"][0] == 10 * few["sensor ticks a day, all hospitals"][0]
