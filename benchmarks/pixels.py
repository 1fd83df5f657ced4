"""How much burned-in text the pixel engine covers, how much clean picture it costs, and what it takes.

    python -m benchmarks.pixels truth   DICOM_FOLDER      boxes of burned_in_ground_truth.json, on every frame
    python -m benchmarks.pixels folder  DICOM_FOLDER      every file of manifest.csv: verdicts, area lost, refusals, CPU
    python -m benchmarks.pixels planted DICOM_FOLDER      lines rendered into files without text (--seed, --lines)

DICOM_FOLDER is a folder with manifest.csv and burned_in_ground_truth.json (../shared/data/dicom). A box or line counts as
covered when 99 % (truth: area) or 95 % (planted: glyph pixels) of it was blacked out. Numbers go to standard output as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid.pixels import Box, CleanedPixels, PixelEngine, RapidTextFinder
from gradient_assets.deid.reasons import Refused

COVERED_SHARE = 0.99
GLYPH_SHARE = 0.95
WORDS = [
    "MEIER",
    "ANNA",
    "12.03.1954",
    "ID",
    "00482913",
    "ST",
    "MARY",
    "HOSPITAL",
    "08:41:23",
    "PAT",
    "JONES",
    "DOB",
    "1961-02-17",
    "Acc",
    "A55120",
    "Dr.",
    "Okonkwo",
]


def mask_of(cleaned: CleanedPixels, frame: int, rows: int, columns: int) -> np.ndarray:
    """True where the frame was blacked out."""
    mask = np.zeros((rows, columns), bool)
    for box in cleaned.boxes:
        if box.frame == frame:
            mask[box.slices] = True
    return mask


def truth(folder: Path, engine: PixelEngine) -> dict[str, Any]:
    """Share of the known boxes that is covered, on every frame; misses with their kind and size."""
    known = json.loads((folder / "burned_in_ground_truth.json").read_text())["files"]
    total = covered = outside = 0
    misses, cpu = [], 0.0
    for name, entry in known.items():
        ds = pydicom.dcmread(folder / name, force=True)
        started = time.process_time()
        try:
            cleaned = engine.clean(ds)
        except Refused as refused:
            misses.append({"file": name, "refused": refused.reason.value})
            total += len(entry["boxes"])
            continue
        cpu += time.process_time() - started
        masks = [mask_of(cleaned, i, int(ds.Rows), int(ds.Columns)) for i in range(cleaned.frames)]
        for one in entry["boxes"]:
            left, top, width, height = one["bbox"]
            total += 1
            if left >= ds.Columns or top >= ds.Rows:
                outside += 1  # some known boxes lie outside the image: it was cropped after they were drawn
                covered += 1
                continue
            shares = [float(m[top : top + height, left : left + width].mean()) for m in masks]
            covered += min(shares) >= COVERED_SHARE
            if min(shares) < COVERED_SHARE:
                misses.append(
                    {"file": name, "kind": one["category"], "bbox": one["bbox"], "share": round(min(shares), 3)}
                )
    return {"boxes": total, "covered": covered, "outside_the_image": outside, "misses": misses, "cpu_s": round(cpu, 1)}


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
            kinds = Counter((b.height, round(b.score, 1)) for b in cleaned.boxes[:1])
            files.append(
                (
                    row["file"],
                    row["burned_in_text"],
                    round(float(share), 5),
                    round(spent, 2),
                    cleaned.frames,
                    str(kinds),
                )
            )
    return {
        "verdicts": dict(verdicts),
        "refused": dict(refused),
        "clean_area_lost": round(float(np.mean(lost)), 5) if lost else None,
        "cpu_s_per_object": round(float(np.mean(seconds)), 3) if seconds else None,
        "cpu_s": round(sum(seconds), 1),
        "files": files,
    }


def fonts(size: int) -> list[ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """The scalable fonts found on this machine, one of Pillow's own among them, and Pillow's 8 × 8-like bitmap font."""
    found: list[Any] = [ImageFont.load_default(size)]
    for path in sorted(Path("/usr/share/fonts").rglob("*.ttf"))[:12]:
        try:
            found.append(ImageFont.truetype(str(path), size))
        except OSError:
            continue
    return found


def planted_lines(picture: np.ndarray, rng: random.Random, lines: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(picture with text, glyph mask) for each line; 8-bit greyscale or RGB; random size, font, place, shade, outline."""
    rows, columns = picture.shape[:2]
    for _ in range(lines):
        size = rng.choice([9, 10, 11, 12, 13, 14, 16, 18, 22, 28, 36])
        font = rng.choice(fonts(size))
        text = " ".join(rng.sample(WORDS, rng.choice([1, 1, 2, 3])))
        stencil = Image.new("L", (columns, rows), 0)
        draw = ImageDraw.Draw(stencil)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        if right - left >= columns - 4 or bottom - top >= rows // 3:
            continue
        x, y = (
            rng.randint(1, int(columns - right - 2)),
            rng.choice([1, rng.randint(1, int(rows - bottom - 2)), int(rows - bottom - 2)]),
        )
        draw.text((x, y), text, fill=255, font=font)
        alpha = np.asarray(stencil, np.float32) / 255
        around = picture[y : y + int(bottom), x : x + int(right)]
        level = float(around.mean())
        shade = rng.choice([255, 255, 255, 200, 160, 0]) if rng.random() < 0.85 else min(255, level + 60)
        if abs(shade - level) < 40:
            shade = 255 if level < 128 else 0
        base = picture.astype(np.float32)
        colour = np.full(3, shade, np.float32) if rng.random() < 0.8 else np.array([shade, shade, 0], np.float32)
        if picture.ndim == 2:
            blended = base * (1 - alpha) + shade * alpha
        else:
            blended = base * (1 - alpha[..., None]) + colour * alpha[..., None]
        yield blended.astype(np.uint8), alpha > 0.5


