"""One run: base files are planted, cleaned with the real engines, and scored.

Belongs here: which base files there are, how they fall into halves, and what a run consists of.  The engines see the
files only; what they did is judged by `scoring` from outside.
"""

from __future__ import annotations

import io
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid import InstanceCleaner, Profile, Pseudonymizer, RapidTextFinder, Refused, SecretKey
from tests.midi.answers import Answer, Crosswalk, FileKey
from tests.midi.people import Half, patient
from tests.midi.planting import Planter
from tests.midi.scoring import Glyphs, Score, Scorer
from tests.shared import SHARED

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
LARGEST_BYTES = 600_000
FILES_OF_A_PATIENT = 3
DRAWABLE = ("MONOCHROME2", "RGB")
"""The highest value is bright; an index into a palette may be any colour."""
NO_BASES = {
    "broken, by their own names": (
        "no_meta", "NoMeta", "badVR", "rtstruct", "UN_sequence", "_RLE", "J2K_pixelrep", "color-p", "embedded-sequence",
        "truncated"
    ),
    "made by a person, whose name is the manufacturer's, with an overlay in the pixels' bits": ("overlay.dcm",),
}  # fmt: skip
"""Parts of names of files that are no bases, by reason; a broken file may be refused."""


class FindsNothing:
    """For files in whose pixels nothing is planted: the pixel engine does all but read."""

    name = "none"

    def find(self, image: NDArray[np.uint8]) -> list[object]:
        """No text."""
        return []


@dataclass
class Run:
    """What a run brought: the score, and why files are missing."""

    score: Score
    keys: list[FileKey]
    outputs: dict[str, bytes]
    refused: Counter[str]
    glyphs: dict[str, Glyphs]


def bases(half: Half, *, shared: bool) -> list[Path]:
    """Small base files of one half: halves are made by name, so that a file stays where it is."""
    roots = [PACKAGED, *([SHARED / "data" / "dicom"] if shared and (SHARED / "data").is_dir() else [])]
    found: dict[str, Path] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.stat().st_size <= LARGEST_BYTES and _is_sound(path):
                found.setdefault(path.name, path)
    return [path for name, path in sorted(found.items()) if (crc32(name.encode()) & 1 == 0) == (half == "seen")]


def _is_sound(path: Path) -> bool:
    if any(part in path.name for parts in NO_BASES.values() for part in parts) or path.suffix in (
        ".csv",
        ".json",
        ".txt",
        ".md",
    ):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = pydicom.dcmread(path)
            ds.decode()
            list(ds.iterall())
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, ds)
        except Exception:  # what pydicom can't read and write is no base to plant in
            return False
    text = str(ds.get("SpecificCharacterSet", "") or "")
    named = "SOPClassUID" in ds and "SOPInstanceUID" in ds and "TransferSyntaxUID" in ds.file_meta
    return named and text in ("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192") and str(ds.SOPClassUID) in _admitted()


def _admitted() -> frozenset[str]:
    """Storage classes that hold pictures, plans and reports; documents and directories are refused by policy."""
    images = ("1", "1.1", "1.2", "2", "2.1", "4", "4.1", "6.1", "7", "7.1", "7.2", "7.3", "7.4", "20", "128",
              "3.1", "88.11", "88.22", "88.33", "481.1", "481.2", "481.5", "66.4", "30")  # fmt: skip
    return frozenset(f"1.2.840.10008.5.1.4.1.1.{number}" for number in images)


