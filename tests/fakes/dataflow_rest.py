"""The Dataflow service's REST interface on localhost: it takes jobs, tells of them, cancels them, and can do their work.

Belongs here: what Google's reference says of `projects.locations.jobs` (create, get, list, update), `messages`, `metrics` and
`flexTemplates:launch`, as far as it is asked.  A job of a name that is active already is not made: the active one is answered.
Each request is held against Google's contract (`google_contract`); leaving the `with` block fails if one broke it.
With `works` the staged graph is run by Beam in this process, as workers would run it; without, a job does what a test says.
"""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.google_contract import Contract

CONTRACT = Contract("dataflow.v1b3", clients_own=("$alt",))
ENDED = ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")


@dataclass
class RestJob:
    """One job as the service keeps it.  `states` are gone through, one a question; the last one stays."""

    id: str
    body: dict
    states: list = field(default_factory=lambda: ["RUNNING"])
    messages: list = field(default_factory=list)
    metrics: list = field(default_factory=list)
    asked: int = 0
    error: Exception | None = None

    @property
    def name(self):
        return self.body["name"]

    @property
    def labels(self):
        return self.body.get("labels", {})

    @property
    def state(self):
        return self.states[0]

    def next_state(self):
        self.asked += 1
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def say(self, text, importance="BASIC", second=0):
        self.messages.append(
            {
                "id": f"{self.id}-{len(self.messages)}",
                "time": f"2026-01-01T00:00:{second:02d}Z",
                "messageImportance": f"JOB_MESSAGE_{importance}",
                "messageText": text,
            }
        )

    def count(self, name, value, *, tentative=False, origin="user"):
        context = {"namespace": "stage", "step": "s1"} | ({"tentative": "true"} if tentative else {})
        self.metrics.append({"name": {"origin": origin, "name": name, "context": context}, "scalar": value})

    def as_json(self):
        made = f"2026-01-01T00:00:{int(self.id.rpartition('-')[2]):02d}Z"
        return {**self.body, "id": self.id, "currentState": f"JOB_STATE_{self.state}", "createTime": made}


class DataflowRest:
    """The server; `with DataflowRest() as service:` starts and stops it."""

    def __init__(self, works=False):
        self.works = works
        self.jobs = {}
        self.requests = []
        self.breaches = []
        self.faults = {}
        """Kind of request → statuses to answer next; None answers rightly, and then loses the answer."""
        self.made = lambda job: None
        """Called with each new job before it is answered."""
        self.launched = []
        self.page = 100
        self._server = None

    @property
    def endpoint(self):
        return f"http://localhost:{self._server.server_address[1]}"

    @property
    def kinds(self):
        """How often each kind of request came."""
        return Counter(kind for kind, *_ in self.requests)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, failure, *_):
        self._server.shutdown()
        self._server.server_close()
        assert failure or not self.breaches, self.breaches

    def add(self, name, labels=(), states=("RUNNING",)):
        """A job that was there before."""
        job = RestJob(f"2026-01-01_00_00_00-{len(self.jobs)}", {"name": name, "labels": dict(labels)}, list(states))
        self.jobs[job.id] = job
        return job

    def create(self, body):
        active = [one for one in self.jobs.values() if one.name == body["name"] and one.state not in ENDED]
        if active:
            return active[0].as_json()
        job = self.add(body["name"])
        job.body = body
        self.made(job)
        if self.works:
            threading.Thread(target=run_staged, args=(job,), daemon=True).start()
        return job.as_json()

    def answered(self, kind, path, query, body):
        job = self.jobs.get(path[2]) if len(path) > 2 else None
        if kind == "create":
            return self.create(body)
        if kind == "launch":
            return self._launch(body["launchParameter"])
        if kind == "list":
            active = query["filter"] in ("3", "ACTIVE")  # enums come as numbers; the other filter asked for is ALL
            found = [one.as_json() for one in self.jobs.values() if not (active and one.state in ENDED)]
            return {"jobs": [one for one in found if one["name"] == query.get("name", one["name"])]}
        if job is None:
            return None
        if kind == "get":
            return {**job.as_json(), "currentState": f"JOB_STATE_{job.next_state()}"}
        if kind == "update":
            if job.state not in ENDED:
                job.states = ["CANCELLING", "CANCELLED"]
            return job.as_json()
        if kind == "messages":
            first = int(query.get("pageToken") or 0)
            said = [one for one in job.messages if one["time"] >= query.get("startTime", "")]
            answer = {"jobMessages": said[first : first + self.page]}
            return answer | ({"nextPageToken": str(first + self.page)} if len(said) > first + self.page else {})
        return {"metrics": job.metrics}

    def _launch(self, launch):
        self.launched.append(launch)
        environment = launch.get("environment", {})
        made = self.create({"name": launch["jobName"], "labels": environment.get("additionalUserLabels", {})})
        return {"job": made}


