"""Buckets: list, read, write and delete objects in a folder, on S3 or on GCS.

Belongs here: one face for all three.  Folders are `local_folder`'s business, where a bucket is `bucket_address`', opening its
clients `remote_client`'s, writes that are sent again `remote_writes`', listing S3 `s3_listing`'s, the errors `store_errors`',
credentials the vault's; what an object means is known further up.

A hospital's objects are read by the etag they were listed with: what was put in their place since then is never read, and
never mixed with what was.

An object key may hold a patient's name.  So no error, repr or log line of this module holds a key, and errors of the client
libraries are never chained: their text quotes the key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from resources.buckets import remote_writes
from resources.buckets.breaker import Breaker
from resources.buckets.bucket_address import BucketAddress, ObjectStat
from resources.buckets.entity_tags import condition, refuse_another
from resources.buckets.local_folder import FileStat, LocalFolder
from resources.buckets.range_reader import RangeReader
from resources.buckets.remote_client import open_requests, open_store, refuse_after_fork
from resources.buckets.s3_requests import S3Requests
from resources.buckets.store_errors import (
    AccessDenied,
    KeyRefused,
    ObjectExists,
    ObjectVanished,
    StoreError,
    StoreUnavailable,
    guarded,
)
from resources.vault_contract import Vault

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import GCSStore, S3Store

DELETED_AT_ONCE = 1000
"""What one request of S3 takes."""

MAX_ODD_BYTES = 2 * 1024**3
"""Of an object whose key obstore can't address; it is read into memory as a whole, as `get` does."""

_ODD_KEY = re.compile(r"^/|/$|//|(?:^|/)\.\.?(?:/|$)|[\x00-\x1f\x7f]|^$")
"""What obstore's paths can't hold, or hold under another name."""

_Answer = TypeVar("_Answer")


