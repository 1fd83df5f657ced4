"""Is the candidate truly the identifier?  The second look at each place where the automaton stopped.

Belongs here: what has to stand around and within a candidate (whole tokens, one kind of separator, a name's capitals, no
decimal number, no unit).  The automaton ignores separators, so it also stops where an identifier is only spelled by
chance across words; these rules tell the two apart, each in constant time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from gradient_assets.deid.verify.folding import View
from gradient_assets.deid.verify.forms import Form
from gradient_assets.deid.verify.vocabulary import word_set

MAX_GAP = 4
"""Separators in a row within a name or an address (`", "`, `" - "`, `'", "'`)."""
MAX_SEGMENT_GAPS = 40
_SHORT = 7
"""A hit in bytes that are no text must have so many characters or stand in a readable run of `_READABLE_RUN`."""
_READABLE_RUN = 16

_UNIT = re.compile(r"\s?([a-z%]+)")
_GLUED_LABEL = re.compile(r"(?<![a-z0-9])[a-z]+$")
_ALL_READABLE = re.compile(r"[\x20-\x7e\u00a0-\U0010ffff]+")


def begin_of(view: View, end: int, length: int) -> int | None:
    """Where the candidate that ends at `end` (exclusive) begins, or None if its separators are too many."""
    blank = view.blank
    start = end - length
    if start >= 0 and " " not in blank[start:end]:
        return start
    place, left, run = end, length, 0
    while left:
        place -= 1
        if place < 0:
            return None
        if blank[place] == " ":
            run += 1
            if run > MAX_GAP:
                return None
        else:
            left -= 1
            run = 0
    return place


def holds(view: View, start: int, end: int, form: Form) -> bool:
    """Whether the candidate is the identifier.  `start` inclusive, `end` exclusive."""
    if form.judge != "unspaced" and not _whole(view, start, end, form):
        return False
    if view.binary and len(form.glued) < _SHORT and not _readable_around(view, start, end):
        return False
    return _JUDGES[form.judge](view, start, end, form)


def _whole(view: View, start: int, end: int, form: Form) -> bool:
    blank = view.blank
    if end < len(blank) and blank[end] != " ":
        return False
    if start == 0 or blank[start - 1] == " ":
        return True
    if form.judge != "id" or not form.glued[0].isdigit():
        return False
    # `MRN0012345678`: leading zeros and a label that is glued on do not make it another number.
    while start and blank[start - 1] == "0" and len(form.glued) >= _SHORT:
        start -= 1
    label = _GLUED_LABEL.search(blank, max(0, start - 12), start)
    return start == 0 or blank[start - 1] == " " or (label is not None and label[0] in word_set("id_labels"))


def _readable_around(view: View, start: int, end: int) -> bool:
    first, last = max(0, start - _READABLE_RUN), min(len(view.cased), end + _READABLE_RUN)
    return any(
        match.start() <= start - first and match.end() >= end - first and match.end() - match.start() >= _READABLE_RUN
        for match in _ALL_READABLE.finditer(view.cased[first:last])
    )


def gaps(view: View, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Each run of separators within a segment: letters and digits before it, and the run."""
    signs, run = 0, ""
    for place in range(start, end):
        if view.blank[place] == " ":
            run += view.folded[place]
        else:
            if run:
                yield signs, run
                run = ""
            signs += 1


def _at_cuts(view: View, start: int, end: int, form: Form) -> bool:
    return all(place in form.cuts for place, _ in gaps(view, start, end))


def _words(view: View, start: int, end: int, form: Form) -> bool:
    return end - start > len(form.glued) and _at_cuts(view, start, end, form)


def _name(view: View, start: int, end: int, form: Form) -> bool:
    if end - start == len(form.glued):
        return len(form.glued) >= 8 and not form.strict
    if not _at_cuts(view, start, end, form):
        return False
    return not form.strict or _written_like_a_name(view, start, end)


def _written_like_a_name(view: View, start: int, end: int) -> bool:
    segment = view.cased[start:end]
    found = re.findall(r"[^\W\d_]+", segment)
    if "^" in segment:
        return True
    if not all(word[0].isupper() for word in found) or re.search(r"[.;:\n]\s", segment):
        return False
    if not all(word.isupper() for word in found if len(word) > 1):
        return True
    # In a line of capitals every pair of words looks like a name.
    before, after = view.cased[max(0, start - 24) : start], view.cased[end : end + 24]
    neighbours = re.findall(r"[^\W\d_]{2,}", before)[-1:] + re.findall(r"[^\W\d_]{2,}", after)[:1]
    return "," in segment or not any(word.isupper() for word in neighbours)


