"""What grows with all history: a simulation up to 10⁸ objects, from the constants and the code that run.

    python -m benchmarks.growth [--hospitals 20] [--runs 4] [--write]

Nothing is stored and no server is asked.  Work that a run does again whatever is new (listing, comparing, rewriting a
partition) is counted for N objects spread evenly over the hospitals, each of which has `--runs` runs a day.  Numbers of
pages, ticks, chunks and files follow from the constants of the modules named beside them; calls of the warehouse were counted
in real runs of a small hospital (`warehouse_calls`); the memory of tokens is measured with a million of them.

`--write` puts the table into docs/scaling.md, between its markers, and the plot beside it.
"""

from __future__ import annotations

import argparse
import math
import secrets
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.warehouse_calls import Calls
from gradient_assets.automation.arrival import SETTLED_AFTER_S, TICK_DEADLINE_S
from gradient_assets.hospitals import LOOK_EVERY_S
from gradient_assets.pipelines.worklist import CHUNK_ITEMS
from gradient_assets.tables import ALL_TABLES
from resources.warehouses.bigquery_tables import MAX_URIS

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT = DOCS / "scaling.md", DOCS / "images/growth.svg"
BEGIN, END = "<!-- growth: python -m benchmarks.growth --write -->\n", "<!-- end growth -->"

HOSPITALS, RUNS_A_DAY = 20, 4
DAY_S = 86_400
SIZES = (10**4, 10**5, 10**6, 10**7, 10**8)
PAGE_KEYS = 1_000
"""Keys of a page at most.  Source: S3 API, ListObjectsV2 (`max-keys`); GCS, Objects: list (`maxResults`)."""

LISTED_PER_S = 10_000
"""Keys a second: 100,000 objects list in 5 to 30 s (`automation.arrival`), of which this is the middle."""

JOBS_OF_A_CALL = {
    "content_digest": 1,
    "count": 1,
    "partitions": 1,
    "query": 1,
    "scan": 1,
    "tokens": 1,
    "replace": 2,
    "replace_from_query": 2,
    "load": 1,
}
"""BigQuery jobs: a replacement is one query and one count; shards, and tokens of rows that go, are a load more each, up to
`MAX_URIS` of them (docs/warehouse.md)."""


def jobs_of_a_run(calls: Mapping[str, int]) -> int:
    """BigQuery jobs of the calls that one run makes.  Raises `KeyError` for a call whose jobs nobody has counted."""
    return sum(JOBS_OF_A_CALL[call] * number for call, number in calls.items())


