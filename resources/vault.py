"""Where keys and credentials are kept: a folder of files, AWS Secrets Manager, Google Secret Manager.

Belongs here: fetching a secret by its name, making one that is not there yet, and making a key's next version.  Which
version is in use is `key_records`' business, what is derived from a key `gradient_assets.deid.identity`'s.  No vault ever
makes a key by itself, overwrites one, or has a default.

Names look like `hospital/st-mary` or `recipient/uni-x`; `<name>/bucket` holds a bucket's credentials as JSON.  Each version
of a key is a secret of its own, so that every service's own "create, never replace" guards it: version 1 has the key's
name, version n the name with `v<n>` (`<name>.v<n>.key`, `<name>/v<n>`, `<name>_-_v<n>`).
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from gradient_assets.deid.identity import KeyFileError, SecretKey, create_key_file, read_key_file
from resources.credentials import CredentialsError, Identity, aws_session, google_credentials, serving
from resources.vault_contract import KeyExists, MissingKey

_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.+=@-]+(/(?!\.)[A-Za-z0-9_.+=@-]+)*")
"""As the registry allows; a segment that starts with a dot could climb out of a folder."""

_LOOKS_LIKE_A_VERSION = re.compile(r"(.*[./])?v[0-9]+")
"""A key of such a name would stand where a version of another key is looked for."""

MAX_VERSIONS = 1000
"""A key rotated every month for eighty years."""


CLIENT_S = 600.0
"""How long a client of AWS is kept, of the 900 s that an assumed role's credentials last at least."""


