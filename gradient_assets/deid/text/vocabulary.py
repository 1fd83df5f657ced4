"""Word lists that know their inflections and compounds.

Belongs here: telling that `Lungenspitzen` is no name because `spitze` is a word of the language.  English needs none of it
and uses plain sets.  The endings and the shortest head of a compound are data (`forms.json`).
"""

from __future__ import annotations

from collections.abc import Iterable

CACHED_WORDS = 100_000
"""Distinct words whose answer is kept; about 10 MB.  Beyond it answers are worked out anew."""


SHORTEST_STEM = 4
"""Letters that stay of an inflected word; with three, `Marien` was an inflected `Mär` (March)."""


class Vocabulary(frozenset[str]):
    """A set of words that also holds their inflected forms, and compounds that end in one of `heads`.

    An ending is taken off, or with `a:o` replaced.  Iteration and length are those of the plain words.  A word of `never` (a
    listed name) is in it only if it stands there itself: `Ramos` is no plural, `Beiner` no inflected leg.
    """

    _endings: tuple[tuple[str, str], ...]
    _heads: frozenset[str]
    _least: int
    _never: frozenset[str]
    _answers: dict[str, bool]

    def __new__(
        cls, words: Iterable[str], *, endings: Iterable[str], heads: frozenset[str], least: int, never: frozenset[str]
    ) -> Vocabulary:
        self = super().__new__(cls, words)
        self._endings = tuple((ending, instead) for ending, _, instead in (one.partition(":") for one in endings))
        self._heads = heads
        self._least = least
        self._never = never
        self._answers = {}
        return self

    def __contains__(self, word: object) -> bool:
        if frozenset.__contains__(self, word):
            return True
        if not isinstance(word, str) or word in self._never:
            return False
        answer = self._answers.get(word)
        if answer is None:
            answer = self._derived(word)
            if len(self._answers) < CACHED_WORDS:
                self._answers[word] = answer
        return answer

    def _derived(self, word: str) -> bool:
        stems = {
            word[: -len(ending)] + instead
            for ending, instead in self._endings
            if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM
        }
        if any(frozenset.__contains__(self, stem) for stem in stems):
            return True
        if not self._least:
            return False
        stems.add(word)
        return any(
            stem[cut:] in self._heads for stem in stems for cut in range(3, min(len(stem), 40) - self._least + 1)
        )
