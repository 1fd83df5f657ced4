"""A hospital whose server is down: it is skipped with its reason, and no other hospital waits for it."""

import socket
from dataclasses import replace

import dagster as dg
import pytest
import yaml

from gradient_assets.assets.landing import Look
from gradient_assets.automation.arrival import STORE_DEADLINE_S, TICK_DEADLINE_S, arrival_sensors
from gradient_assets.hospitals import load_registry
from gradient_assets.instance import DAGSTER_YAML
from resources import Settings, resources_for
from resources.buckets.object_store import Bucket, StoreUnavailable


@pytest.fixture
def silence():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def home(tmp_path, silence, monkeypatch):
    """Two hospitals: the first one's server is silent, the second one's folder has an object."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    common = {
        "report_columns": {"report_id": "id", "text": "text"},
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
    }
    down = {
        "id": "down",
        "number": 1,
        "buckets": {"dicoms": "s3://down-dicoms", "reports": "s3://down-reports"},
        "secret_name": "hospital/down",
        "store": {"endpoint": silence, "credentials": "ambient"},
    }
    up = {
        "id": "up",
        "number": 2,
        "buckets": {"dicoms": "landing/dicoms", "reports": "landing/reports"},
        "secret_name": "hospital/up",
    }
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [common | down, common | up]}))
    for kind in ("dicoms", "reports"):
        (tmp_path / "landing" / kind).mkdir(parents=True)
    (tmp_path / "landing/dicoms/a.dcm").write_bytes(b"x")
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
    registry = load_registry(tmp_path / "hospitals.yaml", home=tmp_path)
    for hospital in registry:
        resources.keys.make(hospital.secret_name)
    return registry, resources


def hurry(monkeypatch):
    """Everybody's patience with a store is a second, so that a test need not wait for it."""
    within = Bucket.within

    def shorter(self, deadline_s):
        found = within(self, deadline_s)
        found.address = replace(found.address, retry_deadline_s=0.5, request_deadline_s=0.5)
        return found

    monkeypatch.setattr(Bucket, "within", shorter)


def test_its_sensor_is_skipped_with_the_reason_and_the_next_one_goes_on(home, monkeypatch):
    hurry(monkeypatch)
    registry, resources = home
    said = {}
    for sensor in arrival_sensors(registry):
        context = dg.build_sensor_context(resources={"resources": resources})
        found = sensor(context)
        said[sensor.name] = [one.skip_message for one in (found if not isinstance(found, dg.SkipReason) else [found])]
    assert said == {
        "arrival_down": ["StoreUnavailable: the hospital's buckets can't be looked at. Run `gradient doctor`."],
        "arrival_up": ["1 objects, still arriving."],
    }


def test_its_observation_ends_with_the_reason_and_says_nothing_was_there(home, monkeypatch):
    hurry(monkeypatch)
    registry, resources = home
    look = Look(resources.hospital_bucket(registry.get("down"), "dicoms").within(1), None)
    with pytest.raises(StoreUnavailable):
        list(look.stats())
    other = Look(resources.hospital_bucket(registry.get("up"), "dicoms"), None)
    assert len(list(other.stats())) == 1


def test_a_tick_that_waits_for_a_store_ends_before_dagster_ends_it():
    assert TICK_DEADLINE_S + STORE_DEADLINE_S < 60


def test_sensors_of_different_hospitals_are_looked_at_at_the_same_time():
    settings = yaml.safe_load(DAGSTER_YAML)
    assert settings["sensors"]["use_threads"] is True
    assert settings["sensors"]["num_workers"] >= 4
