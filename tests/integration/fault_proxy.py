"""A server between a client and S3 or BigQuery that breaks what it is told to break, and remembers what it was asked.

Belongs here: the faults of a network and of a busy server, one small function each.  It passes on everything else as it is,
with the client's own `Host`, so that signatures hold.
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "server", "date"}


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Rule:
    """A fault for requests of a method whose path holds a text, `times` of them or all."""

    fault: Callable[["_Handler", Answer], None]
    method: str
    containing: str
    times: int | None
    met: int = 0

    def meets(self, seen):
        fits = self.method in ("", seen.method) and self.containing in seen.path
        if not fits or (self.times is not None and self.met >= self.times):
            return False
        self.met += 1
        return True


def answers(status, code="SlowDown"):
    """The server says no: 403 AccessDenied, 503 SlowDown, 500 InternalError."""

    def act(handler, answer):
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told DOE^JANE</Message></Error>".encode()
        handler.say(Answer(status, [("Content-Type", "application/xml")], body))

    return act


def resets(handler, answer):
    """The connection is reset before a word."""
    handler.reset()


def loses_the_answer(handler, answer):
    """The server has done what it was asked to, and the connection is reset before a word."""
    handler.reset()


def resets_midway(handler, answer):
    """The connection is reset in the middle of the body."""
    handler.say(answer, upto=len(answer.body) // 2)
    handler.reset()


def ends_midway(handler, answer):
    """The connection is closed in the middle of the body, as if that were all."""
    handler.say(answer, upto=len(answer.body) // 2)


def says_nothing(handler, answer):
    """The server takes the request and is silent."""
    handler.server.stopped.wait(60)


def trickles(handler, answer):
    """The body comes a byte at a time."""
    handler.say(answer, upto=0)
    for place in range(len(answer.body)):
        if handler.server.stopped.wait(0.1):
            return
        handler.wfile.write(answer.body[place : place + 1])
        handler.wfile.flush()


def runs_on(part):
    """BigQuery's jobs whose ids hold the part are told to be running, whether they are or not."""

    def act(handler, answer):
        with suppress(ValueError):
            told = json.loads(answer.body)
            if part in told.get("jobReference", {}).get("jobId", ""):
                told |= {"status": {"state": "RUNNING"}} if "status" in told else {"jobComplete": False}
                answer.body = json.dumps(told).encode()
        handler.say(answer)

    act.needs_answer = True
    return act


@dataclass
class FaultProxy:
    """A running proxy in front of `upstream`; use it as a context."""

    upstream: str
    seen: list[Seen] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.proxy, self._server.stopped = self, threading.Event()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def breaks(self, fault, *, method="", containing="", times=None):
        """Break what fits from now on."""
        self.rules.append(Rule(fault, method, containing, times))

    def heal(self):
        """Break nothing more, forget what was seen, and let go of who is held."""
        self.rules.clear()
        self.seen.clear()

    def asked(self, method="", containing=""):
        """The requests that fit."""
        return [one for one in self.seen if method in ("", one.method) and containing in one.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        length = int(self.headers.get("Content-Length") or 0)
        seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
        proxy = self.server.proxy
        proxy.seen.append(seen)
        rule = next((one for one in proxy.rules if one.meets(seen)), None)
        if rule is None:
            self.say(self._passed_on(seen))
            return
        self.close_connection = True
        try:
            rule.fault(self, self._passed_on(seen) if _needs_answer(rule.fault) else None)
        except OSError:  # the client has gone
            return

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815  http.server looks for these names

    def _passed_on(self, seen):
        upstream = urlsplit(self.server.proxy.upstream)
        connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
        connection.putrequest(seen.method, seen.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(seen.body or None)
        answer = connection.getresponse()
        body = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
        if seen.method == "HEAD" and answer.getheader("Content-Length"):
            kept.append(("Content-Length", answer.getheader("Content-Length")))
        connection.close()
        return Answer(answer.status, kept, body)

    def say(self, answer, upto=None):
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:upto])
        self.wfile.flush()

    def reset(self):
        # A linger time of zero makes closing a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):  # reset above
            return

    def log_message(self, *_):
        pass


def _needs_answer(fault):
    return fault in (loses_the_answer, resets_midway, ends_midway, trickles) or getattr(fault, "needs_answer", False)
