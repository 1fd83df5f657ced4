"""A home with two hospitals and the refusals that stages and a release would have left there."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from gradient_assets.boundary import cross
from gradient_assets.hospitals import load_registry
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.quarantine import Today, decisions_of, refusals
from gradient_assets.quarantine.listing import STAGES
from gradient_assets.tables import DEIDENTIFIED_METADATA
from resources import Settings, resources_for

NAMING_KEY = "quillfeather zebulon/one.dcm"
"""A key of the hospital's choice, as bad as they are."""

ADA = {"decided_by": "Ada", "why": "the word is a protocol's name"}


def token(number):
    return f"{number:032x}"


def entry(hospital_id, number):
    return {
        "id": hospital_id,
        "number": number,
        "buckets": {"dicoms": f"landing/{hospital_id}/dicoms", "reports": f"landing/{hospital_id}/reports"},
        "report_columns": {"report_id": "id", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{hospital_id}",
    }


ALARM, BROKEN, FILE, OLD, RELEASED, PICTURE = (token(number) for number in range(1, 7))
"""Pseudonyms: a false alarm, no DICOM file, a file of reports, one of an older engine, one of a release, a picture."""

REFUSED = [
    # hospital, stage, object, record, reason, detail, how old, release
    ("st-mary", "deidentified_metadata", ALARM, 0, "residual_identifier", "1 × id", "today", ""),
    ("st-mary", "dicom_metadata", BROKEN, 0, "not_dicom", "", "today", ""),
    ("st-mary", "identified_reports", FILE, 2, "empty_report", "", "today", ""),
    ("st-mary", "identified_reports", FILE, 7, "malformed_row", "3 fields", "today", ""),
    ("st-mary", "deidentified_reports", OLD, 4, "text_engine_failed", "ValueError", "older engine", ""),
    ("st-mary", "deidentified_metadata", OLD, 0, "header_engine_failed", "", "other profile", ""),
    ("lakeside", "thumbnails", PICTURE, 0, "residual_text_in_pixels", "after 3 rounds", "other profile", ""),
    ("st-mary", "release_dicoms", RELEASED, 0, "residual_identifier", "2 × id, name", "today", "trial-a"),
    ("st-mary", "release_dicoms", RELEASED, 0, "residual_identifier", "2 × id, name", "today", "trial-b"),
]


def work_token(row):
    """Records of one file have one work token."""
    rows = [(r[0], r[1], r[2], r[7]) for r in REFUSED]
    return token(1000 + rows.index((row[0], row[1], row[2], row[7])))


@dataclass
class RefusedHome:
    """The home; refusals are written straight into the stages' tables."""

    path: Path

    @cached_property
    def resources(self):
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))

    @cached_property
    def registry(self):
        return load_registry(self.path / "hospitals.yaml", home=self.path)

    def write(self, spec, partition, rows):
        warehouse = self.resources.warehouse
        with warehouse.staging(spec.zone, "made") as staging:
            writer = ShardWriter({spec.zone: StagingPlace(staging.bucket, staging.uri)})
            for row in rows:
                writer.add(
                    spec, dict.fromkeys(spec.column_names) | row if spec.zone == "identified" else cross(spec, row)
                )
            writer.keep()
            shards, before = writer.close().get(spec.full_name, []), warehouse.tokens(spec, partition)
            warehouse.replace(spec, partition, shards=shards, drop_tokens=before)

    def build(self):
        (self.path / "hospitals.yaml").write_text(
            yaml.safe_dump({"hospitals": [entry("st-mary", 1), entry("lakeside", 2)]})
        )
        for hospital in self.registry:
            self.resources.vault.create(hospital.secret_name)
        today = Today.of(self.resources, self.registry.get("st-mary"))
        digests = {"today": today.profile_digest, "older engine": today.profile_digest, "other profile": "0" * 64}
        partitions: dict = {}
        for row in REFUSED:
            hospital, stage, pseudonym, record, reason, detail, age, release = row
            partitions.setdefault((stage, release or hospital), []).append(
                {
                    "hospital_id": hospital,
                    "hospital_number": self.registry.get(hospital).number,
                    "work_token": work_token(row),
                    "stage": stage,
                    "object_pseudonym": pseudonym,
                    "object_key": NAMING_KEY,
                    "row_number": record,
                    "reason": reason,
                    "detail": detail,
                    "engine_version": "0" if age == "older engine" else today.versions[stage],
                    "profile_digest": digests[age],
                }
                | ({"release": release} if release else {})
            )
        for (stage, partition), rows in partitions.items():
            self.write(STAGES[stage], partition, rows)

    def passes(self, work_token, series=None):
        """The stage has made a row of the item whose header was a false alarm."""
        row = {
            "hospital_id": "st-mary",
            "hospital_number": 1,
            "work_token": work_token,
            "sop_instance_uid": "2.25.1",
            "patient_pseudonym": f"P{'A' * 16}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
            "face": "none",
            "header_json": "{}",
            "series_description": series,
            "elements_removed": 1,
            "elements_changed": 1,
            "profile": "longitudinal",
            "standard_edition": "2026c",
            "engine_version": "1",
        }
        self.write(DEIDENTIFIED_METADATA, "st-mary", [row])

    def log(self, hospital_id="st-mary"):
        return decisions_of(self.resources, self.registry.get(hospital_id))

    def refused(self, hospital_id="st-mary"):
        return list(refusals(self.resources, hospital_id, self.log(hospital_id)))

    def one(self, pseudonym, record=0, release=""):
        return next(
            one
            for hospital in self.registry
            for one in self.refused(hospital.id)
            if (one.object_pseudonym, one.row_number, one.release) == (pseudonym, record, release)
        )


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    home = RefusedHome(tmp_path_factory.mktemp("refused"))
    home.build()
    return home.path


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made, tmp_path / "home", copy_function=shutil.copy2)
    return RefusedHome(tmp_path / "home")
