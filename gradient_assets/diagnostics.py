"""What an error really said: kept sealed in the identified zone, since its text may quote a record.

Belongs here: the text of an error with all that led to it, sealing it, opening it for a named reason, and its end after
some days.  Outside the identified zone an error is a code, a place and the id of its diagnostic (`pipelines.steps.foreseen`,
`assets.context.silent`, `cli.errors`).  What a process does so that nothing else speaks is `silence`'s business.

The bucket holds `runs/<run>/<id>` (sealed with AES-GCM under a key of the vault) and `opened/` (who looked, when, why).
"""

from __future__ import annotations

import hashlib
import json
import secrets
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from gradient_assets.deid.identity import SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from resources import Resources
from resources.buckets.object_store import Bucket, ObjectStat
from resources.errors import withheld_text
from resources.vault_contract import KeyExists, Vault

KEY_NAME = "platform/diagnostics"
"""Its key seals and derives nothing else, so that one made at the first failure changes no pseudonym."""

MAX_TEXT = 64 * 1024
"""Characters of one diagnostic; a traceback of 40 frames has 4,000.  The end is kept: there stands the error."""
MAX_PER_RUN = 100
"""A broken disk fails each of a million objects in the same way; the first hundred say it."""

_FAILED = frozenset(
    {
        Reason.INTERNAL_ERROR,
        Reason.HEADER_ENGINE_FAILED,
        Reason.PIXEL_ENGINE_FAILED,
        Reason.TEXT_ENGINE_FAILED,
        Reason.REDACTION_FAILED,
    }
)
"""Refusals behind which a defect of the program may stand; the others say all there is to say by their code."""


class DiagnosticsError(Exception):
    """A diagnostic can't be shown.  The message says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error.  `where` is a stage, step or command with a pseudonym or partition; `text` may hold identifiers."""

    id: str
    where: str
    at: str
    text: str = field(repr=False)


def diagnostic_id(*public: str) -> str:
    """The id under which people outside the zone speak of it: made of what they may know anyway, the same in each run."""
    return hashlib.sha256("\x1f".join(public).encode()).hexdigest()[:16]


def text_of(error: BaseException) -> str:
    """The error with what it came from, also where `from None` hid it, and the texts that stores held back."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines = traceback.TracebackException.from_exception(current).format(chain=False)
        parts.append("".join(lines) + withheld_text(current))
        current = current.__cause__ or current.__context__
    return "\nwhich came from\n".join(parts)[:MAX_TEXT]


def has_original(error: BaseException) -> bool:
    """Whether more is known of an error of ours than its own words."""
    return bool(error.__cause__ or error.__context__ or withheld_text(error))


def worth_keeping(error: BaseException, refused: Refused) -> bool:
    """Whether an item's failure may be a defect: its text is then asked for."""
    return refused.reason in _FAILED and (error is not refused or has_original(error))


@dataclass
class LeftBehind:
    """What a worker leaves in its stage's staging in the identified zone, as it is: a worker has no vault.

    Without a place (a step outside the graph) nothing is left, and refusals stay as they are.
    """

    place: Bucket | None
    _left: int = 0

    def told(self, error: BaseException, refused: Refused, stage: str, pseudonym: str, work_token: str) -> Refused:
        """The refusal with the id of the diagnostic in its detail, where a defect may stand behind it.  Never raises."""
        if self.place is None or not worth_keeping(error, refused):
            return refused
        diagnostic = diagnostic_of(error, f"{stage}, {pseudonym}", stage, work_token, str(refused))
        if self._left < MAX_PER_RUN:
            self._left += 1
            # The refusal itself must be told; a diagnostic that can't be kept is lost.
            with suppress(Exception):
                self.place.put(f"{diagnostic.id}.json", json.dumps(asdict(diagnostic)).encode())
        return Refused(refused.reason, f"{refused.detail} (diagnostic {diagnostic.id})".strip())


