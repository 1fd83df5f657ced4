"""The platform's own buckets on GCS: what is sent when it writes, and what comes of Google's documented answers.

No server that runs here takes these writes (fake-gcs-server has another interface for them), so they meet one of the tests'
own, that is as strict as the documentation.  Reading from a server of others is `integration/test_gcs.py`'s.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.buckets.object_store import (
    AccessDenied,
    Bucket,
    BucketAddress,
    ObjectExists,
    ObjectVanished,
    StoreUnavailable,
)
from resources.buckets.remote_writes import WRITE_MARK
from tests.fakes.google_storage import COPY_SOURCE, GENERATION_MATCH, OWN_METADATA, GoogleStorage

KEYS = ["DOE^JOHN/ü ß/1.dcm", "a b/2.dcm", "log/0001.json", "percent %41+plus", "日本/スキャン.dcm"]
PART_BYTES = 5 * 1024**2
MARK = f"{OWN_METADATA}{WRITE_MARK}"


@pytest.fixture
def server():
    with GoogleStorage() as running:
        yield running


@pytest.fixture
def bucket(server):
    return Bucket(BucketAddress("gs://own/zone", endpoint=server.endpoint, retry_deadline_s=3))


@pytest.mark.parametrize("key", KEYS)
def test_what_is_put_is_listed_read_and_deleted(server, bucket, key):
    bucket.put(key, b"old")
    bucket.put(key, b"content")
    assert [(one.method, one.key, one.headers, one.length) for one in server.asked] == [
        ("PUT", f"zone/{key}", {}, 3),
        ("PUT", f"zone/{key}", {}, 7),
    ]
    (listed,) = bucket.listing()
    assert (listed.key, listed.size, listed.version) == (key, 7, str(server.objects[f"zone/{key}"].generation))
    assert bucket.get(key, etag=listed.etag) == b"content"
    assert bucket.get_range(key, 3, 100, etag=listed.etag) == b"tent"
    assert bucket.stat(key).etag == listed.etag
    assert bucket.exists(key)
    bucket.delete(key)
    assert not bucket.exists(key)
    assert list(bucket.listing()) == []


def test_an_empty_object_is_put(server, bucket):
    bucket.put("empty", b"")
    assert bucket.get("empty") == b""
    assert server.objects["zone/empty"].content == b""


def test_what_is_put_in_place_of_a_listed_object_is_not_read_for_it(bucket):
    bucket.put("a", b"listed")
    (listed,) = bucket.listing()
    bucket.put("a", b"another")
    for read in (lambda: bucket.get("a", etag=listed.etag), lambda: bucket.get_range("a", 0, 2, etag=listed.etag)):
        with pytest.raises(ObjectVanished, match="replaced"):
            read()


def test_a_large_object_is_written_in_parts_and_appears_whole(server, bucket):
    content = bytes(range(256)) * (PART_BYTES // 100)
    bucket.put("large", content)
    assert bucket.get("large") == content
    parts = [one for one in server.of("PUT") if "partNumber" in one.query]
    assert len(parts) == 3
    assert sum(one.length for one in parts) == len(content)
    assert all(one.length == PART_BYTES for one in sorted(parts, key=lambda one: int(one.query["partNumber"]))[:-1])


def test_what_is_created_is_asked_for_with_the_condition_and_in_one_piece(server, bucket):
    bucket.create("log/1", b"z" * (PART_BYTES + 1))
    (asked,) = server.asked
    assert (asked.method, asked.key, asked.query) == ("PUT", "zone/log/1", {})
    assert asked.headers == {GENERATION_MATCH: "0", MARK: asked.headers[MARK]}


def test_a_second_create_finds_the_first_and_leaves_it(server, bucket):
    bucket.create("log/DOE", b"first")
    with pytest.raises(ObjectExists) as caught:
        bucket.create("log/DOE", b"second")
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None
    assert [(one.method, one.status) for one in server.asked] == [("PUT", 200), ("PUT", 412), ("HEAD", 200)]
    assert bucket.get("log/DOE") == b"first"
    bucket.delete("log/DOE")
    bucket.create("log/DOE", b"third")
    assert bucket.get("log/DOE") == b"third"


def test_of_many_writers_at_once_one_creates(server, bucket):
    def create(number):
        try:
            bucket.create("log/1", str(number).encode())
        except ObjectExists:
            return None
        return str(number).encode()

    with ThreadPoolExecutor(8) as writers:
        (created,) = [one for one in writers.map(create, range(16)) if one is not None]
    assert bucket.get("log/1") == created


def test_a_create_whose_answer_was_lost_is_done(server, bucket):
    """The second answer says that there is such an object; its mark says whose it is."""
    server.after["PUT"] = 1
    bucket.create("log/1", b"ours")
    assert server.objects["zone/log/1"].content == b"ours"
    assert [one.status for one in server.of("PUT")] == [503, 412]
    assert len({one.headers[MARK] for one in server.of("PUT")}) == 1


def test_a_create_of_somebody_elses_content_is_not_ours(server, bucket):
    bucket.create("log/1", b"the same")
    with pytest.raises(ObjectExists):
        bucket.create("log/1", b"the same")
    assert len({one.headers[MARK] for one in server.of("PUT")}) == 2


def test_a_move_is_a_copy_and_a_delete_and_replaces_what_is_there(server, bucket):
    bucket.put("staged/ü a", b"new")
    bucket.put("kept/b", b"old")
    server.asked.clear()
    bucket.move("staged/ü a", "kept/b")
    assert {key: kept.content for key, kept in server.objects.items()} == {"zone/kept/b": b"new"}
    copy, deletion = server.asked
    assert (copy.method, copy.key, copy.length) == ("PUT", "zone/kept/b", 0)
    assert copy.headers.keys() == {COPY_SOURCE}
    assert (deletion.method, deletion.key) == ("DELETE", "zone/staged/ü a")


def test_a_move_of_what_is_not_there_has_vanished_and_leaves_the_target(server, bucket):
    bucket.put("b", b"old")
    with pytest.raises(ObjectVanished):
        bucket.move("DOE^JANE", "b")
    assert bucket.get("b") == b"old"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_move_whose_answer_was_lost_is_done(server, bucket, method):
    """The second attempt to delete finds nothing to delete: that is no failure of the move."""
    bucket.put("a", b"content")
    server.after[method] = 1
    bucket.move("a", "b")
    assert list(server.objects) == ["zone/b"]


@pytest.mark.parametrize("missing", [0, 1, 12, 24], ids=["first", "second", "middle", "last"])
def test_one_that_is_not_there_keeps_no_other_one_from_being_deleted(server, bucket, missing):
    """GCS answers 404 (S3 does not), and the client ends a page of deletions at its first error."""
    names = [f"withdrawn/{number:02}" for number in range(25)]
    for name in names:
        if name != names[missing]:
            bucket.put(name, b"x")
    bucket.put("withdrawn/other", b"stays")
    bucket.delete(names)
    assert list(server.objects) == ["zone/withdrawn/other"]


def test_more_objects_than_a_page_are_deleted(server, bucket):
    names = [f"{number:04}" for number in range(1003)]
    for name in names:
        server.keep(f"zone/{name}", b"")
    bucket.delete(names)
    assert server.objects == {}


@pytest.mark.parametrize("deleted", ["a", ["a", "missing"], ["missing", "a"]], ids=["one", "before", "after"])
def test_a_deletion_that_is_denied_is_told(server, bucket, deleted):
    bucket.put("a", b"content")
    server.denied = True
    with pytest.raises(AccessDenied):
        bucket.delete(deleted)


WRITES = {
    "put": ("PUT", lambda bucket: bucket.put("b", b"new"), {"zone/a", "zone/b"}),
    "create": ("PUT", lambda bucket: bucket.create("b", b"new"), {"zone/a", "zone/b"}),
    "move": ("PUT", lambda bucket: bucket.move("a", "b"), {"zone/b"}),
    "delete": ("DELETE", lambda bucket: bucket.delete(["a"]), set()),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_fault_that_passes_is_waited_for(server, bucket, write):
    method, call, left = WRITES[write]
    bucket.put("a", b"content")
    server.before[method] = 2
    call(bucket)
    assert server.objects.keys() == left


@pytest.mark.parametrize("write", WRITES)
def test_a_fault_that_stays_is_told_and_changes_nothing(server, write):
    method, call, _ = WRITES[write]
    bucket = Bucket(BucketAddress("gs://own/zone", endpoint=server.endpoint, retry_deadline_s=0.5))
    bucket.put("a", b"content")
    server.before[method] = 1000
    with pytest.raises(StoreUnavailable):
        call(bucket)
    assert {key: kept.content for key, kept in server.objects.items()} == {"zone/a": b"content"}


def test_a_listing_goes_over_its_pages_and_starts_after_a_key(server, bucket):
    server.page_keys = 2
    for key in KEYS:
        bucket.put(key, b"x")
    server.keep("zoned/other", b"of another prefix")
    assert [one.key for one in bucket.listing()] == sorted(KEYS)
    assert [one.key for one in bucket.listing(start_after="log/0001.json")] == ["percent %41+plus", "日本/スキャン.dcm"]
    assert [one.key for one in bucket.listing("a ")] == ["a b/2.dcm"]
