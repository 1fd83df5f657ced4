"""The boundary itself, quarantine, the searches, and what stands around the stages: keys, withdrawals, the release gate.

Belongs here: cases as in the other tables, and `GATES`: functions that switch a step off which no stage's look can judge,
and return what caught it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import gradient_assets.boundary as boundary
import gradient_assets.checks.reconciliation as reconciliation
import gradient_assets.checks.triage as triage
import gradient_assets.integrity.records as records
import gradient_assets.pipelines.worker as worker
import gradient_assets.releases.delivery as delivery
from gradient_assets.audit_sample import Audit
from gradient_assets.deid.headers import HeaderEngine
from gradient_assets.integrity.recorded import recorded_warehouse
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.shards import ShardWriter
from gradient_assets.pipelines.stage import StageCounts, StageRun
from gradient_assets.releases.requests import ReleaseError
from gradient_assets.releases.states import Standing
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, PIXEL_TEXT
from gradient_assets.verification import Found, Verifier
from gradient_assets.withdrawals.absence import prove_absence
from gradient_assets.withdrawals.register import Traces, load_register, save_record
from gradient_assets.withdrawals.tombstones import PATIENT, Tombstones, digest, digester
from resources.key_records import KeyKeeper
from resources.vault_contract import KeyChanged
from tests.fakes.small_home import SURE
from tests.fakes.small_release import AUTHOR, OTHER, Made, Person
from tests.unit.mutations import headers
from tests.unit.mutations.hospital import (
    HEADERS,
    HOSPITAL,
    PATIENT_ID,
    REPORTS,
    SECRET,
    THUMBNAILS,
    HospitalUnderTest,
    Sent,
    instance,
    stored,
)
from tests.unit.mutations.pictures import Eye, burned, drawn
from tests.unit.mutations.switching import Mutation, Off, record_search_off

NAMED = headers.sent(StudyDescription="BRAIN Zebulon Quillfeather", PatientAddress="17 Marrowbone Lane")
TWICE = Sent((stored(instance(1)), stored(instance(1, PatientComments="sent again"))))


def more_columns(original, spec, values):
    made = original(spec, values)
    return boundary.Crossing(made.table, {**made, "patient_name": "Zebulon Quillfeather"}, _seal=boundary._SEAL)


def dropping(is_dropped: Callable[[object], bool]) -> Callable[[Off], None]:
    """The writer loses rows of some tables without a word."""

    def add(original, self, spec, row):
        return None if is_dropped(spec) else original(self, spec, row)

    return lambda off: off.instead(ShardWriter, "add", add)


def raising(error: type[Exception]) -> Callable[..., object]:
    def fail(*arguments: object, **named: object) -> object:
        raise error

    return fail


def unforeseen(off: Off) -> None:
    """An engine fails in a way nobody thought of, and the runner does not turn it into a refusal."""
    off.instead(HeaderEngine, "clean", raising(RuntimeError))
    off.instead(worker, "foreseen", raising(RuntimeError))


def look_off(step: str, stage: str, sent: Sent, name: str, planted: str) -> Mutation:
    return Mutation(step, stage, sent, planted, lambda off: off.nothing(Verifier, name, Found()))


def never(outcome: object) -> bool:
    """What is lost leaks nothing; it is the numbers that tell."""
    return False


CASES = [
    Mutation(
        "allow-list of columns",
        HEADERS,
        NAMED,
        "patient_name': 'Zebulon",
        lambda off: off.instead(boundary, "cross", more_columns),
    ),
    Mutation(
        "forms of columns",
        HEADERS,
        headers.sent(BodyPartExamined="Brain (left)"),
        "'body_part_examined': 'Brain (left)'",
        lambda off: off.instead(boundary, "_checked", lambda original, spec, column, value: value),
    ),
    Mutation("search in each record: headers", HEADERS, NAMED, "Quillfeather", record_search_off),
    Mutation(
        "search in each record: reports",
        REPORTS,
        Sent(reports=("Zebulon Quillfeather was seen.",)),
        "Quillfeather",
        record_search_off,
    ),
    look_off("check no_known_identifier", HEADERS, NAMED, "known", "Quillfeather"),
    look_off("check profile_holds", HEADERS, NAMED, "profile", "Marrowbone"),
    look_off(
        "check no_identifier_like_pattern",
        REPORTS,
        Sent(reports=("Call (596) 268-0276.",)),
        "patterns",
        "268-0276",
    ),
    Mutation(
        "check no_text_in_pixels",
        THUMBNAILS,
        drawn(SURE, finder=Eye()),
        headers.STRANGER,
        lambda off: off.nothing(Verifier, "text_in_thumbnails", Found()),
    ),
    burned(
        "check triage_missed_nothing",
        replace(drawn(SURE, finder=Eye()), settings={"pixels": {"triage": True, "audit_share": 0.5}}),
        lambda off: off.nothing(triage, "audit_of", Audit(0, 0, 0)),
    ),
    Mutation(
        "check in_equals_out_plus_quarantined",
        HEADERS,
        TWICE,
        lambda outcome: len(outcome.texts) + outcome.refused.total() < len(TWICE.dicoms) + 1,  # the other patient's
        lambda off: off.nothing(reconciliation, "balances", []),
    ),
    Mutation(
        "quarantine: each refusal is kept",
        HEADERS,
        TWICE,
        never,
        dropping(lambda spec: spec.name.startswith("refused_")),
    ),
    Mutation(
        "rows that were made are kept", HEADERS, NAMED, never, dropping(lambda spec: spec is DEIDENTIFIED_METADATA)
    ),
    Mutation(
        "pictures' rows are kept",
        THUMBNAILS,
        drawn(SURE, finder=Eye()),
        never,
        dropping(lambda spec: spec is PIXEL_TEXT),
    ),
    Mutation("quarantine: an engine that fails", HEADERS, NAMED, never, unforeseen),
]


def isolation(path: Path, off: Off) -> list[str]:
    """Findings are not put aside; the leak was let in by an engine without names and a blind search."""
    home = HospitalUnderTest(path, headers.sent(StudyDescription="BRAIN Zebulon Quillfeather"))
    home.read()
    with pytest.MonkeyPatch.context() as patch:
        leaking = Off(patch)
        headers.texts_off(headers.DESCRIBED)(leaking)
        record_search_off(leaking)
        home.run(HEADERS)
    step = CleanHeaders(home.hospital, home.profile, home.identity)
    counts, one = StageCounts(1, 1, 0, 0, 1, 0, {}, 1.0), home.verifier(HEADERS)
    off.instead(StageRun, "isolate", lambda original, run, step, findings, counts: counts)
    run = StageRun(home.resources.warehouse, None, HOSPITAL, "run", {HOSPITAL: home.hospital})
    run.isolate(step, one.to_isolate(one.all_in_headers()), counts)
    return ["no_known_identifier"] if home.verifier(HEADERS).known(DEIDENTIFIED_METADATA).total else []


def tombstones(path: Path, off: Off) -> list[str]:
    """A withdrawn patient's object is sent again, and the reader does not look at the tombstones."""
    home = HospitalUnderTest(path, headers.sent())
    key = home.resources.key(SECRET)
    digests = {key.fingerprint: [digest(digester(key, HOSPITAL), PATIENT, PATIENT_ID)]}
    traces = {"": Traces(patients=frozenset({home.identity.patient(PATIENT_ID)}))}
    save_record(home.resources, home.hospital, digests, traces)
    bucket = home.resources.hospital_bucket(home.hospital, "dicoms")

    def read() -> int:
        withdrawn = load_register(home.resources, home.hospital).tombstones
        step = ReadHeaders(home.hospital, bucket, home.profile, withdrawn)
        home._apply(step, home.source.objects(bucket.listing(), step.version))
        return sum(row["patient_id"] == PATIENT_ID for row in home.rows(DICOM_METADATA))

    assert read() == 0
    off.nothing(Tombstones, "covers_header", False)
    assert read() == 1
    return [] if prove_absence(home.resources, home.hospital, [PATIENT_ID]).holds else ["gradient verify --withdrawn"]


