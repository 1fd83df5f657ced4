"""`gradient revoke`: what it says, and that nothing broken holds it up."""

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from tests.fakes.small_release import OTHER, RELEASE, Made


@pytest.fixture
def delivered(tmp_path):
    made = Made.build(tmp_path)
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    return made


def revoke(made):
    environ = {"GRADIENT_HOME": str(made.path), "GRADIENT_HOSPITALS": str(made.path / "hospitals.yaml")}
    return CliRunner().invoke(cli, ["revoke", RELEASE.name, "--reason", "recalled"], env=environ)


def test_it_names_what_the_recipient_must_delete(delivered):
    ended = revoke(delivered)
    assert (ended.exit_code, delivered.delivered()) == (0, {"revoked.csv"})
    assert "must delete 3 objects" in ended.output


def test_a_broken_log_does_not_hold_it_up_and_is_told(delivered):
    (delivered.log_folder / "000002.json").write_text("{")
    ended = revoke(delivered)
    assert (ended.exit_code, delivered.delivered()) == (3, {"revoked.csv"})
    assert "must delete 3 objects" in ended.output
    assert "can't be relied on" in ended.output
