"""Pixels: DICOM objects → `pixel_text` and thumbnails.

Belongs here: the step that decodes, finds text, blacks it out on every frame and only then makes a picture smaller.
How text is found and filled is `deid.pixels`' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom import Dataset

from gradient_assets import boundary
from gradient_assets.deid import headers, pixels
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels.finders import described
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import key_part, reading
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem
from gradient_assets.review.decisions import added_boxes
from gradient_assets.tables import MADE_THUMBNAILS, PIXEL_TEXT, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket


@dataclass
class MakeThumbnails:
    """One DICOM object → its verdict, its boxes, its thumbnail."""

    hospital: Hospital
    bucket: Bucket
    pseudonymizer: Pseudonymizer = field(repr=False)
    profile: headers.Profile
    finder: pixels.TextFinder
    stage: str = "thumbnails"
    version: str = pixels.ENGINE_VERSION
    deadline_s: float = 300.0
    output = PIXEL_TEXT
    refusals = REFUSED_THUMBNAILS
    made = MADE_THUMBNAILS
    beside = ()

    def open(self) -> None:
        """Load the models, so that a missing one is an error of the set-up."""
        self.bucket = self.bucket.within(self.deadline_s)
        settings = self.hospital.pixels
        self._triage = pixels.Triage(settings.audit_share) if settings.triage else None
        self._engine = pixels.PixelEngine(self.finder, keep=keep_policy(self.profile), triage=self._triage)

    def redacted(self, item: WorkItem) -> tuple[Dataset, pixels.CleanedPixels]:
        """The object as it was sent, and what the pixel engine makes of it.  Raises `Refused`."""
        with reading():
            content = self.bucket.get(item["object_key"], etag=item["etag"])
        dataset = headers.read_dataset(content)
        audited = self._triage is not None and self._triage.draws(
            self.pseudonymizer.token("triage-audit", item["object_key"])
        )
        known = headers.identifiers_of(dataset)
        added = added_boxes(item.get("added", []))
        return dataset, self._engine.clean(dataset, known, added=added, audited=audited, accepted=item.get("accepted"))

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Redact, then shrink; the words that were found are nowhere in the result."""
        dataset, cleaned = self.redacted(item)
        identity = self.pseudonymizer
        columns = headers.columns_of(dataset)
        old = {level: str(columns[f"{level}_instance_uid"] or "") for level in ("study", "series", "sop")}
        instance = headers.replaced_uid(old["sop"], identity.uid)
        thumbnail = cleaned.thumbnail()
        key = None
        if thumbnail is not None:
            parts = (key_part(identity, uid, old["sop"], level) for level, uid in old.items())
            key = boundary.thumbnail_key(self.hospital.id, *parts)
            yield EmittedObject(key, thumbnail)
        strip, strip_key = cleaned.strip(), None
        if strip is not None and key is not None:
            strip_key = boundary.strip_key(key)
            yield EmittedObject(strip_key, strip)
        common: dict[str, boundary.Value] = {
            "hospital_id": self.hospital.id,
            "hospital_number": self.hospital.number,
            "work_token": item["work_token"],
            "sop_instance_uid": instance,
            "verdict": cleaned.verdict,
            "look": cleaned.looked,
            "boxes": len(cleaned.boxes),
            "kept": cleaned.kept,
            "frames": cleaned.frames,
            "engine_version": pixels.ENGINE_VERSION,
        }
        yield Emitted(boundary.cross(PIXEL_TEXT, {**common, "box": 0, "thumbnail_key": key, "strip_key": strip_key}))
        for number, box in enumerate(cleaned.boxes, start=1):
            yield Emitted(
                boundary.cross(
                    PIXEL_TEXT,
                    {
                        **common,
                        "box": number,
                        "frame": box.frame,
                        "box_left": box.left,
                        "box_top": box.top,
                        "box_width": box.width,
                        "box_height": box.height,
                        "source": box.source,
                        "score": round(float(box.score), 4),
                    },
                )
            )


def stage_version(finder: pixels.TextFinder, profile: headers.Profile) -> str:
    """Version of the stage with this finder and profile: another one looks at every object anew."""
    return f"{MakeThumbnails.version}+{described(finder)}" + ("+marks" if keep_policy(profile) else "")


def keep_policy(profile: headers.Profile) -> pixels.KeepPolicy | None:
    """What text in pictures may stay under a profile; None: nothing."""
    return pixels.shipped_policy() if profile.burned_in_text == "keep_marks" else None
