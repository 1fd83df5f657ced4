"""Whatever way of looking the header declares, and whatever 8 bits would lose, is among the pictures that a finder is shown."""

import numpy as np
import pytest
from pydicom import Dataset, Sequence

from gradient_assets.deid.pixels.decoding import decode_frames
from gradient_assets.deid.pixels.rendering import Look
from tests.unit.pixels.objects import gradient, object_of, packaged, stack
from tests.unit.pixels.test_finding import smooth, stencil

LEGIBLE_LEVELS = 45
"""Of 256 between letters and ground: the faintest lines of the bench."""
GLYPHS = stencil(160, 320, 16, (30, 60))
GROUND = ~GLYPHS & stencil(160, 320, 16, (31, 61)) | (~GLYPHS & stencil(160, 320, 16, (29, 59)))


def pictures(ds, index=0):
    source = decode_frames(ds)
    return Look(source.shape, source.photometric, ds).pictures(source[index], index)


def channels(shown):
    return [one for picture in shown for one in ([picture] if picture.ndim == 2 else np.moveaxis(picture, 2, 0))]


def contrast(shown):
    """Between the letters and what stands beside them, in the view where it is largest."""
    return max(abs(float(one[GLYPHS].mean()) - float(one[GROUND].mean())) for one in channels(shown))


def window(center, width, **more):
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth = center, width
    ds.update(more)
    return ds


def group(window_of_frame=None, slope=None):
    item = Dataset()
    if window_of_frame is not None:
        item.FrameVOILUTSequence = Sequence([window_of_frame])
    if slope is not None:
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = slope
        item.PixelValueTransformationSequence = Sequence([rescale])
    return item


def table(first, entries):
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, 16]
    item.LUTData = [int(entry) for entry in entries]
    return item


def spread():
    """16 bits: air and metal at both ends, and in the middle letters of 60 levels in noise of 40."""
    frame = 1000 + np.random.default_rng(4).integers(0, 40, (160, 320))
    frame[:, :20], frame[:, 300:] = 0, 64_000
    frame[GLYPHS] += 60
    return frame.astype(np.uint16)


def faint():
    """8 bits: letters of 4 levels."""
    frame = 100 + smooth(160, 320) % 6
    frame[0, :32], frame[1, :32] = 0, 255
    frame[GLYPHS] += 4
    return frame


