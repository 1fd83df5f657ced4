"""What stands before the BigQuery emulator and says in other words what it does not understand.

Belongs here: the requests of `resources.warehouses.bigquery_tables` that bqemulator 1.4.0 takes wrongly.  A result for
`table$N`, which it puts elsewhere without a word, becomes a script that replaces the partition's rows in a transaction;
parameters of a script become literals in it, and its temporary table gets a name of its own, since the emulator keeps it for
the next script; `table$N` is deleted by its rows; SEARCH, which it has not, becomes a comparison with each word; the
integer-range partitions of a table, which it forgets, are kept here and told when the table is asked for.  All else is passed
on as it came.  Google's own client, and so the platform's commands, then work on the emulator as they do on BigQuery.

Started as `python -m gradient_assets.dev.bigquery_front PORT EMULATOR_PORT`.
"""

# ruff: noqa: S608  An emulator's statements are put together from the names in the request.

from __future__ import annotations

import gzip
import json
import re
import secrets
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

ANSWER_DEADLINE_S = 600.0
"""The emulator works while it is asked: a load job is over when its answer comes."""

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}

PARTITION = re.compile(r"(.*/projects/([^/]+))/datasets/([^/]+)/tables/([^/$]+)\$(\d+)")
TABLES = re.compile(r".*/projects/[^/]+/datasets/[^/]+/tables(/[^/$]+)?")
JOBS = re.compile(r".*/projects/[^/]+/jobs")


def literal(kind: str, value: str) -> str:
    """A parameter's value as a literal of GoogleSQL.  Raises `ValueError` for a kind that the platform binds nowhere."""
    if kind == "INT64":
        return str(int(value))
    if kind == "STRING":
        # JSON's escapes are GoogleSQL's too; it knows no surrogate pairs, so that other letters stand as they are.
        return json.dumps(value, ensure_ascii=False)
    raise ValueError(f"a parameter of kind {kind} in a script")


def searched(statement: str, parameters: list[dict[str, Any]]) -> str:
    """The statement with each `SEARCH(column, @words)` as a comparison with every one of the words."""
    given = {one["name"]: one["parameterValue"]["value"] for one in parameters}

    def each_word(found: re.Match[str]) -> str:
        column, words = found[1], str(given[found[2]]).lower().split()
        patterns = [literal("STRING", rf"\b{re.escape(word)}\b") for word in words]
        return "(" + " AND ".join(f"REGEXP_CONTAINS(LOWER({column}), {pattern})" for pattern in patterns) + ")"

    return re.sub(r"\bSEARCH\((`\w+`), @(\w+)\)", each_word, statement)


def partition_script(table: str, number: str, select: str, columns: list[str]) -> str:
    """What puts the result of `select` in place of one hospital's rows."""
    names = ", ".join(f"`{name}`" for name in columns)
    return (
        f"CREATE TEMP TABLE replacement AS {select}; BEGIN TRANSACTION; "
        f"DELETE FROM `{table}` WHERE hospital_number = {number}; "
        f"INSERT INTO `{table}` ({names}) SELECT {names} FROM replacement; COMMIT TRANSACTION;"
    )


def plain_script(script: str, parameters: list[dict[str, Any]]) -> str:
    """The script with its parameters as literals and a temporary table that no other script uses.  Raises `ValueError`."""
    given = {one["name"]: literal(one["parameterType"]["type"], one["parameterValue"]["value"]) for one in parameters}
    own = re.sub(r"\breplacement\b", f"replacement_{secrets.token_hex(8)}", script)
    return re.sub(r"@(\w+)", lambda found: given[found[1]], own)


class Front(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    emulator: ClassVar[tuple[str, int]]
    partitions: ClassVar[dict[str, Any]] = {}
    """How tables were said to be partitioned, by their reference."""

    def do_POST(self) -> None:
        """Pass a request on, a query job in other words."""
        body = self._body()
        if JOBS.fullmatch(urlsplit(self.path).path):
            try:
                job = json.loads(body)
                query = job.get("configuration", {}).get("query")
                if query is not None:
                    self._reword(query)
                    body = json.dumps(job).encode()
            except (ValueError, KeyError) as error:
                self._answer(400, {}, json.dumps({"error": {"code": 400, "message": str(error)}}).encode())
                return
        self._pass_on(body)

    def do_DELETE(self) -> None:
        """Delete a partition by its rows; pass on anything else."""
        found = PARTITION.fullmatch(unquote(urlsplit(self.path).path))
        if found is None:
            self._pass_on(self._body())
            return
        service, project, dataset, table, number = found.groups()
        statement = f"DELETE FROM `{project}.{dataset}.{table}` WHERE hospital_number = {number}"
        asked = json.dumps({"query": statement, "useLegacySql": False}).encode()
        status, headers, answer = self._ask("POST", f"{service}/queries", asked)
        if status < 400 and not json.loads(answer).get("errors"):
            self._answer(204, {}, b"")
        else:
            self._answer(max(status, 404), headers, answer)

    def _plainly(self) -> None:
        self._pass_on(self._body())

    do_GET = do_PUT = do_PATCH = _plainly  # noqa: N815  the names that http.server looks for

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  http.server's own name
        """Nothing: an address may name a release's recipient."""

    def _reword(self, query: dict[str, Any]) -> None:
        target = query.get("destinationTable") or {}
        table, _, number = str(target.get("tableId", "")).partition("$")
        if number:
            where = f"/bigquery/v2/projects/{target['projectId']}/datasets/{target['datasetId']}/tables/{table}"
            fields = json.loads(self._ask("GET", where, b"")[2])["schema"]["fields"]
            name = f"{target['projectId']}.{target['datasetId']}.{table}"
            query["query"] = partition_script(name, number, query["query"], [field["name"] for field in fields])
            for only_of_a_result in ("destinationTable", "writeDisposition", "createDisposition"):
                query.pop(only_of_a_result, None)
        query["query"] = searched(query["query"], query.get("queryParameters", []))
        if ";" in query["query"]:
            query["query"] = plain_script(query["query"], query.pop("queryParameters", []))
            query.pop("parameterMode", None)

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _pass_on(self, body: bytes) -> None:
        status, headers, answer = self._ask(self.command, self.path, body)
        if TABLES.fullmatch(urlsplit(self.path).path) and status < 400 and answer:
            answer = self._with_partitions(json.loads(body) if body else {}, json.loads(answer))
        self._answer(status, headers, answer)

    def _with_partitions(self, asked: dict[str, Any], table: dict[str, Any]) -> bytes:
        if "tableReference" in table:
            name = json.dumps(table["tableReference"], sort_keys=True)
            if self.command == "POST":
                self.partitions.pop(name, None)
            if "rangePartitioning" in asked:
                self.partitions[name] = asked["rangePartitioning"]
            if name in self.partitions:
                table["rangePartitioning"] = self.partitions[name]
        return json.dumps(table).encode()

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Accept-Encoding"] = "identity"
        # One connection a request: the emulator ends idle ones whenever it likes.
        connection = HTTPConnection(*self.emulator, timeout=ANSWER_DEADLINE_S)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


def serve(port: int, emulator_port: int) -> None:
    """Answer on that port of 127.0.0.1 until the process ends."""
    Front.emulator = ("127.0.0.1", emulator_port)
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", port), Front).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
