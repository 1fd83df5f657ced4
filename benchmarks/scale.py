"""How time and memory grow with the number of objects, on each engine; and what a run with nothing new takes.

    python -m benchmarks.scale [--engines embedded prism …] [--sizes 1000 2000 …] [--full]
        [--rerun-objects 100000] [--json FIGURES] [--write]

A hospital of N small CT slices of made-up patients lies in a folder; `gradient run` takes `dicom_metadata`, then
`deidentified_metadata` with its checks, as a process of its own in a new home for each engine and size.  Prism and Flink are
the parts of `gradient dev`, and keep running from one size to the next.  Peak memory is the high-water mark that Linux keeps
of each process (`VmHWM`): of the coordinating one (its threads are Beam's workers, which start the processes that do the
work), of the largest such process, and of the runner's together.  Seconds of a step are Dagster's.

On the embedded engine each home is run a second time, with nothing new; beside it stands the time of the listing alone, and the
CPU time of each piece of such a run.
`--rerun-objects N` does that for N objects more.

`--json FIGURES` is written after each run. What such a file holds already is not measured again, so a measurement that was
broken off, or of more sizes, goes on from there.

`--write` puts the tables into docs/scaling.md, between their markers, the plot and the figures beside it.  `--from FIGURES`
writes them anew without measuring.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import made_objects
from benchmarks.scale_page import AGAIN, ENGINES, Figures, Run, tables, write_page
from benchmarks.scale_pieces import pieces_of
from gradient_assets.dev.runners import FlinkCluster, FlinkLocal, Prism, Runner
from gradient_assets.dev.server import children_of
from gradient_assets.tables import DEIDENTIFIED_METADATA
from resources import Settings, resources_for
from resources.buckets.object_store import Bucket, BucketAddress

ROOT = Path(__file__).parents[1]
STAGES = ("dicom_metadata", "deidentified_metadata")
PARTS: dict[str, Callable[[Path], Runner]] = {
    "Prism": Prism,
    "Flink in the job server": FlinkLocal,
    "Flink cluster": FlinkCluster,
}
SIZES = (1_000, 2_000, 4_000, 8_000, 16_000)
USUAL_LARGEST = {"embedded": 8_000}
USUAL_LARGEST_ELSEWHERE = 4_000
"""So that all four end within 20 minutes on two idle processors; `--full` takes all sizes."""

LOOK_EVERY_S = 0.2
WORKER = "gradient_assets.pipelines.worker"
GUARD = "gradient_assets/dev/guard.py"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Watched:
    """Processes of one run, by what they are; the last that was seen of each."""

    peak_mb: dict[tuple[str, int], float] = field(default_factory=dict)
    cpu_s: dict[tuple[str, int], float] = field(default_factory=dict)
    before_s: dict[int, float] = field(default_factory=dict)
    """CPU time that the runner's processes had taken before."""

    def begin(self) -> None:
        """Forget the high-water marks of processes that run already."""
        for process in offspring(os.getpid()):
            self.before_s[process] = cpu_seconds(process)
            # Source: proc_pid_clear_refs(5): 5 resets the peak to what is resident now.
            Path(f"/proc/{process}/clear_refs").write_text("5")

    def look(self, coordinator: int) -> None:
        """Take down memory and CPU time of everything that runs under this process."""
        own = set(offspring(coordinator))
        for process in offspring(os.getpid()):
            try:
                words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
                peak, spent = peak_mb(process), cpu_seconds(process)
            except (OSError, StopIteration):
                continue
            if process == coordinator:
                kind = "coordinator"
            elif WORKER in words:
                kind = "worker"
            elif process in own or GUARD in words:
                continue
            else:
                kind = "runner"
            self.peak_mb[kind, process] = max(peak, self.peak_mb.get((kind, process), 0.0))
            self.cpu_s[kind, process] = spent - self.before_s.get(process, 0.0)

    def peaks(self, kind: str) -> list[float]:
        """Megabytes of each process of a kind."""
        return [peak for (mine, _), peak in self.peak_mb.items() if mine == kind]


