"""A PDF inside an object is quarantined, or delivered as pictures on which nobody is named."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from gradient_assets.deid import page_renderer
from gradient_assets.deid.documents import identifying, in_rows
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.page_renderer import DPI, UndrawableError, drawn_pages
from gradient_assets.deid.pixels import FoundText, RapidTextFinder, ReadText
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import as_bytes, instance, item, sequence
from tests.unit.pdfs import Line, pdf

PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
SIZE = (420, 300)
"""Points: a small page, so that the real networks take a second."""
LETTER: list[Line] = [
    (30, 260, 12, "Patient: Quentin Zymurgy"),
    (260, 260, 12, "04711"),
    (30, 220, 12, "CT chest with contrast"),
    (30, 190, 12, "The nodule of Mr. Zymurgy is unchanged."),
    (30, 160, 12, "No pleural effusion."),
]
KEPT = [2, 4]


class KnowsThePage:
    """Reads the lines that stand on a page, as long as they are visible."""

    name = "knows the page"

    def __init__(self, lines: Sequence[Line] = LETTER, confidence: float = 1.0) -> None:
        self.lines, self.confidence = lines, confidence

    def find(self, image: np.ndarray) -> list[FoundText]:
        return [line.box for line in self.read(image)]

    def read(self, image: np.ndarray) -> list[ReadText]:
        boxes = [(box_of(line), line[3]) for line in self.lines]
        return [ReadText(box, text, self.confidence) for box, text in boxes if part(image, box).any()]


class Broken(KnowsThePage):
    def read(self, image: np.ndarray) -> list[ReadText]:
        raise RuntimeError("Zymurgy")


class SeesNamesEverywhere(KnowsThePage):
    looks = 0

    def read(self, image: np.ndarray) -> list[ReadText]:
        self.looks += 1
        return [ReadText(FoundText(10, 30 * self.looks, 80, 12, 0.9, 7), "Zymurgy", 1.0)]


class OnlyFinds:
    name = "only finds"

    def find(self, image: np.ndarray) -> list[FoundText]:
        return []


def box_of(line: Line) -> FoundText:
    x, y, points, text = line
    scale = DPI / 72
    top = round((SIZE[1] - y - points) * scale)
    return FoundText(
        round(x * scale), top, round(len(text) * points * 0.62 * scale), round(points * 1.3 * scale), 0.9, 9
    )


def part(image: np.ndarray, box: FoundText) -> np.ndarray:
    return image[box.top : box.top + box.height, box.left : box.left + box.width]


def wrapped(document: bytes = pdf(LETTER, size=SIZE), **elements: object) -> Dataset:
    about = {"SOPClassUID": PDF_STORAGE, "MIMETypeOfEncapsulatedDocument": "application/pdf"} | elements
    ds = instance(EncapsulatedDocument=document + b"\0" * (len(document) & 1), **about)
    ds.ConceptNameCodeSequence = sequence(item(CodeMeaning="Report of Zymurgy"))
    ds.SourceInstanceSequence = sequence(item(ReferencedSOPInstanceUID="1.2.3.4"))
    ds.DocumentTitle = "Letter about Zymurgy"
    return ds


def cleaner(*finders: object, asked: bool = True) -> InstanceCleaner:
    profile = Profile.named("longitudinal")
    key = Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")
    return InstanceCleaner(
        replace(profile, encapsulated_documents="images") if asked else profile, key, *(finders or [KnowsThePage()])
    )


def pages_of(content: bytes) -> np.ndarray:
    ds = pydicom.dcmread(io.BytesIO(content))
    return np.frombuffer(ds.PixelData, np.uint8)[: ds.NumberOfFrames * ds.Rows * ds.Columns * 3].reshape(
        ds.NumberOfFrames, ds.Rows, ds.Columns, 3
    )


def test_a_document_stays_in_quarantine_unless_the_profile_asks_for_pictures():
    with pytest.raises(Refused) as refusal:
        cleaner(asked=False).clean(as_bytes(wrapped()))
    assert refusal.value.reason is Reason.ENCAPSULATED_DOCUMENT


def test_lines_that_identify_are_black_and_all_other_lines_are_as_drawn():
    drawn = drawn_pages(pdf(LETTER, size=SIZE))[0]
    page = pages_of(cleaner().clean(as_bytes(wrapped())).content)[0]
    for number, line in enumerate(LETTER):
        shown = part(page, box_of(line))
        assert np.array_equal(shown, part(drawn, box_of(line))) == (number in KEPT)
        assert shown.any() == (number in KEPT)


def test_the_result_is_a_secondary_capture_with_a_cleaned_header():
    cleaned = cleaner().clean(as_bytes(wrapped(pdf(LETTER, LETTER, size=SIZE))))
    ds = pydicom.dcmread(io.BytesIO(cleaned.content))
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"
    assert (ds.NumberOfFrames, ds.PhotometricInterpretation, ds.ConversionType, ds.Modality) == (2, "RGB", "WSD", "OT")
    assert list(ds.PageNumberVector) == [1, 2]
    assert ds.FrameIncrementPointer == 0x00182001
    assert "encapsulated PDF" in ds.DerivationDescription
    assert ds.SOPInstanceUID == cleaned.header.new_sop_uid != instance().SOPInstanceUID
    assert "113101" in [code.CodeValue for code in ds.DeidentificationMethodCodeSequence]
    assert not [element for element in ds if element.tag.group == 0x42]
    assert "SourceInstanceSequence" not in ds
    assert "ConceptNameCodeSequence" not in ds
    for planted in (b"Zymurgy", b"0077123", b"ACC99123", b"%PDF"):
        assert planted not in cleaned.content


def test_pages_of_different_sizes_become_frames_of_one_size():
    small = pdf([(20, 20, 10, "small")], size=(100, 80))
    cleaned = cleaner(KnowsThePage([])).clean(as_bytes(wrapped(small)))
    assert cleaned.pixels.verdict == "clean"
    mixed = pdf([], [], size=SIZE).replace(b"[0 0 420 300]", b"[0 0 200 300]", 1)
    assert pages_of(cleaner(KnowsThePage([])).clean(as_bytes(wrapped(mixed))).content).shape == (2, 625, 876, 3)


def test_a_line_that_is_hard_to_read_is_blacked_out():
    page = pages_of(cleaner(KnowsThePage(confidence=0.5)).clean(as_bytes(wrapped())).content)[0]
    assert not any(part(page, box_of(line)).any() for line in LETTER)


def test_what_the_second_finder_sees_is_blacked_out_too():
    page = pages_of(cleaner(KnowsThePage([]), KnowsThePage()).clean(as_bytes(wrapped())).content)[0]
    assert not part(page, box_of(LETTER[3])).any()


def test_the_networks_that_ship_read_a_page_well_enough():
    page = pages_of(cleaner(RapidTextFinder()).clean(as_bytes(wrapped())).content)[0]
    dark = [(part(page, box_of(line)) < 128).mean() for line in LETTER]
    assert all((share > 0.5) == (number not in KEPT) for number, share in enumerate(dark))


CDA = b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>"
REFUSED = {
    "in a class that is not admitted": (
        wrapped(SOPClassUID="1.2.840.10008.5.1.4.1.1.66"),
        Reason.SOP_CLASS_NOT_ADMITTED,
    ),
    "CDA": (wrapped(CDA, SOPClassUID=PDF_STORAGE[:-1] + "2"), Reason.ENCAPSULATED_DOCUMENT),
    "STL": (wrapped(b"solid head", SOPClassUID=PDF_STORAGE[:-1] + "3"), Reason.ENCAPSULATED_DOCUMENT),
    "no PDF inside": (wrapped(CDA), Reason.ENCAPSULATED_DOCUMENT),
    "says it is XML": (wrapped(MIMETypeOfEncapsulatedDocument="text/xml"), Reason.ENCAPSULATED_DOCUMENT),
    "breaks off": (wrapped(pdf(LETTER)[:300]), Reason.ENCAPSULATED_DOCUMENT),
    "garbage": (wrapped(b"%PDF-1.7" + bytes(range(256))), Reason.ENCAPSULATED_DOCUMENT),
    "no page": (wrapped(pdf()), Reason.ENCAPSULATED_DOCUMENT),
    "too many pages": (wrapped(pdf(*[[]] * (page_renderer.MAX_PAGES + 1), size=(9, 9))), Reason.ENCAPSULATED_DOCUMENT),
    "a page of a square mile": (wrapped(pdf([], size=(90_000, 90_000))), Reason.ENCAPSULATED_DOCUMENT),
    "too many pixels": (wrapped(pdf(*[[]] * 12, size=(1900, 1900))), Reason.ENCAPSULATED_DOCUMENT),
    "beside pixels": (wrapped(PixelData=b"\0\0"), Reason.ENCAPSULATED_DOCUMENT),
    "a scanned form": (wrapped(SeriesDescription="Consent Form"), Reason.SCANNED_FORM),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_no_page_to_draw_stays_in_quarantine(case):
    ds, reason = REFUSED[case]
    if "PixelData" in ds:
        ds["PixelData"].VR = "OB"
    with pytest.raises(Refused) as refusal:
        cleaner(KnowsThePage([])).clean(as_bytes(ds))
    assert refusal.value.reason is reason


FAILING = [
    (Broken(), Reason.PIXEL_ENGINE_FAILED),
    (SeesNamesEverywhere(), Reason.RESIDUAL_TEXT_IN_PIXELS),
    (OnlyFinds(), Reason.ENCAPSULATED_DOCUMENT),
]


@pytest.mark.parametrize(("finder", "reason"), FAILING, ids=lambda value: getattr(value, "name", value))
def test_a_finder_that_fails_refuses_the_document_and_keeps_its_words_in(finder, reason):
    with pytest.raises(Refused) as refusal:
        cleaner(finder).clean(as_bytes(wrapped()))
    assert refusal.value.reason is reason
    assert "Zymurgy" not in str(refusal.value)


def test_drawing_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(page_renderer, "MAX_SECONDS", 0.001)
    with pytest.raises(UndrawableError):
        drawn_pages(pdf(LETTER))


def test_a_document_in_an_object_of_an_admitted_class_is_drawn_as_well():
    ds = wrapped(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    assert b"Zymurgy" not in cleaner().clean(as_bytes(ds)).content


def test_a_line_that_was_read_does_not_show_its_words():
    assert "Zymurgy" not in repr(ReadText(FoundText(0, 0, 9, 9, 0.9, 7), "Zymurgy", 1.0))


def line(left: int, top: int, text: str, confidence: float = 1.0) -> ReadText:
    return ReadText(FoundText(left, top, 10 * len(text), 12, 0.9, len(text)), text, confidence)


JUDGED = {
    "a label takes its row along": ([line(0, 0, "Referring"), line(200, 2, "Smlth"), line(0, 40, "normal")], {0, 1}),
    "a label before a colon": ([line(0, 0, "Report to: ward 7")], {0}),
    "a label inside a word is none": ([line(0, 0, "idiopathic fibrosis"), line(0, 40, "nameless")], set()),
    "little confidence": ([line(0, 0, "blurred", 0.3), line(0, 40, "sharp")], {0}),
    "a span over two rows": ([line(0, 0, "seen by Ann"), line(0, 40, "Bell today")], {0, 1}),
}


@pytest.mark.parametrize("case", JUDGED)
def test_lines_are_judged_by_what_stands_in_and_beside_them(case):
    lines, gone = JUDGED[case]

    def find(text: str) -> list[tuple[int, int, str, str]]:
        at = text.find("Ann\nBell")
        return [(at, at + 8, "NAME", "fake")] if at >= 0 else []

    found = {id(one) for one in identifying(lines, find)}
    assert {number for number, one in enumerate(lines) if id(one) in found} == gone


def test_rows_are_read_from_left_to_right_and_from_top_to_bottom():
    lines = [line(300, 41, "d"), line(0, 0, "a"), line(200, 3, "b"), line(0, 40, "c")]
    assert ["".join(one.text for one in row) for row in in_rows(lines)] == ["ab", "cd"]
