"""`gradient quarantine`: what it prints, what it refuses, and that a refused command changes nothing."""

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from gradient_assets.cli import cli
from gradient_assets.cli.errors import told
from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.quarantine.decisions import log_bucket
from resources import Settings, resources_for
from tests.unit.quarantine.conftest import ALARM, BROKEN, FILE, OLD, PICTURE, REFUSED, RELEASED


@dataclass
class Ended:
    code: int
    out: str


@pytest.fixture
def gradient(home):
    """Run the command as `cli.main` does; stdout and stderr in one."""

    def run(*arguments, **settings):
        environ = {"GRADIENT_HOME": str(home.path), "COLUMNS": "60", "GRADIENT_REGISTRY": None, **settings}
        done = CliRunner().invoke(cli, ["quarantine", *arguments], env=environ)
        if isinstance(done.exception, SystemExit) or done.exception is None:
            return Ended(done.exit_code, done.output)
        line, code = told(done.exception)
        return Ended(code, done.output + line)

    return run


def logged(home):
    return [decision for hospital in home.registry for decision in home.log(hospital.id).log]


def test_the_list_of_all_hospitals_has_counts_and_every_item_by_its_pseudonym(gradient):
    ended = gradient("list")
    assert ended.code == 0
    assert f"{len(REFUSED)} items: {len(REFUSED)} open." in ended.out
    for row in REFUSED:
        assert row[2] in ended.out
        assert row[4] in ended.out
    assert f"{FILE}:7  identified_reports  malformed_row  open" in ended.out
    assert "release trial-a" in ended.out
    assert "quillfeather" not in ended.out


def test_the_list_of_one_hospital_and_filters(gradient):
    assert PICTURE in gradient("list", "lakeside").out
    assert ALARM not in gradient("list", "lakeside").out
    by_stage = gradient("list", "--stage", "identified_reports", "--reason", "empty_report")
    assert f"{FILE}:2" in by_stage.out
    assert "1 item: 1 open" in by_stage.out
    assert "Nothing in the quarantine is like that." in gradient("list", "--status", "dropped").out


def test_the_list_as_json_has_counts_and_rows_and_no_object_key(gradient):
    shown = json.loads(gradient("list", "--json", "--release", "trial-b").out)
    assert shown["counts"] == [
        {
            "hospital": "st-mary",
            "stage": "release_dicoms",
            "reason": "residual_identifier",
            "status": "open",
            "count": 1,
        }
    ]
    assert [(item["pseudonym"], item["release"]) for item in shown["items"]] == [(RELEASED, "trial-b")]
    assert "quillfeather" not in json.dumps(shown)


def test_an_empty_quarantine_is_told(gradient, home):
    for spec_file in (home.path / "identified/warehouse").glob("refused_*/*.parquet"):
        spec_file.unlink()
    assert gradient("list").out == "The quarantine is empty.\n"


def test_show_tells_everything_but_the_object_key(gradient):
    shown = gradient("show", ALARM)
    explained = EXPLANATIONS[Reason.RESIDUAL_IDENTIFIER]
    for words in (
        explained.meaning,
        explained.remedy,
        "1 × id",
        "engine version",
        "open",
        "yes, if it is a false alarm",
    ):
        assert words in shown.out
    assert "Nothing was decided" in shown.out
    assert "quillfeather" not in shown.out


WHY = "the hospital asks which file it is"


def ways_back(home):
    log = resources_for(Settings.from_environment({"GRADIENT_HOME": str(home.path)})).way_back_log
    return [json.loads(log.get(stat.key)) for stat in log.listing()]


def test_the_object_key_is_shown_to_who_says_why_and_that_is_logged(gradient, home):
    shown = gradient("show", ALARM, "--show-key", "--why", WHY, "--name", "Ada")
    assert "quillfeather zebulon/one.dcm  (identified: it may name the patient)" in shown.out
    (use,) = ways_back(home)
    assert (use["what"], use["hospital_id"], use["asked"]) == ("show-key", "st-mary", ALARM)
    assert (use["outcome"], use["by"], use["reason"]) == ("found", "Ada", WHY)
    assert "quillfeather" not in json.dumps(use)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--show-key",),
        ("--show-key", "--why", ""),
        ("--show-key", "--why", "because"),
        ("--show-key", "--why", WHY, "--name", " "),
        ("--show-key", "--name", "Ada"),
        ("--why", WHY),
        ("--name", "Ada"),
    ],
)
def test_without_who_and_why_no_key_is_shown(gradient, home, arguments):
    shown = gradient("show", ALARM, *arguments)
    assert shown.code == 2
    assert "quillfeather" not in shown.out
    assert ways_back(home) == []


def test_what_can_not_be_logged_is_not_shown(gradient, home):
    log = home.path / "identified/way_back_log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a file where the log's folder should be")
    shown = gradient("show", ALARM, "--show-key", "--why", WHY)
    assert shown.code != 0
    assert "quillfeather" not in shown.out


