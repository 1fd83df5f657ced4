"""Which tables a stage writes together, and in which of them the origin of its rows is kept.

Belongs here: the list.  What is in a row of origin is `tables`' business, who writes it that of `pipelines.worker`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradient_assets import tables
from gradient_assets.tables import TableSpec


@dataclass(frozen=True)
class StageTables:
    """The tables of one stage: its rows, where they came from, what it refused, what it wrote beside."""

    output: TableSpec
    made: TableSpec
    refusals: TableSpec
    beside: tuple[TableSpec, ...] = ()
    objects: str = ""
    """Bucket whose objects `made` names with their digests: `thumbnails` or `releases`."""

    @property
    def all(self) -> tuple[TableSpec, ...]:
        """Every table of the stage."""
        return (self.output, self.made, self.refusals, *self.beside)


STAGES: tuple[StageTables, ...] = (
    StageTables(tables.DICOM_METADATA, tables.MADE_METADATA, tables.REFUSED_METADATA),
    StageTables(
        tables.IDENTIFIED_REPORTS,
        tables.MADE_IDENTIFIED_REPORTS,
        tables.REFUSED_IDENTIFIED_REPORTS,
        (tables.REPORT_FILES,),
    ),
    StageTables(
        tables.DEIDENTIFIED_METADATA,
        tables.MADE_DEIDENTIFIED_METADATA,
        tables.REFUSED_DEIDENTIFIED_METADATA,
        (tables.HEADER_AUDIT,),
    ),
    StageTables(tables.DEIDENTIFIED_REPORTS, tables.MADE_DEIDENTIFIED_REPORTS, tables.REFUSED_DEIDENTIFIED_REPORTS),
    StageTables(tables.PIXEL_TEXT, tables.MADE_THUMBNAILS, tables.REFUSED_THUMBNAILS, objects="thumbnails"),
    StageTables(
        tables.RELEASE_MANIFEST,
        tables.MADE_RELEASE,
        tables.REFUSED_RELEASE,
        (tables.RELEASE_AUDIT, tables.RELEASE_FACTS),
        objects="releases",
    ),
)
"""Every stage that writes tables; all other tables are SQL over these."""


def stage_of(spec: TableSpec) -> StageTables | None:
    """The stage that writes the table; None for a table that a query fills."""
    return next((stage for stage in STAGES if spec in stage.all), None)
