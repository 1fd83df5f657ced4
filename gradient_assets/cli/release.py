"""`gradient release`: clean a cohort for one recipient, check it, deliver it.

Belongs here: asking for a release and telling how it ended.
"""

from __future__ import annotations

import sys

import click

from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.automation.jobs import RELEASE_JOB
from gradient_assets.cli.run import Platform, materialize, report_failures
from gradient_assets.cohort import CohortError, cohort_condition
from gradient_assets.releases import Release, ReleaseError, save_release, without_faces
from gradient_assets.tables import PROD, RELEASE_MANIFEST
from resources.errors import WarehouseError


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
def release(name: str, recipient: str, condition: str, no_faces: bool, create_key: bool) -> None:
    """Make and deliver release NAME. The same command again goes on where a broken run stopped."""
    platform = Platform.open()
    wanted = Release(name, recipient, without_faces(condition) if no_faces else condition)
    if not create_key and not platform.resources.vault.exists(wanted.secret_name):
        raise ReleaseError(f"Recipient '{recipient}' has no key. Add --create-key if this is their first release.")
    delivered = make_release(platform, wanted)
    where = platform.resources.releases.under(wanted.delivered).uri
    click.echo(f"Release '{name}': {delivered} objects delivered to {where}, with manifest.csv and report.html.")


def make_release(platform: Platform, wanted: Release) -> int:
    """Ask for the release and materialize its partition; returns the number of delivered objects.

    The recipient's key is made if there is none.  Raises `ReleaseError` when the cohort selects nothing; ends the process
    with code 3 when a stage or check fails.
    """
    resources = platform.resources
    condition = cohort_condition(wanted.condition)
    sql = f"SELECT COUNT(*) AS n FROM {PROD.full_name} WHERE {condition}"  # noqa: S608  rebuilt from a checked tree
    try:
        found = resources.warehouse.query(sql).to_pylist()[0]["n"]
    except WarehouseError:
        found = None
    if found is None:
        raise CohortError(
            "The cohort's condition can't be run: compare texts with texts, numbers with numbers, dates with dates."
        )
    if not found:
        raise ReleaseError(f"The cohort of release '{wanted.name}' selects nothing. Nothing was made.")
    save_release(resources.release_requests, wanted)
    if not resources.vault.exists(wanted.secret_name):
        resources.vault.create(wanted.secret_name)
    outcomes = materialize(
        platform,
        RELEASE_JOB,
        [wanted.name],
        steps=5,
        before=lambda instance: instance.add_dynamic_partitions(str(RELEASES.name), [wanted.name]),
    )
    report_failures(outcomes)
    if not all(outcome.success for outcome in outcomes):
        sys.exit(3)
    return resources.warehouse.count(RELEASE_MANIFEST, wanted.name)
