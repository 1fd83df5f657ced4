"""The registry is read, or refused with the line, the field and what was expected."""

import json
from pathlib import Path

import pytest
import yaml

from gradient_assets.automation.arrival import arrival_sensor
from gradient_assets.hospitals import RegistryError, ReleaseRules, ReportSettings, load_registry, registry_path

GOOD = """\
hospitals:
  - id: st-mary
    number: 1
    buckets: {dicoms: landing/st-mary/dicoms, reports: s3://st-mary-reports/export}
    report_columns: {report_id: Report No, text: Report, patient_id: MRN}
    delimiter: ";"
    encoding: cp1252
    date_order: mdy
    timezone: America/New_York
    profile: longitudinal
    secret_name: hospital/st-mary
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "hospitals.yaml"
    path.write_text(text, encoding="utf-8")
    return load_registry(path, home=tmp_path)


def test_a_good_registry_gives_its_hospitals(tmp_path):
    hospital = load(tmp_path, GOOD).get("st-mary")
    assert (hospital.number, hospital.delimiter, hospital.encoding) == (1, ";", "cp1252")
    assert hospital.report_columns == {"report_id": "Report No", "text": "Report", "patient_id": "MRN"}


def test_a_relative_bucket_lies_under_the_home_and_a_uri_stays(tmp_path):
    hospital = load(tmp_path, GOOD).get("st-mary")
    assert hospital.dicoms_uri == (tmp_path / "landing/st-mary/dicoms").as_uri()
    assert hospital.reports_uri == "s3://st-mary-reports/export"


def test_report_settings_are_read_and_have_defaults(tmp_path):
    chosen = {"language": "de", "replacement": "surrogates", "undeclared_language": "quarantine"}
    chosen["detector"] = "transformer:/models/notes"
    signs = {"quote": "'", "escape": "\\"}
    section = f"    reports: {json.dumps(chosen | signs)}\n"
    assert load(tmp_path, GOOD).get("st-mary").reports == ReportSettings()
    settings = load(tmp_path, GOOD + section).get("st-mary").reports
    assert settings == ReportSettings(**chosen, **signs)


@pytest.mark.parametrize(("line", "seconds"), [("", 60), ("    look_every_s: 3600\n", 3600)])
def test_a_hospitals_sensor_looks_as_often_as_the_registry_says(tmp_path, line, seconds):
    hospital = load(tmp_path, GOOD + line).get("st-mary")
    assert arrival_sensor(hospital).minimum_interval_seconds == hospital.look_every_s == seconds


@pytest.mark.parametrize("value", ["59", "86401", "hourly", "-60", "1e3", ""])
def test_an_interval_that_is_none_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(RegistryError, match=r"st-mary.* line 12, `look_every_s: .*60 to 86400"):
        load(tmp_path, GOOD + f"    look_every_s: {value}\n")


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ({"language": "de"}, "cleaning"),
        ({"replacement": "surrogates"}, "cleaning"),
        ({"undeclared_language": "quarantine"}, "cleaning"),
        ({"detector": "presidio"}, "cleaning"),
        ({"quote": "'"}, "layout"),
        ({"escape": "\\"}, "layout"),
    ],
)
def test_each_report_setting_changes_the_work_that_depends_on_it(setting, changes):
    assert getattr(ReportSettings(**setting), changes) != getattr(ReportSettings(), changes)


BROKEN = [
    ("date_order: mdy", "date_order: mdy/", 8, "date_order", "mdy, dmy, ymd"),
    ("number: 1", "number: one", 3, "number", "a whole number from 1 to 3999"),
    ("number: 1", "number: 4000", 3, "number", "a whole number from 1 to 3999"),
    ("id: st-mary", "id: St Mary", 2, "id", "2–40 of a–z"),
    ("timezone: America/New_York", "timezone: New York", 9, "timezone", "IANA"),
    ("encoding: cp1252", "encoding: cp-none", 7, "encoding", "an encoding Python knows"),
    ('delimiter: ";"', 'delimiter: "x"', 6, "delimiter", "a single character"),
    ('delimiter: ";"', "delimiter: ';;;;;'", 6, "delimiter", "up to 4"),
    ("profile: longitudinal", "profile: longitudinal\n    reports: tags", 11, "reports", "a mapping with language"),
    (
        "profile: longitudinal",
        "profile: longitudinal\n    reports: {colour: red}",
        11,
        "reports.colour",
        "one of language",
    ),
    (
        "profile: longitudinal",
        "profile: longitudinal\n    reports: {language: fr}",
        11,
        "reports.language",
        "en, de, es, nl",
    ),
    (
        "profile: longitudinal",
        "profile: longitudinal\n    reports: {replacement: x}",
        11,
        "reports.replacement",
        "tags, sur",
    ),
    (
        *("profile: longitudinal", "profile: longitudinal\n    reports: {undeclared_language: x}", 11),
        *("reports.undeclared_language", "pass, quarantine"),
    ),
    (
        *("profile: longitudinal", "profile: longitudinal\n    reports: {detector: transformer:model}", 11),
        *("reports.detector", "absolute path"),
    ),
    (
        "profile: longitudinal",
        "profile: longitudinal\n    reports:\n      quote: ab",
        12,
        "reports.quote",
        "a single character",
    ),
    (
        "profile: longitudinal",
        "profile: longitudinal\n    reports: {escape: n}",
        11,
        "reports.escape",
        "a single character",
    ),
    ("profile: longitudinal", "profile: lenient", 10, "profile", "safe_harbor, longitudinal"),
    ("secret_name: hospital/st-mary", "secret_name: 'a b'", 11, "secret_name", "segments of letters, digits"),
    ("text: Report,", "", 5, "report_columns.text", "missing"),
    ("patient_id: MRN", "mrn: MRN", 5, "report_columns.mrn", "accession_number"),
    ("patient_id: MRN", "patient_id: Report", 5, "report_columns", "a column of its own"),
    ("reports: s3://st-mary-reports/export", "reports: ftp://x/y", 4, "buckets.reports", "s3://"),
    ("    profile: longitudinal\n", "", 2, "profile", "missing"),
    ("profile: longitudinal", "profile: longitudinal\n    colour: red", 11, "colour", "one of id, number"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "expected"), BROKEN, ids=[case[1][:24] or case[3] for case in BROKEN]
)
def test_a_bad_registry_is_refused_with_line_field_and_expectation(tmp_path, old, new, line, field, expected):
    assert old in GOOD
    with pytest.raises(RegistryError) as refused:
        load(tmp_path, GOOD.replace(old, new))
    message = str(refused.value)
    assert f"line {line}," in message
    assert f"`{field}" in message
    assert expected in message
    assert "Nothing was read." in message


@pytest.mark.parametrize("field", ["id", "number"])
def test_two_hospitals_may_not_share_an_id_or_a_number(tmp_path, field):
    first = yaml.safe_load(GOOD)["hospitals"][0]
    second = {**first, "id": "lakeside", "number": 2, "buckets": {"dicoms": "a", "reports": "b"}, field: first[field]}
    with pytest.raises(RegistryError, match="a value of its own; 'st-mary' has the same"):
        load(tmp_path, yaml.safe_dump({"hospitals": [first, second]}))


@pytest.mark.parametrize(
    "bucket", ["landing/st-mary/dicoms/inner", "landing/st-mary", "deidentified/thumbnails", "identified"]
)
def test_a_bucket_that_overlaps_another_or_a_zone_of_ours_is_refused(tmp_path, bucket):
    first = yaml.safe_load(GOOD)["hospitals"][0]
    second = {**first, "id": "lakeside", "number": 2, "buckets": {"dicoms": bucket, "reports": "b"}}
    with pytest.raises(RegistryError, match=r"buckets\.dicoms"):
        load(tmp_path, yaml.safe_dump({"hospitals": [first, second]}))


@pytest.mark.parametrize("name", ["../evil", "a/../b", "/a", "a//b", ".a", "a/.b"])
def test_a_secret_name_that_climbs_out_is_refused(tmp_path, name):
    with pytest.raises(RegistryError, match="secret_name"):
        load(tmp_path, GOOD.replace("secret_name: hospital/st-mary", f"secret_name: {name}"))


@pytest.mark.parametrize("text", ["", "hospitals: []", "- id: x", "hospitals: {a: 1}", "hospitals:\n  - a: [unclosed"])
def test_what_is_no_registry_is_refused(tmp_path, text):
    with pytest.raises(RegistryError):
        load(tmp_path, text)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(RegistryError, match="GRADIENT_HOSPITALS"):
        load_registry(tmp_path / "none.yaml")


def test_the_environment_points_elsewhere(tmp_path):
    assert registry_path({"GRADIENT_HOSPITALS": str(tmp_path / "own.yaml")}) == tmp_path / "own.yaml"
    (tmp_path / "hospitals.yaml").touch()
    assert registry_path({"GRADIENT_HOME": str(tmp_path)}) == tmp_path / "hospitals.yaml"


def test_rules_for_releases_are_read_and_have_defaults(tmp_path):
    assert load(tmp_path, GOOD).releases == ReleaseRules(approvals=1, smallest_class=1, smallest_cell=11)
    rules = load(tmp_path, GOOD + "releases: {approvals: 2, smallest_class: 5}\n").releases
    assert rules == ReleaseRules(2, 5, 11)
    people = "releases: {approvers: [Ada Asker, Otto], distinct_accounts: true}\n"
    assert load(tmp_path, GOOD + people).releases == ReleaseRules(
        approvers=("Ada Asker", "Otto"), distinct_accounts=True
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{approvals: 3}", "releases.approvals: 3`: expected a whole number from 0 to 2"),
        ("{unread_pixels: perhaps}", "releases.unread_pixels: perhaps`: expected true or false"),
        ("{approvals: many}", "a whole number from 0 to 2"),
        ("{approvals: -1}", "a whole number from 0 to 2"),
        ("{smallest_class: 0}", "a whole number from 1 to 1000"),
        ("{smallest_cell: 1001}", "a whole number from 1 to 1000"),
        ("{approval: 1}", "expected one of approvals, smallest_class, smallest_cell"),
        ("[1]", "a mapping with approvals"),
        ("{approvers: []}", "a list of names"),
        ("{approvers: Ada}", "a list of names"),
        ("{approvers: [' ']}", "a list of names"),
        ('{approvers: ["A\\u200bda"]}', "a list of names"),
        ("{distinct_accounts: 1}", "true or false"),
    ],
)
def test_rules_for_releases_that_are_wrong_are_refused_with_their_line(tmp_path, section, words):
    with pytest.raises(RegistryError, match="line 12") as refused:
        load(tmp_path, GOOD + f"releases: {section}\n")
    assert words in str(refused.value)
