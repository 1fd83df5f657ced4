"""The stricter search: one patient's own identifiers in that patient's own cleaned record.

Belongs here: what would raise false alarms over a whole hospital but not over one record: single name parts, typing
errors, initials, fragments of ids, the birth date in any rendering.  All strong forms of `index` count as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import lru_cache

from pydicom import Dataset
from rapidfuzz.distance import OSA

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify.containers import Place, is_plain, places
from gradient_assets.deid.verify.dates import known_days, written_dates
from gradient_assets.deid.verify.findings import Hit
from gradient_assets.deid.verify.folding import (
    View,
    byte_views,
    fold,
    glue,
    is_text,
    original_span,
    readable_runs,
    text_views,
)
from gradient_assets.deid.verify.forms import forms_of, town_forms, town_names
from gradient_assets.deid.verify.index import IdentifierIndex
from gradient_assets.deid.verify.names import PersonName, people
from gradient_assets.deid.verify.uids import is_uid
from gradient_assets.deid.verify.vocabulary import is_degenerate, is_ordinary, is_placeholder, word_set, words

MIN_PART = 3
"""Letters of a name part that counts by itself as a whole word."""
MIN_FUZZY = 6
"""Letters of a name part that counts with one typing error."""
MIN_FRAGMENT = 6
"""Characters of an id that count as a fragment of it."""
MIN_SPREAD = 7
"""Letters of a name part that counts in pieces as well: `Q U O R V A T H`, `Quor-` and `vath` on the next line."""
MAX_GAP = 3
"""Signs between two pieces: a hyphen and a line break."""
READABLE_RUN = 8
"""Bytes in a row that must be readable for weak forms to be looked for in a value that is no text."""
_CACHED_PATIENTS = 256

MIN_LOGIN = 4
"""Letters of a family name that counts in a login, with initials before or behind it (`jgomez`, `gomezj`)."""
MIN_TOWN = 4
"""Letters of a town that counts by itself."""

_DIGITS_READ = str.maketrans("0134568", "oleasgb")
_LETTERS_READ = (("rn", "m"), ("vv", "w"), ("cl", "d"))
"""What optical recognition makes of letters, put right."""
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{9,}")
_POSTAL_CODE = re.compile(r"(?<!\w)\d{5}(?=(?:-\d{4})?(?:\s*$|[\s,;]))")
_BORN = re.compile(
    r"(?:\bborn|\bd\.?o\.?b|\by\.?o\.?b|birth|\bgeb|\bjahrgang|\bnac)[^\d\n]{0,24}((?:18|19|20)\d\d)(?!\d)"
)
_DERIVED = re.compile(r"(?<![a-z0-9])(?:[pax][a-z2-7]{15,16}|[0-9a-f]{32}|2\.25\.\d{1,39})(?![a-z0-9])")
"""What the platform writes in place of identifiers: pseudonyms, tokens of 32 hexadecimal digits, new UIDs."""
_TOKEN = re.compile(r"[^\W_]+")
_HONORIFIC = words("honorifics")
_FREE_VRS = frozenset({"PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR"})
"""VRs that an id may be written in; a CS or AE of a few letters is too often equal to a short id by chance."""
_LABEL_REACH = 3
"""Words before a short id within which its label (`MRN`, `ID`) must stand."""


class OwnRecord:
    """What is looked for in one patient's record; made once per patient and kept for the next record."""

    def __init__(self, identifiers: KnownIdentifiers) -> None:
        extra = [form for value in identifiers.addresses for form in town_forms(value)]
        self.index = IdentifierIndex([*forms_of(identifiers), *extra], {})
        self.births = known_days(identifiers.birth_dates)
        self.birth_digits = {f"{day:{form}}" for day in self.births for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y")}
        self.towns = {town for value in identifiers.addresses for town in town_names(value) if len(town[0]) >= MIN_TOWN}
        self.codes = {code for value in identifiers.addresses for code in _POSTAL_CODE.findall(value)}
        self.studies = known_days(identifiers.study_dates)
        self.kind_of_part: dict[str, str] = {}
        self.companions: dict[str, set[str]] = {}
        self.initials: dict[str, set[str]] = {}
        self.logins: dict[str, str] = {}
        for kind, values in (
            ("name", identifiers.patient_names),
            ("relative", identifiers.relatives),
            ("physician", identifiers.physicians),
        ):
            for name in (name for value in values for name in people(value)):
                self._learn(name, kind)
        self.spread = {part for part in self.kind_of_part if len(part) >= MIN_SPREAD and not is_ordinary(part)}
        self.beginnings = {part[:length] for part in self.spread for length in range(1, len(part) + 1)}
        self.fuzzy = [part for part in self.kind_of_part if len(part) >= MIN_FUZZY and not is_ordinary(part)]
        numbers = (*identifiers.patient_ids, *identifiers.accession_numbers, *identifiers.other_ids)
        self.ids = {glue(value) for value in numbers if is_countable_id(value)}
        # `MRN-0048213` is also written as `48213`.
        self.ids |= {core for glued in self.ids if len(core := _digits_at_end(glued)) >= MIN_FRAGMENT - 1}
        self.whole_ids = {glue(value) for value in numbers if not is_degenerate(fold(value)) and not is_uid(value)}
        self.short_ids = {glued for glued in self.ids if len(glued) < MIN_FRAGMENT}

    def _learn(self, name: PersonName, kind: str) -> None:
        parts = {part for part in name.parts if not is_placeholder(part) and part not in words("titles")}
        for part in parts:
            self.companions.setdefault(part, set()).update(parts - {part})
            if len(part) >= MIN_PART and not any(sign.isdigit() for sign in part):
                self.kind_of_part.setdefault(part, kind)
        for part in name.family:
            if len(part) >= 2 and not is_placeholder(part):
                self.kind_of_part.setdefault(part, kind)
                self.initials.setdefault(part, set()).update(given[0] for given in (*name.given, *name.middle))

        for part in name.family:
            if len(part) < MIN_LOGIN or not part.isalpha() or is_placeholder(part):
                continue
            letters = [given[0] for given in (*name.given, *name.middle)]
            for initials in {*letters, "".join(letters)} - {""}:
                self.logins.update((one, kind) for one in (initials + part, part + initials) if not is_ordinary(one))

    def hits(self, view: View, where: str) -> Iterator[Hit]:
        """Weak forms in one view of the text; the strong ones come from `index`."""
        found = [_Word(match[0], match.start(), match.end()) for match in _TOKEN.finditer(_masked(view.folded))]
        for place, word in enumerate(found):
            yield from self._name_hits(view, found, place, where)
            if word.folded in self.beginnings:
                yield from self._spread_hits(found, place, where)
            if len(word.folded) >= 2 and any(sign.isdigit() for sign in word.folded):
                yield from self._id_hits(found, place, where)

    def _name_hits(self, view: View, found: list[_Word], place: int, where: str) -> Iterator[Hit]:
        word = found[place]
        part = self._part(word.folded)
        if part is None:
            if self._misspelt(word.folded):
                yield Hit("name", where, "one_typing_error", word.start, word.end)
            elif word.folded in self.logins:
                yield Hit(self.logins[word.folded], where, "login", word.start, word.end)
            elif (read := self._misread(word.folded)) is not None:
                yield Hit(self.kind_of_part[read], where, "misread_name", word.start, word.end)
            return
        kind = self.kind_of_part[part]
        following = found[place + 1].folded if place + 1 < len(found) else ""
        if following == "s" and place + 2 < len(found):
            following = found[place + 2].folded
        if not is_ordinary(part) and len(part) >= MIN_PART and following not in word_set("eponym_nouns"):
            yield Hit(kind, where, "name_part", word.start, word.end)
        elif self._in_name_context(view, found, place, part):
            yield Hit(kind, where, "name_part_in_context", word.start, word.end)

    def _spread_hits(self, found: list[_Word], place: int, where: str) -> Iterator[Hit]:
        """A long part whose letters stand apart; two words that mean something (`white head`) are no name."""
        glued = ""
        for last in range(place, len(found)):
            glued += found[last].folded
            if glued not in self.beginnings or found[last].start - found[max(place, last - 1)].end > MAX_GAP:
                return
            pieces = found[place : last + 1]
            if glued in self.spread and len(pieces) > 1:
                if not all(len(piece.folded) > 1 and is_ordinary(piece.folded) for piece in pieces):
                    yield Hit(self.kind_of_part[glued], where, "name_in_pieces", found[place].start, found[last].end)
                return

    def _part(self, folded: str) -> str | None:
        if folded in self.kind_of_part:
            return folded
        bare = folded[:-1]
        if folded.endswith("s") and len(bare) >= 5 and bare in self.kind_of_part and not is_ordinary(bare):
            return None if is_ordinary(folded) else bare
        return None

    def _misspelt(self, folded: str) -> bool:
        if len(folded) < MIN_FUZZY - 1 or not folded.isalpha() or is_ordinary(folded):
            return False
        if folded.endswith("s") and is_ordinary(folded[:-1]):
            return False
        return any(
            abs(len(part) - len(folded)) <= 1
            and (part[0] == folded[0] or part[-1] == folded[-1])
            and OSA.distance(part, folded, score_cutoff=1) <= 1
            for part in self.fuzzy
        )

    def _misread(self, folded: str) -> str | None:
        """The part that a machine may have read as this word: `g0mez`, `gornez`."""
        if len(folded) < MIN_LOGIN or is_ordinary(folded):
            return None
        digits = sum(sign.isdigit() for sign in folded)
        readings = {folded.replace(shown, letter) for shown, letter in _LETTERS_READ if shown in folded}
        if digits and digits * 2 < len(folded):
            read = folded.translate(_DIGITS_READ)
            readings |= {read, read.replace("l", "i") if "1" in folded else read}
        return next((one for one in readings if one in self.kind_of_part and not is_ordinary(one)), None)

    def place_hits(self, view: View, where: str) -> Iterator[Hit]:
        """The town and the postal code by themselves.  For reports only: in a header, the hospital's own town may stay."""
        words_of = [_Word(match[0], match.start(), match.end()) for match in _TOKEN.finditer(view.folded)]
        for place, word in enumerate(words_of):
            for town in self.towns:
                if word.folded != town[0] or tuple(one.folded for one in words_of[place : place + len(town)]) != town:
                    continue
                last = words_of[place + len(town) - 1]
                following = words_of[place + len(town)].folded if place + len(town) < len(words_of) else ""
                if view.cased[word.start].isupper() and following not in word_set("eponym_nouns"):
                    yield Hit("address", where, "own_town", word.start, last.end)
            if word.folded in self.codes and view.folded[max(0, word.start - 1) : word.start] not in (".", ","):
                yield Hit("address", where, "own_postal_code", word.start, word.end)

    def _in_name_context(self, view: View, found: list[_Word], place: int, part: str) -> bool:
        """`J. White`, `White, J.`, `Mr. White`, `White^John`: capitals, and a title, initial or other part beside it."""
        word = found[place]
        if not view.cased[word.start].isupper():
            return False
        capitals = view.cased[word.start : word.end].isupper()
        for neighbour in found[max(0, place - 1) : place] + found[place + 1 : place + 2]:
            between = view.cased[min(word.end, neighbour.end) : max(word.start, neighbour.start)]
            if len(between) > 3 or not view.cased[neighbour.start].isupper() or ".\n" in between:
                continue
            if neighbour.start < word.start and neighbour.folded in _HONORIFIC and between.strip(" .") == "":
                return True
            written = view.cased[neighbour.start : neighbour.end]
            if neighbour.folded in self.companions.get(part, ()) and written.isupper() == (
                capitals or len(written) == 1
            ):
                return True
            initial = len(neighbour.folded) == 1 and neighbour.folded in self.initials.get(part, ())
            if initial and (
                (neighbour.start > word.start and "," in between) or between.startswith(".") or "^" in between
            ):
                return True
        return False

    def _id_hits(self, found: list[_Word], place: int, where: str) -> Iterator[Hit]:
        word, token = found[place], found[place].folded
        if token in self.short_ids:
            before = {word.folded for word in found[max(0, place - _LABEL_REACH) : place]}
            if len(token) >= 5 or before & word_set("id_labels"):
                yield Hit("id", where, "short_id", word.start, word.end)
            return
        pieces = {token} | {run for run in re.findall(r"\d+", token) if not token.isdigit()}
        for piece in pieces:
            for identifier in self.ids:
                if self._is_fragment(piece, identifier):
                    yield Hit("id", where, "id_fragment", word.start, word.end)
                    return

    @staticmethod
    def _is_fragment(piece: str, identifier: str) -> bool:
        if not any(sign.isdigit() for sign in piece):
            return False
        if len(piece) >= MIN_FRAGMENT and piece in identifier:
            return True
        bare = identifier.lstrip("0")
        return len(bare) >= 5 and piece.lstrip("0") == bare

    def births_but(self, study_dates: bool) -> frozenset[date]:
        """Birth dates that must not occur: where study dates may stay, one that is also a study date (a newborn's, a
        phantom's) tells nothing."""
        return self.births if study_dates else self.births - self.studies

    def is_whole_id(self, value: str) -> bool:
        """Whether a whole value is one of the patient's ids, short ones and those without digits included."""
        glued = glue(value)
        return glued in self.whole_ids and len(glued) >= 3 and (len(glued) >= 5 or not glued.isdigit())

    def date_hits(self, view: View, where: str, *, study_dates: bool) -> Iterator[Hit]:
        """The birth date, and on demand the study dates, in any rendering."""
        births = self.births_but(study_dates)
        if self.birth_digits:
            for match in _LONG_NUMBER.finditer(_masked(view.folded)):
                if any(digits in match[0] for digits in self.birth_digits):
                    yield Hit("birth_date", where, "birth_date_in_number", match.start(), match.end())
        for written in written_dates(_masked(view.folded)):
            if written.readings & births:
                yield Hit("birth_date", where, "own_birth_date", written.start, written.end)
            elif study_dates and written.readings & self.studies:
                yield Hit("study_date", where, "own_study_date", written.start, written.end)

    def year_hits(self, view: View, where: str) -> Iterator[Hit]:
        """The year of birth behind a label of birth."""
        years = {str(day.year) for day in self.births}
        for match in _BORN.finditer(view.folded) if years else ():
            if match[1] in years:
                yield Hit("birth_date", where, "own_birth_year", *match.span(1))


class _Word:
    __slots__ = ("end", "folded", "start")

    def __init__(self, folded: str, start: int, end: int) -> None:
        self.folded, self.start, self.end = folded, start, end


@lru_cache(maxsize=_CACHED_PATIENTS)
def _record_of(identifiers: KnownIdentifiers) -> OwnRecord:
    return OwnRecord(identifiers)


def _digits_at_end(glued: str) -> str:
    return glued[len(glued.rstrip("0123456789")) :].lstrip("0")


def is_countable_id(value: str) -> bool:
    """Whether an id may be searched by fragment: no UID (its parts are other UIDs' parts), no placeholder, has a digit."""
    glued = glue(value)
    return len(glued) >= 2 and not glued.isalpha() and not is_uid(value) and not is_degenerate(fold(value))


def _masked(folded: str) -> str:
    return _DERIVED.sub(lambda match: " " * len(match[0]), folded)


def residual_in_text(
    text: str, identifiers: KnownIdentifiers, *, study_dates: bool = False, where: str = "text"
) -> list[Hit]:
    """What is left of the patient's own identifiers in text that was cleaned, place by place; the town, the postal code and
    a year of birth behind its label among them.

    Hits carry offsets into `text`, so that they can be blacked out; those that only show when an escape (`&uuml;`, `%20`) is
    undone have none.  `study_dates`: also count the original study dates (a profile that shifts or coarsens them).
    """
    record = _record_of(identifiers)
    found: dict[tuple[Hit, int | None, int | None], Hit] = {}
    for number, view in enumerate(text_views(text)):
        seen = {(hit.kind, hit.rule) for hit in found.values()}
        in_reports = (*record.place_hits(view, where), *record.year_hits(view, where))
        for hit in (*_hits_in(record, view, where, study_dates), *in_reports):
            if number == 0 and hit.start is not None and hit.end is not None:
                start, end = original_span(text, hit.start, hit.end)
                found[hit, start, end] = replace(hit, start=start, end=end)
            elif (hit.kind, hit.rule) not in seen:
                found[hit, None, None] = replace(hit, start=None, end=None)
    return list(found.values())


def _hits_in(record: OwnRecord, view: View, where: str, study_dates: bool) -> Iterator[Hit]:
    for form, start, end in record.index.places_in(view):
        yield Hit(form.kind, where, form.rule, start, end)
    yield from record.hits(view, where)
    yield from record.date_hits(view, where, study_dates=study_dates)


def _residual(record: OwnRecord, views: Iterator[View], where: str, study_dates: bool) -> list[Hit]:
    """Each kind and rule once."""
    return list(dict.fromkeys(hit for view in views for hit in _hits_in(record, view, where, study_dates)))


def residual_in_dataset(dataset: Dataset, identifiers: KnownIdentifiers, *, study_dates: bool = False) -> list[Hit]:
    """What is left of the patient's own identifiers in any value of a cleaned dataset, file meta and private values
    included.  `study_dates`: dates are shifted or coarsened, so that an original study date is a hit as well.

    Raises `Refused` (`NESTED_TOO_DEEP`, `UNREADABLE_HEADER`) if a value can't be read.
    """
    record = _record_of(identifiers)
    hits: dict[Hit, None] = {}
    for place in places(dataset):
        if not is_plain(place):
            hits.update(dict.fromkeys(_place_hits(place, record, study_dates)))
        elif place.vr in {"DA", "DT"}:
            hits.update(dict.fromkeys(_dicom_date_hits(place, record, study_dates)))
        else:
            hits.update(dict.fromkeys(_long_number_hits(place, record)))
    return list(hits)


def _place_hits(place: Place, record: OwnRecord, study_dates: bool) -> list[Hit]:
    if isinstance(place.content, str):
        hits = _residual(record, text_views(place.content), place.where, study_dates)
        if not hits and place.vr in _FREE_VRS and record.is_whole_id(place.content):
            return [Hit("id", place.where, "value_is_id")]
        return hits
    if is_text(place.content):
        return _residual(record, byte_views(place.content), place.where, study_dates)
    # In bytes that are no text, three letters stand side by side by chance: once in 7 MB for a given name part.
    strong = record.index.search_bytes(place.content, place.where)
    if place.is_pixels:
        return strong
    runs = readable_runs(place.content, shortest=READABLE_RUN)
    return strong + _residual(record, text_views(runs), place.where, study_dates)


def _long_number_hits(place: Place, record: OwnRecord) -> Iterator[Hit]:
    number = str(place.content).strip()
    if place.vr == "IS" and len(number) > MIN_FRAGMENT and number in record.ids:
        yield Hit("id", place.where, "id_as_number")


def _dicom_date_hits(place: Place, record: OwnRecord, study_dates: bool) -> Iterator[Hit]:
    # 1 January is what a date looks like of which only the year was kept.
    days = {day for day in known_days([str(place.content)]) if (day.month, day.day) != (1, 1)}
    if days & record.births_but(study_dates):
        yield Hit("birth_date", place.where, "own_birth_date")
    elif study_dates and days & record.studies:
        yield Hit("study_date", place.where, "own_study_date")


__all__ = ["OwnRecord", "residual_in_dataset", "residual_in_text"]
