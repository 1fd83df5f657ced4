"""What dies, on which engine, and what becomes of the run: it ends right or fails whole, and the next one comes to the same.

docs/engines.md shows these tests as a table.  What was killed is started again after its test.
"""

import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from functools import partial

import dagster as dg
import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from gradient_assets.deid.headers import Profile
from gradient_assets.pipelines.stage import ObjectCommit, StageError, StageRun
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.tables import ALL_TABLES
from resources.engines.beam import BeamEngine
from resources.engines.waiting import PipelineFailed
from tests.fakes.slow_finder import SlowFinder
from tests.fakes.small_home import OBJECTS, SmallHome

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def part(request):
    """A runner of the session; mended afterwards."""
    running = request.getfixturevalue(request.param)
    yield running
    running.mend()


@pytest.fixture
def engine(request):
    """A runner by its name, or the embedded one."""
    if request.param == "embedded":
        return BeamEngine()
    return engine_of(request.getfixturevalue(request.param))


def engine_of(part, *more):
    return BeamEngine(part.runner, (*part.options, *more), progress_s=0.5)


def make_thumbnails(home, engine, finder=None, say=lambda line: None):
    step = home.step
    if finder is not None:
        step = MakeThumbnails(home.hospital, step.bucket, home.identity, Profile.named("longitudinal"), finder)
    resources = home.resources
    run = StageRun(resources.warehouse, engine, "st-mary", "run", {"st-mary": home.hospital}, say=say)
    objects = ObjectCommit(
        resources.thumbnails, "st-mary/", lambda: {stat.key for stat in resources.thumbnails.listing()}
    )
    return run.run(step, home.source.pixels(step.version), objects)


def seen(home):
    """Rows of each table, and the pictures, as somebody else would see them."""
    warehouse, pictures = home.resources.warehouse, home.resources.thumbnails
    rows = {spec.full_name: warehouse.content_digest(spec, "st-mary") for spec in ALL_TABLES}
    return rows, {stat.key: pictures.get(stat.key) for stat in pictures.listing() if "_staging" not in stat.key}


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    """Headers are read and cleaned, thumbnails wait to be made; each test starts from a copy."""
    return SmallHome.build(tmp_path_factory.mktemp("landing") / "home", with_thumbnails=False)


@pytest.fixture
def home(landing, tmp_path):
    shutil.copytree(landing.path, tmp_path / "home")
    return SmallHome(tmp_path / "home")


@pytest.fixture(scope="module")
def undisturbed(landing, tmp_path_factory):
    """What an embedded run leaves that nothing happens to."""
    path = tmp_path_factory.mktemp("undisturbed") / "home"
    shutil.copytree(landing.path, path)
    home = SmallHome(path)
    assert make_thumbnails(home, BeamEngine()).processed == len(OBJECTS)
    return seen(home)


@contextmanager
def meanwhile(folder, act):
    """Act once the finder was asked for a picture; it answers when the block ends, or after the act if that says so."""

    def wait_and_act():
        begun = folder / "begun"
        while not begun.exists():
            time.sleep(0.05)
        if act(int(begun.read_text())):
            (folder / "hurry").touch()

    acting = threading.Thread(target=wait_and_act, daemon=True)
    acting.start()
    try:
        yield SlowFinder(folder=str(folder))
    finally:
        (folder / "hurry").touch()
        acting.join(60)


def fails_whole(home, engine, act, tmp_path):
    """The run fails in words of ours, and nothing of it is seen."""
    before = seen(home)
    with meanwhile(tmp_path, act) as finder, pytest.raises((PipelineFailed, StageError)) as caught:
        make_thumbnails(home, engine, finder)
    assert seen(home) == before
    return str(caught.value)


@pytest.mark.parametrize("part", ["prism", "flink_local", "flink_cluster"], indirect=True)
def test_a_job_server_that_dies_fails_the_run_whole_and_the_next_completes(part, home, undisturbed, tmp_path):
    said = fails_whole(home, engine_of(part), lambda _: part.kill("job-server"), tmp_path)
    assert part.runner in said
    part.mend()
    assert make_thumbnails(home, engine_of(part)).processed == len(OBJECTS)
    assert seen(home) == undisturbed


def test_a_task_manager_that_dies_fails_the_run_whole_and_the_other_does_the_next(
    flink_cluster, request, home, undisturbed, tmp_path
):
    request.addfinalizer(flink_cluster.mend)

    def kill(_):
        for name in flink_cluster.busy_task_managers():
            flink_cluster.kill(name)

    assert "ended as failed" in fails_whole(home, engine_of(flink_cluster), kill, tmp_path)
    assert make_thumbnails(home, engine_of(flink_cluster)).processed == len(OBJECTS)
    assert seen(home) == undisturbed


@pytest.mark.parametrize("part", ["prism", "flink_cluster"], indirect=True)
def test_a_worker_of_a_pool_that_dies_fails_the_run_whole_and_the_next_completes(
    part, worker_pool, home, undisturbed, tmp_path
):
    def kill(_):
        for worker in worker_pool.workers:
            os.kill(worker, signal.SIGKILL)

    engine = engine_of(part, *worker_pool.options)
    fails_whole(home, engine, kill, tmp_path)
    assert make_thumbnails(home, engine).processed == len(OBJECTS)
    assert seen(home) == undisturbed


@pytest.mark.parametrize("engine", ["embedded", "prism", "flink_local", "flink_cluster"], indirect=True)
def test_a_worker_process_that_dies_is_replaced_and_the_run_ends_right(engine, home, undisturbed, tmp_path):
    """The process that holds the models, beside Beam's worker: its items are tried again, each alone."""

    def kill(process):
        os.kill(process, signal.SIGKILL)
        return True

    with meanwhile(tmp_path, kill) as finder:
        counts = make_thumbnails(home, engine, finder)
    assert (counts.processed, counts.quarantined) == (len(OBJECTS), 0)
    assert seen(home) == undisturbed


def states_of_jobs(part):
    """The state of every job that the job server knows of."""
    with grpc.insecure_channel(f"127.0.0.1:{part.job_port}") as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        jobs = stub.GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info
        return {job.job_id: beam_job_api_pb2.JobState.Enum.Name(job.state) for job in jobs}


@pytest.mark.parametrize("part", ["prism", "flink_local", "flink_cluster"], indirect=True)
def test_a_dagster_run_that_is_terminated_cancels_the_job(part, home, undisturbed, tmp_path, request):
    before, known = seen(home), states_of_jobs(part)

    def terminate(_):
        os.kill(os.getpid(), signal.SIGTERM)

    request.addfinalizer(partial(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM)))
    with meanwhile(tmp_path, terminate) as finder:

        @dg.asset
        def thumbnails(context):
            make_thumbnails(home, engine_of(part), finder, context.log.info)

        result = dg.materialize([thumbnails], raise_on_error=False)
    assert not result.success
    (state,) = {state for job, state in states_of_jobs(part).items() if job not in known}
    assert state in ("CANCELLED", "CANCELLING")
    assert seen(home) == before
    assert make_thumbnails(home, engine_of(part)).processed == len(OBJECTS)
    assert seen(home) == undisturbed


def test_a_runner_that_is_not_there_is_told_and_nothing_changes(home):
    before = seen(home)
    with pytest.raises(PipelineFailed, match="not accepted by flink"):
        make_thumbnails(home, BeamEngine("flink", ("--job_endpoint=127.0.0.1:9", "--job_server_timeout=3")))
    assert seen(home) == before
