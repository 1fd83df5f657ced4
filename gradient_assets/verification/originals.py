"""The headers as they were sent, beside what was made of them.

Belongs here: reading `dicom_metadata` for the work tokens of a stage, a bounded number of headers at a time.  The way from a
token to its object is the stage's table of origins.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from gradient_assets.deid.verify.levels import Level, level_of_json
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS, MADE_DEIDENTIFIED_REPORTS, TableSpec
from resources.warehouses.warehouse import Warehouse

AT_A_TIME = 50_000
"""Headers held at a time: 10 kB each and 1.5 kB packed, 75 MB."""


class Originals:
    """Headers of a group of work tokens, packed."""

    def __init__(self, warehouse: Warehouse, hospital_id: str, keys: Mapping[str, str]) -> None:
        """`keys`: work token → object key."""
        wanted = frozenset(keys.values())
        packed: dict[str, bytes] = {}
        for batch in warehouse.scan(DICOM_METADATA, hospital_id, columns=("object_key", "header_json")):
            for key, header in zip(batch["object_key"].to_pylist(), batch["header_json"].to_pylist(), strict=True):
                if key in wanted:
                    packed[key] = zlib.compress(header.encode("utf-8", "surrogatepass"), 1)
        self._packed, self._keys = packed, keys

    def __contains__(self, token: str) -> bool:
        return token in self._keys

    def of(self, token: str) -> Level | None:
        """The original header behind a token; None if it is not there any more."""
        packed = self._packed.get(self._keys.get(token, ""))
        return None if packed is None else level_of_json(zlib.decompress(packed).decode("utf-8", "surrogatepass"))


def origins(warehouse: Warehouse, made: TableSpec, partition: str) -> Iterator[dict[str, str]]:
    """Token, hospital, object key and objects of each row of origin."""
    columns = ("work_token", "hospital_id", "object_key", "objects_json")
    for batch in warehouse.scan(made, partition, columns=columns):
        yield from batch.to_pylist()


def groups(warehouse: Warehouse, hospital_id: str, keys: Mapping[str, str]) -> Iterator[Originals]:
    """All originals of a hospital, `AT_A_TIME`; at least one group, so that a row without an origin is met too."""
    ordered = sorted(keys, key=lambda token: keys[token])
    for start in range(0, max(1, len(ordered)), AT_A_TIME):
        yield Originals(warehouse, hospital_id, {token: keys[token] for token in ordered[start : start + AT_A_TIME]})


def study_date_bounds(warehouse: Warehouse, hospital_id: str) -> tuple[date, date] | None:
    """The first and the last study date of a hospital as sent; None where it has none."""
    days = [
        day
        for spec in (DICOM_METADATA, IDENTIFIED_REPORTS)
        for batch in warehouse.scan(spec, hospital_id, columns=("study_date",))
        for day in _days(set(batch["study_date"].to_pylist()))
    ]
    return (min(days), max(days)) if days else None


def study_dates_of_reports(warehouse: Warehouse, hospital_id: str) -> dict[str, date]:
    """Work token of each cleaned report → its study date as sent, where there is one."""
    place = ("object_key", "row_number")
    sent = {
        tuple(row[name] for name in place): day
        for batch in warehouse.scan(IDENTIFIED_REPORTS, hospital_id, columns=(*place, "study_date"))
        for row in batch.to_pylist()
        for day in _days([row["study_date"]])
    }
    return {
        row["work_token"]: day
        for batch in warehouse.scan(MADE_DEIDENTIFIED_REPORTS, hospital_id, columns=("work_token", *place))
        for row in batch.to_pylist()
        if (day := sent.get(tuple(row[name] for name in place))) is not None
    }


def _days(values: Iterable[str | None]) -> Iterator[date]:
    for value in values:
        try:
            yield datetime.strptime(value or "", "%Y%m%d").date()
        except ValueError:
            continue
