"""The order of the steps, and every way in which an object is refused instead of passed on."""

import io
import pickle
from copy import deepcopy

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence

from gradient_assets.deid.pixels import Box, FoundText, PixelEngine, shipped_policy
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels import objects
from tests.unit.pixels.objects import BrightFinder, FailingFinder, FixedFinder, gradient, object_of, packaged, stack

TEXT = FoundText(20, 12, 24, 10, 0.9, 5)


def bright_on(frames, index, box=(slice(12, 22), slice(20, 44))):
    frames = frames.copy()
    frames[(index, *box)] = 255
    return frames


def refusal(finder, ds):
    with pytest.raises(Refused) as refused:
        PixelEngine(finder).clean(ds)
    return refused.value


@pytest.mark.parametrize("index", [0, 1, 4])
def test_text_on_any_frame_is_found_and_removed(index):
    ds = object_of(bright_on(gradient(48, 64, "uint8", 5), index))
    cleaned = PixelEngine(BrightFinder()).clean(ds)
    assert {box.frame for box in cleaned.boxes} >= {index}
    assert stack(cleaned.dataset)[index].max() < 250


def test_text_read_on_one_frame_is_removed_from_all():
    frames = bright_on(gradient(48, 64, "uint8", 3), 1)
    after = stack(PixelEngine(BrightFinder()).clean(object_of(frames)).dataset)
    assert (after[:, 12:22, 20:44] == 0).all()


def test_what_was_covered_on_one_slide_only_in_part_is_seen_in_the_second_look_at_it():
    """The boxes of one slide stand on all, so their equality says nothing about what is left beside them."""

    class Shortsighted:
        name = "shortsighted"

        def find(self, image):
            rows, columns = np.nonzero(image[..., 0] >= 250 if image.ndim == 3 else image >= 250)
            if rows.size < 100:
                return []
            top, left = int(rows.min()), int(columns.min())
            return [FoundText(left, top, min(100, int(columns.max()) - left + 1), 20, 0.9, 5)]

    frames = np.stack([np.full((240, 320), 30 + 60 * (n % 3), np.uint8) for n in range(9)])
    frames[:, 0, 0] = 0
    frames[:, 0, 1] = 255
    frames[3, 100:120, 100:260] = 250
    frames[3, 110, 100:260:9] = 251
    after = stack(PixelEngine(Shortsighted()).clean(object_of(frames)).dataset)
    assert (after[3, 1:] < 250).all()


def test_identical_frames_are_looked_at_once():
    frames = np.repeat(gradient(48, 64, "uint8"), 50, axis=0)
    finder = FixedFinder()
    PixelEngine(finder).clean(object_of(frames))
    assert finder.looks == 1


def test_a_frame_that_differs_in_one_corner_is_looked_at_there_only():
    sizes = []

    class SizeKeeper(FixedFinder):
        def find(self, image):
            sizes.append(image.shape)
            return super().find(image)

    frames = np.repeat(gradient(400, 400, "uint8"), 2, axis=0)
    frames[1, :10, :10] += 5
    PixelEngine(SizeKeeper()).clean(object_of(frames))
    assert sizes == [(400, 400), (42, 42)]


def test_an_object_without_pixels_says_so():
    ds = packaged("test-SR.dcm")
    cleaned = PixelEngine(FailingFinder(RuntimeError)).clean(ds)
    assert (cleaned.verdict, cleaned.frames, cleaned.touched, cleaned.thumbnail()) == ("no_pixels", 0, False, None)
    assert "BurnedInAnnotation" not in cleaned.dataset


def test_a_clean_object_is_marked_as_looked_at_but_claims_no_method():
    cleaned = PixelEngine(FixedFinder()).clean(object_of(gradient(48, 64, "uint8")))
    assert cleaned.verdict == "clean"
    assert cleaned.method_codes == ()
    assert cleaned.dataset.BurnedInAnnotation == "NO"


def test_a_redacted_object_claims_the_clean_pixel_data_option():
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(object_of(gradient(48, 64, "uint8")))
    assert cleaned.method_codes == ("113101",)
    assert cleaned.dataset.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("second", [None, FixedFinder()])
