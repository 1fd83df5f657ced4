"""As whom the stores of a zone are opened: a secret, a profile, a role, a service account that is impersonated.

Belongs here: reading what the settings name, and turning it into the credentials of Amazon's and Google's clients.  Which
zone has which is `environment`'s business, what each identity may do `deploy/`'s.  Nothing is opened before it is used, and
no repr holds a secret: an identity is a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, cast

from resources.vault_contract import Vault, VaultError

if TYPE_CHECKING:
    import boto3  # type: ignore[import-untyped]  # ships no types

GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SESSION_NAME = "gradient"
"""Under this name the sessions of an assumed role appear in Amazon's audit log."""

STS_REGION = "us-east-1"
"""Where a role is asked for when neither the bucket nor the process names a region."""
STS_TIMEOUT_S = 10

KEYS_TTL = timedelta(minutes=5)
"""For so long keys are used before they are asked for again: botocore renews a role's keys 10 minutes before they end."""

_KEY_FIELDS = ("access_key_id", "secret_access_key", "session_token")

_FORMS = {
    "secret": re.compile(r"zone/[A-Za-z0-9_.+=@-]+"),
    "profile": re.compile(r"[\w.@+=-]+", re.ASCII),
    "role": re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII),
    "impersonate": re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com"),
}
_SERVES = {"s3": ("secret", "profile", "role"), "gs": ("secret", "impersonate")}


class S3Keys(TypedDict):
    """What obstore asks a provider for; `expires_at` None: never."""

    access_key_id: str
    secret_access_key: str
    token: str | None
    expires_at: datetime | None


class CredentialsError(Exception):
    """An identity is written wrongly, or serves nothing of this kind.  The message holds no secret."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One name under which stores are opened; `kind` is a key of the forms above.

    Of a role: `external_id` is what its owner asks for (against the confused deputy; no secret), and `token_file` holds the
    web identity's token that is exchanged for it; without one the process's own credentials ask for the role.
    """

    kind: str
    name: str
    external_id: str = ""
    token_file: str = ""

    @classmethod
    def parse(cls, text: str) -> Identity:
        """From `secret:zone/public`, `profile:NAME`, `role:ARN` or `impersonate:ACCOUNT`.  Raises `CredentialsError`."""
        kind, _, name = text.partition(":")
        if kind not in _FORMS or not _FORMS[kind].fullmatch(name):
            raise CredentialsError(
                "expected secret:zone/NAME, profile:NAME, role:ARN or impersonate:NAME@PROJECT.iam.gserviceaccount.com"
            )
        return cls(kind, name)


def of_hospital(credentials: str, external_id: str, token_file: str) -> tuple[Identity, ...]:
    """The identity that a registry's `profile:NAME` or `role:ARN` names.  Raises `CredentialsError`."""
    found = Identity.parse(credentials)
    return (Identity(found.kind, found.name, external_id, token_file),)


def serving(identities: tuple[Identity, ...], scheme: str) -> Identity | None:
    """The first identity that opens `s3` or `gs`; None when none is named at all: the process's own then decides.

    Raises `CredentialsError` when some are named, but none for this kind of store: the process's own would open too much.
    """
    fitting = next((one for one in identities if one.kind in _SERVES[scheme]), None)
    if identities and fitting is None:
        raise CredentialsError(f"none of the zone's identities serves {scheme}://")
    return fitting


def aws_session(identity: Identity, region: str | None = None) -> boto3.Session:
    """A session of a `profile`, or of an assumed `role`.  Raises what boto3 raises."""
    import boto3

    if identity.kind == "profile":
        return boto3.Session(profile_name=identity.name, region_name=region)
    keys = AssumedRole(identity, {}, region)()
    return boto3.Session(
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        aws_session_token=keys["token"],
        region_name=region,
    )


def s3_provider(
    identity: Identity | None, fields: Mapping[str, Any] = MappingProxyType({}), region: str | None = None
) -> Callable[[], S3Keys]:
    """What gives S3's clients their keys, and new ones before they end.

    `fields` are those of a secret: its keys are used as they are, or to ask for the role.  With no identity and no keys the
    process's own credentials decide.  Raises `CredentialsError` where there are none; the provider raises what boto3 raises.
    """
    own = {name: str(fields[name]) for name in _KEY_FIELDS if fields.get(name)}
    if fields.get("profile"):
        identity = Identity("profile", str(fields["profile"]))
    if fields.get("role_arn"):
        identity = Identity(
            "role",
            str(fields["role_arn"]),
            str(fields.get("external_id") or ""),
            str(fields.get("web_identity_token_file") or ""),
        )
    if identity is not None and identity.kind == "role":
        return AssumedRole(identity, own, region)
    if own:
        return StaticKeys(own)
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    profile = identity.name if identity is not None and identity.kind == "profile" else None
    session = boto3.Session(profile_name=profile, region_name=region)
    if session.get_credentials() is None:
        raise CredentialsError("there are no credentials for the bucket, neither named nor the process's own")
    return cast("Callable[[], S3Keys]", Boto3CredentialProvider(session, ttl=KEYS_TTL))


