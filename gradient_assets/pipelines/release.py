"""Releases: original DICOM objects of a cohort → cleaned objects under the recipient's own pseudonyms.

Belongs here: the step and the manifest's rows.  The order of the engines is `deid.instance`'s business, the cohort that
of `assets.public`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradient_assets import boundary
from gradient_assets.deid import headers, pixels
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.pixels.finders import described
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import as_date, audit_row, code_of, key_part, reading
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem
from gradient_assets.pipelines.texts import text_engine
from gradient_assets.review.decisions import added_boxes
from gradient_assets.tables import MADE_RELEASE, REFUSED_RELEASE, RELEASE_AUDIT, RELEASE_FACTS, RELEASE_MANIFEST
from resources.buckets.object_store import Bucket


@dataclass
class CleanInstances:
    """One original object → one delivered object and its row of the manifest."""

    release: str
    hospitals: dict[str, Hospital]
    buckets: dict[str, Bucket]
    profiles: dict[str, Profile]
    pseudonymizers: dict[str, Pseudonymizer] = field(repr=False)
    finder: pixels.TextFinder
    residual: pixels.TextFinder | None
    stage: str = "release_dicoms"
    version: str = f"{headers.ENGINE_VERSION}+{pixels.ENGINE_VERSION}"
    deadline_s: float = 300.0
    output = RELEASE_MANIFEST
    refusals = REFUSED_RELEASE
    made = MADE_RELEASE
    beside = (RELEASE_AUDIT, RELEASE_FACTS)

    def open(self) -> None:
        """Load rules and models."""
        self.buckets = {hospital_id: bucket.within(self.deadline_s) for hospital_id, bucket in self.buckets.items()}
        self._cleaners = {
            hospital_id: InstanceCleaner(
                self.profiles[hospital_id],
                self.pseudonymizers[hospital_id],
                self.finder,
                self.residual,
                text=text_engine(hospital, self.profiles[hospital_id]),
            )
            for hospital_id, hospital in self.hospitals.items()
        }

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Read the original, clean it whole, and build the row that crosses."""
        hospital = self.hospitals[item["hospital_id"]]
        with reading():
            content = self.buckets[hospital.id].get(item["object_key"], etag=item["etag"])
        known, added = KnownIdentifiers.from_dict(item["identifiers"]), added_boxes(item.get("added", []))
        cleaned = self._cleaners[hospital.id].clean(content, known, added=added, accepted=item.get("accepted"))
        header = cleaned.header
        old = {"study": header.old_study_uid, "series": header.old_series_uid, "sop": header.old_sop_uid}
        identity = self.pseudonymizers[hospital.id]
        study, series, instance = (key_part(identity, uid, header.old_sop_uid, level) for level, uid in old.items())
        key = boundary.release_key(header.person.pseudonym, study, series, instance)
        columns = headers.columns_of(header.dataset)
        profile = self.profiles[hospital.id]
        row = boundary.cross(
            RELEASE_MANIFEST,
            {
                "release": self.release,
                "hospital_number": hospital.number,
                "work_token": item["work_token"],
                "object_key": key,
                "sha256": hashlib.sha256(cleaned.content).hexdigest(),
                "size": len(cleaned.content),
                "patient_pseudonym": header.person.pseudonym,
                "study_instance_uid": study,
                "series_instance_uid": series,
                "sop_instance_uid": header.new_sop_uid,
                "sop_class_uid": columns["sop_class_uid"],
                "modality": code_of("modality", columns["modality"]),
                "transfer_syntax_uid": columns["transfer_syntax_uid"],
                "frames": cleaned.pixels.frames,
                "boxes": len(cleaned.pixels.boxes),
                "elements_removed": header.elements_removed,
                "method_codes": ",".join(cleaned.method_codes),
                "profile": profile.name,
                "standard_edition": profile.edition,
                "engine_version": self.version,
            },
        )
        yield EmittedObject(key, cleaned.content)
        yield Emitted(row)
        audit = audit_row(hospital, item, header, self.version) | {"method_codes": ",".join(cleaned.method_codes)}
        yield Emitted({"release": self.release, **audit}, into=RELEASE_AUDIT)
        day = as_date(columns["study_date"])
        facts = {
            "release": self.release,
            "hospital_id": hospital.id,
            "hospital_number": hospital.number,
            "work_token": item["work_token"],
            "patient_pseudonym": header.person.pseudonym,
            "study_instance_uid": study,
            "modality": columns["modality"],
            "patient_sex": columns["patient_sex"],
            "patient_age": columns["patient_age"],
            "study_year": day.year if day else None,
            "boxes_json": json.dumps(Counter(box.source for box in cleaned.pixels.boxes), sort_keys=True),
        }
        yield Emitted(facts, into=RELEASE_FACTS)


def stage_version(finder: pixels.TextFinder, residual: pixels.TextFinder | None) -> str:
    """Version of the stage with these finders."""
    return "+".join([CleanInstances.version, *(described(one) for one in (finder, residual) if one is not None)])


def finders_in(version: str) -> tuple[str, ...]:
    """The finders of such a version, as they describe themselves."""
    return tuple(version.split("+")[CleanInstances.version.count("+") + 1 :])
