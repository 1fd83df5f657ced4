"""In = out + quarantined + withdrawn: what was lost or doubled at any stage shows, what was withdrawn does not."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_assets.checks.reconciliation import FINE, REMEDY, balances, outcome
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_THUMBNAILS,
)
from resources.warehouses.warehouse import EmbeddedWarehouse

FILLER = {"STRING": "x", "INT64": 0, "FLOAT64": 0.0, "BOOL": False, "DATE": date(2020, 1, 1)}
OBJECTS, FILES = 6, 2

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
    # Two files: of one two records are in, one is refused and one withdrawn; the other holds withdrawn patients alone.
    IDENTIFIED_REPORTS: [{"work_token": "f0", "row_number": n} for n in (1, 2)],
    REFUSED_IDENTIFIED_REPORTS: [
        {"work_token": "f0", "reason": "malformed_row", "row_number": 3},
        {"work_token": "f0", "reason": "withdrawn", "row_number": 4},
        {"work_token": "f1", "reason": "withdrawn", "row_number": 1},
    ],
    DEIDENTIFIED_REPORTS: [{"work_token": f"t{n}"} for n in range(2)],
}


def filled(folder, tables):
    """A warehouse with these rows; what a row does not say is filled with anything."""
    warehouse = EmbeddedWarehouse(folder)
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
    numbers = {one.stage: (one.given, one.out, one.quarantined, one.withdrawn) for one in found}
    assert numbers == {
        "dicom_metadata": (6, 4, 1, 1),
        "identified_reports": (2, 1, 0, 1),
        "deidentified_metadata": (4, 3, 1, 0),
        "deidentified_reports": (2, 2, 0, 0),
        "thumbnails": (3, 2, 1, 0),
        "final_table": (2, 2, 0, 0),
        "st-mary": (6, 2, 3, 1),
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
        (7, 2, ["dicom_metadata", "st-mary"]),
        (5, 2, ["dicom_metadata", "st-mary"]),
        (6, 3, ["identified_reports"]),
        (None, 2, ["dicom_metadata", "st-mary"]),
        (6, None, ["identified_reports"]),
    ],
)
def test_an_object_without_outcome_shows_and_so_does_a_listing_that_nobody_remembers(tmp_path, objects, files, stages):
    assert broken(balances(filled(tmp_path, PARTITION), "st-mary", objects, files)) == stages


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