@cache
def bytes_of_a_token() -> float:
    """Memory of one work token in a set: a run holds those that should be there and those that are."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    held = {secrets.token_hex(16) for _ in range(1_000_000)}
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / len(held)


MEMORY = "MB of work tokens in a run's memory"


@dataclass(frozen=True)
class Line:
    """One quantity, how it grows, and what it rests on."""

    name: str
    unit: str
    grows: str
    rests_on: str
    values: tuple[float, ...]


def grown(hospitals: int, runs: int, token: float) -> list[Line]:
    """Every quantity for each of `SIZES`; `token` is the memory of a work token, in bytes."""
    mine = [size / hospitals for size in SIZES]
    listing_s = [size / LISTED_PER_S for size in mine]
    pages = [math.ceil(size / PAGE_KEYS) for size in mine]
    ticks = [math.ceil(seconds / TICK_DEADLINE_S) for seconds in listing_s]
    ticks_a_day = DAY_S / LOOK_EVERY_S
    # A tick lists on until its deadline; a bucket that is listed sooner is listed once in each tick.
    pages_a_tick = [min(page, TICK_DEADLINE_S * LISTED_PER_S / PAGE_KEYS) for page in pages]
    settled = [max(2 * tick * LOOK_EVERY_S, tick * LOOK_EVERY_S + SETTLED_AFTER_S) for tick in ticks]
    counted = Calls.counted()
    idle, busy = jobs_of_a_run(counted.nothing_new), jobs_of_a_run(counted.more_objects)
    tables = [spec for spec in ALL_TABLES if spec.partitioned_by == "hospital"]
    same = len(SIZES)
    chunks = [math.ceil(size / CHUNK_ITEMS) for size in mine]
    return [
        Line(
            "listing pages of one hospital, once",
            "pages",
            "linear",
            f"{PAGE_KEYS:,} keys a page, as S3 and GCS list",
            tuple(pages),
        ),
        Line("seconds of listing in a run", "s", "linear", f"{LISTED_PER_S:,} keys/s", tuple(listing_s)),
        Line(
            "sensor ticks a day, all hospitals",
            "ticks",
            "constant",
            "`hospitals.LOOK_EVERY_S`",
            (hospitals * ticks_a_day,) * same,
        ),
        Line("ticks of one whole look at a hospital", "ticks", "linear", "`arrival.TICK_DEADLINE_S`", tuple(ticks)),
        Line(
            "list requests of sensors a day, all hospitals",
            "requests",
            "linear, then constant",
            "pages of a tick × ticks",
            tuple(hospitals * ticks_a_day * page for page in pages_a_tick),
        ),
        Line(
            "seconds from the last object to a run", "s", "linear", "two equal looks, `SETTLED_AFTER_S`", tuple(settled)
        ),
        Line(
            "table files (embedded), all hospitals",
            "files",
            "constant",
            "a file a table and hospital",
            (hospitals * len(tables),) * same,
        ),
        Line(
            "objects in the thumbnails bucket",
            "objects",
            "linear",
            "one a DICOM object, and a strip for a few",
            tuple(SIZES),
        ),
        Line(
            "chunks of a first run of one hospital, and shards of each table",
            "chunks",
            "linear",
            "`worklist.CHUNK_ITEMS`; rows of 32 MiB more are a shard more",
            tuple(chunks),
        ),
        Line(
            "BigQuery jobs that load one table in a first run",
            "jobs",
            "linear from 2,560,000 objects on",
            "`bigquery_tables.MAX_URIS`",
            tuple(math.ceil(chunk / MAX_URIS) for chunk in chunks),
        ),
        Line(
            MEMORY,
            "MB",
            "linear",
            "two sets in `stage.StageRun`, measured",
            tuple(2 * size * token / 1e6 for size in mine),
        ),
        Line(
            "rows written again by a run that adds one object",
            "rows",
            "linear",
            "a partition is replaced as a whole",
            tuple(mine),
        ),
        Line(
            "BigQuery jobs a day, nothing new",
            "jobs",
            "constant",
            "calls of a run, counted: `benchmarks.warehouse_calls`",
            (hospitals * runs * idle,) * same,
        ),
        Line(
            "BigQuery jobs a day, new objects in each run",
            "jobs",
            "constant",
            "the same, counted",
            (hospitals * runs * busy,) * same,
        ),
        Line(
            "replacements of partitions in one BigQuery table a day",
            "jobs",
            "constant",
            "counted: one a run and hospital; two for some tables of a stage when objects are new",
            (hospitals * runs,) * same,
        ),
    ]


def shown(value: float) -> str:
    """A number for people: three digits that count."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(lines: list[Line]) -> str:
    """The lines as Markdown."""
    heading = ["", *(f"10{'⁴⁵⁶⁷⁸'[number]}" for number in range(len(SIZES))), "growth", "rests on"]
    rows = [[line.name, *map(shown, line.values), line.grows, line.rests_on] for line in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heading, ["---"] * len(heading), *rows]) + "\n"


PLOTTED = {
    "listing pages of one hospital, once": "#1b6ca8",
    "list requests of sensors a day, all hospitals": "#b3541e",
    MEMORY: "#5b8c2a",
    "BigQuery jobs a day, new objects in each run": "#7a4fa0",
    "table files (embedded), all hospitals": "#555555",
}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 780, 420, 76, 40, 20
DECADES = 9


def plot(lines: list[Line]) -> str:
    """The growth of the main quantities, both axes logarithmic."""

    def place(index: int, value: float) -> tuple[float, float]:
        across = LEFT + index * (WIDTH - LEFT - 260) / (len(SIZES) - 1)
        up = min(max(math.log10(max(value, 1.0)), 0.0), DECADES)
        return across, HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP) / DECADES

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    right = place(len(SIZES) - 1, 1)[0]
    for decade in range(0, DECADES + 1, 3):
        _, y = place(0, 10**decade)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**decade:,}</text>'.replace(
                "1,000,000,000", "10⁹"
            )
        )
    for index in range(len(SIZES)):
        x, y = place(index, 1)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">10{"⁴⁵⁶⁷⁸"[index]}</text>')
    parts.append(
        f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">objects of all hospitals</text>'
    )
    taken: list[float] = []
    for line in sorted((one for one in lines if one.name in PLOTTED), key=lambda one: -one.values[-1]):
        points = [place(index, value) for index, value in enumerate(line.values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = PLOTTED[line.name]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = max([points[-1][1], *(above + 15 for above in taken[-1:])])
        taken.append(at)
        parts.append(f'<text x="{right + 8:.1f}" y="{at + 4:.1f}" fill="{colour}">{line.name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print the table, or write it and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hospitals", type=int, default=HOSPITALS)
    parser.add_argument("--runs", type=int, default=RUNS_A_DAY, help="runs of a hospital a day")
    parser.add_argument("--write", action="store_true", help="write the table and the plot into docs/")
    given = parser.parse_args()
    lines = grown(given.hospitals, given.runs, bytes_of_a_token())
    print(table(lines))
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}{table(lines)}{END}{after}", encoding="utf-8")
        PLOT.write_text(plot(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
