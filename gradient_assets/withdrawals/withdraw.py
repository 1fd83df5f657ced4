"""Withdraw patients of one hospital: the steps in their order, each safe to be repeated.

Belongs here: the order, the file of ids, what the person at the prompt is told.  Tombstones come first, so that nothing that
runs meanwhile can bring a patient back unseen; the traces come before anything is removed, so that a withdrawal that was
killed goes on where it stopped.  At the end the register is read once more: if another withdrawal was recorded meanwhile,
all is swept again, since each of the two may have written back a row that the other one removed.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradient_assets.crosswalk import forget
from gradient_assets.deid.identifiers import joined_patient_id
from gradient_assets.deid.identity import SecretKey
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.integrity.recorded import RecordedWarehouse
from gradient_assets.integrity.records import recorded
from gradient_assets.releases import load_release, release_names
from gradient_assets.tables import CROSSWALK, TableSpec
from gradient_assets.withdrawals.deliveries import Reduced, withdraw_objects
from gradient_assets.withdrawals.register import (
    OWN,
    WithdrawalError,
    identities_of,
    keys_of,
    load_register,
    save_log,
    save_record,
    working,
)
from gradient_assets.withdrawals.sweep import (
    Withdrawn,
    forget_unread,
    sweep_decisions,
    sweep_tables,
    sweep_thumbnails,
)
from gradient_assets.withdrawals.tombstones import PATIENT, digest, digester
from gradient_assets.withdrawals.traces import belongings, collect
from resources import Resources
from resources.buckets.object_store import Bucket, StoreError
from resources.buckets.staging import Ended, Waiting, end_staging, waiting
from resources.warehouses.warehouse import ZONES, Warehouse

STAGING = "_staging"
"""Prefix under which a stage's objects wait (`pipelines.stage`, which can't be imported without Beam)."""

MAX_ID_CHARACTERS = 64
"""VR LO, PS3.5 6.2."""

MAX_FILE_BYTES = 16 * 1024**2

SHORTEST_ID = 2
"""Letters and digits, without leading zeros: `0` stands in the column of everybody who has no number."""

_OF_A_TABLE = re.compile(r'[,;"\t|]')
"""A line of a table is no id: a tombstone of `A-1001,Doe` refuses nobody, and the patient stays unseen."""

_HEADINGS = frozenset(
    """
    id ids pid mrn mrns patient patients patientid patientids patientno patientnumber medicalrecordnumber name patientname
    patientennummer patientenid patientnummer patiëntnummer nhc historia paciente idpaciente
    """.split()  # noqa: SIM905  a line for each word would be longer than what it is for
)
"""What stands above a column of ids, folded as ids are; the languages are those of the report engine."""

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_REASON = re.compile(r"[^\x00-\x1f\x7f]{0,500}")

ROUNDS = 5
"""How often the sweep is repeated because another withdrawal was recorded meanwhile, before it is given up."""


@dataclass
class Outcome:
    """What a withdrawal came to, in counts; no id in it."""

    earlier: frozenset[str] = field(default=frozenset(), repr=False)
    known: int = 0
    before: int = 0
    unknown: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    thumbnails: int = 0
    decisions: int = 0
    read_again: int = 0
    releases: dict[str, Reduced] = field(default_factory=dict)
    objects_left: int | None = None
    records_left: int | None = None


@dataclass(frozen=True)
class Withdrawal:
    """One order to withdraw: whose, why, and who gave it."""

    hospital: Hospital
    patient_ids: tuple[str, ...] = field(repr=False)
    by: str
    reason: str = ""

    @property
    def joined(self) -> frozenset[str]:
        """The ids as records are joined by them."""
        return frozenset(map(joined_patient_id, self.patient_ids))

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.by):
            raise WithdrawalError("A person's name has 1 to 60 characters on one line.")
        if not _REASON.fullmatch(self.reason):
            raise WithdrawalError("A reason has up to 500 characters on one line.")


def read_ids(path: Path) -> tuple[str, ...]:
    """The patient ids of a file, one per line, each once.

    Raises `WithdrawalError` for a file that others may read, that is no text, holds nothing, or has a line that is no id (a row
    or heading of a table, a single sign); the message names the line, never what stands there.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise WithdrawalError(f"{path} is not a file.")
        if found.st_mode & 0o077:
            raise WithdrawalError(f"{path} is open to group or others, and holds patient ids. Run `chmod 600 {path}`.")
        if found.st_size > MAX_FILE_BYTES:
            raise WithdrawalError(f"{path} is larger than {MAX_FILE_BYTES // 1024**2} MiB: one patient id per line.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WithdrawalError(f"{path} can't be read ({type(error).__name__}).") from None
    ids: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        one = line.strip()
        if not one:
            continue
        if not _is_an_id(one):
            raise WithdrawalError(
                f"{path}, line {number}: no patient id. One id per line, no heading, no other column. Nothing was done."
            )
        ids[one] = None
    if not ids:
        raise WithdrawalError(f"{path} holds no patient id. Nothing was done.")
    return tuple(ids)


def _is_an_id(line: str) -> bool:
    folded = joined_patient_id(line)
    signs = sum(sign.isalnum() for sign in folded.lstrip("0"))
    return (
        len(line) <= MAX_ID_CHARACTERS
        and signs >= SHORTEST_ID
        and not _OF_A_TABLE.search(line)
        and folded not in _HEADINGS
    )


@dataclass(frozen=True)
class Task:
    """An order, the stores it is carried out in, and the warehouse through which partitions are written and recorded.

    `ended` tells of runs whether they have ended, by which their unfinished work is known to be nobody's.
    """

    order: Withdrawal
    resources: Resources
    warehouse: Warehouse
    ended: Ended = field(default=lambda run_ids: {}, repr=False)


Step = Callable[[Task, Outcome], None]


def removing_warehouse(resources: Resources, registry: Registry, run_id: str) -> RecordedWarehouse:
    """The warehouse that a withdrawal writes through: what stays of a partition stays recorded under the key that made it.

    After a rotation tables are still of the older version until the next run; taking rows away does not make them newer.
    """

    def key_of(spec: TableSpec, partition: str) -> SecretKey:
        of_hospital = spec.partitioned_by == "hospital"
        owner = registry.get(partition) if of_hospital else load_release(resources.release_requests, partition)
        key = resources.key(owner.secret_name)
        made = recorded(resources.partition_records, spec, partition)
        older = made is not None and made.key_id == key.id and made.key_version < key.version
        return resources.keys.version(owner.secret_name, made.key_version) if made and older else key

    return RecordedWarehouse(resources.warehouse, resources.partition_records, run_id, key_of)


def withdraw(task: Task, step_done: Callable[[str], None] = lambda name: None) -> Outcome:
    """Withdraw the patients.  The same again does what is left to do.

    `step_done` hears of each step.  Raises `WithdrawalError` and what the stores raise; whatever was raised, the command may
    be run again.
    """
    outcome = Outcome()
    task.resources.key(task.order.hospital.secret_name)  # no key, or another one than before: nothing is begun

    def do(steps: Iterable[Step]) -> None:
        for step in steps:
            step(task, outcome)
            step_done(step.__name__)

    with working(task.resources, task.order.hospital, task.order.joined):
        do(FIRST)
        for _ in range(ROUNDS):
            seen = load_register(task.resources, task.order.hospital).files
            do(SWEEPS)
            if load_register(task.resources, task.order.hospital).files == seen:
                break
        else:
            raise WithdrawalError("Other withdrawals are recorded all the time. Run the same command again.")
        do(LAST)
    return outcome


def put_tombstones(task: Task, outcome: Outcome) -> None:
    """Ids first, known or not: from here on every reader refuses them."""
    before = load_register(task.resources, task.order.hospital).tombstones
    outcome.earlier = frozenset(one for one in task.order.joined if before.covers(PATIENT, one))
    values = [(PATIENT, one) for one in task.order.patient_ids]
    save_record(task.resources, task.order.hospital, _digests(task.resources, task.order.hospital, values))


def put_traces(task: Task, outcome: Outcome) -> None:
    """What the tables say is the patients': tombstones for their studies, and every name they have behind the boundary."""
    hospital = task.order.hospital
    register = load_register(task.resources, hospital)
    found = belongings(task.warehouse, hospital.id, register.tombstones, task.order.patient_ids)
    digests = _digests(task.resources, hospital, found.values())
    more = register.tombstones.digests.union(*digests.values())
    collect(task.warehouse, hospital.id, replace(register.tombstones, digests=more), found)
    scopes = {OWN: hospital.secret_name, **recipients(task.resources)}
    traces = {
        scope: found.traces(identities_of(task.resources, secret_name, hospital.id))
        for scope, secret_name in scopes.items()
    }
    save_record(task.resources, hospital, digests, traces)
    held = {joined_patient_id(one) for one in found.patient_ids}
    outcome.known = len(task.order.joined & held)
    outcome.before = len((task.order.joined - held) & outcome.earlier)
    outcome.unknown = len(task.order.joined - held - outcome.earlier)


def recipients(resources: Resources) -> dict[str, str]:
    """Everybody who was ever to be given something, with the name of their key."""
    bucket = resources.release_requests
    releases = (load_release(bucket, name) for name in release_names(bucket))
    return {release.recipient: release.secret_name for release in releases}


def remove_from_tables(task: Task, outcome: Outcome) -> None:
    """Rows of every table, from the first stage on, and what nobody could read: it is read again under the tombstones."""
    withdrawn = Withdrawn.of(task.resources, task.order.hospital)
    outcome.rows += sweep_tables(withdrawn, task.warehouse)
    if gone := forget(task.warehouse, task.order.hospital.id, withdrawn.traces.patients):
        outcome.rows[CROSSWALK.full_name] += gone
    outcome.read_again += forget_unread(task.warehouse, task.order.hospital.id)


def remove_pictures_and_decisions(task: Task, outcome: Outcome) -> None:
    """Thumbnails, and what reviewers decided about them."""
    withdrawn = Withdrawn.of(task.resources, task.order.hospital)
    outcome.thumbnails += sweep_thumbnails(withdrawn, task.resources.thumbnails)
    outcome.decisions += sweep_decisions(withdrawn, task.resources)


def remove_from_releases(task: Task, outcome: Outcome) -> None:
    """Objects of releases; their recipients find a list of what to delete."""
    withdrawn = Withdrawn.of(task.resources, task.order.hospital)
    for reduced in withdraw_objects(withdrawn, task.resources, task.warehouse, task.order.by):
        earlier = outcome.releases.get(reduced.release.name)
        deleted = reduced.deleted + (earlier.deleted if earlier else 0)
        outcome.releases[reduced.release.name] = replace(reduced, deleted=deleted)


def remove_unfinished_work(task: Task, outcome: Outcome) -> None:
    """Staging prefixes of runs that have ended, on any store.  Those of a run that goes on are its own: it ends them."""
    for place in staging_places(task.resources, task.warehouse):
        end_staging(place, task.ended)


def staging_places(resources: Resources, warehouse: Warehouse) -> list[Bucket]:
    """Where objects and rows of unfinished stages wait."""
    bucket = resources.release_requests
    prepared = [load_release(bucket, name).prepared for name in release_names(bucket)]
    places = [resources.thumbnails.under(STAGING), *(resources.releases.under(f"{one}/{STAGING}") for one in prepared)]
    for zone in ZONES:
        with warehouse.staging(zone, "withdraw") as staging:
            places.append(staging.root)
    return places


def unfinished_work(resources: Resources) -> list[Waiting]:
    """What waits in staging: of runs that go on, or of which nothing is known."""
    return [one for place in staging_places(resources, resources.warehouse) for one in waiting(place)]


FIRST: tuple[Step, ...] = (put_tombstones, put_traces)
SWEEPS: tuple[Step, ...] = (
    remove_from_tables,
    remove_pictures_and_decisions,
    remove_from_releases,
    remove_unfinished_work,
)


def count_what_is_left(task: Task, outcome: Outcome) -> None:
    """Objects and report rows in the hospital's own buckets, which are never changed; unknown if a bucket can't be listed."""
    withdrawn = Withdrawn.of(task.resources, task.order.hospital)
    identity, traces = withdrawn.identity, withdrawn.traces
    with suppress(StoreError):
        dicoms = task.resources.hospital_bucket(task.order.hospital, "dicoms")
        outcome.objects_left = sum(identity.token("object", one.key) in traces.objects for one in dicoms.listing())
    with suppress(StoreError):
        reports = task.resources.hospital_bucket(task.order.hospital, "reports")
        files = {identity.token("object", one.key) for one in reports.listing()}
        outcome.records_left = sum(record.partition("#")[0] in files for record in traces.records)


def put_log(task: Task, outcome: Outcome) -> None:
    """Who withdrew how many, when and why."""
    entry = {
        "by": task.order.by,
        "reason": task.order.reason,
        "patients": len(task.order.joined),
        "known": outcome.known,
        "rows": outcome.rows.total(),
        "thumbnails": outcome.thumbnails,
        "releases": sorted(outcome.releases),
    }
    save_log(task.resources, task.order.hospital, entry)


def _digests(resources: Resources, hospital: Hospital, values: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Tombstones under each version of the key, so that any one of them is enough later."""
    wanted = list(values)
    return {
        key.fingerprint: sorted({digest(digester(key, hospital.id), kind, value) for kind, value in wanted})
        for key in keys_of(resources, hospital.secret_name)
    }


LAST: tuple[Step, ...] = (count_what_is_left, put_log)
