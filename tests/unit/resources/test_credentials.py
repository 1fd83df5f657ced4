"""Each zone is opened as somebody of its own, and never as the process itself where somebody is named."""

import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from resources import Settings, SettingsError, resources_for
from resources.buckets.object_store import AccessDenied, Bucket, BucketAddress
from resources.buckets.request_signing import Renewed
from resources.credentials import (
    AssumedRole,
    CredentialsError,
    Identity,
    StaticKeys,
    google_credentials,
    s3_provider,
    secret_fields,
    serving,
)
from resources.vault import AwsVault, FileVault, GoogleVault
from resources.vault_contract import MissingKey
from resources.warehouses.bigquery import BigQueryWarehouse
from tests.unit.resources.test_environment import REGISTRY, Hospital

ROLE = "role:arn:aws:iam::123456789012:role/gradient-public"
ACCOUNT = "impersonate:gradient-public@project.iam.gserviceaccount.com"


def resources(tmp_path, **environ):
    return resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path), **environ}))


@pytest.mark.parametrize("text", ["secret:zone/public", "profile:public", ROLE, ACCOUNT])
def test_an_identity_is_read_as_it_is_written(text):
    identity = Identity.parse(text)
    assert f"{identity.kind}:{identity.name}" == text


@pytest.mark.parametrize(
    "text",
    ["", "public", "secret:hospital/st-mary", "secret:zone/../hospital/x", "secret:", "role:admin", "impersonate:me@x"],
)
def test_what_is_no_identity_is_refused_with_the_variable(tmp_path, text):
    with pytest.raises(CredentialsError, match="expected"):
        Identity.parse(text)
    if text:
        with pytest.raises(SettingsError, match="GRADIENT_PUBLIC_CREDENTIALS"):
            _ = resources(
                tmp_path, GRADIENT_PUBLIC_CREDENTIALS=text, GRADIENT_RELEASES_URI="s3://public/releases"
            ).releases


@pytest.mark.parametrize(
    ("named", "scheme", "kind"),
    [
        ((), "s3", None),
        ((ROLE, ACCOUNT), "s3", "role"),
        ((ROLE, ACCOUNT), "gs", "impersonate"),
        (("secret:zone/public",), "gs", "secret"),
    ],
)
def test_the_first_identity_that_serves_a_store_opens_it(named, scheme, kind):
    found = serving(tuple(map(Identity.parse, named)), scheme)
    assert (found and found.kind) == kind


@pytest.mark.parametrize(("named", "scheme"), [(ROLE, "gs"), (ACCOUNT, "s3")])
def test_a_zone_whose_identities_serve_another_kind_is_not_opened_as_the_process(named, scheme):
    with pytest.raises(CredentialsError, match=scheme):
        serving((Identity.parse(named),), scheme)
    bucket = Bucket(BucketAddress(f"{scheme}://bucket", identities=(Identity.parse(named),)))
    with pytest.raises(AccessDenied, match=scheme):
        bucket.get("key")


def test_two_zones_with_the_same_credentials_are_refused(tmp_path):
    opened = resources(
        tmp_path,
        GRADIENT_PUBLIC_CREDENTIALS="profile:one",
        GRADIENT_IDENTIFIED_CREDENTIALS="profile:one",
        GRADIENT_RELEASES_URI="s3://public/releases",
    )
    with pytest.raises(SettingsError, match="each zone needs its own"):
        _ = opened.releases


OWN = {
    "GRADIENT_IDENTIFIED_CREDENTIALS": "profile:identified,impersonate:identified@p.iam.gserviceaccount.com",
    "GRADIENT_DEIDENTIFIED_CREDENTIALS": "profile:deidentified,impersonate:deidentified@p.iam.gserviceaccount.com",
    "GRADIENT_PUBLIC_CREDENTIALS": "profile:public,impersonate:public@p.iam.gserviceaccount.com",
}
URIS = {
    "GRADIENT_DIAGNOSTICS_URI": "s3://identified/diagnostics",
    "GRADIENT_REQUESTS_URI": "s3://identified/requests",
    "GRADIENT_THUMBNAILS_URI": "s3://deidentified/thumbnails",
    "GRADIENT_RELEASES_URI": "gs://public/releases",
}


def test_each_zones_buckets_are_opened_as_that_zone(tmp_path):
    opened = resources(tmp_path, **OWN, **URIS)
    for bucket, zone in (
        (opened.diagnostics, "identified"),
        (opened.release_requests, "identified"),
        (opened.thumbnails, "deidentified"),
        (opened.releases, "public"),
    ):
        names = {identity.name.partition("@")[0] for identity in bucket.address.identities}
        assert names == {zone}
        assert bucket.under("x").address.identities == bucket.address.identities


def test_a_hospitals_bucket_is_opened_as_no_zone(tmp_path):
    address = resources(tmp_path, **OWN).hospital_bucket(Hospital(), "dicoms").address
    assert (address.identities, address.secret_name) == ((), "hospital/st-mary/bucket")


