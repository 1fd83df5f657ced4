"""Report rows of a CSV file → OUT/reports.csv.

Belongs here: joining the second CSV by report id, the step that cleans one row, and the rows of the output.  Reading a CSV
and cleaning a text is `deid.text`'s business.  The file is read twice, first for its identifiers, so that no more than one
chunk of texts is in memory.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from gradient_assets.deid import text
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import EXPLANATIONS, Reason, Refused
from gradient_assets.deid.report import ReportCleaner
from gradient_assets.folder.crosswalk import CrosswalkRow
from gradient_assets.folder.exchange import OUTCOMES, REFUSALS, emitted, work_item
from gradient_assets.folder.patients import Belonging, Patients
from gradient_assets.folder.request import OUTPUT_COLUMNS, FolderError, ReportsRequest
from gradient_assets.hospitals import REPORT_ROLES, UndeclaredLanguage
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem

MRN = "mrn"
"""Another name for the column patient_id in the second CSV."""

_DELIMITERS = (",", ";", "\t", "|")
_LONGEST_HEADING_BYTES = 1024 * 1024


@dataclass
class CleanReports:
    """One report → its text without identifiers."""

    pseudonymizer: Pseudonymizer = field(repr=False)
    engine: text.TextEngine
    undeclared_language: UndeclaredLanguage = "pass"
    stage: str = "folder_reports"
    version: str = text.ENGINE_VERSION
    deadline_s: float = 60.0
    output = OUTCOMES
    refusals = REFUSALS
    made = None
    beside = ()

    def open(self) -> None:
        """Load rules and word lists."""
        self._cleaner = ReportCleaner(self.engine, undeclared_language=self.undeclared_language)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Clean the text, then search it for what is left."""
        known = KnownIdentifiers.from_dict(item["identifiers"])
        row = item["row"]
        person = self.pseudonymizer.person(row["patient_id"], fallback=row["fallback"])
        cleaned = self._cleaner.clean(row["text"], known, person)
        yield emitted(item, {"text": cleaned.text, "removed": cleaned.removed.total()})


@dataclass(repr=False)
class ReportSource:
    """The rows of the request's CSV files, in order and with everything that is known of their patients."""

    request: ReportsRequest
    identity: Pseudonymizer
    rows: int = 0
    _beside: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def gather(self, patients: Patients) -> None:
        """First reading: count the rows and take in what they identify.  Raises `FolderError` if a file can't be used."""
        if self.request.identifiers is not None:
            for values in _identifier_rows(self.request):
                self._beside[values["report_id"].strip()].append(values)
        for row in self._read():
            self.rows += 1
            if isinstance(row, text.ReportRow):
                patients.add(self._belonging(row), self._own(row))
        # Rows about reports that are not in the file still say something of the patient.
        for several in self._beside.values():
            for values in several:
                found = text.identifiers_of_columns(values, date_order=self.request.date_order)
                patients.add(_belonging_of_columns(values), found)

    def items(self, patients: Patients, on_refused: Callable[[text.RefusedRow], None]) -> Iterator[WorkItem]:
        """Second reading: an item for each row that can be read; the others go to `on_refused`, and so does a second row of
        one report id: both would bear the same pseudonym."""
        taken: set[str] = set()
        for row in self._read():
            if isinstance(row, text.ReportRow):
                report_id = row.values["report_id"].strip()
                if report_id in taken:
                    row = text.RefusedRow(row.row_number, Reason.DUPLICATE_REPORT)
                taken.add(report_id)
            if isinstance(row, text.RefusedRow):
                on_refused(row)
                continue
            belonging = self._belonging(row)
            yield work_item(
                self.identity.token("report", str(row.row_number)),
                row.row_number,
                {
                    "text": row.text,
                    "report_id": row.values["report_id"],
                    "accession_number": belonging.accession_number,
                    "patient_id": patients.patient_id(belonging),
                    "fallback": belonging.study_uid or f"report {row.values['report_id']}",
                },
                patients.of(belonging, self._own(row)).as_dict(),
            )

    def _read(self) -> Iterator[text.ReportRow | text.RefusedRow]:
        request = self.request
        layout = text.ReportLayout(request.columns, request.delimiter, request.encoding, request.date_order)
        with request.path.open("rb") as file:
            try:
                yield from text.read_reports(file, layout)
            except Refused as refused:
                raise FolderError(_told("--reports", refused)) from None

    def _belonging(self, row: text.ReportRow) -> Belonging:
        own = _belonging_of_columns(row.values)
        beside = [_belonging_of_columns(values) for values in self._of(row)]
        return Belonging(
            *(
                next((value for one in (own, *beside) if (value := getattr(one, name).strip())), "")
                for name in ("patient_id", "study_uid", "accession_number")
            )
        )

    def _own(self, row: text.ReportRow) -> KnownIdentifiers:
        order = self.request.date_order
        beside = (text.identifiers_of_columns(values, date_order=order) for values in self._of(row))
        return row.identifiers().merge(*beside)

    def _of(self, row: text.ReportRow) -> list[dict[str, str]]:
        return self._beside.get(row.values["report_id"].strip(), [])


