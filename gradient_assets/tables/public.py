"""Tables that people outside read: what they search, and what a recipient was given."""

from __future__ import annotations

from gradient_assets.tables.deidentified import (
    FINAL_COLUMNS,
)
from gradient_assets.tables.specs import (
    A_COUNT,
    A_PSEUDONYM,
    CLEANED,
    CODE_PATTERN,
    GEOMETRY,
    INSTANCE_PATTERN,
    NEW_UID_PATTERN,
    PATIENT_PATTERN,
    STANDARD_UID_PATTERN,
    VERSION,
    Column,
    TableSpec,
    text,
    whole,
    work_token,
)

PUBLIC_TABLE = TableSpec(
    name="public_table",
    zone="public",
    description="What external users search: one row per instance, with its series, study and report text. No hospital name.",
    sort_by=("study_instance_uid", "series_instance_uid", "sop_instance_uid"),
    cluster_by=("modality", "body_part_examined", "study_instance_uid"),
    columns=(
        Column(
            "hospital_number",
            "INT64",
            "The hospital's stable number.",
            True,
            "a number; the registry that names it is not public",
        ),
        *(c for c in FINAL_COLUMNS if c.name not in ("accession_pseudonym", "thumbnail_key")),
        whole("study_year", "Year of the study date.", "the profile's date"),
        whole("study_instances", "Instances of the study.", A_COUNT, required=True),
        whole("series_instances", "Instances of the series.", A_COUNT, required=True),
        text("search_text", "Descriptions and reports, what the full-text index covers.", CLEANED, required=True),
    ),
)

RELEASE_MANIFEST = TableSpec(
    name="release_manifest",
    zone="public",
    partitioned_by="release",
    description="One row per DICOM object delivered in a release, with its digest; ids are the recipient's own pseudonyms.",
    sort_by=("object_key",),
    columns=(
        text("release", "Partition: the release.", "a name chosen for outsiders", r"[a-z0-9-]{2,60}", required=True),
        Column(
            "hospital_number",
            "INT64",
            "The hospital's stable number.",
            True,
            "a number; the registry that names it is not public",
        ),
        work_token(A_PSEUDONYM),
        text(
            "object_key",
            "Object key in the recipient's bucket.",
            "pseudonyms only",
            r"P[A-Z2-7]{16}(/2\.25\.\d+){3}\.dcm",
            required=True,
        ),
        text("sha256", "SHA-256 of the delivered object.", "a digest of cleaned bytes", r"[0-9a-f]{64}", required=True),
        whole("size", "Bytes of the delivered object.", A_COUNT, required=True),
        text(
            "patient_pseudonym",
            "The patient's pseudonym for this recipient.",
            A_PSEUDONYM,
            PATIENT_PATTERN,
            required=True,
        ),
        text(
            "study_instance_uid", "Study Instance UID for this recipient.", A_PSEUDONYM, NEW_UID_PATTERN, required=True
        ),
        text(
            "series_instance_uid",
            "Series Instance UID for this recipient.",
            A_PSEUDONYM,
            NEW_UID_PATTERN,
            required=True,
        ),
        text("sop_instance_uid", "SOP Instance UID for this recipient.", A_PSEUDONYM, INSTANCE_PATTERN, required=True),
        text("sop_class_uid", "SOP Class UID.", "a code of the standard", STANDARD_UID_PATTERN, required=True),
        text("modality", "Modality (0008,0060).", "a code of the standard", CODE_PATTERN),
        text(
            "transfer_syntax_uid",
            "Transfer Syntax UID of the delivered object.",
            GEOMETRY,
            STANDARD_UID_PATTERN,
            required=True,
        ),
        whole("frames", "Frames looked at.", A_COUNT, required=True),
        whole("boxes", "Boxes blacked out.", A_COUNT, required=True),
        whole("elements_removed", "Elements removed from the header.", A_COUNT, required=True),
        text(
            "method_codes",
            "De-identification Method Code Sequence (0012,0064): code values.",
            VERSION,
            r"\d{6}(,\d{6})*",
        ),
        text("profile", "Name of the profile.", VERSION, r"[a-z0-9_-]{1,40}", required=True),
        text(
            "standard_edition",
            "Edition of PS3.15 that the profile is taken from.",
            VERSION,
            r"[0-9]{4}[a-z]",
            required=True,
        ),
        text(
            "engine_version", "Versions of the header and pixel engines.", VERSION, r"[0-9a-z.+-]{1,80}", required=True
        ),
    ),
)
