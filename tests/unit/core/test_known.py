"""What is known of a patient is gathered over all headers and rows of the patient."""

import json

import pyarrow as pa
import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine
from gradient_assets.pipelines.known import REPORT_COLUMNS, HospitalIdentifiers, gather
from gradient_assets.tables import DICOM_METADATA


class Tables:
    """The two identified tables of a hospital, in memory."""

    def __init__(self, headers=(), reports=()):
        self._headers, self._reports = list(headers), list(reports)

    def scan(self, spec, hospital_id, columns):
        rows = self._headers if spec is DICOM_METADATA else self._reports
        if rows:
            yield pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows])


def header(patient_id, **known):
    found = KnownIdentifiers(**{kind: (value,) for kind, value in known.items()})
    return {
        "patient_id": patient_id,
        "identifiers_json": json.dumps(found.as_dict()),
        "object_key": f"{patient_id}.dcm",
    }


def report(number, **columns):
    return {**dict.fromkeys(REPORT_COLUMNS), "object_key": "a.csv", "row_number": number, **columns}


def test_a_blank_column_in_one_row_does_not_blind_the_engine():
    known = gather(
        Tables(
            headers=[header("P7", patient_names="QUILLFEATHER^ZEBULON")],
            reports=[
                report(
                    1,
                    report_id="R1",
                    patient_id="P7",
                    patient_phone="0451 77 31",
                    reading_physician_name="Oyelaran^Tunde",
                ),
                report(2, report_id="R2", patient_id="P7"),
            ],
        ),
        "st-mary",
    )
    of_second = known.of("P7", KnownIdentifiers())
    person = Pseudonymizer(SecretKey(bytes(32)), "st-mary").person("P7")
    text = "quillfeather phoned from 0451 7731 and oyelaran answered"
    assert TextEngine().clean(text, of_second, person).text == "[NAME] phoned from [PHONE] and [NAME] answered"


@pytest.mark.parametrize("written", ["0012345", "12345", " 12345 ", "00-123-45", "12345\0", "012345"])
def test_an_id_is_joined_whatever_its_padding_zeros_and_separators(written):
    known = HospitalIdentifiers()
    known.add("0012345", KnownIdentifiers(patient_names=("DOE^JANE",)), "a")
    assert known.of(written, KnownIdentifiers()).patient_names == ("DOE^JANE",)


@pytest.mark.parametrize(("one", "other"), [("a7", "A7"), ("MRN-7", "mrn7")])
def test_letter_case_joins_too(one, other):
    known = HospitalIdentifiers()
    known.add(one, KnownIdentifiers(patient_names=("DOE^JANE",)), "a")
    assert known.of(other, KnownIdentifiers()).patient_names == ("DOE^JANE",)


@pytest.mark.parametrize(("one", "other"), [("0", "00x"), ("12345", "123450"), ("A7", "7"), ("---", "***"), ("", "7")])
def test_other_ids_stay_apart(one, other):
    known = HospitalIdentifiers()
    known.add(one, KnownIdentifiers(patient_names=("DOE^JANE",)), "a")
    assert known.of(other, KnownIdentifiers()).patient_names == ()
