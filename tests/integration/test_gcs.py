"""A bucket on GCS, read over the network, and objects deleted.

fake-gcs-server 1.56.1 answers each other write of obstore's (a PUT of Google's XML interface) with 400, `invalid uploadType`:
those meet a server of the tests' own (`unit/resources/test_object_store_gcs.py`).  Identities it has none.
"""

import pytest

from resources.buckets.object_store import Bucket, BucketAddress, ObjectVanished, StoreError, StoreUnavailable

KEYS = ["DOE^JOHN/ü ß/1.dcm", "a b/2.dcm", "empty", "percent %41+plus", "日本/スキャン.dcm"]


@pytest.fixture(scope="module")
def bucket(gcs):
    gcs.bucket("hospital-dicoms")
    for key in KEYS:
        gcs.upload("hospital-dicoms", key, b"" if key == "empty" else key.encode())
    gcs.upload("hospital-dicoms", "~large", bytes(range(256)) * 8192)
    return Bucket(BucketAddress("gs://hospital-dicoms", endpoint=gcs.endpoint, retry_deadline_s=5))


def test_keys_are_listed_in_order_and_read(bucket):
    assert [found.key for found in bucket.listing()] == sorted([*KEYS, "~large"])
    assert [found.key for found in bucket.listing("a ")] == ["a b/2.dcm"]
    for key in KEYS:
        assert bucket.get(key) == (b"" if key == "empty" else key.encode())


def test_a_listing_goes_on_after_a_key_though_the_server_ignores_where_to_start(bucket):
    assert [found.key for found in bucket.listing(start_after="percent %41+plus")] == ["~large", "日本/スキャン.dcm"]


def test_ranges_are_read_and_a_stream_seeks(bucket):
    stat = bucket.stat("~large")
    assert stat.size == 256 * 8192
    assert bucket.get_range("~large", 254, 4) == b"\xfe\xff\x00\x01"
    stream = bucket.open("~large", stat.size, etag=stat.etag)
    stream.seek(-3, 2)
    assert stream.read() == b"\xfd\xfe\xff"


def test_an_object_replaced_after_the_listing_has_vanished(gcs, bucket):
    """The server ignores conditions; its answers name what they are of."""
    gcs.bucket("replaced")
    gcs.upload("replaced", "a", b"0" * 200_000)
    replaced = Bucket(BucketAddress("gs://replaced", endpoint=gcs.endpoint, retry_deadline_s=5))
    (listed,) = replaced.listing()
    assert replaced.get("a", etag=listed.etag) == b"0" * 200_000
    stream = replaced.open("a", listed.size, etag=listed.etag)
    assert stream.read(100) == b"0" * 100
    gcs.upload("replaced", "a", b"9" * 200_000)
    for read in (stream.read, lambda: replaced.get("a", etag=listed.etag)):
        with pytest.raises(ObjectVanished, match="replaced"):
            read()


def test_an_object_that_is_not_there_has_vanished(bucket):
    with pytest.raises(ObjectVanished) as caught:
        bucket.get("DOE^JANE")
    assert "DOE" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_an_error_and_no_empty_listing(gcs):
    with pytest.raises(StoreError):
        list(Bucket(BucketAddress("gs://nowhere", endpoint=gcs.endpoint, retry_deadline_s=5)).listing())


def test_one_that_is_not_there_keeps_no_other_one_from_being_deleted(gcs):
    gcs.bucket("deleted")
    names = [f"{number:02}" for number in range(25)]
    for name in names[1:]:
        gcs.upload("deleted", name, b"x")
    own = Bucket(BucketAddress("gs://deleted", endpoint=gcs.endpoint, retry_deadline_s=5))
    own.delete(names)
    assert list(own.listing()) == []


def test_this_server_takes_no_other_write_and_that_is_told(gcs):
    """When a newer one does, the tests of writes belong here."""
    gcs.bucket("unwritten")
    gcs.upload("unwritten", "b", b"x")
    own = Bucket(BucketAddress("gs://unwritten", endpoint=gcs.endpoint, retry_deadline_s=1))
    for write in (lambda: own.put("a", b"x"), lambda: own.create("a", b"x"), lambda: own.move("b", "a")):
        with pytest.raises(StoreUnavailable, match="400"):
            write()
    assert [one.key for one in own.listing()] == ["b"]
