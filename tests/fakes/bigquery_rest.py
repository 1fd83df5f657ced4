"""BigQuery's REST interface as far as the warehouse uses it: takes requests down, checks each against Google's own contract.

Belongs here: the server, its jobs and tables in memory, and what can be made to go wrong.  The contract is `google_contract`'s.
No SQL is run: a job ends as it was told to, a load holds `LOADED` rows, a query gives `rows`;
unless the test gives tables that hold rows (`bigquery_rows`).
"""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.fakes.bigquery_rows import Rows
from tests.fakes.google_contract import Contract

PROJECT = "my-project"
CONTRACT = Contract("bigquery.v2", clients_own=("projection",))
"""Google's client adds a parameter to `jobs.get` that the contract does not have."""


def told(ends):
    """A failed job's reason and text; the text quotes a row, as the real one's may."""
    return ends if isinstance(ends, tuple) else (ends, "Bad value: DOE^JANE")


def refusal(status, reason, said="Bad value: DOE^JANE"):
    """An error as BigQuery writes it; its text quotes a row, as the real one's may."""
    return status, {"error": {"code": status, "message": said, "errors": [{"reason": reason, "message": said}]}}


LOADED = "3"
ANSWER = {"total": LOADED, "fresh": LOADED, "dropped": "0"}
"""What stands in a partition after its replacement by the rows that were loaded."""

CONFLICT = (
    "invalidQuery",
    "Query error: Transaction is aborted due to concurrent update against table my-project.public.released of DOE^JANE",
)
SERIALIZATION = (
    "invalidQuery",
    "Could not serialize access to table my-project:public.released due to concurrent update",
)

LOST_BEFORE = "the connection is cut before the request is taken"
LOST_AFTER = "the request is taken, the connection cut before the answer"


@dataclass
class Held:
    """The first request of `method` for a job with `mark` in its id gets no answer before `released`."""

    method: str
    mark: str
    was_asked: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def holds(self, name, request):
        """Whether it is this one."""
        return (
            name == self.method
            and not self.was_asked.is_set()
            and self.mark in f"{request.path} {request.body.get('jobReference')}"
        )


@dataclass
class Request:
    method: str
    path: str
    query: dict
    body: dict

    @property
    def job(self):
        """The id of the job that is asked for."""
        return self.body["jobReference"]["jobId"]

    @property
    def configuration(self):
        return self.body["configuration"]


