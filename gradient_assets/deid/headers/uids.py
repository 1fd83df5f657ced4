"""Which UIDs are somebody's, and what becomes of them.

Belongs here: telling the standard's UIDs, which stay, from those that name an instance, a study or a machine, which are
replaced by keyed ones (`identity.Pseudonymizer.uid`) wherever they stand, in text as well.  PS3.5 9, PS3.6 Annex A.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydicom._uid_dict import UID_dictionary

_STANDARD_ROOT = "1.2.840.10008."
# Coding systems registered with HL7 (SNOMED CT, LOINC, UCUM …): names of vocabularies, not of things.
_VOCABULARY_ROOT = "2.16.840.1.113883.6."
_SHORT_NUMBERS = re.compile(r"(?:0|[1-9]\d{0,4})(?:\.(?:0|[1-9]\d{0,4}))*")
"""What follows a root in UIDs of the standard and of vocabularies.  A number of six digits and more, a leading zero or a
letter is somebody's own making, as `1.2.840.10008.<id of the patient>`."""
_LONGEST_STANDARD = 40
_IN_TEXT = re.compile(r"(?<![\d.])[0-2](?:\.\d+){2,}(?!\d)")  # 2.25 and a number are two dots already
_SHORTEST_IN_TEXT = 18
"""Characters.  Version numbers stay below (`syngo 5.1.2.30.4`), UIDs of instances begin at about 20."""


def is_well_known(uid: str) -> bool:
    """Whether the standard, or a registered vocabulary, has given this UID its meaning."""
    if uid in UID_dictionary:
        return True
    if len(uid) > _LONGEST_STANDARD:
        return False
    roots = (root for root in (_STANDARD_ROOT, _VOCABULARY_ROOT) if uid.startswith(root))
    return any(_SHORT_NUMBERS.fullmatch(uid, len(root)) for root in roots)


def replaced(uid: str, new_uid: Callable[[str], str]) -> str:
    """The UID that stands in the output; well-known ones and blanks stay.  What is no valid UID gets a valid new one."""
    return uid if not uid or is_well_known(uid) else new_uid(uid)


def replaced_in_text(text: str, new_uid: Callable[[str], str]) -> str:
    """The text with every UID in it replaced like `replaced` does."""
    if text.count(".") < 2 or len(text) < _SHORTEST_IN_TEXT:
        return text
    return _IN_TEXT.sub(lambda m: replaced(m[0], new_uid) if len(m[0]) >= _SHORTEST_IN_TEXT else m[0], text)
