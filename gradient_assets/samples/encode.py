"""Frames into Pixel Data of a transfer syntax, and data sets into bytes.

Belongs here: compressing with `imagecodecs`, the elements of the image pixel module that go with it (PS3.5 8.2, PS3.3
C.7.6.3), comments hidden in a JPEG stream, and deterministic writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from gradient_assets.samples.burn import Pixels

SYNTAXES = {
    "implicit": UID("1.2.840.10008.1.2"),
    "explicit": UID("1.2.840.10008.1.2.1"),
    "deflated": UID("1.2.840.10008.1.2.1.99"),
    "big_endian": UID("1.2.840.10008.1.2.2"),
    "jpeg": UID("1.2.840.10008.1.2.4.50"),
    "jpeg_lossless": UID("1.2.840.10008.1.2.4.70"),
    "jls": UID("1.2.840.10008.1.2.4.80"),
    "j2k": UID("1.2.840.10008.1.2.4.90"),
    "rle": UID("1.2.840.10008.1.2.5"),
}
"""Our short names of transfer syntaxes, PS3.6 Table A-1."""

_SAMPLE_UID_ROOT = "1.2.826.0.1.3680043.8.498"  # pydicom's own root; under it anybody may make UIDs

_COMPRESS: dict[str, Callable[[Pixels], bytes]] = {
    "jpeg": lambda frame: bytes(imagecodecs.jpeg8_encode(frame, level=92)),
    "jpeg_lossless": lambda frame: bytes(imagecodecs.ljpeg_encode(frame)),
    "jls": lambda frame: bytes(imagecodecs.jpegls_encode(frame)),
    "j2k": lambda frame: bytes(
        imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k", mct=frame.ndim == 3)
    ),
}
_COLOUR_AFTER = {"jpeg": "YBR_FULL_422", "j2k": "YBR_RCT"}


def set_frames(ds: Dataset, frames: Sequence[Pixels], syntax: str, *, comment: bytes = b"") -> None:
    """Put the frames into `ds` under a syntax of `SYNTAXES` and mend the elements that describe them.

    Frames are unsigned, 8 or 16 bits, all of one shape.  `comment` goes into each JPEG stream as COM and Exif segments.
    """
    first = frames[0]
    ds.Rows, ds.Columns = first.shape[:2]
    ds.BitsAllocated = ds.BitsStored = first.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = 0
    ds.SamplesPerPixel = 3 if first.ndim == 3 else 1
    if first.ndim == 3:
        ds.PlanarConfiguration = 0
        ds.PhotometricInterpretation = _COLOUR_AFTER.get(syntax, "RGB")
    if len(frames) > 1 or "NumberOfFrames" in ds:
        ds.NumberOfFrames = len(frames)
    ds.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    if syntax in _COMPRESS:
        streams = [_COMPRESS[syntax](np.ascontiguousarray(frame)) for frame in frames]
        if syntax == "jpeg":
            ds.LossyImageCompression = "01"
            streams = [_with_comment(stream, comment) if comment else stream for stream in streams]
        ds.PixelData = encapsulate(streams)
    else:
        stored = first.dtype.newbyteorder(">" if syntax == "big_endian" else "<")
        raw = b"".join(frame.astype(stored).tobytes() for frame in frames)
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    ds["PixelData"].is_undefined_length = syntax in _COMPRESS
    if syntax == "rle":
        ds.file_meta.TransferSyntaxUID = SYNTAXES["explicit"]
        ds.compress(SYNTAXES["rle"], generate_instance_uid=False)


def _with_comment(stream: bytes, comment: bytes) -> bytes:
    """The JPEG stream with an APP1 Exif segment and a COM segment after SOI (ITU-T T.81 B.2.4)."""
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x02"
        + len(comment).to_bytes(4, "big")
        + b"\0\0\0\x1a\0\0\0\0"
        + comment
    )
    segments = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    segments += b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return stream[:2] + segments + stream[2:]


def fresh_meta(ds: Dataset, sop_class: UID, sop_uid: str, syntax: UID, source: str) -> FileMetaDataset:
    """File meta information as a sending archive would write it; `source` is its application entity title."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\x01"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(f"{_SAMPLE_UID_ROOT}.1")
    meta.ImplementationVersionName = "SAMPLES_1"
    meta.SourceApplicationEntityTitle = source
    ds.file_meta = meta
    return meta


def to_bytes(ds: Dataset, *, preamble: bytes = b"\0" * 128, bare: bool = False) -> bytes:
    """The data set as a DICOM file; `bare` leaves out preamble, prefix and file meta information."""
    buffer = BytesIO()
    if isinstance(ds, FileDataset):
        ds.preamble = preamble
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return _without_meta(buffer.getvalue()) if bare else buffer.getvalue()


def _without_meta(file: bytes) -> bytes:
    """What follows the file meta information of a DICOM file; its length stands in (0002,0000), the first element."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]