@pytest.mark.parametrize("declared", ["YES", "yes "])
def test_text_that_the_header_declares_and_nobody_finds_refuses_the_object(declared, second):
    ds = object_of(gradient(48, 64, "uint8"))
    ds.add_new(0x00280301, "CS", declared)
    with pytest.raises(Refused) as refused:
        PixelEngine(FixedFinder(), second=second).clean(ds)
    assert refused.value.reason is Reason.DECLARED_TEXT_NOT_FOUND


def test_a_mark_that_may_stay_is_not_the_text_that_the_header_declares():
    mark = FoundText(20, 12, 24, 10, 0.9, 1, "R", 0.99)
    ds = object_of(gradient(48, 64, "uint8"), BurnedInAnnotation="YES")
    with pytest.raises(Refused) as refused:
        PixelEngine(FixedFinder(mark), keep=shipped_policy()).clean(ds)
    assert refused.value.reason is Reason.DECLARED_TEXT_NOT_FOUND


def test_declared_text_that_was_found_is_removed():
    ds = object_of(gradient(48, 64, "uint8"), BurnedInAnnotation="YES")
    cleaned = PixelEngine(FixedFinder(TEXT)).clean(ds)
    assert (cleaned.verdict, cleaned.dataset.BurnedInAnnotation) == ("redacted", "NO")


def test_a_box_that_a_reviewer_drew_is_the_declared_text():
    ds = object_of(gradient(48, 64, "uint8"), BurnedInAnnotation="YES")
    cleaned = PixelEngine(FixedFinder()).clean(ds, added=[Box(20, 12, 24, 10, "review", 1.0, 0)])
    assert (cleaned.verdict, cleaned.dataset.BurnedInAnnotation) == ("redacted", "NO")


def test_a_person_may_say_that_declared_text_is_not_there():
    ds = object_of(gradient(48, 64, "uint8"), BurnedInAnnotation="YES")
    cleaned = PixelEngine(FixedFinder()).clean(ds, accepted={"declared_text_not_found": [""]})
    assert (cleaned.verdict, cleaned.dataset.BurnedInAnnotation) == ("clean", "NO")


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, ValueError])
def test_a_failing_detector_refuses_the_object_and_keeps_its_message_in(error):
    refused = refusal(FailingFinder(error), object_of(gradient(48, 64, "uint8")))
    assert refused.reason is Reason.PIXEL_ENGINE_FAILED
    assert "SECRET" not in str(refused)


PLATEAU = (slice(None), slice(0, 30), slice(0, 60))


def of_one_value(colour=None):
    """Noise, but for one region; grey, or of a colour whose three samples differ."""
    frames = gradient(48, 64, "uint8")
    if colour is not None:
        frames = np.stack([frames, frames + 3, frames + 9], axis=-1)
    frames[PLATEAU] = 0 if colour is None else colour
    return object_of(frames, PhotometricInterpretation="MONOCHROME2" if colour is None else colour_space(colour))


def colour_space(colour):
    return "YBR_FULL" if colour == (0, 128, 128) else "RGB"


ONE_VALUE = pytest.mark.parametrize("colour", [None, (0, 0, 0), (90, 20, 200), (0, 128, 128)])
ELSEWHERE = FoundText(10, 38, 30, 8, 0.9, 5)


@ONE_VALUE
@pytest.mark.parametrize("others", [(), (ELSEWHERE,)], ids=["alone", "beside other text"])
def test_text_read_in_a_constant_region_refuses_the_object(others, colour):
    assert refusal(FixedFinder(TEXT, *others), of_one_value(colour)).reason is Reason.REDACTION_FAILED


@ONE_VALUE
def test_an_unread_box_in_a_constant_region_is_dropped(colour):
    cleaned = PixelEngine(FixedFinder(FoundText(20, 12, 24, 10, 0.9, 0))).clean(of_one_value(colour))
    assert cleaned.verdict == "clean"


@ONE_VALUE
def test_a_declared_region_of_one_value_needs_no_fill(colour):
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 30
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 63, 47
    ds = of_one_value(colour)
    pixels = stack(ds)
    pixels[:, :30] = pixels[0, 0, 0]
    ds = object_of(pixels, PhotometricInterpretation=ds.PhotometricInterpretation)
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert cleaned.verdict == "clean"
    assert np.array_equal(stack(cleaned.dataset), pixels)


def test_text_that_shows_again_after_every_filling_refuses_the_object():
    class Endless:
        name = "endless"
        top = 0

        def find(self, image):
            self.top += 12
            return [FoundText(20, self.top, 24, 3, 0.9, 6)]

    refused = refusal(Endless(), object_of(gradient(96, 64, "uint8")))
    assert refused.reason is Reason.RESIDUAL_TEXT_IN_PIXELS


