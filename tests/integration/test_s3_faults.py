"""What breaks between a hospital's bucket and the platform: tried again for a while, then told as what it was."""

import hashlib
import json
from dataclasses import replace

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.dev.stores import REGION
from gradient_assets.pipelines.metadata import ReadHeaders
from gradient_assets.pipelines.stage import StageRun
from gradient_assets.store_settings import StoreSettings
from gradient_assets.tables import DICOM_METADATA, MADE_METADATA, REFUSED_METADATA
from resources.buckets.object_store import (
    AccessDenied,
    Bucket,
    BucketAddress,
    ObjectExists,
    ObjectVanished,
    StoreUnavailable,
)
from resources.engines.beam import BeamEngine
from resources.vault import FileVault
from tests.fakes.small_home import OBJECTS, SmallHome
from tests.integration.fault_proxy import (
    FaultProxy,
    answers,
    ends_midway,
    loses_the_answer,
    resets,
    resets_midway,
    says_nothing,
    trickles,
)

KEYS = {"DOE^JOHN/1.dcm": bytes(range(256)) * 8, "odd//key": b"odd" * 700}
ETAG = hashlib.md5(KEYS["DOE^JOHN/1.dcm"]).hexdigest()
SECRET = {"access_key_id": "hospital", "secret_access_key": "of-the-test", "region": REGION}


@pytest.fixture(scope="module")
def upstream(amazon):
    """moto's S3, which keeps odd keys as they are, with a client that goes by no proxy."""
    client = amazon.client("s3")
    client.create_bucket(Bucket="faults-dicoms")
    for key, content in KEYS.items():
        client.put_object(Bucket="faults-dicoms", Key=key, Body=content)
    return client


@pytest.fixture
def proxy(amazon, upstream):
    with FaultProxy(amazon.endpoint) as running:
        yield running


@pytest.fixture
def bucket_with(proxy, tmp_path):
    """The bucket behind the proxy, with deadlines of so many seconds."""
    (tmp_path / "bucket.json").write_text(json.dumps(SECRET))
    (tmp_path / "bucket.json").chmod(0o600)

    def opened(retry_s, request_s):
        return Bucket(
            BucketAddress(
                "s3://faults-dicoms",
                "bucket",
                proxy.endpoint,
                retry_deadline_s=retry_s,
                request_deadline_s=request_s,
            ),
            FileVault(tmp_path),
        )

    return opened


READS = {
    "list": (lambda bucket: [found.key for found in bucket.listing()], sorted(KEYS)),
    "get": (lambda bucket: bucket.get("DOE^JOHN/1.dcm"), KEYS["DOE^JOHN/1.dcm"]),
    "stream": (lambda bucket: bucket.open("DOE^JOHN/1.dcm", 2048, etag=ETAG).read(), KEYS["DOE^JOHN/1.dcm"]),
    "as listed": (lambda bucket: bucket.get("DOE^JOHN/1.dcm", etag=ETAG), KEYS["DOE^JOHN/1.dcm"]),
    "odd key": (lambda bucket: bucket.get("odd//key"), KEYS["odd//key"]),
}

