"""Lines that hold nothing but a name, and the initials of who dictated and who typed.

Belongs here: `Karen Wallace` alone on a line, `/s/ K. Wallace, MD`, `SF/gh`, `D: JPY`.  Names with a cue are `cues`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradient_assets.deid.text.known_words import LONGEST_DESCRIPTOR
from gradient_assets.deid.text.name_reader import NameReader, Trust
from gradient_assets.deid.text.reading import LETTER, LOWER
from gradient_assets.deid.text.spans import Span

CLOSING_LINES = 5
"""The last lines, where a line of unknown words with one listed name among them is a signature even in capitals."""

MAX_INITIALS = 3

WINDOW = 120
"""Characters before and after initials that are looked at; a line may be the whole text."""

_SIGNED = "s"
"""`/s/` before a typed signature, in any language."""

_INITIALS_LINE = re.compile(
    r"(?m)(?<![\w/])([A-Z]{2,4}|(?:(?<![^\n])|(?<=[.:]\ ))[a-z]{2,3})\s?([/:])\s?([A-Za-z]{2,4})(?![\w/])"
)
_ONLY_WHEN = re.compile(
    r"(?:[\d/:.,;@() -]|(?:am|pm|hrs|at|on|[DTRJ]|DD|DT|TD|TT|job|date|time)(?![A-Za-z])){0,60}", re.IGNORECASE
)
"""What may stand beside initials on their line: when it was dictated and typed."""
_SIGN_OFF = re.compile(
    r"(?:\n|(?<=[.!?])\ )[ ]{0,4}(--?|/s?/|~)?[ ]?([A-Z]{2,3}|[A-Z][a-z][A-Z]?|[A-Z]\.[A-Z]\.(?:[A-Z]\.)?)[ .]{0,4}\s*\Z"
)
_BETWEEN_SLASHES = re.compile(r"(?<![\w/])/([A-Z]{2,4})/(?![\w/])")
_SLASHED_END = re.compile(r"(?m)(?:^|(?<=[\s.]))(?:--?|~|/|[(\[<*])\ ?([A-Z]{2,4}|[a-z]{2,3})[)\]>*]?\ ?$")
_FIELD_VALUE = re.compile(
    r"\)?\ ?(?:[:=#]|\ -)\ {0,3}([A-Z]{2,8}\d{0,3}|[a-z]{2,12}\d{0,3}|[A-Z][a-z]{1,2})"
    r"(?=\ ?(?:$|[\n;,|/)\](@]|\ \ |\.(?:\s|$))|\ (?:\d|at\b|on\b|[A-Z][A-Za-z]{1,12}\ ?[:=]))"
)
"""One word up to the field's end."""
_ANY_FIELD = re.compile(r"[:=]\ {0,3}([A-Z]{2,3}|[A-Z]{3,6}\d{2}|[a-z]{3,9}\d{0,2})(?=\ ?(?:$|[\n;,|)\]]|\ \ ))")
"""The same behind a label that nothing is known of: two or three letters, or a user name."""
_SIGNED_VALUE = re.compile(
    r"(?:[\d/:.,@()\[\] -]"
    r"|(?:at|on|am|pm|hrs|hours|by|per|from|time|date|added|entered|note|electronically|st|nd|rd|th)(?![A-Za-z])){1,36}?"
    r"(?<=[(,:/\[ -])([A-Z]{2,3}|[A-Z]{2,6}\d{2,3}|[a-z]{2,12}\d{1,3}|(?<=[(,])[a-z]{3,9}|(?<=,\ )[a-z]{3,9})"
    r"(?=[)\]:,;]|\ ?(?:\n|$)|\.(?:\s|$)|\ \ |\ (?:@|at|on)\ ?\d|\ \d{1,2}[/:])"
)
"""Initials or a user name behind `addendum`, `typed`, with the day and time between."""
_BEHIND_ROLE = re.compile(r",?\ \(?([A-Z]{2,3})(?=[).,;:]|\ ?(?:\n|$)|\ [a-z(@\d])")
_INITIALS_ALONE = re.compile(r"[ ]{0,4}(?:[-~/*]{1,2}[ ]?)?([A-Z]{2,4}|[a-z]{2,3})(?:[/:][A-Za-z]{2,4})?[ .]{0,3}")


