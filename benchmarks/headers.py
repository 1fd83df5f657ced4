"""Files per second of the header engine on one core, against dicognito, dicom-anonymizer and deid, in one run.

    python -m benchmarks.headers                              ../shared/data/dicom, or pydicom's packaged files
    python -m benchmarks.headers FOLDER --json headers.json   any folder; figures also as JSON
    python -m benchmarks.headers --series CT.dcm --slices 300 one file as so many instances of a series
    python -m benchmarks.headers --planted                    what each leaves of names planted in one file, not timed

The peers are the extra `benchmarks`.  Each contender has a fresh process with its own settings of pydicom, reads a file,
cleans it as its documentation shows for whole files, and writes a file; pixels pass through all of them.  A first pass
finds the files that all contenders manage and warms caches; only these are timed, round by round, in an order that
changes with each round.  One process works at a time, with one thread.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

SHARED_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "dicom"
PACKAGED_FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
NOT_DICOM = frozenset({".json", ".csv", ".md", ".txt", ".py", ".gz"})
PASS_DEADLINE_S = 900
"""For one pass of one contender over all files; the slowest took 40 s for 460 files."""

Clean = Callable[[Path, Path], None]
"""Read the first path, write what is clean to the second."""


def this_project(profile_name: str) -> Clean:
    """What `gradient deidentify` does to a header: read, gather identifiers, clean with the text engine, write."""
    from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, read_dataset, write_dataset
    from gradient_assets.deid.identity import Pseudonymizer, SecretKey
    from gradient_assets.deid.text import TextEngine

    profile = Profile.named(profile_name)
    key = SecretKey(bytes(range(32)))  # a benchmark's, nobody is protected by it
    engine = HeaderEngine(profile, Pseudonymizer(key, "benchmark"), TextEngine(dates=profile.dates))

    def clean(source: Path, target: Path) -> None:
        ds = read_dataset(source.read_bytes())
        target.write_bytes(write_dataset(engine.clean(ds, identifiers_of(ds)).dataset))

    return clean


def dicognito() -> Clean:
    """README: one `Anonymizer` for all files of a patient, `anonymize`, `save_as`."""
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer()

    def clean(source: Path, target: Path) -> None:
        with pydicom.dcmread(source) as ds:
            anonymizer.anonymize(ds)
            ds.save_as(target)

    return clean


def dicom_anonymizer() -> Clean:
    """README: `anonymize_dicom_file` with the rules that come with it, private elements deleted."""
    from dicomanonymizer import anonymize_dicom_file

    def clean(source: Path, target: Path) -> None:
        anonymize_dicom_file(str(source), str(target))

    return clean


def deid() -> Clean:
    """Getting started, `replace_identifiers`: the recipe that comes with it, loaded once; private elements removed."""
    os.environ["MESSAGELEVEL"] = "QUIET"
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers

    recipe = DeidRecipe()

    def clean(source: Path, target: Path) -> None:
        replace_identifiers(
            str(source), deid=recipe, save=True, overwrite=True, remove_private=True, output_folder=str(target.parent)
        )
        (target.parent / source.name).replace(target)

    return clean


def read_and_write() -> Clean:
    """No cleaning at all: what pydicom alone takes."""

    def clean(source: Path, target: Path) -> None:
        with pydicom.dcmread(source) as ds:
            ds.save_as(target)

    return clean


OURS = ("this project (safe_harbor)", "this project (longitudinal)")
PEERS = ("dicognito", "dicom-anonymizer", "deid")
FLOOR = "no cleaning, pydicom"
DISTRIBUTIONS = {peer: peer for peer in PEERS} | {FLOOR: "pydicom"}
CONTENDERS: dict[str, Callable[[], Clean]] = {
    OURS[0]: lambda: this_project("safe_harbor"),
    OURS[1]: lambda: this_project("longitudinal"),
    "dicognito": dicognito,
    "dicom-anonymizer": dicom_anonymizer,
    "deid": deid,
    FLOOR: read_and_write,
}


# one contender's process


def contend(name: str, pipe: Connection) -> None:
    """Serve passes over files until the pipe closes: `(seconds, CPU seconds, files managed)` for each list of paths."""
    warnings.simplefilter("ignore")
    logging.disable()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        CONTENDERS[name]()
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "cleaned"
            pipe.send("ready")
            while (paths := pipe.recv()) is not None:
                # Made anew for each pass: nobody may remember a file from the pass before.
                pipe.send(_one_pass(CONTENDERS[name](), paths, target))


def _one_pass(clean: Clean, paths: list[Path], target: Path) -> tuple[float, float, list[Path]]:
    managed = []
    gc.collect()
    gc.freeze()  # what was imported is not looked through again and again; it took up to a tenth of anybody's time
    wall, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        try:
            clean(path, target)
        except (Exception, SystemExit):  # whatever stops a contender at this file
            continue
        managed.append(path)
    return time.perf_counter() - wall, time.process_time() - cpu, managed


class Contender:
    """A process that works only while `run` waits for it."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=contend, args=(name, theirs), daemon=True)
        self._process.start()
        self._answer()

    def run(self, paths: list[Path]) -> tuple[float, float, list[Path]]:
        """One pass over the files.  Raises `TimeoutError` after `PASS_DEADLINE_S`."""
        self._pipe.send(paths)
        seconds, cpu_seconds, managed = self._answer()
        return seconds, cpu_seconds, managed

    def _answer(self) -> Any:
        if not self._pipe.poll(PASS_DEADLINE_S):
            raise TimeoutError(f"{self.name}: no answer in {PASS_DEADLINE_S} s")
        return self._pipe.recv()

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join(timeout=10)


