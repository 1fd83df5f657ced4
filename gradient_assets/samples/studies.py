"""Recipes into objects: a base file of pydicom, made somebody's, with text in its pixels, in the transfer syntax asked for.

Belongs here: interpreting one line of `tables/recipes.yaml`.  Base files are taken from the installed pydicom package only;
pydicom's own look-up functions would download what is missing, so they are not used.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, GrayscaleSoftcopyPresentationStateStorage

from gradient_assets.samples.burn import Pixels, burn, fit
from gradient_assets.samples.context import Hospital, Instance, Study
from gradient_assets.samples.encode import fresh_meta, set_frames, to_bytes
from gradient_assets.samples.headers import identify
from gradient_assets.samples.hiding_places import PLACES
from gradient_assets.samples.people import written_dates

BASES = Path(pydicom.__file__).parent / "data" / "test_files"
"""Where the pydicom package keeps its test files."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's checks, warnings and log: some files break rules on purpose, and its messages quote values."""
    settings, log = pydicom.config.settings, logging.getLogger("pydicom")
    was_disabled, log.disabled = log.disabled, True
    modes = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = modes
        log.disabled = was_disabled


@cache
def base_bytes(name: str) -> bytes:
    """The bytes of one base file.  Raises `FileNotFoundError` if this pydicom has none of that name."""
    return (BASES / name).read_bytes()


def read_base(name: str) -> Dataset:
    """A base file as a data set of its own, every element decoded."""
    with quiet():
        ds = pydicom.dcmread(BytesIO(base_bytes(name)), force=True)
        ds.decode()
        if "TransferSyntaxUID" not in ds.file_meta:
            ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2")
    return ds


def make_studies(
    hospital: Hospital, recipes: list[dict[str, Any]], repetition: int = 0
) -> Iterator[tuple[Study, bool, dict[str, bytes]]]:
    """Carry out a hospital's recipes: each study, whether it has a report, and its objects by key.

    In a later `repetition` everybody is drawn anew, the named ones too.
    """
    number = 1 + 1000 * repetition
    for entry in recipes:
        named = None if repetition or entry["patient"] == "drawn" else entry["patient"]
        patient = hospital.population.patient(named)
        for planned in entry["studies"]:
            study = Study.draw(hospital, patient, planned["exam"])
            objects: dict[str, bytes] = {}
            for recipe in planned["objects"]:
                key, content = make_object(study, recipe, number)
                objects[key] = content
                number += 1
            yield study, planned.get("report", True), objects


def make_object(study: Study, recipe: Mapping[str, Any], number: int) -> tuple[str, bytes]:
    """One object: its key under the hospital's landing folder, and its bytes."""
    with quiet():
        return _make_object(study, recipe, number)


def _make_object(study: Study, recipe: Mapping[str, Any], number: int) -> tuple[str, bytes]:
    sop_uid = study.hospital.uid()
    instance = Instance(study, number, sop_uid, "")
    instance.key = "dicoms/" + object_key(instance, recipe["key"])
    _plant_key(instance)
    ds = read_base(recipe["base"])
    if recipe.get("presentation"):
        ds = _presentation_state(ds)
    if recipe.get("of_plan"):
        study.uids[str(ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID)] = study.made[0]
    syntax = ds.file_meta.TransferSyntaxUID
    identify(ds, instance, ds.get("Modality", "OT"))
    study.made.append(sop_uid)
    fresh_meta(ds, ds.SOPClassUID, sop_uid, syntax, study.hospital.habits["station"])
    _redraw(ds, instance, recipe)
    for name in recipe.get("plant", ()):
        PLACES[name](ds, instance)
    latin = study.patient.name.latin
    preamble = b"\0" * 128
    if recipe.get("preamble"):
        written = instance.plant_name("preamble", latin.dicom, latin)
        preamble = written.encode("latin-1").ljust(128, b"\0")
    return instance.key, to_bytes(ds, preamble=preamble, bare=recipe.get("bare", False))


