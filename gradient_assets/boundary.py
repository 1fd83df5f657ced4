"""The Full Deidentification Boundary: the one place where a record that may cross it is made.

Belongs here: `cross`, which builds a record of a de-identified or public table from the columns that `tables` lists with
their reason and pattern; the forms of object keys in those zones; the names of asset metadata and tags.  Which values may
stand in messages, and where objects are written, is listed in `crossing.yaml`, which tests compare with the code.  Nothing else
can be written by a stage: the shard writer of those zones takes a `Crossing`, and only this module makes one.  The tables
after that (`final_table`, `prod`, `public_table`) are SQL over crossed records.
What makes the values safe is `deid`'s business; whether they are is searched again by `deid.verify`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.tables import Column, TableSpec

Value = str | int | float | bool | date | None

THUMBNAIL_KEY: Final = re.compile(r"[a-z0-9-]{2,40}(/2\.25\.\d{1,39}){3}(\.strip)?\.png")
"""`<hospital>/<study>/<series>/<instance>.png`, of a cine `….strip.png` too, new UIDs."""

CONTACT_SHEET_KEY: Final = re.compile(r"contact_sheets/[a-z0-9-]{2,40}\.jpg")
"""`contact_sheets/<hospital>.jpg`: no hospital's id has an underscore, so it is no prefix of thumbnails."""

RELEASE_KEY: Final = re.compile(r"P[A-Z2-7]{16}(/2\.25\.\d{1,39}){3}\.dcm")
"""`<patient>/<study>/<series>/<instance>.dcm`, the recipient's own pseudonyms."""


@dataclass(frozen=True, slots=True)
class KeyForm:
    """One form that an object's key may have in a place behind the boundary, and why it says nothing of a person."""

    place: str
    form: str
    what: str
    reason: str

    def fits(self, key: str) -> bool:
        """Whether the key has this form, as a whole."""
        return _compiled(self.form).fullmatch(key) is not None


_RELEASE = "[a-z0-9][a-z0-9-]{1,59}"
_NAMES = "pseudonyms, and names of a hospital, release or recipient that were chosen for outsiders"
_BESIDE = "a fixed name below names that were chosen for outsiders"
_TABLE = "names of a table and of a hospital or release"

OBJECT_KEYS: Final = (
    KeyForm(
        "thumbnails", THUMBNAIL_KEY.pattern, "a thumbnail, or the strip of a cine", "new UIDs below the hospital's id"
    ),
    KeyForm(
        "thumbnails",
        CONTACT_SHEET_KEY.pattern,
        "a sheet of a hospital's thumbnails",
        "a fixed name and the hospital's id",
    ),
    KeyForm("releases", f"{_RELEASE}/{_RELEASE}/dicom/{RELEASE_KEY.pattern}", "an object that was delivered", _NAMES),
    KeyForm("releases", f"_prepared/{_RELEASE}/{RELEASE_KEY.pattern}", "an object that waits for approval", _NAMES),
    KeyForm("releases", rf"_prepared/_pages/{_RELEASE}/(manifest\.csv|report\.html)", "what approvers read", _BESIDE),
    KeyForm(
        "releases",
        rf"{_RELEASE}/{_RELEASE}/(manifest|revoked|withdrawn_objects)\.csv|{_RELEASE}/{_RELEASE}/report\.html",
        "what a recipient finds beside the objects",
        _BESIDE,
    ),
    KeyForm("warehouse", rf"[a-z_]{{1,40}}/{_RELEASE}\.parquet", "a table's partition in the embedded default", _TABLE),
    KeyForm("warehouse", rf"[a-z_]{{1,40}}/\.{_RELEASE}\.lock", "the lock of that partition, an empty file", _TABLE),
)
"""Every form of an object's key behind the boundary.  Staging holds the same ones below a run's id and a random number, and
is empty when nothing runs."""

