"""How a hospital's buckets are opened: the section `store` of the registry.

Belongs here: its fields, and what each may be.  Reading the file is `hospitals`' business, opening a bucket `resources`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One hospital's; each field blank or false without it.

    `endpoint`, `region`: of a server that is not Amazon's, or not in the region of `GRADIENT_AWS_REGION`.  `credentials`:
    `secret` for the secret `<secret_name>/bucket`, `ambient` for the process's own, `profile:NAME` or `role:ARN`; blank for
    what `GRADIENT_BUCKET_CREDENTIALS` says.  `external_id`: what the owner of the role asks for.  `web_identity_token_file`:
    the token that is exchanged for the role.  `requester_pays`: the platform pays for what it reads.  `versions`: the bucket
    keeps versions, and each object's is recorded.
    """

    endpoint: str = ""
    region: str = ""
    credentials: str = ""
    external_id: str = ""
    web_identity_token_file: str = ""
    requester_pays: bool = False
    versions: bool = False


NO_STORE_SETTINGS = StoreSettings()

_CREDENTIALS = re.compile(
    r"secret|ambient|profile:[\w.@+=-]+|role:arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII
)


def _is_endpoint(value: str) -> bool:
    parts = urlsplit(value)
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and plain and parts.path in ("", "/")


_YES_OR_NO: tuple[Callable[[str], Any], str] = (("true", "false").__contains__, "true or false")

STORE_FIELDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "endpoint": (_is_endpoint, "https:// (or http://) and a host, without a path or a password"),
    "region": (re.compile(r"[a-z0-9-]{1,40}").fullmatch, "a region like eu-central-1"),
    "credentials": (_CREDENTIALS.fullmatch, "secret, ambient, profile:NAME or role:ARN"),
    "external_id": (
        # AssumeRole, parameter ExternalId, in AWS's API reference.
        re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII).fullmatch,
        "2 to 1,224 letters, digits and _ + = , . @ : / -",
    ),
    "web_identity_token_file": (re.compile(r"/[^\x00-\x1f]+").fullmatch, "the absolute path of a file"),
    "requester_pays": _YES_OR_NO,
    "versions": _YES_OR_NO,
}
"""Field → what accepts its text, and how that is told."""


def store_settings(texts: dict[str, str]) -> StoreSettings:
    """From fields that were accepted one by one."""
    said = {name: text == "true" for name, text in texts.items() if STORE_FIELDS[name] is _YES_OR_NO}
    return StoreSettings(**{**texts, **said})  # type: ignore[arg-type]  # each was accepted by its check


NEEDS_ROLE = ("external_id", "web_identity_token_file")
"""Fields that mean nothing unless `credentials` names a role."""
