"""Identifiers that nobody knows, by their look: which are sure enough to put a record aside, which are only counted."""

from dataclasses import replace
from datetime import date

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.verify import Suspicions, suspicions_in_column, suspicions_in_text
from gradient_assets.deid.verify.levels import Element, Level
from gradient_assets.deid.verify.patterns import breaks_date_promise, unknown_in_header, unknown_in_report


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("phone", "call (596) 268-0276"),
        ("phone", "596.268.0276"),
        ("phone", "+44 20 7946 0958"),
        ("ssn", "SSN 219-09-9999"),
        ("email", "write to a.b@northgate-clinic.org."),
        ("url", "see https://northgate-clinic.org/x?id=1"),
        ("titled_name", "Dr. Oyelaran agrees"),
        ("titled_name", "Mrs. J. Vanderbilt"),
        ("labelled_number", "MRN: 0048213"),
    ],
)
def test_suspicious_form_is_counted(kind, text):
    assert suspicions_in_text(text)[kind] == 1


@pytest.mark.parametrize(
    "text",
    [
        "L4-5, T1-T2, 3.2 x 1.5 cm, 1/2, series 4 image 22",
        "Dr. [NAME] spoke; MRN: [ID]; accession: ABCDEF234567ABCD",
        "MRN: PABCDEFGHIJKLMNOP",
        "MR Brain, MS Plaque",
        "2.25.329800735698586629295641978511506172918",
        "doses 120-80-1234-5, 100.200.3000.1",
        "Swan-Ganz, Baker's cyst, May represent",
    ],
)
def test_clinical_text_is_not_suspicious(text):
    assert not suspicions_in_text(text)


def test_column_is_summed_and_merged():
    column = suspicions_in_column(["Dr. Oyelaran", "nothing", "a@northgate.net b@northgate.net"])
    assert (column.texts, column.suspicious, dict(column.by_kind)) == (3, 2, {"titled_name": 1, "email": 2})
    total = Suspicions()
    total.merge(column)
    assert total == column


@pytest.mark.parametrize("unit", ["1-", "a.", "a@", "+1 ", "Dr. ", "mrn:", "http://", "1.1/", "12 "])
def test_long_adversarial_text_comes_to_an_end(unit):
    suspicions_in_text(unit * 100_000)


SAFE_HARBOR, LONGITUDINAL = Profile.named("safe_harbor"), Profile.named("longitudinal")
KEEPING = replace(LONGITUDINAL, dates="keep")
REMOVING = replace(SAFE_HARBOR, removes_dates=True)


def kinds(verdict):
    return {hit.kind for hit in verdict.sure}


@pytest.mark.parametrize("profile", [SAFE_HARBOR, LONGITUDINAL])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call (596) 268-0276", "phone"),
        ("SSN 219-09-9999", "ssn"),
        ("mail a.b@northgate.net", "email"),
        ("see https://northgate.net/x", "url"),
        ("Dr. Oyelaran agrees", "titled_name"),
        ("MRN: 0048213", "labelled_number"),
        ("seen 12/21/2013", "full_date"),
        ("seen on March 4, 2019", "full_date"),
        ("2019-03-04", "full_date"),
    ],
)
def test_a_pattern_in_a_report_with_tags_is_sure(profile, text, kind):
    assert kinds(unknown_in_report(text, profile, surrogates=False)) == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "[PHONE], [ID], Dr. [NAME], [DATE]; compared with 2019, T12, L4-5, 3.2 x 1.5 cm",
        "DOB: 1951, MRN: [ID], accession: ABCDEF234567ABCD",
        "write to somebody@mail.test or see https://site.invalid/x",
        "series 4 image 22, 120.5 mGy, grade 2/3, 10.6.1",
        "CT 1/2 of 3/4",
    ],
)
def test_a_cleaned_report_is_not(text):
    for profile in (SAFE_HARBOR, LONGITUDINAL):
        assert unknown_in_report(text, profile, surrogates=False).sure == ()


def test_with_surrogates_only_what_no_surrogate_looks_like_is_sure():
    text = "Dr. Oyelaran, (596) 268-0276, MRN: 0048213, 12/21/2013, a@northgate.net, b@mail.test"
    shifted = unknown_in_report(text, LONGITUDINAL, surrogates=True)
    assert kinds(shifted) == {"email"}
    assert shifted.doubtful.keys() == {"titled_name", "phone", "labelled_number", "full_date"}
    assert kinds(unknown_in_report(text, SAFE_HARBOR, surrogates=True)) == {"email", "full_date"}


def test_where_dates_are_kept_they_are_no_finding():
    assert unknown_in_report("12/21/2013", KEEPING, surrogates=False).sure == ()


def header(tag, *values, vr="LO"):
    return Level({0x00081140: Element("SQ", items=(Level({tag: Element(vr, values)}),))})


@pytest.mark.parametrize(
    ("tag", "value", "sure", "doubtful"),
    [
        (0x00081030, "seen 12/21/2013", {"full_date"}, set()),
        (0x00081030, "20131221", set(), set()),  # a date and nothing else was moved like one
        (0x00181020, "Ver 2 [2001/09/25]", set(), {"full_date"}),  # software: 4.3 % of clean headers
        (0x00181020, "call (596) 268-0276", {"phone"}, set()),
        (0x00104000, "Mrs. J. Vanderbilt", {"titled_name"}, set()),
        (0x00280010, "(596) 268-0276", set(), set()),  # no text: a number's VR
    ],
)
def test_texts_of_a_header_are_judged_by_element(tag, value, sure, doubtful):
    vr = "US" if tag == 0x00280010 else "LO"
    verdict = unknown_in_header(header(tag, value, vr=vr), LONGITUDINAL)
    assert (kinds(verdict), set(verdict.doubtful)) == (sure, doubtful)
    assert all(hit.where.startswith("(0008,1140)[0].") for hit in verdict.sure)


BOUNDS = (date(2015, 1, 1), date(2020, 6, 30))


@pytest.mark.parametrize(
    ("profile", "day", "rule"),
    [
        (SAFE_HARBOR, date(2019, 1, 1), None),
        (SAFE_HARBOR, date(2019, 3, 4), "date_not_cut"),
        (LONGITUDINAL, date(2019, 3, 4), None),
        (LONGITUDINAL, date(2020, 6, 29), None),
        (LONGITUDINAL, date(2020, 6, 30), "date_out_of_bounds"),  # a date moves by one day at least
        (LONGITUDINAL, date(2010, 1, 1), None),
        (LONGITUDINAL, date(2009, 12, 31), "date_out_of_bounds"),  # and by five years at most
        (KEEPING, date(2050, 1, 1), None),
        (REMOVING, date(2019, 1, 1), "date_not_removed"),
        (LONGITUDINAL, None, None),
    ],
)
def test_a_column_of_dates_holds_what_the_profile_can_have_written(profile, day, rule):
    assert [hit.kind for hit in breaks_date_promise(day, profile, BOUNDS, "study_date")] == ([rule] if rule else [])


def test_without_a_known_date_there_are_no_bounds():
    assert breaks_date_promise(date(2019, 3, 4), LONGITUDINAL, None, "study_date") == []
