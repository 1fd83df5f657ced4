"""What goes to BigQuery over the wire, through Google's own client, and what becomes of it when something fails.

Every request is held against Google's own contract (`tests/fakes/bigquery_rest.py`).  Here stands what no emulator has: results
for `table$N`, `SEARCH`, lost answers, quotas.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_assets.tables import PUBLIC_TABLE, Column, TableSpec
from resources.buckets.object_store import Bucket, BucketAddress
from resources.warehouses import bigquery_tables
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.bigquery_jobs import Limits
from resources.warehouses.warehouse import ZONES, WarehouseError
from tests.fakes import bigquery_rest
from tests.fakes.bigquery_rest import (
    CONFLICT,
    LOST_AFTER,
    LOST_BEFORE,
    PROJECT,
    SERIALIZATION,
    FakeBigQuery,
    Held,
    refusal,
)
from tests.fakes.bigquery_rows import Rows

INSTANCES = TableSpec(
    "instances",
    "identified",
    "one row per instance",
    (
        Column("hospital_number", "INT64", "partition", required=True),
        Column("work_token", "STRING", "token", required=True),
        Column("uid", "STRING", "what names it"),
    ),
    ("uid",),
    ("uid", "work_token"),
)
RELEASED = TableSpec(
    "released",
    "public",
    "one row per delivered object",
    (Column("release", "STRING", "partition", required=True), Column("uid", "STRING", "uid")),
    ("uid",),
    partitioned_by="release",
)
HASTY = Limits(deadline_s=5, first_wait_s=0.01, longest_wait_s=0.02, job_deadline_s=30)


@pytest.fixture
def server():
    with FakeBigQuery() as fake:
        yield fake
        assert fake.breaches == []


def make(server, folder, limits=HASTY, **changed):
    arguments = {
        "project": PROJECT,
        "staging_areas": dict.fromkeys(ZONES, Bucket(BucketAddress((folder / "staging").as_uri()))),
        "numbers": {"st-mary": 7, "north-clinic": 9},
        "specs": (INSTANCES, RELEASED, PUBLIC_TABLE),
        "endpoint": server.endpoint,
        "limits": limits,
    }
    return BigQueryWarehouse(**{**arguments, **changed})


@pytest.fixture
def warehouse(server, tmp_path):
    return make(server, tmp_path)


def replace(warehouse, hospital="st-mary", shard="gs://s/1"):
    return warehouse.replace(INSTANCES, hospital, shards=[shard])


def jobs(server, kind):
    """The insertions of load jobs, of `put` jobs and of reads."""
    marks = {"load": "-load-", "put": "-put-", "read": "-read-"}
    return [one for one in server.named("jobs.insert") if marks[kind] in one.job]


def test_datasets_have_location_description_and_labels(server, warehouse):
    warehouse.count(INSTANCES)
    (made,) = server.named("datasets.insert")
    assert made.body["location"] == "US"
    assert "Only the platform reads it" in made.body["description"]
    assert made.body["labels"] == {"platform": "gradient", "zone": "identified"}
    assert int(made.body["maxTimeTravelHours"]) == 48, "no table is shown longer as it was before somebody withdrew"


def test_a_dataset_elsewhere_is_refused_before_anything_is_written(server, warehouse):
    server.datasets["identified"] = {
        "datasetReference": {"projectId": PROJECT, "datasetId": "identified"},
        "location": "EU",
    }
    with pytest.raises(WarehouseError, match="GRADIENT_BIGQUERY_LOCATION"):
        replace(warehouse)
    assert server.named("tables.insert") == []


def test_tables_have_partitions_clusters_descriptions_and_labels(server, warehouse):
    warehouse.count(INSTANCES)
    made = server.tables["instances"]
    assert made["rangePartitioning"] == {
        "field": "hospital_number",
        "range": {"start": "0", "end": "4000", "interval": "1"},
    }
    assert made["clustering"] == {"fields": ["uid", "work_token"]}
    assert made["description"] == "one row per instance"
    assert made["labels"] == {"platform": "gradient", "zone": "identified"}
    assert [(f["name"], f["type"], f["mode"], f["description"]) for f in made["schema"]["fields"]] == [
        ("hospital_number", "INT64", "REQUIRED", "partition"),
        ("work_token", "STRING", "REQUIRED", "token"),
        ("uid", "STRING", "NULLABLE", "what names it"),
    ]


WIDER = {"field": "hospital_number", "range": {"start": "0", "end": "100", "interval": "10"}}
OLD_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def held(server, columns=INSTANCES.columns, **changed):
    """A table as the service shows one that is there already: with the types' old names."""
    fields = [
        {"name": c.name, "type": OLD_TYPES.get(c.type, c.type), "mode": "REQUIRED" if c.required else "NULLABLE"}
        for c in columns
    ]
    server.tables["instances"] = {
        "tableReference": {"projectId": PROJECT, "datasetId": "identified", "tableId": "instances"},
        "schema": {"fields": fields},
        "rangePartitioning": {"field": "hospital_number", "range": {"start": "0", "end": "4000", "interval": "1"}},
        **changed,
    }


