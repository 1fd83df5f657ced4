"""A bucket on an S3 server in this process: options, errors, pages.  Servers with identities are integration tests."""

import base64
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from resources.buckets import remote_client
from resources.buckets.object_store import (
    AccessDenied,
    Bucket,
    BucketAddress,
    KeyRefused,
    ObjectExists,
    ObjectVanished,
    StoreError,
    StoreUnavailable,
)
from resources.vault import FileVault
from tests.fakes.listing_server import ListingServer
from tests.fakes.local_server import LocalServer, QuietHandler

CREDENTIALS = {"access_key_id": "hospital", "secret_access_key": "of-the-test", "region": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint():
    server_module = pytest.importorskip("moto.server", reason="needs moto[server] (extra `dev`)")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import boto3

    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="hospital-bucket")
    yield address
    server.stop()


@pytest.fixture
def vault(tmp_path, endpoint):
    secret = tmp_path / "hospital" / "st-mary" / "bucket.json"
    secret.parent.mkdir(parents=True)
    secret.write_text(json.dumps({**CREDENTIALS, "endpoint": endpoint}))
    secret.chmod(0o600)
    return FileVault(tmp_path)


@pytest.fixture
def bucket(vault, request):
    prefix = request.node.originalname
    return Bucket(BucketAddress(f"s3://hospital-bucket/{prefix}", "hospital/st-mary/bucket"), vault)


def test_the_hospitals_secret_opens_its_bucket(bucket):
    bucket.put("b/2", b"second")
    bucket.put("a b/ü+%41", b"first")
    assert [(found.key, found.size) for found in bucket.listing()] == [("a b/ü+%41", 5), ("b/2", 6)]
    assert [found.key for found in bucket.listing(start_after="a b/ü+%41")] == ["b/2"]
    assert [found.key for found in bucket.listing("b/")] == ["b/2"]
    assert [found.key for found in bucket.listing("a ")] == ["a b/ü+%41"]
    assert bucket.get("b/2") == b"second"
    assert bucket.get_range("b/2", 2, 3) == b"con"
    assert bucket.open("b/2", 6, etag=bucket.stat("b/2").etag).read() == b"second"
    bucket.move("b/2", "c")
    assert not bucket.exists("b/2")
    assert bucket.exists("c")
    bucket.delete(["c", "never-there"])
    assert not bucket.exists("c")


@pytest.fixture
def listener():
    """A server that takes every object; the headers of what was sent."""
    sent = []

    class Taking(BaseHTTPRequestHandler):
        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            sent.append(dict(self.headers.items()))
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()


@pytest.mark.parametrize(("write", "condition"), [(Bucket.put, None), (Bucket.create, "*")], ids=["put", "create"])
def test_each_object_is_sent_with_a_checksum_and_a_new_one_with_the_condition_that_rights_ask_for(
    vault, listener, write, condition
):
    address, sent = listener
    secret = vault.folder / "hospital/st-mary/bucket.json"
    secret.write_text(json.dumps({**CREDENTIALS, "endpoint": address}))
    write(Bucket(BucketAddress("s3://hospital-bucket", "hospital/st-mary/bucket"), vault), "a", b"content")
    (headers,) = ({name.lower(): value for name, value in one.items()} for one in sent)
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"content").digest()).decode()
    assert headers.get("if-none-match") == condition


def test_what_is_created_is_never_put_over(bucket):
    bucket.create("a", b"first")
    with pytest.raises(ObjectExists):
        bucket.create("a", b"second")
    assert bucket.get("a") == b"first"


def test_a_missing_object_has_vanished(bucket):
    with pytest.raises(ObjectVanished) as caught:
        bucket.get("DOE^JANE")
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_missing_bucket_is_an_error_and_no_empty_listing(vault):
    missing = Bucket(BucketAddress("s3://no-such-bucket", "hospital/st-mary/bucket"), vault)
    with pytest.raises(StoreError):
        list(missing.listing())


def test_a_server_that_is_not_there_is_unavailable_after_the_deadline():
    address = BucketAddress(
        "s3://hospital-bucket", endpoint="http://127.0.0.1:9", region="us-east-1", retry_deadline_s=0.1
    )
    bucket = Bucket(address)
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(StoreUnavailable):
            bucket.get("key")


@pytest.mark.parametrize("key", ["a//b", "../a", "control\x01"])
def test_a_key_that_the_client_can_not_address_is_never_written(bucket, key):
    with pytest.raises(KeyRefused):
        bucket.put(key, b"")