def test_a_folder_has_no_identity(tmp_path):
    assert resources(tmp_path, **OWN).thumbnails.address.identities == ()


@pytest.mark.parametrize(("environment", "kind"), [("aws", AwsVault), ("gcp", GoogleVault)])
def test_the_vault_is_opened_as_the_identified_zone(tmp_path, environment, kind):
    vault = resources(tmp_path, GRADIENT_ENV=environment, GRADIENT_GCP_PROJECT="p", **OWN).vault
    assert isinstance(vault, kind)
    assert {identity.name.partition("@")[0] for identity in vault.identities} == {"identified"}


@pytest.mark.parametrize(
    "vault", [AwsVault(identities=(Identity.parse(ACCOUNT),)), GoogleVault("p", identities=(Identity.parse(ROLE),))]
)
def test_a_vault_for_which_nobody_is_named_is_not_opened_as_the_process(vault):
    with pytest.raises(MissingKey, match="name nobody"):
        vault._client()


def test_a_public_process_holds_the_public_identity_alone(tmp_path):
    (tmp_path / "hospitals.yaml").write_text(REGISTRY)
    opened = resources(
        tmp_path,
        **OWN,
        **URIS,
        GRADIENT_ENV="gcp",
        GRADIENT_GCP_PROJECT="p",
        GRADIENT_STAGING_URI="gs://staging",
        GRADIENT_ZONES="public",
    )
    assert isinstance(opened.warehouse, BigQueryWarehouse)
    carried = pickle.dumps((opened.warehouse, opened.releases))
    assert b"public@p.iam" in carried
    assert not [zone for zone in (b"deidentified@", b"profile:deidentified", b"\x0aidentified@") if zone in carried]
    assert b"identified@p.iam" not in carried


def test_bigquery_opens_each_zone_with_its_own_account(tmp_path, monkeypatch):
    from google.cloud import bigquery

    from resources.warehouses import bigquery_tables

    monkeypatch.setattr(bigquery_tables, "google_credentials", lambda identity, vault: identity.name)
    monkeypatch.setattr(bigquery, "Client", lambda project, location, credentials: credentials)
    tables = bigquery_tables.BigQueryTables("p", "US", "", None, identities=resources_identities())
    assert [tables._open(zone).partition("@")[0] for zone in OWN_ZONES] == list(OWN_ZONES)


OWN_ZONES = ("identified", "deidentified", "public")


def resources_identities():
    settings = Settings.from_environment(OWN)
    return {zone: settings.identities(zone) for zone in OWN_ZONES}


def test_a_secret_that_is_no_json_object_or_holds_no_account_is_refused(tmp_path):
    vault = FileVault(tmp_path)
    (tmp_path / "zone").mkdir()
    path = tmp_path / "zone/public.json"
    for content, words in (("[]", "no JSON object"), ("{", "no JSON object")):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(CredentialsError, match=words):
            secret_fields("zone/public", vault)
    path.write_text(json.dumps({"service_account": {"private_key": "s3cret"}}))
    with pytest.raises(CredentialsError, match="no service account") as caught:
        google_credentials(Identity("secret", "zone/public"), vault)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(CredentialsError, match="no vault"):
        secret_fields("zone/public", None)
    with pytest.raises(CredentialsError, match="does not exist"):
        secret_fields("zone/other", vault)


@pytest.mark.parametrize(
    ("identity", "fields", "kind"),
    [
        (None, {"access_key_id": "a", "secret_access_key": "b"}, StaticKeys),
        (None, {"role_arn": ROLE.removeprefix("role:"), "external_id": "x"}, AssumedRole),
        (None, {"role_arn": ROLE.removeprefix("role:"), "access_key_id": "a", "secret_access_key": "b"}, AssumedRole),
        (Identity.parse(ROLE), {}, AssumedRole),
    ],
)
def test_keys_of_s3_come_from_where_the_fields_say(identity, fields, kind):
    provider = s3_provider(identity, fields)
    assert isinstance(provider, kind)
    assert "secret" not in repr(provider).lower()


def test_where_nobody_is_named_and_the_process_is_nobody_there_are_no_keys(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(CredentialsError, match="no credentials"):
        s3_provider(None)
    with pytest.raises(AccessDenied):
        next(Bucket(BucketAddress("s3://bucket")).listing())


def test_keys_are_kept_until_shortly_before_they_end_and_then_asked_for_again():
    given = []

    def provider():
        ends_in = timedelta(minutes=4 if len(given) == 0 else 60)
        given.append({"access_key_id": f"KEY{len(given)}", "expires_at": datetime.now(UTC) + ends_in})
        return given[-1]

    keys = Renewed(provider)
    assert [keys()["access_key_id"] for _ in range(4)] == ["KEY0", "KEY1", "KEY1", "KEY1"]


def test_keys_that_cant_be_renewed_deny_and_say_nothing():
    def provider():
        raise ValueError("s3cret of DOE")

    with pytest.raises(AccessDenied) as caught:
        Renewed(provider)()
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None