def _unspaced(view: View, start: int, end: int, form: Form) -> bool:
    return _at_cuts(view, start, end, form)


def _literal(view: View, start: int, end: int, form: Form) -> bool:
    return view.folded[start:end] == form.spelled


def _id(view: View, start: int, end: int, form: Form) -> bool:
    found = list(gaps(view, start, end))
    numeric = form.glued.isdigit()
    if not found:
        return not numeric or not _is_measure(view, start, end)
    natural = all(place in form.cuts and len(run) == 1 for place, run in found)
    if natural and (not numeric or not _goes_on(view, start, end, found[0][1])):
        return True
    if len(found) > 4 or len({run for _, run in found}) > 1 or len(found[0][1]) > 1:
        return False
    separator = found[0][1]
    if separator not in "-_/. :^#":
        return False
    if not numeric:
        return _mixed_id(form, found, separator)
    groups = _group_lengths(form, found)
    if min(groups) < 2 or _goes_on(view, start, end, separator) or _looks_like_date(view.folded[start:end], groups):
        return False
    return len(form.glued) >= (8 if separator in " ." else 6) and len(found) <= 3


def _mixed_id(form: Form, found: list[tuple[int, str]], separator: str) -> bool:
    if len(form.glued) <= 6 and separator in " .":
        return False
    turns = {
        place for place in range(1, len(form.glued)) if form.glued[place].isdigit() != form.glued[place - 1].isdigit()
    }
    return all(place in turns or place in form.cuts for place, _ in found) or min(_group_lengths(form, found)) >= 2


def _group_lengths(form: Form, found: list[tuple[int, str]]) -> list[int]:
    places = [0, *(place for place, _ in found), len(form.glued)]
    return [after - before for before, after in pairwise(places)]


def _goes_on(view: View, start: int, end: int, separator: str) -> bool:
    """Whether the run of digits and separators is longer than the candidate."""
    mark = separator[:1]
    before, after = view.folded[max(0, start - 2) : start], view.folded[end : end + 2]
    return (len(before) == 2 and before[1] == mark and before[0].isdigit()) or (
        len(after) == 2 and after[0] == mark and after[1].isdigit()
    )


def _looks_like_date(written: str, groups: list[int]) -> bool:
    """Whether three groups of digits read as a day of this or the last century: `12-21-2013` is a date, not an id."""
    if len(groups) != 3 or sorted(groups)[-1] != 4 or groups[1] > 2:
        return False
    year = re.match(r"\d{4}", written) or re.search(r"\d{4}$", written)
    return year is not None and 1900 <= int(year[0]) <= 2100


def _is_measure(view: View, start: int, end: int) -> bool:
    """Whether a run of digits is part of a decimal number, of a foreign UID, or has a unit."""
    folded = view.folded
    first, last = start, end
    while first > 1 and folded[first - 1] == "." and folded[first - 2].isdigit() and start - first < 64:
        first -= 2
        while first and folded[first - 1].isdigit() and start - first < 64:
            first -= 1
    while last + 1 < len(folded) and folded[last] == "." and folded[last + 1].isdigit() and last - end < 64:
        last += 2
        while last < len(folded) and folded[last].isdigit() and last - end < 64:
            last += 1
    dots = folded.count(".", first, last)
    if dots:
        well_known = folded.startswith(("2.25.", "1.2.840.10008."), first)
        return dots == 1 or well_known or end - start < 7
    if start and folded[start - 1] == "." and (start < 2 or not folded[start - 2].isalnum()):
        return True
    unit = _UNIT.match(folded, end, end + 8)
    return end - start <= 6 and unit is not None and unit[1] in word_set("units")


def _phone(view: View, start: int, end: int, form: Form) -> bool:
    found = list(gaps(view, start, end))
    if not found:
        return not _is_measure(view, start, end)
    if len(found) > 5 or any(len(run) > 3 or set(run) - set(" -.()/+\u2010\u2011\u2013") for _, run in found):
        return False
    if len(form.glued) >= 10:
        return min(_group_lengths(form, found)[1:]) >= 2
    return min(_group_lengths(form, found)) >= 2 and len(found) <= 3 and not _goes_on(view, start, end, found[0][1])


def _local_phone(view: View, start: int, end: int, form: Form) -> bool:
    # `749.5249` may be a measure, `7495249` any number; only the hyphen makes seven digits a phone.
    found = list(gaps(view, start, end))
    return len(found) == 1 and found[0] == (3, "-")


_JUDGES: dict[str, Callable[[View, int, int, Form], bool]] = {
    "name": _name,
    "unspaced": _unspaced,
    "words": _words,
    "id": _id,
    "literal": _literal,
    "phone": _phone,
    "local_phone": _local_phone,
}
