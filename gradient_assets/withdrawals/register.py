"""The records of a hospital's withdrawals: tombstones, and the keyed names that the patients had in our tables.

Belongs here: the record, its file, reading all of them.  Records lie in the identified zone beside the requests for releases,
under a prefix that no release can have.  A record is one JSON object, put in place as a whole under the digest of its
content: written twice it is there once, and two withdrawals at once can't overwrite each other.  No id is ever in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields

from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.tombstones import Tombstones, digester
from resources import Resources
from resources.object_store import Bucket

PREFIX = "_withdrawals"
"""Begins with what no release's name begins with."""

RECORDS = "records/"
LOG = "log/"

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

    Raises `WithdrawalError` for a record that can't be read, or that was made with keys which the vault no longer has: going
    on without it would let the patient in again.
    """
    bucket = register_bucket(resources, hospital.id)
    found = [stat.key for stat in bucket.listing(RECORDS)]
    if not found:
        return Register()
    keys = {key.fingerprint: key for key in keys_of(resources, hospital.secret_name)}
    digests: set[str] = set()
    traces: dict[str, Traces] = {}
    for name in found:
        by_key, its_traces = _parsed(bucket.get(name), name, hospital.id)
        if not set(by_key) & set(keys):
            raise WithdrawalError(
                f"A withdrawal of hospital '{hospital.id}' was recorded with a key that the vault does not have. "
                "Restore that version of the key; nothing was done."
            )
        digests.update(*by_key.values())
        for scope, one in its_traces.items():
            traces[scope] = traces.get(scope, Traces()).merge(one)
    digesters = tuple(digester(key, hospital.id) for key in keys.values())
    return Register(Tombstones(frozenset(digests), digesters), traces, frozenset(found))


def save_record(
    bucket: Bucket, digests: Mapping[str, Iterable[str]], traces: Mapping[str, Traces] | None = None
) -> None:
    """Keep digests by the fingerprint of the key they were made with, and traces by scope."""
    content = {
        "digests": {fingerprint: sorted(found) for fingerprint, found in digests.items()},
        "traces": {
            scope: {kind: sorted(names) for kind, names in asdict(one).items()} for scope, one in (traces or {}).items()
        },
    }
    text = json.dumps(content, sort_keys=True).encode()
    bucket.put(f"{RECORDS}{hashlib.sha256(text).hexdigest()}.json", text)


def _parsed(content: bytes, name: str, hospital_id: str) -> tuple[dict[str, list[str]], dict[str, Traces]]:
    try:
        if name != f"{RECORDS}{hashlib.sha256(content).hexdigest()}.json":
            raise ValueError  # cut off or changed: its name is its digest
        record = json.loads(content)
        traces = {
            scope: Traces(**{kind: frozenset(names) for kind, names in one.items()})
            for scope, one in record["traces"].items()
        }
        return record["digests"], traces
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise WithdrawalError(
        f"A record of the withdrawals of hospital '{hospital_id}' can't be read. Restore the file from a backup; "
        "nothing was done."
    )