def offspring(process: int) -> list[int]:
    """Ids of all that a process has started, and what those have."""
    found = children_of(process)
    for parent in found:
        found.extend(children_of(parent))
    return found


def peak_mb(process: int) -> float:
    """The most that was resident at a time.  Raises `OSError` or `StopIteration` for a process that has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def cpu_seconds(process: int) -> float:
    """User and system time.  Source: proc_pid_stat(5), fields 14 and 15."""
    try:
        spent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return sum(map(int, spent)) / TICKS_PER_S


def environment(home: Path, part: Runner | None) -> dict[str, str]:
    """What an operator would export, and nothing of this one's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIENT_", "DAGSTER_"))}
    if processes := os.environ.get("GRADIENT_PROCESSES"):
        kept["GRADIENT_PROCESSES"] = processes
    return {**kept, "GRADIENT_HOME": str(home), **(part.exports() if part else {})}


def measured(engine: str, objects: int, home: Path, dicoms: Path, part: Runner | None, again: bool = False) -> Run:
    """`gradient run` in the home.  Exits when it fails or did not clean every object."""
    listing_s = listing_seconds(dicoms, objects) if again else 0.0
    watched, begun = Watched(), time.time()
    watched.begin()
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        selection = [word for stage in STAGES for word in ("--select", stage)]
        command = [sys.executable, "-m", "gradient_assets", "run", "-H", made_objects.HOSPITAL, *selection]
        with subprocess.Popen(command, cwd=ROOT, env=environment(home, part), stdout=said, stderr=said) as child:
            while child.poll() is None:
                watched.look(child.pid)
                time.sleep(LOOK_EVERY_S)
        seconds = time.monotonic() - started
        said.seek(0)
        if child.returncode:
            raise SystemExit(
                f"{engine}, {objects:,} objects: gradient run ended with {child.returncode}\n{said.read()}"
            )
    warehouse = resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)})).warehouse
    if (cleaned := warehouse.count(DEIDENTIFIED_METADATA, made_objects.HOSPITAL)) != objects:
        raise SystemExit(f"{engine}: of {objects:,} objects {cleaned:,} were cleaned")
    workers, runner = watched.peaks("worker"), watched.peaks("runner")
    return Run(
        engine=engine,
        objects=objects,
        again=again,
        seconds=round(seconds, 1),
        steps={name: round(taken, 1) for name, taken in steps_since(home, begun)},
        cpu_s=round(sum(watched.cpu_s.values()), 1),
        coordinator_mb=round(max(watched.peaks("coordinator"), default=0.0)),
        worker_mb=round(max(workers, default=0.0)),
        workers=len(workers),
        runner_mb=round(sum(runner)),
        listing_s=round(listing_s, 3),
        pieces=pieces_of(home, objects) if again else {},
    )


def steps_since(home: Path, begun: float) -> Iterator[tuple[str, float]]:
    """Names and seconds of the steps of runs that started then or later."""
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for record in instance.get_run_records():
            if (record.start_time or 0.0) >= begun:
                for step in instance.get_run_step_stats(record.dagster_run.run_id):
                    yield step.step_key, (step.end_time or 0.0) - (step.start_time or 0.0)


def listing_seconds(dicoms: Path, objects: int) -> float:
    """The bucket's listing alone."""
    started = time.monotonic()
    listed = sum(1 for _ in Bucket(BucketAddress(dicoms.absolute().as_uri())).listing())
    if listed != objects:
        raise SystemExit(f"{listed:,} of {objects:,} objects were listed")
    return time.monotonic() - started


