"""Identifiers in the places where de-identifiers forget them.

Belongs here: one small function per place, each adding to a data set and noting what it added; `PLACES` names them for
the recipes.  Text in pixels is drawn by `burn`; this module decides only which overlay or icon it goes to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from gradient_assets.samples.burn import overlay_bits
from gradient_assets.samples.context import Instance

CREATOR = "SAMPLE VENDOR 1.0"
"""Private creator of the planted private blocks; no real vendor's."""

Place = Callable[[Dataset, Instance], None]


def request_attributes(ds: Dataset, at: Instance) -> None:
    """Request Attributes Sequence with the accession number, the requester and a free text about the patient."""
    study, patient = at.study, at.study.patient
    where = "RequestAttributesSequence"
    item = Dataset()
    item.AccessionNumber = at.plant("ACCESSION", study.accession, where)
    item.RequestedProcedureID = "RP" + study.accession[-5:]
    item.ScheduledProcedureStepDescription = study.exam["description"]
    item.RequestedProcedureComments = at.plant_name(
        where, f"{patient.title} {patient.name.latin.family} asks for a female radiologist", patient.name.latin
    )
    ds.RequestAttributesSequence = Sequence([item])
    ds.RequestingPhysician = at.plant_name("RequestingPhysician", study.referrer.dicom, study.referrer, "PHYSICIAN")
    ds.RequestedProcedureDescription = study.exam["description"]


def other_ids(ds: Dataset, at: Instance) -> None:
    """Other ids, names, address, phone, relatives."""
    patient = at.study.patient
    item = Dataset()
    item.PatientID = at.plant("ID", patient.other_id, "OtherPatientIDsSequence")
    item.IssuerOfPatientID = "OLD SYSTEM"
    item.TypeOfPatientID = "TEXT"
    ds.OtherPatientIDsSequence = Sequence([item])
    ds.OtherPatientNames = at.plant_name("OtherPatientNames", patient.name.latin.dicom.upper(), patient.name.latin)
    ds.PatientAddress = at.plant("ADDRESS", patient.address, "PatientAddress")
    at.plant("ADDRESS", patient.street, "PatientAddress")
    ds.PatientTelephoneNumbers = at.plant("PHONE", patient.phone, "PatientTelephoneNumbers")
    ds.PatientMotherBirthName = at.plant("RELATIVE", patient.relative, "PatientMotherBirthName")
    ds.MedicalRecordLocator = at.plant("ID", f"LOC-{patient.other_id}", "MedicalRecordLocator")


def referenced(ds: Dataset, at: Instance) -> None:
    """References to the study, to another image of the series and to the patient, with UIDs and dates inside."""
    study = at.study
    where = "ReferencedStudySequence"
    step = Dataset()
    step.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    step.ReferencedSOPInstanceUID = at.plant("UID", study.study_uid, where)
    ds.ReferencedStudySequence = Sequence([step])
    image = Dataset()
    image.ReferencedSOPClassUID = ds.SOPClassUID
    image.ReferencedSOPInstanceUID = at.plant("UID", study.new_uid_for("sibling"), "ReferencedImageSequence")
    ds.ReferencedImageSequence = Sequence([image])
    prior = Dataset()
    prior.StudyInstanceUID = at.plant("UID", study.new_uid_for("prior study"), "RelatedSeriesSequence")
    prior.SeriesInstanceUID = at.plant("UID", study.new_uid_for("prior series"), "RelatedSeriesSequence")
    prior.AccessionNumber = at.plant("ACCESSION", study.prior_accession, "RelatedSeriesSequence")
    prior.StudyDate = at.plant_date("RelatedSeriesSequence", f"{study.prior_day:%Y%m%d}")
    ds.RelatedSeriesSequence = Sequence([prior])
    ds.ScheduledProcedureStepStartDateTime = at.plant_date("ScheduledDateTime", f"{study.day:%Y%m%d}") + study.hour


