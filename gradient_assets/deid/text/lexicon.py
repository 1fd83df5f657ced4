"""The word lists of one language, read once per process.

Belongs here: reading `languages/<code>/` into sets, and the questions rules ask of a word.  The words themselves are data:
each file's first line says where they come from.  A language is a folder; nothing else has to be told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_LANGUAGES = Path(__file__).parent / "languages"

FREQUENT_FAMILY_NAMES = 15000
"""A lone capitalised word counts as a family name up to this rank; below it the list holds too many ordinary words."""


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Sets of lower-case words of one language.

    `clinical` words need strong context to be names, `common` ones some; `guarded` is both.  `cues` holds the tables of
    `cues.json` by name.
    """

    language: str
    clinical: frozenset[str]
    common: frozenset[str]
    guarded: frozenset[str]
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

    def is_name(self, word: str) -> bool:
        """In a list of names, and no word of the language."""
        return word not in self.guarded and (word in self.given or word in self.family)


def languages() -> tuple[str, ...]:
    """Codes of the languages that ship."""
    return tuple(sorted(folder.name for folder in _LANGUAGES.iterdir() if (folder / "cues.json").is_file()))


@lru_cache(maxsize=8)
def lexicon(language: str) -> Lexicon:
    """The lexicon of a language.  Raises `ValueError` for one that does not ship."""
    folder = _LANGUAGES / language
    if language not in languages():
        raise ValueError(f"language {language!r}: expected one of {', '.join(languages())}")
    cues: dict[str, Any] = json.loads((folder / "cues.json").read_text(encoding="utf-8"))
    clinical = frozenset(_words(folder / "clinical_words.txt"))
    common = frozenset(_words(folder / "common_words.txt")) | frozenset(cues["months"])
    given = _words(folder / "given_names.txt") + _words(folder / "more_given_names.txt")
    family = _words(folder / "family_names.txt") + _words(folder / "more_family_names.txt")
    guarded = clinical | common
    eponyms = frozenset(_words(folder / "eponyms.txt"))
    return Lexicon(
        language=language,
        clinical=clinical,
        common=common,
        guarded=guarded,
        given=frozenset(given),
        family=frozenset(family),
        frequent_family=frozenset(family[:FREQUENT_FAMILY_NAMES]) | frozenset(_words(folder / "more_family_names.txt")),
        given_pool=_pool(given, 1000, guarded | eponyms),
        family_pool=_pool(family, 2000, guarded | eponyms),
        eponyms=eponyms,
        eponyms_alone=frozenset(_words(folder / "eponyms_alone.txt")),
        eponym_nouns=frozenset(_words(folder / "eponym_nouns.txt")),
        nicknames=_nicknames(folder / "nicknames.txt"),
        cues={name: frozenset(words) for name, words in cues["words"].items()},
        months=dict(cues["months"]),
        states=frozenset(cues["states"]),
    )


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
                names = line.split()
                for name in names:
                    circles.setdefault(name, set()).update(names)
    return {name: frozenset(circle - {name}) for name, circle in circles.items()}
