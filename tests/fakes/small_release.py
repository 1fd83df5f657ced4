"""A GRADIENT_HOME with one release that was made and checked, without any pipeline: rows and objects are put in place.

The objects are small DICOM images of invented people; `Made.make` stands for the assets `release_dicoms` and `release_manifest`
and their checks, `Made.report` for `release_report` and its check.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import yaml
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gradient_assets.hospitals import Registry, load_registry
from gradient_assets.integrity import given
from gradient_assets.integrity.recorded import recorded_warehouse
from gradient_assets.releases import CheckOutcome, Release, keep_outcome, manifest_digest, save_release
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.evidence import gather_evidence
from gradient_assets.releases.manifest import as_csv, digest_of, manifest_rows
from gradient_assets.releases.pictures import chosen_keys, pictures_of
from gradient_assets.releases.report import render_report
from gradient_assets.releases.verification import NEEDED, PAGE, PIXELS
from gradient_assets.tables import PROD, RELEASE_AUDIT, RELEASE_FACTS, RELEASE_MANIFEST
from gradient_assets.withdrawals.register import Traces
from resources import Resources, Settings, resources_for

AUTHOR, OTHER, THIRD = "Ada Asker", "Otto Officer", "Petra Third"
RELEASE = Release("spring", "uni-x", "modality = 'CT' AND study_description <> 'Quillfeather'")
CLEANED_BY = "5+5+ppocr-v6+ppocr-v4"
DEFAULTS = {
    "BOOL": False,
    "INT64": 0,
    "STRING": "x",
    "FLOAT64": 0.0,
}


@dataclass(frozen=True)
class Person:
    """One patient of the release: the number is theirs, the rest is what tells people apart."""

    number: int
    sex: str = "F"
    age: str = "061Y"
    year: int = 2019

    @property
    def pseudonym(self) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        return "P" + "".join(letters[(self.number >> (5 * place)) & 31] for place in range(16))

    @property
    def study(self) -> str:
        return f"2.25.{1000 + self.number}"

    @property
    def key(self) -> str:
        return f"{self.pseudonym}/{self.study}/2.25.{2000 + self.number}/2.25.{3000 + self.number}.dcm"


def instance(number: int) -> bytes:
    """A small grey picture, different for each number."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID = meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"2.25.{3000 + number}"
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = ((np.arange(256) * 7 + number) % 251).astype(np.uint8).tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


