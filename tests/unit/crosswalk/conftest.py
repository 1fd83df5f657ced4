"""A hospital's identified tables written as rows, without images: what the crosswalk is built from."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from gradient_assets.crosswalk import HospitalKeys, Question, answer, bring_up_to_date
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import load_registry
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.tables import CROSSWALK, DICOM_METADATA, IDENTIFIED_REPORTS
from resources import Settings, resources_for

HOSPITAL, SECRET = "st-mary", "hospital/st-mary"
REASON = "the patient asked what is kept of them"


@dataclass
class Tables:
    """A GRADIENT_HOME; `send` puts records there, `update` builds the crosswalk."""

    path: Path
    sent: dict = field(default_factory=dict)

    @cached_property
    def resources(self):
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))

    @cached_property
    def hospital(self):
        return load_registry(self.path / "hospitals.yaml", home=self.path).get(HOSPITAL)

    @property
    def warehouse(self):
        return self.resources.warehouse

    @property
    def keys(self):
        return HospitalKeys.of(self.resources, self.hospital)

    def of_version(self, version):
        return Pseudonymizer(self.resources.keys.version(SECRET, version), HOSPITAL)

    def rotate(self):
        return self.resources.keys.rotate(SECRET, by="Ada", reason=REASON)

    def update(self):
        return bring_up_to_date(self.warehouse, self.keys, "run")

    def ask(self, pseudonym, **more):
        return answer(self.resources, self.hospital, Question(pseudonym, "Ada", REASON, **more))

    def texts(self, pseudonym, **more):
        return sorted(entry.original.text for entry in self.ask(pseudonym, **more))

    def rows(self):
        return [row for batch in self.warehouse.scan(CROSSWALK, HOSPITAL) for row in batch.to_pylist()]

    def logged(self):
        bucket = self.resources.way_back_log
        return [json.loads(bucket.get(stat.key)) for stat in bucket.listing()]

    def send(self, spec, *rows):
        """Put rows into an identified table; a row's work token is its first column here."""
        version = self.resources.key(SECRET).version
        full = [
            {
                **dict.fromkeys(spec.column_names),
                **_required(spec),
                **row,
                "work_token": f"{version}{row['work_token']}",
            }
            for row in rows
        ]
        self._replace(spec, full, ())

    def gone(self, spec, *tokens):
        """Objects that were deleted at the hospital."""
        self._replace(spec, [], tokens)

    def _replace(self, spec, rows, gone):
        with self.warehouse.staging("identified", "send") as staged:
            writer = ShardWriter({"identified": StagingPlace(staged.bucket, staged.uri)})
            for row in rows:
                writer.add(spec, row)
            writer.keep()
            shards = writer.close().get(spec.full_name, [])
            self.warehouse.replace(spec, HOSPITAL, shards=shards, drop_tokens=gone)


def _required(spec):
    blank = {"STRING": "", "INT64": 0}
    return {c.name: blank[c.type] for c in spec.columns if c.required} | {"hospital_id": HOSPITAL, "hospital_number": 1}


def header(token, patient_id, study, instance, *, accession=None, more=None):
    """A row of `dicom_metadata`."""
    elements = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": [instance]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "00100020": {"vr": "LO", "Value": [patient_id] if patient_id else []},
        **(more or {}),
    }
    return {
        "work_token": token,
        "object_key": f"{token}.dcm",
        "patient_id": patient_id,
        "study_instance_uid": study,
        "sop_instance_uid": instance,
        "accession_number": accession,
        "header_json": json.dumps(elements),
    }


def report(token, row_number, report_id, patient_id=None, *, accession=None, study=None):
    """A row of `identified_reports`."""
    return {
        "work_token": token,
        "object_key": f"{token}.csv",
        "row_number": row_number,
        "report_id": report_id,
        "patient_id": patient_id,
        "accession_number": accession,
        "study_instance_uid": study,
    }


@pytest.fixture
def tables(tmp_path):
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {"dicoms": "landing/st-mary/dicoms", "reports": "landing/st-mary/reports"},
        "report_columns": {"report_id": "id", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": SECRET,
    }
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
    made = Tables(tmp_path)
    made.resources.vault.create(SECRET)
    return made


@pytest.fixture
def sent(tables):
    """Two patients with images, the second with a report, one report of somebody who has none."""
    related = {"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.9.8.7"]}}]}}
    tables.send(
        DICOM_METADATA,
        header("a", "MRN-1", "1.2.1", "1.2.1.1", accession="ACC-1", more=related),
        header("b", "MRN-2", "1.2.2", "1.2.2.1"),
        header("c", None, "1.2.3", "1.2.3.1"),
    )
    tables.send(
        IDENTIFIED_REPORTS,
        report("r", 1, "REP-1", "mrn-2 ", accession="ACC-2", study="1.2.2"),
        report("r", 2, "REP-2"),
    )
    return tables
