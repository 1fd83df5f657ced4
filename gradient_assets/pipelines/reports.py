"""Reports: CSV files → `identified_reports` → `deidentified_reports`.

Belongs here: the two steps, and the rows they make.  How a file is read and a text is cleaned is `deid.text`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gradient_assets import boundary
from gradient_assets.deid import text
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person, Pseudonymizer
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.report import ReportCleaner
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.metadata import as_date, date_under, reading, refuse_leaks
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem
from gradient_assets.pipelines.texts import report_layout, text_engine
from gradient_assets.tables import (
    DEIDENTIFIED_REPORTS,
    IDENTIFIED_REPORTS,
    MADE_DEIDENTIFIED_REPORTS,
    MADE_IDENTIFIED_REPORTS,
    REFUSED_DEIDENTIFIED_REPORTS,
    REFUSED_IDENTIFIED_REPORTS,
    REPORT_FILES,
)
from gradient_assets.withdrawals.tombstones import Tombstones
from resources.buckets.object_store import Bucket

SURROGATE_DRAWS = 4
"""How often surrogates are drawn before tags take their place; names are invented, so it is numbers that may hit a real one."""

COUNTED = "+counted"
"""Part of the reader's version: files that were read before their records were counted are read again."""


@dataclass
class ReadReports:
    """One CSV file → its rows in the registry's roles; a bad row is refused by its number, the rest goes on.

    Beside them stands how many records the file has, by the number of its last one: what no row and no refusal has is missed.
    """

    hospital: Hospital
    bucket: Bucket
    withdrawn: Tombstones = field(default_factory=Tombstones, repr=False)
    stage: str = "identified_reports"
    version: str = f"reports-{text.ENGINE_VERSION}{COUNTED}"
    deadline_s: float = 1800.0
    output = IDENTIFIED_REPORTS
    refusals = REFUSED_IDENTIFIED_REPORTS
    made = MADE_IDENTIFIED_REPORTS
    beside = (REPORT_FILES,)

    def open(self) -> None:
        """Nothing to load; a slow store fails before the step's time is over (`metadata.ReadHeaders`)."""
        self.bucket = self.bucket.within(self.deadline_s)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Read the file row by row."""
        if item["size"] == 0:
            raise Refused(Reason.EMPTY_OBJECT)
        layout = report_layout(self.hospital)
        records = 0
        with reading():
            source = self.bucket.open(item["object_key"], item["size"], etag=item["etag"])
            for row in text.read_reports(source, layout):
                records = row.row_number
                if isinstance(row, text.RefusedRow):
                    yield RefusedRecord(row.row_number, row.reason, row.detail)
                    continue
                made = self._row(item, row)
                if self.withdrawn.covers_report(made):
                    yield RefusedRecord(row.row_number, Reason.WITHDRAWN)
                else:
                    yield Emitted(made)
        if not records:
            raise Refused(Reason.EMPTY_OBJECT, "a heading and no records")
        counted = {
            "hospital_id": self.hospital.id,
            "hospital_number": self.hospital.number,
            "work_token": item["work_token"],
            "records": records,
        }
        yield Emitted(counted, into=REPORT_FILES)

    def _row(self, item: WorkItem, row: text.ReportRow) -> dict[str, object]:
        def value(role: str) -> str | None:
            return row.values.get(role) or None

        return {
            "hospital_id": self.hospital.id,
            "hospital_number": self.hospital.number,
            "work_token": item["work_token"],
            "object_key": item["object_key"],
            "etag": item["etag"],
            "size": item["size"],
            "row_number": row.row_number,
            "report_id": row.values["report_id"],
            **{
                role: value(role)
                for role in (
                    "accession_number",
                    "study_instance_uid",
                    "patient_id",
                    "patient_name",
                    "referring_physician_name",
                    "reading_physician_name",
                    "institution_name",
                    "patient_address",
                    "patient_phone",
                )
            },
            # A birth date that can't be read stays as it is, so that it is at least searched for verbatim.
            "patient_birth_date": self._day(value("patient_birth_date")) or value("patient_birth_date"),
            "study_date": self._day(value("study_date")),
            "report_text": row.values["text"],
            "engine_version": self.version,
        }

    def _day(self, value: str | None) -> str | None:
        language = self.hospital.reports.language
        day = text.parse_date(value, order=self.hospital.date_order, language=language) if value else None
        return f"{day:%Y%m%d}" if day else None


@dataclass
class CleanReports:
    """One row of `identified_reports` → one row of `deidentified_reports`."""

    hospital: Hospital
    profile: Profile
    pseudonymizer: Pseudonymizer = field(repr=False)
    stage: str = "deidentified_reports"
    version: str = text.ENGINE_VERSION
    deadline_s: float = 60.0
    output = DEIDENTIFIED_REPORTS
    refusals = REFUSED_DEIDENTIFIED_REPORTS
    made = MADE_DEIDENTIFIED_REPORTS
    beside = ()

    def open(self) -> None:
        """Load the rules and word lists."""
        settings = self.hospital.reports
        engine = text_engine(self.hospital, self.profile)
        self._cleaner = ReportCleaner(engine, undeclared_language=settings.undeclared_language)

    def meet(self, everyone: Iterable[KnownIdentifiers]) -> None:
        """Get ready to find any patient of the hospital in any row."""
        self._everyone = IdentifierIndex.build(everyone)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Clean the text, search it for what is left, and build the row that crosses."""
        row = item["row"]
        known = KnownIdentifiers.from_dict(item["identifiers"])
        fallback = row["study_instance_uid"] or f"report {row['report_id']}"
        person = self.pseudonymizer.person(row["patient_id"] or "", fallback=fallback)
        accepted = item.get("accepted")
        cleaned = self._cleaner.clean(row["report_text"], known, person, accepted=accepted)
        crossing = self._crossing(item, person, cleaned)
        for replace, draw in self._other_draws():
            if not self._names_somebody(crossing):
                break
            cleaned = self._cleaner.clean(
                row["report_text"], known, person, replace=replace, draw=draw, accepted=accepted
            )
            crossing = self._crossing(item, person, cleaned)
        refuse_leaks(self._everyone, crossing, accepted)
        yield Emitted(crossing)

    def _other_draws(self) -> Iterator[tuple[text.Replacement, int]]:
        """What to try when a surrogate is by chance another patient's identifier: the next ones, then tags."""
        if self.hospital.reports.replacement == "surrogates":
            yield from (("surrogates", draw) for draw in range(1, SURROGATE_DRAWS))
            yield "tags", 0

    def _names_somebody(self, crossing: boundary.Crossing) -> bool:
        try:
            refuse_leaks(self._everyone, crossing)
        except Refused:
            return True
        return False

    def _crossing(self, item: WorkItem, person: Person, cleaned: text.CleanedText) -> boundary.Crossing:
        row, identity = item["row"], self.pseudonymizer
        patient_id = row["patient_id"] or ""
        accession, study = row["accession_number"], row["study_instance_uid"]
        candidate = row.get("candidate_study_instance_uid")
        return boundary.cross(
            DEIDENTIFIED_REPORTS,
            {
                "hospital_id": self.hospital.id,
                "hospital_number": self.hospital.number,
                "work_token": item["work_token"],
                "report_pseudonym": identity.identifier("report", row["report_id"]),
                "accession_pseudonym": identity.accession(accession) if accession else None,
                "study_instance_uid": identity.uid(study) if study else None,
                "patient_pseudonym": identity.patient(patient_id) if patient_id else None,
                "candidate_study_instance_uid": identity.uid(candidate) if candidate else None,
                "study_date": date_under(self.profile, as_date(row["study_date"]), person.shift_days),
                "report_text": cleaned.text,
                "identifiers_removed": cleaned.removed.total(),
                "profile": self.profile.name,
                "engine_version": text.ENGINE_VERSION,
            },
        )
