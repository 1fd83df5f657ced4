"""Keys that a folder can't hold, on a server that keeps keys as they are: what is listed, what can be addressed.

The gateway with identities lies over a folder and puts `a//b` elsewhere; Amazon's S3 keeps it, and so does moto's server.
"""

import json

import pytest

from gradient_assets.dev.stores import REGION
from resources.object_store import Bucket, BucketAddress, KeyRefused, ObjectVanished
from resources.vault import FileVault

ADDRESSED = ["a", "a/b", "a b+%41", "DOE^JOHN/1.dcm", "~#?&=;:@!$", "日本/ä\u0308"]
REFUSES_THE_LISTING = ["a//b", "a/./b", "a/../b", "with\x01control", "tab\there", "delete\x7f"]
"""obstore's paths have no empty, `.` or `..` segment and no control character."""

NAMED_OTHERWISE = ["/lead", "trail/"]
"""obstore takes the slash off: what is listed is not there."""


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
    return bucket, lambda key: client.put_object(Bucket=name, Key=key, Body=key.encode())


def test_keys_are_listed_and_read_as_they_are(keys):
    bucket, put = keys
    for key in ADDRESSED:
        put(key)
    assert [found.key for found in bucket.listing()] == sorted(ADDRESSED)
    for key in ADDRESSED:
        assert bucket.get(key) == key.encode()


@pytest.mark.parametrize("key", REFUSES_THE_LISTING)
def test_a_key_that_cant_be_addressed_refuses_the_listing_instead_of_missing_in_it(keys, key):
    """A study that is missing from a listing is lost in silence; a listing that fails is not."""
    bucket, put = keys
    for one in ("before", key, "~after"):
        put(one)
    with pytest.raises(KeyRefused) as caught:
        list(bucket.listing())
    assert "control" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("key", NAMED_OTHERWISE)
def test_a_key_that_is_named_otherwise_has_an_entry_whose_content_has_vanished(keys, key):
    bucket, put = keys
    for one in ("before", key):
        put(one)
    (listed,) = {found.key for found in bucket.listing()} - {"before"}
    assert listed == key.strip("/")
    with pytest.raises(ObjectVanished):
        bucket.get(listed)
