"""How an error is told to a person at the prompt.

Belongs here: which errors carry a message for people (exit code 2), and the line for all others (exit code 1).
"""

from __future__ import annotations

from gradient_assets.cohort import CohortError
from gradient_assets.deid.headers import ProfileError
from gradient_assets.deid.identity import KeyFileError
from gradient_assets.deid.reasons import Refused
from gradient_assets.hospitals import RegistryError
from gradient_assets.pipelines.pool import PoolError
from gradient_assets.pipelines.stage import StageError
from gradient_assets.pipelines.steps import foreseen
from gradient_assets.releases import ReleaseError
from resources import SettingsError
from resources.beam import PipelineFailed
from resources.object_store import StoreError
from resources.vault import VaultError
from resources.warehouse import WarehouseError

BAD_INPUT = (
    CohortError,
    KeyFileError,
    PipelineFailed,
    PoolError,
    ProfileError,
    RegistryError,
    ReleaseError,
    SettingsError,
    StageError,
    StoreError,
    VaultError,
    WarehouseError,
)


def told(error: Exception) -> tuple[str, int]:
    """The line for people and the exit code.  An unforeseen error is told by its type and place alone."""
    if isinstance(error, BAD_INPUT):
        return f"Error: {error}", 2
    refused = error if isinstance(error, Refused) else foreseen(error)
    return f"Error: {refused}. This should not happen; report it with this line.", 1
