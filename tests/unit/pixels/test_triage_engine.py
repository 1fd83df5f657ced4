"""The engine with triage: who is shown to the finder, and what is said of who is not."""

import numpy as np
import pytest

from gradient_assets.deid.pixels import FoundText, PixelEngine, Triage
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels.objects import FailingFinder, FixedFinder, object_of, stack

CT = "1.2.840.10008.5.1.4.1.1.2"


def quiet(**attributes):
    y, x = np.mgrid[0:320, 0:320]
    frame = (1000 + 800 * np.sin(x / 40) * np.cos(y / 50)).astype("u2")
    described = {
        "SOPClassUID": CT,
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "WindowCenter": 1000,
        "WindowWidth": 2000,
    }
    return object_of(frame[None], **{**described, **attributes})


@pytest.mark.parametrize(
    ("triage", "audited", "looked", "looks"),
    [(None, False, "all", 1), (Triage(), False, "skipped", 0), (Triage(), True, "audited", 1)],
)
def test_who_is_looked_at(triage, audited, looked, looks):
    finder = FixedFinder()
    cleaned = PixelEngine(finder, triage=triage).clean(quiet(), audited=audited)
    assert (cleaned.looked, finder.looks > 0) == (looked, looks > 0)


def test_a_skipped_object_is_not_said_to_be_free_of_text_and_keeps_its_pixels():
    ds = quiet()
    cleaned = PixelEngine(FixedFinder(), triage=Triage()).clean(ds)
    assert "BurnedInAnnotation" not in cleaned.dataset
    assert (cleaned.verdict, cleaned.boxes, cleaned.touched) == ("clean", (), False)
    np.testing.assert_array_equal(stack(cleaned.dataset), stack(ds))
    assert cleaned.thumbnail() is not None


def test_text_in_an_audited_object_is_filled_all_the_same():
    finder = FixedFinder(FoundText(60, 60, 80, 12, 0.9, 6))
    cleaned = PixelEngine(finder, triage=Triage()).clean(quiet(), audited=True)
    assert (cleaned.looked, cleaned.verdict) == ("audited", "redacted")


class Endless:
    """Finds letters a little lower in each picture, so that no number of looks is enough."""

    name, version = "endless", "1"

    def __init__(self) -> None:
        self.looks = 0

    def find(self, image: np.ndarray) -> list[FoundText]:
        self.looks += 1
        return [FoundText(60, 30 * self.looks, 80, 12, 0.9, 6)]


class FailsAtSecondLook(FixedFinder):
    """Finds its text once, then fails."""

    def find(self, image: np.ndarray) -> list[FoundText]:
        if self.looks:
            raise MemoryError
        return super().find(image)


TEXT = FoundText(60, 60, 80, 12, 0.9, 6)


def with_plateau():
    return np.minimum(stack(quiet())[0], 1400)


@pytest.mark.parametrize(
    ("finder", "frame", "why"),
    [
        (Endless, None, "residual_text_in_pixels: after 3 rounds"),
        (
            lambda: FixedFinder(FoundText(40, 10, 45, 12, 0.9, 6)),
            with_plateau,
            "redaction_failed: text was read where the frame is constant",
        ),
        (lambda: FailsAtSecondLook(TEXT), None, "MemoryError"),
    ],
    ids=["text without end", "text where nothing is", "a failing second look"],
)
@pytest.mark.parametrize(
    ("sop_class", "is_a_miss"),
    [(CT, True), ("1.2.840.10008.5.1.4.1.1.7", False)],
    ids=["skipped but for the sample", "looked at anyway"],
)
def test_text_that_stays_in_an_audited_object_is_refused_as_a_miss_of_triage(finder, frame, why, sop_class, is_a_miss):
    ds = quiet(SOPClassUID=sop_class)
    if frame is not None:
        ds.PixelData = frame().tobytes()
    with pytest.raises(Refused) as refused:
        PixelEngine(finder(), triage=Triage()).clean(ds, audited=True)
    assert (refused.value.reason is Reason.TRIAGE_MISSED_TEXT) == is_a_miss
    assert why in (refused.value.detail if is_a_miss else str(refused.value))


def test_a_failure_without_text_says_nothing_of_triage():
    with pytest.raises(Refused) as refused:
        PixelEngine(FailingFinder(ValueError), triage=Triage()).clean(quiet(), audited=True)
    assert refused.value.reason is Reason.PIXEL_ENGINE_FAILED


@pytest.mark.parametrize("audited", [False, True])
def test_bits_that_no_viewer_shows_are_looked_at(audited):
    ds = quiet(BitsStored=12, HighBit=11)
    frame = stack(ds)[0].copy()
    frame[100:120, 100:200:3] |= 0x8000
    hidden = object_of(frame[None], SOPClassUID=CT, Modality="CT", ImageType=ds.ImageType, BitsStored=12, HighBit=11)
    assert PixelEngine(FixedFinder(), triage=Triage()).clean(hidden, audited=audited).looked == "all"


def test_a_secondary_capture_is_looked_at():
    assert (
        PixelEngine(FixedFinder(), triage=Triage()).clean(quiet(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")).looked
        == "all"
    )
