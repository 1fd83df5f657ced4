"""A hospital of a few objects, run through the stages' own steps with one protective step off, and looked at as the checks do.

Belongs here: building the home, running one stage, and taking every look of the verification at what was written.  Which
step is off and what was planted for it is said by the tables of cases beside this file.
"""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
import yaml
from PIL import Image

import gradient_assets.checks.reconciliation as reconciliation
import gradient_assets.checks.triage as triage
from gradient_assets.deid.headers import Profile, replaced_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import Hospital, Registry, load_registry
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.release import CleanInstances
from gradient_assets.pipelines.reports import CleanReports, ReadReports
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.pipelines.worker import StepRunner
from gradient_assets.pipelines.worklist import write_everyone
from gradient_assets.releases import Release
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    PIXEL_TEXT,
    RELEASE_MANIFEST,
    TableSpec,
)
from gradient_assets.verification import Found, Verifier
from resources import Resources, Settings, resources_for
from tests.fakes.small_home import image

HOSPITAL, SECRET = "st-mary", "hospital/st-mary"
RELEASE = Release("spring", "uni-x", "modality = 'MR'")
HEADERS, REPORTS, THUMBNAILS, DELIVERED = (
    "deidentified_metadata",
    "deidentified_reports",
    "thumbnails",
    "release_dicoms",
)
STAGES = (HEADERS, REPORTS, THUMBNAILS, DELIVERED)

PATIENT_ID, NAME, BIRTH, STUDY_DATE = "MRN-771204", "Quillfeather^Zebulon", "19610203", "20190304"
OTHER_ID, OTHER_NAME = "MRN-880315", "Wobblethorpe^Griselda"
"""The hospital's other patient, who must not be named in the first one's records."""
COLUMNS = {
    "report_id": "Id",
    "text": "Report",
    "patient_id": "MRN",
    "patient_name": "Name",
    "study_date": "Date",
    "patient_address": "Address",
    "institution_name": "Place",
}


@dataclass(frozen=True)
class Sent:
    """What the hospital has in its buckets, and how it is set up."""

    dicoms: tuple[bytes, ...] = ()
    reports: tuple[str, ...] = ()
    profile: str = "longitudinal"
    settings: dict[str, object] = field(default_factory=dict)
    finder: object = None
    second: object = None
    reader: object = None
    """Who reads pictures when they are verified."""


