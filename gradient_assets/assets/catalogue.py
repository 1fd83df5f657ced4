"""What each asset is, for people: group, zone, kinds, owners, description, table.

Belongs here: the facts that the UI shows, as one table, and the mapping that attaches them to the asset definitions.  A
test compares the whole table with the definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from gradient_assets.tables import (
    CROSSWALK,
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    IDENTIFIED_REPORTS,
    PIXEL_TEXT,
    PROD,
    PUBLIC_TABLE,
    QUARANTINE,
    RELEASE_MANIFEST,
    TableSpec,
)

RELEASES = dg.DynamicPartitionsDefinition(name="release")
"""A partition per release; `gradient release` adds one."""

PLATFORM, CURATORS, PRIVACY = "team:platform", "team:curators", "team:privacy"


@dataclass(frozen=True)
class Entry:
    """One asset as people see it."""

    key: str
    group: str
    zone: str
    kinds: frozenset[str]
    owners: tuple[str, ...]
    what: str
    row: str
    readers: str
    repair: str
    table: TableSpec | None = None
    bucket: str = ""

    @property
    def description(self) -> str:
        """The text on the asset's page."""
        return (
            f"{self.what}\n\n**One row or object:** {self.row}\n\n**Who may read it:** {self.readers}\n\n"
            f"**How to repair it:** {self.repair}"
        )


