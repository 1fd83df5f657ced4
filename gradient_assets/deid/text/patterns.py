"""Identifiers that have a form of their own: numbers, addresses of every kind, ages over 89.

Belongs here: e-mail, web and IP addresses, phones and pagers, labelled and bare record numbers, UIDs, street addresses,
places with ZIP codes, ages.  Names of institutions are `facilities`' business, dates are `dates`'.
All expressions are compiled once and are linear: none repeats a group that can match the same text in two ways.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from gradient_assets.deid.text.lexicon import Lexicon
from gradient_assets.deid.text.reading import Reading
from gradient_assets.deid.text.spans import Span

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:@|\ ?\[at\]\ ?|\ ?\(at\)\ ?)[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_URL = re.compile(r"\b(?:https?|ftp|file|dicom)://[^\s<>\"']{1,2000}|\bwww\.[^\s<>\"']{1,2000}", re.IGNORECASE)
_BARE_HOST = re.compile(
    r"(?<![\w@.])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|info|health|us|de|nl|es|uk)(?:/[^\s<>\"']{0,2000})?(?![\w.@-])",
    re.IGNORECASE,
)
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_UID = re.compile(r"(?<![\d.])[0-2](?:\.\d{1,39}){5,30}(?![\d])")
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])|(?<![\d-])\d{3}\ \d{2}\ \d{4}(?![\d-])")
_PHONE = re.compile(
    r"(?<![\w.-])(?:\+?1[-. ]{1,2})?(?:\(\d{3}\)[ -]{0,2}|\d{3}[-. /]{1,3})\d{3}[-. ]{1,2}\d{4}(?!\d)"
    r"(?:,?\ {0,2}(?:x|ext|extn|extension)[.: ]{0,2}\d{1,6}(?!\d))?"
    r"|(?<![\w.-])\+\d{1,3}[-. ]?(?:\(\d{1,4}\)|\d)(?:[-. /]?\d){6,13}(?!\d)"
    r"|(?<![\w.,/-])\d{3}[-.]\d{4}(?![\w%]|[-.,/]\d)",
    re.IGNORECASE,
)
_PHONE_LABEL = re.compile(
    r"\b(?:(?:pager|beeper|paged|beeped|bleep|bleeped|switchboard|extension|extn|ext|phone|telephone|tel|fax|cell|mobile|callback|voicemail|spectralink|vocera|ascom|"
    r"call(?:ed)?\ (?:back\ )?at|call|dial|hotline|reading\ room)\b"
    r"(?:\.|\ ?(?:number|no\.?|num|id|is|was|via|at|on|line|directly|him|her|to))?[ .:#]{0,4}(?:at\ |on\ |is\ |\#)?)"
    r"(?:\(?\+?\d[\d\-. ()/]{1,18}\d)(?!\d|:\d|[/-]\d)|(?<![\w.])x\ ?\d{4,5}(?![\w.])",
    re.IGNORECASE,
)
_CLOCK_AFTER = re.compile(r"\ ?(?:hours|hrs?|h|am|pm|a\.m|p\.m|est|edt|cst|cdt|mst|mdt|pst|pdt|on)\b", re.IGNORECASE)
_LABELLED_ID = re.compile(
    r"(?<![A-Za-z])(?:"
    r"m\.?r\.?n|m\.?r\.?\ ?(?:no|number|num|\#)|med(?:ical)?\.?\ ?rec(?:ord)?s?|medical\ record|"
    r"hosp(?:ital)?\ (?:no|number|id)|"
    r"unit\ (?:no|number)|"
    r"(?:patient|pt|person|client|subject|participant|member|subscriber|group|policy|claim|insurance|medicare|medicaid|"
    r"beneficiary|hicn?|mbi|plan|auth(?:orization)?|"
    r"encounter|enc|visit|csn|fin|har|episode|account|acct|billing|invoice|guarantor|accession|acc|acsn|acn|order|ord|request|req(?:uisition)?|job|dictation|dict|document|doc|"
    r"transcription|report|exam|study|case|specimen|chart|file|folder|film|jacket|x-?ray|npi|dea|license|licence|lic|certificate|badge|employee|"
    r"passport|driver'?s\ licen[sc]e|vin|plate|tag|serial|ser|s/n|sn|device|implant|"
    r"lot|model|catalog|cat|ref|udi|barcode|confirmation|reference|tracking|ticket|voucher|protocol|registry|"
    r"ssn|social\ security|soc\ sec|s\.s\.n|nhs|ehr|emr|epic|pacs|ris|his|id|identifier|mpi|eid|dmrn|cpi|corp)"
    r")"
    r"(?P<mark>(?:(?:\ |\.|\ ?-\ ?)?(?:no|nos|num|number|numbers|id|ids|nr|code|\#|security|rec|record))?"
    r"[ \t]{0,4}[.:#=(]{0,3}[ \t]{0,4}(?:is\ |was\ |of\ |\#)?)"
    r"(?P<value>[A-Za-z]{0,6}[-/ ]?\d[A-Za-z0-9]{0,40}(?:[-./][A-Za-z0-9]{1,20}){0,6}(?:\ \d{2,10}){0,4})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_STRONG_LABEL = re.compile(
    r"(?:m\.?r|med|hosp|unit|patient|pt|member|subscriber|policy|medicare|medicaid|hic|mbi|encounter|visit|csn|fin|har|account|acct|accession|acsn|"
    r"job|npi|dea|ssn|social|soc|serial|s/n|sn|id\b|identifier|udi|passport|vin|chart|nhs|mpi|eid|claim|specimen|requisition|order)",
    re.IGNORECASE,
)
_DATED_LABEL = re.compile(
    r"(?:study|exam|report|document|doc|dictation|dict|visit|order|request|transcription|episode|film|specimen|x-?ray)",
    re.IGNORECASE,
)
"""Labels that a date may follow just as well as a number."""
_BARE_ID = re.compile(
    r"(?<![\w.,/+-])(?:"
    r"\d{2}-\d{5,9}|\d{3,6}-\d{4,7}(?:-[A-Z0-9]{1,4})?|\d{6,14}"
    r"|[A-Z]{1,6}[-#]?\d{5,14}[A-Z]{0,2}|\d{1,4}[A-Z]{1,3}\d{4,10}"
    r"|[A-Z0-9]{2,6}-\d{2,8}-[A-Z0-9]{2,10}|[A-Z]{1,4}\d{2,4}-\d{3,9}|[A-Z]{2,6}-\d{4,12}"
    r"|\d[A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d{2}"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\(\d{6,12}\)"
    r")(?![\w%]|[.,]\d|[-/]\d)"
)
_AGE = re.compile(
    r"(?<![\w.,/-])(?P<n>9\d|1[0-2]\d)(?=[ -]{0,2}(?:y(?:ea)?rs?(?:[ -]{0,2}old)?|y[./ -]?o\b|yo[fm]?\b|y\b|[MF]\b|-?year))"
    r"|\bage[ds]?[: ]{1,3}(?:is\ |of\ )?(?P<m>9\d|1[0-2]\d)(?![\d.,/%]|\ ?(?:mm|cm|ml|days?|months?|weeks?)\b)"
    r"|\b(?P<w>(?:ninety|one\ hundred)(?:[ -](?:and\ )?(?:one|two|three|four|five|six|seven|"
    r"eight|nine|ten))?)(?=[ -]years?[ -]old)"
    r"|(?<![\w.,/-])(?P<d>0(?:9\d|1[0-2]\d)Y)\b",
    re.IGNORECASE,
)
_UNITS = re.compile(r"\ ?(?:m?m|cm|ml|cc|m?g|mcg|k?Hz|HU|mSv|m?Gy|counts|cells|copies|/)", re.IGNORECASE)
_STREET_NUMBER = re.compile(r"(?<![\w.,/-])(?<!\d )\d{1,6}[A-Za-z]?(?:-\d{1,4})?\ (?=[A-Za-z0-9])")
_STREET_GAP = re.compile(r"[ .]|\d{1,3}(?=$)|'")
_UNIT_OF_HOUSE = re.compile(
    r",?\ {0,2}(?:(?:apt|apartment|suite|ste|unit|floor|fl|bldg|building|room|rm|lot|trlr)"
    r"\b\.?\ {0,2}#?\ ?|#\ ?)[A-Za-z0-9-]{1,6}\b",
    re.IGNORECASE,
)
_PO_BOX = re.compile(r"\bP\.?\ ?O\.?\ ?Box\ \d{1,8}\b", re.IGNORECASE)
_ZIP = re.compile(r"(?<![\w-])\d{5}(?:-\d{4})?(?![\w-])")


def find_patterns(reading: Reading, lexicon: Lexicon, dates: Iterable[Span] = ()) -> Iterator[Span]:
    """Spans of everything with a form of its own; they may overlap.  One of `dates` is no bare record number."""
    text = reading.text
    if "@" in text or "at]" in text or "(at)" in text:
        for match in _EMAIL.finditer(text):
            yield Span(match.start(), match.end(), "EMAIL", "email")
    if "://" in text or "www" in text.lower():
        for match in _URL.finditer(text):
            yield Span(match.start(), match.start() + len(match.group().rstrip(".,;:)]}")), "URL", "url")
    for match in _BARE_HOST.finditer(text):
        yield Span(match.start(), match.end(), "URL", "host")
    for expression, kind, rule in (
        (_UID, "ID", "uid"),
        (_IP, "URL", "ip"),
        (_SSN, "ID", "ssn"),
        (_PHONE, "PHONE", "phone"),
    ):
        for match in expression.finditer(text):
            yield Span(match.start(), match.end(), kind, rule)
    yield from _labelled_phones(text)
    dated = sorted((date.start, date.end) for date in dates)
    yield from _labelled_ids(text, dated)
    for match in _BARE_ID.finditer(text):
        if not _UNITS.match(text, match.end()) and not _within(match.span(), dated):
            yield Span(match.start(), match.end(), "ID", "id-bare")
    yield from find_ages(text)
    yield from _addresses(reading, lexicon)


def _labelled_phones(text: str) -> Iterator[Span]:
    for match in _PHONE_LABEL.finditer(text):
        digits = re.search(r"[(+]?\d", match.group())
        if digits is None:
            continue
        start = match.start() + digits.start()
        number = text[start : match.end()]
        count = sum(character.isdigit() for character in number)
        if count < 3 or (count == 4 and _CLOCK_AFTER.match(text, match.end()) and "pag" not in match.group().lower()):
            continue
        yield Span(start, match.end(), "PHONE", "phone-labelled")


def _within(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    at = bisect_right(others, (span[0], len(others) and others[-1][1]))
    return any(start <= span[0] and span[1] <= end for start, end in others[max(0, at - 2) : at])


def _labelled_ids(text: str, dated: list[tuple[int, int]]) -> Iterator[Span]:
    for match in _LABELLED_ID.finditer(text):
        value = match["value"]
        digits = sum(character.isdigit() for character in value)
        marked = any(mark in match["mark"] for mark in ":#=") or bool(
            re.search(r"no|num|id", match["mark"], re.IGNORECASE)
        )
        strong = bool(_STRONG_LABEL.match(match.group()))
        mixed = digits < len(value) - 1 and value[:2].isalpha() and value[:2].isupper() and " " not in value
        if digits < 3 or (not marked and digits < (4 if strong else 5) and not mixed):
            continue
        if not marked and not strong and not mixed and _UNITS.match(text, match.end()):
            continue
        start, end = match.span("value")
        if _DATED_LABEL.match(match.group()) and _within((start, end), dated):
            continue
        letters = re.match(r"[A-Za-z]{3,6}\ ", value)
        yield Span(start + (letters.end() if letters else 0), end, "ID", "id-labelled")


def find_ages(text: str) -> Iterator[Span]:
    """Ages of 90 and more (45 CFR 164.514(b)(2)(i)(C)): the number only."""
    for match in _AGE.finditer(text):
        for group in ("n", "m", "w", "d"):
            if match[group]:
                yield Span(*match.span(group), "AGE", "age")


def _addresses(reading: Reading, lexicon: Lexicon) -> Iterator[Span]:
    text = reading.text
    for match in _PO_BOX.finditer(text):
        yield Span(match.start(), match.end(), "ADDRESS", "po-box")
    for match in _STREET_NUMBER.finditer(text):
        end = _street_end(reading, match.end(), lexicon)
        if end:
            unit = _UNIT_OF_HOUSE.match(text, end)
            yield Span(match.start(), unit.end() if unit else end, "ADDRESS", "street")
    for match in _ZIP.finditer(text):
        start = _city_start(reading, match.start(), lexicon)
        if start is not None:
            yield Span(start, match.end(), "ADDRESS", "city-state-zip")


def _street_end(reading: Reading, start: int, lexicon: Lexicon) -> int | None:
    """Where a street name that begins at `start` ends: up to four words and a street type, no medicine among them."""
    words = reading.words_between(start, min(len(reading.text), start + 60))
    if not words:
        return None
    unguarded = False
    for count, index in enumerate(words):
        gap = reading.gap(index - 1) if count else ""
        if "\n" in gap or _STREET_GAP.sub("", gap):
            return None
        word, shouted = reading.words[index], reading.shouted[index]
        if count and word in lexicon.cues["street_types"] and (reading.shapes[index] != 0):
            following = reading.after(index, 2)
            if (unguarded or not shouted) and word not in lexicon.cues["street_types_weak"]:
                return reading.ends[index]
            if unguarded and (
                following[:1] in ",.\n" or following == "" or shouted or following.startswith((" #", ","))
            ):
                return reading.ends[index] + (following[:1] == ".")
            if unguarded and _UNIT_OF_HOUSE.match(reading.text, reading.ends[index]):
                return reading.ends[index]
        if count and word in ("st", "nd", "rd", "th") and gap.strip(" .").isdigit():
            unguarded = True
            continue
        if count >= 5 or reading.shapes[index] == 0:
            return None
        if word in lexicon.cues["name_stops"] or word in lexicon.months:
            return None
        unguarded = unguarded or word not in lexicon.clinical
    return None


def _city_start(reading: Reading, zip_start: int, lexicon: Lexicon) -> int | None:
    """Where `City, ST` before a ZIP code begins, or `None`."""
    text = reading.text
    before = reading.words_between(max(0, zip_start - 40), zip_start)
    if not before or text[reading.ends[before[-1]] : zip_start].strip(" ,."):
        return None
    state = before[-1]
    first_of_state = state
    if reading.words[state] not in lexicon.states or reading.shapes[state] == 0:
        return None
    if state and f"{reading.words[state - 1]} {reading.words[state]}" in lexicon.states:
        first_of_state = state - 1
    if len(reading.words[state]) == 2 and reading.shapes[state] != 2:
        return None
    start = reading.starts[first_of_state]
    for index in range(first_of_state - 1, max(-1, first_of_state - 4), -1):
        gap = reading.gap(index)
        if (
            gap.strip(" ") not in ("", ",", ".", "-")
            or reading.shapes[index] == 0
            or (gap.strip(" ") == "," and index != first_of_state - 1)
        ):
            break
        if reading.words[index] in lexicon.cues["name_stops"] or reading.words[index] in lexicon.cues["street_types"]:
            break
        start = reading.starts[index]
    return start
