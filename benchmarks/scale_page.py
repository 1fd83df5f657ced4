"""The tables and the plot of `benchmarks.scale`, and the figures that they are made from.

Belongs here: figures → Markdown and SVG, and putting them into docs/scaling.md.  All that the page says in numbers is computed
from docs/images/scale.json, so that a test can compare.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT, FIGURES = DOCS / "scaling.md", DOCS / "images/scale.svg", DOCS / "images/scale.json"
BEGIN, END = "<!-- scale: python -m benchmarks.scale --write -->\n", "<!-- end scale -->"

ENGINES = {
    "embedded": "#1b6ca8",
    "Prism": "#b3541e",
    "Flink in the job server": "#5b8c2a",
    "Flink cluster": "#7a4fa0",
}
AGAIN = "nothing new"
HEADERS, CLEANING = "dicom_metadata", "deidentified_metadata"

PIECES = {
    "listing": (1, "what is in the bucket"),
    "tokens of the listing": (1, "the listing again, with a token for each object"),
    "tokens of the rows": (1, "four tables"),
    "who is known": (1, "patients of all headers"),
    "work list of cleaning": (1, "a token for each header, from what is known of its patient"),
    "verdicts of the stage": (1, "digests of what was written and of what it was compared with"),
    "verdicts of the checks": (1, "the same for each of three checks"),
    "index of everyone": (0, "twice where anything has changed"),
    "search for known identifiers": (0, "all rows, twice where anything has changed"),
    "search for patterns": (0, "all rows, twice where anything has changed"),
    "look at the profile": (0, "all rows, twice where anything has changed"),
}
"""What a run with nothing new does, how often, and what it is; last, what it would do had anything changed."""

TARGET = 100_000


@dataclass(frozen=True)
class Run:
    """One `gradient run`.  `cpu_s` is that of all its processes, the runner's too; `worker_mb` is of the largest worker."""

    engine: str
    objects: int
    again: bool
    seconds: float
    steps: dict[str, float]
    cpu_s: float
    coordinator_mb: int
    worker_mb: int
    workers: int
    runner_mb: int
    listing_s: float
    pieces: dict[str, float] = field(default_factory=dict)
    """CPU milliseconds an object of what a run with nothing new does once."""

    @property
    def checks_s(self) -> float:
        """The steps beside the two stages."""
        return sum(seconds for name, seconds in self.steps.items() if name not in (HEADERS, CLEANING))


@dataclass
class Figures:
    """All runs of one measurement, and the machine's state when it began."""

    processors: int
    load: float
    runs: list[Run]

    @classmethod
    def from_json(cls, text: str) -> Figures:
        """What `as_json` made."""
        found = json.loads(text)
        return cls(found["processors"], found["load"], [Run(**run) for run in found["runs"]])

    def as_json(self) -> str:
        """For a file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def new(self, engine: str) -> list[Run]:
        """First runs of an engine, smallest first, one for each size: of two the one with pixels, which came first."""
        first: dict[int, Run] = {}
        for run in self.runs:
            if run.engine == engine and not run.again:
                first.setdefault(run.objects, run)
        return [first[size] for size in sorted(first)]

    @property
    def again(self) -> list[Run]:
        """Runs with nothing new, smallest first."""
        return sorted((run for run in self.runs if run.again), key=lambda run: run.objects)


def per_thousand(amount: float, objects: int) -> float:
    """For 1,000 objects."""
    return 1_000 * amount / objects


def shown(value: float) -> str:
    """A number for people: three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heading, ["---"] * len(heading), *rows]) + "\n"


def sizes_table(figures: Figures) -> str:
    """Each engine and size as it was measured."""
    heading = [
        "engine", "objects", "seconds in all", "s/1,000: reading headers", "cleaning", "checks", "CPU s/1,000",
        "coordinator, MB", "largest worker, MB", "workers", "runner, MB",
    ]  # fmt: skip
    rows = [
        [
            engine,
            f"{run.objects:,}",
            shown(run.seconds),
            *(
                shown(per_thousand(spent, run.objects))
                for spent in (run.steps[HEADERS], run.steps[CLEANING], run.checks_s, run.cpu_s)
            ),
            f"{run.coordinator_mb:,}",
            f"{run.worker_mb:,}",
            str(run.workers),
            f"{run.runner_mb:,}" if run.runner_mb else "–",
        ]
        for engine in ENGINES
        for run in figures.new(engine)
    ]
    return _table(heading, rows)


@dataclass(frozen=True)
class Growth:
    """What 1,000 objects more take, between one size and the next."""

    engine: str
    smaller: int
    larger: int
    seconds: float
    cpu_s: float
    coordinator_mb: float
    worker_mb: float


def growths(figures: Figures) -> list[Growth]:
    """All pairs of sizes that follow each other."""
    found = []
    for engine in ENGINES:
        for smaller, larger in pairwise(figures.new(engine)):
            more = larger.objects - smaller.objects
            found.append(
                Growth(
                    engine,
                    smaller.objects,
                    larger.objects,
                    *(
                        per_thousand(above - below, more)
                        for above, below in (
                            (larger.seconds, smaller.seconds),
                            (larger.cpu_s, smaller.cpu_s),
                            (larger.coordinator_mb, smaller.coordinator_mb),
                            (larger.worker_mb, smaller.worker_mb),
                        )
                    ),
                )
            )
    return found


