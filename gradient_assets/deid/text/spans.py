"""What a rule reports and what cleaning gives back: spans of the original text, and the cleaned text with its counts.

Belongs here: the two small records every rule family shares, and how overlapping finds become disjoint ones.  Which rule
wins is decided by the order in which `engine` asks them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

KINDS = ("NAME", "DATE", "ID", "PHONE", "EMAIL", "URL", "ADDRESS", "INSTITUTION", "AGE", "OTHER")


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of the original text are an identifier of this kind, by this rule."""

    start: int
    end: int
    kind: str
    rule: str


@dataclass(frozen=True)
class CleanedText:
    """A text without identifiers, and how many spans of each kind were removed."""

    text: str
    removed: Counter[str]

    def __repr__(self) -> str:
        return f"CleanedText({len(self.text)} characters, {sum(self.removed.values())} removed)"


_WITHIN_A_NAME = frozenset((" ", "-", "^", ", ", "."))


def joined_names(spans: Iterable[Span], text: str) -> list[Span]:
    """Disjoint spans, with those of one name (`Miller` `-` `Ortiz`, `Doe` `, ` `Jane`) made one."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last and last.kind == span.kind == "NAME" and text[last.end : span.start] in _WITHIN_A_NAME:
            joined[-1] = Span(last.start, span.end, "NAME", last.rule)
        else:
            joined.append(span)
    return joined


def disjoint(spans: Iterable[Span]) -> list[Span]:
    """Spans sorted and without overlap.

    Overlapping finds are joined, so that no character that any rule found is kept; the join carries the kind and rule of
    the longest of them, the first reported among equals.
    """
    merged: list[Span] = []
    longest = 0
    for span in sorted(spans, key=lambda one: one[0]):
        if span.end <= span.start:
            continue
        if not merged or span.start >= merged[-1].end:
            merged.append(span)
            longest = span.end - span.start
            continue
        last = merged[-1]
        end = max(last.end, span.end)
        if span.end - span.start > longest:
            longest = span.end - span.start
            merged[-1] = Span(last.start, end, span.kind, span.rule)
        elif end > last.end:
            merged[-1] = Span(last.start, end, last.kind, last.rule)
    return merged
