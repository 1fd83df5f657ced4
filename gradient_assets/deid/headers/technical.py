"""Texts that speak of a device or a technique, and are no prose: when such a text may stay as it is.

Belongs here: which elements hold such texts (`tables/technical_text.json`), and the judgement of one text.  The text cleaner
reads prose about people; to it `3.1.62` is a date and `815-11016-03` a record number.  Its word counts here only where it
finds a person or a place; what is known of the patient always counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradient_assets.deid.headers._tables import table
from gradient_assets.deid.headers.uids import replaced_in_text
from gradient_assets.deid.identifiers import KnownIdentifiers

TECHNICAL_TAGS = frozenset(int(tag, 16) for tag, _ in table("technical_text")["rows"])
_FORGIVEN = frozenset({"DATE", "ID", "URL"})
"""Kinds that versions, part numbers and kernels are taken for."""
_ADDRESS = re.compile(r"@|://|www\.", re.IGNORECASE)
_SERIAL = re.compile(r"\b(?:s/?n|serial)\b", re.IGNORECASE)
_WORDS = re.compile(r"[^\W_]+")
_SHORTEST_WORD = 3
_SHORTEST_NUMBER = 4


def is_technical(tag: int) -> bool:
    """Whether the element holds a technical text."""
    return tag in TECHNICAL_TAGS


def may_stay(text: str, found: Iterable[str], known: KnownIdentifiers) -> bool:
    """Whether a technical text stays although the text cleaner found something of the kinds `found` in it."""
    if (
        _ADDRESS.search(text)
        or _SERIAL.search(text)
        or replaced_in_text(text, lambda _: "") != text
        or names_known(text, known)
    ):
        return False
    kinds = set(found) - _FORGIVEN
    return not kinds or (kinds <= {"NAME", "INSTITUTION"} and _names_a_maker(text))


def names_known(text: str, known: KnownIdentifiers) -> bool:
    """Whether a text holds anything that is known of the patient: a word of a name, or an id, date or place as a whole."""
    folded = text.casefold()
    words = set(_WORDS.findall(folded))
    names = (*known.patient_names, *known.relatives, *known.physicians)
    if any(len(word) >= _SHORTEST_WORD and word in words for name in names for word in _WORDS.findall(name.casefold())):
        return True
    numbers = (*known.patient_ids, *known.accession_numbers, *known.other_ids, *known.phones)
    if any(one.casefold() in folded for one in numbers if len(one) >= _SHORTEST_NUMBER or one.casefold() == folded):
        return True
    digits = re.sub(r"\D", "", text)
    return any(one in digits for one in (*known.birth_dates, *known.study_dates) if one) or any(
        one.casefold() in folded for one in (*known.institutions, *known.addresses) if len(one) >= _SHORTEST_WORD
    )


def _names_a_maker(text: str) -> bool:
    return any(text.casefold().startswith(maker.casefold()) for maker in table("technical_text")["makers"])