@dataclass(repr=False)
class ReportsFile:
    """The output, row by row: pseudonyms and the cleaned text."""

    request: ReportsRequest
    identity: Pseudonymizer
    stream: TextIO

    def __post_init__(self) -> None:
        self._writer = csv.writer(self.stream, lineterminator="\n")
        self._writer.writerow([*OUTPUT_COLUMNS, self.request.columns["text"]])

    def add(self, report_id: str, accession_number: str, cleaned: str) -> None:
        """One report."""
        shown = report_id if self.request.keep_report_id else self.identity.identifier("report", report_id)
        accession = self.identity.accession(accession_number) if accession_number.strip() else ""
        self._writer.writerow([shown, accession, cleaned])


def quarantined_row(request: ReportsRequest, row_number: int, refused: Refused) -> CrosswalkRow:
    """The line in FILE of a report that was refused."""
    return CrosswalkRow(
        input_path=f"{request.path}#row {row_number}",
        status="quarantined",
        reason=refused.reason.value,
        detail=refused.detail,
    )


def _belonging_of_columns(values: Mapping[str, str]) -> Belonging:
    return Belonging(
        values.get("patient_id") or "", values.get("study_instance_uid") or "", values.get("accession_number") or ""
    )


def _identifier_rows(request: ReportsRequest) -> Iterator[dict[str, str]]:
    """Rows of the second CSV by role.  A row that can't be read ends the run: its patient's names would be unknown."""
    assert request.identifiers is not None, "the caller has asked"
    for columns in _identifier_columns(request):
        # The reader wants a text; the report id stands in for it and is not looked at.
        layout = text.ReportLayout(
            {**columns, "text": columns["report_id"]}, request.delimiter, request.encoding, request.date_order
        )
        with request.identifiers.open("rb") as file:
            try:
                for row in text.read_reports(file, layout):
                    if isinstance(row, text.RefusedRow):
                        raise FolderError(f"--identifiers: row {row.row_number}: {EXPLANATIONS[row.reason].meaning}")
                    yield {role: value for role, value in row.values.items() if role != "text"}
            except Refused as refused:
                raise FolderError(_told("--identifiers", refused)) from None


def _identifier_columns(request: ReportsRequest) -> Iterator[dict[str, str]]:
    """Role → column, as far as the first line has them; once more for `mrn` if there is a patient id beside it."""
    assert request.identifiers is not None, "the caller has asked"
    encoding = "utf-8-sig" if request.encoding.lower() in ("auto", "utf-8", "utf8") else request.encoding
    with request.identifiers.open("rb") as file:
        first = file.readline(_LONGEST_HEADING_BYTES).decode(encoding, "replace")
    roles = [role for role in REPORT_ROLES if role != "text"]
    wanted = {*roles, MRN}
    delimiters = _DELIMITERS if request.delimiter == "auto" else (request.delimiter,)
    headings = max(
        (_headings(first, delimiter) for delimiter in delimiters), key=lambda found: len(wanted & set(found))
    )
    columns = {role: role for role in roles if role in headings}
    if "report_id" not in columns:
        raise FolderError("--identifiers: the column report_id is missing in the first line")
    with_mrn = {"report_id": "report_id", "patient_id": MRN}
    if MRN in headings and "patient_id" not in columns:
        yield {**columns, **with_mrn}
        return
    yield columns
    if MRN in headings:
        yield with_mrn


def _headings(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(line), delimiter=delimiter), [])]
    except csv.Error:
        return []


def _told(option: str, refused: Refused) -> str:
    if refused.reason is Reason.MISSING_COLUMN:
        return f"{option}: {refused.detail}"
    detail = f" ({refused.detail})" if refused.detail else ""
    return f"{option}: {EXPLANATIONS[refused.reason].meaning.rstrip('.')}{detail}"
