"""Presidio's recognizers as a detector: patterns only, on spaCy's blank pipeline, without any download.

Belongs here: building the analyzer offline, and its entities as our kinds.  Rules of our own are the engine's.
Source: presidio-analyzer 2.2.366, its code and its supported entities.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as installed_version
from typing import Any

from gradient_assets.deid.text.detectors.interface import DetectorUnavailableError, required
from gradient_assets.deid.text.spans import Span

KINDS = {
    "PERSON": "NAME", "DATE_TIME": "DATE", "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "EMAIL": "EMAIL",
    "URL": "URL", "IP_ADDRESS": "URL", "LOCATION": "ADDRESS", "ORGANIZATION": "INSTITUTION", "AGE": "AGE",
    "US_SSN": "ID", "US_ITIN": "ID", "US_PASSPORT": "ID", "US_BANK_NUMBER": "ID", "US_DRIVER_LICENSE": "ID",
    "MEDICAL_LICENSE": "ID", "CREDIT_CARD": "ID", "IBAN_CODE": "ID", "UK_NHS": "ID", "UUID": "ID", "MAC_ADDRESS": "ID",
    "CRYPTO": "ID", "ID": "ID",
}  # fmt: skip
"""Entities by our kinds; one that is not listed is removed as `OTHER`."""

SURE_ENOUGH = 0.35
"""Below it stand `L4` and `T12` as driving licences (0.3) and every eight digits as a bank account (0.05)."""

_NEVER_S = 24 * 3600


@dataclass(frozen=True)
class PresidioDetector:
    """Presidio's pattern recognizers for one language.

    Raises `DetectorUnavailableError` for a score outside 0 to 1; `load` also when Presidio or spaCy are not installed.
    """

    language: str = "en"
    score: float = SURE_ENOUGH
    name = "presidio"

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise DetectorUnavailableError(f"detector 'presidio': score {self.score}: expected a number from 0 to 1")

    @property
    def version(self) -> str:
        """Presidio's version with the settings."""
        return f"{installed_version('presidio-analyzer')}-{self.language}-{self.score:g}"

    def load(self) -> None:
        """Build the analyzer (about a second)."""
        analyzer(self.language)

    def detect(self, text: str) -> list[Span]:
        """What Presidio finds with at least the score asked for."""
        results = analyzer(self.language).analyze(text, self.language, score_threshold=self.score)
        return [Span(one.start, one.end, KINDS.get(one.entity_type, "OTHER"), "presidio") for one in results]


@lru_cache(maxsize=4)
def analyzer(language: str) -> Any:
    """An `AnalyzerEngine` of a language, once per process.  Raises `DetectorUnavailableError`.

    Three habits of Presidio are switched off: it downloads a spaCy model that is missing, it fetches the list of public
    suffixes at the first e-mail address, and it skips a pattern after 60 s with only a warning.  The record's own deadline
    takes the place of the last.
    """
    os.environ["REGEX_TIMEOUT_SECONDS"] = str(_NEVER_S)
    spacy = required("spacy", "presidio")
    presidio = required("presidio_analyzer", "presidio")
    nlp_engines = required("presidio_analyzer.nlp_engine", "presidio")
    tldextract = required("tldextract.tldextract", "presidio")
    tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    try:
        blank = spacy.blank(language)
    except ImportError:
        raise DetectorUnavailableError(f"detector 'presidio': spaCy knows no language {language!r}") from None
    # Without a model there is only the tokenizer, whose memory is a few bytes a character; the limit is made for parsers.
    blank.max_length = 2**31 - 1
    nlp = nlp_engines.SpacyNlpEngine(models=[{"lang_code": language, "model_name": "blank"}])
    nlp.nlp = {language: blank}
    return presidio.AnalyzerEngine(nlp_engine=nlp, supported_languages=[language])
