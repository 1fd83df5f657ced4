"""Why an object was refused: the one table of reason codes, and the exception that carries one.

Belongs here: every code with its plain explanation and what to do about it.  A stage that can't clean an object, or can't
prove it clean, raises `Refused` with a code of this table; the stage's runner turns it into a row of the quarantine.
Explanations and details never hold a value of the object: counts, tags, types and engine names only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """A fixed code; its meaning stands in `EXPLANATIONS`."""

    # reading
    EMPTY_OBJECT = "empty_object"
    NOT_DICOM = "not_dicom"
    UNREADABLE_HEADER = "unreadable_header"
    TRUNCATED = "truncated"
    HEADER_TOO_LARGE = "header_too_large"
    NESTED_TOO_DEEP = "nested_too_deep"
    OBJECT_VANISHED = "object_vanished"
    STORE_UNAVAILABLE = "store_unavailable"
    UNREADABLE_FILE = "unreadable_file"
    # admission
    MISSING_IDENTITY = "missing_identity"
    DUPLICATE_SOP_INSTANCE = "duplicate_sop_instance"
    SOP_CLASS_NOT_ADMITTED = "sop_class_not_admitted"
    DICOMDIR = "dicomdir"
    ENCAPSULATED_DOCUMENT = "encapsulated_document"
    SCANNED_FORM = "scanned_form"
    # headers
    HEADER_ENGINE_FAILED = "header_engine_failed"
    UNKNOWN_CHARACTER_SET = "unknown_character_set"
    # pixels
    UNDECODABLE_PIXELS = "undecodable_pixels"
    PIXELS_TOO_LARGE = "pixels_too_large"
    PIXEL_GEOMETRY = "pixel_geometry"
    PIXEL_ENGINE_FAILED = "pixel_engine_failed"
    REDACTION_FAILED = "redaction_failed"
    REJECTED_IN_REVIEW = "rejected_in_review"
    # reports
    MALFORMED_ROW = "malformed_row"
    MISSING_COLUMN = "missing_column"
    UNDECODABLE_TEXT = "undecodable_text"
    EMPTY_REPORT = "empty_report"
    REPORT_TOO_LARGE = "report_too_large"
    DUPLICATE_REPORT = "duplicate_report"
    TEXT_ENGINE_FAILED = "text_engine_failed"
    UNDECLARED_LANGUAGE = "undeclared_language"
    # proof
    RESIDUAL_IDENTIFIER = "residual_identifier"
    RESIDUAL_TEXT_IN_PIXELS = "residual_text_in_pixels"
    BOUNDARY_REFUSED = "boundary_refused"
    FOUND_BY_VERIFICATION = "found_by_verification"
    # running
    TIMED_OUT = "timed_out"
    WORKER_DIED = "worker_died"
    INTERNAL_ERROR = "internal_error"
    # withdrawal
    WITHDRAWN = "withdrawn"
    # releases
    ORIGINAL_GONE = "original_gone"
    # pixels, what their header says of them
    DECLARED_TEXT_NOT_FOUND = "declared_text_not_found"
    TRIAGE_MISSED_TEXT = "triage_missed_text"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means, and what a person does about it."""

    meaning: str
    remedy: str


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.EMPTY_OBJECT: Explanation("The object has no bytes.", "Ask the hospital to send it again."),
    Reason.NOT_DICOM: Explanation(
        "The object is no DICOM file: neither the DICM prefix nor a readable data set was found.",
        "Remove it from the bucket; if it is DICOM, ask the hospital to send it again.",
    ),
    Reason.UNREADABLE_HEADER: Explanation(
        "The data set breaks off or contradicts itself before the pixel data.", "Ask the hospital to send it again."
    ),
    Reason.TRUNCATED: Explanation(
        "The object ends before the length that its own elements declare.", "Ask the hospital to send it again."
    ),
    Reason.HEADER_TOO_LARGE: Explanation(
        "The header without bulk data exceeds the limit set for one object.",
        "Look at the object inside the hospital; report it if it is genuine.",
    ),
    Reason.NESTED_TOO_DEEP: Explanation(
        "Sequences are nested deeper than any genuine object.", "Look at the object inside the hospital."
    ),
    Reason.OBJECT_VANISHED: Explanation(
        "The object was listed, but gone or replaced by another one when it was read.",
        "Nothing: the next run sees the new listing.",
    ),
    Reason.STORE_UNAVAILABLE: Explanation(
        "The bucket did not deliver the object within the deadline.",
        "Check the bucket with `gradient doctor`, run again.",
    ),
    Reason.UNREADABLE_FILE: Explanation(
        "The file can't be read: no permission, a link that leads out of the folder or nowhere, or no regular file.",
        "Give read permission, or put the file itself into the folder.",
    ),
    Reason.MISSING_IDENTITY: Explanation(
        "The SOP Instance UID or SOP Class UID is missing, so that the object can't be named or judged.",
        "Ask the hospital to export it with its UIDs.",
    ),
    Reason.DUPLICATE_SOP_INSTANCE: Explanation(
        "Another object of this hospital carries the same SOP Instance UID; the first by object key was taken.",
        "Remove the copy that is not wanted; the next run takes the one that stays.",
    ),
    Reason.SOP_CLASS_NOT_ADMITTED: Explanation(
        "Objects of this SOP Class can't be cleaned, or nobody has said how.", "See the SOP Class policy in the docs."
    ),
    Reason.DICOMDIR: Explanation(
        "A DICOMDIR repeats the identifiers of all files it lists.",
        "Nothing: the files it lists are read by themselves.",
    ),
    Reason.ENCAPSULATED_DOCUMENT: Explanation(
        "The object wraps a document (PDF, CDA, STL) that is not cleaned.",
        "Send the document's text as a report; a PDF's pages can be had as pictures with `gradient deidentify` and a profile "
        "file that says `encapsulated_documents: images`.",
    ),
    Reason.SCANNED_FORM: Explanation(
        "The object is a scanned form or photographed document.", "Send the text as a report, or have it reviewed."
    ),
    Reason.HEADER_ENGINE_FAILED: Explanation(
        "The header engine met something it does not know and stopped.",
        "Report it with the pseudonym; retry after an upgrade.",
    ),
    Reason.UNKNOWN_CHARACTER_SET: Explanation(
        "The declared Specific Character Set is unknown, or the text does not fit it.",
        "Ask the hospital to declare it.",
    ),
    Reason.UNDECODABLE_PIXELS: Explanation(
        "The pixel data can't be decoded, so that nobody can say what it shows.", "Ask the hospital to send it again."
    ),
    Reason.PIXELS_TOO_LARGE: Explanation(
        "Rows × Columns × Frames exceeds the limit set for one object.",
        "Look at the object inside the hospital; report it if it is genuine.",
    ),
    Reason.PIXEL_GEOMETRY: Explanation(
        "The pixel attributes are missing or contradict the pixel data.", "Ask the hospital to send it again."
    ),
    Reason.PIXEL_ENGINE_FAILED: Explanation(
        "The text detector failed on a frame or an overlay.", "Retry; report it with the pseudonym if it stays."
    ),
    Reason.REDACTION_FAILED: Explanation(
        "A box was found but could not be filled, or the filled image could not be encoded.",
        "Report it with the pseudonym.",
    ),
    Reason.REJECTED_IN_REVIEW: Explanation(
        "A person looked at the redacted picture and decided that it must not go on.",
        "Nothing; to take it back, open `gradient review` again and decide otherwise.",
    ),
    Reason.MALFORMED_ROW: Explanation(
        "The row has another number of fields than the header, or its quoting is broken.", "Mend the row in the export."
    ),
    Reason.MISSING_COLUMN: Explanation(
        "A column that is asked for is not in the file.", "Mend `report_columns` in the registry or the export."
    ),
    Reason.UNDECODABLE_TEXT: Explanation(
        "The bytes do not fit the declared encoding.",
        "Mend the declared encoding (`encoding` in the registry) or the export.",
    ),
    Reason.EMPTY_REPORT: Explanation("The report has no text or no id.", "Mend the row in the export."),
    Reason.REPORT_TOO_LARGE: Explanation(
        "The report's text exceeds the limit set for one report.", "Look at the row inside the hospital."
    ),
    Reason.DUPLICATE_REPORT: Explanation(
        "Another row of this hospital carries the same report id; the first by file and row was taken.",
        "Remove the row not wanted.",
    ),
    Reason.TEXT_ENGINE_FAILED: Explanation(
        "A rule or detector of the report engine failed.", "Retry; report it with the pseudonym if it stays."
    ),
    Reason.UNDECLARED_LANGUAGE: Explanation(
        "The report looks like another language than the one that is declared.",
        "Declare its language (`reports.language` in the registry, `--language`), or let such reports pass.",
    ),
    Reason.RESIDUAL_IDENTIFIER: Explanation(
        "After cleaning, an identifier of the same patient was still found by the independent search.",
        "Report it with the pseudonym: an engine missed something. The object was not passed on.",
    ),
    Reason.RESIDUAL_TEXT_IN_PIXELS: Explanation(
        "After redaction, a second look still found text in the picture.", "Review the object; it was not passed on."
    ),
    Reason.BOUNDARY_REFUSED: Explanation(
        "A record did not fit the allow-list of what may cross the boundary.",
        "Report it: a column or value is not listed.",
    ),
    Reason.FOUND_BY_VERIFICATION: Explanation(
        "After it was written, the independent verification found something in it: an identifier known or by its look, a "
        "breach of the profile, or text in the pixels. Row and object were taken out again.",
        "Look at it inside the hospital. An engine missed something: report kind and place. A false alarm may be accepted.",
    ),
    Reason.TIMED_OUT: Explanation(
        "The object took longer than its deadline.", "Run again; report it with the pseudonym if it stays."
    ),
    Reason.WORKER_DIED: Explanation(
        "The worker process died on this object (native crash or out of memory).", "Look at it inside the hospital."
    ),
    Reason.INTERNAL_ERROR: Explanation(
        "An error nobody foresaw. Its text stays inside the identified zone.",
        "Report it with the pseudonym; `gradient diagnostics show` opens the text of the id in its detail.",
    ),
    Reason.WITHDRAWN: Explanation(
        "The patient was withdrawn; nothing of the object is kept but its pseudonym.",
        "Nothing here: counted as withdrawn, not as quarantined. Ask the hospital to delete the object in its own bucket.",
    ),
    Reason.ORIGINAL_GONE: Explanation(
        "`prod` has the instance, but its original is no longer in the hospital's table: the hospital deleted or replaced it.",
        "Run the hospital again, so that `prod` follows, then `gradient release` again.",
    ),
    Reason.DECLARED_TEXT_NOT_FOUND: Explanation(
        "Burned In Annotation (0028,0301) is YES: whoever made the picture says that text in it names the patient. No finder "
        "found any, so that nothing was blacked out.",
        "Look at the object inside the hospital. If it shows no text, accept the risk; if it does, let it be.",
    ),
    Reason.TRIAGE_MISSED_TEXT: Explanation(
        "Triage would have skipped the object. It was drawn into the audit sample, text was found in it, and could not be "
        "blacked out; the detail says why not. It counts as a miss in `triage_missed_nothing`.",
        "Set `pixels.triage: false` for this hospital and run again; the object is then judged as any other.",
    ),
}


