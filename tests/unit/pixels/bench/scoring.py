"""What a finder covers of planted lines, and what it takes of pictures without any.

Belongs here: the two shares, the CPU time, and the misses by class.  A line counts as covered when `GLYPH_SHARE` of its
letters' pixels lie in boxes grown as the engine grows them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gradient_assets.deid.pixels.boxes import grown, line_gaps
from gradient_assets.deid.pixels.finding import TextFinder
from gradient_assets.deid.pixels.rendering import Picture
from tests.unit.pixels.bench.planting import Ground, Line, planted

GLYPH_SHARE = 0.95
FIRST_SCORED_SEED = 100


@dataclass
class Score:
    """Counts over one seed; `misses` with the share that was covered."""

    lines: int = 0
    covered: int = 0
    clean_shares: list[tuple[float, str]] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    misses: list[tuple[Line, float]] = field(default_factory=list)
    seen: list[Line] = field(default_factory=list)

    @property
    def share_covered(self) -> float:
        """Lines covered of lines planted."""
        return self.covered / max(1, self.lines)

    @property
    def clean_area_lost(self) -> float:
        """Mean share of a picture without text that would be blacked out."""
        return float(np.mean([share for share, _ in self.clean_shares])) if self.clean_shares else 0.0

    def figures(self, *, with_misses: bool) -> dict[str, Any]:
        """The score as plain numbers; the single misses only of seeds that may be looked at."""
        return {
            "lines": self.lines,
            "covered": round(self.share_covered, 4),
            "clean_area_lost": round(self.clean_area_lost, 5),
            "clean_pictures": len(self.clean_shares),
            "clean_pictures_touched": sum(share > 0 for share, _ in self.clean_shares),
            "worst_clean": [(round(s, 4), n) for s, n in sorted(self.clean_shares, reverse=True)[:8] if s],
            "cpu_s_per_image": round(float(np.mean(self.cpu_s)), 3) if self.cpu_s else None,
            "missed_of_planted": self._by_class(),
            "misses": [asdict(line) | {"share": round(share, 2)} for line, share in self.misses] if with_misses else [],
        }

    def _by_class(self) -> dict[str, dict[str, str]]:
        missed = [line for line, _ in self.misses]
        table = {}
        for kind in ("font", "height_px", "style", "turn", "place", "modality", "letters"):
            of_all, of_missed = (Counter(str(getattr(line, kind)) for line in lines) for lines in (self.seen, missed))
            table[kind] = {value: f"{count}/{of_all[value]}" for value, count in of_missed.most_common()}
        return table


def blackened(finder: TextFinder, picture: Picture) -> np.ndarray:
    """True where the engine would fill, H × W."""
    mask = np.zeros(picture.shape[:2], bool)
    boxes = [grown(found, *picture.shape[:2], finder.name, 0) for found in finder.find(picture)]
    whole = [box for box in boxes if box is not None]
    for box in whole + line_gaps(whole):
        mask[box.slices] = True
    return mask


def score(
    finder: TextFinder, grounds: Sequence[Ground], seed: int, lines: int, *, portable: bool = False, clean: bool = True
) -> Score:
    """Plant `lines` lines into each ground, each alone, and count."""
    result = Score()
    for number, ground in enumerate(grounds):
        if clean:
            share = float(_timed(finder, ground.picture(ground.frame), result).mean())
            result.clean_shares.append((share, ground.name))
        rng = random.Random(seed * 100_003 + number)
        for frame, glyphs, line in planted(ground, rng, lines, portable=portable):
            share = float(_timed(finder, ground.picture(frame), result)[glyphs].mean())
            result.lines += 1
            result.seen.append(line)
            result.covered += share >= GLYPH_SHARE
            if share < GLYPH_SHARE:
                result.misses.append((line, share))
    return result


def _timed(finder: TextFinder, picture: Picture, result: Score) -> np.ndarray:
    started = time.process_time()
    mask = blackened(finder, picture)
    result.cpu_s.append(time.process_time() - started)
    return mask