@dataclass(frozen=True)
class StaticKeys:
    """Keys that stand in a secret."""

    fields: Mapping[str, str] = field(repr=False)

    def __call__(self) -> S3Keys:
        names = _KEY_FIELDS
        return {
            "access_key_id": self.fields.get(names[0], ""),
            "secret_access_key": self.fields.get(names[1], ""),
            "token": self.fields.get(names[2]),
            "expires_at": None,
        }


@dataclass(frozen=True)
class AssumedRole:
    """A role's keys from Amazon's Security Token Service, asked for anew each time: its caller keeps them till they end.

    `own`: the keys to ask with; empty for the process's own.
    """

    identity: Identity
    own: Mapping[str, str] = field(repr=False)
    region: str | None = None

    def __call__(self) -> S3Keys:
        import boto3
        from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

        role, named = self.identity, {f"aws_{name}": value for name, value in self.own.items()}
        waiting = Config(
            connect_timeout=STS_TIMEOUT_S,
            read_timeout=STS_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        session = boto3.Session(**named, region_name=self.region)
        sts = session.client("sts", region_name=session.region_name or STS_REGION, config=waiting)
        wanted: dict[str, str] = {"RoleArn": role.name, "RoleSessionName": SESSION_NAME}
        if role.token_file:
            # Read each time: who puts it there changes it before it ends.
            token = Path(role.token_file).read_text(encoding="ascii").strip()
            answer = sts.assume_role_with_web_identity(**wanted, WebIdentityToken=token)
        else:
            external = {"ExternalId": role.external_id} if role.external_id else {}
            answer = sts.assume_role(**wanted, **external)
        keys = answer["Credentials"]
        return {
            "access_key_id": keys["AccessKeyId"],
            "secret_access_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            # obstore 0.12 takes no other time zone than this one; boto3's is dateutil's.
            "expires_at": keys["Expiration"].astimezone(UTC),
        }


def nobody() -> dict[str, Any]:
    """For a GCS server that asks nobody who they are; without it obstore looks for Google's metadata server."""
    return {"token": "none", "expires_at": None}


def google_credentials(identity: Identity, vault: Vault | None) -> Any:
    """Google's credentials of a `secret`'s service account, or of an account that is impersonated.

    Raises `CredentialsError` for a secret that holds no service account, and what google.auth raises.
    """
    if identity.kind == "impersonate":
        import google.auth
        from google.auth import impersonated_credentials

        source, _ = google.auth.default(scopes=[GOOGLE_SCOPE])
        return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]  # google.auth is untyped here
            source_credentials=source, target_principal=identity.name, target_scopes=[GOOGLE_SCOPE]
        )
    return _service_account(secret_fields(identity.name, vault).get("service_account"), f"'{identity.name}'")


def google_provider(identity: Identity | None, fields: Mapping[str, Any] = MappingProxyType({})) -> Callable[[], Any]:
    """What gives GCS's clients their token: of an impersonated account, of a secret's service account, or the process's own."""
    from obstore.auth.google import GoogleCredentialProvider

    if identity is not None:
        return GoogleCredentialProvider(google_credentials(identity, None))
    if fields.get("service_account"):
        return GoogleCredentialProvider(_service_account(fields["service_account"], "of the bucket"))
    import google.auth

    return GoogleCredentialProvider(google.auth.default(scopes=[GOOGLE_SCOPE])[0])


def _service_account(account: Any, which: str) -> Any:
    """Raises `CredentialsError`."""
    from google.oauth2 import service_account

    try:
        fields = json.loads(account) if isinstance(account, str) else account
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # as above
            fields, scopes=[GOOGLE_SCOPE]
        )
    except (ValueError, TypeError, AttributeError):
        pass
    raise CredentialsError(f"the secret {which} holds no service account")


def secret_fields(name: str, vault: Vault | None) -> dict[str, Any]:
    """The fields of a JSON secret.  Raises `CredentialsError`."""
    if vault is None:
        raise CredentialsError("the bucket names a secret, but no vault was given")
    try:
        fields = json.loads(vault.text(name))
    except VaultError as error:
        raise CredentialsError(str(error)) from None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise CredentialsError("the secret of a bucket is no JSON object")
    return fields
