"""The de-identification itself: pure functions over data sets, pictures and texts.  No Dagster, no Beam, no cloud.

One screen for a script of one's own; the folder command and the asset graph use the very same names:

    from pathlib import Path
    from gradient_assets.deid import InstanceCleaner, KnownIdentifiers, Profile, Pseudonymizer, RapidTextFinder, Refused
    from gradient_assets.deid import EXPLANATIONS, TextEngine, create_key_file

    pseudonymizer = Pseudonymizer(create_key_file(Path("key")), scope="my study")
    cleaner = InstanceCleaner(Profile.named("safe_harbor"), pseudonymizer, RapidTextFinder())
    try:
        cleaned = cleaner.clean(Path("image.dcm").read_bytes())
        Path("cleaned.dcm").write_bytes(cleaned.content)
    except Refused as refused:
        print(refused.reason, EXPLANATIONS[refused.reason].meaning)

    known = KnownIdentifiers(patient_names=("Doe^Jane",), patient_ids=("4711",))
    person = pseudonymizer.person("4711")
    report = TextEngine(replace="tags").clean("Jane Doe was seen on 3/4/2020.", known, person).text

What can't be cleaned, or can't be proved clean, raises `Refused` with a `Reason`; nothing is ever returned half cleaned.

Reading order: `reasons` and `identifiers` (what everybody shares), `identity` (keys and pseudonyms), `headers`, `pixels`,
`text` (the engines), `verify` (the search for what is left; imports none of its neighbours), `faces` (which pictures may show
one), `instance` (one whole object), `report` (one whole report), `documents` and `page_renderer` (an encapsulated PDF).
Belongs here: what is safe, never which file, partition or batch.  Names below are loaded when first used, since models and
codecs take a second to import; modules inside this package import from each other, never from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradient_assets.deid.headers import CleanedHeader, HeaderEngine, ProfileError
    from gradient_assets.deid.headers import Profile as Profile
    from gradient_assets.deid.identifiers import KnownIdentifiers
    from gradient_assets.deid.identity import (
        KeyFileError,
        Person,
        Pseudonymizer,
        SecretKey,
        create_key_file,
        read_key_file,
    )
    from gradient_assets.deid.instance import CleanedInstance, InstanceCleaner
    from gradient_assets.deid.pixels import (
        Box,
        CleanedPixels,
        PixelEngine,
        RapidTextFinder,
        ResidualTextFinder,
        TextFinder,
    )
    from gradient_assets.deid.reasons import EXPLANATIONS, Reason, Refused
    from gradient_assets.deid.text import CleanedText, Span, TextEngine, read_reports
    from gradient_assets.deid.text import ReportLayout as ReportLayout
    from gradient_assets.deid.verify import IdentifierIndex, residual_in_dataset, residual_in_text

_MODULES = {
    "headers": ("CleanedHeader", "HeaderEngine", "Profile", "ProfileError"),
    "identifiers": ("KnownIdentifiers",),
    "identity": ("KeyFileError", "Person", "Pseudonymizer", "SecretKey", "create_key_file", "read_key_file"),
    "instance": ("CleanedInstance", "InstanceCleaner"),
    "pixels": ("Box", "CleanedPixels", "PixelEngine", "RapidTextFinder", "ResidualTextFinder", "TextFinder"),
    "reasons": ("EXPLANATIONS", "Reason", "Refused"),
    "text": ("CleanedText", "ReportLayout", "Span", "TextEngine", "read_reports"),
    "verify": ("IdentifierIndex", "residual_in_dataset", "residual_in_text"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "EXPLANATIONS",
    "Box",
    "CleanedHeader",
    "CleanedInstance",
    "CleanedPixels",
    "CleanedText",
    "HeaderEngine",
    "IdentifierIndex",
    "InstanceCleaner",
    "KeyFileError",
    "KnownIdentifiers",
    "Person",
    "PixelEngine",
    "Profile",
    "ProfileError",
    "Pseudonymizer",
    "RapidTextFinder",
    "Reason",
    "Refused",
    "ReportLayout",
    "ResidualTextFinder",
    "SecretKey",
    "Span",
    "TextEngine",
    "TextFinder",
    "create_key_file",
    "read_key_file",
    "read_reports",
    "residual_in_dataset",
    "residual_in_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
