"""Which objects are admitted, and that what each class is known to name people in is gone from its bytes."""

from dataclasses import replace

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import Profile, admit
from gradient_assets.deid.headers.policy import sop_class_policy
from gradient_assets.deid.headers.rules import table
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import cleaned, instance, item, sequence

STORAGE = "1.2.840.10008.5.1.4.1.1."
REFUSED = [
    (instance(SOPClassUID=STORAGE + "104.1"), Reason.ENCAPSULATED_DOCUMENT),
    (instance(SOPClassUID=STORAGE + "104.2"), Reason.ENCAPSULATED_DOCUMENT),
    (instance(SOPClassUID=STORAGE + "104.3"), Reason.ENCAPSULATED_DOCUMENT),
    (instance(EncapsulatedDocument=b"%PDF"), Reason.ENCAPSULATED_DOCUMENT),
    (instance(SOPClassUID="1.2.840.113619.4.2"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID=STORAGE + "66"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID=STORAGE + "9.4.1"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID="1.2.840.10008.1.3.10"), Reason.DICOMDIR),
    (instance(DirectoryRecordSequence=[]), Reason.DICOMDIR),
    (instance(SOPClassUID=STORAGE + "68.1"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID=STORAGE + "77.1.4"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID=STORAGE + "200.3"), Reason.SOP_CLASS_NOT_ADMITTED),
    (instance(SOPClassUID=""), Reason.MISSING_IDENTITY),
    (instance(SOPInstanceUID=""), Reason.MISSING_IDENTITY),
    (Dataset(), Reason.MISSING_IDENTITY),
    (instance(Modality="DOC"), Reason.SCANNED_FORM),
    (instance(ConversionType="SD"), Reason.SCANNED_FORM),
    (instance(SeriesDescription="Scanned Document"), Reason.SCANNED_FORM),
]
ADMITTED = [
    "1", "1.1", "1.2", "2", "2.1", "4", "4.1", "6.1", "3.1", "7", "7.2", "7.4", "12.1", "20", "30", "66.1", "66.4",
    "67", "77.1.1", "77.1.6", "88.11", "88.22", "88.33", "88.59", "88.67", "11.1", "9.1.1", "128", "130", "481.1",
    "481.2", "481.3", "481.5", "481.8",
]  # fmt: skip


@pytest.mark.parametrize(("ds", "reason"), REFUSED)
def test_what_cannot_be_cleaned_is_refused_with_its_reason(ds, reason):
    with pytest.raises(Refused) as refusal:
        admit(ds)
    assert refusal.value.reason is reason


def test_scanned_forms_are_admitted_only_if_the_profile_says_so():
    form = instance(SeriesDescription="Scanned Document")
    strict = Profile.named("safe_harbor")
    with pytest.raises(Refused):
        admit(form, profile=strict)
    admit(form, profile=replace(strict, scanned_forms="clean"))


@pytest.mark.parametrize("tail", ADMITTED)
def test_objects_the_engine_can_clean_are_admitted(tail):
    admit(instance(SOPClassUID=STORAGE + tail))


def test_every_policy_is_clean_or_a_known_reason():
    for policy in sop_class_policy().values():
        assert policy == "clean" or Reason(policy.removeprefix("refuse:"))


def storage_classes() -> dict[str, str]:
    """The SOP Classes of PS3.4 B.5 and I.4 that pydicom's dictionary knows, retired ones included."""
    return {
        uid: entry[0]
        for uid, entry in UID_dictionary.items()
        if entry[1] == "SOP Class" and "Storage" in entry[0] and not entry[0].startswith("Storage Commitment")
    }


def test_every_storage_class_of_the_dictionary_has_a_policy():
    assert storage_classes().keys() - sop_class_policy().keys() == set()


def test_every_refused_class_says_why():
    for uid, _name, policy, why in table("sop_classes")["classes"]:
        assert policy == "clean" or why, uid


def test_no_class_is_listed_twice():
    uids = [row[0] for row in table("sop_classes")["classes"]]
    assert len(uids) == len(set(uids))


