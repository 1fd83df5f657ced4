"""Which objects are taken at all: the SOP Class policy, and what else keeps an object out.

Belongs here: reading the policy table (`tables/sop_classes.json`) and judging one data set by it.  How an admitted object
is cleaned does not depend on its class (`rules`).  PS3.4 B.5, PS3.6 Annex A.
"""

from __future__ import annotations

from functools import cache

from pydicom.dataset import Dataset

from gradient_assets.deid.headers.gather import Columns, columns_of, first_text
from gradient_assets.deid.headers.profile import Profile
from gradient_assets.deid.headers.rules import table
from gradient_assets.deid.reasons import Reason, Refused


def admit(ds: Dataset, columns: Columns | None = None, profile: Profile | None = None) -> None:
    """Return if the object may be cleaned.  Raises `Refused` with MISSING_IDENTITY, DICOMDIR, ENCAPSULATED_DOCUMENT,
    SOP_CLASS_NOT_ADMITTED, TRUNCATED or SCANNED_FORM.  `columns` are those of `columns_of(ds)`, if the caller has them
    already; `profile` may admit scanned forms, without one nothing does."""
    if 0x00041220 in ds:
        raise Refused(Reason.DICOMDIR)
    columns = columns_of(ds) if columns is None else columns
    sop_class = columns["sop_class_uid"]
    if not sop_class or not columns["sop_instance_uid"]:
        if sop_class == "1.2.840.10008.1.3.10":
            raise Refused(Reason.DICOMDIR)
        raise Refused(Reason.MISSING_IDENTITY, "no SOP Class UID" if not sop_class else "no SOP Instance UID")
    policy = sop_class_policy().get(str(sop_class))
    if policy is None:
        raise Refused(Reason.SOP_CLASS_NOT_ADMITTED, "a SOP Class that the policy does not list")
    if policy != "clean":
        raise Refused(Reason(policy.removeprefix("refuse:")))
    if 0x00420011 in ds:
        raise Refused(Reason.ENCAPSULATED_DOCUMENT, "an encapsulated document in an object of another class")
    if max(ds.keys(), default=0) < 0x00100000:
        raise Refused(Reason.TRUNCATED, "the object ends before its patient")
    if profile is None or profile.scanned_forms == "quarantine":
        _refuse_scanned_forms(ds, str(columns["modality"] or ""))


def _refuse_scanned_forms(ds: Dataset, modality: str) -> None:
    marks = table("sop_classes")["scanned_forms"]
    if modality.upper() in marks["modalities"] or first_text(ds, 0x00080064).upper() in marks["conversion_types"]:
        raise Refused(Reason.SCANNED_FORM, "by its modality or conversion type")
    described = " ".join(first_text(ds, tag) for tag in (0x0008103E, 0x00081030, 0x00204000)).casefold()
    if any(phrase in described for phrase in marks["phrases"]):
        raise Refused(Reason.SCANNED_FORM, "by its description")


@cache
def sop_class_policy() -> dict[str, str]:
    """SOP Class UID → `clean` or `refuse:<reason code>`."""
    return {uid: policy for uid, _name, policy, _why in table("sop_classes")["classes"]}
