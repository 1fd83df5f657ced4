"""As whom the stores of a zone are opened: a secret, a profile, a role, a service account that is impersonated.

Belongs here: reading what the settings name, and turning it into the credentials of Amazon's and Google's clients.  Which
zone has which is `environment`'s business, what each identity may do `deploy/`'s.  Nothing is opened before it is used, and
no repr holds a secret: an identity is a name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3  # type: ignore[import-untyped]  # ships no types

    from resources.vault import Vault

GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SESSION_NAME = "gradient"
"""Under this name the sessions of an assumed role appear in Amazon's audit log."""

_FORMS = {
    "secret": re.compile(r"zone/[A-Za-z0-9_.+=@-]+"),
    "profile": re.compile(r"[\w.@+=-]+", re.ASCII),
    "role": re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII),
    "impersonate": re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com"),
}
_SERVES = {"s3": ("secret", "profile", "role"), "gs": ("secret", "impersonate")}


class CredentialsError(Exception):
    """An identity is written wrongly, or serves nothing of this kind.  The message holds no secret."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One name under which stores are opened; `kind` is a key of the forms above."""

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Identity:
        """From `secret:zone/public`, `profile:NAME`, `role:ARN` or `impersonate:ACCOUNT`.  Raises `CredentialsError`."""
        kind, _, name = text.partition(":")
        if kind not in _FORMS or not _FORMS[kind].fullmatch(name):
            raise CredentialsError(
                "expected secret:zone/NAME, profile:NAME, role:ARN or impersonate:NAME@PROJECT.iam.gserviceaccount.com"
            )
        return cls(kind, name)


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
    sts = boto3.client("sts", region_name=region)
    answer = sts.assume_role(RoleArn=identity.name, RoleSessionName=SESSION_NAME)["Credentials"]
    return boto3.Session(
        aws_access_key_id=answer["AccessKeyId"],
        aws_secret_access_key=answer["SecretAccessKey"],
        aws_session_token=answer["SessionToken"],
        region_name=region,
    )


def s3_provider(identity: Identity, region: str | None = None) -> Any:
    """What gives obstore a `profile`'s or a `role`'s credentials, and new ones before they end."""
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider, StsCredentialProvider

    if identity.kind == "profile":
        return Boto3CredentialProvider(aws_session(identity, region))
    return StsCredentialProvider(boto3.Session(region_name=region), RoleArn=identity.name, RoleSessionName=SESSION_NAME)


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
    from google.oauth2 import service_account

    account = secret_fields(identity.name, vault).get("service_account")
    try:
        fields = json.loads(account) if isinstance(account, str) else account
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # as above
            fields, scopes=[GOOGLE_SCOPE]
        )
    except (ValueError, TypeError, AttributeError):
        pass
    raise CredentialsError(f"the secret '{identity.name}' holds no service account")


def google_provider(identity: Identity, vault: Vault | None) -> Any:
    """What gives obstore the credentials of an impersonated account."""
    from obstore.auth.google import GoogleCredentialProvider

    return GoogleCredentialProvider(google_credentials(identity, vault))


def secret_fields(name: str, vault: Vault | None) -> dict[str, Any]:
    """The fields of a JSON secret.  Raises `CredentialsError`."""
    from resources.vault import VaultError  # a cloud vault is itself opened with an identity of this module

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
