"""Headers: DICOM objects → `dicom_metadata` → `deidentified_metadata`.

Belongs here: the two steps, and the rows they make.  Reading touches the header only (range reads); cleaning starts from
the header as stored, so that no object is read twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pydicom import Dataset

from gradient_assets import boundary
from gradient_assets.deid import headers
from gradient_assets.deid.faces import face_of
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.leftovers import black_out_leftovers
from gradient_assets.deid.reasons import Accepted, Reason, Refused, unless_accepted
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem
from gradient_assets.pipelines.texts import text_engine
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DICOM_METADATA,
    HEADER_AUDIT,
    MADE_DEIDENTIFIED_METADATA,
    MADE_METADATA,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_METADATA,
)
from gradient_assets.withdrawals.tombstones import Tombstones
from resources.buckets.object_store import Bucket, ObjectVanished, StoreError

_HOT = (
    "series_instance_uid",
    "study_instance_uid",
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_sex",
    "patient_age",
    "accession_number",
    "modality",
    "study_date",
    "study_time",
    "study_description",
    "series_description",
    "body_part_examined",
    "institution_name",
    "transfer_syntax_uid",
)


@dataclass
class ReadHeaders:
    """One DICOM object → one row of `dicom_metadata`, by range reads up to the pixel data."""

    hospital: Hospital
    bucket: Bucket
    profile: headers.Profile
    withdrawn: Tombstones = field(default_factory=Tombstones, repr=False)
    stage: str = "dicom_metadata"
    version: str = f"headers-{headers.ENGINE_VERSION}"
    deadline_s: float = 60.0
    output = DICOM_METADATA
    refusals = REFUSED_METADATA
    made = MADE_METADATA
    beside = ()

    def open(self) -> None:
        """Nothing to load; a store that is slow has to be told as that, and tried again, before the step's time is over."""
        self.bucket = self.bucket.within(self.deadline_s)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Read the header and what it says that identifies; first of all, whether its patient was withdrawn."""
        dataset = self._read(item)
        columns, known = headers.columns_of(dataset), headers.identifiers_of(dataset)
        if self.withdrawn.covers_header(columns, known):
            raise Refused(Reason.WITHDRAWN)
        headers.admit(dataset, profile=self.profile)
        sop_instance_uid, sop_class_uid = columns["sop_instance_uid"], columns["sop_class_uid"]
        if not sop_instance_uid or not sop_class_uid:
            raise Refused(Reason.MISSING_IDENTITY)
        yield Emitted(
            {
                "hospital_id": self.hospital.id,
                "hospital_number": self.hospital.number,
                "work_token": item["work_token"],
                "object_key": item["object_key"],
                "etag": item["etag"],
                "size": item["size"],
                "sop_instance_uid": sop_instance_uid,
                "sop_class_uid": sop_class_uid,
                **{name: columns[name] for name in _HOT},
                "header_json": headers.to_json_header(dataset),
                "identifiers_json": json.dumps(known.as_dict(), ensure_ascii=False),
                "engine_version": self.version,
            }
        )

    def _read(self, item: WorkItem) -> Dataset:
        """The header.  Of an object that can't be read all that is known is its key."""
        try:
            if item["size"] == 0:
                raise Refused(Reason.EMPTY_OBJECT)
            with reading():
                source = self.bucket.open(item["object_key"], item["size"], etag=item["etag"])
                return headers.read_dataset(source, stop_before_pixels=True)
        except Refused as refused:
            if self.withdrawn.names_in_key(item["object_key"]):
                raise Refused(Reason.WITHDRAWN) from None
            raise refused


