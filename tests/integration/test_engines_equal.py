"""One hospital through the graph on every engine: equal tables, equal pictures, and the run tells how far it is.

The assets run as they do in production, in a Dagster run of their own; `GRADIENT_BEAM_RUNNER` and its options are all that
differs.  A hospital of two patients, four images and an object that is none, four reports in a file.
"""

import shutil
from dataclasses import dataclass
from functools import cached_property

import dagster as dg
import pytest

from gradient_assets.automation.jobs import HOSPITAL_JOB
from gradient_assets.definitions import build_defs
from gradient_assets.hospitals import load_registry
from resources import Resources, Settings
from tests.fakes import small_hospital
from tests.fakes.small_home import PlantedFinder
from tests.graph.forked import left_over, made

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.timeout(900),
]

STAGES = ("dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports", "thumbnails")
ASSETS = (*STAGES, "pixel_text", "quarantine", "final_table")

ENGINES = {
    "embedded": (),
    "prism": ("prism",),
    "flink-local": ("flink_local",),
    "flink-cluster": ("flink_cluster",),
    "flink-cluster, worker pool": ("flink_cluster", "worker_pool"),
}


class PlantedText(Resources):
    """Finds the text that was planted, without a model."""

    @cached_property
    def text_finder(self):
        return PlantedFinder()


@dataclass(frozen=True)
class Ran:
    """A home after a run, and what the run's log says."""

    home: object
    lines: list[str]


def options_of(request, parts):
    """What an operator would export for the parts."""
    environ = {}
    for part in map(request.getfixturevalue, parts):
        environ["GRADIENT_BEAM_RUNNER"] = getattr(part, "runner", environ.get("GRADIENT_BEAM_RUNNER"))
        given = (environ.get("GRADIENT_BEAM_OPTIONS", ""), *part.options)
        environ["GRADIENT_BEAM_OPTIONS"] = " ".join(given).strip()
    return environ


def run(home, environ):
    """The assets of the hospital, as the UI would run them; returns the lines of the run's log."""
    environ = {
        "GRADIENT_HOME": str(home),
        "GRADIENT_SECOND_FINDER": "none",
        "GRADIENT_VERIFYING_READER": "none",
        **environ,
    }
    registry = load_registry(home / "hospitals.yaml", home=home)
    resources = PlantedText(Settings.from_environment(environ))
    defs = build_defs(environ, registry=registry, resource_overrides={"resources": resources})
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(HOSPITAL_JOB).execute_in_process(
            partition_key="st-mary",
            instance=instance,
            asset_selection=[dg.AssetKey(key) for key in ASSETS],
        )
        assert result.success
        return [entry.user_message for entry in instance.all_logs(result.run_id)]


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    """The hospital and its key; each engine starts from a copy."""
    return small_hospital.build(tmp_path_factory.mktemp("landing") / "home")


@pytest.fixture(scope="module")
def ran(landing, tmp_path_factory, request):
    """One run for each engine."""
    done = {}

    def on(engine):
        if engine not in done:
            home = tmp_path_factory.mktemp("engine") / "home"
            shutil.copytree(landing, home)
            done[engine] = Ran(home, run(home, options_of(request, ENGINES[engine])))
        return done[engine]

    return on


elsewhere = pytest.mark.parametrize("engine", [name for name in ENGINES if name != "embedded"])


@elsewhere
def test_tables_and_pictures_are_those_of_the_embedded_run(ran, engine):
    """Row by row without the run's id, pictures by their bytes."""
    expected, found = made(ran("embedded").home), made(ran(engine).home)
    assert found.keys() == expected.keys()
    assert {name for name in expected if found[name] != expected[name]} == set()
    assert {name.split("/")[2] for name in expected if name.startswith("deidentified/warehouse/")} >= {
        "deidentified_metadata",
        "deidentified_reports",
        "pixel_text",
        "final_table",
    }
    assert sum(name.endswith(".png") for name in expected) >= len(small_hospital.IMAGES)


@elsewhere
def test_nothing_unfinished_is_left(ran, engine):
    assert left_over(ran(engine).home) == []


@elsewhere
def test_the_run_tells_how_far_it_is_and_what_was_counted(ran, engine):
    """Instances read, cleaned and refused: in the log of the Dagster run, from workers in any process."""
    lines = ran(engine).lines
    objects = len(small_hospital.IMAGES)
    assert f"dicom_metadata: {objects + 1} of {objects + 1}" in lines
    assert f"deidentified_metadata: {objects} of {objects}" in lines
    counted = {line.partition(":")[0]: line for line in lines if "counted by the runner" in line}
    assert f"items {objects + 1}" in counted["dicom_metadata"]
    assert f"rows {objects}" in counted["dicom_metadata"]
    assert "refused/not_dicom 1" in counted["dicom_metadata"]
    assert f"rows {objects}" in counted["deidentified_metadata"]
    assert any(line.endswith(": done") for line in lines)


@elsewhere
def test_a_second_run_has_nothing_to_do(ran, engine, request):
    home = ran(engine).home
    before = made(home)
    lines = run(home, options_of(request, ENGINES[engine]))
    assert made(home) == before
    assert [line for line in lines if "accepted by" in line] == []
