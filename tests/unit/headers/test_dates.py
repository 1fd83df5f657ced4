"""Dates move by one number of days, keep their form, and nothing that is no date comes back."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_assets.deid.headers.dates import NotADate, moved, moved_text, pooled_age

MOVED = [
    ("DA", "20200301", "20200229"),
    ("DA", "2020.03.01", "20200229"),
    ("DA", "2020-03-01", "20200229"),
    ("DA", "202003", "202002"),
    ("DA", "2020", "2019"),
    ("DA", "20200301-20200331", "20200229-20200330"),
    ("DA", "-20200301", "-20200229"),
    ("DA", "", ""),
    ("DT", "20200301101530.123456+0100", "20200229101530.123456+0100"),
    ("DT", "2020030110", "2020022910"),
    ("DT", "202003", "202002"),
    ("DT", "2020", "2019"),
    ("DT", "2020+0100", "2019+0100"),
    ("DT", "20200301-20200302", "20200229-20200301"),
    ("DT", "2020-2021", "2019-2020"),  # no zone is 20 hours away
    ("DT", "20200301-0500", "20200229-0500"),
    ("DT", "2020-03-01T10:15:30.5+01:00", "20200229101530.5+0100"),
    ("DT", "2020-03-01 10:15", "202002291015"),
    ("DA", "19000101", "19000101"),  # the dummy
    ("TM", "101530.5", "101530.5"),
    ("TM", "10:15:30", "10:15:30"),
    ("TM", "10", "10"),
    ("TM", "1015-1130", "1015-1130"),
]
YEARS = [("DA", "20200229", ["20200101"]), ("DT", "20200229101530+0100", ["2020"]), ("TM", "101530", [])]
REFUSED = [
    ("DA", "18991231"),
    ("DA", "21010101"),
    ("DA", "20200230"),
    ("DA", "John"),
    ("DA", "20200101 Miller"),
    ("DT", "20201301"),
    ("DT", "20200101250000"),
    ("DT", "Jan 3"),
    ("TM", "246060"),
    ("TM", "noon"),
    ("DA", "20200101-John"),
]


@pytest.mark.parametrize(("vr", "value", "expected"), MOVED)
def test_value_moves_by_the_days_and_keeps_its_precision(vr, value, expected):
    assert moved(vr, [value], "shift", -1) == [expected]


@pytest.mark.parametrize(("vr", "value", "expected"), YEARS)
def test_mode_year_keeps_the_year_alone(vr, value, expected):
    assert moved(vr, [value], "year", -1) == expected


@pytest.mark.parametrize("mode", ["keep", "shift", "year"])
@pytest.mark.parametrize(("vr", "value"), REFUSED)
def test_what_is_no_believable_date_is_refused_in_every_mode(vr, value, mode):
    with pytest.raises(NotADate):
        moved(vr, [value], mode, -1)


def test_every_value_of_a_multi_valued_element_moves():
    assert moved("DA", ["20200301", "", "20200302"], "shift", -1) == ["20200229", "", "20200301"]


@given(
    st.dates(min_value=date(1910, 1, 1), max_value=date(2099, 1, 1)),
    st.integers(min_value=0, max_value=300),
    st.integers(min_value=-1826, max_value=-1),
)
def test_intervals_survive_to_the_day(first, gap, days):
    second = first + timedelta(days=gap)
    a, b = moved("DA", [first.strftime("%Y%m%d"), second.strftime("%Y%m%d")], "shift", days)
    as_day = [date(int(v[:4]), int(v[4:6]), int(v[6:])) for v in (a, b)]
    assert as_day[1] - as_day[0] == timedelta(days=gap)
    assert as_day[0] == first + timedelta(days=days)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("034Y", "034Y"),
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("104Y", "090Y"),
        ("45y", "045Y"),
        ("999M", "999M"),
        ("012W", "012W"),
        ("003D", "003D"),
    ],
)
def test_ages_of_ninety_and_more_are_pooled(value, expected):
    assert pooled_age(value) == expected


@pytest.mark.parametrize("value", ["", "Y", "John", "1234Y", "34", "034X"])
def test_what_is_no_age_is_refused(value):
    with pytest.raises(NotADate):
        pooled_age(value)


TEXTS = [
    ("20200301", "20200229", "2020"),
    ("2020-03-01", "2020-02-29", "2020"),
    ("2020/03/01", "2020/02/29", "2020"),
    ("2020.03.01", "2020.02.29", "2020"),
    ("2020-03-01 10:11", "2020-02-29 10:11", "2020"),
    ("2020-03-01T10:11:12.345Z", "2020-02-29T10:11:12.345Z", "2020"),
    ("20200301101112", "20200229101112", "2020"),
    ("20200301-20200331", "20200229-20200330", "2020-2020"),
    ("2020-03-01 to 2020-03-31", "2020-02-29 to 2020-03-30", "2020 to 2020"),
    ("2020-03-01/2020-03-31", "2020-02-29/2020-03-30", "2020/2020"),
]


@pytest.mark.parametrize(("text", "shifted", "year"), TEXTS)
def test_a_text_that_is_a_date_moves_like_one(text, shifted, year):
    assert (moved_text(text, "shift", -1), moved_text(text, "year", -1)) == (shifted, year)
    assert moved_text(text, "keep", -1) == text


@pytest.mark.parametrize(
    "text", ["", "20201301", "20200230", "18991231", "21010101", "20200301 Doe", "202003", "2020", "03/01/2020",
             "2020-03/01", "20200301256161", "1.2.3", "120200301"]
)  # fmt: skip
def test_any_other_text_is_left_to_the_text_engine(text):
    assert moved_text(text, "shift", -1) is None
