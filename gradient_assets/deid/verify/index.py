"""Every identifier known for a hospital, in one automaton, and the search of what was written for any of them.

Belongs here: `IdentifierIndex`.  Aho–Corasick over letters and digits, without separators,
so that the time depends on the length of what is searched, not on the number of identifiers; each stop is judged by
`judging`.  The stricter search for one patient's own identifiers is in `own`; files are opened by `containers`.

Not found here, on purpose: single name parts, initials, ids under five characters, and birth dates without the name of
their owner near by; over a whole hospital they would be found in every second clean report.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from ahocorasick_rs import AhoCorasick, Implementation
from pydicom import Dataset

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import containers
from gradient_assets.deid.verify.dates import known_days, written_dates
from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.folding import View, byte_views, glue, text_views
from gradient_assets.deid.verify.forms import Form, any_id_forms, forms_of
from gradient_assets.deid.verify.judging import begin_of, holds
from gradient_assets.deid.verify.names import people
from gradient_assets.deid.verify.typos import Misspelt
from gradient_assets.deid.verify.uids import KnownUids, searched_uid
from gradient_assets.deid.verify.vocabulary import is_ordinary

NEAR = 80
"""Characters around a birth date in which its owner's name part makes it a hit."""
_SHORT_NUMBER = 6
"""Numeric ids up to this many digits are looked up digit run by digit run: in the automaton nearly every number of a
table would stop it (100,000 ids of six digits are a tenth of all six-digit numbers)."""
_JOINED = 1 << 16
"""Characters of values that are searched at a time."""
_RECORD_GAP = "\n" * 8
"""Between two values of a column: wider than any gap within an identifier."""
_DOTTED = re.compile(r"[0-9. \0]*\.[0-9. \0]*")
"""A UID, however short: `1.2.345` is not the number 12345."""
_YEAR = re.compile(r"(?:1[89]|20)\d\d|\d[-/.]\d\d?[-/.]\d\d(?!\d)")
"""What every written date holds: a year of four digits, or three short numbers."""
_LONGEST_DATE = 40
"""Characters of the longest way to write a day, with room."""
_LONG_RUN = re.compile(r"\d{5,}")
_DIGIT = re.compile(r"\d")
_WITHOUT_DIGITS = str.maketrans("0123456789", " " * 10)
_FEW = 32
"""Name parts that are looked for one by one."""


