"""The embedded warehouse: partitions replaced whole, equal bytes for equal rows, zones kept apart."""

import datetime
import errno
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_assets.tables import Column, TableSpec
from resources.warehouses.warehouse import EmbeddedWarehouse, WarehouseError, ZoneRefused

TOKEN = Column("work_token", "STRING", "token", required=True)
INSTANCES = TableSpec(
    "instances",
    "identified",
    "one row per instance",
    (
        Column("hospital_id", "STRING", "partition", required=True),
        TOKEN,
        Column("uid", "STRING", "uid"),
        Column("size", "INT64", "bytes"),
        Column("ratio", "FLOAT64", "a share"),
        Column("ok", "BOOL", "a flag"),
        Column("seen", "DATE", "a day"),
        Column("at", "TIMESTAMP", "a moment"),
    ),
    ("uid",),
)
STUDIES = TableSpec(
    "studies",
    "deidentified",
    "one row per study",
    (
        Column("hospital_id", "STRING", "partition"),
        Column("uid", "STRING", "uid"),
        Column("total", "INT64", "how many"),
    ),
    ("uid",),
)


def row(token, uid, **more):
    return {"hospital_id": "a", "work_token": token, "uid": uid, **more}


@pytest.fixture
def warehouse(tmp_path):
    return EmbeddedWarehouse(tmp_path, specs=(INSTANCES, STUDIES))


@pytest.fixture
def shard(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()

    def write(*rows, spec=INSTANCES, schema=None):
        path = folder / f"{len(os.listdir(folder))}.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema or spec.arrow_schema), path)
        return path.as_uri()

    return write


def rows_of(warehouse, partition="a"):
    return [found for batch in warehouse.scan(INSTANCES, partition) for found in batch.to_pylist()]


def uids(warehouse, partition="a"):
    return [found["uid"] for found in rows_of(warehouse, partition)]


def test_a_partition_keeps_dropped_tokens_out_and_takes_the_shards_in(warehouse, shard):
    assert warehouse.replace(INSTANCES, "a", shards=[shard(row("t1", "1"), row("t2", "2"), row("t3", "3"))]) == 3
    assert warehouse.tokens(INSTANCES, "a") == {"t1", "t2", "t3"}
    changed = shard(row("t2", "2-new"), row("t4", "0"))
    assert warehouse.replace(INSTANCES, "a", shards=[changed], drop_tokens={"t1"}) == 3
    assert uids(warehouse) == ["0", "2-new", "3"]
    assert warehouse.count(INSTANCES, "a") == 3


def test_committing_the_same_shards_twice_changes_nothing(warehouse, shard):
    fresh = shard(row("t1", "1"), row("t1", "1b"))
    warehouse.replace(INSTANCES, "a", shards=[fresh])
    before = warehouse.content_digest(INSTANCES, "a")
    warehouse.replace(INSTANCES, "a", shards=[fresh])
    assert warehouse.content_digest(INSTANCES, "a") == before


def test_all_types_come_back_as_they_went_in(warehouse, shard):
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, datetime.UTC)
    full = row("t", "ü\x00\n名", size=-(2**63), ratio=1e-300, ok=False, seen=datetime.date(1890, 1, 1), at=moment)
    empty = row("t", None, size=None, ratio=None, ok=None, seen=None, at=None)
    warehouse.replace(INSTANCES, "a", shards=[shard(full, empty)])
    assert rows_of(warehouse) == [empty, full]


def test_equal_rows_are_equal_bytes_however_the_workers_cut_them(tmp_path, shard):
    rows = [row(f"t{n % 7}", f"{n % 5000:05}", size=n % 3, ratio=n / 7) for n in range(20_000)]
    digests = set()
    for attempt, shards in enumerate((1, 3, 11)):
        shuffled = rows[:]
        random.Random(attempt).shuffle(shuffled)
        warehouse = EmbeddedWarehouse(tmp_path / str(attempt))
        warehouse.replace(INSTANCES, "a", shards=[shard(*shuffled[n::shards]) for n in range(shards)])
        digests.add(warehouse.content_digest(INSTANCES, "a"))
    assert len(digests) == 1


