"""Bar codes go, whatever they say; scales, grids and letters are none."""

import cv2
import numpy as np
import pytest

from gradient_assets.deid.pixels import PixelEngine, RapidTextFinder
from gradient_assets.deid.pixels.bar_codes import qr_codes, striped_codes
from gradient_assets.deid.pixels.letter_rows import binarised
from tests.unit.pixels.objects import object_of

ROWS, COLUMNS = 420, 420
# Code 39 draws each character with five bars and four gaps, three of the nine wide (ISO/IEC 16388): * P 4 8 2 9 *
CODE_39 = {"*": "nwnnwnwnn", "P": "nnwnwnnwn", "4": "nnnwwnnnw", "8": "wnnwnnwnn", "2": "nnwwnnnnw", "9": "nnwwnnwnn"}


def ground():
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    return (90 + 40 * np.sin(x / 40) * np.cos(y / 30)).astype(np.uint8)


def striped(module=1, height=40, text="*P4829*"):
    """Dark bars on a bright label with its quiet zones."""
    line = [255] * 10 * module
    for character in text:
        for number, width in enumerate(CODE_39[character]):
            line += [255 if number % 2 else 0] * module * (3 if width == "w" else 1)
        line += [255] * module
    return np.tile(np.array(line + [255] * 10 * module, np.uint8), (height, 1))


def with_label(label, top=120, left=30):
    picture = ground()
    picture[top : top + label.shape[0], left : left + label.shape[1]] = label
    dark = np.zeros(picture.shape, bool)
    dark[top : top + label.shape[0], left : left + label.shape[1]] = label == 0
    return picture, dark


def codes_of(picture):
    shown = np.dstack([picture] * 3)
    return [box for seen in binarised(shown) for box in striped_codes(seen)] + qr_codes(shown)


def share_covered(boxes, dark, margin=4):
    mask = np.zeros(dark.shape, bool)
    for box in boxes:
        mask[
            max(0, box.top - margin) : box.top + box.height + margin,
            max(0, box.left - margin) : box.left + box.width + margin,
        ] = True
    return mask[dark].mean()


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize(("module", "height"), [(1, 30), (1, 90), (2, 40), (3, 120)])
def test_a_striped_code_is_covered(module, height, turn):
    label = np.rot90(striped(module, height), turn)
    picture, dark = with_label(label, top=10, left=10)
    assert share_covered(codes_of(picture), dark) >= 0.99


@pytest.mark.parametrize("module", [3, 5])
def test_a_qr_code_is_covered(module):
    code = np.pad(cv2.QRCodeEncoder.create().encode("MRN 00482913"), 4, constant_values=255)
    label = np.kron(code, np.ones((module, module), np.uint8))
    picture, dark = with_label(label)
    assert share_covered(codes_of(picture), dark) >= 0.99


def scale():
    picture = ground()
    picture[100:120, 40:300:10] = 255
    return picture


def grating():
    picture = ground()
    picture[100:160, 40:300] = np.where(np.arange(260) // 4 % 2, 255, 0)
    return picture


@pytest.mark.parametrize("picture", [ground(), scale(), grating(), np.zeros((64, 64), np.uint8)])
def test_scales_gratings_and_plain_pictures_are_no_codes(picture):
    assert codes_of(picture) == []


def test_a_bar_code_is_gone_after_the_engine():
    picture, dark = with_label(striped(2, 60))
    cleaned = PixelEngine(RapidTextFinder()).clean(object_of(picture[None]))
    assert (cleaned.dataset.pixel_array[dark] == 0).all()
    assert (cleaned.dataset.pixel_array[120:180, 60:280] == 0).all()
