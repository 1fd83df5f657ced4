"""Keys and credentials in Secrets Manager, over the network as a run uses it."""

import json

import pytest

from resources import Settings, resources_for
from resources.vault import AwsVault
from resources.vault_contract import KeyExists, MissingKey


@pytest.fixture
def environment(amazon, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "stand")
    exports = {name: value for name, value in amazon.exports().items() if name.startswith("GRADIENT_")}
    prefix = f"{tmp_path.name}/"
    return {
        **exports,
        "GRADIENT_HOME": str(tmp_path),
        "GRADIENT_VAULT": "aws",
        "GRADIENT_AWS_REGION": "us-east-1",
        "GRADIENT_SECRET_PREFIX": prefix,
    }


@pytest.fixture
def vault(environment):
    return resources_for(Settings.from_environment(environment)).vault


def test_the_settings_open_the_server(vault):
    assert isinstance(vault, AwsVault)


def test_a_key_is_made_once_and_read_by_another_process_alike(vault, environment):
    made = vault.create("hospital/st-mary")
    other = resources_for(Settings.from_environment(environment)).vault
    assert other.key("hospital/st-mary").fingerprint == made.fingerprint
    with pytest.raises(KeyExists):
        other.create("hospital/st-mary")
    assert other.key("hospital/st-mary").fingerprint == made.fingerprint


def test_rotation_keeps_both_versions(vault):
    first = vault.create("hospital/st-mary")
    second = vault.rotate("hospital/st-mary")
    assert vault.versions("hospital/st-mary") == (1, 2)
    assert vault.key("hospital/st-mary").fingerprint == second.fingerprint != first.fingerprint
    assert vault.key("hospital/st-mary", 1).fingerprint == first.fingerprint


def test_a_key_that_is_not_there_is_missing_and_never_made(vault):
    assert not vault.exists("hospital/nobody")
    with pytest.raises(MissingKey):
        vault.key("hospital/nobody")
    assert not vault.exists("hospital/nobody")


def test_a_buckets_credentials_are_read_as_they_were_put(vault, amazon, environment):
    secret = json.dumps({"access_key_id": "st-mary", "secret_access_key": "of-the-test"})
    name = f"{environment['GRADIENT_SECRET_PREFIX']}hospital/st-mary/bucket"
    amazon.client("secretsmanager").create_secret(Name=name, SecretString=secret)
    assert vault.text("hospital/st-mary/bucket") == secret


def test_a_server_that_is_gone_is_missing_and_no_new_key(environment):
    gone = resources_for(Settings.from_environment({**environment, "GRADIENT_SECRETS_ENDPOINT": "http://127.0.0.1:9"}))
    with pytest.raises(MissingKey):
        gone.vault.create("hospital/st-mary")