def series(
    engines: Sequence[str],
    sizes: Sequence[int],
    largest: Callable[[str], int],
    folder: Path,
    done: Container[tuple[str, int]] = (),
) -> Iterator[Run]:
    """One run for each engine and size that is not done; embedded ones twice."""
    landed: dict[int, Path] = {}
    for engine in engines:
        wanted = [size for size in sorted(sizes) if size <= largest(engine) and (engine, size) not in done]
        if not wanted:
            continue
        with ExitStack() as running:
            part = running.enter_context(PARTS[engine](folder / engine.replace(" ", "-"))) if engine in PARTS else None
            for size in wanted:
                if size not in landed:
                    landed[size] = folder / f"dicoms-{size}"
                    made_objects.fill(landed[size], size)
                with tempfile.TemporaryDirectory(dir=folder) as home:
                    made_objects.make_home(Path(home), landed[size])
                    yield measured(engine, size, Path(home), landed[size], part)
                    if part is None:
                        yield measured(engine, size, Path(home), landed[size], part, again=True)


def rerun(objects: int, folder: Path) -> Iterator[Run]:
    """So many objects without pixels on the embedded engine, twice."""
    dicoms, home = folder / "dicoms-again", folder / "again"
    made_objects.fill(dicoms, objects, pixels=False)
    made_objects.make_home(home, dicoms)
    yield measured("embedded", objects, home, dicoms, None)
    yield measured("embedded", objects, home, dicoms, None, again=True)


def line(run: Run) -> str:
    """A run for people who wait."""
    kind = f"{AGAIN}, listing {run.listing_s} s" if run.again else "new"
    steps = ", ".join(f"{name} {taken}" for name, taken in run.steps.items())
    memory = f"{run.coordinator_mb} MB, {run.workers} workers of {run.worker_mb} MB at most, runner {run.runner_mb} MB"
    return f"{run.engine}, {run.objects:,} objects, {kind}: {run.seconds} s (CPU {run.cpu_s} s; {steps}); {memory}"


def asked_for(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--full", action="store_true", help="all sizes on all engines, about three times as long")
    parser.add_argument("--rerun-objects", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FIGURES", help="where the figures go too")
    parser.add_argument("--from", type=Path, dest="figures", metavar="FIGURES", help="measure nothing, take these")
    parser.add_argument("--write", action="store_true", help="write tables, plot and figures into docs/")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print, write."""
    asked = asked_for()
    if asked.figures:
        figures = Figures.from_json(asked.figures.read_text(encoding="utf-8"))
    else:
        figures = measure(asked)
    print("\n" + tables(figures))
    if asked.write:
        write_page(figures)


def measure(asked: argparse.Namespace) -> Figures:
    """All that was asked for and is not in the JSON file; that file is written after each run, so that nothing is lost."""
    figures = Figures(processors=len(os.sched_getaffinity(0)), load=round(os.getloadavg()[0], 1), runs=[])
    if asked.json and asked.json.exists():
        before = Figures.from_json(asked.json.read_text(encoding="utf-8"))
        figures.runs, figures.load = before.runs, max(before.load, figures.load)
    # An embedded one counts when its second run is there too.
    done = {(run.engine, run.objects) for run in figures.runs if run.again or run.engine in PARTS}
    figures.runs = [run for run in figures.runs if (run.engine, run.objects) in done]
    usual: Any = lambda engine: USUAL_LARGEST.get(engine, USUAL_LARGEST_ELSEWHERE)  # noqa: E731  one of two rules
    if asked.full or asked.sizes != list(SIZES):
        usual = lambda engine: max(asked.sizes)  # noqa: E731
    print(f"Load of the machine: {figures.load} on {figures.processors} processors.", flush=True)
    with tempfile.TemporaryDirectory(prefix="gradient-scale-") as temporary:
        folder = Path(temporary)
        runs = [series(asked.engines, asked.sizes, usual, folder, done)]
        if asked.rerun_objects and ("embedded", asked.rerun_objects) not in done:
            runs.append(rerun(asked.rerun_objects, folder))
        for some in runs:
            for run in some:
                figures.runs.append(run)
                print(line(run), flush=True)
                if asked.json:
                    asked.json.write_text(figures.as_json(), encoding="utf-8")
    return figures


if __name__ == "__main__":
    main()
