"""A hospital whose server is down: it is told with its reason, and no other hospital waits for it."""

import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.selector import SensorSelector
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget, create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.daemon import SensorDaemon

from gradient_assets.assets.landing import Look
from gradient_assets.automation import arrival
from gradient_assets.automation.arrival import STORE_DEADLINE_S, TICK_DEADLINE_S, arrival_sensors
from gradient_assets.hospitals import load_registry
from gradient_assets.instance import prepare_home
from gradient_assets.tables import DICOM_METADATA, FINAL_TABLE
from resources import Settings, resources_for
from resources.buckets import s3_requests
from resources.buckets.object_store import Bucket, StoreUnavailable
from tests.fakes import small_hospital
from tests.graph.forked import PLANTED, ForkedHome

UNLOOKED = "StoreUnavailable: the hospital's buckets can't be looked at. Run `gradient doctor`."
LONG_S = 120.0
"""For what comes within a second or two where nothing else runs."""


@dataclass
class Silence:
    """A server that takes connections and never answers, until it is told to hang up."""

    listening: socket.socket
    asked: threading.Event = field(default_factory=threading.Event)
    taken: list[socket.socket] = field(default_factory=list)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def take(self):
        with suppress(OSError):
            while True:
                self.taken.append(self.listening.accept()[0])
                self.asked.set()

    def hang_up(self):
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.taken:
            connection.close()


@pytest.fixture
def silence():
    server = Silence(socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=server.take, daemon=True).start()
    yield server
    server.hang_up()


@pytest.fixture
def home(tmp_path, silence):
    """Two small hospitals: the first one's server is silent, the second one's is a folder."""
    path = small_hospital.build(tmp_path / "home", "down", "up")
    registry = yaml.safe_load((path / "hospitals.yaml").read_text())
    registry["hospitals"][0] |= {
        "buckets": {"dicoms": "s3://down-dicoms", "reports": "s3://down-reports"},
        "store": {"endpoint": silence.endpoint, "credentials": "ambient"},
    }
    (path / "hospitals.yaml").write_text(yaml.safe_dump(registry))
    return path


@pytest.fixture
def opened(home, monkeypatch):
    """The registry and the stores of the home."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    registry = load_registry(home / "hospitals.yaml", home=home)
    return registry, resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)}))


def hurry(monkeypatch, retry_s=0.5, request_s=0.5):
    """Everybody's patience with a store is so short, so that a test need not wait for it."""
    within = Bucket.within

    def shorter(self, deadline_s):
        found = within(self, deadline_s)
        found.address = replace(found.address, retry_deadline_s=retry_s, request_deadline_s=request_s)
        return found

    monkeypatch.setattr(Bucket, "within", shorter)


def test_its_sensor_is_skipped_with_the_reason_and_the_next_one_goes_on(opened, monkeypatch):
    hurry(monkeypatch)
    registry, resources = opened
    said = {}
    for sensor in arrival_sensors(registry):
        context = dg.build_sensor_context(resources={"resources": resources})
        found = sensor(context)
        said[sensor.name] = [one.skip_message for one in (found if not isinstance(found, dg.SkipReason) else [found])]
    objects = len(small_hospital.IMAGES) + 2
    assert said == {"arrival_down": [UNLOOKED], "arrival_up": [f"{objects} objects, still arriving."]}


def until(found):
    """What is found before long."""
    end = time.monotonic() + LONG_S
    while not (answer := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return answer


@contextmanager
def daemon(instance, home):
    """Dagster's own sensor daemon over the graph of the home, with the settings that the platform gives it."""
    graph = home.with_name("graph.py")
    graph.write_text("from gradient_assets.definitions import build_defs\n\ndefs = build_defs()\n")
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=str(graph), attribute="defs"))
    ending = threading.Event()
    with (
        create_test_daemon_workspace_context(InProcessTestWorkspaceLoadTarget(origin), instance) as workspace,
        SensorDaemon(instance.get_sensor_settings()) as sensors,
    ):

        def beat():
            for _ in sensors.core_loop(workspace, ending):
                if ending.is_set():
                    return

        heart = threading.Thread(target=beat)
        heart.start()
        try:
            yield workspace
        finally:
            ending.set()
            heart.join()


