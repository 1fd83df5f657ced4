"""`gradient dev`: the local stand of real servers and engines, for people who develop.

Belongs here: arguments and what is printed.  The parts are `gradient_assets.dev`'s business.
"""

from __future__ import annotations

import shlex

import click

from gradient_assets.dev.recipes import PartUnavailable
from gradient_assets.dev.stand import PARTS, USUAL, Running, StandError, merged, stand_folder, status
from gradient_assets.dev.stand import down as stand_down
from gradient_assets.dev.stand import up as stand_up


class _Unfit(click.ClickException):
    exit_code = 2


@click.group()
def dev() -> None:
    """A local stand: S3 with identities, GCS, secrets and queues, a BigQuery emulator, Beam's runners, sample hospitals.

    It is for development and tests.  It guards nothing: never put a patient's data there.

    \b
    gradient dev up
    eval "$(gradient dev status)"
    gradient doctor --mend          the hospitals' keys, in the stand's secret manager
    gradient run -H lakeside        S3 to BigQuery, on Flink
    gradient dev down
    """


@dev.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def up(parts: tuple[str, ...]) -> None:
    """Fetch and start PARTS (by default one of each kind), and print what to export.

    Nothing is kept from an earlier stand. A stand that is up stays as it is.
    """
    names = tuple(dict.fromkeys(parts)) or USUAL
    try:
        running = stand_up(names, lambda line: click.echo(line, err=True))
    except (PartUnavailable, StandError) as error:
        raise _Unfit(str(error)) from None
    _print(running)


@dev.command()
def down() -> None:
    """End all parts; their data and logs stay until the next `up`."""
    try:
        click.echo("The stand is down." if stand_down() else "The stand was not up.")
    except StandError as error:
        raise _Unfit(str(error)) from None


@dev.command("status")
def show_status() -> None:
    """Which parts run, and what to export."""
    running = status()
    if not running:
        click.echo("The stand is not up: `gradient dev up`.")
        return
    _print(running)


def _print(running: dict[str, Running]) -> None:
    """Comments and `export` lines, so that a shell can read the whole."""
    click.echo(f"# Data and logs: {stand_folder()}")
    for name, part in running.items():
        click.echo(f"# {name}: {part['version']}")
    for variable, value in sorted(merged(running).items()):
        click.echo(f"export {variable}={shlex.quote(value)}")
