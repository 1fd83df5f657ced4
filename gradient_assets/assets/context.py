"""What one materialization works with: the hospital of the partition, its key, its stores; and how it ends when it fails.

Belongs here: opening a hospital's work from a Dagster context, the metadata of a finished stage, and the wall that keeps
the text of foreign exceptions out of Dagster's event log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import dagster as dg

from gradient_assets import boundary
from gradient_assets.cohort import CohortError
from gradient_assets.crosswalk import CrosswalkError
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels import MissingWeightsError
from gradient_assets.deid.text import DetectorUnavailableError
from gradient_assets.diagnostics import Diagnostics, diagnostic_of, has_original
from gradient_assets.hospitals import Hospital, Registry, RegistryError
from gradient_assets.integrity.recorded import RecordedWarehouse, recorded_warehouse
from gradient_assets.integrity.records import IntegrityError, require_current
from gradient_assets.pipelines.pool import PoolError
from gradient_assets.pipelines.stage import StageCounts, StageError, StageRun
from gradient_assets.pipelines.steps import foreseen
from gradient_assets.pipelines.texts import text_engine
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.quarantine import QuarantineError, decisions_of
from gradient_assets.releases import ReleaseError
from gradient_assets.review.decisions import ReviewError
from gradient_assets.sql import statement
from gradient_assets.tables import TableSpec
from gradient_assets.withdrawals.register import WithdrawalError
from gradient_assets.withdrawals.sweep import settle
from resources import Resources, SettingsError
from resources.buckets.object_store import Bucket, StoreError
from resources.engines.waiting import PipelineFailed
from resources.vault_contract import VaultError
from resources.warehouses.warehouse import WarehouseError

PLAIN_ERRORS = (
    CohortError,
    CrosswalkError,
    DetectorUnavailableError,
    IntegrityError,
    MissingWeightsError,
    PipelineFailed,
    PoolError,
    QuarantineError,
    RegistryError,
    ReleaseError,
    ReviewError,
    SettingsError,
    StageError,
    StoreError,
    VaultError,
    WarehouseError,
    WithdrawalError,
    dg.Failure,
)
"""Errors of this project whose messages are written for people and hold no value of an object."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def silent(compute: Callable[_P, _R]) -> Callable[_P, _R]:
    """Replace any error that is not ours by its type and place: its text might quote a row, and event logs are never purged.

    The text goes sealed into the identified zone; the message names the diagnostic's id.
    """

    @functools.wraps(compute)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = (*args, *kwargs.values())
        try:
            return compute(*args, **kwargs)
        except PLAIN_ERRORS as error:
            message = str(error) if not isinstance(error, dg.Failure) else error.description or "failed"
            if has_original(error) and (kept := _kept(error, given)):
                message = f"{message} (diagnostic {kept})"
        except Exception as error:
            kept = _kept(error, given)
            message = f"{foreseen(error)}. Its text is withheld, since it may quote a record" + (
                f"; `gradient diagnostics show {kept}` opens it." if kept else ", and could not be kept."
            )
        # Raised outside the handlers: Dagster stores the chain of causes too.
        raise dg.Failure(description=message, allow_retries=False)

    return guarded


def _kept(error: Exception, given: tuple[object, ...]) -> str:
    """The id under which the error's text was sealed; empty if it could not be: the error itself matters more."""
    resources = next((one for one in given if isinstance(one, Resources)), None)
    context = next(
        (one for one in given if isinstance(one, dg.AssetExecutionContext | dg.AssetCheckExecutionContext)), None
    )
    if resources is None or context is None:
        return ""
    try:
        execution = context.op_execution_context
        where = f"{execution.op_def.name}, {execution.partition_key if execution.has_partition_key else 'all'}"
        diagnostics = Diagnostics.open(resources, execution.run_id)
        diagnostic = diagnostic_of(error, where, execution.run_id, where, str(foreseen(error)))
        return diagnostic.id if diagnostics.keep(diagnostic) else ""
    except Exception:  # as said
        return ""


