"""Real files after cleaning: pydicom reads every element, and dciodvfy finds no error that the original did not have.

dciodvfy is a verifier of IODs by somebody else (David Clunie's dicom3tools; Debian: `apt-get install dicom3tools`).  Where
it is not installed, the pydicom half still runs.
"""

import io
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from gradient_assets.deid.headers import HeaderEngine, Profile, identifiers_of, read_dataset, write_dataset
from gradient_assets.deid.headers.profile import NAMED
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Refused
from gradient_assets.deid.text import TextEngine
from tests.shared import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.shared]
needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: apt-get install dicom3tools)"
)

FOLDER = SHARED / "data" / "dicom"
NOT_DICOM = frozenset({".json", ".csv", ".md", ".txt"})
FEWEST_CLEANED = 400
"""Of 460 files.  The others are broken, or of classes that are refused; more refusals would hollow out the test."""

UNPLACED = (
    "Information Object Not found",
    "missing SOPClassUID",
    "dataset read failed",
    "Tags out of order",
    "Seek failed",
)
"""Complaints after which dciodvfy checks no module: such an original is judged as it reads, written anew."""

ILLEGAL_GROUPS = frozenset({0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF})
"""PS3.5 7.8.1.  dciodvfy gives up on a file that begins with one."""

_VALUES = (
    (re.compile(r"\[\d+\] = <.*?>(?= - |$)"), "[] = <>"),  # Value dubious for this VR … PN [1] = <A^B> - …
    (re.compile(r"value(?: \d+)? = <[^>]*>", re.IGNORECASE), "value = <>"),  # Unrecognized enumerated value = <A>
    (re.compile(r"<?\b[0-9]+(?:\.[0-9]+)+>?"), "<uid>"),  # … has same value as FrameOfReferenceUID <1.2.3>
    (re.compile(r"(ReferencedSOPInstanceUID|Illegal root for UID -) \S+"), r"\1 <uid>"),
)


def without_values(line: str) -> str:
    """One error of dciodvfy with tags and names of attributes, without values."""
    for pattern, stand_in in _VALUES:
        line = pattern.sub(stand_in, line)
    return line


def errors_of(path: Path) -> frozenset[str]:
    """What dciodvfy calls an error in a file, values aside."""
    ran = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    said = (ran.stdout + ran.stderr).decode("iso8859").splitlines()
    return frozenset(without_values(line) for line in said if line.startswith("Error - ") or " - Error - " in line)


def judgeable(content: bytes) -> bytes:
    """The file itself, or inflated if it is deflated, which dciodvfy takes for garbage."""
    ds = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    if ds.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return content
    ds = pydicom.dcmread(io.BytesIO(content))
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return stored(ds)


def written_anew(original: bytes) -> bytes:
    """The original's elements as they are, in a container that a strict reader accepts and under their SOP Class."""
    ds = read_dataset(original)
    for tag in [tag for tag in ds.keys() if tag.group in ILLEGAL_GROUPS]:  # noqa: SIM118  a Dataset iterates over elements
        del ds[tag]
    meta = ds.file_meta
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if keyword not in ds:
            setattr(ds, keyword, meta[f"MediaStorage{keyword}"].value)
    if not getattr(meta, "TransferSyntaxUID", None) or not meta.TransferSyntaxUID.is_compressed:
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return stored(ds)


