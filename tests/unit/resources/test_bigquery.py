"""What is sent to BigQuery: partitions, job ids, parameters.  The server itself is for the integration tests."""

import hashlib
import pickle
import re
import traceback
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden

from gradient_assets.tables import Column, TableSpec
from resources.buckets.object_store import Bucket, BucketAddress
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.warehouse import ZONES, WarehouseError, ZoneRefused

INSTANCES = TableSpec(
    "instances",
    "identified",
    "one row per instance",
    (
        Column("hospital_number", "INT64", "partition", required=True),
        Column("work_token", "STRING", "token", required=True),
        Column("uid", "STRING", "uid"),
    ),
    ("uid",),
    ("uid", "work_token", "a", "b", "c"),
)
MANIFEST = TableSpec(
    "manifest",
    "public",
    "one row per delivered object",
    (Column("release", "STRING", "partition", required=True), Column("uid", "STRING", "uid")),
    ("uid",),
    partitioned_by="release",
)


class Job:
    """A job that has ended, well or not."""

    def __init__(self, rows=(), error=None):
        self._rows = rows
        self.error_result = error

    def done(self, retry):
        return True

    def result(self, timeout, retry, job_retry=None, page_size=None):
        if isinstance(self.error_result, Exception):
            raise self.error_result
        return Rows(self._rows)


LOADED = 3


class Rows(list):
    """Rows as dictionaries, or as Arrow; of a load job, how many there are."""

    output_rows = LOADED

    def to_arrow(self, create_bqstorage_client):
        assert create_bqstorage_client is False
        return pa.Table.from_pylist(list(self))

    def to_arrow_iterable(self, bqstorage_client):
        assert bqstorage_client is None
        return iter(pa.Table.from_pylist(list(self)).to_batches())


class RecordingClient:
    """Takes every request down; answers counts with 3 and everything else with nothing."""

    def __init__(self):
        self.queries, self.loads, self.tables, self.deleted, self.updated = [], [], {}, [], []
        self.taken = {}
        self.state = "etag-1"
        self.failure = None
        self.answer = []

    def create_dataset(self, dataset, exists_ok, retry, timeout):
        assert exists_ok
        return dataset

    def create_table(self, table, exists_ok, retry, timeout):
        assert exists_ok
        table._properties["creationTime"] = "1700000000000"
        return self.tables.setdefault(str(table.reference), table)

    def update_table(self, table, fields, retry, timeout):
        self.updated.append((str(table.reference), [field.name for field in table.schema], fields))

    def get_table(self, name, retry, timeout=None):
        return SimpleNamespace(etag=self.state, num_rows=LOADED)

    def delete_table(self, name, not_found_ok, retry):
        assert not_found_ok
        self.deleted.append(name)

    def load_table_from_uri(self, uris, name, *, job_id, location, job_config, retry, timeout):
        self._take(job_id)
        self.loads.append((job_id, name, uris, job_config))
        return Job()

    def query(self, statement, *, job_config, location, job_id, retry, timeout, job_retry):
        assert job_retry is None, "Google's client can't start a job again under an id of ours"
        self._take(job_id)
        self.queries.append((job_id, statement, job_config))
        if self.failure:
            return Job(error=self.failure)
        is_fresh = "AS fresh" in statement and "FALSE AS is_fresh" not in statement
        answer = {"total": LOADED, "fresh": LOADED if is_fresh else 0, "dropped": 0}
        return Job([answer] if "COUNT(*) AS total" in statement else self.answer)

    def get_job(self, job_id, location, retry, timeout):
        return self.taken[job_id]

    def _take(self, job_id):
        if job_id in self.taken:
            raise Conflict("exists")

    @property
    def puts(self):
        return [(job_id, statement, config) for job_id, statement, config in self.queries if "-put-" in job_id]


@pytest.fixture
def client():
    return RecordingClient()


@pytest.fixture
def warehouse(client, tmp_path):
    return make(client, tmp_path)


def make(client, tmp_path, **changed):
    arguments = {
        "project": "my-project",
        "staging_areas": dict.fromkeys(ZONES, Bucket(BucketAddress((tmp_path / "staging").as_uri()))),
        "numbers": {"st-mary": 7},
        "dataset_prefix": "test_",
        "specs": (INSTANCES, MANIFEST),
        "client": client,
    }
    return BigQueryWarehouse(**{**arguments, **changed})


def given(config):
    return {parameter.name: (parameter.type_, parameter.value) for parameter in config.query_parameters}


def test_a_table_is_partitioned_by_the_hospitals_number_and_clustered_by_four_columns(warehouse, client):
    warehouse.count(INSTANCES, "st-mary")
    table = client.tables["my-project.test_identified.instances"]
    assert table.range_partitioning.field == "hospital_number"
    assert table.clustering_fields == ["uid", "work_token", "a", "b"]
    assert [(field.name, field.field_type, field.mode) for field in table.schema] == [
        ("hospital_number", "INT64", "REQUIRED"),
        ("work_token", "STRING", "REQUIRED"),
        ("uid", "STRING", "NULLABLE"),
    ]


