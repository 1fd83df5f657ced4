"""Tables, read back: known identifiers, patterns of unknown ones, dates, the profile.

Belongs here: going over the rows of one partition.  Known identifiers are searched a batch and a column at a time, which is
one pass over the text; only a batch with a hit is searched again row by row, for the row it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gradient_assets.deid.verify import Hit, IdentifierIndex, suspicions_in_text
from gradient_assets.deid.verify.levels import level_of_json
from gradient_assets.deid.verify.patterns import (
    Verdict,
    breaks_date_promise,
    unknown_in_header,
    unknown_in_report,
)
from gradient_assets.deid.verify.profile import Promise, profile_breaches
from gradient_assets.tables import DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS, MADE_DEIDENTIFIED_METADATA, TableSpec
from gradient_assets.verification.found import Found
from gradient_assets.verification.originals import groups, origins, study_date_bounds, study_dates_of_reports
from resources.warehouses.warehouse import Warehouse

SpareInRow = Callable[[dict[str, Any], list[str]], frozenset[str]]
"""Which of the kinds that were found in a row somebody accepted there."""


def known_in_table(
    found: Found, index: IdentifierIndex, warehouse: Warehouse, spec: TableSpec, partition: str, spare: SpareInRow
) -> None:
    """Search every value of a table's partition for every identifier known."""
    for batch in warehouse.scan(spec, partition):
        columns = {name: batch[name].to_pylist() for name in batch.schema.names}
        if any(index.search_column(name, values) for name, values in columns.items()):
            for row in batch.to_pylist():
                _search_row(found, index, row, spare)
        else:
            found.searched += batch.num_rows
        for text in columns.get("report_text", ()):
            found.doubtful.update(suspicions_in_text(text or ""))


def _search_row(found: Found, index: IdentifierIndex, row: dict[str, Any], spare: SpareInRow) -> None:
    found.judge(lambda: index.search_record(row), row.get("work_token", ""), spare=partial(spare, row))


def unknown_in_headers(
    found: Found, warehouse: Warehouse, hospital_id: str, promise: Promise, spare: SpareInRow
) -> None:
    """Patterns in each text of each written header, and the column of dates."""
    bounds = study_date_bounds(warehouse, hospital_id)
    columns = ("work_token", "sop_instance_uid", "header_json", "study_date")
    for row in _rows(warehouse, DEIDENTIFIED_METADATA, hospital_id, columns):

        def judge(row: dict[str, Any] = row) -> Iterator[Hit]:
            yield from breaks_date_promise(row["study_date"], promise, bounds, "study_date")
            yield from _sure(found, unknown_in_header(level_of_json(row["header_json"]), promise))

        found.judge(judge, row["work_token"], spare=partial(spare, row))


def unknown_in_reports(
    found: Found, warehouse: Warehouse, hospital_id: str, promise: Promise, spare: SpareInRow, *, surrogates: bool
) -> None:
    """Patterns in each cleaned report, and the column of dates."""
    bounds = study_date_bounds(warehouse, hospital_id)
    sent = study_dates_of_reports(warehouse, hospital_id) if promise.dates == "shift" else {}
    for row in _rows(warehouse, DEIDENTIFIED_REPORTS, hospital_id, ("work_token", "report_text", "study_date")):

        def judge(row: dict[str, Any] = row) -> Iterator[Hit]:
            yield from breaks_date_promise(row["study_date"], promise, bounds, "study_date")
            if row["study_date"] is not None and row["study_date"] == sent.get(row["work_token"]):
                yield Hit("date_not_moved", "study_date", "profile")
            yield from _sure(found, unknown_in_report(row["report_text"], promise, surrogates=surrogates))

        found.judge(judge, row["work_token"], spare=partial(spare, row))


def profile_of_headers(
    found: Found, warehouse: Warehouse, hospital_id: str, promise: Promise, spare: SpareInRow
) -> None:
    """Each written header beside its original.  A row whose original is not there is a finding."""
    keys = {row["work_token"]: row["object_key"] for row in origins(warehouse, MADE_DEIDENTIFIED_METADATA, hospital_id)}
    seen: set[str] = set()
    for group in groups(warehouse, hospital_id, keys):
        for row in _rows(
            warehouse, DEIDENTIFIED_METADATA, hospital_id, ("work_token", "sop_instance_uid", "header_json")
        ):
            token = row["work_token"]
            if token in seen or not (token in group or token not in keys):
                continue
            seen.add(token)

            def judge(row: dict[str, Any] = row) -> list[Hit]:
                original = group.of(row["work_token"])  # noqa: B023  judged before the next group is read
                return profile_breaches(level_of_json(row["header_json"]), original, promise)

            found.judge(judge, token, spare=partial(spare, row))


def _sure(found: Found, verdict: Verdict) -> tuple[Hit, ...]:
    found.doubtful.update(verdict.doubtful)
    return verdict.sure


def _rows(warehouse: Warehouse, spec: TableSpec, partition: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for batch in warehouse.scan(spec, partition, columns=columns):
        yield from batch.to_pylist()
