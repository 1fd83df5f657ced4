"""The engine as its callers see it: replacement, failing closed, pickling, and both sets of marked reports."""

import csv
import json
import pickle
from collections import defaultdict

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import Span, TextEngine, identifiers_of_columns
from gradient_assets.deid.text.calendar_dates import parse_date, read_date
from tests.shared import SHARED, needs_shared
from tests.unit.text.other_wording import marked_reports

PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
KNOWN = KnownIdentifiers(patient_names=("OKAFOR^CHINEDU",), patient_ids=("00471123",), study_dates=("20200115",))


def test_tags_name_the_kind():
    cleaned = TextEngine().clean("Mr. Okafor, MRN 471123, seen 1/15/2020, call 555-201-4455.", KNOWN, PERSON)
    assert cleaned.text == "Mr. [NAME], MRN [ID], seen [DATE], call [PHONE]."
    assert cleaned.removed == {"NAME": 1, "ID": 1, "DATE": 1, "PHONE": 1}


def test_surrogates_keep_shape_case_and_agree_within_a_patient():
    engine = TextEngine(replace="surrogates")
    upper = engine.clean("OKAFOR, CHINEDU ID 00471123", KNOWN, PERSON).text
    mixed = engine.clean("Chinedu Okafor", KNOWN, PERSON).text
    family, given = upper.split(",")[0], upper.split(", ")[1].split(" ")[0]
    assert mixed == f"{given.capitalize()} {family.capitalize()}"
    number = upper.rsplit(" ", 1)[1]
    assert len(number) == 8
    assert number.isdigit()
    assert "471123" not in number


def test_surrogates_differ_between_patients():
    engine = TextEngine(replace="surrogates")
    other = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4712")
    assert engine.clean("Dr. Okafor", KNOWN, PERSON).text != engine.clean("Dr. Okafor", KNOWN, other).text


@pytest.mark.parametrize(
    ("written", "year"),
    [
        ("January 15, 2020", "2020"),
        ("1/15/20", "2020"),
        ("15-JAN-2020", "2020"),
        ("1/15", "[DATE]"),
        ("March 3-5, 2014", "[DATE]"),
    ],
)
def test_dates_as_years(written, year):
    assert (
        TextEngine(replace="surrogates", dates="year").clean(f"seen on {written}.", KNOWN, PERSON).text
        == f"seen on {year}."
    )


def test_a_birth_year_that_tells_an_age_over_89_does_not_stay():
    engine = TextEngine(replace="surrogates", dates="year")
    assert engine.clean("DOB 3/4/1920", KNOWN, PERSON).text == "DOB [DATE]"


@pytest.mark.parametrize(
    "written", ["1/15/2020", "01-15-20", "January 15th, 2020", "15 JAN 2020", "2020-01-15", "Wednesday, Jan 15, 2020"]
)
def test_dates_move_by_the_patients_shift_in_their_own_rendering(written):
    moved = (
        TextEngine(replace="surrogates")
        .clean(f"seen on {written}.", KNOWN, PERSON)
        .text.removeprefix("seen on ")
        .rstrip(".")
    )
    before, after = read_date(written), read_date(moved)
    assert (after.as_date() - before.as_date()).days == PERSON.shift_days
    assert [len(a) > 2 for a in before.pieces] == [len(b) > 2 for b in after.pieces]


def test_kept_dates_are_kept():
    assert TextEngine(dates="keep").clean("seen on 1/15/2020", KNOWN, PERSON).text == "seen on 1/15/2020"


@pytest.mark.parametrize(
    ("value", "order", "iso"),
    [
        ("19480309", "mdy", "1948-03-09"),
        ("3/9/1948", "mdy", "1948-03-09"),
        ("3/9/1948", "dmy", "1948-09-03"),
        ("9. March 1948", "mdy", "1948-03-09"),
        ("1948-03-09 10:22", "mdy", "1948-03-09"),
        ("25/3/1948", "mdy", "1948-03-25"),
        ("13/13/1948", "mdy", None),
        ("soon", "mdy", None),
    ],
)
def test_columns_dates_are_read(value, order, iso):
    parsed = parse_date(value, order=order)
    assert (parsed.isoformat() if parsed else None) == iso


