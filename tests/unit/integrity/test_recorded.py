"""Writing through the recorded warehouse: killed anywhere, two at once, on top of what somebody changed."""

from dataclasses import dataclass, field

import pytest

from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import load_registry
from gradient_assets.integrity import records
from gradient_assets.integrity.origins import STAGES
from gradient_assets.integrity.recorded import RecordedWarehouse, is_changed, recorded_warehouse, recording_warehouse
from gradient_assets.integrity.records import IntegrityError
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.release import CleanInstances
from gradient_assets.pipelines.reports import CleanReports, ReadReports
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.releases import Release, save_release
from gradient_assets.tables import (
    ALL_TABLES,
    DICOM_METADATA,
    FINAL_TABLE,
    MADE_METADATA,
    MADE_THUMBNAILS,
    PIXEL_TEXT,
    RELEASE_MANIFEST,
)


class Killed(BaseException):
    """SIGKILL: no handler of ours hears of it."""


@dataclass
class Mortal:
    """Lets so many writing calls pass, and dies before the next one."""

    behind: object
    lives: list = field(default_factory=lambda: [10**6])

    def __getattr__(self, name):
        found = getattr(self.behind, name)
        if name not in ("put", "delete", "replace", "drop"):
            return found

        def call(*arguments, **named):
            self.lives[0] -= 1
            if self.lives[0] < 0:
                raise Killed
            return found(*arguments, **named)

        return call


def one_token(home):
    return sorted(home.resources.warehouse.tokens(DICOM_METADATA, "st-mary"))[0]


@pytest.mark.parametrize("lives", range(5))
def test_killed_anywhere_it_is_as_recorded_or_not_recorded_yet(home, verified, lives):
    key, left = home.resources.key("hospital/st-mary"), [lives]
    dying = RecordedWarehouse(
        Mortal(home.resources.warehouse, left),
        Mortal(home.resources.partition_records, left),
        "r2",
        lambda spec, partition: key,
    )
    gone = one_token(home)
    killed = False
    try:
        dying.replace(DICOM_METADATA, "st-mary", shards=[], drop_tokens=[gone])
    except Killed:
        killed = True
    assert killed == (lives < 4)  # announce, replace, record, withdraw
    code, printed = verified("--hospital", "st-mary")
    assert "changed" not in printed
    if lives in (2,):  # replaced, and killed before the record
        assert code == 3
        assert "identified.dicom_metadata: not recorded yet" in printed
    home.warehouse("r3").replace(DICOM_METADATA, "st-mary", shards=[], drop_tokens=[gone])
    code, printed = verified("--hospital", "st-mary")
    assert code == 0, printed
    assert not list(home.resources.partition_records.listing("_writing/"))


def test_of_two_runs_at_once_the_last_content_is_recorded(home):
    """The slower run has taken its digest; the faster one writes and records before the slower one's record is put."""
    warehouse, ledger = home.resources.warehouse, home.resources.partition_records
    key, gone = home.resources.key("hospital/st-mary"), one_token(home)
    records.put_record(
        overtaken(
            ledger, lambda: home.warehouse("fast").replace(DICOM_METADATA, "st-mary", shards=[], drop_tokens=[gone])
        ),
        warehouse,
        DICOM_METADATA,
        "st-mary",
        key=key,
        run_id="slow",
        versions={},
    )
    record = records.recorded(ledger, DICOM_METADATA, "st-mary")
    assert record.content_sha256 == warehouse.content_digest(DICOM_METADATA, "st-mary")
    assert record.rows == warehouse.count(DICOM_METADATA, "st-mary")


def overtaken(bucket, between):
    class Slow:
        def put(self, key, content, done=[]):  # noqa: B006  once for all calls
            if not done:
                done.append(True)
                between()
            bucket.put(key, content)

    return Slow()


def test_rows_that_somebody_changed_are_not_built_upon(home, verified):
    home.resources.warehouse.replace(DICOM_METADATA, "st-mary", shards=[], drop_tokens=[one_token(home)])
    before = home.resources.warehouse.content_digest(DICOM_METADATA, "st-mary")
    with pytest.raises(IntegrityError, match=r"identified\.dicom_metadata of 'st-mary' is not what was recorded"):
        home.warehouse("r2").replace(DICOM_METADATA, "st-mary", shards=[])
    assert home.resources.warehouse.content_digest(DICOM_METADATA, "st-mary") == before
    code, printed = verified("--drop-changed")
    assert (code, "3 table partitions dropped" in printed) == (3, True)
    assert not home.resources.warehouse.tokens(DICOM_METADATA, "st-mary")
    assert not home.resources.warehouse.tokens(MADE_METADATA, "st-mary")
    home.warehouse("r3").replace(DICOM_METADATA, "st-mary", shards=[])
    assert verified("--hospital", "st-mary")[0] == 0


