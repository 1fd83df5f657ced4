"""Where a bucket is and how it is opened: URI, endpoint, region, whose credentials, what its owner asks for.

Belongs here: the address as a value that can be pickled, and what one listed object looks like.  Opening it is
`remote_client`'s, using it `object_store`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resources.buckets.store_errors import StoreError
from resources.credentials import Identity

REQUEST_DEADLINE_S = 300
"""One request with its body; a 500 MB instance at 2 MB/s just fits."""
RETRY_DEADLINE_S = 120

REQUEST_SHARE, RETRY_SHARE = 0.5, 0.2
"""Of the time that somebody has: a stream ends within retry + (retry + request), which are nine tenths of it."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """One listed object.  Its etag names its content: what is read by it is that content or nothing (`entity_tags`)."""

    key: str
    etag: str
    size: int
    last_modified: datetime
    version: str | None = None
    """Where the store keeps versions and its answer names one: listings of S3 do when the address says `versions`."""


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket is and under which name its credentials are kept.  Picklable; holds no secret.

    `uri` is a folder's path or `file://`, `s3://bucket/prefix`, `gs://bucket/prefix`.  `secret_name` names a JSON text in the
    vault: `access_key_id`, `secret_access_key`, `session_token`, `profile`, `role_arn`, `external_id`,
    `web_identity_token_file`, `endpoint`, `region` for S3, `service_account` (the key file's content) or `endpoint` for GCS,
    all optional.  Without `secret_name` the bucket is opened as the first of `identities` that serves its kind; with none of
    them the process's own credentials decide.  `must_exist` is for a folder that somebody else fills: a mount that is missing
    would else be an empty bucket, and everything read from it before would count as deleted.

    On S3: `requester_pays` says that we pay for what we read; `versions` lists with the version of each object (another
    right, `s3:ListBucketVersions`); `kms_key` is the key under which objects are written, blank for the bucket's own default.
    """

    uri: str
    secret_name: str | None = None
    endpoint: str | None = None
    region: str | None = None
    must_exist: bool = False
    identities: tuple[Identity, ...] = ()
    retry_deadline_s: float = RETRY_DEADLINE_S
    request_deadline_s: float = REQUEST_DEADLINE_S
    requester_pays: bool = False
    versions: bool = False
    kms_key: str = ""

    @property
    def scheme(self) -> str:
        """`file`, `s3` or `gs`."""
        scheme = urlsplit(self.uri).scheme if "://" in self.uri else "file"
        if scheme not in ("file", "s3", "gs"):
            raise StoreError(f"a bucket's URI starts with file://, s3:// or gs://, not {scheme}://")
        return scheme

    @property
    def folder(self) -> Path:
        """The folder of a `file` bucket."""
        return Path(unquote(urlsplit(self.uri).path) if "://" in self.uri else self.uri)

    @property
    def bucket_name(self) -> str:
        """The name of an S3 or GCS bucket."""
        return urlsplit(self.uri).netloc

    @property
    def prefix(self) -> str:
        """What stands before every key in an S3 or GCS bucket, with its slash; empty for a whole bucket."""
        path = urlsplit(self.uri).path.strip("/")
        return f"{path}/" if path else ""

    def under(self, prefix: str) -> BucketAddress:
        """The address of a prefix of this bucket, seen as a bucket of its own."""
        joined = f"{self.uri.rstrip('/')}/{prefix.strip('/')}"
        return replace(self, uri=joined, must_exist=False)

    def within(self, deadline_s: float) -> BucketAddress:
        """The address for somebody who has `deadline_s` for a whole object, and would else be ended while it waits."""
        return replace(
            self,
            request_deadline_s=min(self.request_deadline_s, deadline_s * REQUEST_SHARE),
            retry_deadline_s=min(self.retry_deadline_s, deadline_s * RETRY_SHARE),
        )
