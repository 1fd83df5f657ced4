"""One object's pixels: look at every frame, black out what is text, look again, give back a new object.

Belongs here: the order of the steps and what counts as done.  Each step has a module of its own: `decoding`, `survey` (what
is where), `fill`, `encoding`, `hiding_places`.  Header elements other than those that describe the pixels are the header
engine's business.

Nothing comes out of a step that failed: every exception becomes `Refused`.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pydicom import Dataset
from pydicom.dataelem import DataElement

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.pixels import encoding, hiding_places, redaction, rendering
from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.declared_regions import declares_text
from gradient_assets.deid.pixels.decoding import LOSSLESS, FrameSource, decode_frames, native_length
from gradient_assets.deid.pixels.fill import Fill
from gradient_assets.deid.pixels.finding import TextFinder
from gradient_assets.deid.pixels.geometry import pixel_keyword
from gradient_assets.deid.pixels.keep import KeepPolicy
from gradient_assets.deid.pixels.known_text import KnownText
from gradient_assets.deid.pixels.rendering import Look, Picture
from gradient_assets.deid.pixels.survey import Survey
from gradient_assets.deid.pixels.triage import Looked, Triage
from gradient_assets.deid.reasons import Accepted, Reason, Refused, unless_accepted

ENGINE_VERSION = "6"

CLEAN_PIXEL_DATA = "113101"
CLEAN_GRAPHICS = "113103"

_EXTREMES = ("SmallestImagePixelValue", "LargestImagePixelValue")
_EXTREMES_IN_SERIES = ("SmallestPixelValueInSeries", "LargestPixelValueInSeries")

THUMBNAIL_PX = 256
STRIP_PX, STRIP_FRAMES, STRIP_FRAME_MS = 128, 12, 150
"""A strip of twelve frames of 128 pixels has 50 to 200 kB; a cine of 200 frames of 256 pixels would have 8 MB."""

Verdict = Literal["no_pixels", "clean", "redacted"]


@dataclass(frozen=True, slots=True)
class CleanedPixels:
    """The outcome for one object; `touched`: stored pixel bytes changed; `boxes` of all frames, never the words.

    `derivation`: how the stored frames came to be, for Derivation Description (0008,2111); blank if they are the original's.
    `kept`: texts that stay because the policy lets them.
    """

    dataset: Dataset
    boxes: tuple[Box, ...]
    frames: int
    touched: bool
    verdict: Verdict
    method_codes: tuple[str, ...]
    removed: Counter[str] = field(default_factory=Counter)
    derivation: str = ""
    kept: int = 0
    looked: Looked = "all"
    _middle: Picture | None = field(default=None, repr=False)
    _strip: tuple[Picture, ...] = field(default=(), repr=False)

    def thumbnail(self, longest_side: int = THUMBNAIL_PX) -> bytes | None:
        """PNG of the redacted middle frame, without text chunks; None without pixels."""
        return None if self._middle is None else rendering.png([rendering.shrunk(self._middle, longest_side)])

    def strip(self) -> bytes | None:
        """Animated PNG of redacted frames, spread evenly over a cine; None for a single frame."""
        return rendering.png(self._strip, STRIP_FRAME_MS) if self._strip else None


class PixelEngine:
    """Removes burned-in text with the finder given. Picklable if the finders are.

    `keep`: text that may stay (none unless given).  `second`: asked where the header says that text is burned in and
    `finder` found none.  `triage`: lets objects go unseen; every object is looked at unless given.
    """

    def __init__(
        self,
        finder: TextFinder,
        *,
        keep: KeepPolicy | None = None,
        second: TextFinder | None = None,
        triage: Triage | None = None,
    ) -> None:
        self.finder, self.keep, self.second, self.triage = finder, keep, second, triage

    def clean(
        self,
        ds: Dataset,
        known: KnownIdentifiers | None = None,
        *,
        added: Sequence[Box] = (),
        audited: bool = False,
        accepted: Accepted | None = None,
    ) -> CleanedPixels:
        """A new dataset without burned-in text, overlays and icons; `ds` stays as it is.

        `known`: what is read and names the patient goes with its whole line, whatever the detector thought of it.
        `added`: boxes that a reviewer wants black.  `audited`: the object belongs to the audit sample and is looked at even
        where triage sees no need.  `accepted`: findings that a person has called false alarms.

        Raises Refused: PIXEL_GEOMETRY, PIXELS_TOO_LARGE, UNDECODABLE_PIXELS, PIXEL_ENGINE_FAILED, REDACTION_FAILED,
        RESIDUAL_TEXT_IN_PIXELS, DECLARED_TEXT_NOT_FOUND, TRIAGE_MISSED_TEXT.
        """
        try:
            return self._clean(ds, known or KnownIdentifiers(), added, audited=audited, accepted=accepted)
        except Refused:
            raise
        except Exception as error:  # fail closed; messages of foreign errors may quote values, so the type must do
            raise Refused(Reason.PIXEL_ENGINE_FAILED, type(error).__name__) from None

    def _clean(
        self,
        ds: Dataset,
        known: KnownIdentifiers,
        added: Sequence[Box],
        *,
        audited: bool,
        accepted: Accepted | None,
    ) -> CleanedPixels:
        result = copy.deepcopy(ds)
        embedded = hiding_places.has_embedded_overlay(result)
        removed = hiding_places.removed_pictures(result)
        codes = [CLEAN_GRAPHICS] if removed["overlay"] or removed["curve"] else []
        if pixel_keyword(ds) is None:
            return CleanedPixels(result, (), 0, False, "no_pixels", tuple(codes), removed)
        source = decode_frames(ds)
        look = Look(source.shape, source.photometric, ds)
        survey = Survey(
            self.finder,
            source,
            look,
            clear_hidden=embedded and source.transfer_syntax in LOSSLESS,
            known=KnownText(known),
            keep=self.keep,
            second=self.second,
            added=added,
        )
        looked = "all" if added else self._looked(ds, source, look, drawn=audited)
        fill, derivation = Fill(survey, ds), ""
        with _named_if_missed(looked, survey):
            if looked == "skipped":
                survey.pass_over()
            else:
                for index, frame in enumerate(source):
                    survey.add(index, frame)
                survey.finish()
            if declares_text(ds) and not survey.has_boxes:
                unless_accepted(Refused(Reason.DECLARED_TEXT_NOT_FOUND), accepted)
            if survey.has_boxes or survey.clear_hidden:
                fill.verify(accepted)
                derivation = fill.store(result)
            elif source.stripped:
                encoding.store_streams(result, source.streams)
            else:
                _cut_trailing_bytes(result, source)
        if looked != "skipped":  # what nobody looked at is not said to be free of text
            _describe(result, source, fill)
        count = min(STRIP_FRAMES, len(source))
        shown = [index * len(source) // count for index in range(count)] if len(source) > 1 else []
        boxes = tuple(sorted(survey.all_boxes, key=lambda b: (b.frame, b.top, b.left)))
        if boxes:
            codes.insert(0, CLEAN_PIXEL_DATA)
        keyword = source.shape.keyword
        return CleanedPixels(
            dataset=result,
            boxes=boxes,
            frames=len(source),
            touched=result[keyword].value != ds[keyword].value,
            verdict="redacted" if boxes else "clean",
            method_codes=tuple(codes),
            removed=removed,
            derivation=derivation,
            kept=survey.kept,
            looked=looked,
            _middle=look.thumbnail(fill.frame(len(source) // 2), len(source) // 2),
            _strip=tuple(rendering.shrunk(look.thumbnail(fill.frame(index), index), STRIP_PX) for index in shown),
        )

    def _looked(self, ds: Dataset, source: FrameSource, look: Look, *, drawn: bool) -> Looked:
        """Whether the finder sees the object at all; bits that no viewer shows are looked at wherever they are set."""
        if self.triage is None:
            return "all"
        seen = self.triage.looked(
            ds,
            lambda: (picture for index, frame in enumerate(source) for picture in look.pictures(frame, index)),
            drawn=drawn,
        )
        hidden = seen != "all" and any(rendering.hidden_planes(frame, source.shape) for frame in source)
        return "all" if hidden else seen


@contextmanager
def _named_if_missed(looked: Looked, survey: Survey) -> Iterator[None]:
    """Give a failure over text in an object of the audit sample its own reason.

    What is refused has no verdict: the reason says in its place that triage would have overlooked text.
    """
    try:
        yield
    except Exception as error:
        read = isinstance(error, Refused) and error.reason is Reason.REDACTION_FAILED
        if looked != "audited" or not (read or survey.has_boxes):
            raise
        why = str(error) if isinstance(error, Refused) else type(error).__name__
        raise Refused(Reason.TRIAGE_MISSED_TEXT, why) from None


def _describe(ds: Dataset, source: FrameSource, fill: Fill) -> None:
    """The attributes that say what the pixels are now."""
    ds.BurnedInAnnotation = "NO"
    if not fill.survey.has_boxes:
        return
    held = [keyword for keyword in (*_EXTREMES, *_EXTREMES_IN_SERIES) if ds.pop(keyword, None) is not None]
    # the text's own value was the largest of many an image; what the other images of the series hold, nobody knows here
    if source.shape.samples != 1 or source.shape.is_float or not set(held) & set(_EXTREMES):
        return
    seen = redaction.ValueRange()
    for index in range(len(source)):
        seen.add(fill.frame(index), source.shape)
    for keyword, value in zip(_EXTREMES, (seen.low, seen.high), strict=True):
        if keyword in held:
            _set_extreme(ds, keyword, value, signed=source.shape.signed)


def _set_extreme(ds: Dataset, keyword: str, value: float | int | None, *, signed: bool) -> None:
    """Set it where its 16 bits hold the value; of deeper pixels it stays away."""
    low, high = (-(1 << 15), (1 << 15) - 1) if signed else (0, (1 << 16) - 1)
    if value is not None and low <= value <= high:
        ds[keyword] = DataElement(keyword, "SS" if signed else "US", int(value))


def _cut_trailing_bytes(ds: Dataset, source: FrameSource) -> None:
    """Nothing may follow the last native frame but a byte of padding."""
    keyword = source.shape.keyword
    if source.streams:
        return
    length = native_length(source.shape)
    padded = length + length % 2
    if len(ds[keyword].value) > padded:
        ds[keyword] = DataElement(keyword, ds[keyword].VR, bytes(ds[keyword].value[:padded]))
