"""Records, origins and `gradient verify` over a whole run of the graph."""

import json

import pytest

from gradient_assets.assets.catalogue import ENTRIES
from gradient_assets.integrity import records
from gradient_assets.integrity.origins import STAGES
from gradient_assets.releases import release_names
from gradient_assets.tables import ALL_TABLES, DICOM_METADATA
from tests.fakes import small_hospital
from tests.graph.forked import Call, ForkedHome, copied

pytestmark = pytest.mark.xdist_group("integrity")

COHORT = ("--recipient", small_hospital.RECIPIENT, "--where", "modality = 'MR'", "--by", "Ada")
CHAIN = (("run",), ("release", "all-mr", *COHORT), ("approve", "all-mr", "--by", "Grace"), ("deliver", "all-mr"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, commands) -> ForkedHome:
    """Two hospitals, and a release of both that is delivered."""
    home = small_hospital.build(tmp_path_factory.mktemp("integrity") / "home", "st-mary", "lakeside")
    for arguments in CHAIN:
        commands.run(Call(home, arguments))
    return ForkedHome(home, commands)


@pytest.fixture
def mine(finished, tmp_path) -> ForkedHome:
    return ForkedHome(copied(finished.path, tmp_path / "home"), finished.commands)


def partitions(home, spec):
    return home.registry.ids if spec.partitioned_by == "hospital" else release_names(home.resources.release_requests)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.table], ids=lambda entry: entry.key)
def test_every_asset_with_a_table_leaves_a_record(finished, entry):
    resources = finished.resources
    for partition in partitions(finished, entry.table):
        record = records.recorded(resources.partition_records, entry.table, partition)
        assert record is not None, f"{entry.key} wrote {partition} without a record"
        assert record.content_sha256 == resources.warehouse.content_digest(entry.table, partition)
        assert record.rows == resources.warehouse.count(entry.table, partition)
        assert record.key_fingerprint == resources.key(record.key_id).fingerprint


def test_every_partition_of_every_table_has_a_record(finished):
    resources = finished.resources
    for spec in ALL_TABLES:
        written = set(resources.warehouse.partitions(spec))
        assert written == records.recorded_partitions(resources.partition_records, spec), spec.full_name


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.output.name)
def test_every_row_has_an_origin_in_a_run_that_there_was(finished, stage):
    rows = finished.resources.warehouse.query(
        f"SELECT o.work_token, m.object_key, m.etag, m.run_id FROM {stage.output.full_name} AS o "
        f"LEFT JOIN {stage.made.full_name} AS m ON m.work_token = o.work_token"
    ).to_pylist()
    assert rows
    assert all(row["object_key"] and row["etag"] and row["run_id"] for row in rows)
    runs = {row["run_id"] for row in rows}
    assert len(runs) == len(partitions(finished, stage.output))


def test_a_finished_run_is_as_recorded(finished):
    done = finished.gradient("verify", "--json")
    found = json.loads(done.stdout)
    assert found["differences"] == []
    assert found["hospitals"] == finished.registry.ids
    assert set(found["releases"]) == set(release_names(finished.resources.release_requests))
    assert found["objects"] > 0
    assert not list(finished.resources.partition_records.listing("_writing/"))


def one_file(home, pattern):
    return sorted(home.path.glob(pattern))[0]


def flip(file):
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)


def test_each_change_is_one_line(mine):
    delivered = sorted((mine.path / "public/releases").glob("*/*/dicom/**/*.dcm"))
    assert len(delivered) > 2, "the release is delivered"
    flip(delivered[0])
    delivered[1].unlink()
    delivered[2].with_name("2.25.4711.dcm").write_bytes(b"x")
    flip(one_file(mine, "deidentified/thumbnails/st-mary/**/*.png"))
    flip(one_file(mine, "deidentified/warehouse/prod/lakeside.parquet"))
    done = mine.gradient("verify", "--json", expect=3)
    found = {(one["place"], one["what"]) for one in json.loads(done.stdout)["differences"]}
    assert found == {
        ("delivered", "changed"),
        ("delivered", "missing"),
        ("delivered", "extra"),
        ("thumbnails", "changed"),
        ("deidentified.prod", "changed"),
    }
    lines = mine.gradient("verify", expect=3).stdout.splitlines()
    assert len([line for line in lines if " changed: " in line or " missing: " in line or " extra: " in line]) == 5


def test_a_run_does_not_build_upon_rows_that_somebody_changed(mine):
    warehouse = mine.resources.warehouse
    wanted = warehouse.content_digest(DICOM_METADATA, "lakeside")
    gone = sorted(warehouse.tokens(DICOM_METADATA, "lakeside"))[:1]
    warehouse.replace(DICOM_METADATA, "lakeside", shards=[], drop_tokens=gone)
    done = mine.gradient("run", "-H", "lakeside", "-s", "dicom_metadata", expect=3)
    assert "identified.dicom_metadata of 'lakeside' is not what was recorded" in done.stderr
    mine.gradient("verify", "-H", "lakeside", "--drop-changed", expect=3)
    mine.gradient("run", "-H", "lakeside", "-s", "dicom_metadata")
    assert warehouse.content_digest(DICOM_METADATA, "lakeside") == wanted
    mine.gradient("verify", "-H", "lakeside")
