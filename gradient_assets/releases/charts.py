"""Small charts as inline SVG: no script, no font and no picture from outside.

Belongs here: bars.  Numbers stand beside each bar, so that a chart printed in grey, or read aloud, says the same.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

BAR, GAP, WIDTH, HALF = 15, 7, 760, 360
"""Heights and widths in units of the drawing; about one CSS pixel at the page's full and half width."""
LETTER = 7.2
"""Width of an average letter of the labels, 12.5 units high, with some room."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its length, and what is written beside it.  None as length: a hidden count."""

    name: str
    length: int | None
    written: str


def bars(title: str, of: Sequence[Bar], *, width: int = WIDTH) -> str:
    """Horizontal bars on one scale.  A hidden count is a hatched bar of fixed length, which says nothing of it."""
    longest = max((bar.length or 0 for bar in of), default=0) or 1
    label = 16 + LETTER * max((len(bar.name) for bar in of), default=0)
    room = width - label - 16 - LETTER * max((len(bar.written) for bar in of), default=0)
    height = len(of) * (BAR + GAP) + GAP
    drawn = []
    for number, bar in enumerate(of):
        top = GAP + number * (BAR + GAP)
        length = room / 8 if bar.length is None else max(1.5 if bar.length else 0, room * bar.length / longest)
        kind = "hidden" if bar.length is None else "bar"
        drawn.append(
            f'<text x="{label - 10:.1f}" y="{top + 12}" text-anchor="end">{html.escape(bar.name)}</text>'
            f'<rect class="{kind}" x="{label:.1f}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            f'<text class="n" x="{label + length + 8:.1f}" y="{top + 12}">{html.escape(bar.written)}</text>'
        )
    described = "; ".join(f"{bar.name}: {bar.written}" for bar in of)
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(f"{title}. {described}")}">'
        f'<line class="axis" x1="{label:.1f}" y1="0" x2="{label:.1f}" y2="{height}"/>{"".join(drawn)}</svg>'
    )


HATCHING = (
    '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs><pattern id="hatch" width="6" height="6" '
    'patternTransform="rotate(45)" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#eef2f5"/>'
    '<line x1="0" y1="0" x2="0" y2="6" stroke="#9fb0bd" stroke-width="2.4"/></pattern></defs></svg>'
)
"""What hidden bars are filled with; once per page."""
