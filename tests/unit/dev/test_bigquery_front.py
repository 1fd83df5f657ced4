"""What the emulator gets to see of the requests that it does not understand."""

import json
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gradient_assets.dev.bigquery_front import Front, literal

PATH = "/bigquery/v2/projects/p"


class Emulator(BaseHTTPRequestHandler):
    """Keeps what it is asked; each of its tables has three columns, and it knows of no partitions."""

    asked: list

    def do_GET(self):
        fields = [{"name": name} for name in ("hospital_number", "a", "b")]
        self.answer({"schema": {"fields": fields}, "tableReference": {"tableId": self.path.rpartition("/")[2]}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        if self.path.endswith("/tables"):
            self.answer({"tableReference": body["tableReference"]})
            return
        missing = "missing" in str(body)
        self.answer({"jobComplete": True, **({"errors": [{"reason": "notFound"}]} if missing else {})})

    def do_DELETE(self):
        self.asked.append((self.path, None))
        self.answer({})

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def ask():
    """Sends a request to the front; returns the status and what the emulator was asked."""

    class OwnEmulator(Emulator):
        asked: list = []  # noqa: RUF012  one per test

    class OwnFront(Front):
        partitions: dict = {}  # noqa: RUF012  one per test

    behind, front = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (OwnEmulator, OwnFront))
    OwnFront.emulator = behind.server_address[:2]
    for server in (behind, front):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def sent(method, path, content=None):
        connection = HTTPConnection(*front.server_address[:2])
        connection.request(method, path, json.dumps(content) if content else None)
        answer = connection.getresponse()
        told.append(answer.read())
        connection.close()
        return answer.status, OwnEmulator.asked

    told = sent.told = []

    yield sent
    for server in (front, behind):
        server.shutdown()
        server.server_close()


def query(statement, *parameters, target=None):
    asked = {"query": statement, "parameterMode": "NAMED"}
    asked["queryParameters"] = [
        {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}
        for name, kind, value in parameters
    ]
    if target:
        asked |= {"destinationTable": target, "writeDisposition": "WRITE_TRUNCATE"}
    return {"configuration": {"query": asked}, "jobReference": {"jobId": "one"}}


def test_a_plain_query_goes_through_as_it_came(ask):
    asked = query("SELECT @a", ("a", "STRING", "x"))
    assert ask("POST", f"{PATH}/jobs?prettyPrint=false", asked) == (200, [(f"{PATH}/jobs?prettyPrint=false", asked)])


def test_a_result_for_a_partition_replaces_its_rows_in_a_transaction(ask):
    target = {"projectId": "p", "datasetId": "d", "tableId": "t$7"}
    status, asked = ask("POST", f"{PATH}/jobs", query("SELECT @n AS a", ("n", "INT64", "3"), target=target))
    sent = asked[0][1]["configuration"]["query"]
    assert status == 200
    assert asked[0][1]["jobReference"] == {"jobId": "one"}
    assert set(sent) == {"query"}
    made, begun, deleted, inserted, ended, _ = (part.strip() for part in sent["query"].split(";"))
    own = made.split()[3]
    assert made == f"CREATE TEMP TABLE {own} AS SELECT 3 AS a"
    assert (begun, ended) == ("BEGIN TRANSACTION", "COMMIT TRANSACTION")
    assert deleted == "DELETE FROM `p.d.t` WHERE hospital_number = 7"
    assert (
        inserted == f"INSERT INTO `p.d.t` (`hospital_number`, `a`, `b`) SELECT `hospital_number`, `a`, `b` FROM {own}"
    )


def test_a_script_has_literals_and_a_temporary_table_of_its_own(ask):
    script = "CREATE TEMP TABLE replacement AS SELECT @a; DROP TABLE replacement;"
    for _ in range(2):
        _, asked = ask("POST", f"{PATH}/jobs", query(script, ("a", "STRING", 'it\'s \\ "ü"\n')))
    texts = [body["configuration"]["query"]["query"] for _, body in asked]
    assert texts[0] != texts[1]
    assert all('SELECT "it\'s \\\\ \\"ü\\"\\n"' in text for text in texts)


def test_a_search_becomes_a_comparison_with_each_word(ask):
    statement = "SELECT a FROM t WHERE SEARCH(`b`, @words) LIMIT @most"
    _, asked = ask("POST", f"{PATH}/jobs", query(statement, ("words", "STRING", "Chest CT-1"), ("most", "INT64", "5")))
    sent = asked[0][1]["configuration"]["query"]
    compared = r"""REGEXP_CONTAINS(LOWER(`b`), "\\bchest\\b") AND REGEXP_CONTAINS(LOWER(`b`), "\\bct\\-1\\b")"""
    assert sent["query"] == f"SELECT a FROM t WHERE ({compared}) LIMIT @most"
    assert len(sent["queryParameters"]) == 2


def test_a_parameter_of_an_unknown_kind_is_refused(ask):
    assert ask("POST", f"{PATH}/jobs", query("SELECT @a; SELECT 1;", ("a", "BYTES", "eA=="))) == (400, [])


@pytest.mark.parametrize("dollar", ["$", "%24"])
def test_a_partition_is_deleted_by_its_rows(ask, dollar):
    status, asked = ask("DELETE", f"{PATH}/datasets/d/tables/t{dollar}7")
    assert status == 204
    assert asked[0][0] == f"{PATH}/queries"
    assert asked[0][1]["query"] == "DELETE FROM `p.d.t` WHERE hospital_number = 7"


def test_a_partition_of_a_missing_table_is_told_as_missing(ask):
    assert ask("DELETE", f"{PATH}/datasets/d/tables/missing$7")[0] == 404


def test_the_partitions_of_a_table_are_told_again(ask):
    ranges = {"field": "hospital_number", "range": {"start": "0", "end": "4000", "interval": "1"}}
    ask("POST", f"{PATH}/datasets/d/tables", {"tableReference": {"tableId": "t"}, "rangePartitioning": ranges})
    ask("GET", f"{PATH}/datasets/d/tables/t")
    ask("GET", f"{PATH}/datasets/d/tables/other")
    ask("POST", f"{PATH}/datasets/d/tables", {"tableReference": {"tableId": "t"}})
    found = [json.loads(answer).get("rangePartitioning") for answer in ask.told]
    assert found == [ranges, ranges, None, None]


def test_a_table_is_deleted_as_a_whole(ask):
    assert ask("DELETE", f"{PATH}/datasets/d/tables/t") == (200, [(f"{PATH}/datasets/d/tables/t", None)])


def test_literals_are_of_the_kinds_that_are_bound():
    assert literal("INT64", "12") == "12"
    with pytest.raises(ValueError, match="invalid literal"):
        literal("INT64", "1; DROP TABLE t")
