"""The work list: every stage and release, filters, statuses, and what was made by another engine or profile."""

from collections import Counter

import pytest

from gradient_assets.quarantine import Today, Wanted, accepted_and_passed, by_status, counts, decide, outdated
from gradient_assets.quarantine.decisions import QuarantineError
from gradient_assets.quarantine.listing import STAGES
from gradient_assets.tables import ALL_TABLES
from tests.unit.quarantine.conftest import ADA, ALARM, BROKEN, FILE, NAMING_KEY, OLD, PICTURE, REFUSED, RELEASED

EVERYTHING = Counter(row[2] for row in REFUSED)


def fitting(home, **wanted):
    every = [one for hospital in home.registry for one in home.refused(hospital.id)]
    return Counter(one.object_pseudonym for one in every if Wanted(**wanted).fits(one))


def test_every_refusal_table_belongs_to_a_stage():
    assert {spec.name for spec in ALL_TABLES if spec.name.startswith("refused_")} == {
        spec.name for spec in STAGES.values()
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, EVERYTHING),
        ({"stages": ("identified_reports",)}, {FILE: 2}),
        ({"stages": ("dicom_metadata", "thumbnails")}, {BROKEN: 1, PICTURE: 1}),
        ({"reasons": ("residual_identifier",)}, {ALARM: 1, RELEASED: 2}),
        ({"releases": ("trial-a",)}, {RELEASED: 1}),
        ({"names": (FILE,)}, {FILE: 2}),
        ({"names": (f"{FILE}:7",)}, {FILE: 1}),
        ({"names": (f"{FILE}:3",)}, {}),
        ({"names": (ALARM,), "stages": ("thumbnails",)}, {}),
        ({"statuses": ("dropped",)}, {}),
        ({"statuses": ("open",)}, EVERYTHING),
    ],
    ids=str,
)
def test_filters(home, wanted, expected):
    assert fitting(home, **wanted) == Counter(expected)


@pytest.mark.parametrize(
    "wanted", [{"stages": ("headers",)}, {"reasons": ("broken",)}, {"names": ("Zebulon",)}, {"names": (f"{FILE}:0",)}]
)
def test_what_can_not_be_is_told_and_a_name_is_not_repeated(wanted):
    with pytest.raises(QuarantineError) as refused:
        Wanted(**wanted)
    assert "Zebulon" not in str(refused.value)


def test_counts_by_reason_and_status(home):
    decide(home.resources, home.registry, "drop", [home.one(FILE, 2)], **ADA)
    decide(home.resources, home.registry, "accept", [home.one(ALARM)], **ADA)
    refused = home.refused()
    assert by_status(refused) == {"accepted": 1, "dropped": 1, "open": 6}
    assert counts(refused)["st-mary", "identified_reports", "empty_report", "dropped"] == 1
    assert counts(refused)["st-mary", "identified_reports", "malformed_row", "open"] == 1


def test_only_what_another_engine_or_profile_refused_is_outdated(home):
    today = {hospital.id: Today.of(home.resources, hospital) for hospital in home.registry}
    found = outdated([one for hospital in home.registry for one in home.refused(hospital.id)], today)
    # Pixels do not depend on the profile but by their stage's version.
    assert [one.object_pseudonym for one in found] == [OLD, OLD]


def test_an_accepted_item_stays_on_the_list_while_its_row_is_there(home):
    decide(home.resources, home.registry, "accept", [home.one(ALARM)], **ADA)
    assert not list(accepted_and_passed(home.resources, "st-mary", home.log()))
    (token,) = home.log().accepted()
    home.passes(token)
    (passed,) = accepted_and_passed(home.resources, "st-mary", home.log())
    assert (passed.object_pseudonym, passed.status, passed.reason) == (ALARM, "accepted", "residual_identifier")
    home.passes("f" * 32)
    assert not list(accepted_and_passed(home.resources, "st-mary", home.log()))


def test_what_is_shown_holds_no_object_key(home):
    every = home.refused()
    assert all(one.object_key == NAMING_KEY for one in every)
    assert "quillfeather" not in repr(every) + str([one.as_dict() for one in every])


def test_what_was_withdrawn_is_on_no_list(home):
    batches = home.resources.warehouse.scan(STAGES["thumbnails"], "lakeside")
    (row,) = (row for batch in batches for row in batch.to_pylist())
    home.write(STAGES["thumbnails"], "lakeside", [row | {"reason": "withdrawn", "object_key": ""}])
    assert home.refused("lakeside") == []
