"""Encapsulated documents: their pages drawn, lines that identify blacked out, delivered as pictures.

Belongs here: from an object that wraps a PDF to a Multi-frame True Color Secondary Capture of its cleaned pages.  Only
when the profile says `encapsulated_documents: images`; otherwise, and whenever a step fails, the object stays
quarantined (`encapsulated_document`).  Drawing is `page_renderer`'s, finding and reading lines `pixels`', judging what
they say `text`'s, the header `headers`' business.  PS3.3 A.45.1, A.8.5, C.24.2.

CDA documents stay quarantined: XML with names in any element, style sheets and attachments, and no picture to make of it
that is not a layout of our own.  So do STL, OBJ and MTL: the surface of a head is a face, and their comments and names
of parts are free text that no rule has been measured on.

What was read on a page lives in this module's local variables only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MultiFrameTrueColorSecondaryCaptureImageStorage

from gradient_assets.deid import headers
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.page_renderer import DPI, UndrawableError, drawn_pages, is_pdf
from gradient_assets.deid.pixels import Box, CleanedPixels, ReadText, TextFinder, TextReader
from gradient_assets.deid.pixels.boxes import grown
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine

Page = NDArray[np.uint8]

LEAST_CONFIDENCE = 0.8
"""A line read less surely is blacked out.  Of 27 lines of 7 to 16 points, read by both models, the least sure was .95."""
ROUNDS = 3
"""Looks after the filling; what is found in the last one refuses the object."""
NEW_SHARE_OUTSIDE = 0.2
"""A line found in a filled page is new when this much of it lies outside what is black."""
SAME_ROW_SHARE = 0.5
"""Lines share a row when this much of the lower one's height lies in the other."""

_DOCUMENT = 0x00420011
_PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
_KEPT = (
    "SpecificCharacterSet", "SOPInstanceUID", "StudyDate", "SeriesDate", "ContentDate", "AcquisitionDateTime", "StudyTime",
    "SeriesTime", "ContentTime", "AccessionNumber", "Manufacturer", "InstitutionName", "ReferringPhysicianName",
    "TimezoneOffsetFromUTC", "StudyDescription", "SeriesDescription", "ManufacturerModelName", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "BodyPartExamined", "SoftwareVersions",
    "StudyInstanceUID", "SeriesInstanceUID", "StudyID", "SeriesNumber", "InstanceNumber", "Laterality",
)  # fmt: skip
"""What the picture takes over: its patient, study and series.  References, private elements and the document's own
structure stay behind."""


def is_asked_for(profile: headers.Profile, ds: Dataset) -> bool:
    """Whether the profile wants pictures of the document that this object wraps."""
    return profile.encapsulated_documents == "images" and _DOCUMENT in ds


def cleaned_pages(
    ds: Dataset, known: KnownIdentifiers, text: TextEngine, finders: Sequence[TextFinder]
) -> CleanedPixels:
    """The pages of the PDF in `ds`, looked at with every finder given, as a secondary capture with the same identity.

    The header of the result holds the original's identifiers: `headers` cleans it next, as for any object.  Raises
    `Refused`: ENCAPSULATED_DOCUMENT for what is no PDF or can't be drawn, else the reason of the engine that failed.
    """
    readers = [_reader(finder) for finder in finders]
    pages = _drawn(ds)
    found: list[Box] = []
    clean: list[Page] = []
    for number, page in enumerate(pages):
        look = _PageCleaner(page, number, text, known)
        for reader in readers:
            look.fill(reader)
        look.prove(readers[-1])
        clean.append(look.picture)
        found += look.boxes
    stack = np.stack(_of_one_size(clean))
    return CleanedPixels(
        dataset=_secondary_capture(ds, stack),
        boxes=tuple(found),
        frames=len(stack),
        touched=True,
        verdict="redacted" if found else "clean",
        method_codes=("113101",) if found else (),
        removed=Counter(),
        _middle=stack[len(stack) // 2],
    )


def describe(ds: Dataset) -> None:
    """Say in the cleaned object how it came to be; its own words, so they are written after the header's cleaning."""
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.DerivationDescription = f"Pages of an encapsulated PDF drawn at {DPI} dpi, identifying lines blacked out"


def _drawn(ds: Dataset) -> list[Page]:
    if headers.columns_of(ds)["sop_class_uid"] != _PDF_STORAGE:
        headers.admit(_without_document(ds))  # a document in another class: that class must be admitted as well
    if any(keyword in ds for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "WaveformSequence")):
        raise Refused(Reason.ENCAPSULATED_DOCUMENT, "a document beside pixels or waveforms")
    value = ds[_DOCUMENT].value
    mime_type = str(ds.get("MIMETypeOfEncapsulatedDocument", "") or "").strip().casefold()
    if not isinstance(value, bytes) or mime_type not in ("application/pdf", "") or not is_pdf(value):
        raise Refused(Reason.ENCAPSULATED_DOCUMENT, "no PDF")
    try:
        return drawn_pages(value)
    except UndrawableError as error:
        raise Refused(Reason.ENCAPSULATED_DOCUMENT, str(error)) from None


