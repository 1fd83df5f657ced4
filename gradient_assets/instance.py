"""Dagster's own home: where its event log and run storage lie, and how it is set up.

Belongs here: making `$GRADIENT_HOME/dagster` with its `dagster.yaml`, and that one command at a time opens its databases.
The file of that name at the top of the project is the same text (a test compares them), for people who run Dagster by other
means.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from resources import SettingsError

DAGSTER_YAML = """\
# Dagster's own settings for this platform. `gradient` puts this file into $GRADIENT_HOME/dagster.
telemetry:
  enabled: false  # nothing leaves the machine

nux:
  enabled: false  # no sign-up window over the pages

# What a step prints goes nowhere: a foreign library may print what it reads, and these files are never purged.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager

# Dagster's own launcher would leave a killed run STARTED for ever, and its hospital would never run again.
run_launcher:
  module: gradient_assets.deployment.launching
  class: WatchedRunLauncher

run_monitoring:
  enabled: true
  poll_interval_seconds: 30
  free_slots_after_run_end_seconds: 300  # a killed run would hold its pool slots for ever

concurrency:
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: dagster/partition  # one run per hospital at a time; two give the same result, but do the work twice
        value:
          applyLimitPerUniqueValue: true
        limit: 1

sensors:
  use_threads: true  # a hospital whose server does not answer keeps no other one's sensor waiting
  num_workers: 8

retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 90
"""


def make_private(folder: Path) -> None:
    """Make a folder that other users of the machine can't look into; one that is there already is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def dagster_folder(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where Dagster's settings lie: `GRADIENT_DAGSTER_HOME`, else `<home>/dagster`."""
    return Path(environ.get("GRADIENT_DAGSTER_HOME") or home / "dagster").absolute()


def prepare_home(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The home's closed folders, and `<home>/dagster` with its settings; returns where Dagster's settings lie.

    An operator's own `dagster.yaml` there is left alone.  Nothing is written to another folder that `GRADIENT_DAGSTER_HOME`
    names: in a container it can't be written to.  Raises `SettingsError` when that one has no `dagster.yaml`, with which
    Dagster would begin an empty storage without a word.
    """
    for zone in ("landing", "identified", "deidentified", "dagster"):
        make_private(home / zone)
    folder = dagster_folder(home, environ)
    settings = folder / "dagster.yaml"
    if settings.exists():
        return folder
    if folder != (home / "dagster").absolute():
        raise SettingsError("GRADIENT_DAGSTER_HOME names a folder without a dagster.yaml; deploy/compose has one.")
    settings.write_text(DAGSTER_YAML, encoding="utf-8")
    return folder


@contextmanager
def opening_alone(home: Path) -> Iterator[None]:
    """While the block opens Dagster's instance of that home, no other command of this machine opens it.

    The first one makes the databases.  Two first ones at once both noted the version of their tables: one failed, and in that
    home every later command did, for good.
    """
    descriptor = os.open(home / "dagster" / ".gradient-opening.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
