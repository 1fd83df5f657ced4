"""The order of it all: check, gather, clean, deliver, write FILE.

Belongs here: which step comes when and what is counted.  FILE is put in its place last, and is on disk before OUT changes:
a full disk leaves both as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from gradient_assets.deid import pixels
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, read_key_file
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import TextEngine
from gradient_assets.folder import images, reports
from gradient_assets.folder.crosswalk import CrosswalkRow, crosswalk_bytes, written_beside
from gradient_assets.folder.delivery import Delivery, private_folder
from gradient_assets.folder.exchange import Exchange, Outcome
from gradient_assets.folder.patients import Patients
from gradient_assets.folder.request import FolderError, FolderRequest, ReportsRequest
from gradient_assets.folder.walking import InputFile, walk

SCOPE = "folder"
"""All folders of one key share pseudonyms, so that a patient who comes again is the same."""

OnDone = Callable[[str, int, int], None]
"""Called with what is being done, how many items of it were finished just now, and how many there are in all."""


@dataclass
class Summary:
    """Counts of one run; nothing in it identifies anybody."""

    files: int = 0
    delivered: int = 0
    reports: int = 0
    reports_delivered: int = 0
    quarantined: Counter[Reason] = field(default_factory=Counter)
    elements_removed: int = 0
    elements_changed: int = 0
    identifiers_removed: int = 0
    boxes: int = 0
    objects_with_boxes: int = 0

    def add_object(self, record: Mapping[str, Any]) -> None:
        """Count a delivered object."""
        self.delivered += 1
        self.elements_removed += record["elements_removed"]
        self.elements_changed += record["elements_changed"]
        self.identifiers_removed += record["identifiers_removed"]
        self.boxes += record["boxes"]
        self.objects_with_boxes += bool(record["boxes"])


class FolderJob:
    """One run of the folder tool."""

    def __init__(
        self,
        request: FolderRequest,
        *,
        finder: pixels.TextFinder | None = None,
        second: pixels.TextFinder | None = None,
        on_done: OnDone = lambda what, done, total: None,
    ) -> None:
        self.request = request
        self.summary = Summary()
        self._finder = finder
        self._second = second
        self._on_done = on_done
        self._delivery = Delivery(request.out)
        self._rows: list[CrosswalkRow] = []
        self._patients = Patients()

    def run(self) -> Summary:
        """Do all of it.

        Raises `FolderError`, `KeyFileError` or `ProfileError` before anything is written when something asked for can't be
        used, `PoolError` when workers can't start, `MissingWeightsError` when a model is not installed.
        """
        request = self.request
        request.check()
        self._delivery.check()
        identity = Pseudonymizer(read_key_file(request.key_file), scope=SCOPE)
        profile = Profile.of(request.profile)
        finder = self._finder or pixels.RapidTextFinder()
        files = walk(request.source, [path for _, path in request.identified_files()] + [request.crosswalk])
        source = reports.ReportSource(request.reports, identity) if request.reports else None
        if source is not None:
            source.gather(self._patients)
        elif not files:
            raise FolderError("IN holds no file, and no --reports are given; there is nothing to do")
        self.summary.files = len(files)
        with ExitStack() as stack:
            records = stack.enter_context(private_folder(request.crosswalk))
            stack.enter_context(self._delivery.opened())
            exchange = Exchange(records, self._delivery.objects, request.jobs)
            gathered = self._gather(files, exchange, identity, profile)
            text = text_engine(request.reports, profile)
            step = images.CleanFiles(str(request.source), profile, identity, finder, text, self._second)
            self._clean(files, gathered, exchange, step)
            if source is not None:
                self._clean_reports(source, exchange, text, identity)
            with written_beside(request.crosswalk, crosswalk_bytes(self._rows)) as put_in_place:
                self._delivery.exchange()
                put_in_place()
        return self.summary

    def _gather(
        self, files: list[InputFile], exchange: Exchange, identity: Pseudonymizer, profile: Profile
    ) -> dict[int, Outcome]:
        """First pass: number of the file → what its header says, or why it is refused."""
        readable = sum(file.refused is None for file in files)
        gathered: dict[int, Outcome] = {
            file.number: Outcome(refused=file.refused) for file in files if file.refused is not None
        }
        step = images.GatherHeaders(str(self.request.source), profile)
        done = self._counter("reading headers", readable)
        for item, outcome in exchange.run(step, images.header_items(files, identity), done):
            record = outcome.record
            if record:
                found = KnownIdentifiers.from_dict(record.pop("identifiers"))
                self._patients.add(images.belonging_of(record), found)
            if "refused" in record:
                reason, detail = record.pop("refused")
                outcome = Outcome(record, Refused(Reason(reason), detail))
            gathered[int(item["object_key"])] = outcome
        return gathered

    def _clean(
        self, files: list[InputFile], gathered: dict[int, Outcome], exchange: Exchange, step: images.CleanFiles
    ) -> None:
        """Second pass: each file, in order, into OUT or into the quarantine's list."""
        admitted = sum(outcome.refused is None for outcome in gathered.values())
        items = images.cleaning_items(files, gathered, self._patients, step.pseudonymizer)
        cleaned = exchange.run(step, items, self._counter("cleaning images", admitted))
        for file in files:
            header = gathered[file.number]
            refused, record = header.refused, dict[str, Any]()
            if refused is None:
                item, outcome = next(cleaned)
                refused, record = outcome.refused, outcome.record
            if refused is not None:
                self._quarantine(images.quarantined_row(file, header.record, refused), refused)
                continue
            place = self._delivery.take(images.object_name(item["work_token"]), record["key"], record["new"][0])
            self._rows.append(images.delivered_row(file, header.record, record, place))
            self.summary.add_object(record)
        for _ in cleaned:  # lets the pool go; there is nothing left
            raise AssertionError("more outcomes than files")

    def _clean_reports(
        self, source: reports.ReportSource, exchange: Exchange, text: TextEngine, identity: Pseudonymizer
    ) -> None:
        """Each row of the CSV, in order, into OUT/reports.csv or into the quarantine's list."""
        request = source.request
        self.summary.reports = source.rows
        refusals: dict[int, Refused] = {}
        step = reports.CleanReports(identity, text, request.undeclared_language)
        done = self._counter("cleaning reports", source.rows)

        def note(row_number: int, reason: Reason, detail: str) -> None:
            refusals[row_number] = Refused(reason, detail)
            done(1)

        items = source.items(self._patients, lambda row: note(row.row_number, row.reason, row.detail))
        with open(self._delivery.reports, "x", encoding="utf-8", newline="") as stream:
            output = reports.ReportsFile(request, identity, stream)
            for item, outcome in exchange.run(step, items, done):
                if outcome.refused is not None:
                    refusals[int(item["object_key"])] = outcome.refused
                    continue
                row = item["row"]
                output.add(row["report_id"], row["accession_number"], outcome.record["text"])
                self.summary.reports_delivered += 1
                self.summary.identifiers_removed += outcome.record["removed"]
        for row_number, refused in sorted(refusals.items()):
            self._quarantine(reports.quarantined_row(request, row_number, refused), refused)

    def _quarantine(self, row: CrosswalkRow, refused: Refused) -> None:
        self._rows.append(row)
        self.summary.quarantined[refused.reason] += 1

    def _counter(self, what: str, total: int) -> Callable[[int], None]:
        return lambda done: self._on_done(what, done, total)


def text_engine(request: ReportsRequest | None, profile: Profile) -> TextEngine:
    """One engine for the descriptions in headers and for reports, so that a name gets the same surrogate in both."""
    if request is None:
        return TextEngine(dates=profile.dates)
    return TextEngine(
        replace=request.replace, dates=profile.dates, language=request.language, date_order=request.date_order
    )
