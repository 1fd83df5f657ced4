"""Tables of the identified zone: what was sent, what was refused, what was done to each object, and the way back.

None of these columns crosses: none has a reason.
"""

from __future__ import annotations

from typing import Literal

from gradient_assets.tables.specs import (
    SOURCE_OBJECT,
    TOKEN_PATTERN,
    Column,
    TableSpec,
    hospital,
    text,
    whole,
    work_token,
)

DICOM_METADATA = TableSpec(
    name="dicom_metadata",
    zone="identified",
    description="One row per readable DICOM object of a hospital: the hot columns and the whole header, as sent.",
    sort_by=("object_key",),
    cluster_by=("study_instance_uid", "sop_instance_uid"),
    columns=(
        *hospital(),
        work_token(),
        *SOURCE_OBJECT,
        text("sop_instance_uid", "SOP Instance UID (0008,0018).", required=True),
        text("sop_class_uid", "SOP Class UID (0008,0016).", required=True),
        text("series_instance_uid", "Series Instance UID (0020,000E)."),
        text("study_instance_uid", "Study Instance UID (0020,000D)."),
        text("patient_id", "Patient ID (0010,0020)."),
        text("patient_name", "Patient's Name (0010,0010)."),
        text("patient_birth_date", "Patient's Birth Date (0010,0030), YYYYMMDD."),
        text("patient_sex", "Patient's Sex (0010,0040)."),
        text("patient_age", "Patient's Age (0010,1010)."),
        text("accession_number", "Accession Number (0008,0050)."),
        text("modality", "Modality (0008,0060)."),
        text("study_date", "Study Date (0008,0020), YYYYMMDD."),
        text("study_time", "Study Time (0008,0030)."),
        text("study_description", "Study Description (0008,1030)."),
        text("series_description", "Series Description (0008,103E)."),
        text("body_part_examined", "Body Part Examined (0018,0015)."),
        text("institution_name", "Institution Name (0008,0080)."),
        text("transfer_syntax_uid", "Transfer Syntax UID (0002,0010)."),
        text("header_json", "The header as DICOM JSON (PS3.18 F) without bulk data.", required=True),
        text("identifiers_json", "What the header says that identifies the patient, by kind.", required=True),
        text("engine_version", "Version of the header reader.", required=True),
    ),
)

IDENTIFIED_REPORTS = TableSpec(
    name="identified_reports",
    zone="identified",
    description="One row per report of a hospital's CSV files, in the registry's roles, as sent.",
    sort_by=("object_key", "row_number"),
    cluster_by=("patient_id",),
    columns=(
        *hospital(),
        work_token(),
        *SOURCE_OBJECT,
        whole("row_number", "Number of the record in the file; the first one after the heading is 1.", required=True),
        text("report_id", "The hospital's number of the report.", required=True),
        text("accession_number", "Accession number of the study."),
        text("study_instance_uid", "Study Instance UID, where the export has it."),
        text("patient_id", "The patient's id."),
        text("patient_name", "The patient's name."),
        text("patient_birth_date", "Date of birth as YYYYMMDD, read in the registry's date order."),
        text("study_date", "Date of the study as YYYYMMDD, read in the registry's date order."),
        text("referring_physician_name", "Who asked for the study."),
        text("reading_physician_name", "Who read it."),
        text("institution_name", "Where it was done."),
        text("patient_address", "The patient's address."),
        text("patient_phone", "The patient's telephone number."),
        text("report_text", "The report.", required=True),
        text("engine_version", "Version of the report reader.", required=True),
    ),
)

REPORT_FILES = TableSpec(
    name="report_files",
    zone="identified",
    description="How many records each CSV file that could be read has: each one is a row, a refusal or withdrawn.",
    sort_by=("work_token",),
    columns=(
        *hospital(),
        work_token(),
        whole("records", "Number of the file's last record; the first one after the heading is 1.", required=True),
    ),
)


