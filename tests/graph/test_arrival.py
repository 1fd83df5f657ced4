"""The arrival sensor: pages with a cursor and a deadline, settles before it asks, and keeps no key in the clear."""

from pathlib import Path

import dagster as dg
import pytest

from gradient_assets.automation.arrival import Cursor, Watch, arrival_sensor, seal, unseal
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.diagnostics import Diagnostics
from resources import Resources, Settings
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes.small_home import SmallHome

IDENTITY = Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")


class Clock:
    """A clock that the test moves; each look at it costs `step_s`."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s, self.step_s = 1000.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@pytest.fixture
def landing(tmp_path) -> Path:
    for kind in ("dicoms", "reports"):
        (tmp_path / kind).mkdir()
    for number in range(10):
        (tmp_path / "dicoms" / f"DOE_JOHN_{number}.dcm").write_bytes(b"x")
    (tmp_path / "reports" / "r.csv").write_bytes(b"x")
    return tmp_path


def watch(landing: Path, clock: Clock, **settings) -> Watch:
    buckets = {kind: Bucket(BucketAddress(str(landing / kind))) for kind in ("dicoms", "reports")}
    return Watch(buckets, IDENTITY, now=clock, **settings)


def test_it_asks_once_when_the_listing_has_settled(landing):
    clock = Clock()
    cursor, listing = watch(landing, clock).tick(Cursor())
    assert (cursor.objects, listing) == (11, "")
    clock.now_s += 61
    cursor, listing = watch(landing, clock).tick(cursor)
    assert listing
    clock.now_s += 61
    cursor, listing = watch(landing, clock).tick(cursor)
    assert listing == ""


def test_an_upload_that_goes_on_is_waited_for(landing):
    clock = Clock()
    cursor, _ = watch(landing, clock).tick(Cursor())
    for number in range(3):
        (landing / "dicoms" / f"more_{number}.dcm").write_bytes(b"x")
        clock.now_s += 61
        cursor, listing = watch(landing, clock).tick(cursor)
        assert listing == ""
    clock.now_s += 61
    assert watch(landing, clock).tick(cursor)[1]


@pytest.mark.parametrize("change", ["new", "gone", "other content", "new report"])
def test_any_change_of_a_settled_bucket_is_asked_for(landing, change):
    clock = Clock()
    cursor, _ = watch(landing, clock).tick(Cursor())
    clock.now_s += 61
    cursor, _ = watch(landing, clock).tick(cursor)
    match change:
        case "new":
            (landing / "dicoms" / "z.dcm").write_bytes(b"x")
        case "gone":
            (landing / "dicoms" / "DOE_JOHN_3.dcm").unlink()
        case "other content":
            (landing / "dicoms" / "DOE_JOHN_3.dcm").write_bytes(b"longer")
        case "new report":
            (landing / "reports" / "s.csv").write_bytes(b"x")
    cursor, listing = watch(landing, clock).tick(cursor)
    assert listing == ""
    clock.now_s += 61
    assert watch(landing, clock).tick(cursor)[1]


def test_a_tick_that_runs_out_of_time_goes_on_at_its_cursor(landing):
    clock = Clock(step_s=1.0)
    cursor = Cursor()
    ticks = 0
    while not cursor.whole:
        cursor, listing = watch(landing, clock, deadline_s=4.0).tick(cursor)
        assert listing == ""
        ticks += 1
    assert ticks > 2
    quiet = Clock()
    quiet.now_s = clock.now_s
    assert watch(landing, quiet).tick(Cursor())[0].whole == cursor.whole


def test_the_stored_cursor_shows_no_object_key_and_survives(landing):
    clock = Clock(step_s=1.0)
    cursor, _ = watch(landing, clock, deadline_s=4.0).tick(Cursor())
    assert "DOE" in cursor.after
    stored = seal(cursor, IDENTITY)
    assert "DOE" not in stored
    assert unseal(stored, IDENTITY) == cursor


@pytest.mark.parametrize("stored", [None, "", "nonsense", "{}", '{"unknown": 1}', '{"after": "not sealed"}'])
def test_a_cursor_that_cannot_be_read_starts_anew(stored):
    assert unseal(stored, IDENTITY) == Cursor()


class BrokenKeys(Resources):
    """Resources whose keys raise an error that quotes a name."""

    def key(self, secret_name):
        raise ValueError("DOE^JANE")


@pytest.mark.parametrize("days", ["30", "0"])
def test_an_error_of_a_tick_is_told_without_its_text(tmp_path, days):
    hospital = SmallHome.build(tmp_path, with_thumbnails=False).hospital
    settings = Settings.from_environment({"GRADIENT_HOME": str(tmp_path), "GRADIENT_DIAGNOSTICS_DAYS": days})
    resources = BrokenKeys(settings)
    context = dg.build_sensor_context(resources={"resources": resources})
    with pytest.raises(dg.Failure) as caught:
        list(arrival_sensor(hospital)(context))
    assert "ValueError at" in caught.value.description
    assert "DOE" not in caught.value.description
    assert caught.value.__context__ is None
    kept = Diagnostics.open(resources, "test")
    assert [("DOE^JANE" in kept.show(name, who="t", reason="t").text) for name, _ in list(kept.listed())] == (
        [True] if days == "30" else []
    )
