"""Staging of killed runs on a store without locks: a withdrawal deletes it at once; of what stays it is told what ends it."""

import json
import os

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import DagsterRunStatus

from gradient_assets.cli import cli
from gradient_assets.cli.run import open_instance
from gradient_assets.deployment.launching import PROCESS_TAG, process_tags
from gradient_assets.integrity.recorded import RecordedWarehouse
from gradient_assets.withdrawals.withdraw import STAGING
from resources import Settings, resources_for
from tests.fakes import two_patients as made
from tests.fakes.s3 import empty_bucket

FOREIGN = "31f0c2ab-7c1d-4e5f-8a9b-0123456789ab"
"""A run of another Dagster instance."""


@dg.op
def nothing():
    pass


@dg.job
def hospital():
    nothing()


def of_a_killed_process():
    namespace, pid, _ = process_tags()[PROCESS_TAG].split()
    return {PROCESS_TAG: f"{namespace} {pid} 1"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home whose pictures lie on S3; the hospital has its key."""
    for name in [name for name in os.environ if name.startswith("GRADIENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it: the test's end takes it back
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path))
    with empty_bucket(monkeypatch) as (uri, endpoint):
        monkeypatch.setenv("GRADIENT_THUMBNAILS_URI", f"{uri}/thumbnails")
        monkeypatch.setenv("GRADIENT_S3_ENDPOINT", endpoint)
        monkeypatch.setenv("GRADIENT_AWS_REGION", "us-east-1")
        made.build(tmp_path)
        opened().vault.create("hospital/st-mary")
        yield tmp_path


def opened():
    return resources_for(Settings.from_environment(os.environ))


def started(home, **changed):
    """Id of a run that is under way, as its instance has it."""
    with open_instance(home) as instance:
        given = {"status": DagsterRunStatus.STARTED, "tags": process_tags(), **changed}
        return instance.create_run_for_job(hospital, **given).run_id


def leave(*runs):
    """A shard of each in staging."""
    for run in runs:
        opened().thumbnails.put(f"{STAGING}/thumbnails-st-mary-{run}/00ff/objects/P.png", b"x")


def staged():
    return {stat.key.split("/")[1].removeprefix("thumbnails-st-mary-") for stat in opened().thumbnails.listing(STAGING)}


def gradient(*arguments):
    done = CliRunner().invoke(cli, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output, done.exit_code


def withdraw(home):
    ids = made.ids_file(home, "MRN-771204")
    gradient("withdraw", "-H", "st-mary", "--patient-id-file", str(ids), "--by", "Ada")


@pytest.mark.parametrize(
    "left_by",
    [
        {"tags": of_a_killed_process()},
        {"status": DagsterRunStatus.FAILURE},
        {"status": DagsterRunStatus.CANCELED},
        {"status": DagsterRunStatus.SUCCESS},
    ],
    ids=["killed", "failed", "cancelled", "ended well, but could not delete"],
)
def test_what_an_ended_run_left_is_gone_after_the_withdrawal_and_absence_is_proved(home, left_by):
    leave(started(home, **left_by))
    withdraw(home)
    assert staged() == set()
    said, code = gradient("verify", "--withdrawn", "-H", "st-mary")
    assert (code, "none found" in said) == (0, True), said


def test_what_a_run_that_goes_on_has_there_stays_until_it_ends_and_the_proof_names_the_run(home):
    run = started(home)
    leave(run)
    withdraw(home)
    assert staged() == {run}
    said, code = gradient("verify", "--withdrawn", "-H", "st-mary")
    assert (code, f"unfinished work of the runs {run}. Wait" in said) == (3, True), said
    found, code = gradient("verify", "--withdrawn", "-H", "st-mary", "--json")
    assert (code, json.loads(found)["st-mary"]["runs"]) == (3, [run])


def test_a_run_that_this_instance_never_had_is_given_an_hour(home, monkeypatch):
    leave(FOREIGN)
    withdraw(home)
    assert staged() == {FOREIGN}
    monkeypatch.setattr("resources.buckets.staging.UNKNOWN_STALE_S", -3600)
    withdraw(home)
    assert staged() == set()


def test_what_is_no_runs_is_told_with_the_hour_after_which_it_goes(home):
    opened().thumbnails.put(f"{STAGING}/withdraw-x/00ff/P.png", b"x")
    withdraw(home)
    said, code = gradient("verify", "--withdrawn", "-H", "st-mary")
    assert (code, "an hour after it was last written to" in said) == (3, True), said


@pytest.mark.parametrize("name", ["withdraw-prod-st-mary", f"thumbnails-st-mary-{FOREIGN}"])
def test_all_that_a_run_stages_through_its_warehouse_names_the_run_once(tmp_path, name):
    warehouse = opened_embedded(tmp_path)
    recorded = RecordedWarehouse(warehouse, None, FOREIGN, lambda *_: None, {})
    with recorded.staging("identified", name) as staging:
        assert staging.uri.count(FOREIGN) == 1
        assert f"/{name}" in staging.uri


def opened_embedded(folder):
    return resources_for(Settings.from_environment({"GRADIENT_HOME": str(folder)})).warehouse
