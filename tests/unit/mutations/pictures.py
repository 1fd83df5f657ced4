"""Sources of boxes and what lies beside the pixels, each with a picture in which it is the one that counts.

Belongs here: cases, and eyes that see what was planted: stripes at known places stand for text.  Whether networks find real
letters is measured elsewhere (docs/benchmarks_pixels.md).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

import gradient_assets.boundary as boundary
import gradient_assets.deid.pixels.codestreams as codestreams
import gradient_assets.deid.pixels.engine as engine
import gradient_assets.deid.pixels.fill as fill
import gradient_assets.deid.pixels.hiding_places as hiding_places
import gradient_assets.deid.pixels.rendering as rendering
import gradient_assets.deid.pixels.survey as survey
import gradient_assets.deid.pixels.triage as triage
import gradient_assets.pipelines.thumbnails as thumbnails
from gradient_assets.deid.pixels import FoundText
from gradient_assets.deid.pixels.finding import Looked
from gradient_assets.deid.pixels.keep import KeepPolicy
from gradient_assets.deid.pixels.known_text import KnownText
from gradient_assets.deid.pixels.triage import Triage
from tests.fakes.small_home import COLUMNS, DOUBTFUL, ROWS, SURE
from tests.unit.mutations.hospital import DELIVERED, THUMBNAILS, Blind, Outcome, Sent, instance, stored
from tests.unit.mutations.switching import Mutation, Off

STRANGER, OWN = "BEXLEY OKONJO", "QUILLFEATHER"
KEEPING_MARKS = """name: marks
edition: 2026a
options: [clean_descriptors]
dates: shift
birth_date: empty
burned_in_text: keep_marks
"""


def is_seen(picture: np.ndarray, place: tuple[float, ...]) -> bool:
    """Whether the stripes at this place can be seen in a picture of the planted size."""
    plane = picture if picture.ndim == 2 else picture[..., 0]
    if plane.shape != (ROWS, COLUMNS):
        return False
    left, top, width, height = (int(one) for one in place[:4])
    part = plane[top : top + height, left : left + width].astype(int)
    return bool(np.abs(np.diff(part, axis=1)).mean() > 50)


def every_other_is_drawn(off: Off) -> None:
    """Triage lets every object go unseen, but for the sample, which has every other one."""
    drawn = cycle([True, False])
    off.nothing(triage, "_may_be_skipped", True)
    off.nothing(triage, "_may_hold_text", False)
    off.instead(Triage, "draws", lambda original, *arguments: next(drawn))


def shows(*places: tuple[float, ...]) -> Callable[[Outcome], bool]:
    """Whether any of the places can be read in any picture that was written."""
    return lambda outcome: any(is_seen(picture, place) for picture in outcome.pictures for place in places)


@dataclass
class Eye:
    """Finds and reads what stands at a place; in doubt only, or as soon as another place is black, where told."""

    place: tuple[float, ...] = SURE
    text: str = STRANGER
    in_doubt: bool = False
    after: tuple[float, ...] | None = None
    name: str = "eye"
    version: str = "1"

    def find(self, image: np.ndarray) -> list[FoundText]:
        return [] if self.in_doubt else self._seen(image)

    def look(self, image: np.ndarray) -> Looked:
        return Looked([], self._seen(image)) if self.in_doubt else Looked(self.find(image), [])

    def _seen(self, image: np.ndarray) -> list[FoundText]:
        if not is_seen(image, self.place) or (self.after is not None and is_seen(image, self.after)):
            return []
        left, top, width, height, score = (*self.place[:4], 0.9)
        return [FoundText(left, top, width, height, score, len(self.text), self.text, 0.97)]


@dataclass
class Both(Eye):
    """Finds what stands at the first place, and at the second one only when the first is black."""

    def find(self, image: np.ndarray) -> list[FoundText]:
        return [*self._seen(image), *Eye(DOUBTFUL, after=SURE)._seen(image)]


class First(Eye):
    """The first finder of a release."""

    def find(self, image: np.ndarray) -> list[FoundText]:
        return self._seen(image)


class FirstFrameOnly(Eye):
    """Overlooks what stands on every frame but the first, whose corner is the darkest place."""

    def find(self, image: np.ndarray) -> list[FoundText]:
        return self._seen(image) if image[0, 0].min() == image.min() else []


class Second(Eye):
    """The second finder of a release."""

    def find(self, image: np.ndarray) -> list[FoundText]:
        return self._seen(image)


@dataclass
class Line:
    text: str
    confidence: float = 0.97


@dataclass
class Reads:
    """Who verifies: reads what can be seen at each place."""

    texts: dict[tuple[float, ...], str]
    name: str = "reads"
    version: str = "1"

    def read(self, image: np.ndarray) -> list[Line]:
        return [Line(text) for place, text in self.texts.items() if is_seen(image, place)]


READER = Reads({SURE: STRANGER, DOUBTFUL: STRANGER})


def drawn(*places: tuple[float, ...], finder: object = None, text: str = STRANGER, **elements: object) -> Sent:
    reader = Reads(dict.fromkeys(places, text))
    return Sent((stored(instance(1, places, **elements)),), finder=finder or Blind(), reader=reader)


def burned(step: str, sent: Sent, off: Callable[[Off], None], *, stage: str = THUMBNAILS) -> Mutation:
    return Mutation(step, stage, sent, shows(SURE, DOUBTFUL), off)


def blind(owner: type) -> Callable[[Off], None]:
    return lambda off: off.nothing(owner, "find", [])


def beside(step: str, *elements: tuple[int, str, object], off: Callable[[Off], None]) -> Mutation:
    ds = instance(1)
    for tag, vr, value in elements:
        ds[tag] = DataElement(tag, vr, value)
    return Mutation(step, DELIVERED, Sent((stored(ds),), reader=READER), "OKONJO", off)


def pictures_stay(off: Off) -> None:
    off.nothing(hiding_places, "removed_pictures", Counter())


def behind_pixels(step: str, text: str) -> Mutation:
    ds = instance(1)
    ds.PixelData += text.encode()
    sent = Sent((stored(ds),), reader=READER)
    return Mutation(step, DELIVERED, sent, text, lambda off: off.nothing(engine, "_cut_trailing_bytes", None))


def in_stream(step: str, text: str) -> Mutation:
    ds = instance(1)
    stream = imagecodecs.jpeg_encode(ds.pixel_array, level=95)
    comment = b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text.encode()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([stream[:2] + comment + stream[2:]])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    sent = Sent((_encapsulated(ds),), reader=READER)
    unstripped = lambda off: off.instead(codestreams, "bare_jpeg", lambda original, stream: stream)  # noqa: E731
    return Mutation(step, DELIVERED, sent, text, unstripped)


def _encapsulated(ds: pydicom.FileDataset) -> bytes:
    ds.LossyImageCompression = "01"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def with_text_chunk(original: Callable[..., bytes], *arguments: object) -> bytes:
    png = original(*arguments)
    body = b"tEXtAuthor\0Zebulon Quillfeather"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def region(left: int, top: int, right: int, bottom: int) -> Sequence:
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    return Sequence([item])


def icon() -> Sequence:
    item = Dataset()
    item.Rows = item.Columns = 4
    item.add_new(0x7FE00010, "OB", b"BEXLEY OKONJO...")
    return Sequence([item])


LOCALIZER = {"ManufacturerModelName": "LightSpeed VCT", "Modality": "CT", "ImageType": ["ORIGINAL", "LOCAL"]}

CASES = [
    burned("text finder: thumbnails", drawn(SURE, finder=Eye()), blind(Eye)),
    burned(
        "text finder: releases",
        replace(drawn(SURE, finder=First()), second=Second()),
        blind(First),
        stage=DELIVERED,
    ),
    burned("second finder: releases", replace(drawn(SURE), second=Second()), blind(Second), stage=DELIVERED),
    burned("device rules", drawn(SURE, **LOCALIZER), lambda off: off.nothing(survey, "device_boxes", [])),
    burned(
        "ultrasound regions",
        drawn(SURE, SequenceOfUltrasoundRegions=region(0, 24, 159, 95)),
        lambda off: off.nothing(survey, "outside_ultrasound_regions", []),
    ),
    burned(
        "known text: what was read in doubt",
        drawn(DOUBTFUL, finder=Eye(DOUBTFUL, OWN, in_doubt=True), text=OWN),
        lambda off: off.nothing(KnownText, "is_in", False),
    ),
    burned(
        "marks that may stay",
        replace(drawn(SURE, finder=Eye()), profile=KEEPING_MARKS),
        lambda off: off.nothing(KeepPolicy, "keeps", True),
    ),
    burned(
        "second look at what was filled",
        drawn(SURE, DOUBTFUL, finder=Both()),
        lambda off: off.nothing(fill.Fill, "verify", None),
    ),
    burned(
        "one text on all frames",
        Sent((stored(instance(1, (SURE,), frames=3)),), finder=FirstFrameOnly(), reader=READER),
        lambda off: off.nothing(survey.Survey, "put_everywhere", None),
    ),
    burned(
        "filling",
        drawn(SURE, finder=Eye()),
        lambda off: off.instead(fill.redaction, "filled", lambda original, frame, *rest, **named: frame),
    ),
    burned(
        "triage",
        replace(drawn(SURE, finder=Eye()), settings={"pixels": {"triage": True, "audit_share": 0.001}}),
        lambda off: off.nothing(Triage, "looked", "skipped"),
    ),
    burned(
        "triage: with a sample",
        Sent(
            (stored(instance(1, (SURE,))), stored(instance(2, (SURE,)))),
            finder=Eye(),
            reader=READER,
            settings={"pixels": {"triage": True, "audit_share": 0.5}},
        ),
        every_other_is_drawn,
    ),
    beside(
        "overlays",
        (0x60000010, "US", ROWS),
        (0x60000011, "US", COLUMNS),
        (0x60003000, "OW", b"BEXLEY OKONJO".ljust(ROWS * COLUMNS // 8, b"\0")),
        off=pictures_stay,
    ),
    beside("curves", (0x50003000, "OW", b"BEXLEY OKONJO."), off=pictures_stay),
    beside("icons", (0x00880200, "SQ", icon()), off=pictures_stay),
    behind_pixels("bytes behind the last frame: known", "Zebulon Quillfeather"),
    behind_pixels("bytes behind the last frame: of nobody known", "Bexley Okonjo."),
    in_stream("comments in a compressed stream: known", "Zebulon Quillfeather"),
    in_stream("comments in a compressed stream: of nobody known", "Bexley Okonjo."),
    Mutation(
        "texts in a picture's file",
        THUMBNAILS,
        drawn(SURE, finder=Eye()),
        "Quillfeather",
        lambda off: off.instead(rendering, "png", with_text_chunk),
    ),
    Mutation(
        "object keys",
        THUMBNAILS,
        drawn(SURE, finder=Eye()),
        "1.2.3.4.200",
        lambda off: off.instead(thumbnails, "key_part", lambda original, identity, uid, instance, level: uid),
    ),
    Mutation(
        "forms of object keys",
        THUMBNAILS,
        drawn(SURE, finder=Eye()),
        "1.2.3.4.200",
        lambda off: off.instead(boundary, "_key", lambda original, form, key: key),
    ),
]