def stored(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@dataclass(frozen=True)
class Outcome:
    """One original, and the file it was cleaned to."""

    original: Path
    cleaned: Path

    def new_errors(self, scratch: Path) -> frozenset[str]:
        known = errors_of(self.original)
        new = errors_of(self._written(scratch, "cleaned", judgeable(self.cleaned.read_bytes()))) - known
        if new and any(complaint in line for line in known for complaint in UNPLACED):
            new -= errors_of(self._written(scratch, "anew", written_anew(self.original.read_bytes())))
        return new

    def _written(self, scratch: Path, kind: str, content: bytes) -> Path:
        path = scratch / f"{self.cleaned.stem}-{kind}.dcm"
        path.write_bytes(content)
        return path


@pytest.fixture(scope="module", params=NAMED)
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    profile = Profile.named(request.param)
    engine = HeaderEngine(
        profile, Pseudonymizer(SecretKey(bytes(range(32))), "st-mary"), TextEngine(dates=profile.dates)
    )
    folder = tmp_path_factory.mktemp(request.param)
    found = []
    for number, path in enumerate(sorted(one for one in FOLDER.rglob("*") if one.suffix not in NOT_DICOM)):
        if not path.is_file():
            continue
        try:
            ds = read_dataset(path.read_bytes())
            content = write_dataset(engine.clean(ds, identifiers_of(ds)).dataset)
        except Refused:
            continue
        cleaned = folder / f"{number}.dcm"
        cleaned.write_bytes(content)
        found.append(Outcome(path, cleaned))
    assert len(found) >= FEWEST_CLEANED
    return found


def unreadable(paths: Iterable[Path]) -> dict[str, str]:
    """Files that pydicom can't read to the last element, with what it raised."""
    failed = {}
    for path in paths:
        try:
            for element in pydicom.dcmread(path).iterall():
                _ = element.value
        except Exception as error:  # whatever pydicom raises is what the test reports
            failed[path.name] = type(error).__name__
    return failed


def test_pydicom_reads_every_element_of_what_was_cleaned(outcomes):
    assert unreadable(one.cleaned for one in outcomes) == {}


@needs_dciodvfy
def test_dciodvfy_finds_no_error_that_the_original_did_not_have(outcomes, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        new = list(threads.map(lambda one: one.new_errors(tmp_path), outcomes))
    assert {
        str(one.original.relative_to(FOLDER)): sorted(errors)
        for one, errors in zip(outcomes, new, strict=True)
        if errors
    } == {}


@needs_dciodvfy
@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda ds: ds.pop("Modality"), "Element=<Modality>"),
        (lambda ds: setattr(ds, "SeriesInstanceUID", ""), "Element=<SeriesInstanceUID>"),
        (lambda ds: setattr(ds, "ReferencedStudySequence", []), "Element=<ReferencedStudySequence>"),
    ],
    ids=["Type 1 lost", "Type 1 empty", "Type 3 sequence empty"],
)
def test_the_comparison_sees_what_breaks_an_iod(broken, complaint, tmp_path):
    original = FOLDER / "pydicom+pydicom" / "src" / "pydicom" / "data" / "test_files" / "CT_small.dcm"
    ds: FileDataset = pydicom.dcmread(original)
    broken(ds)
    cleaned = tmp_path / "cleaned.dcm"
    cleaned.write_bytes(stored(ds))
    assert any(complaint in error for error in Outcome(original, cleaned).new_errors(tmp_path))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "Error - Value invalid for this VR - (0x0010,0x0010) PN Patient's Name  PN [1] = <A^B> - Too long",
            "Error - Value invalid for this VR - (0x0010,0x0010) PN Patient's Name  PN [] = <> - Too long",
        ),
        (
            "Error - Unrecognized enumerated value = <XY> for value 1 of attribute <Laterality>",
            "Error - Unrecognized enumerated value = <> for value 1 of attribute <Laterality>",
        ),
        (
            "Error - StudyInstanceUID has same value as FrameOfReferenceUID <1.2.3>",
            "Error - StudyInstanceUID has same value as FrameOfReferenceUID <uid>",
        ),
        (
            "Error - Missing attribute Type 1 Required Element=<Rows> Module=<ImagePixel>",
            "Error - Missing attribute Type 1 Required Element=<Rows> Module=<ImagePixel>",
        ),
    ],
)
def test_values_are_taken_out_of_an_error_and_names_stay(line, expected):
    assert without_values(line) == expected
