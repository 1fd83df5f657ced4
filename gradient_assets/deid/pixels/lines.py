"""Which of the texts found in one picture are filled, which may stay, and why.

Belongs here: lines and their neighbours on the same baseline, with what was read in them.  What a known identifier looks
like is `known_text`'s, what may stay `keep`'s, where the boxes go on other frames `survey`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.finding import Looked
from gradient_assets.deid.pixels.keep import KeepPolicy
from gradient_assets.deid.pixels.known_text import KnownText

KNOWN_IDENTIFIER = "known-identifier"

SHARED_HEIGHT = 0.6
"""Of the lower box's height that two boxes on one baseline share."""
ONE_LINE_GAP_HEIGHTS = 2.5
"""Two boxes this near are read together: recognisers cut a name where its letters stand apart."""
DOUBTFUL_GAP_HEIGHTS = 4.0
"""A box the gate rejected is raised when it stands this near to the line: further off it is anatomy."""
ADJOINING_HEIGHTS = 1.0
"""A text this near to one that goes is a part of it: a view's edge may have cut the line between them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Texts to fill, those of them that a known identifier raised, and texts that stay."""

    filled: list[FoundText]
    known: list[FoundText]
    kept: list[FoundText]


def judged(looked: Looked, known: KnownText | None, keep: KeepPolicy | None, *, edge: tuple[int, int] | None) -> Judged:
    """Decide over every text of one picture.

    `edge`: height and width of the picture when it is a part of a larger one; a text at the border of a part may be cut,
    so it never stays.
    """
    raised = _raised(looked, known) if known else []
    sure = [line for line in looked.sure if line not in raised]
    kept = [line for line in sure if keep is not None and keep.keeps(line) and not _is_cut(line, edge)]
    filled = [line for line in sure if line not in kept]
    baseline = [line for line in kept if any(_same_baseline(line, other) for other in raised)]
    while True:
        going = [*filled, *raised, *baseline]
        going += [line for line in looked.doubtful if line.letters]
        more = [line for line in kept if line not in baseline and any(_adjoin(line, other) for other in going)]
        if not more:
            break
        baseline += more
    return Judged(
        filled=[*filled, *(line for line in baseline if line not in raised)],
        known=raised,
        kept=[line for line in kept if line not in baseline],
    )


def _raised(looked: Looked, known: KnownText) -> list[FoundText]:
    """Lines in which a known identifier was read, alone or together with the next, and what stands on their baseline."""
    every = [*looked.sure, *looked.doubtful]
    hits = [line for line in every if known.is_in(line.text)]
    for one in every:
        beside = [other for other in every if _follows(one, other) and _gap(one, other) <= ONE_LINE_GAP_HEIGHTS]
        for other in beside:
            if one not in hits or other not in hits:
                first, second = sorted((one, other), key=_start)
                if first.text and second.text and known.is_in(first.text + second.text):
                    hits += [one, other]
    raised: list[FoundText] = []
    waiting = list(hits)
    while waiting:
        line = waiting.pop()
        if line in raised:
            continue
        raised.append(line)
        waiting += [other for other in looked.sure if line in hits and _same_baseline(line, other)]
        waiting += [
            other
            for other in looked.doubtful
            if _same_baseline(line, other) and _gap(line, other) <= DOUBTFUL_GAP_HEIGHTS
        ]
    return raised


def _is_upright(line: FoundText) -> bool:
    """Written from below or above: taller than wide, with more than one letter."""
    return line.letters >= 2 and line.height > 1.5 * line.width


def _along(line: FoundText, like: FoundText) -> FoundText:
    """The box as it lies when the baseline of `like` is turned to horizontal."""
    if not _is_upright(like):
        return line
    return replace(line, left=line.top, top=line.left, width=line.height, height=line.width)


def _start(line: FoundText) -> int:
    return line.top if _is_upright(line) else line.left


def _same_baseline(one: FoundText, other: FoundText) -> bool:
    a, b = _along(one, one), _along(other, one)
    lower = min(a.height, b.height)
    shared = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    return shared >= SHARED_HEIGHT * lower and max(a.height, b.height) <= 2 * lower


def _gap(one: FoundText, other: FoundText) -> float:
    """Distance along the baseline of `one`, in heights of the lower; negative where they overlap."""
    a, b = _along(one, one), _along(other, one)
    distance = max(a.left, b.left) - min(a.left + a.width, b.left + b.width)
    return distance / max(1, min(a.height, b.height))


def _follows(one: FoundText, other: FoundText) -> bool:
    return one is not other and _same_baseline(one, other)


def _adjoin(one: FoundText, other: FoundText) -> bool:
    return _same_baseline(one, other) and _gap(one, other) <= ADJOINING_HEIGHTS


def _is_cut(line: FoundText, edge: tuple[int, int] | None) -> bool:
    if edge is None:
        return False
    margin = line.height
    return (
        line.left < margin
        or line.top < margin
        or line.left + line.width > edge[1] - margin
        or line.top + line.height > edge[0] - margin
    )