def test_show_tells_what_was_decided(gradient):
    gradient("accept-risk", ALARM, "--reason-code", "residual_identifier", "--name", "Ada", "--why", "a protocol")
    gradient("drop", ALARM, "--name", "Bo", "--why", "the hospital took it back")
    shown = gradient("show", ALARM).out
    assert "accept by Ada: deidentified_metadata, residual_identifier. a protocol" in shown
    assert "drop by Bo" in shown
    assert shown.index("accept by Ada") < shown.index("drop by Bo")
    assert "status: dropped" in shown


def test_accept_risk_is_logged_and_says_what_does_it(gradient, home):
    ended = gradient("accept-risk", ALARM, "--reason-code", "residual_identifier", "--name", "Ada", "--why", "no name")
    assert ended.code == 0
    assert "gradient run --hospital st-mary" in ended.out
    (one,) = logged(home)
    assert (one.action, one.decided_by, one.why) == ("accept", "Ada", "no name")
    assert "1 accepted" in gradient("list", "st-mary").out


def test_retry_without_arguments_is_about_what_another_engine_or_profile_refused(gradient, home):
    ended = gradient("retry", "--name", "Ada")
    assert "2 items (1 × header_engine_failed, 1 × text_engine_failed) will be done again." in ended.out
    assert {item.object_pseudonym for item in logged(home)[0].items} == {OLD}
    assert "Nothing to retry" in gradient("retry", "-H", "lakeside").out
    assert len(logged(home)) == 1


@pytest.mark.parametrize(
    ("arguments", "objects"),
    [
        ([BROKEN], [BROKEN]),
        ([BROKEN, f"{FILE}:7"], [BROKEN, FILE]),
        (["--stage", "identified_reports"], [FILE, FILE]),
        (["--reason", "residual_identifier"], [ALARM, RELEASED, RELEASED]),
        (["--reason", "residual_identifier", "--release", "trial-a"], [RELEASED]),
        (["--reason", "residual_text_in_pixels"], [PICTURE]),
    ],
    ids=str,
)
def test_retry_of_what_was_named(gradient, home, arguments, objects):
    assert gradient("retry", *arguments).code == 0
    assert sorted(item.object_pseudonym for one in logged(home) for item in one.items) == sorted(objects)


def test_drop_and_retry_take_it_off_the_open_list_and_back(gradient):
    gradient("drop", "--reason", "malformed_row", "--why", "old export")
    assert "1 dropped" in gradient("list", "st-mary").out
    gradient("retry", f"{FILE}:7")
    assert "dropped" not in gradient("list", "st-mary").out


ACCEPT = ("--name", "Ada", "--why", "w")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "f" * 32], "not in the quarantine"),
        (["show", "Zebulon"], "An item is named by its pseudonym"),
        (["list", "nowhere"], "nowhere"),
        (["list", "--stage", "headers"], "No such stage"),
        (["list", "--reason", "broken"], "No such reason code"),
        (["list", "--status", "closed"], "closed"),
        (["retry", "f" * 32], "not in the quarantine"),
        (["retry", BROKEN, "--stage", "thumbnails"], "not in the quarantine"),
        (["retry", "--reason", "broken"], "No such reason code"),
        (["retry", BROKEN, "--name", "A\nB"], "A name has"),
        (["drop", "--why", "w"], "the whole list is not dropped"),
        (["drop", BROKEN], "--why"),
        (["drop", BROKEN, "--why", " "], "A reason has"),
        (["drop", "f" * 32, "--why", "w"], "not in the quarantine"),
        (["accept-risk", "f" * 32, "--reason-code", "residual_identifier", *ACCEPT], "not in the quarantine"),
        (["accept-risk", BROKEN, "--reason-code", "not_dicom", *ACCEPT], "no finding that can be a false alarm"),
        (["accept-risk", ALARM, "--reason-code", "broken", *ACCEPT], "No such reason code"),
        (["accept-risk", ALARM, "--reason-code", "residual_text_in_pixels", *ACCEPT], "not refused for"),
        (["accept-risk", RELEASED, "--reason-code", "residual_identifier", *ACCEPT], "say which"),
        (["accept-risk", ALARM, "--reason-code", "residual_identifier", "--name", "Ada"], "--why"),
        (["accept-risk", ALARM, "--reason-code", "residual_identifier", "--why", "w"], "--name"),
    ],
    ids=str,
)
def test_bad_input_ends_with_2_and_changes_nothing(gradient, home, arguments, says):
    ended = gradient(*arguments)
    assert ended.code == 2
    assert says in ended.out
    assert "Zebulon" not in ended.out
    assert "Traceback" not in ended.out
    assert logged(home) == []


def test_a_log_that_can_not_be_read_ends_with_2(gradient, home):
    log_bucket(home.resources, "st-mary").put("x.json", b"{")
    ended = gradient("list")
    assert ended.code == 2
    assert "can't be relied on" in ended.out


def test_a_retry_that_can_not_tell_todays_engines_ends_with_2(gradient, home):
    """A finder without its models has no version."""
    ended = gradient(
        "retry", GRADIENT_TEXT_FINDER="easyocr", GRADIENT_EASYOCR_MODELS=str(home.path / "without_its_models")
    )
    assert ended.code == 2
    assert logged(home) == []
