"""One record per table partition: under which key, with which content, by which run it was written.

Belongs here: the record, its file, comparing a key with it, and the announcement of a write.  Records lie in the identified
zone as `<zone.table>/<partition>.json`.  An announcement, `_writing/<zone.table>/<partition>/<run>-<random>.json`, is put
before a partition changes and taken away after its record stands: where content and record differ, it tells a run that was
killed in between from somebody else's hand.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from gradient_assets import __version__
from gradient_assets.deid.identity import SecretKey
from gradient_assets.tables import TableSpec
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.vault_contract import KeyChanged
from resources.warehouses.warehouse import Warehouse

WRITING = "_writing"
"""Prefix of the announcements; no table's name begins with `_`."""


class IntegrityError(Exception):
    """A partition or its record is not what was written; the message names table and partition and says what to do."""


@dataclass(frozen=True, slots=True)
class PartitionRecord:
    """What a table partition was when it was written.

    `content_sha256` is the warehouse's content digest, `versions` the engines' and the package's.
    """

    table: str
    partition: str
    key_id: str
    key_version: int
    key_fingerprint: str
    content_sha256: str
    rows: int
    run_id: str
    versions: Mapping[str, str]

    def check_key(self, key: SecretKey) -> None:
        """Raise `KeyChanged` unless the key is the one of the record, or a newer version of it."""
        if key.fingerprint == self.key_fingerprint:
            return
        if key.id == self.key_id and key.version > self.key_version:
            return
        raise KeyChanged(
            f"{self.table} of '{self.partition}' was made with the key {self.key_fingerprint} (version {self.key_version}); "
            f"the vault gives {key.fingerprint} (version {key.version}). Nothing was written. Restore the key; a new one is "
            "made by `gradient rotate` alone."
        )


def engine_versions() -> dict[str, str]:
    """The versions that decide what the engines write."""
    from gradient_assets.deid import headers, pixels, text  # a second, which reading a record need not pay

    return {
        "package": __version__,
        "headers": headers.ENGINE_VERSION,
        "pixels": pixels.ENGINE_VERSION,
        "text": text.ENGINE_VERSION,
    }


def record(
    resources: Resources,
    spec: TableSpec,
    partition: str,
    *,
    key: SecretKey,
    run_id: str,
    versions: Mapping[str, str] | None = None,
) -> PartitionRecord:
    """Record what the partition is now; returns the record.  Raises what the stores raise."""
    return put_record(
        resources.partition_records,
        resources.warehouse,
        spec,
        partition,
        key=key,
        run_id=run_id,
        versions=engine_versions() if versions is None else versions,
    )


def put_record(
    bucket: Bucket,
    warehouse: Warehouse,
    spec: TableSpec,
    partition: str,
    *,
    key: SecretKey,
    run_id: str,
    versions: Mapping[str, str],
) -> PartitionRecord:
    """As `record`, for a caller that has bucket and warehouse at hand."""
    content = warehouse.content_digest(spec, partition)
    while True:
        made = PartitionRecord(
            spec.full_name,
            partition,
            key.id,
            key.version,
            key.fingerprint,
            content,
            warehouse.count(spec, partition),
            run_id,
            dict(versions),
        )
        bucket.put(_key(spec, partition), json.dumps(asdict(made), sort_keys=True).encode())
        # Of two runs that write one partition, the slower one may put the older digest last: it looks again.
        now = warehouse.content_digest(spec, partition)
        if now == content:
            return made
        content = now


def recorded(bucket: Bucket, spec: TableSpec, partition: str) -> PartitionRecord | None:
    """The partition's record; None if there is none.  Raises `IntegrityError` for one that can't be read."""
    try:
        content = bucket.get(_key(spec, partition))
    except ObjectVanished:
        return None
    try:
        found = PartitionRecord(**json.loads(content))
        if (found.table, found.partition) == (spec.full_name, partition) and isinstance(found.key_version, int):
            return found
    except (TypeError, ValueError):
        pass
    raise IntegrityError(
        f"The record of {spec.full_name} of '{partition}' can't be read: somebody changed it. Nothing was written. "
        "`gradient verify` shows all that differs; with --drop-changed the next run makes it anew."
    )


def forget(bucket: Bucket, spec: TableSpec, partition: str) -> None:
    """Take the record away, as the partition was dropped."""
    bucket.delete(_key(spec, partition))


def recorded_partitions(bucket: Bucket, spec: TableSpec) -> set[str]:
    """The partitions of a table that have a record."""
    prefix = f"{spec.full_name}/"
    return {stat.key.removeprefix(prefix).removesuffix(".json") for stat in bucket.listing(prefix)}


def require_same_key(resources: Resources, spec: TableSpec, partition: str, key: SecretKey) -> None:
    """Raise `KeyChanged` if the partition was made with another key than this one or an older version of it.

    Raises `IntegrityError` for a record that can't be read; a partition without a record passes.
    """
    check_key(resources.partition_records, spec, partition, key)


def check_key(bucket: Bucket, spec: TableSpec, partition: str, key: SecretKey) -> None:
    """As `require_same_key`, for a caller that has the bucket at hand."""
    if (found := recorded(bucket, spec, partition)) is not None:
        found.check_key(key)


def require_current(bucket: Bucket, spec: TableSpec, partition: str, key: SecretKey) -> None:
    """Raise `KeyChanged` for a table that a rotation left behind: its pseudonyms match nothing made since."""
    found = recorded(bucket, spec, partition)
    if found is not None and found.key_version != key.version:
        raise KeyChanged(
            f"{spec.full_name} of '{partition}' was made with key version {found.key_version}, but version {key.version} is "
            f"in use. Run `gradient run -H {partition}` first. Nothing was written."
        )


def announce(bucket: Bucket, spec: TableSpec, partition: str, run_id: str) -> str:
    """Say that a run is about to write; returns the announcement's key."""
    name = f"{_announcements(spec, partition)}{run_id}-{uuid.uuid4().hex}.json"
    bucket.put(name, b"{}")
    return name


def announced(bucket: Bucket, spec: TableSpec, partition: str, *, but_by: str = "") -> list[str]:
    """The announcements that stand, those of the run `but_by` left out."""
    prefix = _announcements(spec, partition)
    found = (stat.key for stat in bucket.listing(prefix))
    return [name for name in found if not but_by or not name.startswith(f"{prefix}{but_by}-")]


def withdraw(bucket: Bucket, names: Iterable[str]) -> None:
    """Take announcements away; one that another run took away is no error."""
    bucket.delete(list(names))


def _key(spec: TableSpec, partition: str) -> str:
    return f"{spec.full_name}/{partition}.json"


def _announcements(spec: TableSpec, partition: str) -> str:
    return f"{WRITING}/{spec.full_name}/{partition}/"
