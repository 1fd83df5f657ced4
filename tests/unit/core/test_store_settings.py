"""How a hospital's buckets are opened: the registry's section `store` is read whole or refused with its line."""

import json

import pytest

from gradient_assets.hospitals import RegistryError, load_registry
from gradient_assets.store_settings import STORE_FIELDS, StoreSettings
from resources import Settings, resources_for
from resources.credentials import Identity

ROLE = "arn:aws:iam::123456789012:role/landing"
GOOD = """\
hospitals:
  - id: st-mary
    number: 1
    buckets: {dicoms: s3://st-mary-dicoms/export, reports: landing/st-mary/reports}
    report_columns: {report_id: Report No, text: Report}
    date_order: mdy
    timezone: America/New_York
    profile: longitudinal
    secret_name: hospital/st-mary
"""
ALL = {
    "endpoint": "https://s3.st-mary.example:9000",
    "region": "eu-central-1",
    "credentials": f"role:{ROLE}",
    "external_id": "gradient:st-mary/1",
    "web_identity_token_file": "/var/run/secrets/token",
    "requester_pays": True,
    "versions": True,
}


def load(tmp_path, store=None):
    path = tmp_path / "hospitals.yaml"
    path.write_text(GOOD + (f"    store: {json.dumps(store)}\n" if store is not None else ""), encoding="utf-8")
    return load_registry(path, home=tmp_path).get("st-mary")


def test_all_fields_are_read_and_each_may_be_left_out(tmp_path):
    assert load(tmp_path).store == load(tmp_path, {}).store == StoreSettings()
    assert load(tmp_path, ALL).store == StoreSettings(**ALL)
    assert sorted(ALL) == sorted(STORE_FIELDS)


BROKEN = [
    ({"endpoint": "s3.example"}, "endpoint", "https://"),
    ({"endpoint": "https://s3.example/bucket"}, "endpoint", "without a path"),
    ({"endpoint": "https://me:secret@s3.example"}, "endpoint", "password"),
    ({"endpoint": "file:///x"}, "endpoint", "https://"),
    ({"region": "Frankfurt am Main"}, "region", "eu-central-1"),
    ({"credentials": "admin"}, "credentials", "profile:NAME"),
    ({"credentials": "role:landing"}, "credentials", "role:ARN"),
    ({"credentials": "secret:zone/identified"}, "credentials", "secret, ambient"),
    ({"credentials": f"role:{ROLE}", "external_id": "x"}, "external_id", "2 to 1,224"),
    ({"external_id": "gradient"}, "external_id", "role:ARN beside it"),
    ({"credentials": "ambient", "web_identity_token_file": "/token"}, "web_identity_token_file", "role:ARN beside it"),
    ({"credentials": f"role:{ROLE}", "web_identity_token_file": "token"}, "web_identity_token_file", "absolute"),
    ({"requester_pays": "yes, please"}, "requester_pays", "true or false"),
    ({"versions": 2}, "versions", "true or false"),
    ({"access_key_id": "AKIA"}, "access_key_id", "one of endpoint"),
]


@pytest.mark.parametrize(("store", "field", "expected"), BROKEN)
def test_what_is_wrong_is_refused_with_line_field_and_what_was_expected(tmp_path, store, field, expected):
    with pytest.raises(RegistryError) as refused:
        load(tmp_path, store)
    assert "line 10" in str(refused.value)
    assert f"store.{field}" in str(refused.value)
    assert expected in str(refused.value)


def bucket(tmp_path, store, kind="dicoms", **environ):
    hospital = load(tmp_path, store)
    settings = Settings.from_environment({"GRADIENT_HOME": str(tmp_path), **environ})
    return resources_for(settings).hospital_bucket(hospital, kind)


def test_the_registry_decides_how_a_bucket_is_opened(tmp_path):
    address = bucket(tmp_path, ALL, GRADIENT_S3_ENDPOINT="https://other", GRADIENT_AWS_REGION="us-east-1").address
    assert (address.endpoint, address.region) == (ALL["endpoint"], "eu-central-1")
    assert address.identities == (Identity("role", ROLE, ALL["external_id"], ALL["web_identity_token_file"]),)
    assert (address.secret_name, address.requester_pays, address.versions) == (None, True, True)
    assert address.kms_key == "", "a hospital's bucket is never written"


def test_without_it_the_settings_do(tmp_path):
    address = bucket(tmp_path, None, GRADIENT_S3_ENDPOINT="https://other", GRADIENT_AWS_REGION="us-east-1").address
    assert (address.endpoint, address.region) == ("https://other", "us-east-1")
    assert (address.secret_name, address.identities) == ("hospital/st-mary/bucket", ())


@pytest.mark.parametrize(
    ("store", "default", "secret"),
    [
        ({"credentials": "ambient"}, "secret", None),
        ({"credentials": "secret"}, "ambient", "hospital/st-mary/bucket"),
        ({}, "ambient", None),
    ],
)
def test_one_hospital_may_differ_from_the_default(tmp_path, store, default, secret):
    address = bucket(tmp_path, store, GRADIENT_BUCKET_CREDENTIALS=default).address
    assert (address.secret_name, address.identities) == (secret, ())


def test_a_folder_is_opened_as_nobody(tmp_path):
    address = bucket(tmp_path, ALL, "reports").address
    assert (address.identities, address.endpoint, address.secret_name) == ((), None, None)
    assert address.must_exist


@pytest.mark.parametrize("zone", ["identified", "deidentified", "public"])
def test_a_zones_objects_on_s3_are_written_under_its_own_key(tmp_path, zone):
    variable, attribute = {
        "identified": ("GRADIENT_REQUESTS_URI", "release_requests"),
        "deidentified": ("GRADIENT_THUMBNAILS_URI", "thumbnails"),
        "public": ("GRADIENT_RELEASES_URI", "releases"),
    }[zone]
    environ = {
        "GRADIENT_HOME": str(tmp_path),
        variable: "s3://own/x",
        **{f"GRADIENT_{one.upper()}_KMS_KEY": f"key-of-{one}" for one in ("identified", "deidentified", "public")},
    }
    opened = getattr(resources_for(Settings.from_environment(environ)), attribute)
    assert opened.address.kms_key == opened.under("y").address.kms_key == f"key-of-{zone}"