def test_a_column_that_came_later_is_added_as_nullable_with_its_description(server, warehouse):
    held(server, INSTANCES.columns[:1], labels={"cost": "radiology"})
    warehouse.count(INSTANCES)
    (patch,) = server.named("tables.patch")
    assert [(f["name"], f["mode"], f["description"]) for f in patch.body["schema"]["fields"]] == [
        ("hospital_number", "REQUIRED", "partition"),
        ("work_token", "NULLABLE", "token"),
        ("uid", "NULLABLE", "what names it"),
    ]
    assert patch.body["description"] == "one row per instance"
    assert patch.body["labels"] == {"cost": "radiology", "platform": "gradient", "zone": "identified"}


def test_a_table_that_is_as_it_should_be_is_left_alone(server, tmp_path):
    make(server, tmp_path).count(INSTANCES)
    make(server, tmp_path).count(INSTANCES)
    assert server.named("tables.patch") == []


def test_two_processes_that_add_the_same_column_both_go_on(server, warehouse):
    held(server, INSTANCES.columns[:2])
    server.faults["tables.patch"] = [refusal(412, "conditionNotMet")]
    assert warehouse.count(INSTANCES) == 3
    assert len(server.named("tables.patch")) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rangePartitioning": None}, "partitions"),
        ({"rangePartitioning": WIDER}, "partitions"),
        ({"schema": {"fields": [{"name": "uid", "type": "INTEGER", "mode": "NULLABLE"}]}}, "type of uid"),
    ],
    ids=["no partitions", "wider partitions", "another type"],
)  # fmt: skip
def test_a_table_that_would_take_rows_otherwise_is_refused(server, warehouse, changed, said):
    held(server, **changed)
    with pytest.raises(WarehouseError, match=said):
        replace(warehouse)
    assert jobs(server, "load") == []


def test_shards_are_loaded_as_parquet_under_an_id_made_of_the_work(server, tmp_path):
    for _ in range(2):
        replace(make(server, tmp_path))
    load, again = jobs(server, "load")
    assert load.job == again.job, "the second is refused by the server, and the first one's outcome taken"
    described = load.configuration["load"]
    assert described["sourceUris"] == ["gs://s/1"]
    assert (described["sourceFormat"], described["writeDisposition"]) == ("PARQUET", "WRITE_TRUNCATE")
    assert [f["mode"] for f in described["schema"]["fields"]] == ["REQUIRED", "REQUIRED", "NULLABLE"]
    assert described["destinationTable"]["tableId"].startswith("staging_instances_")
    staged = server.tables[described["destinationTable"]["tableId"]]
    assert int(staged["expirationTime"]) > 0


def test_one_job_puts_the_partition_in_place_and_keeps_schema_and_row_policies(server, warehouse):
    replace(warehouse)
    (put,) = jobs(server, "put")
    query = put.configuration["query"]
    assert query["destinationTable"] == {"projectId": PROJECT, "datasetId": "identified", "tableId": "instances$7"}
    assert (query["writeDisposition"], query["createDisposition"]) == ("WRITE_TRUNCATE_DATA", "CREATE_NEVER")
    assert put.configuration["labels"] == {"platform": "gradient", "zone": "identified", "operation": "replace"}
    assert put.body["jobReference"]["location"] == "US"


