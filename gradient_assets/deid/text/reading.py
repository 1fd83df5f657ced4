"""One text as the rules read it: folded, cut into words and lines, with what is already taken or protected.

Belongs here: words and their shapes, lines in capitals, and the question whether two words touch.  What a word may be is
`lexicon`'s knowledge, what it is here the rules'.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from gradient_assets.deid.text.folding import Folded, fold

# O'Brien is one word; the s of a possessive is not part of it.
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]{2,})?")

WRAPPED_LINE = 60
"""Lines of at least this many characters were broken by their length, shorter ones by their writer."""

LOWER, CAPITAL, UPPER, LETTER = range(4)
"""Shapes: `lower`, `Capital` (also `McDonald`), `UPPER`, and a single capital letter."""


class Reading:
    """A text, read once.  All offsets are those of the folded text; `folded.original` leads back.

    Words are numbered; `words[i]` is lower case and without apostrophes, `starts[i]`, `ends[i]` its place, `shapes[i]` its
    shape, `line_of[i]` its line, `shouted[i]` whether its whole line is in capitals (then capitals say nothing).
    """

    __slots__ = (
        "ends", "folded", "line_of", "line_starts", "protected", "shapes", "shouted", "starts", "taken", "text", "words",
    )  # fmt: skip

    def __init__(self, original: str) -> None:
        self.folded: Folded = fold(original)
        text = self.text = self.folded.text
        self.words: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.shapes: list[int] = []
        self.line_of: list[int] = []
        self.shouted: list[bool] = []
        self.line_starts: list[int] = []
        self.taken: set[int] = set()
        self.protected: set[int] = set()
        position = 0
        for number, line in enumerate(text.split("\n")):
            self.line_starts.append(position)
            self._read_line(line, position, number)
            position += len(line) + 1

    def _read_line(self, line: str, offset: int, number: int) -> None:
        shouted = line.isupper()
        for match in _WORD.finditer(line):
            word = match.group()
            start, end = match.span()
            self.starts.append(offset + start)
            self.ends.append(offset + end)
            if word.islower():
                shape = LOWER
            elif len(word) == 1:
                shape = LETTER
            elif word.isupper():
                shape = UPPER
            elif word[0].isupper():
                shape = CAPITAL
            else:
                shape = LOWER
            self.shapes.append(shape)
            lower = word.lower()
            self.words.append(lower.replace("'", "") if "'" in lower else lower)
            self.line_of.append(number)
            self.shouted.append(shouted)

    def __len__(self) -> int:
        return len(self.words)

    def gap(self, index: int) -> str:
        """What stands between word `index` and the next one."""
        following = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)
        return self.text[self.ends[index] : following]

    def soft_gap(self, index: int) -> str:
        """The same, with a line break that only wraps a long line read as a blank."""
        gap = self.gap(index)
        if "\n" in gap and gap.strip(" ") == "\n":
            line = self.line_of[index]
            if self.ends[index] - self.line_starts[line] >= WRAPPED_LINE:
                return " "
        return gap

    def after(self, index: int, size: int = 1) -> str:
        """The `size` characters after a word."""
        return self.text[self.ends[index] : self.ends[index] + size]

    def before(self, index: int, size: int = 1) -> str:
        """The `size` characters before a word."""
        return self.text[max(0, self.starts[index] - size) : self.starts[index]]

    def words_between(self, start: int, end: int) -> range:
        """Numbers of the words that overlap these characters."""
        return range(bisect_right(self.ends, start), bisect_left(self.starts, end))

    def take(self, start: int, end: int) -> None:
        """These characters are spoken for: later rules don't read their words as names."""
        self.taken.update(self.words_between(start, end))

    def line_end(self, index: int) -> int:
        """Where the line of a word ends."""
        number = self.line_of[index] + 1
        return self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)

    def opens_sentence(self, index: int, titles: frozenset[str]) -> bool:
        """Whether a capital here is due to position: first word of a line, or after a full stop, colon or bullet.

        A full stop after one of the abbreviated `titles` ends no sentence.
        """
        if index == 0 or self.line_of[index - 1] != self.line_of[index]:
            return True
        gap = self.text[self.ends[index - 1] : self.starts[index]]
        if self.shapes[index - 1] == LETTER or self.words[index - 1] in titles:
            return ":" in gap
        return any(mark in gap for mark in ".:!?;*")
