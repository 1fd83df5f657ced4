"""A bucket on Google Cloud Storage in memory, as strict as its documentation, which also writes down what it was asked.

Belongs here: the requests of the XML API that the platform's client sends, as Google documents them (cloud.google.com,
storage/docs/xml-api: get-object, put-object-upload, put-object-copy, delete-object, get-bucket-list, and the pages of
uploads in parts; request preconditions).  What it does not know it refuses with 400, so that a request of another kind is
not taken for one that works.  fake-gcs-server 1.56.1 answers each of these writes with 400 (`invalid uploadType`).
"""

import hashlib
import re
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.fakes.local_server import LocalServer, QuietHandler

SMALLEST_PART_BYTES = 5 * 1024**2
"""But for the last one."""
GENERATION_MATCH = "x-goog-if-generation-match"
COPY_SOURCE = "x-goog-copy-source"
OWN_METADATA = "x-goog-meta-"
KNOWN = {GENERATION_MATCH, COPY_SOURCE, "if-match"}
"""Of the headers that mean something to the store; another `x-goog-` or `if-` is refused."""
OF_A_LISTING = {"list-type", "prefix", "encoding-type", "start-after", "continuation-token"}
MODIFIED = "Fri, 02 Jan 2026 03:04:05 GMT"


class Refusal(Exception):  # noqa: N818  an answer, no failure of the server
    """A status with Google's code for it."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Kept:
    """One object's live version."""

    content: bytes
    generation: int
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self):
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'

    @property
    def headers(self):
        own = {"ETag": self.etag, "x-goog-generation": str(self.generation), "Last-Modified": MODIFIED}
        return own | self.metadata


@dataclass(frozen=True)
class Request:
    """What was asked: the key unquoted, the headers that mean something to the store, and the answer's status."""

    method: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    length: int
    status: int


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def _take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.server.owner.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _take  # noqa: N815  the names that http.server asks for


