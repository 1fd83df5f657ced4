"""Each search lets the very finding pass that a person accepted, and no other."""

import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest

from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.pixels import FoundText, PixelEngine
from gradient_assets.deid.reasons import ACCEPTABLE, Reason, Refused, unless_accepted
from gradient_assets.deid.report import ReportCleaner
from gradient_assets.deid.text import CleanedText
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.reports import CleanReports
from tests.fakes.small_home import image

PROFILE = Profile.named("longitudinal")
IDENTITY = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
HOSPITAL = Hospital("st-mary", 1, "", "", {"report_id": "Id", "text": "Report"}, ",", "utf-8", "mdy", "UTC", "x", "k")
EVERYONE = [KnownIdentifiers(patient_ids=("HEADNECK01",)), KnownIdentifiers(patient_ids=("MRN-880315",))]


def refusal(attempt, **arguments):
    """What the attempt is refused for; None when it passes."""
    try:
        attempt(**arguments)
    except Refused as refused:
        return refused
    return None


def accepting(refused):
    return {refused.reason.value: [refused.detail]}


def holds(attempt):
    """The attempt is refused, passes with exactly that accepted, and with anything else it does not."""
    refused = refusal(attempt, accepted=None)
    assert refused is not None
    assert refused.reason in ACCEPTABLE
    assert refusal(attempt, accepted=accepting(refused)) is None
    for other in (
        {},
        {refused.reason.value: []},
        {refused.reason.value: ["9 × name"]},
        {Reason.NOT_DICOM.value: [refused.detail]},
    ):
        assert refusal(attempt, accepted=other) is not None
    return refused


@pytest.mark.parametrize("reason", list(Reason))
def test_only_findings_of_a_search_can_be_accepted(reason):
    refused = refusal(unless_accepted, refused=Refused(reason, "x"), accepted={reason.value: ["x"]})
    assert (refused is None) == (reason in ACCEPTABLE)


def test_an_identifier_of_another_patient_in_a_header():
    dataset = pydicom.dcmread(io.BytesIO(image(1, [])))
    dataset.SeriesDescription = "AX T1 HEADNECK01"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)

    class One:
        def open(self, key, size, *, etag):
            return io.BytesIO(stream.getvalue())

    read = ReadHeaders(HOSPITAL, One(), PROFILE)
    item = {"work_token": "0" * 32, "object_key": "k", "object_pseudonym": "p", "etag": "e", "size": 1}
    (emitted,) = read.apply(item)
    row = {
        name: emitted.row[name] for name in ("header_json", "sop_class_uid", "sop_instance_uid", "transfer_syntax_uid")
    }
    step = CleanHeaders(HOSPITAL, PROFILE, IDENTITY)
    step.open()
    step.meet(EVERYONE)

    def clean(accepted):
        more = {"accepted": accepted} if accepted is not None else {}
        return list(step.apply({**item, "row": row, "identifiers": {}, **more}))

    assert "of another patient" in holds(clean).detail


def test_an_identifier_of_another_patient_in_a_report():
    step = CleanReports(HOSPITAL, PROFILE, IDENTITY)
    step.open()
    step.meet(EVERYONE)
    empty = dict.fromkeys(("accession_number", "study_instance_uid", "study_date", "patient_id"))
    row = {"report_id": "R1", "report_text": "Done with the protocol HEADNECK01.", **empty}

    def clean(accepted):
        more = {"accepted": accepted} if accepted is not None else {}
        return list(step.apply({"work_token": "0" * 32, "row": row, "identifiers": {}, **more}))

    assert "of another patient" in holds(clean).detail


def test_an_own_identifier_in_a_report():
    class Stubborn:
        """Leaves a name that is in two halves, which no place can be said of."""

        dates, language = "keep", "en"

        def clean(self, text, known, person, **more):
            return CleanedText(text, Counter())

    known = KnownIdentifiers(patient_names=("VANDERBILT^MARGARET",), patient_ids=("0048213",))
    cleaner = ReportCleaner(Stubborn())
    person = IDENTITY.person("0048213")

    def clean(accepted):
        return cleaner.clean("MRN 00&#52;8213 was seen.", known, person, accepted=accepted)

    assert holds(clean).reason is Reason.RESIDUAL_IDENTIFIER


class Endless:
    """Sees other text after each filling."""

    name = "endless"

    def __init__(self):
        self.top = 0

    def find(self, image):
        self.top = (self.top + 12) % 80
        return [FoundText(20, self.top, 24, 3, 0.9, 6)]


def test_text_that_goes_on_being_found_in_pixels():
    dataset = pydicom.dcmread(io.BytesIO(image(1, [])))
    assert np.asarray(dataset.pixel_array).any()

    def clean(accepted):
        return PixelEngine(Endless()).clean(dataset, accepted=accepted)

    assert holds(clean).reason is Reason.RESIDUAL_TEXT_IN_PIXELS


def test_a_finding_in_a_whole_instance_of_a_release():
    class Nothing:
        name = "nothing"

        def find(self, image):
            return []

    @dataclass
    class Leaky:
        """The header engine, but for one text that it puts back, in a form that has no place to black out."""

        engine: HeaderEngine

        def clean(self, dataset, known):
            cleaned = self.engine.clean(dataset, known)
            cleaned.dataset.SeriesDescription = "AX T1 HEADN&#69;CK01"
            return cleaned

    content = image(1, [])
    cleaner = InstanceCleaner(PROFILE, IDENTITY, Nothing())
    cleaner._headers = Leaky(cleaner._headers)
    known = KnownIdentifiers(patient_ids=("HEADNECK01",))

    def clean(accepted):
        return cleaner.clean(content, known, accepted=accepted)

    assert holds(clean).reason is Reason.RESIDUAL_IDENTIFIER
