"""The words and written forms of one language, read once per process.

Belongs here: reading `languages/<code>/` into sets and compiled expressions, and the questions rules ask of a word.  The
words themselves are data: each file's first line (or its `about`) says where they come from.  A language is a folder;
nothing else has to be told.  `cues.json` holds tables of words, `forms.json` orders, endings and expressions over folded
text; each language has every table and expression that English has, empty or null where it has nothing to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.vocabulary import Vocabulary

_LANGUAGES = Path(__file__).parent / "languages"
_REFERENCE = "en"

FREQUENT_FAMILY_NAMES = 15000
"""A lone capitalised word counts as a family name up to this rank; below it the list holds too many ordinary words."""

DateOrder = Literal["mdy", "dmy", "ymd"]

_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Calendar:
    """Names of months and weekdays in order, with what a date is written with; lower case, folded."""

    order: DateOrder
    month_names: tuple[str, ...]
    month_abbreviations: tuple[tuple[str, ...], ...]
    weekdays: tuple[str, ...]
    ordinals: Mapping[str, str]
    ordinal_suffixes: frozenset[str]
    fillers: frozenset[str]

    def ordinal(self, day: int) -> str:
        """What is written behind the number of a day: `st`, `nd`, `.`."""
        return self.ordinals.get(str(day), self.ordinals.get("*", ""))


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Sets of lower-case, folded words of one language.

    `clinical` words need strong context to be names, `common` ones some; `guarded` is both.  `cues` holds the tables of
    `cues.json`, `expressions` those of `forms.json`, by name.
    """

    language: str
    clinical: frozenset[str]
    common: frozenset[str]
    guarded: frozenset[str]
    ordinary: frozenset[str]
    """Further words of the language that are in no list of names; empty where the language has no such list."""
    also_words: frozenset[str]
    """Names that are also words, and mean the word when they are written like one."""
    given: frozenset[str]
    family: frozenset[str]
    frequent_family: frozenset[str]
    given_pool: tuple[str, ...]
    family_pool: tuple[str, ...]
    eponyms: frozenset[str]
    eponyms_alone: frozenset[str]
    eponym_nouns: frozenset[str]
    nicknames: dict[str, frozenset[str]]
    cues: dict[str, frozenset[str]]
    months: dict[str, int]
    states: frozenset[str]
    places: frozenset[str]
    calendar: Calendar
    digraphs: dict[str, str]
    """Letters that are also written as two: `ü` as `ue`."""
    nouns_in_capitals: bool
    """Whether every noun has a capital, which then says nothing of names (German)."""
    two_family_names: bool
    """Whether people bear two family names (Spanish)."""
    unlisted_names: bool
    """Whether the lists are short, so that an unlisted capital is believed to be a name earlier."""
    expressions: dict[str, re.Pattern[str]]

    def is_name(self, word: str) -> bool:
        """In a list of names, and no word of the language."""
        return word not in self.guarded and (word in self.given or word in self.family)

    def is_listed(self, word: str) -> bool:
        """A given name, or a frequent family name."""
        return word in self.given or word in self.frequent_family

    @cached_property
    def eponym_pairs(self) -> dict[str, frozenset[str]]:
        """First words of eponyms of two words (`le_fort`, `waters_view`), each with the words behind it."""
        pairs: dict[str, set[str]] = {}
        for first, mark, second in (word.partition("_") for word in self.eponyms_alone):
            if mark:
                pairs.setdefault(first, set()).add(second)
        return {first: frozenset(seconds) for first, seconds in pairs.items()}

    @cached_property
    def facility_heads(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Nouns of institutions by their first word, the longest first."""
        heads: dict[str, list[tuple[str, ...]]] = {}
        for noun in self.cues["facility_heads"]:
            words = tuple(noun.replace("'", "").split())
            heads.setdefault(words[0], []).append(words)
        return {first: tuple(sorted(nouns, key=len, reverse=True)) for first, nouns in heads.items()}


def languages() -> tuple[str, ...]:
    """Codes of the languages that ship."""
    return tuple(sorted(folder.name for folder in _LANGUAGES.iterdir() if (folder / "cues.json").is_file()))


@lru_cache(maxsize=8)
def lexicon(language: str) -> Lexicon:
    """The lexicon of a language.  Raises `ValueError` for one that does not ship."""
    if language not in languages():
        raise ValueError(f"language {language!r}: expected one of {', '.join(languages())}")
    folder = _LANGUAGES / language
    cues, forms = checked_tables(folder / "cues.json"), checked_tables(folder / "forms.json")
    spell = _Speller(forms["digraphs"])
    shared = [_LANGUAGES / other for other in forms["names_also_of"]]
    given = spell.all(_words(folder / "given_names.txt")) + _everywhere(
        (folder, *shared), "more_given_names.txt", spell
    )
    frequent = spell.all(_words(folder / "family_names.txt")[:FREQUENT_FAMILY_NAMES])
    others = _everywhere((folder, *shared), "more_family_names.txt", spell)
    family = spell.all(_words(folder / "family_names.txt")) + others
    names = frozenset(given) | frozenset(family)
    months = {spelt: number for month, number in cues["months"].items() for spelt in spell.one(month)}
    clinical = frozenset(spell.all(_words(folder / "clinical_words.txt")))
    common = frozenset(spell.all(_words(folder / "common_words.txt"))) | frozenset(months)
    guarded = clinical | common

    def grown(words: frozenset[str], heads: frozenset[str]) -> frozenset[str]:
        if not (forms["word_endings"] or forms["least_compound"]):
            return words
        return Vocabulary(
            words, endings=forms["word_endings"], heads=heads, least=forms["least_compound"], never=names - words
        )

    medicine = (folder, *(_LANGUAGES / other for other in forms["eponyms_also_of"]))
    eponyms = frozenset(_everywhere(medicine, "eponyms.txt", spell))
    return Lexicon(
        language=language,
        clinical=grown(clinical, clinical),
        common=grown(common, frozenset()),
        guarded=grown(guarded, clinical),
        ordinary=frozenset(spell.all(_words(folder / "ordinary_words.txt"))),
        also_words=frozenset(spell.all(_words(folder / "names_also_words.txt"))),
        given=frozenset(given),
        family=frozenset(family),
        frequent_family=frozenset(frequent) | frozenset(others),
        given_pool=_pool(given, 1000, guarded | eponyms),
        family_pool=_pool(family, 2000, guarded | eponyms),
        eponyms=eponyms,
        eponyms_alone=frozenset(_everywhere(medicine, "eponyms_alone.txt", spell)),
        eponym_nouns=grown(frozenset(spell.all(_words(folder / "eponym_nouns.txt"))), frozenset()),
        nicknames=_nicknames(folder / "nicknames.txt"),
        cues={name: frozenset(spell.all(words)) for name, words in cues["words"].items()},
        months=months,
        states=frozenset(spell.all(cues["states"])),
        places=frozenset(spell.all(_words(folder / "places.txt"))),
        calendar=_calendar(cues, forms, spell),
        digraphs=dict(forms["digraphs"]),
        nouns_in_capitals=forms["nouns_in_capitals"],
        two_family_names=forms["two_family_names"],
        unlisted_names=forms["unlisted_names"],
        expressions={name: _compiled(source) for name, source in forms["expressions"].items()},
    )


def checked_tables(path: Path) -> dict[str, Any]:
    """A language's `cues.json` or `forms.json`.

    Raises `ValueError` where a table that English has is missing: an absent table is an error, not an empty one.
    """
    own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    inner = "words" if path.name == "cues.json" else "expressions"
    wanted = json.loads((_LANGUAGES / _REFERENCE / path.name).read_text(encoding="utf-8"))
    differing = (wanted.keys() ^ own.keys()) | (wanted[inner].keys() ^ own.get(inner, {}).keys())
    if differing:
        raise ValueError(
            f"{path.parent.name}/{path.name}: expected the tables of English, differing: {sorted(differing)}"
        )
    return own


def _compiled(source: str | list[str] | None) -> re.Pattern[str]:
    """An expression over folded text: its own letters are folded too."""
    if source is None:
        return _NOTHING
    return re.compile(fold_plain("".join(source)))


def _calendar(cues: dict[str, Any], forms: dict[str, Any], spell: _Speller) -> Calendar:
    return Calendar(
        order=cast(DateOrder, forms["date_order"]),
        month_names=tuple(forms["month_names"]),
        month_abbreviations=tuple(tuple(month) for month in forms["month_abbreviations"]),
        weekdays=tuple(forms["weekdays"]),
        ordinals=forms["ordinals"],
        ordinal_suffixes=frozenset(spell.all(cues["words"]["ordinal_suffixes"])),
        fillers=frozenset(spell.all(cues["words"]["date_fillers"])),
    )


class _Speller:
    """Words as readings have them: folded, and a second time with digraphs for umlauts (`Müller`: `muller`, `mueller`)."""

    def __init__(self, digraphs: Mapping[str, str]) -> None:
        self._digraphs = str.maketrans(dict(digraphs))

    def one(self, word: str) -> tuple[str, ...]:
        if word.isascii():
            return (word,)
        lower = word.lower()
        return tuple(dict.fromkeys((fold_plain(lower), fold_plain(lower.translate(self._digraphs)))))

    def all(self, words: Iterable[str]) -> list[str]:
        return [spelt for word in words for spelt in self.one(word)]


def _everywhere(folders: Iterable[Path], name: str, spell: _Speller) -> list[str]:
    return [word for folder in folders for word in spell.all(_words(folder / name))]


def _pool(names: list[str], size: int, words: frozenset[str]) -> tuple[str, ...]:
    """Frequent names that are nothing else, from which surrogates are taken."""
    return tuple(dict.fromkeys(name for name in names[: size * 2] if len(name) >= 4 and name not in words))[:size]


def _words(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [
        word
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
        for word in line.split()
    ]


def _nicknames(path: Path) -> dict[str, frozenset[str]]:
    """Each line is one circle of given names; a name reaches every name of its circles."""
    circles: dict[str, set[str]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                names = [fold_plain(name) for name in line.split()]
                for name in names:
                    circles.setdefault(name, set()).update(names)
    return {name: frozenset(circle - {name}) for name, circle in circles.items()}
