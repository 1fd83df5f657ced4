"""Which objects are admitted."""

import pytest
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import admit
from gradient_assets.deid.headers.policy import sop_class_policy
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import instance

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
    (instance(SOPClassUID=""), Reason.MISSING_IDENTITY),
    (instance(SOPInstanceUID=""), Reason.MISSING_IDENTITY),
    (Dataset(), Reason.MISSING_IDENTITY),
    (instance(Modality="DOC"), Reason.SCANNED_FORM),
    (instance(ConversionType="SD"), Reason.SCANNED_FORM),
    (instance(SeriesDescription="Scanned Document"), Reason.SCANNED_FORM),
]
ADMITTED = [
    "1", "1.1", "1.2", "2", "2.1", "4", "4.1", "6.1", "3.1", "7", "7.2", "7.4", "12.1", "20", "30", "66.1", "66.4",
    "67", "77.1.4", "77.1.6", "88.11", "88.22", "88.33", "88.59", "88.67", "11.1", "9.1.1", "128", "130", "481.1",
    "481.2", "481.3", "481.5", "481.8",
]  # fmt: skip


@pytest.mark.parametrize(("ds", "reason"), REFUSED)
def test_what_cannot_be_cleaned_is_refused_with_its_reason(ds, reason):
    with pytest.raises(Refused) as refusal:
        admit(ds)
    assert refusal.value.reason is reason


@pytest.mark.parametrize("tail", ADMITTED)
def test_objects_the_engine_can_clean_are_admitted(tail):
    admit(instance(SOPClassUID=STORAGE + tail))


def test_every_policy_is_clean_or_a_known_reason():
    for policy in sop_class_policy().values():
        assert policy == "clean" or Reason(policy.removeprefix("refuse:"))
