"""What a profile does to a tag at its place: Table E.1-1 with its options, the private table, and what neither lists.

Belongs here: from table rows, options and Types to one `Action` for each tag and VR.  The tables are files in `tables/`,
each with its edition and source; which Type an attribute has is `iod_types`' business, carrying an action out that of
`engine`.  PS3.15 E.1, E.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from gradient_assets.deid.headers._tables import table
from gradient_assets.deid.headers.elements import ARRAY_VRS, WORD_BYTES, dictionary_vrs
from gradient_assets.deid.headers.iod_types import Place, Type, top_level
from gradient_assets.deid.headers.profile import Profile

__all__ = ["OVERLAY_DATA", "Action", "Rules", "table"]


class Action(StrEnum):
    """What happens to an element; counted by name in the audit."""

    KEEP = "keep"  # value checked against its VR, then written
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    CLEAN = "clean"  # text through the text cleaner, sequences item by item
    UID = "uid"
    DATE = "date"
    PATIENT_NAME = "patient_name"
    PATIENT_ID = "patient_id"
    ACCESSION = "accession"
    BIRTH_DATE = "birth_date"
    UNLISTED = "unlisted"  # default deny
    PRIVATE = "private"  # a private element that is not known to be safe


_LETTERS = {"X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID}
_PSEUDONYMS = {
    0x00100010: Action.PATIENT_NAME,
    0x00100020: Action.PATIENT_ID,
    0x00080050: Action.ACCESSION,
    0x00100030: Action.BIRTH_DATE,
}
_BY_VR: Mapping[str, Action] = (
    dict.fromkeys(("AS", "CS", "DS", "IS", "SQ", *WORD_BYTES, *ARRAY_VRS), Action.KEEP)
    | dict.fromkeys(("LO", "SH", "UC", "LT", "ST", "UT"), Action.CLEAN)
    | dict.fromkeys(("DA", "DT", "TM"), Action.DATE)
    | {"UI": Action.UID, "PN": Action.DUMMY, "AE": Action.REMOVE, "UR": Action.REMOVE}
)
"""For tags of the dictionary that no table lists.  OB and UN can hold anything and are not in it."""
_KNOWN_BLOBS = frozenset(
    {0x00282000, 0x54000110, 0x54000112, 0x5400100A, 0x54001010, 0x7FE00010, 0x7FE00008, 0x7FE00009, 0x00701808}
)
"""OB elements that are images, waveforms, colour or lookup tables."""
OVERLAY_DATA = 0x60003000
_TIMEZONE = 0x00080201
_RETAINING = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full",
)
_CLEANING = ("clean_descriptors", "clean_structured_content", "clean_graphics")
_MOST_REMEMBERED = 50_000
"""Pairs of tag and VR for which an answer is kept; a file can make up four billion tags."""


class Rules:
    """One profile's answers at one place of one kind of object.

    A new one stands at a place that nothing is known of, where compound codes mean the most demanding of their letters;
    `of_class` leads to the top level of a SOP Class, `inside` into a sequence.  Answers are remembered.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._book = _Book(profile)
        self.option_of: Mapping[int, str] = self._book.option_of
        self._place: Place | None = None
        self._above: Mapping[int, Rules] = {}
        self._unknown = self
        self._classes: dict[str, Rules] = {}
        self._inside: dict[int, Rules] = {}
        self._found: dict[tuple[int, str], Action] = {}

    def _at(self, place: Place, above: Mapping[int, Rules]) -> Rules:
        one = object.__new__(Rules)
        one.__dict__.update(self.__dict__)
        one._place, one._above = place, above
        one._inside, one._found = {}, {}
        return one

    def of_class(self, sop_class_uid: str) -> Rules:
        """The rules at the top level of objects of this SOP Class."""
        found = self._classes.get(sop_class_uid)
        if found is None:
            place = top_level(sop_class_uid)
            if place is None:
                return self._unknown
            found = self._classes[sop_class_uid] = self._unknown._at(place, {})
        return found

    def inside(self, tag: int) -> Rules:
        """The rules for the items of a sequence at this place.

        A sequence inside a sequence of its own tag (the content tree of a report) has the rules of the outer one, because
        PS3.3 defines such trees by recursion; a sequence that the IOD does not have leads to an unknown place.
        """
        if self._place is None:
            return self
        found = self._inside.get(tag)
        if found is None:
            place = self._place.sequences.get(tag)
            if place is None:
                return self._above.get(tag, self._unknown)
            found = self._inside[tag] = self._at(place, self._above)
            found._above = {**self._above, tag: found}
        return found

    def action(self, tag: int, vr: str) -> Action:
        """What happens to a standard element of this tag and VR."""
        found = self._found.get((tag, vr))
        if found is None:
            if len(self._found) > _MOST_REMEMBERED:
                self._found.clear()
            found = self._found[tag, vr] = self._decided(tag, vr)
        return found

    def _decided(self, tag: int, vr: str) -> Action:
        decided = self._book.code(tag, vr)
        if not isinstance(decided, Action):
            return _letter(decided, self._type_of(tag))
        if self._place is not None and decided in (Action.REMOVE, Action.EMPTY):
            return _no_less_than(decided, self._place.type_of(tag))
        return decided

    def by_type(self, tag: int, vr: str) -> tuple[Action, Action, Action]:
        """What happens to the element where it is Type 3, Type 2 and Type 1: for the documentation."""
        decided = self._book.code(tag, vr)
        if isinstance(decided, Action):
            raising = decided in (Action.REMOVE, Action.EMPTY)
            return (decided, _no_less_than(decided, "2"), _no_less_than(decided, "1")) if raising else (decided,) * 3
        return _letter(decided, "3"), _letter(decided, "2"), _letter(decided, "1")

    def when_it_fails(self, tag: int) -> Action:
        """What happens to an element whose value can't be kept as its action asks: a dummy for Type 1, no value for Type 2,
        nothing for Type 3.  Where the Type is not known: the basic profile's code, or a dummy for a tag without one."""
        if self._place is None:
            return self._book.failing.get(tag, Action.DUMMY)
        return {"1": Action.DUMMY, "2": Action.EMPTY}.get(self._place.type_of(tag)[0], Action.REMOVE)

    def _type_of(self, tag: int) -> Type:
        return "1" if self._place is None else self._place.type_of(tag)

    def safe_vr(self, tag: int, creator: str | None) -> str | None:
        """The VR of a private element known to be safe, else None.  PS3.15 E.3.10."""
        return self._book.safe_vr(tag, creator)


