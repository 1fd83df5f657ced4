"""What a finder covers of planted lines, and what it takes of pictures without any.

Belongs here: the two shares, the CPU time, and the misses by class.  A line counts as covered when `GLYPH_SHARE` of its
letters' pixels lie in boxes grown as the engine grows them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from gradient_assets.deid.pixels.boxes import grown, line_gaps
from gradient_assets.deid.pixels.finding import TextFinder
from gradient_assets.deid.pixels.rendering import Picture
from tests.unit.pixels.bench.planting import Ground, Line, planted, planted_scripts

GLYPH_SHARE = 0.95
FIRST_SCORED_SEED = 100
CLASSES = ("font", "height_px", "style", "turn", "place", "modality", "letters", "contrast_to_noise", "kind", "script")
CONTRAST_CLASSES = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Upper bounds of the classes of contrast to noise.  Of 115 lines of seed 1, one lies under 10: bold letters in a picture of
pure noise, at 1.5.  Lines under 1 are taken for unreadable, but stay in the figures: seed 101 has one of 116."""


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
        for column in CLASSES:
            of_all, of_missed = (Counter(str(getattr(line, column)) for line in lines) for lines in (self.seen, missed))
            values = sorted(of_all, key=lambda value: (-of_missed[value], value))
            table[column] = {value: f"{of_missed[value]}/{of_all[value]}" for value in values}
        return table


def blackened(finder: TextFinder, picture: Picture) -> np.ndarray:
    """True where the engine would fill, H × W."""
    mask = np.zeros(picture.shape[:2], bool)
    boxes = [grown(found, *picture.shape[:2], finder.name, 0) for found in finder.find(picture)]
    whole = [box for box in boxes if box is not None]
    for box in whole + line_gaps(whole):
        mask[box.slices] = True
    return mask


def contrast_to_noise(picture: Picture, glyphs: np.ndarray) -> float:
    """How far letters stand out: mean difference to the pixels next to them, over the noise around them, in the best channel.

    Noise is the standard deviation that the mean difference from a 5 × 5 median stands for, at least one level.
    """
    rows, columns = np.flatnonzero(glyphs.any(axis=1)), np.flatnonzero(glyphs.any(axis=0))
    around = (slice(max(0, rows[0] - 8), rows[-1] + 9), slice(max(0, columns[0] - 8), columns[-1] + 9))
    ink = glyphs[around]
    ring, beyond = (cv2.dilate(ink.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 for side in (5, 7))
    ratios = []
    for channel in np.atleast_3d(picture)[around].transpose(2, 0, 1):
        values = channel.astype(np.float64)
        rough = np.abs(values - cv2.medianBlur(np.ascontiguousarray(channel), 5))[~beyond]
        noise = max(1.0, 1.25 * float(rough.mean()) if rough.size else 1.0)
        ratios.append(abs(float(values[ink].mean() - values[ring & ~ink].mean())) / noise)
    return max(ratios)


def contrast_class(ratio: float) -> str:
    """Which of `CONTRAST_CLASSES` a ratio belongs to, in words."""
    return next(
        (f"under {bound:g}" for bound in CONTRAST_CLASSES if ratio < bound), f"from {CONTRAST_CLASSES[-1]:g} on"
    )


def score(
    finder: TextFinder,
    grounds: Sequence[Ground],
    seed: int,
    lines: int,
    *,
    portable: bool = False,
    clean: bool = True,
    scripts: Sequence[str] = (),
) -> Score:
    """Plant `lines` lines into each ground, each alone, and count; of `scripts`, if there are any, one after the other."""
    result = Score()
    for number, ground in enumerate(grounds):
        if clean:
            share = float(_timed(finder, ground.picture(ground.frame), result).mean())
            result.clean_shares.append((share, ground.name))
        rng = random.Random(seed * 100_003 + number)
        if scripts:
            turns = range(number * lines, (number + 1) * lines)
            lined = planted_scripts(ground, rng, [scripts[turn % len(scripts)] for turn in turns])
        else:
            lined = planted(ground, rng, lines, portable=portable)
        for frame, glyphs, line in lined:
            picture = ground.picture(frame)
            share = float(_timed(finder, picture, result)[glyphs].mean())
            line = replace(line, contrast_to_noise=contrast_class(contrast_to_noise(picture, glyphs)))
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
