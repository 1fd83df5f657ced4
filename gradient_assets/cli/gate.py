"""`gradient approve`, `gradient deliver`, `gradient revoke`: a release in the hands of those who answer for it.

Belongs here: arguments and sentences.  What is allowed when is decided by `releases.delivery` alone, here and in the graph.
"""

from __future__ import annotations

import sys

import click

from gradient_assets.assets.catalogue import RELEASES
from gradient_assets.automation.jobs import DELIVERY_ASSETS, DELIVERY_JOB
from gradient_assets.cli.release import tell
from gradient_assets.cli.run import Platform, materialize, report_failures
from gradient_assets.releases import Release, load_release
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.manifest import REVOKED
from gradient_assets.releases.states import Standing, account_name


@click.command()
@click.argument("name")
@click.option("--by", required=True, metavar="NAME", help="Who approves; never somebody who asked for the release.")
@click.option("--note", default="", metavar="TEXT", help="What is to be kept with the approval.")
@click.option(
    "--digest", default="", metavar="D", help="How the digest on the report begins: refused if it was made again."
)
def approve(name: str, by: str, note: str, digest: str) -> None:
    """Say that release NAME may leave, exactly as its report describes it."""
    platform, wanted = _opened(name)
    tell(platform, wanted, _gate(platform, wanted).approve(by, note, digest))


@click.command()
@click.argument("name")
def deliver(name: str) -> None:
    """Move approved release NAME to the recipient's folder, with manifest and report."""
    platform, wanted = _opened(name)
    tell(platform, wanted, deliver_release(platform, wanted))


def deliver_release(platform: Platform, wanted: Release) -> Standing:
    """Run the delivery; returns where the release stands.

    Raises `ReleaseError` before anything runs if it is not approved as it is; ends the process with code 3 when the delivery
    or its check fails.
    """
    gate = _gate(platform, wanted)
    gate.require_approved()
    outcomes = materialize(
        platform,
        DELIVERY_JOB,
        [wanted.name],
        steps=2 * len(DELIVERY_ASSETS),
        before=lambda instance: instance.add_dynamic_partitions(str(RELEASES.name), [wanted.name]),
    )
    report_failures(outcomes)
    if not all(outcome.success for outcome in outcomes):
        sys.exit(3)
    return gate.log.standing()


@click.command()
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the log of the release.")
@click.option("--by", default="", metavar="NAME", help="Who revokes it; by default the account.")
def revoke(name: str, reason: str, by: str) -> None:
    """Take release NAME back: delete what lies here, and list what the recipient must delete.

    It can't be made or delivered again under this name. The same command again finishes a broken one. Exit code 3 when its
    log or its key can't be relied on; it is revoked all the same.
    """
    platform, wanted = _opened(name)
    standing, listed = _gate(platform, wanted).revoke(by or account_name(), reason)
    folder = platform.resources.releases.under(wanted.delivered).uri
    click.echo(f"Release '{name}' is revoked. Its objects here are deleted.")
    if listed:
        click.echo(f"'{wanted.recipient}' must delete {listed} objects: {folder}/{REVOKED}. Tell them.")
    else:
        click.echo("Nothing of it had been delivered.")
    if not standing.entries:
        click.echo(
            "Its log, or its key, can't be relied on. The revocation holds all the same; find out what became of them.",
            err=True,
        )
        sys.exit(3)


def _opened(name: str) -> tuple[Platform, Release]:
    platform = Platform.open()
    return platform, load_release(platform.resources.release_requests, name)


def _gate(platform: Platform, wanted: Release) -> Gate:
    return Gate(platform.resources, platform.registry.releases, wanted)