class IdentifierIndex:
    """Search for known identifiers.  Build once per hospital, share between threads, pickle to workers."""

    def __init__(
        self,
        forms: Iterable[Form],
        birth_dates: Mapping[date, frozenset[str] | None],
        misspelt: Misspelt | None = None,
        uids: Iterable[str] = (),
    ) -> None:
        long_forms: dict[str, list[Form]] = defaultdict(list)
        self._short_numbers: dict[str, list[Form]] = defaultdict(list)
        known_uids = set(uids)
        for form in forms:
            if form.judge == "uid":
                known_uids.add(form.spelled)
                continue
            numeric = form.glued.isdigit() and form.judge == "id" and len(form.glued) <= _SHORT_NUMBER
            target = self._short_numbers if numeric else long_forms
            if form not in target[form.glued]:
                target[form.glued].append(form)
        self._birth_dates = dict(birth_dates)
        self._lone_births = frozenset(day for day, parts in birth_dates.items() if parts is None)
        self._misspelt = misspelt or Misspelt(())
        owners = self._misspelt.parts.union(*(parts or () for parts in birth_dates.values()))
        self._numbered_owners = frozenset(part for part in owners if _DIGIT.search(part))
        self._owners = owners - self._numbered_owners
        self._long_forms = [(glued, tuple(found)) for glued, found in long_forms.items()]
        self._uids = KnownUids(known_uids)
        self._automaton = self._made()
        self.size = len(long_forms) + len(self._short_numbers) + len(self._uids)
        """Number of different forms that are searched."""

    def _made(self) -> AhoCorasick | None:
        """Separators are taken out before, and the places counted back: on 200,000 forms that is twice as fast as
        pyahocorasick, which skips them by itself (98 against 52 MB/s of reports, 50 against 25 of headers)."""
        if not self._long_forms:
            return None
        forms = [glued for glued, _ in self._long_forms]
        return AhoCorasick(forms, implementation=Implementation.ContiguousNFA, store_patterns=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_automaton": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._automaton = self._made()

    @classmethod
    def build(
        cls,
        records: Iterable[KnownIdentifiers],
        *,
        uids: Iterable[str] = (),
        spared: Iterable[str] = (),
        lone_birth_dates: bool = False,
    ) -> IdentifierIndex:
        """The index over all records of a hospital.

        `uids`: values of UID elements as sent, beside those in the records; one that is no UID is looked for as an id.
        `spared`: words that may occur although they are part of a record (the hospital's registry id).
        `lone_birth_dates`: count a birth date without its owner's name, too; only where dates are not shifted, else the
        shifted date of one patient is by chance the birth date of another.
        """
        spared_forms = {glue(value) for value in spared}
        forms: dict[Form, None] = {}
        names: set[str] = set()
        owners: dict[date, set[str]] = defaultdict(set)
        for known in records:
            forms.update(dict.fromkeys(form for form in forms_of(known) if form.glued not in spared_forms))
            names.update(known.patient_names)
            parts = {part for value in known.patient_names for name in people(value) for part in name.parts}
            for day in known_days(known.birth_dates):
                owners[day] |= {part for part in parts if len(part) >= 3 and not is_ordinary(part)}
        searched = set()
        for value in uids:
            if uid := searched_uid(value):
                searched.add(uid)
            elif not _DOTTED.fullmatch(value):
                forms.update(dict.fromkeys(any_id_forms(value, "uid")))
        births = {day: None if lone_birth_dates else frozenset(parts) for day, parts in owners.items()}
        return cls(forms, births, Misspelt(sorted(names)), searched)

    def __repr__(self) -> str:
        return f"IdentifierIndex({self.size} forms, {len(self._birth_dates)} birth dates)"

    def search_text(self, text: str, where: str = "") -> list[Hit]:
        """Every known identifier in the text, in the order of the views in which it was found."""
        return self._search(text_views(text), where)

    def search_bytes(self, content: bytes, where: str = "") -> list[Hit]:
        """Every known identifier in raw bytes, read as UTF-8, Latin-1 and UTF-16.

        Columns of a packed or compressed container (Parquet, SQLite, ZIP) are not opened: read them and search the values.
        """
        return self._search(byte_views(content), where)

    def search_key(self, object_key: str) -> list[Hit]:
        """Every known identifier in an object's key or a file's name."""
        return self.search_text(object_key, "key")

    def search_view(self, view: View, where: str = "") -> list[Hit]:
        """Every known identifier in one reading of a text."""
        return self._search((view,), where)

    def search_png(self, content: bytes) -> list[Hit]:
        """Hits in a PNG, its mere text chunks included (`containers.search_png`)."""
        return containers.search_png(content, self)

    def search_dicom(self, source: Dataset | bytes) -> list[Hit]:
        """Hits in every value of a dataset or file (`containers.search_dicom`).  Raises `Refused` if it can't be read."""
        return containers.search_dicom(source, self)

    def search_record(self, record: Mapping[str, object], where: str = "") -> list[Hit]:
        """Every known identifier in a table row, column by column, nested values included.

        Numbers that are stored as numbers are counts and measures, and are not searched; columns of strings are.
        """
        return [hit for name, value in record.items() for hit in self._search_value(value, f"{where}{name}")]

    def search_column(self, name: str, values: Iterable[object]) -> list[Hit]:
        """Every known identifier in many values of one column, many at a time: a call costs as much as 500 characters."""
        hits: list[Hit] = []
        waiting: list[str] = []
        length = 0
        for value in values:
            if not isinstance(value, str):
                hits += self._search_value(value, name)
                continue
            waiting.append(value)
            length += len(value)
            if length >= _JOINED:
                hits += self.search_text(_RECORD_GAP.join(waiting), name)
                waiting, length = [], 0
        return hits + (self.search_text(_RECORD_GAP.join(waiting), name) if waiting else [])

    def _search_value(self, value: object, where: str) -> list[Hit]:
        if value is None or isinstance(value, int | float):
            return []
        if isinstance(value, str):
            return self.search_text(value, where)
        if isinstance(value, bytes | bytearray | memoryview):
            return self.search_bytes(bytes(value), where)
        if isinstance(value, Mapping):
            return [hit for key, inner in value.items() for hit in self._search_value(inner, f"{where}.{key}")]
        if isinstance(value, date | datetime):
            return [Hit("birth_date", where, "lone_birth_date")] if self._is_lone_birth_date(value) else []
        if isinstance(value, Iterable):
            return [hit for inner in value for hit in self._search_value(inner, where)]
        return self.search_text(str(value), where)

    def _is_lone_birth_date(self, value: date) -> bool:
        day = value.date() if isinstance(value, datetime) else value
        return day in self._lone_births

    def _search(self, views: Iterable[View], where: str) -> list[Hit]:
        seen: dict[tuple[str, str], Hit] = {}
        hits: list[Hit] = []
        for view in views:
            # The same identifier read through two encodings is one hit; several in one reading are several.
            found = [form for form, _, _ in self.places_in(view)]
            found += self._lone_births_in(view)
            found += self._near_names(view)
            new = {(form.kind, form.rule) for form in found} - seen.keys()
            for form in found:
                key = (form.kind, form.rule)
                hit = seen.setdefault(key, Hit(form.kind, where, form.rule))
                if key in new:
                    hits.append(hit)
        return hits

    def places_in(self, view: View) -> Iterator[tuple[Form, int, int]]:
        """Each known form in one reading of a text, with its offsets in the view; birth dates are not among them."""
        if self._automaton is not None:
            matches = self._automaton.find_matches_as_indexes(view.blank.replace(" ", ""), overlapping=True)
            for (number, _, _), end in zip(matches, _ends(matches, view.blank), strict=True):
                forms = self._long_forms[number][1]
                start = begin_of(view, end, len(forms[0].glued))
                if start is not None:
                    yield from ((form, start, end) for form in forms if holds(view, start, end, form))
        if self._short_numbers:
            for match in _LONG_RUN.finditer(view.blank):
                for form in self._short_numbers.get(match[0], ()) if len(match[0]) <= _SHORT_NUMBER else ():
                    if holds(view, match.start(), match.end(), form):
                        yield form, match.start(), match.end()
        yield from ((_UID, start, end) for start, end in self._uids.places_in(view))

    def _lone_births_in(self, view: View) -> Iterator[Form]:
        if self._lone_births and any(
            not self._lone_births.isdisjoint(written.readings) for written in written_dates(view.folded)
        ):
            yield _LONE_BIRTH_DATE

    def _near_names(self, view: View) -> Iterator[Form]:
        """What needs a part of somebody's name near by: a birth date, the other part with a typing error.

        Names are rare in clean output and years are not: so the names are looked for first, all at once.
        """
        for part in self._owners_in(view.blank):
            for start in _places_of(part, view.blank):
                if any(True for _ in self._misspelt.places_beside(view, part, start)):
                    yield _MISSPELT_NAME
                first, last = max(0, start - NEAR - _LONGEST_DATE), start + len(part) + NEAR + _LONGEST_DATE
                if self._birth_dates and self._names_a_birth(view, part, start, first, last):
                    yield _NAMED_BIRTH_DATE

    def _owners_in(self, blank: str) -> frozenset[str]:
        """Parts of names that may stand in the text.

        Without their digits, headers have a fifth of the words: 5 µs a kB instead of 16, a third of the whole search.
        """
        words = blank.translate(_WITHOUT_DIGITS) if blank.isascii() else blank  # other texts are translated slowly
        found = self._owners.intersection(words.split())
        if len(self._numbered_owners) > _FEW:
            return found | self._numbered_owners.intersection(blank.split())
        return found.union(part for part in self._numbered_owners if part in blank)

    def _names_a_birth(self, view: View, part: str, start: int, first: int, last: int) -> bool:
        if not _YEAR.search(view.folded, first, last):
            return False
        return any(
            part in (self._birth_dates[day] or ())
            for written in written_dates(view.folded[first:last])
            if first + written.end >= start - NEAR and first + written.start <= start + len(part) + NEAR
            for day in written.readings & self._birth_dates.keys()
        )


def _ends(matches: list[tuple[int, int, int]], blank: str) -> Iterator[int]:
    """Ends (exclusive) of matches in the text with its separators, for ends in the text without; matches come by their end."""
    place = signs = 0  # so many signs stand before the place
    for _, _, end in matches:
        while signs < end:
            stride = min(
                len(blank) - place, max(1, end - signs)
            )  # never beyond the end: blanks only make it fewer signs
            signs += stride - blank.count(" ", place, place + stride)
            place += stride
        yield place


def _places_of(part: str, blank: str) -> Iterator[int]:
    """Where a part stands as a whole word."""
    start = blank.find(part)
    while start >= 0:
        end = start + len(part)
        if (start == 0 or blank[start - 1] == " ") and (end == len(blank) or blank[end] == " "):
            yield start
        start = blank.find(part, end)


_UID = Form("", "uid", "uid", "")
_LONE_BIRTH_DATE = Form("", "birth_date", "lone_birth_date", "")
_MISSPELT_NAME = Form("", "name", "one_typing_error", "")
_NAMED_BIRTH_DATE = Form("", "birth_date", "birth_date_with_name", "")
