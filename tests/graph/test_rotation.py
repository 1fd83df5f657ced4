"""A rotated key changes nothing until the next run; then every pseudonym is made anew, and old ones lead back."""

import hashlib

import pytest
import yaml

from gradient_assets.crosswalk import Question, answer
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    PIXEL_TEXT,
    PROD,
    PUBLIC_TABLE,
)
from tests.fakes.small_home import OBJECTS, PATIENT
from tests.graph.conftest import Home
from tests.graph.forked import ForkedHome

pytestmark = pytest.mark.xdist_group("rotation")

HOSPITAL, SECRET = "st-mary", "hospital/st-mary"
REASON = "the key was copied to a laptop"
PSEUDONYMOUS = (DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS, PIXEL_TEXT, FINAL_TABLE, PROD, PUBLIC_TABLE)


@pytest.fixture(scope="module")
def home(tmp_path_factory, commands) -> Home:
    home = ForkedHome(tmp_path_factory.mktemp("rotation") / "home", commands)
    for key, content in OBJECTS.items():
        file = home.path / "landing/st-mary/dicoms" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    reports = home.path / "landing/st-mary/reports/reports.csv"
    reports.parent.mkdir()
    reports.write_text(f"id,patient,text\nR-4711,{PATIENT},No acute finding.\n")
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {"dicoms": "landing/st-mary/dicoms", "reports": "landing/st-mary/reports"},
        "report_columns": {"report_id": "id", "patient_id": "patient", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": SECRET,
    }
    (home.path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
    home.resources.vault.create(SECRET)
    home.gradient("run", "-H", HOSPITAL)
    return home


def files(home: Home) -> dict[str, str]:
    """Digests of all tables and pictures."""
    found = [
        path for path in home.path.rglob("*") if path.suffix in (".parquet", ".png") and "staging" not in path.parts
    ]
    return {str(path.relative_to(home.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def identity(home: Home, version: int) -> Pseudonymizer:
    return Pseudonymizer(home.resources.keys.version(SECRET, version), HOSPITAL)


def names(home: Home, spec) -> set[str]:
    """Every pseudonym, UID and token in a table's own columns."""
    columns = [
        name
        for name in spec.column_names
        if name.endswith(("pseudonym", "_token", "_key")) or name in ("sop_instance_uid", "study_instance_uid")
    ]
    batches = home.resources.warehouse.scan(spec, HOSPITAL, columns=columns)
    return {value for batch in batches for column in columns for value in batch[column].to_pylist() if value}


def test_a_rotation_makes_every_pseudonym_anew_and_old_ones_lead_back(home):
    before, old = files(home), {spec.name: names(home, spec) for spec in PSEUDONYMOUS}
    assert identity(home, 1).patient(PATIENT) in old["public_table"]
    assert all(old.values())

    # A rotation that is killed before it is recorded stops everything and changes nothing.
    home.resources.vault.rotate(SECRET)
    assert "gradient rotate" in home.gradient("run", "-H", HOSPITAL, expect=3).stderr
    assert files(home) == before

    home.gradient("rotate", "-H", HOSPITAL, "--reason", REASON)
    assert home.resources.vault.versions(SECRET) == (1, 2)

    # Until the run, nothing is built from tables of the old key: thumbnails of no instance, a release of nobody.
    for arguments in (
        ("run", "-H", HOSPITAL, "-s", "thumbnails", "-s", "pixel_text"),
        ("release", "early", "--recipient", "uni-x", "--create-key", "--where", "modality = 'MR'"),
    ):
        refused = home.gradient(*arguments, expect=None)
        assert refused.returncode in (2, 3)
        assert "made with key version 1" in refused.stderr
    assert files(home) == before
    assert not list((home.path / "public/releases").rglob("*.dcm"))

    # One original is gone by then: its pseudonym leads back all the same.
    (home.path / "landing/st-mary/dicoms/quillfeather/sure.dcm").unlink()
    home.gradient("run", "-H", HOSPITAL)
    for spec in PSEUDONYMOUS:
        new = names(home, spec)
        assert new, spec.name
        assert new.isdisjoint(old[spec.name]), spec.name
    assert home.resources.warehouse.count(DICOM_METADATA, HOSPITAL) == len(OBJECTS) - 1
    for version in (1, 2):
        assert asked(home, identity(home, version).uid("1.2.3.4.1")).original.text == "1.2.3.4.1"
    linked = asked(home, identity(home, 1).patient(PATIENT))
    assert linked.current_pseudonym == identity(home, 2).patient(PATIENT)


def asked(home: Home, pseudonym: str):
    question = Question(pseudonym, "Ada", REASON)
    (entry,) = answer(home.resources, home.registry.get(HOSPITAL), question)
    return entry
