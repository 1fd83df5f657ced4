"""The steps that read buckets: what is a withdrawn patient's becomes a refusal without its key, the rest goes on."""

from dataclasses import replace

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import ReadHeaders
from gradient_assets.pipelines.reports import ReadReports
from gradient_assets.pipelines.steps import Emitted, RefusedRecord, WorkItem, refusal_row
from gradient_assets.tables import REPORT_FILES
from gradient_assets.withdrawals.tombstones import ACCESSION, STUDY
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes import two_patients as home
from tests.unit.withdrawals.conftest import tombstones

HOSPITAL = Hospital("st-mary", 1, "", "", home.COLUMNS, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")


@pytest.fixture
def bucket(tmp_path):
    found = Bucket(BucketAddress(str(tmp_path)))
    for key, content in {**home.OBJECTS, "2019.csv": home.REPORTS.encode()}.items():
        found.put(key, content)
    return found


def item(bucket, key):
    stat = bucket.stat(key)
    return WorkItem(
        work_token="0" * 32, object_key=key, object_pseudonym="p", hospital_id="st-mary", etag=stat.etag, size=stat.size
    )


def read(bucket, key, withdrawn):
    step = ReadHeaders(HOSPITAL, bucket, Profile.named("longitudinal"), withdrawn)
    try:
        return list(step.apply(item(bucket, key)))
    except Refused as refused:
        return refused


@pytest.mark.parametrize("key", ["a/one.dcm", "a/two.dcm"])
def test_an_object_of_a_withdrawn_patient_is_refused(bucket, key):
    assert read(bucket, key, tombstones("mrn771204")).reason is Reason.WITHDRAWN


def test_so_is_one_without_patient_id_of_their_study(bucket):
    assert read(bucket, "a/nameless.dcm", tombstones(home.STUDY_GONE, kind=STUDY)).reason is Reason.WITHDRAWN
    assert len(read(bucket, "a/nameless.dcm", tombstones("mrn771204"))) == 1


def test_and_one_that_can_not_be_read_but_names_them_in_its_key(bucket):
    assert read(bucket, "MRN771204/broken.dcm", tombstones("MRN-771204")).reason is Reason.WITHDRAWN
    assert read(bucket, "b/broken.dcm", tombstones("MRN-771204")).reason is Reason.NOT_DICOM


def test_an_empty_object_that_names_them_in_its_key_too(bucket):
    bucket.put("MRN771204/empty.dcm", b"")
    assert read(bucket, "MRN771204/empty.dcm", tombstones("MRN-771204")).reason is Reason.WITHDRAWN


@pytest.mark.parametrize("key", ["b/one.dcm", "b/two.dcm"])
def test_others_are_read_as_ever(bucket, key):
    (row,) = read(bucket, key, tombstones("MRN-771204", home.STUDY_GONE))
    assert row.row["patient_id"] == home.STAYS


def test_an_object_that_no_engine_cleans_is_told_withdrawn_first(bucket):
    import io

    import pydicom

    ds = pydicom.dcmread(io.BytesIO(home.OBJECTS["a/one.dcm"]))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"  # encapsulated PDF
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds)
    bucket.put("a/form.dcm", stream.getvalue())
    assert read(bucket, "a/form.dcm", tombstones("MRN-771204")).reason is Reason.WITHDRAWN
    assert read(bucket, "a/form.dcm", tombstones("MRN-1")).reason is Reason.ENCAPSULATED_DOCUMENT


@pytest.mark.parametrize(
    "withdrawn", [tombstones("MRN-771204"), tombstones(home.ACCESSION_GONE, kind=ACCESSION)], ids=["id", "accession"]
)
def test_of_a_file_of_reports_their_row_alone_is_left_out(bucket, withdrawn):
    made = list(ReadReports(HOSPITAL, bucket, withdrawn).apply(item(bucket, "2019.csv")))
    assert [(one.row_number, one.reason) for one in made if isinstance(one, RefusedRecord)] == [(1, Reason.WITHDRAWN)]
    assert [one.row["report_id"] for one in made if isinstance(one, Emitted) and one.into is None] == [
        "R-1002",
        "R-1003",
    ]


def test_a_file_of_nobody_else_is_no_empty_file(bucket):
    withdrawn = replace(tombstones("MRN-771204", "MRN-880315"))
    made = list(ReadReports(HOSPITAL, bucket, withdrawn).apply(item(bucket, "2019.csv")))
    assert [type(one) for one in made[:-1]] == [RefusedRecord] * 3
    assert (made[-1].into, made[-1].row["records"]) == (REPORT_FILES, 3)


def test_the_refusal_keeps_the_pseudonym_and_not_the_key(bucket):
    step, one = ReadHeaders(HOSPITAL, bucket, Profile.named("longitudinal")), item(bucket, "a/one.dcm")
    row = refusal_row(step, HOSPITAL, one, Refused(Reason.WITHDRAWN))
    assert (row["object_key"], row["object_pseudonym"]) == ("", "p")
    assert refusal_row(step, HOSPITAL, one, Refused(Reason.NOT_DICOM))["object_key"] == "a/one.dcm"
