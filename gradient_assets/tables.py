"""Every table of the warehouse as data: zone, columns with their meaning, order, clustering.

Belongs here: what a row is and what each column means; for de-identified and public tables also why each
column may cross the boundary (`boundary` builds rows from exactly these columns, nothing else).  How a table is stored is
`resources.warehouse`'s business; what fills it, that of `assets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

Zone = Literal["identified", "deidentified", "public"]
ColumnType = Literal["STRING", "INT64", "FLOAT64", "BOOL", "DATE", "TIMESTAMP"]

_ARROW: dict[ColumnType, pa.DataType] = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `crossing` says why it may stand in a de-identified or public table; it is empty in identified ones.  `pattern`, where
    given, is the regular expression that a value that crosses must match in full.
    """

    name: str
    type: ColumnType
    description: str
    required: bool = False
    crossing: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class TableSpec:
    """One table.  Rows of a partition are stored sorted by `sort_by`, so that equal content is equal bytes."""

    name: str
    zone: Zone
    description: str
    columns: tuple[Column, ...]
    sort_by: tuple[str, ...]
    cluster_by: tuple[str, ...] = ()
    partitioned_by: Literal["hospital", "release"] = "hospital"

    @property
    def full_name(self) -> str:
        """`zone.table`, as the SQL files name it."""
        return f"{self.zone}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in stored order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The stored schema; required columns are not nullable."""
        return pa.schema([pa.field(c.name, _ARROW[c.type], nullable=not c.required) for c in self.columns])


PATIENT_PATTERN = r"P[A-Z2-7]{16}"
ACCESSION_PATTERN = r"A[A-Z2-7]{15}"
REPORT_PATTERN = r"X[A-Z2-7]{15}"
NEW_UID_PATTERN = r"2\.25\.\d{1,39}"
STANDARD_UID_PATTERN = r"1\.2\.840\.10008(\.\d+)+"
INSTANCE_PATTERN = f"{NEW_UID_PATTERN}|{STANDARD_UID_PATTERN}"
TOKEN_PATTERN = r"[0-9a-f]{32}"  # noqa: S105  the form of a work token, no password
CODE_PATTERN = r"[A-Z0-9 _]{0,16}"
FACE_PATTERN = r"none|likely|unknown"
LINK_METHODS = ("accession_number", "study_instance_uid", "patient_and_date")

_A_COUNT = "a count"
_A_PSEUDONYM = "derived by key; says nothing without it"
_GEOMETRY = "describes the picture's form, not the person"
_DEVICE = "names a product line, not a device: the profile keeps it"
_CLEANED = "free text after the header engine and the search for what is left"
_VERSION = "says what cleaned the row"


def _hospital(crossing: str = "") -> tuple[Column, ...]:
    return (
        Column(
            "hospital_id", "STRING", "Partition: the hospital's id in the registry.", True, crossing, r"[a-z0-9-]{2,40}"
        ),
        Column("hospital_number", "INT64", "The hospital's stable number in the registry.", True, crossing),
    )


def _work_token(crossing: str = "") -> Column:
    return Column(
        "work_token",
        "STRING",
        "Keyed token of the work item a row came from: input, engine version and profile. Equal token, nothing to redo.",
        True,
        crossing,
        TOKEN_PATTERN,
    )


def _text(name: str, description: str, crossing: str = "", pattern: str = "", *, required: bool = False) -> Column:
    return Column(name, "STRING", description, required, crossing, pattern)


def _whole(name: str, description: str, crossing: str = "", *, required: bool = False) -> Column:
    return Column(name, "INT64", description, required, crossing)


_SOURCE_OBJECT = (
    _text("object_key", "Key of the object in the hospital's bucket.", required=True),
    _text("etag", "Entity tag of the object as listed.", required=True),
    _whole("size", "Bytes of the object as listed.", required=True),
)

