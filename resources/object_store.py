"""Buckets: list, read, write and delete objects in a folder, on S3 or on GCS.

Belongs here: one bucket's address, opening its client once per process, and the errors a bucket can raise.  Folders are
`local_folder`'s business, credentials the vault's; what an object means is known further up.

An object key may hold a patient's name.  So no error, repr or log line of this module holds a key, and errors of the client
libraries are never chained: their text quotes the key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from resources.credentials import CredentialsError, Identity, google_provider, s3_provider, secret_fields, serving
from resources.errors import holding_back
from resources.local_folder import FileStat, KeyOutsideFolder, LocalFolder
from resources.range_reader import RangeReader
from resources.vault import Vault

if TYPE_CHECKING:
    from obstore.store import GCSStore, S3Store

PAGE_KEYS = 1000
"""Keys a page of a remote listing: what one answer of S3 or GCS holds."""

CONNECT_DEADLINE_S = 10
REQUEST_DEADLINE_S = 300
"""One request with its body; a 500 MB instance at 2 MB/s just fits."""
RETRY_DEADLINE_S = 120
MAX_RETRIES = 6

_Answer = TypeVar("_Answer")


class StoreError(Exception):
    """A bucket did not do what it was asked to.  The message holds the operation and the kind of failure, never a key."""


class ObjectVanished(StoreError):  # noqa: N818  the outcome's name says what happened
    """The object is not there, or no longer as long as it was listed."""


class ObjectExists(StoreError):  # noqa: N818  the outcome's name says what happened
    """There is an object of that key already; it stays as it is."""


class AccessDenied(StoreError):  # noqa: N818  the outcome's name says what happened
    """The credentials do not allow it, or there are none."""


class StoreUnavailable(StoreError):  # noqa: N818  the outcome's name says what happened
    """The bucket did not answer within the deadline, or answered with an error after all retries."""


class KeyRefused(StoreError):  # noqa: N818  the outcome's name says what happened
    """A key that the store can't address: an empty, `.` or `..` segment, or a control character on S3 and GCS."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """One listed object.  On folders the etag is time and size: it moves with `cp -p` and changes with the content."""

    key: str
    etag: str
    size: int
    last_modified: datetime
    version: str | None = None
    """Where the store keeps versions and its answer names one; listings of S3 don't."""


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket is and under which name its credentials are kept.  Picklable; holds no secret.

    `uri` is a folder's path or `file://`, `s3://bucket/prefix`, `gs://bucket/prefix`.  `secret_name` names a JSON text in the
    vault: `access_key_id`, `secret_access_key`, `session_token`, `profile`, `endpoint`, `region` for S3, `service_account`
    (the key file's content) or `endpoint` for GCS, all optional.  Without `secret_name` the bucket is opened as the first of
    `identities` that serves its kind; with none of them the client library's own search (environment, workload identity)
    decides.  `must_exist` is for a folder that somebody else fills: a mount that is missing
    would else be an empty bucket, and everything read from it before would count as deleted.
    """

    uri: str
    secret_name: str | None = None
    endpoint: str | None = None
    region: str | None = None
    must_exist: bool = False
    identities: tuple[Identity, ...] = ()
    retry_deadline_s: float = RETRY_DEADLINE_S
    request_deadline_s: float = REQUEST_DEADLINE_S

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

    def under(self, prefix: str) -> BucketAddress:
        """The address of a prefix of this bucket, seen as a bucket of its own."""
        joined = f"{self.uri.rstrip('/')}/{prefix.strip('/')}"
        return replace(self, uri=joined, must_exist=False)


class Bucket:
    """One bucket.  Picklable: the client is opened at first use in each process."""

    def __init__(self, address: BucketAddress, vault: Vault | None = None) -> None:
        self.address = address
        self._vault = vault
        self._folder = LocalFolder(address.folder) if address.scheme == "file" else None
        self._store: S3Store | GCSStore | None = None

    def __repr__(self) -> str:
        return f"Bucket({self.address.scheme})"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_store": None}

    @property
    def uri(self) -> str:
        """The bucket's URI, without a slash at the end."""
        uri = self.address.uri
        return (uri if "://" in uri else self.address.folder.absolute().as_uri()).rstrip("/")

    def under(self, prefix: str) -> Bucket:
        """A prefix of this bucket as a bucket of its own, with the same credentials."""
        return Bucket(self.address.under(prefix), self._vault)

    def listing(self, prefix: str = "", start_after: str | None = None) -> Iterator[ObjectStat]:
        """Objects whose key starts with `prefix` and is greater than `start_after`, sorted by key, a page at a time.

        Raises `StoreError` while iterating; a listing that ends without one is complete.
        """
        if self._folder is not None:
            folder = self._folder
            if self.address.must_exist and not self.address.folder.is_dir():
                raise StoreUnavailable(
                    "list: the bucket's folder is missing; create it, mount it, or mend the registry"
                )
            pages: Iterator[Any] = _guarded("list", lambda: folder.listing(prefix, start_after))
            while (found := _guarded("list", lambda: next(pages, None))) is not None:
                yield _stat_of_file(found)
            return
        yield from self._remote_listing(prefix, start_after)

    def _remote_listing(self, prefix: str, start_after: str | None) -> Iterator[ObjectStat]:
        import obstore

        store = self._open()
        # obstore reads a prefix as a folder's name; a part of a name is filtered here instead.
        folder, _, beginning = prefix.rpartition("/")
        pages = _guarded("list", lambda: obstore.list(store, folder or None, offset=start_after, chunk_size=PAGE_KEYS))
        while (page := _guarded("list", lambda: next(pages, None))) is not None:
            for meta in page:
                key = meta["path"]
                if not beginning or key.startswith(prefix):
                    etag = (meta["e_tag"] or "").strip('"') or f"{meta['last_modified'].timestamp():.0f}-{meta['size']}"
                    yield ObjectStat(key, etag, meta["size"], meta["last_modified"], meta["version"])

    def stat(self, key: str) -> ObjectStat:
        """What the listing says of one object.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return _stat_of_file(_guarded("stat", lambda: folder.stat(key)))
        import obstore

        store = self._open()
        meta = _guarded("stat", lambda: obstore.head(store, key))
        etag = (meta["e_tag"] or "").strip('"')
        return ObjectStat(key, etag, meta["size"], meta["last_modified"], meta["version"])

    def get(self, key: str) -> bytes:
        """The whole object.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return _guarded("get", lambda: folder.read(key))
        import obstore

        store = self._open()
        return _guarded("get", lambda: bytes(obstore.get(store, key).bytes()))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer where the object ends before.  Raises `StoreError`."""
        if length <= 0:
            return b""
        if self._folder is not None:
            folder = self._folder
            return _guarded("get", lambda: folder.read(key, start, length))
        import obstore

        store = self._open()
        return _guarded("get", lambda: bytes(obstore.get_range(store, key, start=start, length=length)))

    def open(self, key: str, size: int) -> BinaryIO:
        """A seekable stream of the object, whose listed size is `size`; windows grow from 64 KiB to 1 MiB.

        Reading raises `ObjectVanished` if the object is shorter than listed.
        """

        def fetch(start: int, length: int) -> bytes:
            content = self.get_range(key, start, length)
            if len(content) < length:
                raise ObjectVanished("get: the object is shorter than it was listed")
            return content

        return cast(BinaryIO, RangeReader(fetch, size))

    def put(self, key: str, content: bytes) -> None:
        """Write the object; it appears whole or not at all.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return _guarded("put", lambda: folder.write(key, content))
        import obstore

        store = self._open()
        _guarded("put", lambda: obstore.put(store, key, content))
        return None

    def create(self, key: str, content: bytes) -> None:
        """Write the object unless there is one of that key; of two writers at once exactly one does.

        Raises `ObjectExists` and `StoreError`.
        """
        if self._folder is not None:
            folder = self._folder
            return _guarded("create", lambda: folder.create(key, content))
        import obstore

        store = self._open()
        # A multipart upload has no condition; what is created is small.
        _guarded("create", lambda: obstore.put(store, key, content, mode="create", use_multipart=False))
        return None

    def move(self, source: str, target: str) -> None:
        """Give an object another key, in place of what is there.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return _guarded("move", lambda: folder.move(source, target))
        import obstore

        store = self._open()
        _guarded("move", lambda: obstore.rename(store, source, target))
        return None

    def delete(self, keys: str | Iterable[str]) -> None:
        """Delete objects; one that is not there is no error.  Raises `StoreError`."""
        names = [keys] if isinstance(keys, str) else list(keys)
        if self._folder is not None:
            for key in names:
                _guarded("delete", lambda key=key: self._folder.delete(key))  # type: ignore[misc]  # default argument binds the loop's key
            return
        import obstore

        store = self._open()
        for start in range(0, len(names), PAGE_KEYS):
            page = names[start : start + PAGE_KEYS]
            try:
                _guarded("delete", lambda page=page: obstore.delete(store, page))  # type: ignore[misc]  # as above
            except ObjectVanished:
                continue

    def exists(self, key: str) -> bool:
        """Whether the object is there.  Raises `StoreError` if the bucket can't say."""
        try:
            self.stat(key)
        except ObjectVanished:
            return False
        return True

    def _open(self) -> S3Store | GCSStore:
        _refuse_after_fork()
        if self._store is None:
            self._store = _open_remote(self.address, self._vault)
        return self._store


_runtime_process: int | None = None


def _refuse_after_fork() -> None:
    # obstore's runtime lives in threads, which a fork leaves behind: a call in the child waits for ever (measured with
    # 0.12.1).  A message is better.
    global _runtime_process
    if _runtime_process is None:
        _runtime_process = os.getpid()
    elif _runtime_process != os.getpid():
        raise StoreError(
            "a remote bucket can't be read in a process forked after its parent read one: read in the parent, hand over bytes"
        )


def _guarded(operation: str, call: Callable[[], _Answer]) -> _Answer:
    from obstore import exceptions

    failure: StoreError
    try:
        return call()
    except StoreError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        failure = ObjectVanished(f"{operation}: no such object")
    except (FileExistsError, exceptions.AlreadyExistsError):
        failure = ObjectExists(f"{operation}: there is such an object already")
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        failure = holding_back(AccessDenied(f"{operation}: access denied"), error)
    except (KeyOutsideFolder, ValueError, exceptions.InvalidPathError, UnicodeError) as error:
        failure = holding_back(KeyRefused(f"{operation}: a name that the store can't address"), error)
    except Exception as error:
        # A file name too long for the file system, a dead server, a full disk: only the type goes further.
        failure = holding_back(StoreUnavailable(f"{operation}: {type(error).__name__}{_error_number(error)}"), error)
    # Raised outside the handler: the original's text quotes the key, and a chained error is printed with it.
    raise failure


def _error_number(error: Exception) -> str:
    return f" {error.errno}" if isinstance(error, OSError) and error.errno else ""


def _stat_of_file(found: FileStat) -> ObjectStat:
    modified = datetime.fromtimestamp(found.modified_ns // 1_000_000_000, UTC)
    return ObjectStat(found.key, f"{found.modified_ns:x}-{found.size:x}", found.size, modified)


def _open_remote(address: BucketAddress, vault: Vault | None) -> S3Store | GCSStore:
    from obstore.store import GCSStore, S3Store

    identity, credentials = _credentials(address, vault)
    parts = urlsplit(address.uri)
    endpoint = address.endpoint or credentials.get("endpoint")
    options: dict[str, Any] = {
        "prefix": parts.path.strip("/") or None,
        "client_options": {
            "timeout": timedelta(seconds=address.request_deadline_s),
            "connect_timeout": timedelta(seconds=CONNECT_DEADLINE_S),
            # http:// only where somebody wrote it down as the endpoint (a gateway inside the hospital, a test server)
            "allow_http": bool(endpoint and str(endpoint).startswith("http://")),
        },
        "retry_config": {"max_retries": MAX_RETRIES, "retry_timeout": timedelta(seconds=address.retry_deadline_s)},
    }
    try:
        if address.scheme == "s3":
            return S3Store(parts.netloc, **options, **_s3_options(address, credentials, endpoint, identity))
        return GCSStore(parts.netloc, **options, **_gcs_options(credentials, endpoint, identity))
    except Exception as error:
        failure = holding_back(
            AccessDenied(
                f"the client of a {address.scheme} bucket could not be opened ({type(error).__name__}); "
                "check its secret's fields, or the identity of its zone"
            ),
            error,
        )
    raise failure


def _s3_options(
    address: BucketAddress, credentials: dict[str, Any], endpoint: str | None, identity: Identity | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: credentials[name]
        for name in ("access_key_id", "secret_access_key", "session_token")
        if credentials.get(name)
    }
    # A bucket with Object Lock takes no object without a checksum ("Managing Object Lock", S3 user guide).
    found["checksum_algorithm"] = "SHA256"
    region = address.region or credentials.get("region")
    if credentials.get("profile"):
        identity = Identity("profile", str(credentials["profile"]))
    if identity is not None and identity.kind != "secret":
        found["credential_provider"] = s3_provider(identity, region)
    if region:
        found["region"] = region
    if endpoint:
        found["endpoint"] = endpoint
        found["virtual_hosted_style_request"] = False
    return found


def _gcs_options(credentials: dict[str, Any], endpoint: str | None, identity: Identity | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if identity is not None and identity.kind == "impersonate":
        found["credential_provider"] = google_provider(identity, None)
    if credentials.get("service_account"):
        account = credentials["service_account"]
        found["service_account_key"] = account if isinstance(account, str) else json.dumps(account)
    if endpoint:
        found["base_url"] = endpoint
        found["skip_signature"] = not credentials.get("service_account")
    return found


def _credentials(address: BucketAddress, vault: Vault | None) -> tuple[Identity | None, dict[str, Any]]:
    failure: AccessDenied
    try:
        if address.secret_name is not None:
            return None, secret_fields(address.secret_name, vault)
        identity = serving(address.identities, address.scheme)
        if identity is None or identity.kind != "secret":
            return identity, {}
        return identity, secret_fields(identity.name, vault)
    except CredentialsError as error:
        failure = AccessDenied(str(error))
    raise failure


__all__ = [
    "AccessDenied",
    "Bucket",
    "BucketAddress",
    "KeyRefused",
    "ObjectExists",
    "ObjectStat",
    "ObjectVanished",
    "StoreError",
    "StoreUnavailable",
]
