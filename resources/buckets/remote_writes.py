"""Writes that obstore does not send again when their connection breaks: a condition, and a page of deletions.

Belongs here: sending them again, and saying whose an object is after an answer was lost.  Other writes go to obstore as they
are; the bucket's one face is `object_store`.

Measured with obstore 0.12.1 and a proxy: a reset of `PUT` with `If-None-Match` or of `POST ?delete` fails at once, while a 503
of either is sent again.  A creation that was done is then answered with 412, as if somebody else had been first.  So each
object that is created carries a number that only its writer knows.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from resources.buckets.pauses import attempts
from resources.buckets.store_errors import ObjectExists, ObjectVanished, StoreError, StoreUnavailable, guarded

if TYPE_CHECKING:
    from obstore.store import GCSStore, S3Store

WRITE_MARK = "gradient-write"
"""The metadata of an object (`x-amz-meta-…`, `x-goog-meta-…`) in which the number stands; it says nothing of the content."""


def create(store: S3Store | GCSStore, key: str, content: bytes, deadline_s: float) -> None:
    """Write the object unless there is one of that key.  Raises `ObjectExists` for another writer's, and `StoreError`."""
    import obstore

    mark = secrets.token_hex(16)
    exists: StoreError
    try:
        # A multipart upload has no condition; what is created is small.
        _patiently(
            "create",
            lambda: obstore.put(store, key, content, mode="create", use_multipart=False, attributes={WRITE_MARK: mark}),
            deadline_s,
        )
        return
    except ObjectExists as error:
        exists = error
    if _mark_of(store, key) != mark:
        raise exists


def delete(store: S3Store | GCSStore, page: Sequence[str], deadline_s: float) -> None:
    """Delete a page of objects.  Raises `ObjectVanished` where the store says that one is not there, and `StoreError`."""
    import obstore

    _patiently("delete", lambda: obstore.delete(store, page), deadline_s)


def _mark_of(store: S3Store | GCSStore, key: str) -> str | None:
    import obstore

    try:
        return guarded("create", lambda: obstore.get(store, key, options={"head": True}).attributes.get(WRITE_MARK))
    except ObjectVanished:
        return None


def _patiently(operation: str, send: Callable[[], object], deadline_s: float) -> None:
    for _ in attempts(deadline_s):
        try:
            guarded(operation, send)
        except StoreUnavailable as error:
            failure = error
        else:
            return
    # Outside the handler: a chained error is printed with it.
    raise failure
