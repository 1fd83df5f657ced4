"""A whole DICOM object, cleaned: header, pixels, container, and the search for what is left.

Belongs here: the order in which the engines meet one object.  Used for a release and for a plain folder, so that both
are the very same.  What each engine does is `headers`', `pixels`' and `text`'s business; `verify` looks at the result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from pydicom import Dataset

from gradient_assets.deid import headers, pixels
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
from gradient_assets.deid.verify import residual_in_dataset


@dataclass(frozen=True)
class CleanedInstance:
    """What became of one object: the bytes to deliver, and what was done to them."""

    content: bytes = field(repr=False)
    header: headers.CleanedHeader = field(repr=False)
    pixels: pixels.CleanedPixels = field(repr=False)
    method_codes: tuple[str, ...]


class InstanceCleaner:
    """Cleans objects of one scope under one profile.

    `residual`, a second finder with other weights, looks at every redacted picture again; what it finds is blacked out too,
    and looked at once more.  An object in which it goes on finding text is refused.  Make one cleaner per process.
    """

    def __init__(
        self,
        profile: headers.Profile,
        pseudonymizer: Pseudonymizer,
        finder: pixels.TextFinder,
        residual: pixels.TextFinder | None = None,
        *,
        date_order: Literal["mdy", "dmy", "ymd"] = "mdy",
    ) -> None:
        self.profile = profile
        self._headers = headers.HeaderEngine(
            profile, pseudonymizer, TextEngine(dates=profile.dates, date_order=date_order)
        )
        self._pixels = [pixels.PixelEngine(one) for one in (finder, residual) if one is not None]

    def clean(self, content: bytes, known: KnownIdentifiers | None = None) -> CleanedInstance:
        """The object without its identifiers.

        `known` adds what other objects and reports of the same patient say.  Raises `Refused` when the object can't be
        read, is not admitted, can't be cleaned, or when the search still finds something.
        """
        if not content:
            raise Refused(Reason.EMPTY_OBJECT)
        dataset = headers.read_dataset(content)
        headers.admit(dataset)
        known = headers.identifiers_of(dataset).merge(known or KnownIdentifiers())
        redacted = self._redact(dataset)
        cleaned = self._headers.clean(redacted.dataset, known)
        headers.add_method_codes(cleaned.dataset, redacted.method_codes)
        if hits := residual_in_dataset(cleaned.dataset, known):
            kinds = sorted({hit.kind for hit in hits})
            raise Refused(Reason.RESIDUAL_IDENTIFIER, f"{len(hits)} × {', '.join(kinds)}")
        return CleanedInstance(
            content=headers.write_dataset(cleaned.dataset),
            header=cleaned,
            pixels=redacted,
            method_codes=(*cleaned.method_codes, *redacted.method_codes),
        )

    def _redact(self, dataset: Dataset) -> pixels.CleanedPixels:
        first, *others = [engine.clean for engine in self._pixels]
        redacted = first(dataset)
        for look in others:
            again = look(redacted.dataset)
            redacted = replace(
                again,
                boxes=redacted.boxes + again.boxes,
                touched=redacted.touched or again.touched,
                verdict="redacted" if redacted.boxes else again.verdict,
                method_codes=tuple(dict.fromkeys(redacted.method_codes + again.method_codes)),
                removed=redacted.removed + again.removed,
            )
        return redacted
