"""A server that lists as S3 and GCS do: any number of objects, in pages, with the habits and faults of real ones."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.fakes.local_server import LocalServer, QuietHandler

SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path.count("/") > 1:  # an object: its content is its own path
            self.say(200, path.encode())
            return
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        self.server.owner.headers.append(self.headers)
        self.say(*self.server.owner.answer(query))

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class ListingServer(LocalServer):
    """A running server over sorted `keys`; use it as a context.

    `encodes`: whether it knows `encoding-type`.  `inclusive`: whether it gives the key that a listing starts after once more.
    `spoils`: what becomes of a page's body before it is sent.
    """

    handler = _Handler

    keys: list[str]
    page_keys: int = 1000
    encodes: bool = True
    inclusive: bool = False
    versions: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    """Key → its versions and whether each is the latest, newest first; a marker has the version `marker`."""
    spoils: list = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list = field(default_factory=list)

    def answer(self, query):
        """Status and body for one request."""
        self.asked.append(query)
        body = self._version_page(query) if "versions" in query else self._page(query)
        if self.spoils:
            return self.spoils.pop(0)(body)
        return 200, body

    def _page(self, query):
        after = query.get("continuation-token") or query.get("start-after", "")
        keys = [key for key in self.keys if key.startswith(query.get("prefix", "")) and self._comes_after(key, after)]
        page, more = keys[: self.page_keys], len(keys) > self.page_keys
        entries = "".join(f"<Contents>{self._entry(key)}</Contents>" for key in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return self._document("ListBucketResult", more, entries + token)

    def _comes_after(self, key, after):
        return key > after or (self.inclusive and key == after)

    def _version_page(self, query):
        marker = (query.get("key-marker", ""), query.get("version-id-marker", "~"))
        every = [(key, place, one) for key in sorted(self.versions) for place, one in enumerate(self.versions[key])]
        start = 0
        for index, (key, _, (version, _)) in enumerate(every):
            if key < marker[0] or (key == marker[0] and (marker[1] == "~" or version == marker[1])):
                start = index + 1
        page, more = every[start : start + self.page_keys], len(every) > start + self.page_keys
        entries = ""
        for key, _, (version, latest) in page:
            name = "DeleteMarker" if version.startswith("marker") else "Version"
            said = f"<VersionId>{version}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
            entries += f"<{name}>{self._entry(key)}{said}</{name}>"
        if more:
            last = page[-1]
            entries += f"<NextKeyMarker>{self._name(last[0])}</NextKeyMarker>"
            entries += f"<NextVersionIdMarker>{last[2][0]}</NextVersionIdMarker>"
        return self._document("ListVersionsResult", more, entries)

    def _document(self, name, more, entries):
        encoding = "<EncodingType>url</EncodingType>" if self.encodes else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<?xml version='1.0'?><{name} xmlns='{SPACE}'>{encoding}{truncated}{entries}</{name}>".encode()

    def _name(self, key):
        # Amazon writes a blank as a plus sign.
        return quote(key, safe="/").replace("%20", "+") if self.encodes else escape(key)

    def _entry(self, key):
        etag = "&quot;0123456789abcdef0123456789abcdef&quot;"
        modified = "2026-01-02T03:04:05.000Z"
        return f"<Key>{self._name(key)}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag><Size>{len(key)}</Size>"


class NumberedObjects(ListingServer):
    """So many objects whose keys are counted, not kept."""

    def __init__(self, number):
        super().__init__([])
        self.number = number

    def _page(self, query):
        start = int(query.get("continuation-token") or 0)
        numbers = range(start, min(start + self.page_keys, self.number))
        entries = "".join(
            f"<Contents>{self._entry(f'study-{n // 300:06}/DOE_JOHN_{n:09}.dcm')}</Contents>" for n in numbers
        )
        more = numbers.stop < self.number
        token = f"<NextContinuationToken>{numbers.stop}</NextContinuationToken>" if more else ""
        return self._document("ListBucketResult", more, entries + token)
