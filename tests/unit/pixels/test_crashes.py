"""Native code that crashes, hangs or eats memory costs its own object: quarantined, and no picture of it is written."""

import ctypes
import io
import time
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.pixels import FoundText, decoding
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.pool import WorkerPool
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.tables import PIXEL_TEXT, REFUSED_THUMBNAILS
from resources.buckets.object_store import Bucket, BucketAddress
from tests.unit.pixels import objects
from tests.unit.pixels.objects import gradient, object_of

PROFILE = Profile.named("longitudinal")
HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
# What the finder and the decoder do is told by the height of the picture.
ROWS = {"fine": 40, "crash in the finder": 41, "hang": 42, "out of memory": 43, "error": 44, "crash in the codec": 45}


def crash() -> None:
    """A real segmentation fault."""
    ctypes.string_at(0)


@dataclass
class WildFinder:
    """Finds one line, or fails in the way that the height of the picture says."""

    name: str = "wild"

    def find(self, image: np.ndarray) -> list[FoundText]:
        rows = image.shape[0]
        if rows == ROWS["crash in the finder"]:
            crash()
        if rows == ROWS["hang"]:
            time.sleep(3600)
        if rows == ROWS["out of memory"]:
            np.ones(64 << 30, np.uint8)
        if rows == ROWS["error"]:
            raise ValueError("SECRET NAME")
        return [FoundText(20, 12, 24, 10, 0.9, 5)] if image.min() != image.max() and rows == ROWS["fine"] else []


@dataclass
class CrashingCodec(MakeThumbnails):
    """The thumbnails step with a JPEG-LS decoder that crashes."""

    def open(self) -> None:
        super().open()
        decoding.imagecodecs.jpegls_decode = lambda *_, **__: crash()


def written(ds: Dataset) -> bytes:
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (generate_uid() for _ in range(3))
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "staging").mkdir()
    return StagingPlace(Bucket(BucketAddress(str(tmp_path / "staging"))), (tmp_path / "staging").as_uri())


def test_each_crash_is_a_refusal_and_nothing_of_its_object_is_written(place, tmp_path, monkeypatch):
    monkeypatch.setattr("gradient_assets.pipelines.pool.START_S", 20.0)
    landing = tmp_path / "landing"
    landing.mkdir()
    names = ["fine", "crash in the finder", "hang", "out of memory", "error", "crash in the codec", "fine too"]
    for name in names:
        syntax = objects.JPEG_LS if name == "crash in the codec" else objects.EXPLICIT
        ds = object_of(gradient(ROWS[name.removesuffix(" too")], 64, "uint8"), syntax=syntax)
        (landing / name).write_bytes(written(ds))
    bucket = Bucket(BucketAddress(str(landing)))
    etags = {stat.key: stat.etag for stat in bucket.listing()}
    items = [
        WorkItem(work_token=f"{n:032x}", object_key=name, object_pseudonym="p", hospital_id="st-mary", etag=etags[name])
        for n, name in enumerate(names)
    ]
    identity = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
    step = CrashingCodec(HOSPITAL, bucket, identity, PROFILE, WildFinder(), deadline_s=0.5)
    places = {"identified": place, "deidentified": place, "objects": place}
    with WorkerPool(step, {"st-mary": HOSPITAL}, places, 2) as pool:
        result = pool.run(items)

    def rows(spec):
        names = [uri.rpartition("/")[2] for uri in result.shards.get(spec.full_name, [])]
        return [row for name in names for row in pq.read_table(io.BytesIO(place.bucket.get(name))).to_pylist()]

    refused = rows(REFUSED_THUMBNAILS)
    assert {row["object_key"]: row["reason"] for row in refused} == {
        "crash in the finder": "worker_died",
        "hang": "timed_out",
        "out of memory": "pixel_engine_failed",
        "error": "pixel_engine_failed",
        "crash in the codec": "worker_died",
    }
    assert "SECRET" not in str(refused)
    assert {row["work_token"] for row in rows(PIXEL_TEXT)} == {f"{n:032x}" for n in (0, 6)}
    pictures = [key for key in (one.key for one in place.bucket.listing()) if key.endswith(".png")]
    assert len(pictures) == 2
