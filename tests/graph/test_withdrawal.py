"""A patient is withdrawn after a delivery: gone from everything, refused when sent again, nobody else touched."""

import csv
import io
import json
from collections import Counter

import pytest

from gradient_assets.assets.context import HospitalWork
from gradient_assets.contact_sheet import shown_on
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.integrity.records import recorded
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.releases import load_release
from gradient_assets.releases.delivery import Gate
from gradient_assets.review.decisions import Decision, DecisionLog
from gradient_assets.tables import (
    ALL_TABLES,
    DEIDENTIFIED_METADATA,
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    PUBLIC_TABLE,
    QUARANTINE,
    REFUSED_METADATA,
)
from gradient_assets.withdrawals.absence import prove_absence
from gradient_assets.withdrawals.register import load_register
from gradient_assets.withdrawals.withdraw import FIRST, LAST, SWEEPS, Task, Withdrawal, removing_warehouse, withdraw
from tests.fakes import two_patients as made
from tests.graph.conftest import Home
from tests.graph.forked import ForkedHome

pytestmark = pytest.mark.xdist_group("withdrawal")

HOSPITAL, RELEASE, RECIPIENT = made.HOSPITAL, "all-mr", "uni-x"
IDS = ("MRN-771204", "MRN-999999")
STEPS = [step.__name__ for step in (*FIRST, *SWEEPS, *LAST)]


@pytest.fixture(scope="module")
def before(commands, tmp_path_factory) -> ForkedHome:
    """Both patients in every table, and with a recipient."""
    home = ForkedHome(tmp_path_factory.mktemp("withdrawal") / "before", commands)
    home.path.mkdir()
    made.build(home.path)
    home.resources.vault.create(f"hospital/{HOSPITAL}")
    home.gradient("run", "-H", HOSPITAL)
    home.gradient(
        "release", RELEASE, "--recipient", RECIPIENT, "--create-key", "--where", "modality = 'MR'", "--by", "Ada"
    )
    home.gradient("approve", RELEASE, "--by", "Grace")
    home.gradient("deliver", RELEASE)
    put_decision(home)
    return home


@pytest.fixture
def home(before, tmp_path) -> ForkedHome:
    """A copy of its own for each test."""
    return before.copied(tmp_path / "home")


@pytest.fixture(scope="module")
def after(before, tmp_path_factory) -> ForkedHome:
    """The home after the command and the next run."""
    copy = before.copied(tmp_path_factory.mktemp("withdrawal") / "after")
    ids = str(made.ids_file(copy.path, *IDS))
    done = copy.gradient(
        "withdraw", "-H", HOSPITAL, "--patient-id-file", ids, "--by", "Ada", expect=3
    )  # one is unknown
    (copy.path / "told.txt").write_text(done.stdout + done.stderr)
    copy.gradient("run", "-H", HOSPITAL)
    return copy


def put_decision(home: Home) -> None:
    (row,) = (row for row in rows(home, DICOM_METADATA, HOSPITAL) if row["object_key"] == "a/one.dcm")
    name = identity_of(home).token("object", row["object_key"])
    decision = Decision(name, "0" * 32, "accept", (), "Ada", "2026-01-01T00:00:00+00:00", drawn_by_chance=False)
    DecisionLog.of(home.resources, home.registry.get(HOSPITAL)).keep(decision)


def rows(home: Home, spec, partition=None):
    return [row for batch in home.resources.warehouse.scan(spec, partition) for row in batch.to_pylist()]


def task(home: Home, *ids: str) -> Task:
    resources = home.resources
    order = Withdrawal(home.registry.get(HOSPITAL), ids or IDS, "Ada")
    return Task(order, resources, removing_warehouse(resources, home.registry, "withdraw"))


def content(home: Home) -> dict[str, object]:
    """All tables, thumbnails and delivered objects; without what is a run's own (ids, seals)."""
    own = {"run_id", "sealed"}
    tables = {
        spec.full_name: Counter(
            json.dumps({name: value for name, value in row.items() if name not in own}, default=str, sort_keys=True)
            for row in rows(home, spec)
        )
        for spec in ALL_TABLES
    }
    resources = home.resources
    objects = {
        bucket.uri.rpartition("/")[2] + "/" + stat.key: bucket.get(stat.key)
        for bucket in (resources.thumbnails, resources.releases)
        for stat in bucket.listing()
    }
    return {**tables, **objects}


def found(home: Home, *ids: str) -> Counter[str]:
    return prove_absence(home.resources, home.registry.get(HOSPITAL), ids).found


