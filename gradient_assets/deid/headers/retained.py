"""What a profile keeps although it is among the known identifiers: the names of institutions and devices it retains.

Belongs here: which values those are, and the known identifiers without them, so that neither the text cleaner nor the
search for leftovers takes for a leak what the profile asked for.  The named profiles retain neither.  PS3.15 E.3.8, E.3.11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydicom.dataset import Dataset

from gradient_assets.deid.headers.charsets import DEFAULT
from gradient_assets.deid.headers.elements import MAX_DEPTH, TEXT_VRS, Unparsable, codecs_at, field_at, tags_of
from gradient_assets.deid.headers.profile import Profile
from gradient_assets.deid.headers.rules import Action, Rules
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused

IDENTITY_OPTIONS = frozenset({"retain_device_identity", "retain_institution_identity"})


def retained_values(ds: Dataset, profile: Profile, rules: Rules) -> frozenset[str]:
    """Texts of the instance that name an institution or a device and that the profile keeps."""
    if not IDENTITY_OPTIONS & profile.options:
        return frozenset()
    return frozenset(_retained(ds, rules, DEFAULT, 0))


def _retained(ds: Dataset, rules: Rules, inherited: tuple[str, ...], depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NESTED_TOO_DEEP)
    codecs = codecs_at(ds, inherited)
    for tag in tags_of(ds):
        if tag >> 16 & 1:
            continue
        try:
            field = field_at(ds, tag, {})
        except Unparsable:
            continue
        if field.items is not None:
            for item in field.items:
                yield from _retained(item, rules, codecs, depth + 1)
        elif field.vr in TEXT_VRS and is_retained(tag, field.vr, rules):
            yield from (text for text in field.texts(codecs, lenient=True) if text)


def is_retained(tag: int, vr: str, rules: Rules) -> bool:
    """Whether the profile keeps this element because it names an institution or a device."""
    return rules.option_of.get(tag) in IDENTITY_OPTIONS and rules.action(tag, vr) is Action.KEEP


def without(known: KnownIdentifiers, retained: frozenset[str]) -> KnownIdentifiers:
    """`known` without the institutions and other ids that are retained; a patient's own identifiers always stay in it."""
    if not retained:
        return known
    return replace(
        known,
        institutions=tuple(one for one in known.institutions if one not in retained),
        other_ids=tuple(one for one in known.other_ids if one not in retained),
        addresses=tuple(one for one in known.addresses if one not in retained),
    )
