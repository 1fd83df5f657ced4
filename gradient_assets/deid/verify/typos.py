"""Names of any patient of a hospital, one typing error in one of their parts.

Belongs here: `Misspelt`.  A name is only told with an error in it where its other part stands right beside it, spelled
as known: `Zebulon Qillfeather`.  An error in a lone word would be found in every second clean report.  The stricter search of
one patient's own record is in `own`.

What is sure: both parts are no ordinary words; the part spelled right has four letters, the other one six, one error (a
letter too many, too few, another one, two swapped), the same first or last letter, and is nobody's name as it stands; both
are written with a capital; between them stands nothing but a blank, a comma, a caret or one initial.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from rapidfuzz.distance import OSA

from gradient_assets.deid.verify.folding import View
from gradient_assets.deid.verify.names import people
from gradient_assets.deid.verify.vocabulary import is_ordinary, is_placeholder, words

MIN_EXACT = 4
MIN_MISSPELT = 6
_REACH = 48
"""Characters on either side in which the other part must stand."""
_BETWEEN = r"(?: ?[,^]? ?(?:[A-Za-z]\.? )?|_)"
_NAME = r"([^\W\d_]{5,32})"
_AFTER = re.compile(rf"{_BETWEEN}(?<![^\W\d_]){_NAME}(?![^\W\d_])")
_BEFORE = re.compile(rf"(?<![^\W\d_]){_NAME}(?![^\W\d_]){_BETWEEN}$")


class Misspelt:
    """Search for names with one typing error; picklable, holds parts of names."""

    def __init__(self, names: Iterable[str]) -> None:
        companions: dict[str, set[str]] = defaultdict(set)
        for value in names:
            for name in people(value):
                parts = {part for part in name.parts if self._is_telling(part)}
                for part in parts:
                    companions[part] |= {other for other in parts - {part} if len(other) >= MIN_MISSPELT}
        self._companions = {part: frozenset(others) for part, others in companions.items() if others}
        self._parts = frozenset(companions)

    @staticmethod
    def _is_telling(part: str) -> bool:
        if len(part) < MIN_EXACT or not part.isalpha() or part in words("titles"):
            return False
        return not is_ordinary(part) and not is_placeholder(part)

    @property
    def parts(self) -> frozenset[str]:
        """Parts that must stand in a text, spelled right, for anything to be found in it."""
        return frozenset(self._companions)

    def places_beside(self, view: View, part: str, start: int) -> Iterator[tuple[int, int]]:
        """Where a name with an error stands, of which `part` stands spelled right at `start`, in one reading of a text."""
        others = self._companions.get(part)
        end = start + len(part)
        if not others or not view.cased[start].isupper():
            return
        after = _AFTER.match(view.cased, end, end + _REACH)
        if (
            after
            and view.cased[after.start(1)].isupper()
            and self._is_misspelt(view.folded[after.start(1) : after.end(1)], others)
        ):
            yield start, after.end(1)
        before = _BEFORE.search(view.cased, max(0, start - _REACH), start)
        if (
            before
            and view.cased[before.start(1)].isupper()
            and self._is_misspelt(view.folded[before.start(1) : before.end(1)], others)
        ):
            yield before.start(1), end

    def _is_misspelt(self, word: str, others: frozenset[str]) -> bool:
        if len(word) < MIN_MISSPELT - 1 or word in self._parts or is_ordinary(word):
            return False
        if word.endswith("s") and (word[:-1] in self._parts or is_ordinary(word[:-1])):
            return False
        return any(
            abs(len(part) - len(word)) <= 1
            and (part[0] == word[0] or part[-1] == word[-1])
            and OSA.distance(part, word, score_cutoff=1) == 1
            for part in others
        )