@dataclass
class Made:
    """The home and its release.  `cleaned_by`, `reader`: engines of the objects, and who read them."""

    path: Path
    rules: dict[str, int]
    cleaned_by: str = CLEANED_BY
    reader: str = "ppocr-v3"

    @classmethod
    def build(
        cls,
        path: Path,
        people: list[Person] | None = None,
        *,
        cleaned_by: str = CLEANED_BY,
        reader: str = "ppocr-v3",
        **rules: int,
    ) -> "Made":
        """A home whose release was asked for by `AUTHOR`, made and checked."""
        made = cls(path, rules, cleaned_by, reader)
        entry = {
            "id": "st-mary",
            "number": 1,
            "buckets": {"dicoms": "landing/st-mary/dicoms", "reports": "landing/st-mary/reports"},
            "report_columns": {"report_id": "id", "text": "text"},
            "date_order": "mdy",
            "timezone": "UTC",
            "profile": "safe_harbor",
            "secret_name": "hospital/st-mary",
        }
        content = {"hospitals": [entry], **({"releases": rules} if rules else {})}
        (path / "hospitals.yaml").write_text(yaml.safe_dump(content))
        for secret in ("hospital/st-mary", RELEASE.secret_name):
            made.resources.vault.create(secret)
        save_release(made.resources.release_requests, RELEASE)
        made.gate.log.append("draft", AUTHOR)
        made.make(people if people is not None else [Person(number) for number in range(3)])
        return made

    def make(self, people: list[Person], *, checked: bool = True) -> None:
        """Put objects, rows and the checks' outcomes in place, instead of those before."""
        bucket = self.resources.releases
        contents = {person.key: instance(person.number) for person in people}
        for key, content in contents.items():
            bucket.put(f"{RELEASE.prepared}/{key}", content)
        common = [{"release": RELEASE.name, "work_token": f"{person.number:032x}"} for person in people]
        self.put(
            RELEASE_MANIFEST,
            [
                row
                | {
                    "hospital_number": 1,
                    "object_key": person.key,
                    "sha256": hashlib.sha256(contents[person.key]).hexdigest(),
                    "patient_pseudonym": person.pseudonym,
                    "study_instance_uid": person.study,
                    "modality": "CT",
                    "frames": 1,
                    "profile": "safe_harbor",
                    "standard_edition": "2026a",
                    "engine_version": self.cleaned_by,
                }
                for row, person in zip(common, people, strict=True)
            ],
        )
        self.put(
            RELEASE_FACTS,
            [
                row
                | {
                    "hospital_id": "st-mary",
                    "hospital_number": 1,
                    "patient_pseudonym": person.pseudonym,
                    "study_instance_uid": person.study,
                    "modality": "CT",
                    "patient_sex": person.sex,
                    "patient_age": person.age,
                    "study_year": person.year,
                    "boxes_json": json.dumps({"ppocr": 2, "device-rule": 1}),
                }
                for row, person in zip(common, people, strict=True)
            ],
        )
        actions = json.dumps({"remove": {"(0010,1040)": 2}, "keep": {"(0008,0060)": 1}, "private": {"(0009,xx01)": 4}})
        self.put(
            RELEASE_AUDIT,
            [
                row
                | {"hospital_id": "st-mary", "object_key": f"quillfeather/{person.number}.dcm", "actions_json": actions}
                | {"removed_by_kind_json": json.dumps({"NAME": 3}), "hospital_number": 1}
                for row, person in zip(common, people, strict=True)
            ],
        )
        self.note(len(people))
        if checked:
            self.check()

    def note(self, instances: int) -> None:
        """How many instances the cohort had when the release was made."""
        key = self.resources.key(RELEASE.secret_name)
        warehouse = recorded_warehouse(self.resources, RELEASE.name, key, "made", "release")
        given.note(warehouse, RELEASE.name, "release_dicoms", instances, "")

    def check(self, *, failing: str = "", idle: tuple[str, str] | None = None, accepted: int = 0) -> None:
        """What the blocking checks leave, over what the release holds now; `idle` is one that looked at nothing."""
        manifest = manifest_digest(self.resources.warehouse, RELEASE.name)
        for asset, check in NEEDED:
            hits = {"NAME in object key": 1} if check == failing else {}
            outcome = CheckOutcome(
                asset,
                check,
                not hits,
                0 if (asset, check) == idle else 7,
                hits,
                manifest,
                accepted=accepted,
                known=1234 if check == "no_known_identifier" else 0,
                reader=self.reader if (asset, check) == PIXELS and idle != PIXELS else "",
            )
            keep_outcome(self.resources, RELEASE.name, outcome)

    def check_page(self, page: bytes, *, failing: bool = False) -> None:
        """What the check of the page leaves, over this page and what the release holds now."""
        hits, manifest = (
            {"NAME in report.html": 1} if failing else {},
            manifest_digest(self.resources.warehouse, RELEASE.name),
        )
        outcome = CheckOutcome(*PAGE, not failing, 2, hits, manifest, known=1234, report=digest_of(page))
        keep_outcome(self.resources, RELEASE.name, outcome)

    def report(self, *, checked: bool = True) -> bytes:
        """Verify it, and check the page; returns the page."""
        evidence = gather_evidence(self.resources, self.registry, RELEASE)
        waiting = self.resources.releases.under(RELEASE.prepared)
        pictures = pictures_of(chosen_keys(evidence.rows, evidence.manifest), waiting.get)
        page = render_report(evidence, pictures).encode()
        self.gate.verify("root", as_csv(manifest_rows(self.resources.warehouse, RELEASE.name)), page)
        if checked:
            self.check_page(page)
        return page

    def put(self, spec, rows, partition: str = "") -> None:
        """Replace a partition; columns that are not given have a value that says nothing."""
        filled = [
            {c.name: row.get(c.name, DEFAULTS.get(c.type) if c.required else None) for c in spec.columns}
            for row in rows
        ]
        shard = self.path / f"{spec.name}.shard.parquet"
        pq.write_table(pa.Table.from_pylist(filled, spec.arrow_schema), shard)
        partition = partition or RELEASE.name
        self.resources.warehouse.drop(spec, partition)
        self.resources.warehouse.replace(spec, partition, shards=[shard.as_uri()])
        shard.unlink()

    def put_prod(self, people: list[Person]) -> None:
        """The cohort's rows of `prod`."""
        self.put(
            PROD,
            [
                {
                    "hospital_id": "st-mary",
                    "patient_pseudonym": person.pseudonym,
                    "sop_instance_uid": f"2.25.{person.number}",
                    "modality": "CT",
                    "study_description": "HEAD",
                    "patient_sex": person.sex,
                    "patient_age": person.age,
                    "study_year": person.year,
                }
                for person in people
            ],
            "st-mary",
        )

    @cached_property
    def resources(self) -> Resources:
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))

    @property
    def registry(self) -> Registry:
        return load_registry(self.path / "hospitals.yaml", home=self.path)

    @property
    def gate(self) -> Gate:
        return Gate(self.resources, self.registry.releases, RELEASE)

    @property
    def log_folder(self) -> Path:
        return self.path / "identified/release_requests/_states" / RELEASE.name

    def delivered(self) -> set[str]:
        """Keys in the recipient's folder."""
        return {stat.key for stat in self.resources.releases.under(RELEASE.delivered).listing()}


@dataclass
class TheFirst:
    """A register of withdrawals in which the first patient stands."""

    register: bool = True
    traces: Traces = field(default_factory=lambda: Traces(patients=frozenset({Person(0).pseudonym})))

    @classmethod
    def of(cls, *_):
        return cls()

    def columns(self, spec):
        return ("work_token",)

    def owns(self, spec, row):
        return int(row["work_token"], 16) == 0
