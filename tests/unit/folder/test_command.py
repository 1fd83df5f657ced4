"""What the command prints, and how it ends."""

import os
import stat
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gradient_assets.cli.deidentify import InternalError, keygen, told_in_one_line
from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.folder import crosswalk
from tests.unit.folder.conftest import files_under, make_instance, write_csv


def test_everything_delivered_ends_with_0(place):
    make_instance(place.source / "a")
    result = place.run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "delivered                  1" in result.stdout
    assert str(place.out / "dicom") in result.stdout


def test_something_quarantined_ends_with_3_and_says_why_in_plain_words(place):
    make_instance(place.source / "a")
    (place.source / "b").touch()
    result = place.run()
    assert result.exit_code == 3
    assert f"1 × empty_object: {EXPLANATIONS[Reason.EMPTY_OBJECT].meaning}" in result.stdout


def test_nothing_that_identifies_is_printed(place):
    make_instance(place.source / "Quillfeather_Zebulon" / "MRN-778123.dcm")
    (place.source / "Quillfeather_Zebulon" / "broken-778123").write_text("Zebulon")
    result = place.run()
    assert result.exit_code == 3
    assert [word for word in ("Quillfeather", "Zebulon", "778123", "1.2.3.4") if word in result.output] == []


BAD = {
    "no key": (lambda p: p.run(key=p.source.parent / "none"), "gradient keygen"),
    "open key": (lambda p: (p.key.chmod(0o644), p.run())[1], "chmod 600"),
    "a key that is none": (lambda p: (p.key.write_text("secret"), p.run())[1], "No key"),
    "no IN": (lambda p: p.run(source=p.source / "none"), "IN: no such folder"),
    "IN is a file": (lambda p: p.run(source=p.key), "IN: no such folder"),
    "IN is empty": (lambda p: ([f.unlink() for f in p.source.iterdir()], p.run())[1], "nothing to do"),
    "OUT in IN": (lambda p: p.run(out=p.source / "out"), "OUT lies inside IN"),
    "OUT is IN": (lambda p: p.run(out=p.source), "OUT lies inside IN"),
    "IN in OUT": (lambda p: p.run(out=p.source.parent), "IN lies inside OUT"),
    "OUT is a file": (lambda p: p.run(out=p.key), "expected a folder"),
    "OUT by a link": (lambda p: (p.out.symlink_to(p.source), p.run())[1], "OUT lies inside IN"),
    "OUT not empty": (lambda p: (p.out.mkdir(), (p.out / "thesis").touch(), p.run())[2], "OUT is not empty"),
    "FILE in OUT": (lambda p: p.run(crosswalk=p.out / "x.csv"), "FILE lies inside OUT"),
    "FILE is the key": (lambda p: p.run(crosswalk=p.key), "FILE is the file of --key-file"),
    "FILE is another's": (lambda p: (p.crosswalk.write_text("a,b\n"), p.run())[1], "no crosswalk"),
    "FILE has no folder": (lambda p: p.run(crosswalk=p.out.parent / "no" / "x.csv"), "folder of FILE does not exist"),
    "FILE is a folder": (lambda p: p.run(crosswalk=p.source), "expected a file"),
    "unknown profile": (lambda p: p.run("--profile", "other"), "expected one of safe_harbor"),
    "no jobs": (lambda p: p.run("--jobs", "0"), "--jobs"),
    "unknown option": (lambda p: p.run("--frobnicate"), "--frobnicate"),
    "columns only": (lambda p: p.run("--columns", "text=a"), "without --reports"),
    "identifiers only": (lambda p: p.run("--identifiers", "a"), "without --reports"),
    "no CSV": (lambda p: p.run("--reports", "none", "--columns", "report_id=a,text=b"), "--reports: no such file"),
    "no columns": (lambda p: with_reports(p), "report_id is missing"),
    "no text column": (lambda p: with_reports(p, "--columns", "report_id=id"), "text is missing"),
    "unknown role": (lambda p: with_reports(p, "--columns", "report_id=id,text=txt,nose=x"), "`nose` is no role"),
    "no column name": (lambda p: with_reports(p, "--columns", "report_id=id,text="), "expected ROLE=COLUMN"),
    "role twice": (lambda p: with_reports(p, "--columns", "report_id=id,text=txt", "--columns", "text=id"), "given twice"),
    "column not there": (lambda p: with_reports(p, "--columns", "report_id=id,text=other"), "column for text is missing"),
    "text column taken": (lambda p: with_reports(p, "--columns", "report_id=id,text=report_id"), "rename it"),
    "unknown encoding": (lambda p: with_reports(p, *GOOD, "--encoding", "klingon"), "--encoding"),
    "long delimiter": (lambda p: with_reports(p, *GOOD, "--delimiter", ";;"), "--delimiter"),
    "no second CSV": (lambda p: with_reports(p, *GOOD, "--identifiers", "none"), "--identifiers: no such file"),
    "second CSV without id": (lambda p: with_reports(p, *GOOD, "--identifiers", second(p, ["mrn"])), "report_id is missing"),
    "second CSV broken": (lambda p: with_reports(p, *GOOD, "--identifiers", second(p, ("report_id", "mrn"), ("1",))), "row 1"),
    "reports in OUT": (lambda p: reports_in_out(p), "--reports: the file lies inside OUT"),
}  # fmt: skip
GOOD = ("--columns", "report_id=id,text=txt")


