"""The command `gradient`: the graph without a browser, and the same engines for a plain folder.

Reading order: `run` (materialize), `demo` (three sample hospitals), `summary` (what a run came to), `query` (search),
`crosswalk` (reidentify, crosswalk), `keys` (rotate), `release`, `gate` (approve, deliver, revoke), `review` (people look at
pictures), `withdraw` (patients), `verify` (read again what was written), `doctor`, `health` (processes), `deidentify`
(one folder, no graph), `dev` (real servers on this machine).
Belongs here: arguments, progress, exit codes and sentences for people; everything else is called.

Exit codes: 0 done; 1 an internal error, told by type and place; 2 bad input or set-up, told in one line; 3 done, but
something was quarantined (`deidentify`), a check has failed (`run`, `release`, `doctor`), something differs (`verify`) or does
not work (`health`); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import importlib
import sys

import click

from gradient_assets import __version__
from gradient_assets.silence import fall_silent

COMMANDS = {
    "demo": "demo",
    "run": "run",
    "search": "query",
    "crosswalk": "crosswalk",
    "reidentify": "crosswalk",
    "rotate": "keys",
    "release": "release",
    "releases": "release",
    "approve": "gate",
    "deliver": "gate",
    "revoke": "gate",
    "review": "review",
    "verify": "verify",
    "withdraw": "withdraw",
    "quarantine": "quarantine",
    "diagnostics": "diagnostics",
    "doctor": "doctor",
    "health": "health",
    "deidentify": "deidentify",
    "keygen": "deidentify",
    "ui": "ui",
    "dev": "dev",
}
"""Command → its module here; loaded when called, since Dagster and Beam take seconds to import."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gradient_assets.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradient")
def cli() -> None:
    """Turn hospitals' DICOM images and reports into a searchable, fully de-identified dataset.

    Exit codes: 0 done; 1 internal error; 2 bad input or set-up; 3 done, but something was quarantined or a check failed.
    """


def main() -> None:
    """Run the command; an error ends in one line, never in a traceback, whose values may identify somebody."""
    fall_silent()
    try:
        ended = cli.main(standalone_mode=False)
        if isinstance(ended, int):
            sys.exit(ended)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Stopped. What was committed stays; run the same command again to go on.", err=True)
        sys.exit(130)
    except Exception as error:
        from gradient_assets.cli.errors import told

        message, code = told(error)
        click.echo(message, err=True)
        sys.exit(code)
