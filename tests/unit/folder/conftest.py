"""A key, small DICOM files about invented people, and running the command."""

import csv
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gradient_assets.cli.deidentify import deidentify
from gradient_assets.deid.identity import create_key_file

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def make_instance(path, *, number=1, patient_id="MRN-778123", name="Quillfeather^Zebulon", rows=32, columns=40, **more):
    """Write one small MR image; equal `number`, equal SOP Instance UID."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\x00" * 128)
    ds.SOPClassUID = meta.MediaStorageSOPClassUID = MR_IMAGE
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    ds.SeriesInstanceUID, ds.StudyInstanceUID = "1.2.3.4.100", "1.2.3.4.200"
    ds.PatientID, ds.PatientName, ds.Modality = patient_id, name, "MR"
    ds.AccessionNumber, ds.StudyDate, ds.PatientBirthDate = "ACC55501", "20190304", "19610203"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = (np.arange(rows * columns, dtype=np.uint16) % 4096).tobytes()
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def write_csv(path, heading, *rows, encoding="utf-8", delimiter=","):
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([heading, *rows])
    return path


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_under(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Place:
    """IN, OUT, the key and FILE of one test."""

    source: object
    out: object
    key: object
    crosswalk: object

    def run(self, *more, source=None, out=None, key=None, crosswalk=None):
        places = [source or self.source, out or self.out]
        options = ["--key-file", key or self.key, "--crosswalk", crosswalk or self.crosswalk, "--jobs", "1"]
        return CliRunner().invoke(deidentify, [str(word) for word in (*places, *options, *more)])

    @property
    def rows(self):
        return read_csv(self.crosswalk)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    create_key_file(tmp_path / "key")
    return Place(tmp_path / "in", tmp_path / "out", tmp_path / "key", tmp_path / "crosswalk.csv")
