"""The SQL files, read by Google's own analyzer with the catalogue built from the table specs."""

import pytest
from zetasql import api as zetasql_api
from zetasql import types as zetasql_types

from gradient_assets.sql import statement
from gradient_assets.tables import ALL_TABLES, TableSpec

ASSET_STATEMENTS = ["quarantine", "final_table", "prod", "public_table"]
OTHER_STATEMENTS = ["linked_by", "reports_without_images"]
TABLE_OF = {name: spec for name in ASSET_STATEMENTS for spec in ALL_TABLES if spec.name == name}


@pytest.fixture(scope="module")
def analyzer():
    kinds = zetasql_types.TypeKind
    kind_of = {
        "STRING": kinds.TYPE_STRING,
        "INT64": kinds.TYPE_INT64,
        "FLOAT64": kinds.TYPE_DOUBLE,
        "BOOL": kinds.TYPE_BOOL,
        "DATE": kinds.TYPE_DATE,
        "TIMESTAMP": kinds.TYPE_TIMESTAMP,
    }

    def table(spec: TableSpec):
        builder = zetasql_api.TableBuilder(spec.name)
        for column in spec.columns:
            builder = builder.add_column(column.name, kind_of[column.type])
        return builder.build()

    language = zetasql_types.LanguageOptions.maximum_features()
    functions = zetasql_types.ZetaSQLBuiltinFunctionOptions(language_options=language)
    catalog = zetasql_api.CatalogBuilder("gradient").with_builtin_functions(functions).build()
    for zone in ("identified", "deidentified", "public"):
        dataset = zetasql_api.CatalogBuilder(zone)
        for spec in ALL_TABLES:
            if spec.zone == zone:
                dataset = dataset.add_table(table(spec))
        catalog.catalog.append(dataset.build())
    parameter = zetasql_types.AnalyzerOptions.QueryParameter(
        name="hospital_id", type=zetasql_types.Type(type_kind=kinds.TYPE_STRING)
    )
    options = zetasql_types.AnalyzerOptions(language_options=language, query_parameters=[parameter])
    return zetasql_api.Analyzer(options, catalog), {kind: name for name, kind in kind_of.items()}


@pytest.mark.parametrize("name", [*ASSET_STATEMENTS, *OTHER_STATEMENTS])
def test_googles_analyzer_resolves_every_statement(analyzer, name):
    assert analyzer[0].analyze_statement(statement(name)).output_column_list


@pytest.mark.parametrize("name", ASSET_STATEMENTS)
def test_a_statement_gives_exactly_its_tables_columns_and_types(analyzer, name):
    resolved = analyzer[0].analyze_statement(statement(name))
    given = {column.name: analyzer[1][column.column.type.type_kind] for column in resolved.output_column_list}
    assert given == {column.name: column.type for column in TABLE_OF[name].columns}


def test_the_analyzer_refuses_what_bigquery_has_not(analyzer):
    with pytest.raises(Exception, match=r"(?i)try_cast|syntax"):
        analyzer[0].analyze_statement("SELECT TRY_CAST('1' AS INT64)")
    with pytest.raises(Exception, match=r"(?i)unrecognized name|not found"):
        analyzer[0].analyze_statement("SELECT patient_name FROM public.public_table")


@pytest.mark.parametrize("name", ["final_table", "prod", "public_table"])
def test_no_statement_behind_the_boundary_reads_an_identified_table(name):
    assert "identified." not in statement(name).replace("deidentified.", "")
