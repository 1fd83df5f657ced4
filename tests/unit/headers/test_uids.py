"""UIDs: the standard's stay, everybody else's change, whatever shape they are in."""

import re

import pytest

from gradient_assets.deid.headers.uids import is_well_known, replaced, replaced_in_text
from tests.unit.headers.instances import cleaned, instance, item, sequence

WELL_KNOWN = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.66.7",  # younger than pydicom's dictionary
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.4.1.1",
    "1.2.840.10008.1.4.2.1",
    "1.2.840.10008.2.16.4",
    "1.2.840.10008.6.1.1236",
    "1.2.840.10008.1.5.1",
    "2.16.840.1.113883.6.96",
]
SOMEBODYS = [
    "1.2.840.10008.0077123456",
    "1.2.840.10008.5.1.4.1.1.2.20200304.101112",
    "1.2.840.10008.Zymurgy",
    "1.2.840.10008.5.1.4.1.1.02",
    "1.2.840.10008.1." + "1." * 20 + "1",
    "1.2.840.100080.5.1",
    "2.16.840.1.113883.6.MRN",
    "1.3.12.2.1107.5.2.32.35162.30000015050317233592200000046",
    "2.25.329800735698586629295641978511506172918",
]


@pytest.mark.parametrize("uid", WELL_KNOWN)
def test_the_standards_uids_stay(uid):
    assert is_well_known(uid)


@pytest.mark.parametrize("uid", SOMEBODYS)
def test_all_others_change_even_below_the_standards_root(uid):
    assert not is_well_known(uid)
    assert replaced(uid, lambda _: "2.25.1") == "2.25.1"


ODD = {
    "leading zero": "1.2.003.4.5.6.7.8",
    "too long": "1.2.826.0." + "1234567890." * 8 + "1",
    "letters": "1.2.826.Zymurgy.7",
    "blanks": "1.2.826.0.1.77 ",
    "no dots": "0077123",
    "two values": "1.2.826.0.1.78\\1.2.826.0.1.79",
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_uid_becomes_a_valid_one_and_always_the_same(case, longitudinal):
    def source() -> object:
        reference = item(ReferencedSOPClassUID=WELL_KNOWN[0])
        reference.add_new(0x00081155, "LO", ODD[case].split("\\"))
        reference[0x00081155].VR = "UI"
        return instance(ReferencedImageSequence=sequence(reference))

    found = [cleaned(longitudinal, source()) for _ in range(2)]
    new = [str(after.ReferencedImageSequence[0][0x00081155].value) for _, _, after in found]
    assert new[0] == new[1]
    assert re.findall(r"2\.25\.[1-9]\d+", new[0])
    for old in ODD[case].split("\\"):
        assert old.strip().encode() not in found[0][1]


def test_padding_makes_no_other_uid(pseudonymizer):
    assert {pseudonymizer.uid(f"1.2.826.0.1.77{padding}") for padding in ("", " ", "\0")} == {
        pseudonymizer.uid("1.2.826.0.1.77")
    }


IN_TEXT = [
    ("see 2.25.329800735698586629295641978511506172918.", "see NEW."),
    ("1.3.12.2.1107.005.2.32.35162", "NEW"),
    ("a 1.2.840.113619.2.55.3.1234567890 b", "a NEW b"),
    ("of class 1.2.840.10008.5.1.4.1.1.2", "of class 1.2.840.10008.5.1.4.1.1.2"),
    ("syngo 5.1.2.30.4", "syngo 5.1.2.30.4"),
    ("0.123456789012345678", "0.123456789012345678"),
    ("spacing 1.25 x 1.25 x 2.5", "spacing 1.25 x 1.25 x 2.5"),
]


@pytest.mark.parametrize(("text", "expected"), IN_TEXT)
def test_uids_are_found_in_text_and_versions_and_numbers_are_not(text, expected):
    assert replaced_in_text(text, lambda _: "NEW") == expected