# the figures


@dataclass(frozen=True)
class Figure:
    """One contender's: files per second of processor time (user and system) over the common files, and by the clock."""

    contender: str
    version: str
    failed: int
    """Files of all that it raised on, or refused."""
    files_per_cpu_second: float
    slowest: float
    fastest: float
    files_per_second: float


def measure(paths: list[Path], names: Iterable[str], rounds: int) -> tuple[int, list[Figure]]:
    """How many files all contenders managed, and a figure for each: median of the rounds with slowest and fastest."""
    contenders = [Contender(name) for name in names]
    managed = {one.name: one.run(paths)[2] for one in contenders}
    common = [path for path in paths if all(path in found for found in map(set, managed.values()))]
    passes: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        order = contenders[turn:] + contenders[:turn]
        for one in order if number % 2 == 0 else reversed(order):
            passes[one.name].append(one.run(common)[:2])
    for one in contenders:
        one.close()
    return len(common), [
        _figure(name, len(paths) - len(managed[name]), len(common), found) for name, found in passes.items()
    ]


def _figure(name: str, failed: int, files: int, passes: list[tuple[float, float]]) -> Figure:
    wall, cpu = zip(*passes, strict=True)
    return Figure(
        contender=name,
        version=version(DISTRIBUTIONS[name]) if name in DISTRIBUTIONS else "",
        failed=failed,
        files_per_cpu_second=round(files / statistics.median(cpu), 1),
        slowest=round(files / max(cpu), 1),
        fastest=round(files / min(cpu), 1),
        files_per_second=round(files / statistics.median(wall), 1),
    )


