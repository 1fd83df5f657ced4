"""Delivery before approval is impossible: by the command, by the job, by choosing assets in the graph."""

import sys

import dagster as dg
import pytest

from gradient_assets.assets import public
from gradient_assets.automation.jobs import DELIVERY_JOB, RELEASE_JOB
from gradient_assets.cli import main
from gradient_assets.definitions import build_defs
from gradient_assets.pipelines.stage import StageCounts, StageRun
from gradient_assets.releases import ReleaseError
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.manifest import manifest_rows
from gradient_assets.releases.verification import BEFORE_DELIVERY, NEEDED, PAGE
from gradient_assets.tables import PROD
from tests.fakes.small_release import AUTHOR, OTHER, RELEASE, Made, Person
from tests.graph.forked import ForkedHome

pytestmark = pytest.mark.xdist_group("release-gate")


@pytest.fixture
def made(tmp_path):
    made = Made.build(tmp_path)
    made.report()
    return made


def definitions(made):
    environ = {"GRADIENT_HOME": str(made.path)}
    return build_defs(environ, registry=made.registry, resource_overrides={"resources": made.resources})


def run(made, job, *assets):
    """The failures of one run, in this process."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("release", [RELEASE.name])
        result = (
            definitions(made)
            .resolve_job_def(job)
            .execute_in_process(
                partition_key=RELEASE.name,
                instance=instance,
                asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
                raise_on_error=False,
            )
        )
        return {
            event.step_key: event.step_failure_data.user_failure_data.description
            for event in result.all_events
            if event.is_step_failure and event.step_failure_data.user_failure_data
        }


def test_the_job_refuses_what_is_not_approved(made):
    assert "0 of 1 approvals. Nothing was delivered" in run(made, DELIVERY_JOB)["release_delivery"]
    assert made.delivered() == set()


def test_the_asset_chosen_by_hand_refuses_it(made):
    assert "0 of 1 approvals" in run(made, "__ASSET_JOB", "release_delivery")["release_delivery"]
    assert made.delivered() == set()


def test_the_release_job_has_no_delivery(made):
    nodes = set(definitions(made).resolve_job_def(RELEASE_JOB).graph.node_dict)
    assert "release_report" in nodes
    assert "release_delivery" not in nodes


def test_the_job_delivers_what_is_approved_and_its_check_passes(made):
    made.gate.approve(OTHER)
    assert run(made, DELIVERY_JOB) == {}
    assert f"dicom/{Person(0).key}" in made.delivered()


def test_a_log_edited_into_nonsense_stops_the_job(made):
    made.gate.approve(OTHER)
    (made.log_folder / "000002.json").write_text('{"change": "approved by everybody"}')
    assert "can't be relied on" in run(made, DELIVERY_JOB)["release_delivery"]
    assert made.delivered() == set()


def test_a_revoked_release_is_neither_made_nor_reported_again(made):
    made.gate.revoke("root", "recalled")
    for assets in (("release_dicoms", "release_manifest"), ("release_report",)):
        assert "was revoked" in run(made, "__ASSET_JOB", *assets)[assets[0]]


def test_a_release_of_a_hospital_whose_checks_never_ran_is_not_begun(made):
    made.put_prod([Person(1), Person(2)])
    failed = run(made, "__ASSET_JOB", "release_dicoms", "release_manifest")["release_dicoms"]
    assert "no_known_identifier of prod of 'st-mary' never ran" in failed


def test_a_cohort_of_a_hospital_that_the_registry_has_not_is_refused(made):
    row = {"hospital_id": "gone", "sop_instance_uid": "2.25.9", "modality": "CT", "study_description": "HEAD"}
    made.put(PROD, [row], "gone")
    failed = run(made, "__ASSET_JOB", "release_dicoms", "release_manifest")["release_dicoms"]
    assert "has 1 instances of hospitals that are not in the registry" in failed


@pytest.mark.parametrize("during", ["run", "isolate"], ids=["while it is cleaned", "while it is searched"])
def test_of_a_release_that_is_revoked_while_it_is_made_nothing_stays(made, monkeypatch, during):
    people = [Person(1), Person(2)]
    counts = StageCounts(2, 2, 0, 0, 2, 0, {}, 0.0)

    class Cleaning(StageRun):
        """Writes objects and manifest, and is overtaken right before."""

        def run(self, *_, **__):
            return self.wrote("run")

        def isolate(self, *_):
            return self.wrote("isolate")

        def wrote(self, now):
            if now == during:
                made.gate.revoke(OTHER, "recalled")
            made.make(people)
            return counts

    monkeypatch.setattr(public, "StageRun", Cleaning)
    monkeypatch.setattr(public, "require_passed", lambda *_, **__: None)  # nobody has run this hospital
    made.put_prod(people)
    failed = run(made, "__ASSET_JOB", "release_dicoms", "release_manifest")["release_dicoms"]
    assert "was revoked meanwhile" in failed
    assert [stat.key for stat in made.resources.releases.listing(f"{RELEASE.prepared}/")] == []
    assert manifest_rows(made.resources.warehouse, RELEASE.name) == []


def test_of_a_release_that_is_revoked_while_its_page_is_laid_no_page_stays(made, monkeypatch):
    verify = public.Gate.verify

    def overtaken(gate, by, manifest, report):
        standing = verify(gate, by, manifest, report)
        made.gate.revoke(OTHER, "recalled")
        made.resources.releases.under(RELEASE.pages).put(
            "report.html", report
        )  # as if laid after the revocation had deleted
        return standing

    monkeypatch.setattr(public.Gate, "verify", overtaken)
    assert "was revoked meanwhile" in run(made, "__ASSET_JOB", "release_report")["release_report"]
    assert [stat.key for stat in made.resources.releases.listing(f"{RELEASE.pages}/")] == []


def test_a_page_that_is_laid_after_the_revocation_goes_again(made):
    class Overtaken(Gate):
        """Is overtaken between the question and the page."""

        def require_not_revoked(self):
            standing = super().require_not_revoked()
            made.gate.revoke(OTHER, "recalled")
            return standing

    gate = Overtaken(made.resources, made.gate.rules, RELEASE)
    with pytest.raises(ReleaseError, match="was revoked meanwhile"):
        gate.verify(OTHER, b"manifest", b"report")
    assert [stat.key for stat in made.resources.releases.listing(f"{RELEASE.pages}/")] == []


def test_every_blocking_check_before_the_delivery_is_needed(made):
    blocking = {
        (spec.asset_key.to_user_string(), spec.name)
        for checks in definitions(made).asset_checks
        for spec in checks.check_specs
        if spec.blocking and spec.asset_key.to_user_string() in BEFORE_DELIVERY
    }
    assert blocking == {*NEEDED, PAGE}


REFUSALS = [
    (("deliver", RELEASE.name), "0 of 1 approvals"),
    (("deliver", "summer"), "Release 'summer' is unknown"),
    (("approve", "summer", "--by", OTHER), "Release 'summer' is unknown"),
    (("approve", RELEASE.name, "--by", AUTHOR), "can't approve it"),
    (("approve", RELEASE.name, "--by", OTHER, "--digest", "0" * 12), "Read it anew"),
    (("revoke", "summer", "--reason", "x"), "Release 'summer' is unknown"),
    (("revoke", RELEASE.name, "--reason", " "), "for a reason"),
    (("release", "next", "--recipient", "nobody", "--where", "modality = 'CT'"), "has no key"),
    (("release", "next", "--recipient", "uni-x", "--where", "modality = 'XX'"), "selects nothing"),
    (("release", "next", "--recipient", "uni-x", "--where", "modality = 'CT'"), "1 of 2 classes of patients"),
    (("release", "next", "--recipient", "uni-x", "--where", "modality = 4"), "can't be run"),
    (("release", RELEASE.name, "--recipient", "uni-y", "--where", "modality = 'CT'"), "another recipient or cohort"),
]


def test_bad_input_is_one_line_and_changes_nothing(tmp_path, monkeypatch, capsys):
    made = Made.build(tmp_path, smallest_class=2)
    made.report()
    made.put_prod([Person(1), Person(2), Person(3, sex="M")])
    made.resources.vault.create("recipient/uni-y")
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path))
    before = contents(tmp_path)
    for arguments, words in REFUSALS:
        monkeypatch.setattr(sys, "argv", ["gradient", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2, err
        assert words in err, arguments
        assert (err.count("\n"), out) == (1, ""), arguments
        assert contents(tmp_path) == before, arguments


def test_the_commands_lead_from_verified_to_revoked(made, commands):
    home = ForkedHome(made.path, commands)
    assert "approved." in home.gradient("approve", RELEASE.name, "--by", OTHER, "--note", "read").stdout
    assert "delivered." in home.gradient("deliver", RELEASE.name).stdout
    listed = home.gradient("releases").stdout
    assert all(word in listed for word in (RELEASE.name, "delivered", OTHER, AUTHOR))
    assert "must delete 3 objects" in home.gradient("revoke", RELEASE.name, "--reason", "recalled").stdout
    assert made.delivered() == {"revoked.csv"}
    assert "recalled" in home.gradient("releases", RELEASE.name).stdout
    (made.log_folder / "000001.json").write_text("x")
    assert "unknown" in home.gradient("releases", expect=3).stdout


def contents(folder):
    """What stands in the home's files, without Dagster's own and without locks."""
    kept = (path for path in sorted(folder.rglob("*")) if path.is_file() and "dagster" not in path.parts[-3:])
    return {path: path.read_bytes() for path in kept if not path.name.endswith(".lock") and "staging" not in path.parts}
