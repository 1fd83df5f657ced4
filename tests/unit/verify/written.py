"""Small DICOM objects with pixels, as they might have been written."""

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian


def dicom(frames, syntax=ExplicitVRLittleEndian, photometric="MONOCHROME2", streams=None, **more):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    array = np.asarray(frames)
    ds.NumberOfFrames, ds.Rows, ds.Columns = array.shape[:3]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = (array.shape[3] if array.ndim == 4 else 1), photometric
    if ds.SamplesPerPixel > 1:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * array.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    ds.add_new("PixelData", "OW", array.tobytes() if streams is None else encapsulate(streams))
    ds["PixelData"].is_undefined_length = streams is not None
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def dots(count, dtype=np.uint16):
    """Frames that are dark but for one bright dot, in another place each."""
    frames = np.full((count, 32, 40), 100, dtype)
    for number in range(count):
        frames[number, 5, 2 * number] = 200
    return frames