def test_equal_rows_are_equal_bytes_after_any_history(tmp_path, shard):
    once, slowly = EmbeddedWarehouse(tmp_path / "once"), EmbeddedWarehouse(tmp_path / "slowly")
    everything = [row(f"t{n}", f"{n:03}") for n in range(100)]
    once.replace(INSTANCES, "a", shards=[shard(*everything)])
    slowly.replace(INSTANCES, "a", shards=[shard(*everything[50:], row("gone", "x"))])
    slowly.replace(INSTANCES, "a", shards=[shard(*everything[:60])], drop_tokens=["gone"])
    assert slowly.content_digest(INSTANCES, "a") == once.content_digest(INSTANCES, "a")
    slowly.replace(INSTANCES, "a", shards=[], drop_tokens=["t5"])
    assert slowly.content_digest(INSTANCES, "a") != once.content_digest(INSTANCES, "a")


def test_more_rows_than_a_row_group_are_all_there_in_order(warehouse, shard):
    many = [row("t", f"{n:06}") for n in random.Random(1).sample(range(150_000), 150_000)]
    assert warehouse.replace(INSTANCES, "a", shards=[shard(*many)]) == 150_000
    assert uids(warehouse) == [f"{n:06}" for n in range(150_000)]


def test_a_partition_without_rows_is_written_and_read(warehouse):
    assert warehouse.replace(INSTANCES, "a", shards=[]) == 0
    assert warehouse.partitions(INSTANCES) == ["a"]
    assert rows_of(warehouse) == []


def test_a_table_that_nobody_wrote_is_empty(warehouse):
    assert warehouse.query("SELECT uid FROM identified.instances").num_rows == 0
    assert warehouse.tokens(INSTANCES, "a") == set()
    assert warehouse.count(INSTANCES, "a") == 0
    assert list(warehouse.scan(INSTANCES)) == []
    assert warehouse.replace_from_query(STUDIES, "a", "SELECT hospital_id, uid FROM identified.instances") == 0


def test_a_column_added_later_is_null_in_old_rows(warehouse, shard):
    old = pa.schema([field for field in INSTANCES.arrow_schema if field.name not in ("size", "at")])
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t1", "1"), schema=old)])
    path = warehouse.home / "identified" / "warehouse" / "instances" / "b.parquet"
    pq.write_table(pa.Table.from_pylist([row("t2", "2", size=5)], schema=INSTANCES.arrow_schema), path)
    pq.write_table(pq.read_table(path).drop_columns(["ratio"]), path)
    sizes = warehouse.query("SELECT uid, size, ratio FROM identified.instances ORDER BY uid").to_pylist()
    assert sizes == [{"uid": "1", "size": None, "ratio": None}, {"uid": "2", "size": 5, "ratio": None}]
    assert warehouse.replace(INSTANCES, "b", shards=[shard(row("t3", "3", size=7))]) == 2
    assert [(found["size"], found["ratio"]) for found in rows_of(warehouse, "b")] == [(5, None), (7, None)]


def test_sums_and_literals_have_the_types_that_bigquery_gives_them(warehouse, shard):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1", size=2**62), row("t", "2", size=3))])
    asked = (
        "SELECT SUM(size) AS sum, COUNTIF(size > 3) AS large, 0.5 AS half, COUNT(*) AS total FROM identified.instances"
    )
    found = warehouse.query(asked)
    assert found.schema.types == [pa.int64(), pa.int64(), pa.float64(), pa.int64()]
    assert found.to_pylist() == [{"sum": 2**62 + 3, "large": 1, "half": 0.5, "total": 2}]


def test_a_sum_that_bigquery_could_not_hold_is_refused(warehouse, shard):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1", size=2**62), row("t", "2", size=2**62))])
    with pytest.raises(WarehouseError) as caught:
        warehouse.query("SELECT SUM(size) AS sum FROM identified.instances")
    assert str(2**63) not in "".join(traceback.format_exception(caught.value))