def test_an_identity_that_may_not_make_datasets_uses_those_that_are_there(client, tmp_path):
    def refuse(dataset, **options):
        raise Forbidden("bigquery.datasets.create")

    client.create_dataset = refuse
    assert make(client, tmp_path).replace(INSTANCES, "st-mary", shards=[]) == 3


def test_a_column_added_later_is_added_to_the_table_as_nullable(client, tmp_path):
    older = TableSpec("instances", "identified", "", INSTANCES.columns[:1], ("hospital_number",))
    make(client, tmp_path).count(older, "st-mary")
    make(client, tmp_path).count(INSTANCES, "st-mary")
    columns = ["hospital_number", "work_token", "uid"]
    assert client.updated == [("my-project.test_identified.instances", columns, ["schema", "description"])]
    schema = client.tables["my-project.test_identified.instances"].schema
    assert [field.mode for field in schema] == ["REQUIRED", "NULLABLE", "NULLABLE"]


def test_replacing_loads_parquet_and_truncates_one_partition(warehouse, client):
    assert warehouse.replace(INSTANCES, "st-mary", shards=["gs://s/2", "gs://s/1"], drop_tokens=["a", "b", "c"]) == 3
    (_, tokens, uris, _), (_, fresh, shards, config) = client.loads
    assert uris[0].endswith("/tokens.parquet")
    assert shards == ["gs://s/1", "gs://s/2"]
    assert (config.source_format, config.write_disposition) == ("PARQUET", "WRITE_TRUNCATE")
    ((_, statement, put),) = client.puts
    assert str(put.destination.table_id) == "instances$7"
    assert put.destination.dataset_id == "test_identified"
    assert (put.write_disposition, put.create_disposition) == ("WRITE_TRUNCATE_DATA", "CREATE_NEVER")
    assert given(put) == {"partition": ("INT64", 7)}
    assert statement == (
        f"SELECT `hospital_number`, `work_token`, `uid` FROM `{fresh}` UNION ALL SELECT `hospital_number`, `work_token`, `uid` "
        "FROM `my-project.test_identified.instances` WHERE hospital_number = @partition AND work_token NOT IN "
        f"(SELECT token FROM `{tokens}` UNION ALL SELECT work_token FROM `{fresh}`)"
    )
    assert client.tables[fresh].expires is not None


def test_the_tokens_file_is_gone_after_loading(warehouse, tmp_path):
    warehouse.replace(INSTANCES, "st-mary", shards=[], drop_tokens=["a", "b", "c"])
    assert [path for path in (tmp_path / "staging").rglob("*") if path.is_file()] == []


def test_the_same_work_has_the_same_job_ids_until_the_tables_change(client, tmp_path):
    def ids():
        before = len(client.puts)
        make(client, tmp_path).replace(INSTANCES, "st-mary", shards=["gs://s/1"])
        return [job_id for job_id, _, _ in client.puts[before:]]

    first = ids()
    assert ids() == first
    client.state = "etag-2"
    assert ids() != first


@pytest.mark.parametrize(
    ("earlier", "attempts_made"),
    [
        (Job(), []),  # the answer got lost: the job's outcome counts, nothing is started again
        (Job(error={"reason": "backendError"}), ["-1"]),  # it failed: the same work under the next id
    ],
    ids=["ended well", "failed"],
)
def test_a_retry_never_runs_the_same_work_twice(client, tmp_path, earlier, attempts_made):
    make(client, tmp_path).replace(INSTANCES, "st-mary", shards=["gs://s/1"])
    client.taken = {job_id: earlier for job_id, *_ in [*client.loads, *client.puts]}
    loads, puts = len(client.loads), len(client.puts)
    make(client, tmp_path).replace(INSTANCES, "st-mary", shards=["gs://s/1"])
    assert [job_id[-2:] for job_id, *_ in client.loads[loads:]] == attempts_made
    assert [job_id[-2:] for job_id, *_ in client.puts[puts:]] == attempts_made


def test_work_that_fails_again_and_again_is_given_up(client, tmp_path):
    class Always(dict):
        def __contains__(self, job_id):
            return True

        def __getitem__(self, job_id):
            return Job(error={"reason": "invalid"})

    client.taken = Always()
    with pytest.raises(WarehouseError, match="failed"):
        make(client, tmp_path).replace(INSTANCES, "st-mary", shards=["gs://s/1"])


def test_a_query_fills_a_partition_with_its_columns_by_name(warehouse, client):
    sql = "SELECT uid, hospital_number FROM identified.instances WHERE uid = @uid"
    warehouse.replace_from_query(INSTANCES, "st-mary", sql, {"uid": "1", "unused": 2})
    ((_, statement, config),) = client.puts
    assert statement == (
        "SELECT `hospital_number`, CAST(NULL AS STRING) AS `work_token`, `uid` FROM (SELECT uid, hospital_number FROM "
        "`my-project`.`test_identified`.`instances` AS instances WHERE uid = @uid)"
    )
    assert given(config) == {"uid": ("STRING", "1")}
    with pytest.raises(WarehouseError, match="stranger"):
        warehouse.replace_from_query(INSTANCES, "st-mary", "SELECT 1 AS stranger FROM identified.instances")


