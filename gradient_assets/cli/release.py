"""`gradient release` and `gradient releases`: clean a cohort for one recipient and check it; see where each release stands.

Belongs here: asking for a release and telling how it ended.  What comes after, in other people's hands, is in `gate`.
"""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.automation.jobs import RELEASE_ASSETS, RELEASE_JOB
from gradient_assets.cli.run import Platform, materialize, report_failures
from gradient_assets.integrity.records import require_current
from gradient_assets.releases import Release, ReleaseError, load_release, release_names, save_release, without_faces
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.evidence import cohort_classes, cohort_hospitals, refuse_small_classes
from gradient_assets.releases.manifest import REPORT
from gradient_assets.releases.requests import refuse_another
from gradient_assets.releases.states import LogError, Standing, account_name, checked_name
from gradient_assets.tables import PROD, RELEASE_MANIFEST
from resources.vault_contract import VaultError


@click.command()
@click.argument("name")
@click.option(
    "--recipient", required=True, metavar="R", help="Who gets it; each recipient has pseudonyms of their own."
)
@click.option(
    "--where", "condition", required=True, metavar="CONDITION", help="The cohort: SQL over the columns of prod."
)
@click.option(
    "--without-faces", "no_faces", is_flag=True, help="Leave out series that show, or may show, a face (may_show_face)."
)
@click.option("--create-key", is_flag=True, help="Make the recipient's key, if this is their first release.")
@click.option(
    "--by", default="", metavar="NAME", help="Who asks for it, and so can't approve it; by default the account."
)
def release(name: str, recipient: str, condition: str, no_faces: bool, create_key: bool, by: str) -> None:
    """Make release NAME, check it, and write the report that others approve. Nothing is delivered.

    The same command again goes on where a broken run stopped.
    """
    platform = Platform.open()
    wanted = Release(name, recipient, without_faces(condition) if no_faces else condition)
    if not create_key and not platform.resources.vault.exists(wanted.secret_name):
        platform.resources.keys.require_new(wanted.secret_name)
        raise ReleaseError(f"Recipient '{recipient}' has no key. Add --create-key if this is their first release.")
    standing = make_release(platform, wanted, by or account_name())
    tell(platform, wanted, standing)


def make_release(platform: Platform, wanted: Release, by: str) -> Standing:
    """Ask for the release and materialize its partition up to the report; returns where it stands.

    The recipient's key is made if there is none.  Raises `CohortError` and `ReleaseError` for a request that can't be met,
    and what the vault raises for a key that is lost or changed, before anything is changed; ends the process with code 3
    when a stage or check fails.
    """
    resources, rules = platform.resources, platform.registry.releases
    by = checked_name(by)
    refuse_another(resources.release_requests, wanted)
    classes = cohort_classes(resources, platform.registry, wanted)
    if not classes.sizes:
        raise ReleaseError(f"The cohort of release '{wanted.name}' selects nothing. Nothing was made.")
    refuse_small_classes(wanted, classes, rules.smallest_class)
    gate = Gate(resources, rules, wanted)
    _require_keys(platform, wanted)
    has_key = resources.vault.exists(wanted.secret_name)
    if not has_key:
        resources.keys.require_new(wanted.secret_name)
    if has_key:
        gate.require_not_revoked()
    save_release(resources.release_requests, wanted)
    if not has_key:
        resources.keys.make(wanted.secret_name)
    gate.ask(by)
    outcomes = materialize(
        platform,
        RELEASE_JOB,
        [wanted.name],
        steps=2 * len(RELEASE_ASSETS) - 1,
        before=lambda instance: instance.add_dynamic_partitions(str(RELEASES.name), [wanted.name]),
    )
    report_failures(outcomes)
    if not all(outcome.success for outcome in outcomes):
        sys.exit(3)
    return gate.log.standing()


def _require_keys(platform: Platform, wanted: Release) -> None:
    """Raise `KeyChanged` or `MissingKey` if a hospital of the cohort can't be read now: a rotation may wait for its run."""
    resources = platform.resources
    chosen = set(cohort_hospitals(resources, wanted))
    for hospital in platform.registry:
        if hospital.id in chosen:
            require_current(resources.partition_records, PROD, hospital.id, resources.key(hospital.secret_name))


def tell(platform: Platform, of: Release, standing: Standing) -> None:
    """One release on the terminal: how much, where it stands, what comes next."""
    needed, name = platform.registry.releases.approvals, of.name
    state = standing.state(needed)
    count = platform.resources.warehouse.count(RELEASE_MANIFEST, name)
    folder = platform.resources.releases.under(of.delivered if state == "delivered" else of.pages).uri
    click.echo(f"Release '{name}': {count} objects for '{of.recipient}', {state}.")
    if state == "delivered":
        click.echo(f"They lie with manifest.csv and {REPORT} in {folder}.")
        return
    click.echo(f"report        {folder}/{REPORT}")
    click.echo(f"digest        {standing.manifest}")
    if state == "verified":
        missing = needed - len(standing.approved_by)
        who = "another person" if missing == 1 else f"{missing} other people"
        click.echo(f"next          {who} than {', '.join(standing.authors)}: gradient approve {name} --by NAME")
    elif state == "approved":
        click.echo(f"next          gradient deliver {name}")


@click.command()
@click.argument("name", required=False)
def releases(name: str | None) -> None:
    """Show where every release stands; with NAME what became of that one, step by step.

    Exit code 3 when the log of one can't be relied on.
    """
    platform = Platform.open()
    bucket = platform.resources.release_requests
    if name is not None:
        _history(platform, load_release(bucket, name))
        return
    table = Table(title="Releases", title_justify="left")
    for heading in ("name", "recipient", "state", "objects", "approved by", "asked for by", "digest"):
        table.add_column(heading, justify="right" if heading == "objects" else "left", no_wrap=heading == "name")
    unreadable = False
    for one in release_names(bucket):
        wanted = load_release(bucket, one)
        try:
            standing = Gate(platform.resources, platform.registry.releases, wanted).log.standing()
        except (LogError, VaultError) as error:
            unreadable = True
            table.add_row(one, wanted.recipient, "unknown", "", "", "", str(error).partition(".")[0])
            continue
        needed = platform.registry.releases.approvals
        approved = ", ".join(standing.approved_by) or f"0 of {needed}"
        objects = f"{platform.resources.warehouse.count(RELEASE_MANIFEST, one):,}"
        authors = ", ".join(standing.authors)
        state = standing.state(needed)
        table.add_row(one, wanted.recipient, state, objects, approved, authors, standing.manifest[:12])
    Console().print(table)
    if unreadable:
        sys.exit(3)


def _history(platform: Platform, wanted: Release) -> None:
    standing = Gate(platform.resources, platform.registry.releases, wanted).log.standing()
    table = Table(title=f"Release {wanted.name} for {wanted.recipient}", title_justify="left")
    for heading in ("when", "what", "by", "account", "digest", "note"):
        table.add_column(heading)
    for entry in standing.entries:
        table.add_row(entry.at, entry.change, entry.by, entry.account, entry.manifest[:12], entry.note)
    Console().print(table)
    click.echo(f"Now: {standing.state(platform.registry.releases.approvals)}.")
