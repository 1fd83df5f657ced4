"""What a run came to, in a table: objects in, out and quarantined, identifiers removed, boxes, where the outputs lie.

Belongs here: counting from the tables and printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.hospitals import Registry
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    PUBLIC_TABLE,
    QUARANTINE,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_THUMBNAILS,
    TableSpec,
)
from resources import Resources
from resources.warehouses.warehouse import Warehouse


@dataclass(frozen=True)
class HospitalSummary:
    """One hospital's numbers."""

    hospital: str
    objects_in: int
    objects_out: int
    objects_quarantined: int
    reports_in: int
    reports_out: int
    reports_quarantined: int
    elements_removed: int
    identifiers_removed: int
    boxes: int
    thumbnails: int
    searchable: int
    objects_withdrawn: int
    reports_withdrawn: int
    reasons: Counter[str]
    statuses: Counter[str]


def summarize(warehouse: Warehouse, hospital: str) -> HospitalSummary:
    """Count a hospital's partition.  Objects: in = out + quarantined + withdrawn over the three stages an object passes."""
    object_reasons = _reasons(warehouse, hospital, REFUSED_METADATA, REFUSED_DEIDENTIFIED_METADATA, REFUSED_THUMBNAILS)
    report_reasons = _reasons(warehouse, hospital, REFUSED_IDENTIFIED_REPORTS, REFUSED_DEIDENTIFIED_REPORTS)
    objects_withdrawn = object_reasons.pop(Reason.WITHDRAWN.value, 0)
    reports_withdrawn = report_reasons.pop(Reason.WITHDRAWN.value, 0)
    refused_reads = warehouse.count(REFUSED_METADATA, hospital)
    refused_rows = warehouse.count(REFUSED_IDENTIFIED_REPORTS, hospital)
    verdicts = [
        row for row in _rows(warehouse, PIXEL_TEXT, hospital, "box", "boxes", "thumbnail_key") if row["box"] == 0
    ]
    return HospitalSummary(
        hospital=hospital,
        objects_in=warehouse.count(DICOM_METADATA, hospital) + refused_reads,
        objects_out=len(verdicts),
        objects_quarantined=object_reasons.total(),
        reports_in=warehouse.count(IDENTIFIED_REPORTS, hospital) + refused_rows,
        reports_out=warehouse.count(DEIDENTIFIED_REPORTS, hospital),
        reports_quarantined=report_reasons.total(),
        elements_removed=sum(
            row["elements_removed"] + row["elements_changed"]
            for row in _rows(warehouse, DEIDENTIFIED_METADATA, hospital, "elements_removed", "elements_changed")
        ),
        identifiers_removed=sum(
            row["identifiers_removed"]
            for row in _rows(warehouse, DEIDENTIFIED_REPORTS, hospital, "identifiers_removed")
        ),
        boxes=sum(row["boxes"] for row in verdicts),
        thumbnails=sum(row["thumbnail_key"] is not None for row in verdicts),
        searchable=warehouse.count(PUBLIC_TABLE, hospital),
        objects_withdrawn=objects_withdrawn,
        reports_withdrawn=reports_withdrawn,
        reasons=object_reasons + report_reasons,
        statuses=_statuses(warehouse, hospital),
    )


def show_summary(registry: Registry, resources: Resources, hospitals: Sequence[str]) -> None:
    """Print the table on stdout."""
    console = Console()
    summaries = [summarize(resources.warehouse, hospital) for hospital in hospitals if registry.get(hospital)]
    table = Table(title="What became of it", title_justify="left")
    table.add_column("")
    for summary in summaries:
        table.add_column(summary.hospital, justify="right")
    for label, field in (
        ("DICOM objects in", "objects_in"),
        ("  cleaned", "objects_out"),
        ("  quarantined", "objects_quarantined"),
        ("  withdrawn", "objects_withdrawn"),
        ("reports in", "reports_in"),
        ("  cleaned", "reports_out"),
        ("  quarantined", "reports_quarantined"),
        ("  withdrawn", "reports_withdrawn"),
        ("header elements removed or changed", "elements_removed"),
        ("identifiers removed from reports", "identifiers_removed"),
        ("boxes of text blacked out", "boxes"),
        ("thumbnails", "thumbnails"),
        ("searchable instances", "searchable"),
    ):
        table.add_row(label, *(f"{getattr(summary, field):,}" for summary in summaries))
    console.print(table)
    statuses: Counter[str] = sum((summary.statuses for summary in summaries), Counter())
    if statuses:
        standing = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
        told = f"In the quarantine: {standing}. `gradient quarantine list` shows them."
        console.print(told, highlight=False, soft_wrap=True)
    reasons: Counter[str] = sum((summary.reasons for summary in summaries), Counter())
    if reasons:
        quarantined = Table(title="Quarantined, by reason", title_justify="left")
        for heading in ("reason", "count", "what it means", "what to do"):
            # A code that is cut can't be looked up.
            quarantined.add_column(
                heading, justify="right" if heading == "count" else "left", no_wrap=heading == "reason"
            )
        for reason, count in reasons.most_common():
            explanation = EXPLANATIONS[Reason(reason)]
            quarantined.add_row(reason, str(count), explanation.meaning, explanation.remedy)
        console.print(quarantined)
    console.print(f"thumbnails    {resources.thumbnails.uri}", highlight=False, soft_wrap=True)
    console.print(f"public table  {resources.warehouse.location(PUBLIC_TABLE)}", highlight=False, soft_wrap=True)
    console.print(f"releases      {resources.releases.uri}", highlight=False, soft_wrap=True)


def _rows(warehouse: Warehouse, spec: TableSpec, hospital: str, *columns: str) -> list[dict[str, int]]:
    return [row for batch in warehouse.scan(spec, hospital, columns=columns) for row in batch.to_pylist()]


def _statuses(warehouse: Warehouse, hospital: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for batch in warehouse.scan(QUARANTINE, hospital, columns=("status",)):
        found.update(status or "open" for status in batch["status"].to_pylist())
    return found


def _reasons(warehouse: Warehouse, hospital: str, *specs: TableSpec) -> Counter[str]:
    found: Counter[str] = Counter()
    for spec in specs:
        for batch in warehouse.scan(spec, hospital, columns=("reason",)):
            found.update(batch["reason"].to_pylist())
    return found
