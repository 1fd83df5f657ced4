"""One base file and one patient make one planted file with its answer key.

Belongs here: what is planted in every file and what is expected of it.  Places are `sites`' and `containers`', people
`people`'s.
"""

from __future__ import annotations

import io
import random
from datetime import timedelta

import pydicom
from pydicom.dataset import Dataset

from tests.midi.answers import Answer, FileKey, Path, Place, Private
from tests.midi.containers import plants, with_comment
from tests.midi.people import Half, Patient, pools
from tests.midi.scoring import value_text
from tests.midi.sites import DEEP, PHILIPS, SITES, Site, put

KEPT_AS_THEY_ARE = (
    "SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation", "PhotometricInterpretation", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "KVP", "ImageType", "RescaleSlope", "RescaleIntercept", "WindowCenter",
    "WindowWidth", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "EchoTime", "RepetitionTime",
    "FlipAngle", "MagneticFieldStrength", "ScanningSequence", "SequenceVariant", "ScanOptions", "ConvolutionKernel",
    "PatientPosition", "SliceLocation", "GantryDetectorTilt", "ExposureTime", "NumberOfFrames", "PatientSex",
    "PatientWeight", "DoseUnits", "DoseType", "FrameIncrementPointer", "SoftwareVersions", "RescaleType",
    "LossyImageCompression",
)  # fmt: skip
"""Attributes that say nothing of a person; what the base file has of them must come out letter by letter."""
NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "DS", "IS"})
MEANINGFUL = ("Head", "Young", "Long", "Shields")
"""Family names that are words of radiology: as a code alone they are the word."""
AMBIGUOUS = ("Head",)
"""`HIP Head`, `HEAD W/O` of a patient Head: nobody can tell the organ from the name."""
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
LONGEST = {"SH": 16, "LO": 64, "UN": 64}


def _is_sound(keyword: str, text: str) -> bool:
    """Some base files hold `0000` as Patient's Sex, an address of a page, or Cyrillic declared as Latin-1: no right answer."""
    return "://" not in text and text.isascii() and (keyword != "PatientSex" or len(text) == 1)


