"""A runner that dies in the middle of a stage: the run fails whole, nothing of it is seen, and the next one completes."""

import threading
import time

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.dev.recipes import PartUnavailable
from gradient_assets.dev.runners import FlinkLocal, Prism
from gradient_assets.pipelines.stage import ObjectCommit, StageRun
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.tables import ALL_TABLES
from resources.beam import BeamEngine, PipelineFailed
from tests.fakes.slow_finder import SlowFinder
from tests.fakes.small_home import OBJECTS, SmallHome
from tests.integration.conftest import NO_SKIP

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.timeout(300),
]


@pytest.fixture(params=[Prism, FlinkLocal], ids=lambda part: part.name)
def mortal(request, tmp_path):
    """A runner of this test's own."""
    part = request.param(tmp_path / "runner")
    try:
        part.start()
    except PartUnavailable as missing:
        if NO_SKIP:
            raise
        pytest.skip(str(missing))
    yield part
    part.stop()


def make_thumbnails(home, engine, finder=None):
    step = home.step
    if finder is not None:
        step = MakeThumbnails(home.hospital, step.bucket, home.identity, Profile.named("longitudinal"), finder)
    resources = home.resources
    run = StageRun(resources.warehouse, engine, "st-mary", "run", {"st-mary": home.hospital})
    objects = ObjectCommit(
        resources.thumbnails, "st-mary/", lambda: {stat.key for stat in resources.thumbnails.listing()}
    )
    return run.run(step, home.source.pixels(step.version), objects)


def seen(home):
    """Rows of each table, and keys of the pictures, as somebody else would see them."""
    warehouse = home.resources.warehouse
    rows = {spec.full_name: warehouse.content_digest(spec, "st-mary") for spec in ALL_TABLES}
    return rows, sorted(stat.key for stat in home.resources.thumbnails.listing() if "_staging" not in stat.key)


def test_a_runner_that_dies_in_a_stage_fails_it_whole_and_the_next_run_completes(mortal, tmp_path):
    home = SmallHome.build(tmp_path / "home", with_thumbnails=False)
    before = seen(home)
    finder = SlowFinder(folder=str(tmp_path))

    def end_it():
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        mortal.stop()

    ending = threading.Thread(target=end_it, daemon=True)
    ending.start()
    try:
        with pytest.raises(PipelineFailed) as caught:
            make_thumbnails(home, BeamEngine(mortal.runner, mortal.options, progress_s=0.5), finder)
    finally:
        (tmp_path / "hurry").touch()
    ending.join(60)
    assert mortal.runner in str(caught.value)
    assert caught.value.__context__ is None
    assert seen(home) == before
    assert make_thumbnails(home, BeamEngine()).rows_out >= len(OBJECTS)
    assert len(seen(home)[1]) >= len(OBJECTS)


def test_a_runner_that_is_not_there_is_told_and_nothing_changes(tmp_path):
    home = SmallHome.build(tmp_path / "home", with_thumbnails=False)
    before = seen(home)
    with pytest.raises(PipelineFailed, match="not accepted by flink"):
        make_thumbnails(home, BeamEngine("flink", ("--job_endpoint=127.0.0.1:9", "--job_server_timeout=3")))
    assert seen(home) == before
