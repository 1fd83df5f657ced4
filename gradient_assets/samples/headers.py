"""A base file becomes an object of an invented study: the main elements, and all that the base brought along.

Belongs here: names, ids, dates and UIDs in their usual places (PS3.3 C.7.1 to C.7.5), and replacing what the base file
holds of the kind at any depth.  Unusual places are `hiding_places`' business.
"""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from gradient_assets.samples.context import Instance, Study
from gradient_assets.samples.people import OLDEST_TOLD, age_at

_KEPT_UIDS = frozenset({"SOPClassUID", "ReferencedSOPClassUID", "CodingSchemeUID", "ContextUID", "MappingResourceUID"})
_SET_AFTERWARDS = frozenset({
    "PatientName", "ReferringPhysicianName", "OperatorsName", "PatientBirthDate", "SOPInstanceUID", "SeriesInstanceUID",
    "StudyInstanceUID",
})  # fmt: skip
_DROPPED = (
    "PatientAddress", "OtherPatientIDs", "OtherPatientIDsSequence", "PatientTelephoneNumbers", "AdditionalPatientHistory",
    "PatientComments", "AdmissionID", "InstitutionalDepartmentName", "RequestAttributesSequence", "IconImageSequence",
)  # fmt: skip


def identify(ds: Dataset, instance: Instance, series: str) -> None:
    """Make `ds` an object of `instance`'s study, in the series called `series`; what is planted is noted."""
    study = instance.study
    for keyword, new in (
        ("SOPInstanceUID", instance.sop_uid),
        ("SeriesInstanceUID", study.series_uid(series)),
        ("StudyInstanceUID", study.study_uid),
    ):
        study.uids.setdefault(str(ds.get(keyword, "")), new)  # so that references to the base file find its first copy
    _replace_what_the_base_held(ds, instance)
    _patient_module(ds, instance)
    _study_module(ds, instance)
    ds.SOPInstanceUID = instance.plant("UID", instance.sop_uid, "SOPInstanceUID")
    ds.SeriesInstanceUID = instance.plant("UID", study.series_uid(series), "SeriesInstanceUID")
    ds.InstanceNumber = instance.number
    ds.SeriesDescription = study.exam["series"]


def _patient_module(ds: Dataset, instance: Instance) -> None:
    """Patient and patient study modules."""
    patient, study = instance.study.patient, instance.study
    if patient.character_set:
        ds.SpecificCharacterSet = (
            list(patient.character_set) if len(patient.character_set) > 1 else patient.character_set[0]
        )
    elif "SpecificCharacterSet" in ds:
        ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = instance.plant_name("PatientName", patient.name.dicom, patient.name)
    for group in patient.name.dicom.split("=")[1:]:
        for part in (group, *group.split("^")):
            instance.plant("NAME", part, "PatientName")
    ds.PatientID = instance.plant_id("PatientID")
    ds.PatientBirthDate = instance.plant_date("PatientBirthDate", f"{patient.birth_date:%Y%m%d}", birth=True)
    ds.PatientSex = patient.sex
    age = age_at(patient.birth_date, study.day)
    ds.PatientAge = f"{age:03d}Y"
    if age > OLDEST_TOLD:
        instance.plant("AGE", ds.PatientAge, "PatientAge", ambiguous=True)


def _study_module(ds: Dataset, instance: Instance) -> None:
    """General study and equipment modules."""
    study, habits = instance.study, instance.study.hospital.habits
    ds.StudyInstanceUID = instance.plant("UID", study.study_uid, "StudyInstanceUID")
    ds.AccessionNumber = instance.plant("ACCESSION", study.accession, "AccessionNumber")
    ds.StudyID = study.accession[-6:]
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(ds, keyword, instance.plant_date(keyword, f"{study.day:%Y%m%d}"))
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(ds, keyword, study.hour)
    ds.StudyDescription = study.exam["description"]
    ds.BodyPartExamined = study.exam["body_part"]
    ds.ReferringPhysicianName = instance.plant_name(
        "ReferringPhysicianName", study.referrer.dicom, study.referrer, "PHYSICIAN"
    )
    ds.InstitutionName = instance.plant("INSTITUTION", habits["institution"], "InstitutionName")
    ds.InstitutionAddress = instance.plant("ADDRESS", habits["institution_address"], "InstitutionAddress")
    ds.StationName = instance.plant("DEVICE", habits["station"], "StationName")
    ds.OperatorsName = instance.plant_name("OperatorsName", study.nurse.dicom, study.nurse, "PHYSICIAN")


def _replace_what_the_base_held(ds: Dataset, instance: Instance) -> None:
    """Names, dates, accession numbers and UIDs of the base file, at any depth, become this study's; the rest goes."""
    study = instance.study
    for keyword in _DROPPED:
        if keyword in ds:
            delattr(ds, keyword)

    def replace(holder: Dataset, element: DataElement) -> None:
        if holder is ds and element.keyword in _SET_AFTERWARDS:
            return
        if element.VR == "SQ" or not element.value or element.tag.group == 2:
            return
        if element.VR == "PN":
            element.value = instance.plant_name(element.keyword, study.reader.dicom, study.reader, "PHYSICIAN")
        elif element.VR == "DA":
            element.value = instance.plant_date(element.keyword, f"{study.day:%Y%m%d}")
        elif element.VR == "DT":
            element.value = instance.plant_date(element.keyword, f"{study.day:%Y%m%d}") + study.hour
        elif element.VR == "UI" and element.keyword not in _KEPT_UIDS:
            element.value = _new_uids(element, instance, study)

    ds.walk(replace)


def _new_uids(element: DataElement, instance: Instance, study: Study) -> str | list[str]:
    """The element's UIDs, each well-known one kept, each other replaced consistently within the study."""
    values = [element.value] if isinstance(element.value, str) else list(element.value)
    new = [
        value
        if UID(value) in UID_dictionary or not value
        else instance.plant("UID", study.new_uid_for(value), element.keyword or "private UID")
        for value in values
    ]
    return new[0] if len(new) == 1 else new
