"""Reports per second and what is found and lost: this engine beside the tools that install from PyPI, in one run.

    python -m benchmarks.reports REPORTS_FOLDER --scorer SCORE_REPORTS.PY [--tools "rules;presidio;…"]
        [--transformer MODEL_FOLDER] [--json FILE] [--plot FILE]

REPORTS_FOLDER holds reports.csv, structured.csv and gold.jsonl (../shared/data/reports), the scorer is
../shared/tools/score_reports.py. One process, one report after the other; seconds are CPU seconds of this process. Each tool is
given what it can use: the engine the identifiers known of the patient, Presidio with `deny list` the same values as a deny list
of the record. philter-lite and scrubadub take none. A tool that is not installed is named and left out.
The extra `benchmarks` brings the peers and matplotlib.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine, identifiers_of_columns
from gradient_assets.deid.text.detectors import Detector, detector_named
from gradient_assets.deid.text.detectors.presidio import analyzer

Offsets = Iterable[tuple[int, int]]
Tool = Callable[[str, KnownIdentifiers], Offsets]


@dataclass
class Figures:
    """One line of the table; shares from 0 to 1."""

    tool: str
    reports_per_s: float
    recall: float
    reports_with_patient_name: float
    reports_with_any_leak: float
    clinical_words_lost: float
    eponyms_hit: float
    numbers_hit: float
    recall_by_kind: dict[str, float]


def rules(detectors: Iterable[Detector] = ()) -> tuple[Tool, Tool]:
    """The engine, with tags: once timed as it is used, once for the places of what it found."""
    engine = TextEngine(detectors=detectors)
    person = Pseudonymizer(SecretKey(bytes(32)), "benchmark").person("one")

    def timed(text: str, known: KnownIdentifiers) -> Offsets:
        engine.clean(text, known, person)
        return ()

    return timed, lambda text, known: [(span.start, span.end) for span in engine.find(text, known)]


def presidio(*, deny_list: bool) -> Tool:
    """Presidio's pattern recognizers on a blank pipeline, as they come: every score counts.

    `deny_list` adds the record's values as an ad hoc recognizer.
    """
    from presidio_analyzer import PatternRecognizer

    find = analyzer("en")

    def run(text: str, known: KnownIdentifiers) -> Offsets:
        own = denied(known) if deny_list else []
        extra = [PatternRecognizer(supported_entity="OWN", deny_list=own)] if own else []
        found = find.analyze(text, "en", ad_hoc_recognizers=extra)
        return [(one.start, one.end) for one in found]

    return run


def denied(known: KnownIdentifiers) -> list[str]:
    """The values of a record as somebody would put them on a deny list: whole, and names also in parts."""
    names = [*known.patient_names, *known.physicians, *known.relatives]
    values = {part for name in names for part in re.split(r"[\^=, ]+", name) if len(part) > 1}
    for kind in ("patient_ids", "accession_numbers", "addresses", "phones", "institutions", "other_ids"):
        values.update(getattr(known, kind))
    return sorted(values)


def philter() -> Tool:
    """philter-lite with the filters it ships.

    It asks NLTK for parts of speech, whose tagger is no package but a download.  Where that is absent, a figure is `CD` and a
    capitalised word `NNP`: the two tags its filters ask for.
    """
    import nltk
    import philter_lite

    filters = philter_lite.load_filters(
        os.path.join(os.path.dirname(philter_lite.__file__), "configs", "philter_delta.toml")
    )
    try:
        nltk.pos_tag(["word"])
    except LookupError:
        nltk.pos_tag = lambda words: [
            (word, "CD" if word[0].isdigit() else "NNP" if word[0].isupper() else "NN") for word in words
        ]

    def run(text: str, _: KnownIdentifiers) -> Offsets:
        kept = philter_lite.detect_phi(text, filters)[0]
        safe = bytearray(len(text))
        for start, end in kept.filecoords():
            safe[start:end] = b"\1" * (end - start)
        return [(i, i + 1) for i, character in enumerate(text) if character.isalnum() and not safe[i]]

    return run


def scrubadub() -> Tool:
    """scrubadub with the detectors that are on by default; those for names need downloads."""
    import scrubadub

    scrubber = scrubadub.Scrubber()
    return lambda text, _: [(filth.beg, filth.end) for filth in scrubber.iter_filth(text)]


def tool_named(name: str, transformer: str | None) -> tuple[Tool, Tool]:
    """The tool as it is timed and as it is scored.  Raises `ImportError` or `ValueError` where it can't run."""
    if name == "rules":
        return rules()
    if name.startswith("rules+"):
        settings = {"path": transformer} if name == "rules+transformer" else {}
        return rules([detector_named(name.removeprefix("rules+"), **settings)])
    tool = {
        "presidio": lambda: presidio(deny_list=False),
        "presidio, deny list": lambda: presidio(deny_list=True),
        "philter-lite": philter,
        "scrubadub": scrubadub,
    }[name]()
    return tool, tool


