"""Every SQL statement, read by Google's own analyzer with the catalogue built from the table specs.

The files of `gradient_assets/sql`, what modules ask in a line of their own, and what the warehouse on BigQuery sends itself.
That the statements give the same rows on two engines is shown in `tests/integration/test_judges.py`.
"""

import ast
from pathlib import Path

import pytest

from gradient_assets import sql
from gradient_assets.sql import statement
from gradient_assets.tables import ALL_TABLES, PUBLIC_TABLE
from resources.warehouses import bigquery_statements, dialect
from tests.fakes.asked import ASKING, asked_by
from tests.fakes.googlesql import Judge

ASSET_STATEMENTS = ["quarantine", "final_table", "prod", "public_table"]
TABLE_OF = {name: spec for name in ASSET_STATEMENTS for spec in ALL_TABLES if spec.name == name}
GIVEN = {"hospital_id": "st-mary"}
PLAIN_NAMES = {spec.full_name: f"my-project.{spec.zone}.{spec.name}" for spec in ALL_TABLES}


@pytest.fixture(scope="module")
def judge():
    return Judge({PLAIN_NAMES[spec.full_name]: spec for spec in ALL_TABLES})


@pytest.mark.parametrize("name", sql.names())
def test_googles_analyzer_resolves_every_statement(judge, name):
    assert judge.resolved(statement(name), GIVEN).output_column_list


@pytest.mark.parametrize("name", sql.names())
def test_what_is_sent_to_bigquery_has_the_columns_and_types_of_what_is_written(judge, name):
    sent = dialect.to_bigquery(statement(name), PLAIN_NAMES)
    assert judge.columns(sent, GIVEN) == judge.columns(statement(name), GIVEN)


@pytest.mark.parametrize("name", ASSET_STATEMENTS)
def test_a_statement_gives_exactly_its_tables_columns_and_types(judge, name):
    assert judge.columns(statement(name), GIVEN) == {column.name: column.type for column in TABLE_OF[name].columns}


def own_queries(path):
    """Calls of a warehouse's `query` whose statement is no file of `gradient_assets/sql`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if ast.unparse(call.func).endswith("warehouse.query") and not ast.unparse(call.args[0]).startswith("statement(")
    ]


def test_no_module_asks_what_is_not_analysed():
    root = Path(sql.__file__).parents[2]
    asking = {str(path.relative_to(root)): len(own_queries(path)) for path in (root / "gradient_assets").rglob("*.py")}
    assert {module: count for module, count in asking.items() if count} == {
        module: len(asks) for module, asks in ASKING.items()
    }


@pytest.mark.parametrize("module", ASKING)
def test_googles_analyzer_resolves_what_modules_ask_in_a_line_of_their_own(judge, module):
    queries = asked_by(module)
    assert len(queries) >= len(ASKING[module])
    for text, given in queries:
        assert judge.columns(dialect.to_bigquery(text, PLAIN_NAMES), given) == judge.columns(text, given), text


@pytest.mark.parametrize("spec", ALL_TABLES, ids=lambda spec: spec.full_name)
def test_googles_analyzer_resolves_what_the_warehouse_sends_itself(judge, spec):
    name = PLAIN_NAMES[spec.full_name]
    for what, text, given in bigquery_statements.own_statements(spec, f"`{name}`"):
        for part in text.removesuffix(";").split("; "):
            # What the script's first statement makes has the table's own columns.
            assert judge.resolved(part.replace("FROM replacement", f"FROM `{name}`"), given), what


def test_googles_analyzer_resolves_the_row_access_policies(judge):
    target = f"`{PLAIN_NAMES[PUBLIC_TABLE.full_name]}`"
    for text in bigquery_statements.row_policies(target, "user:p@example.org", ["group:r@example.org"], [7, 9]):
        assert judge.resolved(text, {})
        with pytest.raises(Exception, match="Unrecognized name"):
            judge.resolved(text.replace("FILTER USING (", "FILTER USING (patient_name IS NULL AND "), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT TRY_CAST('1' AS INT64)", r"(?i)try_cast|syntax"),
        ("SELECT patient_name FROM public.public_table", r"(?i)unrecognized name"),
        ("SELECT modality + 1 FROM public.public_table", r"(?i)no matching signature"),
        ("SELECT modality FROM public.public_table WHERE series_number = 'one'", r"(?i)no matching signature"),
        ("SELECT modality, COUNT(*) FROM public.public_table", r"(?i)neither grouped nor aggregated"),
        ("SELECT modality FROM public.patients", r"(?i)table not found"),
        ("SELECT modality FROM public.public_table WHERE patient_sex = @sex", r"(?i)query parameter"),
        ("UPDATE public.public_table SET modality = 'CT' WHERE TRUE", r"(?i)statement not supported"),
    ],
)
def test_the_analyzer_refuses_what_bigquery_would(judge, text, said):
    with pytest.raises(Exception, match=said):
        judge.resolved(text, {})


@pytest.mark.parametrize("name", ["final_table", "prod", "public_table"])
def test_no_statement_behind_the_boundary_reads_an_identified_table(name):
    assert "identified." not in statement(name).replace("deidentified.", "")
