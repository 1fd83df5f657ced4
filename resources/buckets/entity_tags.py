"""Entity tags: the name that a store gives to one content of an object, and how a read is bound to it.

Belongs here: when an etag can be a condition, and whether an answer is of the content that was listed.  A hospital may put
another object in place of one that was listed; without this a header of one patient could meet the pixels of another.
Files' etags are `local_folder`'s.  RFC 9110, 8.8 and 13.1.1.
"""

from __future__ import annotations

from resources.buckets.store_errors import ObjectVanished

NOT_LISTED = "listed:"
"""How an etag begins that a listing left out, and that was made of time and size instead."""


def condition(etag: str | None) -> str | None:
    """What `If-Match` says for an etag as it was listed; one with a number of parts (`-7`) is as good as any.

    None for a weak one (`W/"…"`) and for one the listing left out: the first never matches there, the second is unknown to
    the server.  What a weak one stands for is compared by `refuse_another` alone, and is as sure as the store's own tag.
    """
    return None if etag is None or etag.startswith(("W/", NOT_LISTED)) else f'"{etag}"'


def refuse_another(operation: str, etag: str | None, answered: str | None) -> None:
    """Raise `ObjectVanished` if an answer's `ETag` names another content than the listed one.

    Some servers answer as if no condition had been sent: fake-gcs-server 1.56.1 does.  Without an `ETag` in the answer, or
    in the listing, there is nothing to compare.
    """
    if etag is None or not answered or etag.startswith(NOT_LISTED):
        return
    if _opaque(etag) != _opaque(answered):
        raise ObjectVanished(f"{operation}: the object was replaced since it was listed")


def _opaque(etag: str) -> str:
    # A proxy that compresses makes a strong one weak; quotes are left out of what was listed.
    return etag.removeprefix("W/").strip('"')


__all__ = ["NOT_LISTED", "condition", "refuse_another"]
