"""What a text engine left and what it destroyed, by the definitions of the shared scorer.

Belongs here: known identifiers from a report's columns, joined over the patient, running an engine, counting.  Written
anew, so that it runs where the shared folder is absent; each definition says what counts.  Printing is `__main__`'s.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gradient_assets.deid import KnownIdentifiers, Pseudonymizer, SecretKey, TextEngine

from .generator import Gold, Report

TOKEN = re.compile(r"[^\W\d_]+|\d+\+?")
YEAR = re.compile(r"(?:19|20)\d\d")
NAMES = frozenset(["PATIENT", "PHYSICIAN", "OTHER_NAME"])
PARTICLES = frozenset(
    [
        "de",
        "la",
        "del",
        "van",
        "der",
        "den",
        "von",
        "bin",
        "ibn",
        "al",
        "el",
        "ter",
        "da",
        "di",
        "dela",
        "du",
        "le",
        "st",
        "ben",
        "abu",
        "dos",
    ]
)
NEUTRAL = re.compile(
    r"\b(?:Drs?|MD|M\.D|DO|RN|NP|PA-C|CRNA|PhD|Mr|Mrs|Ms|RT\(R\)|PGY-3|year|old|y/?o|yo|Age|née)\b\.?", re.IGNORECASE
)
KEY = SecretKey(bytes(range(32)))  # surrogates of synthetic reports protect nobody; equal runs give equal figures


@dataclass
class Score:
    """Counts over a set of reports; each pair is (how many, how many removed or hit)."""

    kinds: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    classes: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    known: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    hard: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    clinical: list[int] = field(default_factory=lambda: [0, 0])
    patients: list[int] = field(default_factory=lambda: [0, 0])
    lost_words: Counter[str] = field(default_factory=Counter)
    lost_rules: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    @property
    def total(self) -> tuple[int, int]:
        """Identifiers and removed identifiers."""
        return sum(n for n, _ in self.kinds.values()), sum(gone for _, gone in self.kinds.values())

    @property
    def recall(self) -> float:
        """Share of identifiers removed."""
        return self.total[1] / max(1, self.total[0])

    @property
    def clinical_lost(self) -> float:
        """Share of words of three letters or more outside identifiers that were touched."""
        return self.clinical[1] / max(1, self.clinical[0])

    def as_dict(self) -> dict[str, object]:
        """Figures for JSON."""
        return {
            "recall": self.recall,
            "identifiers": self.total[0],
            "by_kind": {kind: gone / n for kind, (n, gone) in sorted(self.kinds.items())},
            "by_relation": {known: gone / n for known, (n, gone) in sorted(self.known.items())},
            "patient_name_leaks": self.patients[1],
            "reports_with_patient_name": self.patients[0],
            "clinical_lost": self.clinical_lost,
            "hard_negatives_hit": {kind: f"{hit}/{n}" for kind, (n, hit) in sorted(self.hard.items())},
            "missed": {
                f"{kind} {form}": f"{n - gone}/{n}"
                for (kind, form), (n, gone) in sorted(self.classes.items())
                if gone < n
            },
            "refused": self.refused,
        }


def known_identifiers(reports: Iterable[Report]) -> list[KnownIdentifiers]:
    """For each report its own columns joined with those of all reports of the same patient number."""
    reports = list(reports)
    own = [_from_columns(report.columns) for report in reports]
    by_patient: dict[str, list[KnownIdentifiers]] = defaultdict(list)
    for report, known in zip(reports, own, strict=True):
        if report.columns["mrn"]:
            by_patient[report.columns["mrn"]].append(known)
    return [known.merge(*by_patient[report.columns["mrn"]]) for report, known in zip(reports, own, strict=True)]


def _from_columns(columns: dict[str, str]) -> KnownIdentifiers:
    def held(*names: str) -> tuple[str, ...]:
        return tuple(columns[name] for name in names if columns[name])

    return KnownIdentifiers(
        patient_names=held("patient_name"),
        patient_ids=held("mrn"),
        accession_numbers=held("accession_number"),
        birth_dates=held("patient_birth_date"),
        study_dates=held("study_date"),
        addresses=held("patient_address"),
        phones=held("patient_phone"),
        physicians=held("referring_physician_name", "reading_physician_name"),
        institutions=held("institution_name"),
    )


def run(reports: list[Report], replace: str = "tags", engine: TextEngine | None = None) -> Score:
    """The score of the engine: by its spans with tags, by its output with surrogates.  A refusal redacts nothing here: fail."""
    engine = engine or TextEngine(replace=replace)  # type: ignore[arg-type]  # argparse knows the two words
    keyed, score = Pseudonymizer(KEY, "unseen"), Score()
    for report, known in zip(reports, known_identifiers(reports), strict=True):
        if replace == "tags":
            spans = [(span.start, span.end, str(span.rule)) for span in engine.find(report.text, known)]
            redacted = {at for start, end, _ in spans for at in range(start, end)}
        else:
            person = keyed.person(report.columns["mrn"] or report.report_id)
            spans, redacted = [], changed(report.text, engine.clean(report.text, known, person).text)
        add(score, report, redacted, spans, surrogates=replace != "tags")
    return score


def changed(original: str, cleaned: str) -> set[int]:
    """Offsets of the tokens of `original` that the longest common matching with `cleaned` does not keep."""
    before = list(TOKEN.finditer(original))
    matcher = difflib.SequenceMatcher(
        None, [token.group() for token in before], [token.group() for token in TOKEN.finditer(cleaned)], autojunk=False
    )
    kept = {at for start, _, size in matcher.get_matching_blocks() for at in range(start, start + size)}
    return {place for at, token in enumerate(before) if at not in kept for place in range(*token.span())}


def add(
    score: Score, report: Report, redacted: set[int], spans: list[tuple[int, int, str]], *, surrogates: bool = False
) -> None:
    """Count one report."""
    leaked = False
    for gold in report.gold:
        gone = removed(report.text, gold, redacted, surrogates=surrogates)
        for count in (score.kinds[gold.kind], score.classes[gold.kind, gold.form], score.known[gold.known]):
            count[0] += 1
            count[1] += gone
        leaked |= gold.kind == "PATIENT" and not gone
    score.patients[0] += any(gold.kind == "PATIENT" for gold in report.gold)
    score.patients[1] += leaked
    _add_losses(score, report, redacted, spans)


def _add_losses(score: Score, report: Report, redacted: set[int], spans: list[tuple[int, int, str]]) -> None:
    for start, end, kind in report.hard:
        score.hard[kind][0] += 1
        score.hard[kind][1] += any(at in redacted for at in range(start, end) if report.text[at].isalnum())
    apart = {at for gold in report.gold for at in range(gold.start, gold.end)}
    apart |= {at for start, end in report.neutral for at in range(start, end)}
    apart |= {at for title in NEUTRAL.finditer(report.text) for at in range(*title.span())}
    for word in TOKEN.finditer(report.text):
        if word.start() in apart or len(word.group()) < 3 or not word.group().isalpha():
            continue
        lost = any(at in redacted for at in range(*word.span()))
        score.clinical[0] += 1
        score.clinical[1] += lost
        if lost:
            score.lost_words[word.group()] += 1
            place = _place(report, word)
            rules = {rule for start, end, rule in spans if start < word.end() and word.start() < end} or {"surrogate"}
            score.lost_rules.update(f"{rule}: {place}" for rule in rules)


def _place(report: Report, word: re.Match[str]) -> str:
    """Where a lost word stood, in words that tell nothing of the template."""
    for start, end, kind in report.hard:
        if start <= word.start() < end:
            return f"hard negative, {kind}"
    before = report.text[: word.start()].rstrip(" ")
    if report.text.isupper():
        return "report in capitals"
    if not before or before[-1] in "\n.:;|~=":
        return "start of a line, field or sentence"
    return "amid a sentence, " + (
        "lower case" if word.group().islower() else "capitals" if word.group().isupper() else "capitalised"
    )


def removed(text: str, gold: Gold, redacted: set[int], *, surrogates: bool) -> bool:
    """Whether all letters and digits of an identifier are gone; a date may keep its bare year, a name a letter or particle.

    In surrogates short tokens may be equal by chance: a date is gone when day or month changed, others when one token
    changed and none of three letters or more is kept.
    """
    tokens = list(TOKEN.finditer(text, gold.start, gold.end))
    needed = [token for token in tokens if not _spare(token.group(), gold.kind)] or tokens
    if not surrogates:
        return all(at in redacted for token in needed for at in range(*token.span()))
    gone = [token.start() in redacted for token in needed]
    if gold.kind == "DATE":
        return any(gone)
    return any(gone) and all(is_gone or len(token.group()) < 3 for is_gone, token in zip(gone, needed, strict=True))


def _spare(token: str, kind: str) -> bool:
    if kind == "DATE":
        return YEAR.fullmatch(token) is not None
    return kind in NAMES and token.isalpha() and (len(token) == 1 or token.lower() in PARTICLES)
