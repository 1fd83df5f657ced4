"""`gradient search` and `gradient crosswalk`: what is public, and the way back inside the identified zone.

Belongs here: arguments and printing.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from gradient_assets.cli.run import Platform
from gradient_assets.deid.headers import is_well_known_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.hospitals import home_path
from gradient_assets.tables import DICOM_METADATA, IDENTIFIED_REPORTS, PUBLIC_TABLE
from resources import Settings, resources_for

_SHOWN = ("study_instance_uid", "modality", "study_date", "patient_sex", "patient_age", "body_part_examined")


@click.command()
@click.argument("terms", nargs=-1, required=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows shown at the most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, all columns.")
def search(terms: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search the public table's descriptions and reports for all TERMS, best first."""
    if not os.environ.get("GRADIENT_WAREHOUSE") and not home_path().is_dir():
        raise click.UsageError(f"{home_path()} is not there. Set GRADIENT_HOME, or make a sample with `gradient demo`.")
    # The public zone alone: whoever searches has neither the registry nor the right to open another zone.
    resources = resources_for(Settings.from_environment({**os.environ, "GRADIENT_ZONES": "public"}))
    rows = resources.warehouse.search(PUBLIC_TABLE, "search_text", " ".join(terms), limit).to_pylist()
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


@click.command()
@click.option("--hospital", required=True, metavar="H", help="The hospital's id.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def crosswalk(hospital: str, folder: Path) -> None:
    """Write old and new ids of a hospital to FOLDER: patients.csv, uids.csv, accession_numbers.csv (id_old,id_new).

    The files are identified data: they are made readable for you alone and belong inside the identified zone.
    """
    platform = Platform.open()
    registered = platform.registry.get(hospital)
    for zone in ("landing", "deidentified", "public", "dagster"):
        if folder.resolve().is_relative_to((platform.home / zone).resolve()):
            raise click.UsageError(
                f"FOLDER lies in {zone}: a crosswalk is identified data. Choose a folder outside of it."
            )
    identity = Pseudonymizer(platform.resources.key(registered.secret_name), registered.id)
    patients: dict[str, str] = {}
    uids: dict[str, str] = {}
    accessions: dict[str, str] = {}
    warehouse = platform.resources.warehouse
    columns = ("patient_id", "accession_number", "study_instance_uid", "header_json")
    for batch in warehouse.scan(DICOM_METADATA, hospital, columns=columns):
        for row in batch.to_pylist():
            person = identity.person(row["patient_id"] or "", fallback=row["study_instance_uid"] or "")
            if row["patient_id"]:
                patients.setdefault(row["patient_id"], person.pseudonym)
            if row["accession_number"]:
                accessions[row["accession_number"]] = identity.accession(row["accession_number"])
            for uid in _uids(json.loads(row["header_json"])):
                if uid not in uids and not is_well_known_uid(uid):
                    uids[uid] = identity.uid(uid)
    for batch in warehouse.scan(IDENTIFIED_REPORTS, hospital, columns=("patient_id", "accession_number")):
        for row in batch.to_pylist():
            if row["patient_id"]:
                patients.setdefault(row["patient_id"], identity.patient(row["patient_id"]))
            if row["accession_number"]:
                accessions[row["accession_number"]] = identity.accession(row["accession_number"])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, mapping in (("patients", patients), ("uids", uids), ("accession_numbers", accessions)):
            _write(folder / f"{name}.csv", mapping)
            click.echo(f"{folder / name}.csv: {len(mapping)} rows")
    except OSError as error:
        raise click.UsageError(f"{folder} can't be written ({type(error).__name__}).") from None


def _uids(elements: dict[str, Any]) -> Iterator[str]:
    for element in elements.values():
        for value in element.get("Value", ()):
            if element.get("vr") == "UI" and isinstance(value, str):
                yield value
            elif element.get("vr") == "SQ" and isinstance(value, dict):
                yield from _uids(value)


def _write(path: Path, mapping: dict[str, str]) -> None:
    """Write beside `path` and rename, so that an older file with laxer rights does not lend them to the new one."""
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id_old", "id_new"))
        writer.writerows(sorted(mapping.items()))
    beside.replace(path)