def test_every_job_ends_by_itself_when_this_process_is_gone(server, warehouse):
    replace(warehouse)
    assert {one.configuration["jobTimeoutMs"] for one in server.named("jobs.insert")} == {"30000"}


def test_every_query_has_a_limit_of_what_it_may_cost(server, tmp_path):
    limits = Limits(bytes_billed=2**40, deadline_s=5, first_wait_s=0.01)
    warehouse = make(server, tmp_path, limits)
    replace(warehouse)
    warehouse.replace(RELEASED, "first", shards=["gs://s/1"])
    queries = [one.configuration["query"] for one in server.named("jobs.insert") if "query" in one.configuration]
    assert len(queries) == 4
    assert {query["maximumBytesBilled"] for query in queries} == {str(2**40)}


def test_a_query_over_the_limit_fails_and_says_which_limit(server, tmp_path):
    server.job_ends = ["bytesBilledLimitExceeded"]
    with pytest.raises(WarehouseError, match="bytesBilledLimitExceeded"):
        make(server, tmp_path).count(INSTANCES)
    assert len(jobs(server, "read")) == 1, "it would cost as much the second time"


def test_search_sends_its_words_as_a_parameter(server, warehouse):
    server.rows = []
    warehouse.search(PUBLIC_TABLE, "search_text", "left'); DROP -pneumonia", limit=5)
    query = jobs(server, "read")[-1].configuration["query"]
    assert "SEARCH(`search_text`, @words)" in query["query"]
    values = {one["name"]: one["parameterValue"]["value"] for one in query["queryParameters"]}
    assert values == {"words": "left DROP pneumonia", "most": "5"}


# What is staged, and that it arrived.


def shard(folder, *tokens):
    path = folder / f"{'-'.join(tokens)}-{uuid.uuid4()}.parquet"
    rows = [{"hospital_number": 7, "work_token": token, "uid": f"2.25.{token}"} for token in tokens]
    pq.write_table(pa.Table.from_pylist(rows, schema=INSTANCES.arrow_schema), path)
    return path.as_uri()


def vanish(server):
    """A day later: the tables that were staged are gone, BigQuery still knows the jobs that filled them."""
    staged = [name for name in server.tables if name.startswith("staging_")]
    assert staged
    for name in staged:
        server.vanish(name)


def test_a_removal_that_is_asked_for_again_another_day_removes_again(server, tmp_path):
    """As when the rows came back with a restored snapshot."""
    server.contents = Rows()
    for _ in range(2):
        warehouse = make(server, tmp_path)
        assert warehouse.replace(INSTANCES, "st-mary", shards=[shard(tmp_path, "withdrawn", "kept")]) == 2
        assert warehouse.replace(INSTANCES, "st-mary", shards=[], drop_tokens={"withdrawn"}) == 1
        assert warehouse.tokens(INSTANCES, "st-mary") == {"kept"}
        vanish(server)


def test_shards_that_are_put_again_another_day_are_loaded_again(server, tmp_path):
    server.contents = Rows()
    warehouse, uri = make(server, tmp_path), shard(tmp_path, "new")
    for _ in range(2):
        assert warehouse.replace(INSTANCES, "st-mary", shards=[uri]) == 1
        assert warehouse.replace(INSTANCES, "st-mary", shards=[], drop_tokens={"new"}) == 0
        vanish(server)


def test_more_shards_than_a_job_takes_are_loaded_by_several(server, tmp_path, monkeypatch):
    monkeypatch.setattr(bigquery_tables, "MAX_URIS", 2)
    server.contents = Rows()
    uris = [shard(tmp_path, f"new-{number}") for number in range(5)]
    assert make(server, tmp_path).replace(INSTANCES, "st-mary", shards=uris) == 5
    described = [one.configuration["load"] for one in jobs(server, "load")]
    assert [one["writeDisposition"] for one in described] == ["WRITE_TRUNCATE", "WRITE_APPEND", "WRITE_APPEND"]
    assert [len(one["sourceUris"]) for one in described] == [2, 2, 1]
    assert sorted(uri for one in described for uri in one["sourceUris"]) == sorted(uris)
    assert {one["createDisposition"] for one in described} == {"CREATE_NEVER"}


