"""The table of what grows with all history is that of today's constants, and the model does what it says."""

import pytest

from benchmarks import growth
from gradient_assets.tables import CROSSWALK_SOURCES
from resources.buckets.object_store import Bucket, BucketAddress
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.warehouse import ZONES
from tests.fakes.bigquery_rest import ANSWER, PROJECT, FakeBigQuery

TOKEN_BYTES = 100.0


@pytest.fixture(scope="module")
def lines():
    return {line.name: line for line in growth.grown(growth.HOSPITALS, growth.RUNS_A_DAY, TOKEN_BYTES)}


def test_the_page_has_the_numbers_of_todays_code(lines):
    page = growth.PAGE.read_text(encoding="utf-8")
    stands = page.partition(growth.BEGIN)[2].partition(growth.END)[0].splitlines()
    now = growth.table(list(lines.values())).splitlines()
    without_the_measured = [[row for row in rows if growth.MEMORY not in row] for rows in (stands, now)]
    assert without_the_measured[0] == without_the_measured[1], "run python -m benchmarks.growth --write"
    assert len(stands) == len(now)


def test_each_line_grows_as_it_says(lines):
    for line in lines.values():
        grows = line.values[-1] > line.values[0]
        assert grows == (line.grows != "constant"), line.name
        assert list(line.values) == sorted(line.values), line.name


TABLE = CROSSWALK_SOURCES
ALL_COLUMNS = f"SELECT {', '.join(TABLE.column_names)} FROM {TABLE.full_name}"
ROW = {"hospital_id": "st-mary", "hospital_number": "7", "work_token": "t"}
NONE_STANDS = {"total": "0", "fresh": "0", "dropped": "0"}
CALLS = {
    "content_digest": (lambda warehouse: warehouse.content_digest(TABLE, "st-mary"), {"digest": "d"}),
    "count": (lambda warehouse: warehouse.count(TABLE, "st-mary"), {"total": "1"}),
    "partitions": (lambda warehouse: warehouse.partitions(TABLE), {"hospital_number": "7"}),
    "query": (lambda warehouse: warehouse.query(ALL_COLUMNS), ROW),
    "scan": (lambda warehouse: list(warehouse.scan(TABLE, "st-mary")), ROW),
    "tokens": (lambda warehouse: warehouse.tokens(TABLE, "st-mary"), {"work_token": "t"}),
    "replace": (lambda warehouse: warehouse.replace(TABLE, "st-mary", shards=[]), NONE_STANDS),
    "replace_from_query": (
        lambda warehouse: warehouse.replace_from_query(TABLE, "st-mary", ALL_COLUMNS),
        {"total": "1"},
    ),
}
LOADS = {
    "shards": (lambda warehouse: warehouse.replace(TABLE, "st-mary", shards=["gs://s/1"]), ANSWER),
    "tokens that go": (
        lambda warehouse: warehouse.replace(TABLE, "st-mary", shards=[], drop_tokens=["gone"]),
        NONE_STANDS,
    ),
}
"""The call, and what BigQuery answers to its query."""


@pytest.fixture
def jobs_of(tmp_path):
    """How many jobs a call of the warehouse on BigQuery inserts."""

    def asked(call, row):
        with FakeBigQuery(rows=[row]) as server:
            warehouse = BigQueryWarehouse(
                project=PROJECT,
                staging_areas=dict.fromkeys(ZONES, Bucket(BucketAddress(tmp_path.as_uri()))),
                numbers={"st-mary": 7},
                specs=(TABLE,),
                endpoint=server.endpoint,
            )
            call(warehouse)
            return len(server.named("jobs.insert"))

    return asked


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_warehouse_is_as_many_jobs_as_the_model_says(jobs_of, call):
    assert jobs_of(*CALLS[call]) == growth.JOBS_OF_A_CALL[call]


@pytest.mark.parametrize("given", LOADS)
def test_shards_and_tokens_that_go_are_a_load_more(jobs_of, given):
    assert jobs_of(*LOADS[given]) == growth.JOBS_OF_A_CALL["replace"] + growth.JOBS_OF_A_CALL["load"]


def test_the_jobs_of_every_call_are_known():
    assert {*CALLS, "load"} == {*growth.JOBS_OF_A_CALL}
    with pytest.raises(KeyError):
        growth.jobs_of_a_run({"nobody_has_counted": 1})


def test_more_hospitals_share_the_objects_and_add_ticks():
    few, many = (
        {line.name: line.values for line in growth.grown(hospitals, 1, TOKEN_BYTES)} for hospitals in (10, 100)
    )
    assert many["listing pages of one hospital, once"][-1] == few["listing pages of one hospital, once"][-1] / 10
    assert many["sensor ticks a day, all hospitals"][0] == 10 * few["sensor ticks a day, all hospitals"][0]
