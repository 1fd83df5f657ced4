"""Every hospital its own way in: what the registry says of a store is what its server and its token service get to see."""

import base64
import hashlib
import json
import re
from urllib.parse import parse_qs

import pytest

from gradient_assets.hospitals import load_registry
from resources import Settings, resources_for
from resources.buckets.object_store import AccessDenied
from tests.integration.fault_proxy import FaultProxy, answers

ROLE = "arn:aws:iam::123456789012:role/gradient-landing"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/0f"

ENTRY = {
    "number": 1,
    "buckets": {"dicoms": "s3://landing-dicoms/export", "reports": "s3://landing-reports"},
    "report_columns": {"report_id": "id", "text": "text"},
    "date_order": "mdy",
    "timezone": "UTC",
    "profile": "longitudinal",
}


@pytest.fixture(scope="module")
def upstream(amazon):
    client = amazon.client("s3")
    for name in ("landing-dicoms", "landing-reports", "platform-releases"):
        client.create_bucket(Bucket=name)
    client.put_object(Bucket="landing-dicoms", Key="export/a.dcm", Body=b"content")
    client.put_object(Bucket="landing-dicoms", Key="export/odd//a", Body=b"odd")
    return client


@pytest.fixture
def proxy(amazon, upstream):
    with FaultProxy(amazon.endpoint) as running:
        yield running


@pytest.fixture
def opened(proxy, tmp_path, monkeypatch):
    """The `dicoms` bucket of a hospital whose registry has these fields of `store`, and whose secret these."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "PROCESS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-process")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.endpoint)

    def open_bucket(store, secret=None, dicoms=ENTRY["buckets"]["dicoms"]):
        store = {"endpoint": proxy.endpoint, **store}
        buckets = {**ENTRY["buckets"], "dicoms": dicoms}
        entry = {**ENTRY, "id": "st-mary", "buckets": buckets, "secret_name": "hospital/st-mary", "store": store}
        (tmp_path / "hospitals.yaml").write_text(json.dumps({"hospitals": [entry]}))
        if secret is not None:
            path = tmp_path / "identified/secrets/hospital/st-mary/bucket.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(secret))
            path.chmod(0o600)
        hospital = load_registry(tmp_path / "hospitals.yaml", home=tmp_path).get("st-mary")
        resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
        return resources.hospital_bucket(hospital, "dicoms").within(60)

    return open_bucket


def use(bucket):
    """Everything that is done with a hospital's bucket."""
    assert [found.key for found in bucket.listing()] == ["a.dcm", "odd//a"]
    assert bucket.get("a.dcm") == b"content"
    assert bucket.get("odd//a") == b"odd"
    assert bucket.stat("a.dcm").size == 7


def signed_as(proxy):
    """Access key and region of every request to the store."""
    pattern = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/s3/")
    return {pattern.search(one.headers["authorization"]).groups() for one in proxy.asked(containing="landing-dicoms")}


def asked_of_sts(proxy):
    """Header and fields of each request to the token service."""
    return [
        (one.headers, {name: values[0] for name, values in parse_qs(one.body.decode()).items()})
        for one in proxy.asked("POST")
        if b"Action=Assume" in one.body
    ]


def test_a_secrets_own_keys_sign_for_the_hospitals_region(proxy, opened):
    use(opened({"region": "eu-central-1"}, {"access_key_id": "HOSPITAL", "secret_access_key": "its-own"}))
    assert signed_as(proxy) == {("HOSPITAL", "eu-central-1")}


def test_a_session_token_goes_with_the_keys(proxy, opened):
    use(opened({}, {"access_key_id": "HOSPITAL", "secret_access_key": "its-own", "session_token": "for-an-hour"}))
    assert {one.headers["x-amz-security-token"] for one in proxy.asked("GET")} == {"for-an-hour"}


