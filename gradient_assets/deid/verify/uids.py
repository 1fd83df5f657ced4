"""UIDs as they were sent: which are looked for, and where one of them stands in what was written.

Belongs here: telling a UID that names somebody's study, image or machine from one that a standard has given its meaning, and
`KnownUids`.  A UID says by its form where it begins and ends, so each thing of that form is looked up in a set: in the
automaton 300,000 UIDs would be six million states.  PS3.5 section 9, PS3.6 Annex A.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gradient_assets.deid.verify.folding import View

_UID = re.compile(r"2\.25\.[0-9]+|[0-2](?:\.[0-9]+){3,}")
"""Leading zeros are against the standard, and real.  A number after 2.25 is a UUID (PS3.5 B.2)."""
_OF_A_STANDARD = re.compile(r"(?:1\.2\.840\.10008|2\.16\.840\.1\.113883\.6)(?:\.(?:0|[1-9][0-9]{0,4}))+")
"""DICOM's own and coding systems registered with HL7; a longer number behind such a root is somebody's own making."""
_MIN_DIGITS = 8
"""Fewer are numbers of versions as well: `1.2.3.4`."""
_MIN_DIGITS_WITHOUT_DOTS = 16
_MIN_ROOT = 24
"""Characters.  A longer UID under a known one (a series under its study) gives the known one away, one under a short root does
not."""

_LONG_NUMBER = "0" * _MIN_DIGITS_WITHOUT_DOTS
_DIGITS_AS_ZERO = bytes(ord("0") if ord("1") <= byte <= ord("9") else byte for byte in range(256))
_NUMBER = re.compile(r"[0-9]+")


def _run(separator: str, not_before: str) -> tuple[str, re.Pattern[str], re.Pattern[str]]:
    mark = re.escape(separator)
    # The separator first, what stands before it looked at behind: a search that begins with a sign takes 1 ns a character,
    # one that begins with a class of them 25.
    begin = rf"{mark}(?<=[0-2]{mark})(?<![0-9][0-2]{mark}){not_before}(?=[0-9]++{mark}[0-9])"
    return separator, re.compile(begin), re.compile(rf"[0-2](?:{mark}[0-9]+)+")


_RUNS = (_run(".", r"(?<![0-9]\.[0-2]\.)"), *(_run(separator, "") for separator in "_-/"))
"""What has the form of a UID, with dots or with what file names have in their place: where its first separator stands, and all
of it.  Without anything between the arcs it is a number."""


def is_uid(value: str) -> bool:
    """Whether a value has the look of a UID."""
    return _UID.fullmatch(_plain(value)) is not None


def searched_uid(value: str) -> str:
    """The UID as it is looked for; blank for one that is too short, and for one that a standard has given its meaning."""
    uid = _plain(value)
    is_searched = is_uid(uid) and len(uid) - uid.count(".") >= _MIN_DIGITS and not is_of_a_standard(uid)
    return uid if is_searched else ""


def is_of_a_standard(uid: str) -> bool:
    """Whether the UID names what a standard has defined (a class, a syntax, a coding system), not a thing."""
    return _OF_A_STANDARD.fullmatch(uid) is not None


class KnownUids:
    """Search for known UIDs; as large as two sets of their texts (300,000: 110 MB)."""

    def __init__(self, uids: Iterable[str]) -> None:
        """`uids`: as `searched_uid` gives them."""
        self._uids = frozenset(uids)
        without_dots = (uid.replace(".", "") for uid in self._uids)
        self._without_dots = frozenset(digits for digits in without_dots if len(digits) >= _MIN_DIGITS_WITHOUT_DOTS)

    def __len__(self) -> int:
        return len(self._uids)

    def places_in(self, view: View) -> Iterator[tuple[int, int]]:
        """Start and end of each known UID in one reading of a text."""
        text = view.folded
        for separator, begin, whole in _RUNS if self._uids else ():
            for first in begin.finditer(text):
                start = first.start() - 1
                run = whole.match(text, start)
                length = self._known_length(run[0].replace(separator, ".")) if run else 0
                if length:
                    yield start, start + length
        for start, end in _long_numbers(text) if self._without_dots else ():
            if text[start:end] in self._without_dots:
                yield start, end

    def _known_length(self, uid: str) -> int:
        """So many characters of the UID, from its start, are a known one; 0 if none are."""
        length = len(uid)
        while uid[:length] not in self._uids:
            length = uid.rfind(".", 0, length)
            if length < _MIN_ROOT:
                return 0
        return length


def _long_numbers(text: str) -> Iterator[tuple[int, int]]:
    # Signs outside ASCII become one sign each, so that places stay: 2 ns a character, where a regular expression takes 8.
    zeros = text.encode("ascii", "replace").translate(_DIGITS_AS_ZERO).decode("ascii")
    end = 0
    while (start := zeros.find(_LONG_NUMBER, end)) >= 0:
        number = _NUMBER.match(text, start)
        end = number.end() if number else start + 1
        yield start, end


def _plain(value: str) -> str:
    return value.strip().rstrip("\0").strip()
