"""What makes a request to a store somebody's: Amazon's signature, or Google's token.

Belongs here: putting credentials on one request, and asking for new ones before they end.  Where credentials come from is
`credentials`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from resources.buckets.store_errors import AccessDenied
from resources.credentials import S3Keys
from resources.errors import holding_back

RENEW_BEFORE_S = 300.0


class Renewed:
    """What a provider gives, asked for again shortly before its `expires_at`."""

    def __init__(self, provider: Callable[[], Any]) -> None:
        self._provider = provider
        self._given: Any = None

    def __call__(self) -> Any:
        """Raises `AccessDenied`."""
        ends = self._given["expires_at"] if self._given else None
        if self._given is None or (ends is not None and (ends - datetime.now(UTC)).total_seconds() < RENEW_BEFORE_S):
            try:
                self._given = self._provider()
            except Exception as error:
                failure = holding_back(
                    AccessDenied("no credentials for the bucket: its role, profile or account gives none now"), error
                )
            else:
                return self._given
            raise failure
        return self._given


@dataclass
class AmazonSignature:
    """Signature version 4 for one region."""

    provider: Callable[[], S3Keys] = field(repr=False)
    region: str
    requester_pays: bool = False

    def __post_init__(self) -> None:
        self._keys = Renewed(self.provider)

    @property
    def headers(self) -> Mapping[str, str]:
        """What is said with each request, and signed."""
        return {"x-amz-request-payer": "requester"} if self.requester_pays else {}

    def sign(self, request: Any) -> None:
        """Put the signature on a request of botocore's.  Raises `AccessDenied`."""
        from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # ships no types
        from botocore.credentials import Credentials  # type: ignore[import-untyped]  # as above

        keys = self._keys()
        credentials = Credentials(keys["access_key_id"], keys["secret_access_key"], keys["token"])
        S3SigV4Auth(credentials, "s3", self.region).add_auth(request)


@dataclass
class BearerToken:
    """Google's OAuth token; `provider` as obstore's `credential_provider` for GCS."""

    provider: Callable[[], Mapping[str, Any]] = field(repr=False)

    def __post_init__(self) -> None:
        self._given = Renewed(self.provider)

    @property
    def headers(self) -> Mapping[str, str]:
        """Nothing beside the token."""
        return {}

    def sign(self, request: Any) -> None:
        """Put the token on a request of botocore's.  Raises `AccessDenied`."""
        request.headers["Authorization"] = f"Bearer {self._given()['token']}"