def object_key(instance: Instance, style: str) -> str:
    """The key in one of five habits; `named`, `spaced` and `mrn` tell who the patient is."""
    study, patient = instance.study, instance.study.patient
    name = patient.name
    person = f"{name.family.upper()}_{name.given}_{patient.birth_date:%Y%m%d}"
    return {
        "named": f"{person}/{study.exam['modality']}_{study.day:%Y%m%d}/IM{instance.number:05d}.dcm",
        "spaced": f"export {study.day.year}/{name.plain.given} {name.plain.family}/scan {instance.number}.dcm",
        "mrn": f"{patient.patient_id}/{study.accession}/{instance.number}.dcm",
        "uid": f"{study.study_uid}/{instance.sop_uid}.dcm",
        "plain": f"archive/{study.day.year}/IM{instance.number:06d}",
    }[style]


def _plant_key(instance: Instance) -> None:
    """Note what the key gives away."""
    study, patient, key = instance.study, instance.study.patient, instance.key
    for name in (patient.name, patient.name.plain):
        for part in (name.family, name.given, name.family.upper()):
            if part in key:
                instance.plant("NAME", part, "object_key", ambiguous=name.ambiguous)
    for kind, value, hard in (
        ("ID", patient.patient_id, patient.id_is_digits),
        ("ACCESSION", study.accession, False),
        ("UID", study.study_uid, False),
        ("UID", instance.sop_uid, False),
        ("BIRTH_DATE", f"{patient.birth_date:%Y%m%d}", True),
    ):
        if value in key:
            instance.plant(kind, value, "object_key", ambiguous=hard)


def burned_lines(instance: Instance, names: list[str]) -> list[tuple[str, str, str]]:
    """(kind, value, text) of each line that a recipe asks to be drawn: what scanners print in a corner."""
    study, patient = instance.study, instance.study.patient
    order = study.hospital.habits["date_order"]
    plain = patient.name.plain
    name = plain.comma.upper() if order == "mdy" else plain.comma
    born, day = (written_dates(one, order)["numeric"] for one in (patient.birth_date, study.day))
    institution = study.hospital.habits["institution"]
    lines = {
        "name": ("NAME", name, name),
        "id": ("ID", patient.patient_id, f"ID: {patient.patient_id}"),
        "birth_date": ("BIRTH_DATE", born, f"DOB {born}"),
        "study_date": ("STUDY_DATE", day, f"{day} {study.hour[:2]}:{study.hour[2:4]}"),
        "accession": ("ACCESSION", study.accession, f"Acc {study.accession}"),
        "institution": ("INSTITUTION", institution, institution),
    }
    return [lines[line] for line in names]


def _redraw(ds: Dataset, instance: Instance, recipe: Mapping[str, Any]) -> None:
    """Scale, crop, draw on and re-encode the pixels, if the recipe asks for any of it."""
    if not {"canvas", "crop"} & recipe.keys():
        return
    if "pixels" in recipe:
        _borrow_pixels(ds, read_base(recipe["pixels"]))
    if "burn" in recipe:
        ds.BurnedInAnnotation = "YES" if instance.number % 2 else "NO"  # the element is often wrong
    rows, columns = recipe.get("crop_first", recipe.get("crop", (None, None)))
    frames = [frame[:rows, :columns] for frame in _stored_frames(ds, recipe.get("frames"))]
    if "canvas" in recipe:
        frames = [fit(frame, *recipe["canvas"]) for frame in frames]
    if "burn" in recipe:
        _draw(ds, frames, instance, recipe["burn"])
    comment = b""
    if recipe.get("comment"):
        plain = instance.study.patient.name.plain
        comment = instance.plant_name("JPEG COM and Exif segments", plain.comma, plain).encode("ascii")
    _drop_stale_elements(ds)
    set_frames(ds, frames, recipe["syntax"], comment=comment)


