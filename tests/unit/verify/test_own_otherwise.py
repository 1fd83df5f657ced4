"""The patient's own identifiers in other shapes, found by the check alone; each with what raises no alarm."""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import residual_in_text

KNOWN = KnownIdentifiers(
    patient_names=("GOMEZ^JONAS",),
    birth_dates=("19310412",),
    addresses=("14 Mulberry Crescent, Evanston IL 60201",),
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("signed by jgomez", "login"),
        ("signed by gomezj", "login"),
        ("G0mez was here", "misread_name"),
        ("Gornez was here", "misread_name"),
        ("lives in Evanston", "own_town"),
        ("zip 60201.", "own_postal_code"),
        ("no. 110101193104121234", "birth_date_in_number"),
        ("no. 11010112041931123", "birth_date_in_number"),
        ("born in 1931", "own_birth_year"),
        ("DOB: 1931", "own_birth_year"),
    ],
)
def test_it_is_found_with_its_place(text, rule):
    hits = [hit for hit in residual_in_text(text, KNOWN) if hit.rule == rule]
    assert hits
    assert all(hit.start is not None for hit in hits)


@pytest.mark.parametrize(
    "text",
    [
        "the corner modern gnome g0 m3z",
        "0.60201 and 160201 counts",
        "since 1931",
        "born in 1932",
        "no. 110101193204121234",
        "the crescent sign",
    ],
)
def test_what_looks_like_it_is_no_hit(text):
    assert residual_in_text(text, KNOWN) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WEEKS^QXZ", "3 weeks ago"),
        ("GROSS^QXZ", "gross hematuria"),
        ("RASH^QXZ", "no rash"),
        ("FELL^QXZ", "patient fell"),
        ("RAY^QXZ", "CHEST X-RAY PA"),
    ],
)
def test_a_name_that_is_a_word_is_no_hit_as_a_word(name, text):
    assert residual_in_text(text, KnownIdentifiers(patient_names=(name,))) == []


def test_a_name_that_is_a_word_is_a_hit_beside_a_title():
    assert residual_in_text("seen with Mrs. Weeks", KnownIdentifiers(patient_names=("WEEKS^QXZ",)))
