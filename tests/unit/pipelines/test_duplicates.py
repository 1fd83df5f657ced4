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
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "hospital/st-mary")
PROFILE = Profile.of("longitudinal")


@dataclass
class AnyOrder:
    """A warehouse that gives the rows of one table in this order."""

    table: object
    rows: list

    def scan(self, spec, partition, columns):
        rows = [{name: row.get(name) for name in columns} for row in self.rows if spec is self.table]
        yield pa.RecordBatch.from_pylist(rows, pa.schema([spec.arrow_schema.field(name) for name in columns]))


def source(table, rows):
    return WorkSource(HOSPITAL, AnyOrder(table, rows), Pseudonymizer(SecretKey(bytes(32)), "st-mary"))


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


@pytest.mark.parametrize("rows", list(permutations(REPORTS)))
def test_the_first_record_by_file_and_row_is_taken(rows):
    items = source(IDENTIFIED_REPORTS, list(rows)).reports(HospitalIdentifiers(), PROFILE, "1")
    taken = {(item["object_key"], item["row_number"]) for item in items if not item.get("refuse")}
    assert taken == {("a.csv", 9), ("b.csv", 2)}