def key_of_hospital(path: Path, off: Off) -> list[str]:
    """The key in the vault is another one, and the vault's reader does not compare it with the one that is in use."""

    def as_it_is(original, keys, name, recorded):
        return keys.vault.key(name, recorded.version)

    return _with_another_key(path, lambda: off.instead(KeyKeeper, "_checked", as_it_is))


def key_of_partition(path: Path, off: Off) -> list[str]:
    """The key in the vault is another one, and no partition is compared with the key it was made with."""
    return _with_another_key(path, lambda: off.nothing(records, "check_key", None))


def _with_another_key(path: Path, switch: Callable[[], None]) -> list[str]:
    home = HospitalUnderTest(path, headers.sent())

    def write() -> None:
        warehouse = recorded_warehouse(home.resources, HOSPITAL, home.resources.key(SECRET), "run")
        warehouse.replace(DEIDENTIFIED_METADATA, HOSPITAL, shards=[])

    switch()
    write()
    [file] = path.rglob("st-mary*.key")
    file.write_bytes(_another_key(file.read_bytes()))
    try:
        write()
    except KeyChanged:
        return ["another step"]
    return []


def _another_key(content: bytes) -> bytes:
    """The same file with another key in it."""
    form, _, key = content.partition(b":")
    return form + b":" + key.translate(bytes.maketrans(b"0123456789abcdef", b"123456789abcdef0"))


def approval(path: Path, off: Off) -> list[str]:
    """The gate takes a verified release for an approved one."""
    made = Made.build(path)
    made.report()
    with pytest.raises(ReleaseError):
        made.gate.deliver("root")
    off.nothing(Standing, "state", "approved")
    return _caught(lambda: made.gate.deliver("root"))


def approval_of_ones_own(path: Path, off: Off) -> list[str]:
    """The gate forgets to ask who wanted the release."""
    made = Made.build(path)
    made.report()
    off.nothing(delivery, "is_author", False)
    return _caught(lambda: made.gate.approve(AUTHOR))


def approval_of_what_was_read(path: Path, off: Off) -> list[str]:
    """What was approved was made again since, and the gate does not compare."""
    made = Made.build(path)
    made.report()
    made.gate.approve(OTHER)
    made.make([Person(number) for number in range(4)])
    off.nothing(delivery.Gate, "_require_unchanged", None)
    return _caught(lambda: made.gate.deliver("root"))


def _caught(action: Callable[[], object]) -> list[str]:
    try:
        action()
    except ReleaseError:
        return ["another step"]
    return []


GATES: dict[str, Callable[[Path, Off], list[str]]] = {
    "isolation of findings": isolation,
    "tombstones": tombstones,
    "fingerprint of the key: a hospital's": key_of_hospital,
    "fingerprint of the key: a partition's": key_of_partition,
    "release: approval": approval,
    "release: nobody approves their own": approval_of_ones_own,
    "release: what is delivered is what was read": approval_of_what_was_read,
}