DICOM_METADATA = TableSpec(
    name="dicom_metadata",
    zone="identified",
    description="One row per readable DICOM object of a hospital: the hot columns and the whole header, as sent.",
    sort_by=("object_key",),
    cluster_by=("study_instance_uid", "sop_instance_uid"),
    columns=(
        *_hospital(),
        _work_token(),
        *_SOURCE_OBJECT,
        _text("sop_instance_uid", "SOP Instance UID (0008,0018).", required=True),
        _text("sop_class_uid", "SOP Class UID (0008,0016).", required=True),
        _text("series_instance_uid", "Series Instance UID (0020,000E)."),
        _text("study_instance_uid", "Study Instance UID (0020,000D)."),
        _text("patient_id", "Patient ID (0010,0020)."),
        _text("patient_name", "Patient's Name (0010,0010)."),
        _text("patient_birth_date", "Patient's Birth Date (0010,0030), YYYYMMDD."),
        _text("patient_sex", "Patient's Sex (0010,0040)."),
        _text("patient_age", "Patient's Age (0010,1010)."),
        _text("accession_number", "Accession Number (0008,0050)."),
        _text("modality", "Modality (0008,0060)."),
        _text("study_date", "Study Date (0008,0020), YYYYMMDD."),
        _text("study_time", "Study Time (0008,0030)."),
        _text("study_description", "Study Description (0008,1030)."),
        _text("series_description", "Series Description (0008,103E)."),
        _text("body_part_examined", "Body Part Examined (0018,0015)."),
        _text("institution_name", "Institution Name (0008,0080)."),
        _text("transfer_syntax_uid", "Transfer Syntax UID (0002,0010)."),
        _text("header_json", "The header as DICOM JSON (PS3.18 F) without bulk data.", required=True),
        _text("identifiers_json", "What the header says that identifies the patient, by kind.", required=True),
        _text("engine_version", "Version of the header reader.", required=True),
    ),
)