FAULTS = {
    "503 SlowDown": answers(503),
    "500 InternalError": answers(500, "InternalError"),
    "reset": resets,
    "reset in the body": resets_midway,
    "end in the body": ends_midway,
    "silence": says_nothing,
    "a body that trickles": trickles,
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_waited_for(proxy, bucket_with, fault, read):
    proxy.breaks(FAULTS[fault], method="GET", times=1)
    act, expected = READS[read]
    assert act(bucket_with(30, 2)) == expected
    assert len(proxy.asked("GET")) > 1


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_told_after_the_deadline_and_says_no_key(proxy, bucket_with, fault, read):
    proxy.breaks(FAULTS[fault], method="GET")
    with pytest.raises(StoreUnavailable) as caught:
        READS[read][0](bucket_with(1.2, 0.6))
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None
    assert len(proxy.asked("GET")) > 1


@pytest.mark.parametrize("read", READS)
def test_a_denial_is_not_tried_again(proxy, bucket_with, read):
    proxy.breaks(answers(403, "AccessDenied"), method="GET")
    with pytest.raises(AccessDenied):
        READS[read][0](bucket_with(30, 30))
    assert len(proxy.asked("GET")) == 1


@pytest.mark.parametrize("read", [name for name in READS if name != "list"])
def test_an_object_gone_since_the_listing_is_not_tried_again(proxy, bucket_with, read):
    proxy.breaks(answers(404, "NoSuchKey"), method="GET")
    with pytest.raises(ObjectVanished):
        READS[read][0](bucket_with(30, 30))
    assert len(proxy.asked("GET")) == 1


def test_an_object_replaced_since_the_listing_is_quarantined_and_read_in_the_next_run(proxy, upstream, tmp_path):
    """Its owner puts another patient's object in its place when its header is asked for."""
    home = home_behind(proxy, upstream, tmp_path, "st-mary-replaced", OBJECTS)
    name = "quillfeather/sure.dcm"

    def replaces(handler, answer):
        upstream.put_object(Bucket="st-mary-replaced", Key=name, Body=OBJECTS["quillfeather/doubtful.dcm"])
        (asked,) = proxy.asked("GET", containing="sure.dcm")
        handler.say(handler._passed_on(asked))

    proxy.breaks(replaces, method="GET", containing="sure.dcm", times=1)
    assert run(home) == {name: ("object_vanished", "")}
    assert rows(home) == {*OBJECTS} - {name}
    (asked,) = proxy.asked("GET", containing="sure.dcm")
    assert asked.headers["if-match"] == f'"{hashlib.md5(OBJECTS[name]).hexdigest()}"'
    assert run(home) == {}
    assert rows(home) == {*OBJECTS}


def test_a_bucket_that_stays_down_is_soon_left_alone(proxy, bucket_with):
    proxy.breaks(answers(503), method="GET")
    bucket = bucket_with(0.3, 5)
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            bucket.get("DOE^JOHN/1.dcm")
    asked = len(proxy.asked("GET"))
    with pytest.raises(StoreUnavailable, match="left alone"):
        bucket.get("DOE^JOHN/1.dcm")
    assert len(proxy.asked("GET")) == asked


REFUSED = {
    "sure": (answers(404, "NoSuchKey"), "object_vanished", ""),
    "doubtful": (answers(503), "store_unavailable", "StoreUnavailable"),
    "missed": (resets, "store_unavailable", "StoreUnavailable"),
    "cine": (answers(403, "AccessDenied"), "store_unavailable", "AccessDenied"),
}


def test_what_a_store_does_not_give_is_quarantined_with_the_reason_and_read_in_the_next_run(proxy, upstream, tmp_path):
    put = {}
    objects = {**OBJECTS, "empty.dcm": b"", "trail/": OBJECTS["quillfeather/sure.dcm"][:300]}
    home = home_behind(proxy, upstream, tmp_path, "st-mary-faults", objects, put)
    upload = upstream.create_multipart_upload(Bucket="st-mary-faults", Key="parts.dcm")["UploadId"]
    where = {"Bucket": "st-mary-faults", "Key": "parts.dcm", "UploadId": upload}
    part = upstream.upload_part(**where, PartNumber=1, Body=OBJECTS["quillfeather/sure.dcm"])["ETag"]
    upstream.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    for name, (fault, _, _) in REFUSED.items():
        proxy.breaks(fault, method="GET", containing=f"{name}.dcm")
    refused = run(home)
    expected = {f"quillfeather/{name}.dcm": (reason, detail) for name, (_, reason, detail) in REFUSED.items()}
    assert refused == {**expected, "empty.dcm": ("empty_object", ""), "trail/": refused["trail/"]}
    assert refused["trail/"][0] in ("truncated", "unreadable_header", "not_dicom")
    assert rows(home) == {"parts.dcm"}
    proxy.heal()
    assert set(run(home)) == {"empty.dcm", "trail/"}
    assert rows(home) == {*OBJECTS, "parts.dcm"}
    made = home.resources.warehouse.scan(MADE_METADATA, "st-mary", columns=("object_key", "object_version"))
    versions = {row["object_key"]: row["object_version"] for batch in made for row in batch.to_pylist()}
    assert {key: versions[key] for key in OBJECTS} == {key: put[key] for key in OBJECTS}


def home_behind(proxy, upstream, path, name, objects, put=None):
    """A hospital whose bucket keeps versions and lies behind the proxy; `put` takes the version of each object."""
    home = SmallHome.build(path, with_thumbnails=False)
    upstream.create_bucket(Bucket=name)
    upstream.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key, content in objects.items():
        version = upstream.put_object(Bucket=name, Key=key, Body=content)["VersionId"]
        if put is not None:
            put[key] = version
    secret = path / "identified/secrets/hospital/st-mary/bucket.json"
    secret.parent.mkdir(parents=True)
    secret.write_text(json.dumps(SECRET))
    secret.chmod(0o600)
    home.__dict__["hospital"] = replace(
        home.hospital, dicoms_uri=f"s3://{name}", store=StoreSettings(endpoint=proxy.endpoint, versions=True)
    )
    return home


def run(home):
    """The stage that reads headers; what it refused, by key."""
    bucket = home.resources.hospital_bucket(home.hospital, "dicoms")
    step = ReadHeaders(home.hospital, bucket, Profile.named("longitudinal"), deadline_s=25.0)
    stage = StageRun(home.resources.warehouse, BeamEngine(), "st-mary", "run", {"st-mary": home.hospital})
    stage.run(step, home.source.objects(bucket.listing(), step.version))
    columns = ("object_key", "reason", "detail")
    return {
        row["object_key"]: (row["reason"], row["detail"].partition(" (")[0])
        for batch in home.resources.warehouse.scan(REFUSED_METADATA, "st-mary", columns=columns)
        for row in batch.to_pylist()
    }


def rows(home):
    """The keys of the objects whose headers were read."""
    found = home.resources.warehouse.scan(DICOM_METADATA, "st-mary", columns=("object_key",))
    return {row["object_key"] for batch in found for row in batch.to_pylist()}


PARTS = bytes(range(256)) * (5 * 4096 + 1)
"""A little more than one part of 5 MiB."""

WRITES = {
    "put": ("PUT", "", lambda bucket: bucket.put("b", b"new"), {"a": b"old", "b": b"new"}),
    "put over": ("PUT", "", lambda bucket: bucket.put("a", b"new"), {"a": b"new"}),
    "create": ("PUT", "", lambda bucket: bucket.create("b", b"new"), {"a": b"old", "b": b"new"}),
    "parts: begin": ("POST", "uploads", lambda bucket: bucket.put("b", PARTS), {"a": b"old", "b": PARTS}),
    "parts: one": ("PUT", "partNumber=2", lambda bucket: bucket.put("b", PARTS), {"a": b"old", "b": PARTS}),
    "parts: end": ("POST", "uploadId", lambda bucket: bucket.put("b", PARTS), {"a": b"old", "b": PARTS}),
    "move: copy": ("PUT", "", lambda bucket: bucket.move("a", "b"), {"b": b"old"}),
    "move: delete": ("POST", "delete", lambda bucket: bucket.move("a", "b"), {"b": b"old"}),
    "delete": ("POST", "delete", lambda bucket: bucket.delete(["a", "missing"]), {}),
}
"""Method and part of the address of the request that is broken, the write, and what stands there after it."""

LOST = {"503 SlowDown": answers(503), "reset": resets, "answer lost": loses_the_answer}


@pytest.fixture(scope="module")
def owner(s3):
    """The account of the platform's own bucket on the server with identities."""
    made = s3.account("writes")
    s3.bucket("writes-own", made)
    return made


@pytest.fixture
def own(s3, owner, tmp_path):
    """A proxy, and functions that open the own bucket behind it, with one object, and past it."""
    (tmp_path / "bucket.json").write_text(json.dumps({**s3.secret(owner), "endpoint": None}))
    (tmp_path / "bucket.json").chmod(0o600)

    def bucket_at(endpoint, retry_s=30.0):
        address = BucketAddress(
            "s3://writes-own", "bucket", endpoint, retry_deadline_s=retry_s, request_deadline_s=10.0
        )
        return Bucket(address, FileVault(tmp_path))

    plain = bucket_at(s3.endpoint)
    plain.delete([stat.key for stat in plain.listing()])
    plain.put("a", b"old")
    with FaultProxy(s3.endpoint) as proxy:
        yield proxy, lambda retry_s=30.0: bucket_at(proxy.endpoint, retry_s), plain


def standing(bucket):
    return {stat.key: bucket.get(stat.key) for stat in bucket.listing()}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", LOST)
def test_a_write_that_is_broken_once_is_done_once(own, fault, write):
    proxy, behind, plain = own
    method, containing, act, left = WRITES[write]
    proxy.breaks(LOST[fault], method=method, containing=containing, times=1)
    act(behind())
    assert len(proxy.asked(method, containing)) == 2
    assert standing(plain) == left


@pytest.mark.parametrize("fault", LOST)
def test_somebody_elses_object_is_told_as_theirs_whatever_breaks(own, fault):
    proxy, behind, plain = own
    proxy.breaks(LOST[fault], method="PUT", times=1)
    with pytest.raises(ObjectExists) as caught:
        behind().create("a", b"old")
    assert caught.value.__context__ is None
    assert standing(plain) == {"a": b"old"}


def test_what_somebody_else_created_while_the_connection_was_broken_is_theirs(own):
    proxy, behind, plain = own

    def overtakes(handler, answer):
        plain.create("b", b"new")
        handler.reset()

    proxy.breaks(overtakes, method="PUT", times=1)
    with pytest.raises(ObjectExists):
        behind().create("b", b"new")


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_stays_broken_is_told_after_the_deadline_and_changes_nothing(own, write):
    proxy, behind, plain = own
    method, containing, act, _ = WRITES[write]
    proxy.breaks(resets, method=method, containing=containing)
    with pytest.raises(StoreUnavailable) as caught:
        act(behind(0.6))
    assert caught.value.__context__ is None
    assert len(proxy.asked(method, containing)) > 1
    copied = {"b": b"old"} if write == "move: delete" else {}
    assert standing(plain) == {"a": b"old", **copied}
