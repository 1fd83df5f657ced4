"""Which pictures of a written object are looked at, and that text in any of its views is in one of them."""

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset

from gradient_assets.deid.verify.views import MOST_FRAMES, MOST_PAGES, MOST_VIEWS, views_of
from tests.unit.verify.written import dicom, dots


def test_a_single_frame_is_shown_with_its_contrast_stretched():
    frames = np.zeros((1, 32, 40), np.uint16)
    frames[0, :, 20:] = 900
    [picture] = views_of(dicom(frames))
    assert (picture.dtype, picture.min(), picture.max()) == (np.uint8, 0, 255)


def test_nothing_that_moves_through_a_cine_is_lost():
    *frames, brightest, _darkest = views_of(dicom(dots(12)))
    assert len(frames) == 12
    assert (brightest[5, 0:24:2] > 250).all()


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
        ("1.2.840.10008.1.2.4.90", lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True)),
        ("1.2.840.10008.1.2.4.70", lambda frame: imagecodecs.ljpeg_encode(frame)),
    ],
)
def test_compressed_frames_are_decoded_here(syntax, encode):
    frames = dots(3)
    pictures = list(views_of(dicom(frames, syntax, streams=[encode(frame) for frame in frames])))
    plain = list(views_of(dicom(frames)))
    assert all((one == other).all() for one, other in zip(pictures, plain, strict=True))


TEXT = (0, slice(8, 12), slice(10, 30))


def is_legible(picture, at=TEXT[1:]):
    """Whether the planted rectangle differs from what lies under it."""
    top, left = at[0], at[1]
    inside, below = picture[top, left].astype(int), picture[top.stop + 2 : top.stop + 6, left].astype(int)
    return np.abs(inside.mean(axis=(0, 1)) - below.mean(axis=(0, 1))).max() > 60


@pytest.mark.parametrize("colour", [(0, 0, 250), (250, 0, 0), (200, 200, 0)])
@pytest.mark.parametrize("ground", [0, 250])
def test_text_of_any_colour_is_seen(colour, ground):
    frames = np.full((1, 32, 40, 3), ground, np.uint8)
    frames[TEXT] = colour
    [picture] = views_of(dicom(frames, photometric="RGB"))
    assert is_legible(picture)


def test_colours_of_sixteen_bits_with_eight_in_use_are_seen():
    frames = np.full((1, 32, 40, 3), 20, np.uint16)
    frames[TEXT] = (230, 20, 20)
    [picture] = views_of(dicom(frames, photometric="RGB"))
    assert is_legible(picture)


def narrow(dtype="uint16", level=3000):
    """A frame of the whole range with text that differs by four levels from what is around it."""
    frames = np.tile(np.linspace(0, np.iinfo(dtype).max if dtype == "uint8" else 4095, 40), (32, 1)).astype(dtype)[None]
    frames[0, 4:20, 5:35] = level
    frames[TEXT] = level + 4
    return frames


def window(center, width, **more):
    item = Dataset()
    item.WindowCenter, item.WindowWidth = center, width
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def group(**sequences):
    """An item with sequences of one item each."""
    holder = Dataset()
    for keyword, item in sequences.items():
        setattr(holder, keyword, [item])
    return holder


def table():
    """A lookup table over 4,096 values that is steep at 3,000."""
    item = Dataset()
    item.add_new(0x00283002, "US", [4096, 0, 16])
    values = np.clip((np.arange(4096) - 2995) * 4096, 0, 65535).astype("<u2")
    item.add_new(0x00283006, "OW", values.tobytes())
    return item


def shared(item):
    return {"SharedFunctionalGroupsSequence": [group(FrameVOILUTSequence=item)]}


RESCALED = Dataset()
RESCALED.RescaleSlope, RESCALED.RescaleIntercept = 2, -1000


@pytest.mark.parametrize(
    "declared",
    [
        {"WindowCenter": 3002, "WindowWidth": 10},
        {"WindowCenter": [500, 3002], "WindowWidth": [1000, 10]},
        {"WindowCenter": 5004, "WindowWidth": 20, "RescaleSlope": 2, "RescaleIntercept": -1000},
        {"WindowCenter": 3002, "WindowWidth": 4, "VOILUTFunction": "SIGMOID"},
        {"VOILUTSequence": [table()]},
        {"ModalityLUTSequence": [table()]},
        shared(window(3002, 10)),
        shared(group(VOILUTSequence=table())),
        {"PerFrameFunctionalGroupsSequence": [group(FrameVOILUTSequence=window(3002, 10))]},
        {
            "PerFrameFunctionalGroupsSequence": [
                group(FrameVOILUTSequence=window(5004, 20), PixelValueTransformationSequence=RESCALED)
            ]
        },
    ],
)
def test_text_is_seen_in_every_window_and_table_that_is_declared(declared):
    pictures = list(views_of(dicom(narrow(), **declared)))
    assert not is_legible(pictures[0])
    assert any(map(is_legible, pictures[1:]))


