"""A bucket on an S3 server in this process: options, errors, pages.  Servers with identities are integration tests."""

import base64
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from resources import object_store
from resources.object_store import (
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
    assert bucket.open("b/2", 6).read() == b"second"
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
def test_a_key_that_the_client_can_not_address_is_refused(bucket, key):
    with pytest.raises(KeyRefused):
        bucket.get(key)


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
    assert object_store._runtime_process == os.getpid()