def test_a_result_is_matched_by_name_and_an_unknown_column_is_refused(warehouse, shard):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"), row("t", "2"), row("u", "2"))])
    sql = "SELECT COUNT(*) AS total, uid FROM identified.instances WHERE work_token = @token GROUP BY uid"
    assert warehouse.replace_from_query(STUDIES, "a", sql, {"token": "t", "unused": 1}) == 2
    assert [r for b in warehouse.scan(STUDIES, "a") for r in b.to_pylist()] == [
        {"hospital_id": None, "uid": "1", "total": 1},
        {"hospital_id": None, "uid": "2", "total": 1},
    ]
    with pytest.raises(WarehouseError, match="stranger"):
        warehouse.replace_from_query(STUDIES, "a", "SELECT uid, 1 AS stranger FROM identified.instances")


def test_a_missing_parameter_is_an_error(warehouse):
    with pytest.raises(WarehouseError, match="token"):
        warehouse.query("SELECT uid FROM identified.instances WHERE work_token = @token")


def test_a_failed_write_leaves_the_old_partition_and_nothing_beside(warehouse, shard):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    before = warehouse.content_digest(INSTANCES, "a")
    nullable = pa.schema([field.with_nullable(True) for field in INSTANCES.arrow_schema])
    with pytest.raises(WarehouseError, match="hospital_id"):
        warehouse.replace(INSTANCES, "a", shards=[shard({"work_token": "u", "uid": "2"}, schema=nullable)])
    with pytest.raises(WarehouseError):
        warehouse.replace(INSTANCES, "a", shards=["file:///nowhere/shard.parquet"])
    assert warehouse.content_digest(INSTANCES, "a") == before
    folder = warehouse.home / "identified" / "warehouse" / "instances"
    assert sorted(os.listdir(folder)) == [".a.lock", "a.parquet"]


def test_no_error_quotes_a_value(warehouse, shard):
    texts = pa.schema([("hospital_id", pa.string()), ("work_token", pa.string()), ("size", pa.string())])
    bad = shard({"hospital_id": "a", "work_token": "t", "size": "DOE^JANE"}, schema=texts)
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "DOE^JANE"))])
    attempts = [
        lambda: warehouse.replace(INSTANCES, "b", shards=[bad]),
        lambda: warehouse.query("SELECT CAST(uid AS INT64) AS n FROM identified.instances"),
        lambda: warehouse.query("SELECT CAST(uid AS DATE) AS n FROM identified.instances"),
        lambda: warehouse.replace_from_query(STUDIES, "a", "SELECT uid AS total FROM identified.instances"),
    ]
    for attempt in attempts:
        with pytest.raises(WarehouseError) as caught:
            attempt()
        assert "DOE" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None


@pytest.mark.parametrize("partition", ["", "../a", "a/b", ".hidden", "a b", "*"])
def test_a_partition_name_that_leads_elsewhere_is_refused(warehouse, partition):
    for call in (warehouse.tokens, warehouse.count, warehouse.drop, warehouse.content_digest, warehouse.location):
        with pytest.raises(WarehouseError):
            call(INSTANCES, partition)


def test_a_warehouse_opens_its_own_zones_only(warehouse, shard, tmp_path):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    public = EmbeddedWarehouse(tmp_path, zones=("public", "deidentified"), specs=warehouse.specs)
    path = warehouse.home / "identified" / "warehouse" / "instances" / "a.parquet"
    calls = [
        lambda: list(public.scan(INSTANCES, "a")),
        lambda: public.tokens(INSTANCES, "a"),
        lambda: public.count(INSTANCES),
        lambda: public.replace(INSTANCES, "a", shards=[]),
        lambda: public.query("SELECT uid FROM identified.instances"),
        lambda: public.replace_from_query(STUDIES, "a", "SELECT uid FROM identified.instances"),
        lambda: public.search(INSTANCES, "uid", "1"),
        lambda: public.drop(INSTANCES, "a"),
        lambda: public.content_digest(INSTANCES, "a"),
        lambda: public.location(INSTANCES),
        lambda: public.staging("identified", "run"),
    ]
    for call in calls:
        with pytest.raises(ZoneRefused):
            call()
    for sql in (f"SELECT * FROM read_parquet('{path}')", f"SELECT * FROM `{path}`", f"SELECT * FROM public.`{path}`"):
        with pytest.raises(WarehouseError):
            public.query(sql)
    assert warehouse.count(INSTANCES) == 1


