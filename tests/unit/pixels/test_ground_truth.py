"""Real files whose burned-in text is known: nothing of it is left on any frame, and pictures without text stay whole.

A spread that fits the suite; all 25 files and every frame of the long cine are `python -m benchmarks.pixels truth`.
"""

import csv
import json

import numpy as np
import pydicom
import pytest

from gradient_assets.deid.pixels import CleanedPixels, PixelEngine, RapidTextFinder
from tests.shared import SHARED, needs_shared

DICOM = SHARED / "data" / "dicom"
COVERED = 0.99
MOST_LOST = 0.002

TWO_FRAMES = "pydicom+pydicom-data/data_store/data/OBXXXX1A_rle_2frame.dcm"
SPREAD = (
    "microsoft+presidio/docs/samples/python/sample_data/2_ORIGINAL.dcm",
    "pydicom+pydicom/src/pydicom/data/test_files/examples_palette.dcm",
    "pydicom+pydicom/src/pydicom/data/test_files/examples_jpeg2k.dcm",
    "robyoung+dicom-test-files/data/WG04/J2KI/VL2_J2KI",
    "robyoung+dicom-test-files/data/WG04/RLE/US1_RLE",
    TWO_FRAMES,
)
"""Monochrome, palette and colour; native, RLE and JPEG 2000; one frame and two: about 45 s of CPU."""

DOUBLED = "pydicom+pydicom/src/pydicom/data/test_files/examples_rgb_color.dcm"
"""Its one box is given in the coordinates of the picture of twice the size from which the file was made: as it stands, a
third of it is covered, and the text itself wholly."""

CLEAN_FILES, LEAST_CLEAN_PIXELS, MOST_CLEAN_PIXELS = 15, 64 * 64, 300 * 300
"""A picture of 16 x 16 pixels of the test set is taken for a letter and goes as a whole; that is no anatomy lost."""


@pytest.fixture(scope="module")
def engine() -> PixelEngine:
    return PixelEngine(RapidTextFinder())


def known() -> dict[str, dict]:
    return json.loads((DICOM / "burned_in_ground_truth.json").read_text())["files"]


def blacked_out(cleaned: CleanedPixels, frame: int, rows: int, columns: int) -> np.ndarray:
    mask = np.zeros((rows, columns), bool)
    for box in cleaned.boxes:
        if box.frame == frame:
            mask[box.slices] = True
    return mask


@needs_shared
@pytest.mark.parametrize("name", SPREAD)
def test_known_text_of_real_files_is_covered_on_every_frame(engine, name):
    ds = pydicom.dcmread(DICOM / name)
    cleaned = engine.clean(ds)
    assert cleaned.frames == (2 if name == TWO_FRAMES else 1)
    for frame in range(cleaned.frames):
        mask = blacked_out(cleaned, frame, ds.Rows, ds.Columns)
        for box in known()[name]["boxes"]:
            left, top, width, height = box["bbox"]
            part = mask[top : top + height, left : left + width]
            assert part.shape == (height, width)
            assert part.mean() >= COVERED, (frame, box["category"], box["bbox"])


@needs_shared
def test_the_one_box_in_doubled_coordinates_is_covered_at_its_true_place(engine):
    ds = pydicom.dcmread(DICOM / DOUBLED)
    [box] = known()[DOUBLED]["boxes"]
    left, top, width, height = box["bbox"]
    mask = blacked_out(engine.clean(ds), 0, ds.Rows, ds.Columns)
    part = mask[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
    assert part.mean() >= COVERED


def clean_files() -> list[str]:
    """Small pictures without text, each content once, in an order that has nothing to do with what they are."""
    with (DICOM / "manifest.csv").open() as manifest:
        rows = [
            row for row in csv.DictReader(manifest) if row["burned_in_text"] == "none" and row["frames"] in ("", "1")
        ]
    small = {
        row["content_cluster"] or row["sha256"]: row
        for row in rows
        if LEAST_CLEAN_PIXELS <= size_of(row) <= MOST_CLEAN_PIXELS
    }
    return [row["file"] for row in sorted(small.values(), key=lambda row: row["sha256"])][:CLEAN_FILES]


def size_of(row: dict[str, str]) -> int:
    return int(row["rows"] or 0) * int(row["cols"] or 0)


@needs_shared
def test_real_files_without_text_stay_whole(engine):
    lost = []
    for name in clean_files():
        ds = pydicom.dcmread(DICOM / name)
        lost.append(float(blacked_out(engine.clean(ds), 0, ds.Rows, ds.Columns).mean()))
    assert len(lost) == CLEAN_FILES
    assert np.mean(lost) <= MOST_LOST