@dataclass
class FakeBigQuery:
    """The server.  `faults`: method of the contract, such as `jobs.insert` → what befalls its next calls, in turn: an HTTP
    answer (`refusal`), `LOST_BEFORE` or `LOST_AFTER`.  `job_ends`: how the next jobs end, in turn: None for well, a reason, a
    reason with its text, or "never".
    """

    rows: list = field(default_factory=lambda: [ANSWER])
    contents: Rows | None = None
    requests: list = field(default_factory=list)
    breaches: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    job_ends: list = field(default_factory=list)
    held: Held | None = None
    jobs: dict = field(default_factory=dict)
    tables: dict = field(default_factory=dict)
    datasets: dict = field(default_factory=dict)
    policies: list = field(default_factory=list)
    bytes_read: dict = field(default_factory=dict)
    writes: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self._lock = threading.RLock()
        self._made = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                answer = fake.answer(self.command, self.path, body, self.headers)
                if answer is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                content = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return self.serve
                raise AttributeError(name)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self._server.shutdown()
        self._server.server_close()

    def client(self):
        """Google's own client, speaking to this server."""
        options = ClientOptions(api_endpoint=self.endpoint)
        return bigquery.Client(PROJECT, AnonymousCredentials(), client_options=options, location="US")

    def named(self, method):
        """The requests of one method of the contract."""
        _, pattern, described = next(one for one in CONTRACT.methods if one[2]["id"] == f"bigquery.{method}")
        return [one for one in self.requests if one.method == described["httpMethod"] and pattern.fullmatch(one.path)]

    def answer(self, http_method, address, body, headers):
        parts = urlsplit(address)
        path = unquote(parts.path).removeprefix("/bigquery/v2/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            request = Request(http_method, path, query, body)
            self.requests.append(request)
            self.breaches += CONTRACT.breaches(http_method, path, query, body)
            found = next(
                ((d, p.fullmatch(path)) for m, p, d in CONTRACT.methods if m == http_method and p.fullmatch(path)), None
            )
            if found is None:
                return refusal(404, "notFound")
            name = found[0]["id"].removeprefix("bigquery.")
            waiting = self.faults.get(name, [])
            fault = waiting.pop(0) if waiting else None
            if fault == LOST_BEFORE:
                return None
            if isinstance(fault, tuple):
                return fault
            given = getattr(self, f"_{name.replace('.', '_')}")(found[1].groupdict(), request, headers)
            is_held = self.held is not None and self.held.holds(name, request)
            if is_held:
                self.held.was_asked.set()
        if is_held:
            self.held.released.wait(60)
        return None if fault == LOST_AFTER else given

    def _datasets_insert(self, names, request, headers):
        name = request.body["datasetReference"]["datasetId"]
        if name in self.datasets:
            return refusal(409, "duplicate")
        self.datasets[name] = request.body
        return 200, request.body

    def _datasets_get(self, names, request, headers):
        return 200, self.datasets[names["datasetId"]]

    def _tables_insert(self, names, request, headers):
        name = request.body["tableReference"]["tableId"]
        if name in self.tables:
            return refusal(409, "duplicate")
        self._made += 1
        self.tables[name] = {**request.body, "creationTime": str(1_700_000_000_000 + self._made)}
        if self.contents:
            self.contents.make(name, request.body["schema"]["fields"])
        return self._shown(name)

    def _tables_get(self, names, request, headers):
        return self._shown(names["tableId"])

    def _tables_patch(self, names, request, headers):
        name = names["tableId"]
        if headers.get("If-Match") not in (None, self._etag(name)):
            return refusal(412, "conditionNotMet")
        self.tables[name].update(request.body)
        self.writes[name] += 1
        return self._shown(name)

    def _tables_delete(self, names, request, headers):
        self.writes[names["tableId"].partition("$")[0]] += 1
        return 200, {}

    def vanish(self, name):
        """Let a table's day be over."""
        del self.tables[name]
        if self.contents:
            self.contents.drop(name)

    def _etag(self, name):
        return f"{name}-{self.writes[name]}"

    def _shown(self, name):
        if name not in self.tables:
            return refusal(404, "notFound")
        return 200, {**self.tables[name], "etag": self._etag(name)}

    def _rowAccessPolicies_list(self, names, request, headers):
        return 200, {"rowAccessPolicies": self.policies}

    def _jobs_insert(self, names, request, headers):
        job = request.body
        if job["configuration"].get("dryRun"):
            text = job["configuration"]["query"]["query"]
            read = next((size for part, size in self.bytes_read.items() if part in text), 0)
            if read is None:
                return refusal(400, "invalidQuery")
            sums = {"totalBytesProcessed": str(read)}
            done = {"status": {"state": "DONE"}, "statistics": {**sums, "query": sums}}
            return 200, {**job, **done}
        if request.job in self.jobs:
            return refusal(409, "duplicate")
        ends = self.job_ends.pop(0) if self.job_ends else None
        self.jobs[request.job] = {**job, "ends": ends}
        if ends is None:
            self._done(self.jobs[request.job])
        return 200, {**job, "status": {"state": "PENDING"}}

    def _done(self, job):
        """What a job that ends well leaves behind."""
        load, query = (job["configuration"].get(kind, {}) for kind in ("load", "query"))
        target = {**load, **query}.get("destinationTable", {}).get("tableId", "")
        if load:
            tokens = [uri for uri in load["sourceUris"] if uri.endswith("/tokens.parquet")]
            rows = held = "1" if tokens else LOADED
            if self.contents:
                rows = str(self.contents.load(target, load["sourceUris"], load["writeDisposition"]))
                held = str(self.contents.count(target))
            self.tables[target]["numRows"] = held
            job["statistics"] = {"load": {"outputRows": rows}}
        elif target:
            self.writes[target.partition("$")[0]] += 1
            if self.contents:
                self.contents.put(target, query)
        elif self.contents:
            job["rows"] = self.contents.ask(query)

    def _job(self, job_id):
        if job_id not in self.jobs:
            return refusal(404, "notFound")
        job = dict(self.jobs[job_id])
        ends = job.pop("ends")
        job.pop("rows", None)
        job["status"] = {"state": "RUNNING" if ends == "never" else "DONE"}
        if ends not in (None, "never"):
            reason, message = told(ends)
            job["status"]["errorResult"] = {"reason": reason, "message": message}
        return 200, job

    def _jobs_get(self, names, request, headers):
        return self._job(names["jobId"])

    def _jobs_cancel(self, names, request, headers):
        if names["jobId"] not in self.jobs:
            return refusal(404, "notFound")
        self.jobs[names["jobId"]]["ends"] = "stopped"
        return 200, {"job": self._job(names["jobId"])[1]}

    def _jobs_getQueryResults(self, names, request, headers):
        job = self.jobs[names["jobId"]]
        reference = {"jobReference": job["jobReference"]}
        if job["ends"] == "never":
            return 200, {**reference, "jobComplete": False}
        if job["ends"]:
            return refusal(400, *told(job["ends"]))
        found = job.get("rows", self.rows)
        columns = list(found[0]) if found else []
        fields = [{"name": name, "type": "STRING" if not found[0][name].isdigit() else "INTEGER"} for name in columns]
        rows = [{"f": [{"v": row[name]} for name in columns]} for row in found]
        return 200, {
            **reference,
            "jobComplete": True,
            "schema": {"fields": fields},
            "totalRows": str(len(rows)),
            "rows": rows,
        }
