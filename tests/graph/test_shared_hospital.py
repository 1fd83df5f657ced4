"""Real files as one hospital: the run ends, nothing is lost, each refusal has a fixed code with a plain explanation.

Every eighth of the 460 files: all of them take 20 minutes of processor time.  `SHARED_FILES_STEP=1` takes all.
"""

import os
import shutil

import pytest
import yaml

from gradient_assets.checks.reconciliation import balances
from gradient_assets.cli.summary import summarize
from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.samples import make_reports_for
from gradient_assets.samples.folder_reports import GENERATED_ROLES
from gradient_assets.tables import FINAL_TABLE, PUBLIC_TABLE
from tests.graph.conftest import Home
from tests.shared import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.xdist_group("shared"), pytest.mark.timeout(1800)]

FILES = SHARED / "data/dicom"
STEP = int(os.environ.get("SHARED_FILES_STEP", "8"))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("shared"))
    reports = home.path / "landing/reports"
    dicoms = home.path / "landing/dicoms"
    for folder in (reports, dicoms):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in FILES.rglob("*") if path.is_file())[::STEP]):
        shutil.copyfile(path, dicoms / f"{number:03}-{path.name}")
    (reports / "generated.csv").write_bytes(make_reports_for(dicoms, share=1 / 3, seed=7))
    hospital = {
        "id": "shared-files",
        "number": 1,
        "buckets": {"dicoms": "landing/dicoms", "reports": "landing/reports"},
        "report_columns": {role: role for role in GENERATED_ROLES},
        "encoding": "utf-8",
        "date_order": "ymd",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": "hospital/shared-files",
    }
    (home.path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [hospital]}))
    home.gradient("doctor", "--mend", expect=None)
    home.gradient("run")
    return home


def test_in_is_out_plus_quarantined(home):
    summary = summarize(home.resources.warehouse, "shared-files")
    objects = sum(1 for _ in (home.path / "landing/dicoms").iterdir())
    assert summary.objects_in == objects > 400 / STEP
    assert summary.objects_in == summary.objects_out + summary.objects_quarantined
    assert summary.reports_in == summary.reports_out + summary.reports_quarantined > 0
    found = balances(home.resources.warehouse, "shared-files", objects, files=1)
    assert [balance for balance in found if not balance.holds] == []


def test_each_refusal_has_a_fixed_code_with_an_explanation_and_none_is_a_surprise(home):
    reasons = summarize(home.resources.warehouse, "shared-files").reasons
    assert reasons
    assert all(EXPLANATIONS[Reason(reason)].meaning for reason in reasons)
    unforeseen = {
        Reason.INTERNAL_ERROR,
        Reason.BOUNDARY_REFUSED,
        Reason.HEADER_ENGINE_FAILED,
        Reason.PIXEL_ENGINE_FAILED,
        Reason.WORKER_DIED,
    }
    assert not {Reason(reason) for reason in reasons} & unforeseen


def test_most_files_come_out_and_reports_are_linked(home):
    summary = summarize(home.resources.warehouse, "shared-files")
    assert summary.searchable > 0.6 * summary.objects_in
    rows = [row for batch in home.resources.warehouse.scan(FINAL_TABLE) for row in batch.to_pylist()]
    assert sum(row["report_count"] > 0 for row in rows) > 0.1 * len(rows)
    assert home.resources.warehouse.count(PUBLIC_TABLE) == len(rows)