def test_a_profile_is_read_from_amazons_own_file(proxy, opened, tmp_path, monkeypatch):
    (tmp_path / "aws").write_text("[landing]\naws_access_key_id = PROFILE\naws_secret_access_key = of-the-profile\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    use(opened({"credentials": "profile:landing", "region": "eu-west-1"}))
    assert signed_as(proxy) == {("PROFILE", "eu-west-1")}


def test_a_profile_that_is_not_there_is_denied_and_not_the_process(proxy, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(AccessDenied):
        list(opened({"credentials": "profile:landing"}).listing())
    assert proxy.seen == []


def test_the_process_itself_is_used_where_the_registry_says_so(proxy, opened):
    use(opened({"credentials": "ambient"}))
    assert signed_as(proxy) == {("PROCESS", "us-east-1")}


@pytest.mark.parametrize(
    ("store", "secret"),
    [
        ({"credentials": f"role:{ROLE}", "external_id": "gradient:st-mary"}, None),
        ({}, {"role_arn": ROLE, "external_id": "gradient:st-mary"}),
    ],
    ids=["registry", "secret"],
)
def test_a_role_is_assumed_with_its_external_id(proxy, opened, store, secret):
    use(opened({**store, "region": "eu-west-1"}, secret))
    asked = asked_of_sts(proxy)
    assert asked
    for headers, fields in asked:
        assert (fields["Action"], fields["RoleArn"], fields["ExternalId"]) == ("AssumeRole", ROLE, "gradient:st-mary")
        assert "Credential=PROCESS/" in headers["authorization"]
    assert {region for _, region in signed_as(proxy)} == {"eu-west-1"}
    assert "PROCESS" not in {key for key, _ in signed_as(proxy)}
    assert all("x-amz-security-token" in one.headers for one in proxy.asked(containing="landing-dicoms"))


def test_a_role_is_asked_for_with_the_keys_that_stand_beside_it(proxy, opened):
    use(opened({}, {"role_arn": ROLE, "access_key_id": "PARTNER", "secret_access_key": "its-own"}))
    asked = asked_of_sts(proxy)
    assert asked
    assert all("Credential=PARTNER/" in headers["authorization"] for headers, _ in asked)


def test_a_web_identitys_token_is_exchanged_for_the_role_and_read_anew(proxy, opened, tmp_path):
    token = tmp_path / "token"
    token.write_text(web_token("first"))
    store = {"credentials": f"role:{ROLE}", "web_identity_token_file": str(token)}
    use(opened(store))
    ((_, fields), *_) = asked_of_sts(proxy)
    assert fields["Action"] == "AssumeRoleWithWebIdentity"
    assert {fields["WebIdentityToken"] for _, fields in asked_of_sts(proxy)} == {web_token("first")}
    assert not any("authorization" in headers for headers, _ in asked_of_sts(proxy)), "the token alone speaks"
    proxy.heal()
    token.write_text(web_token("second"))
    use(opened(store))
    assert {fields["WebIdentityToken"] for _, fields in asked_of_sts(proxy)} == {web_token("second")}


def web_token(subject):
    """Something of a token's shape."""
    parts = ({"alg": "none"}, {"sub": subject, "aud": "sts", "iss": "https://issuer.example"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".x"


@pytest.mark.parametrize("read", [lambda bucket: list(bucket.listing()), lambda bucket: bucket.get("a.dcm")])
def test_a_role_that_is_refused_opens_nothing(proxy, opened, read):
    proxy.breaks(answers(403, "AccessDenied"), method="POST")
    with pytest.raises(AccessDenied) as caught:
        read(opened({"credentials": f"role:{ROLE}", "external_id": "wrong"}))
    assert caught.value.__context__ is None
    assert proxy.asked(containing="landing-dicoms") == []


@pytest.mark.parametrize(("said", "header"), [(True, "requester"), (False, None)])
def test_who_pays_is_said_with_each_request_or_not_at_all(proxy, opened, said, header):
    use(opened({"requester_pays": said}, {"access_key_id": "A", "secret_access_key": "b"}))
    asked = proxy.asked(containing="landing-dicoms")
    assert {one.headers.get("x-amz-request-payer") for one in asked} == {header}
    signed = [one.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0] for one in asked]
    assert all(("x-amz-request-payer" in names) == said for names in signed)


WRITES = {
    "put": lambda bucket: bucket.put("a", b"content"),
    "create": lambda bucket: bucket.create("new", b"content"),
    "in parts": lambda bucket: bucket.put("large", b"x" * (12 * 1024**2)),
    "move": lambda bucket: bucket.move("a", "moved"),
}


@pytest.mark.parametrize("key", [KEY, ""])
def test_each_write_names_the_zones_key_or_leaves_it_to_the_bucket(proxy, upstream, tmp_path, monkeypatch, key):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "PROCESS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-process")
    settings = {
        "GRADIENT_HOME": str(tmp_path),
        "GRADIENT_S3_ENDPOINT": proxy.endpoint,
        "GRADIENT_RELEASES_URI": f"s3://platform-releases/{hashlib.sha256(key.encode()).hexdigest()[:8]}",
        "GRADIENT_PUBLIC_KMS_KEY": key,
    }
    bucket = resources_for(Settings.from_environment(settings)).releases
    for name, write in WRITES.items():
        proxy.heal()
        write(bucket)
        made = [one for one in proxy.asked() if begins_an_object(one)]
        assert made, name
        for one in made:
            found = [one.headers.get(f"x-amz-server-side-encryption{ending}") for ending in ("", "-aws-kms-key-id")]
            assert found == (["aws:kms", KEY] if key else [None, None]), name
    assert bucket.get("moved") == b"content"


def begins_an_object(one):
    """An object is encrypted as its put, its copy, or the beginning of its upload in parts says."""
    return (one.method == "PUT" and "partNumber=" not in one.path) or (one.method == "POST" and "uploads" in one.path)


def test_each_objects_version_is_listed_where_the_bucket_keeps_them(proxy, upstream, opened):
    upstream.create_bucket(Bucket="versioned")
    upstream.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    put = {}
    for key, body in (("a.dcm", b"old"), ("a.dcm", b"newer"), ("b//c", b"odd"), ("gone.dcm", b"x")):
        put[key] = upstream.put_object(Bucket="versioned", Key=key, Body=body)["VersionId"]
    upstream.delete_object(Bucket="versioned", Key="gone.dcm")
    secret = {"access_key_id": "A", "secret_access_key": "b"}
    bucket = opened({"versions": True}, secret, dicoms="s3://versioned")
    assert [(found.key, found.size, found.version) for found in bucket.listing()] == [
        ("a.dcm", 5, put["a.dcm"]),
        ("b//c", 3, put["b//c"]),
    ]
    assert [found.key for found in bucket.listing(start_after="a.dcm")] == ["b//c"]
    assert (bucket.stat("a.dcm").version, bucket.stat("b//c").version) == (put["a.dcm"], put["b//c"])


def test_without_the_setting_a_listing_asks_for_no_more_than_the_right_to_list(proxy, opened):
    use(opened({}, {"access_key_id": "A", "secret_access_key": "b"}))
    assert not [one for one in proxy.asked("GET") if "versions" in one.path]
