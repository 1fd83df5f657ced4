"""Buckets in folders: order, odd names, errors that say nothing of keys."""

import io
import os
import pickle
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.buckets import local_folder
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
from resources.buckets.range_reader import FIRST_WINDOW_BYTES, LARGEST_WINDOW_BYTES, RangeReader
from resources.vault import FileVault

ODD_KEYS = [
    "plain.dcm",
    "with blank.dcm",
    "per%20cent",
    "folder/below/it",
    "ümlaut/名前",
    "IM#1",  # obstore's own listing leaves such names out
    "new\nline",
    "control\x01sign",
    "back\\slash",
    "back\\xZZ",
    "star*",
    "[brackets]",
    "~",
    "C:colon",
    "DOE^JANE 1970",
]


@pytest.fixture
def bucket(tmp_path):
    return Bucket(BucketAddress(str(tmp_path / "bucket")))


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_object_of_any_name_is_listed_read_and_deleted(bucket, key):
    bucket.put(key, b"content")
    assert [found.key for found in bucket.listing()] == [key]
    assert bucket.get(key) == b"content"
    assert bucket.get_range(key, 3, 2) == b"te"
    bucket.delete([key])
    assert not bucket.exists(key)
    assert list(bucket.listing()) == []


def test_a_name_that_is_no_utf8_is_listed_in_ascii_and_read_back(bucket):
    folder = bucket.address.folder
    folder.mkdir()
    with open(os.path.join(os.fsencode(folder), b"bad\xff.dcm"), "wb") as file:
        file.write(b"content")
    (found,) = bucket.listing()
    assert found.key == "bad\\xff.dcm"
    assert bucket.get(found.key) == b"content"


def test_the_listing_has_the_order_of_s3(bucket):
    keys = ["a/b", "a-b", "a", "b/c/d", "b/c-d", "ü", "Z"]
    for key in keys:
        if key == "a":
            continue  # a folder and a file can't share a name
        bucket.put(key, b"")
    listed = [found.key for found in bucket.listing()]
    assert listed == sorted(set(keys) - {"a"})


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/x", "b/1", "none"])
@pytest.mark.parametrize("start_after", [None, "a/x1", "a/x2/deep", "b", "zz"])
def test_prefix_and_start_select_what_sorting_all_keys_would(bucket, prefix, start_after):
    keys = ["a/x1", "a/x2/deep", "a/x2/other", "a-dash", "b/1", "b/2", "c"]
    for key in keys:
        bucket.put(key, b"")
    expected = [key for key in sorted(keys) if key.startswith(prefix) and key > (start_after or "")]
    assert [found.key for found in bucket.listing(prefix, start_after)] == expected


def test_the_etag_stays_with_a_copy_and_changes_with_the_content(bucket, tmp_path):
    bucket.put("one", b"content")
    (before,) = bucket.listing()
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "one").write_bytes(b"content")
    source = bucket.address.folder / "one"
    os.utime(copy / "one", ns=(0, source.stat().st_mtime_ns))
    (copied,) = Bucket(BucketAddress(str(copy))).listing()
    assert copied.etag == before.etag
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))
    assert next(iter(bucket.listing())).etag != before.etag


def test_an_unfinished_write_is_not_listed(bucket):
    bucket.put("done", b"")
    (bucket.address.folder / ".gradient-0123.part").write_bytes(b"half")
    assert [found.key for found in bucket.listing()] == ["done"]


def test_a_put_replaces_and_leaves_nothing_beside(bucket):
    bucket.put("a", b"old")
    bucket.put("a", b"new")
    assert bucket.get("a") == b"new"
    assert os.listdir(bucket.address.folder) == ["a"]


def test_what_is_created_is_never_put_over_and_leaves_nothing_beside(bucket):
    bucket.create("a/b", b"first")
    with pytest.raises(ObjectExists) as caught:
        bucket.create("a/b", b"second")
    assert "a/b" not in str(caught.value)
    assert bucket.get("a/b") == b"first"
    assert os.listdir(bucket.address.folder / "a") == ["b"]


def test_of_writers_at_once_exactly_one_creates_the_object(bucket):
    def attempt(number):
        try:
            bucket.create("one", f"{number}".encode())
        except ObjectExists:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        done = [one for one in pool.map(attempt, range(40)) if one is not None]
    assert [str(one).encode() for one in done] == [bucket.get("one")]


def test_a_move_replaces_the_target_and_removes_the_empty_folder(bucket):
    bucket.put("staging/run/a", b"new")
    bucket.put("a", b"old")
    bucket.move("staging/run/a", "a")
    assert bucket.get("a") == b"new"
    assert os.listdir(bucket.address.folder) == ["a"]


