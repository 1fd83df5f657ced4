"""Hospitals with identities and buckets of their own, on an S3 server that knows who may do what."""

import json

import pytest

from gradient_assets.dev.stores import REGION
from resources.buckets.object_store import AccessDenied, Bucket, BucketAddress, ObjectVanished, StoreUnavailable
from resources.vault import FileVault

HOSPITALS = ("st-mary", "north-clinic")


@pytest.fixture(scope="module")
def accounts(s3):
    """Each hospital's account; its bucket `<hospital>-dicoms` is its own."""
    made = {hospital: s3.account(hospital) for hospital in HOSPITALS}
    for hospital, account in made.items():
        s3.bucket(f"{hospital}-dicoms", account)
    return made


@pytest.fixture(scope="module")
def vault(s3, accounts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vault")
    for hospital, account in accounts.items():
        secret = folder / "hospital" / hospital / "bucket.json"
        secret.parent.mkdir(parents=True)
        secret.write_text(json.dumps(s3.secret(account)))
        secret.chmod(0o600)
    return FileVault(folder)


@pytest.fixture
def bucket_of(vault):
    """The bucket of one hospital, opened with the secret of the same or of another one."""

    def open_bucket(hospital, opened_as=None):
        address = BucketAddress(
            f"s3://{hospital}-dicoms", f"hospital/{opened_as or hospital}/bucket", retry_deadline_s=5
        )
        return Bucket(address, vault)

    return open_bucket


@pytest.fixture
def clean(s3, accounts):
    """The bucket of st-mary, emptied, with a client of its owner."""
    client = s3.client(accounts["st-mary"])
    for found in client.list_objects_v2(Bucket="st-mary-dicoms").get("Contents", []):
        client.delete_object(Bucket="st-mary-dicoms", Key=found["Key"])
    return client


OPERATIONS = {
    "list": lambda bucket: list(bucket.listing()),
    "stat": lambda bucket: bucket.stat("a"),
    "get": lambda bucket: bucket.get("a"),
    "range": lambda bucket: bucket.get_range("a", 0, 2),
    "put": lambda bucket: bucket.put("a", b"changed"),
    "delete": lambda bucket: bucket.delete("a"),
    "move": lambda bucket: bucket.move("a", "b"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_hospitals_credentials_do_nothing_in_anothers_bucket(bucket_of, clean, operation):
    own = bucket_of("st-mary")
    own.put("a", b"of st-mary")
    with pytest.raises(AccessDenied) as caught:
        OPERATIONS[operation](bucket_of("st-mary", opened_as="north-clinic"))
    assert caught.value.__context__ is None
    assert [(found.key, found.size) for found in own.listing()] == [("a", len(b"of st-mary"))]
    assert own.get("a") == b"of st-mary"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_hospitals_own_credentials_do_everything(bucket_of, clean, operation):
    own = bucket_of("st-mary")
    own.put("a", b"of st-mary")
    OPERATIONS[operation](own)


def test_a_listing_that_is_denied_is_an_error_and_no_empty_listing(bucket_of):
    with pytest.raises(AccessDenied) as caught:
        list(bucket_of("st-mary", opened_as="north-clinic").listing())
    assert caught.value.__context__ is None


def test_a_wrong_secret_is_denied_and_says_nothing_of_it(s3, vault):
    wrong = vault.folder / "hospital" / "wrong" / "bucket.json"
    wrong.parent.mkdir(exist_ok=True)
    wrong.write_text(json.dumps({"access_key_id": "st-mary", "secret_access_key": "guessed", "endpoint": s3.endpoint}))
    wrong.chmod(0o600)
    bucket = Bucket(BucketAddress("s3://st-mary-dicoms", "hospital/wrong/bucket", region=REGION), vault)
    with pytest.raises(AccessDenied) as caught:
        bucket.stat("a")
    assert "guessed" not in str(caught.value)


KEYS = [
    "plain.dcm",
    "DOE^JOHN/ü ß/1.dcm",
    "percent %41+plus&amp",
    "quote\"'`$",
    "日本/スキャン.dcm",
    "trailing.",
    "~tilde#1",
    "a/b/c/d/e",
]


def test_keys_of_every_kind_are_listed_and_read(bucket_of, clean):
    for key in KEYS:
        clean.put_object(Bucket="st-mary-dicoms", Key=key, Body=key.encode())
    bucket = bucket_of("st-mary")
    assert sorted(found.key for found in bucket.listing()) == sorted(KEYS)
    for key in KEYS:
        assert bucket.get(key) == key.encode()
        assert bucket.stat(key).size == len(key.encode())


def test_an_empty_object_is_listed_and_read(bucket_of, clean):
    clean.put_object(Bucket="st-mary-dicoms", Key="empty", Body=b"")
    bucket = bucket_of("st-mary")
    assert [(found.key, found.size) for found in bucket.listing()] == [("empty", 0)]
    assert bucket.get("empty") == b""
    assert bucket.open("empty", 0, etag=bucket.stat("empty").etag).read() == b""


def test_a_multipart_object_is_read_by_ranges_across_its_parts(bucket_of, clean):
    first, second = b"\x01" * (5 * 1024**2), b"\x02" * 1000
    upload = clean.create_multipart_upload(Bucket="st-mary-dicoms", Key="parts")["UploadId"]
    where = {"Bucket": "st-mary-dicoms", "Key": "parts", "UploadId": upload}
    etags = [
        {"PartNumber": number, "ETag": clean.upload_part(**where, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate((first, second), 1)
    ]
    clean.complete_multipart_upload(**where, MultipartUpload={"Parts": etags})
    bucket = bucket_of("st-mary")
    stat = next(bucket.listing())
    assert stat.size == len(first) + len(second)
    assert stat.etag.endswith("-2"), "S3 marks how many parts there were; the etag is then no MD5"
    assert bucket.get_range("parts", len(first) - 2, 4) == b"\x01\x01\x02\x02"
    stream = bucket.open("parts", stat.size, etag=stat.etag)
    stream.seek(len(first))
    assert stream.read() == second


def test_the_etag_moves_with_the_content_and_only_with_it(bucket_of, clean):
    bucket = bucket_of("st-mary")
    etags = []
    for body in (b"one", b"two", b"one"):
        clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=body)
        etags.append(bucket.stat("a").etag)
        assert next(bucket.listing()).etag == etags[-1]
    assert etags[0] == etags[2] != etags[1]


def test_an_object_deleted_after_the_listing_has_vanished(bucket_of, clean):
    clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=b"x" * 100)
    bucket = bucket_of("st-mary")
    listed = next(bucket.listing())
    clean.delete_object(Bucket="st-mary-dicoms", Key="a")
    for read in (
        lambda: bucket.get("a"),
        lambda: bucket.stat("a"),
        lambda: bucket.open("a", listed.size, etag=listed.etag).read(),
    ):
        with pytest.raises(ObjectVanished):
            read()


def test_an_object_that_became_shorter_after_the_listing_has_vanished(bucket_of, clean):
    clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=b"x" * 100)
    bucket = bucket_of("st-mary")
    listed = next(bucket.listing())
    clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=b"x" * 10)
    with pytest.raises(ObjectVanished):
        bucket.open("a", listed.size, etag=listed.etag).read()


@pytest.mark.parametrize("parts", [False, True], ids=["at once", "in parts"])
def test_an_object_replaced_after_the_listing_has_vanished(bucket_of, clean, parts):
    if parts:
        upload = clean.create_multipart_upload(Bucket="st-mary-dicoms", Key="a")["UploadId"]
        where = {"Bucket": "st-mary-dicoms", "Key": "a", "UploadId": upload}
        part = clean.upload_part(**where, PartNumber=1, Body=b"x" * 200_000)["ETag"]
        clean.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    else:
        clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=b"x" * 200_000)
    bucket = bucket_of("st-mary")
    listed = next(bucket.listing())
    assert bucket.get("a", etag=listed.etag) == b"x" * 200_000
    stream = bucket.open("a", listed.size, etag=listed.etag)
    assert stream.read(100) == b"x" * 100
    clean.put_object(Bucket="st-mary-dicoms", Key="a", Body=b"y" * 200_000)
    for read in (
        lambda: bucket.get("a", etag=listed.etag),
        lambda: bucket.get_range("a", 5, 10, etag=listed.etag),
        stream.read,
    ):
        with pytest.raises(ObjectVanished, match="replaced"):
            read()
    assert bucket.get("a", etag=next(bucket.listing()).etag) == b"y" * 200_000