IDENTIFIED_REPORTS = TableSpec(
    name="identified_reports",
    zone="identified",
    description="One row per report of a hospital's CSV files, in the registry's roles, as sent.",
    sort_by=("object_key", "row_number"),
    cluster_by=("patient_id",),
    columns=(
        *_hospital(),
        _work_token(),
        *_SOURCE_OBJECT,
        _whole("row_number", "Number of the record in the file; the first one after the heading is 1.", required=True),
        _text("report_id", "The hospital's number of the report.", required=True),
        _text("accession_number", "Accession number of the study."),
        _text("study_instance_uid", "Study Instance UID, where the export has it."),
        _text("patient_id", "The patient's id."),
        _text("patient_name", "The patient's name."),
        _text("patient_birth_date", "Date of birth as YYYYMMDD, read in the registry's date order."),
        _text("study_date", "Date of the study as YYYYMMDD, read in the registry's date order."),
        _text("referring_physician_name", "Who asked for the study."),
        _text("reading_physician_name", "Who read it."),
        _text("institution_name", "Where it was done."),
        _text("patient_address", "The patient's address."),
        _text("patient_phone", "The patient's telephone number."),
        _text("report_text", "The report.", required=True),
        _text("engine_version", "Version of the report reader.", required=True),
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
            *((_text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *_hospital(),
            _work_token(),
            _text("stage", "The stage that refused it.", required=True),
            _text("object_pseudonym", "Keyed token of the object: what logs and people call it.", required=True),
            _text("object_key", "Key of the object in the hospital's bucket, where it still lies.", required=True),
            _whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
            _text("reason", "Reason code (docs/quarantine.md).", required=True),
            _text("detail", "Tags, types and counts that help to mend it; never a value.", required=True),
            _text("engine_version", "Version of the engine that refused it.", required=True),
            _text("profile_digest", "Digest of the profile's content; empty for a stage that reads no profile."),
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
            *((_text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *_hospital(),
            _work_token(),
            _text("object_pseudonym", "Keyed token of the object: what logs and people call it.", required=True),
            _text("object_key", "Key of the object in the hospital's bucket.", required=True),
            _text("etag", "Entity tag of the object as listed."),
            _text(
                "object_version", "Version of the object, where the bucket keeps versions and its listing names them."
            ),
            _whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
            _text("engine_version", "Version of the stage that made it.", required=True),
            _text(
                "profile_digest",
                "Digest of the profile's content; empty for a stage that reads no profile.",
                required=True,
            ),
            _text("run_id", "The run that made it.", required=True),
            _text("objects_json", "Objects it became: {object key: SHA-256}.", required=True),
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
        *_hospital(),
        _work_token(),
        _whole("row_number", "Number of the record in a report file; 0 for a whole object.", required=True),
        _text("status", "open, accepted (passes at the next run) or dropped.", required=True),
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
        _text("status", "open, accepted (passes at the next run) or dropped; docs/quarantine.md.", required=True),
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
        *_hospital(),
        Column(
            "work_token",
            "STRING",
            "Keyed token of the original as it is spelled, and of the patient whose it is.",
            True,
            pattern=TOKEN_PATTERN,
        ),
        _text("kind", "What was replaced: patient, uid, accession_number, report.", required=True),
        _text("pseudonym", "What stands in its place.", required=True),
        _text("patient_pseudonym", "Pseudonym of the patient whose id it is, of the same key version.", required=True),
        _text(
            "sealed",
            "The original, and of a patient the date shift too: AES-GCM, bound to kind, pseudonym and token.",
            required=True,
        ),
        _whole("key_version", "Version of the hospital's key that the pseudonym was derived with.", required=True),
        _text("key_fingerprint", "Fingerprint of that version.", required=True),
        _whole("sealed_with", "Version of the hospital's key that the original is sealed with.", required=True),
        _text("current_pseudonym", "After a rotation: the pseudonym of the same original under the key in use."),
    ),
)

CROSSWALK_SOURCES = TableSpec(
    name="crosswalk_sources",
    zone="identified",
    description="Which rows of dicom_metadata and files of identified_reports the crosswalk has taken in already.",
    sort_by=("work_token",),
    columns=(*_hospital(), _work_token()),
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
            *((_text("release", "Partition: the release.", required=True),) if partitioned_by == "release" else ()),
            *_hospital(),
            _work_token(),
            *_SOURCE_OBJECT,
            _text("sop_instance_uid", "SOP Instance UID of the object, as sent.", required=True),
            _text("new_sop_instance_uid", "SOP Instance UID that was written.", required=True),
            _text("profile", "Name of the profile.", required=True),
            _text("profile_digest", "Digest of the profile's content.", required=True),
            _text("standard_edition", "Edition of PS3.15 that the profile is taken from.", required=True),
            _text("engine_version", "Versions of the engines.", required=True),
            _text("method_codes", "Codes of PS3.16 CID 7050: what was done to this instance.", required=True),
            _text("actions_json", "Elements by action and tag: {action: {tag: count}}.", required=True),
            _text("removed_by_kind_json", "What was taken out, by kind: {kind: count}.", required=True),
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
        _text("release", "Partition: the release.", required=True),
        *_hospital(),
        _work_token(),
        _text("patient_pseudonym", "The patient's pseudonym for the recipient.", required=True),
        _text("study_instance_uid", "Study Instance UID for the recipient.", required=True),
        _text("modality", "Modality (0008,0060) as delivered."),
        _text("patient_sex", "Patient's Sex (0010,0040) as delivered."),
        _text("patient_age", "Patient's Age (0010,1010) as delivered."),
        _whole("study_year", "Year of the Study Date (0008,0020) as delivered."),
        _text("boxes_json", "Boxes blacked out, by what found them: {source: count}.", required=True),
    ),
)

_INSTANCE_COLUMNS = (
    _text(
        "sop_instance_uid",
        "New SOP Instance UID; one that the standard gives (palettes) stays.",
        _A_PSEUDONYM,
        INSTANCE_PATTERN,
        required=True,
    ),
    _text("series_instance_uid", "New Series Instance UID.", _A_PSEUDONYM, NEW_UID_PATTERN),
    _text("study_instance_uid", "New Study Instance UID.", _A_PSEUDONYM, NEW_UID_PATTERN),
    _text("patient_pseudonym", "The patient's pseudonym.", _A_PSEUDONYM, PATIENT_PATTERN, required=True),
    _text("accession_pseudonym", "The accession number's pseudonym.", _A_PSEUDONYM, ACCESSION_PATTERN),
    _text("sop_class_uid", "SOP Class UID.", "a code of the standard", STANDARD_UID_PATTERN, required=True),
    _text("modality", "Modality (0008,0060).", "a code of the standard", CODE_PATTERN),
    Column(
        "study_date",
        "DATE",
        "Study date as the profile allows: shifted, or 1 January of its year.",
        False,
        "the profile's date",
    ),
    _text("patient_sex", "Patient's Sex (0010,0040).", "Retain Patient Characteristics", CODE_PATTERN),
    _text(
        "patient_age",
        "Patient's Age (0010,1010); 90 and over is 090Y.",
        "Retain Patient Characteristics",
        r"\d{3}[DWMY]",
    ),
    _text("study_description", "Study Description, cleaned.", _CLEANED),
    _text("series_description", "Series Description, cleaned.", _CLEANED),
    _text("body_part_examined", "Body Part Examined (0018,0015).", "a code of the standard", CODE_PATTERN),
    _text("manufacturer", "Manufacturer (0008,0070).", _DEVICE),
    _text("manufacturer_model_name", "Manufacturer's Model Name (0008,1090).", _DEVICE),
    _text(
        "image_type",
        "Image Type (0008,0008), values joined by a backslash.",
        "codes of the standard",
        r"[A-Z0-9 _\\\-./]{0,256}",
    ),
    _whole("series_number", "Series Number (0020,0011).", "a number within the study"),
    _whole("instance_number", "Instance Number (0020,0013).", "a number within the series"),
    _whole("image_rows", "Rows (0028,0010), pixels.", _GEOMETRY),
    _whole("image_columns", "Columns (0028,0011), pixels.", _GEOMETRY),
    _whole("number_of_frames", "Number of Frames (0028,0008).", _GEOMETRY),
    _text("photometric_interpretation", "Photometric Interpretation (0028,0004).", _GEOMETRY, CODE_PATTERN),
    _text("transfer_syntax_uid", "Transfer Syntax UID as sent.", _GEOMETRY, STANDARD_UID_PATTERN),
)

DEIDENTIFIED_METADATA = TableSpec(
    name="deidentified_metadata",
    zone="deidentified",
    description="One row per SOP Instance whose header was cleaned: pseudonyms, hot columns, the cleaned header.",
    sort_by=("sop_instance_uid",),
    cluster_by=("study_instance_uid", "modality"),
    columns=(
        *_hospital("the partition; curators see which hospital"),
        _work_token(_A_PSEUDONYM),
        *_INSTANCE_COLUMNS,
        _text(
            "face",
            "Whether the instance may show a face: none, likely, unknown.",
            "a code of ours",
            FACE_PATTERN,
            required=True,
        ),
        _text("header_json", "The cleaned header as DICOM JSON (PS3.18 F).", _CLEANED, required=True),
        _whole("elements_removed", "Elements removed from this header.", _A_COUNT, required=True),
        _whole(
            "elements_changed",
            "Elements replaced, shifted, remapped or cleaned in this header.",
            _A_COUNT,
            required=True,
        ),
        _text("profile", "Name of the profile.", _VERSION, r"[a-z0-9_-]{1,40}", required=True),
        _text(
            "standard_edition",
            "Edition of PS3.15 that the profile is taken from.",
            _VERSION,
            r"[0-9]{4}[a-z]",
            required=True,
        ),
        _text("engine_version", "Version of the header engine.", _VERSION, r"[0-9a-z.+-]{1,40}", required=True),
    ),
)

DEIDENTIFIED_REPORTS = TableSpec(
    name="deidentified_reports",
    zone="deidentified",
    description="One row per report whose text was cleaned.",
    sort_by=("report_pseudonym",),
    cluster_by=("study_instance_uid",),
    columns=(
        *_hospital("the partition; curators see which hospital"),
        _work_token(_A_PSEUDONYM),
        _text("report_pseudonym", "The report id's pseudonym.", _A_PSEUDONYM, REPORT_PATTERN, required=True),
        _text("accession_pseudonym", "The accession number's pseudonym.", _A_PSEUDONYM, ACCESSION_PATTERN),
        _text(
            "study_instance_uid",
            "New Study Instance UID, where the export named the study.",
            _A_PSEUDONYM,
            NEW_UID_PATTERN,
        ),
        _text("patient_pseudonym", "The patient's pseudonym.", _A_PSEUDONYM, PATIENT_PATTERN),
        _text(
            "candidate_study_instance_uid",
            "New UID of the patient's only study within the date window of the report; empty when there is none or several.",
            _A_PSEUDONYM,
            NEW_UID_PATTERN,
        ),
        Column("study_date", "DATE", "Date of the study as the profile allows.", False, "the profile's date"),
        _text(
            "report_text",
            "The cleaned report.",
            "free text after the report engine and the search for what is left",
            required=True,
        ),
        _whole("identifiers_removed", "Identifiers replaced in the text.", _A_COUNT, required=True),
        _text("profile", "Name of the profile.", _VERSION, r"[a-z0-9_-]{1,40}", required=True),
        _text("engine_version", "Version of the report engine.", _VERSION, r"[0-9a-z.+-]{1,40}", required=True),
    ),
)

PIXEL_TEXT = TableSpec(
    name="pixel_text",
    zone="deidentified",
    description="One row per box of text blacked out in an instance, and one row (box 0) with the verdict per instance.",
    sort_by=("sop_instance_uid", "box"),
    cluster_by=("verdict",),
    columns=(
        *_hospital("the partition; curators see which hospital"),
        _work_token(_A_PSEUDONYM),
        _text(
            "sop_instance_uid",
            "New SOP Instance UID; one that the standard gives (palettes) stays.",
            _A_PSEUDONYM,
            INSTANCE_PATTERN,
            required=True,
        ),
        _whole("box", "0 for the instance itself, then the boxes from 1.", _A_COUNT, required=True),
        _text("verdict", "no_pixels, clean or redacted.", "a code of ours", r"no_pixels|clean|redacted", required=True),
        _text(
            "look",
            "all: the finder saw each frame; skipped: triage found no need; audited: no need, but looked at as a sample.",
            "a code of ours",
            r"all|skipped|audited",
            required=True,
        ),
        _whole("boxes", "Boxes blacked out in the instance.", _A_COUNT, required=True),
        _whole("kept", "Marks and measures that the profile lets stay.", _A_COUNT, required=True),
        _whole("frames", "Frames looked at.", _A_COUNT, required=True),
        _whole("frame", "Frame of the box, from 0.", _GEOMETRY),
        _whole("box_left", "Left edge, stored pixels.", _GEOMETRY),
        _whole("box_top", "Upper edge, stored pixels.", _GEOMETRY),
        _whole("box_width", "Width, stored pixels.", _GEOMETRY),
        _whole("box_height", "Height, stored pixels.", _GEOMETRY),
        _text("source", "What found the box.", "a code of ours", r"[a-z_0-9+-]{1,40}"),
        Column("score", "FLOAT64", "The finder's score, 0 to 1.", False, "a measure of the finder"),
        _text(
            "thumbnail_key",
            "Object key of the thumbnail; empty without pixels.",
            "pseudonyms only",
            r"[a-z0-9-]+(/2\.25\.\d+)+\.png",
        ),
        _text(
            "strip_key",
            "Object key of the animated strip; empty for a single frame.",
            "pseudonyms only",
            r"[a-z0-9-]+(/2\.25\.\d+)+\.strip\.png",
        ),
        _text("engine_version", "Version of the pixel engine.", _VERSION, r"[0-9a-z.+-]{1,40}", required=True),
    ),
)

_FINAL_COLUMNS = (
    *_INSTANCE_COLUMNS,
    _text(
        "may_show_face",
        "Whether the series may show a face: none, likely, unknown; the worst of its instances.",
        "a code of ours",
        FACE_PATTERN,
        required=True,
    ),
    _text("verdict", "Verdict of the pixel engine.", "a code of ours", r"no_pixels|clean|redacted", required=True),
    _whole("boxes", "Boxes of text blacked out.", _A_COUNT, required=True),
    _text("thumbnail_key", "Object key of the thumbnail.", "pseudonyms only", r"[a-z0-9-]+(/2\.25\.\d+)+\.png"),
    _text("report_pseudonym", "The first linked report.", _A_PSEUDONYM, REPORT_PATTERN),
    _whole("report_count", "Reports linked to the study.", _A_COUNT, required=True),
    _text(
        "link_method",
        f"How they were linked: {', '.join(LINK_METHODS)}; empty without a report.",
        "a code of ours",
        "|".join(LINK_METHODS),
    ),
    _text(
        "report_text",
        "The cleaned reports of the study, in order.",
        "free text after the report engine and the search for what is left",
    ),
)

FINAL_TABLE = TableSpec(
    name="final_table",
    zone="deidentified",
    description="One row per instance of a hospital whose header and pixels were cleaned, joined with its study's reports.",
    sort_by=("sop_instance_uid",),
    cluster_by=("study_instance_uid", "modality"),
    columns=(*_hospital("the partition; curators see which hospital"), *_FINAL_COLUMNS),
)

PROD = TableSpec(
    name="prod",
    zone="deidentified",
    description="The final tables of all hospitals in one: what cohorts are chosen from.",
    sort_by=("study_instance_uid", "series_instance_uid", "sop_instance_uid"),
    cluster_by=("modality", "body_part_examined", "study_instance_uid"),
    columns=(
        *_hospital("the partition; curators see which hospital"),
        *_FINAL_COLUMNS,
        _whole("study_year", "Year of the study date.", "the profile's date"),
        _text("search_text", "Descriptions and reports, what the full-text index covers.", _CLEANED, required=True),
    ),
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
        *(c for c in _FINAL_COLUMNS if c.name not in ("accession_pseudonym", "thumbnail_key")),
        _whole("study_year", "Year of the study date.", "the profile's date"),
        _whole("study_instances", "Instances of the study.", _A_COUNT, required=True),
        _whole("series_instances", "Instances of the series.", _A_COUNT, required=True),
        _text("search_text", "Descriptions and reports, what the full-text index covers.", _CLEANED, required=True),
    ),
)

RELEASE_MANIFEST = TableSpec(
    name="release_manifest",
    zone="public",
    partitioned_by="release",
    description="One row per DICOM object delivered in a release, with its digest; ids are the recipient's own pseudonyms.",
    sort_by=("object_key",),
    columns=(
        _text("release", "Partition: the release.", "a name chosen for outsiders", r"[a-z0-9-]{2,60}", required=True),
        Column(
            "hospital_number",
            "INT64",
            "The hospital's stable number.",
            True,
            "a number; the registry that names it is not public",
        ),
        _work_token(_A_PSEUDONYM),
        _text(
            "object_key",
            "Object key in the recipient's bucket.",
            "pseudonyms only",
            r"P[A-Z2-7]{16}(/2\.25\.\d+){3}\.dcm",
            required=True,
        ),
        _text(
            "sha256", "SHA-256 of the delivered object.", "a digest of cleaned bytes", r"[0-9a-f]{64}", required=True
        ),
        _whole("size", "Bytes of the delivered object.", _A_COUNT, required=True),
        _text(
            "patient_pseudonym",
            "The patient's pseudonym for this recipient.",
            _A_PSEUDONYM,
            PATIENT_PATTERN,
            required=True,
        ),
        _text(
            "study_instance_uid", "Study Instance UID for this recipient.", _A_PSEUDONYM, NEW_UID_PATTERN, required=True
        ),
        _text(
            "series_instance_uid",
            "Series Instance UID for this recipient.",
            _A_PSEUDONYM,
            NEW_UID_PATTERN,
            required=True,
        ),
        _text(
            "sop_instance_uid", "SOP Instance UID for this recipient.", _A_PSEUDONYM, INSTANCE_PATTERN, required=True
        ),
        _text("sop_class_uid", "SOP Class UID.", "a code of the standard", STANDARD_UID_PATTERN, required=True),
        _text("modality", "Modality (0008,0060).", "a code of the standard", CODE_PATTERN),
        _text(
            "transfer_syntax_uid",
            "Transfer Syntax UID of the delivered object.",
            _GEOMETRY,
            STANDARD_UID_PATTERN,
            required=True,
        ),
        _whole("frames", "Frames looked at.", _A_COUNT, required=True),
        _whole("boxes", "Boxes blacked out.", _A_COUNT, required=True),
        _whole("elements_removed", "Elements removed from the header.", _A_COUNT, required=True),
        _text(
            "method_codes",
            "De-identification Method Code Sequence (0012,0064): code values.",
            _VERSION,
            r"\d{6}(,\d{6})*",
        ),
        _text("profile", "Name of the profile.", _VERSION, r"[a-z0-9_-]{1,40}", required=True),
        _text(
            "standard_edition",
            "Edition of PS3.15 that the profile is taken from.",
            _VERSION,
            r"[0-9]{4}[a-z]",
            required=True,
        ),
        _text(
            "engine_version", "Versions of the header and pixel engines.", _VERSION, r"[0-9a-z.+-]{1,80}", required=True
        ),
    ),
)

ALL_TABLES: tuple[TableSpec, ...] = (
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    REFUSED_METADATA,
    REFUSED_IDENTIFIED_REPORTS,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    REFUSED_THUMBNAILS,
    REFUSED_RELEASE,
    QUARANTINE_STATUS,
    QUARANTINE,
    CROSSWALK,
    CROSSWALK_SOURCES,
    MADE_METADATA,
    MADE_IDENTIFIED_REPORTS,
    MADE_DEIDENTIFIED_METADATA,
    MADE_DEIDENTIFIED_REPORTS,
    MADE_THUMBNAILS,
    MADE_RELEASE,
    HEADER_AUDIT,
    RELEASE_AUDIT,
    RELEASE_FACTS,
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    PIXEL_TEXT,
    FINAL_TABLE,
    PROD,
    PUBLIC_TABLE,
    RELEASE_MANIFEST,
)
"""Every table, in the order of the diagram."""

BY_NAME: dict[str, TableSpec] = {spec.full_name: spec for spec in ALL_TABLES}
"""`zone.table` to its spec: what `resources.dialect` resolves names with."""