def planted(folder: Path, finder: RapidTextFinder, seed: int, lines: int, long_side: int = 1200) -> dict[str, Any]:
    """Finder alone on lines rendered into files without text; and what it blacks out of the same pictures without lines."""
    from gradient_assets.deid.pixels.boxes import grown
    from gradient_assets.deid.pixels.decoding import decode_frames
    from gradient_assets.deid.pixels.rendering import Look

    rng = random.Random(seed)
    rows = [r for r in csv.DictReader((folder / "manifest.csv").open()) if r["burned_in_text"] == "none"]
    seen_content, bases = set(), []
    for row in rows:
        if (
            row["content_cluster"] in seen_content
            or not row["rows"].isdigit()
            or min(int(row["rows"]), int(row["cols"])) < 100
        ):
            continue
        try:
            ds = pydicom.dcmread(folder / row["file"], force=True)
            source = decode_frames(ds)
            picture = Look(source.shape, source.photometric, ds).picture(source[len(source) // 2])
        except Refused:
            continue
        if max(picture.shape) <= long_side * 2:
            seen_content.add(row["content_cluster"])
            bases.append((row["file"], picture))
    rng.shuffle(bases)
    total = covered = 0
    lost, misses, started, looks = [], [], time.process_time(), 0

    def blackened(image: np.ndarray) -> np.ndarray:
        mask = np.zeros(image.shape[:2], bool)
        for found in finder.find(image):
            box: Box | None = grown(found, *image.shape[:2], "bench", 0)
            if box:
                mask[box.slices] = True
        return mask

    for name, picture in bases:
        lost.append((float(blackened(picture).mean()), name))
        looks += 1
        for image, glyphs in planted_lines(picture, rng, lines):
            share = float(blackened(image)[glyphs].mean()) if glyphs.any() else 1.0
            looks += 1
            total += 1
            covered += share >= GLYPH_SHARE
            if share < GLYPH_SHARE:
                height = int(np.ptp(np.flatnonzero(glyphs.any(axis=1)))) + 1
                misses.append((name.rsplit("/", 1)[-1], image.shape[:2], height, round(share, 2)))
    return {
        "bases": len(bases),
        "lines": total,
        "covered": round(covered / max(1, total), 4),
        "clean_area_lost": round(float(np.mean([share for share, _ in lost])), 5),
        "worst_clean": sorted(lost, reverse=True)[:8],
        "cpu_s_per_look": round((time.process_time() - started) / max(1, looks), 3),
        "misses": misses,
    }


def main() -> None:
    """Run one bench and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", choices=["truth", "folder", "planted"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=2)
    parser.add_argument("--contains", default="", help="only files whose path holds this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    finder = RapidTextFinder()
    if options.bench == "truth":
        figures = truth(options.folder, PixelEngine(finder))
    elif options.bench == "folder":
        figures = folder_run(options.folder, PixelEngine(finder), options.contains)
    else:
        figures = planted(options.folder, finder, options.seed, options.lines)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