def test_a_right_taken_after_the_listing_denies_the_read(s3, bucket_of, accounts):
    account = s3.account("for-a-while")
    s3.bucket("for-a-while-dicoms", account)
    s3.client(account).put_object(Bucket="for-a-while-dicoms", Key="a", Body=b"x")
    other = accounts["north-clinic"]
    secret = s3.secret(account)
    assert secret["access_key_id"] == "for-a-while"
    client = s3.client(s3.root)
    rights = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": [other.access_key_id],
                "Action": ["s3:ListBucket", "s3:GetObject"],
                "Resource": ["arn:aws:s3:::for-a-while-dicoms", "arn:aws:s3:::for-a-while-dicoms/*"],
            }
        ],
    }
    client.put_bucket_policy(Bucket="for-a-while-dicoms", Policy=json.dumps(rights))
    reader = bucket_of("for-a-while", opened_as="north-clinic")
    assert [found.key for found in reader.listing()] == ["a"]
    assert reader.get("a") == b"x"
    client.delete_bucket_policy(Bucket="for-a-while-dicoms")
    with pytest.raises(AccessDenied):
        reader.get("a")
    with pytest.raises(AccessDenied):
        list(reader.listing())


def test_a_listing_over_many_pages_is_complete_and_sorted(bucket_of, clean):
    keys = [f"series-{number % 7}/{number:05}" for number in range(1203)]
    bucket = bucket_of("st-mary")
    for key in keys:
        bucket.put(key, b"")
    assert [found.key for found in bucket.listing()] == sorted(keys)
    assert [found.key for found in bucket.listing("series-3/")] == sorted(k for k in keys if k.startswith("series-3/"))
    middle = sorted(keys)[600]
    assert [found.key for found in bucket.listing(start_after=middle)] == sorted(keys)[601:]
    bucket.delete(keys)
    assert list(bucket.listing()) == []


def test_a_bucket_that_is_not_there_is_an_error_and_no_empty_listing(vault):
    missing = Bucket(BucketAddress("s3://nowhere-dicoms", "hospital/st-mary/bucket", retry_deadline_s=5), vault)
    with pytest.raises(StoreUnavailable, match="no such bucket"):
        list(missing.listing())
