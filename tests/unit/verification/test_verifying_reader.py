"""What both cleaning finders of a release overlook is read by a third engine, in what was written."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gradient_assets.deid.pixels import MissingWeightsError
from gradient_assets.deid.pixels.networks import PPOCR_V3_DETECTOR
from gradient_assets.tables import RELEASE_MANIFEST
from gradient_assets.verification import Verifier
from tests.unit.mutations.hospital import (
    DELIVERED,
    RELEASE,
    THUMBNAILS,
    Blind,
    HospitalUnderTest,
    Sent,
    instance,
    stored,
)

ROWS, COLUMNS = 240, 420


def installed():
    try:
        PPOCR_V3_DETECTOR.path()
    except MissingWeightsError:
        return False
    return True


pytestmark = pytest.mark.skipif(not installed(), reason=f"{PPOCR_V3_DETECTOR.requirement}: not installed")


def burned_in(*lines):
    """A smooth picture of the first patient with these lines in it."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    picture = Image.fromarray((70 + 40 * np.sin(x / 90) * np.cos(y / 70)).astype(np.uint8))
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((12, 30 + 40 * number), line, fill=255, font=ImageFont.load_default(20))
    return stored(instance(1, Rows=ROWS, Columns=COLUMNS, PixelData=picture.tobytes()))


def made(path, *lines):
    """A hospital whose finders, of thumbnails and of releases, see nothing; who verifies is the settings' choice."""
    home = HospitalUnderTest(path, Sent((burned_in(*lines),), finder=Blind(), second=Blind("also blind")))
    home.sent = replace(home.sent, reader=home.resources.verifying_reader)
    home.read()
    return home


@pytest.mark.parametrize("stage", [THUMBNAILS, DELIVERED])
@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        (("Quillfeather, Zebulon",), {"name"}),
        (("MRN-771204",), {"id"}),
        (("Bexley Okonjo",), {"text_in_pixels"}),
        ((), set()),
    ],
)
def test_what_both_finders_overlook_is_read_in_what_was_written(tmp_path, stage, lines, kinds):
    outcome = made(tmp_path, *lines).run(stage)
    assert not outcome.failed
    look = outcome.looks["no_text_in_pixels"]
    assert look.searched
    assert {told.partition(" ")[0] for told in look.by_kind} >= kinds
    assert bool(look.total) == bool(kinds)


def test_what_is_read_in_a_release_is_put_aside(tmp_path):
    home = made(tmp_path, "Quillfeather, Zebulon")
    home.run(DELIVERED, looking=False)
    verifier = Verifier.of_release(home.resources, home.registry, RELEASE)
    assert verifier.reader.name == "ppocr-v3"
    ((token, told),) = verifier.to_isolate(verifier.text_in_release()).items()
    assert token in {row["work_token"] for row in home.rows(RELEASE_MANIFEST)}
    assert "Quillfeather" not in told


def test_marks_that_another_hospital_keeps_excuse_no_text(tmp_path):
    home = made(tmp_path, "Bexley Okonjo")
    home.run(DELIVERED, looking=False)
    verifier = Verifier.of_release(home.resources, home.registry, RELEASE)
    keeping = replace(home.profile, burned_in_text="keep_marks")
    elsewhere = replace(verifier, profiles=verifier.profiles | {"lakeside": keeping})
    assert elsewhere.text_in_release().total == 1
    own = replace(verifier, profiles=dict.fromkeys(verifier.profiles, keeping))
    assert own.text_in_release().total == 0
