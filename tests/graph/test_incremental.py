"""What is new, changed or gone is seen; what broke off is finished; what is the same is not read again."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gradient_assets.samples import grow
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, FINAL_TABLE, PIXEL_TEXT, PUBLIC_TABLE
from tests.graph.conftest import ROOT, Home
from tests.graph.forked import KILLED, Call, ForkedHome, changed_paths, copied

pytestmark = pytest.mark.xdist_group("hospital")

HOSPITAL = "lakeside"


RUN = ("run", "-H", HOSPITAL)


@pytest.fixture(scope="module")
def first_run(commands, samples, tmp_path_factory) -> Call:
    """The first run of the hospital, and its home."""
    home = copied(samples, tmp_path_factory.mktemp("incremental") / "home")
    commands.run(call := Call(home, RUN, name="first"))
    return call


@pytest.fixture(scope="module")
def home(commands, first_run) -> ForkedHome:
    return ForkedHome(first_run.home, commands)


def tables(home: Home) -> dict[str, str]:
    """Digest of every table file and thumbnail; `made_…` says in which run, so that it differs."""
    files = [
        path
        for zone in ("identified", "deidentified", "public")
        for path in (home.path / zone).rglob("*")
        if path.is_file()
        and "staging" not in path.parts
        and path.suffix in (".parquet", ".png")
        and not path.parent.name.startswith("made_")
    ]
    return {str(path.relative_to(home.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def uids(home: Home, spec) -> set[str]:
    batches = home.resources.warehouse.scan(spec, HOSPITAL, columns=("sop_instance_uid",))
    return {uid for batch in batches for uid in batch["sop_instance_uid"].to_pylist()}


def metadata_of(home: Home, asset: str) -> dict:
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(home.path / "dagster")
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        found = event.asset_materialization.metadata
        return {name: value.value for name, value in found.items()}


def remembered_since(home: Home, asset: str, check: str) -> str:
    """What the last outcome of a blocking check says of itself."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(home.path / "dagster")
    with dg.DagsterInstance.get() as instance:
        key = dg.AssetCheckKey(dg.AssetKey(asset), check)
        [record] = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.evaluation.passed
        return str(record.evaluation.metadata["gradient/remembered_since"].value)


STAGES = ("dicom_metadata", "identified_reports", "deidentified_metadata", "deidentified_reports", "thumbnails")


def test_a_second_run_reads_nothing_and_changes_nothing(home):
    before = tables(home)
    home.gradient(*RUN)
    assert tables(home) == before
    for stage in STAGES:
        found = metadata_of(home, stage)
        assert found["gradient/processed"] == 0, stage
        assert found["gradient/reused"] == found["gradient/objects_in"] > 0, stage


CHECKS = [("deidentified_metadata", "no_identifier_like_pattern"), ("final_table", "no_known_identifier")]


@pytest.mark.parametrize(("asset", "check"), CHECKS)
def test_a_check_of_what_is_the_same_names_the_run_that_searched(home, asset, check):
    home.gradient(*RUN)
    since = remembered_since(home, asset, check)
    home.gradient(*RUN)
    assert remembered_since(home, asset, check) == since
    assert len(since) == 36