@dataclass
class CleanHeaders:
    """One row of `dicom_metadata` → one row of `deidentified_metadata`."""

    hospital: Hospital
    profile: headers.Profile
    pseudonymizer: Pseudonymizer = field(repr=False)
    stage: str = "deidentified_metadata"
    version: str = headers.ENGINE_VERSION
    deadline_s: float = 60.0
    output = DEIDENTIFIED_METADATA
    refusals = REFUSED_DEIDENTIFIED_METADATA
    made = MADE_DEIDENTIFIED_METADATA
    beside = (HEADER_AUDIT,)

    def open(self) -> None:
        """Load the rules."""
        self._engine = headers.HeaderEngine(self.profile, self.pseudonymizer, text_engine(self.hospital, self.profile))

    def meet(self, everyone: Iterable[KnownIdentifiers]) -> None:
        """Get ready to find any patient of the hospital in any row."""
        self._everyone = IdentifierIndex.build(everyone)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Clean the header, black out what is left in its texts, and build the row that crosses."""
        known = KnownIdentifiers.from_dict(item["identifiers"])
        dataset = headers.from_json_header(item["row"]["header_json"])
        for keyword, column in (("SOPClassUID", "sop_class_uid"), ("SOPInstanceUID", "sop_instance_uid")):
            if not dataset.get(keyword):  # named in the file meta information only
                setattr(dataset, keyword, item["row"][column])
        cleaned = self._engine.clean(dataset, known)
        black_out_leftovers(cleaned, known, item.get("accepted"))
        row = boundary.cross(
            DEIDENTIFIED_METADATA,
            {
                "hospital_id": self.hospital.id,
                "hospital_number": self.hospital.number,
                "work_token": item["work_token"],
                **instance_columns(cleaned.dataset, item["row"]["transfer_syntax_uid"]),
                "patient_pseudonym": cleaned.person.pseudonym,
                "face": face_of(dataset),
                "header_json": headers.to_json_header(cleaned.dataset),
                "elements_removed": cleaned.elements_removed,
                "elements_changed": cleaned.elements_changed,
                "profile": self.profile.name,
                "standard_edition": self.profile.edition,
                "engine_version": headers.ENGINE_VERSION,
            },
        )
        refuse_leaks(self._everyone, row, item.get("accepted"))
        yield Emitted(row)
        yield Emitted(audit_row(self.hospital, item, cleaned, headers.ENGINE_VERSION), into=HEADER_AUDIT)


def audit_row(hospital: Hospital, item: WorkItem, cleaned: headers.CleanedHeader, engine: str) -> dict[str, object]:
    """What was done to one instance and from which object it came: a row of `header_audit` or, with its release, of
    `release_audit`.  Identified: it holds old and new UID side by side."""
    audit = cleaned.audit()
    return {
        "hospital_id": hospital.id,
        "hospital_number": hospital.number,
        "work_token": item["work_token"],
        "object_key": item["object_key"],
        "etag": item["etag"],
        "size": item["size"],
        "sop_instance_uid": cleaned.old_sop_uid,
        "new_sop_instance_uid": cleaned.new_sop_uid,
        "profile": audit["profile"],
        "profile_digest": audit["profile_digest"],
        "standard_edition": audit["edition"],
        "engine_version": engine,
        "method_codes": ",".join(cleaned.method_codes),
        "actions_json": json.dumps(audit["actions"], sort_keys=True),
        "removed_by_kind_json": json.dumps(audit["removed_by_kind"], sort_keys=True),
    }


def instance_columns(dataset: Dataset, transfer_syntax_uid: str | None) -> dict[str, boundary.Value]:
    """The hot columns of a cleaned header, as the boundary lists them."""
    columns = headers.columns_of(dataset)
    names = (
        "sop_instance_uid",
        "series_instance_uid",
        "study_instance_uid",
        "sop_class_uid",
        "modality",
        "patient_sex",
        "patient_age",
        "study_description",
        "series_description",
        "body_part_examined",
        "manufacturer",
        "manufacturer_model_name",
        "image_type",
        "series_number",
        "instance_number",
        "number_of_frames",
        "photometric_interpretation",
    )
    return {
        **{name: code_of(name, columns[name]) if name in _CODES else columns[name] for name in names},
        "image_rows": columns["rows"],
        "image_columns": columns["columns"],
        "accession_pseudonym": columns["accession_number"],
        "study_date": as_date(columns["study_date"]),
        "transfer_syntax_uid": transfer_syntax_uid,
    }


def as_date(value: Any) -> date | None:
    """A DICOM DA as a date; None for anything that is none."""
    text = str(value or "")
    if len(text) != 8 or not text.isascii() or not text.isdigit():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def key_part(identity: Pseudonymizer, uid: str, instance_uid: str, level: str) -> str:
    """The new UID as part of an object key.  Where the header names no study or series, or the instance has a UID that the
    standard gave it, one is derived from the instance: keys tell objects apart, whatever the header lacks."""
    return (
        identity.uid(uid) if uid and not headers.is_well_known_uid(uid) else identity.uid(f"{level} of {instance_uid}")
    )


_CODES = {
    column.name: re.compile(column.pattern)
    for column in DEIDENTIFIED_METADATA.columns
    if column.name
    in ("modality", "patient_sex", "patient_age", "body_part_examined", "image_type", "photometric_interpretation")
}


def code_of(column: str, value: str | int | None) -> str | None:
    """A code string in capitals, as the standard writes it; None for what is none, so that one odd `Brain (left)` in a hot
    column does not refuse the object.  PS3.5 6.2, VR CS."""
    code = str(value).upper() if value is not None else ""
    return code if code and _CODES[column].fullmatch(code) else None


def date_under(profile: headers.Profile, day: date | None, shift_days: int) -> date | None:
    """A date as the profile allows: shifted, 1 January of its year, as it was, or not at all."""
    if profile.removes_dates:
        return None
    if day is None or profile.dates == "keep":
        return day
    return day + timedelta(days=shift_days) if profile.dates == "shift" else day.replace(month=1, day=1)


def refuse_leaks(everyone: IdentifierIndex, row: boundary.Crossing, accepted: Accepted | None = None) -> None:
    """Raise `Refused(RESIDUAL_IDENTIFIER)` if the row names any patient of the hospital, and nobody has accepted that.

    The asset check after the stage asks the same of what was written; here the one record is put aside, and the others go on.
    """
    if hits := everyone.search_record(row):
        found = Refused(Reason.RESIDUAL_IDENTIFIER, f"of another patient of the hospital: {describe(hits)}")
        unless_accepted(found, accepted)


def describe(hits: list[Any]) -> str:
    """Kinds and counts of hits, without a value."""
    kinds: dict[str, int] = {}
    for hit in hits:
        kinds[hit.kind] = kinds.get(hit.kind, 0) + 1
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))


class reading:  # noqa: N801  reads as a word in `with reading():`
    """Turns the store's errors into refusals: what vanished or can't be reached is quarantined and tried again."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # A header that breaks off because the store failed is refused as broken by its reader; it would never be tried again.
        while error is not None and not isinstance(error, StoreError):
            error = error.__context__
        if isinstance(error, ObjectVanished):
            raise Refused(Reason.OBJECT_VANISHED) from None
        if isinstance(error, StoreError):
            raise Refused(Reason.STORE_UNAVAILABLE, type(error).__name__) from None