def _borrow_pixels(ds: Dataset, other: Dataset) -> None:
    """Take image and transfer syntax from another base file: some headers come with an image of 16 x 16 only."""
    for tag in [element.tag for element in ds if element.tag.group == 0x0028]:
        del ds[tag]
    for element in other:
        if element.tag.group in (0x0028, 0x7FE0):
            ds.add(element)
    ds.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID


def _stored_frames(ds: Dataset, count: int | None) -> list[Pixels]:
    """The first `count` frames (all, if None) as unsigned integers; colour as RGB, palette as indices."""
    total = int(ds.get("NumberOfFrames", 1) or 1)
    frames = [np.asarray(pixel_array(ds, index=index)) for index in range(min(count or total, total))]
    if frames[0].dtype.kind == "i":
        lowest = min(int(frame.min()) for frame in frames)
        frames = [(frame.astype(np.int64) - lowest).astype(np.uint16) for frame in frames]
        if "RescaleIntercept" in ds:
            ds.RescaleIntercept = float(ds.RescaleIntercept) + lowest * float(ds.get("RescaleSlope", 1))
    return frames


def _draw(ds: Dataset, frames: list[Pixels], instance: Instance, wanted: Mapping[str, Any]) -> None:
    """Burn the lines into one frame, in place in the list; white on black as displayed."""
    index: int = wanted.get("frame", 0)
    black, white = _ink(ds, frames[index])
    lines = burned_lines(instance, wanted["lines"])
    text = [drawn for _, _, drawn in lines]
    frames[index], placed = burn(
        frames[index], text, corner=wanted["corner"], size=wanted["size"], black=black, white=white
    )
    where = f"burned_in frame={index} box={placed}"
    patient = instance.study.patient
    for kind, value, _ in lines:
        if kind == "NAME":
            instance.plant_name(where, value, patient.name.plain)
        else:
            instance.plant(
                kind, value, where, ambiguous=kind == "STUDY_DATE" or (kind == "ID" and patient.id_is_digits)
            )


def _ink(ds: Dataset, frame: Pixels) -> tuple[float, float]:
    """Stored values that are displayed as black and as white."""
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        tables = [
            np.frombuffer(ds[f"{colour}PaletteColorLookupTableData"].value, "<u2").astype(float)
            for colour in ("Red", "Green", "Blue")
        ]
        brightness = sum(tables[1:], tables[0])
        return float(brightness.argmin()), float(brightness.argmax())
    if frame.ndim == 3:
        return 0.0, 255.0 if frame.dtype.itemsize == 1 else 65535.0
    lowest, highest = float(frame.min()), float(frame.max())
    return (highest, lowest) if ds.PhotometricInterpretation == "MONOCHROME1" else (lowest, highest)


def _drop_stale_elements(ds: Dataset) -> None:
    """Elements that describe pixels as they no longer are."""
    for keyword in (
        "SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelAspectRatio",
        "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod", "ICCProfile",
        "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "FrameIncrementPointer", "FrameTime", "FrameTimeVector",
        "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelSpacing", "SequenceOfUltrasoundRegions",
    ):  # fmt: skip
        if keyword in ds:
            delattr(ds, keyword)
    for tag in [element.tag for element in ds if element.tag.group in range(0x6000, 0x6020)]:
        del ds[tag]


def _presentation_state(base: Dataset) -> Dataset:
    """A Grayscale Softcopy Presentation State that refers to the base image (PS3.3 A.33.1)."""
    state = Dataset()
    state.update({element.tag: element for element in base if element.tag.group in (0x0008, 0x0010, 0x0020)})
    state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    state.Modality = "PR"
    image = Dataset()
    image.ReferencedSOPClassUID = base.SOPClassUID
    image.ReferencedSOPInstanceUID = base.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = base.SeriesInstanceUID
    series.ReferencedImageSequence = [image]
    state.ReferencedSeriesSequence = [series]
    state.ContentLabel = "MARKS"
    state.PresentationCreationDate = base.StudyDate
    state.PresentationCreationTime = "120000"
    state.ContentCreatorName = "creator"
    state.file_meta = base.file_meta
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return state
