"""The records of a hospital's withdrawals: tombstones, and the keyed names that the patients had in our tables.

Belongs here: the record, its file, reading all of them.  Records lie in the identified zone beside the requests for releases,
under a prefix that no release can have.  A record is one JSON object, put in place as a whole under the digest of its
content: written twice it is there once, and two withdrawals at once can't overwrite each other.  No id is ever in it.

Records and log are sealed under each version of the hospital's key, and each entry of the log names the records of its time:
whoever can write the bucket but has no key can't make or change one, and a record that is gone is missed.  Deleting a record
with all entries that name it stays unseen here; nobody may delete there (`deploy/`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.tombstones import Tombstones, digester
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectExists

PREFIX = "_withdrawals"
"""Begins with what no release's name begins with."""

RECORDS = "records/"
LOG = "log/"
AT_WORK = "at_work/"

OWN = ""
"""The scope of the hospital's own tables; every other scope is a recipient's name."""


class WithdrawalError(Exception):
    """A withdrawal can't be made or read as wished; the message says why and what to do, never an id."""


@dataclass(frozen=True)
class Traces:
    """Keyed names of withdrawn patients and of what was theirs, in one scope, under all versions of its key.

    `objects` are object pseudonyms, `records` those of report files with `#` and the record's number.
    """

    patients: frozenset[str] = frozenset()
    studies: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    accessions: frozenset[str] = frozenset()
    reports: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()

    def merge(self, other: Traces) -> Traces:
        """Both together."""
        return Traces(**{f.name: getattr(self, f.name) | getattr(other, f.name) for f in fields(self)})

    def pseudonyms(self) -> frozenset[str]:
        """The names that can be looked for in any text."""
        return self.patients | self.studies | self.instances | self.accessions | self.reports


@dataclass(frozen=True)
class Register:
    """All withdrawals of one hospital."""

    tombstones: Tombstones = field(default_factory=Tombstones)
    traces: Mapping[str, Traces] = field(default_factory=dict, repr=False)
    files: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.files)

    def of(self, scope: str) -> Traces:
        """The traces in one scope."""
        return self.traces.get(scope, Traces())


def register_bucket(resources: Resources, hospital_id: str) -> Bucket:
    """Where a hospital's records lie.  Raises `SettingsError` in a process without the identified zone."""
    return resources.release_requests.under(f"{PREFIX}/{hospital_id}")


def keys_of(resources: Resources, secret_name: str) -> tuple[SecretKey, ...]:
    """All versions of a key, oldest first.  Raises `MissingKey` if there is none."""
    return tuple(resources.vault.key(secret_name, version) for version in resources.vault.versions(secret_name))


def identities_of(resources: Resources, secret_name: str, hospital_id: str) -> tuple[Pseudonymizer, ...]:
    """What makes pseudonyms in one scope, for each version of its key."""
    return tuple(Pseudonymizer(key, hospital_id) for key in keys_of(resources, secret_name))


def load_register(resources: Resources, hospital: Hospital) -> Register:
    """All that was withdrawn from a hospital.

    Raises `WithdrawalError` for a record that can't be read, that was made with keys which the vault no longer has, or that the
    log names and that is gone: going on without it would let the patient in again.
    """
    bucket = register_bucket(resources, hospital.id)
    # The log first: an entry is put after the records that it names, so all of them stand in a later listing.
    entries = [stat.key for stat in bucket.listing(LOG)]
    found = [stat.key for stat in bucket.listing(RECORDS)]
    if not found and not entries:
        return Register()
    seals = _Seals.of(resources, hospital)
    for entry in entries:
        if not set(_records_named(seals, bucket.get(entry))) <= set(found):
            raise WithdrawalError(
                f"A record of the withdrawals of hospital '{hospital.id}' is missing: the log names it. Restore the file from "
                "a backup; nothing was done."
            )
    digests: set[str] = set()
    traces: dict[str, Traces] = {}
    for name in found:
        made, its_traces = _parsed(seals, bucket.get(name), name)
        digests.update(made)
        for scope, one in its_traces.items():
            traces[scope] = traces.get(scope, Traces()).merge(one)
    digesters = tuple(digester(key, hospital.id) for key in seals.keys)
    return Register(Tombstones(frozenset(digests), digesters), traces, frozenset(found))


@dataclass(frozen=True)
class Standing:
    """What lies in a hospital's register at one moment: two that are alike had no withdrawal between them."""

    files: frozenset[str]

    @property
    def at_work(self) -> bool:
        """Whether a withdrawal goes on, or was killed and not made again since."""
        return any(name.startswith(AT_WORK) for name in self.files)


def standing(resources: Resources, hospital_id: str) -> Standing:
    """What is there now: one listing, which needs no key."""
    bucket = register_bucket(resources, hospital_id)
    return Standing(frozenset(stat.key for stat in bucket.listing()))


