"""What does not add up goes no further: a hospital not to `prod`, a release not to its report."""

import json
import shutil

import pytest

from gradient_assets.tables import PROD, REFUSED_RELEASE, RELEASE_MANIFEST
from tests.fakes import small_hospital
from tests.graph.forked import Call, ForkedHome, copied

pytestmark = pytest.mark.xdist_group("balance")

COHORT = ("--recipient", small_hospital.RECIPIENT, "--where", "modality = 'MR'", "--by", "Ada")
RELEASE = ("release", "all-mr", *COHORT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, commands) -> ForkedHome:
    """A hospital that was run."""
    home = small_hospital.build(tmp_path_factory.mktemp("balance") / "home")
    commands.run(Call(home, ("run",)))
    return ForkedHome(home, commands)


@pytest.fixture
def mine(finished, tmp_path) -> ForkedHome:
    return ForkedHome(copied(finished.path, tmp_path / "home"), finished.commands)


def given(home, partition="st-mary", stage="dicom_metadata"):
    return home.path / f"identified/partitions/_given/{partition}/{stage}.json"


def test_a_hospital_that_does_not_add_up_is_stopped_before_prod_until_it_does(mine):
    before = mine.resources.warehouse.content_digest(PROD, "st-mary")
    kept = json.loads(given(mine).read_text())
    assert kept["inputs"] == len(small_hospital.IMAGES) + 1
    given(mine).write_text(json.dumps({**kept, "inputs": 99}))
    mine.gradient("run", "-s", "final_table", "-s", "prod", expect=3)
    said = mine.gradient("run", "-s", "prod", expect=3).stderr
    assert "in_equals_out_plus_quarantined of final_table failed" in said
    assert mine.resources.warehouse.content_digest(PROD, "st-mary") == before
    mine.gradient("run")
    mine.gradient("run", "-s", "prod")


def test_what_a_hospital_was_given_outlives_dagsters_log(mine):
    shutil.rmtree(mine.path / "dagster")
    mine.gradient("run", "-s", "quarantine")
    mine.gradient("run")


def test_a_release_of_a_hospital_whose_checks_never_ran_is_refused_in_one_line(mine):
    shutil.rmtree(mine.path / "dagster")
    said = mine.gradient(*RELEASE, expect=3).stderr
    assert "no_known_identifier of prod of 'st-mary' never ran" in said
    assert mine.resources.warehouse.count(RELEASE_MANIFEST, "all-mr") == 0
    mine.gradient("run")
    mine.gradient(*RELEASE)


def test_an_instance_whose_original_is_gone_is_refused_and_counted(mine):
    patient, number = small_hospital.IMAGES[0]
    (mine.path / f"landing/st-mary/dicoms/{patient}-{number}.dcm").unlink()
    mine.gradient("run", "-s", "dicom_metadata")
    mine.gradient(*RELEASE)
    (gone,) = (row for batch in mine.resources.warehouse.scan(REFUSED_RELEASE, "all-mr") for row in batch.to_pylist())
    assert (gone["reason"], gone["object_key"], gone["stage"]) == ("original_gone", "", "release_dicoms")
    assert gone["object_pseudonym"]
    page = next((mine.path / "public").rglob("report.html")).read_text()
    assert "<b>4</b> instances = 3 objects of this release + 1 quarantined (annex) + 0 left out" in page
    mine.gradient("run")
    mine.gradient(*RELEASE)
    assert mine.resources.warehouse.count(REFUSED_RELEASE, "all-mr") == 0
    assert json.loads(given(mine, "all-mr", "release_dicoms").read_text())["inputs"] == 3