def _kind(method, path):
    if path == ["flexTemplates:launch"]:
        return "launch"
    if len(path) == 1:
        return {"POST": "create", "GET": "list"}[method]
    if len(path) == 3:
        return path[2]
    return {"GET": "get", "PUT": "update"}[method]


def _handler(service):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def _serve(self):
            split = urlsplit(self.path)
            parts = split.path.strip("/").split("/")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            service.breaches += CONTRACT.breaches(self.command, unquote(split.path.strip("/")), query, body)
            # …/v1b3/projects/P/locations/R/<the rest>; a path without a location would be another region's.
            if parts[0] != "v1b3" or parts[1] != "projects" or parts[3] != "locations":
                service.requests.append(("elsewhere", self.command, self.path, body))
                return self._answer(404, {})
            path = parts[5:]
            kind = _kind(self.command, path)
            service.requests.append((kind, self.command, self.path, body))
            faults = service.faults.get(kind)
            fault = faults.pop(0) if faults else 200
            if fault not in (200, None):
                return self._answer(fault, {"error": {"code": fault, "message": "DOE^JANE", "status": "UNAVAILABLE"}})
            found = service.answered(
                kind, ["jobs", *path] if kind == "launch" else [path[0], None, *path[1:]], query, body
            )
            if fault is None:
                return self._answer(503, {"error": {"code": 503, "message": "DOE^JANE", "status": "UNAVAILABLE"}})
            return self._answer(404 if found is None else 200, found or {})

        def _answer(self, status, content):
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815  the names that http.server calls

    return Handler


def options_sent(job):
    """Beam's options as the job's workers would get them."""
    return job.body["environment"]["sdkPipelineOptions"]["options"]


def staged_graph(job):
    """The graph that was staged for the job."""
    from apache_beam.portability.api import beam_runner_api_pb2

    return beam_runner_api_pb2.Pipeline.FromString(Path(options_sent(job)["pipelineUrl"]).read_bytes())


def run_staged(job):
    """Run the staged graph in this process, as workers of the service would."""
    run_graph(job, Path(options_sent(job)["pipelineUrl"]).read_bytes())


def run_graph(job, content):
    """Run a graph as a job's; how it ended is the job's state."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api import beam_runner_api_pb2
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import EmbeddedPythonEnvironment

    graph = beam_runner_api_pb2.Pipeline.FromString(content)
    here = EmbeddedPythonEnvironment.default().to_runner_api(None)
    for environment in graph.components.environments.values():
        environment.CopyFrom(here)
    try:
        result = FnApiRunner().run_via_runner_api(graph, PipelineOptions([]))
        result.wait_until_finish()
        for counter in result.metrics().query()["counters"]:
            job.count(counter.key.metric.name, counter.committed)
        ended = "DONE"
    except Exception as error:
        job.error = error
        job.say(f"Traceback (most recent call last):\n{type(error).__name__}: {error}", "ERROR")
        ended = "FAILED"
    if job.state not in ("CANCELLING", "CANCELLED"):
        job.states = [ended]