def test_the_database_itself_reads_no_other_file(warehouse, tmp_path):
    outside = tmp_path / "outside.parquet"
    pq.write_table(pa.table({"a": [1]}), outside)
    with warehouse._opened() as opened, pytest.raises(Exception, match="disabled by configuration"):
        opened.database.execute(f"SELECT * FROM read_parquet('{outside}')")
    with warehouse._opened() as opened, pytest.raises(Exception, match=r"locked|disabled"):
        opened.database.execute("SET enable_external_access = true")


def test_a_query_sees_a_partition_before_or_after_its_replacement_and_nothing_between(warehouse, shard, tmp_path):
    """DuckDB reads the footer and the rows by the file's name, at different times."""
    few = [row(f"t{n}", f"{n:05}") for n in range(3)]
    many = [row(f"t{n}", f"{n:05}" * 40) for n in range(4_000)]
    files = []
    for number, rows in enumerate((few, many)):
        warehouse.replace(INSTANCES, "a", shards=[shard(*rows)], drop_tokens=warehouse.tokens(INSTANCES, "a"))
        files.append(tmp_path / f"{number}.parquet")
        shutil.copy(warehouse.home / "identified/warehouse/instances/a.parquet", files[-1])
    place, ended = warehouse.home / "identified/warehouse/instances/a.parquet", threading.Event()

    def replace_all_the_time():
        while not ended.is_set():
            for file in files:
                shutil.copy(file, tmp_path / "next.parquet")
                os.replace(tmp_path / "next.parquet", place)

    replacing = threading.Thread(target=replace_all_the_time)
    replacing.start()
    try:
        sql = "SELECT COUNT(*) AS n, MAX(LENGTH(uid)) AS longest FROM identified.instances"
        found = {(seen["n"], seen["longest"]) for _ in range(150) for seen in warehouse.query(sql).to_pylist()}
    finally:
        ended.set()
        replacing.join()
    assert found <= {(3, 5), (4_000, 200)}
    assert not [path for path in (warehouse.home / "identified/staging").rglob("*") if path.is_file()]


