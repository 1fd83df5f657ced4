"""In = out + quarantined + withdrawn: what was lost or doubled at any stage shows, what was withdrawn does not."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_assets.checks import reconciliation
from gradient_assets.checks.reconciliation import FINE, REMEDY, balances, outcome, settled
from gradient_assets.deid.identity import SecretKey
from gradient_assets.integrity import given
from gradient_assets.integrity.recorded import RecordedWarehouse
from gradient_assets.integrity.records import announce, withdraw
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    MADE_THUMBNAILS,
    PIXEL_TEXT,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_THUMBNAILS,
    REPORT_FILES,
)
from gradient_assets.withdrawals.register import AT_WORK, register_bucket
from gradient_assets.withdrawals.sweep import forget_unread
from resources.buckets.object_store import Bucket, BucketAddress
from resources.warehouses.warehouse import EmbeddedWarehouse

FILLER = {"STRING": "x", "INT64": 0, "FLOAT64": 0.0, "BOOL": False, "DATE": date(2020, 1, 1)}
OBJECTS, FILES = 6, 3
RECORDS = "records of the files that were read"

PARTITION = {
    # Of six objects one can't be read and one is withdrawn; of the other four one header and one picture are refused.
    DICOM_METADATA: [{"work_token": f"d{n}", "sop_instance_uid": f"d{n}"} for n in range(4)],
    REFUSED_METADATA: [
        {"work_token": "r0", "reason": "not_dicom"},
        {"work_token": "r1", "reason": "withdrawn"},
    ],
    DEIDENTIFIED_METADATA: [{"work_token": f"m{n}", "sop_instance_uid": f"m{n}"} for n in range(3)],
    REFUSED_DEIDENTIFIED_METADATA: [{"work_token": "m3", "reason": "duplicate_sop_instance"}],
    PIXEL_TEXT: [{"work_token": f"p{n}", "sop_instance_uid": f"m{n}", "box": box} for n in range(2) for box in (0, 1)],
    REFUSED_THUMBNAILS: [{"work_token": "p2", "reason": "undecodable_pixels"}],
    FINAL_TABLE: [{"sop_instance_uid": f"m{n}"} for n in range(2)],
    # Three files: of one two records are in, one is refused and one withdrawn; one holds a withdrawn patient alone; one can't
    # be read, and nobody knows how many records it has.
    IDENTIFIED_REPORTS: [{"work_token": "f0", "row_number": n} for n in (1, 2)],
    REFUSED_IDENTIFIED_REPORTS: [
        {"work_token": "f0", "reason": "malformed_row", "row_number": 3},
        {"work_token": "f0", "reason": "withdrawn", "row_number": 4},
        {"work_token": "f1", "reason": "withdrawn", "row_number": 1},
        {"work_token": "f2", "reason": "missing_column", "row_number": 0},
    ],
    REPORT_FILES: [{"work_token": "f0", "records": 4}, {"work_token": "f1", "records": 1}],
    DEIDENTIFIED_REPORTS: [{"work_token": f"t{n}"} for n in range(2)],
}


KEY = SecretKey(bytes(32))
STAGES = (
    "dicom_metadata",
    "identified_reports",
    "deidentified_metadata",
    "deidentified_reports",
    "thumbnails",
    "final_table",
)


def record(recorded, spec):
    """As if the rows had been written through the records."""
    with recorded.writing(spec, "st-mary"):
        pass


def filled(folder, tables, drop=False):
    """A warehouse with these rows; what a row does not say is filled with anything."""
    warehouse = EmbeddedWarehouse(folder)
    for spec in tables if drop else ():
        warehouse.drop(spec, "st-mary")
    for spec, rows in tables.items():
        whole = [
            {
                column.name: row.get(
                    column.name,
                    "st-mary" if column.name == "hospital_id" else FILLER[column.type] if column.required else None,
                )
                for column in spec.columns
            }
            for row in rows
        ]
        shard = folder / f"{spec.name}.parquet"
        pq.write_table(pa.Table.from_pylist(whole, spec.arrow_schema), shard)
        warehouse.replace(spec, "st-mary", shards=[str(shard)])
    return warehouse


def broken(found):
    return [one.stage for one in found if not one.holds]


def test_a_hospital_with_refusals_and_withdrawals_adds_up_from_the_buckets_on(tmp_path):
    found = balances(filled(tmp_path, PARTITION), "st-mary", OBJECTS, FILES)
    assert broken(found) == []
    numbers = {(one.stage, one.what): (one.given, one.out, one.quarantined, one.withdrawn) for one in found}
    assert numbers == {
        ("dicom_metadata", "objects"): (6, 4, 1, 1),
        ("identified_reports", "files"): (3, 2, 1, 0),
        ("identified_reports", RECORDS): (5, 2, 1, 2),
        ("deidentified_metadata", "instances"): (4, 3, 1, 0),
        ("deidentified_reports", "reports"): (2, 2, 0, 0),
        ("thumbnails", "instances"): (3, 2, 1, 0),
        ("final_table", "instances"): (2, 2, 0, 0),
        ("st-mary", "objects"): (6, 2, 3, 1),
    }


@pytest.mark.parametrize(
    ("spec", "stages"),
    [
        (DICOM_METADATA, {"dicom_metadata", "deidentified_metadata"}),
        (REFUSED_METADATA, {"dicom_metadata", "st-mary"}),
        (DEIDENTIFIED_METADATA, {"deidentified_metadata", "thumbnails"}),
        (REFUSED_DEIDENTIFIED_METADATA, {"deidentified_metadata", "st-mary"}),
        (REFUSED_THUMBNAILS, {"thumbnails", "st-mary"}),
        (FINAL_TABLE, {"final_table", "st-mary"}),
        (DEIDENTIFIED_REPORTS, {"deidentified_reports"}),
        (IDENTIFIED_REPORTS, {"identified_reports", "deidentified_reports"}),
        (REPORT_FILES, {"identified_reports"}),
        (REFUSED_IDENTIFIED_REPORTS, {"identified_reports"}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_row_that_is_lost_shows_at_its_stage(tmp_path, spec, stages):
    rows = PARTITION[spec][:-1]
    found = balances(filled(tmp_path, {**PARTITION, spec: rows}), "st-mary", OBJECTS, FILES)
    assert set(broken(found)) == stages


@pytest.mark.parametrize(
    ("objects", "files", "stages"),
    [
        (7, 3, ["dicom_metadata", "st-mary"]),
        (5, 3, ["dicom_metadata", "st-mary"]),
        (6, 4, ["identified_reports"]),
        (None, 3, ["dicom_metadata", "st-mary"]),
        (6, None, ["identified_reports"]),
    ],
)
def test_an_object_without_outcome_shows_and_so_does_a_listing_that_nobody_remembers(tmp_path, objects, files, stages):
    assert broken(balances(filled(tmp_path, PARTITION), "st-mary", objects, files)) == stages


def test_a_record_that_is_lost_in_one_file_and_doubled_in_another_shows(tmp_path):
    lost = [
        {"work_token": "f0", "records": 5},
        {"work_token": "f1", "records": 0},
    ]
    found = balances(filled(tmp_path, {**PARTITION, REPORT_FILES: lost}), "st-mary", OBJECTS, FILES)
    assert broken(found) == ["identified_reports"]
    assert "2 files do not add up" in outcome(found).description


def test_the_check_shows_a_line_for_each_stage_and_what_to_do(tmp_path):
    warehouse = filled(tmp_path, PARTITION)
    good, bad = (outcome(balances(warehouse, "st-mary", objects, FILES)) for objects in (OBJECTS, None))
    assert (good.passed, bad.passed) == (True, False)
    assert (good.metadata["gradient/what_to_do"].value, bad.metadata["gradient/what_to_do"].value) == (FINE, REMEDY)
    assert "st-mary: 6 objects in, 2 out, 3 quarantined, 1 withdrawn" in good.description
    assert "dicom_metadata: an unknown number of objects in" in bad.description
    records = [dict(record.data) for record in good.metadata["gradient/balance"].records]
    assert records[-1] == {
        "stage": "st-mary", "what": "objects", "in": 6, "out": 2, "quarantined": 3, "withdrawn": 1, "adds up": True,
    }  # fmt: skip


def test_what_another_run_has_overtaken_warns_and_what_is_lost_blocks(tmp_path):
    lost = {**PARTITION, DEIDENTIFIED_METADATA: PARTITION[DEIDENTIFIED_METADATA][:-1]}
    warehouse = filled(tmp_path, lost)
    all_after = {"deidentified_metadata", "thumbnails", "final_table"}
    for overtaken, severity in ((all_after, "WARN"), ({"thumbnails", "final_table"}, "ERROR"), ((), "ERROR")):
        told = outcome(balances(warehouse, "st-mary", OBJECTS, FILES, overtaken))
        assert (told.passed, told.severity.name) == (False, severity)
    told = outcome(balances(filled(tmp_path, PARTITION), "st-mary", OBJECTS, FILES, all_after))
    assert (told.passed, told.severity.name) == (True, "ERROR")


@dataclass
class Home:
    """What the check asks: a warehouse and the records beside it.  `run` writes down what a run was given for a stage."""

    folder: Path

    def __post_init__(self):
        self.warehouse = filled(self.folder, PARTITION)
        self.partition_records = Bucket(BucketAddress(str(self.folder / "records")))
        self.release_requests = Bucket(BucketAddress(str(self.folder / "requests")))

    def run(self, name, *stages, objects=OBJECTS):
        recorded = RecordedWarehouse(self.warehouse, self.partition_records, name, lambda *_: KEY, {})
        for stage in stages:
            inputs = {"dicom_metadata": objects, "identified_reports": FILES}.get(stage)
            before = given.standing(recorded, "st-mary", stage)
            given.note(recorded, "st-mary", stage, inputs, given.run_before(recorded, "st-mary", stage), before)

    def lose(self, spec):
        filled(self.folder, {spec: PARTITION[spec][:-1]}, drop=True)

    def holds(self, run="r"):
        return outcome(settled(self, "st-mary", run)).passed

    def blocks(self, run="r"):
        told = outcome(settled(self, "st-mary", run))
        return not told.passed and told.severity is dg.AssetCheckSeverity.ERROR


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAUSE_S", 0)
    return Home(tmp_path)


def test_what_a_stage_was_given_is_kept_without_an_event_log(home):
    assert home.blocks()  # nobody has run
    home.run("r", *STAGES)
    assert home.holds()


def test_a_listing_that_cannot_be_read_any_more_blocks_until_the_next_run(home):
    home.run("r", *STAGES)
    home.partition_records.put("_given/st-mary/dicom_metadata.json", b"[]")
    assert home.blocks()
    home.run("r", *STAGES)
    assert home.holds()


def test_a_stage_that_another_run_has_made_again_since_is_no_loss_and_blocks_nothing(home):
    home.run("r", *STAGES)
    home.lose(DICOM_METADATA)  # the other run lists the bucket when one object is gone
    home.run("other", "dicom_metadata", objects=OBJECTS - 1)
    assert (home.holds(), home.blocks()) == (False, False)
    home.run("other", *STAGES[1:])  # and does not carry it on
    assert home.blocks()


def test_what_another_run_loses_is_lost(home):
    home.run("r", *STAGES)
    home.lose(DEIDENTIFIED_METADATA)
    home.run("other", "deidentified_metadata")
    assert home.blocks()


def test_numbers_are_counted_again_while_another_run_commits(home, monkeypatch):
    home.run("r", *STAGES)
    home.lose(FINAL_TABLE)
    announcement = announce(home.partition_records, MADE_THUMBNAILS, "st-mary", "other")

    def commits(_):
        filled(home.folder, {FINAL_TABLE: PARTITION[FINAL_TABLE]}, drop=True)
        withdraw(home.partition_records, [announcement])

    monkeypatch.setattr(reconciliation.time, "sleep", commits)
    assert home.holds()


def test_numbers_are_counted_again_until_a_withdrawal_has_ended(home, monkeypatch):
    home.run("r", *STAGES)
    home.lose(FINAL_TABLE)
    marker = register_bucket(home, "st-mary")
    marker.put(f"{AT_WORK}x", b"")
    pauses = []

    def ends_late(_):
        pauses.append(None)
        if len(pauses) == 2 * reconciliation.LOOKS:
            filled(home.folder, {FINAL_TABLE: PARTITION[FINAL_TABLE]}, drop=True)
            marker.delete(f"{AT_WORK}x")

    monkeypatch.setattr(reconciliation.time, "sleep", ends_late)
    assert home.holds()


def test_a_withdrawal_that_was_killed_is_not_waited_for_without_end(home, monkeypatch):
    home.run("r", *STAGES)
    home.lose(FINAL_TABLE)
    register_bucket(home, "st-mary").put(f"{AT_WORK}x", b"")
    monkeypatch.setattr(reconciliation, "WITHDRAWAL_S", 0)
    assert home.blocks()


def test_a_run_that_was_stopped_while_it_wrote_is_not_waited_for_without_end(home):
    home.run("r", *STAGES)
    home.lose(FINAL_TABLE)
    announce(home.partition_records, MADE_THUMBNAILS, "st-mary", "killed")
    assert home.blocks()


def test_what_a_withdrawal_lets_be_read_again_is_told_and_blocks_nothing(home):
    home.run("r", *STAGES)
    recorded = RecordedWarehouse(home.warehouse, home.partition_records, "withdrawal", lambda *_: KEY, {})
    record(recorded, REFUSED_METADATA)
    before = given.standing(recorded, "st-mary", "dicom_metadata")
    assert forget_unread(recorded, "st-mary") == 1
    assert home.holds()
    assert "1 to be read again by the next run" in outcome(settled(home, "st-mary", "r")).description
    # A run that had planned its work before does not read it either; the next one has to.
    given.note(recorded, "st-mary", "dicom_metadata", OBJECTS, "", before)
    assert home.holds()
    home.run("next", *STAGES)
    assert home.blocks()
