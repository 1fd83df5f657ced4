"""Which language a text looks like, told by its small words.

Belongs here: a cheap vote, good enough to notice that a report is in another language than its hospital declared.  What
then happens is the profile's decision; which languages ship is `lexicon`'s knowledge.  The words are data
(`languages/stop_words.json`).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from gradient_assets.deid.text.folding import fold_plain

OTHER: Final = "other"
"""A language that does not ship."""

LEAST_VOTES = 3.0
"""Fewer are no language: `CHEST PA/LAT`, a table of numbers, two words of a descriptor."""
LEAST_LEAD = 1.3
"""How many times the votes of the next language.  Dutch and German, Spanish and Portuguese share many small words."""
MAX_FOREIGN_SHARE = 0.5
"""Share of letters outside the Latin alphabet above which no shipped language is meant."""
READ_CHARACTERS = 20_000
"""A language is told by a text's beginning; what is longer is not read."""

_WORD = re.compile(r"[a-z]+")
_STOP_WORDS = Path(__file__).parent / "languages" / "stop_words.json"


def looks_like(text: str) -> str | None:
    """The code of a shipped language, `"other"` for one that does not ship, or `None` where the text does not tell."""
    folded = fold_plain(text[:READ_CHARACTERS]).lower()
    letters = sum(character.isalpha() for character in folded)
    if not letters:
        return None
    foreign = sum(character.isalpha() and not character.isascii() for character in folded)
    if foreign / letters > MAX_FOREIGN_SHARE:
        return OTHER
    votes: dict[str, float] = {}
    weights = _weights()
    for word in _WORD.findall(folded):
        for language, weight in weights.get(word, ()):
            votes[language] = votes.get(language, 0.0) + weight
    ranked = sorted(votes.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < LEAST_VOTES:
        return None
    best, most = ranked[0]
    shipped = _shipped()
    rivals = [count for language, count in ranked[1:] if language in shipped or best in shipped]
    if rivals and most < LEAST_LEAD * rivals[0]:
        return None
    return best if best in shipped else OTHER


@lru_cache(maxsize=1)
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """Each word's languages; a word of several languages says less of each."""
    tables = json.loads(_STOP_WORDS.read_text(encoding="utf-8"))
    languages: dict[str, list[str]] = {}
    for language, words in (*tables["shipped"].items(), *tables["other"].items()):
        for word in words.split():
            languages.setdefault(word, []).append(language)
    return {word: tuple((one, 1 / len(spoken)) for one in spoken) for word, spoken in languages.items()}


@lru_cache(maxsize=1)
def _shipped() -> frozenset[str]:
    return frozenset(json.loads(_STOP_WORDS.read_text(encoding="utf-8"))["shipped"])
