"""Pictures of withdrawn patients go, and the hospital's sheet when one of them is on it."""

import io

import pytest
from PIL import Image

from gradient_assets.boundary import contact_sheet_key
from gradient_assets.contact_sheet import put_contact_sheet, shown_on
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.register import Register, Traces
from gradient_assets.withdrawals.sweep import Withdrawn, sweep_thumbnails, thumbnails_of
from resources.buckets.object_store import Bucket, BucketAddress
from tests.unit.withdrawals.conftest import KEY

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
GONE, STAYS = "st-mary/2.25.1/2.25.2/2.25.3.png", "st-mary/2.25.4/2.25.5/2.25.6.png"
SHEET, OTHERS_SHEET = contact_sheet_key("st-mary"), contact_sheet_key("lakeside")


@pytest.fixture
def bucket(tmp_path):
    found = Bucket(BucketAddress(str(tmp_path)))
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "PNG")
    for key in (GONE, STAYS, "lakeside/2.25.7/2.25.8/2.25.9.png"):
        found.put(key, stream.getvalue())
    put_contact_sheet(found, "lakeside", lambda: ["lakeside/2.25.7/2.25.8/2.25.9.png"])
    return found


def withdrawn(**traces):
    register = Register(traces={"": Traces(**{kind: frozenset(names) for kind, names in traces.items()})})
    return Withdrawn(HOSPITAL, register, Pseudonymizer(KEY, "st-mary"))


def keys(bucket):
    return {stat.key for stat in bucket.listing("st-mary/")} | {
        sheet for sheet in (SHEET, OTHERS_SHEET) if bucket.exists(sheet)
    }


@pytest.mark.parametrize("traces", [{"studies": {"2.25.1"}}, {"instances": {"2.25.3"}}], ids=["study", "instance"])
def test_their_pictures_and_a_sheet_that_shows_them_are_deleted(bucket, traces):
    put_contact_sheet(bucket, "st-mary", lambda: [GONE, STAYS])
    assert sweep_thumbnails(withdrawn(**traces), bucket) == 2
    assert keys(bucket) == {STAYS, OTHERS_SHEET}
    assert thumbnails_of(withdrawn(**traces), bucket) == []


def test_a_sheet_of_others_stays(bucket):
    put_contact_sheet(bucket, "st-mary", lambda: [STAYS])
    assert sweep_thumbnails(withdrawn(studies={"2.25.1"}), bucket) == 1
    assert shown_on(bucket, "st-mary") == [STAYS]


def test_a_sheet_is_found_when_the_picture_itself_is_gone_already(bucket):
    put_contact_sheet(bucket, "st-mary", lambda: [GONE, STAYS])
    bucket.delete(GONE)
    assert thumbnails_of(withdrawn(studies={"2.25.1"}), bucket) == [SHEET]


def test_a_sheet_that_does_not_say_whom_it_shows_goes(bucket):
    bucket.put(SHEET, b"foreign")
    assert sweep_thumbnails(withdrawn(studies={"2.25.99"}), bucket) == 1
    assert not bucket.exists(SHEET)


def test_without_withdrawals_nothing_is_looked_at(bucket):
    bucket.put(SHEET, b"foreign")
    assert sweep_thumbnails(withdrawn(), bucket) == 0
    assert bucket.exists(SHEET)
