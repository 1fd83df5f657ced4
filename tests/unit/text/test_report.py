"""A report through engine and check: what the engine leaves is blacked out, or the report is refused."""

import sys
import types
from collections import Counter

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.report import ReportCleaner
from gradient_assets.deid.text import CleanedText, TextEngine

PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
KNOWN = KnownIdentifiers(
    patient_names=("VANDERBILT^MARGARET",),
    patient_ids=("MRN-0048213",),
    birth_dates=("19470312",),
    study_dates=("20160604",),
)


class Leaving:
    """An engine that takes nothing out but what it counts."""

    language = "en"
    dates = "shift"

    def clean(self, text, identifiers, person, *, replace=None, draw=0):
        return CleanedText(text, Counter(NAME=2))


@pytest.mark.parametrize(
    ("left", "shown", "places"),
    [
        ("Seen with Vanderbilt today.", "Seen with [REDACTED] today.", 1),
        ("Größe ok. Straße: Vanderbilt's scan.", "Größe ok. Straße: [REDACTED]'s scan.", 1),
        ("Ms. Vandrebilt, no. 48213", "Ms. [REDACTED], no. [REDACTED]", 2),
        ("Margaret Vanderbilt, born 12. März 1947", "[REDACTED], born [REDACTED]", 2),
        ("compared with June 4, 2016.", "compared with [REDACTED].", 1),
        ("Vänderbilt", "[REDACTED]", 1),
    ],
)
def test_what_the_engine_left_is_blacked_out_and_counted(left, shown, places):
    cleaned = ReportCleaner(Leaving()).clean(left, KNOWN, PERSON)
    assert cleaned.text == shown
    assert cleaned.removed == {"NAME": 2, "REDACTED": places}


@pytest.mark.parametrize("left", ["Ms. Vander&#98;ilt", "Vander%62ilt", r"\u0056anderbilt is well"])
def test_what_only_an_undone_escape_shows_refuses_the_report(left):
    with pytest.raises(Refused) as refusal:
        ReportCleaner(Leaving()).clean(left, KNOWN, PERSON)
    assert refusal.value.reason is Reason.RESIDUAL_IDENTIFIER
    assert "anderbilt" not in str(refusal.value)


def test_a_clean_text_is_left_alone():
    text = "Lungs are clear. A 48 mm cyst, unchanged since 2013."
    assert ReportCleaner(Leaving()).clean(text, KNOWN, PERSON).text == text


def test_with_kept_dates_study_dates_stay_and_birth_dates_do_not():
    class Keeping(Leaving):
        dates = "keep"

    cleaned = ReportCleaner(Keeping()).clean("born 3/12/1947, seen June 4, 2016", KNOWN, PERSON)
    assert cleaned.text == "born [REDACTED], seen June 4, 2016"


@pytest.fixture
def seen_language(monkeypatch):
    """Replaces the language's telling by a table: it is the policy that is tested here."""
    module = types.ModuleType("gradient_assets.deid.text.language")
    module.looks_like = {"Lungs are clear.": "en", "Keine Fraktur.": "de", "CT": None}.__getitem__
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize(
    ("text", "language", "refused"),
    [("Lungs are clear.", "en", False), ("Keine Fraktur.", "en", True), ("CT", "en", False), ("Unknown", "en", True)],
)
@pytest.mark.parametrize("policy", ["pass", "quarantine"])
def test_an_undeclared_language_is_refused_where_that_is_asked_for(seen_language, text, language, refused, policy):
    cleaner = ReportCleaner(TextEngine(language=language), undeclared_language=policy)
    if not refused or policy == "pass":
        assert cleaner.clean(text, KNOWN, PERSON).text == text
        return
    with pytest.raises(Refused) as refusal:
        cleaner.clean(text, KNOWN, PERSON)
    expected = Reason.TEXT_ENGINE_FAILED if text == "Unknown" else Reason.UNDECLARED_LANGUAGE
    assert refusal.value.reason is expected


def test_what_only_the_check_finds_after_a_second_look_refuses_the_report(monkeypatch):
    from gradient_assets.deid import report

    monkeypatch.setattr(report, "REDACTED", "Vanderbilt")
    with pytest.raises(Refused) as refusal:
        ReportCleaner(Leaving()).clean("Ms. Vanderbilt", KNOWN, PERSON)
    assert (refusal.value.reason, refusal.value.detail) == (Reason.RESIDUAL_IDENTIFIER, "1 × name")
