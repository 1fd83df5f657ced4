"""Small data sets made by hand, for the tests of the header engine."""

import io
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gradient_assets.deid.headers import HeaderEngine, identifiers_of, read_dataset, write_dataset
from gradient_assets.deid.headers.contract import CleanedHeader

STUDY, SERIES, SOP = "1.2.826.0.1.3680043.9.1.1", "1.2.826.0.1.3680043.9.1.2", "1.2.826.0.1.3680043.9.1.3"


def instance(**elements: Any) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, SOP
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID, ds.PatientName, ds.Modality = "MRN-0077123", "Zymurgy^Quentin", "CT"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20200229", "101112", "ACC99123"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def sequence(*items: Dataset) -> Sequence:
    return Sequence(items)


def as_bytes(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
    if syntax != ExplicitVRBigEndian:  # raw elements, right or wrong, are then written as they are
        ds.set_original_encoding(syntax == ImplicitVRLittleEndian, True, ds._character_set)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format="SOPClassUID" in ds and "SOPInstanceUID" in ds)
    body = buffer.getvalue()
    return body if body[128:132] == b"DICM" else b"\x00" * 128 + b"DICM" + body


def cleaned(engine: HeaderEngine, source: Dataset | bytes) -> tuple[CleanedHeader, bytes, Dataset]:
    """Through the whole way: bytes → read → clean → write → read again by pydicom."""
    raw = source if isinstance(source, bytes) else as_bytes(source)
    ds = read_dataset(raw)
    result = engine.clean(ds, identifiers_of(ds))
    written = write_dataset(result.dataset)
    return result, written, pydicom.dcmread(io.BytesIO(written))
