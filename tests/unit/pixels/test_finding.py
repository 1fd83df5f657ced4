"""The shipped finder sees text that was rendered into pictures, and leaves pictures without text alone."""

import pickle

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid.pixels import (
    MissingWeightsError,
    PixelEngine,
    RapidTextFinder,
    ResidualTextFinder,
    VerifyingTextFinder,
)
from gradient_assets.deid.pixels.networks import PPOCR_V3_DETECTOR, PPOCR_V4_DETECTOR, WeightFile
from gradient_assets.deid.pixels.rendering import Look
from tests.unit.pixels import objects
from tests.unit.pixels.objects import object_of, packaged, stack

FINDER = RapidTextFinder()
LINE = "MEIER ANNA 12.03.1954"
# files without text of their own, greyscale and colour, 8 to 16 bit
BASES = ["CT_small.dcm", "MR_small.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm"]


def stencil(rows, columns, size, at, text=LINE, turn=0):
    image = Image.new("L", (columns, rows), 0)
    ImageDraw.Draw(image).text(at, text, fill=255, font=ImageFont.load_default(size))
    return np.rot90(np.asarray(image) > 127, turn)


def share_covered(finder, image, glyphs):
    mask = np.zeros(glyphs.shape, bool)
    for f in finder.find(image):
        mask[max(0, f.top - 4) : f.top + f.height + 4, max(0, f.left - 4) : f.left + f.width + 4] = True
    return mask[glyphs].mean()


def smooth(rows, columns):
    y, x = np.mgrid[0:rows, 0:columns]
    return (70 + 40 * np.sin(x / 90) * np.cos(y / 70)).astype(np.uint8)


@pytest.mark.parametrize("shade", [255, 180, 0])
@pytest.mark.parametrize("size", [10, 14, 24, 40])
def test_a_line_of_any_size_and_shade_is_covered(size, shade):
    image, glyphs = smooth(360, 480), stencil(360, 480, size, (20, 60))
    image[glyphs] = shade
    assert share_covered(FINDER, image, glyphs) >= 0.95


@pytest.mark.parametrize("turn", [1, 3])
def test_a_line_turned_by_a_right_angle_is_covered(turn):
    glyphs = stencil(360, 480, 20, (30, 60), turn=turn)
    image = smooth(*glyphs.shape)
    image[glyphs] = 255
    assert share_covered(FINDER, image, glyphs) >= 0.95


def test_a_coloured_line_is_covered():
    image, glyphs = np.dstack([smooth(400, 500)] * 3), stencil(400, 500, 16, (30, 350))
    image[glyphs] = (255, 255, 0)
    assert share_covered(FINDER, image, glyphs) >= 0.95


def test_small_letters_of_a_large_image_are_covered():
    image, glyphs = smooth(1600, 2000), stencil(1600, 2000, 14, (30, 1500))
    image[glyphs] = 255
    assert share_covered(FINDER, image, glyphs) >= 0.95


@pytest.mark.parametrize("level", [300, 2000, 60_000])
def test_text_of_a_deep_image_is_seen_under_one_of_its_windows(level):
    """16 bit, anatomy at 0 to 800 and one hot pixel: text at 300 is invisible between smallest and largest value."""
    frame = smooth(400, 500).astype(np.uint16)
    frame[0, 0] = 65_535
    glyphs = stencil(400, 500, 16, (60, 200))
    frame[glyphs] = level
    ds = object_of(frame[None])
    picture = Look(objects.pixel_shape(ds, "PixelData"), "MONOCHROME2", ds).picture(frame)
    assert share_covered(FINDER, picture, glyphs) >= 0.95


@pytest.mark.parametrize(("side", "size", "turn"), [(12, 10, 0), (23, 15, 0), (23, 15, 1), (40, 24, 0)])
def test_a_line_that_fills_a_strip_is_covered(side, size, turn):
    glyphs = stencil(side, 300, size, (8, 0), turn=turn)
    image = np.full(glyphs.shape, 70, np.uint8)
    image[glyphs] = 230
    assert share_covered(FINDER, image, glyphs) >= 0.95


def test_a_line_that_fills_a_strip_is_read():
    glyphs = stencil(23, 300, 15, (8, 0))
    lines = FINDER.read(np.where(glyphs, 230, 70).astype(np.uint8))
    assert [line.text.replace(" ", "") for line in lines] == [LINE.replace(" ", "")]
    assert all(line.box.left + line.box.width <= 300 and line.box.top + line.box.height <= 23 for line in lines)


