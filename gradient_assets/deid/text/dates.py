"""Where dates stand in a text.

Belongs here: the written forms of dates (numeric, with month names, compact, ranges, without day or year) and the context
that tells a bare `6/8` from a fraction.  Times, bare years and weekdays stay.  Reading and rewriting one date is
`calendar_dates`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rapidfuzz.distance import DamerauLevenshtein

from gradient_assets.deid.text.lexicon import Lexicon, lexicon
from gradient_assets.deid.text.reading import LOWER, Reading
from gradient_assets.deid.text.spans import Span

# Every pattern starts at a digit or a letter that is not preceded by one, and repeats nothing that can match in two ways.
_NUMERIC = re.compile(
    r"(?=\d)(?<![\d.,/-])(?:"
    r"(?P<iso>(?:19|20)\d\d)(?P<s1>[-/.]|\ -\ |\ /\ )(?P<im>\d{1,2})(?P=s1)(?P<id>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<s2>[-/.]|\ ?-\ |\ ?/\ ?|,\ ?|\\)(?P<b>\d{1,2})(?P=s2)(?P<y>(?:19|20)\d\d|\d\d)"
    r"|(?P<da>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|(?P<my>0?[1-9]|1[0-2])\ ?[-/]\ ?(?:19|20)\d\d"
    r"|(?:19|20)\d\d[-/](?:0[1-9]|1[0-2])"
    r")(?![\d]|[-/.,]\d)"
)
_ROMAN_MONTH = re.compile(
    r"(?=\d)(?<![\d.,/-])\d{1,2}[-./]\ ?(?:I{1,3}|IV|VI{0,3}|IX|XI{0,2})[-./]\ ?(?:19|20)\d\d(?!\d|[-/.,]\d)"
)
"""`13.VI.1947`, as in Central Europe."""
_ISO_TIME = re.compile(
    r"(?=\d)(?:(?<![\d.,/-])((?:19|20)\d\d-\d\d-\d\d)(?=[T ]\d\d:?\d\d)|(?<!\d)((?:19|20)\d{6})(?=[T]\d{4}))"
)


_LONE_DAYS = frozenset(range(13, 32)) - {16, 20, 24, 25, 30}
"""`7/26` without a word beside it: these numbers are rarely below a fraction, a score or a visus."""

SPOKEN_BEFORE, SPOKEN_AFTER = 32, 64
"""Characters beside a month's name in which its day and year are looked for as words."""

LONG_MONTH = 5
"""Letters of a month's name in which a typing error is still recognised."""


def find_dates(reading: Reading, language: str) -> Iterator[Span]:
    """Spans of dates in the folded text; they may overlap."""
    text = reading.text
    words = lexicon(language)
    for match in _NUMERIC.finditer(text):
        if _plausible(match):
            yield _with_weekday(words, text, match.start(), match.end(), "numeric")
    for match in _ISO_TIME.finditer(text):
        yield Span(match.start(), match.end(), "DATE", "date-iso")
    for match in _ROMAN_MONTH.finditer(text):
        yield Span(match.start(), match.end(), "DATE", "date-roman")
    for match in words.expressions["more_dates"].finditer(text):
        yield _with_weekday(words, text, match.start(), match.end(), "national")
    yield from _named_months(reading, words)
    yield from find_short_dates(reading, language)


def find_short_dates(reading: Reading, language: str) -> Iterator[Span]:
    """Bare `6/8`, told by what stands around it; asked again when names are known, because a date may follow one."""
    words = lexicon(language)
    for match in words.expressions["short_date"].finditer(reading.text):
        if _short_date(reading, match, words):
            yield _with_weekday(words, reading.text, match.start(), match.end(), "short")


def _plausible(match: re.Match[str]) -> bool:
    if match["iso"]:
        return 1 <= int(match["im"]) <= 12 and 1 <= int(match["id"]) <= 31
    if match["a"]:
        first, second = int(match["a"]), int(match["b"])
        # A comma or a full stop between small numbers is more often a list or a version; dates have a plausible day and month.
        if match["s2"][0] == "," and len(match["y"]) == 2:
            return False
        return 1 <= first <= 31 and 1 <= second <= 31 and (first <= 12 or second <= 12)
    return True


def _named_months(reading: Reading, words: Lexicon) -> Iterator[Span]:
    text = reading.text
    months = words.months
    for index, word in enumerate(reading.words):
        if word not in months and not _misspelt_month(reading, index, words):
            continue
        start, end = reading.starts[index], reading.ends[index]
        around = max(0, start - SPOKEN_BEFORE)
        spoken = words.expressions["spoken_dates"].search(text, around, end + SPOKEN_AFTER)
        if spoken:
            yield Span(*spoken.span(), "DATE", "date-spoken")
        before = words.expressions["day_before_month"].search(text[max(0, start - 24) : start])
        leading = before.group(1) if before else ""
        leads = bool(before) and _leading_number(text, start - len(before.group() if before else ""), leading)
        after = words.expressions["after_month"].match(text, end)
        if leads and before:
            begin = start - len(before.group())
            if len(leading) == 4:
                day = words.expressions["year_after"].match(text, end)
                yield _with_weekday(
                    words, text, begin, day.end() if day and len(day.group(1)) <= 2 else end, "named-month"
                )
                continue
            if word in words.cues["months_also_verbs"] and _verb_after_may(reading, index, words):
                continue
            year = words.expressions["year_after"].match(
                text, end + (1 if text[end : end + 1] == "." and text[end + 1 : end + 2] in " ,-/" else 0)
            )
            yield _with_weekday(words, text, begin, year.end() if year else end, "named-month")
        elif after and not (after["dayless"] and not _dayless_year(reading, index)):
            if word in words.cues["ambiguous_months"] and not _month_here(reading, index, after):
                continue
            yield _with_weekday(words, text, start, after.end(), "named-month")