STEEP = [0, *np.linspace(0, 65_535, 200).astype(int)]
BLANK = table(0, [0, 0])
DECLARED = {
    "the second window": {"WindowCenter": ["30000", "1040"], "WindowWidth": ["60000", "160"]},
    "a lookup table": {"VOILUTSequence": Sequence([table(950, STEEP)])},
    "the second lookup table": {"VOILUTSequence": Sequence([table(0, [0, 65_535]), table(950, STEEP)])},
    "a lookup table behind a broken one": {"VOILUTSequence": Sequence([Dataset(), table(950, STEEP)])},
    "a lookup table of the modality": {"ModalityLUTSequence": Sequence([table(950, STEEP)])},
    "a window behind a lookup table of the modality": {
        "ModalityLUTSequence": Sequence([table(0, np.arange(0, 64_001) // 2)]),
        "WindowCenter": "520",
        "WindowWidth": "80",
    },
    "the window of all frames": {"SharedFunctionalGroupsSequence": Sequence([group(window("1040", "160"))])},
    "the window of the frame": {"PerFrameFunctionalGroupsSequence": Sequence([group(window("1040", "160"))])},
    "the second window of the frame": {
        "PerFrameFunctionalGroupsSequence": Sequence([group(window(["30000", "1040"], ["60000", "160"]))])
    },
    "the window of the frame behind its rescale": {
        "PerFrameFunctionalGroupsSequence": Sequence([group(window("520", "80"), slope=("0.5", "0"))])
    },
    "the end of a sigmoid window": {"WindowCenter": "950", "WindowWidth": "160", "VOILUTFunction": "SIGMOID"},
}


@pytest.mark.parametrize("name", DECLARED)
def test_letters_that_show_only_as_declared_are_shown(name):
    assert contrast(pictures(object_of(spread()[None], **DECLARED[name]))) >= LEGIBLE_LEVELS


@pytest.mark.parametrize(
    "declared",
    [
        {"WindowCenter": "106", "WindowWidth": "16"},
        {"WindowCenter": ["128", "106"], "WindowWidth": ["256", "16"]},
        {"VOILUTSequence": Sequence([table(98, np.linspace(0, 65_535, 14).astype(int))])},
        {"SharedFunctionalGroupsSequence": Sequence([group(window("106", "16"))])},
        {},
    ],
)
def test_letters_of_few_levels_in_8_bits_are_shown_too(declared):
    assert contrast(pictures(object_of(faint()[None], **declared))) >= LEGIBLE_LEVELS


def test_each_frame_is_shown_under_its_own_window():
    frames = np.stack([spread(), spread()])
    windows = [group(window("30000", "60000")), group(window("1040", "160"))]
    ds = object_of(frames, PerFrameFunctionalGroupsSequence=Sequence(windows))
    assert contrast(pictures(ds, 0)) < LEGIBLE_LEVELS <= contrast(pictures(ds, 1))


def test_letters_smaller_than_a_step_of_8_bits_are_shown():
    ramp = np.linspace(0, 60_000, 320)[None].repeat(160, axis=0)
    assert contrast(pictures(object_of(ramp.astype(np.uint16)[None]))) < LEGIBLE_LEVELS
    ramp[GLYPHS] += 200
    assert contrast(pictures(object_of(ramp.astype(np.uint16)[None]))) >= LEGIBLE_LEVELS


def test_letters_on_a_large_offset_are_shown():
    frame = smooth(160, 320).astype(np.int64) + 1_500_000_000
    frame[GLYPHS] += 90
    assert contrast(pictures(object_of(frame.astype(np.uint32)[None]))) >= LEGIBLE_LEVELS


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours_declared_deeper_than_they_are_stored_are_shown(photometric, hot):
    frame = np.dstack([smooth(160, 320)] * 3).astype(np.uint16)
    frame[GLYPHS, 0] = 230
    frame[0, 0] = 60_000 if hot else 100
    assert contrast(pictures(object_of(frame[None], PhotometricInterpretation=photometric))) >= LEGIBLE_LEVELS


def palette(frame, colours):
    ds = object_of(frame[None], PhotometricInterpretation="PALETTE COLOR")
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(ds, f"{channel}PaletteColorLookupTableData", colours.astype(np.uint8).tobytes())
    return ds


def test_letters_in_the_colour_of_their_ground_are_shown():
    frame = np.where(GLYPHS, 7, 3).astype(np.uint8)
    frame[:20] = np.arange(320) % 200
    grey = np.arange(256)
    assert len(pictures(palette(frame, grey))) == 1
    grey[7] = grey[3]
    assert contrast(pictures(palette(frame, grey))) >= LEGIBLE_LEVELS


def deep(frames=1):
    return (gradient(160, 320, "uint16", frames) * 10).astype(np.uint16)


@pytest.mark.parametrize(
    ("frames", "declared", "shape"),
    [
        (gradient(160, 320, "uint8"), {}, (160, 320)),
        (gradient(160, 320, "uint8"), {"WindowCenter": "110", "WindowWidth": "220"}, (160, 320)),
        (deep(), {}, (160, 320, 3)),
        (deep(), {"WindowCenter": "800", "WindowWidth": "600"}, (160, 320, 3)),
        (deep(), {"WindowCenter": ["800", "810"], "WindowWidth": ["600", "600"]}, (160, 320, 3)),
        (deep(), {"WindowCenter": ["800", "1100"], "WindowWidth": ["600", "2200"]}, (160, 320, 3)),
        (deep(), {"WindowCenter": "90000", "WindowWidth": "600"}, (160, 320, 3)),
    ],
)
def test_an_ordinary_frame_is_one_picture(frames, declared, shape):
    assert [picture.shape for picture in pictures(object_of(frames, **declared))] == [shape]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", [*DECLARED, "nothing"])
@pytest.mark.parametrize("frame", [spread(), faint(), spread().astype(np.int16)], ids=["deep", "shallow", "signed"])
def test_what_a_thumbnail_shows_a_finder_is_shown(frame, name, photometric):
    ds = object_of(frame[None], PhotometricInterpretation=photometric, **DECLARED.get(name, {}))
    source = decode_frames(ds)
    look = Look(source.shape, source.photometric, ds)
    thumbnail = look.thumbnail(source[0])
    grey = 255 - thumbnail if photometric == "MONOCHROME1" else thumbnail
    assert any(np.array_equal(grey, view) for view in channels(look.pictures(source[0])))


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm"])
def test_what_a_thumbnail_of_a_packaged_file_shows_a_finder_is_shown(name):
    ds = packaged(name)
    frame = stack(ds)[0]
    source = decode_frames(ds)
    look = Look(source.shape, source.photometric, ds)
    assert any(np.array_equal(look.thumbnail(frame), view) for view in channels(look.pictures(frame)))