def test_parts_of_a_load_whose_answers_got_lost_are_loaded_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(bigquery_tables, "MAX_URIS", 2)
    server.contents = Rows()
    uris = [shard(tmp_path, f"new-{number}") for number in range(5)]
    server.faults["jobs.insert"] = [LOST_AFTER] * 3
    warehouse = make(server, tmp_path)
    assert warehouse.replace(INSTANCES, "st-mary", shards=uris) == 5
    assert warehouse.tokens(INSTANCES, "st-mary") == {f"new-{number}" for number in range(5)}
    assert make(server, tmp_path).replace(INSTANCES, "st-mary", shards=uris) == 5, "nor when all of it is asked again"


def test_tokens_whose_answer_got_lost_are_loaded_once(server, tmp_path):
    server.contents = Rows()
    warehouse = make(server, tmp_path)
    warehouse.replace(INSTANCES, "st-mary", shards=[shard(tmp_path, "withdrawn", "kept")])
    before = len(server.jobs)
    server.faults["jobs.insert"] = [LOST_AFTER] * 3
    assert warehouse.replace(INSTANCES, "st-mary", shards=[], drop_tokens={"withdrawn"}) == 1
    assert len(server.jobs) - before == 3, "a load, a put, a count"


def other_rows(server):
    server.faults["tables.get"] = [(200, {"tableReference": STAGED, "numRows": "2"})]


def no_birth(server):
    server.faults["tables.insert"] = [(200, {"tableReference": STAGED})]


STAGED = {"projectId": PROJECT, "datasetId": "identified", "tableId": "staging_instances"}


@pytest.mark.parametrize(
    ("happens", "tokens", "said"),
    [
        (other_rows, (), "a staged table holds 2 rows, 3 were loaded"),
        (no_birth, (), "when a staged table was made"),
        (lambda server: None, ("a", "b"), "1 of 2 work tokens were loaded"),
    ],
    ids=["other rows", "no birth", "a token is missing"],
)
def test_what_did_not_arrive_as_it_was_sent_replaces_nothing(server, warehouse, happens, tokens, said):
    warehouse.count(INSTANCES)
    happens(server)
    with pytest.raises(WarehouseError, match=said):
        warehouse.replace(INSTANCES, "st-mary", shards=["gs://s/1"], drop_tokens=tokens)
    assert jobs(server, "put") == []


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        ({"fresh": "2"}, "2 of 3 new rows stand there, and 0 that were to go"),
        ({"fresh": "4"}, "4 of 3 new rows"),
        ({"dropped": "1"}, "3 of 3 new rows stand there, and 1 that were to go"),
    ],
    ids=["a new row is missing", "a row too many", "a dropped row"],
)
def test_a_replacement_that_did_not_do_what_it_was_told_is_no_success(server, warehouse, stands, said):
    server.rows = [{**bigquery_rest.ANSWER, **stands}]
    with pytest.raises(WarehouseError, match=said):
        warehouse.replace(INSTANCES, "st-mary", shards=["gs://s/1"], drop_tokens={"a"})
    assert len(jobs(server, "put")) == 1


def test_a_staged_table_that_vanishes_before_it_is_loaded_is_not_made_anew(server, warehouse):
    """It would stay for good, with what it holds."""
    replace(warehouse)
    assert jobs(server, "load")[0].configuration["load"]["createDisposition"] == "CREATE_NEVER"


# What fails, and what becomes of it.

PASSING = [
    LOST_BEFORE,
    refusal(500, "internalError"),
    refusal(502, "badGateway"),
    refusal(503, "backendError"),
    refusal(403, "rateLimitExceeded"),
    refusal(403, "quotaExceeded"),
]


