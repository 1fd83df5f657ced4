"""Values that the red team got past the header engine once, and values beside them that stay."""

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.unit.headers.instances import cleaned, instance


def written(engine, tag, vr, value):
    """The element after cleaning; None if it went.  Numbers are stated as text first, so that wrong ones can be made."""
    ds = instance()
    ds[tag] = DataElement(tag, "LO" if vr in ("IS", "CS") else vr, value)
    ds[tag].VR = vr
    _, _, out = cleaned(engine, ds)
    return out.get(tag)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "stays"),
    [
        (0x00200012, "IS", "9365556454", False),
        (0x00200012, "IS", "2147483647", True),
        (0x00200012, "IS", "-12", True),
        (0x00281201, "OW", b"table 8065553917", False),
        (0x00281201, "OW", bytes(range(0, 200, 2)), True),
        (0x00281201, "OW", b" " * 16, True),
        (0x00281201, "OW", bytes(16), True),
    ],
)
def test_a_number_that_can_be_none_goes(longitudinal, tag, vr, value, stays):
    assert (written(longitudinal, tag, vr, value) is not None) is stays


@pytest.mark.parametrize(
    ("tag", "value", "left"),
    [
        (0x00700080, "D3693674", "REMOVED"),
        (0x00700080, "MARKS_2", "MARKS_2"),
        (0x00100040, "QUORVATH", ""),
        (0x00100040, "F", "F"),
    ],
)
def test_codes_that_a_site_chose_hold_no_record_number(longitudinal, tag, value, left):
    assert (written(longitudinal, tag, "CS", value).value or "") == left


@pytest.mark.parametrize(
    ("meaning", "left"),
    [
        ("call (806) 555-391777", "call (806) 555-[X]"),
        ("Finding, 2 of 3", "Finding, 2 of 3"),
        ("363698007", "363698007"),
    ],
)
def test_a_meaning_of_a_known_scheme_with_a_long_number_is_cleaned(longitudinal, meaning, left):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121071", "DCM", meaning
    ds = instance()
    ds.ProcedureCodeSequence = Sequence([code])
    _, _, out = cleaned(longitudinal, ds)
    assert out.ProcedureCodeSequence[0].CodeMeaning == left


@pytest.mark.parametrize("profile", [b"no profile at all", b""])
def test_an_icc_profile_that_is_none_goes(longitudinal, profile):
    found = written(longitudinal, 0x00282000, "OB", profile + bytes(len(profile) % 2))
    assert found is None or not found.value
