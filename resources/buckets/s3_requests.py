"""Requests to S3 and GCS that obstore can't make: pages of a listing, and objects whose keys are no paths to it.

Belongs here: one signed request with its retries, within a deadline that holds for a body that trickles, too.  What a page
says is `s3_listing`'s.  obstore 0.12's paths know no empty, `.` or `..` segment, no slash at either end and no control
character: one such key refuses a whole listing, or is listed under another name.  Hospitals' keys are not ours to choose.

botocore signs and sends.  Its clients are not used: their parser takes 75 ms of CPU for a page of 1,000 keys, XML alone 8 ms,
and no time-out of theirs ends a body that comes a byte at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from resources.buckets.entity_tags import condition, refuse_another
from resources.buckets.pauses import attempts
from resources.buckets.request_signing import AmazonSignature, BearerToken
from resources.buckets.store_errors import StoreError, StoreUnavailable, of_status
from resources.errors import holding_back

if TYPE_CHECKING:
    from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]  # ships no types

CONNECT_DEADLINE_S = 10
READ_DEADLINE_S = 30
"""Between two pieces of an answer."""
PIECE_BYTES = 256 * 1024

PASSING = frozenset({408, 429, *range(500, 600)})
"""Statuses that say something of the moment: SlowDown is 503."""


class _Passing(Exception):  # noqa: N818  the outcome's name says what happened
    """What may be tried again; holds what it would be told as."""

    def __init__(self, failure: StoreError) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass
class S3Requests:
    """Signed requests to one bucket, in Amazon's REST interface, which GCS speaks as well (its "XML API")."""

    bucket_name: str
    endpoint: str
    signature: AmazonSignature | BearerToken
    retry_deadline_s: float = 120.0
    request_deadline_s: float = 300.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _session: URLLib3Session | None = field(default=None, init=False, repr=False)

    def page(self, query: Mapping[str, str], limit_bytes: int, read: Callable[[bytes], Any]) -> Any:
        """One answer of a listing, as `read` makes it out; what it can't make out (`ValueError`) is asked for again.

        Raises `StoreError`.
        """

        def attempt() -> Any:
            body = self._send("list", "GET", "", query, {}, limit_bytes)
            try:
                return read(body)
            except ValueError as error:
                failure = holding_back(StoreUnavailable("list: an answer that is no listing"), error)
            raise _Passing(failure)

        return self._patiently("list", attempt)

    def content(
        self, key: str, size_limit: int, span: tuple[int, int] | None = None, *, etag: str | None = None
    ) -> bytes:
        """An object, or `span` = (start, length) of it; with `etag` only while it is the one that was listed with it.

        Raises `StoreError`.
        """
        headers = {"Range": f"bytes={span[0]}-{span[0] + span[1] - 1}"} if span else {}
        if match := condition(etag):
            headers["If-Match"] = match
        body: bytes = self._patiently("get", lambda: self._send("get", "GET", key, {}, headers, size_limit, etag))
        return body

    def headers(self, key: str) -> Mapping[str, str]:
        """The headers of an object.  Raises `StoreError`."""
        found: Mapping[str, str] = self._patiently("stat", lambda: self._exchange("stat", "HEAD", key, {}, {}).headers)
        return found

    def _patiently(self, operation: str, attempt: Callable[[], Any]) -> Any:
        """The attempt's answer; it is made again, with growing pauses, until the retry deadline."""
        for _ in attempts(self.retry_deadline_s, self.now, self.sleep):
            try:
                return attempt()
            except _Passing as passing:
                failure = passing.failure
        # Outside the handler: the cause's text may quote a key.
        raise failure

    def _send(
        self,
        operation: str,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        limit: int,
        etag: str | None = None,
    ) -> bytes:
        deadline = self.now() + self.request_deadline_s
        failure: StoreError
        try:
            answer = self._exchange(operation, method, key, query, headers)
            refuse_another(operation, etag, answer.headers.get("ETag"))
            return self._body(operation, answer, limit, deadline)
        except (_Passing, StoreError):
            raise
        except Exception as error:  # a connection that ends, stalls, or says less than it promised
            failure = holding_back(StoreUnavailable(f"{operation}: {type(error).__name__}"), error)
        raise _Passing(failure)

    def _exchange(
        self, operation: str, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Any:
        """The answer, its body unread.  Raises `StoreError`, or `_Passing` for what may be tried again."""
        failure: StoreError
        try:
            answer = self._http().send(self._signed(method, key, query, headers))
        except StoreError:
            raise
        except Exception as error:
            failure = holding_back(StoreUnavailable(f"{operation}: {type(error).__name__}"), error)
        else:
            if answer.status_code < 300:
                return answer
            failure = of_status(operation, answer.status_code, _Answered(answer))
            if answer.status_code not in PASSING:
                raise failure
        raise _Passing(failure)

    def _body(self, operation: str, answer: Any, limit: int, deadline: float) -> bytes:
        pieces, read = [], 0
        while piece := answer.raw.read1(PIECE_BYTES):
            pieces.append(piece)
            read += len(piece)
            if read > limit:
                answer.raw.close()
                raise StoreUnavailable(f"{operation}: an answer of more than {limit} bytes")
            if self.now() > deadline:
                answer.raw.close()
                failure = StoreUnavailable(f"{operation}: the answer was too slow")
                raise _Passing(failure)
        # urllib3's `read1` takes an early end of the connection for the end of the body.
        promised = answer.headers.get("Content-Length", "")
        if promised.isdecimal() and int(promised) != read:
            failure = StoreUnavailable(f"{operation}: the answer ended early")
            raise _Passing(failure)
        return b"".join(pieces)

    def _signed(self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types

        path = f"/{self.bucket_name}" + (f"/{quote(key, safe='/-_.~')}" if key else "")
        asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
        address = f"{self.endpoint.rstrip('/')}{path}{'?' if asked else ''}{asked}"
        request = AWSRequest(method, address, headers={**headers, **self.signature.headers})
        request.stream_output = True
        self.signature.sign(request)
        return request.prepare()

    def _http(self) -> URLLib3Session:
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies  # type: ignore[import-untyped]  # ships no types

        if self._session is None:
            read_s = min(READ_DEADLINE_S, self.request_deadline_s)
            self._session = URLLib3Session(
                proxies=get_environ_proxies(self.endpoint), timeout=(min(CONNECT_DEADLINE_S, read_s), read_s)
            )
        return self._session


class _Answered(Exception):  # noqa: N818  not raised; its text is held back
    """What a server said beside its status, for the diagnostics."""

    def __init__(self, answer: Any) -> None:
        try:
            said = answer.raw.read1(2048).decode("utf-8", "replace")
            answer.raw.close()
        except Exception as error:
            said = type(error).__name__
        super().__init__(f"status {answer.status_code}: {said}")


__all__ = ["S3Requests"]