def middle(call: Call, stage: str) -> int:
    """The number of a change that the stage's worker made, before the stage was committed."""
    own = [number for number, path in enumerate(changed_paths(call), start=1) if f"staging/{stage}-" in path]
    return own[len(own) // 3]


@pytest.mark.parametrize(
    "stage", ["dicom_metadata", "thumbnails"], ids=["while headers are read", "while pixels are cleaned"]
)
def test_a_run_killed_half_way_and_started_again_gives_the_same_bytes(home, first_run, stage):
    undisturbed = tables(home)
    for zone in ("identified", "deidentified", "public"):
        for folder in ("warehouse", "thumbnails", "staging", "partitions"):
            shutil.rmtree(home.path / zone / folder, ignore_errors=True)
    # Its workers are started as always: they have to die with it.
    kill = replace(first_run, kill_at=middle(first_run, stage), name="killed", workers=0)
    home.commands.run(kill, expect=KILLED)
    assert f"staging/{stage}-" in changed_paths(kill)[-1]
    assert uids(home, PUBLIC_TABLE) == set()
    home.gradient(*RUN)
    assert tables(home) == undisturbed


def test_a_new_study_arrives_in_every_table_and_only_it_is_read(home):
    before = uids(home, PUBLIC_TABLE)
    new = grow(home.path, HOSPITAL)
    dicoms = [key for key in new if key.startswith("dicoms/")]
    home.gradient(*RUN)
    assert metadata_of(home, "dicom_metadata")["gradient/processed"] == len(dicoms)
    assert before < uids(home, PUBLIC_TABLE)
    assert uids(home, DEIDENTIFIED_METADATA) >= uids(home, FINAL_TABLE) == uids(home, PUBLIC_TABLE)


def test_a_deleted_object_disappears_from_every_table_and_its_thumbnail_goes(home):
    batches = home.resources.warehouse.scan(PIXEL_TEXT, HOSPITAL, columns=("sop_instance_uid", "thumbnail_key"))
    gone_uid, gone_key = next(
        (row["sop_instance_uid"], row["thumbnail_key"])
        for batch in batches
        for row in batch.to_pylist()
        if row["thumbnail_key"]
    )
    from gradient_assets.deid.identity import Pseudonymizer

    hospital = home.registry.get(HOSPITAL)
    identity = Pseudonymizer(home.resources.vault.key(hospital.secret_name), HOSPITAL)
    columns = ("object_key", "sop_instance_uid")
    originals = [
        r for b in home.resources.warehouse.scan(DICOM_METADATA, HOSPITAL, columns=columns) for r in b.to_pylist()
    ]
    keys = [row["object_key"] for row in originals if identity.uid(row["sop_instance_uid"]) == gone_uid]
    home.resources.hospital_bucket(hospital, "dicoms").delete(keys)
    home.gradient(*RUN)
    for spec in (DEIDENTIFIED_METADATA, PIXEL_TEXT, FINAL_TABLE, PUBLIC_TABLE):
        assert gone_uid not in uids(home, spec), spec.name
    assert not home.resources.thumbnails.exists(gone_key)


def test_another_profile_processes_the_headers_again_but_reads_no_object(home):
    registry = Path(home.path / "hospitals.yaml")
    text = registry.read_text()
    registry.write_text(text.replace("profile: longitudinal", "profile: safe_harbor"))
    try:
        home.gradient(*RUN)
        assert metadata_of(home, "dicom_metadata")["gradient/processed"] == 0
        assert metadata_of(home, "deidentified_metadata")["gradient/reused"] == 0
        batches = home.resources.warehouse.scan(DEIDENTIFIED_METADATA, HOSPITAL, columns=("study_date",))
        dates = {day for batch in batches for day in batch["study_date"].to_pylist() if day}
        assert dates
        assert {(day.month, day.day) for day in dates} == {(1, 1)}
    finally:
        registry.write_text(text)


def test_a_newer_engine_processes_its_own_stages_again_and_no_other(home):
    newer = {**home.environ, "PYTHONPATH": f"{ROOT / 'tests/fakes/newer_text_engine'}:{ROOT}"}
    command = [sys.executable, "-m", "gradient_assets", *RUN]
    subprocess.run(command, env=newer, cwd=home.path, check=True, capture_output=True)
    assert metadata_of(home, "deidentified_reports")["gradient/reused"] == 0
    assert metadata_of(home, "deidentified_reports")["gradient/processed"] > 0
    for stage in ("dicom_metadata", "thumbnails"):
        assert metadata_of(home, stage)["gradient/processed"] == 0, stage


def test_ctrl_c_stops_the_whole_command(home):
    shutil.rmtree(home.path / "identified/warehouse", ignore_errors=True)
    command = [sys.executable, "-m", "gradient_assets", "run"]
    run = subprocess.Popen(
        command,
        env=home.environ,
        cwd=home.path,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list((home.path / "identified/warehouse").glob("dicom_metadata/*.parquet")):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    printed, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "Traceback" not in printed + said
    assert "run the same command again" in said
    assert len(list((home.path / "identified/warehouse").glob("dicom_metadata/*.parquet"))) == 1