def table_of(figures: list[Figure]) -> str:
    """The figures as a Markdown table, fastest first.

    The factor over the fastest peer is one of processor time: it is what a core does, and a busy machine changes it least.
    """
    best_peer = max((one.files_per_cpu_second for one in figures if one.contender in PEERS), default=0.0)
    lines = [
        "| contender | files per CPU second, median (min–max) | × fastest peer | files/s by the clock | failed or refused |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for one in sorted(figures, key=lambda figure: -figure.files_per_cpu_second):
        factor = f"{one.files_per_cpu_second / best_peer:.2f}" if best_peer else ""
        lines.append(
            f"| {one.contender} {one.version} | {one.files_per_cpu_second} ({one.slowest}–{one.fastest}) | {factor} "
            f"| {one.files_per_second} | {one.failed} |"
        )
    return "\n".join(lines)


# the files


def files_of(folder: Path) -> list[Path]:
    """All files of a folder that may be DICOM, in order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in NOT_DICOM)


def series_of(path: Path, slices: int, folder: Path) -> list[Path]:
    """So many copies of one file, each with its own SOP Instance UID and Instance Number."""
    ds = pydicom.dcmread(path)
    made = []
    for number in range(1, slices + 1):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.InstanceNumber = number
        ds.save_as(folder / f"{number:05d}.dcm")
        made.append(folder / f"{number:05d}.dcm")
    return made


# what is left


SURNAME = "Zymurgy"
PLANTED = {
    # where: (path of keywords, text, what is medicine in it)
    "patient's name": (("PatientName",), f"{SURNAME}^Quentin", ""),
    "description": (("StudyDescription",), f"CHEST PA/LAT {SURNAME}", "CHEST PA/LAT"),
    "comment": (("ImageComments",), f"Seen by Dr. {SURNAME} on 3/4/2019, no fracture", "no fracture"),
    "contrast agent": (("ContrastBolusAgent",), f"Omnipaque 350 for {SURNAME}", "Omnipaque 350"),
    "name of a filter": (("FilterType",), SURNAME, ""),
    "description in a sequence": (
        ("RequestAttributesSequence", "ScheduledProcedureStepDescription"),
        f"CT THORAX {SURNAME}",
        "CT THORAX",
    ),
    "text of a content item": (
        ("ContentSequence", "TextValue"),
        f"Mr. {SURNAME} has a nodule of 4 mm",
        "nodule of 4 mm",
    ),
}
PRIVATE_CREATOR = "BENCHMARK"


def planted_file(folder: Path) -> Path:
    """pydicom's small CT with a patient's name in several places, one of them a private element."""
    ds = pydicom.dcmread(PACKAGED_FOLDER / "CT_small.dcm")
    for path, text, _useful in PLANTED.values():
        level: Dataset = ds
        for keyword in path[:-1]:
            item = Dataset()
            setattr(level, keyword, Sequence([item]))
            level = item
        setattr(level, path[-1], text)
    ds.private_block(0x0029, PRIVATE_CREATOR, create=True).add_new(0x01, "LO", SURNAME)
    source = folder / "planted.dcm"
    ds.save_as(source)
    return source


def planted_table() -> str:
    """For each contender: elements before and after, places where the name still stands, medicine that stayed."""
    lines = ["| contender | elements, all levels | name left in | medicine kept in |", "| --- | ---: | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = planted_file(Path(folder)), Path(folder) / "out" / "cleaned.dcm"
        target.parent.mkdir()
        before = sum(1 for _ in pydicom.dcmread(source).iterall())
        for name in CONTENDERS:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                CONTENDERS[name]()(source, target)
            cleaned = pydicom.dcmread(target)
            texts = {place: _text_at(cleaned, path) for place, (path, _, _) in PLANTED.items()}
            texts["private element"] = " ".join(str(one.value) for one in cleaned.iterall() if one.tag.is_private)
            left = [place for place, text in texts.items() if SURNAME in text]
            kept = [place for place, (_, _, useful) in PLANTED.items() if useful and useful in texts[place]]
            lines.append(
                f"| {name} | {sum(1 for _ in cleaned.iterall())} of {before} | {', '.join(left) or 'none'} "
                f"| {', '.join(kept) or 'none'} |"
            )
    return "\n".join(lines)


def _text_at(ds: Dataset, path: tuple[str, ...]) -> str:
    for keyword in path[:-1]:
        items = ds.get(keyword)
        if not items:
            return ""
        ds = items[0]
    return str(ds.get(path[-1], ""))


def main() -> None:
    """Print a table, and write JSON where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="files to clean, at any depth")
    parser.add_argument("--rounds", type=int, default=6, help="timed passes for each contender")
    parser.add_argument("--only", default="", help="contenders whose name holds one of these, separated by commas")
    parser.add_argument("--series", type=Path, help="one file, taken as a series, instead of a folder")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--planted", action="store_true", help="what each leaves in one file, not timed")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.planted:
        print(planted_table())
        return
    asked = options.only.split(",")
    names = [name for name in CONTENDERS if any(part in name for part in asked)]
    folder = options.folder or (SHARED_FOLDER if SHARED_FOLDER.is_dir() else PACKAGED_FOLDER)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        paths = series_of(options.series, options.slices, Path(scratch)) if options.series else files_of(folder)
        common, figures = measure(paths, names, options.rounds)
    print(table_of(figures))
    print(
        f"\n{common} of {len(paths)} files that all managed; {options.rounds} rounds; Python "
        f"{sys.version.split()[0]}; load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after; "
        f"{os.cpu_count()} processors"
    )
    if options.json:
        found = {"files": len(paths), "common": common, "rounds": options.rounds, "load": load}
        options.json.write_text(json.dumps(found | {"figures": [asdict(one) for one in figures]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
