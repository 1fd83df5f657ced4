"""Reads again what was written, hashes it, and compares it with its record.

Belongs here: the re-check of a hospital's tables and thumbnails, and of a release's tables.  Nothing comes from a cache:
every byte is read from where it lies.  A release with its manifest is the business of `delivered`.  Differences name
tables and pseudonyms; an object whose name has not the listed form is counted, never named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from gradient_assets.boundary import THUMBNAIL_KEY
from gradient_assets.deid.identity import SecretKey
from gradient_assets.integrity import records
from gradient_assets.integrity.origins import STAGES
from gradient_assets.integrity.recorded import is_changed
from gradient_assets.integrity.records import IntegrityError
from gradient_assets.tables import ALL_TABLES, MADE_THUMBNAILS, TableSpec
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectVanished
from resources.vault_contract import KeyChanged, VaultError
from resources.warehouses.warehouse import Warehouse

What = Literal[
    "changed", "missing", "extra", "not recorded yet", "unreadable record", "key", "no origin", "not looked at"
]

MEANING: dict[What, str] = {
    "changed": "its content is not what was recorded, or its record is gone",
    "missing": "it was recorded and is gone",
    "extra": "nothing says that it was made",
    "not recorded yet": "a run was stopped before it was recorded, or is under way; run it again, then verify again",
    "unreadable record": "its record was changed",
    "key": "the vault's key is not the one it was made with",
    "no origin": "rows whose origin nobody wrote down; the next run makes them again",
    "not looked at": "the table that names them was changed",
}
"""What a difference means, for people."""

PIECE_BYTES = 16 * 1024 * 1024
STAGING = "_staging"
"""Prefix of a bucket under which a stage's objects wait until they are committed (`pipelines.stage`)."""

READERS = 4
"""Objects hashed at the same time; each holds one piece."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was recorded.  `place` is a table or `thumbnails`, `dicom`, `manifest.csv`, …; `name` an
    object key made of pseudonyms, or empty; `count` how many things it stands for."""

    partition: str
    place: str
    what: What
    name: str = ""
    count: int = 1

    @property
    def line(self) -> str:
        """One line for people."""
        name = f" {self.name}" if self.name else ""
        many = f" ({self.count})" if self.count > 1 else ""
        return f"{self.partition}: {self.place}{name}: {self.what}{many}: {MEANING[self.what]}"


@dataclass
class Recheck:
    """What was read again, and what differs."""

    tables: int = 0
    rows: int = 0
    objects: int = 0
    size: int = 0
    differences: list[Difference] = field(default_factory=list)

    def differs(self, partition: str, place: str, what: What, name: str = "", count: int = 1) -> None:
        """Take a difference down."""
        self.differences.append(Difference(partition, place, what, name, count))


def verify_hospital(resources: Resources, hospital_id: str, secret_name: str, check: Recheck) -> None:
    """Re-hash every table partition and thumbnail of a hospital.  Raises what the stores raise."""
    key = key_in_use(resources, secret_name, hospital_id, check)
    specs = [spec for spec in ALL_TABLES if spec.partitioned_by == "hospital"]
    sound = verify_tables(resources, specs, hospital_id, key, check)
    if MADE_THUMBNAILS not in sound:
        check.differs(hospital_id, "thumbnails", "not looked at")
        return
    compare_objects(
        check,
        hospital_id,
        "thumbnails",
        made_objects(resources, MADE_THUMBNAILS, hospital_id),
        sizes(resources.thumbnails, f"{hospital_id}/"),
        reader(resources.thumbnails),
        THUMBNAIL_KEY,
        pending=bool(records.announced(resources.partition_records, MADE_THUMBNAILS, hospital_id)),
    )


def key_in_use(resources: Resources, secret_name: str, partition: str, check: Recheck) -> SecretKey | None:
    """The key, or None and a difference when it is missing or another than the recorded one."""
    try:
        return resources.key(secret_name)
    except VaultError:
        check.differs(partition, "key", "key")
        return None


def verify_tables(
    resources: Resources, specs: Iterable[TableSpec], partition: str, key: SecretKey | None, check: Recheck
) -> list[TableSpec]:
    """Re-hash a partition of each of the tables, and look whether each row's origin is known.

    Returns the tables that can be relied on: as recorded, or announced and not recorded yet.
    """
    sound = [spec for spec in specs if _verify_table(resources, spec, partition, key, check)]
    for stage in STAGES:
        if stage.output in sound and stage.made in sound:
            made = resources.warehouse.tokens(stage.made, partition)
            if unknown := resources.warehouse.tokens(stage.output, partition) - made:
                check.differs(partition, stage.output.full_name, "no origin", count=len(unknown))
    return sound


