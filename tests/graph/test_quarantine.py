"""The work list over runs of a small hospital: an accepted false alarm passes and comes back; retry redoes its items alone."""

import io
import os

import dagster as dg
import pydicom
import pytest
import yaml

from gradient_assets.tables import DEIDENTIFIED_METADATA, PUBLIC_TABLE, QUARANTINE
from tests.fakes.small_home import image
from tests.graph.forked import ForkedHome

pytestmark = pytest.mark.xdist_group("hospital")

HOSPITAL = "st-mary"
STAGES = ("dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports", "thumbnails")
ALARM = "a/one.dcm"
"""Its protocol has the name that the hospital gave its phantom as patient id: a false alarm."""


def instance(number, patient_id, name, series):
    ds = pydicom.dcmread(io.BytesIO(image(number, [])))
    ds.PatientID, ds.PatientName, ds.SeriesDescription = patient_id, name, series
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.3.4.{200 + number}", f"1.2.3.4.{100 + number}"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def put(home, kind, key, content):
    file = home.path / f"landing/{HOSPITAL}/{kind}" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.fixture(scope="module")
def home(tmp_path_factory, commands) -> ForkedHome:
    home = ForkedHome(tmp_path_factory.mktemp("quarantine") / "home", commands)
    put(home, "dicoms", ALARM, instance(1, "MRN-771204", "Quillfeather^Zebulon", "AX T1 HEADNECK01"))
    put(home, "dicoms", "b/two.dcm", instance(2, "HEADNECK01", "Phantom", "AX T2"))
    put(home, "dicoms", "broken.dcm", b"no DICOM at all")
    put(home, "reports", "r.csv", b"id,text\nR1,Normal chest.\nR2,\nR3,Clear lungs.\n")
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {kind: f"landing/{HOSPITAL}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": {"report_id": "id", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{HOSPITAL}",
    }
    (home.path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
    home.gradient("doctor", "--mend", expect=None)
    home.gradient("run")
    return home


def quarantined(home):
    """Object key → row of the table, of a record with its number."""
    rows = [row for batch in home.resources.warehouse.scan(QUARANTINE, HOSPITAL) for row in batch.to_pylist()]
    return {f"{row['object_key']}:{row['row_number']}": row for row in rows}


def processed(home):
    """Stage → items that the last run worked on."""
    return {stage: metadata_of(home, stage)["gradient/processed"] for stage in STAGES}


def metadata_of(home, asset):
    os.environ["DAGSTER_HOME"] = str(home.path / "dagster")
    with dg.DagsterInstance.get() as instance:
        found = instance.get_latest_materialization_event(dg.AssetKey(asset)).asset_materialization.metadata
    return {name: value.value for name, value in found.items()}


def searchable(home):
    return home.resources.warehouse.count(PUBLIC_TABLE, HOSPITAL)


def test_a_false_alarm_is_quarantined_and_the_list_shows_it_by_its_pseudonym(home):
    row = quarantined(home)[f"{ALARM}:0"]
    assert (row["stage"], row["reason"], row["status"]) == ("deidentified_metadata", "residual_identifier", "open")
    assert row["object_pseudonym"] in home.gradient("quarantine", "list").stdout
    assert metadata_of(home, "quarantine")["gradient/quarantined_by_status"] == {"open": 3}
    assert searchable(home) == 1


def test_a_retry_does_nothing_but_its_items_again(home):
    before = quarantined(home)
    home.gradient("quarantine", "retry", before["broken.dcm:0"]["object_pseudonym"])
    home.gradient("run")
    assert processed(home) == dict.fromkeys(STAGES, 0) | {"dicom_metadata": 1}
    # A file is read again for one record of it; the reports that it holds are as before, and are not cleaned again.
    home.gradient("quarantine", "retry", "--reason", "empty_report")
    home.gradient("run")
    assert processed(home) == dict.fromkeys(STAGES, 0) | {"identified_reports": 1}
    assert {key: row["reason"] for key, row in quarantined(home).items()} == {
        key: row["reason"] for key, row in before.items()
    }


def test_what_was_accepted_passes_every_check_and_comes_back_when_the_object_changes(home):
    found = quarantined(home)
    alarm, record = found[f"{ALARM}:0"]["object_pseudonym"], f"{found['r.csv:2']['object_pseudonym']}:2"
    why = ("--name", "Ada", "--why", "a protocol's name")
    home.gradient("quarantine", "accept-risk", alarm, "--reason-code", "residual_identifier", *why)
    home.gradient("quarantine", "drop", record, "--why", "the hospital won't write it again")
    done = home.gradient("run")
    assert "1 dropped, 1 open" in done.stdout
    assert processed(home) == dict.fromkeys(STAGES, 0) | {"deidentified_metadata": 1, "thumbnails": 1}
    assert set(quarantined(home)) == {"broken.dcm:0", "r.csv:2"}
    assert metadata_of(home, "quarantine")["gradient/quarantined_by_status"] == {"dropped": 1, "open": 1}
    assert searchable(home) == 2
    assert "accepted" in home.gradient("quarantine", "show", alarm).stdout

    home.gradient("run")
    assert processed(home) == dict.fromkeys(STAGES, 0)
    assert searchable(home) == 2

    put(home, "dicoms", ALARM, instance(1, "MRN-771204", "Quillfeather^Zebulon", "AX T1 POST HEADNECK01"))
    home.gradient("run")
    assert quarantined(home)[f"{ALARM}:0"]["status"] == "open"
    assert searchable(home) == home.resources.warehouse.count(DEIDENTIFIED_METADATA, HOSPITAL) == 1