def test_windows_of_pictures_with_eight_bits_are_looked_at_too():
    frames = narrow("uint8", 100)
    assert any(map(is_legible, views_of(dicom(frames, WindowCenter=102, WindowWidth=10))))


def test_a_slice_with_a_window_is_two_pictures_and_one_if_the_window_shows_nothing_new():
    assert len(list(views_of(dicom(narrow(), WindowCenter=3002, WindowWidth=10)))) == 2
    assert len(list(views_of(dicom(narrow(), WindowCenter=2048, WindowWidth=4095)))) == 1


def test_no_more_windows_are_looked_at_than_stands_there():
    windows = [float(center) for center in range(100, 4000, 100)]
    pictures = list(views_of(dicom(narrow(), WindowCenter=windows, WindowWidth=[50.0] * len(windows))))
    assert len(pictures) == MOST_VIEWS + 1


@pytest.mark.parametrize(
    "broken",
    [
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40},
        {"VOILUTSequence": [Dataset()]},
        {"ModalityLUTSequence": [Dataset()]},
    ],
)
def test_a_broken_window_or_table_is_no_view(broken):
    assert len(list(views_of(dicom(narrow(), **broken)))) <= 2


def palette(*colours):
    """Tables of as many entries as colours."""
    tables = {}
    for name, values in zip(("Red", "Green", "Blue"), zip(*colours, strict=True), strict=True):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [len(values), 0, 16]
        tables[f"{name}PaletteColorLookupTableData"] = np.array(values, "<u2").tobytes()
    return tables


def test_palettes_show_text_of_any_colour_and_of_entries_that_look_alike():
    frames = np.zeros((1, 32, 40), np.uint8)
    frames[TEXT] = 1
    for colours in (((0, 0, 0), (0, 60000, 0)), ((0, 0, 0), (0, 0, 60000))):
        [picture] = views_of(dicom(frames, photometric="PALETTE COLOR", **palette(*colours)))
        assert is_legible(picture)
    coloured, raw = views_of(dicom(frames, photometric="PALETTE COLOR", **palette((9, 9, 9), (9, 9, 9))))
    assert not is_legible(coloured)
    assert is_legible(raw)


def pages(count, at):
    """Black and white by turns, with text of the other one's value on one page."""
    frames = np.zeros((count, 32, 40), np.uint8)
    frames[1::2] = 255
    frames[(at, *TEXT[1:])] = 255 - frames[at, 0, 0]
    return frames


@pytest.mark.parametrize("at", [0, 3, 10, 39])
def test_text_on_one_page_of_many_is_seen(at):
    assert any(map(is_legible, views_of(dicom(pages(40, at)))))


@pytest.mark.parametrize("at", [3, 8])
def test_text_is_seen_in_a_cine_with_a_flash(at):
    rng = np.random.default_rng(3)
    frames = rng.integers(20, 60, (12, 32, 40)).astype(np.uint8)
    frames[0] = rng.integers(215, 255, (32, 40))
    frames[(at, *TEXT[1:])] = 235
    assert any(map(is_legible, views_of(dicom(frames))))


@pytest.mark.parametrize(
    ("frames", "most"), [(dots(20), MOST_FRAMES), (pages(200, 5), MOST_PAGES), (dots(1).repeat(40, axis=0), 1)]
)
def test_the_number_of_frames_is_bounded_and_the_middle_and_the_last_are_among_them(frames, most):
    pictures = list(views_of(dicom(frames)))
    assert most + 2 <= len(pictures) <= most + 2 + 3


def test_a_frame_of_a_compressed_cine_is_decoded_by_its_number():
    frames = pages(5, 3)
    streams = [imagecodecs.jpegls_encode(frame) for frame in frames]
    pictures = list(views_of(dicom(frames, "1.2.840.10008.1.2.4.80", streams=streams)))
    assert [is_legible(picture) for picture in pictures[:5]] == [False, False, False, True, False]