def _without_document(ds: Dataset) -> Dataset:
    bare = Dataset({tag: ds.get_item(tag) for tag in ds.keys() if tag.group != 0x0042})  # noqa: SIM118  keys are tags
    bare.file_meta = getattr(ds, "file_meta", FileMetaDataset())
    return bare


def _reader(finder: TextFinder) -> TextReader:
    if not hasattr(finder, "read"):
        raise Refused(Reason.ENCAPSULATED_DOCUMENT, f"the text finder {finder.name} can't read")
    return cast(TextReader, finder)


class _PageCleaner:
    """One page: what is read on it, judged, and filled."""

    def __init__(self, page: Page, number: int, text: TextEngine, known: KnownIdentifiers) -> None:
        self.picture = page.copy()
        self.number = number
        self.boxes: list[Box] = []
        self.filled = np.zeros(page.shape[:2], np.bool_)
        self._find = lambda written: text.find(written, known)

    def fill(self, reader: TextReader) -> int:
        """Black out what identifies; how many lines that were."""
        rows, columns = self.picture.shape[:2]
        new = []
        for line in identifying(self._read(reader), self._find):
            box = grown(line.box, rows, columns, reader.name, self.number)
            if box is None or self._is_filled(line):
                continue
            self.picture[box.slices] = 0
            self.filled[box.slices] = True
            new.append(box)
        self.boxes += new
        return len(new)

    def _is_filled(self, line: ReadText) -> bool:
        """Corners and gaps of black boxes look like letters, and are found for ever."""
        top, left = line.box.top, line.box.left
        covered = self.filled[top : top + line.box.height, left : left + line.box.width]
        return 1 - float(covered.mean()) < NEW_SHARE_OUTSIDE

    def prove(self, reader: TextReader) -> None:
        """Look at the filled page again until nothing is found; Refused(RESIDUAL_TEXT_IN_PIXELS) when it does not end."""
        for _ in range(ROUNDS):
            if not self.fill(reader):
                return
        raise Refused(Reason.RESIDUAL_TEXT_IN_PIXELS, f"a page, after {ROUNDS} rounds")

    def _read(self, reader: TextReader) -> list[ReadText]:
        try:
            return reader.read(self.picture)
        except Refused:
            raise
        except Exception as error:  # an engine's error text may hold what it read
            raise Refused(Reason.PIXEL_ENGINE_FAILED, type(error).__name__) from None


def identifying(
    lines: Sequence[ReadText], find: Callable[[str], Sequence[tuple[int, int, str, str]]]
) -> list[ReadText]:
    """The lines of one page that must go: those that touch a span which `find` reports in the page's text, that were
    read with little confidence, or that stand in a row with the label of a person."""
    rows = in_rows(lines)
    gone = [line for line in lines if line.confidence < LEAST_CONFIDENCE]
    pieces: list[str] = []
    places: list[tuple[int, int, ReadText]] = []
    at = 0
    for row in rows:
        for number, line in enumerate(row):
            if number:
                pieces.append(" ")
                at += 1
            places.append((at, at + len(line.text), line))
            pieces.append(line.text)
            at += len(line.text)
        pieces.append("\n")
        at += 1
        if _is_labelled(" ".join(line.text for line in row)) or any(_is_labelled(line.text) for line in row):
            gone += row
    for span in find("".join(pieces)):
        gone += [line for start, end, line in places if start < span[1] and span[0] < end]
    return list({id(line): line for line in gone}.values())