def test_a_link_back_to_its_own_folder_ends(bucket):
    bucket.put("a/b", b"")
    os.symlink(bucket.address.folder, bucket.address.folder / "a" / "loop")
    os.symlink("nowhere", bucket.address.folder / "dangling")
    assert [found.key for found in bucket.listing()] == ["a/b"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "a/../../outside", "a//b", "a/./b", "nul\x00"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda bucket, key: bucket.get(key),
        lambda bucket, key: bucket.put(key, b""),
        lambda bucket, key: bucket.delete([key]),
        lambda bucket, key: bucket.stat(key),
        lambda bucket, key: bucket.move("here", key),
    ],
)
def test_a_key_outside_the_folder_is_refused(bucket, operation, key):
    bucket.put("here", b"")
    with pytest.raises(KeyRefused):
        operation(bucket, key)


def test_a_missing_object_has_vanished(bucket):
    bucket.put("a/b", b"")
    for key in ("DOE^JANE", "a", "a/b/c"):
        with pytest.raises(ObjectVanished):
            bucket.get(key)


def test_an_object_shorter_than_listed_has_vanished(bucket):
    bucket.put("a", b"1234")
    with pytest.raises(ObjectVanished):
        bucket.open("a", 10, etag=bucket.stat("a").etag).read()


def put_in_place(bucket, content):
    """Another file under the same name, as `mv` and the platform itself write."""
    bucket.put("DOE^JANE", content)


def write_into(bucket, content):
    """The same file with another content, as `cp` writes."""
    (bucket.address.folder / "DOE^JANE").write_bytes(content)


REPLACED = [put_in_place, write_into]
BOUND_READS = {
    "get": lambda bucket, listed: bucket.get(listed.key, etag=listed.etag),
    "range": lambda bucket, listed: bucket.get_range(listed.key, 1, 2, etag=listed.etag),
    "stream": lambda bucket, listed: bucket.open(listed.key, listed.size, etag=listed.etag).read(),
}


def later(bucket):
    """A clock that is slower than a write gives two of them one time."""
    path = bucket.address.folder / "DOE^JANE"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("read", BOUND_READS)
def test_what_was_listed_is_read_by_its_etag(bucket, read):
    bucket.put("DOE^JANE", b"0123")
    assert BOUND_READS[read](bucket, bucket.stat("DOE^JANE")) == (b"12" if read == "range" else b"0123")


@pytest.mark.parametrize("content", [b"9876", b"98765"], ids=["as long", "longer"])
@pytest.mark.parametrize("replaces", REPLACED)
@pytest.mark.parametrize("read", BOUND_READS)
def test_an_object_replaced_between_listing_and_read_has_vanished(bucket, read, replaces, content):
    bucket.put("DOE^JANE", b"0123")
    (listed,) = bucket.listing()
    replaces(bucket, content)
    later(bucket)
    with pytest.raises(ObjectVanished, match="replaced") as caught:
        BOUND_READS[read](bucket, listed)
    assert "DOE" not in str(caught.value)
    (again,) = bucket.listing()
    assert BOUND_READS[read](bucket, again) == (content[1:3] if read == "range" else content)


@pytest.mark.parametrize("replaces", REPLACED)
def test_an_object_replaced_between_two_windows_has_vanished_and_is_never_mixed(bucket, replaces):
    bucket.put("DOE^JANE", b"0" * 3 * FIRST_WINDOW_BYTES)
    (listed,) = bucket.listing()
    stream = bucket.open(listed.key, listed.size, etag=listed.etag)
    assert stream.read(100) == b"0" * 100
    replaces(bucket, b"9" * 3 * FIRST_WINDOW_BYTES)
    later(bucket)
    with pytest.raises(ObjectVanished, match="replaced"):
        stream.read()


class WrittenIntoMeanwhile(io.FileIO):
    """A file into which its owner writes while it is read."""

    def read(self, size=-1):
        begun = super().read(2)
        with open(self.name, "r+b") as owner:
            owner.seek(2)
            owner.write(b"76")
        os.utime(self.name, ns=(0, os.stat(self.name).st_mtime_ns + 1))
        return begun + super().read(size)


def test_a_file_written_into_while_it_is_read_has_vanished(bucket, monkeypatch):
    bucket.put("a", b"0123")
    (listed,) = bucket.listing()
    monkeypatch.setattr(local_folder, "open", lambda path, _: WrittenIntoMeanwhile(path), raising=False)
    with pytest.raises(ObjectVanished, match="replaced"):
        bucket.get("a", etag=listed.etag)


