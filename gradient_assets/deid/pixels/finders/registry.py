"""Finders by name.

Belongs here: the names that settings and options know, and how a finder is made from them.  Everything that can be missing
is missed here, at the start, never at a picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from gradient_assets.deid.pixels.finders.easyocr import EasyOcrTextFinder, expected_files
from gradient_assets.deid.pixels.finders.tesseract import TesseractTextFinder
from gradient_assets.deid.pixels.finding import (
    RapidTextFinder,
    ResidualTextFinder,
    TextFinder,
    TextReader,
    VerifyingTextFinder,
)

LONGEST_DESCRIPTION = 32
"""Characters; two of them and the engines' versions stand in one column of 80."""


@dataclass(frozen=True, slots=True)
class FinderSettings:
    """What an engine is told beside its name.

    `easyocr_models`: folder of its weight files.  `easyocr_languages`, `tesseract_languages`: codes of each engine's own.
    """

    easyocr_models: str = ""
    easyocr_languages: Sequence[str] = ("en",)
    tesseract_languages: Sequence[str] = ("eng",)


FINDERS: dict[str, Callable[[FinderSettings], TextReader]] = {
    "rapid": lambda _: RapidTextFinder(),
    "rapid-v4": lambda _: ResidualTextFinder(),
    "rapid-v3": lambda _: VerifyingTextFinder(),
    "easyocr": lambda settings: EasyOcrTextFinder(settings.easyocr_models, settings.easyocr_languages),
    "tesseract": lambda settings: TesseractTextFinder(settings.tesseract_languages),
}


def finder_named(
    name: str,
    *,
    easyocr_models: str = "",
    easyocr_languages: Sequence[str] = ("en",),
    tesseract_languages: Sequence[str] = ("eng",),
) -> TextReader:
    """The finder of that name (`FINDERS`).

    Raises `ValueError` for another name or for languages it can't read, `MissingWeightsError` for what is not installed.
    """
    if name not in FINDERS:
        raise ValueError(f"no text finder is named {name!r}; expected one of {', '.join(FINDERS)}")
    return FINDERS[name](FinderSettings(easyocr_models, tuple(easyocr_languages), tuple(tesseract_languages)))


def needs_of(name: str, *, easyocr_languages: Sequence[str] = ("en",)) -> str:
    """What must be installed for a finder, in words for people."""
    if name == "easyocr":
        wanted = " and ".join(map(str, expected_files(easyocr_languages)))
        return f"the extra `easyocr`, and {wanted} in the folder GRADIENT_EASYOCR_MODELS"
    return "the program `tesseract`" if name == "tesseract" else "nothing: its models come inside a wheel"


def described(finder: TextFinder) -> str:
    """Name and version, for work tokens: up to 32 small letters, digits, dots and dashes (the form of `engine_version`)."""
    named = f"{finder.name}-{finder.version}" if finder.version else finder.name
    whole = re.sub(r"[^0-9a-z.-]+", "-", named.lower())
    if len(whole) <= LONGEST_DESCRIPTION:
        return whole
    return f"{whole[: LONGEST_DESCRIPTION - 9]}-{sha256(whole.encode()).hexdigest()[:8]}"
