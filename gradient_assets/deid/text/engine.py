"""The report engine: all rule families in their order, behind one class.

Belongs here: the order, the cache of per-patient matchers, and failing closed.  Order: fold → eponyms → what is known of
the patient → patterns and dates → institutions → cues → lists → propagation.  Each family lives in a module of its own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Literal, Protocol

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text.births import mark_births
from gradient_assets.deid.text.cues import find_cued
from gradient_assets.deid.text.dates import find_dates, find_short_dates
from gradient_assets.deid.text.detectors.interface import Detector
from gradient_assets.deid.text.facilities import find_facilities, find_places_of_care
from gradient_assets.deid.text.guarding import protect
from gradient_assets.deid.text.known import KnownMatcher
from gradient_assets.deid.text.lexicon import lexicon
from gradient_assets.deid.text.name_reader import NameReader
from gradient_assets.deid.text.names import find_joined, find_listed, propagate
from gradient_assets.deid.text.patterns import find_patterns
from gradient_assets.deid.text.reading import Reading
from gradient_assets.deid.text.replace import DateTreatment, Replacement, Replacer
from gradient_assets.deid.text.signatures import find_signatures
from gradient_assets.deid.text.spans import KINDS, CleanedText, Span, disjoint, joined_names

ENGINE_VERSION = "4"
"""Changes whenever the same text may come out differently."""

CACHED_PATIENTS = 512
CACHED_TEXTS = 256
LONGEST_CACHED = 128
"""Texts of each patient whose spans are remembered, and their characters: a series of 300 slices says the same twenty
short descriptions 300 times, which was a sixth of the time of its headers."""


class TextCleaner(Protocol):
    """Whoever can clean a text: the header and report pipelines ask for this, not for an engine."""

    def clean(self, text: str, identifiers: KnownIdentifiers, person: Person) -> CleanedText:
        """The text without identifiers.  Raises `Refused`."""
        ...


class TextEngine:
    """Finds and replaces identifiers in a text.  Picklable; word lists are read once per process."""

    def __init__(
        self,
        *,
        replace: Replacement = "tags",
        dates: DateTreatment = "shift",
        language: str = "en",
        date_order: Literal["mdy", "dmy", "ymd"] = "mdy",
        detectors: Sequence[Detector] = (),
    ) -> None:
        """`detectors` add to what the rules find.

        Raises `ValueError` for an unknown replacement, date treatment or language.
        """
        if replace not in ("tags", "surrogates"):
            raise ValueError(f"replace {replace!r}: expected tags or surrogates")
        if dates not in ("year", "shift", "keep"):
            raise ValueError(f"dates {dates!r}: expected year, shift or keep")
        lexicon(language)
        self.replace = replace
        self.dates = dates
        self.language = language
        self.date_order = date_order
        self.detectors = tuple(detectors)
        self._matchers: OrderedDict[KnownIdentifiers, tuple[KnownMatcher, dict[str, list[Span]]]] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_matchers": OrderedDict()}

    def find(self, text: str, identifiers: KnownIdentifiers) -> list[Span]:
        """Spans of identifiers: sorted, disjoint, offsets into `text`.  Raises `Refused(TEXT_ENGINE_FAILED)`."""
        try:
            return self._find(text, identifiers)
        except Refused:
            raise
        except Exception as error:
            raise Refused(Reason.TEXT_ENGINE_FAILED, type(error).__name__) from None

    def clean(
        self,
        text: str,
        identifiers: KnownIdentifiers,
        person: Person,
        *,
        replace: Replacement | None = None,
        draw: int = 0,
    ) -> CleanedText:
        """The text with every found span replaced.  Raises `Refused(TEXT_ENGINE_FAILED)`; the original never passes through.

        `replace`: another replacement than the engine's for this text.  `draw`: other surrogates than the first.
        """
        try:
            spans = self._find(text, identifiers)
            if not spans:
                return CleanedText(text, Counter())
            replacer = Replacer(
                identifiers,
                person,
                lexicon(self.language),
                replace=replace or self.replace,
                dates=self.dates,
                date_order=self.date_order,
                text=text,
                draw=draw,
            )
            pieces: list[str] = []
            position = 0
            for span in spans:
                pieces.append(text[position : span.start])
                pieces.append(replacer.replacement(text[span.start : span.end], span))
                position = span.end
            pieces.append(text[position:])
            return CleanedText("".join(pieces), Counter(span.kind for span in spans))
        except Refused:
            raise
        except Exception as error:
            raise Refused(Reason.TEXT_ENGINE_FAILED, type(error).__name__) from None

    def _find(self, text: str, identifiers: KnownIdentifiers) -> list[Span]:
        if not text or text.isspace():
            return []
        known, seen = self._matcher(identifiers)
        if (spans := seen.get(text)) is None:
            spans = self._spans(text, known)
            if len(text) <= LONGEST_CACHED:
                if len(seen) >= CACHED_TEXTS:
                    seen.clear()
                seen[text] = spans
        return list(spans)

    def _spans(self, text: str, known: KnownMatcher) -> list[Span]:
        words = lexicon(self.language)
        reading = Reading(text)
        protect(reading, words)
        dates = mark_births(reading, words, find_dates(reading, self.language))
        found = [*dates, *known.find_numbers(reading), *find_patterns(reading, words, dates)]
        for span in found:
            reading.take(span.start, span.end)
        found.extend(known.find_places(reading))
        found.extend(find_facilities(reading, words))
        found.extend(find_places_of_care(reading, words))
        reader = NameReader(reading, words, known)
        people = [*known.find_names(reading), *find_cued(reader), *find_signatures(reader), *find_listed(reader)]
        people.extend(list(find_joined(reader, people)))
        people.extend(propagate(reader, people))
        for span in people:
            reading.take(span.start, span.end)
        found.extend(people)
        found.extend(find_short_dates(reading, self.language))
        spans = [Span(*reading.folded.original(span.start, span.end), span.kind, span.rule) for span in found]
        for detector in self.detectors:
            spans.extend(_checked(detector.detect(text), text))
        return joined_names(disjoint(spans), text)

    def _matcher(self, identifiers: KnownIdentifiers) -> tuple[KnownMatcher, dict[str, list[Span]]]:
        """What is searched for one patient, and the spans of short texts that were searched already."""
        found = self._matchers.get(identifiers)
        if found is None:
            found = self._matchers[identifiers] = KnownMatcher(identifiers, lexicon(self.language)), {}
            if len(self._matchers) > CACHED_PATIENTS:
                self._matchers.popitem(last=False)
        return found


def _checked(spans: Sequence[Span], text: str) -> Sequence[Span]:
    """The spans, if they are spans of this text.  One that begins at -5 put a piece of the original behind the cleaned text."""
    if any(not 0 <= span.start < span.end <= len(text) or span.kind not in KINDS for span in spans):
        raise ValueError("a detector's span lies outside of the text or is of no known kind")
    return spans
