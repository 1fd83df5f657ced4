"""How one value changes: text cleaned, dates moved, UIDs and ids replaced, numbers checked, dummies where one is needed.

Belongs here: the actions of `rules` carried out on a `Field`, and the bytes that are written for it.  Which action
applies is decided in `rules`; sequences are walked in `engine`.  PS3.5 6.2, PS3.15 E.1 and E.3.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from gradient_assets.deid.headers import dates
from gradient_assets.deid.headers._tables import table
from gradient_assets.deid.headers.charsets import DEFAULT
from gradient_assets.deid.headers.contract import TextCleaner
from gradient_assets.deid.headers.elements import STRING_VRS, TEXT_VRS, WORD_BYTES, Field, has_one_value
from gradient_assets.deid.headers.icc import without_words
from gradient_assets.deid.headers.own_names import WithoutOwnNames
from gradient_assets.deid.headers.profile import Profile
from gradient_assets.deid.headers.rules import Action, Rules
from gradient_assets.deid.headers.uids import replaced, replaced_in_text
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person
from gradient_assets.deid.text.folding import fold_plain
from gradient_assets.deid.text.lexicon import lexicon

Written = DataElement | RawDataElement | None

REMOVED_TEXT = "REMOVED"
LONGEST = {"SH": 16, "LO": 64, "CS": 16, "AE": 16, "ST": 1024, "LT": 10240, "PN": 64}
_PATTERNS = {
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "DS": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|"),
    "IS": re.compile(r"[+-]?\d{1,11}(\.\d*)?|"),  # some writers add a decimal point
}
_CODE_TAGS = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119})
_LARGEST_IS = 2**31
"""PS3.5 6.2: an IS lies between -2^31 and 2^31 - 1.  Telephone numbers of ten digits do not."""
_SEX = 0x00100040
"""PS3.3 C.7.1.1: M, F or O; Type 2."""
_ICC_PROFILE = 0x00282000
_RECORD_NUMBER = re.compile(r"\d{5}")
"""No defined term of the standard has five digits in a row; content labels that a site chose do."""
_PHONE_DIGITS = 7
"""No meaning of the standard's context groups has as many."""
_LEAST_PRINTED = 8
"""Printable bytes that are no table of numbers any more; curves and tables climb through more than letters."""
_TIMEZONE = re.compile(r"[+-]\d{4}")
_WORDS = re.compile(r"[^\W_]+")


