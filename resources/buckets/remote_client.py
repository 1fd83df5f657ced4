"""Opening a bucket on S3 or GCS: whose credentials, which options, for how long a request is tried.

Belongs here: turning a `BucketAddress` into clients.  Whose credentials there are is `credentials`' business, what is done
with a client `object_store`'s.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from resources.buckets.bucket_address import BucketAddress
from resources.buckets.request_signing import AmazonSignature, BearerToken
from resources.buckets.s3_requests import CONNECT_DEADLINE_S, S3Requests
from resources.buckets.store_errors import AccessDenied, StoreError
from resources.credentials import (
    STS_REGION,
    CredentialsError,
    Identity,
    S3Keys,
    google_provider,
    nobody,
    s3_provider,
    secret_fields,
    serving,
)
from resources.errors import holding_back
from resources.vault_contract import Vault

if TYPE_CHECKING:
    from obstore.store import GCSStore, S3Store

MAX_RETRIES = 10
"""obstore's pauses double from 0.1 s; the retry deadline ends them before this many are reached."""
LONGEST_PAUSE_S = 10


def open_store(address: BucketAddress, vault: Vault | None) -> S3Store | GCSStore:
    """obstore's client.  Raises `AccessDenied`."""
    from obstore.store import GCSStore, S3Store

    identity, fields = _credentials(address, vault)
    endpoint = _endpoint(address, fields)
    options: dict[str, Any] = {
        "prefix": address.prefix.rstrip("/") or None,
        "client_options": {
            "timeout": timedelta(seconds=address.request_deadline_s),
            "connect_timeout": timedelta(seconds=min(CONNECT_DEADLINE_S, address.request_deadline_s)),
            # http:// only where somebody wrote it down as the endpoint (a gateway inside the hospital, a test server)
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        },
        "retry_config": {
            "max_retries": MAX_RETRIES,
            "retry_timeout": timedelta(seconds=address.retry_deadline_s),
            "backoff": {"max_backoff": timedelta(seconds=LONGEST_PAUSE_S)},
        },
    }
    try:
        if address.scheme == "s3":
            provider = s3_provider(identity, fields, _region(address, fields))
            options |= _s3_options(address, fields, endpoint) | {"credential_provider": provider}
            return S3Store(address.bucket_name, **options)
        return GCSStore(address.bucket_name, **options, **_gcs_options(fields, endpoint, identity))
    except Exception as error:
        failure = _unopened(address, error)
    raise failure


def open_requests(address: BucketAddress, vault: Vault | None) -> S3Requests:
    """The requests to a bucket that obstore can't make.  Raises `AccessDenied`."""
    identity, fields = _credentials(address, vault)
    endpoint = _endpoint(address, fields)
    signature: AmazonSignature | BearerToken
    try:
        if address.scheme == "s3":
            region = _region(address, fields) or STS_REGION
            signature = AmazonSignature(s3_provider(identity, fields, region), region, address.requester_pays)
            endpoint = endpoint or f"https://s3.{region}.amazonaws.com"
        else:
            bearer = nobody if endpoint and identity is None and not fields.get("service_account") else None
            signature = BearerToken(bearer or google_provider(identity, fields))
            endpoint = endpoint or "https://storage.googleapis.com"
    except Exception as error:
        failure = _unopened(address, error)
    else:
        deadlines = address.retry_deadline_s, address.request_deadline_s
        return S3Requests(address.bucket_name, endpoint, signature, *deadlines)
    raise failure


def _unopened(address: BucketAddress, error: Exception) -> AccessDenied:
    return holding_back(
        AccessDenied(
            f"the client of a {address.scheme} bucket could not be opened ({type(error).__name__}); "
            "check its secret's fields, or the identity of its zone"
        ),
        error,
    )


def _endpoint(address: BucketAddress, fields: dict[str, Any]) -> str | None:
    named = address.endpoint or fields.get("endpoint")
    return str(named) if named else None


def _region(address: BucketAddress, fields: dict[str, Any]) -> str | None:
    named = address.region or fields.get("region")
    return str(named) if named else None


def _s3_options(address: BucketAddress, fields: dict[str, Any], endpoint: str | None) -> dict[str, Any]:
    # A bucket with Object Lock takes no object without a checksum ("Managing Object Lock", S3 user guide).
    found: dict[str, Any] = {"checksum_algorithm": "SHA256"}
    if region := _region(address, fields):
        found["region"] = region
    if endpoint:
        found["endpoint"] = endpoint
        found["virtual_hosted_style_request"] = False
    if address.requester_pays:
        found["request_payer"] = True
    if address.kms_key:
        found["server_side_encryption"] = "aws:kms"
        found["sse_kms_key_id"] = address.kms_key
    return found


def _gcs_options(fields: dict[str, Any], endpoint: str | None, identity: Identity | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if identity is not None and identity.kind == "impersonate":
        found["credential_provider"] = google_provider(identity)
    if fields.get("service_account"):
        account = fields["service_account"]
        found["service_account_key"] = account if isinstance(account, str) else json.dumps(account)
    if endpoint:
        found["base_url"] = endpoint
        if not found.keys() & {"credential_provider", "service_account_key"}:
            found["credential_provider"] = nobody
    return found


def _credentials(address: BucketAddress, vault: Vault | None) -> tuple[Identity | None, dict[str, Any]]:
    failure: AccessDenied
    try:
        if address.secret_name is not None:
            return None, secret_fields(address.secret_name, vault)
        identity = serving(address.identities, address.scheme)
        if identity is None or identity.kind != "secret":
            return identity, {}
        return None, secret_fields(identity.name, vault)
    except CredentialsError as error:
        failure = AccessDenied(str(error))
    raise failure


_runtime_process: int | None = None


def refuse_after_fork() -> None:
    """Raise `StoreError` in a process forked after its parent used a remote bucket.

    obstore's runtime lives in threads, which a fork leaves behind: a call in the child waits for ever (measured with 0.12.1).
    Connections that two processes share mix up their answers.
    """
    global _runtime_process
    if _runtime_process is None:
        _runtime_process = os.getpid()
    elif _runtime_process != os.getpid():
        raise StoreError(
            "a remote bucket can't be read in a process forked after its parent read one: read in the parent, hand over bytes"
        )


__all__ = ["S3Keys", "open_requests", "open_store", "refuse_after_fork"]