def test_before_the_proof_finds_the_patient_everywhere(home):
    """Tombstones alone, nothing removed: or finding nothing afterwards would say nothing."""
    with pytest.raises(KeyboardInterrupt):
        withdraw(task(home), stop_after("put_traces"))
    places = found(home, "MRN-771204")
    wanted = {
        "identified.dicom_metadata",
        "identified.identified_reports",
        "identified.crosswalk",
        "public.public_table",
    }
    assert wanted | {
        "deidentified.prod",
        "public.release_manifest",
        "thumbnails",
        "releases",
        "review decisions",
    } <= set(places)


def test_after_it_finds_nobody_and_the_command_says_so(after):
    ids = made.ids_file(after.path, *IDS)
    done = after.gradient("verify", "--withdrawn", "-H", HOSPITAL, "--patient-id-file", str(ids))
    assert "none found" in done.stdout


def test_the_operator_is_told_counts_and_whom_to_tell_and_no_id(after):
    told = (after.path / "told.txt").read_text()
    assert told.startswith("1 of 2 ids match nobody here")
    assert "2 patients withdrawn (1 known here, 0 withdrawn before, 1 not known" in told
    assert "3 objects and 1 report rows of them lie in the hospital's own buckets" in told
    assert f"Tell {RECIPIENT}: 3 objects of release '{RELEASE}'" in told
    assert not any(sign in told for sign in ("771204", "999999", "uillfeather"))


def test_the_sheet_of_thumbnails_is_deleted_and_made_again_without_the_patient(before, home, after):
    shown = [shown_on(one.resources.thumbnails, HOSPITAL) for one in (before, after)]
    assert set(shown[1]) < set(shown[0])
    assert shown[1]
    withdraw(task(home))
    assert shown_on(home.resources.thumbnails, HOSPITAL) == []


def test_others_stay_as_they_were(before, after):
    for spec in (DICOM_METADATA, IDENTIFIED_REPORTS, PUBLIC_TABLE):
        kept = [row for row in rows(before, spec) if STAYING[spec.name](row, before)]
        assert kept
        assert rows(after, spec) == kept, spec.name


STAYING = {
    "dicom_metadata": lambda row, home: row["patient_id"] == made.STAYS,
    "identified_reports": lambda row, home: row["patient_id"] == made.STAYS,
    "public_table": lambda row, home: row["patient_pseudonym"] == identity_of(home).patient(made.STAYS),
}


def identity_of(home: Home):
    return Pseudonymizer(home.resources.key(f"hospital/{HOSPITAL}"), HOSPITAL)


def test_the_stages_count_what_was_left_out_apart(after):
    refused = Counter(row["reason"] for row in rows(after, REFUSED_METADATA))
    assert refused == {
        "withdrawn": 4,
        "not_dicom": 1,
    }  # three of the patient, and the broken one with the id in its key
    assert all(row["object_key"] == "" for row in rows(after, REFUSED_METADATA) if row["reason"] == "withdrawn")
    assert [row["reason"] for row in rows(after, QUARANTINE)] == ["not_dicom"]


def test_the_recipient_finds_what_to_delete_and_a_manifest_without_it(before, after):
    place = load_release(after.resources.release_requests, RELEASE).delivered
    releases = after.resources.releases.under(place)
    listed = list(csv.DictReader(io.StringIO(before.resources.releases.under(place).get("manifest.csv").decode())))
    gone = list(csv.DictReader(io.StringIO(releases.get("withdrawn_objects.csv").decode())))
    kept = list(csv.DictReader(io.StringIO(releases.get("manifest.csv").decode())))
    digests = {row["object_key"]: row["sha256"] for row in listed}
    assert len(gone) == 3
    assert {row["object_key"]: row["sha256"] for row in (*gone, *kept)} == digests
    assert {stat.key for stat in releases.listing("dicom/")} == {f"dicom/{row['object_key']}" for row in kept}
    assert b"<img" not in releases.get("report.html")


def test_the_log_of_the_release_says_that_it_was_reduced(after):
    release = load_release(after.resources.release_requests, RELEASE)
    standing = Gate(after.resources, after.registry.releases, release).log.standing()
    assert standing.entries[-1].change == "reduced"
    after.gradient("verify", RELEASE)


def test_what_is_recorded_of_tables_fits_them(after):
    after.gradient("verify", "-H", HOSPITAL)


