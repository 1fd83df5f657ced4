"""Keys and credentials: never made by accident, never overwritten, never shown."""

import pickle
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from gradient_assets.deid.identity import SecretKey
from resources.vault import CLIENT_S, AwsVault, FileVault, GoogleVault, _KeptClient
from resources.vault_contract import KeyExists, MissingKey


@pytest.fixture
def file_vault(tmp_path):
    return FileVault(tmp_path / "secrets")


@pytest.fixture
def aws_vault(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield AwsVault(region="us-east-1")


class FakeSecretManager:
    """Google's client as far as the vault uses it: a secret's versions are numbered from 1."""

    def __init__(self):
        self.versions = {}

    def create_secret(self, *, parent, secret_id, secret):
        from google.api_core.exceptions import AlreadyExists

        name = f"{parent}/secrets/{secret_id}"
        if name in self.versions:
            raise AlreadyExists("there")
        self.versions[name] = []

    def add_secret_version(self, *, parent, payload):
        self._there(parent).append(payload["data"])

    def access_secret_version(self, *, name):
        secret, _, version = name.rpartition("/versions/")
        found = self._there(secret)
        number = len(found) if version == "latest" else int(version)
        if not 0 < number <= len(found):
            self._there("none")
        return SimpleNamespace(payload=SimpleNamespace(data=found[number - 1]))

    def _there(self, secret):
        from google.api_core.exceptions import NotFound

        if secret not in self.versions:
            raise NotFound("none")
        return self.versions[secret]


class Killed(BaseException):
    """The process ends here."""


class DyingBetweenTwoRequests(FakeSecretManager):
    dies = True

    def add_secret_version(self, *, parent, payload):
        if self.dies:
            raise Killed
        super().add_secret_version(parent=parent, payload=payload)


class Overtaken(FakeSecretManager):
    """Another process adds its key just before ours."""

    def add_secret_version(self, *, parent, payload):
        super().add_secret_version(parent=parent, payload={"data": THEIRS.to_text().encode()})
        super().add_secret_version(parent=parent, payload=payload)


class Destroyed(FakeSecretManager):
    """The first versions are gone for good; whoever destroyed them may have added others."""

    def access_secret_version(self, *, name):
        from google.api_core.exceptions import FailedPrecondition

        super().access_secret_version(name=name)
        raise FailedPrecondition("destroyed")


class Refusing(FakeSecretManager):
    def add_secret_version(self, *, parent, payload):
        raise PermissionError("add")


THEIRS = SecretKey(bytes(range(32)))


def google_with(server):
    class Connected(GoogleVault):
        def _client(self):
            return server

    return Connected("project")


@pytest.fixture
def google_vault():
    return google_with(FakeSecretManager())


@pytest.fixture(params=["file", "aws", "google"])
def vault(request):
    return request.getfixturevalue(f"{request.param}_vault")


def test_a_missing_key_is_an_error_that_says_what_to_do_and_makes_nothing(vault):
    with pytest.raises(MissingKey, match=r"gradient (keygen|doctor --mend)"):
        vault.key("hospital/st-mary")
    assert not vault.exists("hospital/st-mary")


def test_a_key_made_is_the_key_read(vault):
    made = vault.create("hospital/st-mary")
    assert vault.key("hospital/st-mary").secret == made.secret
    assert vault.exists("hospital/st-mary")
    assert not vault.exists("hospital/st-mar")


def test_a_key_is_never_overwritten(vault):
    made = vault.create("hospital/st-mary")
    with pytest.raises(KeyExists):
        vault.create("hospital/st-mary")
    assert vault.key("hospital/st-mary").secret == made.secret


@pytest.mark.parametrize("name", ["", "../up", "a/../b", "/root", "a//b", "a/", ".hidden", "blank name", "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(vault, name):
    for call in (vault.key, vault.create, vault.exists, vault.text):
        with pytest.raises(MissingKey):
            call(name)


def test_vaults_travel_to_workers_without_secrets(file_vault):
    file_vault.create("hospital/st-mary")
    assert pickle.loads(pickle.dumps(file_vault)).exists("hospital/st-mary")
    secret = file_vault.key("hospital/st-mary").secret
    assert secret not in pickle.dumps(file_vault)


def test_a_rotated_key_has_both_versions_and_the_newest_is_the_key(vault):
    first = vault.create("hospital/st-mary")
    second = vault.rotate("hospital/st-mary")
    assert second.secret != first.secret
    assert [(key.id, key.version) for key in (first, second)] == [("hospital/st-mary", 1), ("hospital/st-mary", 2)]
    assert vault.versions("hospital/st-mary") == (1, 2)
    assert vault.key("hospital/st-mary") == vault.key("hospital/st-mary", 2) == second
    assert vault.key("hospital/st-mary", 1) == first
    assert vault.key("hospital/st-mary", 1).version == 1


def test_a_key_that_is_not_there_has_no_versions_and_can_not_be_rotated(vault):
    assert vault.versions("hospital/st-mary") == ()
    with pytest.raises(MissingKey):
        vault.rotate("hospital/st-mary")
    assert not vault.exists("hospital/st-mary", 2)


def test_a_version_that_is_missing_is_an_error_and_does_not_hide_later_ones(file_vault):
    file_vault.create("hospital/st-mary")
    for _ in range(2):
        file_vault.rotate("hospital/st-mary")
    (file_vault.folder / "hospital/st-mary.v2.key").unlink()
    assert file_vault.versions("hospital/st-mary") == (1, 3)
    with pytest.raises(MissingKey):
        file_vault.key("hospital/st-mary", 2)


def test_of_two_rotations_at_the_same_time_one_is_refused(vault):
    vault.create("hospital/st-mary")
    second = vault.rotate("hospital/st-mary", 2)
    with pytest.raises(KeyExists):
        vault.rotate("hospital/st-mary", 2)
    assert vault.key("hospital/st-mary") == second


@pytest.mark.parametrize("name", ["v2", "hospital/v2", "hospital/st-mary.v2"])
def test_a_key_named_like_a_version_of_another_is_refused(vault, name):
    for call in (vault.key, vault.create, vault.exists, vault.versions, vault.rotate):
        with pytest.raises(MissingKey):
            call(name)


@pytest.mark.parametrize("ending", [".key", ".v2.key"])
def test_every_version_in_a_file_is_for_its_owner_alone(file_vault, ending):
    file_vault.create("hospital/st-mary")
    file_vault.rotate("hospital/st-mary")
    path = file_vault.folder / f"hospital/st-mary{ending}"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o604)
    with pytest.raises(MissingKey, match="chmod 600"):
        file_vault.key("hospital/st-mary", 2 if "v2" in ending else 1)


def test_keys_of_the_file_vault_are_for_their_owner_alone(file_vault):
    file_vault.create("hospital/st-mary")
    path = file_vault.folder / "hospital" / "st-mary.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(MissingKey, match="chmod 600"):
        file_vault.key("hospital/st-mary")


@pytest.mark.parametrize(
    ("mode", "content", "message"), [(0o640, b"{}", "chmod 600"), (0o600, b"\xff\xfa", "UnicodeDecodeError")]
)
def test_credentials_that_others_may_read_or_that_are_no_text_are_refused(file_vault, mode, content, message):
    path = file_vault.folder / "hospital" / "x" / "bucket.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(MissingKey, match=message):
        file_vault.text("hospital/x/bucket")


def test_a_secret_that_is_no_key_is_not_shown(aws_vault):
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name="gradient/other", SecretString="hunter2")
    assert aws_vault.text("other") == "hunter2"
    with pytest.raises(MissingKey) as caught:
        aws_vault.key("other")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_service_that_denies_is_not_taken_for_an_absent_key():
    class Denying:
        def describe_secret(self, **_):
            raise PermissionError("AccessDenied for hospital/st-mary")

        create_secret = get_secret_value = describe_secret

    class DeniedVault(AwsVault):
        def _client(self):
            return Denying()

    vault = DeniedVault()
    for call in (vault.exists, vault.create, vault.key):
        with pytest.raises(MissingKey):
            call("hospital/st-mary")


def test_google_refuses_a_name_it_can_not_hold(google_vault):
    with pytest.raises(MissingKey, match="secret_name"):
        google_vault.create("hospital/st.mary")


@pytest.mark.parametrize("version", [1, 2])
def test_a_key_whose_making_was_killed_half_way_is_made_by_the_next_attempt(version):
    server = DyingBetweenTwoRequests()
    vault = google_with(server)
    if version == 2:
        server.dies = False
        vault.create("hospital/st-mary")
        server.dies = True
    with pytest.raises(Killed):
        vault.create("hospital/st-mary") if version == 1 else vault.rotate("hospital/st-mary", 2)
    assert not vault.exists("hospital/st-mary", version)
    assert vault.versions("hospital/st-mary") == tuple(range(1, version))
    server.dies = False
    made = vault.create("hospital/st-mary") if version == 1 else vault.rotate("hospital/st-mary", 2)
    assert vault.key("hospital/st-mary") == made
    assert vault.versions("hospital/st-mary") == tuple(range(1, version + 1))


def test_of_two_that_make_a_key_at_once_the_first_ones_is_the_key_and_the_other_is_told():
    vault = google_with(Overtaken())
    with pytest.raises(KeyExists):
        vault.create("hospital/st-mary")
    assert vault.key("hospital/st-mary").secret == THEIRS.secret


def test_a_key_that_was_destroyed_is_not_made_anew():
    server = Destroyed()
    server.versions["projects/project/secrets/gradient_-_hospital_-_st-mary"] = [b"gone"]
    vault = google_with(server)
    assert vault.exists("hospital/st-mary")
    with pytest.raises(KeyExists):
        vault.create("hospital/st-mary")
    with pytest.raises(MissingKey, match="FailedPrecondition"):
        vault.key("hospital/st-mary")


def test_a_version_that_somebody_added_to_a_keys_secret_is_not_the_key(google_vault):
    made = google_vault.create("hospital/st-mary")
    secret = "projects/project/secrets/gradient_-_hospital_-_st-mary"
    google_vault._client().add_secret_version(parent=secret, payload={"data": THEIRS.to_text().encode()})
    assert google_vault.key("hospital/st-mary") == made


def test_the_newest_credentials_are_read(google_vault):
    server = google_vault._client()
    server.versions["projects/project/secrets/gradient_-_hospital_-_x_-_bucket"] = [b"older", b"newer"]
    assert google_vault.text("hospital/x/bucket") == "newer"


def test_a_service_that_refuses_a_content_is_told_without_its_words():
    vault = google_with(Refusing())
    with pytest.raises(MissingKey, match="could not be made"):
        vault.create("hospital/st-mary")
    assert not vault.exists("hospital/st-mary")


def test_two_names_are_two_secrets(google_vault):
    google_vault.create("a/b")
    assert not google_vault.exists("a_b")
    assert isinstance(google_vault.key("a/b"), SecretKey)


def test_a_client_is_opened_once_until_its_time_is_over_and_never_goes_to_a_worker(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("resources.vault.time", SimpleNamespace(monotonic=lambda: now[0]))
    opened = iter(("first", "second"))
    kept = _KeptClient()
    assert [kept.get(lambda: next(opened)) for _ in range(3)] == ["first"] * 3
    now[0] += CLIENT_S
    assert kept.get(lambda: next(opened)) == "second"
    assert pickle.loads(pickle.dumps(kept)).get(lambda: "the worker's own") == "the worker's own"


def test_a_client_that_could_not_be_opened_is_asked_for_again():
    kept = _KeptClient()
    with pytest.raises(ConnectionError):
        kept.get(fails)
    assert kept.get(lambda: "now") == "now"


def fails():
    raise ConnectionError