def _letter(code: str, type_: Type) -> Action:
    """A compound code's letter.  PS3.15 E.1: X unless Z (Type 2) or D (Type 1) keeps the object conformant.

    Conditional Types count as unconditional, because their conditions are prose.  A reference (U*) is never dropped: with
    the new UID of its target it identifies nobody, and without it a copy's images no longer know of each other.
    """
    letters = code.split("/")
    if "U*" in letters:
        return Action.UID
    if type_ == "3":
        return _LETTERS[letters[0]]
    if type_.startswith("2"):
        return _LETTERS["Z" if "Z" in letters else letters[-1]]
    return Action.DUMMY  # X/Z has no letter for Type 1, where neither may stand


def _no_less_than(action: Action, type_: Type) -> Action:
    """Table E.1-1 says X or Z for a few attributes that are Type 1 somewhere; the object has to stay valid all the same.
    Conditional Types do not count here: the condition (a procedure was scheduled) goes with what is removed."""
    if type_ == "1":
        return Action.DUMMY
    return Action.EMPTY if type_ == "2" else action


class _Book:
    """One profile, resolved as far as it can be without knowing the place."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._listed: dict[int, Action | str] = {}
        self._masked: dict[str, Action | str] = {}
        self.failing: dict[int, Action] = {}
        self.option_of: dict[int, str] = {}
        for tag, _name, basic, options in table("ps3.15_table_e.1-1")["rows"]:
            if tag == "private":
                continue
            if "X" in tag[2:]:
                self._masked[tag] = self._resolved(0, basic, options)
                continue
            number = int(tag, 16)
            self._listed[number] = self._resolved(number, basic, options)
            letter = _letter(basic, "1") if "/" in basic else _LETTERS[basic]
            self.failing[number] = Action.DUMMY if letter is Action.UID else letter
        for tag, code, _why in table("beyond_the_table")["rows"]:
            self._listed[int(tag, 16)] = _LETTERS[code]
        self._listed.update(_PSEUDONYMS)
        self._safe = _safe_private() if "retain_safe_private" in profile.options else {}

    def _resolved(self, tag: int, basic: str, options: Mapping[str, str]) -> Action | str:
        """An action, or a compound code, which the place will decide.

        Dates come first: a calibration's true date beside shifted ones would give the shift away, so moved or cut dates
        win over Retain Device Identity.  Then what is retained, then what is cleaned.
        """
        asked = self._profile.options
        if "retain_longitudinal_modified" in options and self._profile.dates != "keep":
            if not self._profile.removes_dates and _is_date(tag):
                self.option_of[tag] = "retain_longitudinal_modified"
                return Action.DATE
            if self._profile.dates == "shift" and tag == _TIMEZONE:  # says nothing that a shift would change
                return Action.KEEP
        for option in _RETAINING:
            if option in asked and option in options:
                self.option_of[tag] = option
                return Action.KEEP if options[option] == "K" else Action.CLEAN
        for option in _CLEANING:
            if option in asked and option in options:
                self.option_of[tag] = option
                return Action.CLEAN
        return basic if "/" in basic else _LETTERS[basic]

    def code(self, tag: int, vr: str) -> Action | str:
        found = self._listed.get(tag)
        return found if found is not None else self._unlisted(tag, vr)

    def _unlisted(self, tag: int, vr: str) -> Action | str:
        group, number = tag >> 16, tag & 0xFFFF
        if number == 0 or group < 8:
            return Action.REMOVE  # group lengths, and groups that belong to messages, file meta and directories
        if group & 0xFF01 == 0x5000:
            return Action.REMOVE  # curves: no engine draws them anew, so Clean Graphics can only mean this
        if group & 0xFF00 == 0x7F00 and group != 0x7FE0:
            return Action.REMOVE  # Variable Pixel Data: a picture where the pixel engine does not look
        if group & 0xFF01 == 0x6000:
            if number == 0x3000:
                return Action.KEEP if "clean_graphics" in self._profile.options else Action.REMOVE
            if number == 0x4000:
                return self._masked["60XX4000"]
            if _BY_VR.get(vr) is Action.CLEAN:
                return Action.REMOVE  # descriptions of an overlay ("marks of …") are no use without it, and name people
        if not dictionary_vrs(tag):
            return Action.UNLISTED
        if vr in ("OB", "UN"):
            return Action.KEEP if tag in _KNOWN_BLOBS else Action.UNLISTED
        if vr in ("DA", "DT", "TM") and self._profile.removes_dates:
            return "X/Z/D"
        return _BY_VR.get(vr, Action.UNLISTED)

    def safe_vr(self, tag: int, creator: str | None) -> str | None:
        return None if creator is None else self._safe.get((_folded(creator), tag >> 16, tag & 0xFF))


def _is_date(tag: int) -> bool:
    vrs = dictionary_vrs(tag)
    return not vrs or vrs[0] in ("DA", "DT", "TM")


def _folded(creator: str) -> str:
    """A private creator as it is compared: without the padding, in one case and with single blanks."""
    return " ".join(creator.split()).casefold()


@cache
def _safe_private() -> dict[tuple[str, int, int], str]:
    return {
        (_folded(creator), int(group, 16), int(number, 16)): (vr or "UN").split("/")[0]
        for creator, group, number, vr, _meaning in table("ps3.15_table_e.3.10-1")["rows"]
    }
