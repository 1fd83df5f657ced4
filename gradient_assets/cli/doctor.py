"""`gradient doctor`: check the set-up, and say what to mend.

Belongs here: one small check per thing that can be missing, each with the sentence that mends it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata

import click
from rich.console import Console
from rich.table import Table

from gradient_assets.cli.doctor_warehouse import queries, readers
from gradient_assets.hospitals import Hospital, Registry, RegistryError, home_path, load_registry, registry_path
from gradient_assets.instance import prepare_home
from resources import Resources, Settings, SettingsError, resources_for
from resources.buckets.object_store import Bucket
from resources.vault_contract import MissingKey

NEEDED_GIB = 2
STORE_DEADLINE_S = 30.0
"""A hospital whose server is down is told after so long, and the others are still looked at."""

PACKAGES = ("dagster", "apache-beam", "pydicom", "duckdb", "obstore", "onnxruntime", "rapidocr", "imagecodecs")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is empty when it is fine."""

    what: str
    found: str
    mend: str = ""


def examine(mend: bool = False) -> Iterator[Finding]:
    """Look at everything, in the order in which one needs it.  With `mend`, make missing folders and keys."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", version, "" if (3, 11) <= sys.version_info < (3, 13) else "Use Python 3.11 or 3.12.")
    yield Finding("packages", ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES))
    try:
        settings = Settings.from_environment(os.environ)
        resources = resources_for(settings)
    except SettingsError as error:
        yield Finding("settings", "refused", str(error))
        return
    yield from _home(mend)
    yield from _zones(settings)
    yield from _finders(resources)
    yield from _engines()
    try:
        registry = load_registry(registry_path(), home=home_path())
    except RegistryError as error:
        yield Finding("registry", "refused", str(error))
        return
    yield Finding("registry", f"{len(registry.ids)} hospitals: {', '.join(registry.ids)}")
    yield from _hospitals(registry, resources, mend)
    warehouse = _attempt("warehouse", "Check GRADIENT_HOME, or the BigQuery settings.", lambda: _tables(resources))
    yield warehouse
    if not warehouse.mend and home_path().is_dir():
        yield Finding(*queries(resources))
        yield from (Finding(*told) for told in readers(resources, mend))


def _home(mend: bool) -> Iterator[Finding]:
    home = home_path()
    if mend:
        prepare_home(home)
    if not home.is_dir():
        yield Finding("home", f"{home} is not there", "`gradient doctor --mend` makes it, or set GRADIENT_HOME.")
        return
    if not os.access(home, os.W_OK):
        yield Finding("home", f"{home} can't be written", "Give this user the right to write there.")
        return
    free = shutil.disk_usage(home).free / 1024**3
    yield Finding(
        "home", f"{home}, {free:.0f} GiB free", "" if free >= NEEDED_GIB else f"Free at least {NEEDED_GIB} GiB."
    )


def _zones(settings: Settings) -> Iterator[Finding]:
    """As whom each zone is opened: kinds only, since a name may be an account's."""
    try:
        zones = settings.zones
    except SettingsError as error:
        yield Finding("zones", "refused", str(error))
        return
    for zone in zones:

        def kinds(zone: str = zone) -> str:
            found = [identity.kind for identity in settings.identities(zone)]
            return f"opened by {', '.join(found)}" if found else "opened as this process"

        yield _attempt(f"zone {zone}", "See Zones and identities in docs/operations.md.", kinds)