@pytest.mark.parametrize(
    "fault",
    PASSING,
    ids=lambda fault: fault if isinstance(fault, str) else str(fault[1]["error"]["errors"][0]["reason"]),
)
@pytest.mark.parametrize(
    "method", ["datasets.insert", "tables.insert", "tables.get", "jobs.insert", "jobs.get", "jobs.getQueryResults"]
)
def test_a_request_that_fails_in_passing_is_sent_again(server, warehouse, method, fault):  # fmt: skip
    server.faults[method] = [fault, fault]
    assert replace(warehouse) == 3
    assert server.faults[method] == []
    assert len(jobs(server, "put")) - len({one.job for one in jobs(server, "put")}) <= 2


@pytest.mark.parametrize("method", ["jobs.insert"])
def test_an_answer_that_got_lost_is_asked_for_under_the_same_id(server, warehouse, method):
    server.faults[method] = [LOST_AFTER] * 3
    assert replace(warehouse) == 3
    sent = [one.job for one in server.named("jobs.insert")]
    assert len(set(sent)) == 3, "a load, a put, a count; none of them twice"
    assert len(sent) == 6
    assert server.writes["instances"] == 1


def test_a_job_that_can_not_be_seen_yet_is_waited_for(server, warehouse):
    server.faults["jobs.insert"] = [LOST_AFTER]
    server.faults["jobs.get"] = [refusal(404, "notFound")] * 2
    assert replace(warehouse) == 3
    assert len(jobs(server, "load")) == 2
    assert len({one.job for one in jobs(server, "load")}) == 1


@pytest.mark.parametrize("reason", ["backendError", "rateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded"])
def test_a_job_that_fails_in_passing_is_done_again_under_the_next_id(server, warehouse, reason):
    server.job_ends = [None, reason, reason]
    assert replace(warehouse) == 3
    puts = [one.job for one in jobs(server, "put")]
    assert [job.rpartition("-")[2] for job in puts] == ["0", "1", "2"]
    assert len({job.rpartition("-")[0] for job in puts}) == 1


CONFLICTS = pytest.mark.parametrize("conflict", [CONFLICT, SERIALIZATION], ids=["transaction", "statement"])


@CONFLICTS
def test_a_release_that_is_written_while_another_one_is_comes_in_after_it(server, warehouse, conflict):
    """BigQuery cancels one of two transactions of a table, and calls that `invalidQuery`."""
    server.job_ends = [None, conflict, conflict]
    assert warehouse.replace(RELEASED, "first", shards=["gs://s/1"]) == 3
    assert [one.job.rpartition("-")[2] for one in jobs(server, "put")] == ["0", "1", "2"]


@CONFLICTS
def test_other_releases_are_waited_for_until_the_deadline_only(server, tmp_path, conflict):
    server.job_ends = [None, *[conflict] * 10_000]
    warehouse = make(server, tmp_path, Limits(deadline_s=0.3, first_wait_s=0.01, longest_wait_s=0.02))
    with pytest.raises(WarehouseError, match=r"given up after .* a concurrent update$") as caught:
        warehouse.replace(RELEASED, "first", shards=["gs://s/1"])
    assert "DOE" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("reason", ["invalidQuery", "accessDenied", "resourcesExceeded"])
def test_a_job_that_would_fail_again_is_not_done_again(server, warehouse, reason):
    server.job_ends = [None, reason]
    with pytest.raises(WarehouseError, match=reason) as caught:
        replace(warehouse)
    assert len(jobs(server, "put")) == 1
    assert "DOE" not in "".join(traceback.format_exception(caught.value))


def test_work_that_failed_for_good_is_possible_again_later(server, tmp_path):
    server.job_ends = [None, *["accessDenied"] * 3]
    for _ in range(3):
        with pytest.raises(WarehouseError):
            replace(make(server, tmp_path))
    assert replace(make(server, tmp_path)) == 3
    assert jobs(server, "put")[-1].job.endswith("-3")