def measured(name: str, tools: tuple[Tool, Tool], reports: Reports, scorer: ModuleType) -> Figures:
    """One tool over all reports."""
    timed, scored = tools
    records = [(one["report_id"], reports.text[one["report_id"]]) for one in reports.gold]
    scored(*records[0][1:], reports.known[records[0][0]])  # word lists and models are read at the first report
    spans: dict[str, Offsets] = {}
    started = time.process_time()
    for report_id, text in records:
        spans[report_id] = timed(text, reports.known[report_id])
    seconds = time.process_time() - started
    if timed is not scored:
        spans = {report_id: scored(text, reports.known[report_id]) for report_id, text in records}
    removed = {report_id: {i for start, end in found for i in range(start, end)} for report_id, found in spans.items()}
    score = scorer.score(reports.text, reports.gold, removed)
    entities = score["E"]
    kept = {kind: hit / max(1, count) for kind, (count, hit) in score["H"].items()}
    return Figures(
        tool=name,
        reports_per_s=round(len(records) / seconds, 1),
        recall=sum(one[1] for one in entities.values()) / sum(one[0] for one in entities.values()),
        reports_with_patient_name=score["ptleak"],
        reports_with_any_leak=1 - score["clean"],
        clinical_words_lost=score["clin"],
        eponyms_hit=kept["eponym"],
        numbers_hit=kept["number"],
        recall_by_kind={kind: one[1] / one[0] for kind, one in sorted(entities.items())},
    )


@dataclass
class Reports:
    """Texts, marks, and what is known of each report's patient over all of their records."""

    text: dict[str, str]
    gold: list[dict[str, Any]]
    known: dict[str, KnownIdentifiers]

    @classmethod
    def of(cls, folder: Path, scorer: ModuleType) -> Reports:
        """Read a folder as the scorer does."""
        text, gold = scorer.load(folder)
        with (folder / "structured.csv").open(newline="", encoding="utf-8") as file:
            rows = {row["report_id"]: {**row, "patient_id": row["mrn"]} for row in csv.DictReader(file)}
        of_patient: defaultdict[str, KnownIdentifiers] = defaultdict(KnownIdentifiers)
        for row in rows.values():
            of_patient[row["mrn"]] = of_patient[row["mrn"]].merge(identifiers_of_columns(row))
        return cls(text, gold, {report_id: of_patient[row["mrn"]] for report_id, row in rows.items()})


def scorer_at(path: Path) -> ModuleType:
    """The scorer as a module."""
    spec = importlib.util.spec_from_file_location("score_reports", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"{path}: not found; --scorer names score_reports.py of the shared folder")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(rows: list[Figures]) -> str:
    """The figures as a Markdown table."""
    columns = (
        "tool", "reports/s", "recall", "reports with patient's name left", "any leak", "clinical words lost", "eponyms hit",
        "numbers hit",
    )  # fmt: skip
    head = f"| {' | '.join(columns)} |"
    lines = [head, "| --- " + "| ---: " * 7 + "|"]
    for one in rows:
        shares = (
            one.reports_with_patient_name, one.reports_with_any_leak, one.clinical_words_lost, one.eponyms_hit,
            one.numbers_hit,
        )  # fmt: skip
        cells = [one.tool, f"{one.reports_per_s:,.0f}", f"{one.recall:.4f}", *(f"{share:.2%}" for share in shares)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: list[Figures], path: Path) -> None:
    """Recall, clinical words lost and speed as bars, one row a tool."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("identifiers removed, %", [100 * one.recall for one in rows], False),
        ("clinical words lost, %", [100 * one.clinical_words_lost for one in rows], False),
        ("reports per second, one core", [one.reports_per_s for one in rows], True),
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 0.5 * len(rows) + 1.1), sharey=True, layout="constrained")
    for axis, (title, values, logarithmic) in zip(axes, panels, strict=True):
        colours = ["#1b6ca8" if one.tool.startswith("rules") else "#b8b8b8" for one in rows]
        bars = axis.barh([one.tool for one in rows], values, color=colours, height=0.65)
        axis.bar_label(
            bars, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values], padding=3, fontsize=9
        )
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
        if logarithmic:
            axis.set_xscale("log")
            axis.set_xlim(min(1.0, *values), max(values) * 6)
        else:
            axis.set_xlim(0, max(*values, 0.01) * 1.25)
            if max(values) > 50:
                axis.set_xticks(range(0, 101, 25))
    axes[0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run all tools and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scorer", type=Path, required=True)
    parser.add_argument("--tools", default="rules;rules+presidio;presidio;presidio, deny list;philter-lite;scrubadub")
    parser.add_argument("--transformer", help="a model's folder; adds rules+transformer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    scorer = scorer_at(options.scorer)
    reports = Reports.of(options.folder, scorer)
    load = os.getloadavg()[0]
    rows = []
    for name in [*options.tools.split(";"), *(["rules+transformer"] if options.transformer else [])]:
        try:
            tools = tool_named(name, options.transformer)
        except (ImportError, ValueError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        rows.append(measured(name, tools, reports, scorer))
        print(f"{name}: {rows[-1].reports_per_s:,.0f} reports/s, recall {rows[-1].recall:.4f}", file=sys.stderr)
    print(table(rows))
    print(f"{len(reports.gold)} reports, Python {sys.version.split()[0]}, load {load:.1f} at the start")
    if options.json:
        figures = {"reports": len(reports.gold), "load": load, "tools": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