def private(ds: Dataset, at: Instance) -> None:
    """A private block with a name, an id, a birth date, and a private sequence that holds another one."""
    patient = at.study.patient
    latin = patient.name.latin
    block = ds.private_block(0x0029, CREATOR, create=True)
    block.add_new(0x01, "LO", at.plant_name("private LO", latin.comma, latin))
    block.add_new(0x02, "PN", at.plant_name("private PN", latin.dicom, latin))
    block.add_new(0x03, "SH", at.plant_id("private SH"))
    block.add_new(0x04, "DT", at.plant_date("private DT", f"{patient.birth_date:%Y%m%d}", birth=True) + "080000")
    inner = Dataset()
    inner_block = inner.private_block(0x0031, CREATOR, create=True)
    inner_block.add_new(0x01, "UT", at.plant_name("private SQ", f"Patient: {latin.spoken}", latin))
    inner.PatientID = patient.patient_id
    outer = Dataset()
    outer_block = outer.private_block(0x0031, CREATOR, create=True)
    outer_block.add_new(0x02, "SQ", Sequence([inner]))
    outer.ReferringPhysicianName = at.plant_name("private SQ", at.study.referrer.dicom, at.study.referrer, "PHYSICIAN")
    block.add_new(0x05, "SQ", Sequence([outer]))


def unknown(ds: Dataset, at: Instance) -> None:
    """Elements of VR UN: a private one with text, and a public one that a middleman no longer understood."""
    patient = at.study.patient
    latin = patient.name.latin
    block = ds.private_block(0x0051, CREATOR, create=True)
    written = at.plant_name("private UN", latin.dicom.upper(), latin)
    block.add_new(0x01, "UN", _even(written.encode("latin-1")))
    phone = at.plant("PHONE", patient.phone, "PatientTelephoneNumbers as UN")
    ds.add(DataElement(Tag(0x0010, 0x2154), "UN", _even(phone.encode("ascii"))))


def comments(ds: Dataset, at: Instance) -> None:
    """Free text that mentions the patient."""
    study, patient = at.study, at.study.patient
    latin = patient.name.latin
    ds.ImageComments = at.plant_name("ImageComments", f"Motion. {patient.title} {latin.family} coughed twice.", latin)
    ds.AdditionalPatientHistory = at.plant(
        "RELATIVE", f"Fall at home. Daughter {patient.relative} at bedside.", "AdditionalPatientHistory"
    )
    at.plant("RELATIVE", patient.relative, "AdditionalPatientHistory")
    ds.PatientComments = at.plant("PHONE", f"Call {patient.phone}", "PatientComments")
    at.plant("PHONE", patient.phone, "PatientComments")
    ds.ProtocolName = study.exam["series"]
    ds.PerformedProcedureStepDescription = at.plant_name(
        "PerformedProcedureStepDescription", f"{study.exam['description']} {latin.family.upper()}", latin
    )


def overlay(ds: Dataset, at: Instance) -> None:
    """An overlay plane (PS3.3 C.9.2) with the patient's name drawn in it, and its label."""
    latin = at.study.patient.name.latin
    lines = [at.plant_name("OverlayData", latin.plain.comma, latin.plain)]
    bits = overlay_bits(ds.Rows, ds.Columns, lines, 22)
    block = {
        0x0010: ("US", ds.Rows),
        0x0011: ("US", ds.Columns),
        0x0022: ("LO", at.plant_name("OverlayDescription", f"marks of {latin.spoken}", latin)),
        0x0040: ("CS", "G"),
        0x0050: ("SS", [1, 1]),
        0x0100: ("US", 1),
        0x0102: ("US", 0),
        0x3000: ("OW", _even(np.packbits(bits, bitorder="little").tobytes())),
    }
    for element, (vr, value) in block.items():
        ds.add_new(Tag(0x6000, element), vr, value)


