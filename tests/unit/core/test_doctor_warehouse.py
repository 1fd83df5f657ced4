"""`gradient doctor` tries every query without running one, and says who sees which public rows."""

from pathlib import Path

import pytest

from gradient_assets import sql
from gradient_assets.cli.doctor_warehouse import queries, readers
from gradient_assets.tables import ALL_TABLES
from resources import Resources, Settings, SettingsError
from tests.fakes.bigquery_rest import FakeBigQuery, refusal

REGISTRY = Path(__file__).parents[3] / "hospitals.yaml"


@pytest.fixture
def server():
    with FakeBigQuery() as fake:
        yield fake
        assert fake.breaches == []


def opened(tmp_path, **environ):
    return Resources(
        Settings.from_environment(
            {"GRADIENT_HOME": str(tmp_path / "home"), "GRADIENT_HOSPITALS": str(REGISTRY), **environ}
        )
    )


def on_bigquery(server, tmp_path, **environ):
    settings = {
        "GRADIENT_WAREHOUSE": "bigquery",
        "GRADIENT_GCP_PROJECT": "my-project",
        "GRADIENT_STAGING_URI": (tmp_path / "staging").as_uri(),
        "GRADIENT_BIGQUERY_ENDPOINT": server.endpoint,
    }
    return opened(tmp_path, **settings, **environ)


def test_every_statement_is_planned_on_the_embedded_warehouse(tmp_path):
    assert queries(opened(tmp_path)) == ("queries", f"{len(sql.names())} would run", "")


def test_a_statement_that_does_not_fit_its_tables_is_named(tmp_path):
    texts = {"prod": sql.statement("prod"), "older": sql.statement("prod").replace("modality", "kind_of_image")}
    rehearsal = opened(tmp_path).warehouse.rehearse(texts, {"hospital_id": "none"})
    assert (rehearsal.count, set(rehearsal.refused)) == (2, {"older"})


def test_every_statement_is_tried_on_bigquery_with_its_cost(server, tmp_path):
    server.bytes_read = {"final_table": 3 * 2**29}
    what, found, mend = queries(on_bigquery(server, tmp_path))
    asked = server.named("jobs.insert")
    assert (what, found, mend) == ("queries", f"{len(asked)} would run, the largest would read 1.50 GiB", "")
    assert all(one.configuration["dryRun"] for one in asked)
    assert len(asked) > len(sql.names()) + 6 * len(ALL_TABLES)
    assert {one.configuration["query"]["maximumBytesBilled"] for one in asked} == {str(2**40)}


def test_a_statement_that_bigquery_refuses_is_named(server, tmp_path):
    server.bytes_read = {"SEARCH(": None}
    _, found, mend = queries(on_bigquery(server, tmp_path))
    assert found.startswith("2 of "), "prod and public_table have a column that is searched"
    assert "search of public.public_table: BigQuery: dry run failed (BadRequest, invalidQuery)" in mend


def test_a_warehouse_that_does_not_answer_is_told_in_one_line(server, tmp_path):
    server.faults["tables.insert"] = [refusal(403, "accessDenied")] * 100
    _, found, mend = queries(on_bigquery(server, tmp_path))
    assert found == "could not be tried"
    assert "accessDenied" in mend


def test_the_embedded_warehouse_has_no_readers(tmp_path):
    assert list(readers(opened(tmp_path), mend=False)) == []


def test_without_readers_nothing_is_asked(server, tmp_path):
    ((_, found, mend),) = readers(on_bigquery(server, tmp_path), mend=False)
    assert (found.startswith("none named"), mend, server.requests) == (True, "", [])


def test_missing_policies_are_told_and_mended(server, tmp_path):
    resources = on_bigquery(server, tmp_path, GRADIENT_BIGQUERY_READERS="group:readers@example.org")
    ((_, found, mend),) = readers(resources, mend=False)
    assert (found, mend) == ("2 of 2 row access policies are missing", "`gradient doctor --mend`.")
    assert server.named("jobs.insert") == []
    server.rows = [{"account": "platform@example.org"}]
    list(readers(resources, mend=True))
    sent = [one.configuration["query"]["query"] for one in server.named("jobs.insert")]
    assert [text.split(" ON ")[0] for text in sent[1:]] == [
        "CREATE OR REPLACE ROW ACCESS POLICY gradient_platform",
        "CREATE OR REPLACE ROW ACCESS POLICY gradient_readers",
    ]


@pytest.mark.parametrize("value", ["many", "-1", "1.5", "٣"])
def test_a_limit_that_is_no_number_is_refused(value):
    with pytest.raises(SettingsError, match="GRADIENT_BIGQUERY_MAX_GIB"):
        _ = Settings.from_environment({"GRADIENT_BIGQUERY_MAX_GIB": value}).bigquery_bytes


def test_zero_leaves_the_limit_to_the_project():
    assert Settings.from_environment({"GRADIENT_BIGQUERY_MAX_GIB": "0"}).bigquery_bytes is None