def _finders(resources: Resources) -> Iterator[Finding]:
    """The chosen ones, opened; of the others, what they would need."""
    from gradient_assets.deid.pixels import MissingWeightsError, TextFinder
    from gradient_assets.deid.pixels.finders import FINDERS, described, needs_of

    settings = resources.settings
    chosen: dict[str, tuple[str, Callable[[], TextFinder | None], str]] = {
        "text finder": ("GRADIENT_TEXT_FINDER", lambda: resources.text_finder, ""),
        "second finder": (
            "GRADIENT_SECOND_FINDER",
            lambda: resources.second_finder,
            "none: releases are looked at once",
        ),
        "verifying reader": (
            "GRADIENT_VERIFYING_READER",
            lambda: resources.verifying_reader,
            "none: nobody reads the pictures that were written",
        ),
    }
    for what, (variable, opened, absent) in chosen.items():
        try:
            finder = opened()
        except (SettingsError, MissingWeightsError) as error:
            yield Finding(what, f"{settings[variable]} can't be used", f"{error}.")
        else:
            yield Finding(what, f"{settings[variable]} ({described(finder)})" if finder else absent)
    languages = settings.listed("GRADIENT_EASYOCR_LANGUAGES")
    others = [name for name in FINDERS if name not in {settings[variable] for variable, _, _ in chosen.values()}]
    with suppress(ValueError):  # languages no recogniser reads: refused above where EasyOCR is chosen
        needs = [f"{name} needs {needs_of(name, easyocr_languages=languages)}" for name in others]
        yield Finding("other finders", "; ".join(needs))


def _engines() -> Iterator[Finding]:
    def profiles() -> str:
        from gradient_assets.deid.headers import Profile

        return ", ".join(f"{name} (PS3.15 {Profile.named(name).edition})" for name in ("safe_harbor", "longitudinal"))

    yield _attempt("profiles", "`make install`: the profile files are part of the package.", profiles)


def _hospitals(registry: Registry, resources: Resources, mend: bool) -> Iterator[Finding]:
    for hospital in registry:

        def key(hospital: Hospital = hospital) -> str:
            if not resources.vault.exists(hospital.secret_name):
                _make_key(resources, hospital, mend)
            found = resources.key(hospital.secret_name)
            return f"version {found.version}, fingerprint {found.fingerprint}"

        yield _attempt(f"key of {hospital.id}", "A lost key is restored from a copy, never made anew.", key)
        for kind in ("dicoms", "reports"):
            bucket = resources.hospital_bucket(hospital, kind).within(STORE_DEADLINE_S)

            def first(bucket: Bucket = bucket) -> str:
                return "can be listed" if next(bucket.listing(), None) else "can be listed, empty"

            yield _attempt(f"{kind} of {hospital.id}", "Check the address and the credentials in the vault.", first)


def _make_key(resources: Resources, hospital: Hospital, mend: bool) -> None:
    """Make the key of a hospital of which nothing was ever made.  Raises `MissingKey` for any other."""
    from gradient_assets.integrity.records import recorded_partitions
    from gradient_assets.tables import ALL_TABLES

    resources.keys.require_new(hospital.secret_name)
    warehouse, ledger = resources.warehouse, resources.partition_records
    for spec in ALL_TABLES:
        if spec.partitioned_by == "hospital" and (
            hospital.id in recorded_partitions(ledger, spec) or hospital.id in warehouse.partitions(spec)
        ):
            raise MissingKey(
                f"Tables of '{hospital.id}' were made with a key, and the vault has none under '{hospital.secret_name}'. "
                "Restore it, or mend `secret_name` in the registry."
            )
    if not mend:
        raise MissingKey("There is none yet: `gradient doctor --mend` makes it.")
    resources.keys.make(hospital.secret_name)


def _tables(resources: Resources) -> str:
    from gradient_assets.tables import ALL_TABLES

    rows = sum(resources.warehouse.count(spec) for spec in ALL_TABLES)
    return f"{len(ALL_TABLES)} tables, {rows:,} rows"


def _attempt(what: str, mend: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except Exception as error:
        return Finding(
            what, type(error).__name__, f"{error} {mend}" if type(error).__module__.startswith("resources") else mend
        )


@click.command()
@click.option(
    "--mend", is_flag=True, help="Make missing folders and the keys of new hospitals. Never replaces anything."
)
def doctor(mend: bool) -> None:
    """Check the set-up and say what to mend. Exit code 3 when something is wrong."""
    table = Table(show_lines=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    broken = 0
    for finding in examine(mend):
        broken += bool(finding.mend)
        table.add_row("[red]✗[/]" if finding.mend else "[green]✓[/]", finding.what, finding.found, finding.mend)
    Console().print(table)
    if broken:
        sys.exit(3)
