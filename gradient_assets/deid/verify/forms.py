"""From known identifiers to the forms in which they are looked for.

Belongs here: which values are strong enough to be searched over a whole hospital, and in which spellings.  Each `Form`
is a string of letters and digits without separators; where separators may stand in it, and what else must hold, is
carried along and judged by `judging`; UIDs are looked up by `uids`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify.folding import fold, glue, spellings
from gradient_assets.deid.verify.names import is_full, is_ideographic, needs_name_case, people, tokens
from gradient_assets.deid.verify.uids import is_uid, searched_uid
from gradient_assets.deid.verify.vocabulary import is_degenerate, is_ordinary, table

MIN_ID = 5
"""Characters an id must have to be looked for in other patients' output."""
MIN_CORE = 7
"""Digits that must be left of an id without its letters or leading zeros to be looked for by themselves."""
MIN_INSTITUTION = 12
"""Letters and digits an institution's name must have; a shorter one may be part of a hospital's registry id."""
_LOCAL_PHONE = 7
_NATIONAL_PHONE = 10

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True, slots=True, repr=False)
class Form:
    """One way of writing one identifier.

    `glued` is what is searched; `cuts` are the places in it where a separator is natural; `spelled` is the folded value
    where it must stand literally; `strict` asks for a name's capitals.
    """

    glued: str
    kind: str
    rule: str
    judge: str
    cuts: frozenset[int] = frozenset()
    spelled: str = ""
    strict: bool = False


def forms_of(known: KnownIdentifiers) -> Iterator[Form]:
    """Every strong form of one patient's identifiers; degenerate values give none."""
    for kind, values in (("name", known.patient_names), ("relative", known.relatives), ("physician", known.physicians)):
        for value in values:
            yield from name_forms(value, kind)
    for kind, values in (("id", known.patient_ids), ("accession", known.accession_numbers), ("id", known.other_ids)):
        for value in values:
            yield from any_id_forms(value, kind)
    for value in known.phones:
        yield from phone_forms(value) if "@" not in value else email_forms(value)
    for value in known.addresses:
        yield from address_forms(value)
    for value in known.institutions:
        yield from institution_forms(value)


def any_id_forms(value: str, kind: str) -> Iterator[Form]:
    """An id of unknown make: a UID, an e-mail address, or a number."""
    if is_uid(value):
        if uid := searched_uid(value):
            yield Form(glue(uid), "uid", "uid", "uid", spelled=uid)
    elif "@" in value:
        yield from email_forms(value)
    else:
        yield from id_forms(value, kind)


def name_forms(value: str, kind: str = "name") -> Iterator[Form]:
    """The full name in each order.  A lone part, or a part with one initial, is no full name."""
    seen: set[tuple[str, ...]] = set()
    for name in people(value):
        for sequence in name.orders():
            if sequence in seen or not is_full(sequence):
                continue
            seen.add(sequence)
            judge = "unspaced" if is_ideographic("".join(sequence)) else "name"
            yield _joined(sequence, kind, "full_name", judge, strict=needs_name_case(sequence))


def id_forms(value: str, kind: str = "id") -> Iterator[Form]:
    """An id as a whole token, and its digits alone where enough of them are left."""
    glued = glue(value)
    if len(glued) < MIN_ID or is_degenerate(fold(value)) or not any(sign.isdigit() for sign in glued):
        return
    yield _joined(tokens(value), kind, "whole_id", "id")
    digits = re.findall(r"\d+", glued)
    core = max(digits, key=len).lstrip("0")
    if core != glued and len(core) >= MIN_CORE and len(set(core)) > 1:
        yield Form(core, kind, "id_core", "id")


