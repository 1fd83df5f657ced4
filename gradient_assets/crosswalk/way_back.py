"""From one pseudonym to its original: the only way back, and logged each time.

Belongs here: finding the row of a pseudonym, or, for a recipient's copy, the original whose pseudonym under the recipient's
key it is; and the bulk form for MIDI-B's mapping files.  Recipients' pseudonyms are in no table: they are derived again
for every original of the hospital (17 µs each) and compared, so that nothing links two recipients' copies on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gradient_assets.crosswalk.log import Use, check_words, record
from gradient_assets.crosswalk.originals import Kind
from gradient_assets.crosswalk.rows import CrosswalkError, Entry, HospitalKeys, opened, opened_row
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import Hospital
from gradient_assets.tables import (
    ACCESSION_PATTERN,
    CROSSWALK,
    CROSSWALK_SOURCES,
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    NEW_UID_PATTERN,
    PATIENT_PATTERN,
    REPORT_PATTERN,
)
from resources import Resources

FORMS: dict[Kind, str] = {
    "patient": PATIENT_PATTERN,
    "uid": NEW_UID_PATTERN,
    "accession_number": ACCESSION_PATTERN,
    "report": REPORT_PATTERN,
}
"""What a pseudonym of each kind looks like; no two forms overlap."""

_ROWS_OF = f"SELECT * FROM {CROSSWALK.full_name} WHERE hospital_id = @hospital_id AND pseudonym = @pseudonym"  # noqa: S608  names of ours; values are bound


class UnknownPseudonym(CrosswalkError):  # noqa: N818  the name says what happened
    """Nothing of this hospital stands under that pseudonym."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whose pseudonym somebody wants back, and why."""

    pseudonym: str
    by: str
    reason: str
    recipient: str = ""


def answer(resources: Resources, hospital: Hospital, question: Question) -> tuple[Entry, ...]:
    """The original, in each spelling in which it was sent.  Logged before it is returned, and so is every failure.

    Raises `CrosswalkError` for a question without a name or reason (not logged: nothing was looked for),
    `UnknownPseudonym`, and what the vault, the warehouse and the log's bucket raise.
    """
    check_words(question.by, question.reason)
    # Something else may be an original that was typed by mistake; it is not kept.
    kind = next((kind for kind, form in FORMS.items() if re.fullmatch(form, question.pseudonym)), None)
    asked = question.pseudonym if kind else "(not a pseudonym)"
    use = Use("reidentify", hospital.id, asked, "failed", question.by, question.reason, recipient=question.recipient)
    log = resources.way_back_log
    try:
        found = _found(resources, hospital, question, kind) if kind else ()
    except Exception as error:
        record(log, replace(use, failure=type(error).__name__))
        raise
    versions = tuple(sorted({entry.key_version for entry in found}))
    record(log, replace(use, outcome="found" if found else "unknown", key_versions=versions))
    if not found:
        where = f"hospital '{hospital.id}'"
        if question.recipient:
            where = f"recipient '{question.recipient}' for {where}"
        raise UnknownPseudonym(f"{asked} is unknown to {where}. The question was logged.")
    return found


def everything(resources: Resources, hospital: Hospital, *, by: str, reason: str) -> Iterator[Entry]:
    """All originals of a hospital under the key in use, for MIDI-B's mapping files.  Logged before the first one.

    Raises `CrosswalkError` also for a crosswalk that is not up to date: its files would lack what was sent since.
    """
    check_words(by, reason)
    use = Use("crosswalk", hospital.id, "(everything)", "failed", by, reason)
    try:
        keys = HospitalKeys.of(resources, hospital)
        _must_be_up_to_date(resources, keys)
    except Exception as error:
        record(resources.way_back_log, replace(use, failure=type(error).__name__))
        raise
    record(resources.way_back_log, replace(use, outcome="found", key_versions=(keys.number,)))
    return (entry for entry in opened(resources.warehouse, keys) if entry.key_version == keys.number)


def _found(resources: Resources, hospital: Hospital, question: Question, kind: Kind) -> tuple[Entry, ...]:
    keys = HospitalKeys.of(resources, hospital)
    if question.recipient:
        return _of_recipient(resources, keys, question, kind)
    parameters: dict[str, Any] = {"hospital_id": hospital.id, "pseudonym": question.pseudonym}
    rows = resources.warehouse.query(_ROWS_OF, parameters).to_pylist()
    return tuple(opened_row(keys, row) for row in rows)


def _of_recipient(resources: Resources, keys: HospitalKeys, question: Question, kind: Kind) -> tuple[Entry, ...]:
    name = f"recipient/{question.recipient}"
    recipients_key = resources.key(name)  # an unknown recipient has none
    versions = (recipients_key, *resources.former_keys(name))
    scopes = [Pseudonymizer(key, keys.hospital.id) for key in versions]
    found: dict[tuple[str, str], Entry] = {}
    for entry in opened(resources.warehouse, keys):
        if entry.original.kind != kind:
            continue
        for scope in scopes:
            if entry.original.pseudonym(scope) == question.pseudonym:
                owner_unsaid = replace(
                    entry,
                    pseudonym=question.pseudonym,
                    key_version=scope.key.version,
                    shift_days=entry.original.shift_days(scope),
                    current_pseudonym=None,
                )
                found.setdefault((entry.original.text, entry.original.without_id), owner_unsaid)
    return tuple(found.values())


def _must_be_up_to_date(resources: Resources, keys: HospitalKeys) -> None:
    warehouse, hospital_id = resources.warehouse, keys.hospital.id
    done = warehouse.tokens(CROSSWALK_SOURCES, hospital_id)
    present = {token for spec in (DICOM_METADATA, IDENTIFIED_REPORTS) for token in warehouse.tokens(spec, hospital_id)}
    sealed = {
        version
        for batch in warehouse.scan(CROSSWALK, hospital_id, columns=("sealed_with",))
        for version in batch["sealed_with"].to_pylist()
    }
    if not sealed or present - done or sealed != {keys.number}:
        raise CrosswalkError(
            f"The crosswalk of '{hospital_id}' is not up to date. Run `gradient run -H {hospital_id}` first. Nothing was "
            "written."
        )