@pytest.mark.parametrize("method", ["jobs.insert", "tables.insert"])
def test_trying_again_has_an_end(server, tmp_path, method):
    server.faults[method] = [refusal(503, "backendError")] * 10_000
    limits = Limits(deadline_s=0.3, first_wait_s=0.01, longest_wait_s=0.02)
    with pytest.raises(WarehouseError) as caught:
        replace(make(server, tmp_path, limits))
    assert "backendError" in str(caught.value)
    assert "DOE" not in "".join(traceback.format_exception(caught.value))


def test_a_job_that_fails_in_passing_for_too_long_is_given_up(server, tmp_path):
    server.job_ends = [None, *["backendError"] * 10_000]
    with pytest.raises(WarehouseError, match=r"given up after .* backendError"):
        replace(make(server, tmp_path, Limits(deadline_s=0.3, first_wait_s=0.01, longest_wait_s=0.02)))
    assert len(jobs(server, "put")) >= 2


def test_a_job_that_does_not_end_is_cancelled(server, tmp_path):
    server.job_ends = [None, "never"]
    with pytest.raises(WarehouseError):
        replace(make(server, tmp_path, Limits(first_wait_s=0.01, job_deadline_s=0.3)))
    (cancelled,) = server.named("jobs.cancel")
    assert jobs(server, "put")[0].job in cancelled.path


SCRIPT = """
import pickle, sys
import dagster as dg
from tests.unit.resources import test_bigquery_requests as here

warehouse = pickle.loads(bytes.fromhex(sys.argv[1]))

@dg.asset
def instances():
    here.replace(warehouse)

dg.materialize([instances], raise_on_error=False)
"""


@pytest.mark.parametrize("asked", ["jobs.insert", "jobs.get", "jobs.getQueryResults"])
def test_the_job_is_cancelled_when_its_dagster_run_is(server, tmp_path, asked):
    """Also between its submission and the first question how far it is."""
    server.job_ends = [None, "never"]
    server.held = Held(asked, "-put-")
    pickled = pickle.dumps(make(server, tmp_path)).hex()
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, pickled], env={**os.environ, "DAGSTER_HOME": ""})
    try:
        while not server.held.was_asked.wait(0.05) and running.poll() is None:
            pass
        # Dagster's run worker interrupts itself so when somebody presses Terminate (`dagster._core.execution.api`).
        running.send_signal(signal.SIGINT)
        running.wait(60)
    finally:
        running.kill()
        running.wait()
        server.held.released.set()
    (cancelled,) = server.named("jobs.cancel")
    assert jobs(server, "put")[0].job in cancelled.path
    server.job_ends = []
    assert replace(make(server, tmp_path)) == 3, "the next run does the work under the next id"
    assert jobs(server, "put")[-1].job.endswith("-1")


def test_two_hospitals_write_the_same_table_at_once(server, tmp_path):
    failures = []

    def write(hospital):
        try:
            for number in range(3):
                replace(make(server, tmp_path), hospital, f"gs://s/{hospital}-{number}")
        except WarehouseError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(hospital,)) for hospital in ("st-mary", "north-clinic")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    targets = [one.configuration["query"]["destinationTable"]["tableId"] for one in jobs(server, "put")]
    assert sorted(targets) == ["instances$7"] * 3 + ["instances$9"] * 3
    assert len({one.job for one in jobs(server, "put")}) == 6


# Who sees which rows, and what would be asked.


def policies(server, warehouse, readers=("group:readers@example.org",)):
    server.rows = [{"account": "platform@my-project.iam.gserviceaccount.com"}]
    return warehouse.row_policies(PUBLIC_TABLE, readers)


def test_readers_see_rows_of_registered_hospitals_and_the_platform_all(server, warehouse):
    policies(server, warehouse, ("group:readers@example.org", "domain:example.org")).put()
    sent = [one.configuration["query"]["query"] for one in server.named("jobs.insert") if "-policy-" in one.job]
    table = "`my-project.public.public_table`"
    assert sent == [
        f"CREATE OR REPLACE ROW ACCESS POLICY gradient_platform ON {table} GRANT TO "
        '("serviceAccount:platform@my-project.iam.gserviceaccount.com") FILTER USING (TRUE)',
        f"CREATE OR REPLACE ROW ACCESS POLICY gradient_readers ON {table} GRANT TO "
        '("group:readers@example.org", "domain:example.org") FILTER USING (hospital_number IN (7, 9))',
    ]


