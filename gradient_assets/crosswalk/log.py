"""Who went back from a pseudonym to an original or an object's key: one object per use, identified, never written over.

Belongs here: the record, its key, and what a reason has to look like.  It is written before anything is shown: what can't
be logged is not answered.  That nobody deletes a record or writes over one is the bucket's business (`deploy/`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from gradient_assets.crosswalk.rows import CrosswalkError
from resources.buckets.object_store import Bucket

SHORTEST_REASON, LONGEST_REASON, LONGEST_NAME = 8, 500, 60
"""Characters: "because" is no reason."""

Outcome = Literal["found", "unknown", "failed"]


@dataclass(frozen=True, slots=True)
class Use:
    """One use.  `asked` is a pseudonym, `what` the command or its option; it holds no original."""

    what: Literal["reidentify", "crosswalk", "show-key"]
    hospital_id: str
    asked: str
    outcome: Outcome
    by: str
    reason: str
    key_versions: tuple[int, ...] = ()
    recipient: str = ""
    failure: str = ""


def record(bucket: Bucket, use: Use) -> str:
    """Keep it; returns its key.  Raises `StoreError`."""
    at = datetime.now(UTC)
    key = f"{use.hospital_id}/{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.json"
    content = {"at": at.isoformat(timespec="seconds"), **asdict(use)}
    bucket.create(key, json.dumps(content, ensure_ascii=False, indent=1).encode())
    return key


def check_words(by: str, reason: str) -> None:
    """Raises `CrosswalkError` for a name or a reason that nobody could be asked about later."""
    if not by.strip() or len(by) > LONGEST_NAME or not by.isprintable():
        raise CrosswalkError(f"--by, --name: a name has 1 to {LONGEST_NAME} characters on one line.")
    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON or not reason.isprintable():
        raise CrosswalkError(
            f"--reason, --why: a reason has {SHORTEST_REASON} to {LONGEST_REASON} characters on one line; it is kept in the "
            "log."
        )