ASSET_METADATA: Final[dict[str, str]] = {
    "gradient/objects_in": "a count",
    "gradient/bytes": "a count",
    "gradient/rows_out": "a count",
    "gradient/quarantined": "a count",
    "gradient/balance": "counts by stage",
    "gradient/quarantined_by_reason": "counts by fixed code",
    "gradient/quarantined_by_status": "counts by fixed code",
    "gradient/accepted": "a count",
    "gradient/reused": "a count",
    "gradient/processed": "a count",
    "gradient/removed": "a count",
    "gradient/carried_over": "a count",
    "gradient/withdrawn": "a count",
    "gradient/elements_removed": "a count",
    "gradient/elements_changed": "a count",
    "gradient/identifiers_removed": "a count",
    "gradient/boxes": "a count",
    "gradient/instances_with_boxes": "a count",
    "gradient/reviewed": "counts of reviewers' decisions by kind",
    "gradient/instances_by_look": "counts by fixed code",
    "gradient/audit": "counts and a bound on a share",
    "gradient/series_by_face": "counts by fixed code",
    "gradient/linked_by": "counts by method",
    "gradient/reports_without_images": "a count",
    "gradient/searched": "counts of values and identifiers searched",
    "gradient/hits_by_kind": "counts by kind and column",
    "gradient/remembered_since": "id of the run that searched, or fixed text",
    "gradient/suspicious_patterns": "counts by kind of pattern that looks like an identifier nobody knows",
    "gradient/examples": "keyed pseudonyms of objects",
    "gradient/what_to_do": "fixed text",
    "gradient/contact_sheet": "address of a sheet of redacted thumbnails",
    "gradient/column_lineage": "names of columns",
    "gradient/key": "version and fingerprint of a key; says nothing of it",
    "gradient/recipient": "name of an organisation",
    "gradient/report": "address of the release report",
    "gradient/state": "one of five words: where a release stands",
    "gradient/manifest_digest": "digest of cleaned objects' digests and pseudonyms",
    "gradient/smallest_class": "a count",
    "gradient/seconds": "a duration",
    "dagster/uri": "address of a table or bucket",
    "dagster/column_schema": "names of columns",
    "dagster/column_lineage": "names of columns",
    "dagster/partition_row_count": "a count",
    "dagster/row_count": "a count",
    "dagster/table_name": "name of a table",
}
"""Every name under which an asset may attach metadata, with the reason why its value says nothing of a person."""

ASSET_TAGS: Final[dict[str, str]] = {
    "zone": "one of four words",
    "dagster/kind/": "a word of the catalogue: what an asset is made of",
    "dagster/code_version": "a version of an engine",
    "dagster/data_version": "digest of a listing or of a table's content, keyed where that is identified",
    "dagster/data_version_is_user_provided": "true",
    "dagster/input_data_version/": "the data version of what an asset was made from",
    "dagster/input_event_pointer/": "a number of Dagster's own",
}
"""Every tag of an asset or of its events, ours and Dagster's; a name that ends in `/` stands for all that begin so."""

RUN_TAGS: Final[dict[str, str]] = {
    "gradient/hospital": "the partition's id in the registry",
    "gradient/listing": "digest of a bucket's listing, keyed",
    "gradient/process": "numbers of a process of the platform, by which its end is noticed",
}
"""Every tag the platform sets on a run."""

