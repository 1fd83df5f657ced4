"""How many records a file of reports has is kept when it is read: one that is lost on the way shows, wherever it is lost."""

import json
from dataclasses import dataclass

import pytest

from gradient_assets.checks.reconciliation import balances
from gradient_assets.deid import text
from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.reports import ReadReports
from gradient_assets.pipelines.shards import GroupResult
from gradient_assets.pipelines.stage import StageRun
from gradient_assets.pipelines.steps import Emitted, RefusedRecord, WorkItem
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.tables import REPORT_FILES
from resources.buckets.object_store import Bucket, BucketAddress
from resources.engines.beam import BeamEngine
from resources.warehouses.warehouse import EmbeddedWarehouse

COLUMNS = {"report_id": "Id", "text": "Report", "patient_id": "MRN"}
HOSPITAL = Hospital("st-mary", 1, "", "", COLUMNS, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
FILES = {
    "good.csv": "Id,MRN,Report\n1,P1,Clear.\n2,P1,Clear.\n3,P2,Clear.\n",
    "bad row.csv": "Id,MRN,Report\n4,P1,Clear.\n5,P1\n",
    "all bad.csv": "Id,MRN,Report\n6\n7\n",
    "whole file bad.csv": "Number,Words\n8,Clear.\n",
}
RECORDS = {"good.csv": 3, "bad row.csv": 2, "all bad.csv": 2}


class Withdraws:
    """Tombstones of one patient, by the plain id."""

    def covers_report(self, row):
        return row["patient_id"] == "P2"


@dataclass
class Loses(ReadReports):
    """The step with a bug in its loop: of what it should pass on, one kind is lost or doubled once."""

    kind: type = Emitted
    times: int = 0

    def apply(self, item):
        changed = False
        for emitted in super().apply(item):
            hit = isinstance(emitted, self.kind) and getattr(emitted, "into", None) is None and not changed
            changed = changed or hit
            yield from [emitted] * (self.times if hit else 1)


@dataclass
class InThisProcess(StageRun):
    """A stage without Beam and without worker processes."""

    def _process(self, step, worklist, places, writes):
        chunks = [places["identified"].bucket.get(chunk).decode() for chunk in worklist.chunks]
        items = [json.loads(line) for chunk in chunks for line in chunk.splitlines()]
        return StepRunner(step, self.hospitals, places).run(items) if items else GroupResult()


def read(folder, step=ReadReports, **settings):
    """The files through the stage; the two balances of what was read."""
    bucket = Bucket(BucketAddress(str(folder / "landing")))
    for key, content in FILES.items():
        bucket.put(key, content.encode())
    warehouse = EmbeddedWarehouse(folder / "home")
    items = [
        WorkItem(
            work_token=stat.key, object_key=stat.key, object_pseudonym=stat.key, hospital_id="st-mary",
            etag=stat.etag, size=stat.size,
        )
        for stat in bucket.listing()
    ]  # fmt: skip
    stage = InThisProcess(warehouse, BeamEngine(), "st-mary", "r", {"st-mary": HOSPITAL})
    stage.run(step(HOSPITAL, bucket, withdrawn=Withdraws(), **settings), items)
    return warehouse, balances(warehouse, "st-mary", 0, len(FILES))[1:3]


def test_each_file_that_could_be_read_has_its_number_of_records(tmp_path):
    warehouse, (files, records) = read(tmp_path)
    kept = [row for batch in warehouse.scan(REPORT_FILES, "st-mary") for row in batch.to_pylist()]
    assert {row["work_token"]: row["records"] for row in kept} == RECORDS
    assert files.line == "identified_reports: 4 files in, 3 out, 1 quarantined, 0 withdrawn"
    assert (records.given, records.out, records.quarantined, records.withdrawn) == (7, 3, 3, 1)
    assert files.holds
    assert records.holds


@pytest.mark.parametrize(("kind", "uneven"), [(Emitted, 2), (RefusedRecord, 3)])
@pytest.mark.parametrize("times", [0, 2], ids=["lost", "doubled"])
def test_a_record_that_the_loop_loses_or_doubles_does_not_add_up(tmp_path, kind, uneven, times):
    _, (files, records) = read(tmp_path, Loses, kind=kind, times=times)
    assert (files.holds, records.holds) == (True, False)
    assert records.uneven == uneven


def test_a_record_that_the_parser_swallows_does_not_add_up(tmp_path, monkeypatch):
    parser = text.read_reports
    monkeypatch.setattr(text, "read_reports", lambda *given: (row for row in parser(*given) if row.row_number != 1))
    _, (files, records) = read(tmp_path)
    assert files.holds
    assert records.uneven == len(RECORDS)


def test_a_file_that_was_read_before_records_were_counted_is_read_again():
    assert ReadReports(HOSPITAL, None).version != f"reports-{text.ENGINE_VERSION}"


def test_the_number_of_the_last_record_is_kept_also_if_all_are_refused(tmp_path):
    bucket = Bucket(BucketAddress(str(tmp_path)))
    bucket.put("a.csv", FILES["all bad.csv"].encode())
    (stat,) = bucket.listing()
    item = WorkItem(work_token="t", object_key="a.csv", etag=stat.etag, size=stat.size)
    *refused, counted = ReadReports(HOSPITAL, bucket).apply(item)
    assert [one.reason for one in refused] == [Reason.MALFORMED_ROW] * 2
    assert (counted.into, counted.row["records"]) == (REPORT_FILES, 2)
