"""Listings of S3, page by page: complete, in order, in bounded memory, and never empty by mistake."""

import re
import subprocess
import sys

import pytest

from resources.buckets.entity_tags import NOT_LISTED, condition
from resources.buckets.request_signing import AmazonSignature
from resources.buckets.s3_listing import pages_of
from resources.buckets.s3_requests import S3Requests
from resources.buckets.store_errors import AccessDenied, StoreUnavailable
from resources.credentials import StaticKeys
from tests.fakes.listing_server import ListingServer, NumberedObjects

KEYS = sorted(
    [
        "a//b",
        "a b+c",
        "DOE^JOHN/ü",
        "tab\there",
        "trail/",
        "日本",
        "\U0001f600",
        "\uffee",
        "%41",
        "&<>",
        *map(str, range(30)),
    ]
)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now_s, self.slept = 0.0, []

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now_s += seconds


def requests_to(server, clock=None, **settings):
    clock = clock or Clock()
    keys = StaticKeys({"access_key_id": "a", "secret_access_key": "b"})
    signature = AmazonSignature(keys, "us-east-1")
    return S3Requests("bucket", server.endpoint, signature, now=clock, sleep=clock.sleep, **settings)


def listed(server, prefix="", start_after="", versions=False, **settings):
    pages = pages_of(requests_to(server, **settings), prefix, start_after, versions)
    return [found for page in pages for found in page]


