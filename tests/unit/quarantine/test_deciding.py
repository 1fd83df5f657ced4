"""Retry, accept-risk, drop: what a wish is about, what is allowed, what stands afterwards."""

import pytest

from gradient_assets.quarantine import Wanted, acceptable, chosen, decide, write_status
from gradient_assets.quarantine.decisions import QuarantineError, log_bucket
from gradient_assets.tables import QUARANTINE_STATUS
from tests.unit.quarantine.conftest import ADA, ALARM, BROKEN, FILE, PICTURE, RELEASED


def logged(home):
    return [stat.key for hospital in home.registry for stat in log_bucket(home.resources, hospital.id).listing()]


def every(home):
    return [one for hospital in home.registry for one in home.refused(hospital.id)]


def test_a_decision_is_logged_for_each_hospital_with_who_what_and_why(home):
    decide(
        home.resources,
        home.registry,
        "drop",
        [home.one(FILE, 2), home.one(FILE, 7), home.one(PICTURE)],
        "Ada",
        "not sent again",
    )
    (ours,), (theirs,) = home.log("st-mary").log, home.log("lakeside").log
    assert (ours.action, ours.decided_by, ours.why) == ("drop", "Ada", "not sent again")
    assert [(item.object_pseudonym, item.row_number, item.reason) for item in ours.items] == [
        (FILE, 2, "empty_report"),
        (FILE, 7, "malformed_row"),
    ]
    assert [item.object_pseudonym for item in theirs.items] == [PICTURE]
    assert ours.decided_at == theirs.decided_at


def test_records_of_one_file_go_on_to_one_token(home):
    decide(home.resources, home.registry, "retry", [home.one(FILE, 2), home.one(FILE, 7), home.one(BROKEN)], "Ada", "")
    first, second, other = (item.becomes for item in home.log().log[0].items)
    assert first == second != other


def test_a_decision_with_a_bad_name_changes_nothing_for_any_hospital(home):
    with pytest.raises(QuarantineError):
        decide(home.resources, home.registry, "drop", every(home), "", "x")
    assert logged(home) == []


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(names=("f" * 32,)),
        Wanted(names=(ALARM, "f" * 32)),
        Wanted(names=(ALARM,), stages=("thumbnails",)),
        Wanted(reasons=("dicomdir",)),
    ],
)
def test_what_is_not_in_the_quarantine_is_told(home, wanted):
    with pytest.raises(QuarantineError, match="Nothing was changed"):
        chosen(every(home), wanted)


@pytest.mark.parametrize(
    ("pseudonym", "reason", "told"),
    [
        (BROKEN, "not_dicom", "false alarm"),
        (ALARM, "broken", "No such reason"),
        (ALARM, "residual_text_in_pixels", "not refused for"),
        (RELEASED, "residual_identifier", "say which"),
    ],
)
def test_what_can_not_be_accepted_is_told(home, pseudonym, reason, told):
    with pytest.raises(QuarantineError, match=told):
        acceptable(chosen(every(home), Wanted(names=(pseudonym,))), reason)


def test_one_release_is_accepted_and_the_other_is_not(home):
    found = chosen(every(home), Wanted(names=(RELEASED,), releases=("trial-b",)))
    decide(home.resources, home.registry, "accept", [acceptable(found, "residual_identifier")], **ADA)
    assert home.one(RELEASED, release="trial-b").status == "accepted"
    assert home.one(RELEASED, release="trial-a").status == "open"


def test_the_status_table_is_made_anew_from_the_log(home):
    hospital, warehouse = home.registry.get("st-mary"), home.resources.warehouse

    def rows():
        write_status(warehouse, hospital, home.log(), "run")
        found = [row for batch in warehouse.scan(QUARANTINE_STATUS, "st-mary") for row in batch.to_pylist()]
        return sorted((row["work_token"], row["row_number"], row["status"]) for row in found)

    assert rows() == []
    alarm, broken = home.one(ALARM).work_token, home.one(BROKEN).work_token
    decide(home.resources, home.registry, "drop", [home.one(BROKEN)], **ADA)
    decide(home.resources, home.registry, "accept", [home.one(ALARM)], **ADA)
    assert rows() == sorted([(alarm, 0, "accepted"), (broken, 0, "dropped")])
    decide(home.resources, home.registry, "retry", [home.one(ALARM), home.one(BROKEN)], **ADA)
    assert rows() == sorted([(alarm, 0, "open"), (broken, 0, "open")])
