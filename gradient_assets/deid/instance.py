"""A whole DICOM object, cleaned: header, pixels or document, container, and the search for what is left.

Belongs here: the order in which the engines meet one object.  Used for a release and for a plain folder, so that both
are the very same.  What each engine does is `headers`', `pixels`', `documents`' and `text`'s business; `verify` looks at
the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydicom import Dataset

from gradient_assets.deid import documents, headers, pixels
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.leftovers import black_out_leftovers
from gradient_assets.deid.reasons import Accepted, Reason, Refused
from gradient_assets.deid.text import TextEngine


@dataclass(frozen=True)
class CleanedInstance:
    """What became of one object: the bytes to deliver, and what was done to them."""

    content: bytes = field(repr=False)
    header: headers.CleanedHeader = field(repr=False)
    pixels: pixels.CleanedPixels = field(repr=False)
    method_codes: tuple[str, ...]


ST_CHARACTERS = 1024
"""The longest value of VR ST (PS3.5 6.2)."""


class InstanceCleaner:
    """Cleans objects of one scope under one profile.

    `residual`, a second finder with other weights, looks at every redacted picture again; what it finds is blacked out too,
    and looked at once more.  An object in which it goes on finding text is refused.  `text` cleans descriptions; unless
    given, in English and with tags.  Make one cleaner per process.
    """

    def __init__(
        self,
        profile: headers.Profile,
        pseudonymizer: Pseudonymizer,
        finder: pixels.TextFinder,
        residual: pixels.TextFinder | None = None,
        *,
        text: TextEngine | None = None,
    ) -> None:
        self.profile = profile
        self._text = text or TextEngine(dates=profile.dates)
        self._headers = headers.HeaderEngine(profile, pseudonymizer, self._text)
        self._finders = [one for one in (finder, residual) if one is not None]
        keep = pixels.shipped_policy() if profile.burned_in_text == "keep_marks" else None
        self._pixels = [pixels.PixelEngine(one, keep=keep, second=residual) for one in self._finders]

    def clean(
        self,
        content: bytes,
        known: KnownIdentifiers | None = None,
        *,
        added: Sequence[pixels.Box] = (),
        accepted: Accepted | None = None,
    ) -> CleanedInstance:
        """The object without its identifiers.

        `known` adds what other objects and reports of the same patient say, `added` what a reviewer wants black; `accepted`
        are findings that a person has called false alarms.  Raises
        `Refused` when the object can't be read, is not admitted, can't be cleaned, or when the search still finds something
        that can't be blacked out;
        nothing else, whatever the bytes are.
        """
        try:
            return self._clean(content, known or KnownIdentifiers(), added, accepted)
        except Refused:
            raise
        except RecursionError:
            raise Refused(Reason.NESTED_TOO_DEEP) from None
        except Exception as error:  # fail closed; the text of the error may hold a value
            raise Refused(Reason.INTERNAL_ERROR, type(error).__name__) from None

    def _clean(
        self, content: bytes, known: KnownIdentifiers, added: Sequence[pixels.Box], accepted: Accepted | None
    ) -> CleanedInstance:
        if not content:
            raise Refused(Reason.EMPTY_OBJECT)
        dataset = headers.read_dataset(content)
        is_document = documents.is_asked_for(self.profile, dataset)
        if not is_document:
            headers.admit(dataset, profile=self.profile)
        known = headers.identifiers_of(dataset).merge(known)
        if is_document:
            redacted = documents.cleaned_pages(dataset, known, self._text, self._finders)
        else:
            redacted = self._redact(dataset, known, added, accepted)
        cleaned = self._headers.clean(redacted.dataset, known)
        if is_document:
            documents.describe(cleaned.dataset)
        headers.add_method_codes(cleaned.dataset, redacted.method_codes)
        if redacted.derivation:
            earlier = str(cleaned.dataset.get("DerivationDescription") or "")
            told = "; ".join(one for one in (earlier, redacted.derivation) if one)
            cleaned.dataset.DerivationDescription = told if len(told) <= ST_CHARACTERS else redacted.derivation
        black_out_leftovers(cleaned, known, accepted)
        return CleanedInstance(
            content=headers.write_dataset(cleaned.dataset),
            header=cleaned,
            pixels=redacted,
            method_codes=(*cleaned.method_codes, *redacted.method_codes),
        )

    def _redact(
        self, dataset: Dataset, known: KnownIdentifiers, added: Sequence[pixels.Box], accepted: Accepted | None
    ) -> pixels.CleanedPixels:
        first, *others = [engine.clean for engine in self._pixels]
        redacted = first(dataset, known, added=added, accepted=accepted)
        for look in others:
            again = look(redacted.dataset, known, accepted=accepted)
            redacted = replace(
                again,
                boxes=redacted.boxes + again.boxes,
                touched=redacted.touched or again.touched,
                verdict="redacted" if redacted.boxes else again.verdict,
                method_codes=tuple(dict.fromkeys(redacted.method_codes + again.method_codes)),
                removed=redacted.removed + again.removed,
                derivation=again.derivation or redacted.derivation,
            )
        return redacted