class Planter:
    """Plants one file; `uids` names the UIDs of the run, so that files may refer to each other."""

    def __init__(self, rng: random.Random, half: Half, patient: Patient, name: str) -> None:
        self.rng, self.half, self.patient = rng, half, patient
        self.key = FileKey(name, b"", patient.patient_id)
        self.word = "".join(rng.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(7)) + f"{rng.randint(10_000, 99_999)}"

    def expect(self, action: str, kind: str, expected: str = "", target: Place | None = None, path: Path = ()) -> None:
        """Add an answer to the key."""
        self.key.answers.append(Answer(action, kind, expected, target, path))

    def plant(self, ds: Dataset, own: dict[str, str], other: dict[str, str]) -> FileKey:
        """The planted file: `own` UIDs by keyword, `other` those of another file of the run."""
        if "SequenceOfUltrasoundRegions" in ds:
            del ds.SequenceOfUltrasoundRegions  # what lies outside of them is blacked out, rightly
        self._kept(ds)
        self._identity(ds)
        self._texts(ds)
        self._dates(ds)
        self._uids(ds, own, other)
        self._containers(ds)
        self.key.original = self._written(ds)
        if ds.get("Modality") != "US" and any(
            k in ds for k in PIXELS
        ):  # known devices' banners are blacked out, rightly
            self.expect("pixels_retained", "pixels")
        return self.key

    def _kept(self, ds: Dataset) -> None:
        for keyword in KEPT_AS_THEY_ARE:
            if keyword in ds and (text := value_text(ds[keyword]).strip()) and _is_sound(keyword, text):
                self.expect("text_retained", f"base {keyword}", text, int(ds[keyword].tag))
        for element in ds:
            if element.VR in NUMBERS and element.tag.group in (0x0018, 0x0028) and element.tag.element:
                self.expect("tag_retained", "base number", "", int(element.tag))

    def _identity(self, ds: Dataset) -> None:
        who = self.patient
        if who.charset:
            ds.SpecificCharacterSet = who.charset.split("\\") if "\\" in who.charset else who.charset
        elif "SpecificCharacterSet" in ds:
            del ds.SpecificCharacterSet
        ds.PatientName, ds.PatientID, ds.AccessionNumber = who.name, who.patient_id, who.accession
        ds.PatientBirthDate, ds.ReferringPhysicianName = f"{who.birth:%Y%m%d}", who.physician
        ds.PerformingPhysicianName, ds.InstitutionName = who.physician, who.institution
        ds.PatientAddress, ds.PatientTelephoneNumbers, ds.StudyID = who.street, who.phone, who.accession[:8]
        ds.PatientAge = f"{self.rng.randint(90, 104):03d}Y"
        self.expect("text_retained", "pooled age", "090Y", 0x00101010)
        self.expect("patid_consistent", "patient id", "", 0x00100020)
        for tag in (0x00100010, 0x00100020, 0x00080050, 0x00080020, 0x00080030, 0x00080090, 0x00100030, 0x00200010):
            self.expect("tag_retained", "type 2", "", tag)
        for tag in (0x00100010, 0x00100020, 0x00080050):
            self.expect("text_notnull", "pseudonym", "", tag)
        for kind, text in (("patient id", who.patient_id), ("accession", who.accession), ("street", who.street),
                           ("phone", who.phone), ("institution", who.institution)):  # fmt: skip
            self.expect("text_removed", f"bytes: {kind}", text)
        for part in {
            part
            for group in who.name.split("=")
            for part in group.split("^")
            if len(part) >= 5 and part not in MEANINGFUL
        }:
            self.expect("text_removed", "bytes: patient name", part)
        if who.family.isascii() and who.family.isalpha() and who.family not in MEANINGFUL:
            ds.BodyPartExamined = who.family.upper()
            self.expect("text_removed", "CS body part", who.family.upper(), 0x00180015)
        put(ds, Site("", "PN", DEEP, 0x0040A123), who.name)
        self.expect("text_notnull", "person name item", "", 0x0040A123, DEEP)
        self.expect("text_removed", "person name item", who.family, 0x0040A123, DEEP)

    def _texts(self, ds: Dataset) -> None:
        wording = pools("wording", self.half)
        for site in SITES:
            if site.target == 0x0040A160 and site.path[0][0] == 0x0040A730 and not _is_report(ds):
                continue
            if site.kind.startswith("unknown VR") and (not _is_explicit_little(ds) or not self.patient.name.isascii()):
                continue
            room = LONGEST.get(site.vr, 10_000)
            template, pieces, style = self._wording(wording, room)
            fields = {k: v for k, v in self.patient.substitutes.items() if "{" + k + "}" in template}
            put(ds, site, template.format(**self.patient.substitutes), block=self.rng.choice([0x10, 0x15, 0x41]))
            where = (f"{site.vr} {site.kind}", site.target, site.path)
            ambiguous = self.patient.family in AMBIGUOUS and self.patient.family.upper() in template.upper()
            for piece in () if ambiguous else pieces:
                self.expect("text_retained", f"{style}: {where[0]}: {template}", piece, where[1], where[2])
            for name, value in fields.items():
                if name != "initial" and not (value in AMBIGUOUS and template.endswith(" {family}")):
                    self.expect("text_removed", f"{style}: {name}: {where[0]}: {template}", value, where[1], where[2])

    def _wording(self, wording: dict[str, list], room: int) -> tuple[str, list[str], str]:
        style = self.rng.choice(["stays", "mixed", "mixed", "goes"])
        for _ in range(50):
            found = self.rng.choice(wording[style])
            template, pieces = (found, [found]) if style == "stays" else found
            if len(template.format(**self.patient.substitutes)) <= room:
                return template, pieces, style
        fitting = [text for text in wording["stays"] if len(text) <= room]
        chosen = self.rng.choice(fitting)
        return chosen, [chosen], "stays"

    def _dates(self, ds: Dataset) -> None:
        day = self.patient.study
        da, later = f"{day:%Y%m%d}", f"{day + timedelta(days=11):%Y%m%d}"
        zone = self.rng.choice(["", "+0100", "-0500", "+0530"])
        iso = f"{day:%Y-%m-%d}"
        ds.StudyTime = "101112.5"
        planted: list[tuple[str, Site, str]] = [
            ("DA", Site("top", "DA", (), 0x00080020), da),
            ("DA", Site("top", "DA", (), 0x00080021), da),
            ("DA", Site("top", "DA", (), 0x00080023), later),
            ("DA multi-valued", Site("top", "DA", (), 0x00181200), f"{da}\\{later}"),
            ("DT with zone", Site("top", "DT", (), 0x0008002A), f"{da}101112.123456{zone}"),
            ("DT partial", Site("sequence 1", "DT", DEEP[:1], 0x0040A13A), f"{da}10"),
            ("DA", Site("sequence 1", "DA", DEEP[:1], 0x00400002), later),
            ("DA", Site("sequence 4", "DA", DEEP, 0x0040A121), da),
            ("DT", Site("sequence 4", "DT", DEEP, 0x0040A120), f"{later}1530"),
            ("DA", Site("private sequence 1", "DA", ((Private(0x2001, PHILIPS, 0x5F), 0),), 0x00080022), da),
            ("LO date only", Site("safe private", "LO", (), Private(0x2001, PHILIPS, 0xC1)), da),
            ("LO date only", Site("top", "LO", (), 0x00180010), iso),
            ("SH date only", Site("top", "SH", (), 0x00181250), da),
            ("ST date and time", Site("top", "ST", (), 0x00400280), f"{iso} 10:11"),
            ("UT date range", Site("sequence 3", "UT", DEEP[:3], 0x0040A160), f"{da}-{later}"),
        ]
        for kind, site, value in planted:
            put(ds, site, value.split("\\") if site.vr == "DA" and "\\" in value else value)
            self.expect("date_shifted", f"{kind}: {site.vr} {site.kind}", value, site.target, site.path)
        for tag, vr, value in (
            (0x00181201, "TM", "0930"),
            (0x00400244, "DA", "18891231"),
            (0x00400250, "DA", "20190231"),
        ):
            put(ds, Site("top", vr, (), tag), value)
            if vr == "DA":
                self.expect("text_removed", "impossible date", value, tag)
        self.expect("text_removed", "bytes: birth date", f"{self.patient.birth:%Y%m%d}")

    def _uids(self, ds: Dataset, own: dict[str, str], other: dict[str, str]) -> None:
        for keyword, uid in own.items():
            setattr(ds, keyword, uid)
            self._uid(uid, "own", int(ds[keyword].tag))
        self._uid(own["SOPInstanceUID"], "file meta", 0x00020003)
        ds.file_meta.MediaStorageSOPInstanceUID = own["SOPInstanceUID"]
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ds.SOPClassUID, other["SOPInstanceUID"]
        ds.ReferencedImageSequence = [reference]
        self._uid(other["SOPInstanceUID"], "reference", 0x00081155, ((0x00081140, 0),))
        self.expect("text_retained", "class of a reference", str(ds.SOPClassUID), 0x00081150, ((0x00081140, 0),))
        odd = "1.3.12.2.1107.005.2." + str(self.rng.randint(10**20, 10**21))
        put(ds, Site("", "UI", DEEP, 0x0040A124), odd)
        self._uid(odd, "leading zeros", 0x0040A124, DEEP)
        put(ds, Site("", "UI", (), Private(0x0099, "NQHeader", 0x01)), own["SeriesInstanceUID"])
        self._uid(own["SeriesInstanceUID"], "private", Private(0x0099, "NQHeader", 0x01))
        put(ds, Site("", "LT", DEEP[:1], 0x00402400), f"see {other['SOPInstanceUID']}")
        self._uid(other["SOPInstanceUID"], "in text", 0x00402400, DEEP[:1])
        put(ds, Site("", "UI", DEEP[:1], 0x0040DB0D), "1.2.840.10008.8.1.1")
        self.expect("text_retained", "well-known UID", "1.2.840.10008.8.1.1", 0x0040DB0D, DEEP[:1])

    def _uid(self, uid: str, kind: str, target: Place, path: Path = ()) -> None:
        self.expect("uid_changed", f"UID {kind}", uid, target, path)
        self.expect("uid_consistent", f"UID {kind}", uid, target, path)

    def _containers(self, ds: Dataset) -> None:
        for number, (kind, plant) in enumerate(plants("@", "@").items()):
            word = f"{self.word}{number:02d}"
            uid = f"1.2.826.0.1.3680043.9.77.{self.rng.randint(10**9, 10**10)}"
            plant = plants(word, uid)[kind]
            plant(ds)
            self.expect("text_removed", f"container: {kind}", uid if kind == "UID of a machine" else word)
        if with_comment(ds, f"{self.word}CM"):
            self.expect("text_removed", "container: comment in the stream", f"{self.word}CM")

    def _written(self, ds: Dataset) -> bytes:
        buffer = io.BytesIO()
        ds.preamble = f"{self.word}PRE".encode().ljust(128, b"\x00")
        self.expect("text_removed", "container: preamble", f"{self.word}PRE")
        pydicom.dcmwrite(buffer, ds)
        return buffer.getvalue()


def _is_report(ds: Dataset) -> bool:
    return "ContentSequence" in ds


def _is_explicit_little(ds: Dataset) -> bool:
    return str(ds.file_meta.TransferSyntaxUID) not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