@contextmanager
def working(resources: Resources, hospital: Hospital, patient_ids: Iterable[str]) -> Iterator[None]:
    """Say that a withdrawal of these patients is at work, until the block has ended well.

    Killed, it stays said until the same patients are withdrawn again, which is what has to be done then.
    """
    bucket = register_bucket(resources, hospital.id)
    sealer = Pseudonymizer(resources.key(hospital.secret_name).derive("withdrawal register"), hospital.id)
    name = f"{AT_WORK}{sealer.token('at work', json.dumps(sorted(patient_ids)))}"
    bucket.put(name, b"")
    yield
    bucket.delete(name)


def save_record(
    resources: Resources,
    hospital: Hospital,
    digests: Mapping[str, Iterable[str]],
    traces: Mapping[str, Traces] | None = None,
) -> None:
    """Keep digests by the fingerprint of the key they were made with, and traces by scope.  Raises what the stores raise."""
    content = {
        "digests": {fingerprint: sorted(found) for fingerprint, found in digests.items()},
        "traces": {
            scope: {kind: sorted(names) for kind, names in asdict(one).items()} for scope, one in (traces or {}).items()
        },
    }
    text = _Seals.of(resources, hospital).sealed("record", content)
    with suppress(ObjectExists):  # under the digest of its content there is that content, or `load_register` refuses it
        register_bucket(resources, hospital.id).create(f"{RECORDS}{hashlib.sha256(text).hexdigest()}.json", text)


def save_log(resources: Resources, hospital: Hospital, entry: Mapping[str, Any]) -> None:
    """Keep an entry of the log, with the time and the names of all records that there are.

    Raises `WithdrawalError` and what the stores raise.
    """
    now = datetime.now(UTC)
    records = sorted(load_register(resources, hospital).files)
    content = {**entry, "at": now.isoformat(timespec="seconds"), "records": records}
    name = f"{LOG}{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json"
    register_bucket(resources, hospital.id).create(name, _Seals.of(resources, hospital).sealed("log", content))


@dataclass(frozen=True)
class _Seals:
    """What seals the objects of one hospital's register, under each version of its key."""

    hospital_id: str
    keys: tuple[SecretKey, ...] = field(repr=False)

    @classmethod
    def of(cls, resources: Resources, hospital: Hospital) -> _Seals:
        return cls(hospital.id, keys_of(resources, hospital.secret_name))

    def sealed(self, kind: str, content: Mapping[str, Any]) -> bytes:
        """The object's text; the same content under the same keys is the same text."""
        seals = {key.fingerprint: self._seal(key, kind, content) for key in self.keys}
        return json.dumps({**content, "seals": seals}, sort_keys=True, ensure_ascii=False).encode()

    def opened(self, kind: str, text: bytes) -> dict[str, Any]:
        """The content.  Raises `ValueError` if it is not as it was sealed, `WithdrawalError` if no key of it is there."""
        content = json.loads(text)
        seals = content.pop("seals")
        known = [key for key in self.keys if key.fingerprint in seals]
        if seals and not known:
            raise WithdrawalError(
                f"A withdrawal of hospital '{self.hospital_id}' was recorded with a key that the vault does not have. "
                "Restore that version of the key; nothing was done."
            )
        if not known or not all(
            hmac.compare_digest(seals[key.fingerprint], self._seal(key, kind, content)) for key in known
        ):
            raise ValueError("a seal that does not fit")
        return dict(content)

    def _seal(self, key: SecretKey, kind: str, content: Mapping[str, Any]) -> str:
        sealer = Pseudonymizer(key.derive("withdrawal register"), self.hospital_id)
        return sealer.token(kind, json.dumps(content, sort_keys=True))

    def refused(self, what: str) -> WithdrawalError:
        return WithdrawalError(
            f"{what} of the withdrawals of hospital '{self.hospital_id}' can't be read, or is not as it was written. Restore "
            "the file from a backup; nothing was done."
        )


def _parsed(seals: _Seals, text: bytes, name: str) -> tuple[set[str], dict[str, Traces]]:
    try:
        if name != f"{RECORDS}{hashlib.sha256(text).hexdigest()}.json":
            raise ValueError  # cut off or changed: its name is its digest
        record = seals.opened("record", text)
        traces = {
            scope: Traces(**{kind: frozenset(names) for kind, names in one.items()})
            for scope, one in record["traces"].items()
        }
        return set().union(*record["digests"].values()), traces
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise seals.refused("A record")


def _records_named(seals: _Seals, text: bytes) -> list[str]:
    try:
        return list(seals.opened("log", text)["records"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise seals.refused("An entry of the log")
