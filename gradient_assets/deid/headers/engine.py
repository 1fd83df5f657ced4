"""Clean the header of one instance: every element of every level is visited, and only what a rule lets through is written.

Belongs here: the walk.  It builds a new data set and copies nothing by default, so that an element nobody thought of is
absent rather than leaked.  Which action a tag gets is `rules`' business, how a value changes that of `values`; pixel
data passes through untouched (`deid.pixels` cleans it).  PS3.15 E.1.
"""

from __future__ import annotations

from collections import Counter

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from gradient_assets.deid.headers import graphics, methods
from gradient_assets.deid.headers._quiet import quiet
from gradient_assets.deid.headers.charsets import DEFAULT
from gradient_assets.deid.headers.contract import CleanedHeader, TextCleaner
from gradient_assets.deid.headers.dummies import dummy_sequence
from gradient_assets.deid.headers.elements import (
    MAX_DEPTH,
    TEXT_VRS,
    WORD_BYTES,
    Field,
    Unparsable,
    codecs_at,
    creators_of,
    elements_of,
    field_of,
    label_of,
)
from gradient_assets.deid.headers.gather import columns_of, complete_identifiers
from gradient_assets.deid.headers.policy import admit
from gradient_assets.deid.headers.profile import Profile
from gradient_assets.deid.headers.retained import is_retained, retained_values, without
from gradient_assets.deid.headers.rules import OVERLAY_DATA, Action, Rules
from gradient_assets.deid.headers.technical import is_technical, may_stay, names_known
from gradient_assets.deid.headers.uids import replaced
from gradient_assets.deid.headers.values import Values
from gradient_assets.deid.headers.write import encoding_of, new_file_meta
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import Reason, Refused

ENGINE_VERSION = "5"
_DATE_VRS = frozenset({"DA", "DT", "TM"})
Outcome = tuple[DataElement | RawDataElement | None, str]
"""What is written for an element, if anything, and what was done to it."""
Level = dict[BaseTag, DataElement | RawDataElement]


class HeaderEngine:
    """Cleans data sets under one profile with one key.  Picklable if the text cleaner is; holds no patient's data."""

    def __init__(self, profile: Profile, pseudonymizer: Pseudonymizer, text: TextCleaner) -> None:
        self.profile = profile
        self.pseudonymizer = pseudonymizer
        self.text = text
        self.rules = Rules(profile)

    def clean(self, ds: Dataset, identifiers: KnownIdentifiers) -> CleanedHeader:
        """A new, clean data set for `ds`, whose elements stay as they are.

        `identifiers` is everything known of the patient; what the header itself says is added if it is missing there.
        Raises `Refused` for whatever can't be cleaned; what comes back is cleaned to the last element.
        """
        try:
            with quiet():
                return self._clean(ds, identifiers)
        except Refused:
            raise
        except RecursionError:
            raise Refused(Reason.NESTED_TOO_DEEP) from None
        except Exception as error:  # fail closed; the text of the error may hold a value
            raise Refused(Reason.HEADER_ENGINE_FAILED, type(error).__name__) from None

    def _clean(self, ds: Dataset, identifiers: KnownIdentifiers) -> CleanedHeader:
        columns = columns_of(ds)
        admit(ds, columns, self.profile)
        old_study = str(columns["study_instance_uid"] or "")
        person = self.pseudonymizer.person(str(columns["patient_id"] or ""), fallback=old_study)
        meta = new_file_meta(ds, columns, self._uid)
        rules = self.rules.of_class(str(meta.MediaStorageSOPClassUID))
        retained = retained_values(ds, self.profile, rules)
        known = without(complete_identifiers(ds, identifiers), retained)
        values = Values(self.profile, rules, person, known, self.text)
        values.implicit, values.little = encoding_of(meta.TransferSyntaxUID)
        values.ages = (str(columns["patient_age"] or ""),)
        walk = _Walk(self.profile, rules, values)
        level = walk.level(ds, DEFAULT, 0)
        cleaned = _top_level(level, ds, meta.TransferSyntaxUID, walk)
        for tag, uid in ((0x00080016, meta.MediaStorageSOPClassUID), (0x00080018, meta.MediaStorageSOPInstanceUID)):
            if not str(cleaned.get(tag, DataElement(tag, "UI", "")).value or ""):
                cleaned.add_new(tag, "UI", uid)  # an object that names itself in its file meta information only
        if old_study and not str(cleaned.get("PatientID", "") or ""):
            cleaned.PatientID = person.pseudonym  # sent without an id: objects of one study still belong together
        cleaned.file_meta = meta
        codes = methods.codes_for(values.exercised)
        methods.state_method(cleaned, self.profile, ENGINE_VERSION, codes)
        old_sop, old_series = str(columns["sop_instance_uid"] or ""), str(columns["series_instance_uid"] or "")
        return CleanedHeader(
            dataset=cleaned,
            person=person,
            old_sop_uid=old_sop,
            new_sop_uid=self._uid(old_sop),
            old_series_uid=old_series,
            new_series_uid=self._uid(old_series),
            old_study_uid=old_study,
            new_study_uid=self._uid(old_study),
            profile=self.profile,
            engine_version=ENGINE_VERSION,
            actions=walk.actions,
            removed_by_kind=values.removed,
            method_codes=codes,
            retained=retained,
        )

    def _uid(self, uid: str) -> str:
        keeps = "retain_uids" in self.profile.options
        return uid if keeps else replaced(uid, self.pseudonymizer.uid)