def test_text_seen_only_in_the_second_look_is_filled_too():
    class Late:
        name = "late"
        looks = 0

        def find(self, image):
            self.looks += 1
            return [[TEXT], [FoundText(4, 36, 20, 6, 0.9, 6)], []][min(self.looks - 1, 2)]

    cleaned = PixelEngine(Late()).clean(object_of(gradient(48, 64, "uint8")))
    assert len(cleaned.boxes) == 2
    assert (stack(cleaned.dataset)[0, 36:42, 4:24] == 0).all()


def with_overlay(ds):
    ds.add_new((0x6000, 0x0010), "US", ds.Rows)
    ds.add_new((0x6000, 0x0011), "US", ds.Columns)
    ds.add_new((0x6000, 0x0100), "US", 1)
    ds.add_new((0x6000, 0x0102), "US", 0)
    ds.add_new((0x6000, 0x1500), "LO", "MEIER^ANNA")
    ds.add_new((0x6000, 0x3000), "OW", b"\xff" * 384)
    return ds


def test_overlays_are_removed_at_every_level():
    ds = with_overlay(object_of(gradient(48, 64, "uint8")))
    ds.ReferencedImageSequence = Sequence([with_overlay(object_of(gradient(48, 64, "uint8")))])
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    left = [e.tag for e in cleaned.dataset.iterall() if 0x6000 <= e.tag.group <= 0x60FF]
    assert left == []
    assert cleaned.removed["overlay"] == 2
    assert cleaned.method_codes == ("113103",)
    assert "PixelData" not in cleaned.dataset.ReferencedImageSequence[0]


def test_an_overlay_without_an_image_is_removed_too():
    ds = with_overlay(object_of(gradient(48, 64, "uint8")))
    del ds.PixelData
    assert not [e for e in PixelEngine(FixedFinder()).clean(ds).dataset if e.tag.group == 0x6000]


def test_an_overlay_in_a_high_bit_is_cleared_and_the_values_stay():
    values = gradient(48, 64, "uint16")
    hidden = values | (np.uint16(1) << 15) * (np.indices((48, 64)).sum(axis=0) % 2).astype("uint16")
    ds = object_of(hidden, BitsStored=12, HighBit=11)
    ds.add_new((0x6000, 0x0100), "US", 16)
    ds.add_new((0x6000, 0x0102), "US", 15)
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert np.array_equal(stack(cleaned.dataset), values)
    assert cleaned.touched


@pytest.mark.parametrize("letters", [5, 1, 0])
@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.RLE])
def test_text_in_undeclared_high_bits_is_cleared(syntax, letters):
    values = gradient(48, 64, "uint16")
    hidden = values.copy()
    hidden[0, 12:22, 20:44] |= 1 << 14
    ds = object_of(hidden, syntax=syntax, BitsStored=12, HighBit=11)
    cleaned = PixelEngine(BrightFinder(letters)).clean(ds)
    assert stack(cleaned.dataset).max() < 4096


@pytest.mark.parametrize("channel", [0, 2, slice(None)])
@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.RLE])
def test_text_in_undeclared_bits_of_colours_is_cleared(syntax, channel):
    values = np.stack([gradient(48, 64, "uint16")] * 3, axis=-1)
    hidden = values.copy()
    hidden[0, 12:22, 20:44, channel] |= 1 << 14
    cleaned = PixelEngine(BrightFinder()).clean(object_of(hidden, syntax=syntax, BitsStored=8, HighBit=7))
    assert stack(cleaned.dataset).max() < 256


def test_high_bits_that_hold_no_text_stay_as_they_are():
    values = gradient(48, 64, "uint16")
    values[0, 0, 0] |= 0xF000
    ds = object_of(values, BitsStored=12, HighBit=11)
    assert PixelEngine(FixedFinder()).clean(ds).dataset.PixelData == ds.PixelData


def test_icons_are_removed():
    ds = object_of(gradient(48, 64, "uint8"))
    ds.IconImageSequence = Sequence([object_of(gradient(16, 16, "uint8"))])
    cleaned = PixelEngine(FixedFinder()).clean(ds)
    assert "IconImageSequence" not in cleaned.dataset
    assert cleaned.removed["icon"] == 1


