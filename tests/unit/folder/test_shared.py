"""Real files and reports with gold spans through the command."""

import csv
import json
import subprocess
import sys

import pydicom
import pytest

from gradient_assets.deid.reasons import Reason
from tests.shared import SHARED, needs_shared
from tests.unit.folder.conftest import files_under, read_csv

FILES = 20
LARGEST_BYTES = 600_000  # the large ones have hundreds of frames: minutes on two cores
REPORTS = 60
pytestmark = [needs_shared, pytest.mark.shared]


def test_real_files_end_in_the_output_or_with_a_reason(place):
    found = sorted(path for path in (SHARED / "data" / "dicom").rglob("*") if path.suffix not in (".csv", ".json"))
    small = [path for path in found if path.is_file() and path.stat().st_size < LARGEST_BYTES]
    sample = small[:: len(small) // FILES][:FILES]
    for path in sample:
        (place.source / path.name).write_bytes(path.read_bytes())
    result = place.run("--profile", "longitudinal")
    assert result.exit_code in (0, 3), result.stderr
    assert [row["input_path"] for row in place.rows] == sorted(path.name for path in sample)
    delivered = [row for row in place.rows if row["status"] == "ok"]
    assert {row["reason"] for row in place.rows} <= {"", *Reason}
    assert not {"internal_error", "header_engine_failed", "worker_died"} & {row["reason"] for row in place.rows}
    assert len(delivered) == len(files_under(place.out / "dicom")) >= FILES // 2
    for row in delivered:
        cleaned = pydicom.dcmread(place.out / row["output_path"])
        assert cleaned.SOPInstanceUID == cleaned.file_meta.MediaStorageSOPInstanceUID == row["new_sop_instance_uid"]
        assert cleaned.get("PatientID", row["new_patient_id"]) == row["new_patient_id"] != row["old_patient_id"]


@pytest.mark.parametrize("replace", ["tags", "surrogates"])
def test_reports_with_gold_spans_score_as_they_should(place, tmp_path, replace):
    source = SHARED / "data" / "reports"
    rows = read_csv(source / "reports.csv")[:REPORTS]
    with (tmp_path / "reports.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    gold = (source / "gold.jsonl").read_text().splitlines()
    wanted = {row["report_id"] for row in rows}
    (tmp_path / "gold.jsonl").write_text("\n".join(line for line in gold if json.loads(line)["report_id"] in wanted))
    columns = "report_id=report_id,accession_number=accession_number,text=report_text"
    result = place.run(
        *("--reports", tmp_path / "reports.csv", "--columns", columns, "--identifiers", source / "structured.csv"),
        *("--replace", replace, "--keep-report-id", "--profile", "longitudinal"),
    )
    assert result.exit_code in (0, 3), result.stderr
    score = [sys.executable, SHARED / "tools" / "score_reports.py", tmp_path, "--text", place.out / "reports.csv"]
    subprocess.run([*score, "--json", tmp_path / "score.json"], check=True, capture_output=True)
    scores = json.loads((tmp_path / "score.json").read_text())
    assert scores["overall"] > 0.95
    assert scores["clinical_over"] < 0.02
