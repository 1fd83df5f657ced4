"""Rows behind the recording BigQuery server, for tests of what becomes of them.

Belongs here: tables in DuckDB, and the few statements that the warehouse sends itself while it replaces a partition.  What is
taken on the wire is `bigquery_rest`'s business, what every statement means the emulator's and the analyzer's.
"""

import re

import duckdb

TYPES = {"STRING": "VARCHAR", "INT64": "BIGINT"}


class Rows:
    """The rows of tables by their id; `table$N` is the rows of one hospital."""

    def __init__(self):
        self._database = duckdb.connect()

    def make(self, table, fields):
        columns = ", ".join(f'"{one["name"]}" {TYPES[one["type"]]}' for one in fields)
        self._database.execute(f'CREATE TABLE "{table}" ({columns})')

    def drop(self, table):
        self._database.execute(f'DROP TABLE "{table}"')

    def load(self, table, uris, disposition):
        """Put the objects' rows in place of the table's, or beside them; returns their number."""
        if disposition == "WRITE_TRUNCATE":
            self._database.execute(f'DELETE FROM "{table}"')
        before = self.count(table)
        files = [uri.removeprefix("file://") for uri in uris]
        self._database.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM read_parquet(?)', [files])
        return self.count(table) - before

    def count(self, table):
        return self._database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]

    def put(self, target, query):
        """Put the query's result in place of a partition."""
        table, _, number = target.partition("$")
        self._database.execute(f"CREATE TEMP TABLE result AS {spoken(query)}")
        self._database.execute(f'DELETE FROM "{table}" WHERE hospital_number = {int(number)}')
        self._database.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM result')
        self._database.execute("DROP TABLE result")

    def ask(self, query):
        """The rows as the service writes them: every value a text."""
        asked = self._database.execute(spoken(query))
        names = [one[0] for one in asked.description]
        return [dict(zip(names, map(str, row), strict=True)) for row in asked.fetchall()]


def spoken(query):
    """The statement as DuckDB takes it: a table by its id alone, parameters as literals."""
    given = {one["name"]: one["parameterValue"]["value"] for one in query.get("queryParameters", [])}
    text = re.sub(r"`(?:[\w-]+\.){2}(\w+)`", r'"\1"', query["query"]).replace("`", '"')
    return re.sub(r"@(\w+)", lambda found: f"'{given[found[1]]}'", text)
