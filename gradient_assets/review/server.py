"""The page's server: 127.0.0.1 alone, behind a token that is in the address and nowhere else.

Belongs here: who may ask for what over HTTP, and the headers that keep a picture out of caches and a stranger's page out of
this one.  What an answer says is `session`'s business.

Other pages of the same browser can send requests here, so a request must name the token, the very host (a foreign name that
resolves to 127.0.0.1 is refused), and, when it decides something, come as JSON from this page's own origin.  Nothing is logged:
the address is the key.
"""

from __future__ import annotations

import errno
import hmac
import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources as package
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from gradient_assets.deid.reasons import Refused
from gradient_assets.pipelines.steps import foreseen
from gradient_assets.review.decisions import ReviewError
from gradient_assets.review.redaction import View
from gradient_assets.review.session import NotReady, Session
from resources.buckets.object_store import StoreError

ADDRESS = "127.0.0.1"

MAX_BODY_BYTES = 64 * 1024
"""A decision with 200 boxes has 16 kB."""

SILENT_S = 30.0
"""A connection that says nothing for so long is closed."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CONTENT_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NUMBER = r"(\d{1,7})"
_GET = {
    "about": re.compile(rf"about/{_NUMBER}"),
    "look": re.compile(rf"look/{_NUMBER}"),
    "boxes": re.compile(rf"boxes/{_NUMBER}/{_NUMBER}"),
    "png": re.compile(rf"frame/{_NUMBER}/{_NUMBER}/({'|'.join(get_args(View))})\.png"),
}
_POST = {"decide": re.compile(rf"decide/{_NUMBER}"), "undo": re.compile(r"undo")}


class ReviewServer(ThreadingHTTPServer):
    """Serves one sitting.  Raises `ReviewError` when the port is taken; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True  # of a port whose last connections have not yet faded; a listening one still refuses

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(32)
        self.page = (package.files("gradient_assets.review") / "page.html").read_text(encoding="utf-8")
        failure = ""
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OverflowError:
            failure = "there is no such port"
        except OSError as error:
            failure = (
                "another program listens there"
                if error.errno == errno.EADDRINUSE
                else errno.errorcode.get(error.errno or 0, "?")
            )
        if failure:
            raise ReviewError(f"Port {port} can't be used: {failure}. Choose another with --port, or leave it out.")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{ADDRESS}:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """The page's address, which is the key to it."""
        return f"{self.origin}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a traceback on the terminal would quote what was asked for."""


class _Refusal(Exception):  # noqa: N818  an answer, not an error
    """A request is answered with this status and line."""

    def __init__(self, status: HTTPStatus, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


class _Handler(BaseHTTPRequestHandler):
    server_version = "gradient-review"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SILENT_S
    server: ReviewServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        """Nothing is logged."""

    def do_GET(self) -> None:
        """The page, what it says of an instance, a frame."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A decision."""
        self._answer(self._post)

    def _get(self, path: str) -> None:
        session = self.server.session
        if path == "":
            nonce = secrets.token_urlsafe(16)
            policy = {"Content-Security-Policy": _CONTENT_POLICY.format(nonce=nonce)}
            page = self.server.page.replace("{{nonce}}", nonce).replace("{{start}}", str(session.start()))
            return self._send(page.encode(), "text/html; charset=utf-8", more=policy)
        name, parts = _route(_GET, path)
        match name:
            case "about":
                return self._send_json(session.about(int(parts[0])))
            case "look":
                return self._send_json(session.look(int(parts[0])))
            case "boxes":
                return self._send_json(session.boxes(int(parts[0]), int(parts[1])))
            case _:
                picture = session.png(int(parts[0]), int(parts[1]), cast(View, parts[2]))
                return self._send(picture, "image/png")

    def _post(self, path: str) -> None:
        if self.headers.get("Origin", self.server.origin) != self.server.origin:
            raise _Refusal(HTTPStatus.FORBIDDEN, "Decisions are made on the review's own page.")
        if self.headers.get_content_type() != "application/json":
            raise _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A decision is JSON.")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True  # what was not read would be taken for the next request
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A decision has up to {MAX_BODY_BYTES} bytes.")
        body = self.rfile.read(int(length))
        name, parts = _route(_POST, path)
        if name == "undo":
            return self._send_json(self.server.session.undo())
        try:
            wish = json.loads(body)
        except (ValueError, RecursionError):
            wish = None
        if not isinstance(wish, dict):
            raise _Refusal(HTTPStatus.BAD_REQUEST, "A decision is a JSON object.")
        return self._send_json(self.server.session.decide(int(parts[0]), wish))

    def _answer(self, answer: Callable[[str], None]) -> None:
        try:
            answer(self._admitted())
        except _Refusal as refusal:
            self._say(refusal.status, refusal.line)
        except IndexError:
            self._say(HTTPStatus.NOT_FOUND, "There is no such instance or frame.")
        except NotReady:
            self._say(HTTPStatus.CONFLICT, "The picture is still being made.")
        except ReviewError as error:
            self._say(HTTPStatus.CONFLICT, str(error))
        except Refused as refused:
            self._say(HTTPStatus.CONFLICT, f"The instance was refused: {refused.reason.value}.")
        except StoreError as error:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, f"The store did not do it: {error}.")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as error:  # the text of the error may hold a value
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, f"This should not happen: {foreseen(error)}.")

    def _admitted(self) -> str:
        """The path after the token.  Raises `_Refusal` for another host or token."""
        if self.headers.get("Host") != urlsplit(self.server.origin).netloc:
            raise _Refusal(
                HTTPStatus.MISDIRECTED_REQUEST, "This server answers to the address that `gradient review` printed."
            )
        token, _, path = self.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refusal(HTTPStatus.NOT_FOUND, "Open the whole address that `gradient review` printed.")
        return path

    def _say(self, status: HTTPStatus, line: str) -> None:
        self._send(f"{line}\n".encode(), "text/plain; charset=utf-8", status)

    def _send_json(self, content: Any) -> None:
        self._send(json.dumps(content).encode(), "application/json")

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        if status >= HTTPStatus.BAD_REQUEST and self.command == "POST":
            self.close_connection = True  # its body may not have been read
        self.send_response(status)
        for name, value in {
            **_HEADERS,
            **(more or {}),
            "Content-Type": kind,
            "Content-Length": str(len(content)),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _route(routes: dict[str, re.Pattern[str]], path: str) -> tuple[str, tuple[str, ...]]:
    for name, form in routes.items():
        if found := form.fullmatch(path):
            return name, found.groups()
    raise _Refusal(HTTPStatus.NOT_FOUND, "There is no such page.")