def test_bytes_behind_the_last_frame_are_cut():
    ds = object_of(gradient(48, 64, "uint8"))
    ds.PixelData += b"MEIER^ANNA"
    assert PixelEngine(FixedFinder()).clean(ds).dataset.PixelData == ds.PixelData[:-10]


def test_what_lies_outside_ultrasound_regions_goes():
    ds = object_of(gradient(48, 64, "uint8"))
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 12
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 50, 40
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    before, cleaned = stack(ds), PixelEngine(FixedFinder()).clean(ds)
    after = stack(cleaned.dataset)
    assert np.array_equal(after[0, 12:41, 10:51], before[0, 12:41, 10:51])
    outside = np.ones((48, 64), bool)
    outside[12:41, 10:51] = False
    assert (after[0][outside] == 0).all()
    assert {box.source for box in cleaned.boxes} == {"ultrasound-regions"}


@pytest.mark.parametrize("corner", [(10, 12, 100, 40), (10, 12, 5, 40), (-1, 12, 50, 40)])
def test_ultrasound_regions_that_do_not_fit_are_left_unused(corner):
    ds = object_of(gradient(48, 64, "uint8"))
    region = Dataset()
    for name, value in zip(("MinX0", "MinY0", "MaxX1", "MaxY1"), corner, strict=True):
        region.add_new(f"RegionLocation{name}", "SL", value)
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    assert PixelEngine(FixedFinder()).clean(ds).verdict == "clean"


def test_the_input_stays_as_it_was():
    ds = with_overlay(object_of(gradient(48, 64, "uint8")))
    ds.IconImageSequence = Sequence([object_of(gradient(16, 16, "uint8"))])
    before = deepcopy(ds)
    PixelEngine(FixedFinder(TEXT)).clean(ds)
    assert ds == before
    assert ds.file_meta == before.file_meta


def test_the_thumbnail_shows_the_filled_middle_frame_and_holds_no_text():
    frames = bright_on(
        np.full((3, 300, 400), 100, np.uint8) + gradient(300, 400, "uint8", 3, 40), 1, (slice(0, 100), slice(0, 200))
    )
    png = PixelEngine(BrightFinder()).clean(object_of(frames)).thumbnail()
    assert png is not None
    image = Image.open(io.BytesIO(png))
    assert max(image.size) == 256
    assert np.asarray(image)[:60, :120].max() < 10
    for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"):
        assert chunk not in png


def test_the_strip_of_a_cine_shows_filled_frames_only_and_holds_no_text():
    frames = gradient(96, 128, "uint8", 30, 40)
    for index in range(30):
        frames[index, 12:22, 20:44] = 255
        frames[index, 60 + index, 60:64] = 100
    strip = Image.open(io.BytesIO(PixelEngine(BrightFinder()).clean(object_of(frames)).strip()))
    assert strip.n_frames == 12
    assert strip.info.keys() <= {"loop", "duration", "default_image", "disposal", "blend", "bbox", "timestamp"}
    for index in range(strip.n_frames):
        strip.seek(index)
        assert np.asarray(strip.convert("L"))[12:22, 20:44].max() == 0


def test_a_single_frame_has_no_strip():
    assert PixelEngine(FixedFinder()).clean(object_of(gradient(48, 64, "uint8"))).strip() is None


def test_small_frames_are_not_enlarged_in_the_thumbnail():
    png = PixelEngine(FixedFinder()).clean(object_of(gradient(48, 64, "uint8"))).thumbnail(256)
    assert Image.open(io.BytesIO(png)).size == (64, 48)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_thumbnail_polarity_follows_the_photometric_interpretation(photometric):
    frames = gradient(48, 64, "uint16")
    frames[0, :20, :20] = 0
    png = PixelEngine(FixedFinder()).clean(object_of(frames, PhotometricInterpretation=photometric)).thumbnail()
    corner = np.asarray(Image.open(io.BytesIO(png)))[:15, :15].mean()
    assert (corner > 250) if photometric == "MONOCHROME1" else (corner < 5)


def test_engine_and_outcome_can_be_pickled():
    engine = pickle.loads(pickle.dumps(PixelEngine(FixedFinder(TEXT))))
    cleaned = pickle.loads(pickle.dumps(engine.clean(object_of(gradient(48, 64, "uint8")))))
    assert cleaned.verdict == "redacted"
