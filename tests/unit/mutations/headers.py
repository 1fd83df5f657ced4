"""Steps of the header engine and of the container, each with what was planted for it.

Belongs here: cases.  Names of strangers stand for what no list of the hospital knows, the patient's own for what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import gradient_assets.deid.headers as headers
import gradient_assets.deid.headers.dates as dates
import gradient_assets.deid.headers.engine as engine
import gradient_assets.deid.headers.jsonheader as jsonheader
import gradient_assets.deid.headers.values as values
import gradient_assets.pipelines.metadata as metadata_steps
from gradient_assets.deid.headers.elements import Field
from gradient_assets.deid.headers.rules import Action, Rules
from gradient_assets.pipelines.known import HospitalIdentifiers
from tests.unit.mutations.hospital import (
    BIRTH,
    DELIVERED,
    HEADERS,
    PATIENT_ID,
    STUDY_DATE,
    Sent,
    instance,
    stored,
)
from tests.unit.mutations.switching import Mutation, Off

STRANGER = "Bexley Okonjo"
"""A person of whom no record of the hospital knows."""


def action_off(action: Action, tag: int) -> Callable[[Off], None]:
    """The element passes as it was sent, where this action was to be done to it."""

    def off(switch: Off) -> None:
        def done(original, walk, field, asked, depth):
            if asked is action and field.tag == tag:
                switch.used = True
                return field.raw or field.element, "keep"
            return original(walk, field, asked, depth)

        switch.instead(engine._Walk, "_done", done, counts=False)

    return off


def sent(**elements: object) -> Sent:
    return Sent((stored(instance(1, **elements)),))


def with_element(tag: int, vr: str, value: object, **elements: object) -> Sent:
    ds = instance(1, **elements)
    ds[tag] = DataElement(tag, vr, value)
    return Sent((stored(ds),))


def item(**elements: object) -> Dataset:
    one = Dataset()
    for keyword, value in elements.items():
        setattr(one, keyword, value)
    return one


def of_action(step: str, action: Action, tag: int, vr: str, value: str, **elements: object) -> Mutation:
    return Mutation(step, HEADERS, with_element(tag, vr, value, **elements), value, action_off(action, tag))


def content_tree(text: str) -> Sent:
    return sent(ContentSequence=Sequence([item(ValueType="TEXT", RelationshipType="CONTAINS", TextValue=text)]))


def private() -> Sent:
    ds = instance(1)
    ds[0x00190020] = DataElement(0x00190020, "LO", "ACME SCANNERS 1.1")
    ds[0x00192001] = DataElement(0x00192001, "LO", STRANGER)
    return Sent((stored(ds),))


def option_on(option: str) -> Callable[[Off], None]:
    """The engine takes an option of the profile that nobody asked for."""

    def made(original, self, profile, *others):
        return original(self, replace(profile, options=profile.options | {option}), *others)

    return lambda off: off.instead(headers.HeaderEngine, "__init__", made)


def unchanged(field: Field) -> DataElement:
    return DataElement(field.tag, "SQ", Sequence(field.items))


def sequences_off(off: Off) -> None:
    """Items of sequences pass as they were sent."""
    off.instead(engine._Walk, "_sequence", lambda original, walk, field, depth: (unchanged(field), "items"))


def texts_off(tag: int) -> Callable[[Off], None]:
    return action_off(Action.CLEAN, tag)


def old_meta(original, ds, *others):
    meta = original(ds, *others)
    for element in ds.file_meta:
        if element.tag not in meta:
            meta.add(element)
    return meta


def with_meta() -> Sent:
    ds = instance(1)
    ds.file_meta.SourceApplicationEntityTitle = "OKONJO_WS"
    ds.preamble = b"taken at Okonjo House".ljust(128, b"\0")
    return Sent((stored(ds),))


def latin() -> Sent:
    ds = instance(
        1, SpecificCharacterSet="ISO_IR 100", PatientName="Müllerström^Zoë", StudyDescription="an Müllerström"
    )
    return Sent((stored(ds),))


STUDY_UID = "1.2.826.0.1.3680043.8.498.11223344556677"


def uid_in_text(step: str, uid: str) -> Mutation:
    return Mutation(
        step,
        HEADERS,
        sent(StudyInstanceUID=STUDY_UID, StudyDescription=f"see {uid}"),
        uid,
        lambda off: off.instead(values, "replaced_in_text", lambda original, text, new: text),
    )


def unjoined(step: str, description: str) -> Mutation:
    """Of one record of the patient the name was left out; the others say it."""
    nameless = instance(2, PatientName=None, StudyDescription=description)
    return Mutation(
        step,
        HEADERS,
        Sent((stored(instance(1)), stored(nameless))),
        "Quillfeather",
        lambda off: off.instead(HospitalIdentifiers, "of", lambda original, self, patient_id, own: own),
    )


META, LATIN = with_meta(), latin()
DESCRIBED = 0x00081030

CASES = [
    of_action("header X: what is known", Action.REMOVE, 0x00101040, "LO", "17 Marrowbone Lane, Dunquillan"),
    of_action("header X: what nobody knows", Action.REMOVE, 0x001021F0, "LO", "Tamarind Brethren"),
    of_action("header Z: what nobody knows", Action.EMPTY, 0x00120050, "LO", "WEEK 77Q"),
    of_action("header D: what nobody knows", Action.DUMMY, 0x00120010, "LO", "Tamarind Biologics"),
    of_action("header U: a reference", Action.UID, 0x00200052, "UI", f"{STUDY_UID}.300"),
    of_action("header U: a column", Action.UID, 0x0020000D, "UI", "1.2.3.4.200"),
    of_action("patient's name", Action.PATIENT_NAME, 0x00100010, "PN", "Quillfeather^Zebulon"),
    of_action("patient id", Action.PATIENT_ID, 0x00100020, "LO", PATIENT_ID),
    of_action("accession number", Action.ACCESSION, 0x00080050, "SH", "ACC-5512907"),
    of_action("birth date", Action.BIRTH_DATE, 0x00100030, "DA", BIRTH),
    of_action("dates: shifted", Action.DATE, 0x00080020, "DA", STUDY_DATE),
    of_action("dates: of an element", Action.DATE, 0x00080023, "DA", "20190611"),
    Mutation(
        "dates: cut to the year",
        HEADERS,
        replace(sent(ContentDate="20190611"), profile="safe_harbor"),
        "20190611",
        action_off(Action.DATE, 0x00080023),
    ),
    of_action("default deny: a tag nobody knows", Action.UNLISTED, 0x00180FFE, "LO", STRANGER),
    of_action("default deny: addresses of machines", Action.REMOVE, 0x00404073, "UR", "http://pacs.tamarind.org/store"),
    Mutation(
        "default deny: bulk data",
        DELIVERED,
        with_element(0x00686300, "OB", STRANGER.encode() + b"\0"),
        STRANGER,
        action_off(Action.UNLISTED, 0x00686300),
    ),
    of_action("descriptions: the patient's name", Action.CLEAN, DESCRIBED, "LO", "BRAIN Zebulon Quillfeather"),
    of_action("descriptions: another patient's name", Action.CLEAN, DESCRIBED, "LO", "for Griselda Wobblethorpe"),
    of_action("descriptions: a stranger's name", Action.CLEAN, DESCRIBED, "LO", f"seen by {STRANGER}"),
    of_action("descriptions: a phone", Action.CLEAN, DESCRIBED, "LO", "call (596) 268-0276"),
    Mutation(
        "content items: the patient's name",
        HEADERS,
        content_tree("Zebulon Quillfeather was seen."),
        "Quillfeather",
        texts_off(0x0040A160),
    ),
    Mutation(
        "content items: a stranger's name",
        HEADERS,
        content_tree(f"Seen by {STRANGER}."),
        STRANGER,
        texts_off(0x0040A160),
    ),
    Mutation(
        "sequences",
        HEADERS,
        sent(ProcedureCodeSequence=Sequence([item(CodingSchemeDesignator="99X", CodeMeaning=f"seen by {STRANGER}")])),
        STRANGER,
        sequences_off,
    ),
    Mutation(
        "K: institution that was not asked for",
        HEADERS,
        sent(InstitutionName="Brackenthwaite Infirmary"),
        "Brackenthwaite",
        option_on("retain_institution_identity"),
    ),
    Mutation(
        "K: device that was not asked for",
        HEADERS,
        sent(DeviceSerialNumber="SN-5512-77"),
        "SN-5512-77",
        option_on("retain_device_identity"),
    ),
    Mutation("private elements", HEADERS, private(), STRANGER, lambda off: off.nothing(Rules, "safe_vr", "LO")),
    Mutation(
        "ages of 90 and more",
        HEADERS,
        sent(PatientAge="095Y"),
        "095Y",
        lambda off: off.instead(dates, "pooled_age", lambda original, age: age),
    ),
    Mutation(
        "code strings that name somebody",
        HEADERS,
        sent(BodyPartExamined="QUILLFEATHER"),
        "QUILLFEATHER",
        lambda off: off.nothing(values, "_identifying_words", frozenset()),
    ),
    Mutation(
        "numbers that are an id",
        HEADERS,
        sent(AccessionNumber="1741852963", SeriesNumber="1741852963"),
        "1741852963",
        lambda off: off.nothing(values, "_identifying_words", frozenset()),
    ),
    uid_in_text("UIDs in texts: known", STUDY_UID),
    uid_in_text("UIDs in texts: of another hospital", "1.2.826.0.1.3680043.8.498.99887766554433"),
    Mutation(
        "character sets",
        HEADERS,
        LATIN,
        lambda outcome: outcome.holds("llerstr"),
        lambda off: off.nothing(jsonheader, "codecs_at", ("ascii",)),
    ),
    unjoined("identifiers joined over a patient's records: a name", "Brain Zebulon Quillfeather"),
    unjoined("identifiers joined over a patient's records: a family name", "Brain Quillfeather"),
    Mutation(
        "hot columns take codes only",
        HEADERS,
        sent(BodyPartExamined="Brain (left)"),
        "'body_part_examined': 'Brain (left)'",
        lambda off: off.instead(metadata_steps, "code_of", lambda original, column, value: value),
    ),
    Mutation(
        "file meta information",
        DELIVERED,
        META,
        "OKONJO_WS",
        lambda off: off.instead(engine, "new_file_meta", old_meta),
    ),
    Mutation(
        "preamble",
        DELIVERED,
        META,
        "Okonjo House",
        lambda off: off.instead(
            headers,
            "write_dataset",
            lambda original, ds: b"taken at Okonjo House".ljust(128, b"\0") + original(ds)[128:],
        ),
    ),
]