def high_bit_overlay(ds: Dataset, at: Instance) -> None:
    """The patient's name in bit 15 of each 16-bit pixel, declared as an embedded overlay (retired in 2004, still met)."""
    latin = at.study.patient.name.latin
    bits = overlay_bits(
        ds.Rows, ds.Columns, [at.plant_name("high bit of PixelData", latin.plain.comma, latin.plain)], 24
    )
    pixels = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns)
    ds.PixelData = (np.minimum(pixels, 0x0FFF) | (bits.astype("<u2") << 15)).tobytes()
    ds.BitsStored, ds.HighBit = 12, 11
    for element, vr, value in (
        (0x0010, "US", ds.Rows),
        (0x0011, "US", ds.Columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 15),
    ):
        ds.add_new(Tag(0x6000, element), vr, value)


def icon(ds: Dataset, at: Instance) -> None:
    """An icon image (PS3.3 C.7.6.1.1.6) with the name and id drawn in it."""
    patient = at.study.patient
    latin = patient.name.latin
    written = [
        at.plant_name("IconImageSequence", latin.plain.comma, latin.plain),
        at.plant_id("IconImageSequence"),
    ]
    bits = overlay_bits(128, 128, written, 13)
    item = Dataset()
    item.SamplesPerPixel = 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.Rows = item.Columns = 128
    item.BitsAllocated = item.BitsStored = 8
    item.HighBit = 7
    item.PixelRepresentation = 0
    item.PixelData = (bits * np.uint8(255)).astype(np.uint8).tobytes()
    item["PixelData"].VR = "OB"
    ds.IconImageSequence = Sequence([item])


def trailing_padding(ds: Dataset, at: Instance) -> None:
    """Data Set Trailing Padding that still holds what lay in the sender's memory."""
    latin = at.study.patient.name.latin
    left_over = at.plant_name("DataSetTrailingPadding", latin.dicom, latin).encode("latin-1") + b"\0" * 40
    ds.add_new(Tag(0xFFFC, 0xFFFC), "OB", _even(left_over))


def graphic_text(ds: Dataset, at: Instance) -> None:
    """A Graphic Annotation with a text object naming the patient (PS3.3 C.10.5)."""
    latin = at.study.patient.name.latin
    text = Dataset()
    text.BoundingBoxAnnotationUnits = "PIXEL"
    text.UnformattedTextValue = at.plant_name("GraphicAnnotationSequence", f"{latin.comma}: nodule", latin)
    text.BoundingBoxTopLeftHandCorner = [10.0, 10.0]
    text.BoundingBoxBottomRightHandCorner = [90.0, 30.0]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    annotation = Dataset()
    annotation.GraphicLayer = "LAYER1"
    annotation.TextObjectSequence = Sequence([text])
    ds.GraphicAnnotationSequence = Sequence([annotation])


def structured_text(ds: Dataset, at: Instance) -> None:
    """The first text item of a structured report names patient, physician and a date; one item holds a person name."""
    study = at.study
    latin = study.patient.name.latin
    for item in ds.get("ContentSequence", []):
        if item.get("ValueType") == "TEXT":
            item.TextValue = (
                f"{study.patient.title} {at.plant_name('ContentSequence', latin.family, latin)} was seen by Dr. "
                f"{at.plant_name('ContentSequence', study.referrer.family, study.referrer, 'PHYSICIAN')} on "
                f"{at.plant_date('ContentSequence', f'{study.day:%m/%d/%Y}')}. No acute finding."
            )
            break


PLACES: dict[str, Place] = {
    place.__name__: place
    for place in (
        request_attributes, other_ids, referenced, private, unknown, comments, overlay, high_bit_overlay, icon,
        trailing_padding, graphic_text, structured_text,
    )
}  # fmt: skip
"""The hiding places by the names that recipes use."""


def _even(value: bytes) -> bytes:
    return value + b"\0" * (len(value) % 2)