class Refused(Exception):  # noqa: N818  a refusal is an outcome with a code, not an error in the program
    """An object can't be cleaned, or can't be proved clean: quarantine it.

    `detail` is shown to people outside the identified zone: tags, types and counts, never a value.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Refused], tuple[Reason, str]]:
        return (Refused, (self.reason, self.detail))


ACCEPTABLE: frozenset[Reason] = frozenset(
    {
        Reason.RESIDUAL_IDENTIFIER,
        Reason.RESIDUAL_TEXT_IN_PIXELS,
        Reason.FOUND_BY_VERIFICATION,
        Reason.DECLARED_TEXT_NOT_FOUND,
    }
)
"""What a search says it found in a cleaned object, or a header says of its picture.  Both can be wrong, and a person can see
that they are: such a finding may be accepted as a risk.  What can't be read, can't be cleaned or is not admitted stays
quarantined whatever a person says."""

Accepted = Mapping[str, Collection[str]]
"""Findings that a person has accepted for one object: reason code → the details it was refused with."""


def unless_accepted(refused: Refused, accepted: Accepted | None) -> None:
    """Raise the refusal, unless this very finding was accepted: the same code with the same detail.

    One hit more, or one of another kind, is another detail.  A code that is not in `ACCEPTABLE` is raised always.
    """
    if refused.reason not in ACCEPTABLE or refused.detail not in (accepted or {}).get(refused.reason.value, ()):
        raise refused