def without_record(home, spec):
    records.forget(home.resources.partition_records, spec, "st-mary")


WRITES = {
    "replace": lambda warehouse: warehouse.replace(DICOM_METADATA, "st-mary", shards=[]),
    "tokens": lambda warehouse: warehouse.tokens(DICOM_METADATA, "st-mary"),
}


@pytest.mark.parametrize("write", WRITES)
def test_rows_whose_record_was_taken_away_are_not_built_upon(home, verified, write):
    home.resources.warehouse.replace(DICOM_METADATA, "st-mary", shards=[], drop_tokens=[one_token(home)])
    without_record(home, DICOM_METADATA)
    before = home.resources.warehouse.content_digest(DICOM_METADATA, "st-mary")
    with pytest.raises(IntegrityError, match="its record is gone"):
        WRITES[write](home.warehouse("r2"))
    assert home.resources.warehouse.content_digest(DICOM_METADATA, "st-mary") == before
    assert records.recorded(home.resources.partition_records, DICOM_METADATA, "st-mary") is None
    assert "identified.dicom_metadata: changed" in verified("--hospital", "st-mary")[1]
    verified("--drop-changed")
    home.warehouse("r3").replace(DICOM_METADATA, "st-mary", shards=[])
    assert verified("--hospital", "st-mary")[0] == 0


def test_a_broken_file_without_a_record_is_changed(home, verified):
    (home.path / "identified/warehouse/dicom_metadata/st-mary.parquet").write_bytes(b"no Parquet")
    without_record(home, DICOM_METADATA)
    with pytest.raises(IntegrityError, match="its record is gone"):
        home.warehouse("r2").replace(DICOM_METADATA, "st-mary", shards=[])
    assert "identified.dicom_metadata: changed" in verified("--hospital", "st-mary")[1]


def test_a_first_write_that_another_run_is_recording_is_not_changed(home):
    """The other run records and withdraws between this one's looks at record and announcements."""
    ledger = home.resources.partition_records
    without_record(home, DICOM_METADATA)

    class RecordedMeanwhile:
        def get(self, key):
            return ledger.get(key)

        def listing(self, prefix):
            records.record(
                home.resources, DICOM_METADATA, "st-mary", key=home.resources.key("hospital/st-mary"), run_id="other"
            )
            return ledger.listing(prefix)

    assert not is_changed(home.resources.warehouse, RecordedMeanwhile(), DICOM_METADATA, "st-mary")


def test_what_a_query_fills_as_a_whole_is_mended_by_the_next_run(home, verified):
    home.resources.warehouse.replace(FINAL_TABLE, "st-mary", shards=[])
    assert "final_table: not recorded yet" in verified()[1]
    home.warehouse("r2").replace_from_query(FINAL_TABLE, "st-mary", "SELECT * FROM deidentified.final_table")
    assert verified()[0] == 0


def test_a_dropped_partition_leaves_no_record(home):
    home.warehouse("r2").drop(PIXEL_TEXT, "st-mary")
    assert records.recorded(home.resources.partition_records, PIXEL_TEXT, "st-mary") is None
    assert home.resources.warehouse.count(PIXEL_TEXT, "st-mary") == 0


def test_a_warehouse_is_for_one_partition(home):
    warehouse = home.warehouse("r2")
    for call in (
        lambda: warehouse.replace(PIXEL_TEXT, "north", shards=[]),
        lambda: warehouse.replace_from_query(FINAL_TABLE, "north", "SELECT 1"),
        lambda: warehouse.drop(PIXEL_TEXT, "north"),
        lambda: warehouse.replace(RELEASE_MANIFEST, "st-mary", shards=[]),
    ):
        with pytest.raises(ValueError, match="another partition"):
            call()


