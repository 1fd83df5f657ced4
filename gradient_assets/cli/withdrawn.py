"""`gradient verify --withdrawn`: whether withdrawn patients are nowhere any more.

Belongs here: printing what was found, by place and count.  The search is `gradient_assets.withdrawals.absence`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from gradient_assets.hospitals import Hospital
from gradient_assets.withdrawals.absence import prove_absence
from gradient_assets.withdrawals.withdraw import read_ids
from resources import Resources


def show_absence(resources: Resources, hospitals: Iterable[Hospital], ids: Path | None, as_json: bool) -> bool:
    """Look in each hospital's tables and objects, and tell; whether anything was found."""
    originals = read_ids(ids) if ids else ()
    results = {hospital.id: prove_absence(resources, hospital, originals) for hospital in hospitals}
    if as_json:
        found = {
            hospital: {
                "names": one.names,
                "rows": one.rows,
                "objects": one.objects,
                "found": dict(one.found),
                "runs": sorted(one.runs),
            }
            for hospital, one in results.items()
        }
        click.echo(json.dumps(found, indent=1))
        return not all(one.holds for one in results.values())
    for hospital, one in results.items():
        for place, count in sorted(one.found.items()):
            click.echo(f"'{hospital}': found in {place}: {count:,}")
        for line in _waiting(one.runs):
            click.echo(f"'{hospital}': {line}")
        looked = f"{one.names:,} names looked for in {one.rows:,} rows and {one.objects:,} objects"
        if not one.names and one.holds:
            click.echo(f"'{hospital}': nobody was withdrawn.")
        elif one.holds:
            click.echo(f"'{hospital}': {looked}: none found.")
        else:
            click.echo(f"'{hospital}': {looked}. Run `gradient run -H {hospital}`, then withdraw again.")
    return not all(one.holds for one in results.values())


def _waiting(runs: frozenset[str]) -> Iterable[str]:
    """Whose the unfinished work is, and what ends it; withdrawing again deletes what has ended by then."""
    if named := sorted(runs - {""}):
        yield (
            f"unfinished work of the runs {', '.join(named)}. Wait for them; one whose process is gone, on a machine that "
            "can't be seen from here, is marked as ended in Dagster's UI (Terminate, with force). Then withdraw again."
        )
    if "" in runs:
        yield (
            "unfinished work of a command that goes on or was killed. Withdrawing again deletes it an hour after it was "
            "last written to."
        )
