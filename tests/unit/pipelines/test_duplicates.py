"""Of several rows for one instance or report the same one is taken, in whatever order a warehouse gives them."""

import json
from dataclasses import dataclass
from itertools import permutations

import pyarrow as pa
import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.known import HospitalIdentifiers
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, IDENTIFIED_REPORTS

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "hospital/st-mary")
PROFILE = Profile.of("longitudinal")


@dataclass
class AnyOrder:
    """A warehouse that gives the rows of one table in this order, and the pseudonyms of instances that crossed."""

    table: object
    rows: list
    crossed: tuple = ()

    def scan(self, spec, partition, columns):
        held = {self.table: self.rows, DEIDENTIFIED_METADATA: [{"sop_instance_uid": uid} for uid in self.crossed]}
        rows = [{name: row.get(name) for name in columns} for row in held.get(spec, [])]
        yield pa.RecordBatch.from_pylist(rows, pa.schema([spec.arrow_schema.field(name) for name in columns]))


IDENTITY = Pseudonymizer(SecretKey(bytes(32)), "st-mary")


def source(table, rows, crossed=()):
    return WorkSource(HOSPITAL, AnyOrder(table, rows, crossed), IDENTITY)


HEADERS = [
    {
        "work_token": str(number) * 32,
        "object_key": key,
        "sop_instance_uid": uid,
        "patient_id": "A-1001",
        "identifiers_json": json.dumps(KnownIdentifiers().as_dict()),
        "header_json": "{}",
        "etag": "1",
        "size": 10,
    }
    for number, (key, uid) in enumerate(
        [("b.dcm", "1.2.3"), ("a.dcm", "1.2.3"), ("c.dcm", "1.2.3"), ("d.dcm", "1.2.4")]
    )
]
REPORTS = [
    {"work_token": "a" * 32, "object_key": key, "row_number": number, "report_id": name, "report_text": "Text."}
    for key, number, name in [("b.csv", 1, "R1"), ("a.csv", 9, "R1"), ("a.csv", 10, "R1"), ("b.csv", 2, "R2")]
]


@pytest.mark.parametrize("rows", list(permutations(HEADERS)))
def test_the_first_object_by_key_is_taken(rows):
    items = source(DICOM_METADATA, list(rows)).headers(HospitalIdentifiers(), PROFILE, "1")
    assert {item["object_key"] for item in items if not item.get("refuse")} == {"a.dcm", "d.dcm"}


CROSSED = (IDENTITY.uid("1.2.3"), IDENTITY.uid("1.2.4"))


@pytest.mark.parametrize("rows", list(permutations(HEADERS)))
def test_thumbnails_are_made_of_the_object_whose_header_crossed(rows):
    items = list(source(DICOM_METADATA, list(rows), CROSSED).pixels("1"))
    assert sorted(item["object_key"] for item in items) == ["a.dcm", "d.dcm"]


@pytest.mark.parametrize("rows", list(permutations(HEADERS)))
def test_a_release_takes_the_object_whose_header_crossed(rows):
    made = source(DICOM_METADATA, list(rows)).release(set(CROSSED), HospitalIdentifiers(), IDENTITY, "1")
    assert sorted(item["object_key"] for item in made) == ["a.dcm", "d.dcm"]


@pytest.mark.parametrize("rows", list(permutations(REPORTS)))
def test_the_first_record_by_file_and_row_is_taken(rows):
    items = source(IDENTIFIED_REPORTS, list(rows)).reports(HospitalIdentifiers(), PROFILE, "1")
    taken = {(item["object_key"], item["row_number"]) for item in items if not item.get("refuse")}
    assert taken == {("a.csv", 9), ("b.csv", 2)}
