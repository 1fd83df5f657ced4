"""What an asset asks of the blocking checks before it, when it is made in a later run than they."""

from dataclasses import dataclass, field

import dagster as dg
import pytest

from gradient_assets.assets.passed import require_passed

HOSPITALS = dg.StaticPartitionsDefinition(["st-mary", "lakeside"])
REPORTS, JOINED = dg.AssetKey("deidentified_reports"), dg.AssetKey("final_table")
OF_ALL = dg.AssetKey("release_dicoms")
CHECKS = ("no_known_identifier", "no_identifier_like_pattern")


@dataclass
class Graph:
    """An asset with two blocking checks, and one after it that asks for them."""

    instance: dg.DagsterInstance
    outcomes: dict[str, dg.AssetCheckResult | None] = field(default_factory=dict)
    """By check; `None` crashes."""

    def __post_init__(self) -> None:
        @dg.asset(key=REPORTS, partitions_def=HOSPITALS)
        def reports() -> None: ...

        @dg.asset(key=JOINED, deps=[REPORTS], partitions_def=HOSPITALS)
        def joined(context: dg.AssetExecutionContext) -> None:
            require_passed(context, "deidentified_reports")

        @dg.asset(key=OF_ALL, deps=[dg.AssetDep(REPORTS, partition_mapping=dg.AllPartitionMapping())])
        def of_all(context: dg.AssetExecutionContext) -> None:
            require_passed(context, "deidentified_reports", of={"st-mary", "lakeside"})

        checks = [self._check(name) for name in CHECKS]
        unchecked = dg.define_asset_job("unchecked", dg.AssetSelection.assets(REPORTS).without_checks())
        whole = dg.define_asset_job("whole", dg.AssetSelection.assets(REPORTS, JOINED))
        both = dg.define_asset_job("both", dg.AssetSelection.assets(OF_ALL))
        self.defs = dg.Definitions(
            [reports, joined, of_all],
            asset_checks=checks,
            jobs=[whole, unchecked, both],
            executor=dg.in_process_executor,
        )

    def _check(self, name: str) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=REPORTS, name=name, blocking=True, partitions_def=HOSPITALS)
        def check() -> dg.AssetCheckResult:
            outcome = self.outcomes.get(name, dg.AssetCheckResult(passed=True))
            if outcome is None:
                raise ValueError
            return outcome

        return check

    def make(self, *keys: dg.AssetKey, job: str = "whole", hospital: str = "st-mary") -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=hospital, asset_selection=list(keys) or None, raise_on_error=False
        )

    def plan(self) -> dg.DagsterRun:
        """A whole run that was started and does nothing, as one that was killed."""
        job = self.defs.resolve_job_def("whole")
        tags = {"dagster/partition": "st-mary"}
        return self.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)

    def why_not_of_all(self) -> str:
        """What the asset over both partitions says."""
        job = self.defs.resolve_job_def("both")
        return self._said(job.execute_in_process(instance=self.instance, raise_on_error=False))

    def why_not(self) -> str:
        """What the second asset says when it is made alone; blank when it was made."""
        return self._said(self.make(JOINED))

    @staticmethod
    def _said(done: dg.ExecuteInProcessResult) -> str:
        said = [event.step_failure_data.user_failure_data for event in done.all_events if event.is_step_failure]
        return "" if done.success else said[0].description


@pytest.fixture
def graph():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Graph(instance)


def test_it_is_made_after_checks_that_passed_in_the_same_run_or_an_earlier_one(graph):
    assert graph.make().success
    assert graph.why_not() == ""
    assert graph.make(REPORTS).success
    assert graph.why_not() == ""


def test_a_check_that_never_ran_has_not_passed(graph):
    assert graph.make(job="unchecked").success
    said = graph.why_not()
    assert all(f"{name} of deidentified_reports never ran" in said for name in CHECKS)


def test_a_check_that_passed_in_another_partition_has_not_passed_in_this_one(graph):
    assert graph.make(REPORTS, hospital="lakeside").success
    assert "never ran" in graph.why_not()


def test_a_check_that_failed_blocks_until_it_passes(graph):
    graph.outcomes["no_known_identifier"] = dg.AssetCheckResult(passed=False)
    graph.make(REPORTS)
    assert "no_known_identifier of deidentified_reports failed" in graph.why_not()
    graph.outcomes.clear()
    graph.make(REPORTS)
    assert graph.why_not() == ""


def test_a_check_that_only_warns_blocks_nothing(graph):
    graph.outcomes["no_known_identifier"] = dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)
    graph.make(REPORTS)
    assert graph.why_not() == ""


def test_a_check_that_crashed_has_not_passed_whatever_it_said_before(graph):
    assert graph.make(REPORTS).success
    graph.outcomes["no_known_identifier"] = None
    assert not graph.make(REPORTS).success
    assert "no_known_identifier of deidentified_reports has not ended" in graph.why_not()


def test_a_check_of_a_run_that_was_killed_has_not_passed_whatever_it_said_before(graph):
    assert graph.make(REPORTS).success
    graph.plan()
    assert "has not ended" in graph.why_not()
    assert graph.make().success
    assert graph.why_not() == ""


def test_a_check_that_looked_at_what_was_there_before_has_not_passed(graph):
    assert graph.make(REPORTS).success
    assert graph.make(job="unchecked").success
    assert "has not looked at what was made last" in graph.why_not()


def test_a_run_goes_on_after_its_own_checks_while_another_one_is_planned(graph):
    class PlansAnother(dict[str, dg.AssetCheckResult]):
        def get(self, name, default=None):
            if name == CHECKS[-1]:
                graph.plan()
            return default

    graph.outcomes = PlansAnother()
    assert graph.make().success
    assert "has not ended" in graph.why_not()


def test_what_rests_on_several_hospitals_asks_in_the_partition_of_each(graph):
    assert graph.make(REPORTS).success
    said = graph.why_not_of_all()
    assert "no_known_identifier of deidentified_reports of 'lakeside' never ran" in said
    assert "st-mary" not in said
    graph.outcomes["no_known_identifier"] = dg.AssetCheckResult(passed=False)
    graph.make(REPORTS, hospital="lakeside")
    assert "no_known_identifier of deidentified_reports of 'lakeside' failed" in graph.why_not_of_all()
    graph.outcomes.clear()
    assert graph.make(REPORTS, hospital="lakeside").success
    assert graph.why_not_of_all() == ""
