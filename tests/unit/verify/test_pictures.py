"""Text in written pixels: what counts as text, what is somebody's name, and that nothing is skipped in silence."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.deid.verify.pictures import (
    KnownWords,
    is_text,
    pictures_of_dicom,
    pictures_of_png,
    text_in_pictures,
)
from tests.unit.verify.written import dicom, dots

INDEX = IdentifierIndex.build([KnownIdentifiers(patient_names=("Quillfeather^Zebulon",), patient_ids=("MRN-771204",))])
KNOWN = KnownWords(INDEX, ("quillfeather", "zebulon", "may"))
BLANK = np.zeros((64, 64), np.uint8)


class Line:
    def __init__(self, text, confidence):
        self.text, self.confidence = text, confidence


class Reader:
    name = "fixed"

    def __init__(self, *lines):
        self.lines = [Line(*line) for line in lines]

    def read(self, image):
        return self.lines


def kinds(*lines, **more):
    return {hit.kind for hit in text_in_pictures([BLANK], Reader(*lines), KNOWN, **more).hits}


@pytest.mark.parametrize(
    ("text", "confidence", "counts"),
    [
        ("ANN SMITHERS", 0.97, True),
        ("1961-02-03", 0.9, True),
        ("Ward 7", 0.85, True),
        ("ANN", 0.85, True),
        ("red", 0.9, True),
        ("00", 0.99, False),  # rings: read in vertebrae and rows of teeth
        ("0000", 0.95, False),
        ("088", 0.81, False),
        ("Col", 0.99, False),
        ("L", 0.99, False),
        ("XO2IRN", 0.49, False),  # in doubt
        ("Hh-EAR", 0.53, False),
        ("", 0.0, False),
        ("...---...", 0.99, False),
    ],
)
def test_letters_count_and_rings_do_not(text, confidence, counts):
    assert is_text(text, confidence) is counts
    assert kinds((text, confidence)) == ({"text_in_pixels"} if counts else set())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Quillfeather", "name"),
        ("QUILLFEATHFR", "name"),  # one sign misread
        ("Quilfeather", "name"),
        ("Zebulon Quillfeather", "name"),
        ("MRN 771204", "id"),
    ],
)
def test_what_is_known_counts_even_in_doubt_and_where_marks_may_stay(text, kind):
    assert kinds((text, 0.6)) == {kind}
    assert kinds((text, 0.95), marks_may_stay=True) == {kind}


@pytest.mark.parametrize("text", ["May", "feather", "Quillfea", "LEFT ARM"])
def test_another_word_is_nobodys_name(text):
    assert kinds((text, 0.6)) == set()
    assert kinds((text, 0.95), marks_may_stay=True) == set()


def test_a_picture_is_blank_only_if_nothing_was_read_in_it():
    assert text_in_pictures([BLANK], Reader(("", 0.0), ("L", 0.9)), KNOWN).is_blank
    assert not text_in_pictures([BLANK], Reader(("12", 0.6)), KNOWN).is_blank


def test_hits_hold_no_word():
    reading = text_in_pictures([BLANK], Reader(("Zebulon Quillfeather", 0.9)), KNOWN)
    assert "uill" not in repr(reading)


def test_a_reader_that_raises_is_not_excused():
    class Broken:
        name = "broken"

        def read(self, image):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        text_in_pictures([BLANK], Broken(), KNOWN)


def test_an_object_without_pixels_has_nothing_to_show():
    assert list(pictures_of_dicom(Dataset())) == []


JPEG_LS = imagecodecs.jpegls_encode(dots(1)[0])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda: dicom(dots(3), "1.2.840.10008.1.2.4.90", streams=[b"no codestream"] * 3), Reason.UNDECODABLE_PIXELS),
        (lambda: dicom(dots(3), "1.2.840.10008.1.2.4.80", streams=[JPEG_LS]), Reason.UNDECODABLE_PIXELS),
        (lambda: dicom(dots(1), "1.2.3.4"), Reason.UNDECODABLE_PIXELS),
        (lambda: dicom(dots(1), Rows=60_000, Columns=60_000), Reason.PIXELS_TOO_LARGE),
        (lambda: dicom(dots(1), Rows=64), Reason.UNDECODABLE_PIXELS),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(broken, reason):
    with pytest.raises(Refused) as refused:
        list(pictures_of_dicom(broken()))
    assert refused.value.reason is reason


def png(*frames):
    images = [Image.fromarray(frame) for frame in frames]
    stream = io.BytesIO()
    images[0].save(stream, "PNG", save_all=len(images) > 1, append_images=images[1:])
    return stream.getvalue()


def test_each_frame_of_a_strip_is_shown():
    first, second = np.zeros((32, 40), np.uint8), np.full((32, 40), 7, np.uint8)
    first[3, 3], second[4, 4] = 255, 200
    assert len(list(pictures_of_png(png(first, second)))) == 2


@pytest.mark.parametrize("content", [b"", b"no picture", png(np.zeros((32, 40), np.uint8))[:-30]])
def test_a_broken_png_is_refused(content):
    with pytest.raises(Refused) as refused:
        list(pictures_of_png(content))
    assert refused.value.reason is Reason.UNDECODABLE_PIXELS
