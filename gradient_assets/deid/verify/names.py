"""Names of people: their parts, and the orders in which they are written.

Belongs here: taking a DICOM PN value or a name in free text apart, and putting it together again in each order that
counts as the full name.  How a written name is judged is `judging`'s; single parts are used by `own` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradient_assets.deid.verify.folding import View, fold_accents, spellings
from gradient_assets.deid.verify.vocabulary import is_ordinary, is_placeholder, words

_PARTICLES = words("particles")
_IDEOGRAPHS_FROM = "\u2e80"
"""From here on Unicode holds the scripts that write names without blanks around them."""


@dataclass(frozen=True, slots=True, repr=False)
class PersonName:
    """One name's folded tokens: family name, given name, middle names."""

    family: tuple[str, ...]
    given: tuple[str, ...]
    middle: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Every token of the name."""
        return self.family + self.given + self.middle

    def orders(self) -> Iterator[tuple[str, ...]]:
        """The token sequences that count as the full name: both orders, with and without middle names, with the first of
        several given names, with the whole, the first or the last of a compound family name."""
        families = {self.family, tuple(t for t in self.family if t not in _PARTICLES) or self.family}
        if len(self.family) > 1:
            families |= {self.family[:1], self.family[-1:]}
        givens = {self.given, self.given[:1]}
        initials = tuple(token[:1] for token in self.middle)
        middles = {(), self.middle, initials, self.middle[:1], initials[:1]}
        for family in families:
            for given in givens:
                for middle in middles:
                    yield given + middle + family
                # `family, given middle` begins with `family, given` and needs no form of its own, but for its capitals.
                yield family + given
                if self.middle and needs_name_case(family + given):
                    yield family + given + self.middle


def tokens(text: str) -> tuple[str, ...]:
    """Folded words of a text."""
    return tuple(View(fold_accents(text)).blank.split())


def people(value: str) -> Iterator[PersonName]:
    """The names in one PN value or free-text name, once for each component group and spelling."""
    for group in value.split("="):
        for spelling in spellings(group):
            name = _taken_apart(spelling)
            if name is not None and not all(is_placeholder(part) for part in name.parts):
                yield name


def _taken_apart(text: str) -> PersonName | None:
    components = [tokens(component) for component in text.split("^")]
    if len(components) > 1 and components[0] and components[1]:
        return PersonName(components[0], components[1], components[2] if len(components) > 2 else ())
    if "," in text and "^" not in text:
        family, _, rest = text.partition(",")
        before, after = _untitled(tokens(family)), _untitled(tokens(rest))
        if before and after:
            return PersonName(before, after[:1], after[1:])
    found = _untitled(tokens(text))
    if not found:
        return None
    if len(found) == 1:
        return PersonName(found, ())
    if found[-2] in _PARTICLES and len(found) > 2:
        first = next(place for place, token in enumerate(found) if place and token in _PARTICLES)
        return PersonName(found[first:], found[:1], found[1:first])
    return PersonName(found[-1:], found[:1], found[1:-1])


def _untitled(found: tuple[str, ...]) -> tuple[str, ...]:
    start, end = 0, len(found)
    while start < end and found[start] in words("titles"):
        start += 1
    while end > start and found[end - 1] in words("titles"):
        end -= 1
    return found[start:end]


def is_ideographic(text: str) -> bool:
    """Whether the text holds letters of a script that is written without blanks between words."""
    return any(letter >= _IDEOGRAPHS_FROM for letter in text)


def is_full(sequence: tuple[str, ...]) -> bool:
    """Whether the tokens make a full name: two parts of two letters or more that are not both placeholders."""
    if is_ideographic("".join(sequence)):
        return sum(map(len, sequence)) >= 3
    long_parts = [token for token in sequence if len(token) >= 2 and not token.isdigit()]
    if any(is_placeholder(token) for token in long_parts) and all(is_ordinary(token) for token in long_parts):
        return False  # `TEST^Overlay`, `Test^Pattern`: the name of a test, and words of its description
    return len(long_parts) >= 2 and not all(is_placeholder(token) for token in long_parts)


def needs_name_case(sequence: tuple[str, ...]) -> bool:
    """Whether the tokens are so ordinary or short that they count only when they are written like a name."""
    return all(is_ordinary(t) for t in sequence if len(t) >= 2) or sum(map(len, sequence)) < 6
