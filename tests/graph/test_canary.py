"""Everything that can fail does, with a patient's name in its error; no name stands outside the identified zone.

One run over small hospitals, each of which meets other failures (`tests/fakes/failing`).  That a failure really happened is
told by its reason, and by the sealed diagnostic that holds its name.
"""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
import yaml

from gradient_assets.diagnostics import Diagnostics
from gradient_assets.tables import QUARANTINE
from tests.fakes.failing.planted_names import FAILURES, SMALL_ROWS, name_of
from tests.fakes.small_home import COLUMNS, image
from tests.graph.conftest import Home
from tests.graph.forked import ForkedHome
from tests.graph.outputs import found

pytestmark = pytest.mark.xdist_group("canary")

ITEMS = "broken-items"
WHOLE = {
    "full-disk": "disk",
    "full-staging": "staging",
    "broken-sql": "sql",
    "broken-beam": "beam",
    "broken-asset": "parent",
    "broken-check": "check",
}
"""Hospital → the failure that ends its run."""

REASONS = {
    "header": "not_dicom",
    "csvrow": "malformed_row",
    "detector": "pixel_engine_failed",
    "killed": "worker_died",
    "late": "timed_out",
    "rule": "internal_error",
    "textrule": "internal_error",
    "store": "store_unavailable",
}
"""Failure of one object or row → its code in the quarantine."""

SEALED = ("detector", "rule", "textrule", "disk", "staging", "sql", "beam", "parent", "check")
"""Failures whose error quotes the name: a diagnostic holds it.  A killed worker says nothing any more."""


def dicom(number: int, patient: str, rows: int | None = None) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(image(number, [])))
    ds.PatientName, ds.PatientID = patient, f"ID-{patient.partition('^')[0]}"
    if rows:
        ds.Rows, ds.PixelData = rows, ds.PixelData[: rows * COLUMNS]
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def objects() -> dict[bytes, bytes]:
    """Name and content of each object of the hospital whose objects fail one by one."""
    names = {failure: name_of(failure) for failure in FAILURES}
    return {
        f"{names['header']}.dcm".encode(): f"PATIENT {names['header']}".encode() * 20,
        names["objectname"].encode() + b"\xff\x80#12 (1).dcm": dicom(1, names["objectname"]),
        b"detector.dcm": dicom(2, names["detector"], SMALL_ROWS),
        names["killed"].encode() + b"/killed.dcm": dicom(3, names["killed"]),
        names["late"].encode() + b"/late.dcm": dicom(4, names["late"]),
        b"rule.dcm": dicom(5, names["rule"]),
        names["store"].encode() + b"/denied.dcm": dicom(6, names["store"]),
    }


def reports() -> str:
    short = f'3,"{name_of("csvrow")}","Seen {name_of("csvrow")}",one,two,many'
    whole = f'4,"{name_of("textrule")}","Patient {name_of("textrule")} was seen. The liver is normal in size."'
    return "\n".join(["id,patient,text", short, whole, '5,"Other^One","The lungs are clear. No effusion is seen."', ""])


