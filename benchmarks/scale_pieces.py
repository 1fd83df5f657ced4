"""What a run with nothing new is made of: CPU time of each piece over a home that is up to date.

Belongs here: calling the pieces that `dicom_metadata`, `deidentified_metadata` and its checks call, one after the other in this
process.  How often a run does each of them is said in `scale_page.PIECES`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.made_objects import HOSPITAL
from gradient_assets.assets.landing import Look
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import load_registry
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, MADE_DEIDENTIFIED_METADATA, MADE_METADATA
from gradient_assets.verification import Remembered, Verifier
from gradient_assets.verification.known import SOURCES
from gradient_assets.verification.remembered import Looker, code_digest
from resources import Settings, resources_for
from resources.buckets.object_store import Bucket, BucketAddress


def counted(items: Iterable[Any]) -> int:
    """How many there are, none kept."""
    return sum(1 for _ in items)


def pieces_of(home: Path, objects: int) -> dict[str, float]:
    """CPU milliseconds an object of each piece, by the names of `scale_page.PIECES`."""
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(home)}))
    hospital = load_registry(home / "hospitals.yaml", home=home).get(HOSPITAL)
    warehouse, profile = resources.warehouse, Profile.of(hospital.profile)
    identity = Pseudonymizer(resources.vault.key(hospital.secret_name), hospital.id)
    bucket, source = Bucket(BucketAddress(hospital.dicoms_uri)), WorkSource(hospital, warehouse, identity)
    taken: dict[str, float] = {}

    def timed(name: str, piece: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = piece()
        taken[name] = round((time.process_time() - started) * 1_000 / objects, 4)
        return result

    tables = (DICOM_METADATA, MADE_METADATA, DEIDENTIFIED_METADATA, MADE_DEIDENTIFIED_METADATA)
    timed("listing", lambda: counted(bucket.listing()))
    look = Look(bucket, identity)
    timed("tokens of the listing", lambda: counted(source.objects(look.stats(), ReadHeaders.version)))
    timed("tokens of the rows", lambda: [warehouse.tokens(table, hospital.id) for table in tables])
    known = timed("who is known", lambda: gather(warehouse, hospital.id))
    timed("work list of cleaning", lambda: counted(source.headers(known, profile, CleanHeaders.version)))
    lookers: tuple[Looker, ...] = ("stage", "check")
    of_stage, of_check = (Remembered.of(resources, hospital, looker, "pieces") for looker in lookers)

    def checks() -> None:
        verifier = Verifier.of_hospital(resources, hospital, of_check)
        found = verifier.profile(), verifier.patterns(DEIDENTIFIED_METADATA)
        asked = of_check.ask("leaks-deidentified_metadata", verifier.spared, (DEIDENTIFIED_METADATA, *SOURCES))
        if asked.verdict is None or not all(one.since for one in found):
            raise SystemExit("the checks' verdicts are not remembered")

    code_digest()  # once for each process, whatever the number of objects
    timed("verdicts of the stage", Verifier.of_hospital(resources, hospital, of_stage).all_in_headers)
    timed("verdicts of the checks", checks)
    verifier = Verifier.of_hospital(resources, hospital)
    timed("index of everyone", lambda: verifier.index)
    timed("search for known identifiers", lambda: verifier.known(DEIDENTIFIED_METADATA))
    timed("search for patterns", lambda: verifier.patterns(DEIDENTIFIED_METADATA))
    timed("look at the profile", lambda: verifier.profile())
    return taken