def test_without_hospitals_readers_see_nothing(server, tmp_path):
    policies(server, make(server, tmp_path, numbers={})).put()
    assert server.named("jobs.insert")[-1].configuration["query"]["query"].endswith("FILTER USING (FALSE)")


@pytest.mark.parametrize("reader", ["", "readers@example.org", 'group:a@b.c"), ("allUsers', "allUsers"])
def test_a_reader_that_is_written_wrongly_changes_nothing(server, warehouse, reader):
    with pytest.raises(WarehouseError, match="readers are written"):
        policies(server, warehouse, (reader,)).put()
    assert server.requests == []


def policy(name, predicate):
    return {"rowAccessPolicyReference": {"policyId": name}, "filterPredicate": predicate}


@pytest.mark.parametrize(
    ("standing", "wanting"),
    [
        ([], "2 of 2 row access policies are missing"),
        ([policy("gradient_platform", "TRUE")], "1 of 2 row access policies are missing"),
        (
            [policy("gradient_platform", "TRUE"), policy("gradient_readers", "hospital_number IN (7)")],
            "other hospitals",
        ),
        ([policy("gradient_platform", "TRUE"), policy("gradient_readers", "hospital_number IN (9, 7)")], ""),
    ],
    ids=["none", "one", "another hospital's", "as registered"],
)
def test_policies_that_do_not_fit_the_registry_are_told(server, warehouse, standing, wanting):
    server.policies = standing
    found = policies(server, warehouse).wanting()
    assert wanting in found
    assert bool(found) == bool(wanting)


def test_a_dry_run_of_every_statement_runs_none(server, warehouse):
    server.bytes_read = {"COUNT(*)": 7_000, "SELECT": 500}
    queries = {"asset": "SELECT uid FROM identified.instances WHERE hospital_number = @number"}
    rehearsal = warehouse.rehearse(queries, {"number": 7})
    assert (rehearsal.count, rehearsal.largest, rehearsal.refused) == (len(server.named("jobs.insert")), 7_000, {})
    assert rehearsal.count == 1 + 8 + 8 + 8
    assert all(one.configuration["dryRun"] for one in server.named("jobs.insert"))


def test_a_statement_that_bigquery_refuses_is_named(server, warehouse):
    server.bytes_read = {"SEARCH(": None}
    refused = warehouse.rehearse({"odd": "SELECT CURRENT_DATE() AS today"}, {}).refused
    assert set(refused) == {"odd", "search of public.public_table"}
    assert "invalidQuery" in refused["search of public.public_table"]
    assert "DOE" not in str(refused)


@pytest.mark.parametrize(
    ("request_line", "breach"),
    [
        (("POST", "projects/p/jobs", {}, {"configuration": {"query": {"query": "SELECT 1"}}}), ""),
        (("POST", "projects/p/jobs", {}, {"configuration": {"query": {"sql": "SELECT 1"}}}), "sql: not in JobConfig"),
        (("POST", "projects/p/jobs", {}, {"configuration": {"dryRun": "yes"}}), "dryRun: no boolean"),
        (("POST", "projects/p/jobs", {}, {"configuration": {"labels": {"a": 1}}}), "labels.a: a number"),
        (("GET", "projects/p/jobs/j", {"page": "1"}, {}), "no parameter page"),
        (("GET", "projects/p/jobs/j", {"location": "EU"}, {"x": 1}), "takes no body"),
        (("PUT", "projects/p/jobs", {}, {}), "no method"),
    ],
)  # fmt: skip
def test_the_contract_finds_a_request_that_breaks_it(request_line, breach):
    found = bigquery_rest.CONTRACT.breaches(*request_line)
    assert breach in "".join(found)
    assert bool(found) == bool(breach)
