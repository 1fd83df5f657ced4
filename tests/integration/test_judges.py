"""One SQL, two engines, three judges: each statement gives the same rows on the emulator and in the embedded warehouse, with
the types that Google's analyzer says.

The rows are made by hypothesis: NULLs wherever a column may have them, repeated keys, any Unicode, the first and the last day
there is.  The emulator is DuckDB inside as well: it judges what is sent and how it is translated; what a statement means in
BigQuery's dialect, the analyzer judges.
"""

import datetime
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradient_assets import sql
from gradient_assets.dev.bigquery import PROJECT
from gradient_assets.tables import BY_NAME
from resources.buckets.object_store import Bucket, BucketAddress
from resources.warehouses import dialect
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.bigquery_jobs import Limits
from resources.warehouses.bigquery_tables import table_schema
from resources.warehouses.warehouse import ZONES, EmbeddedWarehouse
from tests.fakes.asked import ASKING, asked_by
from tests.fakes.googlesql import Judge

HOSPITALS = {"st-mary": 1, "north-clinic": 2}
STATEMENTS = {name: (sql.statement(name), {"hospital_id": "st-mary"}) for name in sql.names()} | {
    f"{module.rpartition('/')[2]} {place}": asked for module in ASKING for place, asked in enumerate(asked_by(module))
}
EXAMPLES = 6
ROWS = 7
ARROW_OF = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}

TEXTS = st.one_of(
    st.sampled_from(["", " ", "CT", "o\u0308", "ö", "ẞ", "日本語", "\U0001f9e0", "100%", "it's", "a\nb", '"', "\\"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)
KEYS = st.sampled_from(["a", "a", "A", "ä"])
NUMBERS = st.one_of(st.integers(0, 3), st.sampled_from([-(2**31), 2**31, 2**53]))
MOMENTS = st.datetimes(
    datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31), timezones=st.just(datetime.UTC)
)  # fmt: skip
VALUES = {
    "STRING": TEXTS,
    "INT64": NUMBERS,
    "FLOAT64": st.floats(allow_nan=False),
    "BOOL": st.booleans(),
    "DATE": st.one_of(st.sampled_from([datetime.date.min, datetime.date(1900, 2, 28), datetime.date.max]), st.dates()),
    "TIMESTAMP": MOMENTS,
}
CODES = {
    "box": st.sampled_from([0, 0, 1]),
    "boxes": st.integers(0, 2),
    "face": st.sampled_from(["likely", "none", "unknown"]),
    "look": st.sampled_from(["looked", "skipped", "audited"]),
    "reason": st.sampled_from(["withdrawn", "undecodable_pixels"]),
    "modality": st.sampled_from(["CT", "MR", "ct"]),
    # The days about a cohort's first one.
    "study_date": st.sampled_from(
        [datetime.date.min, datetime.date(2018, 12, 31), datetime.date(2019, 1, 1), datetime.date.max]
    ),
}


def values_of(column):
    # Few keys, so that joins meet and groups repeat.
    is_key = column.name.endswith(("_uid", "_pseudonym", "_token", "pseudonym"))
    values = CODES[column.name] if column.name in CODES else KEYS if is_key else VALUES[column.type]
    return values if column.required else st.one_of(values, values, values, st.none())


def rows_of(spec):
    """Rows of two hospitals; a report's pseudonym is its own, as it is made from a key and the report."""
    own = [column for column in spec.columns if column.name not in ("hospital_id", "hospital_number")]
    rows = st.lists(
        st.tuples(st.sampled_from(["st-mary", "st-mary", "north-clinic"]), *(values_of(column) for column in own)),
        max_size=ROWS,
    )
    names = [column.name for column in own]

    def made(drawn):
        found = []
        for place, (hospital, *values) in enumerate(drawn):
            row = {
                "hospital_id": hospital,
                "hospital_number": HOSPITALS[hospital],
                **dict(zip(names, values, strict=True)),
            }
            if spec.name == "deidentified_reports":
                row["report_pseudonym"] = f"r{place}"
            found.append({name: row[name] for name in spec.column_names})
        return found

    return rows.map(made)


@pytest.fixture(scope="module")
def judge():
    return Judge()


@pytest.fixture(scope="module")
def warehouses(bigquery, tmp_path_factory):
    """The embedded warehouse and the one on the emulator, and a folder for shards."""
    folder = tmp_path_factory.mktemp("judges")
    emulated = BigQueryWarehouse(
        project=PROJECT,
        staging_areas={zone: Bucket(BucketAddress((folder / "staging").as_uri())) for zone in ZONES},
        numbers=HOSPITALS,
        dataset_prefix="judges_",
        endpoint=bigquery.front,
        limits=Limits(deadline_s=20),  # what the emulator refuses shall be told soon
    )
    return EmbeddedWarehouse(folder / "embedded"), emulated, folder


def fill(warehouses, spec, rows, number=itertools.count()):  # noqa: B008  one counter for all calls
    """The same rows in both; on the emulator by one load job over the whole table."""
    embedded, emulated, folder = warehouses

    def shard(some):
        path = folder / f"{next(number)}.parquet"
        pq.write_table(pa.Table.from_pylist(some, schema=spec.arrow_schema), path)
        return path.as_uri()

    for hospital in HOSPITALS:
        embedded.drop(spec, hospital)
        own = [row for row in rows if row["hospital_id"] == hospital]
        embedded.replace(spec, hospital, shards=[shard(own)])
    emulated._tables.ensure(spec)
    emulated._tables.load(spec.zone, spec.name, [shard(rows)], table_schema(spec))


def comparable(table):
    return sorted(repr(sorted(row.items())) for row in table.to_pylist())


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_gives_the_same_rows_on_both_engines_and_the_types_of_the_analyzer(name, warehouses, judge):
    text, parameters = STATEMENTS[name]
    specs = [BY_NAME[f"{zone}.{table}"] for zone, table in dialect.tables(text)]
    types = {column: ARROW_OF[kind] for column, kind in judge.columns(text, parameters).items()}
    numbers = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        # An example takes a second, and to make one that fails smaller takes hundreds.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*(rows_of(spec) for spec in specs)))
    def agree(drawn):
        for spec, rows in zip(specs, drawn, strict=True):
            fill(warehouses, spec, rows)
        embedded, emulated, _ = warehouses
        expected, found = (one.query(text, parameters) for one in (embedded, emulated))
        assert comparable(found) == comparable(expected)
        for answer in (expected, found):
            given_types = dict(zip(answer.schema.names, answer.schema.types, strict=True))
            assert given_types == types
        numbers.append(expected.num_rows)

    agree()
    assert any(numbers), "no example gave a row"