def test_a_missing_folder_is_empty_unless_somebody_else_fills_it(tmp_path):
    uri = str(tmp_path / "not-mounted")
    assert list(Bucket(BucketAddress(uri)).listing()) == []
    with pytest.raises(StoreUnavailable):
        list(Bucket(BucketAddress(uri, must_exist=True)).listing())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_denied(bucket):
    bucket.put("a", b"")
    (bucket.address.folder / "a").chmod(0)
    with pytest.raises(AccessDenied):
        bucket.get("a")


@pytest.mark.parametrize("key", ["DOE^JANE", "../DOE^JANE", "DOE^JANE" * 100])
def test_no_error_text_holds_the_key(bucket, key):
    bucket.put("other", b"")
    with pytest.raises(StoreError) as caught:
        bucket.get(key)
    assert "DOE" not in "".join(traceback.format_exception(caught.value)).replace(repr(key), "")
    assert caught.value.__context__ is None


def test_a_bucket_travels_to_another_process_without_its_client(bucket):
    bucket.put("a", b"1")
    again = pickle.loads(pickle.dumps(bucket))
    assert again.get("a") == b"1"
    remote = pickle.loads(pickle.dumps(Bucket(BucketAddress("s3://bucket/prefix", "hospital/x/bucket"))))
    assert repr(remote) == "Bucket(s3)"


@pytest.mark.parametrize(
    ("uri", "under"),
    [("s3://b/p", "s3://b/p/x"), ("gs://b", "gs://b/x"), ("file:///a%20b", "file:///a%20b/x"), ("/plain", "/plain/x")],
)
def test_a_prefix_is_a_bucket_of_its_own(uri, under):
    assert Bucket(BucketAddress(uri)).under("x/").address.uri == under


def test_another_scheme_is_refused():
    with pytest.raises(StoreError, match="http://"):
        Bucket(BucketAddress("http://somewhere"))


@pytest.mark.parametrize(
    "written", [None, "no json", "[]", '{"service_account": "no key file"}'], ids=["none", "text", "list", "bad key"]
)
def test_a_remote_bucket_without_usable_credentials_is_denied(tmp_path, written):
    if written is not None:
        secret = tmp_path / "hospital" / "x" / "bucket.json"
        secret.parent.mkdir(parents=True)
        secret.write_text(written)
        secret.chmod(0o600)
    bucket = Bucket(BucketAddress("gs://bucket", "hospital/x/bucket"), FileVault(tmp_path))
    for read in (lambda: bucket.get("key"), lambda: next(bucket.listing())):
        with pytest.raises(AccessDenied):
            read()


def test_a_remote_bucket_with_a_secret_but_no_vault_is_denied():
    with pytest.raises(AccessDenied):
        Bucket(BucketAddress("s3://bucket", "hospital/x/bucket")).get("key")


class Source:
    """Bytes that count how they are asked for."""

    def __init__(self, size):
        self.content = os.urandom(size)
        self.asked = []

    def fetch(self, start, length):
        self.asked.append((start, length))
        return self.content[start : start + length]


def test_a_header_costs_one_window():
    source = Source(3_000_000)
    reader = RangeReader(source.fetch, 3_000_000)
    for _ in range(100):
        reader.read(10)
    assert source.asked == [(0, FIRST_WINDOW_BYTES)]


def test_windows_grow_to_a_limit_and_give_every_byte_once():
    source = Source(5_000_000)
    reader = RangeReader(source.fetch, 5_000_000)
    pieces = []
    while piece := reader.read(1000):
        pieces.append(piece)
    assert b"".join(pieces) == source.content
    assert sum(length for _, length in source.asked) == 5_000_000
    assert max(length for _, length in source.asked) == LARGEST_WINDOW_BYTES


@pytest.mark.parametrize("size", [0, 1, FIRST_WINDOW_BYTES, FIRST_WINDOW_BYTES + 1, 300_000])
def test_seeking_reads_what_a_file_would(size):
    source = Source(size)
    reader, file = RangeReader(source.fetch, size), io.BytesIO(source.content)
    for offset, whence, count in [
        (5, 0, 10),
        (-min(20, size), 2, 50),
        (0, 1, 3),
        (0, 0, -1),
        (size + 7, 0, 5),
        (70_000, 0, 2),
    ]:
        assert reader.seek(offset, whence) == file.seek(offset, whence)
        assert reader.read(count) == file.read(count)
        assert reader.tell() == file.tell()


def test_a_seek_before_the_start_is_an_error():
    with pytest.raises(ValueError):
        RangeReader(Source(10).fetch, 10).seek(-11, io.SEEK_END)


def test_a_forged_length_asks_for_no_memory():
    reader = RangeReader(Source(10).fetch, 10)
    assert len(reader.read(2**40)) == 10