def instance(
    number: int = 1, places: tuple[object, ...] = (), *, frames: int = 1, **elements: object
) -> pydicom.FileDataset:
    """A small image of the first patient; elements by keyword are set, None takes one out."""
    ds = pydicom.dcmread(io.BytesIO(image(number, list(places), frames=frames)))
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def stored(ds: pydicom.FileDataset) -> bytes:
    """The object's bytes."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


OTHER_PATIENT = stored(
    instance(90, PatientID=OTHER_ID, PatientName=OTHER_NAME, StudyInstanceUID="1.2.3.5.200", SeriesInstanceUID="1.2.3.5.100",
             PatientBirthDate="19580911", StudyDate="20190619")
)  # fmt: skip


def csv_of(reports: tuple[str, ...]) -> str:
    """The reports' file: the text of each in quotes, in the first patient's name."""
    rows = ["Id,MRN,Name,Date,Address,Place,Report"]
    for number, text in enumerate(reports, start=1):
        quoted = text.replace('"', '""')
        rows.append(
            f'R-{number:04},{PATIENT_ID},Zebulon Quillfeather,03/04/2019,"17 Marrowbone Lane, Dunquillan",'
            f'Thornaby Reach,"{quoted}"'
        )
    return "\n".join(rows) + "\n"


@dataclass
class Outcome:
    """What one run came to: reasons of refusals, looks that found something, and all that can be read in the output."""

    refused: Counter[str] = field(default_factory=Counter)
    failed: str = ""
    looks: dict[str, Found] = field(default_factory=dict)
    unbalanced: bool = False
    texts: list[str] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    def holds(self, planted: str) -> bool:
        """Whether it stands anywhere in tables, keys or bytes of what was written."""
        return any(planted.casefold() in text.casefold() for text in self.texts)

    @property
    def found(self) -> list[str]:
        """Names of the looks with a finding."""
        return [name for name, found in self.looks.items() if found.total]


class HospitalUnderTest:
    """One home; `run` does a stage with the steps as they are patched at that moment, as often as wanted."""

    def __init__(self, path: Path, sent: Sent) -> None:
        self.path, self.sent = path, sent
        for number, content in enumerate((*sent.dicoms, OTHER_PATIENT)):
            self._put("dicoms", f"{number:03}.dcm", content)
        self._put("reports", "2019.csv", csv_of(sent.reports or ("No effusion.",)).encode())
        entry = {
            "id": HOSPITAL,
            "number": 1,
            "buckets": {kind: f"landing/{HOSPITAL}/{kind}" for kind in ("dicoms", "reports")},
            "report_columns": COLUMNS,
            "date_order": "mdy",
            "timezone": "UTC",
            "profile": self.profile_name,
            "secret_name": SECRET,
            **sent.settings,
        }
        (path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))
        for secret in (SECRET, RELEASE.secret_name):
            self.resources.vault.create(secret)

    def _put(self, kind: str, key: str, content: bytes) -> None:
        file = self.path / f"landing/{HOSPITAL}/{kind}" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    @cached_property
    def resources(self) -> Resources:
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))

    @cached_property
    def registry(self) -> Registry:
        return load_registry(self.path / "hospitals.yaml", home=self.path)

    @property
    def hospital(self) -> Hospital:
        return self.registry.get(HOSPITAL)

    @property
    def identity(self) -> Pseudonymizer:
        return Pseudonymizer(self.resources.key(SECRET), HOSPITAL)

    @property
    def source(self) -> WorkSource:
        return WorkSource(self.hospital, self.resources.warehouse, self.identity)

    @cached_property
    def profile_name(self) -> str:
        """A named profile, or the file of one that was given as text."""
        if "\n" not in self.sent.profile:
            return self.sent.profile
        file = self.path / "profile.yaml"
        file.write_text(self.sent.profile)
        return str(file)

    @cached_property
    def profile(self) -> Profile:
        return Profile.of(self.profile_name)

    def read(self) -> Counter[str]:
        """The identified tables, and the headers, which the thumbnails need."""
        dicoms, reports = (self.resources.hospital_bucket(self.hospital, kind) for kind in ("dicoms", "reports"))
        headers, texts = ReadHeaders(self.hospital, dicoms, self.profile), ReadReports(self.hospital, reports)
        counts = self._apply(headers, self.source.objects(dicoms.listing(), headers.version))
        return counts + self._apply(texts, self.source.files(reports.listing(), texts.version)) + self._headers()

    def run(self, stage: str, *, looking: bool = True) -> Outcome:
        """Do one stage from the identified tables, and look at what it wrote."""
        outcome = Outcome()
        try:
            outcome.refused = self._stages[stage]()
        except Exception as error:  # what would end the run
            outcome.failed = type(error).__name__
            return outcome
        if looking:
            self._look(stage, outcome)
        self._gather(stage, outcome)
        return outcome

    @property
    def _stages(self) -> dict[str, Callable[[], Counter[str]]]:
        return {HEADERS: self._headers, REPORTS: self._reports, THUMBNAILS: self._thumbnails, DELIVERED: self._release}

    def _headers(self) -> Counter[str]:
        known = gather(self.resources.warehouse, HOSPITAL)
        step = CleanHeaders(self.hospital, self.profile, self.identity)
        return self._apply(step, self.source.headers(known, self.profile, step.version), known.everyone())

    def _reports(self) -> Counter[str]:
        known = gather(self.resources.warehouse, HOSPITAL)
        step = CleanReports(self.hospital, self.profile, self.identity)
        return self._apply(step, self.source.reports(known, self.profile, step.version), known.everyone())

    def _thumbnails(self) -> Counter[str]:
        bucket = self.resources.hospital_bucket(self.hospital, "dicoms")
        step = MakeThumbnails(self.hospital, bucket, self.identity, self.profile, self.sent.finder or Blind())
        return self._apply(step, self.source.pixels(step.version))

    def _release(self) -> Counter[str]:
        known, identity = gather(self.resources.warehouse, HOSPITAL), self.identity
        recipient = Pseudonymizer(self.resources.key(RELEASE.secret_name), HOSPITAL)
        bucket = self.resources.hospital_bucket(self.hospital, "dicoms")
        step = CleanInstances(
            RELEASE.name,
            {HOSPITAL: self.hospital},
            {HOSPITAL: bucket},
            {HOSPITAL: self.profile},
            {HOSPITAL: recipient},
            self.sent.finder or Blind(),
            self.sent.second,
        )
        batches = self.resources.warehouse.scan(DICOM_METADATA, HOSPITAL, columns=("sop_instance_uid",))
        cohort = {replaced_uid(uid, identity.uid) for batch in batches for uid in batch["sop_instance_uid"].to_pylist()}
        return self._apply(step, self.source.release(cohort, known, recipient, step.version), partition=RELEASE.name)

    def _apply(self, step, items, everyone=(), partition: str = HOSPITAL) -> Counter[str]:
        is_release = partition != HOSPITAL
        warehouse = self.resources.warehouse
        with (
            warehouse.staging("identified", "run") as private,
            warehouse.staging(step.output.zone, "run") as visible,
            warehouse.staging("identified", "objects") as objects,
        ):
            places = {step.output.zone: visible, "identified": private, "objects": objects}
            places = {zone: StagingPlace(one.bucket, one.uri) for zone, one in places.items()}
            write_everyone(places["identified"], everyone)
            result = StepRunner(step, {HOSPITAL: self.hospital}, places).run(list(items))
            bucket, prefix = (
                (self.resources.releases.under(RELEASE.prepared), "")
                if is_release
                else (self.resources.thumbnails, f"{HOSPITAL}/")
            )
            if step.output in (PIXEL_TEXT, RELEASE_MANIFEST):
                bucket.delete([stat.key for stat in bucket.listing(prefix)])
            for stat in list(objects.bucket.listing()):
                bucket.put(stat.key, objects.bucket.get(stat.key))
            for spec in (step.refusals, step.made, *step.beside, step.output):
                warehouse.drop(spec, partition)
                warehouse.replace(spec, partition, shards=result.shards.get(spec.full_name, []))
        refused = {name.partition("/")[2]: n for name, n in result.counts.items() if name.startswith("refused/")}
        return Counter(refused)

    # looks

    def verifier(self, stage: str) -> Verifier:
        """As the stage's checks have it, with the reader of this hospital's tests."""
        if stage == DELIVERED:
            one = Verifier.of_release(self.resources, self.registry, RELEASE)
        else:
            one = Verifier.of_hospital(self.resources, self.hospital)
        return replace(one, reader=self.sent.reader, share=1.0)

    def _look(self, stage: str, outcome: Outcome) -> None:
        one = self.verifier(stage)
        looks = {
            HEADERS: {
                "no_known_identifier": lambda: one.known(DEIDENTIFIED_METADATA),
                "profile_holds": one.profile,
                "no_identifier_like_pattern": lambda: one.patterns(DEIDENTIFIED_METADATA),
            },
            REPORTS: {
                "no_known_identifier": lambda: one.known(DEIDENTIFIED_REPORTS),
                "no_identifier_like_pattern": lambda: one.patterns(DEIDENTIFIED_REPORTS),
            },
            THUMBNAILS: {
                "no_known_identifier": lambda: one.known_in_thumbnails(one.known(PIXEL_TEXT)),
                "no_text_in_pixels": one.text_in_thumbnails,
                "triage_missed_nothing": self._audited,
            },
            DELIVERED: {
                "no_known_identifier": lambda: one.known_in_release(one.known(RELEASE_MANIFEST)),
                "profile_holds": one.profile_of_release,
                "no_identifier_like_pattern": one.patterns_of_release,
                "no_text_in_pixels": one.text_in_release,
            },
        }
        outcome.looks = {name: look() for name, look in looks[stage].items()}
        outcome.unbalanced = any(
            not balance.holds for balance in reconciliation.balances(self.resources.warehouse, HOSPITAL, None, None)
            if balance.stage == stage
        )  # fmt: skip

    def _audited(self) -> Found:
        audit = triage.audit_of(self.resources.warehouse, HOSPITAL)
        return Found(audit.audited, loose=+Counter({("text", "audit sample"): audit.hits}))

    def _gather(self, stage: str, outcome: Outcome) -> None:
        table, bucket = {
            HEADERS: (DEIDENTIFIED_METADATA, None),
            REPORTS: (DEIDENTIFIED_REPORTS, None),
            THUMBNAILS: (PIXEL_TEXT, self.resources.thumbnails),
            DELIVERED: (RELEASE_MANIFEST, self.resources.releases),
        }[stage]
        outcome.texts = [str(row) for row in self.rows(table)]
        for stat in bucket.listing() if bucket is not None else ():
            content = bucket.get(stat.key)
            outcome.texts += [stat.key, content.decode("latin-1")]
            outcome.pictures += list(_pictures(content, stat.key))

    def rows(self, table: TableSpec) -> Iterator[dict[str, object]]:
        """The rows of a table's partition."""
        partition = RELEASE.name if table is RELEASE_MANIFEST else HOSPITAL
        for batch in self.resources.warehouse.scan(table, partition):
            yield from batch.to_pylist()