def test_a_child_forked_after_a_read_gets_an_error_instead_of_waiting_for_ever(bucket):
    bucket.exists("anything")
    child = os.fork()
    if child == 0:
        try:
            bucket.get("anything")
        except StoreError as error:
            os._exit(0 if "forked" in str(error) and not isinstance(error, AccessDenied) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remote_client._runtime_process == os.getpid()


class _StoredHandler(QuietHandler):
    def do_GET(self):
        stored = self.server.owner
        stored.asked.append(self.headers)
        if stored.keeps_conditions and self.headers.get("If-Match", stored.etag) != stored.etag:
            self.say(412, b"")
            return
        if "Range" not in self.headers:
            self.say(200, stored.content)
            return
        first, last = (int(one) for one in self.headers["Range"].removeprefix("bytes=").split("-"))
        part = stored.content[first : last + 1]
        self.say(206, part, f"bytes {first}-{first + len(part) - 1}/{len(stored.content)}")

    def say(self, status, body, content_range=None):
        self.send_response(status)
        self.send_header("ETag", self.server.owner.etag)
        self.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)


class Stored(LocalServer):
    """A server with one object under any key, of which another version may come between two requests."""

    handler = _StoredHandler

    def __init__(self, keeps_conditions, weak=False):
        self.content, self.asked = b"0" * 200_000, []
        self.keeps_conditions, self._weak = keeps_conditions, weak

    @property
    def etag(self):
        return f'{"W/" if self._weak else ""}"{hashlib.md5(self.content).hexdigest()}"'


def stored_bucket(server, scheme, vault):
    if scheme == "gs":
        return google_bucket(server.endpoint)
    (vault.folder / "hospital/st-mary/bucket.json").write_text(json.dumps({**CREDENTIALS, "endpoint": server.endpoint}))
    return Bucket(BucketAddress("s3://hospital-bucket", "hospital/st-mary/bucket", retry_deadline_s=5), vault)


@pytest.mark.parametrize("key", ["DOE^JANE", "DOE//JANE"], ids=["by obstore", "odd"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize(
    ("keeps_conditions", "weak"), [(True, False), (False, False), (False, True)], ids=["412", "ignores", "weak"]
)
def test_a_replaced_object_is_never_read_nor_mixed(vault, keeps_conditions, weak, scheme, key):
    """Some servers ignore conditions, and none keeps one for a weak etag: then it is the answer's own that tells."""
    with Stored(keeps_conditions, weak) as server:
        bucket = stored_bucket(server, scheme, vault)
        listed, size = server.etag.strip('"'), len(server.content)
        assert bucket.get(key, etag=listed) == server.content
        stream = bucket.open(key, size, etag=listed)
        assert stream.read(100) == server.content[:100]
        conditions = {headers.get("If-Match") for headers in server.asked}
        assert conditions == ({None} if weak else {server.etag})
        server.content = b"9" * size
        for read in (
            stream.read,
            lambda: bucket.get(key, etag=listed),
            lambda: bucket.get_range(key, 5, 10, etag=listed),
        ):
            with pytest.raises(ObjectVanished, match="replaced") as caught:
                read()
            assert "DOE" not in str(caught.value)
            assert caught.value.__context__ is None
        assert bucket.get(key, etag=server.etag.strip('"')) == server.content
        assert bucket.get(key) == server.content


def google_bucket(endpoint):
    return Bucket(BucketAddress("gs://hospital-bucket/p", endpoint=endpoint, retry_deadline_s=5))


def test_gcs_is_listed_in_the_same_way_with_its_generations_and_odd_keys():
    keys = ["p/", "p/a//b", "p/trail/", "p/ü b+c", "q"]
    spoiled = [lambda body: (200, body.replace(b"</Size>", b"</Size><Generation>17</Generation>"))]
    with ListingServer(keys, spoils=spoiled) as server:
        found = [(one.key, one.version) for one in google_bucket(server.endpoint).listing()]
        assert found == [("", "17"), ("a//b", "17"), ("trail/", "17"), ("ü b+c", "17")]
        assert server.headers[0]["Authorization"] == "Bearer none"
        assert "versions" not in server.asked[0]
        assert google_bucket(server.endpoint).get("a//b") == b"/hospital-bucket/p/a//b"


def test_a_listing_on_gcs_that_is_denied_is_told_as_that():
    with (
        ListingServer(["a"], spoils=[lambda body: (403, b"")]) as server,
        pytest.raises(AccessDenied),
    ):
        list(google_bucket(server.endpoint).listing())
