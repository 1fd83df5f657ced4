"""A report file that is read again leaves its reports as they are; what changed in it is cleaned anew, and nothing else."""

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.tables import IDENTIFIED_REPORTS


def tokens(home, *changes):
    """Record → work token of its cleaning, after the file was read with these changes of its rows' columns."""
    rows = [
        {
            "hospital_id": "st-mary",
            "hospital_number": 1,
            "work_token": "a" * 32,
            "object_key": "r.csv",
            "etag": "1",
            "size": 10,
            "row_number": number,
            "report_id": f"R{number}",
            "report_text": f"Report {number}.",
            "engine_version": "reports-1",
        }
        for number in (1, 2, 3)
    ]
    for number, change in changes:
        rows[number - 1] |= change
    home.write(IDENTIFIED_REPORTS, "st-mary", rows)
    warehouse, hospital = home.resources.warehouse, home.registry.get("st-mary")
    source = WorkSource(hospital, warehouse, Pseudonymizer(SecretKey(bytes(32)), "st-mary"))
    items = source.reports(gather(warehouse, "st-mary"), Profile.named("longitudinal"), "1")
    return {item["row_number"]: item["work_token"] for item in items}


READ_AGAIN = {"work_token": "b" * 32, "etag": "2", "size": 12}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ([], set()),
        ([(number, READ_AGAIN) for number in (1, 2, 3)], set()),
        ([*[(number, READ_AGAIN) for number in (1, 2, 3)], (2, {"report_text": "Another text."})], {2}),
        ([(3, {"accession_number": "ACC-77120455"})], {3}),
        ([(3, {"study_instance_uid": "1.2.3"})], {3}),
    ],
)
def test_a_report_is_cleaned_again_only_when_its_own_row_changed(home, changes, changed):
    before, after = tokens(home), tokens(home, *changes)
    assert len(set(after.values())) == 3
    assert {number for number in before if before[number] != after[number]} == changed
