"""What an instance says about its own de-identification.

Belongs here: Patient Identity Removed, the method and its codes.  A code is written only when what it names was done to
this instance; the pixel engine adds its own with `add_method_codes`.  PS3.3 C.12.1.1, PS3.16 CID 7050.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from gradient_assets.deid.headers.profile import OPTIONS, Profile

BASIC = ("113100", "Basic Application Confidentiality Profile")
_MEANINGS = dict([BASIC, *OPTIONS.values()])
_LONGITUDINAL = {"keep": "UNMODIFIED", "shift": "MODIFIED", "year": "REMOVED"}


@cache
def _code_item(code: str) -> dict[BaseTag, DataElement]:
    """Elements of a code's item, made once: they are never changed, and six codes an instance took a fortieth of the time."""
    values = ((0x00080100, "SH", code), (0x00080102, "SH", "DCM"), (0x00080104, "LO", _MEANINGS[code]))
    return {BaseTag(tag): DataElement(tag, vr, value) for tag, vr, value in values}


def codes_for(options: Iterable[str]) -> tuple[str, ...]:
    """Codes of CID 7050 for the basic profile and the options that were truly exercised, in ascending order."""
    return tuple(sorted({BASIC[0], *(OPTIONS[option][0] for option in options)}))


def state_method(ds: Dataset, profile: Profile, engine_version: str, codes: Iterable[str]) -> None:
    """Write Patient Identity Removed, De-identification Method, its codes and Longitudinal Temporal Information."""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = [
        f"PS3.15 {profile.edition}",
        f"profile {profile.name} {profile.digest}"[:64],
        f"gradient-assets headers {engine_version}",
    ]
    ds.DeidentificationMethodCodeSequence = Sequence([])
    ds.LongitudinalTemporalInformationModified = _LONGITUDINAL[profile.dates]
    add_method_codes(ds, codes)


def add_method_codes(ds: Dataset, codes: Iterable[str]) -> None:
    """Add codes of CID 7050 to De-identification Method Code Sequence, each once.  Raises `KeyError` for unknown codes."""
    present = list(ds.get("DeidentificationMethodCodeSequence") or [])
    known = {str(item.CodeValue) for item in present}
    for code in codes:
        if code in known:
            continue
        present.append(Dataset(dict(_code_item(code))))
        known.add(code)
    ds.DeidentificationMethodCodeSequence = Sequence(sorted(present, key=lambda item: str(item.CodeValue)))