@pytest.mark.parametrize("page_keys", [1, 7, len(KEYS), 1000])
def test_all_pages_together_are_the_bucket(page_keys):
    with ListingServer(KEYS, page_keys=page_keys) as server:
        assert [found.key for found in listed(server)] == KEYS
        assert len(server.asked) == -(-len(KEYS) // page_keys)


def test_an_entry_has_its_etag_size_and_time():
    with ListingServer(["ab"]) as server:
        (found,) = listed(server)
    assert (found.etag, found.size, found.version) == ("0123456789abcdef0123456789abcdef", 2, None)
    assert found.last_modified.isoformat() == "2026-01-02T03:04:05+00:00"


def test_an_entry_without_an_etag_gets_one_that_is_no_condition():
    with ListingServer(["ab"], spoils=[lambda body: (200, re.sub(rb"<ETag>.*?</ETag>", b"", body))]) as server:
        (found,) = listed(server)
    assert found.etag == f"{NOT_LISTED}1767323045-2"
    assert condition(found.etag) is None


@pytest.mark.parametrize("inclusive", [False, True], ids=["after", "from"])
@pytest.mark.parametrize("after", ["", "29", "a//b", "日本", "~"])
def test_it_goes_on_after_a_key_even_where_the_server_gives_it_once_more(inclusive, after):
    with ListingServer(KEYS, page_keys=5, inclusive=inclusive) as server:
        assert sorted({found.key for found in listed(server, start_after=after)}) == [
            key for key in KEYS if key > after
        ]


@pytest.mark.parametrize("page_keys", [7, 1000])
def test_a_server_that_counts_instead_of_saying_whether_there_is_more_is_understood(page_keys):
    def count(body):
        said = f"<KeyCount>{body.count(b'<Contents>')}</KeyCount>".encode()
        return 200, re.sub(rb"<IsTruncated>\w+</IsTruncated>", said, body)

    with ListingServer(KEYS, page_keys=page_keys, spoils=[count] * 50) as server:
        assert [found.key for found in listed(server)] == KEYS


def test_a_server_that_does_not_encode_keys_is_understood():
    plain = sorted(["a b+c", "%41", "日本", "&<>"])
    with ListingServer(plain, encodes=False) as server:
        assert [found.key for found in listed(server)] == plain


def test_a_key_that_is_no_utf8_is_listed_in_ascii():
    page = ListingServer(["x"])._page({}).replace(b"<Key>x</Key>", b"<Key>bad%FF.dcm</Key>")
    with ListingServer([], spoils=[lambda body: (200, page)]) as server:
        (found,) = listed(server)
    assert found.key == "bad\\xff.dcm"


VERSIONS = {
    "a": [("3", True), ("2", False), ("1", False)],
    "b//c": [("null", True)],
    "gone": [("marker-1", True), ("7", False)],
    "z": [("9", True)],
}


@pytest.mark.parametrize("page_keys", [1, 2, 100])
def test_of_several_versions_the_latest_is_listed_and_of_a_deleted_object_none(page_keys):
    with ListingServer([], page_keys=page_keys, versions=VERSIONS) as server:
        found = [(one.key, one.version) for one in listed(server, versions=True)]
    assert found == [("a", "3"), ("b//c", None), ("z", "9")]


def test_versions_go_on_after_a_key():
    with ListingServer([], versions=VERSIONS) as server:
        assert [one.key for one in listed(server, start_after="a", versions=True)] == ["b//c", "z"]


SPOILED = {
    "a page to log in": lambda body: (200, b"<html><body>Sign in</body></html>"),
    "nothing": lambda body: (200, b""),
    "half of it": lambda body: (200, body[: len(body) // 2]),
    "another document": lambda body: (200, body.replace(b"ListBucketResult", b"ListAllMyBucketsResult")),
    "not said whether whole": lambda body: (200, body.replace(b"IsTruncated", b"IsTruncate")),
    "another count": lambda body: (200, re.sub(rb"<IsTruncated>\w+</IsTruncated>", b"<KeyCount>3</KeyCount>", body)),
    "truncated with no token": lambda body: (200, body.replace(b"NextContinuationToken", b"Next")),
    "no size": lambda body: (200, body.replace(b"Size", b"Length")),
    "a size that is none": lambda body: (200, body.replace(b"<Size>", b"<Size>x")),
    "no time": lambda body: (200, body.replace(b"2026-", b"x-")),
    "503": lambda body: (503, b"<Error><Code>SlowDown</Code></Error>"),
    "500": lambda body: (500, b""),
    "429": lambda body: (429, b""),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_page_that_is_spoiled_once_is_asked_for_again(spoiled):
    with ListingServer(KEYS, page_keys=10, spoils=[SPOILED[spoiled]]) as server:
        assert [found.key for found in listed(server)] == KEYS


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_page_that_stays_spoiled_is_no_empty_listing(spoiled):
    clock = Clock()
    with ListingServer(KEYS, page_keys=10, spoils=[SPOILED[spoiled]] * 100) as server:
        with pytest.raises(StoreUnavailable) as caught:
            listed(server, clock=clock, retry_deadline_s=60.0)
        assert len(server.asked) > 5
    assert caught.value.__context__ is None
    assert clock.now_s <= 60
    assert clock.slept[3] > clock.slept[0], "the pauses grow"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessDenied),
        (403, AccessDenied),
        (404, StoreUnavailable),
        (400, StoreUnavailable),
        (301, StoreUnavailable),
    ],
)
def test_what_will_not_change_is_told_at_once(status, error):
    with ListingServer(KEYS, spoils=[lambda body: (status, b"<Error><Message>DOE</Message></Error>")] * 9) as server:
        with pytest.raises(error) as caught:
            listed(server)
        assert len(server.asked) == 1
    assert "DOE" not in str(caught.value)


def test_a_server_that_gives_the_same_page_for_ever_is_left():
    again = ListingServer(KEYS, page_keys=3)._page({})
    with (
        ListingServer([], spoils=[lambda body: (200, again)] * 50) as server,
        pytest.raises(StoreUnavailable, match="same page"),
    ):
        listed(server)


def test_an_answer_without_an_end_is_left():
    with (
        ListingServer(KEYS, spoils=[lambda body: (200, body + b" " * 2**25)]) as server,
        pytest.raises(StoreUnavailable, match="more than"),
    ):
        listed(server)


LIST_ALL = """
import resource, sys
from resources.credentials import StaticKeys
from resources.buckets.request_signing import AmazonSignature
from resources.buckets.s3_listing import pages_of
from resources.buckets.s3_requests import S3Requests

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

keys = StaticKeys({"access_key_id": "a", "secret_access_key": "b"})
pages = pages_of(S3Requests("bucket", sys.argv[1], AmazonSignature(keys, "us-east-1")), "", "", False)
objects = len(next(pages)) + len(next(pages))
before = peak()
for page in pages:
    objects += len(page)
print(objects, peak() - before)
"""


def test_a_hundred_thousand_objects_need_the_memory_of_a_page():
    with NumberedObjects(100_000) as server:
        said = subprocess.run(
            [sys.executable, "-c", LIST_ALL, server.endpoint], capture_output=True, text=True, timeout=300, check=True
        ).stdout
    objects, grown_mib = map(int, said.split())
    assert objects == 100_000
    assert grown_mib < 12, "100,000 objects, kept, are 22 MiB"