class Bucket:
    """One bucket.  Picklable: the client is opened at first use in each process."""

    def __init__(self, address: BucketAddress, vault: Vault | None = None) -> None:
        self.address = address
        self._vault = vault
        self._folder = LocalFolder(address.folder) if address.scheme == "file" else None
        self._store: S3Store | GCSStore | None = None
        self._s3: S3Requests | None = None
        self._breaker = Breaker()

    def __repr__(self) -> str:
        return f"Bucket({self.address.scheme})"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_store": None, "_s3": None, "_breaker": Breaker()}

    @property
    def uri(self) -> str:
        """The bucket's URI, without a slash at the end."""
        uri = self.address.uri
        return (uri if "://" in uri else self.address.folder.absolute().as_uri()).rstrip("/")

    def under(self, prefix: str) -> Bucket:
        """A prefix of this bucket as a bucket of its own, with the same credentials."""
        return Bucket(self.address.under(prefix), self._vault)

    def within(self, deadline_s: float) -> Bucket:
        """The same bucket for somebody who has `deadline_s` for a whole object: it fails before that is over."""
        return Bucket(self.address.within(deadline_s), self._vault)

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
            pages: Iterator[Any] = guarded("list", lambda: folder.listing(prefix, start_after))
            while (found := guarded("list", lambda: next(pages, None))) is not None:
                yield _stat_of_file(found)
            return
        yield from self._remote_listing(prefix, start_after)

    def _remote_listing(self, prefix: str, start_after: str | None) -> Iterator[ObjectStat]:
        from resources.buckets.s3_listing import pages_of

        above = self.address.prefix
        after = f"{above}{start_after}" if start_after else ""
        versions = self.address.versions and self.address.scheme == "s3"  # GCS names each object's without being asked
        found = pages_of(self._requests(), f"{above}{prefix}", after, versions)
        while (objects := self._asked("list", lambda: next(found, None))) is not None:
            # The folder marker of the prefix itself is no object of the bucket.
            inside = (stat for stat in objects if stat.key != above or stat.size)
            yield from (replace(stat, key=stat.key[len(above) :]) for stat in inside) if above else inside

    def stat(self, key: str) -> ObjectStat:
        """What the listing says of one object.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return _stat_of_file(guarded("stat", lambda: folder.stat(key)))
        if self._is_odd(key):
            requests, whole = self._requests(), self._whole_key(key)
            return _stat_of_headers(key, self._asked("stat", lambda: requests.headers(whole)))
        import obstore

        store = self._open()
        meta = self._asked("stat", lambda: obstore.head(store, key))
        etag = (meta["e_tag"] or "").strip('"')
        return ObjectStat(key, etag, meta["size"], meta["last_modified"], meta["version"])

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        """The whole object; with `etag` only while it is the one that was listed with it, else `ObjectVanished`.

        A weak etag (`W/"…"`) is no condition that a store could keep; it is compared with the answer's (`entity_tags`).
        Without `etag`, for objects that only the platform writes, whatever is there.  Raises `StoreError`.
        """
        if self._folder is not None:
            folder = self._folder
            return guarded("get", lambda: folder.read(key, etag=etag))
        if self._is_odd(key):
            requests, whole = self._requests(), self._whole_key(key)
            return self._asked("get", lambda: requests.content(whole, MAX_ODD_BYTES, etag=etag))
        store = self._open()
        return self._asked("get", lambda: _content(store, key, None, etag))

    def get_range(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        """`length` bytes from `start`, fewer where the object ends before; `etag` as for `get`.  Raises `StoreError`."""
        if length <= 0:
            return b""
        if self._folder is not None:
            folder = self._folder
            return guarded("get", lambda: folder.read(key, start, length, etag=etag))
        if self._is_odd(key):
            requests, whole = self._requests(), self._whole_key(key)
            return self._asked("get", lambda: requests.content(whole, length, (start, length), etag=etag))
        store = self._open()
        return self._asked("get", lambda: _content(store, key, (start, start + length), etag))

    def open(self, key: str, size: int, *, etag: str) -> BinaryIO:
        """A seekable stream of the object that was listed with `size` and `etag`; windows grow from 64 KiB to 1 MiB.

        Reading raises `ObjectVanished` if the object was replaced or is shorter than listed, and `StoreUnavailable` when all
        windows together have been waited for longer than the bucket's retry deadline: each alone would stay below it for ever.
        """
        waited_s = 0.0

        def fetch(start: int, length: int) -> bytes:
            nonlocal waited_s
            if waited_s > self.address.retry_deadline_s:
                raise StoreUnavailable("get: the object came too slowly")
            began = time.monotonic()
            content = self.get_range(key, start, length, etag=etag)
            waited_s += time.monotonic() - began
            if len(content) < length:
                raise ObjectVanished("get: the object is shorter than it was listed")
            return content

        return cast(BinaryIO, RangeReader(fetch, size))

    def put(self, key: str, content: bytes) -> None:
        """Write the object; it appears whole or not at all.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return guarded("put", lambda: folder.write(key, content))
        import obstore

        store = self._open()
        self._asked("put", lambda: obstore.put(store, key, content))
        return None

    def create(self, key: str, content: bytes) -> None:
        """Write the object unless there is one of that key; of two writers at once exactly one does.

        Raises `ObjectExists` and `StoreError`.
        """
        if self._folder is not None:
            folder = self._folder
            return guarded("create", lambda: folder.create(key, content))
        store, deadline_s = self._open(), self.address.retry_deadline_s
        self._asked("create", lambda: remote_writes.create(store, key, content, deadline_s))
        return None

    def move(self, source: str, target: str) -> None:
        """Give an object another key, in place of what is there.  Raises `StoreError`."""
        if self._folder is not None:
            folder = self._folder
            return guarded("move", lambda: folder.move(source, target))
        import obstore

        store = self._open()
        self._asked("move", lambda: obstore.copy(store, source, target))
        # obstore's rename takes a deletion that it had to ask for twice, and that was done at the first time, for a failure.
        self.delete(source)
        return None

    def delete(self, keys: str | Iterable[str]) -> None:
        """Delete objects; one that is not there is no error.  Raises `StoreError`."""
        names = [keys] if isinstance(keys, str) else list(keys)
        if self._folder is not None:
            for key in names:
                guarded("delete", lambda key=key: self._folder.delete(key))  # type: ignore[misc]  # default argument binds the loop's key
            return
        for start in range(0, len(names), DELETED_AT_ONCE):
            page = names[start : start + DELETED_AT_ONCE]
            if not self._deleted(page) and len(page) > 1:
                # GCS answers 404 for what is not there, and obstore leaves the rest of the page at the first error.
                for key in page:
                    self._deleted([key])

    def _deleted(self, page: list[str]) -> bool:
        """Whether all of them were there; what comes after one that was not may still be."""
        store, deadline_s = self._open(), self.address.retry_deadline_s
        try:
            self._asked("delete", lambda: remote_writes.delete(store, page, deadline_s))
        except ObjectVanished:
            return False
        return True

    def exists(self, key: str) -> bool:
        """Whether the object is there.  Raises `StoreError` if the bucket can't say."""
        try:
            self.stat(key)
        except ObjectVanished:
            return False
        return True

    def _is_odd(self, key: str) -> bool:
        return self.address.scheme != "file" and _ODD_KEY.search(key) is not None

    def _whole_key(self, key: str) -> str:
        if not key:
            raise KeyRefused("a key is empty")
        return f"{self.address.prefix}{key}"

    def _asked(self, operation: str, call: Callable[[], _Answer]) -> _Answer:
        """What a remote store answers.  Raises `StoreError`, at once when the store has not answered several times in a row."""
        if self._breaker.open:
            raise StoreUnavailable(f"{operation}: the store did not answer lately and is left alone for a while")
        try:
            answer = guarded(operation, call)
        except StoreUnavailable:
            self._breaker.failed()
            raise
        except StoreError:
            self._breaker.answered()
            raise
        self._breaker.answered()
        return answer

    def _open(self) -> S3Store | GCSStore:
        refuse_after_fork()
        if self._store is None:
            self._store = open_store(self.address, self._vault)
        return self._store

    def _requests(self) -> S3Requests:
        refuse_after_fork()
        if self._s3 is None:
            self._s3 = open_requests(self.address, self._vault)
        return self._s3


def _content(store: S3Store | GCSStore, key: str, span: tuple[int, int] | None, etag: str | None) -> bytes:
    """An object, or its bytes from `span[0]` to before `span[1]`."""
    import obstore

    options: GetOptions = {}
    if span is not None:
        options["range"] = span
    if match := condition(etag):
        options["if_match"] = match
    answer = obstore.get(store, key, options=options)
    refuse_another("get", etag, answer.meta["e_tag"])
    return bytes(answer.bytes())


def _stat_of_file(found: FileStat) -> ObjectStat:
    modified = datetime.fromtimestamp(found.modified_ns // 1_000_000_000, UTC)
    return ObjectStat(found.key, found.etag, found.size, modified)


def _stat_of_headers(key: str, found: Any) -> ObjectStat:
    modified = parsedate_to_datetime(found["Last-Modified"])
    etag = found.get("ETag", "").strip('"')
    return ObjectStat(
        key,
        etag,
        int(found["Content-Length"]),
        modified,
        found.get("x-amz-version-id") or found.get("x-goog-generation"),
    )


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
