"""One hospital that holds every line of the plan.

Belongs here: which base each object is made of, and writing the home: bucket, reports, registry, keys.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import yaml
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence

from gradient_assets.deid.identity import SecretKey
from tests.redteam import containers, pictures, reports
from tests.redteam.containers import Object
from tests.redteam.elements import put
from tests.redteam.values import KINDS, Value, value_of

HOSPITAL, RELEASE, RECIPIENT = "redteam", "attack", "uni-x"
PLAN = Path(__file__).with_name("plan.txt")
_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"

BASES = {
    "sr": "reportsi.dcm",
    "rtstruct": "rtstruct.dcm",
    "rtplan": "rtplan.dcm",
    "seg": "liver_1frame.dcm",
    "wave": "waveform_ecg.dcm",
    "photo": "SC_rgb_small_odd_jpeg.dcm",
    "sc-com": "SC_rgb_jpeg_dcmtk.dcm",
    "j2k-com": "MR_small_jp2klossless.dcm",
    "j2k-xml": "JPEG2000.dcm",
    "j2k-table": "MR_small_jp2klossless.dcm",
    "j2k-fragment": "MR_small_jp2klossless.dcm",
    "sc-end": "SC_rgb_jpeg_dcmtk.dcm",
    "mr-un": "MR_small_bigendian.dcm",
    "mr-pad": "MR_small_implicit.dcm",
    "mr-tail": "MR_small_RLE.dcm",
    "mr-preamble": "MR_small.dcm",
}
"""Object → file of pydicom's test data; others are of `CT_small.dcm` or, with writing, made here."""


@dataclass(frozen=True)
class Plant:
    """One planted identifier and where it lies."""

    number: int
    kind: str
    object: str
    place: str
    how: str
    value: Value = field(repr=False)

    @property
    def way(self) -> str:
        """E, C, P, R or K."""
        return self.how[0]


def plan() -> list[Plant]:
    """Every line of `plan.txt`."""
    lines = [line for line in PLAN.read_text().splitlines() if line and not line.startswith("#")]
    plants = []
    for number, line in enumerate(lines):
        kind, name, place, how = (part.strip() for part in line.split("|", 3))
        plants.append(Plant(number, kind, name, place, how, value_of(kind, number)))
    assert {one.kind for one in plants} == set(KINDS)
    return plants


@dataclass
class Attack:
    """What was planted: the bucket's objects, and what to look for beside the values."""

    plants: list[Plant]
    dicoms: dict[str, bytes]
    reports: dict[str, bytes]
    blobs: dict[int, tuple[bytes, ...]]
    drawn: dict[int, pictures.Drawn]
    keys: dict[int, str]
    """Plant → key of the object that holds it; rows of reports have their number behind `#`."""


def attack() -> Attack:
    """Everything, in memory."""
    plants = plan()
    made = Attack(plants, {}, {}, {}, {}, {})
    with _as_it_comes():
        for name in dict.fromkeys(one.object for one in plants if one.way in "ECP"):
            mine = [one for one in plants if one.object == name and one.way in "ECP"]
            key = f"dicoms/{name}.dcm"
            made.dicoms[key] = _object(name, mine, made)
            made.keys |= {one.number: key for one in mine}
        for one in (one for one in plants if one.way == "K" and one.object != "csv"):
            key = one.value.fill(one.how[2:])
            made.dicoms[key] = _bytes(_base("ct-key", one.number))
            made.keys[one.number] = key
    reports.write([one for one in plants if one.object == "csv"], made)
    return made


@contextmanager
def _as_it_comes() -> Iterator[None]:
    """Wrong values are written as they are, without a warning, and UN stays UN."""
    modes = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    replaced = config.replace_un_with_known_vr
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    config.replace_un_with_known_vr = False
    try:
        yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = modes
        config.replace_un_with_known_vr = replaced


