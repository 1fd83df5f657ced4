"""Reports of other languages with marked identifiers: read, and scored.

Belongs here: the form of the files under `languages/` and what counts as removed and as lost.  `[[KIND:text]]` marks an
identifier, everything else has to stay.  A title inside a mark, a lone initial or a particle may stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text import TextEngine

_FOLDER = Path(__file__).parent / "languages"
_MARK = re.compile(r"\[\[(\w+):(.*?)\]\]", re.DOTALL)
_WORD = re.compile(r"[^\W_]+")
MAY_STAY = frozenset(
    ("dr", "prof", "pd", "priv", "doz", "med", "oa", "dra", "drs", "dña", "sr", "sra", "kollegen", "und")
)


@dataclass(frozen=True)
class MarkedText:
    """A text and where its identifiers are: (start, end, kind)."""

    text: str
    marks: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Score:
    """How many identifiers there are and went as a whole; how many other words of three letters there are and went."""

    marks: int
    removed: int
    words: int
    lost: int

    @property
    def recall(self) -> float:
        return self.removed / self.marks

    @property
    def lost_share(self) -> float:
        return self.lost / self.words


def read_reports(language: str) -> tuple[list[MarkedText], list[MarkedText]]:
    """The reports that rules were made with, and those that were scored afterwards."""
    lines = (_FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    halves = "".join(line for line in lines if not line.startswith("#")).split("\n===\n")
    looked_at, held_out = ([_marked(report.strip("\n")) for report in half.split("\n---\n")] for half in halves)
    return looked_at, held_out


def score(engine: TextEngine, reports: list[MarkedText]) -> Score:
    """Each report by itself, nothing known of its patient."""
    marks = removed = words = lost = 0
    for report in reports:
        gone = {i for span in engine.find(report.text, KnownIdentifiers()) for i in range(span.start, span.end)}
        inside = {i for start, end, _ in report.marks for i in range(start, end)}
        for start, end, _ in report.marks:
            marks += 1
            removed += all(
                match.start() in gone for match in _WORD.finditer(report.text, start, end) if _must_go(match.group())
            )
        for match in _WORD.finditer(report.text):
            if len(match.group()) >= 3 and match.group().isalpha() and match.start() not in inside:
                words += 1
                lost += match.start() in gone
    return Score(marks, removed, words, lost)


def _must_go(word: str) -> bool:
    return word.lower() not in MAY_STAY and not (len(word) == 1 and word.isalpha())


def _marked(report: str) -> MarkedText:
    pieces: list[str] = []
    marks: list[tuple[int, int, str]] = []
    length = position = 0
    for match in _MARK.finditer(report):
        before = report[position : match.start()]
        pieces.extend((before, match[2]))
        start = length + len(before)
        length = start + len(match[2])
        marks.append((start, length, match[1]))
        position = match.end()
    pieces.append(report[position:])
    return MarkedText("".join(pieces), tuple(marks))