def _top_level(level: Level, ds: Dataset, syntax: str, walk: _Walk) -> FileDataset:
    implicit, little = encoding_of(syntax)
    declared = 0x00080005 in ds or walk.values.saw_non_ascii
    charset = BaseTag(0x00080005)
    if declared:
        level[charset] = RawDataElement(charset, "CS", 10, b"ISO_IR 192", 0, implicit, little)
    cleaned = FileDataset("", Dataset(level), b"\x00" * 128, None, implicit, little)
    cleaned.set_original_encoding(implicit, little, ["UTF8"] if declared else "iso8859")
    return cleaned


class _Walk:
    """One instance's way through all levels."""

    def __init__(self, profile: Profile, rules: Rules, values: Values) -> None:
        self.profile = profile
        self.rules = rules
        self.values = values
        self.actions: Counter[tuple[str, str]] = Counter()
        self._technical: dict[str, bool] = {}
        self._drawn = graphics.Drawn()

    def level(self, ds: Dataset, inherited: tuple[str, ...], depth: int) -> Level:
        """Clean elements of one data set or sequence item."""
        if depth > MAX_DEPTH:
            raise Refused(Reason.NESTED_TOO_DEEP)
        creators = creators_of(ds)
        self.values.enter(ds, codecs_at(ds, inherited), at_top=depth == 0)
        codecs = self.values.codecs
        clean: Level = {}
        kept_blocks: set[tuple[int, int]] = set()
        for tag, stored in elements_of(ds):
            if tag >> 16 & 1:
                written = self._private(ds, tag, stored, creators, depth)
                if written is not None:
                    kept_blocks.add((tag >> 16, (tag & 0xFF00) >> 8))
            else:
                written = self._standard(ds, tag, stored, depth)
            self.values.codecs = codecs
            if written is not None:
                clean[BaseTag(tag)] = written
        for group, block in sorted(kept_blocks):
            self._write_creator(clean, group, block, creators[group << 8 | block])
        return clean

    def _write_creator(self, clean: Level, group: int, block: int, creator: str) -> None:
        tag = BaseTag(group << 16 | block)
        stored = self.values.encoded(int(tag), "LO", [creator])  # a name of Table E.3.10-1, never a patient's
        clean[tag] = stored

    def _standard(
        self, ds: Dataset, tag: int, stored: DataElement | RawDataElement, depth: int
    ) -> DataElement | RawDataElement | None:
        try:
            field = field_of(ds, tag, stored, {})
        except Unparsable:
            self._count_unparsable(tag)
            return None
        action = self.rules.action(tag, field.vr)
        written, done = self._done(field, action, depth)
        self.actions[field.label, done] += 1
        return written

    def _count_unparsable(self, tag: int) -> None:
        label = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        self.actions[label, "unparsable"] += 1
        self.values.removed["UNPARSABLE"] += 1

    def _private(
        self, ds: Dataset, tag: int, stored: DataElement | RawDataElement, creators: dict[int, str], depth: int
    ) -> DataElement | RawDataElement | None:
        number = tag & 0xFFFF
        if number <= 0xFF:
            return None  # creators are written with the blocks that stay
        creator = creators.get(tag >> 16 << 8 | number >> 8)
        safe_vr = self.rules.safe_vr(tag, creator)
        if safe_vr == "UN" and (stated := stored.VR) in WORD_BYTES:
            safe_vr = stated  # five rows of Table E.3.10-1 name no VR; a number that the file states can hold no text
        label = label_of(tag)
        if safe_vr is None or safe_vr in ("OB", "OW", "UN"):  # even a safe blob may be a picture nobody looks at
            self.actions[label, Action.PRIVATE.value] += 1
            self.values.removed["PRIVATE"] += 1
            return None
        try:
            field = field_of(ds, tag, stored, creators, safe_vr)
        except Unparsable:
            self._count_unparsable(tag)
            return None
        written: DataElement | RawDataElement | None
        if field.vr == "SQ":
            written, done = self._sequence(field, depth)
        elif field.vr in _DATE_VRS and self.profile.removes_dates:
            written, done = None, Action.PRIVATE.value
            self.values.removed["PRIVATE"] += 1
        else:
            written, done = self.values.private(field)
        if written is not None:
            self.values.exercised.add("retain_safe_private")
        self.actions[label, done] += 1
        return written

    def _done(self, field: Field, action: Action, depth: int) -> Outcome:
        if action in (Action.REMOVE, Action.UNLISTED):
            if action is Action.UNLISTED:
                self.values.removed["UNLISTED"] += 1
            return None, action.value
        if field.tag == graphics.COMPOUND:
            return None, Action.REMOVE.value
        if field.items is not None:
            if action is Action.EMPTY:
                return DataElement(BaseTag(field.tag), "SQ", Sequence([])), action.value
            if action is Action.DUMMY and (dummy := dummy_sequence(field.tag)) is not None:
                return dummy, action.value
            return self._sequence(field, depth)
        if field.tag & 0xFF00FFFF == OVERLAY_DATA or field.tag >> 16 == 0x7FE0:
            if depth:  # a picture in a sequence item, where the pixel engine does not look
                self.values.removed["NESTED_PIXELS"] += 1
                return None, Action.REMOVE.value
            return field.raw or field.element, action.value  # cleaned by the pixel engine
        if graphics.is_layer_name(field.tag):
            names = field.texts(self.values.codecs)
            return self.values.encoded(field.tag, "CS", [self._drawn.layer(name) for name in names]), Action.DUMMY.value
        if action is Action.CLEAN and is_technical(field.tag):
            return self._technical_text(field)
        if action is Action.KEEP and field.vr in TEXT_VRS and is_retained(field.tag, field.vr, self.rules):
            return self._retained(field)
        return self._changed(field, action)

    def _technical_text(self, field: Field) -> Outcome:
        texts = [] if field.vr not in TEXT_VRS or field.is_empty else field.texts(self.values.codecs)
        if texts and not field.is_doubtful(self.values.codecs) and all(map(self._may_stay, texts)):
            return self.values.encoded(field.tag, field.vr, texts), "text_kept"
        return self._changed(field, Action.CLEAN)

    def _may_stay(self, text: str) -> bool:
        """Whether a technical text stays as it is; asked once for each text of an instance."""
        known = self._technical.get(text)
        if known is None:
            cleaned = self.values.text.clean(text, self.values.identifiers, self.values.person)
            known = cleaned.text == text or may_stay(text, cleaned.removed, self.values.identifiers)
            self._technical[text] = known
        return known

    def _changed(self, field: Field, action: Action) -> Outcome:
        """The element under its action.  An option counts as exercised only if something of the element is left."""
        option = self.rules.option_of.get(field.tag)
        if option is None or option in self.values.exercised:
            return self.values.changed(field, action)
        written, done = self.values.changed(field, action)
        if written is None:
            self.values.exercised.discard(option)
        return written, done

    def _retained(self, field: Field) -> Outcome:
        """A name of an institution or device that the profile keeps: as it is, unless the patient is named in it."""
        texts = field.texts(self.values.codecs)
        doubtful = field.is_empty or field.is_doubtful(self.values.codecs)
        if doubtful or any(names_known(text, self.values.identifiers) for text in texts):
            return self._changed(field, Action.CLEAN)
        self.values.note(field.tag)
        return self.values.encoded(field.tag, field.vr, texts), Action.KEEP.value

    def _item(self, level: Level) -> Dataset:
        item = Dataset(level, parent_encoding="utf8")
        item.set_original_encoding(self.values.implicit, self.values.little, "utf8")
        return item

    def _sequence(self, field: Field, depth: int) -> tuple[DataElement | None, str]:
        codecs = self.values.codecs
        self.values.note(field.tag)
        outer = self.rules
        self.rules = self.values.rules = outer.inside(field.tag)
        items = [self._item(self.level(item, codecs, depth + 1)) for item in field.items or []]
        self.rules = self.values.rules = outer
        kept = self._drawn.kept(field.tag, items)
        if items and not kept:
            dummy = dummy_sequence(field.tag)
            return dummy, (Action.REMOVE if dummy is None else Action.DUMMY).value
        return DataElement(BaseTag(field.tag), "SQ", Sequence(kept)), "items"
