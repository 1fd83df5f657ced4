"""Known identifiers are recognised in what a recogniser read, however it misread it, and nothing else is."""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.pixels.known_text import KnownText

KNOWN = KnownText(
    KnownIdentifiers(
        patient_names=("OKONKWO^ANNA^M", "山田^太郎", "Müller-Straße^Zoë", "LI^WEI"),
        patient_ids=("PAT-00482913", "77"),
        accession_numbers=("A55.120/B",),
        birth_dates=("19540312",),
        study_dates=("20190804", "not a date"),
        physicians=("O'Brien^Siobhan",),
        institutions=("St Mary Hospital",),
    )
)


@pytest.mark.parametrize(
    "line",
    [
        "OKONKWO",
        "Okonkwo, Anna",
        "0K0NKW0",
        "OKONKVVO",
        "Okonwko A",
        "NAME:OKONKWOANNA",
        "ANMA",
        "MULLER STRASSE",
        "Zoé",
        "OBRIEN",
        "0'8RIEN",
        "Dr 5IOBHAN",
        "山田太郎",
        "ST MARY H0SPITAL",
        "LI",
        "Wei 64Y",
        "ID 00482913 PAT",
        "PAT OO4829I3",
        "PAT0048Z913",
        "Acc: A55 120 8",
        "12.03.1954",
        "1954-03-12",
        "03/12/54",
        "3/12/1954",
        "12 MAR 1954",
        "Mar 12, 1954",
        "I2.O3.1954",
        "12.03.1955",  # one digit misread
        "DOB 19540312 F",
        "4-Aug-19",
        "08.04.2019 10:22",
    ],
)
def test_a_known_identifier_is_seen_however_it_was_read(line):
    assert KNOWN.is_in(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "R",
        "RIGHT LAT",
        "12.5 cm",
        "MI 0.9 TIS 1.2",
        "77",
        "LIVER",
        "LIMA",
        "KIDNEY",
        "Gain 62 dB",
        "1.1.2003",
        "..--",
        "NECK",
    ],
)
def test_other_text_is_not_taken_for_the_patient(line):
    assert not KNOWN.is_in(line)


def test_nothing_known_is_false_and_matches_nothing():
    nothing = KnownText(KnownIdentifiers())
    assert not nothing
    assert not nothing.is_in("OKONKWO 12.03.1954")


def test_its_repr_holds_counts_only():
    shown = repr(KNOWN)
    assert not any(part in shown.lower() for part in ("okonkwo", "0k0nkw0", "00482913", "1954"))
