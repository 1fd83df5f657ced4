"""Full names of the patient, relatives and physicians as they stand in the short texts of a header.

Belongs here: names that are known word by word, cut before the text engine sees the text.  In `MRI BRAIN DOE, JANE` or
`HIP Young` there is no sentence to tell a name from an exam, and `山田太郎様` has no blank to tell a word from the next.
Everything that takes judgement (misspellings, initials, cues, names of others) is the text engine's.
Parts and groups of names: PS3.5 6.2.1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gradient_assets.deid.headers._tables import table
from gradient_assets.deid.headers.contract import CleanedText, TextCleaner
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person

_SYLLABLES = r"\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
"""Chinese, Japanese and Korean: a part of one character (`王`) is a name only alone or before an honorific."""
_IN_SCRIPT = re.compile(rf"[{_SYLLABLES}]")
_HONORIFICS = "さん|様|氏|君|先生|医師|医生|医师|大夫|女士|小姐|님|씨|선생"
_SEPARATED = r"[\^ \u3000,、・]*"
_SHORTEST = 3
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class WithoutOwnNames:
    """What another text cleaner makes of a text whose known full names are cut already."""

    cleaner: TextCleaner

    def clean(self, text: str, identifiers: KnownIdentifiers, person: Person) -> CleanedText:
        """The text without identifiers.  Raises what the other cleaner raises."""
        names = pattern_of(identifiers.patient_names, (*identifiers.relatives, *identifiers.physicians))
        cut, count = names.subn("[NAME]", text)
        cleaned = self.cleaner.clean(cut, identifiers, person)
        return _Cut(cleaned.text, cleaned.removed + Counter(NAME=count)) if count else cleaned


@dataclass(frozen=True, slots=True)
class _Cut:
    text: str
    removed: Counter[str]


@lru_cache(maxsize=256)
def pattern_of(patients: tuple[str, ...], others: tuple[str, ...]) -> re.Pattern[str]:
    """Finds the full names of all, and the patients' family names at either end of a description.  Names in DICOM form."""
    found: dict[str, None] = {}
    for name in (*patients, *others):
        for group in name.split("="):
            found.update(dict.fromkeys(_in_script(group) if _IN_SCRIPT.search(group) else _in_letters(group)))
    for name in patients:
        found.update(dict.fromkeys(_at_an_end(name.split("=")[0])))
    return re.compile("|".join(found)) if found else _NOTHING


def _in_letters(group: str) -> Iterator[str]:
    family, *given = (part.strip() for part in group.split("^")[:3])
    first = given[0] if given else ""
    if min(len(family), len(first)) < 2:
        return
    family, first = re.escape(family), re.escape(first)
    middle = r"(?: \w\.?| " + re.escape(given[1]) + ")?" if len(given) > 1 and given[1] else r"(?: \w\.?(?!\w))?"
    yield rf"(?i:(?<!\w){family}(?:, ?| ?\^|[ _]){first}{middle.replace(' ', '[ ^]')}(?!\w))"
    yield rf"(?i:(?<!\w){first}{middle}[ _^]{family}(?!\w))"
    if not group.isascii():  # no word is made of two names with letters that few words have
        yield rf"(?i:(?<!\w)(?:{family}{first}|{first}{family})(?!\w))"


def _in_script(group: str) -> Iterator[str]:
    parts = [part for part in re.split(r"[\^\s,、・]+", group) if part]
    if len(parts) > 1:
        yield _SEPARATED.join(map(re.escape, parts))
        yield _SEPARATED.join(map(re.escape, (*parts[1:], parts[0])))
    for part in filter(_IN_SCRIPT.search, parts):
        if len(part) > 1:
            yield re.escape(part)
        else:
            yield rf"(?<![{_SYLLABLES}]){re.escape(part)}(?=(?:{_HONORIFICS})|[^{_SYLLABLES}]|$)"


def _at_an_end(group: str) -> Iterator[str]:
    """`HIP Young`, `YOUNG - US ABDOMEN`: a family name that is also a word, behind an exam or set off before it."""
    family = group.split("^")[0].strip()
    if len(family) >= _SHORTEST and family.casefold() not in table("identifying_elements")["no_names"]:
        forms = "|".join(sorted({re.escape(form) for form in (family.upper(), family[0].upper() + family[1:].lower())}))
        yield rf"(?<=\S )(?:{forms})(?=\s*$)"
        yield rf"^(?:{forms})(?=(?: -|:|,| /) )"