def in_rows(lines: Sequence[ReadText]) -> list[list[ReadText]]:
    """Lines that stand side by side, left to right; rows from top to bottom."""
    rows: list[list[ReadText]] = []
    for line in sorted(lines, key=lambda one: one.box.top + one.box.height / 2):
        for row in reversed(rows[-4:]):
            if _beside(row[0], line):
                row.append(line)
                break
        else:
            rows.append([line])
    return [sorted(row, key=lambda one: one.box.left) for row in rows]


def _beside(one: ReadText, other: ReadText) -> bool:
    shared = min(one.box.top + one.box.height, other.box.top + other.box.height) - max(one.box.top, other.box.top)
    return shared >= SAME_ROW_SHARE * min(one.box.height, other.box.height)


def _is_labelled(text: str) -> bool:
    return bool(_labels().search(re.sub(r"\s+", " ", text.casefold()).strip()))


@cache
def _labels() -> re.Pattern[str]:
    """A label at the beginning, or anywhere with a colon behind it."""
    lines = files("gradient_assets.deid").joinpath("document_labels.txt").read_text("utf-8").splitlines()
    words = "|".join(re.escape(line) for line in sorted(lines, key=len, reverse=True) if line and line[0] != "#")
    return re.compile(rf"^\W*(?:{words})\b|\b(?:{words})\b[^:]{{0,20}}[:：]")


def _of_one_size(pages: Sequence[Page]) -> list[Page]:
    """Frames of one object have one size: smaller pages get a white margin to the right and below."""
    rows, columns = max(page.shape[0] for page in pages), max(page.shape[1] for page in pages)
    margins = [((0, rows - page.shape[0]), (0, columns - page.shape[1]), (0, 0)) for page in pages]
    return [np.pad(page, margin, constant_values=255) for page, margin in zip(pages, margins, strict=True)]


def _secondary_capture(ds: Dataset, frames: NDArray[np.uint8]) -> FileDataset:
    """PS3.3 A.8.5 Multi-frame True Color Secondary Capture Image IOD."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    capture = FileDataset("", Dataset(), b"\x00" * 128, meta, False, True)
    for keyword in _KEPT:
        if keyword in ds:
            capture[keyword] = ds[keyword]
    sop_class = UID(MultiFrameTrueColorSecondaryCaptureImageStorage)
    capture.SOPClassUID = sop_class
    capture.SOPInstanceUID = ds.get("SOPInstanceUID") or getattr(ds, "file_meta", Dataset()).get(
        "MediaStorageSOPInstanceUID", ""
    )
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, capture.SOPInstanceUID
    capture.Modality = "OT"  # DOC stands for documents that were not looked at, and is refused
    capture.ConversionType = "WSD"
    capture.BurnedInAnnotation = "NO"
    capture.LossyImageCompression = "00"
    capture.SamplesPerPixel, capture.PhotometricInterpretation, capture.PlanarConfiguration = 3, "RGB", 0
    capture.NumberOfFrames, capture.Rows, capture.Columns = frames.shape[:3]
    capture.BitsAllocated, capture.BitsStored, capture.HighBit, capture.PixelRepresentation = 8, 8, 7, 0
    if len(frames) > 1:
        capture.FrameIncrementPointer = 0x00182001
        capture.PageNumberVector = [str(number + 1) for number in range(len(frames))]
    pixels = frames.tobytes()
    capture.PixelData = pixels + b"\x00" * (len(pixels) & 1)
    capture["PixelData"].VR = "OB"
    return capture
