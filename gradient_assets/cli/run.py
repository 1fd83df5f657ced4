"""`gradient run`: materialize hospitals headless, with progress.

Belongs here: choosing partitions and assets, running the job in this process, showing how far it is.  The very job is the
one that the UI and the sensors start.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import click
import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gradient_assets.automation.jobs import HOSPITAL_ASSETS, HOSPITAL_JOB, MADE_TOGETHER
from gradient_assets.cli.summary import show_summary
from gradient_assets.definitions import build_defs
from gradient_assets.deployment.launching import end_the_dead, process_tags
from gradient_assets.diagnostics import Diagnostics
from gradient_assets.hospitals import Registry, RegistryError, home_path, load_registry, registry_path
from gradient_assets.instance import opening_alone, prepare_home
from gradient_assets.silence import fall_silent
from resources import Resources, Settings, SettingsError, resources_for
from resources.buckets.object_store import StoreError


@dataclass(frozen=True)
class Platform:
    """The graph and its stores, as one command sees them."""

    home: Path
    registry: Registry
    resources: Resources

    @classmethod
    def open(cls) -> Platform:
        """From the environment.  Raises `RegistryError` and `SettingsError`."""
        home = home_path()
        registry = load_registry(registry_path(), home=home)
        return cls(home, registry, resources_for(Settings.from_environment(os.environ)))


class RunProgress:
    """A bar on a terminal, a line per finished step elsewhere; fed by the run's own log records."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=total, last="")
        self._partition = ""

    def __enter__(self) -> RunProgress:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, partition: str) -> None:
        """Name the partition that is worked on."""
        self._partition = partition

    def hear(self, record: logging.LogRecord) -> None:
        """Take a log record of the run."""
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        step = meta.get("step_key") or ""
        if event is None:
            if record.levelno >= logging.INFO and step:
                self._bar.update(self._task, last=meta.get("orig_message", ""))
            return
        kind = event.event_type_value
        if kind == "STEP_START":
            self._bar.update(self._task, description=f"{self._partition}: {step}", last="")
        elif kind in ("STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED"):
            self._bar.advance(self._task)
            if not self._console.is_terminal:
                self._console.print(f"{self._partition}: {step} {kind.removeprefix('STEP_').lower()}", highlight=False)

    def logger(self) -> dg.LoggerDefinition:
        """A Dagster logger that feeds this display and nothing else."""
        hear = self.hear

        class _Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                hear(record)

        @dg.logger
        def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("gradient.progress", logging.DEBUG)
            logger.addHandler(_Handler())
            return logger

        return progress_logger


@dataclass(frozen=True)
class Outcome:
    """How one partition ended: the steps that failed, with the messages written for people."""

    partition: str
    failed: dict[str, str]

    @property
    def success(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


def materialize(
    platform: Platform,
    job: str,
    partitions: Sequence[str],
    select: Sequence[str] = (),
    steps: int = 0,
    before: Callable[[dg.DagsterInstance], None] = lambda instance: None,
) -> list[Outcome]:
    """Run a job for each partition in this process, against the instance in `$GRADIENT_HOME/dagster`."""
    prepare_home(platform.home)
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    fall_silent(platform.home)
    with suppress(StoreError, SettingsError):
        Diagnostics.open(platform.resources, "sweep").sweep()
    outcomes = []
    opened = open_instance(platform.home)
    with RunProgress(max(1, steps * len(partitions))) as progress, opened as instance:
        end_the_dead(instance)
        before(instance)
        defs = build_defs(registry=platform.registry, resource_overrides={"resources": platform.resources})
        defs = dg.Definitions.merge(defs, dg.Definitions(loggers={"progress": progress.logger()}))
        definition = defs.resolve_job_def(job)
        for partition in partitions:
            progress.begin(partition)
            result = definition.execute_in_process(
                partition_key=partition,
                instance=instance,
                tags=process_tags(),
                run_config={"loggers": {"progress": {}}},
                asset_selection=[dg.AssetKey(key) for key in select] or None,
                raise_on_error=False,
            )
            outcomes.append(Outcome(partition, _failures(result)))
            if "DagsterExecutionInterruptedError" in outcomes[-1].failed.values():
                raise KeyboardInterrupt  # Dagster turns Ctrl-C into a failed step and would go on with the next partition
    return outcomes


def open_instance(home: Path) -> dg.DagsterInstance:
    """Dagster's instance of that home, made if there is none.  Raises `SettingsError`."""
    os.environ["DAGSTER_HOME"] = str(prepare_home(home))
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    # After Ctrl-C SQLite's connections are closed by another thread than opened them; the pool logs a traceback for each.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    with opening_alone(home):
        return dg.DagsterInstance.get()


def _failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    failures: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure and event.step_key:
            failure = event.step_failure_data.user_failure_data
            error = event.step_failure_data.error
            failures[event.step_key] = (
                (failure.description if failure else None) or (error.cls_name if error else "") or "failed"
            )
    if not result.success and not failures:
        failures["run"] = "the run failed before its first step; see the UI"
    return failures


def report_failures(outcomes: Sequence[Outcome]) -> None:
    """Tell what failed, on stderr."""
    for outcome in outcomes:
        for step, message in outcome.failed.items():
            what = (
                "check failed: identifiers were found, or numbers do not add up; nothing after it ran"
                if (message == "DagsterAssetCheckFailedError")
                else message
            )
            click.echo(f"{outcome.partition}: {step}: {what}", err=True)


@click.command()
@click.option("--hospital", "-H", "hospitals", multiple=True, metavar="H", help="A hospital's id; all without it.")
@click.option(
    "--select",
    "-s",
    multiple=True,
    metavar="ASSET",
    help="An asset to materialize, with what the same step makes; all of a hospital's without it.",
)
def run(hospitals: tuple[str, ...], select: tuple[str, ...]) -> None:
    """Materialize hospitals' partitions: only what is new or changed is read.

    Exit code 3 when a stage or a check failed for some hospital; the others are finished all the same.
    """
    platform = Platform.open()
    for hospital in hospitals:
        platform.registry.get(hospital)
    if unknown := sorted(set(select) - set(HOSPITAL_ASSETS)):
        raise RegistryError(f"No such asset: {', '.join(unknown)}. Assets of a hospital: {', '.join(HOSPITAL_ASSETS)}.")
    chosen = list(hospitals) or platform.registry.ids
    selected = with_their_twins(select)
    outcomes = materialize(platform, HOSPITAL_JOB, chosen, selected, steps=_steps(selected))
    report_failures(outcomes)
    show_summary(platform.registry, platform.resources, chosen)
    if not all(outcome.success for outcome in outcomes):
        sys.exit(3)


def with_their_twins(select: Sequence[str]) -> list[str]:
    """The assets, and those that the same step makes."""
    twins = MADE_TOGETHER if MADE_TOGETHER & set(select) else frozenset[str]()
    return sorted({*select, *twins})


def _steps(select: Sequence[str]) -> int:
    # Each asset is a step and so is its check; thumbnails and pixel_text are one step with three checks.
    assets = len(set(select) or set(HOSPITAL_ASSETS))
    return 2 * assets - 2 if not select else assets