def _refusals(stage: str, what: str, *, partitioned_by: Literal["hospital", "release"] = "hospital") -> TableSpec:
    return TableSpec(
        name=f"refused_{stage}",
        zone="identified",
        description=f"What the stage `{stage}` refused, with the reason. One row per {what}.",
        sort_by=("object_pseudonym", "row_number", "work_token"),
        partitioned_by=partitioned_by,
        columns=(
            *((text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *hospital(),
            work_token(),
            text("stage", "The stage that refused it.", required=True),
            text("object_pseudonym", "Keyed token of the object: what logs and people call it.", required=True),
            text("object_key", "Key of the object in the hospital's bucket, where it still lies.", required=True),
            whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
            text("reason", "Reason code (docs/quarantine.md).", required=True),
            text("detail", "Tags, types and counts that help to mend it; never a value.", required=True),
            text("engine_version", "Version of the engine that refused it.", required=True),
            text("profile_digest", "Digest of the profile's content; empty for a stage that reads no profile."),
        ),
    )


REFUSED_METADATA = _refusals("dicom_metadata", "object")
REFUSED_IDENTIFIED_REPORTS = _refusals("identified_reports", "file or record")
REFUSED_DEIDENTIFIED_METADATA = _refusals("deidentified_metadata", "instance")
REFUSED_DEIDENTIFIED_REPORTS = _refusals("deidentified_reports", "report")
REFUSED_THUMBNAILS = _refusals("thumbnails", "instance")
REFUSED_RELEASE = _refusals("release_dicoms", "instance of a release", partitioned_by="release")


def _made(stage: str, what: str, *, partitioned_by: Literal["hospital", "release"] = "hospital") -> TableSpec:
    return TableSpec(
        name=f"made_{stage}",
        zone="identified",
        description=f"What the stage `{stage}` made its rows and objects from, and by which run. One row per {what}.",
        sort_by=("object_pseudonym", "row_number", "work_token"),
        partitioned_by=partitioned_by,
        columns=(
            *((text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *hospital(),
            work_token(),
            text("object_pseudonym", "Keyed token of the object: what logs and people call it.", required=True),
            text("object_key", "Key of the object in the hospital's bucket.", required=True),
            text("etag", "Entity tag of the object as listed."),
            text(
                "object_version", "Version of the object, where the bucket keeps versions and its listing names them."
            ),
            whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
            text("engine_version", "Version of the stage that made it.", required=True),
            text(
                "profile_digest",
                "Digest of the profile's content; empty for a stage that reads no profile.",
                required=True,
            ),
            text("run_id", "The run that made it.", required=True),
            text("objects_json", "Objects it became: {object key: SHA-256}.", required=True),
        ),
    )


MADE_METADATA = _made("dicom_metadata", "object")
MADE_IDENTIFIED_REPORTS = _made("identified_reports", "file")
MADE_DEIDENTIFIED_METADATA = _made("deidentified_metadata", "instance")
MADE_DEIDENTIFIED_REPORTS = _made("deidentified_reports", "report")
MADE_THUMBNAILS = _made("thumbnails", "instance")
MADE_RELEASE = _made("release_dicoms", "instance of a release", partitioned_by="release")

QUARANTINE_STATUS = TableSpec(
    name="quarantine_status",
    zone="identified",
    description="One row per refusal that somebody decided about, with what stands of it. Who and why is in the log only.",
    sort_by=("work_token", "row_number"),
    columns=(
        *hospital(),
        work_token(),
        whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
        text("status", "open, accepted (passes at the next run) or dropped.", required=True),
    ),
)

QUARANTINE = TableSpec(
    name="quarantine",
    zone="identified",
    description="One row per refused object or record of a hospital, over all stages, with its reason. A work list.",
    sort_by=("stage", "object_pseudonym", "row_number", "work_token"),
    cluster_by=("stage", "reason"),
    columns=(
        *REFUSED_METADATA.columns,
        text("status", "open, accepted (passes at the next run) or dropped; docs/quarantine.md.", required=True),
    ),
)


CROSSWALK = TableSpec(
    name="crosswalk",
    zone="identified",
    description="The way back: one row per original id of a hospital and key version, found by its pseudonym, the original "
    "sealed with the hospital's key. Rows stay when the object is gone; a withdrawal deletes them.",
    sort_by=("pseudonym", "key_version", "work_token"),
    cluster_by=("pseudonym",),
    columns=(
        *hospital(),
        Column(
            "work_token",
            "STRING",
            "Keyed token of the original as it is spelled, and of the patient whose it is.",
            True,
            pattern=TOKEN_PATTERN,
        ),
        text("kind", "What was replaced: patient, uid, accession_number, report.", required=True),
        text("pseudonym", "What stands in its place.", required=True),
        text("patient_pseudonym", "Pseudonym of the patient whose id it is, of the same key version.", required=True),
        text(
            "sealed",
            "The original, and of a patient the date shift too: AES-GCM, bound to kind, pseudonym and token.",
            required=True,
        ),
        whole("key_version", "Version of the hospital's key that the pseudonym was derived with.", required=True),
        text("key_fingerprint", "Fingerprint of that version.", required=True),
        whole("sealed_with", "Version of the hospital's key that the original is sealed with.", required=True),
        text("current_pseudonym", "After a rotation: the pseudonym of the same original under the key in use."),
    ),
)

CROSSWALK_SOURCES = TableSpec(
    name="crosswalk_sources",
    zone="identified",
    description="Which rows of dicom_metadata and files of identified_reports the crosswalk has taken in already.",
    sort_by=("work_token",),
    columns=(*hospital(), work_token()),
)


def _audit(name: str, stage: str, *, partitioned_by: Literal["hospital", "release"] = "hospital") -> TableSpec:
    return TableSpec(
        name=name,
        zone="identified",
        description=f"What `{stage}` did to each instance, counted by action and tag, and from which object it came.",
        sort_by=("object_key", "work_token"),
        cluster_by=("sop_instance_uid",),
        partitioned_by=partitioned_by,
        columns=(
            *((text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *hospital(),
            work_token(),
            *SOURCE_OBJECT,
            text("sop_instance_uid", "SOP Instance UID of the object, as sent.", required=True),
            text("new_sop_instance_uid", "SOP Instance UID that was written.", required=True),
            text("profile", "Name of the profile.", required=True),
            text("profile_digest", "Digest of the profile's content.", required=True),
            text("standard_edition", "Edition of PS3.15 that the profile is taken from.", required=True),
            text("engine_version", "Versions of the engines.", required=True),
            text("method_codes", "Codes of PS3.16 CID 7050: what was done to this instance.", required=True),
            text("actions_json", "Elements by action and tag: {action: {tag: count}}.", required=True),
            text("removed_by_kind_json", "What was taken out, by kind: {kind: count}.", required=True),
        ),
    )


HEADER_AUDIT = _audit("header_audit", "deidentified_metadata")
RELEASE_AUDIT = _audit("release_audit", "release_dicoms", partitioned_by="release")

RELEASE_FACTS = TableSpec(
    name="release_facts",
    zone="identified",
    description="What the report of a release counts: who is in it as seen from outside, and where boxes came from.",
    sort_by=("patient_pseudonym", "work_token"),
    partitioned_by="release",
    columns=(
        text("release", "Partition: the release.", required=True),
        *hospital(),
        work_token(),
        text("patient_pseudonym", "The patient's pseudonym for the recipient.", required=True),
        text("study_instance_uid", "Study Instance UID for the recipient.", required=True),
        text("modality", "Modality (0008,0060) as delivered."),
        text("patient_sex", "Patient's Sex (0010,0040) as delivered."),
        text("patient_age", "Patient's Age (0010,1010) as delivered."),
        whole("study_year", "Year of the Study Date (0008,0020) as delivered."),
        text("boxes_json", "Boxes blacked out, by what found them: {source: count}.", required=True),
    ),
)
