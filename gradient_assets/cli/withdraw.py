"""`gradient withdraw`: patients disappear from everything that is ours, and stay away.

Belongs here: arguments, and what the operator has to do now.  Ids come from a file alone: a command line is kept by shells and
shown by process lists.
"""

from __future__ import annotations

import getpass
import secrets
import sys
from pathlib import Path

import click

from gradient_assets.cli.run import Platform, open_instance
from gradient_assets.deployment.launching import ended
from gradient_assets.withdrawals.deliveries import WITHDRAWN_OBJECTS
from gradient_assets.withdrawals.withdraw import Outcome, Task, Withdrawal, read_ids, removing_warehouse
from gradient_assets.withdrawals.withdraw import withdraw as carry_out

_IDS = click.Path(path_type=Path)


@click.command()
@click.option("--hospital", "-H", required=True, metavar="H", help="The hospital's id.")
@click.option(
    "--patient-id-file",
    "ids",
    required=True,
    type=_IDS,
    metavar="FILE",
    help="Patient ids, one per line, readable by you alone (chmod 600).",
)
@click.option(
    "--reason", default="", metavar="TEXT", help="Why, for the log in the identified zone; no patient's name."
)
@click.option("--by", metavar="NAME", help="Who says so; the user of this terminal without it.")
def withdraw(hospital: str, ids: Path, reason: str, by: str | None) -> None:
    """Withdraw patients: remove them from every table, picture and release, and refuse them from now on.

    The hospital's own buckets are never changed. The same command again does what is left after it was interrupted.
    Exit code 3 when an id matches nobody: it may be mistyped.
    """
    platform = Platform.open()
    registered = platform.registry.get(hospital)
    order = Withdrawal(registered, read_ids(ids), by or getpass.getuser(), reason)
    warehouse = removing_warehouse(platform.resources, platform.registry, f"withdraw-{secrets.token_hex(4)}")

    def ended_here(run_ids: frozenset[str]) -> dict[str, bool]:
        with open_instance(platform.home) as instance:
            return ended(instance, run_ids)

    outcome = carry_out(Task(order, platform.resources, warehouse, ended_here))
    for line in told(hospital, outcome):
        click.echo(line)
    for name, reduced in sorted(outcome.releases.items()):
        if reduced.delivered:
            where = platform.resources.releases.under(reduced.release.delivered).uri
            click.echo(
                f"Tell {reduced.release.recipient}: {reduced.named:,} objects of release '{name}' have to be deleted, named in "
                f"{where}/{WITHDRAWN_OBJECTS}."
            )
        else:
            click.echo(
                f"Release '{name}' waits without them: ask for it again with `gradient release`, and read its report."
            )
    if outcome.unknown:
        sys.exit(3)


def told(hospital: str, outcome: Outcome) -> list[str]:
    """The outcome in sentences; counts, never an id."""
    patients = outcome.known + outcome.before + outcome.unknown
    lines = []
    if outcome.unknown:
        lines.append(
            f"{outcome.unknown:,} of {patients:,} ids match nobody here. Compare them with the hospital's list: a mistyped id "
            "withdraws nobody."
        )
    lines += [
        f"'{hospital}': {patients:,} patients withdrawn ({outcome.known:,} known here, {outcome.before:,} withdrawn before, "
        f"{outcome.unknown:,} not known; these are refused too when they come).",
        f"Removed {outcome.rows.total():,} rows of {len(outcome.rows):,} tables, {outcome.thumbnails:,} pictures, "
        f"{outcome.decisions:,} review decisions, {sum(one.deleted for one in outcome.releases.values()):,} objects of "
        f"{len(outcome.releases):,} releases.",
    ]
    if outcome.objects_left is None or outcome.records_left is None:
        lines.append("A bucket of the hospital can't be listed: what lies there still is not known.")
    if outcome.objects_left or outcome.records_left:
        lines.append(
            f"{outcome.objects_left or 0:,} objects and {outcome.records_left or 0:,} report rows of them lie in the "
            "hospital's own buckets, which are never changed: tell the hospital."
        )
    again = f" {outcome.read_again:,} unreadable objects are looked at again then." if outcome.read_again else ""
    lines.append(f"Next: `gradient run -H {hospital}`, then `gradient verify --withdrawn -H {hospital}`.{again}")
    return lines
