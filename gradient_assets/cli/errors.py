"""How an error is told to a person at the prompt.

Belongs here: which errors carry a message for people (exit code 2), and the line for all others (exit code 1).  The text of
those others is sealed into the identified zone where there is one (`gradient_assets.diagnostics`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from gradient_assets.cohort import CohortError
from gradient_assets.crosswalk import CrosswalkError
from gradient_assets.deid.headers import ProfileError
from gradient_assets.deid.identity import KeyFileError
from gradient_assets.deid.pixels import MissingWeightsError
from gradient_assets.deid.reasons import Refused
from gradient_assets.diagnostics import Diagnostics, DiagnosticsError, diagnostic_of
from gradient_assets.hospitals import RegistryError
from gradient_assets.integrity.records import IntegrityError
from gradient_assets.pipelines.pool import PoolError
from gradient_assets.pipelines.stage import StageError
from gradient_assets.pipelines.steps import foreseen
from gradient_assets.quarantine import QuarantineError
from gradient_assets.releases import ReleaseError
from gradient_assets.review.decisions import ReviewError
from gradient_assets.withdrawals.register import WithdrawalError
from resources import Settings, SettingsError, resources_for
from resources.buckets.object_store import StoreError
from resources.engines.waiting import PipelineFailed
from resources.vault_contract import VaultError
from resources.warehouses.warehouse import WarehouseError

BAD_INPUT = (
    CohortError,
    CrosswalkError,
    DiagnosticsError,
    IntegrityError,
    KeyFileError,
    MissingWeightsError,
    PipelineFailed,
    PoolError,
    ProfileError,
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
)


def told(error: Exception) -> tuple[str, int]:
    """The line for people and the exit code.  An unforeseen error is told by its type and place alone."""
    if isinstance(error, BAD_INPUT):
        return f"Error: {error}", 2
    refused = error if isinstance(error, Refused) else foreseen(error)
    kept = _kept(error, str(refused))
    where = f" `gradient diagnostics show {kept}` opens its text." if kept else ""
    return f"Error: {refused}. This should not happen; report it with this line.{where}", 1


def _kept(error: Exception, line: str) -> str:
    """The id under which the error's text was sealed; empty where no zone is set up, as for one folder without the graph."""
    try:
        resources = resources_for(Settings.from_environment())
        folder = resources.diagnostics.address
        if folder.scheme == "file" and not folder.folder.parent.is_dir():
            return ""
        now = datetime.now(UTC).isoformat()
        diagnostic = diagnostic_of(error, "at the prompt", now, line)
        return diagnostic.id if Diagnostics.open(resources, "prompt").keep(diagnostic) else ""
    except Exception:  # the error itself has to be told
        return ""