def find_signatures(reader: NameReader) -> Iterator[Span]:
    """Spans of signature lines and typists' initials."""
    yield from _signature_lines(reader)
    yield from _typists(reader)


def _signature_lines(reader: NameReader) -> Iterator[Span]:
    """A line that holds nothing but a name: `Karen Wallace`, `/s/ K. Wallace, MD`, `Hudson, Harold W`."""
    reading = reader.reading
    first = 0
    total = len(reading)
    while first < total:
        line = reading.line_of[first]
        last = first
        while last + 1 < total and reading.line_of[last + 1] == line:
            last += 1
        if last - first < 7 and reading.shapes[first] != LOWER:
            start = reading.line_starts[line]
            text = reading.text[start : reading.line_end(first)]
            if not any(character.isdigit() or character in ":=%" for character in text):
                found = reader.forward(
                    first + (reading.words[first] == _SIGNED and text.lstrip()[:1] == "/"), Trust.MEDIUM
                )
                if found and _only_name(reader, found, last) and _looks_like_name(reader, *found):
                    yield reader.span(*found, "signature")
        first = last + 1


def _only_name(reader: NameReader, found: tuple[int, int], last: int) -> bool:
    cues = reader.lexicon.cues
    rest = reader.reading.words[found[1] + 1 : last + 1]
    return all(
        word in cues["credentials"] or word in cues["credentials_after_comma"] or len(word) == 1 for word in rest
    )


def _looks_like_name(reader: NameReader, first: int, last: int) -> bool:
    reading, lexicon = reader.reading, reader.lexicon
    words = [
        index for index in range(first, last + 1) if reading.shapes[index] != LETTER and len(reading.words[index]) > 1
    ]
    names = [i for i in words if reader.known.is_known(reading.words[i]) or lexicon.is_name(reading.words[i])]
    if any(index in reading.protected for index in words):
        return False
    if len(words) == 1:
        initials = last > first
        return bool(names) and (
            initials or reading.words[words[0]] in lexicon.given or reader.known.is_known(reading.words[words[0]])
        )
    if any(
        reading.words[index] in lexicon.guarded for index in words if not reader.known.is_known(reading.words[index])
    ):
        listed = [i for i in words if reading.words[i] in lexicon.given or reading.words[i] in lexicon.frequent_family]
        return len(listed) == len(words) and bool(names)
    if reading.line_of[first] >= len(reading.line_starts) - CLOSING_LINES or not reading.shouted[first]:
        return bool(names)
    if any(reading.shouted[index] for index in words):
        return len(names) == len(words) and any(
            reading.words[i] in lexicon.given or reader.known.is_known(reading.words[i]) for i in words
        )
    return bool(names) and any(
        reading.words[i] in lexicon.given or reader.known.is_known(reading.words[i]) for i in words
    )