def test_a_releases_rows_are_replaced_in_a_transaction(warehouse, client):
    warehouse.replace(MANIFEST, "uni-x-1", shards=["gs://s/1"])
    ((_, script, config),) = client.puts
    # What is kept of the old rows has to be read before they are deleted.
    steps = [
        "CREATE TEMP TABLE",
        "BEGIN TRANSACTION",
        "DELETE FROM",
        "WHERE release = @release_partition",
        "INSERT INTO",
    ]
    assert [script.index(step) for step in steps] == sorted(script.index(step) for step in steps)
    assert script.endswith("COMMIT TRANSACTION;")
    assert given(config)["release_partition"] == ("STRING", "uni-x-1")


def test_search_sends_words_as_a_parameter(warehouse, client):
    warehouse.search(INSTANCES, "uid", "left'); DROP -pneumonia", limit=5)
    _, statement, config = client.queries[-1]
    assert "SEARCH(`uid`, @words)" in statement
    assert given(config) == {"words": ("STRING", "left DROP pneumonia"), "most": ("INT64", 5)}
    warehouse.search(INSTANCES, "uid", " -- ")
    assert "WHERE false" in client.queries[-1][1]


def test_dropping_deletes_the_partition_alone(warehouse, client):
    warehouse.drop(INSTANCES, "st-mary")
    assert client.deleted == ["my-project.test_identified.instances$7"]


def digest_in_duckdb(statement, rows):
    """The statement's own aggregation over other rows; DuckDB has SHA-256, but as hexadecimal digits at once."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE held (hospital_number INTEGER, uid VARCHAR)")
        database.executemany("INSERT INTO held VALUES (?, ?)", rows)
        text = re.sub(r"FROM `[^`]+` AS t", "FROM held AS t", statement).replace(
            "TO_JSON_STRING(t)", "CAST(t AS VARCHAR)"
        )
        text = re.sub(r"\bTO_HEX\(", "(", text).replace("@partition", "7")
        return database.execute(text).fetchone()[0]


def test_the_digest_is_of_the_rows_whatever_their_order(warehouse, client):
    client.answer = [{"digest": "ab" * 32}]
    assert warehouse.content_digest(INSTANCES, "st-mary") == "ab" * 32
    statement = client.queries[-1][1]
    rows = [(7, f"1.2.{number}") for number in range(300)]
    whole = digest_in_duckdb(statement, rows)
    assert re.fullmatch("[0-9a-f]{64}", whole)
    assert digest_in_duckdb(statement, [*rows[::-1], (8, "another hospital's")]) == whole
    others = [rows[:-1], [*rows, rows[0]], [(7, "1.2.x"), *rows[1:]], rows[:1]]
    assert len({whole, *(digest_in_duckdb(statement, other) for other in others)}) == 5
    assert digest_in_duckdb(statement, [(8, "x")]) == hashlib.sha256(b"").hexdigest()


def test_a_hospital_that_is_not_registered_has_no_partition(warehouse):
    for call in (warehouse.tokens, warehouse.count, warehouse.drop, warehouse.content_digest, warehouse.location):
        with pytest.raises(WarehouseError, match="registry"):
            call(INSTANCES, "nobody")


def test_zones_are_kept_apart(client, tmp_path):
    public = make(client, tmp_path, zones=("public",))
    calls = [
        lambda: list(public.scan(INSTANCES)),
        lambda: public.tokens(INSTANCES, "st-mary"),
        lambda: public.count(INSTANCES),
        lambda: public.replace(INSTANCES, "st-mary", shards=[]),
        lambda: public.replace_from_query(MANIFEST, "r", "SELECT uid FROM identified.instances"),
        lambda: public.query("SELECT uid FROM identified.instances"),
        lambda: public.search(INSTANCES, "uid", "x"),
        lambda: public.drop(INSTANCES, "st-mary"),
        lambda: public.content_digest(INSTANCES, "st-mary"),
        lambda: public.location(INSTANCES),
        lambda: public.staging("identified", "run"),
    ]
    for call in calls:
        with pytest.raises(ZoneRefused):
            call()
    assert not any("instances" in statement for _, statement, _ in client.queries)


def test_no_error_quotes_a_value(warehouse, client):
    client.failure = BadRequest("Bad int64 value: DOE^JANE")
    for call in (
        lambda: warehouse.query("SELECT CAST(uid AS INT64) AS n FROM identified.instances"),
        lambda: warehouse.count(INSTANCES),
        lambda: warehouse.replace(INSTANCES, "st-mary", shards=[]),
    ):
        with pytest.raises(WarehouseError) as caught:
            call()
        assert "DOE" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None


def test_it_travels_to_another_process_without_its_client(tmp_path):
    assert pickle.loads(pickle.dumps(make(None, tmp_path))).zones == ("identified", "deidentified", "public")
