"""A GRADIENT_HOME with one hospital of four small images, and a finder that knows where text was planted in them.

The stages' own steps write its tables, without Beam and without Dagster.
"""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
import yaml
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gradient_assets.deid.headers import Profile, replaced_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels import FoundText
from gradient_assets.hospitals import Hospital, load_registry
from gradient_assets.integrity.recorded import committing, recorded_warehouse
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.pipelines.worklist import write_everyone
from resources import Resources, Settings, resources_for

MR_IMAGE, US_CINE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.3.1"
ROWS, COLUMNS, CINE_FRAMES = 96, 160, 3
PATIENT, NAME = "MRN-771204", "Quillfeather^Zebulon"

SURE = (8, 6, 60, 12, 0.93)
"""Left, top, width, height of planted text, and how sure the finder is of it."""
DOUBTFUL = (90, 70, 50, 10, 0.45)
MISSED = (20, 40, 70, 14)
"""Text that no finder finds: what a person is there for."""


@dataclass
class PlantedFinder:
    """Finds what stands at the two places."""

    name: str = "planted"
    version: str = "1"

    def find(self, image):
        plane = image if image.ndim == 2 else image[..., 0]
        if plane.shape != (ROWS, COLUMNS):
            return []
        found = []
        for left, top, width, height, score in (SURE, DOUBTFUL):
            part = plane[top : top + height, left : left + width].astype(int)
            if np.abs(np.diff(part, axis=1)).mean() > 50:
                found.append(FoundText(left, top, width, height, score, 9))
        return found


def stripes(frame, place, value):
    """Something like text: every other column of the rectangle is bright."""
    left, top, width, height = place[:4]
    frame[top : top + height, left : left + width : 2] = value


def image(number, places, *, frames=1):
    """One small image with text at the places, on every frame."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\x00" * 128)
    ds.SOPClassUID = meta.MediaStorageSOPClassUID = MR_IMAGE if frames == 1 else US_CINE
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    ds.SeriesInstanceUID, ds.StudyInstanceUID = "1.2.3.4.100", "1.2.3.4.200"
    ds.PatientID, ds.PatientName, ds.Modality = PATIENT, NAME, "MR" if frames == 1 else "US"
    ds.StudyDate, ds.PatientBirthDate = "20190304", "19610203"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    pixels = np.zeros((frames, ROWS, COLUMNS), np.uint8)
    for index in range(frames):
        pixels[index] = 20 + (np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) + 16 * index) % 64
        for place in places:
            stripes(pixels[index], place, 255)
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


OBJECTS = {
    "quillfeather/sure.dcm": image(1, [SURE]),
    "quillfeather/doubtful.dcm": image(2, [SURE, DOUBTFUL]),
    "quillfeather/missed.dcm": image(3, [MISSED]),
    "quillfeather/cine.dcm": image(4, [SURE], frames=CINE_FRAMES),
}


@dataclass
class SmallHome:
    """The home; `build` writes the objects and runs the steps."""

    path: Path

    @classmethod
    def build(cls, path, *, with_thumbnails=True):
        home = cls(path)
        for key, content in OBJECTS.items():
            file = path / "landing/st-mary/dicoms" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        entry = {
            "id": "st-mary",
            "number": 1,
            "buckets": {"dicoms": "landing/st-mary/dicoms", "reports": "landing/st-mary/reports"},
            "report_columns": {"report_id": "id", "text": "text"},
            "date_order": "mdy",
            "timezone": "UTC",
            "profile": "longitudinal",
            "secret_name": "hospital/st-mary",
        }
        (path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
        home.resources.vault.create("hospital/st-mary")
        profile, bucket = Profile.named("longitudinal"), home.resources.hospital_bucket(home.hospital, "dicoms")
        read = ReadHeaders(home.hospital, bucket, profile)
        home.run(read, home.source.objects(bucket.listing(), read.version))
        home.clean_headers()
        if with_thumbnails:
            home.make_thumbnails()
        return home

    def clean_headers(self):
        profile, known = Profile.named("longitudinal"), gather(self.resources.warehouse, "st-mary")
        clean = CleanHeaders(self.hospital, profile, self.identity)
        self.run(clean, self.source.headers(known, profile, clean.version), known.everyone())

    def rotate(self):
        """A newer version of the hospital's key, and headers as the next run writes them."""
        self.resources.keys.rotate("hospital/st-mary", by="Ada", reason="a laptop was lost")
        self.clean_headers()

    def make_thumbnails(self):
        self.run(self.step, self.source.pixels(self.step.version))

    @property
    def step(self):
        bucket = self.resources.hospital_bucket(self.hospital, "dicoms")
        return MakeThumbnails(self.hospital, bucket, self.identity, Profile.named("longitudinal"), PlantedFinder())

    def run(self, step, items, everyone=()):
        warehouse = self.warehouse("small-home")
        with (
            warehouse.staging("identified", "run") as private,
            warehouse.staging(step.output.zone, "run") as visible,
            warehouse.staging("identified", "objects") as objects,
        ):
            places = {step.output.zone: visible, "identified": private, "objects": objects}
            places = {zone: StagingPlace(one.bucket, one.uri) for zone, one in places.items()}
            write_everyone(places["identified"], everyone)
            result = StepRunner(step, {"st-mary": self.hospital}, places).run(list(items))
            assert not [name for name in result.counts if name.startswith("refused")], result.counts
            bucket = self.resources.thumbnails
            with committing(warehouse, step.made, "st-mary"):
                for stat in list(objects.bucket.listing()):
                    bucket.put(stat.key, objects.bucket.get(stat.key))
                for spec in (step.refusals, step.made, *step.beside, step.output):
                    warehouse.replace(spec, "st-mary", shards=result.shards.get(spec.full_name, []))

    def warehouse(self, run_id):
        """What the hospital's tables are written through, as the assets write them."""
        return recorded_warehouse(self.resources, "st-mary", self.resources.key("hospital/st-mary"), run_id)

    @cached_property
    def resources(self) -> Resources:
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))

    @cached_property
    def hospital(self) -> Hospital:
        return load_registry(self.path / "hospitals.yaml", home=self.path).get("st-mary")

    @property
    def identity(self) -> Pseudonymizer:
        return Pseudonymizer(self.resources.key("hospital/st-mary"), "st-mary")

    @property
    def source(self) -> WorkSource:
        return WorkSource(self.hospital, self.resources.warehouse, self.identity)

    def pseudonym(self, name):
        """The object pseudonym of `sure`, `doubtful`, `missed` or `cine`."""
        return self.identity.token("object", f"quillfeather/{name}.dcm")

    def name_of(self, pseudonym):
        return next(name for name in ("sure", "doubtful", "missed", "cine") if self.pseudonym(name) == pseudonym)

    def new_uid(self, number):
        return replaced_uid(f"1.2.3.4.{number}", self.identity.uid)
