"""Triage: what the header forbids to skip, what the pixels forbid, who is audited, and that failures mean "look"."""

import random
import statistics

import cv2
import numpy as np
import pytest
from pydicom import Dataset

from gradient_assets.deid.pixels.device_rules import DeviceRule
from gradient_assets.deid.pixels.triage import Triage, densest
from tests.shared import SHARED, needs_shared
from tests.unit.pixels.bench.planting import packaged_grounds, planted, real_grounds

CT, MR, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
SIDE = 320


def slice_of(**attributes):
    ds = Dataset()
    ds.SOPClassUID, ds.Modality, ds.ImageType = CT, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def quiet_picture(seed=3):
    """Soft shapes and faint noise, as a smooth reconstruction gives."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    ramp = 90 + 60 * np.sin(x / 40) * np.cos(y / 50)
    return (ramp + np.random.default_rng(seed).normal(0, 1.5, ramp.shape)).clip(0, 255).astype(np.uint8)


def test_a_quiet_original_slice_is_skipped():
    assert not Triage().needs_a_look(slice_of(), quiet_picture())
    assert not Triage().needs_a_look(
        slice_of(SOPClassUID=MR, Modality="MR", ImageType=["ORIGINAL", "PRIMARY"]), quiet_picture()
    )


@pytest.mark.parametrize(
    "attributes",
    [
        *({"Modality": modality} for modality in ("US", "MG", "XA", "OT", "SC", "RF", "CR", "DX", "")),
        {"SOPClassUID": SECONDARY_CAPTURE},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"},
        {"SOPClassUID": MR},
        {"SOPClassUID": ""},
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
        {"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageType": ["ORIGINAL", "PRIMARY"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "SCREEN SAVE"]},
        {"ImageType": "ORIGINAL"},
        {"ImageType": None},
        {"BurnedInAnnotation": "YES"},
        {"BurnedInAnnotation": "MAYBE"},
        {"ConversionType": "WSD"},
        {"SecondaryCaptureDeviceManufacturer": "Frame Grabbers"},
        {"DerivationDescription": "drawn on"},
        {"LossyImageCompression": "01"},
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"Rows": None},
    ],
)
def test_what_the_header_makes_doubtful_is_looked_at(attributes):
    header = slice_of(**attributes)
    assert Triage().looked(header, lambda: [quiet_picture()], drawn=False) == "all"
    if "Rows" not in attributes:
        assert Triage().needs_a_look(header, quiet_picture())


@pytest.mark.parametrize("group", [0x5000, 0x6000, 0x601E])
def test_an_overlay_or_curve_is_looked_at(group):
    header = slice_of()
    header.add_new((group, 0x0010), "US", SIDE)
    assert Triage().needs_a_look(header, quiet_picture())


def test_an_object_that_a_device_rule_matches_is_looked_at():
    rule = DeviceRule("grabber", (("Manufacturer", ("acme",)),), (), frozenset(), frozenset(), ((0, 0, 40, 10),))
    header = slice_of(Manufacturer="ACME Imaging")
    assert Triage(device_rules=(rule,)).needs_a_look(header, quiet_picture())
    assert not Triage(device_rules=()).needs_a_look(header, quiet_picture())


@pytest.mark.parametrize(
    "picture",
    [
        quiet_picture()[:200],  # smaller than what was calibrated
        np.random.default_rng(1)
        .integers(0, 255, (SIDE, SIDE))
        .astype(np.uint8),  # noise in which nothing is told apart
        np.dstack([(quiet_picture() // 16), quiet_picture(), quiet_picture()]),  # tissue within 16 of 256 levels
        np.zeros((0, 0), np.uint8),
        np.zeros(7, np.uint8),
    ],
    ids=["small", "noise", "few levels", "empty", "no picture"],
)
def test_what_the_measurement_was_not_calibrated_for_is_looked_at(picture):
    assert Triage().needs_a_look(slice_of(), picture)


def test_one_frame_with_text_makes_all_be_looked_at():
    lettered = quiet_picture()
    cv2.putText(lettered, "MEIER ANNA", (60, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 160, 1)
    frames = [quiet_picture(), quiet_picture(4), lettered]
    assert Triage().looked(slice_of(), lambda: frames, drawn=False) == "all"
    assert Triage().looked(slice_of(), lambda: frames[:2], drawn=False) == "skipped"
    assert Triage().looked(slice_of(), lambda: frames[:2], drawn=True) == "audited"


def test_an_object_without_a_frame_is_looked_at():
    assert Triage().looked(slice_of(), list, drawn=False) == "all"


class Unreadable(Dataset):
    def get(self, *_args, **_kwargs):
        raise ValueError("SECRET")


def test_what_fails_is_looked_at():
    def broken():
        raise MemoryError("SECRET")

    assert Triage().needs_a_look(Unreadable(), quiet_picture())
    assert Triage().looked(Unreadable(), lambda: [quiet_picture()], drawn=False) == "all"
    assert Triage().looked(slice_of(), broken, drawn=True) == "all"


def test_the_audit_draws_its_share_and_the_same_ones_again():
    rng = random.Random(5)
    tokens = [f"{rng.getrandbits(128):032x}" for _ in range(20_000)]
    drawn = [Triage(audit_share=0.02).draws(token) for token in tokens]
    assert statistics.mean(drawn) == pytest.approx(0.02, abs=0.004)
    assert drawn == [Triage(audit_share=0.02).draws(token) for token in tokens]
    assert all(Triage(audit_share=1).draws(token) for token in tokens[:50])
    assert not any(Triage(audit_share=0).draws(token) for token in tokens[:50])


@pytest.mark.parametrize("token", ["", "abc", "not hexadecimal at all"])
def test_what_is_no_token_draws_nobody(token):
    with pytest.raises(ValueError, match=r"token|invalid literal"):
        Triage().draws(token)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_zero_to_one_is_refused(share):
    with pytest.raises(ValueError, match="audit_share"):
        Triage(audit_share=share)


def test_a_straight_edge_is_less_dense_than_a_line_of_letters():
    edge, strokes = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    edge[:, 32:] = 255
    cv2.putText(strokes, "ANNA", (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    assert densest(edge, 12, (11, 7)) < 0.14 < densest(strokes, 12, (11, 7))


def lines_skipped(grounds, seed, lines):
    """Number of planted lines, and those in whose frame triage sees no need to look; the header is that of a CT slice."""
    planted_lines, skipped = 0, []
    for number, ground in enumerate(grounds):
        rng = random.Random(seed * 100_003 + number)
        for frame, _glyphs, line in planted(ground, rng, lines, portable=True):
            picture = ground.picture(frame)
            planted_lines += 1
            header = slice_of(Rows=picture.shape[0], Columns=picture.shape[1])
            if not Triage().needs_a_look(header, picture):
                skipped.append(line)
    return planted_lines, skipped


def test_no_planted_line_in_the_packaged_slices_is_skipped():
    count, skipped = lines_skipped(packaged_grounds(), seed=1, lines=25)
    assert count >= 60
    assert skipped == []


@needs_shared
def test_no_planted_line_in_real_slices_is_skipped():
    grounds = [one for one in real_grounds(SHARED / "data" / "dicom") if one.modality in ("CT", "MR", "PT", "NM")]
    count, skipped = lines_skipped(grounds, seed=101, lines=6)
    assert count >= 150
    assert skipped == []


@needs_shared
def test_a_real_smooth_slice_is_skipped_by_its_pixels():
    [smooth] = [one for one in real_grounds(SHARED / "data" / "dicom") if one.name == "bad_sequence.dcm"]
    picture = smooth.picture(smooth.frame)
    assert not Triage().needs_a_look(slice_of(), picture)
    assert densest(np.ascontiguousarray(picture[..., 0]), 12, (11, 7)) < 0.07
