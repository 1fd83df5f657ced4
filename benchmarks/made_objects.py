"""Thousands of small DICOM objects of made-up patients in a folder, as fast as the disk takes them.

Belongs here: one CT slice of about 60 elements is encoded once; each object is its bytes with identifiers of the same length
patched in.  Studies of `SLICES` objects, `STUDIES` studies a patient.  The same number makes the same object.  Also the home
of a hospital that has them.
"""

from __future__ import annotations

import io
import random
import string
from pathlib import Path

import pydicom
import yaml
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from gradient_assets.hospitals import load_registry
from resources import Settings, resources_for

HOSPITAL = "scale"
SLICES, STUDIES = 8, 2
SIDE = 32
ROOT = "1.2.826.0.1.3680043.8.498"
"""pydicom's own root (`pydicom.uid.PYDICOM_ROOT_UID`), as for all that is made by it."""

FIRST = 10_000_000
"""Numbers are counted from here, so that all have eight digits and none begins with a zero."""

PATIENT, NAME, ACCESSION = "MRN10000000", "AAAAAAAA^BBBBBB", "ACC10000000"
STUDY, SERIES, INSTANCE = (f"{ROOT}.{kind}.{FIRST}" for kind in (1, 2, 3))
BORN = "19000101"


def template(pixels: bool = True) -> bytes:
    """The slice whose identifiers are places to patch."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID = meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = INSTANCE
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, f"{SERIES}.1"
    ds.PatientID, ds.PatientName, ds.AccessionNumber = PATIENT, NAME, ACCESSION
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge, ds.PatientWeight = BORN, "F", "058Y", "71.5"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20190304"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101530.250000"
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "ACME MEDICAL", "SCANNER 64", "7.1"
    ds.InstitutionName, ds.StationName, ds.DeviceSerialNumber = "ST ELSEWHERE HOSPITAL", "CTROOM4", "SN-448812"
    ds.ReferringPhysicianName, ds.OperatorsName = "VANTERPOOLE^MAURA", "OKONKWOSKI^T"
    ds.StudyDescription, ds.SeriesDescription, ds.ProtocolName = "CT CHEST W CONTRAST", "LUNG 1.25MM", "CHEST ROUTINE"
    ds.BodyPartExamined, ds.PatientPosition, ds.StudyID = "CHEST", "HFS", "10000"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = "120", "280", "500", "140"
    ds.SliceThickness, ds.SpacingBetweenSlices, ds.ConvolutionKernel = "1.25", "1.25", "LUNG"
    ds.GantryDetectorTilt, ds.TableHeight, ds.RotationDirection = "0", "152.5", "CW"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 4, 1, 22
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-180.5, -172.25, 44.75], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceLocation, ds.PositionReferenceIndicator = [0.703125, 0.703125], "44.75", "SN"
    ds.RequestedProcedureDescription = "CT CHEST"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "CT Chest"
    ds.ProcedureCodeSequence = [code]
    asked = Dataset()
    asked.ScheduledProcedureStepDescription, asked.RequestedProcedureID = "CT CHEST", ACCESSION
    ds.RequestAttributesSequence = [asked]
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth, ds.RescaleIntercept, ds.RescaleSlope = "-600", "1500", "-1024", "1"
    if pixels:
        ds.PixelData = bytes(SIDE * SIDE * 2)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def patched(bytes_: bytes, number: int) -> bytes:
    """The object of this number."""
    study = number // SLICES
    patient = study // STUDIES
    chance = random.Random(patient)
    letters = "".join(chance.choices(string.ascii_uppercase, k=14))
    born = f"{chance.randrange(1930, 2000)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
    for place, value in (
        (INSTANCE, f"{ROOT}.3.{FIRST + number}"),
        (STUDY, f"{ROOT}.1.{FIRST + study}"),
        (SERIES, f"{ROOT}.2.{FIRST + study}"),
        (PATIENT, f"MRN{FIRST + patient}"),
        (NAME, f"{letters[:8]}^{letters[8:]}"),
        (ACCESSION, f"ACC{FIRST + study}"),
        (BORN, born),
    ):
        bytes_ = bytes_.replace(place.encode(), value.encode())
    return bytes_


def fill(folder: Path, objects: int, pixels: bool = True) -> None:
    """Write so many objects, a folder for each patient."""
    made = template(pixels)
    a_patient = SLICES * STUDIES
    for first in range(0, objects, a_patient):
        inside = folder / f"patient{first // a_patient:06d}"
        inside.mkdir(parents=True)
        for number in range(first, min(first + a_patient, objects)):
            (inside / f"{number:07d}.dcm").write_bytes(patched(made, number))


def make_home(home: Path, dicoms: Path) -> None:
    """A home whose one hospital has its objects in that folder, and no reports."""
    reports = home / "landing" / HOSPITAL / "reports"
    reports.mkdir(parents=True)
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {"dicoms": dicoms.absolute().as_uri(), "reports": reports.absolute().as_uri()},
        "report_columns": {"report_id": "Id", "text": "Report", "patient_id": "MRN"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{HOSPITAL}",
    }
    (home / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
    vault = resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)})).vault
    for hospital in load_registry(home / "hospitals.yaml", home=home):
        vault.create(hospital.secret_name)