def _typists(reader: NameReader) -> Iterator[Span]:
    """Initials of who dictated and who typed: `SF/gh`, `TJ:TM`, `D: JPY`."""
    text, lexicon = reader.reading.text, reader.lexicon
    for match in _INITIALS_LINE.finditer(text):
        first, mark, second = match.groups()
        head = text[max(0, match.start() - WINDOW) : match.start()].rpartition("\n")[2]
        tail = text[match.end() : match.end() + WINDOW].partition("\n")[0]
        labelled = bool(lexicon.expressions["dictation_line"].search(head))
        alone = bool(_ONLY_WHEN.fullmatch(head) and _ONLY_WHEN.fullmatch(tail))
        clinical = first.lower() in lexicon.clinical and second.lower() in lexicon.clinical
        if first.islower() and head.strip() and not labelled:
            continue
        units = second in lexicon.cues["units_in_lower_case"] or first.lower() in lexicon.cues["units_before_slash"]
        if (units or clinical) and not labelled:
            continue
        if labelled or alone or (mark == "/" and second.islower() and not tail.strip(" .")):
            yield Span(match.start(), match.end(), "NAME", "typist")
    yield from _fields(reader)
    closing = _SIGN_OFF.search(text[-WINDOW:])
    if closing and (
        closing.group(1) or (closing.group(2).isupper() and closing.group(2).lower() not in lexicon.guarded)
    ):
        offset = max(0, len(text) - WINDOW)
        yield Span(offset + closing.start(2), offset + closing.end(2), "NAME", "typist")
    if lexicon.cues["signing_words"] and len(reader.reading) > LONGEST_DESCRIPTOR:
        yield from _initials_alone(reader)
    for match in lexicon.expressions["initials_after_label"].finditer(text):
        if match.group(1).lower() not in lexicon.guarded:
            yield Span(*match.span(1), "NAME", "typist")


def _initials_alone(reader: NameReader) -> Iterator[Span]:
    """`/MN/`, a line's last `/MN`, and closing lines that hold nothing but initials."""
    reading = reader.reading
    for expression in (_BETWEEN_SLASHES, _SLASHED_END):
        for match in expression.finditer(reading.text):
            if _unknown(reader, match.group(1), sure=expression is _BETWEEN_SLASHES):
                yield Span(*match.span(1), "NAME", "typist")
    for start in reading.line_starts:
        closing = _INITIALS_ALONE.match(reading.text, start)
        if (
            closing
            and reading.text[closing.end() : closing.end() + 1] in ("", "\n")
            and _unknown(reader, closing.group(1))
        ):
            yield Span(closing.start(1), closing.end(), "NAME", "typist")


def _unknown(reader: NameReader, value: str, *, sure: bool = False) -> bool:
    """Neither a word nor an abbreviation that the lists know; where a person surely stands, any two or three letters do.

    A third of all pairs of letters are abbreviations of medicine (`LB`, `MS`, `TK`).
    """
    lexicon, word = reader.lexicon, value.rstrip("0123456789").lower()
    if sure and value.isupper() and len(word) <= MAX_INITIALS:
        return word not in lexicon.cues["never_initials"]
    return not (
        word in lexicon.guarded
        or word in lexicon.cues["never_initials"]
        or word in lexicon.ordinary
        or word in lexicon.states
        or word in lexicon.cues["name_stops"]
        or word in lexicon.cues["titles"]
        or word in lexicon.cues["staff"]
        or word in lexicon.cues["credentials"]
        or word in lexicon.cues["credentials_after_comma"]
    )


def _fields(reader: NameReader) -> Iterator[Span]:
    """Initials and user names behind a label or a word of signing: `Tech: JS`, `User=jsmith3`, `Addendum (MN)`."""
    reading, lexicon = reader.reading, reader.lexicon
    persons, signing = lexicon.cues["field_persons"], lexicon.cues["signing_words"]
    for index, word in enumerate(reading.words):
        found, sure = None, True
        if word in persons:
            found = _FIELD_VALUE.match(reading.text, reading.ends[index])
        if found is None and reading.after(index)[:1] in (":", "="):
            found, sure = _ANY_FIELD.match(reading.text, reading.ends[index]), False
        if found is None and word in lexicon.cues["staff"]:
            found = _BEHIND_ROLE.match(reading.text, reading.ends[index])
        if found is None and word in signing:
            found, sure = _SIGNED_VALUE.match(reading.text, reading.ends[index]), True
        if found is None:
            continue
        if _unknown(reader, found.group(1), sure=sure):
            yield Span(*found.span(1), "NAME", "field")
