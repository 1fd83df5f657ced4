"""Is a planted identifier anywhere outside the identified zone?

Belongs here: spelling each value in every way a leak might have, searching bytes for all of them at once, and looking at
delivered pictures at the place where writing was.  Walking a home's outputs is `tests.graph.outputs`'.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
from ahocorasick_rs import BytesAhoCorasick

from tests.graph.outputs import pieces
from tests.redteam.hospital import Attack

_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "gb18030", "shift_jis")
_NOT_ALNUM = re.compile(rb"[^0-9a-z]+")
_LEAST = 7
"""Signs a value without its separators has at least: anything shorter would be found by chance."""


def folded(text: str) -> str:
    """Without case, accents and separators."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum() and sign.isascii())


class Search:
    """All values of an attack, in one automaton each for bytes as they are and for bytes without separators."""

    def __init__(self, made: Attack) -> None:
        self._exact: dict[bytes, set[int]] = {}
        self._bare: dict[bytes, set[int]] = {}
        for one in made.plants:
            for needle in one.value.needles:
                self._spell(needle, one.number)
            for blob in made.blobs.get(one.number, ()):
                # Bytes are compared in small letters, as all that is searched.
                self._exact.setdefault(blob.lower(), set()).add(one.number)
        self._automata = [(BytesAhoCorasick(needles), list(needles.values())) for needles in (self._exact, self._bare)]

    def _spell(self, needle: str, number: int) -> None:
        for coded in {needle.casefold().encode(encoding) for encoding in _ENCODINGS}:
            self._exact.setdefault(coded, set()).add(number)
        raw = needle.encode()
        self._exact.setdefault(raw.hex().encode(), set()).add(number)
        for skipped in range(3):
            # What three neighbours in base64 don't share with other bytes; case matters there, but chance hits are rare.
            coded = base64.b64encode(bytes(skipped) + raw)[4 if skipped else 0 : -4]
            if len(coded) >= _LEAST:
                self._exact.setdefault(coded.lower(), set()).add(number)
        if len(bare := folded(needle)) >= _LEAST:
            self._bare.setdefault(bare.encode(), set()).add(number)

    def numbers(self, content: bytes) -> set[int]:
        """Plants that stand in these bytes."""
        small = content.lower()
        found: set[int] = set()
        for (automaton, owners), text in zip(self._automata, (small, _NOT_ALNUM.sub(b"", small)), strict=True):
            for number, _, _ in automaton.find_matches_as_indexes(text, overlapping=True):
                found |= owners[number]
        return found


def outputs(home: Path, printed: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of everything outside the identified zone; DICOM objects also value by value."""
    yield "stdout and stderr", printed.encode()
    for name, content in pieces(home):
        yield name, content
        if name.endswith(".dcm"):
            yield f"{name} (values)", values_of(content)


def values_of(content: bytes) -> bytes:
    """Every value of an object at every depth, decoded by pydicom, inflated where it was deflated."""
    ds = pydicom.dcmread(io.BytesIO(content), force=True)
    told = [str(ds.file_meta), *(f"{element.tag} {element.value}" for element in _elements(ds))]
    return "\n".join(told).encode("utf-8", "replace")


def _elements(ds: pydicom.Dataset) -> Iterable[pydicom.DataElement]:
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element