def growth_table(figures: Figures) -> str:
    """Flat means: the same in each row of an engine."""
    heading = ["engine", "from … to objects", "seconds", "CPU s", "MB of the coordinator", "MB of the largest worker"]
    rows = [
        [
            one.engine,
            f"{one.smaller:,} … {one.larger:,}",
            *map(shown, (one.seconds, one.cpu_s, one.coordinator_mb, one.worker_mb)),
        ]
        for one in growths(figures)
    ]
    return _table(heading, rows)


def again_table(figures: Figures) -> str:
    """Runs with nothing new."""
    heading = [
        "objects", "listing alone, s", "reading headers, s", "cleaning, s", "checks, s", "run in all, s",
        "coordinator, MB", "workers",
    ]  # fmt: skip
    rows = [
        [
            f"{run.objects:,}",
            *map(shown, (run.listing_s, run.steps[HEADERS], run.steps[CLEANING], run.checks_s, run.seconds)),
            f"{run.coordinator_mb:,}",
            str(run.workers),
        ]
        for run in figures.again
    ]
    return _table(heading, rows)


def pieces_table(figures: Figures) -> str:
    """What a run with nothing new is made of, at the largest size; taken as linear for the last column."""
    taken = figures.again[-1].pieces if figures.again else {}
    heading = ["", "CPU ms an object", "times", f"CPU s for {TARGET:,} objects", "what"]
    rows = [
        [name, shown(taken[name]), str(times), shown(times * taken[name] * TARGET / 1_000), what]
        for name, (times, what) in PIECES.items()
        if name in taken
    ]
    total = sum(times * taken[name] for name, (times, _) in PIECES.items() if name in taken)
    return _table(heading, [*rows, ["together", "", "", shown(total * TARGET / 1_000), ""]])


def tables(figures: Figures) -> str:
    """What stands on the page between the markers."""
    if not figures.runs:
        return "Not measured yet.\n"
    missing = [engine for engine in ENGINES if not figures.new(engine)]
    not_yet = f" Not measured: {', '.join(missing)}." if missing else ""
    return (
        f"Measured on {figures.processors} processors; load before the first run {figures.load}.{not_yet}\n\n"
        f"{sizes_table(figures)}\n"
        f"![Seconds per 1,000 objects and the coordinator's memory, by the number of objects](images/{PLOT.name})\n\n"
        "What 1,000 objects more take, from one size to the next:\n\n"
        f"{growth_table(figures)}\n"
        "The embedded engine once more over the same objects, with nothing new:\n\n"
        f"{again_table(figures)}\n"
        "What that is made of, in one process, over the largest of these:\n\n"
        f"{pieces_table(figures)}"
    )


WIDTH, HEIGHT, PANEL, TOP, BOTTOM = 860, 320, 300, 36, 44
LEFTS = (60, 420)


def plot(figures: Figures) -> str:
    """Seconds per 1,000 objects, and the coordinator's peak memory, over the number of objects."""
    panels: tuple[tuple[str, Callable[[Run], float]], ...] = (
        ("seconds per 1,000 objects", lambda run: per_thousand(run.seconds, run.objects)),
        ("peak memory of the coordinator, MB", lambda run: run.coordinator_mb),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 40}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT + 40}" fill="white"/>',
    ]
    for left, (title, value) in zip(LEFTS, panels, strict=True):
        parts.extend(_panel(figures, left, title, value))
    for place, (engine, colour) in enumerate(ENGINES.items()):
        parts.append(f'<text x="{LEFTS[0] + place * 190}" y="{HEIGHT + 24}" fill="{colour}">● {engine}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(figures: Figures, left: int, title: str, value: Callable[[Run], float]) -> list[str]:
    runs = [run for engine in ENGINES for run in figures.new(engine)]
    sizes = sorted({run.objects for run in runs})
    if not sizes:
        return []
    highest = max(value(run) for run in runs) or 1.0
    step = 10 ** math.floor(math.log10(highest))
    top = step * math.ceil(highest / step)
    wide = math.log2(sizes[-1] / sizes[0]) or 1.0

    def place(objects: float, amount: float) -> tuple[float, float]:
        across = left + math.log2(objects / sizes[0]) * PANEL / wide
        return across, HEIGHT - BOTTOM - amount * (HEIGHT - BOTTOM - TOP) / top

    parts = [f'<text x="{left}" y="18">{title}</text>']
    for share in (0, 0.5, 1):
        _, y = place(sizes[0], top * share)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{shown(top * share)}</text>')
    for size in sizes:
        x, y = place(size, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{size:,}</text>')
    parts.append(f'<text x="{left + PANEL / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">objects</text>')
    for engine, colour in ENGINES.items():
        points = [place(run.objects, value(run)) for run in figures.new(engine)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return parts


def write_page(figures: Figures) -> None:
    """Tables between the markers of the page; the plot and the figures beside it.  Raises `ValueError` without markers."""
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{PAGE} has no place for the tables: {BEGIN.strip()} … {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{tables(figures)}{END}{after}", encoding="utf-8")
    PLOT.write_text(plot(figures), encoding="utf-8")
    FIGURES.write_text(figures.as_json(), encoding="utf-8")