class Values:
    """One instance's values.  `enter` is called for each level, before the level's elements are changed."""

    def __init__(
        self, profile: Profile, rules: Rules, person: Person, identifiers: KnownIdentifiers, text: TextCleaner
    ) -> None:
        self.profile, self.rules, self.person, self.identifiers = profile, rules, person, identifiers
        self.text: TextCleaner = WithoutOwnNames(text)
        self.pseudonymizer = person.pseudonymizer
        self.removed: Counter[str] = Counter()
        self.exercised: set[str] = set()
        self.saw_non_ascii = False
        self.codecs: tuple[str, ...] = DEFAULT
        self.implicit, self.little = False, True
        self.at_top = True
        self.ages: tuple[str, ...] = ()
        self._in_known_scheme = False
        self._cleaned: dict[str, str] = {}
        self._tokens = _identifying_words(identifiers)
        self._birth_days = frozenset(identifiers.birth_dates)
        self._new_uid = (lambda uid: uid) if "retain_uids" in profile.options else self.pseudonymizer.uid

    def enter(self, ds: Dataset, codecs: tuple[str, ...], *, at_top: bool) -> None:
        """A level begins: its character sets, and whether it is a code of a known scheme."""
        self.codecs, self.at_top = codecs, at_top
        scheme = getattr(ds.get_item(BaseTag(0x00080102)), "value", None) if 0x00080102 in ds else None
        name = scheme.decode("ascii", "replace") if isinstance(scheme, bytes) else str(scheme or "")
        self._in_known_scheme = name.strip(" \x00") in _known_schemes()

    def note(self, tag: int) -> None:
        """Remember that the option that decided over this tag was truly exercised."""
        if (option := self.rules.option_of.get(tag)) is not None:
            self.exercised.add(option)

    def changed(self, field: Field, action: Action) -> tuple[Written, str]:
        """The element as it is written under `action`, and the name of what was done."""
        if action is Action.EMPTY:
            return self.encoded(field.tag, field.vr, []), action.value
        if action is Action.PATIENT_NAME or action is Action.PATIENT_ID:
            return self._patient(field), action.value
        if field.is_empty:
            return self.encoded(field.tag, field.vr, []), "keep_empty"
        if action is Action.ACCESSION:
            accession = field.texts(self.codecs)[0]
            return self.encoded(field.tag, "SH", [self.pseudonymizer.accession(accession)]), action.value
        if action is Action.BIRTH_DATE:
            return self._birth_date(field), action.value
        if action is not Action.DATE:  # a date counts as moved when it was, see `_date`
            self.note(field.tag)
        if action is Action.DUMMY:
            return self._dummy(field), action.value
        if field.vr in ("DA", "DT", "TM"):
            return self._date(field)
        if field.vr == "UI":
            return self._uid(field), Action.UID.value
        if field.vr in TEXT_VRS and field.vr not in ("PN", "UR"):
            return self._failed(field, "UNDECODABLE") if field.is_doubtful(self.codecs) else self._text(field)
        if action is Action.CLEAN and field.vr in ("OB", "UN", "AE", "UR", "PN"):
            return self._failed(field, "UNCLEANABLE")
        return self._checked(field)

    def private(self, field: Field) -> tuple[Written, str]:
        """A private element known to be safe: dates, UIDs and text change like everywhere."""
        if field.vr in ("PN", "AE", "UR", "UN", "OB"):
            self.removed["PRIVATE"] += 1
            return None, Action.PRIVATE.value
        written, done = self.changed(field, Action.KEEP)
        return written, done

    # one family of values each

    def _patient(self, field: Field) -> Written:
        """At the top level and for every name the pseudonym; an id further down, which may be another's, its own."""
        vr = "PN" if field.tag == 0x00100010 else "LO"
        if self.at_top or (vr == "PN" and not field.is_empty):
            return self.encoded(field.tag, vr, [self.person.pseudonym])
        first = "" if field.is_empty else field.texts(self.codecs)[0]
        return self.encoded(field.tag, vr, [self.pseudonymizer.patient(first)] if first else [])

    def _birth_date(self, field: Field) -> Written:
        if self.profile.birth_date == "empty" or self._is_pooled(field):
            return self.encoded(field.tag, "DA", [])
        try:
            found = dates.moved("DA", field.texts(self.codecs), self.profile.birth_date, self.person.shift_days)
        except dates.NotADate:
            found = []
        return self.encoded(field.tag, "DA", found)

    def _is_pooled(self, field: Field) -> bool:
        """Whether the age is pooled, so that a year of birth, or a date moved with the others, would tell it again."""
        known = self.identifiers
        births = (*known.birth_dates, *field.texts(self.codecs))
        return dates.reaches_pooled_age(births, known.study_dates, self.ages, int(self.profile.edition[:4]))

    def _date(self, field: Field) -> tuple[Written, str]:
        mode = self.profile.dates
        try:
            found = dates.moved(field.vr, field.texts(self.codecs), mode, self.person.shift_days)
        except dates.NotADate:
            return self._failed(field, "INVALID_DATE")
        if not found:
            return self._failed(field, "TIME")
        if mode == "shift" and field.vr != "TM":
            self.exercised.add("retain_longitudinal_modified")
        if mode == "keep":
            self.exercised.add("retain_longitudinal_full")
        return self.encoded(field.tag, field.vr, found), {"shift": "date_shifted", "year": "date_year"}.get(
            mode, "keep"
        )

    def _uid(self, field: Field) -> Written:
        found = [replaced(uid, self._new_uid) for uid in field.texts(self.codecs)]
        return self.encoded(field.tag, "UI", found)

    def _text(self, field: Field) -> tuple[Written, str]:
        texts = field.texts(self.codecs)
        if field.tag == 0x00080201:
            if all(_TIMEZONE.fullmatch(text) for text in texts):
                return self.encoded(field.tag, field.vr, texts), Action.KEEP.value
            return self._failed(field, "INVALID_DATE")
        if field.tag in _CODE_TAGS and self._in_known_scheme and not any(map(self._is_no_code, texts)):
            kept = [replaced_in_text(text, self._new_uid) for text in texts]
            return self.encoded(field.tag, field.vr, kept), Action.KEEP.value
        moved = [self._moved_date(text) for text in texts]
        cleaned = [self._clean_text(text) if day is None else day for text, day in zip(texts, moved, strict=True)]
        # A description longer than its VR allows (seen in SH and LO) is cut only by what cleaning adds to it.
        written = self.encoded(field.tag, field.vr, cleaned, at_least=max(map(len, texts), default=0))
        if any(day is not None for day in moved) and self.profile.dates == "shift":
            self.exercised.add("retain_longitudinal_modified")
        return written, "cleaned" if cleaned != texts else "text_kept"

    def _is_no_code(self, text: str) -> bool:
        """Whether what stands as a code, or as its meaning, names somebody or is long in digits for a meaning."""
        digits = sum(sign.isdigit() for sign in text)
        return self._names_somebody(text) or (" " in text.strip() and digits >= _PHONE_DIGITS)

    def _moved_date(self, text: str) -> str | None:
        """A text that is nothing but a date, moved like one; None for any other text, an id, or the date of birth."""
        if not text[:4].isdigit() or self._names_somebody(text):
            return None
        if re.sub(r"\D", "", text)[:8] in self._birth_days:
            return None
        return dates.moved_text(text, self.profile.dates, self.person.shift_days)

    def _clean_text(self, text: str) -> str:
        if not text.strip():
            return text
        known = self._cleaned.get(text)
        if known is None:
            # The text cleaner knows the UIDs made here and takes all others for somebody's: one that is retained is lent one.
            lent: dict[str, str] = {}

            def lend(uid: str) -> str:
                made = self.pseudonymizer.uid(uid)
                lent[made] = self._new_uid(uid)
                return made

            result = self.text.clean(replaced_in_text(text, lend), self.identifiers, self.person)
            self.removed.update(result.removed)
            known = result.text
            for made, uid in lent.items():
                known = known.replace(made, uid)
            self._cleaned[text] = known
        return known

    def _checked(self, field: Field) -> tuple[Written, str]:
        """Numbers, codes and arrays: kept if they are what their VR says, and name nobody."""
        if field.tag == _ICC_PROFILE:
            return self._icc_profile(field)
        if field.vr not in STRING_VRS:
            if field.vr in ("OB", "OW") and field.raw is not None and _is_writing(field.raw.value or b""):
                return self._failed(field, "UNCLEANABLE")
            return self._number(field), "keep"
        texts = field.texts(self.codecs)
        if field.vr == "AS":
            try:
                return self.encoded(field.tag, "AS", [dates.pooled_age(text) for text in texts if text]), "keep"
            except dates.NotADate:
                return self._failed(field, "INVALID_AGE")
        pattern = _PATTERNS.get(field.vr)
        if pattern is None:
            return self._failed(field, "UNCLEANABLE")
        if field.vr == "CS":
            return self._code_string(field, texts)
        if not all(map(pattern.fullmatch, texts)):
            return self._failed(field, "INVALID_NUMBER")
        if field.vr == "IS" and not all(abs(int(text.partition(".")[0] or 0)) < _LARGEST_IS for text in texts):
            return self._failed(field, "INVALID_NUMBER")
        if not self._tokens.isdisjoint(texts):  # seen: a Series Number that was the patient's id
            self.removed["ID"] += 1
            other = [self._other_number(text) if text in self._tokens else text for text in texts]
            return self.encoded(field.tag, field.vr, other), "id_replaced"
        return self.encoded(field.tag, field.vr, texts), "keep"

    def _other_number(self, number: str) -> str:
        return str(int.from_bytes(self.pseudonymizer.digest("number", number)[:4]) % 10**9)

    def _number(self, field: Field) -> Written:
        """Binary numbers as they are; where the dictionary allows one, what follows it is not written."""
        if field.raw is None:
            value = field.element.value if field.element is not None else None
            if isinstance(value, MultiValue | list) and len(value) > 1 and has_one_value(field.tag):
                value = value[0]
            return DataElement(BaseTag(field.tag), field.vr, value)
        size = WORD_BYTES.get(field.vr)
        if size and len(field.raw.value or b"") > size and has_one_value(field.tag):
            return field.raw._replace(value=(field.raw.value or b"")[:size], length=size)
        return field.raw

    def _icc_profile(self, field: Field) -> tuple[Written, str]:
        stored = (
            field.raw.value if field.raw is not None else field.element.value if field.element is not None else None
        )
        cleaned = without_words(stored) if isinstance(stored, bytes) else None
        if cleaned is None:
            return self._failed(field, "UNCLEANABLE")
        even = cleaned + bytes(len(cleaned) % 2)
        written = RawDataElement(BaseTag(field.tag), "OB", len(even), even, 0, self.implicit, self.little)
        return written, "keep" if even == stored else "cleaned"

    def _code_string(self, field: Field, texts: list[str]) -> tuple[Written, str]:
        if any(self._names_somebody(text) for text in texts):
            self.removed["NAME"] += 1
            spared = [text if self._is_innocent_code(text) else REMOVED_TEXT for text in texts]
            return self.encoded(field.tag, "CS", spared), "name_removed"
        if field.tag == _SEX and any(len(text) > 1 for text in texts):
            self.removed["UNCLEANABLE"] += 1
            return self.encoded(field.tag, "CS", []), "uncleanable_emptied"
        if any(map(_RECORD_NUMBER.search, texts)):
            self.removed["ID"] += 1
            spared = [REMOVED_TEXT if _RECORD_NUMBER.search(text) else text for text in texts]
            return self.encoded(field.tag, "CS", spared), "id_removed"
        if all(_PATTERNS["CS"].fullmatch(text) for text in texts):
            return self.encoded(field.tag, "CS", texts), "keep"
        cleaned = [self._clean_text(text) for text in texts]
        return self.encoded(field.tag, "CS", cleaned), "cleaned" if cleaned != texts else "keep"

    def _is_innocent_code(self, text: str) -> bool:
        return bool(_PATTERNS["CS"].fullmatch(text)) and not self._names_somebody(text)

    def _failed(self, field: Field, kind: str) -> tuple[Written, str]:
        self.removed[kind] += 1
        is_number = kind == "INVALID_NUMBER"  # a zero would be believed
        fallback = Action.REMOVE if is_number or field.tag >> 16 & 1 else self.rules.when_it_fails(field.tag)
        if fallback is Action.EMPTY:
            return self.encoded(field.tag, field.vr, []), f"{kind.lower()}_emptied"
        if fallback is Action.DUMMY and (written := self._dummy(field)) is not None:
            return written, f"{kind.lower()}_dummied"
        return None, f"{kind.lower()}_removed"

    def _dummy(self, field: Field) -> Written:
        """A value of the right VR that says nothing; ids stay distinguishable through the key."""
        vr = field.vr
        if vr in dates.DUMMIES:
            return self.encoded(field.tag, vr, [dates.DUMMIES[vr]])
        if vr == "PN":
            return self.encoded(field.tag, vr, [REMOVED_TEXT])
        if vr in ("LO", "SH", "UC", "UT", "ST", "LT") and (text := "\\".join(field.texts(self.codecs)).strip()):
            return self.encoded(field.tag, vr, [self.pseudonymizer.identifier(field.label, text)])
        if vr in ("DS", "IS"):
            return self.encoded(field.tag, vr, ["0"])
        if vr == "AS":
            return self.encoded(field.tag, vr, ["000D"])
        if vr == "UI":
            return self._uid(field)
        if vr in STRING_VRS:
            return self.encoded(field.tag, vr, [REMOVED_TEXT if vr != "UR" else "urn:removed"])
        if vr == "OB":
            return RawDataElement(BaseTag(field.tag), vr, 2, b"\x00\x00", 0, self.implicit, self.little)
        if vr in WORD_BYTES:
            return DataElement(BaseTag(field.tag), vr, 0)
        return None

    def _names_somebody(self, text: str) -> bool:
        folded = (text if text.isascii() else fold_plain(text)).casefold()
        return folded in self._tokens or any(word in self._tokens for word in _WORDS.findall(folded))

    def encoded(self, tag: int, vr: str, texts: list[str], *, at_least: int = 0) -> RawDataElement:
        """The element as bytes: UTF-8, padded to even length, cut to what the VR allows, or to `at_least` characters."""
        longest = LONGEST.get(vr)
        if longest is not None:
            texts = [text[: max(longest, at_least)] for text in texts]
        joined = "\\".join(texts)
        stored = joined.encode("utf-8", "replace")
        if not joined.isascii():
            self.saw_non_ascii = True
        if len(stored) & 1:
            stored += b"\x00" if vr == "UI" else b" "
        return RawDataElement(BaseTag(tag), vr, len(stored), stored, 0, self.implicit, self.little)


