"""Every step that reads a hospital's object reads the one that was listed, or none."""

import os

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import ReadHeaders
from gradient_assets.pipelines.release import CleanInstances
from gradient_assets.pipelines.reports import ReadReports
from gradient_assets.pipelines.steps import WorkItem
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes import two_patients as home
from tests.fakes.small_home import PlantedFinder

HOSPITAL = Hospital("st-mary", 1, "", "", home.COLUMNS, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
PROFILE = Profile.named("longitudinal")
IDENTITY = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
ONE, OTHER = "a/one.dcm", "b/one.dcm"


def cleaning(bucket):
    return CleanInstances(
        "spring",
        {"st-mary": HOSPITAL},
        {"st-mary": bucket},
        {"st-mary": PROFILE},
        {"st-mary": IDENTITY},
        PlantedFinder(),
        None,
    )


STEPS = {
    "headers": (lambda bucket: ReadHeaders(HOSPITAL, bucket, PROFILE), home.OBJECTS[ONE], home.OBJECTS[OTHER]),
    "thumbnails": (
        lambda bucket: MakeThumbnails(HOSPITAL, bucket, IDENTITY, PROFILE, PlantedFinder()),
        home.OBJECTS[ONE],
        home.OBJECTS[OTHER],
    ),
    "release": (cleaning, home.OBJECTS[ONE], home.OBJECTS[OTHER]),
    "reports": (
        lambda bucket: ReadReports(HOSPITAL, bucket),
        home.REPORTS.encode(),
        home.REPORTS.replace("clear", "white").encode(),
    ),
}
"""How a step is made, one patient's object, and what is put in its place."""


@pytest.mark.parametrize("name", STEPS)
def test_an_object_replaced_after_its_listing_has_vanished_and_the_new_one_is_read_by_its_own_listing(tmp_path, name):
    make, first, second = STEPS[name]
    bucket = Bucket(BucketAddress(str(tmp_path)))
    step = make(bucket)
    step.open()
    bucket.put("k", first)
    before = item(bucket)
    bucket.put("k", second)
    moved = (tmp_path / "k").stat().st_mtime_ns + 1
    os.utime(tmp_path / "k", ns=(0, moved))
    with pytest.raises(Refused) as caught:
        list(step.apply(before))
    assert caught.value.reason is Reason.OBJECT_VANISHED
    assert list(step.apply(item(bucket)))


def item(bucket):
    (stat,) = bucket.listing()
    return WorkItem(
        work_token="0" * 32,
        object_key="k",
        object_pseudonym="0" * 32,
        hospital_id="st-mary",
        etag=stat.etag,
        size=stat.size,
        identifiers={},
    )