def diagnostic_of(error: BaseException, where: str, *public: str) -> Diagnostic:
    """The diagnostic of an error; `public` are the parts that its id is made of."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Diagnostic(diagnostic_id(*public), where, now, text_of(error))


@dataclass
class Diagnostics:
    """The diagnostics of one run, and all older ones.  `days` is how long they are kept, 0 keeps none."""

    bucket: Bucket
    vault: Vault
    run_id: str
    days: int
    _full: bool = False

    @classmethod
    def open(cls, resources: Resources, run_id: str) -> Diagnostics:
        """The diagnostics of a run.  Raises `SettingsError` where this process may not open the identified zone."""
        return cls(resources.diagnostics, resources.vault, run_id, resources.settings.diagnostics_days)

    def keep(self, diagnostic: Diagnostic) -> bool:
        """Seal it and put it into the bucket.  Returns whether that worked; never raises, since another error is being told."""
        try:
            return self._keep(diagnostic)
        except Exception:  # as said
            return False

    def take(self, staged: Bucket) -> int:
        """Keep what workers left in a stage's staging; returns how many.  Never raises."""
        kept = 0
        try:
            for stat in staged.listing():
                kept += self.keep(Diagnostic(**json.loads(staged.get(stat.key))))
        except Exception:  # as above
            return kept
        return kept

    def listed(self) -> Iterator[tuple[str, ObjectStat]]:
        """Id and object of each kept diagnostic, newest first."""
        found = sorted(self.bucket.listing("runs/"), key=lambda stat: stat.last_modified, reverse=True)
        return ((stat.key.rpartition("/")[2], stat) for stat in found)

    def show(self, wanted: str, *, who: str, reason: str) -> Diagnostic:
        """Open a diagnostic.  Who looked, when and why is written down first.  Raises `DiagnosticsError`, `StoreError`."""
        if not reason.strip():
            raise DiagnosticsError("A reason is needed: what was said is identified data.")
        stat = next((stat for found, stat in self.listed() if found == wanted), None)
        if stat is None:
            raise DiagnosticsError(
                f"There is no diagnostic of this id. They are kept for {self.days} days, {MAX_PER_RUN} of a run."
            )
        sealed = self.bucket.get(stat.key)
        now = datetime.now(UTC)
        opened = {"at": now.isoformat(timespec="seconds"), "who": who, "reason": reason, "id": wanted}
        name = f"opened/{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json"
        self.bucket.put(name, json.dumps(opened, ensure_ascii=False).encode())
        return self._opened(wanted, sealed)

    def sweep(self, now: datetime | None = None) -> int:
        """Delete what is older than `days`; returns how many.  Raises `StoreError`."""
        before = (now or datetime.now(UTC)) - timedelta(days=self.days)
        old = [stat.key for stat in self.bucket.listing("runs/") if stat.last_modified < before]
        self.bucket.delete(old)
        return len(old)

    def _keep(self, diagnostic: Diagnostic) -> bool:
        if self._full or self.days == 0:
            return False
        prefix = f"runs/{self.run_id}/"
        held = {stat.key for stat in self.bucket.listing(prefix)}
        if len(held) >= MAX_PER_RUN and prefix + diagnostic.id not in held:
            self._full = True
            return False
        content = json.dumps({"where": diagnostic.where, "at": diagnostic.at, "text": diagnostic.text[:MAX_TEXT]})
        key, nonce = self._key(make=True), secrets.token_bytes(12)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = AESGCM(key.derive("diagnostics").secret).encrypt(nonce, content.encode(), diagnostic.id.encode())
        self.bucket.put(prefix + diagnostic.id, bytes.fromhex(key.fingerprint) + nonce + sealed)
        return True

    def _opened(self, wanted: str, sealed: bytes) -> Diagnostic:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._key(make=False)
        if sealed[:8].hex() != key.fingerprint:
            raise DiagnosticsError(
                f"This diagnostic was sealed under another key ({sealed[:8].hex()}) than '{KEY_NAME}' is now."
            )
        try:
            text = AESGCM(key.derive("diagnostics").secret).decrypt(sealed[8:20], sealed[20:], wanted.encode())
        except InvalidTag:
            raise DiagnosticsError("This diagnostic was changed after it was sealed.") from None
        return Diagnostic(id=wanted, **json.loads(text))

    def _key(self, *, make: bool) -> SecretKey:
        if make and not self.vault.exists(KEY_NAME):
            try:
                return self.vault.create(KEY_NAME)
            except KeyExists:  # another process was faster
                pass
        return self.vault.key(KEY_NAME)


__all__ = [
    "KEY_NAME",
    "MAX_PER_RUN",
    "MAX_TEXT",
    "Diagnostic",
    "Diagnostics",
    "DiagnosticsError",
    "LeftBehind",
    "diagnostic_id",
    "diagnostic_of",
    "has_original",
    "text_of",
    "worth_keeping",
]
