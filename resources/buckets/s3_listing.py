"""What a bucket on S3 or GCS holds: pages of a listing, read into objects.

Belongs here: the two listings of S3's REST interface (ListObjectsV2, which GCS has, too, and ListObjectVersions) and what
they answer.  Keys come in the order of their UTF-8 bytes, which is the order of Python's strings, too.  A page is a few
megabytes at most, so that a listing needs the same memory for any number of objects.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from resources.buckets.bucket_address import ObjectStat
from resources.buckets.entity_tags import NOT_LISTED
from resources.buckets.s3_requests import S3Requests
from resources.buckets.store_errors import StoreUnavailable

MAX_PAGE_BYTES = 16 * 1024**2
"""A page has 1,000 keys of up to 1,024 bytes, each byte written as three: 4 MB with all the rest."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: its objects, and what to ask for next; None when it was the last one."""

    objects: list[ObjectStat]
    following: dict[str, str] | None


def pages_of(requests: S3Requests, prefix: str, start_after: str, versions: bool) -> Iterator[list[ObjectStat]]:
    """Objects whose key in the bucket begins with `prefix` and is greater than `start_after`, with their keys in the bucket.

    Raises `StoreError` while iterating; a listing that ends without one is complete.
    """
    query = {"prefix": prefix, "encoding-type": "url"}
    if versions:
        query |= {"versions": ""} | ({"key-marker": start_after} if start_after else {})
    else:
        query |= {"list-type": "2"} | ({"start-after": start_after} if start_after else {})
    read = _version_page if versions else _object_page
    following: dict[str, str] | None = {}
    while following is not None:
        page: Page = requests.page(query | following, MAX_PAGE_BYTES, read)
        # Some servers give the key that a listing starts after once more.
        yield [found for found in page.objects if found.key > start_after]
        if page.following is not None and page.following == following:
            raise StoreUnavailable("list: the server gives the same page again")
        following = page.following


def _object_page(body: bytes) -> Page:
    """Raises `ValueError` for what is no whole answer."""
    root, space, encoded = _document(body, "ListBucketResult")
    objects = [_stat(entry, space, encoded) for entry in root.iter(f"{space}Contents")]
    # Some servers leave out whether there is more, and count what they gave.
    counted = root.findtext(f"{space}KeyCount")
    if root.find(f"{space}IsTruncated") is None and counted is not None and int(counted) == len(objects):
        token = root.findtext(f"{space}NextContinuationToken")
    else:
        token = _text(root, space, "NextContinuationToken") if _goes_on(root, space) else None
    return Page(objects, {"continuation-token": token} if token else None)


def _version_page(body: bytes) -> Page:
    """Raises `ValueError` for what is no whole answer."""
    root, space, encoded = _document(body, "ListVersionsResult")
    objects = [
        _stat(entry, space, encoded)
        for entry in root.iter(f"{space}Version")
        if _text(entry, space, "IsLatest").lower() == "true"
    ]
    if not _goes_on(root, space):
        return Page(objects, None)
    following = {"key-marker": _key(_text(root, space, "NextKeyMarker"), encoded)}
    if version := root.findtext(f"{space}NextVersionIdMarker"):
        following["version-id-marker"] = version
    return Page(objects, following)


def _document(body: bytes, name: str) -> tuple[ElementTree.Element, str, bool]:
    """Root, name space, and whether keys are percent-encoded: without it a control character would be no XML."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  expat 2.4.1 and later stop entities that grow; pages are limited
    except ElementTree.ParseError:
        raise ValueError("no XML") from None
    space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
    if root.tag != f"{space}{name}":
        # A page of a proxy that asks to log in would else be an empty bucket.
        raise ValueError("another document")
    return root, space, root.findtext(f"{space}EncodingType") == "url"


def _goes_on(root: ElementTree.Element, space: str) -> bool:
    said = _text(root, space, "IsTruncated").lower()
    if said not in ("true", "false"):
        raise ValueError("neither whole nor a part")
    return said == "true"


def _stat(entry: ElementTree.Element, space: str, encoded: bool) -> ObjectStat:
    modified = datetime.fromisoformat(_text(entry, space, "LastModified"))
    size = int(_text(entry, space, "Size"))
    etag = (entry.findtext(f"{space}ETag") or "").strip('"') or f"{NOT_LISTED}{modified.timestamp():.0f}-{size}"
    # On GCS a version is a generation. `null` is the version of what was there before a bucket on S3 kept versions.
    version = entry.findtext(f"{space}VersionId") or entry.findtext(f"{space}Generation")
    return ObjectStat(
        _key(_text(entry, space, "Key"), encoded), etag, size, modified, None if version == "null" else version
    )


def _key(text: str, encoded: bool) -> str:
    # Bytes that are no UTF-8 stand as `\xNN`, as in a folder: a lone surrogate fits into no table.
    return unquote_plus(text, errors="backslashreplace") if encoded else text


def _text(element: ElementTree.Element, space: str, name: str) -> str:
    found = element.findtext(f"{space}{name}")
    if not found:
        raise ValueError(f"no {name}")
    return found


__all__ = ["pages_of"]