def phone_forms(value: str) -> Iterator[Form]:
    """A phone number's digits, with and without the country code."""
    digits = re.sub(r"\D", "", re.split(r"(?i)\s*(?:ext|x|#)\.?\s*\d+$", fold(value))[0])
    if not _LOCAL_PHONE <= len(digits) <= 15 or len(set(digits)) == 1:
        return
    written = {digits}
    if len(digits) == _NATIONAL_PHONE:
        written.add("1" + digits)
    if len(digits) > _NATIONAL_PHONE:
        written |= {digits[-_NATIONAL_PHONE:], "0" + digits[2:]}
    for number in written:
        yield Form(number, "phone", "phone", "local_phone" if len(number) == _LOCAL_PHONE else "phone")


def email_forms(value: str) -> Iterator[Form]:
    """E-mail addresses within a value."""
    for match in _EMAIL.finditer(fold(value)):
        yield Form(glue(match[0]), "email", "email", "literal", spelled=match[0])


def address_forms(value: str) -> Iterator[Form]:
    """The whole address and its street line, street words long and short.

    A town, state or ZIP code by itself is no strong form: a whole hospital shares it.
    """
    lines = [line for line in re.split(r"[,;^\r\n]+|\\", value) if line.strip()]
    for text in dict.fromkeys([value, *lines[:2]]):
        for spelling in spellings(text):
            sequence = tokens(spelling)
            letters = [token for token in sequence if token.isalpha() and len(token) > 1]
            if not letters or not any(token[0].isdigit() for token in sequence) or sum(map(len, sequence)) < 8:
                continue
            # `FL 50213`: a state and a ZIP code are no address.
            long_number = any(token.isdigit() and len(token) >= 5 for token in sequence)
            if long_number and len(sequence) < 3 and len(lines) > 1:
                continue
            for variant in _street_variants(sequence):
                yield _joined(variant, "address", "address", "words")


def town_forms(value: str) -> Iterator[Form]:
    """Town, state and ZIP code of an address: for the patient's own record, where no neighbour shares them."""
    for line in (value, *re.split(r"[;^\r\n]+|\\", value)):
        for cut in (match.end() for match in re.finditer(r",", line)):
            sequence = tokens(line[cut:])
            if len(sequence) >= 2 and sequence[-1].isdigit() and len(sequence[-1]) >= 4:
                yield _joined(sequence, "address", "town", "words")


def town_names(value: str) -> Iterator[tuple[str, ...]]:
    """The town of an address, none of whose words is an ordinary one."""
    for number, part in enumerate(re.split(r"[,;^\r\n]+|\\", value)):
        sequence = tuple(token for token in tokens(part) if token.isalpha())
        while sequence and len(sequence[-1]) == 2:  # the state
            sequence = sequence[:-1]
        if number and sequence and not any(is_ordinary(token) or is_street_word(token) for token in sequence):
            yield sequence


def is_street_word(token: str) -> bool:
    """Whether a token is a word for a street or a part of a house."""
    return token in table("streets") or any(token in short for short in table("streets").values())


def institution_forms(value: str) -> Iterator[Form]:
    """The institution's full name, if it is long and not made of ordinary words alone."""
    for spelling in spellings(value):
        sequence = tokens(spelling)
        special = [token for token in sequence if len(token) >= 3 and not is_ordinary(token)]
        if len(sequence) >= 2 and special and sum(map(len, sequence)) >= MIN_INSTITUTION:
            yield _joined(sequence, "institution", "institution", "words")


def _street_variants(sequence: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    short = {full: spellings_[0] for full, spellings_ in table("streets").items()}
    long = {spelling: full for full, spellings_ in table("streets").items() for spelling in spellings_}
    # The first word is the number or the street's own name: `St. James Street` keeps its saint.
    shortened = tuple(short.get(token, token) if place > 1 else token for place, token in enumerate(sequence))
    lengthened = tuple(long.get(token, token) if place > 1 else token for place, token in enumerate(sequence))
    return dict.fromkeys((sequence, shortened, lengthened))


def _joined(sequence: tuple[str, ...], kind: str, rule: str, judge: str, *, strict: bool = False) -> Form:
    cuts, place = set(), 0
    for token, _ in pairwise(sequence):
        place += len(token)
        cuts.add(place)
    return Form("".join(sequence), kind, rule, judge, frozenset(cuts), strict=strict)