def write_hospital(home: Path, number: int, hospital: str) -> dict:
    landing = home / "landing" / hospital
    for kind in ("dicoms", "reports"):
        (landing / kind).mkdir(parents=True)
    content = objects() if hospital == ITEMS else {b"one.dcm": dicom(100 + number, name_of(WHOLE[hospital]))}
    for name, raw in content.items():
        path = os.path.join(os.fsencode(landing / "dicoms"), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(raw)
    if hospital == ITEMS:
        (landing / "reports" / "export.csv").write_text(reports())
    return {
        "id": hospital,
        "number": number,
        "buckets": {kind: f"landing/{hospital}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": {"report_id": "id", "text": "text", "patient_name": "patient"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{hospital}",
    }


@dataclass(frozen=True)
class Ended:
    """The home after the run, and all that its commands printed."""

    home: Home
    printed: str


@pytest.fixture(scope="module")
def ended(commands, tmp_path_factory) -> Ended:
    """Every process of the runs meets the failures; their temporary folder is searched too."""
    path = tmp_path_factory.mktemp("canary")
    entries = [write_hospital(path, number, hospital) for number, hospital in enumerate([ITEMS, *WHOLE], start=1)]
    (path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    plain = ForkedHome(path, commands)
    failing = replace(plain, fakes=("failing",), workers=0)  # what a worker prints is closed by who starts it
    outside = {"TMPDIR": str(path / "outside")}
    (path / "outside").mkdir()
    made = plain.gradient("doctor", "--mend", expect=None)
    ran = failing.gradient("run", expect=None, **outside)
    printed = made.stdout + made.stderr + ran.stdout + ran.stderr
    assert ran.returncode == 3, printed
    secret = path / f"identified/secrets/hospital/{ITEMS}.key"
    kept = secret.read_text()
    secret.unlink()
    plain.resources.vault.create(f"hospital/{ITEMS}")
    wrong = failing.gradient("run", "-H", ITEMS, "-s", "dicom_metadata", expect=None, **outside)
    assert wrong.returncode in (2, 3)
    secret.write_text(kept)
    entries[0]["date_order"] = "mdy/"
    (path / "broken.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    registry = {"GRADIENT_HOSPITALS": str(path / "broken.yaml")}
    broken = failing.gradient("run", expect=2, **outside, **registry)
    (path / "broken.yaml").unlink()
    return Ended(plain, "".join([printed, wrong.stdout, wrong.stderr, broken.stdout, broken.stderr]))


def names() -> set[str]:
    whole = {name_of(failure) for failure in FAILURES}
    return whole | {name.partition("^")[0] for name in whole} | {f"ID-{name.partition('^')[0]}" for name in whole}


def sealed_texts(ended: Ended) -> dict[str, str]:
    """The id of each diagnostic, and what it holds."""
    kept = Diagnostics.open(ended.home.resources, "test")
    return {name: kept.show(name, who="test", reason="test").text for name, _ in list(kept.listed())}


def test_no_name_stands_outside_the_identified_zone(ended):
    assert found(ended.home.path, names(), {"stdout and stderr": ended.printed.encode()}) == {}


def test_no_key_stands_outside_the_identified_zone(ended):
    keys = {
        line.partition(":")[2].strip()
        for path in (ended.home.path / "identified/secrets").rglob("*.key")
        for line in path.read_text().splitlines()
    }
    assert len(keys) > len(WHOLE)
    assert found(ended.home.path, keys, {"stdout and stderr": ended.printed.encode()}) == {}


def test_the_search_sees_a_name_in_a_log_a_database_and_a_footer(ended, tmp_path):
    import sqlite3

    import pyarrow as pa
    import pyarrow.parquet as pq

    name = name_of("rule")
    (tmp_path / "dagster").mkdir()
    with sqlite3.connect(tmp_path / "dagster/runs.db") as database:
        database.execute("CREATE TABLE events (text TEXT)")
        database.execute("INSERT INTO events VALUES (?)", (f"failed: {name}",))
    table = pa.table({"x": [1]}).replace_schema_metadata({"written for": name})
    (tmp_path / "public").mkdir()
    pq.write_table(table, tmp_path / "public/t.parquet")
    places = set(found(tmp_path, names(), {"log": name.encode()}))
    assert {"log", "dagster/runs.db", "public/t.parquet"} <= places


def test_each_object_that_failed_has_its_code(ended):
    rows = [row for batch in ended.home.resources.warehouse.scan(QUARANTINE, ITEMS) for row in batch.to_pylist()]
    reasons = {row["reason"] for row in rows}
    assert set(REASONS.values()) <= reasons
    by_key = {row["object_key"].rpartition("/")[2]: row["reason"] for row in rows}
    for failure, key in (("killed", "killed.dcm"), ("late", "late.dcm"), ("rule", "rule.dcm"), ("store", "denied.dcm")):
        assert by_key[key] == REASONS[failure]


@pytest.mark.parametrize("hospital", WHOLE)
def test_each_run_that_failed_says_so(ended, hospital):
    assert any(line.startswith(f"{hospital}: ") for line in ended.printed.splitlines())


def test_the_full_staging_is_met_at_the_shard_that_workers_have_filled(ended):
    said = "full-staging: dicom_metadata: Stage dicom_metadata: internal_error: StoreUnavailable"
    assert [line for line in ended.printed.splitlines() if line.startswith(said)]
    assert [
        text for text in sealed_texts(ended).values() if name_of("staging") in text and "pipelines/shards.py" in text
    ]


@pytest.mark.parametrize("failure", SEALED)
def test_the_text_is_sealed_in_the_identified_zone_under_the_id_that_people_were_told(ended, failure):
    holding = [name for name, text in sealed_texts(ended).items() if name_of(failure) in text]
    assert holding
    details = [
        row["detail"]
        for batch in ended.home.resources.warehouse.scan(QUARANTINE, ITEMS, columns=("detail",))
        for row in batch.to_pylist()
    ]
    told = ended.printed + " ".join(details)
    assert any(name in told for name in holding)


def test_sealed_texts_are_not_readable_as_bytes(ended):
    sealed = b"".join(
        path.read_bytes() for path in (ended.home.path / "identified/diagnostics").rglob("*") if path.is_file()
    )
    assert sealed
    assert [name for name in names() if name.encode() in sealed] == []


def test_nothing_is_left_in_temporary_folders_and_no_core_file(ended):
    left = [path for path in (ended.home.path / "outside").rglob("*") if path.is_file()]
    left += [path for path in (ended.home.path / "identified/tmp").rglob("*") if path.is_file()]
    assert left == []
    assert [path.name for path in ended.home.path.rglob("core*") if path.is_file()] == []


def test_parquet_footers_behind_the_boundary_hold_no_statistics(ended):
    import pyarrow.parquet as pq

    files = [path for zone in ("deidentified", "public") for path in (ended.home.path / zone).rglob("*.parquet")]
    assert files
    for path in files:
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                statistics = metadata.row_group(group).column(column).statistics
                assert statistics is None or not statistics.has_min_max