def _is_writing(content: bytes) -> bool:
    """Whether an array of numbers is nothing but printable characters, and not the same one over and over."""
    printed = content.rstrip(b"\0")
    return len(printed) >= _LEAST_PRINTED and len(set(printed)) > 2 and all(32 <= byte < 127 for byte in printed)


@cache
def _known_schemes() -> frozenset[str]:
    return frozenset(table("coding_schemes")["designators"])


def _name_words(names: Iterable[str]) -> set[str]:
    return {word.casefold() for name in names for word in _WORDS.findall(fold_plain(name)) if len(word) >= 4}


@lru_cache(maxsize=256)
def _identifying_words(identifiers: KnownIdentifiers) -> frozenset[str]:
    """Words of names and whole ids, folded, that are long enough to mean somebody in a code string."""
    found = _name_words((*identifiers.patient_names, *identifiers.relatives))
    # A physician named Sharp or White must not cost every instance its kernel or its colour.
    found |= _name_words(identifiers.physicians) - lexicon("en").guarded
    found.difference_update(table("identifying_elements")["no_names"])
    for value in (*identifiers.patient_ids, *identifiers.accession_numbers, *identifiers.other_ids):
        if len(value) >= 5:
            found.add(fold_plain(value).casefold())
    return frozenset(found)
