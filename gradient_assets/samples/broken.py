"""What goes wrong in real buckets: objects and rows that must be refused, each with identifiers of its own.

Belongs here: turning good bytes into broken ones.  Each function names the reason code that it is meant to meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from gradient_assets.deid.reasons import Reason
from gradient_assets.samples.context import Instance, Study
from gradient_assets.samples.encode import SYNTAXES, fresh_meta, to_bytes
from gradient_assets.samples.headers import identify
from gradient_assets.samples.studies import make_object, read_base

_CT: Mapping[str, Any] = {"base": "CT_small.dcm", "key": "plain", "plant": ["request_attributes"]}
_JPEG: Mapping[str, Any] = {"base": "examples_rgb_color.dcm", "canvas": [240, 320], "syntax": "jpeg", "key": "plain"}


Broken = dict[str, tuple[bytes, Reason | None]]
"""By key: the bytes, and the reason to refuse them; None for the first of two objects with one SOP Instance UID."""


def broken_objects(study: Study, first_number: int) -> Broken:
    """Nine broken or unwanted objects of one study."""
    number = iter(range(first_number, first_number + 20))
    truncated_key, whole = make_object(study, _CT, next(number))
    jpeg_key, jpeg = make_object(study, _JPEG, next(number))
    first_key, first, second_key, second = _duplicates(study, next(number), next(number))
    text_key, text = _text_named_dcm(study, next(number))
    pdf_key, pdf = _encapsulated_pdf(study, next(number))
    directory_key, directory = _dicomdir(study, next(number))
    form_key, form = _scanned_form(study, next(number))
    return {
        truncated_key: (whole[: len(whole) * 3 // 5], Reason.TRUNCATED),
        f"dicoms/archive/{study.day.year}/IM{next(number):06d}.dcm": (b"", Reason.EMPTY_OBJECT),
        text_key: (text, Reason.NOT_DICOM),
        jpeg_key: (_spoil_jpeg(jpeg), Reason.UNDECODABLE_PIXELS),
        first_key: (first, None),
        second_key: (second, Reason.DUPLICATE_SOP_INSTANCE),
        pdf_key: (pdf, Reason.ENCAPSULATED_DOCUMENT),
        directory_key: (directory, Reason.DICOMDIR),
        form_key: (form, Reason.SCANNED_FORM),
    }


def _spoil_jpeg(file: bytes) -> bytes:
    """Overwrite the tables and the scan of the JPEG stream: undecodable_pixels."""
    start = file.index(b"\xff\xd8\xff") + 4
    end = file.rindex(b"\xff\xd9")
    return file[:start] + bytes(index * 7 % 251 for index in range(end - start)) + file[end:]


def _duplicates(study: Study, number: int, other_number: int) -> tuple[str, bytes, str, bytes]:
    """Two objects with one SOP Instance UID and different content: duplicate_sop_instance."""
    sop_uid = study.hospital.uid()
    made: list[tuple[str, bytes]] = []
    for place, base in ((number, "MR_small.dcm"), (other_number, "CT_small.dcm")):
        instance = Instance(study, place, sop_uid, f"dicoms/archive/{study.day.year}/IM{place:06d}")
        ds = read_base(base)
        identify(ds, instance, "duplicates")
        fresh_meta(ds, ds.SOPClassUID, sop_uid, ExplicitVRLittleEndian, study.hospital.habits["station"])
        made.append((instance.key, to_bytes(ds)))
    return (*made[0], *made[1])


def _text_named_dcm(study: Study, number: int) -> tuple[str, bytes]:
    """A note that somebody saved under a DICOM file's name: not_dicom."""
    instance = Instance(study, number, "", f"dicoms/archive/{study.day.year}/notes{number}.dcm")
    latin = study.patient.name.latin
    text = f"Scan of {instance.plant_name('file', latin.spoken, latin)} is on the other disk.\nCall {study.patient.phone}\n"
    instance.plant("PHONE", study.patient.phone, "file")
    return instance.key, text.encode("utf-8")


def _encapsulated_pdf(study: Study, number: int) -> tuple[str, bytes]:
    """A PDF in DICOM clothes: encapsulated_document."""
    sop_uid = study.hospital.uid()
    instance = Instance(study, number, sop_uid, f"dicoms/archive/{study.day.year}/IM{number:06d}.dcm")
    latin = study.patient.name.latin
    page = (
        f"BT /F1 12 Tf 72 720 Td ({instance.plant_name('EncapsulatedDocument', latin.plain.comma, latin.plain)}) Tj ET"
    )
    pdf = (
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>endobj\n"
        f"4 0 obj<</Length {len(page)}>>stream\n{page}\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    ).encode("latin-1")
    ds = Dataset()
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.Modality = "DOC"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.DocumentTitle = f"Letter {latin.comma}"
    ds.BurnedInAnnotation = "YES"
    ds.ConversionType = "WSD"
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    ds.file_meta = FileMetaDataset()
    identify(ds, instance, "DOC")
    fresh_meta(ds, ds.SOPClassUID, sop_uid, ExplicitVRLittleEndian, study.hospital.habits["station"])
    return instance.key, to_bytes(ds)


def _scanned_form(study: Study, number: int) -> tuple[str, bytes]:
    """A page on paper, scanned: scanned_form."""
    instance = Instance(study, number, study.hospital.uid(), f"dicoms/archive/{study.day.year}/IM{number:06d}")
    ds = read_base("image_dfl.dcm")
    identify(ds, instance, "OT")
    ds.ConversionType = "SD"
    fresh_meta(ds, ds.SOPClassUID, instance.sop_uid, SYNTAXES["deflated"], study.hospital.habits["station"])
    return instance.key, to_bytes(ds)


def _dicomdir(study: Study, number: int) -> tuple[str, bytes]:
    """The directory of a CD, with the patient's name in its records: dicomdir."""
    instance = Instance(study, number, study.hospital.uid(), f"dicoms/cd{number}/DICOMDIR")
    latin = study.patient.name.latin
    directory = read_base("dicomdirtests/DICOMDIR")
    for record in directory.get("DirectoryRecordSequence", Sequence()):
        if record.DirectoryRecordType == "PATIENT":
            record.PatientName = instance.plant_name("DirectoryRecordSequence", latin.dicom, latin)
            record.PatientID = instance.plant_id("DirectoryRecordSequence")
    meta = directory.file_meta
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_uid)
    return instance.key, to_bytes(directory)


def broken_rows(csv_text: str, habits: Mapping[str, Any], refused_ids: tuple[str, str]) -> str:
    """The CSV text with a ragged row (malformed_row) and a row with empty text (empty_report) appended."""
    delimiter: str = habits["csv"]["delimiter"]
    end: str = habits["csv"]["line_end"]
    columns = list(habits["report_columns"])
    ragged = delimiter.join([refused_ids[0], "only", "three fields"]) + end
    empty = delimiter.join(refused_ids[1] if role == "report_id" else "" for role in columns) + end
    return csv_text + ragged + empty


def undecodable_export(csv_text: str, habits: Mapping[str, Any]) -> bytes:
    """The CSV text in another encoding than the hospital says it uses: undecodable_text."""
    spoilt = csv_text.encode("utf-8")
    if habits["csv"]["encoding"] == "utf-16":
        return b"\xff\xfe" + spoilt[: len(spoilt) // 2 * 2] + b"\x00\xdc\x00"  # half a surrogate pair, half a unit
    return spoilt.replace(b"\n", b"\x81\x8d\n")  # no characters in cp1252, no start of one in UTF-8
