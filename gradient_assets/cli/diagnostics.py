"""`gradient diagnostics`: what an error said, for those who may open the identified zone.

Belongs here: arguments and printing; sealing and the log of who looked are `gradient_assets.diagnostics`'.
"""

from __future__ import annotations

import getpass
import os

import click

from gradient_assets.diagnostics import Diagnostics
from resources import Settings, resources_for


@click.command()
@click.argument("action", type=click.Choice(["list", "show", "sweep"]))
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--reason", default="", help="Why it has to be read; written down with your name. Needed for `show`.")
def diagnostics(action: str, identifier: str | None, reason: str) -> None:
    """List what errors left, show one by the ID that its message names, or sweep those that are too old.

    What is shown may hold identifiers. Each look is written down in the identified zone before anything is shown.
    """
    kept = Diagnostics.open(resources_for(Settings.from_environment(os.environ)), "prompt")
    if action == "show":
        if not identifier or not reason.strip():
            raise click.UsageError("`show` needs the ID that the error's message names, and --reason.")
        found = kept.show(identifier, who=getpass.getuser(), reason=reason)
        click.echo(f"{found.at}  {found.where}\n\n{found.text}")
        return
    if identifier or reason:
        raise click.UsageError("An ID and --reason belong to `show`.")
    click.echo(f"{kept.sweep()} deleted, older than {kept.days} days.")
    if action == "list":
        for name, stat in kept.listed():
            run = stat.key.split("/")[1]
            click.echo(f"{name}  {stat.last_modified.isoformat(timespec='seconds')}  run {run}")
