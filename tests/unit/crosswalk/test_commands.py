"""`gradient reidentify`, `crosswalk` and `rotate` at the prompt."""

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from gradient_assets.cli.errors import told
from tests.unit.crosswalk.conftest import REASON, SECRET


@pytest.fixture
def gradient(sent, monkeypatch):
    """Runs the command as `main` does; gives exit code, what it printed, and what it said on stderr."""
    sent.update()
    monkeypatch.setenv("GRADIENT_HOME", str(sent.path))

    def run(*arguments):
        done = CliRunner().invoke(cli, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            message, code = told(done.exception)
            return code, done.stdout, f"{message}\n"
        return done.exit_code, done.stdout, done.stderr

    return run


def test_one_pseudonym_comes_back(gradient, sent):
    identity = sent.of_version(1)
    code, shown, _ = gradient("reidentify", identity.patient("MRN-1"), "--hospital", "st-mary", "--reason", REASON)
    assert code == 0
    assert shown.splitlines() == [
        "patient id: MRN-1",
        f"dates moved by: {identity.shift_days('MRN-1')} days",
        "key version: 1",
    ]


def test_an_accession_number_names_its_patients_pseudonym_only(gradient, sent):
    identity = sent.of_version(1)
    arguments = ("reidentify", identity.accession("ACC-1"), "-H", "st-mary", "--reason", REASON, "--by", "Grace")
    code, shown, _ = gradient(*arguments)
    assert code == 0
    assert "accession number: ACC-1\n" in shown
    assert identity.patient("MRN-1") in shown
    assert "MRN-1" not in shown
    assert [use["by"] for use in sent.logged()] == ["Grace"]


def test_after_a_rotation_the_pseudonym_in_use_is_named(gradient, sent):
    old = sent.of_version(1).patient("MRN-1")
    assert gradient("rotate", "-H", "st-mary", "--reason", REASON)[0] == 0
    sent.update()
    shown = gradient("reidentify", old, "-H", "st-mary", "--reason", REASON)[1]
    assert f"pseudonym under the key in use: {sent.of_version(2).patient('MRN-1')}" in shown


NOBODY = "P" + "A" * 16


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("reidentify", NOBODY, "-H", "st-mary"), "--reason"),
        (("reidentify", NOBODY, "--reason", REASON), "--hospital"),
        (("reidentify", NOBODY, "-H", "st-mary", "--reason", "because"), "8 to 500 characters"),
        (("reidentify", NOBODY, "-H", "st-mary", "--reason", REASON, "--by", " "), "--by"),
        (("reidentify", NOBODY, "-H", "st-mary", "--reason", REASON), "is unknown to hospital 'st-mary'"),
        (("reidentify", "MRN-1", "-H", "st-mary", "--reason", REASON), "(not a pseudonym)"),
        (("reidentify", NOBODY, "-H", "nowhere", "--reason", REASON), "'nowhere' is not registered"),
        (("reidentify", NOBODY, "-H", "st-mary", "--recipient", "x", "--reason", REASON), "does not exist"),
        (("crosswalk", "-H", "st-mary", "out"), "--reason"),
        (("crosswalk", "-H", "st-mary", "--reason", "x", "out"), "8 to 500 characters"),
        (("rotate", "--reason", REASON), "Name one hospital"),
        (("rotate", "-H", "st-mary", "--recipient", "x", "--reason", REASON), "Name one hospital"),
        (("rotate", "-H", "st-mary"), "--reason"),
        (("rotate", "-H", "st-mary", "--reason", "now"), "8 to 500 characters"),
        (("rotate", "-H", "nowhere", "--reason", REASON), "'nowhere' is not registered"),
        (("rotate", "--recipient", "nobody", "--reason", REASON), "does not exist"),
    ],
)
def test_bad_input_is_exit_code_2_and_changes_nothing(gradient, sent, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, shown, said = gradient(*arguments)
    assert (code, shown) == (2, "")
    assert words in said
    assert len([line for line in said.splitlines() if line.startswith("Error")]) == 1
    assert sent.resources.vault.versions(SECRET) == (1,)
    assert not (tmp_path / "out").exists()


def test_a_rotation_says_what_comes_next_and_both_versions_stay(gradient, sent):
    code, shown, _ = gradient("rotate", "--hospital", "st-mary", "--reason", REASON, "--by", "Grace")
    assert code == 0
    assert "version 2" in shown
    assert "gradient run -H st-mary" in shown
    assert sent.resources.vault.versions(SECRET) == (1, 2)
    assert sent.resources.keys.recorded(SECRET)[-1].by == "Grace"
    for version in (1, 2):
        assert sent.resources.vault.key(SECRET, version).secret.hex() not in shown


def test_a_recipients_key_is_rotated_by_their_name(gradient, sent):
    sent.resources.vault.create("recipient/uni-x")
    code, shown, _ = gradient("rotate", "--recipient", "uni-x", "--reason", REASON)
    assert code == 0
    assert "can't be linked" in shown
    assert sent.resources.key("recipient/uni-x").version == 2


def test_a_rotation_that_was_killed_before_it_was_recorded_is_finished_by_the_next_one(gradient, sent):
    made = sent.resources.vault.rotate(SECRET)
    old = sent.of_version(1).patient("MRN-1")
    code, _, said = gradient("reidentify", old, "-H", "st-mary", "--reason", REASON)
    assert code == 2
    assert "gradient rotate" in said
    assert gradient("rotate", "-H", "st-mary", "--reason", REASON)[0] == 0
    assert sent.resources.key(SECRET) == made
    assert sent.resources.vault.versions(SECRET) == (1, 2)


def test_mapping_files_have_midi_bs_form_and_are_for_their_owner_alone(gradient, sent, tmp_path):
    folder = tmp_path / "mapping"
    code, shown, _ = gradient("crosswalk", "-H", "st-mary", "--reason", REASON, str(folder))
    assert code == 0
    identity = sent.of_version(1)
    expected = {
        "patients": {text: identity.patient(text) for text in ("MRN-1", "MRN-2", "mrn-2 ")},
        "accession_numbers": {text: identity.accession(text) for text in ("ACC-1", "ACC-2")},
        "uids": {
            text: identity.uid(text) for text in ("1.2.1", "1.2.1.1", "1.2.2", "1.2.2.1", "1.2.3", "1.2.3.1", "1.9.8.7")
        },
    }
    for name, mapping in expected.items():
        path = folder / f"{name}.csv"
        assert path.stat().st_mode & 0o777 == 0o600
        lines = path.read_text().splitlines()
        assert lines == ["id_old,id_new", *(f"{old},{new}" for old, new in sorted(mapping.items()))]
    assert "MRN" not in shown


@pytest.mark.parametrize("zone", ["landing", "deidentified", "public", "dagster"])
def test_mapping_files_stay_out_of_other_zones(gradient, sent, zone):
    code, _, said = gradient("crosswalk", "-H", "st-mary", "--reason", REASON, str(sent.path / zone / "x"))
    assert code == 2
    assert "identified data" in said
    assert sent.logged() == []
