"""ICC profiles without their words: colours stay, descriptions, names, dates and what lies between the tags go.

Belongs here: writing a profile anew from those of its tags that hold numbers.  A profile is made by a scanner's or a site's
software, and its description, copyright and device texts are free.  ICC.1:2022 (v4.4), 7 and 10.
"""

from __future__ import annotations

import struct

_HEAD, _ENTRY = 128, 12
_MOST_TAGS = 100
"""Profiles for printing, the largest, have about 30."""
_NUMBERS = frozenset(
    {
        b"XYZ ",
        b"curv",
        b"para",
        b"mft1",
        b"mft2",
        b"mAB ",
        b"mBA ",
        b"sf32",
        b"uf32",
        b"sig ",
        b"meas",
        b"view",
        b"chrm",
    }
)
_WORDS = {
    b"desc": b"desc" + bytes(86),
    b"text": b"text" + bytes(5),
    b"mluc": b"mluc" + bytes(4) + struct.pack(">II", 0, 12),
}
"""Types of text tags that every profile has to have, and what an empty one looks like (v2: ICC.1:2001-04, 6.5.17)."""


def without_words(profile: bytes) -> bytes | None:
    """The profile with numbers only; None for bytes that are none."""
    if len(profile) < _HEAD + 4 or profile[36:40] != b"acsp":
        return None
    (count,) = struct.unpack_from(">I", profile, _HEAD)
    if not 0 < count <= _MOST_TAGS or len(profile) < _HEAD + 4 + count * _ENTRY:
        return None
    tags: list[tuple[bytes, bytes]] = []
    for number in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, _HEAD + 4 + number * _ENTRY)
        content = profile[offset : offset + size]
        if len(content) < size or size < 8:
            return None
        if content[:4] in _NUMBERS or content[:4] in _WORDS:
            tags.append((name, _WORDS.get(content[:4], content)))
    return _written(profile[:_HEAD], tags)


def _written(head: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Tags with equal content share it, as red, green and blue curves do."""
    start = _HEAD + 4 + len(tags) * _ENTRY
    places: dict[bytes, int] = {}
    body = b""
    for _, content in tags:
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
    entries = b"".join(struct.pack(">4sII", name, places[content], len(content)) for name, content in tags)
    whole = bytearray(head + struct.pack(">I", len(tags)) + entries + body)
    struct.pack_into(">I", whole, 0, len(whole))
    for first, last in (
        (24, 36),
        (48, 64),
        (80, _HEAD),
    ):  # date; device maker, model, attributes; creator, digest, reserved
        whole[first:last] = bytes(last - first)
    return bytes(whole)
