"""What each status and error of a store becomes, and that none says a key."""

import pytest
from obstore import exceptions

from resources.buckets.local_folder import KeyOutsideFolder
from resources.buckets.object_store import Bucket, BucketAddress
from resources.buckets.store_errors import (
    AccessDenied,
    KeyRefused,
    ObjectExists,
    ObjectVanished,
    StoreError,
    StoreUnavailable,
    guarded,
)
from resources.errors import withheld_text


def told(status):
    return exceptions.GenericError(
        f"Error performing GET http://x/DOE^JANE - Server returned non-2xx status code: {status} X"
    )


ERRORS = [
    ("get", told(401), AccessDenied),
    ("list", told(403), AccessDenied),
    ("get", told(404), ObjectVanished),
    ("list", told(404), StoreUnavailable),
    ("get", told(412), ObjectVanished),
    ("get", exceptions.PreconditionError("DOE^JANE is another"), ObjectVanished),
    ("get", told(416), ObjectVanished),
    ("get", told(503), StoreUnavailable),
    ("get", told(301), StoreUnavailable),
    ("get", exceptions.GenericError("connection of DOE^JANE closed"), StoreUnavailable),
    ("get", exceptions.PermissionDeniedError("DOE^JANE"), AccessDenied),
    ("get", exceptions.UnauthenticatedError("DOE^JANE"), AccessDenied),
    ("create", exceptions.AlreadyExistsError("DOE^JANE"), ObjectExists),
    ("get", FileNotFoundError(2, "gone", "DOE^JANE"), ObjectVanished),
    ("get", KeyOutsideFolder("DOE^JANE"), KeyRefused),
    ("get", OSError(28, "full", "DOE^JANE"), StoreUnavailable),
]


@pytest.mark.parametrize(("operation", "error", "expected"), ERRORS)
def test_an_error_becomes_its_kind_and_its_text_is_held_back(operation, error, expected):
    def call():
        raise error

    with pytest.raises(StoreError) as caught:
        guarded(operation, call)
    assert type(caught.value) is expected
    assert "DOE" not in f"{caught.value}{caught.value!r}"
    assert caught.value.__context__ is None
    if expected is not ObjectExists:
        assert "DOE^JANE" in withheld_text(caught.value)


@pytest.mark.parametrize("deadline_s", [20.0, 60.0, 300.0])
def test_somebodys_deadline_is_longer_than_all_that_is_waited_for(deadline_s):
    address = BucketAddress("s3://bucket").within(deadline_s)
    waits = (address.retry_deadline_s, address.retry_deadline_s, address.request_deadline_s)
    assert sum(waits) < deadline_s, "a stream's windows, then one more with its retries and its last try"
    assert Bucket(address).within(1e6).address == address, "a shorter deadline stays"


def test_a_stream_ends_whose_windows_together_are_too_slow(tmp_path, monkeypatch):
    from resources.buckets import object_store

    class Slow:
        """Each look at the clock costs a second."""

        now_s = 0.0

        def monotonic(self):
            self.now_s += 1.0
            return self.now_s

    monkeypatch.setattr(object_store, "time", Slow())
    bucket = Bucket(BucketAddress(str(tmp_path), retry_deadline_s=3.5))
    bucket.put("a", b"x" * 10_000_000)
    etag = bucket.stat("a").etag
    stream = bucket.open("a", 10_000_000, etag=etag)
    with pytest.raises(StoreUnavailable, match="too slowly"):
        sum(len(stream.read(100_000)) for _ in range(100))
    short = bucket.open("a", 200_000, etag=etag)
    assert sum(len(short.read(100_000)) for _ in range(2)) == 200_000