class Detects:
    """A detector that gives what it was made with, or raises it."""

    name, version = "detects", "1"

    def __init__(self, found):
        self.found = found

    def load(self):
        """Nothing to load."""

    def detect(self, text):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_a_failing_detector_refuses_the_text_without_telling_it():
    engine = TextEngine(detectors=[Detects(RuntimeError("cannot read Okafor"))])
    for use in (lambda: engine.find("Okafor", KNOWN), lambda: engine.clean("Okafor", KNOWN, PERSON)):
        with pytest.raises(Refused) as refusal:
            use()
        assert refusal.value.reason is Reason.TEXT_ENGINE_FAILED
        assert "Okafor" not in str(refusal.value)
        assert refusal.value.__cause__ is None


def test_a_detector_adds_to_what_the_rules_find():
    engine = TextEngine(detectors=[Detects([Span(0, 5, "OTHER", "x")])])
    assert engine.clean("plain words about Okafor", KNOWN, PERSON).text.startswith("[OTHER] words about [")


@pytest.mark.parametrize("span", [(-5, -1, "NAME"), (0, 99, "NAME"), (3, 3, "NAME"), (5, 2, "NAME"), (0, 5, "PLANET")])
def test_a_span_that_is_none_of_the_text_refuses_it(span):
    engine = TextEngine(detectors=[Detects([Span(*span, "x")])])
    with pytest.raises(Refused) as refusal:
        engine.clean("plain words", KNOWN, PERSON)
    assert refusal.value.reason is Reason.TEXT_ENGINE_FAILED


@pytest.mark.parametrize("setting", [{"replace": "hash"}, {"dates": "none"}, {"language": "xx"}])
def test_unknown_settings_are_an_error(setting):
    with pytest.raises(ValueError, match="expected"):
        TextEngine(**setting)


def test_a_pickled_engine_does_the_same():
    engine = TextEngine(replace="surrogates")
    text = "Dr. Okafor, 1/15/2020, 555-201-4455"
    expected = engine.clean(text, KNOWN, PERSON)
    assert pickle.loads(pickle.dumps(engine)).clean(text, KNOWN, PERSON) == expected


def test_other_wording_loses_its_identifiers_and_keeps_its_medicine():
    engine = TextEngine()
    marks = missed = words = lost = 0
    for report in marked_reports(260):
        gone = {i for span in engine.find(report.text, report.identifiers) for i in range(span.start, span.end)}
        inside = set()
        for start, end, _ in report.marks:
            inside.update(range(start, end))
            marks += 1
            missed += not all(i in gone for i in range(start, end) if report.text[i].isalnum())
        for i, character in enumerate(report.text):
            if character.isalpha() and i not in inside:
                words += 1
                lost += i in gone
    assert missed / marks <= 0.005
    assert lost / words <= 0.005


@needs_shared
def test_shared_reports_lose_every_patient_name():
    folder = SHARED / "data" / "reports"
    with (folder / "structured.csv").open(newline="", encoding="utf-8") as file:
        records = {row["report_id"]: {**row, "patient_id": row["mrn"]} for row in csv.DictReader(file)}
    with (folder / "reports.csv").open(newline="", encoding="utf-8") as file:
        texts = {row["report_id"]: row["report_text"] for row in csv.DictReader(file)}
    of_patient = defaultdict(KnownIdentifiers)
    for row in records.values():
        of_patient[row["mrn"]] = of_patient[row["mrn"]].merge(identifiers_of_columns(row))
    engine = TextEngine()
    spans = leaked = 0
    for line in (folder / "gold.jsonl").read_text(encoding="utf-8").splitlines():
        gold = json.loads(line)
        text = texts[gold["report_id"]]
        found = engine.find(text, of_patient[records[gold["report_id"]]["mrn"]])
        gone = {i for span in found for i in range(span.start, span.end)}
        for mark in gold["spans"]:
            if mark["type"] == "PATIENT":
                spans += 1
                leaked += not all(i in gone for i in range(mark["start"], mark["end"]) if text[i].isalpha())
    assert spans > 300
    assert leaked == 0
