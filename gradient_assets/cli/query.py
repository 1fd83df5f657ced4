"""`gradient search`: what is public.

Belongs here: arguments and printing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table

from gradient_assets.hospitals import home_path
from gradient_assets.tables import PUBLIC_TABLE
from resources import Resources, Settings, resources_for

_SHOWN = ("study_instance_uid", "modality", "study_date", "patient_sex", "patient_age", "body_part_examined")


def opened_for_searching(environ: Mapping[str, str]) -> Resources:
    """The stores of the public zone alone: whoever searches has no right to open another one.  Raises `SettingsError`."""
    return resources_for(Settings.from_environment({**environ, "GRADIENT_ZONES": "public"}))


@click.command()
@click.argument("terms", nargs=-1, required=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows shown at the most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, all columns.")
def search(terms: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search the public table's descriptions and reports for all TERMS, best first."""
    if not os.environ.get("GRADIENT_WAREHOUSE") and not home_path().is_dir():
        raise click.UsageError(f"{home_path()} is not there. Set GRADIENT_HOME, or make a sample with `gradient demo`.")
    rows = (
        opened_for_searching(os.environ)
        .warehouse.search(PUBLIC_TABLE, "search_text", " ".join(terms), limit)
        .to_pylist()
    )
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str, ensure_ascii=False))
        return
    if not rows:
        click.echo("Nothing found.")
        return
    table = Table()
    for name in (*_SHOWN, "text"):
        table.add_column(name, overflow="fold")
    for row in rows:
        text = " ".join((row["search_text"] or "").split())
        table.add_row(*(str(row[name] or "") for name in _SHOWN), text[:120])
    Console().print(table)