def with_reports(place, *more):
    return place.run("--reports", write_csv(place.source.parent / "r.csv", ("id", "txt"), ("R1", "Text.")), *more)


def second(place, *rows):
    return write_csv(place.source.parent / "more.csv", *rows)


def reports_in_out(place):
    place.out.mkdir()
    reports = write_csv(place.out / "reports.csv", ("id", "txt"), ("R1", "Text."))
    return place.run("--reports", reports, *GOOD)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_writes_nothing(place, case):
    make_instance(place.source / "a")
    call, words = BAD[case]
    result = call(place)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not any(name.startswith(("dicom", ".gradient")) for name in files_under(place.source.parent / "out"))


def test_a_foreign_file_in_an_earlier_result_is_not_replaced(place):
    make_instance(place.source / "a")
    place.run()
    (place.out / "dicom" / "notes.txt").write_text("mine")
    result = place.run()
    assert (result.exit_code, "OUT is not empty" in result.stderr) == (2, True)
    assert (place.out / "dicom" / "notes.txt").read_text() == "mine"


def test_an_unforeseen_error_shows_type_and_place_only():
    with pytest.raises(InternalError) as caught, told_in_one_line():
        raise ValueError("Quillfeather, Zebulon")
    assert caught.value.exit_code == 1
    assert "ValueError at test_command.py:" in caught.value.format_message()
    assert "Zebulon" not in caught.value.format_message()


def test_an_error_of_the_file_system_says_which(tmp_path):
    with pytest.raises(click.ClickException, match="No space left on device") as caught, told_in_one_line():
        raise OSError(28, "No space left on device", str(tmp_path / "Quillfeather"))
    assert "Quillfeather" not in caught.value.format_message()


def test_exit_codes_stand_in_the_help(place):
    result = place.run("--help")
    assert result.exit_code == 0
    assert all(f"  {code}  " in result.stdout for code in range(4))


def test_the_command_of_the_shell_ends_with_3(place):
    (place.source / "a").touch()
    words = [
        "deidentify",
        place.source,
        place.out,
        "--key-file",
        place.key,
        "--crosswalk",
        place.crosswalk,
        "--jobs",
        "1",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "from gradient_assets.cli import main; main()", *map(str, words)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (3, b"")


def test_keygen_makes_a_private_key_and_never_overwrites_one(tmp_path):
    key = tmp_path / "new" / "key"
    assert CliRunner().invoke(keygen, [str(key)]).exit_code == 0
    content = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    result = CliRunner().invoke(keygen, [str(key)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert key.read_text() == content
    assert content.split(":")[1].strip() not in result.output


def test_keygen_that_cannot_write_says_so(tmp_path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(keygen, [str(tmp_path / "file" / "key")])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("path", "shown"),
    [("a\udce9b", b"a\\xe9b"), ("müller", "müller".encode()), ("\ud800", b"\\ud800"), ("a\nb", b'"a\nb"')],
)
def test_any_file_name_can_stand_in_the_crosswalk(path, shown):
    content = crosswalk.crosswalk_bytes([crosswalk.CrosswalkRow(path, "ok")])
    assert content.split(b"\n", 1)[1].startswith(shown + b",ok,")
    content.decode()


def test_the_old_crosswalk_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "x.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), crosswalk.written_beside(target, b"new"):
        raise RuntimeError
    assert files_under(tmp_path) == {"x.csv": b"old"}


def test_the_folder_tool_loads_neither_dagster_nor_beam():
    program = "import sys, gradient_assets.folder; print([name for name in ('dagster', 'apache_beam') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "[]"