def test_what_is_sent_again_or_new_of_the_patient_stays_out(after, tmp_path):
    home = after.copied(tmp_path / "home")
    made.put(home.path, "dicoms", "again/one.dcm", made.OBJECTS["a/one.dcm"])
    new = made.instance(9, "mrn.771204", made.GONE_NAME, "1.2.3.9.200", "ACC-9999999")
    made.put(home.path, "dicoms", "again/new.dcm", new)
    row = 'R-1004,"MRN/771204",Zebulon Quillfeather,,There is a cyst.\n'
    made.put(home.path, "reports", "2020.csv", ("Id,MRN,Name,Accession,Report\n" + row).encode())
    done = home.gradient("run", "-H", HOSPITAL)
    assert found(home, *IDS) == {}
    assert Counter(row["reason"] for row in rows(home, REFUSED_METADATA))["withdrawn"] == 6
    assert {row["patient_id"] for row in rows(home, IDENTIFIED_REPORTS)} == {made.STAYS}
    assert "771204" not in done.stdout + done.stderr


def stop_after(name):
    def heard(step):
        if step == name:
            raise KeyboardInterrupt

    return heard


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory):
    copy = before.copied(tmp_path_factory.mktemp("withdrawal") / "undisturbed")
    withdraw(task(copy))
    return content(copy)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_and_run_again_comes_to_the_same(home, undisturbed, step):
    with pytest.raises(KeyboardInterrupt):
        withdraw(task(home), stop_after(step))
    withdraw(task(home))
    assert content(home) == undisturbed
    assert found(home, *IDS) == {}


def test_the_same_again_changes_nothing(home, undisturbed):
    withdraw(task(home))
    outcome = withdraw(task(home))
    assert (outcome.known, outcome.before, outcome.unknown) == (0, 2, 0)
    assert (outcome.rows.total(), outcome.thumbnails, outcome.decisions, outcome.releases) == (0, 0, 0, {})
    assert content(home) == undisturbed


@pytest.mark.parametrize("step", [step.__name__ for step in (*FIRST, *SWEEPS)])
def test_another_withdrawal_in_the_middle_of_one_is_not_undone_by_it(home, step):
    """Each rewrites what the other has removed from: whoever ends last has to see both."""
    started = []

    def second(name):
        if name == step and not started:
            started.append(name)
            withdraw(task(home, made.STAYS))

    withdraw(task(home), second)
    assert found(home, *IDS, made.STAYS) == {}
    assert rows(home, DICOM_METADATA, HOSPITAL) == []
    assert len(load_register(home.resources, home.registry.get(HOSPITAL)).files) >= 4


def test_a_home_where_everybody_was_withdrawn_still_runs(home):
    withdraw(task(home, *IDS, made.STAYS))
    home.gradient("run", "-H", HOSPITAL)
    assert found(home, *IDS, made.STAYS) == {}


def stage(home: Home):
    return HospitalWork.of(HOSPITAL, home.registry, home.resources, "run-in-between", lambda message: None)


def while_it_runs(home: Home, items):
    """The work list; when it is read to its end, and before anything of it is done, the patient is withdrawn."""
    yield from list(items)
    withdraw(task(home))


def test_a_stage_that_reads_the_bucket_meanwhile_does_not_bring_the_patient_back(home):
    work = stage(home)
    bucket = work.bucket("dicoms")
    step = ReadHeaders(work.hospital, bucket, work.profile, version="a-newer-one")
    work.stage.run(step, while_it_runs(home, work.source.objects(bucket.listing(), step.version)))
    assert {row["patient_id"] for row in rows(home, DICOM_METADATA, HOSPITAL)} == {made.STAYS}
    assert found(home, *IDS) == {}


def test_nor_does_one_that_reads_the_table_before(home):
    work = stage(home)
    step = CleanHeaders(work.hospital, work.profile, work.identity, version="newer")
    known = gather(home.resources.warehouse, HOSPITAL)
    everyone = list(known.everyone())
    items = while_it_runs(home, work.source.headers(known, work.profile, step.version))
    work.stage.run(step, items, everyone=everyone)
    assert len(rows(home, DEIDENTIFIED_METADATA, HOSPITAL)) == 2
    assert found(home, *IDS) == {}


def test_between_a_rotation_and_the_next_run_what_stays_is_recorded_under_the_key_that_made_it(home):
    home.gradient("rotate", "-H", HOSPITAL, "--reason", "a test of rotation", "--by", "Ada")
    withdraw(task(home))
    assert found(home, *IDS) == {}
    resources = home.resources
    assert resources.key(f"hospital/{HOSPITAL}").version == 2
    assert recorded(resources.partition_records, DEIDENTIFIED_METADATA, HOSPITAL).key_version == 1
    home.gradient("run", "-H", HOSPITAL)
    assert {row["patient_id"] for row in rows(home, DICOM_METADATA, HOSPITAL)} == {made.STAYS}
    assert found(home, *IDS) == {}