def test_a_command_writes_each_partition_under_its_own_key(home):
    resources = home.resources
    resources.vault.create("recipient/uni-x")
    save_release(resources.release_requests, Release("spring", "uni-x", "modality = 'MR'"))
    registry = load_registry(home.path / "hospitals.yaml", home=home.path)
    warehouse = recording_warehouse(resources, registry, "withdraw")
    warehouse.replace(PIXEL_TEXT, "st-mary", shards=[])
    warehouse.replace(RELEASE_MANIFEST, "spring", shards=[])
    for spec, partition, name in (
        (PIXEL_TEXT, "st-mary", "hospital/st-mary"),
        (RELEASE_MANIFEST, "spring", "recipient/uni-x"),
    ):
        record = records.recorded(resources.partition_records, spec, partition)
        assert (record.key_id, record.run_id) == (name, "withdraw")


def test_a_key_that_changed_for_any_table_stops_all_of_them(home):
    records.record(
        home.resources, MADE_THUMBNAILS, "st-mary", key=SecretKey(b"o" * 32, "hospital/st-mary", 1), run_id="r"
    )
    with pytest.raises(records.KeyChanged):
        recorded_warehouse(home.resources, "st-mary", home.resources.key("hospital/st-mary"), "r2")


def test_reading_is_the_warehouses_own(home):
    plain, recorded = home.resources.warehouse, home.warehouse("r2")
    assert recorded.tokens(PIXEL_TEXT, "st-mary") == plain.tokens(PIXEL_TEXT, "st-mary")
    assert list(recorded.scan(PIXEL_TEXT)) == list(plain.scan(PIXEL_TEXT))
    assert recorded.count(PIXEL_TEXT) == plain.count(PIXEL_TEXT)
    assert recorded.partitions(PIXEL_TEXT) == ["st-mary"]
    assert recorded.content_digest(PIXEL_TEXT, "st-mary") == plain.content_digest(PIXEL_TEXT, "st-mary")
    assert recorded.location(PIXEL_TEXT) == plain.location(PIXEL_TEXT)
    assert recorded.query("SELECT COUNT(*) AS n FROM deidentified.pixel_text").to_pylist()[0]["n"] > 0
    assert recorded.search(PIXEL_TEXT, "verdict", "redacted").num_rows > 0


def test_every_stage_is_listed_with_its_tables():
    steps = (ReadHeaders, ReadReports, CleanHeaders, CleanReports, MakeThumbnails, CleanInstances)
    listed = {stage.output.name: {spec.name for spec in stage.all} for stage in STAGES}
    assert listed == {
        step.output.name: {spec.name for spec in (step.output, step.made, step.refusals, *step.beside)}
        for step in steps
    }
    assert {spec.name for stage in STAGES for spec in stage.all} <= {spec.name for spec in ALL_TABLES}


def test_an_origin_names_object_version_run_profile_and_what_was_written(home):
    rows = [row for batch in home.resources.warehouse.scan(MADE_THUMBNAILS, "st-mary") for row in batch.to_pylist()]
    assert {row["object_key"] for row in rows} == {
        f"quillfeather/{name}.dcm" for name in ("sure", "doubtful", "missed", "cine")
    }
    for row in rows:
        assert row["object_pseudonym"] == home.identity.token("object", row["object_key"])
        assert row["profile_digest"] == home.step.profile.digest
        assert row["engine_version"] == home.step.version
        assert ".png" in row["objects_json"]
    made = [row for batch in home.resources.warehouse.scan(MADE_METADATA, "st-mary") for row in batch.to_pylist()]
    assert all(row["etag"] for row in made)


@pytest.mark.parametrize("lives", [1, 2, 3])
def test_what_a_killed_write_left_open_is_finished_by_who_has_nothing_to_change(home, verified, lives):
    key, left = home.resources.key("hospital/st-mary"), [lives]
    mortal = (Mortal(one, left) for one in (home.resources.warehouse, home.resources.partition_records))
    with pytest.raises(Killed):
        RecordedWarehouse(*mortal, "r2", lambda spec, partition: key).replace(
            DICOM_METADATA, "st-mary", shards=[], drop_tokens=[one_token(home)]
        )
    ledger = home.resources.partition_records
    assert records.announced(ledger, DICOM_METADATA, "st-mary")
    recorded_warehouse(home.resources, "st-mary", key, "r3").finish(DICOM_METADATA, "st-mary")
    assert records.announced(ledger, DICOM_METADATA, "st-mary") == []
    found = records.recorded(ledger, DICOM_METADATA, "st-mary")
    assert found.content_sha256 == home.resources.warehouse.content_digest(DICOM_METADATA, "st-mary")
