"""Identifiers that have a form of their own: numbers, addresses of every kind, ages over 89.

Belongs here: e-mail, web and IP addresses, phones and pagers, labelled and bare record numbers, UIDs,
ages.  Expressions with words of a language are its data (`languages/<code>/forms.json`).  Street addresses are `addresses`',
names of institutions `facilities`', dates `dates`' business.
All expressions are compiled once and are linear: none repeats a group that can match the same text in two ways.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

from gradient_assets.deid.text.addresses import find_addresses
from gradient_assets.deid.text.lexicon import Lexicon, lexicon
from gradient_assets.deid.text.reading import Reading
from gradient_assets.deid.text.spans import Span

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:@|\ ?\[at\]\ ?|\ ?\(at\)\ ?)[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DICTATED_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{2,64} at [\w-]{2,63}(?: (?:dot|punkt|punto|punt) [\w-]{2,24}){0,3}"
    r" (?:dot|punkt|punto|punt) (?:com|org|net|edu|gov|io|info|health|us|de|nl|es|uk|example)(?!\w)",
    re.IGNORECASE,
)
_DOTS = (" dot ", " punkt ", " punto ", " punt ")
_URL = re.compile(r"\b(?:https?|ftp|file|dicom)://[^\s<>\"']{1,2000}|\bwww\.[^\s<>\"']{1,2000}", re.IGNORECASE)
_BARE_HOST = re.compile(
    r"(?<![\w@.])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|info|health|us|de|nl|es|uk)(?:/[^\s<>\"']{0,2000})?(?![\w.@-])",
    re.IGNORECASE,
)
_IP = re.compile(r"(?=\d)(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_UID = re.compile(r"(?=[0-2])(?<![\d.])(?!1\.2\.840\.10008\.)[0-2](?:\.\d{1,39}){5,30}(?![\d])")
"""UIDs but those that the standard itself defines (PS3.6 annex A): they say what an object is, not whose."""
_PHONE = re.compile(r"(?=\+)(?<![\w.-])\+\d{1,3}[-. ]?(?:\(\d{1,4}\)|\d)(?:[-. /]?\d){6,13}(?!\d)")
_HIGH_NUMBER = re.compile(r"(?<!\d)(?:9\d|1[0-2]\d)(?!\d)")
_DICOM_AGE = re.compile(r"(?<![\w.,/-])0(?:9\d|1[0-2]\d)Y\b", re.IGNORECASE)
_VALUE = (
    r"(?P<value>(?:[A-Za-z]{2,6}-(?=[A-Za-z]{1,6}-?\d))?"
    r"[A-Za-z]{0,6}[-/ ]?\d[A-Za-z0-9]{0,40}(?:[-./][A-Za-z0-9]{1,20}){0,6}(?:\ \d{2,10}){0,4})(?![A-Za-z0-9])"
)
_BARE_ID = re.compile(
    r"(?<![\w.,/+-])(?:"
    r"\d{2}-\d{5,9}|\d{3,6}-\d{4,7}(?:-[A-Z0-9]{1,4})?|\d{6,40}"
    r"|[A-Z]{2,6}-[A-Z]{1,4}\d{4,14}"
    r"|[A-Z]{1,6}[-#]?\d{5,14}[A-Z]{0,2}|\d{1,4}[A-Z]{1,3}\d{4,10}"
    r"|[A-Z0-9]{2,6}-\d{2,8}-[A-Z0-9]{2,10}|[A-Z]{1,4}\d{2,4}-\d{3,9}|[A-Z]{2,6}-\d{4,12}"
    r"|\d[A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d{2}"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\(\d{6,12}\)"
    # Letters and digits by turns, as in serial numbers; with less than five digits it is a sequence or a compound, and
    # `L1L2L3L4L5` is a row of levels.
    r"|(?!(?:[CDLST]\d{1,2})+\b)(?=(?:[A-Z]{0,6}\d){5})[A-Z](?=[A-Z]*\d+[A-Z])[A-Z0-9]{7,19}"
    r")(?![\w%]|[.,]\d|[-/]\d)"
)
_CARD = re.compile(
    r"(?=[3-6])(?<![\w.,/-])\d{4}(?:(?P<s>[ -])\d{4}(?P=s)\d{4}(?P=s)\d{1,7}|(?P<t>[ -])\d{6}(?P=t)\d{5})(?![\w%]|[.,/-]\d)"
)
"""Numbers of payment cards in their groups; the first digit is that of banks and travel (ISO/IEC 7812-1)."""
SPOKEN_DIGITS = 7
"""Number words in a row that are a phone number; shorter rows are counts and levels."""


@lru_cache(maxsize=8)
def _labelled_id(language: str) -> re.Pattern[str]:
    expressions = lexicon(language).expressions
    label, mark = expressions["id_label"].pattern, expressions["id_mark"].pattern.removeprefix("(?i)")
    # The first look skips what is no letter: a third of this expression's time.
    return re.compile(f"(?i)(?=[a-z]){label.removeprefix('(?i)')}(?P<mark>{mark}){_VALUE}")


def find_patterns(reading: Reading, words: Lexicon, dates: Iterable[Span] = ()) -> Iterator[Span]:
    """Spans of everything with a form of its own; they may overlap.  One of `dates` is no bare record number."""
    text = reading.text
    if "@" in text or "at]" in text or "(at)" in text:
        for match in _EMAIL.finditer(text):
            yield Span(match.start(), match.end(), "EMAIL", "email")
    if any(dot in text for dot in _DOTS):
        for match in _DICTATED_EMAIL.finditer(text):
            yield Span(match.start(), match.end(), "EMAIL", "email-dictated")
    if "://" in text or "www" in text.lower():
        for match in _URL.finditer(text):
            yield Span(match.start(), match.start() + len(match.group().rstrip(".,;:)]}")), "URL", "url")
    for match in _BARE_HOST.finditer(text):
        yield Span(match.start(), match.end(), "URL", "host")
    expressions = words.expressions
    for expression, kind, rule in (
        (_UID, "ID", "uid"),
        (_IP, "URL", "ip"),
        (expressions["national_id"], "ID", "national-id"),
        (expressions["more_ids"], "ID", "id-national-form"),
        (_PHONE, "PHONE", "phone"),
        (expressions["national_phone"], "PHONE", "phone"),
    ):
        for match in expression.finditer(text):
            yield Span(match.start(), match.end(), kind, rule)
    yield from _labelled_phones(text, words)
    yield from _spoken_phones(reading, words)
    dated = sorted((date.start, date.end) for date in dates)
    yield from _labelled_ids(text, words, dated)
    for match in _BARE_ID.finditer(text):
        if not expressions["units"].match(text, match.end()) and not _within(match.span(), dated):
            yield Span(match.start(), match.end(), "ID", "id-bare")
    for match in _CARD.finditer(text):
        if _has_check_digit(match.group()):
            yield Span(match.start(), match.end(), "ID", "id-card")
    yield from _ages(text, words)
    yield from find_addresses(reading, words)


def _has_check_digit(number: str) -> bool:
    """Whether the digits add up as on payment and insurance cards (ISO/IEC 7812-1, annex B): four years in a row do not."""
    digits = [int(character) for character in number if character.isdigit()]
    total = sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits[::-1]))
    return total % 10 == 0


def _labelled_phones(text: str, words: Lexicon) -> Iterator[Span]:
    clock, four_digits = words.expressions["clock_after"], words.expressions["four_digit_label"]
    for match in words.expressions["labelled_phone"].finditer(text):
        digits = re.search(r"[(+]?\d", match.group())
        if digits is None:
            continue
        start = match.start() + digits.start()
        number = text[start : match.end()]
        count = sum(character.isdigit() for character in number)
        if count < 3 or (count == 4 and clock.match(text, match.end()) and not four_digits.search(match.group())):
            continue
        yield Span(start, match.end(), "PHONE", "phone-labelled")


def _spoken_phones(reading: Reading, words: Lexicon) -> Iterator[Span]:
    """`five five five oh one two two`: digits dictated one by one."""
    digits, index, total = words.cues["digit_words"], 0, len(reading)
    while digits and index < total:
        last = index
        while reading.words[last] in digits and last + 1 < total and reading.words[last + 1] in digits:
            if reading.gap(last).strip(" ,-"):
                break
            last += 1
        if last - index + 1 >= SPOKEN_DIGITS:
            yield Span(reading.starts[index], reading.ends[last], "PHONE", "phone-spoken")
        index = last + 1


def _within(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    at = bisect_right(others, (span[0], len(others) and others[-1][1]))
    return any(start <= span[0] and span[1] <= end for start, end in others[max(0, at - 2) : at])


def _labelled_ids(text: str, words: Lexicon, dated: list[tuple[int, int]]) -> Iterator[Span]:
    expressions = words.expressions
    for match in _labelled_id(words.language).finditer(text):
        value = match["value"]
        digits = sum(character.isdigit() for character in value)
        marked = any(mark in match["mark"] for mark in ":#=") or bool(expressions["id_mark_word"].search(match["mark"]))
        strong = bool(expressions["strong_label"].match(match.group()))
        mixed = digits < len(value) - 1 and value[:2].isalpha() and value[:2].isupper() and " " not in value
        if digits < 3 or (not marked and digits < (4 if strong else 5) and not mixed):
            continue
        if not marked and not strong and not mixed and expressions["units"].match(text, match.end()):
            continue
        start, end = match.span("value")
        if expressions["dated_label"].match(match.group()) and _within((start, end), dated):
            continue
        letters = re.match(r"[A-Za-z]{3,6}\ |[a-z]{1,2}\ ", value)
        yield Span(start + (letters.end() if letters else 0), end, "ID", "id-labelled")


def _ages(text: str, words: Lexicon) -> Iterator[Span]:
    """Ages of 90 and more (45 CFR 164.514(b)(2)(i)(C)): the number only."""
    # Most texts hold no such number: the long expression is not asked then (a tenth of the engine's time).
    for name in ("age", "age_in_words") if _HIGH_NUMBER.search(text) else ("age_in_words",):
        for match in words.expressions[name].finditer(text):
            for number in match.groupdict():
                if match[number]:
                    yield Span(*match.span(number), "AGE", "age")
    for match in _DICOM_AGE.finditer(text):
        yield Span(match.start(), match.end(), "AGE", "age")
