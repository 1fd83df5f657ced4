"""One row of the crosswalk: sealing an original, opening it again, carrying it over to a newer key.

Belongs here: what is sealed and what it is bound to.  A sealed text opens with its key, in its row, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradient_assets.crosswalk.originals import Kind, Original
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import Hospital
from gradient_assets.tables import CROSSWALK
from resources import Resources
from resources.warehouses.warehouse import Warehouse


class CrosswalkError(Exception):
    """The crosswalk can't be used as wished; the message says why and what to do, and holds no original."""


@dataclass(frozen=True)
class HospitalKeys:
    """A hospital's scope under its key in use, and under every version before."""

    hospital: Hospital
    current: Pseudonymizer
    version: Callable[[int], Pseudonymizer]

    @classmethod
    def of(cls, resources: Resources, hospital: Hospital) -> HospitalKeys:
        """Raises `MissingKey` and `KeyChanged`; an older version is fetched when a row asks for it."""
        name = hospital.secret_name
        known: dict[int, Pseudonymizer] = {}

        def version(number: int) -> Pseudonymizer:
            if number not in known:
                known[number] = Pseudonymizer(resources.keys.version(name, number), hospital.id)
            return known[number]

        return cls(hospital, Pseudonymizer(resources.key(name), hospital.id), version)

    @cached_property
    def number(self) -> int:
        """The version in use."""
        return self.current.key.version


@dataclass(frozen=True, slots=True)
class Entry:
    """One opened row."""

    original: Original
    pseudonym: str
    patient_pseudonym: str
    key_version: int
    shift_days: int | None = field(repr=False)
    current_pseudonym: str | None


def sealed_row(keys: HospitalKeys, original: Original, owner: str) -> dict[str, Any]:
    """The row of an original under the key in use; `owner` is the pseudonym of the patient whose it is."""
    identity = keys.current
    row = {
        "hospital_id": keys.hospital.id,
        "hospital_number": keys.hospital.number,
        "work_token": token_of(identity, original, owner),
        "kind": original.kind,
        "pseudonym": original.pseudonym(identity),
        "patient_pseudonym": owner,
        "key_version": keys.number,
        "key_fingerprint": identity.key.fingerprint,
        "sealed_with": keys.number,
        "current_pseudonym": None,
    }
    return row | {"sealed": _sealed(identity, row, original, original.shift_days(identity))}


def token_of(identity: Pseudonymizer, original: Original, owner: str) -> str:
    """Names the row: two spellings of one id, and one UID in two patients' records, are rows of their own."""
    return identity.token("crosswalk", original.kind, original.text, original.without_id, owner)


def carried_over(keys: HospitalKeys, row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """A row of an older key, opened as `entry`, sealed with the key in use and linked to the pseudonym in use."""
    again = dict(row) | {"sealed_with": keys.number, "current_pseudonym": entry.original.pseudonym(keys.current)}
    return again | {"sealed": _sealed(keys.current, again, entry.original, entry.shift_days)}


def opened_row(keys: HospitalKeys, row: Mapping[str, Any]) -> Entry:
    """What the row holds.  Raises `CrosswalkError` if it was tampered with, `MissingKey` and `KeyChanged`."""
    with_version = row["sealed_with"]
    identity = keys.current if with_version == keys.number else keys.version(with_version)
    try:
        content = json.loads(identity.unseal(_purpose(row), row["sealed"]))
    except ValueError:
        content = None
    if content is None:  # raised outside the handler, so that nothing is chained
        raise CrosswalkError(
            f"A row of the crosswalk of '{keys.hospital.id}' does not open with key version {with_version}: it was changed, or "
            "moved from another row. Restore the table."
        )
    original = Original(row["kind"], content["original"], content["without_id"])
    return Entry(
        original,
        row["pseudonym"],
        row["patient_pseudonym"],
        row["key_version"],
        content["shift_days"],
        row["current_pseudonym"],
    )


def opened(warehouse: Warehouse, keys: HospitalKeys, kinds: Collection[Kind] = ()) -> Iterator[Entry]:
    """Every original (of these kinds, without any: of all) that was ever taken in and not withdrawn, also of objects that are
    gone.  Raises `CrosswalkError`."""
    for batch in warehouse.scan(CROSSWALK, keys.hospital.id):
        for row in batch.to_pylist():
            if not kinds or row["kind"] in kinds:
                yield opened_row(keys, row)


def _sealed(identity: Pseudonymizer, row: Mapping[str, Any], original: Original, shift_days: int | None) -> str:
    content = {"original": original.text, "without_id": original.without_id, "shift_days": shift_days}
    return identity.seal_repeatably(_purpose(row), json.dumps(content, sort_keys=True))


def _purpose(row: Mapping[str, Any]) -> str:
    return "\x1f".join(
        (
            "crosswalk",
            row["kind"],
            row["pseudonym"],
            row["patient_pseudonym"],
            row["work_token"],
            str(row["key_version"]),
        )
    )
