"""Keys that a folder can't hold, on a server that keeps keys as they are: all are listed, all are read.

The gateway with identities lies over a folder and puts `a//b` elsewhere; Amazon's S3 keeps it, and so does moto's server.
"""

import json

import pytest

from gradient_assets.dev.stores import REGION
from resources.buckets.object_store import Bucket, BucketAddress, KeyRefused, ObjectVanished
from resources.vault import FileVault

ADDRESSED = ["a", "a/b", "a b+%41", "DOE^JOHN/1.dcm", "~#?&=;:@!$", "日本/ä\u0308"]
ODD = [
    "a//b",
    "a/./b",
    "a/../b",
    "..",
    "with\x01control",
    "tab\there",
    "delete\x7f",
    "/lead",
    "trail/",
    "//",
    "x/\x1f/+%2F",
]
"""obstore's paths have no empty, `.` or `..` segment, no slash at an end and no control character: S3 has them all."""


@pytest.fixture
def keys(amazon, tmp_path, request):
    """A fresh bucket: boto3 to put objects, ours to read them."""
    name = f"keys-{tmp_path.name.replace('_', '-').lower()[:40].strip('-')}"
    client = amazon.client("s3")
    client.create_bucket(Bucket=name)
    (tmp_path / "bucket.json").write_text(
        json.dumps({"access_key_id": "a", "secret_access_key": "b", "endpoint": amazon.endpoint, "region": REGION})
    )
    (tmp_path / "bucket.json").chmod(0o600)
    bucket = Bucket(BucketAddress(f"s3://{name}", "bucket", retry_deadline_s=5), FileVault(tmp_path))
    return bucket, lambda key, body=None: client.put_object(Bucket=name, Key=key, Body=body or key.encode())


def test_keys_are_listed_and_read_as_they_are(keys):
    bucket, put = keys
    for key in ADDRESSED:
        put(key)
    assert [found.key for found in bucket.listing()] == sorted(ADDRESSED)
    for key in ADDRESSED:
        assert bucket.get(key) == key.encode()


def test_odd_keys_stand_in_the_listing_at_their_place(keys):
    """A study that is missing from a listing is lost in silence."""
    bucket, put = keys
    every = [*ODD, *ADDRESSED]
    for key in every:
        put(key)
    assert [found.key for found in bucket.listing()] == sorted(every)
    middle = sorted(every)[len(every) // 2]
    assert [found.key for found in bucket.listing(start_after=middle)] == sorted(every)[len(every) // 2 + 1 :]


@pytest.mark.parametrize("key", ODD)
def test_an_odd_key_is_read_whole_by_ranges_and_as_a_stream(keys, key):
    bucket, put = keys
    put(key)
    content = key.encode()
    (listed,) = bucket.listing()
    assert bucket.get(key) == content
    assert bucket.get_range(key, 1, 100) == content[1:]
    assert bucket.open(key, listed.size, etag=listed.etag).read() == content
    found = bucket.stat(key)
    assert (found.etag, found.size) == (listed.etag, listed.size)


@pytest.mark.parametrize("key", ["a/b", "a//b"], ids=["by obstore", "odd"])
def test_an_object_replaced_after_the_listing_has_vanished_whatever_its_key(keys, key):
    bucket, put = keys
    put(key, b"0" * 200_000)
    (listed,) = bucket.listing()
    assert bucket.get(key, etag=listed.etag) == b"0" * 200_000
    stream = bucket.open(key, listed.size, etag=listed.etag)
    assert stream.read(100) == b"0" * 100
    put(key, b"9" * 200_000)
    for read in (
        stream.read,
        lambda: bucket.get(key, etag=listed.etag),
        lambda: bucket.get_range(key, 5, 10, etag=listed.etag),
    ):
        with pytest.raises(ObjectVanished, match="replaced"):
            read()


def test_a_prefix_of_an_odd_bucket_is_a_bucket_of_its_own(keys):
    bucket, put = keys
    for key in ("p/", "p/a//b", "p/./c", "pq"):
        put(key)
    under = bucket.under("p")
    assert [found.key for found in under.listing()] == ["", "./c", "a//b"]
    assert under.get("a//b") == b"p/a//b"
    with pytest.raises(KeyRefused):
        under.get("")


def test_an_odd_key_that_is_not_there_has_vanished_and_no_error_says_it(keys):
    bucket, _ = keys
    for read in (bucket.get, bucket.stat, lambda key: bucket.get_range(key, 0, 1)):
        with pytest.raises(ObjectVanished) as caught:
            read("DOE//JANE")
        assert "DOE" not in str(caught.value)
        assert caught.value.__context__ is None


def test_what_is_written_has_a_plain_key(keys):
    bucket, _ = keys
    for key in ("a//b", "../a", "tab\t"):
        with pytest.raises(KeyRefused):
            bucket.put(key, b"")
