"""`gradient verify`: read again what was written, and say what is no longer as it was recorded.

Belongs here: choosing what is looked at, printing, the exit code.  The re-check is `gradient_assets.integrity`'s.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from gradient_assets.cli.withdrawn import show_absence
from gradient_assets.hospitals import Registry, home_path, load_registry, registry_path
from gradient_assets.integrity.delivered import verify_release
from gradient_assets.integrity.mending import drop_changed
from gradient_assets.integrity.recheck import Recheck, unknown_partitions, verify_hospital
from gradient_assets.releases import load_release, release_names
from resources import Resources, Settings, resources_for


@dataclass
class Verified:
    """What was looked at, and what came of it."""

    hospitals: list[str] = field(default_factory=list)
    releases: dict[str, str] = field(default_factory=dict)
    check: Recheck = field(default_factory=Recheck)


@click.command()
@click.argument("release", required=False)
@click.option("--hospital", "-H", metavar="H", help="Only this hospital's tables and thumbnails.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option(
    "--drop-changed",
    is_flag=True,
    help="Drop partitions that somebody changed, so that the next run makes them anew from what came before them.",
)
@click.option("--withdrawn", is_flag=True, help="Look for withdrawn patients instead: every name they had, everywhere.")
@click.option(
    "--patient-id-file",
    "ids",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --withdrawn and -H: look for these ids too, one per line (chmod 600).",
)
def verify(
    release: str | None, hospital: str | None, as_json: bool, drop_changed: bool, withdrawn: bool, ids: Path | None
) -> None:
    """Hash every table partition, thumbnail and delivered object again; all hospitals and releases without RELEASE.

    Nothing is changed, but for --drop-changed. Exit code 3 when something is not what was recorded, or a withdrawn patient is
    found.
    """
    if release and hospital:
        raise click.UsageError("Give a RELEASE or --hospital, not both.")
    if (ids and not (withdrawn and hospital)) or (withdrawn and (release or drop_changed)):
        raise click.UsageError("--withdrawn goes with -H alone, --patient-id-file with both.")
    registry = load_registry(registry_path(), home=home_path())
    resources = resources_for(Settings.from_environment(os.environ))
    if withdrawn:
        chosen = [registry.get(hospital)] if hospital else list(registry.hospitals)
        if show_absence(resources, chosen, ids, as_json):
            sys.exit(3)
        return
    done = look(resources, registry, release, hospital)
    _show(done, as_json)
    if drop_changed:
        _drop(resources, registry, done)
    if done.check.differences:
        sys.exit(3)


def look(resources: Resources, registry: Registry, release: str | None, hospital: str | None) -> Verified:
    """Re-check one release, one hospital, or everything.  Raises `RegistryError` and `ReleaseError` for unknown ones."""
    done = Verified()
    names = release_names(resources.release_requests)
    hospitals = [] if release else [registry.get(hospital)] if hospital else list(registry.hospitals)
    releases = [] if hospital else [release] if release else names
    for one in hospitals:
        verify_hospital(resources, one.id, one.secret_name, done.check)
        done.hospitals.append(one.id)
    for name in releases:
        wanted = load_release(resources.release_requests, name)
        done.releases[name] = verify_release(resources, wanted, registry.releases.approvals, done.check)
    if not release and not hospital:
        unknown_partitions(resources, {"hospital": registry.ids, "release": names}, done.check)
    return done


def _show(done: Verified, as_json: bool) -> None:
    check = done.check
    if as_json:
        counts = {"tables": check.tables, "rows": check.rows, "objects": check.objects, "bytes": check.size}
        found = [asdict(difference) for difference in check.differences]
        click.echo(
            json.dumps(
                {"hospitals": done.hospitals, "releases": done.releases, **counts, "differences": found}, indent=1
            )
        )
        return
    for difference in check.differences:
        click.echo(difference.line)
    for name, state in done.releases.items():
        click.echo(f"Release '{name}' is {state}.")
    looked = (
        f"{check.tables:,} table partitions with {check.rows:,} rows and {check.objects:,} objects "
        f"({check.size / 1e6:,.1f} MB) read again"
    )
    if check.differences:
        click.echo(f"{looked}: {len(check.differences):,} differences.")
    else:
        click.echo(f"{looked}: all as recorded.")


def _drop(resources: Resources, registry: Registry, done: Verified) -> None:
    dropped = drop_changed(resources, registry, done.check.differences)
    click.echo(f"{len(dropped)} table partitions dropped; `gradient run` makes them anew.", err=True)