@pytest.mark.parametrize(
    "image", [np.zeros((200, 200), np.uint8), smooth(300, 300), np.full((20, 400), 7, np.uint8), smooth(16, 200)]
)
def test_pictures_without_text_stay_whole(image):
    assert FINDER.find(image) == []


def faint_in_8_bits():
    """Four levels, and a window of 16 that shows them."""
    frame = (100 + smooth(200, 320) % 6).astype(np.uint8)
    frame[0, :2] = 0, 255
    return frame, 4, {"WindowCenter": ["128", "106"], "WindowWidth": ["256", "16"]}


def under_a_step_of_8_bits():
    """200 of 60,000 values: less than one of 256 levels."""
    return np.linspace(0, 60_000, 320)[None].repeat(200, axis=0).astype(np.uint16), 200, {}


@pytest.mark.parametrize("drawn", [faint_in_8_bits, under_a_step_of_8_bits])
def test_text_that_shows_under_no_first_window_is_gone_after_the_engine(drawn):
    frame, step, declared = drawn()
    glyphs = stencil(200, 320, 16, (40, 100))
    frame[glyphs] += np.array(step, frame.dtype)
    after = stack(PixelEngine(FINDER).clean(object_of(frame[None], **declared)).dataset)[0]
    assert (after[glyphs] == 0).mean() >= 0.99


@pytest.mark.parametrize("name", BASES)
def test_packaged_images_without_text_stay_whole(name):
    cleaned = PixelEngine(FINDER).clean(packaged(name))
    area = sum(b.width * b.height for b in cleaned.boxes) / (packaged(name).Rows * packaged(name).Columns)
    assert area <= 0.02


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.RLE, objects.J2K_LOSSLESS])
def test_burned_in_text_is_gone_after_the_engine(syntax, index):
    frames = np.stack([smooth(128, 240) + i for i in range(3)]).astype(np.uint8)
    glyphs = stencil(128, 240, 16, (20, 20))
    frames[index][glyphs] = 255
    cleaned = PixelEngine(FINDER).clean(object_of(frames, syntax=syntax))
    after = stack(cleaned.dataset)
    assert (after[index][glyphs] == 0).mean() >= 0.99
    assert FINDER.find(after[index]) == []


def test_the_finder_can_be_pickled_after_use():
    assert pickle.loads(pickle.dumps(FINDER)).name == FINDER.name


def test_a_weight_file_that_is_not_installed_is_named_with_its_package():
    missing = WeightFile("gradient_no_such_package", "models/none.onnx", "some-package==1.0")
    with pytest.raises(MissingWeightsError, match=r"some-package==1\.0"):
        missing.path()


def needs(weights):
    """The mark for a finder whose weights come in a package of their own."""
    try:
        weights.path()
    except MissingWeightsError:
        return pytest.mark.skip(reason=f"{weights.requirement}: not installed")
    return ()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(ResidualTextFinder, marks=needs(PPOCR_V4_DETECTOR)),
        pytest.param(VerifyingTextFinder, marks=needs(PPOCR_V3_DETECTOR)),
    ],
)
def test_the_other_finders_see_a_line_with_weights_of_their_own(kind):
    finder = kind()
    image, glyphs = smooth(512, 640), stencil(512, 640, 24, (30, 60))
    assert finder.find(image) == []
    image[glyphs] = 255
    assert share_covered(finder, image, glyphs) >= 0.9


@pytest.mark.parametrize("turn", [0, 1, 3])
@pytest.mark.parametrize("kind", [RapidTextFinder, VerifyingTextFinder])
def test_a_line_is_read_whichever_way_it_runs(kind, turn):
    glyphs = stencil(360, 480, 20, (30, 60), turn=turn)
    image = smooth(*glyphs.shape)
    image[glyphs] = 255
    assert LINE.replace(" ", "") in {line.text.replace(" ", "") for line in kind().read(image)}


def test_a_finder_without_its_weights_fails_at_construction_not_per_image():
    class Unarmed(ResidualTextFinder):
        _detector = WeightFile("gradient_no_such_package", "models/none.onnx", "some-package==1.0")

    with pytest.raises(MissingWeightsError, match=r"some-package==1\.0"):
        Unarmed()
