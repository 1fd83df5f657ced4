"""`gradient demo`: three sample hospitals, the whole graph over them, a release that is approved and delivered, a summary.

Belongs here: the order of the demonstration.  The hospitals are made by `samples`, from files that ship with pydicom and
people who never lived.
"""

from __future__ import annotations

import os
import sys
import time

import click

from gradient_assets.automation.jobs import HOSPITAL_JOB
from gradient_assets.cli.gate import deliver_release
from gradient_assets.cli.release import make_release
from gradient_assets.cli.run import Platform, materialize, report_failures
from gradient_assets.cli.summary import show_summary
from gradient_assets.hospitals import RegistryError, home_path
from gradient_assets.instance import prepare_home
from gradient_assets.releases import Release
from gradient_assets.releases.delivery import Gate
from gradient_assets.samples import build_samples
from gradient_assets.tables import RELEASE_MANIFEST

DEMO_RELEASE = Release("demo-release", "demo-university", "modality IN ('CT', 'MR', 'US') AND report_count > 0")
AUTHOR, APPROVER = "Ada Curator (invented)", "Otto Privacy-Officer (invented)"
"""Two people who never lived: who asks for a release can't approve it."""


@click.command()
def demo() -> None:
    """Build three sample hospitals, run the whole graph over them, deliver a release, and say what became of it.

    Works in GRADIENT_HOME (./gradient_home). Run it again: only what is new is read.
    """
    started = time.monotonic()
    home = home_path()
    if os.environ.get("GRADIENT_HOSPITALS"):
        raise RegistryError(
            "GRADIENT_HOSPITALS names a registry of yours; the demonstration brings its own. Unset it first."
        )
    marker = home / "sample-hospitals"
    if not marker.exists():
        if (home / "hospitals.yaml").exists():
            raise RegistryError(f"{home} holds a registry that is no sample. Set GRADIENT_HOME to another folder.")
        click.echo(f"Making three sample hospitals in {home} …", err=True)
        prepare_home(home)
        build_samples(home)
        marker.touch()
    platform = Platform.open()
    for name in [hospital.secret_name for hospital in platform.registry]:
        if not platform.resources.vault.exists(name):
            platform.resources.keys.make(name)
    outcomes = materialize(platform, HOSPITAL_JOB, platform.registry.ids, steps=20)
    report_failures(outcomes)
    if not all(outcome.success for outcome in outcomes):
        show_summary(platform.registry, platform.resources, platform.registry.ids)
        sys.exit(3)
    delivered = _deliver(platform)
    show_summary(platform.registry, platform.resources, platform.registry.ids)
    click.echo(f"release       {delivered} objects for '{DEMO_RELEASE.recipient}', with manifest.csv and report.html")
    click.echo(f"              asked for by {AUTHOR}, approved by {APPROVER}: the demonstration plays both")
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. See it in the browser: make ui")


def _deliver(platform: Platform) -> int:
    standing = make_release(platform, DEMO_RELEASE, AUTHOR)
    gate = Gate(platform.resources, platform.registry.releases, DEMO_RELEASE)
    if standing.state(platform.registry.releases.approvals) == "verified":
        gate.approve(APPROVER, "Approved by the demonstration; nobody has read the report.")
    if not gate.log.standing().is_current_delivered:
        deliver_release(platform, DEMO_RELEASE)
    return platform.resources.warehouse.count(RELEASE_MANIFEST, DEMO_RELEASE.name)
