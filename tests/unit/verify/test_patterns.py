"""Suspicions about identifiers that nobody knows: counted, never kept."""

import pytest

from gradient_assets.deid.verify import Suspicions, suspicions_in_column, suspicions_in_text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("phone", "call (596) 268-0276"),
        ("phone", "596.268.0276"),
        ("phone", "+44 20 7946 0958"),
        ("ssn", "SSN 219-09-9999"),
        ("email", "write to a.b@example.org."),
        ("url", "see https://example.org/x?id=1"),
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
    column = suspicions_in_column(["Dr. Oyelaran", "nothing", "a@example.org b@example.org"])
    assert (column.texts, column.suspicious, dict(column.by_kind)) == (3, 2, {"titled_name": 1, "email": 2})
    total = Suspicions()
    total.merge(column)
    assert total == column


@pytest.mark.parametrize("unit", ["1-", "a.", "a@", "+1 ", "Dr. ", "mrn:", "http://", "1.1/", "12 "])
def test_long_adversarial_text_comes_to_an_end(unit):
    suspicions_in_text(unit * 100_000)