def _misspelt_month(reading: Reading, index: int, words: Lexicon) -> bool:
    """`Febuary 3`, `3 Septmber`: an unknown word beside a number, one typing error from a month's name."""
    word = reading.words[index]
    if (
        len(word) < LONG_MONTH
        or reading.shapes[index] == LOWER
        or not (reading.after(index, 2).strip(" .,-/").isdigit() or reading.before(index, 2).strip(" .,-/").isdigit())
    ):
        return False
    if word in words.guarded or word in words.ordinary:
        return False
    return any(
        name[0] == word[0]
        and len(name) >= LONG_MONTH
        and DamerauLevenshtein.distance(word, name, score_cutoff=2) <= (1 + (len(name) > 6))
        for name in words.calendar.month_names
    )


def _verb_after_may(reading: Reading, index: int, words: Lexicon) -> bool:
    """`image 22 May represent`: the verb, not the month."""
    following = index + 1
    return (
        following < len(reading)
        and reading.gap(index) == " "
        and reading.words[following] in words.cues["verbs_after_may"]
    )


def _leading_number(text: str, begin: int, number: str) -> bool:
    """The number before a month name is a day or a year, not the end of a longer number."""
    if begin > 0 and (
        text[begin - 1].isalnum() or (text[begin - 1] in ".:/-" and begin > 1 and text[begin - 2].isdigit())
    ):
        return False
    value = int(number)
    return 1 <= value <= 31 or 1900 <= value <= 2100


def _dayless_year(reading: Reading, index: int) -> bool:
    """`Mar-13`, `May 14`: a day or a two-digit year; either way a date.  `may 50` is not."""
    return reading.shapes[index] != 0


def _month_here(reading: Reading, index: int, after: re.Match[str]) -> bool:
    """`may`, `march` are words too: in lower case only with a year, or a day and a date word before them."""
    return reading.shapes[index] != 0 or bool(after["y"] or after["yy"])


def _with_weekday(words: Lexicon, text: str, start: int, end: int, rule: str) -> Span:
    weekday = words.expressions["weekday_before"].search(text[max(0, start - 16) : start])
    if weekday:
        begin = start - len(weekday.group())
        if begin == 0 or not text[begin - 1].isalnum():
            start = begin
    return Span(start, end, "DATE", f"date-{rule}")


def _short_date(reading: Reading, match: re.Match[str], words: Lexicon) -> bool:
    first, second = int(match[1]), int(match[3])
    if not (1 <= first <= 31 and 1 <= second <= 31 and (first <= 12 or second <= 12)):
        return False
    text, start, end = reading.text, match.start(), match.end()
    cues = words.cues
    if start and (text[start - 1].isalnum() or text[start - 1] in "#$=<>+*'\""):
        return False
    if text[end : end + 1].isalpha() or text.startswith(('"', "'"), end):
        return False
    if match[2] == "/" and words.expressions["weekday_before"].search(text[max(0, start - 16) : start]):
        return True
    following = reading.words_between(end, min(len(text), end + 24))
    if following and text[end : reading.starts[following[0]]].strip(" ") == "":
        word = reading.words[following[0]]
        if word in cues["date_not_after"]:
            return False
    before = reading.words_between(max(0, start - 24), start)
    if not before:
        return match[2] == "/" and start == 0 and not following
    last = before[-1]
    gap = text[reading.ends[last] : start]
    if any(character.isdigit() for character in gap):
        # `3/4 - 3/6`, `10/12 and 10/14`: the date before decides.
        return False
    if reading.words[last] in cues["date_not_before"] or ("(" in gap and ")" in gap):
        return False
    if words.expressions["short_date_label"].search(text[max(0, start - 6) : start]):
        return True
    if match[2] == "-":
        return reading.words[last] in cues["date_before_dash"] and gap.strip(" ") == ""
    if gap.strip(" :(") == "" and reading.words[last] in cues["date_before"]:
        return True
    if last in reading.taken and gap.strip(" ,") == "":
        return True
    if first <= 12 and second in _LONE_DAYS and match[2] == "/":
        return True
    # `s/p CABG 8/27`, `underwent resection 6/1`
    return gap == " " and any(
        reading.words[one] in cues["date_events"] and not _clause_ends(reading, one, last) for one in before[-5:-1]
    )


def _clause_ends(reading: Reading, first: int, last: int) -> bool:
    between = reading.text[reading.ends[first] : reading.starts[last]]
    return any(mark in between for mark in ".;:\n,") or any(character.isdigit() for character in between)