def test_where_files_can_not_be_linked_they_are_copied(warehouse, shard, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    monkeypatch.setattr(os, "link", no_links)
    assert warehouse.query("SELECT uid FROM identified.instances").to_pylist() == [{"uid": "1"}]


def test_the_identified_zone_is_closed_to_other_users(warehouse):
    warehouse.replace(INSTANCES, "a", shards=[])
    assert (warehouse.home / "identified").stat().st_mode & 0o077 == 0


def test_a_dropped_partition_is_gone_and_may_be_dropped_again(warehouse, shard):
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    warehouse.drop(INSTANCES, "a")
    warehouse.drop(INSTANCES, "a")
    assert warehouse.partitions(INSTANCES) == []


def test_staging_is_fresh_each_time_and_gone_afterwards(warehouse):
    with warehouse.staging("identified", "run-1") as one, warehouse.staging("identified", "run-1") as two:
        one.bucket.put("shard", b"1")
        (one.bucket.address.folder / ".gradient-0.part").write_bytes(b"of a killed worker")
        assert [found.key for found in two.bucket.listing()] == []
        assert one.uri.startswith((warehouse.home / "identified" / "staging" / "run-1").as_uri())
    assert os.listdir(warehouse.home / "identified" / "staging") == []


def test_staging_of_a_dead_run_is_swept_after_a_day_and_a_young_one_stays(warehouse):
    root = warehouse.home / "identified" / "staging"
    for run, age_s in (("dead", 25 * 3600), ("alive", 60)):
        (root / run / "x").mkdir(parents=True)
        shard = root / run / "x" / "shard"
        shard.write_bytes(b"")
        os.utime(shard, (time.time() - age_s, time.time() - age_s))
    with warehouse.staging("identified", "new"):
        assert sorted(os.listdir(root)) == ["alive", "new"]


def test_what_a_killed_writer_left_half_done_is_written_over(warehouse, shard):
    folder = warehouse.home / "identified" / "warehouse" / "instances"
    folder.mkdir(parents=True)
    (folder / ".gradient-a.part").write_bytes(b"half a file")
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    assert uids(warehouse) == ["1"]
    assert sorted(os.listdir(folder)) == [".a.lock", "a.parquet"]


@pytest.mark.parametrize("run_id", ["", "../x", "a/b"])
def test_a_run_id_that_leads_elsewhere_is_refused(warehouse, run_id):
    with pytest.raises(WarehouseError):
        warehouse.staging("identified", run_id)


def test_writers_of_one_partition_lose_no_rows(warehouse, shard):
    shards = [shard(*(row(f"t{n}-{i}", f"{n}-{i}") for i in range(50))) for n in range(8)]
    threads = [
        threading.Thread(target=warehouse.replace, args=(INSTANCES, "a"), kwargs={"shards": [one]}) for one in shards
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.count(INSTANCES, "a") == 400


WRITER = """
import sys
from pathlib import Path
from gradient_assets.tables import Column, TableSpec
from resources.warehouses.warehouse import EmbeddedWarehouse
spec = TableSpec("t", "identified", "", (Column("hospital_id", "STRING", ""), Column("n", "INT64", "")), ("n",))
warehouse = EmbeddedWarehouse(Path(sys.argv[1]), specs=(spec,))
for _ in range(10):
    warehouse.replace_from_query(
        spec, sys.argv[2], "SELECT @p AS hospital_id, 1 AS n", {"p": sys.argv[2]}
    )
    assert warehouse.query("SELECT COUNT(*) AS n FROM identified.t").to_pylist()[0]["n"] >= 1
"""


def test_processes_write_different_partitions_while_others_read(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    root = Path(__file__).parents[3]
    writers = [subprocess.Popen([*command, f"h{n}"], cwd=root, stderr=subprocess.PIPE) for n in range(3)]
    errors = [writer.communicate()[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], errors
    folder = tmp_path / "identified" / "warehouse" / "t"
    assert [pq.read_table(folder / f"h{n}.parquet").to_pylist() for n in range(3)] == [
        [{"hospital_id": f"h{n}", "n": 1}] for n in range(3)
    ]


@pytest.mark.parametrize("home", ["with blank", "it's", "[a]", "star*", "ü", "100%20"])
def test_the_home_may_have_any_name(tmp_path, shard, home):
    (tmp_path / "star-other").mkdir()
    warehouse = EmbeddedWarehouse(tmp_path / home, specs=(INSTANCES,))
    warehouse.replace(INSTANCES, "a", shards=[shard(row("t", "1"))])
    assert warehouse.query("SELECT uid FROM identified.instances").to_pylist() == [{"uid": "1"}]


TEXTS = {
    "1": "Pneumonia in the left lower lobe.",
    "2": "No pneumothorax. Lobes are clear.",
    "3": "Left lung: pneumonia, pneumonia, pneumonia.",
    "4": None,
}


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        ("pneumonia", ["3", "1"]),
        ("left pneumonias", ["3", "1"]),  # stemmed, all words
        ("lobe", ["2", "1"]),
        ("lobe pneumonia", ["1"]),
        ("the", ["1"]),  # no word is too common
        ("fracture", []),
        ("", []),
        ("'; DROP TABLE searched; --", []),
    ],
)
def test_search_finds_rows_with_all_words_best_first(warehouse, shard, terms, found):
    report = TableSpec(
        "reports", "public", "reports", (Column("id", "STRING", "id"), Column("text", "STRING", "text")), ("id",)
    )
    rows = [{"id": key, "text": text} for key, text in TEXTS.items()]
    warehouse.replace(report, "a", shards=[shard(*rows, spec=report)])
    result = warehouse.search(report, "text", terms)
    assert result.column_names == ["id", "text", "score"]
    assert [r["id"] for r in result.to_pylist()] == found
    assert warehouse.search(report, "text", terms, limit=1).num_rows == min(1, len(found))


def test_search_in_a_column_that_is_not_there_is_refused(warehouse):
    with pytest.raises(WarehouseError):
        warehouse.search(INSTANCES, 'uid"; --', "1")