def tick_of(workspace, name):
    """The sensor's last tick: its status and why it was skipped; None before it began."""
    location = workspace.create_request_context().code_locations[0]
    repository = next(iter(location.get_repositories().values()))
    sensor = workspace.create_request_context().get_sensor(
        SensorSelector(location_name=location.name, repository_name=repository.name, sensor_name=name)
    )
    found = workspace.instance.get_ticks(sensor.get_remote_origin_id(), sensor.selector_id, limit=1)
    return (found[0].status.value, found[0].skip_reason) if found else None


def test_while_dagsters_daemon_waits_for_its_server_the_other_hospitals_run_is_asked_for(
    home, opened, silence, monkeypatch
):
    """Each waits for the other: the good one's tick until the silent server was asked, the server until that tick is over."""
    hurry(monkeypatch, request_s=LONG_S)
    monkeypatch.setattr(s3_requests, "READ_DEADLINE_S", LONG_S)
    monkeypatch.setenv("GRADIENT_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_home(home, {})))
    tick = arrival.Watch.tick

    def together(self, cursor):
        self.settled_after_s = 0.0
        if self.buckets["dicoms"].address.scheme == "file":
            assert silence.asked.wait(LONG_S / 2), "the silent hospital's sensor was not looked at meanwhile"
        return tick(self, cursor)

    monkeypatch.setattr(arrival.Watch, "tick", together)
    with dg.DagsterInstance.get() as instance, daemon(instance, home) as workspace:
        over = until(lambda: (said := tick_of(workspace, "arrival_up")) and said[0] != "STARTED" and said)
        assert (over[0], tick_of(workspace, "arrival_down")[0]) == ("SUCCESS", "STARTED")
        assert [run.tags["dagster/partition"] for run in instance.get_runs()] == ["up"]
        silence.hang_up()
        until(lambda: tick_of(workspace, "arrival_down")[0] != "STARTED")
        assert tick_of(workspace, "arrival_down") == ("SKIPPED", UNLOOKED)
        assert [run.tags["dagster/partition"] for run in instance.get_runs()] == ["up"]


def test_a_listing_of_it_ends_with_the_reason_and_is_never_an_empty_one(opened, monkeypatch):
    hurry(monkeypatch)
    registry, resources = opened
    look = Look(resources.hospital_bucket(registry.get("down"), "dicoms").within(1), None)
    with pytest.raises(StoreUnavailable):
        list(look.stats())


def test_a_run_of_all_tells_its_reason_and_finishes_the_others(home, commands):
    """It comes first in the registry, and the others are run after it."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    small = ForkedHome(home, commands, fakes=(*PLANTED, "hurried"))
    done = small.gradient("run", expect=3, **keys)
    told = [line for line in done.stderr.splitlines() if line.startswith("down: ") and ": list: " in line]
    assert sorted(line.split(": ")[1] for line in told) == ["dicom_metadata", "identified_reports"]
    assert not [line for line in done.stderr.splitlines() if line.startswith("up: ") and "fail" in line]
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        ended = {run.tags["dagster/partition"]: run.status for run in instance.get_runs()}
    assert ended == {"down": dg.DagsterRunStatus.FAILURE, "up": dg.DagsterRunStatus.SUCCESS}
    warehouse, images = small.resources.warehouse, len(small_hospital.IMAGES)
    rows = {name: warehouse.count(DICOM_METADATA, name) for name in ("down", "up")}
    assert rows == {"down": 0, "up": images}
    assert warehouse.count(FINAL_TABLE, "up") >= images


def test_a_tick_that_waits_for_a_store_ends_before_dagster_ends_it():
    assert TICK_DEADLINE_S + STORE_DEADLINE_S < 60