@dataclass
class GoogleStorage(LocalServer):
    """A running server with one bucket; use it as a context.

    `before` and `after`: how often a request of that method fails with 503, before it did anything or when it was done.
    """

    handler = _Handler

    bucket_name: str = "own"
    page_keys: int = 1000
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    objects: dict[str, Kept] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    denied: bool = False

    def __enter__(self):
        self._uploads = {}
        self._generation = 1_700_000_000_000_000
        self._alone = threading.Lock()
        return super().__enter__()

    def of(self, method):
        """The requests of one method."""
        return [one for one in self.asked if one.method == method]

    def answer(self, method, path, headers, body):
        """Status, headers and body for one request."""
        parts = urlsplit(path)
        bucket, _, key = parts.path.lstrip("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        meant = {name.lower(): value for name, value in headers.items() if re.match(r"x-goog-|if-|range", name.lower())}
        with self._alone:  # as strict as Google's consistency: one request after the other
            try:
                answer = self._done(method, unquote(bucket), unquote(key), query, meant, headers, body)
            except Refusal as refused:
                said = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refused.code}</Code></Error>"
                answer = refused.status, {"Content-Type": "application/xml"}, said.encode()
            self.asked.append(Request(method, unquote(key), query, meant, len(body), answer[0]))
        return answer

    def _done(self, method, bucket, key, query, meant, headers, body):
        if not headers.get("Authorization", "").startswith("Bearer "):
            raise Refusal(401, "AuthenticationRequired")
        if self.denied:
            raise Refusal(403, "AccessDenied")
        if bucket != self.bucket_name:
            raise Refusal(404, "NoSuchBucket")
        metadata = {name for name in meant if name.startswith(OWN_METADATA)}
        if meant.keys() - KNOWN - metadata - {"range"} or (metadata and method != "PUT"):
            raise Refusal(400, "InvalidArgument")
        if method in ("PUT", "POST") and "Content-Length" not in headers:
            raise Refusal(411, "MissingContentLength")
        if self._is_due(self.before, method):
            raise Refusal(503, "ServiceUnavailable")
        answer = self._of_object(method, key, query, meant, body) if key else self._listed(method, query)
        if self._is_due(self.after, method):
            raise Refusal(503, "ServiceUnavailable")
        return answer

    @staticmethod
    def _is_due(faults, method):
        if faults.get(method, 0) < 1:
            return False
        faults[method] -= 1
        return True

    def _of_object(self, method, key, query, meant, body):
        if method in ("GET", "HEAD") and not query:
            return self._read(key, meant)
        if method == "DELETE" and not query:
            self._judge(key, meant)
            self._live(key)
            del self.objects[key]
            return 204, {}, b""
        if method == "PUT" and not query:
            return self._copied(key, meant, body) if COPY_SOURCE in meant else self._written(key, meant, body)
        return self._of_upload(method, key, query, meant, body)

    def _live(self, key):
        if key not in self.objects:
            raise Refusal(404, "NoSuchKey")
        return self.objects[key]

    def _judge(self, key, meant):
        """0 stands for: there is no live version."""
        if GENERATION_MATCH in meant:
            live = self.objects[key].generation if key in self.objects else 0
            if int(meant[GENERATION_MATCH]) != live:
                raise Refusal(412, "PreconditionFailed")

    def keep(self, key, content, metadata=()):
        """Put an object as it is; its generation is newer than all others."""
        self._generation += 1
        self.objects[key] = Kept(content, self._generation, dict(metadata))
        return self.objects[key]

    def _written(self, key, meant, body):
        self._judge(key, meant)
        metadata = {name: value for name, value in meant.items() if name.startswith(OWN_METADATA)}
        return 200, self.keep(key, body, metadata).headers, b""

    def _copied(self, key, meant, body):
        bucket, _, source = unquote(meant[COPY_SOURCE]).lstrip("/").partition("/")
        if body or bucket != self.bucket_name or source == key:
            raise Refusal(400, "InvalidArgument")
        copied = self._live(source)
        self._judge(key, meant)
        kept = self.keep(key, copied.content, copied.metadata)
        said = f"<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>{escape(kept.etag)}</ETag>"
        return 200, kept.headers, f"<CopyObjectResult>{said}</CopyObjectResult>".encode()

    def _read(self, key, meant):
        kept = self._live(key)
        if meant.get("if-match", kept.etag) != kept.etag:
            raise Refusal(412, "PreconditionFailed")
        if "range" not in meant:
            return 200, kept.headers, kept.content
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", meant["range"])
        start, last = int(span[1]), min(int(span[2]), len(kept.content) - 1)
        if start > last:
            raise Refusal(416, "InvalidRange")
        of = {"Content-Range": f"bytes {start}-{last}/{len(kept.content)}"}
        return 206, kept.headers | of, kept.content[start : last + 1]

    def _of_upload(self, method, key, query, meant, body):
        if meant:
            raise Refusal(400, "InvalidArgument")  # an upload in parts knows no condition
        if method == "POST" and query == {"uploads": ""}:
            self._uploads[name := f"upload{len(self._uploads)}"] = {}
            said = f"<Bucket>{self.bucket_name}</Bucket><Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
            return 200, {}, f"<InitiateMultipartUploadResult>{said}</InitiateMultipartUploadResult>".encode()
        parts = self._uploads.get(query.get("uploadId"))
        if parts is None:
            raise Refusal(404, "NoSuchUpload")
        if method == "PUT" and query.keys() == {"uploadId", "partNumber"}:
            parts[int(query["partNumber"])] = kept = Kept(body, 0)
            return 200, {"ETag": kept.etag}, b""
        if method == "POST":
            return self._completed(key, query["uploadId"], parts, body)
        if method == "DELETE":
            del self._uploads[query["uploadId"]]
            return 204, {}, b""
        raise Refusal(400, "InvalidArgument")

    def _completed(self, key, name, parts, body):
        asked = [
            (int(one.findtext("PartNumber")), one.findtext("ETag")) for one in ElementTree.fromstring(body).iter("Part")
        ]
        if asked != [(number, parts[number].etag) for number in sorted(parts)]:
            raise Refusal(400, "InvalidPart")
        if any(len(parts[number].content) < SMALLEST_PART_BYTES for number, _ in asked[:-1]):
            raise Refusal(400, "EntityTooSmall")
        kept = self.keep(key, b"".join(parts[number].content for number, _ in asked))
        del self._uploads[name]
        said = f"<Bucket>{self.bucket_name}</Bucket><Key>{escape(key)}</Key><ETag>{escape(kept.etag)}</ETag>"
        return (
            200,
            kept.headers,
            f"<CompleteMultipartUploadResult>{said}</CompleteMultipartUploadResult>".encode(),
        )

    def _listed(self, method, query):
        if method != "GET" or query.get("list-type") != "2" or query.keys() - OF_A_LISTING:
            raise Refusal(400, "InvalidArgument")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")) and key > after)
        page, more = keys[: self.page_keys], len(keys) > self.page_keys
        entries = "".join(self._entry(key, query.get("encoding-type") == "url") for key in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        encoding = "<EncodingType>url</EncodingType>" if "encoding-type" in query else ""
        said = f"{encoding}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
        space = "http://doc.s3.amazonaws.com/2006-03-01"
        return 200, {}, f"<?xml version='1.0'?><ListBucketResult xmlns='{space}'>{said}</ListBucketResult>".encode()

    def _entry(self, key, encoded):
        kept = self.objects[key]
        name = quote(key, safe="/") if encoded else escape(key)
        return (
            f"<Contents><Key>{name}</Key><Generation>{kept.generation}</Generation><MetaGeneration>1</MetaGeneration>"
            f"<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>{escape(kept.etag)}</ETag>"
            f"<Size>{len(kept.content)}</Size></Contents>"
        )