def run(seed: int, half: Half, *, most: int, shared: bool, profile: str = "longitudinal", burned: int = 0) -> Run:
    """Plant, clean and score up to `most` files, `burned` of them with a line in the pixels."""
    rng = random.Random(seed)
    pseudonymizer = Pseudonymizer(SecretKey(rng.randbytes(32)), "midi")
    paths = bases(half, shared=shared)
    keys = list(_planted(rng, half, rng.sample(paths, min(most, len(paths)))))
    glyphs = dict(_burned_in(rng, half, keys, burned))
    plain = InstanceCleaner(Profile.named(profile), pseudonymizer, FindsNothing())
    looking = InstanceCleaner(Profile.named(profile), pseudonymizer, RapidTextFinder()) if glyphs else plain
    outputs: dict[str, bytes] = {}
    refused: Counter[str] = Counter()
    crosswalk = Crosswalk({}, {})
    for key in keys:
        try:
            cleaned = (looking if key.name in glyphs else plain).clean(key.original)
        except Refused as refusal:
            refused[f"{refusal.reason.value} {refusal.detail}"] += 1
            continue
        outputs[key.name] = cleaned.content
        header = cleaned.header
        crosswalk.uids[header.old_sop_uid] = header.new_sop_uid
        crosswalk.uids[header.old_series_uid] = header.new_series_uid
        crosswalk.uids[header.old_study_uid] = header.new_study_uid
        crosswalk.patient_ids[key.patient_id] = header.person.pseudonym
    return Run(Scorer(crosswalk, glyphs).score(keys, outputs), keys, outputs, refused, glyphs)


def _planted(rng: random.Random, half: Half, paths: list[Path]) -> Iterator[FileKey]:
    """Three files to a patient, two of them of one study, all in one frame of reference; each refers to the next."""
    root = f"1.2.826.0.1.3680043.8.{rng.randint(1000, 9999)}"
    uids = [f"{root}.{rng.randint(10**11, 10**12)}.{number}" for number in range(len(paths))]
    for number, path in enumerate(paths):
        group = number // FILES_OF_A_PATIENT
        if number % FILES_OF_A_PATIENT == 0:
            who = patient(rng, half, exotic=group % 3 == 2)
        own = {
            "SOPInstanceUID": uids[number],
            "SeriesInstanceUID": f"{root}.2.{number}.55555",
            "StudyInstanceUID": f"{root}.3.{group}.{min(number % FILES_OF_A_PATIENT, 1)}.66666",
            "FrameOfReferenceUID": f"{root}.4.{group}.77777",
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path)
            ds.decode()
            list(ds.iterall())
            planter = Planter(rng, half, who, f"{number:03d}-{path.name}")
            yield planter.plant(ds, own, {"SOPInstanceUID": uids[(number + 1) % len(uids)]})


def _burned_in(rng: random.Random, half: Half, keys: list[FileKey], most: int) -> Iterator[tuple[str, Glyphs]]:
    """Lines drawn into the first suitable pictures: native, of one frame, 200 to 600 pixels high."""
    for key in keys:
        if not most:
            return
        ds = pydicom.dcmread(io.BytesIO(key.original))
        native = str(ds.file_meta.TransferSyntaxUID) in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
        if "PixelData" not in ds or not native or int(ds.get("NumberOfFrames", 1) or 1) > 1:
            continue
        if (
            not 200 <= ds.Rows <= 600
            or ds.Columns < 200
            or ds.BitsAllocated > 16
            or ds.PhotometricInterpretation not in DRAWABLE
        ):
            continue
        most -= 1
        text = f"{patient(rng, half, exotic=False).family.upper()} {key.patient_id}"
        canvas = Image.new("L", (ds.Columns, ds.Rows))
        ImageDraw.Draw(canvas).text((8, 8), text, fill=255, font=ImageFont.load_default(rng.choice([14, 18])))
        mask = np.asarray(canvas) > 128
        picture = ds.pixel_array.copy()
        picture[mask] = int(picture.max())
        ds.PixelData = picture.tobytes() + b"\x00" * (picture.nbytes & 1)
        if picture.ndim == 3:
            ds.PlanarConfiguration = 0
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, ds)
        key.original = buffer.getvalue()
        key.answers = [answer for answer in key.answers if answer.action != "pixels_retained"]
        key.answers.append(Answer("pixels_hidden", "burned-in line"))
        yield key.name, Glyphs(mask)