def _pictures(content: bytes, key: str) -> Iterator[np.ndarray]:
    if key.endswith(".png"):
        with Image.open(io.BytesIO(content)) as picture:
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                yield np.asarray(picture.convert("L"))
    elif "PixelData" in (ds := pydicom.dcmread(io.BytesIO(content))):
        pixels = ds.pixel_array
        yield from pixels if pixels.ndim == 3 else (pixels,)


@dataclass
class Blind:
    """Finds nothing."""

    name: str = "blind"
    version: str = "1"

    def find(self, image):
        return []


@dataclass
class Built:
    """Homes by what was sent: read once, and each stage done anew from the same identified tables."""

    root: Path
    _homes: dict[int, HospitalUnderTest] = field(default_factory=dict)
    _clean: dict[tuple[int, str], Outcome] = field(default_factory=dict)

    def of(self, sent: Sent) -> HospitalUnderTest:
        """The home; its identified tables are written."""
        if id(sent) not in self._homes:
            path = self.root / f"home{len(self._homes)}"
            path.mkdir()
            home = HospitalUnderTest(path, sent)
            home.read()
            self._homes[id(sent)] = home
        return self._homes[id(sent)]

    def clean(self, sent: Sent, stage: str) -> Outcome:
        """The outcome with every step on."""
        if (id(sent), stage) not in self._clean:
            self._clean[id(sent), stage] = self.of(sent).run(stage)
        return self._clean[id(sent), stage]

    def close(self) -> None:
        """Take the homes away."""
        shutil.rmtree(self.root, ignore_errors=True)