_RERUN = (
    "Materialize the partition again: only what is new or changed is read, and the partition is replaced as a whole."
)
_HOSPITAL_SIDE = (
    "It is the hospital's own. The platform reads it and never writes to it; what is wrong is mended there."
)
_PLATFORM_ONLY = (
    "The platform's identified identity alone. People don't, except for quarantine work inside the hospital."
)
_CURATORS_READ = "Curators."
_OUTSIDE = "External users with an account."

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "hospital_dicoms",
        "landing",
        "identified",
        frozenset({"s3", "dicom"}),
        (PLATFORM,),
        "The DICOM objects in a hospital's own bucket. Identified.",
        "One DICOM object.",
        "The hospital, and the platform (read only).",
        _HOSPITAL_SIDE,
        bucket="dicoms",
    ),
    Entry(
        "hospital_reports",
        "landing",
        "identified",
        frozenset({"s3", "csv"}),
        (PLATFORM,),
        "The CSV files with radiology reports in a hospital's own bucket. Identified.",
        "One CSV file.",
        "The hospital, and the platform (read only).",
        _HOSPITAL_SIDE,
        bucket="reports",
    ),
    Entry(
        "dicom_metadata",
        "identified",
        "identified",
        frozenset({"beam", "bigquery", "dicom"}),
        (PLATFORM,),
        "The headers of a hospital's DICOM objects, read by range requests up to the pixel data.",
        "One readable DICOM object: hot columns and the whole header as DICOM JSON, as sent.",
        _PLATFORM_ONLY,
        _RERUN,
        table=DICOM_METADATA,
    ),
    Entry(
        "identified_reports",
        "identified",
        "identified",
        frozenset({"beam", "bigquery", "csv"}),
        (PLATFORM,),
        "The rows of a hospital's CSV files, brought into the registry's roles.",
        "One report, as sent.",
        _PLATFORM_ONLY,
        "Mend `report_columns`, `delimiter`, `encoding` or `date_order` in the registry if whole files are refused. "
        + _RERUN,
        table=IDENTIFIED_REPORTS,
    ),
    Entry(
        "crosswalk",
        "identified",
        "identified",
        frozenset({"bigquery"}),
        (PRIVACY, PLATFORM),
        "The way back from pseudonyms to patient ids, UIDs, accession numbers and report ids, with the date shift. Originals "
        "are sealed with the hospital's key. Rows stay when an object is gone; after a rotation of the key old pseudonyms are "
        "linked to new ones; a withdrawal deletes rows.",
        "One original id under one version of the key, sealed, found by its pseudonym.",
        "The platform. People go back by `gradient reidentify`, one pseudonym at a time, with a reason that is logged.",
        "Materialize the partition again: only what is new is taken in. It needs every version of the key whose rows were not "
        "carried over yet.",
        table=CROSSWALK,
    ),
    Entry(
        "quarantine",
        "identified",
        "identified",
        frozenset({"sql", "bigquery"}),
        (PRIVACY, PLATFORM),
        "What the stages refused, with reason and how it stands, so that in = out + quarantined + withdrawn at every stage. "
        "A work list: `gradient quarantine` shows it and decides about it.",
        "One refused object or record and its reason code (docs/quarantine.md).",
        "The platform, and the privacy officer.",
        "Follow the reason's advice, then materialize the hospital again; what was mended leaves the list by itself.",
        table=QUARANTINE,
    ),
    Entry(
        "deidentified_metadata",
        "deidentified",
        "deidentified",
        frozenset({"beam", "bigquery"}),
        (CURATORS, PRIVACY),
        "The headers after PS3.15 Annex E: pseudonyms, new UIDs, dates as the hospital's profile allows, free text cleaned.",
        "One SOP Instance whose header was cleaned and in which the search found nothing left.",
        _CURATORS_READ,
        _RERUN,
        table=DEIDENTIFIED_METADATA,
    ),
    Entry(
        "deidentified_reports",
        "deidentified",
        "deidentified",
        frozenset({"beam", "bigquery"}),
        (CURATORS, PRIVACY),
        "The reports with identifiers replaced, seeded with what headers and reports of the same patient say.",
        "One report whose text was cleaned and in which the search found nothing left.",
        _CURATORS_READ,
        _RERUN,
        table=DEIDENTIFIED_REPORTS,
    ),
    Entry(
        "thumbnails",
        "deidentified",
        "deidentified",
        frozenset({"beam", "s3", "png"}),
        (CURATORS, PRIVACY),
        "Small pictures, made after the text in every frame was blacked out, never before.",
        "One PNG of an instance's middle frame, longest side 256 pixels, keyed by new UIDs.",
        _CURATORS_READ,
        _RERUN,
        bucket="thumbnails",
    ),
    Entry(
        "pixel_text",
        "deidentified",
        "deidentified",
        frozenset({"beam", "bigquery"}),
        (CURATORS, PRIVACY),
        "Where text was found in pixels and blacked out: boxes, scores and verdicts, never the words.",
        "One box; and one row with box 0 per instance that was looked at.",
        _CURATORS_READ,
        _RERUN,
        table=PIXEL_TEXT,
    ),
    Entry(
        "final_table",
        "deidentified",
        "deidentified",
        frozenset({"sql", "bigquery"}),
        (CURATORS,),
        "Instances joined with the reports of their study: by accession number, else Study Instance UID, else patient and "
        "date.",
        "One instance whose header and pixels were cleaned, with its study's reports if there are any.",
        _CURATORS_READ,
        "Materialize the partition again; it is rebuilt from the tables before it.",
        table=FINAL_TABLE,
    ),
    Entry(
        "prod",
        "deidentified",
        "deidentified",
        frozenset({"sql", "bigquery"}),
        (CURATORS,),
        "The final tables of all hospitals in one, clustered for cohorts. A hospital's partition is replaced atomically.",
        "One instance.",
        _CURATORS_READ,
        "Materialize the hospital's partition again.",
        table=PROD,
    ),
    Entry(
        "public_table",
        "public",
        "public",
        frozenset({"sql", "bigquery"}),
        (CURATORS, PRIVACY),
        "What external users search. No hospital id, no accession pseudonym, no address of an image.",
        "One instance with its series, study and report text.",
        _OUTSIDE,
        "Materialize the hospital's partition again.",
        table=PUBLIC_TABLE,
    ),
    Entry(
        "release_dicoms",
        "public",
        "public",
        frozenset({"beam", "s3", "dicom"}),
        (PRIVACY, CURATORS),
        "The DICOM objects of a release: header profile, pixel cleaning and a second look by another model, under the "
        "recipient's own pseudonyms. They wait under `_prepared/` until they are approved and delivered.",
        "One cleaned DICOM object.",
        "The recipient, after delivery.",
        "`gradient release` with the same name: finished objects are kept, the rest is made.",
        bucket="releases",
    ),
    Entry(
        "release_manifest",
        "public",
        "public",
        frozenset({"beam", "bigquery"}),
        (PRIVACY, CURATORS),
        "What a release holds, with digests.",
        "One object of the release with its SHA-256.",
        "The recipient, after delivery.",
        "`gradient release` with the same name.",
        table=RELEASE_MANIFEST,
    ),
    Entry(
        "release_report",
        "public",
        "public",
        frozenset({"html", "s3"}),
        (PRIVACY,),
        "What an approver reads: who is in the release, what was removed, what the checks found, and pictures of what leaves. "
        "It waits with the objects; nothing is delivered by it.",
        "One report per release.",
        "The privacy officer; after delivery the recipient.",
        "`gradient release` with the same name.",
        bucket="releases",
    ),
    Entry(
        "release_delivery",
        "public",
        "public",
        frozenset({"s3", "dicom"}),
        (PRIVACY,),
        "The delivery: moves the objects of an approved release to the recipient's part of the bucket, with manifest and "
        "report. It refuses what is not approved exactly as it is.",
        "One delivered release.",
        "The recipient.",
        "`gradient deliver` with the same name; `gradient revoke` takes it back.",
        bucket="releases",
    ),
)
"""All assets, in the order of the diagram."""

BY_KEY: dict[str, Entry] = {entry.key: entry for entry in ENTRIES}


def table_schema(spec: TableSpec) -> dg.TableSchema:
    """The columns as the UI shows them."""
    columns = [
        dg.TableColumn(c.name, c.type, c.description, dg.TableColumnConstraints(nullable=not c.required))
        for c in spec.columns
    ]
    return dg.TableSchema(columns)


def attach(
    hospitals: dg.PartitionsDefinition[str], uri_of: Callable[[Entry], str]
) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    """The mapping over the whole graph: each asset's spec, completed from its entry."""

    def complete(spec: dg.AssetSpec) -> dg.AssetSpec:
        entry = BY_KEY[spec.key.to_user_string()]
        metadata: dict[str, object] = {**spec.metadata, "dagster/uri": uri_of(entry)}
        if entry.table is not None:
            metadata["dagster/column_schema"] = table_schema(entry.table)
            metadata["dagster/table_name"] = entry.table.full_name
        return spec.replace_attributes(
            description=entry.description,
            group_name=entry.group,
            owners=list(entry.owners),
            kinds=set(entry.kinds),
            tags={**spec.tags, "zone": entry.zone},
            metadata=metadata,
            partitions_def=RELEASES if entry.key.startswith("release_") else hospitals,
        )

    return complete
