"""What is found on one frame is filled on the frames it belongs to, named by its source, and nothing is looked at twice."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset, Sequence

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.pixels import FoundText, PixelEngine, decode_frames
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.changed_parts import Part, SeenPictures
from gradient_assets.deid.pixels.finding import Looked
from gradient_assets.deid.pixels.keep import shipped_policy
from gradient_assets.deid.pixels.known_text import KnownText
from gradient_assets.deid.pixels.rendering import Look
from gradient_assets.deid.pixels.survey import Survey
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.pixels.objects import LETTERS, FailingFinder, FixedFinder, LetterFinder, gradient, object_of, stack

OKONKWO = KnownText(KnownIdentifiers(patient_names=("OKONKWO^ANNA",)))


def text_at(left, top, text, *, width=30, height=10, confidence=0.99):
    return FoundText(left, top, width, height, 0.9, sum(map(str.isalnum, text)), text, confidence)


class Doubting(FixedFinder):
    """Has rejected boxes to tell of."""

    name = "doubting"

    def __init__(self, *found: FoundText, doubtful: tuple[FoundText, ...] = (), times: int = 99) -> None:
        super().__init__(*found, times=times)
        self.doubtful = list(doubtful)

    def look(self, image: np.ndarray) -> Looked:
        return Looked(self.find(image), self.doubtful)


def surveyed(finder, frames, *, header=None, **settings):
    ds = object_of(frames, **(header or {}))
    source = decode_frames(ds)
    survey = Survey(finder, source, Look(source.shape, source.photometric, ds), clear_hidden=False, **settings)
    for index, frame in enumerate(source):
        survey.add(index, frame)
    survey.finish()
    return survey


def places(survey, source=None):
    return {(b.frame, b.source) for b in survey.all_boxes if source in (None, b.source)}


def test_a_known_identifier_is_the_source_of_its_box():
    survey = surveyed(
        Doubting(text_at(10, 10, "OKONKWO"), text_at(10, 60, "SIEMENS")), gradient(100, 200, "uint8"), known=OKONKWO
    )
    assert {(b.source, b.top) for b in survey.all_boxes} == {("known-identifier", 6), ("doubting", 56)}


def test_a_rejected_box_beside_a_known_identifier_is_filled():
    finder = Doubting(text_at(10, 10, "OKONKWO"), doubtful=(text_at(50, 10, ""), text_at(10, 80, "")))
    assert any(
        b.left <= 50 < b.right and b.top <= 12 < b.bottom
        for b in surveyed(finder, gradient(100, 200, "uint8"), known=OKONKWO).all_boxes
    )
    assert not any(b.bottom > 60 for b in surveyed(finder, gradient(100, 200, "uint8"), known=OKONKWO).all_boxes)


def test_without_known_identifiers_rejected_boxes_stay_rejected():
    finder = Doubting(doubtful=(text_at(10, 10, "OKONKWO"),))
    assert surveyed(finder, gradient(100, 200, "uint8"), known=KnownText(KnownIdentifiers())).all_boxes == []
    assert len(surveyed(finder, gradient(100, 200, "uint8"), known=OKONKWO).all_boxes) == 1


def test_kept_text_is_counted_once_for_all_frames_and_has_no_box():
    finder = Doubting(text_at(10, 10, "ERECT"), text_at(10, 60, "SIEMENS"))
    survey = surveyed(finder, gradient(100, 200, "uint8", frames=3), keep=shipped_policy())
    assert survey.kept == 1
    assert {b.top for b in survey.all_boxes} == {56}


def test_kept_text_under_a_box_is_not_counted():
    added = [Box(0, 0, 100, 40, "review", 1.0, 0)]
    survey = surveyed(
        Doubting(text_at(10, 10, "ERECT")), gradient(100, 200, "uint8"), keep=shipped_policy(), added=added
    )
    assert survey.kept == 0
    assert places(survey) == {(0, "review")}


def test_the_second_look_at_a_filled_frame_leaves_kept_text_alone():
    survey = surveyed(Doubting(text_at(10, 10, "ERECT")), gradient(100, 200, "uint8"), keep=shipped_policy())
    assert survey.found_in([gradient(100, 200, "uint8")[0]]) == []


@pytest.mark.parametrize(
    ("tag", "found_first", "looks", "sources"),
    [
        ("YES", (), 2, {"second"}),
        ("YES ", (), 2, {"second"}),
        ("NO", (), 0, set()),
        ("", (), 0, set()),
        ("YES", (text_at(10, 60, "SIEMENS"),), 0, {"doubting"}),
    ],
)
def test_promised_text_that_was_not_found_is_looked_for_with_the_second_finder(tag, found_first, looks, sources):
    second = FixedFinder(text_at(10, 10, "JONES"), times=99)
    second.name = "second"
    frames = np.concatenate([gradient(100, 200, "uint8", frames=2)] * 2)  # the last two equal the first two
    survey = surveyed(Doubting(*found_first), frames, header={"BurnedInAnnotation": tag}, second=second)
    assert second.looks == looks
    assert {b.source for b in survey.all_boxes} == sources
    if sources:
        assert {b.frame for b in survey.all_boxes} == {0, 1, 2, 3}


def test_a_second_finder_that_fails_refuses_the_object():
    with pytest.raises(Refused) as refused:
        surveyed(
            Doubting(),
            gradient(60, 60, "uint8"),
            header={"BurnedInAnnotation": "YES"},
            second=FailingFinder(ValueError),
        )
    assert refused.value.reason is Reason.PIXEL_ENGINE_FAILED
    assert "SECRET" not in str(refused.value)


def test_equal_frames_are_looked_at_once():
    finder = Doubting(text_at(10, 10, "SIEMENS"))
    frames = np.concatenate([gradient(60, 90, "uint8")] * 20)
    assert {b.frame for b in surveyed(finder, frames).all_boxes} == set(range(20))
    assert finder.looks == 1


def test_only_the_part_that_changed_is_looked_at():
    class Measuring(FixedFinder):
        def find(self, image):
            sizes.append(image.shape)
            return super().find(image)

    sizes: list[tuple[int, ...]] = []
    frames = np.concatenate([gradient(300, 400, "uint8")] * 3)
    frames[1, 100:110, 100:130] += 40
    frames[2, 200:210, 50:90] += 40
    surveyed(Measuring(), frames)
    assert sizes[0] == (300, 400)
    assert all(rows * columns < 300 * 400 / 4 for rows, columns in sizes[1:])
    assert len(sizes) == 3


def moving(frames, rows=240, columns=320):
    """Soft shapes that sway on every frame, as in a lossy cine: frames differ nearly everywhere."""
    y, x = np.mgrid[0:rows, 0:columns]
    rng = np.random.default_rng(3)
    sway = 4 * np.sin(np.arange(frames))
    shapes = [90 + 60 * np.sin((x + d) / 40) * np.cos((y - d) / 30) + rng.integers(0, 6, x.shape) for d in sway]
    return np.stack(shapes).astype(np.uint8)


def test_a_cine_in_which_only_anatomy_moves_costs_three_looks():
    finder = Doubting(text_at(10, 10, "SIEMENS"))
    assert {b.frame for b in surveyed(finder, moving(60)).all_boxes} == set(range(60))
    assert finder.looks == 3


@pytest.mark.parametrize("ink", [255, 0, "faint"])
@pytest.mark.parametrize("at", [(20, 30), (120, 200), (228, 2)])
def test_letters_that_come_up_in_one_frame_of_a_cine_are_looked_at(at, ink):
    frames = moving(40)
    spot = frames[17, at[0] : at[0] + 9, at[1] : at[1] + 12]
    spot[LETTERS] = int(frames[:, at[0] : at[0] + 9, at[1] : at[1] + 12].max()) + 55 if ink == "faint" else ink
    finder = LetterFinder()
    surveyed(finder, frames)
    assert len(finder.shown) == 4


def paper(shade, seed, *, rows=240, columns=320):
    """A page with as much noise as a camera or a lossy codec leaves, and an edge of the whole range of values."""
    page = np.clip(shade + np.random.default_rng(seed).integers(-3, 4, (rows, columns)), 0, 255).astype(np.uint8)
    page[:8, : columns // 2], page[:8, columns // 2 :] = 0, 255
    return page


def with_letters(frame, at, ink):
    frame[at[0] : at[0] + 9, at[1] : at[1] + 12][LETTERS] = ink
    return frame


def alternating(ink, at, frames=12, on=5):
    """White and black pages by turns; a title on each, the letters on one."""
    pages = [with_letters(paper(8 if n % 2 else 247, n), (20, 30 + 14 * n), 247 if n % 2 else 8) for n in range(frames)]
    with_letters(pages[on], at, ink)
    return np.stack(pages)


def flashing(ink, at, frames=12, on=5):
    """Dark frames, of which the first is as good as white."""
    shown = [paper(40, n) for n in range(frames)]
    shown[0] = paper(235, 99)
    with_letters(shown[on], at, ink)
    return np.stack(shown)


def growing(ink, at, frames=24, on=9):
    """A black page on which a white one unrolls, a clock in its corner; what it will show stands on one frame for a moment."""
    shown = []
    for n in range(frames):
        page = paper(8, n)
        page[: n * 8] = paper(247, 50 + n)[: n * 8]
        page[225:235, 290:310] = paper(20 + n * 8, 80 + n)[225:235, 290:310]
        shown.append(page)
    with_letters(shown[on], at, ink)
    return np.stack(shown)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("ink", [90, 128, 200])
@pytest.mark.parametrize("at", [(100, 40), (180, 250)])
@pytest.mark.parametrize("slides", [alternating, flashing, growing])
def test_letters_on_one_slide_are_found_whatever_the_others_were_like(slides, at, ink, colours):
    frames = slides(ink, at)
    frames = frames if colours == 1 else np.stack([frames] * 3, axis=-1)
    boxes = surveyed(LetterFinder(), frames).on(3)
    assert any(b.left <= at[1] and b.right >= at[1] + 12 and b.top <= at[0] and b.bottom >= at[0] + 9 for b in boxes)


def test_pages_that_were_seen_cost_no_further_look():
    finder = LetterFinder()
    surveyed(finder, np.stack([paper(8 if n % 2 else 247, n) for n in range(40)]))
    assert len(finder.shown) == 4  # both pages, the middle, the last


def test_letters_that_fade_in_beside_a_running_clock_are_found():
    frames = np.stack([paper(40, n) for n in range(30)])
    for n in range(30):
        frames[n, 20:30, 250 + n : 270 + n] = 250
        with_letters(frames[n], (200, 40), 40 + min(20 * n, 200) if 10 < n < 14 else 40)
    for n in range(11, 14):
        with_letters(frames[n], (200, 40), 40 + 25 * (n - 10))
    assert any(b.top <= 200 and b.bottom >= 209 for b in surveyed(LetterFinder(), frames).on(0))


def printed(text, height, at, shape=(240, 320)):
    """Coverage of each pixel, 0 … 1, by anti-aliased letters."""
    page = Image.new("L", shape[::-1])
    ImageDraw.Draw(page).text(at, text, 255, font=ImageFont.load_default(height))
    return np.asarray(page) / 255


class Reader:
    """Reads the word it knows that is most like what it sees; `letters` says how many of it were read, if not all."""

    name = "reader"
    version = "1"

    def __init__(self, *words, height, letters=None):
        self.inks = {word: self.cropped(printed(word, height, (40, 60))) for word in words}
        self.letters = letters or {}
        self.looks = 0

    @staticmethod
    def cropped(ink):
        rows, columns = np.nonzero(ink)
        return (ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] * 255).astype(np.uint8)

    def find(self, image):
        self.looks += 1
        grey = np.ascontiguousarray(image if image.ndim == 2 else image.max(axis=2))
        found = []
        for word, ink in self.inks.items():
            height, width = ink.shape
            if height > grey.shape[0] or width > grey.shape[1]:
                continue
            alike = cv2.matchTemplate(grey, ink, cv2.TM_CCOEFF_NORMED)
            _, best, _, (left, top) = cv2.minMaxLoc(alike)
            letters = self.letters.get(word, sum(map(str.isalnum, word)))
            found.append((best, FoundText(left, top, width, height, 0.9, letters, word if letters else "", 0.99)))
        likeness, text = max(found, key=lambda one: one[0], default=(0, None))
        return [text] if text is not None and likeness > 0.75 else []


def cine_of(height, usual, other, *, on=4, frames=12, until=99):
    """Moving anatomy with one text on all frames (up to one of them) but one, which shows another at its place."""
    shown = moving(frames)
    for index in range(frames):
        if index == on or index < until:
            ink = printed(other if index == on else usual, height, (40, 60))
            shown[index] = (shown[index] * (1 - ink) + 235 * ink).astype(np.uint8)
    return shown, printed(other, height, (40, 60)) > 0.7


HEIGHTS = [7, 8, 9, 10, 12, 14, 16]


@pytest.mark.parametrize(
    ("usual", "other"), [("RIGHT LIVER", "MEIER ANNA"), ("120 mm", "LI WEI"), ("120 mm", "RAO LI")]
)
@pytest.mark.parametrize("height", HEIGHTS)
def test_a_name_in_the_place_of_a_text_that_stays_is_gone(height, usual, other):
    frames, ink = cine_of(height, usual, other)
    finder = Reader(usual, other, height=height)
    cleaned = PixelEngine(finder, keep=shipped_policy()).clean(object_of(frames))
    assert cleaned.verdict == "redacted"
    assert stack(cleaned.dataset)[4][ink].max() < 30


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_name_in_the_place_of_what_was_found_and_not_read_is_gone(height):
    # none of it on the middle frame, after which its box is forgotten
    frames, ink = cine_of(height, "RIGHT LIVER", "MEIER ANNA", on=8, until=5)
    finder = Reader("RIGHT LIVER", "MEIER ANNA", height=height, letters={"RIGHT LIVER": 0})
    assert stack(PixelEngine(finder).clean(object_of(frames)).dataset)[8][ink].max() < 30


def test_a_text_that_stays_in_its_place_costs_no_further_look():
    frames, _ = cine_of(10, "RIGHT LIVER", "RIGHT LIVER", frames=40)
    finder = Reader("RIGHT LIVER", height=10)
    assert surveyed(finder, frames, keep=shipped_policy()).kept == 1
    assert finder.looks == 3


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("thorough", [True, False])
@pytest.mark.parametrize("changed", [slice(200, 206), slice(60, 66), slice(215, 220)])
def test_what_is_looked_at_holds_the_whole_of_a_text_that_stays(changed, thorough, colours):
    text, away = Part(60, 100, 220, 112), Part(60, 20, 220, 32)
    picture = np.repeat(moving(1)[0][..., None], colours, axis=2)
    seen = SeenPictures()
    seen.add(picture, Part(0, 0, 320, 240), kept=[text, away])
    later = picture.copy()
    later[102:110, changed] = 255
    part = seen.new_part(later, thorough=thorough)
    height = text.bottom - text.top
    assert part.left <= text.left - height
    assert part.right >= text.right + height
    assert part.top <= text.top - height
    assert part.bottom >= text.bottom + height
    assert not part.touches(away)


def test_every_picture_of_a_frame_is_shown():
    frames = gradient(100, 200, "uint16", frames=2) * 40
    windows = {"WindowCenter": ["2000", "4000", "6000"], "WindowWidth": ["1000", "1000", "1000"]}
    finder = LetterFinder()
    surveyed(finder, frames, header=windows)
    assert [len(shape) for shape in finder.shown] == [3, 3] * 2


def inside_ultrasound_region(left, top, right, bottom):
    """A header that declares everything outside of these corners to be no picture."""
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, bottom
    return {"SequenceOfUltrasoundRegions": Sequence([region])}


class Showing(FixedFinder):
    """Remembers every picture it is shown."""

    def __init__(self, *found: FoundText) -> None:
        super().__init__(*found, times=99)
        self.shown: list[np.ndarray] = []

    def find(self, image: np.ndarray) -> list[FoundText]:
        self.shown.append(image.copy())
        return super().find(image)


def test_a_line_that_a_declared_box_cuts_is_shown_whole_and_filled_whole():
    frames = gradient(100, 200, "uint8")
    frames[:, 99, :2] = 0, 255  # the whole range, so that the picture shown is the frame
    finder = Showing(text_at(60, 10, "THISTLEWHACK", width=80, height=26))
    survey = surveyed(finder, frames, header=inside_ultrasound_region(0, 25, 199, 99))
    assert np.array_equal(finder.shown[0], frames[0])
    assert any(b.top <= 10 and b.bottom >= 36 and b.left <= 60 and b.right >= 140 for b in survey.on(0))


def test_a_clock_in_a_declared_box_costs_no_look():
    frames = np.concatenate([gradient(300, 400, "uint8")] * 9)
    frames[:, 299, :2] = 0, 255
    frames[:, 10:20, 10:60] += np.arange(9, dtype=np.uint8)[:, None, None] * 20
    finder = Showing()
    surveyed(finder, frames, header=inside_ultrasound_region(0, 60, 399, 299))
    assert len(finder.shown) == 1