@dataclass(frozen=True)
class HospitalWork:
    """One hospital's partition in the hands of one run."""

    hospital: Hospital
    resources: Resources
    warehouse: RecordedWarehouse
    """What the partition's tables are written through: its key is compared first, its content recorded after."""
    identity: Pseudonymizer
    profile: Profile
    run_id: str
    say: Callable[[str], None]

    @classmethod
    def open(cls, context: dg.AssetExecutionContext, registry: Registry, resources: Resources) -> HospitalWork:
        """The work of the context's partition.  Raises what the registry and the vault raise: no key, no work."""
        return cls.of(context.partition_key, registry, resources, context.run.run_id, context.log.info)

    @classmethod
    def of(
        cls, hospital_id: str, registry: Registry, resources: Resources, run_id: str, say: Callable[[str], None]
    ) -> HospitalWork:
        """The work of any hospital."""
        hospital = registry.get(hospital_id)
        key = resources.key(hospital.secret_name)
        warehouse = recorded_warehouse(resources, hospital.id, key, run_id)
        identity = Pseudonymizer(key, hospital.id)
        profile = profile_of(hospital)
        text_engine(hospital, profile)  # a detector that can't run is an error of the set-up, not of each record
        return cls(hospital, resources, warehouse, identity, profile, run_id, say)

    def version_of(self, spec: TableSpec) -> str:
        """Data version of the partition: its content's digest, keyed, since a table may hold a single record."""
        return self.identity.token("content", self.resources.warehouse.content_digest(spec, self.hospital.id))

    @property
    def source(self) -> WorkSource:
        """Where work lists come from."""
        former = self.resources.former_keys(self.hospital.secret_name)
        scopes = tuple(Pseudonymizer(key, self.hospital.id) for key in former)
        return WorkSource(self.hospital, self.resources.warehouse, self.identity, scopes)

    @property
    def stage(self) -> StageRun:
        """What runs a stage over this partition."""
        return StageRun(
            warehouse=self.warehouse,
            beam=self.resources.beam,
            partition=self.hospital.id,
            run_id=self.run_id,
            hospitals={self.hospital.id: self.hospital},
            say=self.say,
            decided=decisions_of(self.resources, self.hospital).applied,
            diagnostics=Diagnostics.open(self.resources, self.run_id),
            settle=self.settle,
        )

    def require_current(self, *specs: TableSpec) -> None:
        """Raise `KeyChanged` for a table that a rotation left behind: its pseudonyms match nothing made since."""
        for spec in specs:
            require_current(self.resources.partition_records, spec, self.hospital.id, self.identity.key)

    def settle(self, specs: Sequence[TableSpec]) -> None:
        """After a commit, and before a first stage: rows of patients who were withdrawn meanwhile go again."""
        settle(self.resources, self.warehouse, self.hospital, specs)

    def remake(self, spec: TableSpec) -> int:
        """Replace the partition of a table that is made by SQL; returns its number of rows."""
        parameters = {"hospital_id": self.hospital.id}
        self.warehouse.replace_from_query(spec, self.hospital.id, statement(spec.name), parameters)
        self.settle((spec,))
        return self.warehouse.count(spec, self.hospital.id)

    def bucket(self, kind: str) -> Bucket:
        """The hospital's `dicoms` or `reports`."""
        return self.resources.hospital_bucket(self.hospital, kind)


def profile_of(hospital: Hospital) -> Profile:
    """The hospital's profile, named or from its file."""
    return Profile.of(hospital.profile)


def stage_metadata(counts: StageCounts, spec: TableSpec | None, **more: Any) -> dict[str, Any]:
    """What a finished stage shows on the asset's page; every name is on the boundary's list."""
    metadata: dict[str, Any] = {
        "gradient/objects_in": counts.objects_in,
        "gradient/processed": counts.processed,
        "gradient/reused": counts.reused,
        "gradient/removed": counts.removed,
        "gradient/quarantined": counts.quarantined,
        "gradient/withdrawn": counts.withdrawn,
        "gradient/quarantined_by_reason": dg.MetadataValue.json(counts.quarantined_by_reason),
        "gradient/rows_out": counts.rows_out,
        "gradient/seconds": counts.seconds,
    }
    if spec is not None:
        metadata["dagster/partition_row_count"] = counts.rows_out
    return boundary.asset_metadata({**metadata, **more})


def result(key: str, metadata: Mapping[str, Any], version: str) -> dg.MaterializeResult[Any]:
    """One asset's outcome; its data version is the digest of its content, so that equal content wakes nobody."""
    listed = boundary.asset_metadata(metadata)
    return dg.MaterializeResult(asset_key=key, metadata=listed, data_version=dg.DataVersion(version))
