"""Forms that the red team got past the rules once, and what looks like them."""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine

PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
ENGINE = TextEngine()


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Cholecystectomy 13.VI.1947. No stones.", "Cholecystectomy [DATE]. No stones."),
        ("Seen on 3. XII. 2018 again.", "Seen on [DATE] again."),
        ("Write to q.vandermolen at vanhost dot example for images.", "Write to [EMAIL] for images."),
        ("Fingerprint template M7X2174Z7 was enrolled.", "Fingerprint template [ID] was enrolled."),
        ("Noted at admission: V4T634616. Lungs are clear.", "Noted at admission: [ID]. Lungs are clear."),
    ],
)
def test_it_goes(written, cleaned):
    assert ENGINE.clean(written, KnownIdentifiers(), PERSON).text == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Segments IV.1 and VI.2 are spared; see image 12.V.",
        "Signal at T2 dot blot hemorrhage is seen at level three dot two.",
        "T1T2FLAIR and 18F-FDG, C3C4C5 fusion, H2O15 water, 99mTc.",
        "T10T11T12 and L1L2L3L4L5 levels.",
    ],
)
def test_what_looks_like_it_stays(text):
    assert ENGINE.clean(text, KnownIdentifiers(), PERSON).text == text
