"""A whole report, cleaned: the engine, the independent search, what the search finds blacked out, and the search again.

Belongs here: the order in which one report's text meets the engine and the check, so that the graph and the folder tool do
the very same.  How a text is cleaned is `text`'s business, what is searched for `verify`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.reasons import Accepted, Reason, Refused, unless_accepted
from gradient_assets.deid.text import CleanedText, Replacement, TextEngine
from gradient_assets.deid.verify import Hit, residual_in_text

REDACTED = "[REDACTED]"
"""What stands where the check found something that the engine had left."""


class ReportCleaner:
    """Cleans reports and proves each one clean.  Make one per process.

    `undeclared_language`: `quarantine` refuses a text that looks like another language than the engine's.
    """

    def __init__(self, engine: TextEngine, *, undeclared_language: Literal["pass", "quarantine"] = "pass") -> None:
        self._engine = engine
        self._study_dates = engine.dates != "keep"
        self._asks_for_language = undeclared_language == "quarantine"

    def clean(
        self,
        text: str,
        known: KnownIdentifiers,
        person: Person,
        *,
        replace: Replacement | None = None,
        draw: int = 0,
        accepted: Accepted | None = None,
    ) -> CleanedText:
        """The text without identifiers; what the check had to black out is counted as `REDACTED`.

        `replace` and `draw` as in `TextEngine.clean`.  Raises `Refused`: `UNDECLARED_LANGUAGE`, `TEXT_ENGINE_FAILED`, and
        `RESIDUAL_IDENTIFIER` when the check still finds something, or can't say where, that a person has not `accepted`.
        """
        if self._asks_for_language:
            self._refuse_other_language(text)
        cleaned = self._engine.clean(text, known, person, replace=replace, draw=draw)
        hits = residual_in_text(cleaned.text, known, study_dates=self._study_dates)
        if not hits:
            return cleaned
        blacked_out, places = without(cleaned.text, hits)
        if left := residual_in_text(blacked_out, known, study_dates=self._study_dates):
            unless_accepted(Refused(Reason.RESIDUAL_IDENTIFIER, _kinds(left)), accepted)
        return CleanedText(blacked_out, cleaned.removed + Counter({"REDACTED": places}))

    def _refuse_other_language(self, text: str) -> None:
        # Here and not above: only hospitals that ask for it pay for the profiles of four languages.
        from gradient_assets.deid.text.language import looks_like

        try:
            seen = looks_like(text)
        except Exception as error:
            raise Refused(Reason.TEXT_ENGINE_FAILED, type(error).__name__) from None
        if seen is not None and seen != self._engine.language:
            raise Refused(Reason.UNDECLARED_LANGUAGE, f"declared {self._engine.language}, looks like {seen}")


def without(text: str, hits: Iterable[Hit]) -> tuple[str, int]:
    """The text with every place of a hit blacked out, and how many places that were; overlapping ones are one."""
    pieces: list[str] = []
    position = places = 0
    for start, end in sorted((hit.start, hit.end) for hit in hits if hit.start is not None and hit.end is not None):
        if start >= position:
            pieces += [text[position:start], REDACTED]
            places += 1
        position = max(position, end)
    return "".join(pieces) + text[position:], places


def _kinds(hits: Iterable[Hit]) -> str:
    kinds = Counter(hit.kind for hit in hits)
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