def unknown_partitions(resources: Resources, known: Mapping[str, Iterable[str]], check: Recheck) -> None:
    """Partitions of tables that belong to no hospital or release that is known: `known` has both names' lists."""
    for spec in ALL_TABLES:
        for partition in sorted(set(resources.warehouse.partitions(spec)) - set(known[spec.partitioned_by])):
            check.differs(partition, spec.full_name, "extra")


def _verify_table(resources: Resources, spec: TableSpec, partition: str, key: SecretKey | None, check: Recheck) -> bool:
    ledger, warehouse = resources.partition_records, resources.warehouse
    try:
        record = records.recorded(ledger, spec, partition)
    except IntegrityError:
        check.differs(partition, spec.full_name, "unreadable record")
        return False
    there = partition in warehouse.partitions(spec)
    if record is None:
        return not there or _differing(resources, spec, partition, check)
    if not there and record.rows:
        pending = bool(records.announced(ledger, spec, partition))
        check.differs(partition, spec.full_name, "not recorded yet" if pending else "missing")
        return pending
    check.tables += 1
    check.rows += record.rows
    if key is not None:
        try:
            record.check_key(key)
        except KeyChanged:
            check.differs(partition, spec.full_name, "key")
    # BigQuery names no partition without rows, but has the digest of one.
    if warehouse.content_digest(spec, partition) == record.content_sha256:
        return True
    return _differing(resources, spec, partition, check)


def _differing(resources: Resources, spec: TableSpec, partition: str, check: Recheck) -> bool:
    """Take down a partition that its record does not fit.  Returns whether it can be relied on: a run is writing it."""
    changed = is_changed(resources.warehouse, resources.partition_records, spec, partition)
    check.differs(partition, spec.full_name, "changed" if changed else "not recorded yet")
    return not changed and _is_readable(resources.warehouse, spec, partition)


def _is_readable(warehouse: Warehouse, spec: TableSpec, partition: str) -> bool:
    try:
        for _ in warehouse.scan(spec, partition):
            pass
    except Exception:  # whatever the reader says of a broken file: it can't be relied on
        return False
    return True


def made_objects(resources: Resources, made: TableSpec, partition: str) -> dict[str, str]:
    """Object key → SHA-256 of everything that the partition's rows of origin say was written."""
    expected: dict[str, str] = {}
    for batch in resources.warehouse.scan(made, partition, columns=("objects_json",)):
        for text in batch["objects_json"].to_pylist():
            expected.update(json.loads(text))
    return expected


def sizes(bucket: Bucket, prefix: str) -> dict[str, int]:
    """Key → size of each object under a prefix; what waits in staging belongs to a run that is going on, or was killed."""
    return {stat.key: stat.size for stat in bucket.listing(prefix) if not stat.key.startswith(f"{STAGING}/")}


def reader(bucket: Bucket) -> Callable[[str, int], str | None]:
    """What gives the SHA-256 of an object of the listed size, None for one that is gone or no longer as long."""

    def digest(key: str, size: int) -> str | None:
        whole = hashlib.sha256()
        try:
            for start in range(0, max(size, 1), PIECE_BYTES):
                whole.update(bucket.get_range(key, start, min(PIECE_BYTES, size - start)))
        except ObjectVanished:
            return None
        return whole.hexdigest()

    return digest


def compare_objects(
    check: Recheck,
    partition: str,
    place: str,
    expected: Mapping[str, str],
    found: Mapping[str, int],
    digest: Callable[[str, int], str | None],
    form: re.Pattern[str],
    *,
    pending: bool = False,
) -> None:
    """Hash what is found and compare it with the expected digests; with `pending`, a write was announced and not ended."""

    def told(what: What) -> What:
        return "not recorded yet" if pending else what

    for name in sorted(set(expected) - set(found)):
        check.differs(partition, place, told("missing"), name)
    unexpected = sorted(set(found) - set(expected))
    named = [name for name in unexpected if form.fullmatch(name)]
    for name in named:
        check.differs(partition, place, told("extra"), name)
    if others := len(unexpected) - len(named):
        check.differs(partition, place, told("extra"), "with a name that is not of the listed form", others)
    for name, read in _digests(sorted(set(expected) & set(found)), found, digest):
        check.objects += 1
        check.size += found[name]
        if read != expected[name]:
            check.differs(partition, place, told("changed"), name)


def _digests(
    names: list[str], found: Mapping[str, int], digest: Callable[[str, int], str | None]
) -> Iterator[tuple[str, str | None]]:
    with ThreadPoolExecutor(READERS) as readers:
        yield from zip(names, readers.map(lambda name: digest(name, found[name]), names), strict=True)
