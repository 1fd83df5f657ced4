"""A sensor per hospital: it watches the hospital's buckets and materializes the partition when new objects have settled.

Belongs here: listing in bounded pages with a cursor and a deadline, and the decision that an upload is over.  A tick has
60 s in Dagster; a bucket of 100,000 objects lists in 5–30 s, so that a tick that runs out of time goes on at its cursor.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import dagster as dg

from gradient_assets.automation.jobs import HOSPITAL_JOB
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.diagnostics import Diagnostics, diagnostic_of
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.pipelines.steps import foreseen
from resources import Resources
from resources.buckets.object_store import Bucket, StoreError
from resources.vault_contract import VaultError

TICK_DEADLINE_S = 40.0
"""Dagster ends a tick after 60 s; what is left of them pays for opening the stores and writing the cursor."""

STORE_DEADLINE_S = 15.0
"""A bucket that does not answer is given up within so long: a tick that began its last page at the deadline ends before 60 s,
and a few hospitals that are down leave the daemon time for the others."""

SETTLED_AFTER_S = 60.0
"""A hospital's upload counts as over when the listing has not changed for so long."""


@dataclass
class Cursor:
    """Where the watch stands: a listing in progress, the last whole one, and what was asked for last."""

    kind: str = "dicoms"
    after: str = ""
    digest: str = ""
    objects: int = 0
    whole: str = ""
    since: float = 0.0
    asked: str = ""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """The cursor of the last tick; a fresh one when there is none or it is of another version."""
        try:
            return cls(**json.loads(text or "{}"))
        except (TypeError, ValueError):
            return cls()


@dataclass
class Watch:
    """One tick over one hospital.  `after` holds an object key: it is sealed before it becomes Dagster's cursor."""

    buckets: dict[str, Bucket]
    identity: Pseudonymizer
    now: Callable[[], float] = time.time
    deadline_s: float = TICK_DEADLINE_S
    settled_after_s: float = SETTLED_AFTER_S
    _kinds: tuple[str, ...] = field(default=("dicoms", "reports"))

    def tick(self, cursor: Cursor) -> tuple[Cursor, str]:
        """Go on listing; returns the new cursor and the digest to materialize, empty when there is nothing to do."""
        started = self.now()
        while True:
            for stat in self.buckets[cursor.kind].listing(start_after=cursor.after or None):
                parts = (cursor.digest, cursor.kind, stat.key, stat.etag, str(stat.size))
                cursor.digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
                cursor.after = stat.key
                cursor.objects += 1
                if self.now() - started > self.deadline_s:
                    return cursor, ""
            if cursor.kind == self._kinds[-1]:
                return self._judge(cursor)
            cursor.kind, cursor.after = self._kinds[-1], ""

    def _judge(self, cursor: Cursor) -> tuple[Cursor, str]:
        whole = self.identity.token("listing", cursor.digest)
        now = self.now()
        settled = Cursor(whole=whole, since=cursor.since, asked=cursor.asked, objects=cursor.objects)
        if whole != cursor.whole:
            settled.since = now
        ready = whole != settled.asked and now - settled.since >= self.settled_after_s
        if ready:
            settled.asked = whole
        return settled, whole if ready else ""


def seal(cursor: Cursor, identity: Pseudonymizer) -> str:
    """The cursor as text for Dagster's storage: the object key in it is encrypted with the hospital's key (AES-GCM)."""
    fields = asdict(cursor)
    fields["after"] = identity.seal("sensor cursor", cursor.after) if cursor.after else ""
    # A digest of keys is no secret-keeper by itself: keys can be guessed. It is kept sealed too.
    fields["digest"] = identity.seal("sensor cursor", cursor.digest) if cursor.digest else ""
    return json.dumps(fields)


def unseal(text: str | None, identity: Pseudonymizer) -> Cursor:
    """The cursor that `seal` wrote; a fresh one when it can't be read (another key, another version)."""
    cursor = Cursor.read(text)
    try:
        cursor.after = identity.unseal("sensor cursor", cursor.after) if cursor.after else ""
        cursor.digest = identity.unseal("sensor cursor", cursor.digest) if cursor.digest else ""
    except ValueError:
        return Cursor()
    return cursor


def arrival_sensor(hospital: Hospital) -> dg.SensorDefinition:
    """The sensor of one hospital.  It observes and asks for a run; a bucket that is down skips this hospital alone."""

    @dg.sensor(
        name=f"arrival_{hospital.id.replace('-', '_')}",
        job_name=HOSPITAL_JOB,
        minimum_interval_seconds=hospital.look_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Materializes '{hospital.id}' when new objects in its buckets have settled for {SETTLED_AFTER_S:.0f} s.",
    )
    def arrival(
        context: dg.SensorEvaluationContext, resources: dg.ResourceParam[Resources]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        failed = ""
        try:
            identity = Pseudonymizer(resources.key(hospital.secret_name), hospital.id)
            buckets = {
                kind: resources.hospital_bucket(hospital, kind).within(STORE_DEADLINE_S)
                for kind in ("dicoms", "reports")
            }
            cursor, listing = Watch(buckets, identity).tick(unseal(context.cursor, identity))
        except (StoreError, VaultError) as error:
            yield dg.SkipReason(
                f"{type(error).__name__}: the hospital's buckets can't be looked at. Run `gradient doctor`."
            )
            return
        except Exception as error:
            failed = _told(error, hospital, resources)
        if (
            failed
        ):  # raised outside the handler: a tick is stored with the chain of causes, and causes quote object keys
            raise dg.Failure(description=failed, allow_retries=False)
        context.update_cursor(seal(cursor, identity))
        if listing:
            # The run key holds the time: `run_key` deduplicates for ever, failures included, and a listing may come back.
            yield dg.RunRequest(
                run_key=f"{hospital.id}-{listing}-{cursor.since:.0f}",
                partition_key=hospital.id,
                tags={"gradient/hospital": hospital.id, "gradient/listing": listing},
            )
        elif cursor.after:
            yield dg.SkipReason(f"{cursor.objects} objects listed so far; going on at the next tick.")
        elif cursor.whole == cursor.asked:
            yield dg.SkipReason(f"{cursor.objects} objects, nothing new.")
        else:
            yield dg.SkipReason(f"{cursor.objects} objects, still arriving.")

    return arrival


def _told(error: Exception, hospital: Hospital, resources: Resources) -> str:
    """The error by its type and place; its text is sealed where that is possible."""
    said = f"{foreseen(error)}. Its text is withheld, since it may quote an object's key"
    where = f"arrival sensor of {hospital.id}"
    with suppress(Exception):  # the error itself has to be told
        diagnostic = diagnostic_of(error, where, where, said)
        if Diagnostics.open(resources, f"sensor-{hospital.id}").keep(diagnostic):
            return f"{said}; `gradient diagnostics show {diagnostic.id}` opens it."
    return f"{said}, and could not be kept."


def arrival_sensors(registry: Registry) -> list[dg.SensorDefinition]:
    """One sensor per registered hospital."""
    return [arrival_sensor(hospital) for hospital in registry]