DAGSTER_RUN_TAGS: Final[dict[str, str]] = {
    "dagster/partition": "the partition: a hospital's id or a release's name",
    "dagster/partition_set": "a name of Dagster's own",
    "dagster/run_key": "what a sensor asked for: hospital, keyed digest of a listing, time",
    "dagster/sensor_name": "the sensor of a hospital",
    ".dagster/": "names and digests of Dagster's own",
}
"""Tags that Dagster itself sets on a run; a name that ends in `/` stands for all that begin so."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MAX_TEXT = 16 * 1024 * 1024


class Crossing(Mapping[str, Value]):
    """One record that may cross: exactly the columns of its table.  Made by `cross` alone."""

    __slots__ = ("_values", "table")

    def __init__(self, table: str, values: dict[str, Value], *, _seal: object) -> None:
        if _seal is not _SEAL:
            raise TypeError("A Crossing is made by boundary.cross alone.")
        self.table = table
        self._values = values

    def __getitem__(self, column: str) -> Value:
        return self._values[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Crossing({self.table}, {len(self._values)} columns)"


_SEAL: Final = object()


def cross(spec: TableSpec, values: Mapping[str, Value]) -> Crossing:
    """A record of a de-identified or public table.

    Raises `Refused(BOUNDARY_REFUSED)` for a column that is not listed, a required one that is missing, a value of another
    type, and a text that does not match its column's pattern; the detail names the column, never the value.
    """
    if spec.zone == "identified":
        raise Refused(Reason.BOUNDARY_REFUSED, f"{spec.full_name} lies before the boundary")
    if unknown := sorted(set(values) - set(spec.column_names)):
        raise Refused(Reason.BOUNDARY_REFUSED, f"{spec.full_name} lists no column {', '.join(unknown)}")
    return Crossing(spec.full_name, {c.name: _checked(spec, c, values.get(c.name)) for c in spec.columns}, _seal=_SEAL)


def _checked(spec: TableSpec, column: Column, value: Value) -> Value:
    where = f"{spec.full_name}.{column.name}"
    if not column.crossing:
        raise Refused(Reason.BOUNDARY_REFUSED, f"{where} has no reason to cross")
    if value is None:
        if column.required:
            raise Refused(Reason.BOUNDARY_REFUSED, f"{where} is missing")
        return None
    if not _is_of(column, value):
        raise Refused(Reason.BOUNDARY_REFUSED, f"{where} holds a {type(value).__name__}")
    if isinstance(value, str):
        if column.pattern and not _compiled(column.pattern).fullmatch(value):
            raise Refused(Reason.BOUNDARY_REFUSED, f"{where} does not have the listed form")
        if len(value) > _MAX_TEXT:
            raise Refused(Reason.BOUNDARY_REFUSED, f"{where} exceeds {_MAX_TEXT} characters")
        return _CONTROL.sub("", value)
    return value


def _is_of(column: Column, value: Value) -> bool:
    match column.type:
        case "STRING":
            return isinstance(value, str)
        case "INT64":
            return isinstance(value, int) and not isinstance(value, bool)
        case "FLOAT64":
            return isinstance(value, float)
        case "BOOL":
            return isinstance(value, bool)
        case "DATE":
            return isinstance(value, date)
        case "TIMESTAMP":
            return False  # no time stamp has been given a reason to cross


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def thumbnail_key(hospital_id: str, study_uid: str, series_uid: str, sop_uid: str) -> str:
    """Object key of a thumbnail.  Raises `Refused(BOUNDARY_REFUSED)` if a part is no new UID."""
    return _key(THUMBNAIL_KEY, f"{hospital_id}/{study_uid}/{series_uid}/{sop_uid}.png")


def strip_key(thumbnail: str) -> str:
    """Object key of the animated strip that belongs to a thumbnail."""
    return _key(THUMBNAIL_KEY, f"{thumbnail.removesuffix('.png')}.strip.png")


def contact_sheet_key(hospital_id: str) -> str:
    """Object key of a hospital's sheet of thumbnails.  Raises `Refused(BOUNDARY_REFUSED)` if the id is none."""
    return _key(CONTACT_SHEET_KEY, f"contact_sheets/{hospital_id}.jpg")


def release_key(patient: str, study_uid: str, series_uid: str, sop_uid: str) -> str:
    """Object key of a delivered DICOM object.  Raises `Refused(BOUNDARY_REFUSED)` if a part is no pseudonym."""
    return _key(RELEASE_KEY, f"{patient}/{study_uid}/{series_uid}/{sop_uid}.dcm")


def _key(form: re.Pattern[str], key: str) -> str:
    if not form.fullmatch(key):
        raise Refused(Reason.BOUNDARY_REFUSED, "an object key does not have the listed form")
    return key


def asset_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata, if every name is listed.  Raises `ValueError` naming those that are not."""
    if unknown := sorted(set(values) - set(ASSET_METADATA)):
        raise ValueError(f"Asset metadata {', '.join(unknown)}: not on the boundary's list.")
    return dict(values)