NAME = "Zymurgy"
TEXT = "seen by Zymurgy"
IN_ITS_CLASS = {
    "waveform annotation": ("9.1.1", {"WaveformAnnotationSequence": [{"UnformattedTextValue": TEXT}]}),
    "waveform channel": (
        "9.1.1",
        {"WaveformSequence": [{"ChannelDefinitionSequence": [{"ChannelLabel": NAME, "ChannelStatus": "OK"}]}]},
    ),
    "report text": ("88.11", {"ContentSequence": [{"ValueType": "TEXT", "TextValue": TEXT}]}),
    "report name": ("88.33", {"ContentSequence": [{"ValueType": "PNAME", "PersonName": NAME}]}),
    "report observer": ("88.22", {"VerifyingObserverSequence": [{"VerifyingObserverName": NAME}]}),
    "key object note": ("88.59", {"ContentSequence": [{"ValueType": "TEXT", "TextValue": TEXT}]}),
    "graphic annotation": (
        "11.1",
        {"GraphicAnnotationSequence": [{"TextObjectSequence": [{"UnformattedTextValue": TEXT}]}]},
    ),
    "presentation creator": ("11.1", {"ContentCreatorName": NAME, "ContentDescription": TEXT}),
    "structure set": (
        "481.3",
        {
            "StructureSetLabel": NAME,
            "StructureSetROISequence": [{"ROIName": TEXT}],
            "RTROIObservationsSequence": [{"ROIInterpreter": NAME}],
        },
    ),
    "plan": (
        "481.5",
        {"RTPlanLabel": NAME, "RTPlanDescription": TEXT, "ReviewerName": NAME, "PrescriptionDescription": TEXT},
    ),
    "ion plan": ("481.8", {"RTPlanName": NAME, "OperatorsName": NAME}),
    "dose": ("481.2", {"DoseComment": TEXT}),
    "segmentation": (
        "66.4",
        {"SegmentSequence": [{"SegmentLabel": NAME, "SegmentDescription": TEXT}], "ContentCreatorName": NAME},
    ),
    "surface segmentation": ("66.5", {"SurfaceSequence": [{"SurfaceComments": TEXT}]}),
    "parametric map": ("30", {"ContentDescription": TEXT, "ContentCreatorName": NAME}),
    "registration": ("66.1", {"ContentDescription": TEXT, "ContentCreatorName": NAME}),
    "fiducials": ("66.2", {"FiducialSetSequence": [{"FiducialSequence": [{"FiducialDescription": TEXT}]}]}),
    "tractography": ("66.6", {"TrackSetSequence": [{"TrackSetLabel": NAME, "TrackSetDescription": TEXT}]}),
    "protocol": ("200.2", {"ResponsibleGroupCodeSequence": [{"CodeMeaning": TEXT}], "ContentCreatorName": NAME}),
    "dose report": ("88.67", {"ContentSequence": [{"ValueType": "PNAME", "PersonName": NAME}]}),
    "spectroscopy": ("4.2", {"ImageComments": TEXT, "OperatorsName": NAME}),
}


def filled(values: dict[str, object]) -> dict[str, object]:
    return {
        keyword: sequence(*[item(**filled(inner)) for inner in value]) if isinstance(value, list) else value
        for keyword, value in values.items()
    }


@pytest.mark.parametrize("place", IN_ITS_CLASS)
def test_what_a_class_is_known_to_name_people_in_is_gone(place, longitudinal):
    tail, values = IN_ITS_CLASS[place]
    _, written, _ = cleaned(longitudinal, instance(SOPClassUID=STORAGE + tail, **filled(values)))
    assert NAME.encode() not in written


WITHOUT_A_PATIENT = {
    "colour palette": ("39.1", {"ContentCreatorName": NAME}),
    "implant template": ("43.1", {"ContentCreatorName": NAME, "ImplantTemplateVersion": "1", "Manufacturer": "Maker"}),
}


@pytest.mark.parametrize("place", WITHOUT_A_PATIENT)
def test_objects_without_a_patient_name_nobody_either(place, longitudinal):
    tail, values = WITHOUT_A_PATIENT[place]
    nobody = {"PatientName": "", "PatientID": ""}
    _, written, _ = cleaned(longitudinal, instance(SOPClassUID="1.2.840.10008.5.1.4." + tail, **nobody, **values))
    assert NAME.encode() not in written
