"""What each stage should hold, as work items: the listing of a bucket, or the rows of the table before it.

Belongs here: naming each input by its work token (input, engine version, profile, what is known of the patient), and the
choice between inputs that claim the same name.  A token says nothing without the hospital's key.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from gradient_assets.deid.headers import Profile, replaced_uid
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import Reason
from gradient_assets.deid.text import identifiers_of_columns
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.known import REPORT_COLUMNS, HospitalIdentifiers
from gradient_assets.pipelines.metadata import as_date
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.review.decisions import Decision
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, IDENTIFIED_REPORTS, TableSpec
from resources.buckets.object_store import ObjectStat
from resources.warehouses.warehouse import Warehouse

DATE_WINDOW_DAYS = 3
"""A report is linked to the patient's only study within so many days: reports are dictated and signed days later."""


@dataclass(frozen=True)
class WorkSource:
    """What all work lists of one hospital need."""

    hospital: Hospital
    warehouse: Warehouse
    identity: Pseudonymizer
    former: tuple[Pseudonymizer, ...] = ()
    """Under the versions of the key before, newest first: what reviewers decided then still names objects so."""

    def objects(self, listing: Iterable[ObjectStat], version: str) -> Iterator[WorkItem]:
        """Each listed object that is no folder marker: new when its key, etag or size is."""
        for stat in listing:
            if stat.key.endswith("/") and not stat.size:
                continue
            token = self.identity.token("object", version, stat.key, stat.etag, str(stat.size))
            yield self._item(token, stat.key, etag=stat.etag, size=stat.size, object_version=stat.version)

    def files(self, listing: Iterable[ObjectStat], version: str) -> Iterator[WorkItem]:
        """Each listed CSV file; another layout in the registry makes all of them new."""
        hospital = self.hospital
        columns = ",".join(f"{role}={column}" for role, column in sorted(hospital.report_columns.items()))
        layout = "\x1f".join(
            (columns, hospital.delimiter, hospital.encoding, hospital.date_order, hospital.reports.layout)
        )
        return self.objects(listing, f"{version}\x1f{layout}")

    def headers(self, known: HospitalIdentifiers, profile: Profile, version: str) -> Iterator[WorkItem]:
        """Each row of `dicom_metadata`; of several with one SOP Instance UID the first by object key is taken."""
        first = self._first(DICOM_METADATA, "sop_instance_uid", ("object_key",))
        columns = ("work_token", "object_key", "etag", "size", "sop_instance_uid", "patient_id", "identifiers_json")
        more = ("header_json", "transfer_syntax_uid", "sop_class_uid")
        hospital = self.hospital
        for batch in self.warehouse.scan(DICOM_METADATA, self.hospital.id, columns=(*columns, *more)):
            for row in batch.to_pylist():
                own = KnownIdentifiers.from_dict(json.loads(row["identifiers_json"]))
                all_known = known.of(row["patient_id"], own)
                place = (row["object_key"],)
                is_first = first.setdefault(row["sop_instance_uid"], place) == place
                refuse = "" if is_first else Reason.DUPLICATE_SOP_INSTANCE.value
                token = self.identity.token(
                    "header",
                    version,
                    profile.digest,
                    hospital.date_order,
                    hospital.reports.cleaning,
                    row["work_token"],
                    refuse,
                    all_known.fingerprint(),
                )
                item = self._item(token, row["object_key"], etag=row["etag"], size=row["size"])
                if refuse:
                    item["refuse"] = refuse
                else:
                    item["identifiers"] = all_known.as_dict()
                    item["row"] = {name: row[name] for name in (*more, "sop_instance_uid")}
                yield item

    def reports(self, known: HospitalIdentifiers, profile: Profile, version: str) -> Iterator[WorkItem]:
        """Each row of `identified_reports`; of several with one report id the first by file and row is taken."""
        studies = self._studies()
        place_columns = ("object_key", "row_number")
        first = self._first(IDENTIFIED_REPORTS, "report_id", place_columns)
        columns = (*REPORT_COLUMNS, "report_text", "work_token", "object_key", "etag", "row_number")
        for batch in self.warehouse.scan(IDENTIFIED_REPORTS, self.hospital.id, columns=columns):
            for row in batch.to_pylist():
                own = identifiers_of_columns({role: row[role] or "" for role in REPORT_COLUMNS})
                all_known = known.of(row["patient_id"], own)
                here = tuple(row[name] for name in place_columns)
                is_first = first.setdefault(row["report_id"], here) == here
                refuse = "" if is_first else Reason.DUPLICATE_REPORT.value
                row["candidate_study_instance_uid"] = _candidate(studies, row["patient_id"], row["study_date"])
                parts = (
                    "report",
                    version,
                    profile.digest,
                    self.hospital.reports.cleaning,
                    # Not the file's token: a file with one record more, or read again, leaves the others as they are.
                    json.dumps([row[name] for name in (*REPORT_COLUMNS, "report_text", "object_key", "row_number")]),
                    refuse,
                    row["candidate_study_instance_uid"] or "",
                    all_known.fingerprint(),
                )
                place = {"etag": row["etag"], "row_number": row["row_number"]}
                item = self._item(self.identity.token(*parts), row["object_key"], **place)
                if refuse:
                    item["refuse"] = refuse
                else:
                    item["identifiers"] = all_known.as_dict()
                    item["row"] = row
                yield item

    def _first(self, spec: TableSpec, column: str, place: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        """Value of the column → the first place where it stands.

        Looked for by itself, since BigQuery gives chosen columns in any order: of two objects with one UID a run took either.
        """
        first: dict[str, tuple[Any, ...]] = {}
        for batch in self.warehouse.scan(spec, self.hospital.id, columns=(column, *place)):
            for row in batch.to_pylist():
                here = tuple(row[name] for name in place)
                first[row[column]] = min(first.get(row[column], here), here)
        return first

    def pixels(self, version: str, decisions: Mapping[str, Decision] = MappingProxyType({})) -> Iterator[WorkItem]:
        """The object of each instance whose header crossed the boundary, with what was decided about it in review."""
        for _, row in self._originals(self._crossed()):
            token = self.pixel_token(self.identity, version, row)
            item = self._item(token, row["object_key"], etag=row["etag"], size=row["size"])
            yield _decided(item, self.identity, decisions, self.former)

    def pixel_token(self, identity: Pseudonymizer, version: str, place: Mapping[str, Any]) -> str:
        """The work token of an object's pixels, without a decision in it, under one version of the key."""
        parts = (self.hospital.pixels.looking, place["object_key"], place["etag"], str(place["size"]))
        return identity.token("pixels", version, *parts)

    def release(
        self,
        instances: set[str],
        known: HospitalIdentifiers,
        recipient: Pseudonymizer,
        version: str,
        decisions: Mapping[str, Decision] = MappingProxyType({}),
        withdrawn: Collection[str] = (),
    ) -> Iterator[WorkItem]:
        """The object of each instance of a cohort, given by the instances' pseudonyms in this hospital's scope.

        An instance without an original is an item too: it is refused as gone, or as withdrawn if it is one of `withdrawn`.
        """
        gone = set(instances)
        for uid, row in self._originals(instances):
            gone.remove(uid)
            own = KnownIdentifiers.from_dict(json.loads(row["identifiers_json"]))
            all_known = known.of(row["patient_id"], own)
            token = recipient.token(
                "release",
                version,
                self.hospital.reports.cleaning,
                row["object_key"],
                row["etag"],
                str(row["size"]),
                all_known.fingerprint(),
            )
            item = self._item(token, row["object_key"], etag=row["etag"], size=row["size"])
            item["identifiers"] = all_known.as_dict()
            yield _decided(item, recipient, decisions, self.former)
        for uid in sorted(gone):
            reason = Reason.WITHDRAWN if uid in withdrawn else Reason.ORIGINAL_GONE
            item = self._item(recipient.token("gone", version, uid, reason.value), "", refuse=reason.value)
            item["object_pseudonym"] = self.identity.token("instance", uid)  # the object's own is gone with its key
            yield item

    def _originals(self, instances: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each instance's pseudonym and the object that `headers` took for it; another one of that UID was refused."""
        first = self._first(DICOM_METADATA, "sop_instance_uid", ("object_key",))
        taken: set[str] = set()
        columns = ("sop_instance_uid", "object_key", "etag", "size", "patient_id", "identifiers_json")
        for batch in self.warehouse.scan(DICOM_METADATA, self.hospital.id, columns=columns):
            for row in batch.to_pylist():
                if first[row["sop_instance_uid"]] != (row["object_key"],):
                    continue
                new_uid = replaced_uid(row["sop_instance_uid"], self.identity.uid)
                if new_uid in instances and new_uid not in taken:
                    taken.add(new_uid)
                    yield new_uid, row

    def _crossed(self) -> set[str]:
        batches = self.warehouse.scan(DEIDENTIFIED_METADATA, self.hospital.id, columns=("sop_instance_uid",))
        return {uid for batch in batches for uid in batch["sop_instance_uid"].to_pylist()}

    def _studies(self) -> dict[str, dict[str, date]]:
        studies: dict[str, dict[str, date]] = defaultdict(dict)
        columns = ("patient_id", "study_instance_uid", "study_date")
        for batch in self.warehouse.scan(DICOM_METADATA, self.hospital.id, columns=columns):
            for row in batch.to_pylist():
                day = as_date(row["study_date"])
                if row["patient_id"] and row["study_instance_uid"] and day:
                    studies[row["patient_id"].strip().casefold()][row["study_instance_uid"]] = day
        return studies

    def _item(self, token: str, object_key: str, **more: object) -> WorkItem:
        item = WorkItem(
            work_token=token,
            object_key=object_key,
            object_pseudonym=self.identity.token("object", object_key),
            hospital_id=self.hospital.id,
        )
        item.update(more)  # type: ignore[typeddict-item]  # the keyword names are the TypedDict's own
        return item


def _decided(
    item: WorkItem, identity: Pseudonymizer, decisions: Mapping[str, Decision], former: tuple[Pseudonymizer, ...]
) -> WorkItem:
    """The item as a reviewer's decision changes it; an accept changes nothing, not even the token."""
    names = (item["object_pseudonym"], *(one.token("object", item["object_key"]) for one in former))
    decision = next((decisions[name] for name in names if name in decisions), None)
    if decision is None or not decision.digest:
        return item
    item["work_token"] = identity.token("reviewed", item["work_token"], decision.digest)
    if decision.verdict == "quarantine":
        item["refuse"] = Reason.REJECTED_IN_REVIEW.value
    item["added"] = [box.as_dict() for box in decision.boxes]
    return item


def _candidate(studies: dict[str, dict[str, date]], patient_id: str | None, study_date: str | None) -> str | None:
    day = as_date(study_date)
    if not patient_id or day is None:
        return None
    near = [
        uid
        for uid, studied in studies.get(patient_id.strip().casefold(), {}).items()
        if abs((studied - day).days) <= DATE_WINDOW_DAYS
    ]
    return near[0] if len(near) == 1 else None
