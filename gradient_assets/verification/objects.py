"""Thumbnails and DICOM objects, read back: keys, bytes, elements, file meta information, pixels.

Belongs here: going over the objects of one prefix.  Each object is read once for each look.  What an object's name and bytes
say is judged by `deid.verify`; the work token it belongs to is told by `token_of`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from gradient_assets.deid.verify import Hit, IdentifierIndex
from gradient_assets.deid.verify.containers import open_dicom
from gradient_assets.deid.verify.levels import level_of_dataset
from gradient_assets.deid.verify.patterns import unknown_in_header
from gradient_assets.deid.verify.pictures import (
    KnownWords,
    Reader,
    Reading,
    pictures_of_dicom,
    pictures_of_png,
    text_in_pictures,
)
from gradient_assets.deid.verify.profile import Promise, file_breaches
from gradient_assets.verification.found import Found, Spare, nothing
from gradient_assets.verification.looked_at import LookedAt
from gradient_assets.verification.originals import groups
from resources.buckets.object_store import Bucket
from resources.warehouses.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Written:
    """One object that was written: where it lies, the work token it belongs to (blank if no row names it), what of it somebody
    has accepted, and whether it is one of a table's."""

    bucket: Bucket
    key: str
    name: str
    token: str = ""
    spare: Spare = nothing

    def content(self) -> bytes:
        """Its bytes."""
        return self.bucket.get(self.key)


def objects_under(
    bucket: Bucket,
    prefix: str,
    tokens: Mapping[str, str],
    spare: Callable[[str, list[str]], frozenset[str]],
    *,
    ending: str,
) -> Iterator[Written]:
    """Every object under a prefix whose key ends so; `tokens` and `spare` go by the key after the prefix and `dicom/`."""
    for stat in bucket.listing(f"{prefix}/"):
        if stat.key.endswith(ending):
            name = stat.key.removeprefix(f"{prefix}/").removeprefix("dicom/")
            yield Written(bucket, stat.key, name, tokens.get(name, ""), partial(spare, name))


def known_in_pngs(found: Found, index: IdentifierIndex, objects: Iterable[Written]) -> None:
    """Each PNG's key, text chunks and bytes."""
    for one in objects:
        found.judge(lambda one=one: index.search_key(one.key), one.token, where="object key")  # type: ignore[misc]  # bound now
        found.judge(lambda one=one: index.search_png(one.content()), one.token, where="png", spare=one.spare)  # type: ignore[misc]  # bound now


def known_in_dicoms(found: Found, index: IdentifierIndex, objects: Iterable[Written]) -> None:
    """Each DICOM object's key and every element of its data set."""
    for one in objects:
        found.judge(lambda one=one: index.search_key(one.key), one.token, where="object key")  # type: ignore[misc]  # bound now
        found.judge(lambda one=one: index.search_dicom(one.content()), one.token, spare=one.spare)  # type: ignore[misc]  # bound now


def profile_of_dicoms(
    found: Found,
    warehouse: Warehouse,
    objects: Iterable[Written],
    sources: Mapping[str, tuple[str, str]],
    promises: Mapping[str, Promise],
) -> None:
    """Each delivered file beside the header that was sent.  `sources`: work token → hospital and object key; an object of no
    row has no original, which is a finding."""
    all_objects = list(objects)
    for hospital_id, promise in promises.items():
        of_hospital = [one for one in all_objects if sources.get(one.token, ("", ""))[0] == hospital_id]
        if not of_hospital:
            continue
        keys = {one.token: sources[one.token][1] for one in of_hospital}
        for group in groups(warehouse, hospital_id, keys):
            for one in of_hospital:
                if one.token in group:

                    def judge(one: Written = one) -> list[Hit]:
                        original = group.of(one.token)  # noqa: B023  judged before the next group is read
                        return file_breaches(open_dicom(one.content()), original, promise)  # noqa: B023  as above

                    found.judge(judge, one.token, spare=one.spare)
    for one in all_objects:
        if sources.get(one.token, ("", ""))[0] not in promises:
            found.judge(lambda: [Hit("original_missing", "object", "profile")], one.token)


def unknown_in_dicoms(
    found: Found, objects: Iterable[Written], hospital_of: Mapping[str, str], promises: Mapping[str, Promise]
) -> None:
    """Patterns of unknown identifiers in the texts of each file, under its hospital's profile."""
    for one in objects:

        def judge(one: Written = one) -> tuple[Hit, ...]:
            verdict = unknown_in_header(level_of_dataset(open_dicom(one.content())), promises[hospital_of[one.token]])
            found.doubtful.update(verdict.doubtful)
            return verdict.sure

        found.judge(judge, one.token, spare=one.spare)


@dataclass(frozen=True)
class Looking:
    """How pictures are looked at: the reader, what is known, what was looked at before."""

    reader: Reader
    known: KnownWords
    before: LookedAt
    marks_may_stay: Callable[[Written], bool]
    """Whether an object's own hospital keeps marks; another one's excuse no text in it."""

    def png(self, one: Written, content: bytes) -> Reading:
        """What a PNG's frames say."""
        marks = self.marks_may_stay(one)
        return text_in_pictures(pictures_of_png(content), self.reader, self.known, marks_may_stay=marks)

    def dicom(self, one: Written, content: bytes) -> Reading:
        """What a DICOM object's frames say."""
        pictures, marks = pictures_of_dicom(open_dicom(content)), self.marks_may_stay(one)
        return text_in_pictures(pictures, self.reader, self.known, marks_may_stay=marks)


AHEAD = 4
"""Objects in memory for each thread that reads: an object of 500 MB with eight threads would else wait 32 times."""


def text_in_objects(
    found: Found, objects: Iterable[Written], looking: Looking, look: Callable[[Written, bytes], Reading]
) -> None:
    """Read the pictures of each object with as many threads as there are processors: the networks leave Python's lock."""
    threads = max(1, len(os.sched_getaffinity(0)))
    waiting = iter(objects)
    with ThreadPoolExecutor(threads) as pool:
        while group := list(islice(waiting, threads * AHEAD)):
            for one, outcome in zip(group, [pool.submit(_hits, one, looking, look) for one in group], strict=True):
                found.judge(outcome.result, one.token, spare=one.spare)
    looking.before.keep()


def _hits(one: Written, looking: Looking, look: Callable[[Written, bytes], Reading]) -> tuple[Hit, ...]:
    content = one.content()
    if looking.before.is_blank(content):
        return ()
    reading = look(one, content)
    if reading.is_blank:
        looking.before.remember(content)
    return reading.hits
