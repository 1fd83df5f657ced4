"""BigQuery's SQL on DuckDB: the same answer, or a refusal.

The expected values are what BigQuery's documentation says of each function; the integration tests ask BigQuery's own
analyzer and an emulator.
"""

import datetime
from pathlib import Path

import pytest

from gradient_assets.tables import BY_NAME, Column, TableSpec
from resources.warehouses import dialect
from resources.warehouses.dialect import DialectRefused
from resources.warehouses.warehouse import EmbeddedWarehouse

T = TableSpec(
    "t",
    "public",
    "a table",
    (
        Column("i", "INT64", ""),
        Column("s", "STRING", ""),
        Column("d", "DATE", ""),
        Column("n", "STRING", "always null"),
    ),
    ("i",),
)
ROWS = "SELECT 7 AS i, 'radiology' AS s, DATE '2024-02-29' AS d"
SQL_FILES = sorted((Path(__file__).parents[3] / "gradient_assets" / "sql").glob("*.sql"))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = EmbeddedWarehouse(tmp_path_factory.mktemp("home"), specs=(T,))
    warehouse.replace_from_query(T, "one", ROWS)
    return warehouse


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("SUBSTR(s, 0, 5)", "radio"),  # position 0 is read as 1
        ("SUBSTR(s, 1, 5)", "radio"),
        ("SUBSTR(s, 6)", "logy"),
        ("CONCAT(s, '-', 'x')", "radiology-x"),
        ("CONCAT(s, n)", None),  # DuckDB's own concat leaves NULL out
        ("s || n", None),
        ("LEAST(i, NULL)", None),  # DuckDB's own least leaves NULL out
        ("GREATEST(i, 9)", 9),
        ("DATE_ADD(d, INTERVAL 1 DAY)", datetime.date(2024, 3, 1)),  # a date, no timestamp
        ("DATE_SUB(d, INTERVAL 1 YEAR)", datetime.date(2023, 2, 28)),
        ("DATE_TRUNC(d, MONTH)", datetime.date(2024, 2, 1)),
        ("DATE_DIFF(DATE '2024-03-01', d, DAY)", 1),
        ("EXTRACT(YEAR FROM d)", 2024),
        ("SAFE_CAST(s AS INT64)", None),
        ("CAST('12' AS INT64)", 12),
        ("SAFE_DIVIDE(i, 0)", None),
        ("SAFE.SUBSTR(s, 1, 2)", "ra"),
        ("IF(i > 3, 'many', 'few')", "many"),
        ("IFNULL(n, 'none')", "none"),
        ("NULLIF(i, 7)", None),
        ("STARTS_WITH(s, 'rad')", True),
        ("STRPOS(s, 'olo')", 5),
        ("LENGTH('名前')", 2),
        ("MOD(-7, 3)", -1),
        ("'a\\n\\tb'", "a\n\tb"),
        (r"r'a\n'", r"a\n"),
        ("'it\\'s'", "it's"),
        ("s LIKE 'rad%'", True),
        ("s = 'Radiology'", False),
        ("i IN (1, 7)", True),
        ("CASE i WHEN 7 THEN 'seven' ELSE 'other' END", "seven"),
    ],
)
def test_an_expression_means_what_it_means_in_bigquery(warehouse, expression, value):
    (row,) = warehouse.query(f"SELECT {expression} AS x FROM public.t").to_pylist()
    assert row["x"] == value
    assert type(row["x"]) is type(value)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT NULL) AS q ORDER BY x", [None, 1]),  # NULL is smallest
        ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT NULL) AS q ORDER BY x DESC", [1, None]),
        ("SELECT STRING_AGG(x, '\\n' ORDER BY x DESC) AS x FROM (SELECT 'a' AS x UNION ALL SELECT 'b') AS q", ["b\na"]),
        ("SELECT COUNTIF(x > 1) AS x FROM (SELECT 1 AS x UNION ALL SELECT 2) AS q", [1]),
        (
            "SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2) AS q WHERE TRUE QUALIFY ROW_NUMBER() OVER (ORDER BY x DESC) = 1",
            [2],
        ),
        ("WITH q AS (SELECT @p AS x) SELECT x FROM q", ["given"]),
        ("SELECT SUM(x) AS x FROM (SELECT 1 AS x UNION DISTINCT SELECT 1) AS q", [1]),
    ],
)
def test_a_query_means_what_it_means_in_bigquery(warehouse, query, values):
    assert warehouse.query(query, {"p": "given"}).column("x").to_pylist() == values


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT",
        "SELECT 1; SELECT 2",
        "DELETE FROM public.t WHERE true",
        "CREATE TABLE public.x AS SELECT 1 AS a",
        "INSERT INTO public.t (i) SELECT 1",
        "DROP TABLE public.t",
        "COPY public.t TO 'x'",
        "ATTACH 'x'",
        "SELECT FORMAT('%05d', i) FROM public.t",
        "SELECT i / 2 FROM public.t",
        "SELECT SUBSTR(s, -3) FROM public.t",
        "SELECT SUBSTR(s, i) FROM public.t",
        "SELECT CURRENT_DATE()",
        "SELECT CURRENT_TIMESTAMP()",
        "SELECT RAND()",
        "SELECT SEARCH(s, 'x') FROM public.t",
        "SELECT read_text('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELECT EXTRACT(DAYOFWEEK FROM d) FROM public.t",
        "SELECT EXTRACT(WEEK FROM d) FROM public.t",
        "SELECT DATE_TRUNC(d, WEEK) FROM public.t",
        "SELECT DATE_DIFF(d, d, WEEK) FROM public.t",
        "SELECT REGEXP_CONTAINS(s, 'x') FROM public.t",
        "SELECT CAST(s AS BYTES) FROM public.t",
        "SELECT CAST(s AS NUMERIC) FROM public.t",
        "SELECT * FROM UNNEST([1, 2])",
        "SELECT [1, 2]",
        "SELECT STRUCT(1 AS a)",
        "SELECT PARSE_DATE('%Y', s) FROM public.t",
        "SELECT * FROM `project.public.t`",
        "SELECT * FROM t",
        "SELECT * FROM public.t TABLESAMPLE SYSTEM (10 PERCENT)",
        "SELECT * FROM public.t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01'",
        "SELECT * FROM public.t PIVOT(SUM(i) FOR s IN ('a'))",
        "SELECT ARRAY(SELECT 1)",
        "SELECT MD5(s) FROM public.t",
    ],
)
def test_what_nobody_compared_is_refused(warehouse, sql):
    with pytest.raises(DialectRefused):
        warehouse.query(sql)


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_every_statement_of_the_graph_runs_on_an_empty_warehouse(tmp_path, path):
    sql = path.read_text()
    given = dict.fromkeys(dialect.parameters(sql), "st-mary")
    assert EmbeddedWarehouse(tmp_path).query(sql, given).num_columns >= 1


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("SELECT i, s AS text FROM public.t", {"i": [("public.t", "i")], "text": [("public.t", "s")]}),
        ("SELECT 1 AS one", {"one": []}),
        (
            "WITH q AS (SELECT CONCAT(s, n) AS x, i FROM public.t) SELECT a.x, COUNT(b.i) AS total FROM q AS a JOIN q AS b "
            "ON a.i = b.i GROUP BY a.x",
            {"x": [("public.t", "n"), ("public.t", "s")], "total": [("public.t", "i")]},
        ),
        (
            "SELECT i FROM public.t UNION ALL SELECT LENGTH(s) FROM public.t",
            {"i": [("public.t", "i"), ("public.t", "s")]},
        ),
    ],
)
def test_lineage_names_the_columns_a_result_is_made_of(sql, sources):
    assert dialect.lineage(sql, [T]) == sources


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_the_lineage_of_the_graph_names_columns_that_exist(path):
    for sources in dialect.lineage(path.read_text()).values():
        for table, column in sources:
            assert column in BY_NAME[table].column_names


def test_tables_are_renamed_for_bigquery_and_keep_their_alias():
    sql = "SELECT t.i, u.s FROM public.t JOIN public.t AS u ON u.i = t.i"
    renamed = dialect.to_bigquery(sql, {"public.t": "my-project.pre_public.t"})
    assert renamed == (
        "SELECT t.i, u.s FROM `my-project`.`pre_public`.`t` AS t JOIN `my-project`.`pre_public`.`t` AS u ON u.i = t.i"
    )


def test_a_refusal_is_one_plain_line():
    with pytest.raises(DialectRefused) as caught:
        dialect.checked("SELECT FROM WHERE")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
