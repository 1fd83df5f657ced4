"""What a profile does to a tag: Table E.1-1 with its options, the private table, and what neither of them lists.

Belongs here: from table rows and options to one `Action` for each tag and VR.  The tables are files in `tables/`, each
with its edition and source.  Carrying an action out is `engine`'s business.  PS3.15 E.1, E.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from gradient_assets.deid.headers.elements import ARRAY_VRS, WORD_BYTES, dictionary_vrs
from gradient_assets.deid.headers.profile import Profile


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


_LETTERS = {"X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID, "U*": Action.UID}
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
_RETAINING = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full",
)
_CLEANING = ("retain_longitudinal_modified", "clean_descriptors", "clean_structured_content", "clean_graphics")


@cache
def table(name: str) -> dict[str, Any]:
    """One of the files in `tables/`."""
    text = resources.files(__package__).joinpath("tables", f"{name}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


class Rules:
    """One profile, resolved.  `action` is asked for every standard element, `safe_vr` for every private one."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._compound = {int(tag, 16): code for tag, code, _ in table("compound_codes")["rows"]}
        self._listed: dict[int, Action] = {}
        self._failing: dict[int, Action] = {}
        self._masked: dict[str, Action] = {}
        self.option_of: dict[int, str] = {}
        for tag, _name, basic, options in table("ps3.15_table_e.1-1")["rows"]:
            self._add(tag, basic, options)
        for tag, code, _why in table("beyond_the_table")["rows"]:
            self._listed[int(tag, 16)] = _LETTERS[code]
        self._listed.update(_PSEUDONYMS)
        self._safe = _safe_private() if "retain_safe_private" in profile.options else {}
        self._unlisted: dict[tuple[int, str], Action] = {}

    def _add(self, tag: str, basic: str, options: Mapping[str, str]) -> None:
        if tag == "private":
            return
        if "X" in tag[2:]:
            self._masked[tag] = self._resolved(0, basic, options)
            return
        number = int(tag, 16)
        self._listed[number] = self._resolved(number, basic, options)
        self._failing[number] = self._without_options(number, basic)

    def _resolved(self, tag: int, basic: str, options: Mapping[str, str]) -> Action:
        asked = self._profile.options
        for option in _RETAINING:
            if option in asked and option in options:
                self.option_of[tag] = option
                return Action.KEEP if options[option] == "K" else Action.CLEAN
        if "retain_longitudinal_modified" in options and self._profile.dates != "keep":
            vrs = dictionary_vrs(tag)
            if not vrs or vrs[0] in ("DA", "DT", "TM"):
                self.option_of[tag] = "retain_longitudinal_modified"
                return Action.DATE
            if self._profile.dates == "shift" and tag == 0x00080201:  # the time zone says nothing a shift would change
                return Action.KEEP
        for option in _CLEANING[1:]:
            if option in asked and option in options:
                self.option_of[tag] = option
                return Action.CLEAN
        return self._without_options(tag, basic)

    def _without_options(self, tag: int, basic: str) -> Action:
        """The basic profile's code; a compound one by the Type of the attribute."""
        if "/" in basic:
            letters = basic.split("/")
            code = self._compound.get(tag)
            basic = code if code in letters else letters[-1]
        return _LETTERS[basic]

    def action(self, tag: int, vr: str) -> Action:
        """What happens to a standard element of this tag and VR."""
        found = self._listed.get(tag)
        if found is not None:
            return found
        known = self._unlisted.get((tag, vr))
        if known is None:
            known = self._unlisted[tag, vr] = self._unlisted_action(tag, vr)
        return known

    def when_it_fails(self, tag: int) -> Action:
        """What happens to an element whose value can't be kept as its action asks: the basic profile's code, and for
        unlisted tags a dummy value, because their Type is not known."""
        found = self._failing.get(tag, Action.DUMMY)
        return Action.DUMMY if found is Action.UID else found

    def _unlisted_action(self, tag: int, vr: str) -> Action:
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
        return _BY_VR.get(vr, Action.UNLISTED)

    def safe_vr(self, tag: int, creator: str | None) -> str | None:
        """The VR of a private element known to be safe, else None.  PS3.15 E.3.10."""
        if creator is None:
            return None
        return self._safe.get((creator, tag >> 16, tag & 0xFF))

    def listed(self) -> Mapping[int, Action]:
        """Every tag that a table lists, with what happens to it: for the documentation."""
        return dict(self._listed)


@cache
def _safe_private() -> dict[tuple[str, int, int], str]:
    return {
        (creator, int(group, 16), int(number, 16)): (vr or "UN").split("/")[0]
        for creator, group, number, vr, _meaning in table("ps3.15_table_e.3.10-1")["rows"]
    }
