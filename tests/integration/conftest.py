"""Real servers and engines as fixtures of the session; `make integration` runs these tests.

Belongs here: which part a test gets, what happens where one can't be had, and which tests share their parts.  How a part is
fetched and started is `gradient_assets.dev`'s business.  The folder is collected only where it is named
(`pytest tests/integration`): `make test` needs Python alone.
"""

import os
import time
from pathlib import Path

import pytest

from gradient_assets.dev.bigquery import BigQuery
from gradient_assets.dev.postgres import Postgres
from gradient_assets.dev.recipes import PartUnavailable
from gradient_assets.dev.runners import FlinkCluster, FlinkLocal, Prism, WorkerPool
from gradient_assets.dev.stores import S3, Amazon, Gcs

HERE = Path(__file__).parent
NO_SKIP = os.environ.get("GRADIENT_NO_SKIP") == "1"
"""Set where everything has to run: a part that can't be had is then an error, and so is any other skip."""

NETWORK = "test_end_to_end.py"
"""Takes as long as all other tests together, mostly waiting: it has a process of its own where there are two."""

started = pytest.StashKey[list]()


def pytest_ignore_collect(collection_path, config):
    named = [Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


def pytest_configure(config):
    config.stash[started] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("network" if item.path.name == NETWORK else "parts"))


def part_fixture(part):
    """A fixture of the part's name, with `_` for `-`, started at first use."""

    @pytest.fixture(scope="session", name=part.name.replace("-", "_"))
    def running(tmp_path_factory, pytestconfig):
        begun = time.monotonic()
        made = part(tmp_path_factory.mktemp(part.name))
        if isinstance(made, BigQuery | Gcs):
            made.buckets = tmp_path_factory.getbasetemp() / "gcs-buckets"
        try:
            made.start()
        except PartUnavailable as missing:
            if NO_SKIP:
                raise
            pytest.skip(str(missing))
        pytestconfig.stash[started].append((part.name, made.version, time.monotonic() - begun))
        yield made
        made.stop()

    return running


s3 = part_fixture(S3)
gcs = part_fixture(Gcs)
amazon = part_fixture(Amazon)
bigquery = part_fixture(BigQuery)
postgres = part_fixture(Postgres)
prism = part_fixture(Prism)
flink_local = part_fixture(FlinkLocal)
flink_cluster = part_fixture(FlinkCluster)
worker_pool = part_fixture(WorkerPool)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and GRADIENT_NO_SKIP is set: {report.longrepr[2]}"
    return report


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parts"] = session.config.stash[started]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """What the processes have started is told by the one that prints."""
    node.config.stash[started].extend(getattr(node, "workeroutput", {}).get("parts", []))


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[started]:
        terminalreporter.section("parts")
        for name, version, seconds in config.stash[started]:
            terminalreporter.write_line(f"{name:14} {version:60} up in {seconds:.1f} s")
