"""The pixel attributes of one object, read once, checked against each other and against limits.

Belongs here: everything that is decided from the header alone, before a byte is decoded.  How bytes become frames is
`decoding`'s business.  PS3.3 C.7.6.3 (Image Pixel), C.7.6.6 (Multi-frame).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from gradient_assets.deid.reasons import Reason, Refused

# 1 GiB of samples, decoded: four times the largest mammography tomosynthesis. Whole slides are tiled and exceed it;
# they are refused until somebody needs them.
MAX_SAMPLES = 1 << 30
# One frame is held several times while it is looked at, in up to 8 bytes a sample. Digitised film has 100 million.
MAX_FRAME_SAMPLES = 1 << 28
MAX_SIDE_PX = 65_535
MAX_FRAMES = 20_000

GREYSCALE = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "XYB"})
PALETTE = "PALETTE COLOR"
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, slots=True)
class PixelShape:
    """What the header says about the pixels. `signed` is Pixel Representation; `keyword` names the pixel element."""

    keyword: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    photometric: str

    @property
    def is_float(self) -> bool:
        """True for Float and Double Float Pixel Data."""
        return self.keyword != "PixelData"


def pixel_keyword(ds: Dataset) -> str | None:
    """Which pixel element the object has; None without any; more than one is refused (PS3.3 C.7.6.24)."""
    present = [keyword for keyword in PIXEL_KEYWORDS if keyword in ds]
    if len(present) > 1:
        raise Refused(Reason.PIXEL_GEOMETRY, "more than one pixel data element")
    return present[0] if present else None


def pixel_shape(ds: Dataset, keyword: str) -> PixelShape:
    """The checked shape; raises Refused(PIXEL_GEOMETRY) for gaps and contradictions, PIXELS_TOO_LARGE over the limits."""
    is_float = keyword != "PixelData"
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword) or _integer(ds, "BitsAllocated")
    stored = bits if is_float else _integer(ds, "BitsStored", bits)
    samples = _integer(ds, "SamplesPerPixel", 1)
    frames = _integer(ds, "NumberOfFrames", 1)
    shape = PixelShape(
        keyword=keyword,
        rows=_integer(ds, "Rows"),
        columns=_integer(ds, "Columns"),
        frames=1 if frames == 0 else frames,  # some writers leave 0 for a single frame
        samples=samples,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=stored - 1 if is_float else _integer(ds, "HighBit", stored - 1),
        signed=_integer(ds, "PixelRepresentation", 0) == 1,
        planar=_integer(ds, "PlanarConfiguration", 0) if samples > 1 else 0,
        photometric=str(ds.get("PhotometricInterpretation") or "").strip().upper(),
    )
    _check(shape)
    return shape


def _integer(ds: Dataset, keyword: str, default: int | None = None) -> int:
    try:
        value = ds.get(keyword)
        if value is None or value == "":
            if default is None:
                raise Refused(Reason.PIXEL_GEOMETRY, f"{keyword} is missing")
            return default
        return int(value)
    except Refused:
        raise
    except Exception:
        raise Refused(Reason.PIXEL_GEOMETRY, f"{keyword} is no integer") from None


def _check(shape: PixelShape) -> None:
    if not (shape.rows > 0 and shape.columns > 0 and shape.frames > 0):
        raise Refused(Reason.PIXEL_GEOMETRY, "Rows, Columns or Number of Frames is not positive")
    if (
        shape.rows > MAX_SIDE_PX
        or shape.columns > MAX_SIDE_PX
        or shape.frames > MAX_FRAMES
        or shape.rows * shape.columns * shape.samples > MAX_FRAME_SAMPLES
        or shape.rows * shape.columns * shape.frames * shape.samples > MAX_SAMPLES
    ):
        raise Refused(Reason.PIXELS_TOO_LARGE, f"{shape.rows} x {shape.columns} x {shape.frames} x {shape.samples}")
    if shape.bits_allocated not in (1, 8, 16, 32, 64):
        raise Refused(Reason.PIXEL_GEOMETRY, f"Bits Allocated {shape.bits_allocated}")
    if (
        not 1 <= shape.bits_stored <= shape.bits_allocated
        or not shape.bits_stored - 1 <= shape.high_bit < shape.bits_allocated
    ):
        raise Refused(Reason.PIXEL_GEOMETRY, "Bits Stored or High Bit does not fit Bits Allocated")
    if shape.planar not in (0, 1):
        raise Refused(Reason.PIXEL_GEOMETRY, f"Planar Configuration {shape.planar}")
    if shape.is_float or shape.photometric in GREYSCALE or shape.photometric == PALETTE:
        expected = 1
    elif shape.photometric in COLOUR:
        expected = 3
    else:
        raise Refused(Reason.PIXEL_GEOMETRY, "Photometric Interpretation is missing, retired or unknown")
    if shape.samples != expected:
        raise Refused(Reason.PIXEL_GEOMETRY, f"{shape.samples} samples per pixel")
    if shape.bits_allocated == 1 and (shape.samples != 1 or shape.signed):
        raise Refused(Reason.PIXEL_GEOMETRY, "1-bit pixels of more than one sample or signed")
