"""Only listed columns, types and forms cross; nothing else can be constructed."""

import datetime

import pytest

from gradient_assets import boundary
from gradient_assets.deid.reasons import EXPLANATIONS, Reason, Refused
from gradient_assets.tables import ALL_TABLES, DICOM_METADATA, PIXEL_TEXT

GOOD = {
    "hospital_id": "st-mary",
    "hospital_number": 1,
    "work_token": "0" * 32,
    "sop_instance_uid": "2.25.1",
    "box": 0,
    "verdict": "clean",
    "look": "all",
    "boxes": 0,
    "kept": 0,
    "frames": 1,
    "thumbnail_key": "st-mary/2.25.1/2.25.2/2.25.3.png",
    "engine_version": "1",
}


def test_a_listed_record_crosses_with_every_column():
    record = boundary.cross(PIXEL_TEXT, GOOD)
    assert tuple(record) == PIXEL_TEXT.column_names
    assert record["box_left"] is None


BAD = [
    ({"patient_name": "DOE^JOHN"}, "lists no column patient_name"),
    ({"sop_instance_uid": "1.2.840.113619.2"}, "sop_instance_uid does not have the listed form"),
    ({"sop_instance_uid": None}, "sop_instance_uid is missing"),
    ({"boxes": "1"}, "boxes holds a str"),
    ({"boxes": True}, "boxes holds a bool"),
    ({"frames": datetime.date(2020, 1, 1)}, "frames holds a date"),
    ({"verdict": "John Doe"}, "verdict does not have the listed form"),
    ({"thumbnail_key": "st-mary/doe/1.png"}, "thumbnail_key does not have the listed form"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[next(iter(change)) for change, _ in BAD])
def test_anything_else_is_refused_without_its_value(change, message):
    with pytest.raises(Refused) as refused:
        boundary.cross(PIXEL_TEXT, {**GOOD, **change})
    assert refused.value.reason is Reason.BOUNDARY_REFUSED
    assert message in refused.value.detail
    assert "DOE" not in str(refused.value)
    assert "Doe" not in str(refused.value)


def test_an_identified_table_is_no_place_to_cross_to():
    with pytest.raises(Refused, match="lies before the boundary"):
        boundary.cross(DICOM_METADATA, {})


def test_a_crossing_is_made_by_the_boundary_alone():
    with pytest.raises(TypeError, match=r"boundary\.cross"):
        boundary.Crossing("deidentified.pixel_text", dict(GOOD), _seal=object())


def test_a_crossing_does_not_show_its_values():
    assert "2.25.1" not in repr(boundary.cross(PIXEL_TEXT, GOOD))


def test_every_column_behind_the_boundary_has_a_reason_and_no_other_has():
    for spec in ALL_TABLES:
        for column in spec.columns:
            assert bool(column.crossing) == (spec.zone != "identified"), f"{spec.full_name}.{column.name}"


def test_every_column_and_table_is_described():
    for spec in ALL_TABLES:
        assert spec.description
        assert all(column.description.endswith(".") for column in spec.columns), spec.full_name


@pytest.mark.parametrize(
    "parts",
    [
        ("st-mary", "1.2.3", "2.25.2", "2.25.3"),
        ("St Mary", "2.25.1", "2.25.2", "2.25.3"),
        ("st-mary", "2.25.1", "", "2.25.3"),
    ],
)
def test_a_thumbnail_key_holds_new_uids_only(parts):
    assert boundary.thumbnail_key("st-mary", "2.25.1", "2.25.2", "2.25.3") == "st-mary/2.25.1/2.25.2/2.25.3.png"
    with pytest.raises(Refused):
        boundary.thumbnail_key(*parts)


def test_a_release_key_holds_pseudonyms_only():
    patient = "P" + "A" * 16
    assert boundary.release_key(patient, "2.25.1", "2.25.2", "2.25.3") == f"{patient}/2.25.1/2.25.2/2.25.3.dcm"
    with pytest.raises(Refused):
        boundary.release_key("DOE^JOHN", "2.25.1", "2.25.2", "2.25.3")


def test_unlisted_asset_metadata_is_refused():
    with pytest.raises(ValueError, match="patient_name"):
        boundary.asset_metadata({"gradient/boxes": 1, "patient_name": "x"})


def test_every_reason_has_a_meaning_and_a_remedy():
    assert set(EXPLANATIONS) == set(Reason)
    assert all(e.meaning.endswith(".") and e.remedy.endswith(".") for e in EXPLANATIONS.values())