class _Versioned(Protocol):
    """What the three vaults have in common: counting versions, and making the next one."""

    __slots__ = ()

    def key(self, name: str, version: int | None = None) -> SecretKey:
        """That version of the key, by default the newest one.  Raises `MissingKey`."""
        wanted = max(self.versions(name), default=1) if version is None else version
        return replace(self._read(name, wanted), id=name, version=wanted)

    def create(self, name: str) -> SecretKey:
        """Make version 1 of a new key.  Raises `KeyExists`, or `MissingKey` if the vault does not take it."""
        return self._new(name, 1)

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions that there are, in order.  One that is missing between others is not the end of them all."""
        found: list[int] = []
        for version in range(1, MAX_VERSIONS + 1):
            if self.exists(name, version):
                found.append(version)
            elif version > 1 and version - 1 not in found:
                break  # two missing in a row
        return tuple(found)

    def rotate(self, name: str, version: int | None = None) -> SecretKey:
        """Make that version, by default the next one.  Raises `MissingKey`, and `KeyExists` when another was faster."""
        newest = self.key(name)
        return self._new(name, newest.version + 1 if version is None else version)

    def _new(self, name: str, version: int) -> SecretKey:
        return replace(self._make(name, version), id=name, version=version)

    def exists(self, name: str, version: int = 1) -> bool: ...

    def _read(self, name: str, version: int) -> SecretKey: ...

    def _make(self, name: str, version: int) -> SecretKey: ...


@dataclass(frozen=True, slots=True)
class FileVault(_Versioned):
    """A file of mode 0600 for each secret: `<folder>/<name>.key` for keys, `<folder>/<name>.json` for other secrets."""

    folder: Path

    def exists(self, name: str, version: int = 1) -> bool:
        """Whether there is a key file of that version, readable or not."""
        return self._key_path(name, version).exists()

    def _read(self, name: str, version: int) -> SecretKey:
        try:
            return read_key_file(self._key_path(name, version))
        except KeyFileError as error:
            raise MissingKey(str(error)) from None

    def _make(self, name: str, version: int) -> SecretKey:
        path = self._key_path(name, version)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return create_key_file(path)
        except KeyFileError as error:
            raise (KeyExists if path.exists() else MissingKey)(str(error)) from None

    def text(self, name: str) -> str:
        """The content of `<name>.json`.  Raises `MissingKey`, also when group or others may read it."""
        path = self._path(name, ".json")
        try:
            if path.stat().st_mode & 0o077:
                raise MissingKey(f"Secret file {path} is open to group or others. Run `chmod 600 {path}`.")
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise MissingKey(f"Secret file {path} does not exist. Write it with mode 600.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise MissingKey(f"Secret file {path} can't be read ({type(error).__name__}).") from None

    def _key_path(self, name: str, version: int) -> Path:
        return self._path(_key_name(name), ".key" if version == 1 else f".v{version}.key")

    def _path(self, name: str, ending: str) -> Path:
        return self.folder / f"{_checked(name)}{ending}"


class _KeptClient:
    """A client that is opened once in ten minutes of a process: opening one takes 70 ms, an eleventh of a networked run's time.

    Not longer: an assumed role's credentials end, and a profile may be rotated.
    """

    def __init__(self) -> None:
        self._client: Any = None
        self._until = 0.0

    def __reduce__(self) -> tuple[type[_KeptClient], tuple[()]]:
        return _KeptClient, ()  # a worker opens its own

    def get(self, opened: Callable[[], Any]) -> Any:
        """The client.  Raises what `opened` raises."""
        if time.monotonic() >= self._until:
            self._client = opened()
            self._until = time.monotonic() + CLIENT_S
        return self._client


@dataclass(frozen=True, slots=True)
class AwsVault(_Versioned):
    """AWS Secrets Manager through dagster-aws; the secret's id is `<prefix><name>`."""

    prefix: str = "gradient/"
    region: str | None = None
    endpoint: str | None = None
    identities: tuple[Identity, ...] = ()
    _kept: _KeptClient = field(default_factory=_KeptClient, compare=False, repr=False)

    def _read(self, name: str, version: int) -> SecretKey:
        return _key_from_text(self.text(_segment(name, version)), name)

    def _make(self, name: str, version: int) -> SecretKey:
        # The service itself refuses a second secret of one id.
        key = SecretKey.generate()
        secret_id = self.prefix + _segment(name, version)
        failure: Exception
        try:
            self._client().create_secret(Name=secret_id, SecretString=key.to_text())
            return key
        except Exception as error:
            code = _aws_code(error)
            failure = _there_already(name) if code == "ResourceExistsException" else _not_made(name, code)
        raise failure

    def exists(self, name: str, version: int = 1) -> bool:
        """Whether the secret is there.  Raises `MissingKey` if the service can't say."""
        secret_id = self.prefix + _segment(name, version)
        try:
            self._client().describe_secret(SecretId=secret_id)
        except Exception as error:
            code = _aws_code(error)
        else:
            return True
        if code == "ResourceNotFoundException":
            return False
        raise MissingKey(f"AWS Secrets Manager did not say whether '{name}' exists ({code})")

    def text(self, name: str) -> str:
        """The secret's text.  Raises `MissingKey`."""
        secret_id = self.prefix + _checked(name)
        try:
            answer = self._client().get_secret_value(SecretId=secret_id)
            return str(answer["SecretString"])
        except Exception as error:
            code = _aws_code(error)
        raise MissingKey(
            f"secret '{secret_id}' could not be read from AWS Secrets Manager ({code}): create it with "
            f"`gradient doctor --mend`, and allow secretsmanager:GetSecretValue on it"
        )

    def _client(self) -> Any:
        return self._kept.get(self._opened)

    def _opened(self) -> Any:
        if identity := _opened_as(self.identities, "s3"):
            return aws_session(identity, self.region).client("secretsmanager", endpoint_url=self.endpoint)
        from dagster_aws.secretsmanager import SecretsManagerResource

        with warnings.catch_warnings():
            # dagster-aws calls its resource beta with each use; the version is pinned to a minor one.
            warnings.simplefilter("ignore")
            return SecretsManagerResource(region_name=self.region, endpoint_url=self.endpoint).get_client()


