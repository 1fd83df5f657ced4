"""Pixels: text that is burned into pictures is found and blacked out, and what can't be looked at is refused.

Belongs here: everything between a dataset's pixel attributes and its cleaned pixel element, and the thumbnail made from
that.  Not here: the rest of the header (`headers`), where objects come from and go to (`pipelines`), what a release
checks afterwards (`verify`, with a finder from here whose weights cleaned nothing).

In reading order: `geometry` (what the header claims) → `codestreams` (what compressed frames claim, and metadata in
them) → `decoding` → `windows`, `lost_contrast`, `rendering` (pictures to look at) → `networks`, `gate`, `letter_rows`,
`bar_codes`, `line_ends`, `finding` (where is text) → `declared_regions`, `device_rules` (where it is said to be),
`triage` (who is looked at at all) → `known_text`, `keep`, `lines` (what a line that was read means) → `boxes`,
`changed_parts`, `survey`, `redaction`, `fill` → `jpeg_blocks`, `encoding` → `hiding_places` (overlays, icons) →
`engine` (the order of it all).
`finders`: other engines to choose.
"""

from gradient_assets.deid.pixels.boxes import Box, FoundText
from gradient_assets.deid.pixels.decoding import FrameSource, decode_frames
from gradient_assets.deid.pixels.engine import ENGINE_VERSION, CleanedPixels, PixelEngine
from gradient_assets.deid.pixels.finding import (
    RapidTextFinder,
    ReadText,
    ResidualTextFinder,
    TextFinder,
    TextReader,
    VerifyingTextFinder,
)
from gradient_assets.deid.pixels.keep import KeepPolicy, shipped_policy
from gradient_assets.deid.pixels.networks import MissingWeightsError
from gradient_assets.deid.pixels.triage import Looked, Triage

__all__ = [
    "ENGINE_VERSION",
    "Box",
    "CleanedPixels",
    "FoundText",
    "FrameSource",
    "KeepPolicy",
    "Looked",
    "MissingWeightsError",
    "PixelEngine",
    "RapidTextFinder",
    "ReadText",
    "ResidualTextFinder",
    "TextFinder",
    "TextReader",
    "Triage",
    "VerifyingTextFinder",
    "decode_frames",
    "shipped_policy",
]
