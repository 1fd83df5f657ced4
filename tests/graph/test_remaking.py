"""What is made again by itself, judged by the graph's own conditions over its own lineage and checks.

The assets' work is replaced by a table of data versions, and the checks' by a table of outcomes: what is asked for depends on
nothing else.
"""

from dataclasses import dataclass, field

import dagster as dg
import pytest
import yaml

from gradient_assets.automation.jobs import HOSPITAL_ASSETS, HOSPITAL_JOB, all_jobs
from gradient_assets.automation.remaking import REMADE, remaking_sensor
from gradient_assets.checks import all_checks
from gradient_assets.definitions import build_defs
from tests.graph.test_definitions import REGISTRY

HOSPITAL = "st-mary"
CLEANED = ("deidentified_metadata", "deidentified_reports", "thumbnails", "pixel_text")


class CheckCrashedError(Exception):
    """What a check raises here that can't do its work."""


@dataclass
class Stage:
    """The graph with its conditions, an instance, and what assets and checks come to."""

    specs: list[dg.AssetSpec]
    instance: dg.DagsterInstance
    versions: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, bool | None] = field(default_factory=dict)
    """By check and asset; `None` crashes."""
    cursor: object = None

    def __post_init__(self) -> None:
        partitions = next(spec.partitions_def for spec in self.specs if spec.key == dg.AssetKey("prod"))
        checks = [self._check(spec, partitions) for check in all_checks(partitions) for spec in check.check_specs]
        hospital = set(HOSPITAL_ASSETS)
        self.defs = dg.Definitions(
            assets=[
                self._asset(spec) if spec.key.to_user_string() in hospital else spec
                for spec in self.specs
                if not spec.key.to_user_string().startswith("release_")
            ],
            asset_checks=[check for check in checks if check is not None],
            jobs=all_jobs()[:1],
            sensors=[remaking_sensor()],
            executor=dg.in_process_executor,
        )
        self.tick()

    def _asset(self, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        name = spec.key.to_user_string()

        @dg.multi_asset(name=name, specs=[spec])
        def made() -> dg.MaterializeResult:
            return dg.MaterializeResult(spec.key, data_version=dg.DataVersion(self.versions.get(name, "first")))

        return made

    def _check(self, spec: dg.AssetCheckSpec, partitions) -> dg.AssetChecksDefinition | None:
        asset = spec.asset_key.to_user_string()
        if asset not in HOSPITAL_ASSETS:
            return None

        @dg.asset_check(asset=spec.asset_key, name=spec.name, blocking=spec.blocking, partitions_def=partitions)
        def check() -> dg.AssetCheckResult:
            passed = self.outcomes.get(f"{spec.name} of {asset}", True)
            if passed is None:
                raise CheckCrashedError
            return dg.AssetCheckResult(passed=passed)

        return check

    def run(self, *assets: str, checks: bool = True) -> bool:
        """The job `hospital`, whole or for these assets alone; whether it succeeded."""
        job = self.defs.resolve_job_def(HOSPITAL_JOB)
        keys = [dg.AssetKey(name) for name in assets]
        if checks:
            done = job.execute_in_process(
                instance=self.instance,
                partition_key=HOSPITAL,
                asset_selection=keys or None,
                raise_on_error=False,
            )
            return done.success
        selection = dg.AssetSelection.assets(*keys).without_checks()
        alone = dg.define_asset_job("alone", selection, executor_def=dg.in_process_executor)
        graph = dg.Definitions.merge(self.defs, dg.Definitions(jobs=[alone]))
        return graph.resolve_job_def("alone").execute_in_process(instance=self.instance, partition_key=HOSPITAL).success

    def tick(self) -> dict[str, set[str]]:
        """What the sensor asks for now, by asset."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        asked = {name: set(result.get_requested_partitions(dg.AssetKey(name))) for name in REMADE}
        assert result.total_requested == sum(len(partitions) for partitions in asked.values())
        return {name: partitions for name, partitions in asked.items() if partitions}


@pytest.fixture(scope="module")
def specs(tmp_path_factory) -> list[dg.AssetSpec]:
    home = tmp_path_factory.mktemp("home")
    (home / "hospitals.yaml").write_text(yaml.safe_dump(REGISTRY))
    return list(build_defs({"GRADIENT_HOME": str(home)}).resolve_all_asset_specs())


@pytest.fixture
def stage(specs):
    """The graph after a whole run of one hospital, which the sensor has seen."""
    with dg.DagsterInstance.ephemeral() as instance:
        stage = Stage(specs, instance)
        assert stage.run()
        assert stage.tick() == {}
        yield stage


def test_a_whole_run_asks_for_nothing_however_much_has_changed(stage):
    stage.versions = dict.fromkeys(HOSPITAL_ASSETS, "second")
    assert stage.run()
    assert stage.tick() == {}
    assert stage.tick() == {}


@pytest.mark.parametrize("asset", CLEANED[1:])
def test_a_cleaned_asset_that_was_made_alone_and_has_changed_brings_the_join(stage, asset):
    stage.versions[asset] = "second"
    stage.run(asset)
    assert stage.tick() == {"final_table": {HOSPITAL}}
    assert stage.tick() == {}


def test_a_change_goes_through_the_tables_in_turn(stage):
    stage.versions = dict.fromkeys(HOSPITAL_ASSETS, "second")
    stage.run("deidentified_metadata")
    assert stage.tick() == {"final_table": {HOSPITAL}}
    for made, after in (
        ("final_table", {"prod": {HOSPITAL}}),
        ("prod", {"public_table": {HOSPITAL}}),
        ("public_table", {}),
    ):
        stage.run(made)
        assert stage.tick() == after


def test_equal_content_asks_for_nothing(stage):
    stage.run("deidentified_reports")
    assert stage.tick() == {}


def test_a_change_that_comes_to_an_equal_table_goes_no_further(stage):
    stage.versions["deidentified_reports"] = "second"
    stage.run("deidentified_reports")
    assert stage.tick() == {"final_table": {HOSPITAL}}
    stage.run("final_table")
    assert stage.tick() == {}


@pytest.mark.parametrize(
    ("check", "outcome"),
    [("no_known_identifier", False), ("no_identifier_like_pattern", None)],
    ids=["fails", "crashes"],
)
def test_nothing_follows_a_blocking_check_that_did_not_pass_until_it_does(stage, check, outcome):
    stage.versions["deidentified_reports"] = "second"
    stage.outcomes[f"{check} of deidentified_reports"] = outcome
    stage.run("deidentified_reports")
    assert stage.tick() == {}
    assert stage.tick() == {}
    stage.outcomes.clear()
    stage.run("deidentified_reports")
    assert stage.tick() == {"final_table": {HOSPITAL}}


def test_nothing_follows_a_change_that_no_check_has_looked_at(stage):
    stage.versions["deidentified_reports"] = "second"
    assert stage.run("deidentified_reports", checks=False)
    assert stage.tick() == {}
    assert stage.tick() == {}


def test_nothing_is_made_while_something_before_it_was_never_made(specs):
    with dg.DagsterInstance.ephemeral() as instance:
        stage = Stage(specs, instance)
        stage.run("dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports")
        assert stage.tick() == {}


def test_nothing_is_asked_for_while_a_run_is_about_to_make_it(stage):
    stage.versions = dict.fromkeys(HOSPITAL_ASSETS, "second")
    job = stage.defs.resolve_job_def(HOSPITAL_JOB)
    waiting = stage.instance.create_run_for_job(
        job,
        tags={"dagster/partition": HOSPITAL},
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({dg.AssetKey("final_table")}),
    )
    stage.run("deidentified_reports")
    assert stage.tick() == {}
    stage.instance.report_run_canceled(waiting)
    assert stage.tick() == {"final_table": {HOSPITAL}}


def test_what_was_cleaned_again_is_asked_for_when_the_whole_run_broke_after_it(stage):
    stage.versions = dict.fromkeys(HOSPITAL_ASSETS, "second")
    stage.outcomes["no_text_in_pixels of thumbnails"] = False
    assert not stage.run()
    assert stage.tick() == {}
    stage.outcomes.clear()
    stage.run("thumbnails")
    assert stage.tick() == {"final_table": {HOSPITAL}}