@dataclass(frozen=True, slots=True)
class GoogleVault(_Versioned):
    """Google Secret Manager; the secret's id is the name with `/` as `_-_` (ids hold no slash).

    A key is what version 1 of its secret holds.  The service's later versions are not used: adding one can't be refused when
    another process was faster.
    """

    project: str
    prefix: str = "gradient_-_"
    identities: tuple[Identity, ...] = ()

    def _read(self, name: str, version: int) -> SecretKey:
        return _key_from_text(self._content(_segment(name, version), "1"), name)

    def _make(self, name: str, version: int) -> SecretKey:
        # A secret and what it holds are two requests: killed between them, a process leaves an empty secret, which is filled
        # here.  Of two that fill it, both have the same first version, and it is the key.
        key = SecretKey.generate()
        secret_id, client = self._id(_segment(name, version)), self._client()
        failure: Exception | None = None
        try:
            client.create_secret(
                parent=f"projects/{self.project}", secret_id=secret_id, secret={"replication": {"automatic": {}}}
            )
        except Exception as error:
            if type(error).__name__ != "AlreadyExists":
                failure = _not_made(name, type(error).__name__)
        if failure is None and self.exists(name, version):
            failure = _there_already(name)
        if failure is not None:
            raise failure
        try:
            client.add_secret_version(parent=self._secret(secret_id), payload={"data": key.to_text().encode()})
        except Exception as error:
            failure = _not_made(name, type(error).__name__)
        if failure is not None:
            raise failure
        if self._read(name, version).secret != key.secret:
            raise _there_already(name)
        return key

    def exists(self, name: str, version: int = 1) -> bool:
        """Whether the secret was ever given a content, readable or not.  Raises `MissingKey` if the service can't say.

        Asked by reading it: of all the service's answers that alone is right at once, a list of versions may be hours late
        (docs.cloud.google.com/secret-manager/docs/reference/consistency).
        """
        try:
            self._access(_segment(name, version), "1")
        except MissingKey:
            raise
        except Exception as error:
            kind = type(error).__name__
        else:
            return True
        if kind in ("NotFound", "FailedPrecondition"):  # the latter: disabled, or destroyed
            return kind != "NotFound"
        raise MissingKey(f"Google Secret Manager did not say whether '{name}' exists ({kind})")

    def text(self, name: str) -> str:
        """The newest version's text.  Raises `MissingKey`."""
        return self._content(name, "latest")

    def _content(self, name: str, version: str) -> str:
        secret_id = self._id(name)
        try:
            return self._access(name, version).decode()
        except Exception as error:
            kind = type(error).__name__
        raise MissingKey(
            f"secret '{secret_id}' could not be read from Google Secret Manager ({kind}): create it with "
            f"`gradient doctor --mend`, and grant secretmanager.versions.access on it"
        )

    def _access(self, name: str, version: str) -> bytes:
        place = f"{self._secret(self._id(name))}/versions/{version}"
        return bytes(self._client().access_secret_version(name=place).payload.data)

    def _secret(self, secret_id: str) -> str:
        return f"projects/{self.project}/secrets/{secret_id}"

    def _id(self, name: str) -> str:
        secret_id = self.prefix + _checked(name).replace("/", "_-_")
        if re.fullmatch(r"[A-Za-z0-9_-]{1,255}", secret_id) is None:
            raise MissingKey(
                "Google Secret Manager takes letters, digits, '-' and '_' only; choose another secret_name"
            )
        return secret_id

    def _client(self) -> Any:
        from google.cloud import secretmanager

        if identity := _opened_as(self.identities, "gs"):
            return secretmanager.SecretManagerServiceClient(credentials=google_credentials(identity, None))
        return secretmanager.SecretManagerServiceClient()


def _opened_as(identities: tuple[Identity, ...], scheme: str) -> Identity | None:
    try:
        return serving(identities, scheme)
    except CredentialsError:
        pass
    raise MissingKey("the identified zone's credentials name nobody who may open this vault")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise MissingKey(
            "a secret's name is made of letters, digits and _.+=@-, with single '/'; no part starts with '.'"
        )
    return name


def _key_name(name: str) -> str:
    if _LOOKS_LIKE_A_VERSION.fullmatch(_checked(name)):
        raise MissingKey("a key's name does not end like a version (`v2`, `x/v2`, `x.v2`); choose another secret_name")
    return name


def _segment(name: str, version: int) -> str:
    """The name under which a cloud service keeps a version."""
    return _key_name(name) if version == 1 else f"{_key_name(name)}/v{version}"


def _key_from_text(text: str, name: str) -> SecretKey:
    try:
        return SecretKey.from_text(text)
    except KeyFileError:
        pass
    raise MissingKey(
        f"secret '{name}' is there, but holds no key: restore it from a copy, or, if it never held one, delete it and run "
        "`gradient doctor --mend`"
    )


def _there_already(name: str) -> KeyExists:
    return KeyExists(f"secret '{name}' exists already; a key is never overwritten")


def _not_made(name: str, kind: str) -> MissingKey:
    return MissingKey(f"secret '{name}' could not be made ({kind})")


def _aws_code(error: Exception) -> str:
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code or type(error).__name__)