def _object(name: str, plants: list[Plant], made: Attack) -> bytes:
    at = _base(name, plants[0].number)
    if at.pixels is None and any(one.way == "P" for one in plants):
        at.pixels = pictures.blank(5 if name == "us-cine" else 1, plants[0].number)
    for row, one in enumerate(plants):
        if one.way == "E":
            target, _, template = one.how[2:].partition(" = ")
            path, vr = target.rsplit(" ", 1)
            put(at.ds, path, vr, one.value.fill(template))
        elif one.way == "C":
            if blobs := getattr(containers, one.how[2:])(at, one.value):
                made.blobs[one.number] = blobs
        elif at.pixels is not None:
            _, frame, style = one.how.split()
            made.drawn[one.number] = pictures.burn(at.pixels, int(frame), style, one.value.written, row)
    return _bytes(at)


def _base(name: str, number: int) -> Object:
    ds = pydicom.dcmread(get_testdata_file(BASES.get(name, "CT_small.dcm")), force=True)
    if name == "pr":
        ds = _presentation_state(ds)
    drawn = name.startswith("us-") or (name.startswith("sc-") and name not in BASES)
    at = Object(_picture(ds, name) if drawn else ds)
    if drawn:
        at.pixels = pictures.blank(5 if name == "us-cine" else 1, number)
    _identify(at.ds, number)
    return at


def _identify(ds: Dataset, number: int) -> None:
    """A patient and UIDs of its own for each object."""
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    ds.PatientID, ds.PatientName = f"BASE-{number:06d}", f"Basely{chr(97 + number % 26)}^Object"
    ds.PatientBirthDate, ds.AccessionNumber = "19520229", f"BA{number:08d}"
    ds.StudyID = str(number + 1)
    root = f"1.2.826.0.1.3680043.10.78.{number + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{root}.1", f"{root}.2", f"{root}.3"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID


def _presentation_state(ct: Dataset) -> Dataset:
    """Of an image: its patient, study and series, and layers to draw on (PS3.3 A.33.1)."""
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ct, keyword)
    for tag in [
        element.tag for element in ct if element.tag.group in (0x0018, 0x0028, 0x0043) or element.tag.is_private
    ]:
        del ct[tag]
    ct.SOPClassUID, ct.Modality = _PRESENTATION, "PR"
    ct.ContentLabel, ct.PresentationCreationDate, ct.PresentationCreationTime = "MARKS", "20040119", "120000"
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "LAYER1", 1
    ct.GraphicLayerSequence = Sequence([layer])
    return ct


def _picture(ct: Dataset, name: str) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1" if name == "us-cine" else "1.2.840.10008.5.1.4.1.1.6.1"
    if name.startswith("sc-"):
        ds.SOPClassUID, ds.ConversionType = "1.2.840.10008.5.1.4.1.1.7", "WSD"
    ds.Modality = "US" if name.startswith("us-") else "OT"
    ds.StudyDate, ds.StudyTime, ds.SeriesNumber, ds.InstanceNumber = "20040119", "101112", 1, 1
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = (
        pictures.ROWS,
        pictures.COLUMNS,
        1,
        "MONOCHROME2",
    )
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    if name == "us-cine":
        ds.NumberOfFrames, ds.FrameTime, ds.FrameIncrementPointer = 5, "40", 0x00181063
    return ds


def _bytes(at: Object) -> bytes:
    if at.pixels is not None:
        at.ds.PixelData = at.pixels.tobytes()
        at.ds["PixelData"].VR = "OB"
    at.ds.preamble = at.preamble
    # What the elements say of the instance is what the file's head says, unless a place of the plan wants otherwise.
    at.ds.file_meta.MediaStorageSOPInstanceUID = at.ds.SOPInstanceUID
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, at.ds, enforce_file_format=True)
    return stream.getvalue() + at.tail


def write_home(home: Path) -> Attack:
    """The home on disk: landing zone, registry, and keys that are always the same, so that the outcome is."""
    made = attack()
    for kind, objects in (("dicoms", made.dicoms), ("reports", made.reports)):
        for key, content in objects.items():
            path = home / "landing" / HOSPITAL / kind / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {kind: f"landing/{HOSPITAL}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": reports.COLUMNS,
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{HOSPITAL}",
    }
    (home / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
    for name, octet in ((f"hospital/{HOSPITAL}", 0x51), (f"recipient/{RECIPIENT}", 0x52)):
        path = home / "identified/secrets" / f"{name}.key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(SecretKey(bytes(range(octet, octet + 32))).to_text() + "\n")
    return made
