"""`gradient withdraw` and `verify --withdrawn` at the prompt: bad input is one line, code 2, nothing changed, no id."""

import os

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from gradient_assets.cli.errors import told
from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.register import WithdrawalError
from gradient_assets.withdrawals.withdraw import Withdrawal, read_ids
from resources import Settings, resources_for
from tests.fakes import two_patients as made


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GRADIENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path))
    made.build(tmp_path)
    return tmp_path


def ended(*arguments):
    """What the command says and its exit code, as `main` does it."""
    result = CliRunner().invoke(cli, arguments)
    if result.exception is None or isinstance(result.exception, SystemExit):
        return result.output, result.exit_code
    return told(result.exception)


def test_ids_are_read_once_each_without_blanks_and_byte_order_mark(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeffMRN-1\r\n\n  MRN-2 \nMRN-1\n".encode())
    file.chmod(0o600)
    assert read_ids(file) == ("MRN-1", "MRN-2")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_may_touch_is_refused(tmp_path, mode):
    file = made.ids_file(tmp_path, "MRN-771204")
    file.chmod(mode)
    with pytest.raises(WithdrawalError, match="chmod 600"):
        read_ids(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no patient id"),
        (b"\n  \n", "holds no patient id"),
        (b"MRN-771204\n---\n", "line 2: no patient id"),
        (b"MRN-771204\n" + b"7" * 65, "line 2: no patient id"),
        (b"\xff\xfe\x00", "can't be read"),
        (b"MRN-1\nMRN-771204,Quillfeather", "line 2: no patient id"),
        (b"MRN-771204;Quillfeather", "line 1: no patient id"),
        (b"MRN-771204\tQuillfeather", "line 1: no patient id"),
        (b'"MRN-771204"', "line 1: no patient id"),
        (b"patient_id\nMRN-771204", "line 1: no patient id"),
        (b"MRN\nMRN-771204", "line 1: no patient id"),
        (b"MRN-771204\nPatient-ID", "line 2: no patient id"),
        (b"MRN-771204\n0\n", "line 2: no patient id"),
        (b"MRN-771204\n000", "line 2: no patient id"),
        (b"MRN-771204\nX", "line 2: no patient id"),
    ],
)
def test_a_file_with_anything_else_is_refused_by_its_line_and_shows_nothing_of_it(tmp_path, content, message):
    file = tmp_path / "ids.txt"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(WithdrawalError, match=message) as error:
        read_ids(file)
    assert "7712" not in str(error.value)
    assert "7777" not in str(error.value)
    assert "uillfeather" not in str(error.value)


@pytest.mark.parametrize("one", ["12", "A1", "MRN 771204", "patient-7", "QX/004711", "id.3"])
def test_short_ids_and_those_with_other_separators_are_ids(tmp_path, one):
    assert read_ids(made.ids_file(tmp_path, one)) == (one,)


def test_a_missing_file_a_folder_and_a_huge_file_are_refused(tmp_path):
    huge = made.ids_file(tmp_path, "MRN-1")
    os.truncate(huge, 17 * 1024**2)
    for place, message in ((tmp_path / "none", "can't be read"), (tmp_path, "not a file"), (huge, "larger than")):
        with pytest.raises(WithdrawalError, match=message):
            read_ids(place)


@pytest.mark.parametrize(
    ("by", "reason"), [("", ""), ("a\nb", ""), ("x" * 61, ""), ("Ada", "a\nb"), ("Ada", "x" * 501)]
)
def test_names_and_reasons_that_can_not_stand_in_the_log_are_refused(by, reason):
    hospital = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
    with pytest.raises(WithdrawalError):
        Withdrawal(hospital, ("MRN-1",), by, reason)
    assert "MRN" not in repr(Withdrawal(hospital, ("MRN-1",), "Ada"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-H", "nowhere", "--patient-id-file", "ids.txt"), "nowhere"),
        (("-H", "st-mary", "--patient-id-file", "missing.txt"), "can't be read"),
        (("-H", "st-mary", "--patient-id-file", "ids.txt", "--by", "x" * 61), "1 to 60"),
        (("-H", "st-mary", "--patient-id-file", "ids.txt"), "does not exist"),
        (("-H", "st-mary"), "--patient-id-file"),
    ],
)
def test_bad_input_is_told_in_a_line_and_nothing_is_written(home, monkeypatch, arguments, message):
    monkeypatch.chdir(home)
    made.ids_file(home, "MRN-771204")
    before = {path for path in home.rglob("*") if path.is_file()}
    said, code = ended("withdraw", *arguments)
    assert (code, message in said) == (2, True), said
    assert "771204" not in said
    assert {path for path in home.rglob("*") if path.is_file()} == before


def test_withdrawing_somebody_unknown_refuses_them_from_now_on_and_says_first_that_nobody_is_known(home):
    resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)})).vault.create("hospital/st-mary")
    ids = made.ids_file(home, "MRN-771204")
    said, code = ended(
        "withdraw", "-H", "st-mary", "--patient-id-file", str(ids), "--reason", "request 7", "--by", "Ada"
    )
    assert (code, "0 known here, 0 withdrawn before, 1 not known" in said) == (3, True)
    assert said.startswith("1 of 1 ids match nobody here")
    again, code = ended("withdraw", "-H", "st-mary", "--patient-id-file", str(ids), "--by", "Ada")
    assert (code, "match nobody" in again) == (0, False)
    said, code = ended("verify", "--withdrawn", "-H", "st-mary", "--patient-id-file", str(ids))
    assert (code, "none found" in said) == (0, True)
    logs = list((home / "identified/release_requests/_withdrawals/st-mary/log").iterdir())
    assert len(logs) == 2
    assert all('"by": "Ada"' in log.read_text() and "771204" not in log.read_text() for log in logs)


def test_an_id_that_was_never_withdrawn_is_a_finding(home):
    resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)})).vault.create("hospital/st-mary")
    ids = made.ids_file(home, "MRN-771204")
    said, code = ended("verify", "--withdrawn", "-H", "st-mary", "--patient-id-file", str(ids))
    assert (code, "never withdrawn: 1" in said) == (3, True)


def test_without_withdrawals_there_is_nothing_to_look_for(home):
    resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)})).vault.create("hospital/st-mary")
    said, code = ended("verify", "--withdrawn")
    assert (code, "nobody was withdrawn" in said) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--withdrawn", "--drop-changed"),
        ("some-release", "--withdrawn"),
        ("--patient-id-file", "x", "-H", "st-mary"),
        ("--withdrawn", "--patient-id-file", "x"),
    ],
)
def test_options_that_do_not_go_together_are_refused(home, arguments):
    said, code = ended("verify", *arguments)
    assert (code, "--withdrawn" in said) == (2, True)
