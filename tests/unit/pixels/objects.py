"""Small DICOM objects with known pixels, and finders that answer what a test wants."""

import cv2
import numpy as np
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.uid import UID, SecondaryCaptureImageStorage

from gradient_assets.deid.pixels import FoundText, decode_frames, encoding
from gradient_assets.deid.pixels.decoding import FrameSource, native_length
from gradient_assets.deid.pixels.geometry import pixel_shape

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL = "1.2.840.10008.1.2.4.112"


def packaged(name: str) -> Dataset:
    """A file that ships inside the pydicom package."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return dcmread(path)


MARK_PX = 200
LIKE = 0.9


class FixedFinder:
    """Finds the same boxes on every picture, until `times` pictures were looked at; counts its looks."""

    name = "fixed"
    version = "1"

    def __init__(self, *found: FoundText, times: int = 1) -> None:
        self.found, self.times, self.looks = list(found), times, 0

    def find(self, image: np.ndarray) -> list[FoundText]:
        self.looks += 1
        return list(self.found) if self.looks <= self.times else []


class FailingFinder:
    """Raises what it is given, with a message that must not get out."""

    name = "failing"
    version = "1"

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def find(self, image: np.ndarray) -> list[FoundText]:
        raise self.error("SECRET NAME")


class BrightFinder:
    """Finds the rectangle around everything that is brighter than nearly white."""

    name = "bright"
    version = "1"

    def __init__(self, letters: int = 5) -> None:
        self.letters, self.looks = letters, 0

    def find(self, image: np.ndarray) -> list[FoundText]:
        self.looks += 1
        grey = image if image.ndim == 2 else image.max(axis=2)
        rows, columns = np.nonzero(grey >= 250)
        if rows.size < MARK_PX:  # the brightest pixel of every picture is white; a planted mark is larger
            return []
        top, left = int(rows.min()), int(columns.min())
        return [FoundText(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1, 0.9, self.letters)]


LETTERS = np.kron(np.array([[1, 0, 1, 0, 1, 1], [1, 1, 1, 0, 1, 0], [1, 0, 1, 0, 1, 1]]), np.ones((3, 2))) > 0
"""Three letters of 9 px, 12 px wide."""


class LetterFinder:
    """Finds `LETTERS` wherever they stand, brighter or darker than their ground, and keeps the shapes it was shown."""

    name = "letters"
    version = "1"

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def find(self, image: np.ndarray) -> list[FoundText]:
        self.shown.append(image.shape)
        found: list[FoundText] = []
        for grey in [image] if image.ndim == 2 else np.moveaxis(image, 2, 0):
            alike = cv2.matchTemplate(np.ascontiguousarray(grey), LETTERS.astype(np.uint8) * 255, cv2.TM_CCOEFF_NORMED)
            places = zip(*np.nonzero(np.abs(np.nan_to_num(alike)) > LIKE), strict=True)
            found += [FoundText(int(left), int(top), 12, 9, 0.9, 3) for top, left in places]
        return found


def object_of(frames: np.ndarray, *, syntax: str = EXPLICIT, **attributes: object) -> Dataset:
    """A secondary capture of the frames given (frames × rows × columns [× 3]), stored in the transfer syntax."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    ds.SOPClassUID = SecondaryCaptureImageStorage
    samples = 3 if frames.ndim == 4 else 1
    bits = frames.dtype.itemsize * 8
    ds.SamplesPerPixel, ds.NumberOfFrames = samples, frames.shape[0]
    ds.Rows, ds.Columns = frames.shape[1:3]
    ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(frames.dtype.kind == "i")
    if samples == 3:
        ds.PlanarConfiguration = 0
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    shape = pixel_shape(ds, "PixelData")
    blank = FrameSource(
        shape, syntax, memoryview(bytes(native_length(shape))), (), False, shape.photometric, syntax == BIG_ENDIAN
    )
    ds.PixelData = b""
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
        encoding.store_frames(ds, blank, lambda i: frames[i])
    else:
        encoding.store_streams(ds, [encoding._encoded(frame, blank) for frame in frames])
    return ds


def stack(ds: Dataset) -> np.ndarray:
    """All frames of an object, decoded."""
    return np.stack(list(decode_frames(ds)))


def gradient(rows: int, columns: int, dtype: str, frames: int = 1, high: int = 200) -> np.ndarray:
    """Frames without a constant region: a diagonal ramp with noise, different on each frame."""
    rng = np.random.default_rng(7)
    ramp = np.add.outer(np.arange(rows), np.arange(columns)) % high
    return np.stack([(ramp + rng.integers(0, 20, ramp.shape) + i) for i in range(frames)]).astype(dtype)
