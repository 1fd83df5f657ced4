"""The identifiers of 45 CFR 164.514(b)(2)(i) that reports hold, letter by letter, each in forms that radiologists write.

`A` to `R` are the paragraph's own.  Biometric identifiers (P) and photographs (Q) do not stand in text.
"""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text import TextEngine

ENGINE = TextEngine()
PATIENT = KnownIdentifiers(patient_names=("QUILLFEATHER^ZEBULON",), patient_ids=("MR0045-7781",))

FORMS = [
    ("A", "Zebulon Quillfeather was seen.", "Zebulon Quillfeather"),
    ("A", "Discussed with Dr. Okonjo.", "Okonjo"),
    ("B", "lives at 12 Old Mill Lane, Apt 3B", "12 Old Mill Lane"),
    ("B", "Eastport, VT 05401", "05401"),
    ("C", "Compared with 03/04/2016.", "03/04/2016"),
    ("C", "A 92 year old woman", "92"),
    ("D", "Call (555) 201-9911 ext 42.", "201-9911"),
    ("E", "Fax: 555-201-9911", "201-9911"),
    ("F", "Mail jo.doe@x.example now", "jo.doe@x.example"),
    ("G", "SSN 123-45-6789", "123-45-6789"),
    ("H", "MRN: 00123456", "00123456"),
    ("H", "Patient MR0045-7781 was seen.", "MR0045-7781"),
    ("I", "Medicare 1EG4-TE5-MK72", "1EG4-TE5-MK72"),
    ("I", "Member ID H448217", "H448217"),
    ("J", "Account no. 88123312", "88123312"),
    ("K", "DEA AB1234567", "AB1234567"),
    ("K", "Driver's license D1234567", "D1234567"),
    ("L", "VIN 1HGCM82633A004352", "1HGCM82633A004352"),
    ("L", "Plate ABC-1234", "ABC-1234"),
    ("M", "Pacemaker serial SND779160", "SND779160"),
    ("N", "See https://pacs.x.example/a?id=4, thanks", "pacs.x.example"),
    ("O", "sent from host 192.168.10.4", "192.168.10.4"),
    ("R", "Accession 22-443338 reviewed", "22-443338"),
    ("R", "UID 1.2.840.113619.2.55.3.604", "113619.2.55.3.604"),
]


@pytest.mark.parametrize(("letter", "text", "identifier"), FORMS)
def test_each_kind_of_identifier_goes_from_a_report(letter, text, identifier):
    for span in reversed(ENGINE.find(text, PATIENT)):
        text = text[: span.start] + "_" + text[span.end :]
    assert identifier not in text
    assert "_" in text


def test_every_letter_that_can_stand_in_a_text_has_a_form():
    assert {letter for letter, _, _ in FORMS} == set("ABCDEFGHIJKLMNOR")
